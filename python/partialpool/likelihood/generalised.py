"""The likelihood of any model, without priors, whose levels do not integrate out in closed form.

Group coefficients are integrated out by Laplace's formula, or by adaptive Gauss-Hermite quadrature
where a single factor has one or two coefficients a level; b, dispersion parameters and covariances
are all at their maximum, as in lme4's ``glmer`` and in glmmTMB. The integral and its slopes are in
the core (``src/laplace/``); here are its rows, and the coordinates of a search.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool import _core, called
from partialpool.arrays import Array
from partialpool.likelihood.criterion import flat_priors
from partialpool.model.coordinates import Coordinates
from partialpool.model.defaults import resolve_priors
from partialpool.model.general import (
    PredictorBuilder,
    empirical_thresholds,
    start_of,
    working_rows,
)
from partialpool.model.model import Group, Model
from partialpool.model.pooling import Pooled
from partialpool.model.scales import Scales, predictors, scales
from partialpool.priors import Prior


class Predicted(Struct, frozen=True):
    """The coefficients of one linear predictor among all of them.

    Attributes
    ----------
    name : {"mu", "sigma"}
    labels : list of str
        Full names of the coefficients.
    at : Coordinates
        Their working coordinates.
    place : slice
        Where working coefficients stand.
    """

    name: str
    labels: list[str]
    at: Coordinates
    place: slice


class Generalised(Struct, frozen=True, dict=True):
    """A model of any family whose priors are all flat, with the rows in the core.

    A search walks over one vector: working coefficients c in units of their predictor, the entries
    of the lower triangular factors Λ of the covariances (in units of their columns), and the
    dispersion on the whole real line.

    Attributes
    ----------
    predicted : tuple of Predicted
        The mean, and log sigma where it has a formula.
    sizes : (n_c,) array
        Units of the working coefficients.
    units : tuple of (q,) arrays
        Of each factor: sizes of its columns over the unit of the predictor, in whose inverse sds
        are measured.
    blocks : tuple
        Of each factor: runs of columns whose coefficients correlate or not.
    ends : tuple of (float, float)
        Of each dispersion parameter; thresholds have none.
    thresholds : int
        How many there are.
    n_c : int
        Working coefficients, with minus the first threshold before them where there are some.
    constant : float
        What the log likelihood of the rows in the core lacks.
    start : array
        Where the search begins.
    quadrature : int
        Nodes for each coefficient of a level; a single one is Laplace's formula.
    """

    model: Model
    core: _core.Laplace
    predicted: tuple[Predicted, ...]
    sizes: Array
    units: tuple[Array, ...]
    blocks: tuple[tuple[tuple[int, int, bool], ...], ...]
    ends: tuple[tuple[float, float], ...]
    thresholds: int
    n_c: int
    constant: float
    start: Array
    quadrature: int

    @cached_property
    def entries(self) -> tuple[tuple[int, int, int], ...]:
        """(factor, row, column) of the free entries of Λ."""
        return tuple(
            (k, i, j)
            for k, blocks in enumerate(self.blocks)
            for first, last, tied in blocks
            for i in range(first, last)
            for j in range(first, last)
            if j == i or (tied and j < i)
        )

    @cached_property
    def names(self) -> list[str]:
        """What the coordinates of the search are about, parameter by parameter."""
        first = [called.threshold(1)] * (self.n_c - sum(len(one.labels) for one in self.predicted))
        found = first + [label for one in self.predicted for label in one.labels]
        for k, i, j in self.entries:
            group = self.model.groups[k]
            both = called.pair(group.terms[j], group.terms[i])
            found.append(group.sd_labels[i] if i == j else called.cor(group.name, both))
        if self.thresholds:
            return [*found, *(called.threshold(k + 2) for k in range(self.thresholds - 1))]
        return [
            *found,
            *(d.name for d in self.model.family.dispersion if d.name in self.model.priors),
        ]

    def coefficients(self, v: Array) -> Array:
        """Working coefficients of all predictors."""
        return v[: self.n_c] * self.sizes

    def factors(self, v: Array) -> list[Array]:
        """Λ of each factor."""
        found = [np.zeros((len(unit), len(unit))) for unit in self.units]
        values = v[self.n_c : self.n_c + len(self.entries)]
        for (k, i, j), value in zip(self.entries, values, strict=True):
            found[k][i, j] = value / self.units[k][i]
        return found

    def aux(self, v: Array) -> tuple[Array, Array]:
        """Dispersion parameters or thresholds, as the core takes them, and their Jacobian by v."""
        u = v[self.n_c + len(self.entries) :]
        if self.thresholds:
            steps = np.exp(u)
            values = np.concatenate([[0.0], np.cumsum(steps)])
            jacobian = np.tril(np.ones((len(values), len(u))), -1) * steps
            return values, jacobian
        values, slopes = np.empty(len(u)), np.empty(len(u))
        for k, (low, high) in enumerate(self.ends):
            if math.isinf(high):
                values[k], slopes[k] = low + math.exp(u[k]), math.exp(u[k])
            else:
                share = 1 / (1 + math.exp(-u[k]))
                values[k] = low + (high - low) * share
                slopes[k] = (high - low) * share * (1 - share)
        return values, np.diag(slopes)


def build_generalised(pooled: Pooled, quadrature: int = 1) -> Generalised:
    """Build the likelihood of a model of any family.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    quadrature : int
        Nodes a level; 1 is Laplace's formula.
    """
    design, family = pooled.design, pooled.family
    priors = resolve_priors(flat_priors(pooled), design, family)
    scale = scales(design, family)
    rows, order = working_rows(design, family, scattered=False)
    level = _level(pooled, design.total_offset)
    parts, groups, predicted, units = [], [], [], []
    sizes: list[float] = []
    for predictor in predictors(design):
        main, unit = predictor.name == "mu", scale.unit[predictor.name]
        builder = PredictorBuilder(predictor, priors, design, scale, order, level if main else 0.0)
        part, first = builder.part(rows.rows.offset if main else None), len(sizes)
        sizes += [unit] * len(part.start)
        place = slice(first + int(builder.own_intercept), len(sizes))
        predicted.append(Predicted(predictor.name, predictor.labels, builder.work.at, place))
        units += [np.sqrt(np.mean(factor.Z**2, axis=0)) / unit for factor in predictor.factors]
        groups += builder.groups()
        parts.append(part)
    core = _core.Laplace(
        family=rows.density,
        link=pooled.link,
        y=rows.rows.y - predicted[0].at.level,
        trials=rows.rows.trials,
        weights=rows.rows.weights,
        part=parts[0],
        of_sigma=(parts[1], scale.sigma) if len(parts) > 1 else None,
    )
    dispersion = [one for one in family.dispersion if one.name in priors]
    of = Generalised(
        model=_model(pooled, priors, groups, predicted),
        core=core,
        predicted=tuple(predicted),
        sizes=np.array(sizes),
        units=tuple(units),
        blocks=tuple(factor.blocks for one in predictors(design) for factor in one.factors),
        ends=tuple((one.low, one.high) for one in dispersion),
        thresholds=max(len(design.categories) - 1, 0),
        n_c=len(sizes),
        constant=rows.constant,
        start=np.empty(0),
        quadrature=quadrature,
    )
    begin = np.concatenate([part.start for part in parts]) / of.sizes
    entries = [0.5 if i == j else 0.0 for _, i, j in of.entries]
    around = _dispersion(pooled, scale, [one.name for one in dispersion])
    return replace(of, start=np.concatenate([begin, entries, around]))


def _level(pooled: Pooled, offset: Array | None) -> float:
    """What is taken out of the responses where they lie around the linear predictor."""
    if pooled.family.averages != "linear":
        return 0.0
    y = pooled.design.y if offset is None else pooled.design.y - offset
    return float(y[0] + np.mean(y - y[0]))


def _dispersion(pooled: Pooled, scale: Scales, names: list[str]) -> list[float]:
    """Where dispersion parameters, or increments of thresholds, begin, on the whole real line."""
    design, family = pooled.design, pooled.family
    if design.categories:
        return list(np.log(np.diff(empirical_thresholds(design))))
    guess = family.start(design.y, design.trials)
    found = []
    for one in family.dispersion:
        if one.name not in names:
            continue
        value = start_of(one.name, guess, scale)
        if not one.low < value < one.high:
            value = one.low + (0.5 * (one.high - one.low) if math.isfinite(one.high) else 1.0)
        found.append(_unconstrained(value, one.low, one.high))
    return found


def _model(
    pooled: Pooled, priors: dict[str, Prior], groups: list[Group], predicted: list[Predicted]
) -> Model:
    design = pooled.design
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family=pooled.family,
        link=pooled.link,
        pooling=pooled.pooling,
        columns=design.columns,
        groups=tuple(groups),
        priors=priors,
        coordinates={one.name: one.at for one in predicted},
        known_errors=False,
        n_rows=design.n_rows,
        reduced=None,
        core=None,
        categories=design.categories,
        sigma_formula="" if design.sigma is None else design.sigma.terms.formula,
        plan=design.plan,
    )


def _unconstrained(value: float, low: float, high: float) -> float:
    if math.isinf(high):
        return math.log(value - low)
    share = (value - low) / (high - low)
    return math.log(share / (1 - share))
