"""What to say of the columns of a design: how they were read, and labels that look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Ints
from partialpool.data import Column, Note, label
from partialpool.data.labels import distinct
from partialpool.data.reading import WORDS
from partialpool.formula.uses import Uses

# Notes about numbers, which do not matter where a column only names things.
_OF_NUMBERS = ("number-format", "leading-zeros")
_MOST_LEVELS = 100_000
_SHOWN = 4


def notes_of(
    uses: Uses,
    columns: Mapping[str, Column],
    levels: Mapping[str, NDArray[Any]],
    counts: Mapping[str, Ints] | None = None,
) -> tuple[Note, ...]:
    """Return what is to be said of columns that are used so, some of them for their levels.

    `counts` tell how many rows each value of a column stands for, where it is more than one.
    """
    notes: list[Note] = []
    for name, column in columns.items():
        naming = name in uses.labels and name not in uses.numbers and name not in uses.predictors
        notes += [n for n in column.notes if not (naming and n.code in _OF_NUMBERS)]
        if name in uses.predictors and column.kind == "string" and column.said == "table":
            notes += _numbers_as_labels(column)
        if name in uses.compared:
            notes += _others(column, uses.compared[name], (counts or {}).get(name))
        elif name in uses.labels or column.kind in ("string", "categorical"):
            found = levels[name].tolist() if name in levels else _occurring(column)
            notes += _look_alikes(name, found)
    return tuple(notes)


def _numbers_as_labels(column: Column) -> Iterator[Note]:
    found = distinct(column.values[~column.missing])[0]
    if found and all(text.strip().isdigit() for text in found):
        yield Note(
            "text-numbers",
            f"`{column.name}` is text that holds whole numbers: it is taken as {len(found)} "
            "categories.",
            "If it is a measurement, turn it into numbers.",
        )


def _others(column: Column, named: Sequence[str], rows: Ints | None) -> Iterator[Note]:
    """Count the values that a condition compares with others than those that it names."""
    found, codes = distinct(column.labels[~column.missing])
    counts = np.bincount(codes, rows, minlength=len(found))
    names = [label(value) for value in found]
    own = set(named)
    others = Counter({n: int(k) for n, k in zip(names, counts, strict=True) if n not in own})
    plain = {_plain(name) for name in own}
    doubtful = [
        n for n in others if _plain(n) in plain or n in WORDS or not any(map(str.isalnum, n))
    ]
    # Yes and No, say, are what a condition is for.
    if len(others) <= 1 and not doubtful:
        return
    shown = ", ".join(f"`{name}` ({count})" for name, count in others.most_common(6))
    shown += ", …" if len(others) > 6 else ""
    asked = ", ".join(f"`{name}`" for name in dict.fromkeys(named))
    remedy = ""
    if doubtful:
        remedy = (
            f"See whether {_listed(doubtful)} {'is' if len(doubtful) == 1 else 'are'} meant "
            "otherwise: correct the table, or say what stands for missing values: "
            "`pp.read(…, na=[…])`."
        )
    yield Note(
        "other-values" if doubtful else "condition",
        f"Conditions on `{column.name}` name {asked}; the other values in it, by rows: {shown}.",
        remedy,
    )


def _occurring(column: Column) -> list[Any]:
    return list(dict.fromkeys(column.labels.tolist())) if column.labels.dtype == object else []


def _look_alikes(column: str, found: Sequence[Any]) -> Iterator[Note]:
    """Find labels that differ in case or blanks alone, and labels that mean a missing value."""
    if len(found) > _MOST_LEVELS:
        return
    names = [value for value in found if isinstance(value, str)]
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_plain(name), []).append(name)
    several = [group for group in alike.values() if len(group) > 1]
    if several:
        shown = "; ".join(_listed(group) for group in several[:_SHOWN])
        shown += "; …" if len(several) > _SHOWN else ""
        yield Note(
            "alike-labels",
            f"`{column}` has labels that differ only in blanks or capitals: {shown}. They are "
            "kept apart.",
            "If they mean the same, write them alike.",
        )
    words = [name for name in names if name.strip() in WORDS or not name.strip()]
    if words:
        yield Note(
            "mark-labels",
            f"{_listed(words)} {'is' if len(words) == 1 else 'are'} taken as a label of "
            f"`{column}`, as the table says that it is text.",
            "If that stands for missing values, say so: `pp.read(…, na=[…])`.",
        )


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _listed(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names[:_SHOWN]] + ["…"] * (len(names) > _SHOWN)
    return " and ".join(p for p in (", ".join(shown[:-1]), shown[-1]) if p)
