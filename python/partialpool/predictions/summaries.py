"""Rows → mean, sd and interval of each: exact over the draws of φ, or from all draws.

Given φ the predictors of Gaussian models are normal where their coefficients integrate out, and
averages over φ need no other draws (`engine/predictors.py`). Else the draws of every row are summed
up, rows that are alike once, on all processors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from partialpool.arrays import Array, Ints, tails
from partialpool.design.rows import Rows
from partialpool.draws.alike import contents, distinct_rows, take
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.quantiles import summarise_rows
from partialpool.engine.blocks import several
from partialpool.engine.predictors import LinearRows, Predictors, predictors
from partialpool.model import Model
from partialpool.predictions.notes import Tally
from partialpool.predictions.prepared import Prepared

T = TypeVar("T")
R = TypeVar("R")

PARTS = 64  # into which the draws of some rows are cut, so that they stay in the cache


COLUMNS = ("mean", "sd", "lower", "upper")


def predicted(prepared: Prepared, tally: Tally) -> dict[str, Array]:
    """Compute the columns of predictions, a number for each row that was gathered."""
    tally.add_rows(prepared)
    kind, interval = prepared.asked.kind, prepared.asked.interval
    out, shares = summarised(prepared.evaluator(), kind, interval)
    tally.add_numbers(out)
    labels = probability_labels(prepared.fit.model, kind)
    return dict(zip(COLUMNS, out.T, strict=True)) | dict(zip(labels, shares.T, strict=True))


def renamed(names: Sequence[str], taken: Iterable[str]) -> dict[str, str]:
    """Give columns of a table that are called as those of the predictions another name.

    Examples
    --------
    >>> renamed(["x", "mean", "data_mean"], COLUMNS)
    {'mean': 'data_data_mean'}
    """
    taken = list(taken)
    used, found = {*names, *taken}, {}
    for name in names:
        if name in taken:
            new = f"data_{name}"
            while new in used:
                new = f"data_{new}"
            used.add(new)
            found[name] = new
    return found


def probability_labels(model: Model, kind: str) -> tuple[str, ...]:
    """Name the columns of the probabilities of ordered categories."""
    return tuple(f"p[{label}]" for label in model.categories) if kind == "mean" else ()


def summarised(evaluator: Evaluator, kind: str, interval: float) -> tuple[Array, Array]:
    """Mean, sd, lower and upper of all rows, and the probabilities of their categories.

    Returns
    -------
    (row, 4) array, (row, category) array
        The second without columns where no probabilities belong to the kind.
    """
    model, n = evaluator.model, len(evaluator.rows)
    exact = predictors(model, evaluator.run) if n else None
    if exact is not None:
        return _exactly(exact, evaluator, kind, interval), np.empty((n, 0))
    if kind == "observation" or n < 2:
        return _by_draws(evaluator, kind, interval)
    first, alike = distinct_rows(contents(evaluator.rows))
    out, shares = _by_draws(evaluator.of(take(evaluator.rows, first)), kind, interval)
    return out[alike], shares[alike]


def _exactly(exact: Predictors, evaluator: Evaluator, kind: str, interval: float) -> Array:
    rows, model = evaluator.rows, evaluator.model
    n = len(rows)
    Z, codes = np.empty((n, 0)), np.zeros(n, dtype=np.int64)
    for member in rows.members:  # one at most
        group = model.groups[member.k]
        Z, codes = member.Z, np.minimum(member.codes, len(group.levels))
        if evaluator.new_levels == "population" and group.known_sd is None:
            Z = np.where((codes == len(group.levels))[:, None], 0.0, Z)
    noise = _noise(rows) if kind == "observation" else np.zeros(n)
    offset = np.zeros(n) if rows.offset is None else rows.offset
    return exact.summary(LinearRows(rows.X, offset, Z, codes, noise), tails(interval))


def _noise(rows: Rows) -> Array:
    """Variances of observations in units of sigma², which is 1 where errors are known."""
    se, weights = rows.roles.get("se"), rows.roles.get("weights")
    if se is not None:
        return se**2
    return np.ones(len(rows)) if weights is None else 1.0 / weights


def _by_draws(evaluator: Evaluator, kind: str, interval: float) -> tuple[Array, Array]:
    model = evaluator.model
    labels = probability_labels(model, kind)
    out = np.full((len(evaluator.rows), 4), np.nan)
    shares = np.full((len(out), len(labels)), np.nan)

    def compute(at: Ints) -> None:
        # Overflow to infinity, and undetermined levels, are results like others.
        with np.errstate(invalid="ignore", over="ignore"):
            if labels:
                p = evaluator.probabilities(evaluator.linear(at))
                shares[at] = p.mean(axis=1)
                values = np.asarray(p @ model.scores)
            else:
                values = values_of(evaluator, kind, at)
            out[at] = summarise_rows(values, interval, threads=1)

    # Levels of several factors are drawn all at once, and kept.
    threads = 1 if several(model) else os.cpu_count() or 1
    for _ in in_turn(compute, evaluator.chunks(max(PARTS, 2 * len(labels))), threads):
        pass
    return out, shares


def values_of(evaluator: Evaluator, kind: str, at: Ints) -> Array:
    """Draws of what is predicted of some rows: (row, draw)."""
    by_kind: dict[str, Callable[[Ints], Array]] = {
        "mean": evaluator.mean,
        "linear": evaluator.linear,
        "observation": evaluator.observations,
    }
    return by_kind[kind](at)


def in_turn(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Do the same with each item, several at a time; results come in the order of the items."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
