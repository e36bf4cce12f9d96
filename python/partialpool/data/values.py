"""Text → what it says: numbers under one convention, truth values, dates, or labels.

A column of text is numbers only if all of it is, under one way of writing them. What is nearly so
stays text, and `refuse_unclear` says why it can serve neither as numbers nor as categories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec.structs import replace

from partialpool.arrays import Ints
from partialpool.data.conventions import PLAIN, WHOLE, Convention, choose, is_number, is_plain
from partialpool.data.labels import date_labels, distinct, label
from partialpool.data.reading import SILENT, USUAL, Reading
from partialpool.data.table import Array, Column, Note

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")  # that 64 bits may hold
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
)
_SAMPLE = 200  # texts that are enough to see that a column is words


LEADING_ZEROS = "[+-]?0[0-9]+"
_LEADING_ZEROS = re.compile(LEADING_ZEROS)


def leading_zeros(name: str, shown: str) -> tuple[Note, ...]:
    """Say that a column may be one of codes, where it is taken as numbers."""
    return (
        Note(
            "leading-zeros",
            f"`{name}` has leading zeros (`{shown}`) and is used as numbers.",
            f"If these are labels, write `C({name})`, or say so: `pp.read(…, text=[…])`.",
        ),
    )


def read_texts(
    name: str,
    texts: Array,
    missing: Array,
    how: Reading = USUAL,
    *,
    explicit: bool = True,
    doubtful: bool = False,
    counts: Ints | None = None,
) -> Column:
    """Make a column of text what it says: numbers, truth values, dates, or labels.

    Parameters
    ----------
    name : str
        The column.
    texts : numpy.ndarray
        Objects of ``str``; any where `missing`.
    missing : numpy.ndarray
        Rows known to have no value.
    how : Reading
        What users say about the table.
    explicit : bool
        Whether the table says that it is text. Whole numbers are labels then, empty texts and
        words such as NA too.
    doubtful : bool
        Whether points may stand between thousands: those of a file whose commas are decimal.
    counts : numpy.ndarray, optional
        How many rows have each text, where every text is given once.

    Examples
    --------
    >>> column = read_texts("x", np.array(["1,5", "-", "2"], dtype=object), np.zeros(3, dtype=bool))
    >>> column.values.tolist(), column.missing.tolist(), column.notes[1].message
    ([1.5, nan, 2.0], [False, True, False], '`x` is read with decimal commas: `1,5` is 1.5.')
    """
    if explicit and how is USUAL and _is_words(texts, missing):
        return Column(name, "string", _clean(texts, missing), missing)
    found, codes = _present(texts, missing)
    if counts is None:
        counts = np.bincount(codes[codes >= 0], minlength=len(found))
    bare = [text.strip() for text in found]
    marks = np.array([how.is_mark(text) for text in bare], dtype=bool)
    chosen: Convention | None = None
    if name not in how.text:
        rest = [text for text, mark in zip(bare, marks.tolist(), strict=True) if not mark]
        chosen = choose(rest, how.decimal, doubtful=doubtful)
        if chosen == PLAIN and explicit and not marks.any() and all(map(WHOLE.fullmatch, rest)):
            chosen = None
        if chosen is None and not explicit and not rest and not _has_sign(bare, how):
            chosen = PLAIN  # nothing but missing values
    if chosen is not None:
        notes = _mark_notes(bare, marks, counts, name, how, number=True)
        return _numbers(name, texts, found, codes, marks, chosen, notes)
    if how.na is None and explicit:
        absent = np.zeros(len(found), dtype=bool)
    else:
        absent = np.array([how.is_absent(text) for text in bare], dtype=bool)
    notes = _mark_notes(bare, absent, counts, name, how, number=False)
    gone = missing | (codes < 0) | _taken(absent, codes)
    if name not in how.text:
        rest = [text for text, mark in zip(bare, absent.tolist(), strict=True) if not mark]
        other = _truth(rest) if not explicit else None
        other = _dates(rest) if other is None else other
        if other is not None:
            full = np.zeros(len(found), dtype=other.dtype)
            full[~absent] = other
            values = _taken(full, codes)
            kind = "boolean" if other.dtype == bool else "date"
            return Column(name, kind, values, gone, texts=_clean(texts, gone), notes=notes)
    said: Literal["nobody", "table", "user"] = "table" if explicit else "nobody"
    said = "user" if name in how.text else said
    return Column(name, "string", _clean(texts, gone), gone, notes=notes, said=said)


def as_said(column: Column, how: Reading) -> Column:
    """Apply to a column of numbers or dates what users say about texts.

    Examples
    --------
    >>> as_said(Column("x", "number", np.array([1, 9]), np.zeros(2, bool)), Reading(("9",))).missing
    array([False,  True])
    """
    if how.na is not None and column.kind == "number":
        marks = [number for number in map(_number, how.na) if number is not None]
        absent = column.missing | np.isin(column.values.astype(np.float64), marks)
        column = replace(column, missing=absent)
    if column.name not in how.text:
        return column
    if column.kind == "string":
        return replace(column, said="user")
    values, codes = distinct(column.labels)
    own = date_labels(np.array(values)) if column.labels.dtype.kind == "M" else map(label, values)
    texts = np.array([*own, ""], dtype=object)[codes]
    texts[column.missing] = ""
    return Column(column.name, "string", texts, column.missing, said="user")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_words(texts: Array, missing: Array) -> bool:
    """Whether the first texts show that not all can be numbers or dates."""
    first = [text.strip() for text in texts[:_SAMPLE][~missing[:_SAMPLE]].tolist()]
    return any(
        not (USUAL.is_mark(text) or is_number(text) or _DATE.fullmatch(text)) for text in first
    )


def _numbers(
    name: str,
    texts: Array,
    found: Sequence[str],
    codes: Ints,
    marks: Array,
    convention: Convention,
    notes: tuple[Note, ...],
) -> Column:
    own = np.full(len(found), np.nan)
    there = {k: found[k].strip() for k in np.flatnonzero(~marks).tolist()}
    own[list(there)] = [convention.number(text) for text in there.values()]
    gone = (codes < 0) | _taken(marks, codes)
    shown = next((text for text in there.values() if not is_plain(text)), None)
    if convention != PLAIN or shown is not None:
        shown = shown or next(iter(there.values()))
        notes += (
            Note(
                "number-format",
                f"`{name}` is read with {convention.words}: `{shown}` is "
                f"{convention.number(shown):.15g}.",
            ),
        )
    zeros = next((text for text in there.values() if _is_code(text)), None)
    notes += () if zeros is None else leading_zeros(name, zeros)
    whole = [int(text) for text in there.values() if _INTEGER.fullmatch(text)]
    alike = False
    if len(whole) == len(there) and max(map(abs, whole), default=0) < 2**63:
        integers = np.zeros(len(found), dtype=np.int64)
        integers[list(there)] = whole
        values: Array = np.where(gone, 0, _taken(integers, codes))
        alike = all(found[k] == str(n) for k, n in zip(there, whole, strict=True))
    else:
        values = np.where(gone, np.nan, _taken(own, codes))
    own_texts = None if alike else _clean(texts, gone)
    return Column(name, "number", values, gone, texts=own_texts, notes=notes)


def _is_code(text: str) -> bool:
    return _LEADING_ZEROS.fullmatch(text) is not None


def _mark_notes(
    bare: Sequence[str], marks: Array, counts: Ints, name: str, how: Reading, *, number: bool
) -> tuple[Note, ...]:
    """Tell which texts are taken as missing, unless nobody would ask."""
    if how.na is not None:
        return ()
    silent = SILENT if number else {""}
    totals: dict[str, int] = {}
    for k in np.flatnonzero(marks).tolist():
        if bare[k] not in silent:
            totals[bare[k]] = totals.get(bare[k], 0) + int(counts[k])
    return mark_notes(name, totals)


def mark_notes(name: str, totals: dict[str, int]) -> tuple[Note, ...]:
    """Say which texts of a column are taken as missing, by their number of rows."""
    if not totals:
        return ()
    shown = ", ".join(f"`{text}` ({count})" for text, count in list(totals.items())[:5])
    return (
        Note(
            "missing-marks",
            f"In `{name}` these are taken as missing (rows): {shown}.",
            "If one of them is a value, say which marks are not: `pp.read(…, na=[…])`.",
        ),
    )


def _has_sign(bare: Sequence[str], how: Reading) -> bool:
    """Whether some mark may be a label: text that is all of `-` may mean something."""
    return any(not how.is_absent(text) for text in bare)


def _truth(texts: Sequence[str]) -> Array | None:
    if texts and all(text.lower() in ("true", "false") for text in texts):
        return np.array([text.lower() == "true" for text in texts], dtype=bool)
    return None


def _dates(texts: Sequence[str]) -> Array | None:
    if not texts or not all(map(_DATE.fullmatch, texts)):
        return None
    try:
        return np.array(list(texts), dtype="datetime64[us]")
    except ValueError:  # a 30th of February
        return None


def _present(texts: Array, missing: Array) -> tuple[list[str], Ints]:
    """Distinct texts that are there, and the index of each row's own; −1 where it has none."""
    if not missing.any():
        return distinct(texts)
    found, codes = distinct(texts[~missing])
    full = np.full(len(texts), -1, dtype=np.int64)
    full[~missing] = codes
    return found, full


def _taken(values: Array, codes: Ints) -> Array:
    """Each row's own of some values; any where its code is −1."""
    if not len(values):
        return np.zeros(len(codes), dtype=values.dtype)
    return values[np.maximum(codes, 0)] if values.dtype != bool else values[codes] & (codes >= 0)


def _clean(texts: Array, gone: Array) -> Array:
    """Texts without those of rows that have no value."""
    if not gone.any():
        return texts
    out = texts.copy()
    out[gone] = ""
    return out
