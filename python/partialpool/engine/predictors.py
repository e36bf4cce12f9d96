"""Linear predictors of any rows: mean, sd and interval, averaged over a few nodes of φ.

Given φ, population coefficients and those of a level are normal together, so the linear predictor
of a row is, and a new observation too. Over φ both are mixtures of normals, whose quantiles need
no draws. How many nodes that takes is judged by coefficients of levels, known and new, and by the
residuals.
"""

from __future__ import annotations

import os

import numpy as np
from msgspec import Struct

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.engine.averaged import (
    MOST_NUMBERS,
    SOME_LEVELS,
    Normals,
    integrated_draws,
    settled_normals,
)
from partialpool.engine.blocks import several
from partialpool.engine.run import Run
from partialpool.model import Model

MOST_NODES = 480  # more of them take longer than draws
MANY = 10**5  # rows for which the number of nodes matters


class LinearRows(Struct, frozen=True):
    """Rows as linear functions of the coefficients.

    Attributes
    ----------
    X : (n, p) array
        Of the population coefficients as written.
    offset : (n,) array
    Z : (n, q) array
        Of the deviations of the level, or of its own coefficients without pooling.
    codes : (n,) array of int
        The level; beyond the last for one that the fit did not see.
    noise : (n,) array
        Variance of the row itself, in units of that of the residuals.
    """

    X: Array
    offset: Array
    Z: Array
    codes: Ints
    noise: Array


class _Nodes(Struct, frozen=True):
    """Normals at weighted nodes."""

    at: Normals
    weights: Array

    def __len__(self) -> int:
        return len(self.weights)


class Predictors(Struct, frozen=True):
    """All that the linear predictors of rows are averaged by.

    What is said of levels that the fit did not see follows the sds of levels themselves, whose
    tails may be heavy: it has nodes of its own, up to all draws.
    """

    model: Model
    run: Run
    known: _Nodes

    @property
    def new(self) -> _Nodes:
        """Nodes for levels that the fit did not see."""
        if "new" not in self.run.window:
            judges = _judges(self.model, self.run, new=True)
            self.run.window["new"] = _settled(self.model, self.run, judges)
        found: _Nodes = self.run.window["new"]
        return found

    def summary(self, rows: LinearRows, probabilities: tuple[float, float]) -> Array:
        """Mean, sd and two quantiles: (row, 4)."""
        order = np.argsort(rows.codes, kind="stable")
        group = self.model.sole_group
        known = len(order)
        if group is not None:
            known = int(np.searchsorted(rows.codes[order], len(group.levels)))
        found = np.empty((len(order), 4))
        parts = [(self.known, order[:known])]
        if known < len(order):
            parts.append((self.new, order[known:]))
        for nodes, some in parts:
            found[some] = _summary(self.model, nodes.at, nodes.weights, rows, some, probabilities)
        return found


def predictors(model: Model, run: Run) -> Predictors | None:
    """Prepare the linear predictors of rows, once for each run.

    None where they are not normal given φ, where that is not known, or where so many nodes are
    needed that draws take less time.
    """
    if "predictors" not in run.window:
        run.window["predictors"] = _prepared(model, run)
    found: Predictors | None = run.window["predictors"]
    return found


def _prepared(model: Model, run: Run) -> Predictors | None:
    if not _normal(model, run):
        return None
    draws, integrated = integrated_draws(model, run)
    most = MOST_NUMBERS // max(integrated**2, 1)
    if most < MOST_NODES and len(draws) > most:
        return None
    nodes = _settled(model, run, _judges(model, run, new=False))
    return None if len(nodes) > MOST_NODES else Predictors(model, run, nodes)


def _normal(model: Model, run: Run) -> bool:
    """Whether coefficients are normal given φ, which is known."""
    if model.reduced is None or several(model) or run.working is None:
        return False
    if model.reduced.population is None:  # in files of earlier versions
        return False
    group = model.sole_group
    return group is None or not (run.groups[0].has_coef or group.bounds is not None)


def _settled(model: Model, run: Run, judges: LinearRows) -> _Nodes:
    """Nodes of which twice as many say the same of some rows."""
    order = np.argsort(judges.codes, kind="stable")

    def judged(at: Normals, weights: Array) -> Array:
        return _summary(model, at, weights, judges, order, (0.025, 0.975))

    return _Nodes(
        *settled_normals(model, run, MANY, lambda picked: _at(model, run, picked), judged)
    )


def _at(model: Model, run: Run, picked: Ints) -> Normals:
    if model.groups:
        return Normals.at(model, run, 0, picked)
    assert model.reduced is not None
    known = model.reduced.population
    assert known is not None
    draws, m = integrated_draws(model, run)[0][picked], len(picked)
    sigma = np.ones(m) if run.sigma is None else run.sigma.ravel()[picked]
    u, root = _core.node_coefficients(
        data=model.reduced.levels,
        prior=known.prior,
        covariance=np.empty((m, 0, 0)),
        sigma=sigma,
        u=np.column_stack([-draws, np.ones(m)]),
        n_integrated=known.count,
        threads=os.cpu_count() or 1,
    )
    back, covariance, population = (np.empty(n) for n in ((0, 0), (m, 0, 0), (0, known.count)))
    shift, data = np.empty((m, 0)), model.reduced.levels
    return Normals(data, back, covariance, sigma, u, root, population, shift)


def _judges(model: Model, run: Run, *, new: bool) -> LinearRows:
    """Coefficients of some levels, or of a new one; those of the population; and a residual."""
    group, p = model.sole_group, len(model.columns)
    X, Z, codes = np.eye(p), np.empty((p, 0)), np.zeros(p, dtype=np.int64)
    if group is not None:
        q, J = len(group.terms), len(group.levels)
        some = np.array([J]) if new else np.arange(J)[:: max(1, J // SOME_LEVELS)]
        pooled = group.known_sd is None
        terms = np.tile(group.T if pooled else np.zeros_like(group.T), (len(some), 1))
        X = np.concatenate([terms, X])
        Z = np.concatenate([np.tile(np.eye(q), (len(some), 1)), np.zeros((p, q))])
        codes = np.concatenate([np.repeat(some, q), np.full(p, J)])
    noise = np.zeros(len(X))
    if run.sigma is not None and len(X):
        X, Z, codes = (np.concatenate([each, each[-1:]]) for each in (X, Z, codes))
        noise = np.append(noise, 1.0)
    return LinearRows(X, np.zeros(len(X)), Z, codes, noise)


def _summary(
    model: Model,
    at: Normals,
    weights: Array,
    rows: LinearRows,
    order: Ints,
    probabilities: tuple[float, float],
) -> Array:
    """Mean, sd and two quantiles of rows in an order in which those of a level stand together."""
    assert model.reduced is not None
    assert model.reduced.population is not None
    written, group = model.reduced.population.written, model.sole_group
    X, Z, constant = rows.X[order], rows.Z[order], rows.offset[order]
    back = np.eye(0)
    if group is not None:
        back = group.back
        if group.known_sd is not None:  # what the level's own coefficients have of others
            X, constant = X + Z @ group.T, constant + Z @ group.base
    a = np.column_stack([-(X @ written[:, :-1]), constant + X @ written[:, -1]])
    return _core.row_summary(
        data=at.data,
        covariance=at.covariance,
        sigma=at.sigma,
        u=at.u,
        root=at.root,
        back=back,
        weights=weights,
        levels=np.ascontiguousarray(rows.codes[order]),
        a=a,
        z=np.ascontiguousarray(Z),
        noise=np.ascontiguousarray(rows.noise[order]),
        probabilities=probabilities,
        threads=os.cpu_count() or 1,
    )
