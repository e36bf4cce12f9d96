"""The model: design + priors → the density that the core samples, with names for its parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError
from partialpool.model.defaults import (
    INTERCEPT,
    bounds,
    column_sd,
    pair_label,
    pairs,
    resolve_priors,
)
from partialpool.model.priors import LKJ, Flat, Normal, NormalAtMean, Prior
from partialpool.model.standardise import Standardisation

Array = NDArray[np.float64]
# One sampled scalar as the core takes it: (kernel, low, high, unit, start, signed).
ScalarSpec = tuple[tuple[str, list[float]], float, float, float, float, bool]

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Group:
    """What the posterior needs to know of a grouping factor (the rows are gone)."""

    name: str
    terms: tuple[str, ...]
    levels: NDArray[np.generic]
    counts: NDArray[np.int64]
    T: Array
    pairs: tuple[tuple[int, int], ...]

    @property
    def pair_labels(self) -> list[str]:
        """Labels of the correlations, as in ``Intercept,floor``."""
        return [f"{self.terms[i]},{self.terms[j]}" for i, j in self.pairs]


@dataclass(frozen=True)
class Model:
    """A Gaussian model ready to be sampled.

    Attributes
    ----------
    priors : dict
        The prior of every parameter, by name.
    order : tuple of int
        Population columns in the order of the core: integrated ones, then sampled ones.
    data : _core.CrossProducts
        The rows, reduced to what the likelihood needs.
    core : _core.Marginal or None
        The density; None in a fit that was loaded from a file.
    """

    formula: str
    response: str
    family: str
    pooling: str
    columns: tuple[str, ...]
    group: Group | None
    priors: Mapping[str, Prior]
    standardisation: Standardisation
    order: tuple[int, ...]
    known_errors: bool
    n_rows: int
    data: _core.CrossProducts
    core: _core.Marginal | None

    @property
    def implied_intercept_prior(self) -> Normal | None:
        """Prior of the actual intercept when its own is set at the mean of the predictors.

        None where it is set otherwise, or where a slope's prior is not normal.
        """
        if not isinstance(self.priors.get(f"b[{INTERCEPT}]"), NormalAtMean):
            return None
        mean, variance = 0.0, 0.0
        for name, centre in zip(self.columns, self.standardisation.centre, strict=True):
            prior = self.priors[f"b[{name}]"]
            if not isinstance(prior, Normal):
                return None
            factor = 1.0 if name == INTERCEPT else -float(centre)
            mean += factor * prior.mean
            variance += (factor * prior.sd) ** 2
        return Normal(mean, math.sqrt(variance))

    def __repr__(self) -> str:
        group = f", {self.group.name}: {len(self.group.levels)} levels" if self.group else ""
        return f"Model({self.formula!r}, {self.pooling} pooling{group})"


def build_model(
    design: Design, priors: Mapping[str, Prior | str] | None = None, pooling: str = "partial"
) -> Model:
    """Build the density of a Gaussian model with at most one grouping factor.

    Parameters
    ----------
    design : Design
        Response and columns.
    priors : mapping, optional
        User priors by parameter name; defaults for the rest.
    pooling : {"partial"}
        How group coefficients relate.

    Raises
    ------
    InputError
        If priors do not fit the model, or a group term is too far from 0 to compute with.
    """
    resolved = resolve_priors(priors, design)
    factor = design.factors[0] if design.factors else None
    y = design.y if design.offset is None else design.y - design.offset
    standard = Standardisation.of(design.columns, design.X, y)
    X = standard.working(design.X)
    y = y - standard.y_centre
    row_scale = _row_scale(design)
    estimate, error, residual_sd = _least_squares(X, y, row_scale, known=design.se is not None)
    sampled = _sampled_columns(design.columns, resolved, standard)
    order = [k for k in range(len(design.columns)) if k not in sampled] + sampled

    if factor is None:
        Z, unscale = np.empty((len(y), 0)), np.empty((0, 0))
        codes, n_levels = np.empty(0, dtype=np.int64), 0
    else:
        Z, unscale = _working_group_columns(factor)
        codes, n_levels = factor.codes, len(factor.levels)
    xy = np.column_stack([X[:, order], y])
    data = _core.CrossProducts(Z, xy, codes, n_levels, unscale, row_scale)

    lkj_eta, correlations = _correlation_prior(factor, resolved)
    rows, constant = _prior_rows(design.columns, resolved, standard, order)
    constant += _constant(design, standard, order[: len(order) - len(sampled)])
    sampled_map, shift = _sampled_map(sampled, standard)
    core = _core.Marginal(
        data,
        _sd_specs(factor, resolved, residual_sd),
        list(factor.blocks) if factor else [],
        lkj_eta,
        correlations,
        _sigma_spec(design, resolved, residual_sd),
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
        pooling=pooling,
        columns=design.columns,
        group=None if factor is None else _group(factor),
        priors=resolved,
        standardisation=standard,
        order=tuple(order),
        known_errors=design.se is not None,
        n_rows=len(y),
        data=data,
        core=core,
    )


def _group(factor: GroupFactor) -> Group:
    return Group(
        factor.name, factor.terms, factor.levels, factor.counts, factor.T, tuple(pairs(factor))
    )


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


def _prior_rows(
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
    if design.se is not None:
        constant -= float(np.sum(np.log(design.se)))
    if design.weights is not None:
        constant += 0.5 * float(np.sum(np.log(design.weights)))
    return constant


def _working_group_columns(factor: GroupFactor) -> tuple[Array, Array]:
    """Shift and scale Z for an accurate reduction; the second matrix undoes it exactly."""
    q = len(factor.terms)
    scale = np.array([column_sd(factor.Z[:, k]) for k in range(q)])
    unscale = np.diag(scale)
    centre = np.zeros(q)
    if q > 1 and factor.terms[0] == INTERCEPT:
        centre[1:] = factor.Z[0, 1:] + np.mean(factor.Z[:, 1:] - factor.Z[0, 1:], axis=0)
        scale[0], unscale[0, 0] = 1.0, 1.0
        unscale[0, 1:] = centre[1:]
        far = np.abs(centre) > 1e6 * scale
        if far.any():
            term = factor.terms[int(np.argmax(far))]
            raise InputError(
                f"`{term}` lies very far from 0 ({centre[far][0]:.3g}, sd {scale[far][0]:.3g}), "
                f"and the intercepts of `{factor.name}` refer to 0",
                where=f"group term of `{factor.name}`",
                remedy=f"subtract its mean first, as in center({term})",
            )
    return np.ascontiguousarray((factor.Z - centre) / scale), unscale


def _sd_specs(
    factor: GroupFactor | None, priors: Mapping[str, Prior], residual_sd: float
) -> list[tuple[ScalarSpec | None, float]]:
    """Specify the sds of the group coefficients.

    They may pass through 0 (with a sign) where the prior has mass there: then the density has no
    long tail in the sampler's coordinates when data say little about the sd.
    """
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
        kernel, low, high, _, start, _ = _scale_spec(name, priors[name], unit)
        signed = low == 0 and _has_mass_at_zero(kernel) and not elementwise
        specs.append(((kernel, low, high, unit, start, signed), 0.0))
    return specs


def _has_mass_at_zero(kernel: tuple[str, list[float]]) -> bool:
    """Whether the density at 0 is finite and positive."""
    name, numbers = kernel
    return name in ("flat", "normal", "student_t") or (name == "gamma" and numbers[0] == 1.0)


def _sigma_spec(
    design: Design, priors: Mapping[str, Prior], residual_sd: float
) -> tuple[ScalarSpec | None, float]:
    if design.se is not None:
        return None, 1.0
    return _scale_spec("sigma", priors["sigma"], residual_sd), 0.0


def _scale_spec(name: str, prior: Prior, guess: float) -> ScalarSpec:
    low, high = bounds(name, prior)
    inside = low < guess < high
    start = guess if inside else (low + (high - low) / 2 if math.isfinite(high) else low + guess)
    return (prior.kernel(), low, high, guess, start, False)


def _correlation_prior(
    factor: GroupFactor | None, priors: Mapping[str, Prior]
) -> tuple[float, list[tuple[tuple[str, list[float]], float, float]] | None]:
    """Give the LKJ parameter, or a prior for each correlation."""
    if factor is None or not pairs(factor):
        return 1.0, None
    whole = priors.get(f"cor_{factor.name}")
    if isinstance(whole, LKJ):
        return whole.eta, None
    elements = []
    for pair in pairs(factor):
        name = f"cor_{factor.name}[{pair_label(factor, pair)}]"
        elements.append((priors[name].kernel(), *bounds(name, priors[name])))
    return 1.0, elements
