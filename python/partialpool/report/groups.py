"""The section of the groups: a figure that can be searched and switched, and a table that sorts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.figures.named import scale_of
from partialpool.report.charts import Chart, figure
from partialpool.report.levels import Levels, pooling_choices
from partialpool.report.levels_chart import levels_chart
from partialpool.report.markup import (
    Cell,
    Head,
    Html,
    choices,
    element,
    joined,
    paragraph,
    table,
)
from partialpool.report.numbers import between, decimals_of, rounded
from partialpool.report.subject import Subject
from partialpool.words.parameters import POOLING_NAMES

# Rows of a table that are printed.
PRINTED = 100


def group_parts(subject: Subject, levels: Sequence[Levels]) -> tuple[Html, tuple[Chart, ...]]:
    """Give the section's body, a part for each factor, and its figures."""
    parts, charts = [], []
    for k, one in enumerate(levels):
        chart = levels_chart(f"levels{k}", one, _unit(subject, one))
        charts.append(chart)
        heading = element("h3", f"Levels of {one.title}")
        note = [paragraph(one.note)] if one.note else []
        shown = figure(chart, _controls(f"levels{k}", one), _caption(one))
        parts += [heading, *note, shown, _table(f"table{k}", one)]
    return joined(*parts), tuple(charts)


def _unit(subject: Subject, levels: Levels) -> str:
    """Say on which scale coefficients are."""
    return f"coefficient ({scale_of(subject.fit.model, levels.group.predictor)})"


def _controls(name: str, levels: Levels) -> Html:
    """Offer what the figure can show: a coefficient, a pooling, an order, a level by its name."""
    factor, terms = levels.group.factor, levels.group.terms
    found = []
    if len(terms) > 1:
        options = [
            element("option", term, value=t, selected="" if not t else None)
            for t, term in enumerate(terms)
        ]
        chosen = element("select", *options, data_signal="term", data_number="")
        found.append(element("label", "Coefficient ", chosen))
    orders = {"estimate": "estimate", "rows": "most rows", "name": "name"}
    options = [element("option", text, value=value) for value, text in orders.items()]
    chosen = element("select", *options, data_signal="order")
    found.append(element("label", "Order by ", chosen))
    search = element("input", type="search", data_signal="query", autocomplete="off", size=14)
    found.append(element("label", f"Find {factor} ", search))
    poolings = pooling_choices(levels)
    if len(poolings) > 1:
        found.append(choices("Show", f"{name}-pooling", poolings))
    return element("div", *found, class_="controls", data_chart=name, hidden="")


def _caption(levels: Levels) -> Html:
    poolings = list(levels.estimates)
    said = [
        f"Each column is a level of {levels.group.factor}: its estimate, and the interval of it."
    ]
    if poolings[0] == "partial":
        said.append("The dashed line is the population.")
    if "none" in poolings[1:]:
        said.append(
            "Diamonds are what a level's own rows alone would say; lines show how far partial "
            "pooling moved it (those far outside are not drawn)."
        )
    return joined(
        " ".join(said), element("span", " Point at a level for its numbers.", class_="live")
    )


def _table(name: str, levels: Levels) -> Html:
    """List the levels: rows, estimates with intervals, and those of no pooling."""
    terms, estimates = levels.group.terms, levels.estimates
    heads = [Head(levels.group.factor, False), Head("rows")]
    columns: list[list[Cell]] = []
    if levels.observed is not None:
        heads.append(Head(levels.observed_name))
        decimals = _decimals(np.nanmax(levels.observed) - np.nanmin(levels.observed))
        columns.append([Cell(rounded(x, decimals), float(x)) for x in levels.observed])
    shown = [p for p in estimates if p != "complete"]
    for t, term in enumerate(terms):
        for pooling in shown:
            mean, low, high = estimates[pooling][:, t].T
            decimals = decimals_of(float(np.nanmedian(high - low)) if len(low) else 1.0)
            apart = f", {POOLING_NAMES[pooling]}" if len(shown) > 1 else ""
            heads.append(Head(f"{term}{apart}"))
            columns.append(list(map(_estimate, mean, low, high, [decimals] * len(mean))))
    rows = []
    for k in levels.shown.tolist():
        count = int(levels.group.counts[k])
        own = [column[k] for column in columns]
        rows.append([Cell(levels.names[k]), Cell(f"{count:,}", count), *own])
    caption = f"Levels of {levels.title}: estimates with intervals"
    whole = table(caption, heads, rows, sortable=True, id=name)
    field = element("input", type="search", data_table=name, autocomplete="off", size=16)
    status = element("output", f"{len(rows):,} of {len(rows):,}", aria_live="polite")
    bar = element(
        "div",
        element("label", f"Filter by {levels.group.factor} ", field),
        status,
        class_="controls",
        hidden="",
    )
    cut = (
        paragraph(f"On paper the table ends after {PRINTED} rows; the file has all.", "paper")
        if len(rows) > PRINTED
        else Html("")
    )
    return element("div", bar, whole, cut, class_="filtered")


def _estimate(mean: float, low: float, high: float, decimals: int) -> Cell:
    if not np.isfinite(mean):
        return Cell("–", float("nan"))
    end = element("small", f" {between(low, high, decimals)}")
    return Cell(joined(rounded(mean, decimals), end), float(mean))


def _decimals(width: float) -> int:
    return min(4, decimals_of(float(width)) + 1)
