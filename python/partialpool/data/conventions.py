"""The ways in which people write numbers, and which of them a column of text follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

_BLANK = "[ \u00a0\u2009\u202f]"
_SIGN = "[+\\-\u2212]?"
_EXPONENT = "(?:[eE][+-]?[0-9]+)?"
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?[0-9]+")
# One mark, and three digits after it: 1.234 may be a thousand and something.
ONE_MARK = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_SAMPLE = 200  # texts that are enough to see which conventions are out of the question


class Convention(Struct, frozen=True, dict=True):
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


def is_number(text: str) -> bool:
    """Whether a text, stripped, is a number under some convention.

    Examples
    --------
    >>> is_number("1.234,5 %"), is_number("-.5"), is_number("1 kg")
    (True, True, False)
    """
    return is_plain(text) or any(c.pattern.fullmatch(text) for c in CONVENTIONS)


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
    return PLAIN if plain and all(map(WHOLE.fullmatch, texts)) else first


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
