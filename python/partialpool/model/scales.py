"""What default priors are scaled by: the response, and the own parts of all columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from partialpool import called, limits
from partialpool.arrays import Array, Ints
from partialpool.design import Design, GroupFactor
from partialpool.families import DEFAULT, Family
from partialpool.formula import Factor, Term
from partialpool.model.own import Outer, OwnParts, are_dependent, columns_apart, own_parts


@dataclass(frozen=True)
class Predictor:
    """A linear predictor of a design: that of the mean (``mu``) or that of log sigma."""

    name: str
    columns: tuple[str, ...]
    column_terms: tuple[Term, ...]
    X: Array
    factors: tuple[GroupFactor, ...]

    @property
    def labels(self) -> list[str]:
        """Full names of its population coefficients."""
        return [called.b(column, self.name) for column in self.columns]


def predictors(design: Design) -> tuple[Predictor, ...]:
    """Give the linear predictors of a design."""
    main = Predictor("mu", design.columns, design.column_terms, design.X, design.factors)
    if design.sigma is None:
        return (main,)
    part = design.sigma
    return main, Predictor("sigma", part.columns, part.column_terms, part.X, part.factors)


@dataclass(frozen=True)
class FactorParts:
    """The columns of one factor.

    Attributes
    ----------
    whole : OwnParts
        All columns together.
    blocks : tuple of OwnParts or None
        Those of each block whose coefficients correlate and whose columns do not determine one
        another.
    own : (q,) array
        Sd of each coefficient's own part within its block, where the coordinates of `whole` have
        sd 1. Of a column that correlates with no other, that of the coefficient as written: it
        allows for the distance of the origin from the data.
    far : (q,) array
        Means of columns so far from 0 that coefficients of the constant cannot be independent of
        theirs there; they are independent at this mean. 0 for the others.
    """

    whole: OwnParts
    blocks: tuple[OwnParts | None, ...]
    own: Array
    far: Array

    @property
    def constant(self) -> int | None:
        """The column that is the constant by itself, or the first of those that make it."""
        return self.whole.constant


@dataclass(frozen=True)
class Scales:
    """What the default priors are scaled by.

    Attributes
    ----------
    centre, unit : dict of float
        By predictor: centre of the intercept's prior, and the sd that stands for s_y.
    y_sd : float
        Sample sd of the response, on the scale of sigma; the root mean square about 0 where the
        model goes through the origin.
    sigma : float
        The size that sigma's prior expects: y_sd times the root of the mean precision weight.
    parts : dict of OwnParts
        By predictor: its population columns.
    outer : dict of Outer
        By predictor: what takes up a part of these, where thresholds or the levels' own
        coefficients do.
    factors : dict of FactorParts
        By the name of the group.
    """

    centre: dict[str, float]
    unit: dict[str, float]
    y_sd: float
    sigma: float
    parts: dict[str, OwnParts]
    outer: dict[str, Outer]
    factors: dict[str, FactorParts]


# A design is measured once, though several stages ask.
_MEASURED: WeakKeyDictionary[Design, dict[str, Scales]] = WeakKeyDictionary()


def scales(design: Design, family: Family = DEFAULT) -> Scales:
    """Measure a design.

    Where the link is not the identity the unit is 1; a lognormal response counts by its logarithm.
    """
    known = _MEASURED.setdefault(design, {})
    if family.name not in known:
        known[family.name] = _measure(design, family)
    return known[family.name]


def _measure(design: Design, family: Family) -> Scales:
    counting = design.weights if family.weights_count_rows else None
    parts: dict[str, OwnParts] = {}
    outer: dict[str, Outer] = {}
    factors: dict[str, FactorParts] = {}
    for predictor in predictors(design):
        apart: OwnParts | None = None
        for factor in predictor.factors:
            found = factor_parts(factor, design, counting)
            factors[called.group(predictor.name, factor.name)] = found
            apart = apart if factor.pooled else found.whole
        thresholds = bool(design.categories) and predictor.name == "mu"
        takes = Outer.of(len(design.y), apart, thresholds=thresholds)
        if takes is not None:
            outer[predictor.name] = takes
        X, terms = predictor.X, predictor.column_terms
        try:
            parts[predictor.name] = own_parts(X, terms, weights=counting, outer=takes)
        except np.linalg.LinAlgError:  # some of the rows, which lack a category
            parts[predictor.name] = columns_apart(X, terms, takes)
    y_sd = _response_sd(design, family, counting, through_origin=not _has_level("mu", parts, outer))
    offset = design.total_offset
    weights = design.weights if not family.weights_count_rows else None
    precision = 1.0 if weights is None else math.sqrt(float(np.mean(weights)))
    centre = family.centre(design.y, design.trials, 0.0 if offset is None else offset, counting)
    return Scales(
        {"mu": centre, "sigma": math.log(y_sd * precision)},
        {"mu": 1.0 if family.unit_scale else y_sd, "sigma": 1.0},
        y_sd,
        y_sd * precision,
        parts,
        outer,
        factors,
    )


def _has_level(name: str, parts: dict[str, OwnParts], outer: dict[str, Outer]) -> bool:
    """Whether a constant is among the columns of a predictor, or of what takes up a part of it."""
    takes = outer.get(name)
    return parts[name].constant is not None or (takes is not None and takes.constant is not None)


def _response_sd(
    design: Design, family: Family, counting: Array | None, *, through_origin: bool
) -> float:
    offset = design.total_offset
    y = family.linear(design.y)
    y = y if offset is None or family.unit_scale else y - offset
    if through_origin and not family.unit_scale:
        size = math.sqrt(float(np.mean(y**2)))
    else:
        size = _sd(y, counting)
    if size > 0:
        return size
    return 1.0 if design.se is None else float(np.median(design.se))


def _sd(y: Array, counting: Array | None) -> float:
    """Sample sd; rows may count more than once."""
    if counting is None:
        return float(np.std(y, ddof=1)) if len(y) > 1 else 0.0
    total = float(np.sum(counting))
    rest = y - np.average(y, weights=counting)
    return math.sqrt(float(np.sum(counting * rest**2)) / max(total - 1, 1.0))


def factor_parts(factor: GroupFactor, design: Design, counting: Array | None = None) -> FactorParts:
    """Measure the columns of a factor."""
    cells = _cells(factor, design)
    if dependent := are_dependent(factor.Z):
        whole = columns_apart(factor.Z, factor.column_terms)
    else:
        whole = own_parts(factor.Z, factor.column_terms, weights=counting, cells=cells)
    blocks: list[OwnParts | None] = []
    far = _far(factor, whole)
    reach = whole.back.copy()
    if whole.constant is not None:
        reach[np.ix_(whole.ones != 0, far != 0)] = 0.0
    own = np.sqrt(np.sum(reach**2, axis=1))
    for start, stop, correlated in factor.blocks:
        block = slice(start, stop)
        if not correlated or are_dependent(factor.Z[:, block]):
            blocks.append(None)
            continue
        parts = whole
        if dependent or stop - start < len(factor.terms):
            parts = own_parts(
                factor.Z[:, block], factor.column_terms[block], weights=counting, cells=cells
            )
        blocks.append(parts)
        if dependent:
            own[block] = parts.sizes
            continue
        joint = parts.forward @ reach[block]
        for one in parts.blocks:
            size = one.own @ joint[one.columns]
            own[start + one.columns] = np.sqrt(np.sum(size**2, axis=1))
    return FactorParts(whole, tuple(blocks), own, far)


def _far(factor: GroupFactor, whole: OwnParts) -> Array:
    """Means of columns far from 0 that stand in another block than the constant.

    Where the origin lies outside the data, by many sds, nobody means that levels differ in the
    constant *there* as independently of the slopes.
    """
    means = np.zeros(len(factor.terms))
    if whole.constant is None or not factor.pooled:
        return means
    for start, stop, correlated in factor.blocks:
        if correlated and start <= whole.constant < stop:
            continue
        for k in range(start, stop):
            column = factor.Z[:, k]
            shifted = column - column[0]  # exactly 0 where the column is constant
            mean, sd = float(column[0] + np.mean(shifted)), float(np.std(shifted))
            outside = float(np.min(column)) * float(np.max(column)) > 0
            if sd > 0 and outside and abs(mean) > limits.FAR_FROM_ZERO * sd:
                means[k] = mean
    return means


def _cells(factor: GroupFactor, design: Design) -> dict[Term, Ints]:
    """For each term with categories, the category of each row, numbered by names in order."""
    found: dict[Term, Ints] = {}
    for term in dict.fromkeys(factor.column_terms):
        if factor.column_terms.count(term) < 2:
            continue  # one axis
        names = [name for one in term if (name := _category(one, design)) is not None]
        if not names:
            continue
        rows = np.zeros(len(factor.Z), dtype=np.int64)
        for name in names:
            labels, codes = np.unique(
                design.table.columns[name].values.astype(str), return_inverse=True
            )
            rows = rows * len(labels) + codes.reshape(-1)
        found[term] = rows
    return found


def _category(factor: Factor, design: Design) -> str | None:
    """Name of the column whose values are the categories of a factor; None for numbers."""
    name = factor.columns[0]
    bare = factor.bare and design.table.columns[name].kind not in ("number", "boolean")
    return name if bare or factor.code.startswith("C(") else None
