"""Text → what it says: numbers under one convention, truth values, dates, or labels.

A column of text is numbers only if all of it is, under one way of writing them. What is nearly so
stays text, and `refuse_unclear` says why it can serve neither as numbers nor as categories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from .labels import Ints, distinct
from .reading import SILENT, USUAL, Reading
from .table import Array, Column, Note

_BLANK = "[ \u00a0\u2009\u202f]"
_SIGN = "[+\\-\u2212]?"
_EXPONENT = "(?:[eE][+-]?[0-9]+)?"
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?[0-9]+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")  # that 64 bits may hold
# One mark, and three digits after it: 1.234 may be a thousand and something.
ONE_MARK = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
)
_SAMPLE = 200  # texts that are enough to see which conventions are out of the question


@dataclass(frozen=True)
class Convention:
    """One way to write numbers.

    Parameters
    ----------
    decimal : str
        The decimal mark.
    thousands : str
        What may stand between groups of three digits: the other mark, ``" "``, ``"'"`` or nothing.
    percent : bool
        Whether every number has a percent sign.
    """

    decimal: str = "."
    thousands: str = ""
    percent: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a number looks like."""
        mark, whole = re.escape(self.decimal), "[0-9]+"
        if self.thousands:
            between = {" ": _BLANK, "'": "['\u2019]"}.get(self.thousands, re.escape(self.thousands))
            whole = f"(?:[1-9][0-9]{{0,2}}(?:{between}[0-9]{{3}})+|[0-9]+)"
        end = f"{_BLANK}?%" if self.percent else ""
        return re.compile(f"{_SIGN}(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+){_EXPONENT}{end}")

    def number(self, text: str) -> float:
        """Return the number that a matching text is.

        Examples
        --------
        >>> Convention(",", ".").number("1.234,5"), Convention(percent=True).number("12.5 %")
        (1234.5, 0.125)
        """
        text = text.rstrip("%").rstrip().replace("\u2212", "-")
        if self.thousands:
            text = re.sub(f"{_BLANK}|['\u2019]", "", text).replace(
                self.thousands if self.thousands in ".," else " ", ""
            )
        text = text.replace(self.decimal, ".")
        if not self.percent:
            return float(text)
        digits, _, exponent = text.lower().partition("e")  # exact, unlike a division by 100
        return float(f"{digits}e{int(exponent or 0) - 2}")

    @property
    def words(self) -> str:
        """What is unlike plain numbers."""
        parts = ["decimal commas"] if self.decimal == "," else []
        if self.thousands:
            name = {".": "points", ",": "commas", " ": "blanks", "'": "apostrophes"}
            parts.append(f"{name[self.thousands]} between thousands")
        if self.percent:
            parts.append("percent signs")
        return " and ".join(parts) or "printed minus signs"


PLAIN = Convention()
_PATTERN = PLAIN.pattern
CONVENTIONS = tuple(
    Convention(decimal, thousands, percent)
    for percent in (False, True)
    for decimal, other in ((".", ","), (",", "."))
    for thousands in ("", other, " ", "'")
)


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


def is_plain(text: str) -> bool:
    """Whether a text, stripped, is a number as programs write it.

    Examples
    --------
    >>> is_plain("-1.5e3"), is_plain("inf"), is_plain("1,5"), is_plain("1_000"), is_plain("0x1F")
    (True, True, False, False, False)
    """
    if "\u2212" in text:
        return False
    return _PATTERN.fullmatch(text) is not None or _INFINITE.fullmatch(text) is not None


def read_texts(
    name: str,
    texts: Array,
    missing: Array,
    how: Reading = USUAL,
    *,
    explicit: bool = True,
    doubtful: bool = False,
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

    Examples
    --------
    >>> column = read_texts("x", np.array(["1,5", "-", "2"], dtype=object), np.zeros(3, dtype=bool))
    >>> column.values.tolist(), column.missing.tolist(), column.notes[1].message
    ([1.5, nan, 2.0], [False, True, False], '`x` is read with decimal commas: `1,5` is 1.5.')
    """
    if explicit and how is USUAL and _is_words(texts, missing):
        return Column(name, "string", _clean(texts, missing), missing)
    found, codes = _present(texts, missing)
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    bare = [text.strip() for text in found]
    marks = np.array([how.is_mark(text) for text in bare], dtype=bool)
    chosen: Convention | None = None
    if name not in how.text:
        rest = [text for text, mark in zip(bare, marks.tolist(), strict=True) if not mark]
        chosen = choose(rest, how.decimal, doubtful=doubtful)
        if chosen == PLAIN and explicit and not marks.any() and all(map(_WHOLE.fullmatch, rest)):
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


def choose(
    texts: Sequence[str], decimal: str | None, *, doubtful: bool = False
) -> Convention | None:
    """Return the one convention under which all texts are numbers; None where there is not one.

    Examples
    --------
    >>> choose(["1,5", "20"], None), choose(["1,234", "20"], None), choose(["1,234"], ".")
    (Convention(decimal=',', thousands='', percent=False), None, \
Convention(decimal='.', thousands=',', percent=False))
    """
    if not texts:
        return None
    plain = all(map(is_plain, texts))
    if plain and decimal != ",":
        if doubtful and decimal is None:
            points = [text for text in texts if "." in text]
            if points and all(map(ONE_MARK.fullmatch, points)):
                return None
        return PLAIN
    fitting = [c for c in possible(texts) if decimal in (None, c.decimal)]
    if not fitting:
        return None
    first = fitting[0]
    if decimal is None:
        if not _agree(fitting, texts) or not is_evident(first, texts):
            return None
        return first
    return PLAIN if plain and all(map(_WHOLE.fullmatch, texts)) else first


def possible(texts: Sequence[str]) -> list[Convention]:
    """Return the conventions under which all texts are numbers, the simplest first."""
    fitting = []
    for convention in CONVENTIONS:
        simpler = replace(convention, thousands="")
        if simpler in fitting:  # then nothing stands between thousands
            continue
        pattern = convention.pattern
        if all(map(pattern.fullmatch, texts[:_SAMPLE])) and all(map(pattern.fullmatch, texts)):
            fitting.append(convention)
    return fitting


def _agree(conventions: Sequence[Convention], texts: Sequence[str]) -> bool:
    """Whether it does not matter which of the conventions is meant."""
    first, *others = conventions
    # Conventions that differ in the decimal mark differ at the first text that has either mark.
    return all(c.number(t) == first.number(t) for c in others for t in texts)


def is_evident(convention: Convention, texts: Sequence[str]) -> bool:
    """Whether points or commas between thousands show that they are that, not another's decimals.

    They do where they stand twice in a number, or beside its decimal mark.
    """
    mark = convention.thousands
    if not mark or mark not in ".,":
        return True
    return any(t.count(mark) > 1 or (mark in t and convention.decimal in t) for t in texts)


def _is_words(texts: Array, missing: Array) -> bool:
    """Whether the first texts show that not all can be numbers or dates."""
    first = [text.strip() for text in texts[:_SAMPLE][~missing[:_SAMPLE]].tolist()]
    return any(
        not (USUAL.is_mark(text) or is_number(text) or _DATE.fullmatch(text)) for text in first
    )


def is_number(text: str) -> bool:
    """Whether a text, stripped, is a number under some convention.

    Examples
    --------
    >>> is_number("1.234,5 %"), is_number("-.5"), is_number("1 kg")
    (True, True, False)
    """
    return is_plain(text) or any(c.pattern.fullmatch(text) for c in CONVENTIONS)


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
