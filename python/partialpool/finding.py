"""Finding: one thing to know before trusting a result, in plain sentences."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from partialpool.errors import FindingWarning

Level = Literal["info", "warning", "error"]


class Finding(Struct, frozen=True):
    """One thing to know about a fit.

    Attributes
    ----------
    code : str
        Stable name, such as ``"divergences"``.
    level : {"info", "warning", "error"}
        An error means that the fit should not be used.
    message, remedy : str
        What was found, and what to do about it.

    Examples
    --------
    >>> print(Finding("one-level", "warning", "There is one level.", "Leave the term out."))
    warning [one-level]: There is one level. Leave the term out.
    """

    code: str
    level: Level
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level} [{self.code}]: {self.message} {self.remedy}".rstrip()


def about_all(findings: Iterable[Finding]) -> list[tuple[str, Finding]]:
    """Findings that are about a result as a whole."""
    return [("", finding) for finding in findings]


def told(finding: tuple[str, Finding]) -> str:
    """Write a finding, with whom it is about."""
    about, what = finding
    return f"{about}: {what}" if about else str(what)


def warn(findings: Iterable[tuple[str, Finding]]) -> None:
    """Warn once of all findings that are more than information, at the line of the user.

    Parameters
    ----------
    findings : iterable of (str, Finding)
        Each with whom it is about, or nothing.
    """
    serious = [told(pair) for pair in findings if pair[1].level != "info"]
    if serious:
        try:
            warnings.warn("\n".join(serious), FindingWarning, stacklevel=_user_level())
        except ValueError:
            if not getattr(sys.stderr, "closed", False):  # as in services: nobody would read it
                raise


def _user_level() -> int:
    """How many frames above that of the caller there is one of other code than ours."""
    home, level, frame = str(Path(__file__).parent), 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(home):
        frame, level = frame.f_back, level + 1
    return level
