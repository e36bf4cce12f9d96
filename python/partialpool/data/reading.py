"""How to read a table where it does not speak for itself: what users may say about it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from partialpool.errors import InputError

# Words that stand for a missing value and hardly for anything else; pandas knows them too.
WORDS = frozenset(
    ("NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NULL", "null", "NaN", "nan", "-NaN")
) | frozenset(("-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"))
# Among numbers these can mean nothing else; among texts they may be labels.
SIGNS = frozenset(("-", "--", "–", "—", ".", "..", "?", "None", "none", "na", "Na", "N.A.", "n.a."))
# Marks so common among numbers that nothing need be said of them.
SILENT = frozenset(("", "NA", "NaN", "nan"))


class Reading(Struct, frozen=True):
    """What is said about a table's values beyond what they say themselves.

    Parameters
    ----------
    na : tuple of str, optional
        The texts that stand for missing values, in all columns; by default the usual ones.
    decimal : str, optional
        The decimal mark of all numbers: ``"."`` or ``","``; by default each column's own.
    text : tuple of str
        Columns that hold labels, whatever they look like.
    encoding : str, optional
        Of text files; by default UTF-8.
    """

    na: tuple[str, ...] | None = None
    decimal: str | None = None
    text: tuple[str, ...] = ()
    encoding: str | None = None

    def is_mark(self, text: str) -> bool:
        """Whether a text, stripped, stands for a missing value among numbers.

        Examples
        --------
        >>> Reading().is_mark("."), Reading(na=("x",)).is_mark("."), Reading(na=("x",)).is_mark("")
        (True, False, True)
        """
        if self.na is None:
            return text in WORDS or text in SIGNS or not text
        return text in self.na or not text

    def is_absent(self, text: str) -> bool:
        """Whether it does so anywhere.

        Examples
        --------
        >>> Reading().is_absent("NA"), Reading().is_absent("."), Reading(na=(".",)).is_absent(".")
        (True, False, True)
        """
        return not text or text in (WORDS if self.na is None else self.na)


USUAL = Reading()


def check_reading(na: Any, decimal: Any, text: Any, encoding: Any) -> Reading:
    """Check what users say about a table.

    Raises
    ------
    InputError
        If it cannot be meant.

    Examples
    --------
    >>> check_reading("-", None, ["code"], None)
    Reading(na=('-',), decimal=None, text=('code',), encoding=None)
    """
    if decimal is not None and (not isinstance(decimal, str) or decimal not in (".", ",")):
        raise InputError(f"`decimal` is {decimal!r}", remedy='give "." or ","')
    if encoding is not None:
        try:
            known = codecs.lookup(encoding)
            is_text = known._is_text_encoding
        except (LookupError, TypeError, ValueError):
            is_text = False
        if not is_text:
            raise InputError(
                f"`encoding` is {encoding!r}, which is not known",
                remedy='give one such as "utf-8", "latin-1", "cp1252" or "utf-16"',
            )
    marks = None if na is None else tuple(_texts("na", na, "marks such as"))
    columns = () if text is None else tuple(_texts("text", text, "names of columns, as in"))
    return Reading(marks, decimal, columns, encoding)


def _texts(option: str, given: Any, what: str) -> list[str]:
    values = [given] if isinstance(given, (str, int, float)) else given
    if isinstance(values, (Sequence, set, frozenset)):
        found = [v.strip() if isinstance(v, str) and option == "na" else v for v in values]
        if option == "na":  # numbers as they would be written
            found = [v if isinstance(v, str) else f"{v:.15g}" for v in found if _plain(v)]
        if len(found) == len(values) and all(isinstance(v, str) for v in found):
            return [str(v) for v in found]
    raise InputError(f"`{option}` is {given!r}", remedy=f'give {what} ["a", "b"]')


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
