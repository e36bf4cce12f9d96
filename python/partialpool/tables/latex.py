"""A table of fits in LaTeX, with the rules of booktabs."""

from __future__ import annotations

from collections.abc import Iterator

from partialpool.tables.grid import Cell, Grid

DASHES = "\0"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "²": r"\textsuperscript{2}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\ldots{}",
    **{c: f"\\{c}" for c in "#$%&_"},
}


def latex(grid: Grid, caption: str, label: str) -> str:
    """Write a ``table`` environment; it needs the package booktabs."""
    wide = len(grid.heads)
    lines = [
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{escaped(caption)}}}"] if caption else []),
        *([rf"\label{{{label}}}"] if label else []),
        rf"\begin{{tabular}}{{l{'r' * wide}}}",
        r"\toprule",
        *_head(grid),
        r"\midrule",
        *_body(grid),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\medskip",
        r"\begin{minipage}{\linewidth}",
        r"\footnotesize",
        *(f"{escaped(note)}\\par" for note in grid.notes),
        r"\end{minipage}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Write a text so that LaTeX shows it as it stands.

    Examples
    --------
    >>> escaped("50% of a_b & {c}")
    '50\\% of a\\_b \\& \\{c\\}'
    """
    shown = "".join(SPECIAL.get(c, c) for c in text.replace("--", DASHES))
    return shown.replace(DASHES, "-{}-{}")  # which would become one long one


def _head(grid: Grid) -> Iterator[str]:
    if grid.spanners:
        titles = [_across(one.last - one.first + 1, "c", one.title) for one in grid.spanners]
        yield " & ".join(["", *titles]) + r" \\"
        yield " ".join(rf"\cmidrule(lr){{{s.first + 2}-{s.last + 2}}}" for s in grid.spanners)
    yield " & ".join(["", *map(escaped, grid.heads)]) + r" \\"


def _across(columns: int, side: str, text: str) -> str:
    return rf"\multicolumn{{{columns}}}{{{side}}}{{{escaped(text)}}}"


def _body(grid: Grid) -> Iterator[str]:
    # What a user wrote never begins a row, where \\ would take a bracket or a star for its own.
    for k, (title, lines) in enumerate(grid.sections()):
        if k:
            yield r"\addlinespace"
        yield rf"{_across(len(grid.heads) + 1, 'l', title)} \\"
        for line in lines:
            yield rf"\quad {escaped(line.label)} & {' & '.join(map(_text, line.cells))} \\"
            if any(cell.below for cell in line.cells):
                yield " & ".join(["", *(_number(cell.below) for cell in line.cells)]) + r" \\"


def _text(cell: Cell) -> str:
    return _number(cell.text) if cell.is_number else escaped(cell.text)


def _number(text: str) -> str:
    """Write a number, or an interval, with the minus of mathematics."""
    return text.replace("-", "$-$").replace("±", r"$\pm$").replace("–", "--")
