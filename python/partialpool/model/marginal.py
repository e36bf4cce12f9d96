"""A Gaussian model with one grouping factor: rows reduced, priors as the core takes them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from partialpool import _core, called
from partialpool.arrays import LOG_2PI, Array
from partialpool.design import Condensed, Design, GroupFactor
from partialpool.errors import NotYetError
from partialpool.model.coordinates import Coordinates, coordinates, integrable
from partialpool.model.defaults import resolve_priors
from partialpool.model.groupwork import (
    WorkingGroup,
    group_of,
    pooled_group,
    ranks,
    unpooled_group,
)
from partialpool.model.model import Group, Integrable, Model, Reduced
from partialpool.model.points import reduced
from partialpool.model.pooling import Pooled
from partialpool.model.scalars import Scalar, covariance_spec, group_sd_specs, scale_spec
from partialpool.model.scales import scales
from partialpool.priors import Normal, Prior

# Rows that are rotated into a triangle first, so many at a time.
TALL, SHARE = 500_000, 16_384


def build_marginal(pooled: Pooled, priors: Mapping[str, Prior | str] | None = None) -> Model:
    """Build the density of a Gaussian model with at most one grouping factor.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    priors : mapping, optional
        User priors by parameter name; defaults for the rest.

    Raises
    ------
    InputError
        If priors do not fit the model, or a group term is too far from 0 to compute with.
    NotYetError
        If there are several grouping factors, or group coefficients without pooling have priors
        that cannot be integrated.
    """
    design = pooled.design
    if len(design.factors) > 1:
        names = ", ".join(f"`{factor.name}`" for factor in design.factors)
        raise NotYetError(f"more than one grouping factor ({names}) is not available yet")
    resolved = resolve_priors(priors, design)
    factor = design.factors[0] if design.factors else None
    work = working_rows(design, resolved)
    at, order = work.at, work.order
    known = design.se is not None
    estimate, error, residual_sd = least_squares(*work.together(), design.n_rows, known=known)
    sampled = order[len(order) - work.n_sampled :]
    data = work.reduce(design.n_rows)
    group, free_rows = None, design.n_rows
    if factor is not None and work.group is not None:
        group = _group(factor, work, data, design, resolved)
    if group is not None and group.known_sd is not None:
        free_rows -= int(ranks(data).sum())
        if not known:
            residual_sd = _residual_sd_within(data, free_rows, residual_sd)
    rows, constant = prior_rows(at, order)
    constant += log_constant(design, at, order[: len(order) - len(sampled)])
    population = integrable_population(at, order, len(sampled), rows)
    flat = group is not None and group.is_flat
    covariances = []
    if factor is not None and group is not None and not flat:
        covariances.append(covariance_spec(factor, group, resolved))
    core = _core.Marginal(
        data=data.projected(free_rows) if flat else data,
        sd=[] if flat else _sd_specs(design, work.group, resolved, residual_sd),
        covariances=covariances,
        sigma=1.0 if known else scale_spec("sigma", resolved["sigma"], residual_sd),
        sampled=coefficient_specs(sampled, at, estimate, error),
        sampled_map=np.diag(1 / at.unit[sampled]),
        sampled_shift=(-at.shift[sampled] / at.unit[sampled]).tolist(),
        prior_rows=rows,
        constant=constant,
    )
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family=pooled.family,
        link="identity",
        pooling=pooled.pooling,
        columns=design.columns,
        groups=() if group is None else (group,),
        priors=resolved,
        coordinates={"mu": at},
        known_errors=known,
        n_rows=design.n_rows,
        reduced=Reduced(data, tuple(order), population),
        core=core,
        plan=design.plan,
    )


class WorkingRows(Struct, frozen=True):
    """The rows of a Gaussian model with one factor as the core takes them.

    Attributes
    ----------
    X, y : arrays
        Working columns of the population, and what is left of the response beside them; at the
        corners where the design has these.
    at : Coordinates
        Those of the population.
    group : WorkingGroup or None
        The columns of the factor.
    codes : (n,) array of int
        Level of each row, or cell.
    row_scale : (n,) array or None
        Factor that gives every row the same residual variance.
    order : list of int
        Population columns in the order of the core: integrated ones, then sampled ones.
    n_sampled : int
        How many are sampled.
    condensed : Condensed or None
        How corners stand for rows.
    """

    X: Array
    y: Array
    at: Coordinates
    group: WorkingGroup | None
    codes: NDArray[np.int64]
    n_levels: int
    row_scale: Array | None
    order: list[int]
    n_sampled: int
    condensed: Condensed | None = None

    def together(self) -> tuple[Array, Array, Array | None]:
        """Columns, response and factor of rows that have the least squares of all."""
        if self.condensed is None or self.condensed.whole is None:
            return self.X, self.y, self.row_scale
        p, one = self.X.shape[1], np.zeros(1, dtype=np.int64)
        whole = reduced(self.condensed.whole, self.X, self.y[:, None], one, 1, np.eye(p))
        R, B, W, _ = whole.parts()
        X = np.vstack([R.reshape(p, p), np.zeros((1, p))])
        return X, np.append(B.reshape(p), np.sqrt(W[0, 0])), None

    def reduce(self, n_rows: int) -> _core.CrossProducts:
        """Reduce the rows, which stand for so many, to what the likelihood needs of them."""
        Z, unscale = np.empty((len(self.y), 0)), np.empty((0, 0))
        if self.group is not None:
            Z, unscale = self.group.Z, self.group.unscale
        in_place = self.order == list(range(self.X.shape[1]))
        xy = np.column_stack([self.X if in_place else self.X[:, self.order], self.y])
        if self.condensed is not None and self.condensed.cells is not None:
            return reduced(self.condensed.cells, Z, xy, self.codes, self.n_levels, unscale)
        return _core.CrossProducts(
            z=Z,
            xy=xy,
            codes=self.codes,
            n_levels=self.n_levels,
            unscale=unscale,
            row_scale=self.row_scale,
            n_rows=n_rows,
            threads=os.cpu_count() or 1,
        )


def working_rows(design: Design, priors: Mapping[str, Prior]) -> WorkingRows:
    """Bring the rows of a design into working coordinates, given the prior of every parameter."""
    scale = scales(design)
    factor = design.factors[0] if design.factors else None
    y, level = response_and_level(design)
    group, taken = None, None
    if factor is not None:
        parts = scale.factors[factor.name]
        if factor.pooled:
            group = pooled_group(factor, factor.name, parts, priors)
        else:
            group = unpooled_group(factor, parts, priors, level)
            taken = group.taken
    X, at = coordinates(
        scale.parts["mu"],
        [priors[called.b(name)] for name in design.columns],
        level=level,
        outer=scale.outer.get("mu"),
        taken=taken,
    )
    taken_out = at.level if group is None else at.level + group.level
    y = y - (taken_out - design.origin)
    if group is not None:
        y = y - group.Z @ group.mean
    sampled = [k for k, prior in enumerate(at.priors) if not integrable(prior)]
    order = [k for k in range(len(design.columns)) if k not in sampled] + sampled
    codes = np.empty(0, dtype=np.int64) if factor is None else factor.codes
    n_levels = 0 if factor is None else len(factor.levels)
    return WorkingRows(
        X,
        y,
        at,
        group,
        codes,
        n_levels,
        row_scale_of(design),
        order,
        len(sampled),
        design.condensed,
    )


def response_and_level(design: Design) -> tuple[Array, float]:
    """Give the response less its offset and the design's origin; and the mean that it has."""

    def rest(rows: Design) -> Array:
        return rows.y if rows.offset is None else rows.y - rows.offset

    table = rest(design.described)
    # The mean of huge, close numbers is itself rounded; it need only be near.
    return rest(design), float(table[0] + np.mean(table - table[0])) + design.origin


def _group(
    factor: GroupFactor,
    work: WorkingRows,
    data: _core.CrossProducts,
    design: Design,
    priors: Mapping[str, Prior],
) -> Group:
    assert work.group is not None
    parts = scales(design).factors[factor.name]
    q, levels = len(factor.terms), len(factor.levels)
    return group_of(
        factor,
        "mu",
        work.group,
        priors,
        parts,
        work.at,
        np.ones(levels, dtype=bool) if factor.pooled else ranks(data) == q,
    )


def _residual_sd_within(data: _core.CrossProducts, free_rows: int, fallback: float) -> float:
    """Residual sd around each level's own least squares: where sigma starts without pooling."""
    rest = data.parts()[2]
    beyond = rest[-1, -1] - rest[-1, :-1] @ np.linalg.pinv(rest[:-1, :-1]) @ rest[:-1, -1]
    sd = float(np.sqrt(max(beyond, 0.0) / max(free_rows - len(rest) + 1, 1)))
    return sd if sd > 0 else fallback


def row_scale_of(design: Design) -> Array | None:
    """Factor that gives every row the same residual variance; of corners there is none."""
    if design.condensed is not None:
        own = design.condensed.precision
        return None if own is None else np.sqrt(own)
    if design.se is not None:
        return 1.0 / design.se
    return None if design.weights is None else np.sqrt(design.weights)


def _mean_precision(design: Design) -> float:
    if design.condensed is not None:
        return design.condensed.mean
    scale = row_scale_of(design)
    return float(np.mean(scale**2)) if scale is not None else 1.0


def least_squares(
    X: Array, y: Array, row_scale: Array | None, n_rows: int, *, known: bool
) -> tuple[Array, Array, float]:
    """Complete-pooling estimate, its standard errors, and the residual sd: where chains start.

    The rows stand for `n_rows`.
    """
    weight = np.ones(len(y)) if row_scale is None else row_scale
    if len(y) > TALL:
        A, target = _triangle(X, y, weight)
    else:
        A, target = X * weight[:, None], y * weight
    estimate = np.linalg.lstsq(A, target, rcond=None)[0]
    residual = target - A @ estimate
    sd = float(np.sqrt(np.sum(residual**2) / max(n_rows - X.shape[1], 1)))
    if known or sd <= 0 or not math.isfinite(sd):
        own = np.std(y) if len(y) == n_rows else np.sqrt(np.sum(target**2) / n_rows)
        sd = 1.0 if known else max(float(own), 1e-300)
    spread: Array = np.sqrt(np.diag(np.linalg.pinv(A.T @ A)))
    error: Array = np.maximum(sd * spread, 1e-300)
    return np.asarray(estimate, dtype=np.float64), error, sd


def _triangle(X: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Rotate weighted rows into few that have the same least squares, some at a time."""
    parts = []
    for first in range(0, len(y), SHARE):
        some = slice(first, first + SHARE)
        rows = np.column_stack([X[some], y[some]]) * weight[some][:, None]
        parts.append(np.linalg.qr(rows, mode="r"))
    R: Array = np.asarray(np.linalg.qr(np.vstack(parts), mode="r"))
    return R[:, :-1], R[:, -1]


def coefficient_specs(
    sampled: list[int], at: Coordinates, estimate: Array, error: Array
) -> list[Scalar]:
    """Specify the coefficients that are sampled, on the scale of their priors."""
    start, unit = at.unit * estimate + at.shift, at.unit * error
    specs = []
    for k in sampled:
        prior = at.priors[k]
        low, high = prior.support
        specs.append(Scalar(prior.kernel(), low, high, unit=float(unit[k]), start=float(start[k])))
    return specs


def integrable_population(
    at: Coordinates, order: list[int], n_sampled: int, rows: Array
) -> Integrable:
    """Tell what integrates the population coefficients out, given their prior rows."""
    written = np.column_stack([at.back[:, order], at.level * at.ones])
    return Integrable(len(order) - n_sampled, rows, written)


def prior_rows(at: Coordinates, order: list[int]) -> tuple[Array, float]:
    """Normal priors as rows of [X y] with unit variance; returns their cross-product.

    The second value is the log of their normalising constants.
    """
    rows, constant = np.zeros((len(order) + 1, len(order) + 1)), 0.0
    for place, k in enumerate(order):
        prior = at.priors[k]
        if not isinstance(prior, Normal):
            continue
        rows[place, place] = at.unit[k] / prior.sd
        rows[place, -1] = (prior.mean - at.shift[k]) / prior.sd
        constant -= 0.5 * LOG_2PI + math.log(prior.sd)
    return rows.T @ rows, constant


def log_constant(design: Design, at: Coordinates, integrated: list[int]) -> float:
    """Give the part of the log marginal density that no parameter enters."""
    constant = -0.5 * design.n_rows * LOG_2PI + 0.5 * len(integrated) * LOG_2PI
    constant += float(np.sum(np.log(at.unit[integrated]))) + at.log_measure
    return constant + log_row_scale(design)


def log_row_scale(design: Design) -> float:
    """Log density of the rows less that of the scaled rows: sum of the logs of their factors."""
    if design.condensed is not None:
        return 0.5 * design.condensed.logs
    scale = row_scale_of(design)
    return 0.0 if scale is None else float(np.sum(np.log(scale)))


def _sd_specs(
    design: Design,
    work: WorkingGroup | None,
    priors: Mapping[str, Prior],
    residual_sd: float,
) -> Sequence[Scalar | float]:
    """Specify the sds of the group coefficients, known ones by their value."""
    if work is None:
        return []
    if work.known_sd is not None:
        return [float(sd) for sd in work.known_sd]
    factor = design.factors[0]
    return group_sd_specs(
        factor, factor.name, work, priors, resolution(factor, design, residual_sd)
    )


def resolution(factor: GroupFactor, design: Design, residual_sd: float) -> float:
    """Give a scale below which the sd of a factor can hardly be told from 0."""
    n = float(np.mean(factor.counts)) * _mean_precision(design)
    return float(residual_sd / math.sqrt(n) / len(factor.levels) ** 0.25)
