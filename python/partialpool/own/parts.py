"""What own parts are: the columns of a predictor, and what takes up a part of them.

`build.py` makes them, and says what they mean.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Ints
from partialpool.formula import Term

CONSTANT: Term = ()


class Block(Struct, frozen=True):
    """Columns of one term.

    Several terms share a block where only together they have the constant in their span, such as
    dummies that were made by hand.

    Attributes
    ----------
    columns : (k,) array of int
        Their positions; the coordinates κ of the block have the same ones.
    own : (k, k) array
        The block's coefficients θ = own κ, once what it shares with others is taken out: those of
        the columns' own parts. Of cell means, the cell means where all else is at its mean.
    """

    columns: Ints
    own: Array

    @property
    def sizes(self) -> Array:
        """Sd of each θ where the coordinates have sd 1."""
        sizes: Array = np.sqrt(np.sum(self.own**2, axis=1))
        return sizes


class OwnParts(Struct, frozen=True):
    """A matrix of columns as own parts of their terms.

    Attributes
    ----------
    basis : (n, p) array
        E. A constant that the columns have in their span is one of its columns.
    forward, back : (p, p) arrays
        ``κ = forward b``, and B, its inverse.
    terms : tuple of Term
        The term of each coordinate.
    constant : int or None
        The coordinate that belongs to the constant.
    ones : (p,) array
        Coefficients with which the columns make the constant; zeros where they do not.
    outer : (m, p) array
        Φ.
    blocks : tuple of Block
        In the order of their first columns.
    described : array or None
        E of rows that stand for those of the table, each for as many; None where those of `basis`
        do.
    """

    basis: Array
    forward: Array
    back: Array
    terms: tuple[Term, ...]
    constant: int | None
    ones: Array
    outer: Array
    blocks: tuple[Block, ...]
    described: Array | None = None

    def at(self, M: Array, shift: Array, outer: Outer | None = None) -> OwnParts:
        """The same of the columns of other rows.

        Parameters
        ----------
        M : (rows, p) array
            The columns.
        shift : (p,) array
            What these columns, and those that the parts were made of, are less than the user's.
        outer : Outer, optional
            What takes up a part of them.
        """
        # Not by threads, which take longer to start than so few columns take.
        basis = np.einsum("np,pk->nk", M, self.back)
        if outer is not None:
            basis -= np.einsum("nm,mk->nk", outer.basis, self.outer @ self.back)
        # M b + (shift b) 1 = M b', b' = b + ones (shift b)
        moved, taken = np.outer(self.ones, shift), self.outer.copy()
        if outer is not None and outer.constant is not None:
            taken[outer.constant] += shift
        return replace(
            self,
            basis=np.ascontiguousarray(basis),
            forward=self.forward + self.forward @ moved,
            back=self.back - moved @ self.back,
            outer=taken,
            described=self.basis,
        )

    @property
    def sizes(self) -> Array:
        """Sd of the own coefficient of each column where the coordinates have sd 1."""
        found = np.empty(len(self.terms))
        for block in self.blocks:
            found[block.columns] = block.sizes
        return found

    @property
    def written(self) -> Array:
        """Sd of each coefficient as it is written where the coordinates have sd 1."""
        sizes: Array = np.sqrt(np.sum(self.back**2, axis=1))
        return sizes

    def alone(self, k: int) -> bool:
        """Whether the coefficient of a column is its own, shared with no other."""
        single = any(len(block.columns) == 1 and block.columns[0] == k for block in self.blocks)
        return single and self.constant != k and bool(np.count_nonzero(self.back[k]) == 1)


class Outer(Struct, frozen=True):
    """What takes up a part of a predictor's columns: thresholds, or the levels' own coefficients.

    Attributes
    ----------
    basis : (n, m) array
        E_outer. Thresholds are its first column, the constant; own parts of a factor come last.
    terms : tuple of Term
        The term of each column.
    constant : int or None
        The column that takes up the constant.
    described : array or None
        As in `OwnParts`.
    """

    basis: Array
    terms: tuple[Term, ...]
    constant: int | None
    described: Array | None = None

    @property
    def of_table(self) -> Outer:
        """The same of rows that stand for those of the table."""
        return self if self.described is None else replace(self, basis=self.described)

    @classmethod
    def of(cls, n: int, factor: OwnParts | None, *, thresholds: bool) -> Outer | None:
        """Join thresholds and the columns of a factor without pooling, where they are."""
        found = [cls(np.ones((n, 1)), (CONSTANT,), 0)] if thresholds else []
        if factor is not None:
            found.append(cls(factor.basis, factor.terms, factor.constant, factor.described))
        if len(found) < 2:
            return found[0] if found else None
        one, other = found
        return cls(np.hstack([one.basis, other.basis]), one.terms + other.terms, one.constant)
