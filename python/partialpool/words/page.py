"""A page: what a result says, in a terminal, in a notebook, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from partialpool.finding import Finding, told
from partialpool.words.table import ResultTable, plain

WIDTH = 100


class Page(Struct, frozen=True):
    """What a result says.

    Attributes
    ----------
    heading : sequence of str
        What it is about, a line each.
    table : ResultTable, optional
        The numbers.
    notes : sequence of str
        Sentences under the table; an empty one is an empty line.
    findings : sequence of (str, Finding)
        What to know before trusting it, each with whom it is about, or nothing.
    otherwise : str
        What to say where there are no findings.
    formula : str
        The model.
    facts : mapping
        What JSON holds beside the table and the findings.
    rows : str
        What JSON calls the rows of the table.
    """

    heading: Sequence[str] = ()
    table: ResultTable | None = None
    notes: Sequence[str] = ()
    findings: Sequence[tuple[str, Finding]] = ()
    otherwise: str = ""
    formula: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: str = "rows"

    @property
    def text(self) -> str:
        """All of it, as a terminal shows it."""
        return "\n\n".join(filter(None, [self.body, self.findings_text]))

    @property
    def body(self) -> str:
        """The text without the findings."""
        heads = [self.formula, *self.heading] if self.formula else self.heading
        table = [] if self.table is None else self.table.text()
        notes = [line for note in self.notes for line in textwrap.wrap(note, WIDTH) or [""]]
        blocks = (_wrapped(heads), table, notes)
        return "\n\n".join("\n".join(block) for block in blocks if block)

    @property
    def findings_text(self) -> str:
        """The findings, or that there are none."""
        if not self.findings:
            return self.otherwise
        return "\n".join(["Findings", *_wrapped(map(told, self.findings), indent="  ")])

    @property
    def html(self) -> str:
        """A fragment for notebooks. Everything that comes from the user is escaped."""
        heads = [f"<code>{escape(self.formula)}</code>"] if self.formula else []
        heads += map(escape, self.heading)
        said = " ".join(self.notes)
        items = "".join(f"<li>{escape(told(finding))}</li>" for finding in self.findings)
        parts = [
            f"<p>{'<br>'.join(heads)}</p>" if heads else "",
            "" if self.table is None else self.table.html(),
            f"<p><small>{escape(said)}</small></p>" if said else "",
            f"<p>Findings</p><ul>{items}</ul>" if items else f"<p>{escape(self.otherwise)}</p>",
        ]
        return "\n".join(["<div class='partialpool'>", *filter(None, parts), "</div>"])

    def to_dict(self) -> dict[str, Any]:
        """Facts, rows of the table and findings, as JSON holds them."""
        record: dict[str, Any] = plain(dict(self.facts))
        if self.table is not None and self.table.holds_values:
            record[self.rows] = self.table.records()
        record["findings"] = [
            asdict(finding) | ({"about": about} if about else {})
            for about, finding in self.findings
        ]
        return record


class Answer:
    """What every result can do: be printed, shown in a notebook, and given as JSON."""

    @property
    def page(self) -> Page:
        """What it says."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Give what it says as JSON holds it: numbers, texts, lists and dicts."""
        return self.page.to_dict()

    def __repr__(self) -> str:
        return self.page.text

    def _repr_html_(self) -> str:
        return self.page.html


def _wrapped(texts: Any, indent: str = "") -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_on_hyphens=False,
        )
    ]
