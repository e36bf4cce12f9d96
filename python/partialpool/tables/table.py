"""Several fits side by side, as papers show them."""

from __future__ import annotations

import os
import re
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from partialpool.checks import check_text
from partialpool.errors import InputError, shown
from partialpool.finding import Finding, told
from partialpool.tables import great, html, latex, markdown, numbers, word
from partialpool.tables.grid import Grid, Head, Layout, build_grid, clean
from partialpool.tables.notes import listed
from partialpool.tables.rows import Row
from partialpool.tables.saving import check_ending, check_target
from partialpool.tables.side import Side
from partialpool.words.page import WIDTH, Answer, Page
from partialpool.words.table import ResultColumn, ResultTable
from partialpool.writing import replacing, write_bytes

if TYPE_CHECKING:
    import pandas as pd
    from great_tables import GT


class Table(Answer, Struct, frozen=True, eq=False, dict=True):
    """Fits side by side: print it, show it in a notebook, or write it as a file.

    Attributes
    ----------
    sides : tuple of Side
        The fits, a column each.
    rows : tuple of Row
        Parameters, then what stands below them.
    notes : tuple of str
        Sentences under the table.
    layout : {"below", "beside"}
        Where the intervals are.
    digits : int or None
        Decimals of the estimates.
    """

    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    layout: Layout = "below"
    digits: int | None = None

    # What it says

    @property
    def formulas(self) -> list[str]:
        """The formulas, with the names of the fits that have them unless all have the same."""
        named: dict[str, list[str]] = {}
        for side in self.sides:
            named.setdefault(_formula(side), []).append(side.name)
        if len(named) == 1:
            return list(named)
        return [f"{listed(names)}: {formula}" for formula, names in named.items()]

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """Findings of all fits, each once, with the names of the fits that it is about."""
        seen: dict[Finding, list[str]] = {}
        for side in self.sides:
            for finding in side.findings:
                seen.setdefault(finding, []).append(side.name)
        return [(", ".join(names), finding) for finding, names in seen.items()]

    def _grid(self, *before: str) -> Grid:
        """Texts in rows and columns, with these sentences before the notes."""
        heads = [
            Head(side.name, side.model.response, f"{100 * side.interval:g}% interval")
            for side in self.sides
        ]
        notes = [*before, *self.notes]
        return build_grid(heads, self.rows, notes, layout=self.layout, digits=self.digits)

    @cached_property
    def _whole(self) -> Grid:
        return self._grid(*self.formulas)

    @property
    def page(self) -> Page:
        """What it says."""
        return Page(
            heading=self.formulas,
            table=_lines(self._grid()),
            notes=self.notes,
            findings=self.findings,
            otherwise="Findings: none.",
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, Any]:
        fits = [
            {
                "name": side.name,
                "formula": side.model.formula,
                "sigma": side.model.sigma_formula or None,
                "response": side.model.response,
                "family": side.model.family.name,
                "link": side.model.link,
                "pooling": side.model.pooling,
                "method": side.method,
                "source": side.source,
                "interval": side.interval,
                "exponentiated": bool(side.exponentiated),
            }
            for side in self.sides
        ]
        return {"fits": fits, **numbers.records(self.sides, self.rows), "notes": list(self.notes)}

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(told(one))}</li>" for one in self.findings)
        return self.to_html() + (f"\n<p>Findings</p><ul>{items}</ul>" if items else "")

    # What it can be made into

    def frame(self) -> pd.DataFrame:
        """Give all numbers, as they are, as a DataFrame.

        Returns
        -------
        DataFrame
            A row a parameter, by its full name, or statistic; columns (fit, quantity) with the
            quantities estimate, sd (of an estimate without priors: its standard error; NaN where
            exponentiated), lower, upper. NaN where a fit has no such number.

        Examples
        --------
        >>> import partialpool as pp
        >>> estimate = pp.fit("log_radon ~ floor", pp.datasets.radon(), method="ml")
        >>> frame = pp.table({"ML": estimate}).frame()
        >>> frame["ML"]["estimate"].round(2).head(3).to_dict()
        {'b[Intercept]': 1.36, 'b[floor]': -0.59, 'sigma': 0.79}
        """
        return numbers.frame(self.sides, self.rows)

    def to_gt(self) -> GT:
        """Give a ``great_tables.GT``, which has themes, options and formats of its own."""
        return great.great(self._whole)

    def to_markdown(self) -> str:
        """Give a pipe table of Markdown; names are escaped, so that they show as they are."""
        return markdown.markdown(self._whole)

    def to_latex(self, caption: str = "", label: str = "") -> str:
        r"""Give a ``table`` environment of LaTeX, with the rules of the package booktabs.

        Parameters
        ----------
        caption : str
            Caption, as text.
        label : str
            Name by which ``\ref`` finds the table.

        Raises
        ------
        InputError
            If `label` has letters that LaTeX would take for commands.

        Notes
        -----
        Names are escaped. Letters beyond those of European languages need XeLaTeX or LuaLaTeX, and
        a font that has them.
        """
        check_text("caption", caption, '"Fits of radon"')
        check_text("label", label, '"tab:radon"')
        if label and not re.fullmatch(r"[A-Za-z0-9:._+/-]+", label):
            remedy = "use letters, digits and :._+/-, as in tab:radon"
            raise InputError(f"`label` is {shown(label)}", remedy=remedy)
        return latex.latex(self._whole, clean(caption or ""), label or "")

    def to_html(self) -> str:
        """Give a table of HTML with its style, as a part of a page. All text is escaped."""
        return html.fragment(self._whole)

    def to_csv(self) -> str:
        """Give the numbers with all their digits as CSV, a row a parameter.

        Labels are kept as they stand, also those that a spreadsheet would take for formulas.
        """
        return numbers.separated(self.sides, self.rows)

    def to_docx(self, path: str | os.PathLike[str]) -> None:
        """Write a Word document, whole or not at all.

        Parameters
        ----------
        path : str or path
            Where to.

        Raises
        ------
        InputError
            If the path cannot be written.
        """
        with replacing(check_target(path)) as temporary:
            word.write(self._whole, temporary)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, whole or not at all.

        Parameters
        ----------
        path : str or path
            Its ending says what is written: .md, .tex, .html (a page that needs nothing else),
            .csv, .docx.

        Raises
        ------
        InputError
            If the ending is none of these, or the path cannot be written.
        """
        target = check_ending(path)
        ending = target.suffix.lower()
        if ending == ".docx":
            self.to_docx(target)
            return
        content = {
            ".md": self.to_markdown,
            ".tex": self.to_latex,
            ".html": lambda: html.page(self._whole, "; ".join(self.formulas)),
            ".csv": self.to_csv,
        }[ending]()
        write_bytes(target, content.encode("utf-8"))


def _formula(side: Side) -> str:
    sigma = side.model.sigma_formula
    return f"{side.model.formula}{f', log sigma {sigma}' if sigma else ''}"


def _lines(grid: Grid) -> ResultTable:
    """Make the table of a terminal: intervals are lines of their own."""
    titles = {k: one.title for one in grid.spanners for k in range(one.first, one.last + 1)}
    labels, sections, columns = [], [], [[] for _ in grid.heads]  # type: ignore[var-annotated]
    for line in grid.lines:
        two = any(cell.below for cell in line.cells)
        labels += [line.label, *[""] * two]
        sections += [line.section] * (1 + two)
        for column, cell in zip(columns, line.cells, strict=True):
            column += [cell.text, *[cell.below] * two]
    heads = [f"{titles[k]}: {h}" if k in titles else h for k, h in enumerate(grid.heads)]
    made = [ResultColumn(h, None, cells) for h, cells in zip(heads, columns, strict=True)]
    return ResultTable("parameter", labels, made, sections, width=WIDTH)
