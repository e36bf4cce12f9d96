"""What is drawn in a panel: dots, lines, intervals, the population; each adds to the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.drawing.labels import place_labels
from partialpool.drawing.style import BLUE, GREY, INK, RED, plain, shorten_all
from partialpool.plots.shrinkage.scene import Panel, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL_NUMBER = 30  # up to as many levels have strong lines
LEGEND = ["dot", "hollow", "edge", "line", "interval", "mean", "population"]  # in this order
WHITE = "white"


def draw_panel(ax: Axes, scene: Scene, panel: Panel) -> list[str]:
    """Draw a panel, and return what to say under its title."""
    points = scene.place(panel.estimates)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return panel_notes(panel, "no level has an estimate")
    inside = scene.inside(points)
    _draw_population(ax, scene, panel)
    if scene.position is not None and panel.intervals is not None:
        _draw_intervals(ax, scene, panel.intervals[:, scene.columns[0]])
    _draw_lines(ax, scene, points)
    if scene.position is None and same_estimates(scene, points):
        _draw_dots(ax, scene, points[known][:1], np.array([190.0]))
        _draw_mean(ax, scene, panel)
        return panel_notes(panel, f"all {known.sum():,} levels on one point")
    drawn = np.zeros(len(points), dtype=bool)
    drawn[scene.shown] = True
    goal = points if scene.target is None else scene.target
    lonely = ~np.isfinite(goal).all(axis=1)
    for hollow in (False, True):
        which = inside & drawn & (lonely == hollow)
        _draw_dots(ax, scene, points[which], scene.areas[which], hollow=hollow)
    _draw_edge(ax, scene, points[known & ~inside & drawn])
    _draw_mean(ax, scene, panel)
    n = int((known & ~inside).sum())
    return panel_notes(panel, f"{n:,} level{'s' if n > 1 else ''} outside the frame" if n else "")


def panel_notes(panel: Panel, more: str) -> list[str]:
    """The panel's own note, and another."""
    return [note for note in (panel.note, more) if note]


def label_panel(ax: Axes, scene: Scene, panel: Panel) -> None:
    """Name the levels where there are few, and where they are apart."""
    points = scene.place(panel.estimates)
    inside = scene.inside(points)
    if not scene.few or scene.named_below or not inside.any() or same_estimates(scene, points):
        return
    names = shorten_all([n for n, seen in zip(scene.levels, inside, strict=True) if seen])
    obstacles = _segments(scene, points)
    if panel.mean is not None and scene.position is None:
        obstacles.append(np.repeat(panel.mean[scene.columns][None], 2, axis=0))
    place_labels(ax, points[inside], [plain(name) for name in names], obstacles)


def same_estimates(scene: Scene, points: Array) -> bool:
    """Whether all levels have the same estimates."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return False
    size = np.ptp(np.array([scene.xlim, scene.ylim]), axis=1)
    apart = np.ptp(points, axis=0) > 1e-9 * size
    return not (apart[1] if scene.position is not None else apart.any())


def _draw_dots(
    ax: Axes, scene: Scene, points: Array, areas: Array, *, hollow: bool = False
) -> None:
    if len(points) == 0:
        return
    ax.scatter(
        points[:, 0],
        points[:, 1],
        s=areas,
        facecolors=WHITE if hollow else BLUE,
        edgecolors=BLUE if hollow else "none" if scene.crowd else WHITE,
        linewidths=1.2 if hollow else 0.5,
        alpha=0.3 if scene.crowd and len(points) > 1 else 0.95,
        zorder=4,
        rasterized=scene.crowd,
    )
    label = f"estimate of one {scene.each}"
    if hollow:
        label = f"{scene.each} without a {target_name(scene)}"
    _add(
        scene,
        "hollow" if hollow else "dot",
        label,
        marker="o",
        markersize=6,
        markerfacecolor=WHITE if hollow else BLUE,
        markeredgecolor=BLUE,
        linestyle="none",
    )


def target_name(scene: Scene) -> str:
    """What the lines lead to."""
    return "true value" if scene.knows_truth else "no-pooling estimate"


def _draw_edge(ax: Axes, scene: Scene, points: Array) -> None:
    """Mark estimates outside the frame by a triangle on its edge that points to them."""
    if len(points) == 0:
        return
    low, high = np.array([scene.xlim, scene.ylim]).T
    size = high - low
    beyond = np.concatenate([low - points, points - high], axis=1) / np.tile(size, 2)
    for k, marker in enumerate("<v>^"):
        these = points[beyond.argmax(axis=1) == k]
        if len(these) == 0:
            continue
        at = np.clip(these, low + 0.012 * size, high - 0.012 * size)
        ax.scatter(
            at[:, 0],
            at[:, 1],
            s=14 if scene.crowd else 30,
            marker=marker,
            facecolors=WHITE,
            edgecolors=BLUE,
            linewidths=0.6 if scene.crowd else 1.0,
            alpha=0.6 if scene.crowd else 1.0,
            zorder=5,
            rasterized=scene.crowd,
        )
    _add(
        scene,
        "edge",
        "estimate outside the frame",
        marker=">",
        markersize=6,
        markerfacecolor=WHITE,
        markeredgecolor=BLUE,
        linestyle="none",
    )


def _segments(scene: Scene, points: Array) -> list[Array]:
    """The lines of a panel: from each estimate to its target, where these differ."""
    if scene.target is None:
        return []
    size = np.ptp(np.array([scene.xlim, scene.ylim]), axis=1)
    ends = np.stack([points, scene.target], axis=1)[scene.lined]
    ends = ends[np.isfinite(ends).all(axis=(1, 2))]
    return list(ends[(np.abs(ends[:, 0] - ends[:, 1]) > 1e-6 * size).any(axis=1)])


def _draw_lines(ax: Axes, scene: Scene, points: Array) -> None:
    from matplotlib.collections import LineCollection

    segments = _segments(scene, points)
    if not segments:
        return
    faint = 0.25 if scene.crowd else 0.85 if len(scene.levels) <= SMALL_NUMBER else 0.6
    lines = LineCollection(
        segments,
        colors=GREY,
        linewidths=0.5 if scene.crowd else 0.8,
        alpha=faint,
        zorder=3,
        rasterized=scene.crowd,
    )
    ax.add_collection(lines, autolim=False)
    ends = np.array([segment[1] for segment in segments])
    ends = ends[scene.inside(ends)]
    ax.scatter(
        ends[:, 0],
        ends[:, 1],
        s=3 if scene.crowd else 12,
        facecolors=WHITE,
        edgecolors=GREY,
        linewidths=0.4 if scene.crowd else 0.8,
        alpha=0.5 if scene.crowd else 1.0,
        zorder=3.5,
        rasterized=scene.crowd,
    )
    _add(
        scene,
        "line",
        f"line to its {target_name(scene)}",
        color=GREY,
        linewidth=1.0,
        marker="o",
        markersize=4,
        markerfacecolor=WHITE,
        markeredgecolor=GREY,
        markevery=[1],
    )


def _draw_intervals(ax: Axes, scene: Scene, intervals: Array) -> None:
    from matplotlib.collections import LineCollection

    assert scene.position is not None
    at = scene.shown
    ends = np.stack([np.repeat(scene.position[at][:, None], 2, axis=1), intervals[at]], axis=2)
    width = 1.0 if scene.crowd else 2.0 if len(at) > SMALL_NUMBER else 4.0
    lines = LineCollection(
        list(ends[np.isfinite(ends).all(axis=(1, 2))]),
        colors=BLUE,
        linewidths=width,
        alpha=0.06 if scene.crowd else 0.28,
        capstyle="butt",
        zorder=2.5,
        rasterized=scene.crowd,
    )
    ax.add_collection(lines, autolim=False)
    _add(
        scene,
        "interval",
        f"{100 * scene.interval:g}% interval",
        color=BLUE,
        alpha=0.35,
        linewidth=max(2, width),
    )


def _draw_population(ax: Axes, scene: Scene, panel: Panel) -> None:
    """Draw the ellipse, or band, that holds most levels' coefficients in the population."""
    if panel.mean is None or panel.covariance is None:
        return
    if scene.position is None:
        ring = ellipse(
            panel.mean[scene.columns],
            panel.covariance[np.ix_(scene.columns, scene.columns)],
            scene.radius,
        )
        ax.plot(*ring.T, color=RED, linewidth=1.4, linestyle=(0, (5, 2)), zorder=3.8)
    else:
        k = scene.columns[0]
        reach = scene.radius * np.sqrt(panel.covariance[k, k])
        low, high = panel.mean[k] - reach, panel.mean[k] + reach
        ax.axhspan(low, high, color=RED, alpha=0.07, linewidth=0, zorder=1)
        for edge in (low, high):
            ax.axhline(edge, color=RED, linewidth=1.2, linestyle=(0, (5, 2)), zorder=_above(scene))
    _add(
        scene,
        "population",
        f"where {100 * scene.interval:g}% of all levels are expected",
        color=RED,
        linewidth=1.4,
        linestyle=(0, (5, 2)),
    )


def ellipse(mean: Array, covariance: Array, radius: float) -> NDArray[np.float64]:
    """Points of the ellipse at so many sds from the mean; a covariance of 0 gives a point.

    Examples
    --------
    >>> ellipse(np.zeros(2), np.diag([4.0, 1.0]), 1.0).max(axis=0).round(6).tolist()
    [2.0, 1.0]
    """
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 201)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    axes = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(mean + radius * circle @ axes.T)


def _draw_mean(ax: Axes, scene: Scene, panel: Panel) -> None:
    if panel.mean is None:
        return
    mean = panel.mean[scene.columns]
    if scene.position is not None:
        ax.axhline(mean[0], color=RED, linewidth=1.4, zorder=_above(scene))
        _add(scene, "mean", "population mean", color=RED, linewidth=1.4)
        return
    style: dict[str, Any] = {
        "marker": "D",
        "markersize": 6.5,
        "markerfacecolor": RED,
        "markeredgecolor": INK,
        "markeredgewidth": 1.0,
        "linestyle": "none",
    }
    ax.plot([mean[0]], [mean[1]], zorder=6, **style)
    _add(scene, "mean", "population mean", **style)


def _above(scene: Scene) -> float:
    """Where lines across a panel lie: below dots, but above a crowd that would hide them."""
    return 4.5 if scene.crowd else 2


def _add(scene: Scene, kind: str, label: str, **style: Any) -> None:
    from matplotlib.lines import Line2D

    scene.legend.setdefault(kind, Line2D([0, 1], [0, 0], label=plain(label), **style))
