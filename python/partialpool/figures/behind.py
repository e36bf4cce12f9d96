"""The data behind average predictions: rows on the scale of the prediction, and means of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Flags, Ints
from partialpool.figures.asked import Chart, counting, places_of

if TYPE_CHECKING:
    from partialpool.plots.effects import Behind

ROWS = 2_000  # as many are drawn one by one
BINS = 20  # of a number
APART = 25  # as many distinct numbers have a mean each


class Data(Struct, frozen=True, eq=False):
    """Fitted rows as they are drawn: all that panels share.

    Attributes
    ----------
    x : (row,) array
        Along the x axis; NaN where the row's value has no place there.
    y : (row, series) array or None
        Responses; of ordered categories whose probabilities are drawn, whether it is each of them.
    curve, panel : (row,) arrays of int
        Which each row belongs to; -1 for none. Where probabilities are drawn, curves are series.
    binary : bool
        Whether the responses are 0 or 1, so that rows lie on the edges.
    binned : bool
        Whether means stand beside rows.
    picked : (row,) mask
        Rows that are drawn one by one.
    """

    x: Array
    y: Array | None
    curve: Ints
    panel: Ints
    weights: Array
    binary: bool
    binned: bool
    picked: Flags


def take_data(chart: Chart, places: Array) -> Data:
    """Take the rows: `places` are where the values of the first predictor stand."""
    first, *others = chart.axes
    rows = chart.gathered.table.n_rows
    at = np.where(first.codes >= 0, places[first.codes], np.nan)
    x = first.numbers if first.between else at
    every, own = np.zeros(rows, dtype=np.int64), [axis.codes for axis in others]
    y = responses(chart) if chart.fitted else None
    if chart.kind == "probability":
        curve, panel = every, own[0] if own else every
    else:
        curve, panel = own[0] if own else every, own[1] if len(own) > 1 else every
    used = np.isfinite(x) & (curve >= 0) & (panel >= 0) & with_given(chart)
    discrete = chart.fit.model.family.discrete and chart.kind == "mean"
    binary = discrete and y is not None and bool(np.isin(y, (0.0, 1.0)).all())
    picked = np.zeros(rows, dtype=bool)
    some = np.flatnonzero(used)
    picked[some[sampled(len(some), chart.fit.seed)]] = True
    binned = discrete or len(some) > ROWS or not first.between or chart.kind == "probability"
    panel = np.where(used, panel, -1)
    weights = counting(chart.fit, chart.gathered)
    return Data(x, y, curve, panel, weights, binary, binned, picked)


def behind(chart: Chart, data: Data, panel: int) -> dict[str, Any]:
    """Give what lies behind the curves of a panel, as it is drawn."""
    from partialpool.plots.effects import NAMED

    first = chart.axes[0]
    own = data.panel == panel
    one_by_one = own & data.picked
    found: dict[str, Any] = {}
    if first.between:
        lying = data.x[one_by_one]
        if data.binary and data.y is not None:
            ones = data.y[one_by_one, 0] == 1
            found |= {"rug": np.unique(lying[~ones]), "top": np.unique(lying[ones])}
        else:
            found["rug"] = np.unique(lying)
    if data.y is None:
        return found
    few = first.between or len(first.values) <= NAMED
    if chart.kind != "probability" and not data.binary and few:
        found["rows"] = _rows(data, one_by_one, first.between)
    if data.binned:
        found["means"] = _means(chart, data, own)
    return found


def _rows(data: Data, which: Flags, between: bool) -> Behind:
    """Rows one by one, spread over the width of their category."""
    from partialpool.drawing.places import DODGED, jittered
    from partialpool.plots.effects import Behind

    assert data.y is not None
    x, shown = data.x[which], int(data.picked.sum())
    if not between:
        curves = int(data.curve.max()) + 1
        x = x + 0.4 * DODGED / curves * jittered(len(x))
    total = int((data.panel >= 0).sum())
    label = "the data" if shown == total else f"{shown:,} of the {total:,} rows of data"
    return Behind(x, data.y[which, 0], data.curve[which], label)


def _means(chart: Chart, data: Data, which: Flags) -> Behind:
    """Means of rows: in bins of a number, or of each category."""
    from partialpool.plots.effects import Behind

    assert data.y is not None
    first = chart.axes[0]
    parts: list[Array] = []
    if data.y.shape[1] > 1:
        series = [(which, k, k) for k in range(data.y.shape[1])]
    else:
        curves = np.unique(data.curve[which]).tolist()
        series = [(which & (data.curve == k), 0, k) for k in curves]
    for rows, column, curve in series:
        own = data.x[rows], data.y[rows, column], data.weights[rows]
        x, y = binned(*own, APART if first.between else len(first.values))
        parts.append(np.array([x, y, np.full(len(x), float(curve))]))
    found = np.concatenate([np.empty((3, 0)), *parts], axis=1)
    what = "shares" if chart.kind == "probability" else "means"
    bins = first.between and len(np.unique(first.numbers)) > APART
    label = f"{what} of the data{' in bins' if bins else ''}"
    return Behind(found[0], found[1], found[2].astype(np.int64), label)


def responses(chart: Chart) -> Array | None:
    """Put the fitted responses on the scale of the predictions, at the roles that were asked for.

    Counts go with the exposure and successes with the trials; an offset shifts what has an identity
    link, and multiplies what has a log link. None where that cannot be.
    """
    fit, kind = chart.fit, chart.kind
    design, family, link = fit.design, fit.model.family, fit.model.link
    assert design is not None
    codes = design.y.astype(np.int64) if design.categories else None
    if kind == "probability":
        assert codes is not None
        return np.asarray(codes[:, None] == np.arange(len(design.categories)), dtype=np.float64)
    if kind == "linear":
        if link != "identity" or codes is not None:
            return None
        y = family.linear(design.y)
    else:
        y = design.y if codes is None else fit.model.scores[codes]
    y = np.asarray(y, dtype=np.float64)
    for role in ("offset", "exposure", "trials"):
        own, new = design.roles.get(role), chart.gathered.roles.get(role)
        if chart.given.get(role) is None or new is None:
            continue
        if role != "offset":
            y = y * new / (1.0 if own is None else own)
            continue
        change = new - (0.0 if own is None else own)
        if link == "log" and family.averages != "linear":
            y = y * np.exp(change)
        elif kind == "linear" or family.averages == "linear":
            y = y + change
        else:
            return None
    return np.asarray(y[:, None])


def binned(x: Array, y: Array, weights: Array, apart: int = APART) -> tuple[Array, Array]:
    """Means of x and y in bins of about as many rows, or of each x where there are few of them."""
    values, codes = np.unique(x, return_inverse=True)
    if len(values) > apart:
        count = int(np.clip(len(x) // 12, 4, BINS))
        cuts = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)[1:-1]))
        codes = np.searchsorted(cuts, x, side="right")
    total = np.bincount(codes, weights)
    some = total > 0
    means = [np.bincount(codes, weights * v)[some] / total[some] for v in (x, y)]
    return means[0], means[1]


def sampled(n: int, seed: int) -> Ints:
    """At most so many of the rows, chosen at random."""
    if n <= ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, 3]).choice(n, ROWS, replace=False))


def with_given(chart: Chart) -> Flags:
    """Rows that have the categories that all rows are given by `at`."""
    keep = np.ones(chart.gathered.table.n_rows, dtype=bool)
    for name, value in chart.at.items():
        column = chart.gathered.table.columns[name]
        if column.kind != "number":
            keep &= places_of(column, [value]) == 0
    return keep
