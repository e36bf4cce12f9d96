"""Tables of fits in every format: each is read back, and must hold what the table held.

Names are random, of letters that some format takes for its own.
"""

import csv
import io
import random
import re
from html.parser import HTMLParser

import pytest
from docx import Document
from docx.oxml.ns import qn
from markdown_it import MarkdownIt
from msgspec.structs import replace

import partialpool as pp
from partialpool.numerals import minus
from partialpool.tables import great, html, latex, markdown, word
from partialpool.tables.grid import Head, build_grid, clean
from partialpool.tables.rows import Row
from partialpool.tables.side import Entry

NASTY = [
    *"\\{}[]()<>|&%$#_^~`*-+=@!?:;,./'\"", *"abz019", " ", "  ", "\n", "\x00", "\t", "&amp;", "<b>",
    "</td>", "<script>alert(1)</script>", "--", "---", "**", "$x$", "\\\\", "\\begin{x}", "{{kg}}",
    "é", "ß", "名", "🙂", "\u202e", "²", "–", "±", "…", "\ud800", "``", "[a](b)", "![a](b)", "1. ",
    "- ", "=1+1", "https://a.b", "a@b.c", ":--", "\\|", "%%", "~~", "^2", "\u00a0", "\u2028",
]  # fmt: skip


def nasty(rng):
    """A name that begins with a letter, as LaTeX and Markdown drop blanks at ends."""
    return "n" + "".join(rng.choice(NASTY) for _ in range(rng.randrange(1, 7))) + "m"


def squeezed(text):
    """Blanks of any number are one in HTML, Markdown and LaTeX."""
    return re.sub(r"\s+", " ", text).strip()


def shown(number):
    """A number as print writes it: the minus is no hyphen."""
    return minus(number)


def random_grid(rng, layout):
    """A grid of random names and numbers, and the cells that it holds, row by row."""
    width = rng.randrange(1, 4)
    heads = [Head(nasty(rng), rng.choice(["y", "z<&"]), "95% interval") for _ in range(width)]
    rows = []
    for k in range(rng.randrange(1, 6)):
        section = f"section {k // 2} {nasty(rng) if k % 2 == 0 else ''}"
        section = rows[-1].section if k % 2 else section
        cells = tuple(random_cell(rng) for _ in heads)
        rows.append(Row(nasty(rng), nasty(rng), section, cells))
    rows.append(Row("Family", "Family", "Fit", tuple(nasty(rng) for _ in heads)))
    return build_grid(heads, rows, [nasty(rng)], layout=layout, digits=3)


def random_cell(rng):
    if rng.random() < 0.2:
        return None
    x = rng.uniform(-5, 5)
    return Entry(x, 0.1, x - 0.2, x + 0.2) if rng.random() < 0.8 else Entry(x, 0.1)


def expected(grid, text=lambda x: x, number=lambda x: x):
    """Rows of texts: titles of sections, and rows whose cells have an interval below."""
    rows = []
    for title, lines in grid.sections():
        rows.append([text(title)])
        for line in lines:
            cells = [
                (number(c.text), number(c.below)) if c.is_number else (text(c.text), "")
                for c in line.cells
            ]
            rows.append([text(line.label), *cells])
    return rows


def joined(rows):
    """Rows of which those without a label hold the intervals of the row before."""
    found = []
    for row in rows:
        if row[0] == "" and len(row) > 1 and found:
            label, *above = found[-1]
            pairs = zip(above, row[1:], strict=True)
            found[-1] = [label, *((cell, below) for (cell, _), below in pairs)]
        else:
            found.append([row[0], *((cell, "") for cell in row[1:])])
    return [row if any(a for a, _ in row[1:]) else row[:1] for row in found]


# --- HTML ---------------------------------------------------------------------------------------


class Rows(HTMLParser):
    """Texts of the cells of a table, row by row; a line break is one. All tags that were met."""

    def __init__(self):
        super().__init__()
        self.rows, self.tags, self.inside = [], set(), False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def parsed(text):
    found = Rows()
    found.feed(text)
    return found


OURS = {"style", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "br", "small"}


@pytest.mark.parametrize("layout", ["below", "beside"])
@pytest.mark.parametrize("seed", range(40))
def test_html_is_read_back(seed, layout):
    grid = random_grid(random.Random(seed), layout)
    found = parsed(html.fragment(grid))
    assert found.tags <= OURS
    above = 1 + bool(grid.spanners)
    body = [
        [row[0], *(tuple([*cell.split("\n"), ""][:2]) for cell in row[1:])]
        for row in found.rows[above : -len(grid.notes)]
    ]
    assert body == expected(grid, number=shown)
    assert found.rows[above - 1][1:] == list(grid.heads)
    assert [row[0] for row in found.rows[-len(grid.notes) :]] == list(grid.notes)
    if grid.spanners:
        assert found.rows[0][1:] == [one.title for one in grid.spanners]


@pytest.mark.parametrize("layout", ["below", "beside"])
@pytest.mark.parametrize("seed", range(12))
def test_great_tables_are_read_back(seed, layout):
    grid = random_grid(random.Random(seed), layout)
    found = parsed(great.great(grid).as_raw_html())
    assert "script" not in found.tags
    assert "b" not in found.tags
    texts = [[squeezed(cell) for cell in row] for row in found.rows]
    rows = joined(texts[1 + bool(grid.spanners) : -len(grid.notes)])
    assert rows == expected(grid, squeezed, shown)
    heads = texts[bool(grid.spanners)]
    assert heads[-len(grid.heads) :] == list(map(squeezed, grid.heads))
    assert texts[-1] == [squeezed(grid.notes[-1])]


def test_a_page_needs_nothing_else():
    text = html.page(random_grid(random.Random(1), "below"), "<title>")
    assert text.startswith("<!doctype html>")
    assert "<title>&lt;title&gt;</title>" in text
    assert not re.search(r"(src|href)\s*=|url\(|@import", text)


# --- Markdown -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["below", "beside"])
@pytest.mark.parametrize("seed", range(60))
def test_markdown_is_read_back(seed, layout):
    grid = random_grid(random.Random(seed), layout)
    reader = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    page = reader.render(markdown.markdown(grid))
    found = parsed(page)
    assert found.tags <= {"table", "thead", "tbody", "tr", "td", "th", "p", "strong"}
    texts = [[squeezed(cell) for cell in row] for row in found.rows]
    assert joined(texts[1:]) == expected(grid, squeezed)
    titles = [
        next((one.title for one in grid.spanners if one.first <= k <= one.last), "")
        for k in range(len(grid.heads))
    ]
    heads = [f"{a}: {b}" if a else b for a, b in zip(titles, grid.heads, strict=True)]
    assert texts[0] == ["", *map(squeezed, heads)]
    paragraph = re.findall(r"<p>(.*?)</p>", page, re.S)[-1]
    assert squeezed(parsed(f"<table><tr><td>{paragraph}</td></tr></table>").rows[0][0]) == squeezed(
        grid.notes[0]
    )


# --- LaTeX --------------------------------------------------------------------------------------

COMMANDS = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textasciigrave": "`",
    "textless": "<", "textgreater": ">", "textbar": "|", "ldots": "…",
}  # fmt: skip


def typeset(text):
    """What LaTeX would show of a text: commands that we use, and nothing else."""
    out, k = "", 0
    rules = (
        (r"\\textsuperscript\{2\}", lambda m: "²"),
        (r"\\([a-z]+)\{\}", lambda m: COMMANDS[m[1]]),
        (r"\\([#$%&_{}])", lambda m: m[1]),
        (r"\$\\pm\$", lambda m: "±"),
        (r"\$-\$", lambda m: "-"),
        (r"-\{\}", lambda m: "-"),
        (r"--", lambda m: "–"),
        (r"[^\\{}$#%&_^~<>|`]", lambda m: m[0]),
    )
    while k < len(text):
        for pattern, write in rules:
            match = re.compile(pattern).match(text, k)
            if match:
                out += write(match)
                k = match.end()
                break
        else:
            raise AssertionError(f"LaTeX would not take {text[k:]!r}")
    return out


def latex_rows(text):
    r"""Cells of the rows of a tabular; no row may begin with what \\ would take for its own."""
    inside = re.search(r"\\begin\{tabular\}\{.*?\}\n(.*)\\end\{tabular\}", text, re.S)[1]
    for line in inside.splitlines():
        if re.fullmatch(r"\\(toprule|midrule|bottomrule|addlinespace)|(\\cmidrule.*)", line):
            continue
        assert line.endswith(r" \\")
        assert not line.lstrip().startswith(("[", "*"))
        line = line.removesuffix(r" \\")
        if line.startswith(r"\multicolumn"):
            yield [typeset(re.fullmatch(r"\\multicolumn\{\d+\}\{l\}\{(.*)\}", line)[1])]
            continue
        cells = re.split(r"(?<!\\)&", line)
        first, *rest = (cell.removeprefix(r"\quad ").strip() for cell in cells)
        if any(cell.startswith(r"\multicolumn") for cell in rest):
            yield [re.fullmatch(r"\\multicolumn\{\d+\}\{c\}\{(.*)\}", cell)[1] for cell in rest]
            continue
        yield [typeset(first), *map(typeset, rest)]


@pytest.mark.parametrize("layout", ["below", "beside"])
@pytest.mark.parametrize("seed", range(60))
def test_latex_is_read_back(seed, layout):
    grid = random_grid(random.Random(seed), layout)
    text = latex.latex(grid, "", "")
    rows = [[squeezed(cell) for cell in row] for row in latex_rows(text)]
    if grid.spanners:
        titles = [squeezed(typeset(cell)) for cell in rows.pop(0)]
        assert titles == [squeezed(one.title) for one in grid.spanners]
    assert rows[0] == ["", *map(squeezed, grid.heads)]
    assert joined(rows[1:]) == expected(grid, squeezed)
    note = re.search(r"\\footnotesize\n(.*)\\par\n", text, re.S)[1]
    assert squeezed(typeset(note)) == squeezed(grid.notes[0])


def test_latex_is_balanced():
    """Environments are closed in the order in which they are opened, braces too, and & are so many.

    There is no LaTeX on every machine that runs this.
    """
    for seed in range(40):
        grid = random_grid(random.Random(seed), random.Random(seed).choice(["below", "beside"]))
        text = latex.latex(grid, "50% of {x", "tab:x")
        stack = []
        for kind, name in re.findall(r"(?<!\\)\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                stack.append(name)
            else:
                assert stack.pop() == name
        assert not stack
        plain = re.sub(r"\\[\\{}]", "", text.replace(r"\\" + "\n", "\n"))
        depth = 0
        for c in plain:
            depth += (c == "{") - (c == "}")
            assert depth >= 0
        assert depth == 0
        for line in text.splitlines():
            if line.endswith(r" \\") and not line.startswith(r"\multicolumn") and "{c}" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == len(grid.heads)


# --- Word ---------------------------------------------------------------------------------------

TOP, BOTTOM = qn("w:top"), qn("w:bottom")


@pytest.mark.parametrize("layout", ["below", "beside"])
@pytest.mark.parametrize("seed", range(4))
def test_word_is_read_back(seed, layout, tmp_path):
    grid = random_grid(random.Random(seed), layout)
    word.write(grid, tmp_path / "t.docx")
    document = Document(str(tmp_path / "t.docx"))
    (table,) = document.tables
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    if grid.spanners:
        over = rows.pop(0)
        for one in grid.spanners:
            assert set(over[one.first + 1 : one.last + 2]) == {one.title}
    assert rows.pop(0)[1:] == list(grid.heads)
    found = []
    for row in rows:
        if len(set(row)) == 1 and len(row) > 1:  # merged
            found.append(row[:1])
        else:
            found.append([row[0], *(tuple([*cell.split("\n"), ""][:2]) for cell in row[1:])])
    assert found == expected(grid, number=shown)
    assert [p.text for p in document.paragraphs if p.text] == list(grid.notes)
    for borders in table._tbl.iter(qn("w:tcBorders")):  # in the order that Word asks for
        assert [line.tag for line in borders] in ([TOP], [BOTTOM], [TOP, BOTTOM])


# --- Numbers of real fits -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    names = {"a_b": "50% <x> & $z$ | #1", "y": "y", "g": "g"}
    data = {
        "y": [1.2, 0.4, 2.2, 3.9, 2.5, 1.1, 0.3, 2.0],
        names["a_b"]: [1, 2, 1, 4, 3, 1, 0, 2],
        "g": list("aabbccdd"),
    }
    formula = f"y ~ `{names['a_b']}`"
    quick = {"draws": 50, "warmup": 50, "chains": 2, "seed": 1}
    fits = {
        "small": pp.fit(formula, data, **quick),
        "with <g>": pp.fit(f"{formula} + (1 | g)", data, **quick),
        "ML & co": pp.fit(formula, data, method="ml"),
    }
    return fits, pp.table(fits, digits=6)


def test_csv_holds_every_digit(table):
    fits, shown_table = table
    head, *rows = csv.reader(io.StringIO(shown_table.to_csv()))
    found = {row[1]: dict(zip(head, row, strict=True)) for row in rows}
    for name, fit in fits.items():
        columns = ("estimate", "standard_error") if name == "ML & co" else ("mean", "sd")
        for label, row in fit.summary().iterrows():
            values = [row[c] for c in (*columns, "lower", "upper")]
            for quantity, value in zip(("estimate", "sd", "lower", "upper"), values, strict=True):
                cell = found[label][f"{name} {quantity}"]
                assert cell == ("" if value != value else repr(float(value))), (name, label)
        assert found["Rows"][f"{name} estimate"] == "8"


def cells_of(table, kind, tmp_path):
    """The cells of a table as a format holds them, as texts."""
    if kind == "text":
        return str(table)
    path = tmp_path / f"t.{kind}"
    table.save(path)
    if kind == "docx":
        (inside,) = Document(str(path)).tables
        return "\n".join(cell.text for row in inside.rows for cell in row.cells)
    text = path.read_text(encoding="utf-8")
    return "\n".join(map("\n".join, parsed(text).rows)) if kind == "html" else text


@pytest.mark.parametrize("kind", ["text", "html", "md", "tex", "docx"])
def test_every_number_is_in_every_format(table, kind, tmp_path):
    fits, shown_table = table
    text = cells_of(shown_table, kind, tmp_path).replace("−", "-").replace("$-$", "-")
    for fit in fits.values():
        summary = fit.summary()
        for _, row in summary.iterrows():
            assert f"{row.iloc[0]:.6f}" in text
            if row["lower"] == row["lower"]:
                assert f"[{row['lower']:.6f}, {row['upper']:.6f}]" in text


def test_names_cannot_be_told_from_the_text_of_a_format(table, tmp_path):
    for kind in ("html", "docx"):
        assert "50% <x> & $z$ | #1" in cells_of(table[1], kind, tmp_path)
    assert r"50\% \textless{}x\textgreater{} \& \$z\$ \textbar{} \#1" in table[1].to_latex()
    assert r"50% \<x\> \& \$z\$ \| \#1" in table[1].to_markdown()
    assert "50% <x> & $z$ | #1" in str(table[1])


def test_labels_that_could_be_formulas_stay_as_they_are(table):
    _, one = table
    rows = tuple(replace(row, key="=1+1", section="+2") for row in one.rows[:1])
    (_, row) = csv.reader(io.StringIO(replace(one, rows=rows).to_csv()))
    assert row[:2] == ["+2", "=1+1"]


def test_clean_texts_can_be_written():
    for seed in range(50):
        text = clean(nasty(random.Random(seed)))
        text.encode("utf-8")
        assert not re.search(r"[\x00-\x1f\x7f]", text)
