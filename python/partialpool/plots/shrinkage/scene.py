"""What a shrinkage figure is made of: its panels, and what they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.drawing.scales import Limits, central, frame, positions, spread_out
from partialpool.drawing.style import shorten
from partialpool.errors import InputError, did_you_mean, shown

LABELLED = 12  # up to as many levels have their names
SIZED = 300  # up to as many levels have dots sized by their rows
CROWD = 1_000  # from here on dots are small and see-through, and drawn as pixels in SVG and PDF
LINES = 500  # of a crowd, as many levels have their lines drawn
SHOWN = 20_000  # as many levels are drawn at all


class Panel(Struct, frozen=True, eq=False):
    """What one pooling says about every level.

    Attributes
    ----------
    title : str
        Such as ``"Partial pooling"``.
    estimates : array, levels × coefficients
        Posterior means; rows of NaN have no estimate.
    intervals : array, levels × coefficients × 2, optional
        Lower and upper ends.
    mean : array, coefficients, optional
        The population mean.
    covariance : array, coefficients × coefficients, optional
        How the levels' coefficients differ: their covariance in the population.
    note : str
        What to say under the title.
    """

    title: str
    estimates: Array
    intervals: Array | None = None
    mean: Array | None = None
    covariance: Array | None = None
    note: str = ""


class Scene(Struct, eq=False):
    """What all panels share.

    Attributes
    ----------
    columns : list of int
        The coefficients that are drawn: one or two.
    position : array, optional
        With one coefficient, where each level stands along the x axis.
    target : array, levels × 2, optional
        Where the lines lead: the truth, or the no-pooling estimates.
    legend : dict
        Handles of what has been drawn so far, by kind.
    """

    columns: list[int]
    factor: str
    levels: list[str]
    counts: NDArray[Any]
    interval: float
    position: Array | None
    target: Array | None
    knows_truth: bool
    xlim: Limits = (0.0, 1.0)
    ylim: Limits = (0.0, 1.0)
    legend: dict[str, Any] = field(default_factory=dict)

    @property
    def each(self) -> str:
        """What one level is called."""
        return shorten(self.factor, 28)

    @property
    def few(self) -> bool:
        return len(self.levels) <= LABELLED

    @property
    def named_below(self) -> bool:
        """Whether the x axis names the levels, as their rows are all the same."""
        same = bool(self.counts.max() == self.counts.min())
        return self.few and same and self.position is not None

    @property
    def crowd(self) -> bool:
        return len(self.levels) >= CROWD

    @property
    def shown(self) -> NDArray[np.intp]:
        """Levels that are drawn."""
        return spread_out(len(self.levels), SHOWN)

    @property
    def lined(self) -> NDArray[np.intp]:
        """Levels that have their lines drawn."""
        return spread_out(len(self.levels), LINES if self.crowd else CROWD)

    @property
    def sized(self) -> bool:
        """Whether dots are larger with more rows."""
        wide = bool(self.counts.max() >= 2 * self.counts.min())
        return self.position is None and wide and len(self.counts) <= SIZED

    @property
    def areas(self) -> Array:
        """Areas of the dots, in square points."""
        if self.sized:
            return np.asarray(12 + 60 * np.sqrt(self.counts / self.counts.max()))
        few = len(self.counts) <= SIZED
        return np.full(len(self.counts), 4.0 if self.crowd else 26.0 if few else 12.0)

    @property
    def radius(self) -> float:
        """How many sds from the mean hold the mass of the interval, in one dimension or two."""
        if len(self.columns) == 1:
            from statistics import NormalDist

            return NormalDist().inv_cdf(0.5 + self.interval / 2)
        return math.sqrt(-2 * math.log1p(-self.interval))

    def place(self, values: Array) -> Array:
        """Each level's point in the axes."""
        if self.position is None:
            return values[:, self.columns]
        return np.column_stack([self.position, values[:, self.columns[0]]])

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Which points lie within the frame; those without an estimate do not."""
        low, high = np.array([self.xlim, self.ylim]).T
        return np.asarray(((points >= low) & (points <= high)).all(axis=1))


class Goals(NamedTuple):
    """Where lines may lead to: the true coefficients, and those without pooling."""

    truth: Array | None
    reference: Array | None


def make_scene(
    panels: Sequence[Panel],
    columns: Sequence[int],
    levels: Sequence[object],
    counts: NDArray[Any],
    goals: Goals,
    *,
    factor: str,
    interval: float,
) -> Scene:
    """Choose places and a frame that serve all panels; `columns` are the coefficients drawn."""
    truth, reference = goals
    goal = reference if truth is None else truth
    position = None
    if len(columns) == 1:
        order = np.zeros(len(levels)) if goal is None else goal[:, columns[0]]
        position = positions(counts, order)
    scene = Scene(
        list(columns),
        factor,
        [str(level) for level in levels],
        counts,
        interval,
        position,
        target=None,
        knows_truth=truth is not None,
    )
    scene.target = None if goal is None else scene.place(goal)
    _set_limits(scene, panels, reference, truth)
    return scene


def chosen_columns(terms: Sequence[str], choose: Sequence[str] | None) -> list[int]:
    """Find the one or two coefficients to draw.

    Examples
    --------
    >>> chosen_columns(["Intercept", "x", "z"], ("z", "x"))
    [2, 1]
    """
    if choose is None:
        return list(range(min(2, len(terms))))
    if len(terms) == 1:
        raise InputError(
            f"`choose` has nothing to choose from (`{terms[0]}` is the only coefficient)",
            remedy="leave it out",
        )
    if isinstance(choose, str) or len(choose) != 2 or choose[0] == choose[1]:
        raise InputError(
            f"`choose` is {shown(choose)}",
            remedy=f'give two terms, such as ("{terms[0]}", "{terms[1]}")',
        )
    for name in choose:
        if name not in terms:
            raise InputError(
                f"`choose` names `{name}`, which is not a coefficient of the levels",
                remedy=did_you_mean(str(name), terms),
            )
    return [list(terms).index(name) for name in choose]


def _set_limits(
    scene: Scene, panels: Sequence[Panel], reference: Array | None, truth: Array | None
) -> None:
    """One frame for all panels, which a few wild estimates cannot stretch.

    Pooled estimates, truth and population lie in it whole, no-pooling estimates as far as they
    are not wild.
    """
    firm: list[Array] = [np.empty((0, 2))]
    loose: list[Array] = [np.empty((0, 2))]
    if truth is not None:
        firm.append(scene.place(truth))
    if reference is not None:
        loose.append(scene.place(reference))
    for panel in panels:
        (loose if panel.mean is None else firm).append(scene.place(panel.estimates))
        heights = [] if panel.mean is None else [_population(scene, panel, panel.mean)]
        if scene.position is not None and panel.intervals is not None:
            ends = central(panel.intervals[:, scene.columns[0]].ravel(), 0.9)
            heights.append(np.column_stack([np.full(len(ends), np.nan), ends]))
        firm += heights
    must, may = np.concatenate(firm), np.concatenate(loose)
    scene.ylim = frame(must[:, 1], may[:, 1])
    if scene.position is None:
        scene.xlim = frame(must[:, 0], may[:, 0])
    else:
        scene.xlim = frame(scene.position, scene.position)


def _population(scene: Scene, panel: Panel, mean: Array) -> Array:
    """Two corners around the ellipse, or points at both ends of the band."""
    reach = np.zeros(len(scene.columns))
    if panel.covariance is not None:
        reach = scene.radius * np.sqrt(np.diag(panel.covariance)[scene.columns])
    corners = np.stack([mean[scene.columns] - reach, mean[scene.columns] + reach])
    if scene.position is None:
        return corners
    return np.column_stack([np.full(2, np.nan), corners[:, 0]])
