"""A model of any family: the joint density of all parameters, for NUTS (see src/general/)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.design import Design, GroupFactor
from partialpool.errors import NotYetError
from partialpool.model.defaults import (
    INTERCEPT,
    Predictor,
    Scales,
    bounds,
    column_sd,
    group_name,
    pairs,
    predictors,
    resolve_priors,
    scales,
)
from partialpool.model.groupwork import ranks
from partialpool.model.layout import Layout, Slices
from partialpool.model.model import Group, Model
from partialpool.model.pooling import Pooled
from partialpool.model.priors import Kernel, Normal, NormalAtMean, Prior
from partialpool.model.scalars import ScalarSpec, correlation_prior, scale_spec, sd_spec
from partialpool.model.standardise import Standardisation

Array = NDArray[np.float64]
RowSpec = tuple[Kernel, list[float], float]


def build_general(pooled: Pooled, priors: Mapping[str, Prior | str] | None = None) -> Model:
    """Build the joint density of a model of any family, with any number of grouping factors.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    priors : mapping, optional
        User priors by parameter name; defaults for the rest.

    Raises
    ------
    InputError
        If priors do not fit the model.
    """
    design, family = pooled.design, pooled.family
    resolved, scale = resolve_priors(priors, design, family), scales(design, family)
    y, total_offset = design.y, design.total_offset
    thresholds = bool(design.categories)
    order = _row_order(design)
    parts, slices, groups = [], [], []
    position = 0
    located = family.name in ("gaussian", "student_t")
    for predictor in predictors(design):
        main = predictor.name == "mu"
        shift = y if total_offset is None else y - total_offset
        standard = Standardisation.of(
            predictor.columns,
            predictor.X,
            shift if main and located else np.zeros(len(y)),
            absorbed=thresholds or _absorbs(predictor.factors, resolved),
        )
        builder = _Builder(predictor, standard, resolved, design, scale, order)
        parts.append(builder.part(total_offset if main else None))
        groups += builder.groups()
        found, position = builder.slices(position)
        slices.append(found)
    if design.se is not None:
        parts.append(_known_errors(np.log(design.se)[order]))
    dispersion = tuple(d.name for d in family.dispersion if d.name in resolved)
    n_values = len(design.categories) - 1 if thresholds else len(dispersion)
    values = slice(position, position + n_values)
    slices, size = _place_effects(slices, groups, values.stop)
    start = family.start(y, design.trials)
    core = _core.General(
        family.name,
        pooled.link,
        np.ascontiguousarray((y - slices[0].standardisation.y_centre)[order]),
        None if design.trials is None else np.ascontiguousarray(design.trials[order]),
        None if design.weights is None else np.ascontiguousarray(design.weights[order]),
        parts,
        [scale_spec(name, resolved[name], _start_of(name, start, scale)) for name in dispersion],
        _thresholds(design, resolved, slices[0].standardisation) if thresholds else None,
    )
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family=family.name,
        link=pooled.link,
        pooling=pooled.pooling,
        columns=design.columns,
        groups=tuple(groups),
        priors=resolved,
        standardisation=slices[0].standardisation,
        known_errors=design.se is not None,
        n_rows=len(y),
        reduced=None,
        core=core,
        layout=Layout(tuple(slices), dispersion, values, thresholds, size),
        categories=design.categories,
        sigma_formula="" if design.sigma is None else design.sigma.terms.formula,
        recipe=design.recipe,
    )


def _row_order(design: Design) -> NDArray[np.int64]:
    """Rows of a level side by side: the core reads and adds to memory that is near."""
    if not design.factors:
        return np.arange(design.n_rows)
    largest = max(design.factors, key=lambda factor: len(factor.levels) * len(factor.terms))
    return np.argsort(largest.codes, kind="stable")


def _absorbs(factors: tuple[GroupFactor, ...], priors: Mapping[str, Prior]) -> bool:
    """Whether levels without pooling have intercepts with priors at the mean of the predictors."""
    return any(
        isinstance(priors.get(f"coef_{factor.name}[{INTERCEPT}]"), NormalAtMean)
        for factor in factors
        if not factor.pooled
    )


def _known_errors(log_error: Array) -> _core.Part:
    """A predictor of log sigma that is known."""
    nothing = np.empty((0, 0))
    X = np.empty((len(log_error), 0))
    return _core.Part(X, log_error, [], [], nothing, nothing, [], [], [])


def _start_of(name: str, start: Mapping[str, float], scale: Scales) -> float:
    found = float(start.get(name, math.nan))
    return found if math.isfinite(found) and found > 0 else scale.y_sd


def _place_effects(
    slices: list[Slices], groups: list[Group], first: int
) -> tuple[list[Slices], int]:
    """Group coefficients stand at the end of a row of output."""
    placed = []
    for predictor in slices:
        ends = []
        for group in groups:
            if group.predictor == predictor.name:
                last = first + len(group.levels) * len(group.terms)
                ends.append(slice(first, last))
                first = last
        placed.append(replace(predictor, r=tuple(ends)))
    return placed, first


@dataclass(frozen=True)
class _Builder:
    """What one linear predictor becomes in the core."""

    predictor: Predictor
    standard: Standardisation
    priors: Mapping[str, Prior]
    design: Design
    scale: Scales
    order: NDArray[np.int64]

    @property
    def own_intercept(self) -> bool:
        """Whether the core has an intercept that stands for minus the first threshold."""
        return bool(self.design.categories) and self.predictor.name == "mu"

    @property
    def names(self) -> list[str]:
        prefix = self.predictor.prefix
        return [f"{prefix}[{column}]" for column in self.predictor.columns]

    @property
    def bounded(self) -> list[bool]:
        """Columns whose coefficients have bounds."""
        limits = [bounds(name, self.priors[name]) for name in self.names]
        return [math.isfinite(low) or math.isfinite(high) for low, high in limits]

    def part(self, offset: Array | None) -> _core.Part:
        """Columns, priors and factors for the core."""
        X = self.standard.working(self.predictor.X)[self.order]
        p, extra = X.shape[1], int(self.own_intercept)
        if extra:
            X = np.column_stack([np.ones(len(X)), X])
        map_, shift = self._map()
        specs: list[ScalarSpec | None] = [None] * extra
        rows: list[RowSpec] = []
        start = np.zeros(p + extra)
        if self.standard.intercept is not None:
            at = self.standard.intercept
            centre = self.scale.centre[self.predictor.name]
            start[at] = centre - self.standard.y_centre
        if extra:
            start[0] = -_first_threshold(self.design)
        for k, (name, has_bounds) in enumerate(zip(self.names, self.bounded, strict=True)):
            prior = self.priors[name]
            row = np.zeros(p + extra)
            value = 0.0
            if k == self.standard.intercept:
                value = self.standard.y_centre
                if isinstance(prior, NormalAtMean):
                    row[k] = 1.0
                else:
                    row[:] = self.standard.intercept_row()
            else:
                row[k + extra] = 1.0 / self.standard.scale[k]
            if not has_bounds:
                specs.append(None)
                rows.append((prior.kernel(), row.tolist(), value))
                continue
            # The core's start follows from bounds; unit and guess matter little.
            typical, spread = prior.typical
            low, high = bounds(name, prior)
            guess = typical if math.isfinite(typical) else 0.0
            unit = spread if math.isfinite(spread) else 1.0
            specs.append((prior.kernel(), low, high, unit, guess, False))
            start += _place(guess, row, k + extra)
        return _core.Part(
            np.ascontiguousarray(X),
            None if offset is None else np.ascontiguousarray(offset[self.order]),
            start.tolist(),
            specs,
            map_,
            np.ascontiguousarray(np.linalg.inv(map_)),
            shift.tolist(),
            rows,
            [
                self._factor(factor, group)
                for factor, group in zip(self.predictor.factors, self.groups(), strict=True)
            ],
        )

    def _map(self) -> tuple[Array, Array]:
        """Affine map from what is sampled (b where it has bounds, else c) to c."""
        p, extra = len(self.names), int(self.own_intercept)
        matrix, shift = np.eye(p + extra), np.zeros(p + extra)
        standard, bounded = self.standard, self.bounded
        for k in range(p):
            if bounded[k] and k != standard.intercept:
                matrix[k + extra, k + extra] = standard.scale[k]
        at = standard.intercept
        if at is not None and bounded[at]:
            unit = np.where(bounded, 1.0, standard.scale)
            matrix[at] = standard.centre / unit
            matrix[at, at] = 1.0
            shift[at] = -standard.y_centre
        return matrix, shift

    def _twin(self, factor: GroupFactor) -> Array | None:
        """Shift of c that a shift of all levels is like, where several factors have one."""
        if len(self.predictor.factors) < 2 or any(self.bounded) or not factor.pooled:
            return None
        T, p = factor.T, len(self.names)
        to_c = (self.standard.to_working(np.eye(p)) - self.standard.to_working(np.zeros(p))).T
        if self.own_intercept:
            # Thresholds take up a shift of the levels' intercepts.
            own = np.array([[float(term == INTERCEPT)] for term in factor.terms])
            T = np.hstack([own, T])
            to_c = np.vstack([np.append(1.0, self.standard.centre), np.eye(p + 1)[1:]])
            to_c[1:, 1:] *= self.standard.scale[:, None]
        if T.shape[1] == 0 or np.linalg.matrix_rank(T) < len(factor.terms):
            return None
        return np.ascontiguousarray(to_c @ np.linalg.pinv(T))

    def _factor(self, factor: GroupFactor, group: Group) -> _core.Factor:
        place = (
            np.ascontiguousarray(factor.codes[self.order]),
            np.ascontiguousarray(factor.Z[self.order]),
            len(factor.levels),
        )
        if not factor.pooled:
            return self._unpooled(factor, place)
        unit = self.scale.unit[self.predictor.name]
        eta, elementwise = correlation_prior(group, self.priors)
        sds = [
            sd_spec(
                label,
                self.priors[label],
                0.5 * unit / column_sd(factor.Z[:, k]),
                signed=elementwise is None,
            )
            for k, label in enumerate(group.sd_labels)
        ]
        return _core.Factor.hierarchical(
            *place, sds, list(factor.blocks), eta, elementwise, self._twin(factor)
        )

    def _unpooled(
        self, factor: GroupFactor, place: tuple[NDArray[np.int64], Array, int]
    ) -> _core.Factor:
        normal = self._normal(factor)
        if normal is not None:
            mean, sd, back = normal
            root = np.ascontiguousarray(back * sd)
            return _core.Factor.normal(*place, root, (back @ mean).tolist())
        own = self._own_priors(factor)
        y_sd = self.scale.y_sd
        specs: list[ScalarSpec] = []
        for k, prior in enumerate(own):
            low, high = prior.support
            typical, spread = prior.typical
            natural = y_sd / column_sd(factor.Z[:, k])
            unit = min(spread, 10.0 * natural)
            guess = typical if low < typical < high else 0.0
            specs.append((prior.kernel(), low, high, unit, guess, False))
        return _core.Factor.separate(*place, specs)

    def _own_priors(self, factor: GroupFactor) -> list[Prior]:
        return [self.priors[f"coef_{factor.name}[{term}]"] for term in factor.terms]

    def _normal(self, factor: GroupFactor) -> tuple[Array, Array, Array] | None:
        """Give mean, sd and `back`: without pooling, coefficients are ``back N(mean, sd²)``.

        None where their priors are not all normal. Intercepts of the levels leave the population
        without one, so the response is not centred where they are.
        """
        own = self._own_priors(factor)
        if not all(isinstance(prior, Normal) for prior in own):
            return None
        mean = np.array([prior.typical[0] for prior in own])
        sd = np.array([prior.typical[1] for prior in own])
        unscale = np.eye(len(own))
        if isinstance(own[0], NormalAtMean):
            # Independent where the other group columns are at their means.
            unscale[0, 1:] = factor.Z[:, 1:].mean(axis=0)
        return mean, sd, np.asarray(np.linalg.inv(unscale), dtype=np.float64)

    def groups(self) -> list[Group]:
        """What the posterior needs to know of each factor: ``coef = T b + r``."""
        found = []
        for factor in self.predictor.factors:
            q, own = len(factor.terms), not factor.pooled
            T = factor.T
            fixed = (np.zeros(q), np.full(q, np.nan), np.eye(q))
            if own:
                fixed = self._normal(factor) or fixed
                T = np.zeros((q, len(self.names)))
                if self.standard.intercept is None and factor.terms[0] == INTERCEPT:
                    # Intercepts refer to 0, the shared columns were shifted to their means.
                    T[0] = -self.standard.centre
            found.append(
                Group(
                    name=group_name(self.predictor.name, factor),
                    factor=factor.name,
                    terms=factor.terms,
                    levels=factor.levels,
                    counts=factor.counts,
                    T=T,
                    pairs=() if own else tuple(pairs(factor)),
                    base=fixed[2] @ fixed[0],
                    back=fixed[2],
                    estimable=_estimable(factor) if own else np.ones(len(factor.levels), bool),
                    known_sd=fixed[1] if own else None,
                    predictor=self.predictor.name,
                )
            )
        return found

    def slices(self, first: int) -> tuple[Slices, int]:
        """Lay out this predictor's part of a row of output, which begins at `first`."""
        last = first + len(self.names) + int(self.own_intercept)
        c, sd, cor = slice(first, last), [], []
        for factor in self.predictor.factors:
            q = len(factor.terms) if factor.pooled else 0
            n_cor = len(pairs(factor)) if factor.pooled else 0
            sd.append(slice(last, last + q))
            cor.append(slice(last + q, last + q + n_cor))
            last += q + n_cor
        found = Slices(
            self.predictor.name,
            self.predictor.columns,
            self.standard,
            c,
            tuple(sd),
            tuple(cor),
            (),
        )
        return found, last


def _place(guess: float, row: Array, k: int) -> Array:
    """Give the working coefficient that has this value of b."""
    start = np.zeros(len(row))
    start[k] = guess / row[k]
    return start


def _estimable(factor: GroupFactor) -> NDArray[np.bool_]:
    """Whether the rows of each level determine its coefficients."""
    q, levels = len(factor.terms), len(factor.levels)
    data = _core.CrossProducts(
        np.ascontiguousarray(factor.Z), np.ones((len(factor.Z), 1)), factor.codes, levels, np.eye(q)
    )
    return np.asarray(ranks(data) == q)


def _first_threshold(design: Design) -> float:
    return float(_empirical_thresholds(design)[0])


def _empirical_thresholds(design: Design) -> Array:
    """Logits of the cumulative shares: where thresholds start."""
    counts = np.bincount(design.y.astype(np.int64), minlength=len(design.categories))
    below = (np.cumsum(counts)[:-1] + 0.5) / (counts.sum() + 1.0)
    return np.asarray(np.log(below / (1 - below)))


def _thresholds(
    design: Design, priors: Mapping[str, Prior], standard: Standardisation
) -> tuple[list[float], list[RowSpec]]:
    """Increments from one threshold to the next, and the thresholds' priors as rows over c."""
    start = _empirical_thresholds(design)
    rows: list[RowSpec] = []
    for k in range(len(start)):
        name = f"threshold[{k + 1}]"
        prior = priors[name]
        low, high = prior.support
        if math.isfinite(low) or math.isfinite(high):
            raise NotYetError(
                f"the prior {prior} on `{name}` has bounds",
                remedy="thresholds take priors over all numbers, such as normal or student_t",
            )
        row = np.append(-1.0, np.zeros(len(standard.centre)))
        if not isinstance(prior, NormalAtMean):
            row[1:] = standard.centre / standard.scale
        rows.append((prior.kernel(), row.tolist(), 0.0))
    return np.diff(start).tolist(), rows
