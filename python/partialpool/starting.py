"""How a process starts that is our command line: Ctrl-C ends it without a traceback, and quickly.

The package imports this first. A program that imports the package keeps its own ways.
"""

from __future__ import annotations

import gc
import sys
from itertools import pairwise
from pathlib import PurePath
from types import TracebackType

INTERRUPTED = 130


def is_command(argv: list[str], original: list[str]) -> bool:
    """Whether a process was started as our command line.

    Examples
    --------
    >>> is_command(["/usr/bin/partialpool", "fit"], [])
    True
    >>> is_command(["-m"], ["python", "-m", "partialpool", "fit"])
    True
    >>> is_command(["analysis.py"], ["python", "analysis.py"])
    False
    """
    if PurePath(argv[0] if argv else "").stem == "partialpool":
        return True
    return argv[:1] == ["-m"] and ("-m", "partialpool") in pairwise(original)


def _leave_quietly(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.__excepthook__(kind, error, traceback)


COMMAND = is_command(sys.argv, sys.orig_argv)

if COMMAND:
    sys.excepthook = _leave_quietly
    gc.disable()  # while modules are imported nothing is garbage


def all_imported() -> None:
    """Look for garbage from now on, but never among modules: they stay until the process ends."""
    if COMMAND:
        gc.freeze()
        gc.enable()
