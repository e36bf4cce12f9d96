"""A Gaussian model with one grouping factor: rows reduced, priors as the core takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.design import Design, GroupFactor
from partialpool.errors import NotYetError
from partialpool.model.defaults import column_sd, pairs, resolve_priors
from partialpool.model.groupwork import WorkingGroup, ranks, working_group
from partialpool.model.model import Group, Model, Reduced
from partialpool.model.pooling import Pooled
from partialpool.model.priors import Flat, Normal, NormalAtMean, Prior
from partialpool.model.scalars import ScalarSpec, correlation_prior, scale_spec, sd_spec
from partialpool.model.standardise import Standardisation

Array = NDArray[np.float64]

LOG_2PI = math.log(2 * math.pi)


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
    X, y, columns, standard, row_scale, order, n_sampled = working_rows(design, resolved)
    known = design.se is not None
    estimate, error, residual_sd = _least_squares(X, y, row_scale, known=known)
    sampled = order[len(order) - n_sampled :]
    xy = np.column_stack([X[:, order], y])
    data = _core.CrossProducts(
        columns.Z, xy, columns.codes, columns.n_levels, columns.unscale, row_scale
    )
    group, free_rows = None, len(y)
    if factor is not None:
        group = _group(factor, columns, data, standard)
    if group is not None and group.known_sd is not None:
        free_rows -= int(ranks(data).sum())
        if not known:
            residual_sd = _residual_sd_within(data, free_rows, residual_sd)
    lkj_eta, correlations = correlation_prior(group, resolved)
    rows, constant = prior_rows(design.columns, resolved, standard, order)
    constant += _constant(design, standard, order[: len(order) - len(sampled)])
    sampled_map, shift = _sampled_map(sampled, standard)
    flat = group is not None and group.is_flat
    core = _core.Marginal(
        data.projected(free_rows) if flat else data,
        [] if flat else _sd_specs(factor, columns.known_sd, resolved, residual_sd),
        [] if flat or factor is None or not factor.pooled else list(factor.blocks),
        lkj_eta,
        correlations,
        _sigma_spec(known, resolved, residual_sd),
        _coefficient_specs(sampled, design.columns, resolved, standard, estimate, error),
        sampled_map,
        shift,
        rows,
        constant,
    )
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family="gaussian",
        link="identity",
        pooling=pooled.pooling,
        columns=design.columns,
        groups=() if group is None else (group,),
        priors=resolved,
        standardisation=standard,
        known_errors=known,
        n_rows=len(y),
        reduced=Reduced(data, tuple(order)),
        core=core,
        recipe=design.recipe,
    )


class WorkingRows(NamedTuple):
    """The rows of a Gaussian model with one factor as the core takes them.

    Attributes
    ----------
    X, y : arrays
        Working columns of the population, and what is left of the response beside them.
    columns : WorkingGroup
        Those of the group.
    row_scale : (n,) array or None
        Factor that gives every row the same residual variance.
    order : list of int
        Population columns in the order of the core: integrated ones, then sampled ones.
    n_sampled : int
        How many are sampled.
    """

    X: Array
    y: Array
    columns: WorkingGroup
    standard: Standardisation
    row_scale: Array | None
    order: list[int]
    n_sampled: int


def working_rows(design: Design, priors: Mapping[str, Prior]) -> WorkingRows:
    """Shift and scale the rows of a design, given the prior of every parameter."""
    factor = design.factors[0] if design.factors else None
    y = design.y if design.offset is None else design.y - design.offset
    columns = working_group(factor, priors, n_rows=len(y), y_mean=float(y[0] + np.mean(y - y[0])))
    standard = Standardisation.of(design.columns, design.X, y, absorbed=columns.absorbs)
    X = standard.working(design.X)
    y = y - standard.y_centre - columns.y_shift - columns.Z @ columns.mean
    sampled = _sampled_columns(design.columns, priors, standard)
    order = [k for k in range(len(design.columns)) if k not in sampled] + sampled
    return WorkingRows(X, y, columns, standard, _row_scale(design), order, len(sampled))


def _group(
    factor: GroupFactor,
    columns: WorkingGroup,
    data: _core.CrossProducts,
    standard: Standardisation,
) -> Group:
    q, own = len(factor.terms), not factor.pooled
    T, base = factor.T, columns.back @ columns.mean
    if own:
        base[0] += columns.y_shift
        T = np.zeros((q, len(standard.centre)))
        if columns.absorbs:
            # Intercepts refer to 0, the shared columns were shifted to their means.
            T[0] = -standard.centre
    return Group(
        name=factor.name,
        factor=factor.name,
        terms=factor.terms,
        levels=factor.levels,
        counts=factor.counts,
        T=T,
        pairs=() if own else tuple(pairs(factor)),
        base=base,
        back=columns.back,
        estimable=ranks(data) == q if own else np.ones(len(factor.levels), dtype=bool),
        known_sd=columns.known_sd,
        bounds=columns.bounds,
    )


def _residual_sd_within(data: _core.CrossProducts, free_rows: int, fallback: float) -> float:
    """Residual sd around each level's own least squares: where sigma starts without pooling."""
    rest = data.parts()[2]
    beyond = rest[-1, -1] - rest[-1, :-1] @ np.linalg.pinv(rest[:-1, :-1]) @ rest[:-1, -1]
    sd = float(np.sqrt(max(beyond, 0.0) / max(free_rows - len(rest) + 1, 1)))
    return sd if sd > 0 else fallback


def _row_scale(design: Design) -> Array | None:
    """Factor that gives every row the same residual variance."""
    if design.se is not None:
        return 1.0 / design.se
    return None if design.weights is None else np.sqrt(design.weights)


def _least_squares(
    X: Array, y: Array, row_scale: Array | None, *, known: bool
) -> tuple[Array, Array, float]:
    """Complete-pooling estimate, its standard errors, and the residual sd: where chains start."""
    weight = np.ones(len(y)) if row_scale is None else row_scale
    A, target = X * weight[:, None], y * weight
    estimate = np.linalg.lstsq(A, target, rcond=None)[0]
    residual = target - A @ estimate
    sd = float(np.sqrt(np.sum(residual**2) / max(len(y) - X.shape[1], 1)))
    if known or sd <= 0 or not math.isfinite(sd):
        sd = 1.0 if known else max(float(np.std(y)), 1e-300)
    spread: Array = np.sqrt(np.diag(np.linalg.pinv(A.T @ A)))
    error: Array = np.maximum(sd * spread, 1e-300)
    return np.asarray(estimate, dtype=np.float64), error, sd


def _sampled_columns(
    columns: tuple[str, ...], priors: Mapping[str, Prior], standard: Standardisation
) -> list[int]:
    """Columns whose coefficients cannot be integrated: a prior neither normal nor flat.

    Such a prior on the actual intercept involves every slope that moves it.
    """
    sampled = {
        k for k, name in enumerate(columns) if not isinstance(priors[f"b[{name}]"], (Normal, Flat))
    }
    if standard.intercept in sampled:
        sampled |= {k for k in range(len(columns)) if standard.centre[k] != 0}
    return sorted(sampled)


def _sampled_map(sampled: list[int], standard: Standardisation) -> tuple[Array, list[float]]:
    """Affine map from sampled coefficients b_S to working coefficients c_S."""
    matrix = np.diag(standard.scale[sampled])
    shift = np.zeros(len(sampled))
    if standard.intercept in sampled:
        row = sampled.index(standard.intercept)
        matrix[row] = standard.centre[sampled]
        matrix[row, row] = 1.0
        shift[row] = -standard.y_centre
    return matrix, shift.tolist()


def _coefficient_specs(
    sampled: list[int],
    columns: tuple[str, ...],
    priors: Mapping[str, Prior],
    standard: Standardisation,
    estimate: Array,
    error: Array,
) -> list[ScalarSpec]:
    start = standard.from_working(estimate)
    # An intercept moves with the slopes; its own error at the mean is unit enough.
    unit = error / standard.scale
    specs: list[ScalarSpec] = []
    for k in sampled:
        prior = priors[f"b[{columns[k]}]"]
        low, high = prior.support
        # Normal priors of slopes drawn along are already in the prior rows.
        kernel = ("flat", []) if isinstance(prior, Normal) else prior.kernel()
        specs.append((kernel, low, high, float(unit[k]), float(start[k]), False))
    return specs


def prior_rows(
    columns: tuple[str, ...],
    priors: Mapping[str, Prior],
    standard: Standardisation,
    order: list[int],
) -> tuple[Array, float]:
    """Normal priors as rows of [X y] with unit variance; returns their cross-product.

    The second value is the log of their normalising constants.
    """
    rows, constant = [np.zeros(len(columns) + 1)], 0.0
    for k, name in enumerate(columns):
        prior = priors[f"b[{name}]"]
        if not isinstance(prior, Normal):
            continue
        x, target = np.zeros(len(columns)), prior.mean
        if k != standard.intercept:
            x[k] = 1.0 / standard.scale[k]
        else:
            target -= standard.y_centre
            if isinstance(prior, NormalAtMean):
                x[k] = 1.0
            else:
                x = standard.intercept_row()
        rows.append(np.append(x[order], target) / prior.sd)
        constant -= 0.5 * LOG_2PI + math.log(prior.sd)
    stacked = np.array(rows)
    return stacked.T @ stacked, constant


def _constant(design: Design, standard: Standardisation, integrated: list[int]) -> float:
    """Give the part of the log marginal density that no parameter enters."""
    constant = -0.5 * len(design.y) * LOG_2PI + 0.5 * len(integrated) * LOG_2PI
    constant -= float(np.sum(np.log(standard.scale[integrated])))
    return constant + log_row_scale(design)


def log_row_scale(design: Design) -> float:
    """Log density of the rows less that of the scaled rows: sum of the logs of their factors."""
    scale = _row_scale(design)
    return 0.0 if scale is None else float(np.sum(np.log(scale)))


def _sd_specs(
    factor: GroupFactor | None,
    known_sd: Array | None,
    priors: Mapping[str, Prior],
    residual_sd: float,
) -> list[tuple[ScalarSpec | None, float]]:
    """Specify the sds of the group coefficients."""
    if known_sd is not None:
        return [(None, float(sd)) for sd in known_sd]
    if factor is None:
        return []
    # A scale below which an sd can hardly be told from 0.
    J, n = len(factor.levels), float(np.mean(factor.counts))
    resolution = residual_sd / math.sqrt(n) / J**0.25
    elementwise = any(name.startswith(f"cor_{factor.name}[") for name in priors)
    specs: list[tuple[ScalarSpec | None, float]] = []
    for k, term in enumerate(factor.terms):
        name = f"sd_{factor.name}[{term}]"
        unit = resolution / column_sd(factor.Z[:, k])
        specs.append((sd_spec(name, priors[name], unit, signed=not elementwise), 0.0))
    return specs


def _sigma_spec(
    known: bool, priors: Mapping[str, Prior], residual_sd: float
) -> tuple[ScalarSpec | None, float]:
    if known:
        return None, 1.0
    return scale_spec("sigma", priors["sigma"], residual_sd), 0.0
