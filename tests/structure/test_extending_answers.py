"""Answers, commands, figures, sections, formats and findings are added as "Extending" says.

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

import numpy as np
from msgspec import Struct

from partialpool.draws.posterior import Posterior
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable


class Widths(Answer, Struct, frozen=True, eq=False):
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


COMMAND = '''"""`partialpool count`: how many draws a saved fit has."""

import partialpool
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.output import say
from partialpool.draws.posterior import n_draws


def count_command(fit: options.Saved) -> int:
    """Count the draws of a saved fit."""
    say(str(n_draws(partialpool.load(fit))))
    return DONE
'''


def test_a_command(scratch):
    scratch.write("cli/count.py", COMMAND)
    imported = "from partialpool.cli.data import data_command\n"
    named = 'app.command("data")(data_command)\n'
    scratch.change(
        "cli/__init__.py",
        (imported, "from partialpool.cli.count import count_command\n" + imported),
        (named, named + 'app.command("count")(count_command)\n'),
    )
    assert scratch.written == extending("A command", name="count")
    text = scratch.run(
        "-c",
        FIT + "from partialpool.cli import main\n"
        "fit.save('fit.nc')\n"
        "assert main(['count', 'fit.nc']) == 0\n"
        "print(fit.run.chains * fit.run.draws)\n"
        "assert main(['--help']) == 0",
    )
    counted, draws, *shown = text.splitlines()
    assert counted == draws
    assert any("Count the draws of a saved fit." in line for line in shown)


def test_a_section_of_the_report(scratch):
    scratch.change(
        "report/sections.py",
        (
            "            self._findings(),\n",
            "            self._findings(),\n            self._odd(),\n",
        ),
        (
            "    def _findings(self)",
            "    def _odd(self) -> Section:\n"
            '        said = f"<{self.subject.response}> is odd."\n'
            '        return Section("odd", "Oddity", paragraph(said))\n\n'
            "    def _findings(self)",
        ),
    )
    assert scratch.written == extending("A section of the report")
    text = scratch.run("-c", FIT + "print(fit.report('report.html').read_text(encoding='utf-8'))")
    assert text.count("&lt;y&gt; is odd.") == 1
    assert text.index('id="findings"') < text.index('id="odd"') < text.index('id="data"')


FORMAT = '''"""A table of fits with tabs between cells."""

from partialpool.tables.grid import Grid


def tabbed(grid: Grid) -> str:
    """Write the estimates."""
    return "\\n".join("\\t".join([x.label, *(c.text for c in x.cells)]) for x in grid.lines)
'''


def test_a_format_of_tables(scratch):
    scratch.write("tables/tabbed.py", FORMAT)
    scratch.change("tables/saving.py", ('ENDINGS = (".md", ', 'ENDINGS = (".md", ".tsv", '))
    before = "    def to_html(self) -> str:\n"
    ending = '            ".md": self.to_markdown,\n'
    scratch.change(
        "tables/table.py",
        (
            "import great, html, latex, markdown, numbers, word",
            "import great, html, latex, markdown, numbers, tabbed, word",
        ),
        (
            before,
            "    def to_tabbed(self) -> str:\n        return tabbed.tabbed(self._whole)\n\n"
            + before,
        ),
        (ending, ending + '            ".tsv": self.to_tabbed,\n'),
    )
    assert scratch.written == extending("A format of tables", format="tabbed")
    text = scratch.run("-c", FIT + "pp.table([fit]).save('t.tsv')\nprint(open('t.tsv').read())")
    assert "Intercept\t" in text


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
