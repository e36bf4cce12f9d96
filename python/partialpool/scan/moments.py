"""What the rows of each cell of levels add up to: all that a Gaussian model needs of them.

Nothing is subtracted from a sum: means move by what is new in a row, and triangles take rows and
other triangles in by rotations, as in Chan, Golub & LeVeque (1983). So a column with mean 1e9 and
sd 1 keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from partialpool.arrays import Array, Ints

_FIELDS = ("codes", "n", "weight", "mean", "root", "low", "high", "log_weights")


@dataclass(frozen=True, eq=False)
class Overall:
    """What all rows together are like, whatever they weigh.

    Attributes
    ----------
    n : int
        Rows.
    mean : (d,) array
        Means of column − origin.
    root : (d, d) array
        Upper triangular; ``root.T @ root`` is Σ (row − mean)(row − mean)ᵀ.
    low, high : (d,) array
        The smallest and the largest value of every column, as it is.
    log_weights : float
        Sum of the logarithms of the precision weights.
    """

    n: int
    mean: Array
    root: Array
    low: Array
    high: Array
    log_weights: float


@dataclass(frozen=True, eq=False)
class Moments:
    """What the rows of each cell add up to.

    Attributes
    ----------
    columns : tuple of str
        All columns that the plan makes, those of X and of every Z, each once; the response, less
        its offset, last. They are d.
    origin : (d,) array
        What is subtracted from every column before anything is added up; near its mean.
    codes : (cells, factors) array
        The combination of levels of each cell, in order; (1, 0) where there is no factor.
    n : (cells,) array
        Rows.
    weight : (cells,) array
        Sum of the precision weights: `n` where there are none, of 1/se² where errors are known.
    mean : (cells, d) array
        Weighted means of column − origin.
    root : (cells, d, d) array
        Upper triangular; ``root.T @ root`` is Σ w (row − mean)(row − mean)ᵀ.
    overall : Overall
        All rows together.

    Examples
    --------
    >>> rows = np.array([[1.0, 1e9], [1.0, 1e9 + 2], [1.0, 1e9 + 7]])
    >>> found = Moments.of_rows(
    ...     ("Intercept", "y"), np.array([1.0, 1e9]), np.array([[0], [0], [1]]), rows
    ... )
    >>> found.codes.tolist(), found.n.tolist(), found.mean[:, 1].tolist()
    ([[0], [1]], [2, 1], [1.0, 7.0])
    >>> (found.root[0].T @ found.root[0]).tolist()
    [[0.0, 0.0], [0.0, 2.0]]
    """

    columns: tuple[str, ...]
    origin: Array
    codes: Ints
    n: Ints
    weight: Array
    mean: Array
    root: Array
    overall: Overall

    @classmethod
    def of_rows(
        cls,
        columns: Sequence[str],
        origin: Array,
        codes: Ints,
        values: Array,
        weights: Array | None = None,
    ) -> Moments:
        """Add up rows that are in memory.

        Parameters
        ----------
        columns, origin
            As the attributes.
        codes : (rows, factors) array
            Each row's level of every factor.
        values : (rows, d) array
            The columns as they are.
        weights : (rows,) array, optional
            Precision weights, above 0.
        """
        codes = np.asarray(codes, dtype=np.int64).reshape(len(values), -1)
        w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        shifted = values - origin
        found, which = np.unique(codes, axis=0, return_inverse=True)
        if not codes.shape[1]:
            found, which = np.zeros((1, 0), dtype=np.int64), np.zeros(len(values), dtype=np.int64)
        order = np.argsort(which.reshape(-1), kind="stable")
        n = np.bincount(which.reshape(-1), minlength=len(found))
        parts = [_of_one(shifted[rows], w[rows]) for rows in np.split(order, np.cumsum(n)[:-1])]
        _, mean, root = _of_one(shifted, np.ones(len(values)))
        overall = Overall(
            len(values),
            mean,
            root,
            values.min(axis=0),
            values.max(axis=0),
            float(np.log(w).sum()),
        )
        return cls(
            tuple(columns),
            origin,
            found,
            n,
            np.array([part[0] for part in parts]),
            np.array([part[1] for part in parts]),
            np.array([part[2] for part in parts]),
            overall,
        )

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the rows of both, which have the same columns and origin."""
        if other.columns != self.columns or not np.array_equal(other.origin, self.origin):
            raise ValueError("moments of other columns, or about another origin")
        return _joined(self.columns, self.origin, [self, other], [self.overall, other.overall])

    def to_arrow(self) -> Any:
        """Return a pyarrow table with a row a cell, after one of all rows, without codes.

        Tables of several parts may be put together in any order: `from_arrow` merges them.
        """
        import pyarrow as pa

        cells, d = self.mean.shape
        whole = self.overall
        nothing = [None] * cells
        rows = {
            "codes": [None, *self.codes.tolist()],
            "n": [whole.n, *self.n.tolist()],
            "weight": [float(self.weight.sum()), *self.weight.tolist()],
            "mean": [whole.mean.tolist(), *self.mean.tolist()],
            "root": [whole.root.ravel().tolist(), *self.root.reshape(cells, d * d).tolist()],
            "low": [whole.low.tolist(), *nothing],
            "high": [whole.high.tolist(), *nothing],
            "log_weights": [whole.log_weights, *nothing],
        }
        return pa.table(rows, schema=arrow_schema())

    @classmethod
    def from_arrow(cls, columns: Sequence[str], origin: Array, table: Any) -> Moments:
        """Return what `to_arrow` made, of one part or of many: equal cells are merged."""
        d = len(columns)
        by_name = {name: table.column(name).to_pylist() for name in _FIELDS}
        rows = zip(*by_name.values(), strict=True)
        every = [dict(zip(by_name, row, strict=True)) for row in rows]
        wholes = [
            Overall(
                row["n"],
                np.array(row["mean"]),
                np.array(row["root"]).reshape(d, d),
                np.array(row["low"]),
                np.array(row["high"]),
                row["log_weights"],
            )
            for row in every
            if row["codes"] is None
        ]
        cells = [row for row in every if row["codes"] is not None]
        part = cls(
            tuple(columns),
            origin,
            np.array([row["codes"] for row in cells], dtype=np.int64).reshape(len(cells), -1),
            np.array([row["n"] for row in cells], dtype=np.int64),
            np.array([row["weight"] for row in cells]),
            np.array([row["mean"] for row in cells]).reshape(len(cells), d),
            np.array([row["root"] for row in cells]).reshape(len(cells), d, d),
            wholes[0],
        )
        return _joined(part.columns, origin, [part], wholes)


def arrow_schema() -> Any:
    """Return the pyarrow schema of `Moments.to_arrow`, whatever the model."""
    import pyarrow as pa

    numbers = pa.list_(pa.float64())
    kinds = [pa.list_(pa.int64()), pa.int64(), pa.float64(), *[numbers] * 4, pa.float64()]
    return pa.schema(list(zip(_FIELDS, kinds, strict=True)))


def _of_one(values: Array, w: Array) -> tuple[float, Array, Array]:
    """Weight, mean and triangle of some rows."""
    total = float(w.sum())
    mean = (w @ values) / total
    mean = mean + (w @ (values - mean)) / total
    return total, mean, _triangle(np.sqrt(w)[:, None] * (values - mean))


def _triangle(rows: Array) -> Array:
    """Rotate rows into a triangle; the diagonal is not negative."""
    d = rows.shape[1]
    if len(rows) < d:
        rows = np.vstack([rows, np.zeros((d - len(rows), d))])
    R = np.linalg.qr(rows, mode="r")
    return np.asarray(R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None])


def _together(
    one: tuple[float, Array, Array], other: tuple[float, Array, Array]
) -> tuple[float, Array, Array]:
    """Weight, mean and triangle of two parts together."""
    (a, mean, R), (b, mean_b, S) = one, other
    step = mean_b - mean
    between = np.sqrt(a / (a + b) * b) * step
    return a + b, mean + b / (a + b) * step, _triangle(np.vstack([R, S, between]))


def _joined(
    columns: tuple[str, ...], origin: Array, parts: Sequence[Moments], wholes: Sequence[Overall]
) -> Moments:
    """Merge cells that occur more than once, and what all rows are like."""
    codes = np.vstack([part.codes for part in parts])
    if codes.shape[1]:
        found, which = np.unique(codes, axis=0, return_inverse=True)
    else:
        found, which = np.zeros((1, 0), dtype=np.int64), np.zeros(len(codes), dtype=np.int64)
    every = [
        (float(w), mean, root)
        for part in parts
        for w, mean, root in zip(part.weight, part.mean, part.root, strict=True)
    ]
    n = np.zeros(len(found), dtype=np.int64)
    np.add.at(n, which.reshape(-1), np.concatenate([part.n for part in parts]))
    merged: dict[int, tuple[float, Array, Array]] = {}
    for cell, own in zip(which.reshape(-1).tolist(), every, strict=True):
        merged[cell] = own if cell not in merged else _together(merged[cell], own)
    ordered = [merged[cell] for cell in range(len(found))]
    return Moments(
        columns,
        origin,
        found,
        n,
        np.array([own[0] for own in ordered]),
        np.array([own[1] for own in ordered]),
        np.array([own[2] for own in ordered]),
        _overall(wholes),
    )


def _overall(parts: Sequence[Overall]) -> Overall:
    first, *others = parts
    total = (float(first.n), first.mean, first.root)
    for one in others:
        total = _together(total, (float(one.n), one.mean, one.root))
    return Overall(
        sum(one.n for one in parts),
        total[1],
        total[2],
        np.min([one.low for one in parts], axis=0),
        np.max([one.high for one in parts], axis=0),
        sum(one.log_weights for one in parts),
    )
