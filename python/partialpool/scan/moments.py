"""What the rows of each cell of levels add up to: all that a Gaussian model needs of them.

Nothing is subtracted from a sum: means move by what is new in a row, and triangles take rows and
other triangles in by rotations, as in Chan, Golub & LeVeque (1983). So a column with mean 1e9 and
sd 1 keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool import _core
from partialpool.arrays import Array, Ints

_LISTS = ("mean", "root", "low", "high")
_FIELDS = ("codes", "n", "weight", *_LISTS, "log_weights")


class Overall(Struct, frozen=True, eq=False):
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


class Moments(Struct, frozen=True, eq=False):
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
        names = ("codes", "n", "weight", "mean", "root")
        both = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        overall = merged([self.overall, other.overall], len(self.columns))
        return Moments(self.columns, self.origin, *_joined(*both), overall)

    @property
    def together(self) -> tuple[Ints, Array, Array, Array]:
        """Rows, weight, mean and triangle of all cells as one: arrays of one each."""
        whole = self.overall
        if np.array_equal(self.n, self.weight):
            n = np.array([whole.n])
            return n, n.astype(np.float64), whole.mean[None], whole.root[None]
        none = np.empty((len(self.n), 0), dtype=np.int64)
        _, n, weight, mean, root = _joined(none, self.n, self.weight, self.mean, self.root)
        return n, weight, mean, root

    def to_arrow(self) -> Any:
        """Return a pyarrow table with a row a cell, after one of all rows, without codes.

        Tables of several parts, or some of their rows, may be put together in any order:
        `from_arrow` merges them.
        """
        import pyarrow as pa

        cells, whole = len(self.n), self.overall
        first = {
            "codes": pa.nulls(1, pa.large_list(pa.int64())),
            "n": pa.array([whole.n], pa.int64()),
            "weight": pa.array([float(self.weight.sum())]),
            "log_weights": pa.array([whole.log_weights]),
        }
        first |= {name: _lists(getattr(whole, name)[None]) for name in _LISTS}
        rest = {name: _lists(getattr(self, name)) for name in ("codes", "mean", "root")}
        rest |= {"n": pa.array(self.n), "weight": pa.array(self.weight)}
        schema = arrow_schema()
        missing = {name: pa.nulls(cells, schema.field(name).type) for name in _FIELDS}
        return pa.concat_tables(
            pa.table({name: own[name] for name in _FIELDS}, schema=schema)
            for own in (first, missing | rest)
        )

    @classmethod
    def from_arrow(cls, columns: Sequence[str], origin: Array, table: Any) -> Moments:
        """Return what `to_arrow` made, of one part or of many: equal cells are merged.

        Where no row tells of all rows of a part, `overall` is of no rows.
        """
        whole, d = table.column("codes").is_null(), len(columns)
        wholes = [
            Overall(
                row["n"],
                np.array(row["mean"]),
                np.array(row["root"]).reshape(d, d),
                np.array(row["low"]),
                np.array(row["high"]),
                row["log_weights"],
            )
            for row in table.filter(whole).to_pylist()
        ]
        cells = table.filter(table.column("codes").is_valid())
        n, weight = (cells.column(name).to_numpy() for name in ("n", "weight"))
        mean, root = _array(cells, "mean", d), _array(cells, "root", d, d)
        codes = _array(cells, "codes", -1) if len(cells) else np.empty((0, 0))
        parts = (codes, n, weight, mean, root)
        return Moments(tuple(columns), origin, *_joined(*parts), merged(wholes, d))


def arrow_schema() -> Any:
    """Return the pyarrow schema of `Moments.to_arrow`, whatever the model."""
    import pyarrow as pa

    numbers = pa.large_list(pa.float64())
    kinds = [pa.large_list(pa.int64()), pa.int64(), pa.float64(), *[numbers] * 4, pa.float64()]
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
    codes: Array | Ints, n: Array | Ints, weight: Array, mean: Array, root: Array
) -> tuple[Ints, Ints, Array, Array, Array]:
    """Merge cells that occur more than once; they come in the order of their codes."""
    if codes.shape[1]:
        found, which = np.unique(codes, axis=0, return_inverse=True)
    else:
        found, which = codes[:1], np.zeros(len(codes), dtype=np.int64)
    cells = _core.Cells(columns=mean.shape[1], weighted=True)
    cells.join(
        codes=np.ascontiguousarray(which.reshape(-1), dtype=np.int64),
        n=np.ascontiguousarray(n, dtype=np.int64),
        weight=np.ascontiguousarray(weight),
        mean=np.ascontiguousarray(mean),
        root=np.ascontiguousarray(root),
    )
    return np.asarray(found, dtype=np.int64), *cells.parts()


def _lists(values: Array) -> Any:
    """Return the rows of an array as lists of Arrow."""
    import pyarrow as pa

    rows = len(values)
    flat = np.ascontiguousarray(values).reshape(rows, -1)
    starts = pa.array(np.arange(rows + 1) * flat.shape[1], pa.int64())
    return pa.LargeListArray.from_arrays(starts, pa.array(flat.ravel()))


def _array(table: Any, name: str, *shape: int) -> Array:
    """Return the lists of a column as an array, each of this shape."""
    flat = table.column(name).combine_chunks().flatten().to_numpy()
    return np.asarray(flat.reshape(len(table), *shape))


def merged(parts: Sequence[Overall], d: int) -> Overall:
    """Return what the rows of all parts are like, of which some may have none."""
    parts = [part for part in parts if part.n]
    if not parts:
        ends = np.full(d, np.inf)
        return Overall(0, np.zeros(d), np.zeros((d, d)), ends, -ends, 0.0)
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
