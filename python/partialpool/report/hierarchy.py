"""The levels of the data: how many members each has, and which variables belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.arrays import Ints
from partialpool.data import Column
from partialpool.design import Design
from partialpool.report.markup import Head, Html, table
from partialpool.report.subject import Subject


def hierarchy(subject: Subject) -> Html:
    """Give a row for each level of the data: its members, rows in each, its variables."""
    fit, design = subject.fit, subject.fit.design
    homes = {} if design is None else variables(design)
    rows: list[Sequence[str]] = []
    for factor, group in subject.factors.items():
        counts = group.counts
        slopes = [t for g in fit.model.groups if g.factor == factor for t in g.terms]
        rows.append(
            [
                factor,
                f"{len(group.levels):,}",
                f"{int(np.median(counts)):,} ({counts.min():,} to {counts.max():,})",
                ", ".join(slopes),
                _listed(homes, factor, design is not None),
            ]
        )
    own = [subject.response, *(name for name, home in homes.items() if not home)]
    rows.append(["row", f"{subject.n_rows:,}", "1", "", ", ".join(dict.fromkeys(own))])
    heads = [
        Head("Level", False),
        Head("Members"),
        Head("Rows in each: median (range)"),
        Head("What varies by it", False),
        Head("Variables measured at it", False),
    ]
    return table("Levels of the data, the highest first", heads, rows)


def _listed(homes: dict[str, str], factor: str, known: bool) -> str:
    if not known:
        return "not known without the rows"
    return ", ".join(name for name, home in homes.items() if home == factor) or "none"


def variables(design: Design) -> dict[str, str]:
    """Give the factor within whose levels each predictor is constant: that with fewest levels.

    Empty where a predictor varies within the levels of all.
    """
    grouping = {column for factor in design.factors for column in factor.columns}
    homes = {}
    for name in design.plan.predictors:
        if name in grouping or name not in design.table.columns:
            continue
        column = design.table.columns[name]
        constant = [f for f in design.factors if is_constant(column, f.codes)]
        fewest = min(constant, key=lambda f: len(f.levels), default=None)
        homes[name] = "" if fewest is None else fewest.name
    return homes


def is_constant(column: Column, codes: Ints) -> bool:
    """Whether a column has one value within each level.

    Examples
    --------
    >>> column = Column("x", "number", np.array([1.0, 1.0, 2.0]), np.zeros(3, dtype=bool))
    >>> is_constant(column, np.array([0, 0, 1])), is_constant(column, np.array([0, 1, 1]))
    (True, False)
    """
    _, own = np.unique(column.values.astype(str), return_inverse=True)
    pairs = np.unique(np.stack([codes, own.ravel()]), axis=1)
    return bool(len(np.unique(pairs[0])) == pairs.shape[1])
