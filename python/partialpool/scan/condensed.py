"""Moments of the rows of each cell → a design of cells, which stand for many rows each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from partialpool import _core
from partialpool.arrays import Array, Flags, Ints
from partialpool.columns import ColumnFacts
from partialpool.data import Note, Table
from partialpool.design import Cells, Condensed, Design, GroupFactor, Plan
from partialpool.design.grouping import make_blocks, ordered_groups, twins
from partialpool.design.plan import PlannedPart
from partialpool.design.rows import PartRows
from partialpool.expressions.cells import several_columns
from partialpool.formula import Term

from .moments import Moments

# A column farther from 0 than so many of its sds is kept relative to its origin.
FAR = 1e3


class Facts(Struct, frozen=True):
    """What else is known of the table that was read.

    Attributes
    ----------
    n_dropped, n_zero_weight : int
        Rows left out for missing values, and for weight 0.
    precision : {"weights", "se"} or None
        What the weights of the moments come from, if rows differ in them.
    notes : tuple of Note
        What to say of how the columns were read.
    axes : mapping of (str, Term) to Moments
        By factor and term that `axis_terms` names: the same rows as of one cell, with the weights
        that `falling` gives to the term's categories.
    """

    n_dropped: int = 0
    n_zero_weight: int = 0
    precision: Literal["weights", "se"] | None = None
    notes: tuple[Note, ...] = ()
    axes: Mapping[tuple[str, Term], Moments] = field(default_factory=dict)


def axis_terms(plan: Plan, made: PartRows) -> list[tuple[str, Term]]:
    """Terms of factors whose categories fix axes: of several columns that correlate."""
    part, labels = plan.part("mu"), plan.categories - {*plan.booleans}

    def categorical(term: Term) -> bool:
        return any(
            one.columns[0] in labels if one.bare else one.code.startswith("C(") for one in term
        )

    found = []
    for planned, rows in zip(part.groupings, made.factors, strict=True):
        for group, own in zip(ordered_groups(part.terms, planned.name), rows.Z, strict=True):
            if group.correlated:
                several = several_columns(own.terms)
                found += [(planned.name, term) for term in several if categorical(term)]
    return found


def condensed_design(
    plan: Plan, made: PartRows, moments: Moments, facts: Facts | None = None
) -> Design:
    """Build a design of cells that stand for the rows of a table.

    Parameters
    ----------
    plan : Plan
        Of the design, with one linear predictor.
    made : PartRows
        What the plan makes of any rows: the names of columns, and their terms.
    moments : Moments
        Of the rows of the table, cells in the order of the plan's factors.
    facts : Facts, optional
        What else is known of the table.

    Returns
    -------
    Design
        With `condensed`: its rows are corners. `n_rows` is the number of the table's rows.

    Raises
    ------
    ValueError
        If `facts` lack axes of a term that `axis_terms` names.
    """
    facts = Facts() if facts is None else facts
    if not set(axis_terms(plan, made)) <= set(facts.axes):
        raise ValueError("axes")
    columns, part = _Columns.of(moments), plan.part("mu")
    assert part.terms.left is not None  # parse_formula saw to it
    cells = columns.cells(moments.n, moments.weight, moments.mean, moments.root)
    X, corners, overall = cells.places(made.X.names), cells.corners, moments.overall
    table = columns.described(overall.n, float(overall.n), overall.mean, overall.root)
    factors = tuple(
        _factor(part, k, made, cells, columns.facts, table, moments)
        for k in range(len(part.groupings))
    )
    nothing = np.empty(0, dtype=np.int64)
    summary = Design(
        terms=part.terms,
        response=part.terms.left.factor.label,
        y=np.ascontiguousarray(table[:, -1]),
        X=np.ascontiguousarray(table[:, X]),
        columns=made.X.names,
        column_terms=made.X.terms,
        factors=factors,
        sigma=None,
        categories=(),
        roles={},
        n_rows=overall.n,
        n_dropped=facts.n_dropped,
        dropped=nothing,
        n_zero_weight=facts.n_zero_weight,
        rows=nothing,
        table=Table({}, overall.n, "a table that was read in one pass"),
        plan=plan,
        aliased=part.population.aliased,
        notes=facts.notes,
    )
    return replace(
        summary,
        y=np.ascontiguousarray(corners[:, -1]),
        X=np.ascontiguousarray(corners[:, X]),
        factors=tuple(
            replace(
                own,
                Z=np.ascontiguousarray(corners[:, cells.places(own.terms)]),
                codes=np.ascontiguousarray(moments.codes[:, k]),
            )
            for k, own in enumerate(factors)
        ),
        # What rows weigh, points tell.
        roles={facts.precision: np.full(len(corners), np.nan)} if facts.precision else {},
        condensed=Condensed(
            cells=cells,
            whole=columns.cells(*moments.together),
            precision=None,
            summary=summary,
            origin=float(columns.facts.shift[-1]),
            facts=columns.facts.some(X),
            mean=float(moments.weight.sum()) / overall.n,
            logs=overall.log_weights,
            axes=_axes(facts, table, columns),
        ),
    )


def _axes(facts: Facts, table: Array, columns: _Columns) -> dict[str, dict[Term, Array]]:
    """Weights of categories as weights between the rows that describe the table.

    Rows with weights of their own are combinations of these, and so are own parts of them, which
    are affine in the columns.
    """
    size = np.where(columns.facts.sd > 0, columns.facts.sd, 1.0)
    found: dict[str, dict[Term, Array]] = {}
    for (factor, term), own in facts.axes.items():
        points = columns.described(1, float(own.weight[0]), own.mean[0], own.root[0])
        A, b = (np.vstack([np.ones(len(rows)), (rows / size).T]) for rows in (table, points))
        shares = np.linalg.lstsq(A, b, rcond=1e-13)[0]
        found.setdefault(factor, {})[term] = shares @ shares.T  # all weigh the same
    return found


class _Columns(Struct, frozen=True):
    """All columns of moments: where each is, and what is known of it.

    Attributes
    ----------
    position : dict of str to int
        By name.
    facts : ColumnFacts
        Of all rows of the table.
    added : (d,) array
        What brings columns relative to the moments' origin to those of the design.
    fixed : (d,) array of bool
        Those that are constant.
    """

    position: Mapping[str, int]
    facts: ColumnFacts
    added: Array
    fixed: Flags

    @classmethod
    def of(cls, moments: Moments) -> _Columns:
        whole = moments.overall
        mean, squares = whole.mean + moments.origin, np.sum(whole.root**2, axis=0)
        fixed = whole.low == whole.high
        squares = np.where(fixed, 0.0, squares)
        nearest = np.minimum(np.abs(whole.low), np.abs(whole.high))
        far = (whole.low * whole.high > 0) & (nearest**2 * whole.n > FAR**2 * squares) & ~fixed
        shift = np.where(far, moments.origin, 0.0)
        mean = np.where(fixed, whole.low, mean)
        facts = ColumnFacts.told(whole.n, mean, squares, whole.low, whole.high, shift)
        position = {name: k for k, name in enumerate(moments.columns[:-1])}
        return cls(position, facts, moments.origin - shift, fixed)

    def cells(self, n: Ints, weight: Array, mean: Array, root: Array) -> Cells:
        """Bring moments of cells into the columns of the design."""
        return Cells(
            position=self.position,
            n=n,
            weight=np.ascontiguousarray(weight),
            mean=np.ascontiguousarray(mean),
            root=self._varying(root),
            fixed=np.where(self.fixed, self.facts.low, np.nan),
            added=self.added,
            sd=self.facts.sd,
        )

    def described(self, n: int, weight: float, mean: Array, root: Array) -> Array:
        """A few rows, with all columns, that have these moments."""
        one = self.cells(np.array([n]), np.array([weight]), mean[None], root[None])
        (rows,), _, _ = _core.cell_points(
            **one.told, added=one.added, sets=[list(range(len(self.fixed)))], threads=1
        )
        return rows

    def _varying(self, root: Array) -> Array:
        """Triangles of the columns that vary, which need no rows for the others."""
        if not root[:, self.fixed].any():
            return np.ascontiguousarray(root)
        own = np.flatnonzero(~self.fixed)
        found = np.zeros_like(root)
        fewer = np.linalg.qr(root[:, :, own], mode="r")
        found[np.ix_(np.arange(len(root)), own, own)] = fewer
        return found


def simplex(r: int) -> Array:
    """Return r orthonormal columns that add up to 0 (Helmert's): (r + 1, r)."""
    H = np.zeros((r + 1, r))
    for k in range(1, r + 1):
        H[:k, k - 1], H[k, k - 1] = 1.0, -k
        H[:, k - 1] /= np.sqrt(k * (k + 1))
    return H


def _factor(
    part: PlannedPart,
    k: int,
    made: PartRows,
    cells: Cells,
    facts: ColumnFacts,
    table: Array,
    moments: Moments,
) -> GroupFactor:
    """Give a factor its columns in the rows that describe the table."""
    planned, groups = part.groupings[k], ordered_groups(part.terms, part.groupings[k].name)
    places, X = cells.places(planned.terms), cells.places(made.X.names)
    widths = [(len(own.kept), g.correlated) for own, g in zip(planned.parts, groups, strict=True)]
    written = table + facts.shift
    levels = planned.joined
    counts = np.bincount(moments.codes[:, k], weights=moments.n, minlength=len(levels))
    return GroupFactor(
        name=planned.name,
        columns=planned.columns,
        terms=planned.terms,
        column_terms=tuple(term for own in made.factors[k].Z for term in own.terms),
        blocks=make_blocks(widths),
        Z=np.ascontiguousarray(table[:, places]),
        codes=np.zeros(len(table), dtype=np.int64),
        levels=levels,
        counts=counts.astype(np.int64),
        T=twins(written[:, places], planned.terms, written[:, X], made.X.names),
        aliased=tuple(one for own in planned.parts for one in own.aliased),
        known=facts.some(places),
    )
