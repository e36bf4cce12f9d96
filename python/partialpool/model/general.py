"""A model of any family: the joint density of all parameters, for NUTS (see src/general/)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core, called, limits
from partialpool.alike import Kinds, kinds_of
from partialpool.arrays import Array, Ints
from partialpool.columns import column_sd
from partialpool.design import Design, GroupFactor
from partialpool.errors import NotYetError
from partialpool.families import Family, Merged, Responses
from partialpool.model.coordinates import Coordinates, bounded
from partialpool.model.defaults import INTERCEPT, pairs, resolve_priors
from partialpool.model.groupwork import (
    WorkingGroup,
    WorkingPredictor,
    group_of,
    ranks,
    working_predictor,
)
from partialpool.model.layout import Layout, Slices
from partialpool.model.model import Group, Model
from partialpool.model.pooling import Pooled
from partialpool.model.scalars import (
    PriorRow,
    Scalar,
    correlation_prior,
    group_sd_specs,
    scale_spec,
)
from partialpool.model.scales import Predictor, Scales, predictors, scales
from partialpool.priors import NormalAtMean, Prior


def build_general(
    pooled: Pooled, priors: Mapping[str, Prior | str] | None = None, *, walked: bool = True
) -> Model:
    """Build the joint density of a model of any family, with any number of grouping factors.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    priors : mapping, optional
        User priors by parameter name; defaults for the rest.
    walked : bool
        Whether NUTS will walk on it: finding the coordinates for that takes some time.

    Raises
    ------
    InputError
        If priors do not fit the model.
    """
    design, family = pooled.design, pooled.family
    resolved, scale = resolve_priors(priors, design, family), scales(design, family)
    y = design.y
    thresholds = bool(design.categories)
    rows, order = working_rows(design, family)
    parts, slices, groups = [], [], []
    position = 0
    shift = y if design.total_offset is None else y - design.total_offset
    level = float(shift[0] + np.mean(shift - shift[0])) if family.averages == "linear" else 0.0
    for predictor in predictors(design):
        main = predictor.name == "mu"
        builder = PredictorBuilder(
            predictor, resolved, design, scale, order, level if main else 0.0
        )
        parts.append(builder.part(rows.rows.offset if main else None))
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
    main_at = slices[0].coordinates
    core = _core.General(
        family=rows.density,
        link=pooled.link,
        y=rows.rows.y - main_at.level,
        trials=rows.rows.trials,
        weights=rows.rows.weights,
        merged=rows.scatter,
        constant=rows.constant,
        parts=parts,
        dispersion=[
            scale_spec(name, resolved[name], start_of(name, start, scale)) for name in dispersion
        ],
        thresholds=_thresholds(design, resolved, main_at) if thresholds else None,
        walked=walked,
    )
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family=family,
        link=pooled.link,
        pooling=pooled.pooling,
        columns=design.columns,
        groups=tuple(groups),
        priors=resolved,
        coordinates={one.name: one.coordinates for one in slices},
        known_errors=design.se is not None,
        n_rows=len(y),
        reduced=None,
        core=core,
        layout=Layout(tuple(slices), dispersion, values, thresholds, size),
        categories=design.categories,
        sigma_formula="" if design.sigma is None else design.sigma.terms.formula,
        plan=design.plan,
    )


def working_rows(design: Design, family: Family, *, scattered: bool = True) -> tuple[Merged, Ints]:
    """Give the rows as the core has them, and which of the design these are, or stand for others.

    `scattered` says whether rows may be merged that need `Merged.scatter`. Rows of a level stand
    side by side: the core reads and adds to memory that is near.
    """
    given = Responses(design.y, design.trials, design.weights, design.total_offset)
    kinds = _kinds(design, family.shared(given))
    found = Merged(family.density, given) if kinds is None else family.merged(given, kinds)
    if found.scatter is not None and not scattered:
        kinds, found = None, Merged(family.density, given)
    first = np.arange(design.n_rows) if kinds is None else kinds.first
    if design.factors:
        largest = max(design.factors, key=lambda factor: len(factor.levels) * len(factor.terms))
        order = np.argsort(largest.codes[first], kind="stable")
    else:
        order = np.arange(len(first))
    return found.take(order), first[order]


def _kinds(design: Design, shared: list[Array] | None) -> Kinds | None:
    """Give the rows that can be merged, where there are so many that it pays."""
    factors = [factor for one in predictors(design) for factor in one.factors]
    most = limits.MERGED * design.n_rows
    if shared is None or any(len(factor.levels) > most for factor in factors):
        return None
    codes = [factor.codes for factor in factors]
    matrices = (*(one.X for one in predictors(design)), *(factor.Z for factor in factors))
    known = [] if design.se is None else [design.se]
    columns = [*shared, *known, *(column for matrix in matrices for column in matrix.T)]
    kinds = kinds_of([*codes, *(c for c in columns if np.ptp(c) > 0)], design.n_rows)
    return kinds if len(kinds) <= most else None


def _known_errors(log_error: Array) -> _core.Part:
    """A predictor of log sigma that is known."""
    nothing = np.empty((0, 0))
    return _core.Part(
        x=np.empty((len(log_error), 0)),
        offset=log_error,
        start=[],
        bounded=[],
        map=nothing,
        unmap=nothing,
        shift=[],
        priors=[],
        factors=[],
    )


def start_of(name: str, start: Mapping[str, float], scale: Scales) -> float:
    """Give the value at which a dispersion parameter starts."""
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


class PredictorBuilder(Struct, frozen=True, dict=True):
    """What one linear predictor becomes in the core."""

    predictor: Predictor
    priors: Mapping[str, Prior]
    design: Design
    scale: Scales
    order: NDArray[np.int64]
    level: float

    @property
    def own_intercept(self) -> bool:
        """Whether the core has an intercept that stands for minus the first threshold."""
        return bool(self.design.categories) and self.predictor.name == "mu"

    @cached_property
    def work(self) -> WorkingPredictor:
        """Its columns in working coordinates."""
        return working_predictor(
            self.predictor,
            self.priors,
            self.scale,
            level=self.level,
            thresholds=self.own_intercept,
        )

    def part(self, offset: Array | None) -> _core.Part:
        """Columns, priors and factors for the core."""
        at, extra = self.work.at, int(self.own_intercept)
        X = self.work.columns[self.order]
        p = X.shape[1] + extra
        if extra:
            X = np.column_stack([np.ones(len(X)), X])
        map_, shift = np.eye(p), np.zeros(p)
        specs: list[Scalar | None] = [None] * extra
        rows = []
        start = np.zeros(p)
        if extra:
            start[0] = -_first_threshold(self.design)
        elif at.ones.any():
            # The constant at its centre, whatever the coordinates.
            centre = self.scale.centre[self.predictor.name]
            start[:] = at.to_working(centre * at.ones)
        for k, prior in enumerate(at.priors):
            place = k + extra
            if not bounded(prior):
                row = np.zeros(p)
                row[place] = at.unit[k]
                specs.append(None)
                rows.append(PriorRow(prior.kernel(), row.tolist(), float(at.shift[k])))
                continue
            # The core's start follows from bounds; unit and guess matter little.
            map_[place, place] = 1 / at.unit[k]
            shift[place] = -at.shift[k] / at.unit[k]
            typical, spread = prior.typical
            guess = typical if math.isfinite(typical) else 0.0
            size = spread if math.isfinite(spread) else 1.0
            specs.append(Scalar(prior.kernel(), *prior.support, unit=size, start=guess))
            start[place] = (guess - at.shift[k]) / at.unit[k]
        return _core.Part(
            x=np.ascontiguousarray(X),
            offset=offset,
            start=start.tolist(),
            bounded=specs,
            map=map_,
            unmap=np.diag(1 / np.diagonal(map_)),
            shift=shift.tolist(),
            priors=rows,
            factors=[
                self._factor(factor, work, group)
                for factor, work, group in zip(
                    self.predictor.factors, self.work.factors, self.groups(), strict=True
                )
            ],
        )

    def _twin(self, factor: GroupFactor, work: WorkingGroup) -> Array | None:
        """Shift of c that a shift of all levels is like, where several factors have one."""
        at = self.work.at
        if len(self.predictor.factors) < 2 or any(map(bounded, at.priors)) or not factor.pooled:
            return None
        T, to_c = factor.T, at.forward
        if self.own_intercept:
            # Thresholds take up a shift of the levels' intercepts.
            own = np.array([[float(term == INTERCEPT)] for term in factor.terms])
            T = np.hstack([own, T])
            to_c = np.block([[np.ones((1, 1)), at.outer[:1]], [np.zeros((len(to_c), 1)), to_c]])
        if T.shape[1] == 0 or np.linalg.matrix_rank(T) < len(factor.terms):
            return None
        return np.ascontiguousarray(to_c @ np.linalg.pinv(T) @ work.back)

    def _factor(self, factor: GroupFactor, work: WorkingGroup, group: Group) -> _core.Factor:
        codes = np.ascontiguousarray(factor.codes[self.order])
        z = np.ascontiguousarray(work.columns[self.order])
        n_levels = len(factor.levels)
        if work.known_sd is not None and not np.isnan(work.known_sd).any():
            return _core.Factor.normal(
                codes=codes,
                z=z,
                n_levels=n_levels,
                factor=np.diag(work.known_sd),
                mean=work.mean.tolist(),
            )
        if not factor.pooled:
            specs = []
            for k, prior in enumerate(group.own):
                typical, spread = prior.typical
                natural = self.scale.y_sd / column_sd(work.columns[:, k])
                low, high = prior.support
                guess = typical if low < typical < high else 0.0
                unit = min(spread, 10 * natural)
                specs.append(Scalar(prior.kernel(), low, high, unit=unit, start=guess))
            return _core.Factor.separate(codes=codes, z=z, n_levels=n_levels, scalars=specs)
        eta, elementwise = correlation_prior(group, self.priors)
        size = 0.5 * self.scale.unit[self.predictor.name]
        sds = group_sd_specs(factor, group.name, work, self.priors, size)
        return _core.Factor.hierarchical(
            codes=codes,
            z=z,
            n_levels=n_levels,
            sd=sds,
            blocks=list(factor.blocks),
            lkj_eta=eta,
            correlations=elementwise,
            twin=self._twin(factor, work),
        )

    def groups(self) -> list[Group]:
        """What the posterior needs to know of each factor."""
        at, found = self.work.at, []
        for factor, work in zip(self.predictor.factors, self.work.factors, strict=True):
            apart = not factor.pooled
            parts = self.scale.factors[called.group(self.predictor.name, factor.name)]
            levels = len(factor.levels)
            found.append(
                group_of(
                    factor,
                    self.predictor.name,
                    work,
                    self.priors,
                    parts,
                    at,
                    _estimable(factor) if apart else np.ones(levels, dtype=bool),
                )
            )
        return found

    def slices(self, first: int) -> tuple[Slices, int]:
        """Lay out this predictor's part of a row of output, which begins at `first`."""
        last = first + len(self.predictor.columns) + int(self.own_intercept)
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
            self.work.at,
            c,
            tuple(sd),
            tuple(cor),
            (),
        )
        return found, last


def _estimable(factor: GroupFactor) -> NDArray[np.bool_]:
    """Whether the rows of each level determine its coefficients."""
    q, levels = len(factor.terms), len(factor.levels)
    data = _core.CrossProducts(
        z=np.ascontiguousarray(factor.Z),
        xy=np.ones((len(factor.Z), 1)),
        codes=factor.codes,
        n_levels=levels,
        unscale=np.eye(q),
    )
    return np.asarray(ranks(data) == q)


def _first_threshold(design: Design) -> float:
    return float(empirical_thresholds(design)[0])


def empirical_thresholds(design: Design) -> Array:
    """Give the logits of the cumulative shares: where thresholds start."""
    counts = np.bincount(design.y.astype(np.int64), minlength=len(design.categories))
    below = (np.cumsum(counts)[:-1] + 0.5) / (counts.sum() + 1.0)
    return np.asarray(np.log(below / (1 - below)))


class Thresholds(Struct, frozen=True):
    """Typical increments from one threshold to the next, and the thresholds' priors."""

    increments: list[float]
    priors: list[PriorRow]


def _thresholds(design: Design, priors: Mapping[str, Prior], at: Coordinates) -> Thresholds:
    """Increments from one threshold to the next, and the thresholds' priors as rows over c."""
    start = empirical_thresholds(design)
    rows = []
    for k in range(len(start)):
        name = called.threshold(k + 1)
        prior = priors[name]
        low, high = prior.support
        if math.isfinite(low) or math.isfinite(high):
            raise NotYetError(
                f"the prior {prior} on `{name}` has bounds",
                remedy="thresholds take priors over all numbers, such as normal or student_t",
            )
        row = np.append(-1.0, np.zeros(len(at.back)))
        if not isinstance(prior, NormalAtMean):
            row[1:] = at.outer[0] @ at.back
        rows.append(PriorRow(prior.kernel(), row.tolist(), 0.0))
    return Thresholds(np.diff(start).tolist(), rows)
