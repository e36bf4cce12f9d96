"""Time and memory against rows and groups: `benchmarks/scale.json` → `docs/images/scale.png`.

``python docs/scripts/scale.py`` after ``make bench-scale SAVE=benchmarks/scale.json``.
"""

from __future__ import annotations

import json
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from documents import ROOT
from partialpool.drawing.style import BLUE, COLOURS, DASHES, FONT, GREY, INK, MARKS, SMALL

RESULTS = ROOT / "benchmarks" / "scale.json"
IMAGE = ROOT / "docs" / "images" / "scale.png"
DPI = 150

US = "partialpool"
#: Name in the file → in the figure. Ours first, then the floor, then estimates of points.
LABELS = {
    US: "partialpool: posterior, from Parquet",
    "group-by, polars": "bare group-by of the same sums, polars",
    "group-by, DuckDB": "the same, DuckDB",
    "glmm": "glmm: point, from memory",
    "lme4": "lme4: point, from memory",
    "GPBoost": "GPBoost: point, no correlation",
    "statsmodels": "statsmodels: point, from memory",
}
#: Beside a panel's own axis: groups while rows grow, and rows while groups do.
GROUPS, ROWS = 10**4, 10**7


def series(sizes: list[dict[str, Any]], name: str, by: str, what: str) -> list[tuple[int, float]]:
    """Points of a program's line, by ``rows`` or ``groups``: ``seconds`` or ``gigabytes``."""
    other, fixed = ("groups", GROUPS) if by == "rows" else ("rows", ROWS)
    found = []
    for size in sizes:
        program = size["programs"].get(name)
        if size[other] == fixed and program is not None:
            seconds = program["seconds"]
            value = seconds.get("fit", seconds["process"])
            found.append((size[by], value if what == "seconds" else program["gigabytes"]))
    return sorted(found)


def draw(record: dict[str, Any]) -> Figure:
    """Draw three panels: seconds by rows and by groups, and memory by rows."""
    figure = Figure(figsize=(10.5, 4.6), facecolor="white")
    panels = figure.subplots(1, 3)
    asked = [
        ("rows", "seconds", f"Seconds, {GROUPS:,} groups"),
        ("groups", "seconds", f"Seconds, {ROWS:,} rows"),
        ("rows", "gigabytes", f"Memory in GB, {GROUPS:,} groups"),
    ]
    programs = {name for size in record["sizes"] for name in size["programs"]}
    measured = [name for name in LABELS if name in programs]
    for panel, (by, what, title) in zip(panels, asked, strict=True):
        for name in measured:
            _line(panel, name, series(record["sizes"], name, by, what))
        _dress(panel, by, what, title)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.04),
        ncols=3,
        frameon=False,
        prop=_font(SMALL),
    )
    legend.set_in_layout(False)
    load = max(size["load"] for size in record["sizes"])
    facts = f"{record['machine']}; load average {load:.0f} at most"
    figure.text(0.99, 0.005, facts, ha="right", va="bottom", color=GREY, font=_font(7))
    figure.subplots_adjust(left=0.055, right=0.99, top=0.92, bottom=0.31, wspace=0.22)
    return figure


def _line(panel: Axes, name: str, points: list[tuple[int, float]]) -> None:
    place = list(LABELS).index(name)
    ours = name == US
    x, y = zip(*points, strict=True) if points else ((), ())
    panel.plot(
        x,
        y,
        label=LABELS[name],
        color=BLUE if ours else [*COLOURS, GREY][place],
        linestyle=[*DASHES, (0, (1, 3))][place],
        marker=[*MARKS, "X"][place],
        linewidth=2.6 if ours else 1.4,
        markersize=7 if ours else 5,
        zorder=3 if ours else 2,
    )


def _dress(panel: Axes, by: str, what: str, title: str) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_title(title, loc="left", font=_font(11), color=INK)
    panel.set_xlabel(by, font=_font(SMALL), color=INK)
    panel.yaxis.set_major_formatter(_plain)
    panel.grid(which="major", color="#E4E4E4", linewidth=0.8)
    panel.tick_params(which="both", length=0, labelsize=SMALL, labelcolor=INK, labelfontfamily=FONT)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GREY)
    if what == "seconds":
        panel.axhline(600, color=GREY, linewidth=0.8)
        panel.text(0.01, 600, "ten minutes", va="bottom", color=GREY, font=_font(8),
                   transform=panel.get_yaxis_transform())  # fmt: skip


def _plain(value: float, _: Any) -> str:
    return f"{value:,.10g}"


def _font(size: float) -> FontProperties:
    return FontProperties(family=FONT, size=size)


def main() -> None:
    """Draw the committed results."""
    figure = draw(json.loads(RESULTS.read_text(encoding="utf-8")))
    figure.savefig(IMAGE, dpi=DPI)
    print(f"{IMAGE.relative_to(ROOT)} is written")


if __name__ == "__main__":
    main()
