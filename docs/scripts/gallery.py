"""The gallery: every figure that there is, drawn when the site is built, its source beside it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

SETUP = """\
import partialpool as pp

radon = pp.datasets.radon()
fit = pp.fit("log_radon ~ floor + (floor | county)", radon, seed=1)
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
        "A dot is a person's estimated line: where it starts and how steep it is. Lines lead to the "
        "truth, which is known here because the data are simulated; with real data they lead to the "
        "estimates without pooling. The ellipse holds 95% of the population.",
        """\
people, truth = pp.datasets.individuals()
cmp = pp.compare("y ~ x + (x || id)", people, truth=truth, seed=1)
figure = cmp.plot.shrinkage()
""",
    ),
    Picture(
        "comparison.plot.shrinkage",
        "The same, of measured data",
        "Counties with few homes are drawn furthest towards the population; lines lead to what their "
        "own homes alone would say.",
        """\
cmp = pp.compare("log_radon ~ floor + (floor | county)", radon, seed=1)
figure = cmp.plot.shrinkage()
""",
    ),
    Picture(
        "check.plot.density",
        "Could the model have made these data?",
        "The data's density over those of data sets that the model makes. Where the dark line leaves "
        "the bundle, the model misses something: another family, a transformation, a predictor.",
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
        "Each level's mean response, beside the range of the model's. Levels outside are worth a look "
        "at their rows.",
        "figure = fit.check().plot.groups()\n",
    ),
    Picture(
        "check.plot.bars",
        "Counts, yes or no, categories",
        "How often each value occurs, beside the range in data sets that the model makes. Here yes or "
        "no: was the home measured on the first floor?",
        """\
first = pp.fit("floor ~ log_uranium + (1 | county)", radon, family="bernoulli", draws=250, seed=1)
figure = first.check().plot.bars()
""",
    ),
)  # fmt: skip

HEAD = """\
# Gallery

Every figure that there is, with the line that draws it. All are matplotlib figures: change them, or
save them with `figure.savefig("name.png", dpi=200)`. Colours can be told apart by colour-blind
readers and in grey.

All pictures on this page begin with:

"""


def made() -> dict[str, bytes]:
    """Give the page and its images, by file name."""
    import matplotlib

    matplotlib.use("Agg")
    namespace: dict[str, Any] = {"__name__": "gallery"}
    exec(compile(SETUP, "gallery", "exec"), namespace)
    files: dict[str, bytes] = {}
    page = HEAD + fenced(SETUP)
    for picture in PICTURES:
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
