"""The figure of an effect: what is expected on average at the values of a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from partialpool.drawing.style import BLUE
from partialpool.report.charts import Chart, chart
from partialpool.report.numbers import estimate_text, short

if TYPE_CHECKING:
    import pandas as pd


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
        legend = alt.Legend(orient="top", symbolType="circle", symbolOpacity=1, symbolSize=90)
        hues = alt.Scale(domain=seen, scheme="viridis")
        colour = {"color": alt.Color("category:N", title=None, scale=hues, legend=legend)}
    paint: dict[str, Any] = {} if category else {"color": BLUE}
    if kind == "Q":
        band = base.mark_area(opacity=0.2, **paint).encode(x=x, y=low, y2="upper:Q", **colour)
        line = base.mark_line(**paint).encode(x=x, y=y, **colour)
        dots = base.mark_circle(size=260, opacity=0).encode(x=x, y=y, tooltip=tooltip)
        layers: list[Any] = [band, line, dots]
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
    return chart(name, alt.layer(*layers).properties(height=220), {"values": rows}, about)


def _effect_row(row: dict[Any, Any]) -> dict[str, Any]:
    value = row["value"]
    shown = {
        "value": short(value) if isinstance(value, (int, float)) else str(value),
        "text": estimate_text(row["mean"], row["lower"], row["upper"]),
    }
    if "category" in row:
        shown["category"] = str(row["category"])
    return shown | {key: short(row[key]) for key in ("mean", "lower", "upper")}
