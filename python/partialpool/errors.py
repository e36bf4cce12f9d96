"""Errors that users see: what is wrong, where, and what to do, in one sentence."""

from __future__ import annotations

import difflib
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
        self.what, self.where, self.remedy = what, where, remedy
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


class FindingWarning(UserWarning):
    """What to know before a fit is used: its findings of level warning or error, as text.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", FindingWarning)  # to read `fit.findings` instead
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the closest of the known names, or all of them.

    Examples
    --------
    >>> did_you_mean("flor", ["floor", "county"])
    'did you mean `floor`?'
    >>> did_you_mean("zzz", ["floor", "county"])
    'choose one of `floor`, `county`'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    shown = ", ".join(f"`{k}`" for k in known[:12]) + (", …" if len(known) > 12 else "")
    return f"choose one of {shown}"
