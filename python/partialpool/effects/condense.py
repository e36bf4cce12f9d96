"""Many rows that are alike, or differ in one number alone: few stand for all.

The average of a smooth function over the values that occur is that over the nodes of Gauss's rule
for their distribution, which is exact for polynomials of twice as high a degree as there are nodes
(Golub & Welsch 1969). Two rules have to agree; where they don't, as where a formula has steps or
splines, all rows are averaged over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Ints
from partialpool.data import Table
from partialpool.data.labels import distinct
from partialpool.design.gather import Gathered
from partialpool.draws.new_rows import grouping_columns
from partialpool.effects.values import is_numeric
from partialpool.errors import InputError
from partialpool.model import Group, Model

MANY = 1000  # rows; of fewer all are taken
SIZES = ((16, 24), (44, 60))  # nodes of two rules that have to agree
AGREEMENT = 1e-9  # relative to the largest average
ROUNDING = 1e-13  # of numbers up to 1

Averaging = Callable[[Gathered, Array], Array]
"""From rows and their weights."""


class Rule(Struct, frozen=True, eq=False):
    """Rows with weights, and the values that they get of one column.

    Attributes
    ----------
    first : (node,) array of int
        A row that has everything else.
    weights : (node,) array
        How often each counts.
    column : str
        The column; empty where rows stay as they are.
    values : (node,) array
        Its values.
    """

    first: Ints
    weights: Array
    column: str
    values: Array

    def rows(self, gathered: Gathered) -> Gathered:
        """Take these rows, with these values."""
        table = gathered.table.rows(self.first)
        columns = table.columns
        if self.column:
            column = replace(columns[self.column], values=self.values, texts=None)
            columns = columns | {self.column: column}
        return replace(
            gathered,
            table=Table(columns, len(self.first), table.source),
            roles={role: own[self.first] for role, own in gathered.roles.items()},
            positions=gathered.positions[self.first],
        )


class Condensed:
    """Averages over rows, or over a few that stand for them.

    Parameters
    ----------
    gathered : Gathered
        The rows.
    weights : (row,) array
        How often they count.
    apart : sequence of Group
        Groups whose levels keep their own coefficients.
    constant : collection of str
        Columns that will have one value in all rows.
    """

    def __init__(
        self,
        model: Model,
        gathered: Gathered,
        weights: Array,
        apart: Sequence[Group],
        constant: Collection[str],
    ) -> None:
        self.weights, self.is_exact = weights, False
        self.rules: list[Callable[[], tuple[Rule, ...]]] = []
        # What is not determined is left out row by row, and counted.
        if len(weights) <= MANY or not all(group.estimable.all() for group in apart):
            return
        of_levels = {name for group in apart for name in grouping_columns(model, group)}
        named = dict.fromkeys((*model.plan.predictors, *of_levels))
        free = [n for n in named if n not in constant and n in gathered.table.columns]
        numbers, kinds = [], np.zeros(len(weights), dtype=np.int64)
        for name in free:
            column = gathered.table.columns[name]
            own, codes = distinct(column.labels)
            if len(own) > SIZES[-1][1] and name not in of_levels and is_numeric(model, column):
                numbers.append(name)
            else:
                kinds = np.unique(kinds * len(own) + codes, return_inverse=True)[1].ravel()
        for values in gathered.roles.values():
            codes = np.unique(values, return_inverse=True)[1].ravel()
            kinds = np.unique(kinds * (codes.max() + 1) + codes, return_inverse=True)[1].ravel()
        if not numbers:
            first, counts = np.unique(kinds, return_index=True)[1], np.bincount(kinds, weights)
            alike = (Rule(first, counts.astype(np.float64), "", np.empty(0)),)
            self.rules.append(lambda: alike)
        elif len(numbers) == 1:
            x = gathered.table.columns[numbers[0]].values.astype(np.float64)
            self.rules += [
                cache(partial(_rules, numbers[0], x, weights, kinds, sizes))
                for sizes in SIZES
                if 2 * sum(sizes) * (kinds.max() + 1) < len(weights)
            ]
        self.is_exact = not numbers

    def average(self, rows: Gathered, compute: Averaging, least: float) -> Array:
        """Average over rows.

        `least`: how closely two rules have to agree; with 0 only rows that are alike are merged.
        """
        for rules in self.rules if least or self.is_exact else []:
            try:
                found = [compute(rule.rows(rows), rule.weights) for rule in rules()]
            except InputError:  # which speaks of rows, so of all
                break
            gap = np.abs(found[0] - found[-1]).max()
            if len(found) == 1 or gap <= least * np.abs(found[-1]).max():
                return found[-1]
        return compute(rows, self.weights)


def _rules(
    column: str, x: Array, weights: Array, kinds: Ints, sizes: tuple[int, ...]
) -> tuple[Rule, ...]:
    return tuple(_rule(column, x, weights, kinds, size) for size in sizes)


def _rule(column: str, x: Array, weights: Array, kinds: Ints, size: int) -> Rule:
    order = np.argsort(kinds, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    rules = [gauss(x[part], weights[part], size) for part in parts]
    first = [np.full(len(nodes), part[0]) for part, (nodes, _) in zip(parts, rules, strict=True)]
    nodes, own = (np.concatenate(each) for each in zip(*rules, strict=True))
    return Rule(np.concatenate(first), own, column, nodes)


def gauss(x: Array, weights: Array, size: int) -> tuple[Array, Array]:
    """Nodes and weights that stand for weighted values.

    Examples
    --------
    >>> x = np.linspace(0, 1, 1000) ** 2
    >>> nodes, weights = gauss(x, np.ones(1000), 8)
    >>> len(nodes), bool(abs(weights @ np.exp(nodes) - np.exp(x).sum()) < 1e-10)
    (8, True)
    """
    low, high = x.min(), x.max()
    middle, half = (low + high) / 2, (high - low) / 2
    if half == 0:
        return np.array([low]), np.array([weights.sum()])
    values, codes = np.unique(x, return_inverse=True)
    own = np.bincount(codes.ravel(), weights).astype(np.float64)
    if len(values) <= size:
        return values, own
    found = (values - middle) / half
    basis = np.zeros((size, len(found)))
    diagonal, beside = np.zeros(size), np.zeros(size)
    vector = np.sqrt(own / own.sum())
    for j in range(size):  # Lanczos, orthogonal to all before
        basis[j] = vector
        vector = found * vector
        diagonal[j] = basis[j] @ vector
        for _ in range(2):
            vector -= basis[: j + 1].T @ (basis[: j + 1] @ vector)
        beside[j] = np.linalg.norm(vector)
        if beside[j] < ROUNDING:  # values that are as good as the same
            diagonal, beside = diagonal[: j + 1], beside[: j + 1]
            break
        vector /= beside[j]
    matrix = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return np.clip(middle + half * nodes, low, high), own.sum() * np.square(vectors[0])
