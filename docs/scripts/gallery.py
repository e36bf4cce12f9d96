"""The gallery: every figure that there is, drawn when the site is built, its source beside it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from partialpool.answers.check import CheckPlots
from partialpool.figures.comparison import ComparisonPlots
from partialpool.figures.fit import FitPlots

HOLDERS = {"fit": FitPlots, "comparison": ComparisonPlots, "check": CheckPlots}

SETUP = """\
import partialpool as pp

radon = pp.datasets.radon()
fit = pp.fit("log_radon ~ floor + (floor | county)", radon, seed=1)
one = pp.fit("log_radon ~ floor + (1 | county)", radon, seed=1)
both = pp.fit("log_radon ~ log_uranium * floor + (1 | county)", radon, seed=1)
first = pp.fit("floor ~ log_uranium + (1 | county)", radon, family="bernoulli", draws=250, seed=1)
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the gallery.

    Attributes
    ----------
    method : str
        The method that draws it: ``"fit.plot.levels"``.
    title, text : str
        What it is for, and how it is read.
    source : str
        Code that makes `figure`, in the namespace of `SETUP` and of the pictures before it.
    """

    method: str
    title: str
    text: str
    source: str

    @property
    def name(self) -> str:
        """Name of the image."""
        return f"{self.method.replace('.plot', '').replace('.', '-')}.png"


PICTURES = (
    Picture(
        "comparison.plot.shrinkage",
        "What pooling does to the estimates",
        "A dot is a person's estimated line: where it starts and how steep it is. Lines lead "
        "to the truth, which is known here because the data are simulated; with real data "
        "they lead to the estimates without pooling. The ellipse holds 95% of the population.",
        """\
people, truth = pp.datasets.individuals()
cmp = pp.compare("y ~ x + (x || id)", people, truth=truth, seed=1)
figure = cmp.plot.shrinkage()
""",
    ),
    Picture(
        "comparison.plot.shrinkage",
        "The same, of measured data",
        "Counties with few homes are drawn furthest towards the population; lines lead to "
        "what their own homes alone would say.",
        """\
cmp = pp.compare("log_radon ~ floor + (floor | county)", radon, seed=1)
figure = cmp.plot.shrinkage()
""",
    ),
    Picture(
        "comparison.plot.levels",
        "Every level, with and without pooling",
        "Levels sorted by their estimate under partial pooling; behind, what each would be by "
        "itself.",
        "figure = cmp.plot.levels()\n",
    ),
    Picture(
        "comparison.plot.groups",
        "Data of single groups, under the three poolings",
        "A panel each for some groups, with a line for each pooling.",
        "figure = cmp.plot.groups()\n",
    ),
    Picture(
        "comparison.plot.coefficients",
        "The population's coefficients under the poolings",
        "What pooling does to the answer about the population, not only to the levels.",
        "figure = cmp.plot.coefficients()\n",
    ),
    Picture(
        "comparison.plot.pooling_factor",
        "How far each level was pulled, seen from a comparison",
        "That of the fit with partial pooling.",
        "figure = cmp.plot.pooling_factor()\n",
    ),
    Picture(
        "fit.plot.effects",
        "What a predictor does",
        "The average prediction by a predictor, groups integrated out, with the data behind "
        "it. Here the floor is 0 or 1, and the line is straight because the model is.",
        'figure = fit.plot.effects("floor")\n',
    ),
    Picture(
        "fit.plot.effects",
        "Two predictors together",
        "A curve for each value of the second; where curves are not parallel, the two interact.",
        'figure = both.plot.effects(["log_uranium", "floor"])\n',
    ),
    Picture(
        "fit.plot.coefficients",
        "The population's coefficients",
        "Points with their intervals. Of a model with a logit or log link they are odds or "
        "rate ratios too.",
        "figure = both.plot.coefficients()\n",
    ),
    Picture(
        "fit.plot.levels",
        "Every level, sorted",
        "A caterpillar: each level's estimate with its interval, and its number of rows. "
        "Intervals that do not overlap are no test; ask `fit.hypothesis` for a difference.",
        "figure = one.plot.levels()\n",
    ),
    Picture(
        "fit.plot.groups",
        "Data of single groups, with their lines",
        "A panel each for some groups, small ones and large ones, with their own line and "
        "that of the population: where rows are few, the two lie close.",
        "figure = fit.plot.groups()\n",
    ),
    Picture(
        "fit.plot.pooling_factor",
        "How far each level was pulled",
        "At 1 a level has the population's estimate, at 0 its own. Levels with few rows are "
        "pulled most; how fast that falls with n depends on how much levels differ.",
        "figure = one.plot.pooling_factor()\n",
    ),
    Picture(
        "fit.plot.forest",
        "A meta-analysis",
        "Each study's own estimate beside the one that was drawn in, the mean, and where the "
        "next study is expected.",
        """\
schools = pp.datasets.eight_schools()
studies = pp.fit("effect | se(se) ~ 1 + (1 | school)", schools, seed=1)
figure = studies.plot.forest()
""",
    ),
    Picture(
        "fit.plot.posterior",
        "What was learned about each parameter",
        "The posterior with its interval, and the prior behind: where the two look alike, the"
        " data said little.",
        "figure = fit.plot.posterior()\n",
    ),
    Picture(
        "fit.plot.pairs",
        "Parameters two by two",
        "Parameters that trade against each other lie along a line. Draws that diverged are "
        "marked.",
        "figure = fit.plot.pairs()\n",
    ),
    Picture(
        "fit.plot.check",
        "Does the model fit? All at once",
        "Data that the model makes, residuals against what was fitted and against each "
        "predictor, levels, and the influence of rows. Grey bands hold what is due to chance.",
        "figure = fit.plot.check()\n",
    ),
    Picture(
        "check.plot.density",
        "Could the model have made these data?",
        "The data's density over those of data sets that the model makes. Where the dark line"
        " leaves the bundle, the model misses something: another family, a transformation, a "
        "predictor.",
        "figure = fit.check().plot.density()\n",
    ),
    Picture(
        "check.plot.statistics",
        "The same, number by number",
        "What the model's data sets have, as histograms; what was observed, as a line.",
        "figure = fit.check().plot.statistics()\n",
    ),
    Picture(
        "check.plot.groups",
        "The same, level by level",
        "Each level's mean response, beside the range of the model's. Levels outside are "
        "worth a look at their rows.",
        "figure = fit.check().plot.groups()\n",
    ),
    Picture(
        "check.plot.bars",
        "Counts, yes or no, categories",
        "How often each value occurs, beside the range in data sets that the model makes. "
        "Here yes or no: was the home measured on the first floor?",
        "figure = first.check().plot.bars()\n",
    ),
    Picture(
        "fit.plot.trace",
        "Did the chains mix?",
        "Chains that found the same look alike and show no trend.",
        'figure = first.plot.trace()\n',
    ),
    Picture(
        "fit.plot.rank",
        "The same, by ranks",
        "Where chains agree, bars are of equal height but for chance.",
        'figure = first.plot.rank()\n',
    ),
)  # fmt: skip

HEAD = """\
# Gallery

Every figure that there is, with the line that draws it. All are matplotlib figures: change them, or
save them with `figure.savefig("name.png", dpi=200)`. Colours can be told apart by colour-blind
readers and in grey.

The pictures on this page are of these fits:

"""


def is_there(picture: Picture) -> bool:
    """Whether the package has the figure."""
    holder, name = HOLDERS[picture.method.split(".")[0]], picture.method.split(".")[-1]
    return hasattr(holder, name)


def made() -> dict[str, bytes]:
    """Give the page and its images, by file name."""
    import matplotlib

    matplotlib.use("Agg")
    namespace: dict[str, Any] = {"__name__": "gallery"}
    exec(compile(SETUP, "gallery", "exec"), namespace)
    files: dict[str, bytes] = {}
    page = HEAD + fenced(SETUP)
    for picture in filter(is_there, PICTURES):
        exec(compile(picture.source, picture.method, "exec"), namespace)
        name = picture.name
        if name in files:
            name = name.replace(".png", "-2.png")
        image = io.BytesIO()
        namespace["figure"].savefig(image, format="png", dpi=130)
        files[name] = image.getvalue()
        page += f"\n## {picture.title}\n\n`{picture.method}`. {picture.text}\n\n"
        page += fenced(picture.source) + f"\n![{picture.title}]({name})\n"
    return files | {"index.md": page.encode()}


def fenced(source: str) -> str:
    """Give code as a block of Markdown."""
    return f"```python\n{source}```\n"
