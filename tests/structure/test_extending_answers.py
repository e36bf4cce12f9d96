"""An answer, a figure and a finding are added in the files that "Extending" names.

Each is written into a copy of the package, and used from a process of its own.
"""

import json

import pytest

from scratch import Scratch, extending

FIT = """
import json
import partialpool as pp
data = {"y": [1.0, 2.5, 2.0, 4.5, 3.0, 6.5, 7.0], "g": [*"aabbccc"]}
fit = pp.fit("y ~ 1 + (1 | g)", data, chains=2, draws=200, warmup=200, seed=1, progress=False)
"""


@pytest.fixture
def scratch(tmp_path):
    return Scratch(tmp_path)


ANSWER = '''"""How wide the intervals of the parameters are."""

from dataclasses import dataclass

import numpy as np

from partialpool.draws.posterior import Posterior
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable


@dataclass(frozen=True, eq=False, repr=False)
class Widths(Answer):
    names: tuple[str, ...]
    widths: np.ndarray

    @property
    def page(self) -> Page:
        column = ResultColumn("width", self.widths, [f"{width:.3f}" for width in self.widths])
        return Page(
            heading=["Widths of intervals"],
            table=ResultTable("parameter", list(self.names), [column]),
            otherwise="Nothing to say.",
            rows="parameters",
        )


def widths(fit: Posterior) -> Widths:
    """Tell how wide the intervals are."""
    table = fit.summary()
    return Widths(tuple(table.index), (table["upper"] - table["lower"]).to_numpy())
'''


def test_an_answer(scratch):
    scratch.write("answers/widths.py", ANSWER)
    imported = "from partialpool.answers.sensitivity import sensitivity\n"
    name = "    sensitivity = sensitivity\n"
    scratch.change(
        "posterior/fit.py",
        (imported, imported + "from partialpool.answers.widths import widths\n"),
        (name, name + "    widths = widths\n"),
    )
    assert scratch.written == extending("An answer", name="widths")
    text = scratch.run(
        "-c",
        FIT + "found = fit.widths()\n"
        "print(found)\nprint('---')\nprint(found._repr_html_())\nprint('---')\n"
        "print(json.dumps(found.to_dict()))",
    )
    shown, html, record = text.split("---\n")
    assert shown.startswith("Widths of intervals")
    assert "sd_g[Intercept]" in shown
    assert "<td" in html
    rows = json.loads(record)["parameters"]
    assert [row["parameter"] for row in rows] == ["b[Intercept]", "sd_g[Intercept]", "sigma"]
    assert all(f"{row['width']:.3f}" in shown for row in rows)


FIGURE = '''"""Predictive p-values as bars."""

import numpy as np
from matplotlib.figure import Figure

from partialpool.drawing.style import BLUE, plain


def p_values(names, values):
    figure = Figure()
    axes = figure.subplots()
    axes.barh([plain(name) for name in names], np.asarray(values), color=BLUE)
    return figure
'''

ASKED = '''"""Predictive p-values of a fit."""

from partialpool.answers.check import check
from partialpool.figures.plots import Plots


def p_values(plots: Plots) -> object:
    """Draw the predictive p-values."""
    from partialpool.plots.p_values import p_values as draw

    found = check(plots.fit, draws=100).statistics
    return draw([s.name for s in found], [s.p for s in found])
'''


def test_a_figure(scratch):
    scratch.write("plots/p_values.py", FIGURE)
    scratch.write("figures/p_values.py", ASKED)
    imported = "from partialpool.figures.plots import Plots\n"
    name = '    """Figures of a fit; each returns a matplotlib figure."""\n'
    scratch.change(
        "figures/fit.py",
        (imported, "from partialpool.figures.p_values import p_values\n" + imported),
        (name, name + "\n    p_values = p_values\n"),
    )
    assert scratch.written == extending("A figure", figure="p_values")
    text = scratch.run(
        "-c",
        FIT + "from partialpool.plots import save\n"
        "import sys\n"
        "assert 'matplotlib' not in sys.modules\n"
        "save(fit.plot.p_values(), 'figure.png')\n"
        "print(open('figure.png', 'rb').read(4))",
    )
    assert text == "b'\\x89PNG'\n"


FINDING = """

def _odd(design: Design) -> Iterator[Finding]:
    if design.n_rows % 2:
        yield Finding("odd-rows", "info", f"There are {design.n_rows} rows.", "Add one.")
"""


def test_a_finding(scratch):
    first = "        *_aliased(design),\n"
    scratch.change("findings/data.py", (first, first + "        *_odd(design),\n"), ("", FINDING))
    assert scratch.written < extending("A finding")
    text = scratch.run(
        "-c",
        FIT + "print(fit)\nprint('---')\nprint(json.dumps(fit.to_dict()['findings']))\n"
        "print('odd-rows' in {f.code for f in pp.fit('y ~ 1', {'y': [1.0, 2, 4, 3]}, chains=1, "
        "draws=100, warmup=100, seed=1).findings})",
    )
    shown, rest = text.split("---\n")
    record, without = rest.splitlines()
    assert "There are 7 rows. Add one." in " ".join(shown.split())
    assert "odd-rows" in [finding["code"] for finding in json.loads(record)]
    assert without == "False"
