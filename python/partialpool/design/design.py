"""The design: the arrays that a model is made of, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.columns import ColumnFacts
from partialpool.data import Note, Table
from partialpool.formula import Term, Terms

from .cells import Cells
from .plan import Aliased, Plan
from .roles import ROLES, total_offset


class GroupFactor(Struct, frozen=True, eq=False, dict=True):
    """One grouping factor: its levels, which row belongs to which, and its columns.

    Parameters
    ----------
    name : str
        Its name: the grouping columns joined by ``:``.
    columns : tuple of str
        The grouping columns.
    terms : tuple of str
        The names of Z's columns, ``"Intercept"`` first where there is one.
    column_terms : tuple of Term
        The term that each of them belongs to.
    blocks : tuple of (start, stop, correlated)
        Runs of Z's columns whose coefficients may correlate or not; one column does not.
    Z : numpy.ndarray
        (n, q) the group columns.
    codes : numpy.ndarray
        (n,) each row's index into ``levels``; where rows are corners, that of each cell.
    levels : numpy.ndarray
        The levels that occur, sorted (categorical: in their order), as they came in. Of several
        columns: their values joined by ``:``, in the order of the first column's, then the next's.
    counts : numpy.ndarray
        (J,) rows in each level.
    T : numpy.ndarray
        (q, p) maps population coefficients to group columns: ``Z @ T`` equals X's columns that lie
        in Z's span, and is 0 for the others. A row of zeros: no population twin.
    pooled : bool
        Whether the levels' coefficients have a common distribution. The pooling decides it.
    aliased : tuple of Aliased
        Columns that were left out.
    known : ColumnFacts or None
        What Z's columns are like over all rows of the table, where a row of Z stands for many.
    """

    name: str
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    column_terms: tuple[Term, ...]
    blocks: tuple[tuple[int, int, bool], ...]
    Z: Array
    codes: Ints
    levels: NDArray[Any]
    counts: Ints
    T: Array
    pooled: bool = True
    aliased: tuple[Aliased, ...] = ()
    known: ColumnFacts | None = None

    def __post_init__(self) -> None:
        freeze(self.Z, self.codes, self.levels, self.counts, self.T)

    @cached_property
    def facts(self) -> ColumnFacts:
        """What the columns are like over all rows of the table."""
        return ColumnFacts.of(self.Z) if self.known is None else self.known

    @property
    def written(self) -> Array:
        """Z with all columns where the user has them."""
        return self.less(np.zeros(len(self.terms)))

    def less(self, centre: Array) -> Array:
        """Return Z's columns with these numbers taken out of them."""
        rest = centre if self.known is None else centre - self.known.shift
        return self.Z - rest if rest.any() else self.Z

    def __repr__(self) -> str:
        q = len(self.terms)
        return f"{self.name}: {len(self.levels)} levels × {q} column{'s' * (q != 1)}"


class Part(Struct, frozen=True, eq=False):
    """One linear predictor.

    Parameters
    ----------
    terms : Terms
        Its formula.
    X : numpy.ndarray
        (n, p) the population columns on their natural scale.
    columns : tuple of str
        Their names.
    column_terms : tuple of Term
        The term that each of them belongs to: its factors tell the variables.
    factors : tuple of GroupFactor
        The grouping factors.
    aliased : tuple of Aliased
        Population columns that were left out.
    """

    terms: Terms
    X: Array
    columns: tuple[str, ...]
    column_terms: tuple[Term, ...]
    factors: tuple[GroupFactor, ...]
    aliased: tuple[Aliased, ...] = ()

    def __post_init__(self) -> None:
        freeze(self.X)

    def __repr__(self) -> str:
        p = len(self.columns)
        parts = [f"{p} population column{'s' * (p != 1)}", *map(repr, self.factors)]
        return ", ".join(parts)


class Design(Struct, frozen=True, eq=False, weakref=True):
    """The arrays that a model is made of.

    Parameters
    ----------
    terms : Terms
        The formula.
    response : str
        The response as it reads in messages.
    y : numpy.ndarray
        (n,) the response; of ordered categories, their codes from 0.
    X : numpy.ndarray
        (n, p) the population columns on their natural scale.
    columns : tuple of str
        Their names.
    column_terms : tuple of Term
        The term that each of them belongs to: its factors tell the variables.
    factors : tuple of GroupFactor
        The grouping factors.
    sigma : Part or None
        The second linear predictor.
    categories : tuple
        The labels of ordered categories; empty for other responses.
    roles : dict of str to numpy.ndarray
        (n,) each of the roles that were given; they are attributes too.
    n_rows : int
        Rows used.
    n_dropped : int
        Rows dropped for missing values.
    dropped : numpy.ndarray
        Their positions in the table.
    n_zero_weight : int
        Complete rows left out because their weight is 0.
    rows : numpy.ndarray
        (n,) positions in the table of the rows used.
    table : Table
        The columns of the formulas in these rows, as they came.
    plan : Plan
        Makes the same columns for new data.
    aliased : tuple of Aliased
        Population columns that were left out.
    notes : tuple of Note
        What to say of how the columns were read.
    unused : tuple of str
        Categories that no row has; they are no categories of the model.
    condensed : Condensed or None
        Where the arrays do not have the rows of the table: how they stand for them.
    """

    terms: Terms
    response: str
    y: Array
    X: Array
    columns: tuple[str, ...]
    column_terms: tuple[Term, ...]
    factors: tuple[GroupFactor, ...]
    sigma: Part | None
    categories: tuple[Any, ...]
    roles: Mapping[str, Array]
    n_rows: int
    n_dropped: int
    dropped: Ints
    n_zero_weight: int
    rows: Ints
    table: Table
    plan: Plan
    aliased: tuple[Aliased, ...] = ()
    notes: tuple[Note, ...] = ()
    unused: tuple[str, ...] = ()
    condensed: Condensed | None = None

    def __post_init__(self) -> None:
        freeze(self.y, self.X, self.dropped, self.rows, *self.roles.values())

    @property
    def described(self) -> Design:
        """Rows that have the means and sds of those of the table, each standing for as many."""
        return self if self.condensed is None else self.condensed.summary

    @property
    def origin(self) -> float:
        """What was taken out of `y` beforehand."""
        return 0.0 if self.condensed is None else self.condensed.origin

    def factor(self, name: str) -> GroupFactor:
        """Give the grouping factor of this name, which there is."""
        return next(factor for factor in self.factors if factor.name == name)

    @property
    def weights(self) -> Array | None:
        """What rows count, or how precise they are."""
        return self.roles.get("weights")

    @property
    def offset(self) -> Array | None:
        """What is added to the linear predictor."""
        return self.roles.get("offset")

    @property
    def se(self) -> Array | None:
        """Known standard errors of the responses."""
        return self.roles.get("se")

    @property
    def trials(self) -> Array | None:
        """Numbers of trials, of which the responses count successes."""
        return self.roles.get("trials")

    @property
    def exposure(self) -> Array | None:
        """What counts are proportional to."""
        return self.roles.get("exposure")

    @property
    def total_offset(self) -> Array | None:
        """The offset plus the log of the exposure; None where there is neither."""
        return total_offset(self.roles)

    def __repr__(self) -> str:
        parts = [_rows(self.n_rows)]
        parts.append(repr(Part(self.terms, self.X, self.columns, self.column_terms, self.factors)))
        if self.sigma is not None:
            parts.append(f"sigma: {self.sigma!r}")
        if self.categories:
            parts.append(f"{len(self.categories)} ordered categories")
        parts += [role for role in ROLES if role in self.roles]
        if self.n_zero_weight:
            parts.append(f"{_rows(self.n_zero_weight)} left out for weight 0")
        if self.n_dropped:
            parts.append(f"{_rows(self.n_dropped)} dropped for missing values")
        return ", ".join(parts)


class Condensed(Struct, frozen=True, eq=False):
    """How the arrays of a design stand for the rows of a table, of which cells tell the moments.

    Either the rows of the arrays are corners, of which those of the table are weighted sums (see
    `Cells`), or points: these have the first and second moments of the table's rows, weighted, in
    each combination of levels, and so the same Gaussian likelihood. `n_rows` is the number of the
    table's.

    Parameters
    ----------
    cells : Cells or None
        What the rows add up to, where those of the arrays are corners.
    whole : Cells or None
        The same of all rows together, as one cell.
    precision : numpy.ndarray or None
        (n,) where they are points, sum of the precision weights that each stands for; rows where
        there are none.
    summary : Design
        A few rows, unweighted, that have the moments of all rows of the table whatever they weigh.
    origin : float
        What `y` is less than the response (less its offset).
    facts : ColumnFacts
        What X's columns are like over all rows of the table.
    mean, logs : float
        Of the table's rows: the mean of their precisions, and the sum of the logarithms of these.
    axes : mapping of str to mapping
        By factor and term, what fixes the axes within a term with categories (see `own_parts`).
    """

    cells: Cells | None
    whole: Cells | None
    precision: Array | None
    summary: Design
    origin: float
    facts: ColumnFacts
    mean: float
    logs: float
    axes: Mapping[str, Mapping[Term, Array]] = field(default_factory=dict)


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def freeze(*arrays: NDArray[Any] | None) -> None:
    """Make arrays read-only.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.zeros(1)
    >>> freeze(a)
    >>> a.flags.writeable
    False
    """
    for array in arrays:
        if array is not None:
            array.flags.writeable = False
