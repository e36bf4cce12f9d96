"""Errors that users see: what is wrong, where, and what to do, in one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class PartialPoolError(Exception):
    """Base class of every error that partialpool raises on purpose."""


class InputError(PartialPoolError, ValueError):
    """Something given to partialpool cannot be used as it is.

    Parameters
    ----------
    what : str
        What is wrong, as a clause without a final full stop.
    where : str, optional
        The place: an argument, a column, a position in the formula.
    remedy : str, optional
        What to do about it, as a clause without a final full stop.

    Examples
    --------
    >>> print(InputError("`draws` is 0", remedy="ask for at least 1"))
    `draws` is 0: ask for at least 1.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what = what = _readable(what)
        self.where = where = _readable(where) if where else where
        self.remedy = remedy = _readable(remedy) if remedy else remedy
        sentence = what
        if where:
            sentence += f" ({where})"
        if remedy:
            sentence += f": {remedy}"
        super().__init__(sentence if sentence.endswith((".", "?")) else sentence + ".")


class EngineError(PartialPoolError, RuntimeError):
    """The sampler could not run on this model."""


class NotYetError(InputError, NotImplementedError):
    """A valid request that this version cannot serve."""


class NeedsRowsError(NotYetError):
    """A model of a table that was read in one pass, and that its sums do not suffice for."""

    def __init__(self, what: str) -> None:
        super().__init__(what, remedy="let the table be read whole (`one_pass=False`)")

    def __reduce__(self) -> tuple[type[NeedsRowsError], tuple[str]]:
        return type(self), (self.what,)


class UnknownRowsError(InputError):
    """Rows of which the fit knows nothing, as no fitted row has their combination of categories.

    Attributes
    ----------
    every : bool
        Whether it is all rows that were given.
    """

    every: bool = False


class FindingWarning(UserWarning):
    """What to know before a fit is used: its findings of level warning or error, as text.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", FindingWarning)  # to read `fit.findings` instead
    """


def short(text: str, limit: int = 60) -> str:
    """Return text that a user gave so that it fits into a message.

    Examples
    --------
    >>> short("x" * 100, 10)
    'xxxxxxxxx…'
    """
    text = " ".join(text[: 4 * limit].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown(value: object) -> str:
    """Return a value that a user gave as Python writes it, so that it fits into a message.

    Examples
    --------
    >>> shown("a"), shown([1] * 100)
    ("'a'", '[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1…')
    """
    try:
        return short(repr(value))
    except ValueError:  # more digits than Python writes
        return "far too large"


def _readable(text: str) -> str:
    """Return a clause on one line, in which nothing that a user gave is longer than can be read."""
    text = re.sub(r"\s*[\n\r]\s*", " ", text)
    text = re.sub(r"`([^`]*)`", lambda found: f"`{_cut(found[1], 100, 80)}`", text)
    text = re.sub(r"\S+", lambda found: _cut(found[0], 160, 100), text)
    return text if len(text) <= 800 else text[:799] + "…"


def _cut(text: str, above: int, limit: int) -> str:
    return short(text, limit) if len(text) > above else text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the closest of the known names, or all of them.

    Examples
    --------
    >>> did_you_mean("flor", ["floor", "county"])
    'did you mean `floor`?'
    >>> did_you_mean("zzz", ["floor", "county"])
    'choose one of `floor`, `county`'
    """
    known = [str(one) for one in known]
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    shown = ", ".join(f"`{k}`" for k in known[:12]) + (", …" if len(known) > 12 else "")
    return f"choose one of {shown}"
