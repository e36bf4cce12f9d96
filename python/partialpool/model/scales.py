"""What default priors are scaled by: the response, and the own parts of all columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from partialpool import called, limits
from partialpool.arrays import Array
from partialpool.columns import ColumnFacts
from partialpool.design import Design, GroupFactor
from partialpool.errors import NeedsRowsError
from partialpool.expressions.cells import cells_of, falling, several_columns
from partialpool.families import DEFAULT, Family
from partialpool.formula import Term
from partialpool.own.build import are_dependent, columns_apart, constant_of, own_parts
from partialpool.own.parts import Outer, OwnParts


class Predictor(Struct, frozen=True):
    """A linear predictor of a design: that of the mean (``mu``) or that of log sigma."""

    name: str
    columns: tuple[str, ...]
    column_terms: tuple[Term, ...]
    X: Array
    factors: tuple[GroupFactor, ...]
    known: ColumnFacts | None = None

    @property
    def facts(self) -> ColumnFacts:
        """What the columns are like over all rows of the table."""
        return ColumnFacts.of(self.X) if self.known is None else self.known

    @property
    def written(self) -> Array:
        """X with all columns where the user has them."""
        return self.X if self.known is None else self.X + self.known.shift

    @property
    def labels(self) -> list[str]:
        """Full names of its population coefficients."""
        return [called.b(column, self.name) for column in self.columns]


def predictors(design: Design) -> tuple[Predictor, ...]:
    """Give the linear predictors of a design."""
    known = None if design.condensed is None else design.condensed.facts
    main = Predictor("mu", design.columns, design.column_terms, design.X, design.factors, known)
    if design.sigma is None:
        return (main,)
    part = design.sigma
    return main, Predictor("sigma", part.columns, part.column_terms, part.X, part.factors)


class FactorParts(Struct, frozen=True):
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


class Scales(Struct, frozen=True):
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
    table = design.described
    counting = _counting(design, family)
    parts: dict[str, OwnParts] = {}
    outer: dict[str, Outer] = {}
    factors: dict[str, FactorParts] = {}
    for predictor, whole in zip(predictors(design), predictors(table), strict=True):
        apart: OwnParts | None = None
        for factor in predictor.factors:
            found = factor_parts(factor, design, counting)
            factors[called.group(predictor.name, factor.name)] = found
            apart = apart if factor.pooled else found.whole
        thresholds = bool(design.categories) and predictor.name == "mu"
        takes = Outer.of(len(design.y), apart, thresholds=thresholds)
        if takes is not None:
            outer[predictor.name] = takes
        X = _Columns.of(whole.X, predictor.X, predictor, predictor.column_terms)
        try:
            parts[predictor.name] = X.own(counting, outer=takes)
        except np.linalg.LinAlgError:  # some of the rows, which lack a category
            parts[predictor.name] = X.apart(takes)
    y_sd = _response_sd(design, family, counting, through_origin=not _has_level("mu", parts, outer))
    offset = table.total_offset
    precision = 1.0 if family.weights_count_rows else math.sqrt(_mean_weight(design))
    centre = family.centre(table.y, table.trials, 0.0 if offset is None else offset, counting)
    centre += design.origin
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


def _mean_weight(design: Design) -> float:
    """Mean precision weight of the rows of the table; 1 where none were given."""
    if design.weights is None:
        return 1.0
    own = design.condensed
    return float(np.mean(design.weights)) if own is None else own.mean


def _counting(design: Design, family: Family) -> Array | None:
    """How many rows of the table each of those that describe it counts as."""
    if design.condensed is not None:
        rows = len(design.described.y)
        return np.full(rows, design.n_rows / rows)
    return design.weights if family.weights_count_rows else None


def _response_sd(
    design: Design, family: Family, counting: Array | None, *, through_origin: bool
) -> float:
    table = design.described
    offset = table.total_offset
    y = family.linear(table.y)
    y = y if offset is None or family.unit_scale else y - offset
    if through_origin and not family.unit_scale:
        size = math.sqrt(float(np.mean((y + design.origin) ** 2)))
    else:
        size = _sd(y, counting)
    if size > 0:
        return size
    if design.se is not None and design.condensed is not None:
        raise NeedsRowsError(
            f"`{design.response}` is the same in every row, and then priors need the median of the "
            "standard errors, which one pass over the table does not give"
        )
    return 1.0 if design.se is None else float(np.median(design.se))


def _sd(y: Array, counting: Array | None) -> float:
    """Sample sd; rows may count more than once."""
    if counting is None:
        return float(np.std(y, ddof=1)) if len(y) > 1 else 0.0
    total = float(np.sum(counting))
    rest = y - np.average(y, weights=counting)
    return math.sqrt(float(np.sum(counting * rest**2)) / max(total - 1, 1.0))


class _Columns(Struct, frozen=True):
    """Columns whose own parts are wanted.

    Attributes
    ----------
    rows : (rows, p) array
        Of rows that describe the table.
    points : (n, p) array or None
        Of the rows of a condensed design, which other rows describe.
    look : callable
        Gives what they are like over all rows, which most of them need not know.
    """

    rows: Array
    points: Array | None
    look: Callable[[], ColumnFacts]
    terms: tuple[Term, ...]

    @property
    def facts(self) -> ColumnFacts:
        """What they are like over all rows of the table."""
        return self.look()

    @classmethod
    def of(
        cls, rows: Array, M: Array, of: Predictor | GroupFactor, terms: tuple[Term, ...]
    ) -> _Columns:
        """Take the columns of a predictor, or of a factor: M has all rows."""
        return cls(rows, None if rows is M else M, lambda: of.facts, terms)

    def some(self, block: slice) -> _Columns:
        """Return some of the columns."""
        points = None if self.points is None else self.points[:, block]
        places = range(*block.indices(len(self.terms)))
        return _Columns(
            self.rows[:, block], points, lambda: self.facts.some(places), self.terms[block]
        )

    def own(
        self,
        counting: Array | None,
        outer: Outer | None = None,
        axes: Mapping[Term, Array] | None = None,
    ) -> OwnParts:
        """Own parts of the columns."""
        if self.points is None:
            return own_parts(self.rows, self.terms, weights=counting, outer=outer, axes=axes)
        of_table = None if outer is None else outer.of_table
        rows, points, shift = self.rows, self.points, self.facts.shift
        shared = outer is not None and outer.constant is not None
        if shift.any() and not shared:
            ones = constant_of(rows, self.terms)
            if not ones.any() or ones @ shift != 0:  # nothing takes a shift up
                rows, points, shift = rows + shift, points + shift, np.zeros(len(shift))
        parts = own_parts(rows, self.terms, weights=counting, outer=of_table, axes=axes)
        return parts.at(points, shift, outer)

    def apart(self, outer: Outer | None = None) -> OwnParts:
        """Each column as it is written."""
        if self.points is None:
            return columns_apart(self.rows, self.terms, self.facts.size, outer)
        shift = self.facts.shift
        of_table = None if outer is None else outer.of_table
        parts = columns_apart(self.rows + shift, self.terms, self.facts.size, of_table)
        return parts.at(self.points + shift, np.zeros(len(shift)), outer)


def factor_parts(factor: GroupFactor, design: Design, counting: Array | None = None) -> FactorParts:
    """Measure the columns of a factor."""
    table = factor if design.condensed is None else design.described.factor(factor.name)
    Z = _Columns.of(table.Z, factor.Z, factor, factor.column_terms)
    axes = axis_weights(factor, design)
    dependent = are_dependent(table.Z)
    whole = Z.apart() if dependent else Z.own(counting, axes=axes)
    blocks: list[OwnParts | None] = []
    far = _far(factor, whole)
    reach = whole.back.copy()
    if whole.constant is not None:
        reach[np.ix_(whole.ones != 0, far != 0)] = 0.0
    own = np.sqrt(np.sum(reach**2, axis=1))
    for start, stop, correlated in factor.blocks:
        block = slice(start, stop)
        if not correlated or are_dependent(table.Z[:, block]):
            blocks.append(None)
            continue
        parts = whole
        if dependent or stop - start < len(factor.terms):
            parts = Z.some(block).own(counting, axes=axes)
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
    facts = factor.facts
    for start, stop, correlated in factor.blocks:
        if correlated and start <= whole.constant < stop:
            continue
        away = facts.outside & (facts.sd > 0)
        away &= np.abs(facts.mean) > limits.FAR_FROM_ZERO * facts.sd
        for k in range(start, stop):
            if away[k]:
                means[k] = facts.mean[k]
    return means


def axis_weights(factor: GroupFactor, design: Design) -> Mapping[Term, Array]:
    """For each term with categories, weights that fall from category to category, by their names.

    Of each row, or between rows where the design's stand for others (see `own_parts`).
    """
    if design.condensed is not None:
        return design.condensed.axes.get(factor.name, {})
    found = {}
    for term in several_columns(factor.column_terms):
        cells = cells_of(term, design.table.columns)
        if cells is not None:
            found[term] = falling(cells)
    return found
