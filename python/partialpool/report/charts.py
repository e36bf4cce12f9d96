"""Interactive figures: specifications of Vega-Lite, a picture of each for paper, and the library.

Controls stand in the page, which sets the parameters of a figure; so they are labelled, and look
and work as others do. Data are few numbers a level, so that a thousand levels stay small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.arrays import Array
from partialpool.plots.style import BLUE, GREY, INK, RED
from partialpool.report.levels import Levels
from partialpool.report.markup import Html, element, minus
from partialpool.report.pictures import address

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

EMPTY = Html("")
WIDTH = 640  # of the picture for paper; on a screen figures are as wide as the page
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
DIGITS = 5  # of numbers in a page
# Elements of a drawing that a browser handles with ease; more are painted.
MOST_DRAWN = 2000


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure.

    Attributes
    ----------
    name : str
        Its place in the page.
    spec : dict
        For Vega-Lite.
    picture : str
        Address of a picture of it, for where no script runs.
    about : str
        What it shows, for who does not see it.
    renderer : {"svg", "canvas"}
        How a browser draws it.
    """

    name: str
    spec: dict[str, Any]
    picture: str
    about: str
    renderer: str = "svg"


@cache
def library() -> str:
    """Give the script that draws: Vega, Vega-Lite and what embeds them."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def levels_chart(name: str, levels: Levels, unit: str) -> Chart:
    """Show every level's estimate under a pooling, and where partial pooling moved it from.

    Its parameters are `term` (a position), `pooling`, `order` and `query`.
    """
    import altair as alt

    shown = len(levels.shown)
    bases = alt.Chart(alt.NamedData("levels"))
    poolings = list(levels.estimates)
    moved = "none" in poolings and poolings[0] == "partial"
    lows, highs = _ranges(levels)
    y = alt.Y(
        "value:Q",
        title=unit or None,
        scale=alt.Scale(
            domain=[alt.ExprRef("lows[term]"), alt.ExprRef("highs[term]")],  # type: ignore
            nice=True,
            zero=False,
        ),
    )
    x = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[-1, shown], nice=False))
    faint = alt.condition("datum.found", alt.value(1.0), alt.value(0.12))
    base = bases.transform_filter("datum.t == term").transform_calculate(
        value=_by_pooling(poolings, ""),
        low=f"max(lows[term], {_by_pooling(poolings, '_low')})",
        high=f"min(highs[term], {_by_pooling(poolings, '_high')})",
        at="order == 'rows' ? datum.by_rows : order == 'name' ? datum.by_name : datum.by_estimate",
        found="query == '' || indexof(lower(datum.level), lower(query)) >= 0",
    )
    wide = f"0.8 * width / {shown + 1}"
    size, small = (
        alt.expr(f"pow(clamp({wide}, {least}, {most}), 2)") for least, most in ((2.5, 8), (2.5, 6))
    )
    layers = [
        alt.Chart(alt.NamedData("population"))
        .transform_filter("datum.t == term && isValid(datum.population)")
        .mark_rule(color=INK, strokeDash=[5, 4])
        .encode(y="population:Q"),
        base.transform_filter("isValid(datum.value)")
        .mark_rule(color=BLUE, opacity=0.5, strokeWidth=1.4)
        .encode(x=x, y=alt.Y("low:Q", title=unit or None), y2="high:Q", opacity=faint),
    ]
    if moved:
        own = base.transform_filter(
            "pooling == 'partial' && isValid(datum.none) && datum.none >= lows[term] && "
            "datum.none <= highs[term]"
        )
        layers += [
            own.mark_rule(color=RED, strokeWidth=1.2).encode(
                x=x, y="none:Q", y2="value:Q", opacity=faint
            ),
            own.mark_point(color=RED, size=small, strokeWidth=1.2, shape="diamond").encode(
                x=x, y="none:Q", opacity=faint
            ),
        ]
    layers += [
        base.transform_filter("isValid(datum.value)")
        .mark_circle(color=BLUE, size=size, opacity=1)
        .encode(x=x, y=y, opacity=faint),
        base.transform_filter("query != '' && datum.found && isValid(datum.value)")
        .transform_window(count="count()")
        .transform_filter("datum.count <= 8")
        .mark_text(dy=-10, fontSize=12, fontWeight="bold", color=INK, limit=140)
        .encode(x=x, y="value:Q", text="level:N"),
        base.mark_rule(opacity=0, strokeWidth=alt.expr(f"max(4, width / {shown + 1})")).encode(
            x=x, tooltip=_level_tooltip(levels)
        ),
    ]
    values = {"term": 0, "pooling": poolings[0], "order": "estimate", "query": ""}
    params = [alt.param(name=key, value=value) for key, value in values.items()]
    params += [alt.param(name="lows", value=lows), alt.param(name="highs", value=highs)]
    whole = alt.layer(*layers).add_params(*params).properties(height=300)
    about = f"{levels.title}: estimates of {shown} levels, each with its interval"
    if moved:
        about += ", and lines to the estimates that its own rows alone would give"
    drawn = shown * (5 if moved else 3)
    data = {"levels": _level_rows(levels), "population": _population_rows(levels)}
    renderer = "svg" if drawn <= MOST_DRAWN else "canvas"
    return _chart(name, whole, data, about, renderer)


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
    return values[np.abs(values - middle) <= 1.5 * width]


def _level_tooltip(levels: Levels) -> list[alt.Tooltip]:
    """Say a level's name, its rows, and its estimates under each pooling."""
    import altair as alt

    from partialpool.words.parameters import POOLING_NAMES

    found = [
        alt.Tooltip("level:N", title=levels.group.factor),
        alt.Tooltip("n:Q", title="rows"),
    ]
    found += [
        alt.Tooltip(f"{name}_text:N", title=POOLING_NAMES[name]) for name in levels.estimates
    ]
    if levels.observed is not None:
        found.append(alt.Tooltip("observed:Q", title=levels.observed_name))
    return found


def effect_chart(name: str, by: str, unit: str, frame: pd.DataFrame) -> Chart:
    """Show what is expected on average at the values of a predictor."""
    import altair as alt

    numeric = all(isinstance(v, (int, float)) for v in frame["value"]) and len(frame) > 2
    category = "category" in frame
    rows = [_effect_row(row) for row in frame.to_dict("records")]
    kind = "Q" if numeric and len({row["value"] for row in rows}) > 2 else "N"
    base = alt.Chart(alt.NamedData("values"))
    axis = alt.Axis(labelLimit=110, labelAngle=0) if kind == "N" else alt.Axis(tickCount=6)
    order = None if kind == "Q" else list(dict.fromkeys(row["value"] for row in rows))
    scale: Any = alt.Scale(zero=False) if kind == "Q" else alt.Undefined
    x = alt.X(f"value:{kind}", title=by, axis=axis, sort=order, scale=scale)
    y = alt.Y("mean:Q", title=unit, scale=alt.Scale(zero=False))
    low = alt.Y("lower:Q", title=unit)
    tooltip = [alt.Tooltip(f"value:{kind}", title=by), alt.Tooltip("text:N", title=unit)]
    colour: dict[str, Any] = {}
    if category:
        tooltip.insert(1, alt.Tooltip("category:N"))
        seen = list(dict.fromkeys(row["category"] for row in rows))
        hues = alt.Scale(domain=seen, scheme="viridis")
        colour = {"color": alt.Color("category:N", scale=hues, legend=alt.Legend(orient="top"))}
    paint = {} if category else {"color": BLUE}
    if kind == "Q":
        band = base.mark_area(opacity=0.2, **paint).encode(x=x, y=low, y2="upper:Q", **colour)
        line = base.mark_line(**paint).encode(x=x, y=y, **colour)
        dots = base.mark_circle(size=260, opacity=0).encode(x=x, y=y, tooltip=tooltip)
        layers = [band, line, dots]
    else:
        aside = {"xOffset": "category:N"} if category else {}
        bars = base.mark_rule(strokeWidth=2, **paint).encode(
            x=x, y=low, y2="upper:Q", tooltip=tooltip, **aside, **colour
        )
        dots = base.mark_circle(size=90, opacity=1, **paint).encode(
            x=x, y=y, tooltip=tooltip, **aside, **colour
        )
        layers = [bars, dots]
    about = f"{unit} expected on average at values of {by}, with intervals"
    return _chart(name, alt.layer(*layers).properties(height=220), {"values": rows}, about)


def _effect_row(row: dict[Any, Any]) -> dict[str, Any]:
    value = row["value"]
    shown = {
        "value": short(value) if isinstance(value, (int, float)) else str(value),
        "text": estimate_text(row["mean"], row["lower"], row["upper"]),
    }
    if "category" in row:
        shown["category"] = str(row["category"])
    return shown | {key: short(row[key]) for key in ("mean", "lower", "upper")}


def _chart(
    name: str,
    whole: alt.LayerChart,
    data: dict[str, list[dict[str, Any]]],
    about: str,
    renderer: str = "svg",
) -> Chart:
    """Give a figure its data and its looks, and paint the picture for paper."""
    import vl_convert

    looks = {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "gridColor": "#EDEDED",
            "domainColor": GREY,
            "tickColor": GREY,
            "labelColor": INK,
            "titleColor": INK,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 120},
    }
    spec = whole.properties(width="container", background="white").to_dict()
    spec |= {"datasets": data, "config": looks}
    fixed = spec | {"width": WIDTH, "config": looks | {"font": "DejaVu Sans"}}
    picture = address(vl_convert.vegalite_to_png(fixed, scale=1.8))
    return Chart(name, spec, picture, about, renderer)


def short(value: Any) -> float | None:
    """Round a number to the digits that a figure shows; None where there is none."""
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None


def estimate_text(mean: float, low: float, high: float) -> str:
    """Write an estimate with its interval.

    Examples
    --------
    >>> estimate_text(1.23456, 0.9, 1.5), estimate_text(float("nan"), 0, 0)
    ('1.23 (0.90 to 1.50)', 'not estimable')
    """
    if not math.isfinite(mean):
        return "not estimable"
    decimals = decimals_of(high - low)
    return minus(f"{mean:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})")


def decimals_of(width: float) -> int:
    """Give the decimals that an interval of this width deserves: two digits of its half.

    Examples
    --------
    >>> decimals_of(0.6), decimals_of(120.0)
    (2, 0)
    """
    if not (math.isfinite(width) and width > 0):
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(width / 2))))


def figure(chart: Chart, controls: Html = EMPTY, caption: str = "") -> Html:
    """Put a figure into the page: its picture, which scripts replace by what can be explored."""
    picture = element("img", src=chart.picture, alt=chart.about, width=WIDTH)
    drawn = element("div", picture, id=chart.name, class_="chart")
    below = element("figcaption", caption) if caption else EMPTY
    return element("figure", controls, drawn, below)
