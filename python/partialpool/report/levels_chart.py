"""The figure of the levels: estimates under each pooling, and how far pooling moved them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.arrays import Array
from partialpool.drawing.style import BLUE, INK, RED
from partialpool.report.charts import Chart, chart
from partialpool.report.levels import Levels
from partialpool.report.numbers import estimate_text, short
from partialpool.words.parameters import POOLING_NAMES

if TYPE_CHECKING:
    import altair as alt

# Levels of a figure that browsers draw with ease; of more it is painted.
MOST_DRAWN = 400


def levels_chart(name: str, levels: Levels, unit: str) -> Chart:
    """Show every level's estimate under a pooling, and where partial pooling moved it from.

    Its parameters are `term` (a position), `pooling`, `order` and `query`.
    """
    import altair as alt

    shown, poolings = len(levels.shown), list(levels.estimates)
    lows, highs = _ranges(levels)
    values = {"term": 0, "pooling": poolings[0], "order": "estimate", "query": ""}
    params = [alt.param(name=key, value=value) for key, value in values.items()]
    params += [alt.param(name="lows", value=lows), alt.param(name="highs", value=highs)]
    layers = _layers(levels, poolings, unit)
    whole = alt.layer(*layers).add_params(*params).properties(height=300)
    about = f"{levels.title}: estimates of {shown} levels, each with its interval"
    if _moved(poolings):
        about += ", and lines to the estimates that its own rows alone would give"
    data = {"levels": _level_rows(levels), "population": _population_rows(levels)}
    return chart(name, whole, data, about, "svg" if shown <= MOST_DRAWN else "canvas")


def _moved(poolings: list[str]) -> bool:
    """Whether there is something that partial pooling moved levels from."""
    return poolings[0] == "partial" and "none" in poolings


def _layers(levels: Levels, poolings: list[str], unit: str) -> list[alt.Chart]:
    """Draw population, intervals, ways moved, estimates, names found, and where to point at."""
    import altair as alt

    shown = len(levels.shown)
    base = _base(poolings)
    scale = alt.Scale(
        domain=[alt.ExprRef("lows[term]"), alt.ExprRef("highs[term]")],
        nice=True,
        zero=False,
    )
    y, low = alt.Y("value:Q", title=unit, scale=scale), alt.Y("low:Q", title=unit)
    x = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[-1, shown], nice=False))
    faint = alt.condition("datum.found", alt.value(1.0), alt.value(0.12))
    size, small = (_size(shown, most) for most in (8, 6))
    known = base.transform_filter("isValid(datum.value)")
    population = (
        alt.Chart(alt.NamedData("population"))
        .transform_filter("datum.t == term && isValid(datum.population)")
        .mark_rule(color=INK, strokeDash=[5, 4])
        .encode(y="population:Q")
    )
    line, opacity = alt.expr(f"clamp(0.5 * width / {shown + 1}, 0.35, 1.4)"), 0.55
    if shown > MOST_DRAWN:
        opacity = 0.3
    seen = alt.condition("datum.found", alt.value(opacity), alt.value(0.08))
    intervals = known.mark_rule(color=BLUE, strokeWidth=line).encode(
        x=x, y=low, y2="high:Q", opacity=seen
    )
    moved = _ways(base, x, faint, (line, small)) if _moved(poolings) else []
    dots = known.mark_circle(color=BLUE, size=size).encode(x=x, y=y, opacity=faint)
    names = (
        known.transform_filter("query != '' && datum.found")
        .transform_window(count="count()")
        .transform_filter("datum.count <= 8")
        .mark_text(dy=-10, fontSize=12, fontWeight="bold", color=INK, limit=140)
        .encode(x=x, y="value:Q", text="level:N")
    )
    column = alt.expr(f"max(4, width / {shown + 1})")
    aims = base.mark_rule(opacity=0, strokeWidth=column).encode(x=x, tooltip=_tooltip(levels))
    return [population, intervals, *moved, dots, names, aims]


def _size(shown: int, most: float) -> Any:
    """Give the area of a mark: as wide as there is room for, within what can be seen."""
    import altair as alt

    least = 3.5 if shown <= MOST_DRAWN else 2.2
    return alt.expr(f"pow(clamp(0.8 * width / {shown + 1}, {least}, {most}), 2)")


def _base(poolings: list[str]) -> alt.Chart:
    """Take the term, the pooling and the order that are looked at."""
    import altair as alt

    return (
        alt.Chart(alt.NamedData("levels"))
        .transform_filter("datum.t == term")
        .transform_calculate(
            value=_by_pooling(poolings, ""),
            low=f"max(lows[term], {_by_pooling(poolings, '_low')})",
            high=f"min(highs[term], {_by_pooling(poolings, '_high')})",
            at="order == 'rows' ? datum.by_rows : order == 'name' ? datum.by_name : "
            "datum.by_estimate",
            found="query == '' || indexof(lower(datum.level), lower(query)) >= 0",
        )
    )


def _ways(base: alt.Chart, x: alt.X, faint: Any, sizes: tuple[Any, Any]) -> list[alt.Chart]:
    """Lead from what a level's own rows alone say to its estimate, where both are in sight."""
    own = base.transform_filter(
        "pooling == 'partial' && isValid(datum.none) && datum.none >= lows[term] && "
        "datum.none <= highs[term]"
    )
    line, size = sizes
    lines = own.mark_rule(color=RED, strokeWidth=line)
    ends = own.mark_point(color=RED, size=size, strokeWidth=1.2, shape="diamond")
    return [
        lines.encode(x=x, y="none:Q", y2="value:Q", opacity=faint),
        ends.encode(x=x, y="none:Q", opacity=faint),
    ]


def _level_rows(levels: Levels) -> list[dict[str, Any]]:
    """Give a row for each level and term."""
    picked = levels.shown
    names = [levels.names[k] for k in picked]
    by_name = np.argsort(np.argsort(np.array(names, dtype=object).astype(str), kind="stable"))
    by_rows = np.argsort(np.argsort(-levels.group.counts[picked], kind="stable"))
    first = next(iter(levels.estimates.values()))
    rows = []
    for t in range(len(levels.group.terms)):
        rank = np.argsort(np.argsort(first[picked, t, 0], kind="stable"))
        for j, k in enumerate(picked.tolist()):
            row = {
                "t": t,
                "level": names[j],
                "n": int(levels.group.counts[k]),
                "by_estimate": int(rank[j]),
                "by_rows": int(by_rows[j]),
                "by_name": int(by_name[j]),
            }
            for pooling, values in levels.estimates.items():
                mean, low, high = values[k, t]
                row |= {pooling: short(mean)}
                if pooling != "complete":
                    row |= {f"{pooling}_low": short(low), f"{pooling}_high": short(high)}
                row[f"{pooling}_text"] = estimate_text(mean, low, high)
            if levels.observed is not None:
                row["observed"] = short(levels.observed[k])
            rows.append(row)
    return rows


def _population_rows(levels: Levels) -> list[dict[str, Any]]:
    return [{"t": t, "population": short(value)} for t, value in enumerate(levels.population)]


def _by_pooling(poolings: list[str], ending: str) -> str:
    """Take the number of the pooling that is looked at; under complete pooling there is one."""
    found = f"datum.{poolings[0]}{ending}"
    for name in poolings[1:]:
        own = name if name == "complete" else name + ending
        found = f"pooling == '{name}' ? datum.{own} : {found}"
    return found


def _ranges(levels: Levels) -> tuple[list[float], list[float]]:
    """Lowest and highest value shown of each term: all estimates, and intervals of the fit."""
    lows, highs = [], []
    first = next(iter(levels.estimates.values()))[levels.shown]
    for t in range(len(levels.group.terms)):
        seen = [first[:, t].ravel()]
        others = [x[levels.shown][:, t, 0] for x in list(levels.estimates.values())[1:]]
        seen += [_within(x, first[:, t]) for x in others]
        seen.append(levels.population[t : t + 1])
        values = np.concatenate(seen)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        room = 0.04 * (high - low or 1.0)
        lows.append(short(low - room) or 0.0)
        highs.append(short(high + room) or 0.0)
    return lows, highs


def _within(values: Array, own: Array) -> Array:
    """Leave out what would squeeze the rest: beyond twice the width of the fit's intervals."""
    own = own[np.isfinite(own)]
    if not len(own):
        return values
    middle, width = (own.max() + own.min()) / 2, (own.max() - own.min()) or 1.0
    return np.asarray(values[np.abs(values - middle) <= 1.5 * width])


def _tooltip(levels: Levels) -> list[alt.Tooltip]:
    """Say a level's name, its rows, and its estimates under each pooling."""
    import altair as alt

    found = [
        alt.Tooltip("level:N", title=levels.group.factor),
        alt.Tooltip("n:Q", title="rows"),
    ]
    found += [alt.Tooltip(f"{name}_text:N", title=POOLING_NAMES[name]) for name in levels.estimates]
    if levels.observed is not None:
        found.append(alt.Tooltip("observed:Q", title=levels.observed_name))
    return found
