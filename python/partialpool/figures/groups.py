"""The data of some levels with the lines of a fit, or of the poolings, a panel a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.checks import A_FACTOR, check_text, check_values
from partialpool.data.labels import as_given, find_levels, label
from partialpool.draws.posterior import Posterior, group_position, rows_of
from partialpool.errors import InputError
from partialpool.figures.lines import Along, along, lines, responses
from partialpool.figures.named import check_title, level_names
from partialpool.figures.plots import Plots
from partialpool.model import Group
from partialpool.words.parameters import POOLING_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from partialpool.plots.groups import Line

ALL, CHOSEN, MOST = 12, 8, 24  # levels: all of so few, so many of more, so many on demand


class Shown(Struct, frozen=True):
    """Levels that have panels: their positions, and why they were chosen."""

    levels: list[int]
    reasons: list[str]
    note: str


def groups(
    plots: Plots,
    factor: str | None = None,
    levels: Sequence[Any] | None = None,
    x: str | None = None,
    *,
    title: str | None = None,
) -> Figure:
    r"""Draw the data of some levels with their own line and that of the population, a panel each.

    Lines are expected responses: of the rows of a level (50 at most), all of which get each value
    of the predictor in turn, so that they are curves where the link is not the identity. That of
    the population is without the level's deviation.

    Parameters
    ----------
    factor : str, optional
        Whose levels; needed only where there are several grouping factors.
    levels : sequence, optional
        Up to 24 levels by their labels. By default all, if there are at most 12, else eight: those
        with most and fewest rows, the highest and lowest, and some between.
    x : str, optional
        The predictor along the axis; by default the first of the levels' own terms, else the first
        of the formula. Without any, lines are horizontal.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        On the scale of the response; of binomial responses their shares, and rates by exposure.

    Raises
    ------
    InputError
        If there is no such factor, level or predictor, or the fit was saved without its rows.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> fig = fit.plot.groups(levels=[70, 26])
    >>> [ax.get_title() for ax in fig.axes]
    ['70\n116 rows', '26\n105 rows']
    """
    check_text("factor", factor, A_FACTOR)
    fit = plots.fit
    group = fit.model.groups[group_position(fit.model, factor)]
    shown = _shown(fit, group, levels)
    drawn = {"own": fit} if group.known_sd is not None else {"own": fit, "population": fit}
    return draw_groups(drawn, group, shown, x, title)


def _shown(fit: Posterior, group: Group, levels: Sequence[Any] | None) -> Shown:
    """The levels that were asked for, or extremes."""
    if levels is not None:
        return named_levels(group, levels)
    if len(group.levels) <= ALL:
        return every_level(group)
    mean = fit.level_summaries[group_position(fit.model, group.name)][:, 0, 0]
    mean = np.where(group.estimable, mean, np.nan)
    order = np.argsort(mean, kind="stable")[: int(group.estimable.sum())]
    reasons = _by_rows(group)
    if len(order):
        reasons = reasons | {
            int(k): why
            for k, why in ((order[-1], "highest"), (order[0], "lowest"))
            if int(k) not in reasons
        }
        between = order[np.linspace(0, len(order) - 1, 4 * CHOSEN).astype(int)]
        for k in between[np.argsort(np.abs(np.arange(4 * CHOSEN) - 2 * CHOSEN), kind="stable")]:
            if len(reasons) < CHOSEN:
                reasons.setdefault(int(k), "between")
    return _chosen(group, reasons, f"with highest and lowest {group.terms[0]}, some between")


def _chosen(group: Group, reasons: Mapping[int, str], others: str) -> Shown:
    """Levels that were chosen for reasons."""
    by_rows = "" if group.counts.min() == group.counts.max() else "with most and fewest rows, "
    note = (
        f"{len(reasons)} of {len(group.levels):,} levels: {by_rows}{others}; levels= names others."
    )
    return Shown(list(reasons), list(reasons.values()), note)


def _by_rows(group: Group) -> dict[int, str]:
    """Two levels with most rows and two with fewest; none where all have as many."""
    if group.counts.min() == group.counts.max():
        return {}
    order = np.argsort(-group.counts, kind="stable").tolist()
    return dict.fromkeys(order[:2], "most rows") | dict.fromkeys(order[-2:], "fewest rows")


def most_pulled(group: Group, away: Array) -> Shown:
    """Levels with most and fewest rows, and those that pooling moves most."""
    reasons = _by_rows(group)
    for k in np.argsort(-np.nan_to_num(away), kind="stable").tolist():
        if len(reasons) < CHOSEN and np.isfinite(away[k]):
            reasons.setdefault(k, "pulled most")
    return _chosen(group, reasons, "those that pooling moves most")


def every_level(group: Group) -> Shown:
    """All levels in order."""
    n = len(group.levels)
    return Shown(list(range(n)), [""] * n, "")


def named_levels(group: Group, levels: Sequence[Any]) -> Shown:
    """Find levels by their labels.

    Raises
    ------
    InputError
        If one is unknown, or there are none or too many.
    """
    asked = check_values("levels", levels)
    picked = find_levels(asked, as_given(group.levels), group.name)
    if not 0 < len(picked) <= MOST:
        raise InputError(
            f"`levels` lists {len(picked)} levels", remedy=f"give 1 to {MOST}, a panel each"
        )
    return Shown(picked, [""] * len(picked), "")


def draw_groups(
    fits: Mapping[str, Posterior], group: Group, shown: Shown, x: str | None, title: str | None
) -> Figure:
    """Draw levels with a line for each fit, by kind: own, population, or a pooling."""
    from partialpool.plots.groups import Axis
    from partialpool.plots.groups import groups as draw

    check_text("x", x, '"floor"')
    check_title(title)
    if group.predictor != called.MEAN:
        raise InputError(
            f"the levels of `{group.name}` differ in log {group.predictor}, not in what is "
            "expected of responses",
            remedy=f'draw `.plot.levels("{group.name}")`',
        )
    one = next(iter(fits.values()))
    where = along(one, group, x)
    rows = rows_of_levels(one, group, shown.levels)
    drawn = [_line(kind, fit, group, shown.levels, rows, where) for kind, fit in fits.items()]
    names = level_names(group)
    many = group.counts
    heads = [
        f"{names[k]}\n{many[k]:,} row{'s' * int(many[k] != 1)}" + (f", {why}" if why else "")
        for k, why in zip(shown.levels, shown.reasons, strict=True)
    ]
    points = [(where.of_rows(own), responses(one, own)) for own in rows]
    return draw(
        points,
        heads,
        drawn,
        Axis(where.name, () if where.numeric else [label(v) for v in where.values]),
        Axis(_response_label(one), [label(c) for c in one.model.categories]),
        title=title or _heading(one, group, where),
        notes=[shown.note] if shown.note else [],
    )


def _line(
    kind: str,
    fit: Posterior,
    group: Group,
    levels: list[int],
    rows: list[Ints],
    where: Along,
) -> Line:
    """What a fit expects of levels; a band where the line is all of the fit."""
    from partialpool.plots.groups import Line

    found = lines(fit, rows, where, without=group.factor if kind == "population" else None)
    labels = {"own": f"the {group.factor}'s own", "population": "population"} | POOLING_NAMES
    twin = next((one for one in fit.model.groups if one.name == group.name), None)
    lost = np.zeros(len(levels), dtype=bool) if twin is None else ~twin.estimable[levels]
    mean, lower, upper = (
        np.where(lost[:, None], np.nan, one) for one in (found.mean, found.lower, found.upper)
    )
    if kind != "own":
        return Line(kind, labels[kind], where.at, mean)
    band = f" and {100 * fit.provenance.interval:g}% band"
    return Line(kind, labels[kind] + band, where.at, mean, lower, upper)


def rows_of_levels(fit: Posterior, group: Group, levels: Sequence[int]) -> list[Ints]:
    """Positions of the rows of each level among those that were fitted."""
    codes = rows_of(fit).factor(group.factor).codes
    return [np.flatnonzero(codes == level) for level in levels]


def _response_label(fit: Posterior) -> str:
    """Name what is drawn of the response."""
    design, response = rows_of(fit), fit.model.response
    if design.trials is not None:
        return f"Share: {response}"
    return f"{response} by exposure" if design.exposure is not None else response


def _heading(fit: Posterior, group: Group, where: Along) -> str:
    by = f" by {where.name}" if where.name else ""
    return f"{fit.model.response}{by}, {group.factor} by {group.factor}"
