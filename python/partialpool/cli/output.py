"""What commands print: tables on stdout, findings and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from partialpool.cli.options import TYPES
from partialpool.words.page import Page


class OutputError(Exception):
    """What was to be shown cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written ({error.strerror or error}).")


def report(page: Page, as_json: bool, *after: str) -> None:
    """Print what a result says, and lines after it; its findings apart."""
    if as_json:
        say_json(page.to_dict())
    else:
        say("\n".join([_own_options(page.body), *after]))
    found = page.findings_text
    if page.findings or (found and not as_json):
        say(own_words(found if as_json else f"\n{found}"), sys.stderr)


def say_json(record: Mapping[str, Any]) -> None:
    """Write an object of JSON to stdout."""
    say(json.dumps(record, indent=2, allow_nan=False))


# What messages call by its name in Python → the option of the command line.
_READ = re.compile(r"`pp\.read\(…,\s(\w+)=(.*?)\)`", re.DOTALL)
_OTHERS = (
    *("truth", "factor", "kind", "new_levels", "at", "groups", "data", "rope", "by"),
    *("exponentiate", "digits", "layout", "statistics"),
)
_NAMES = "|".join((*(name for name in TYPES if name != "priors"), *_OTHERS))
_OPTION = re.compile(rf"`({_NAMES})=`")
_VALUE = re.compile(rf'\b({_NAMES})="([\w/=,-]*)"')
# At the start of a message, where options are to be left out, or where it is their value that
# is spoken of: columns may have the same names.
_SUBJECT = re.compile(
    rf"(?:(?<=leave )|(?<=both )|(?<=\A))`({_NAMES})`"
    r"(?= (?:is (?!no |the |both )|(?:out|and|has|holds|names|equals|gives|lists)\b))"
    r"|(?:(?<=\A)|(?<=leave )|(?<=and ))`(na|decimal|text|encoding)`"
)
# Options whose names columns may well have: only where it is the option that is spoken of.
_GIVEN = re.compile(
    r"`(pairwise|ratio|reference|slope)`"
    r"(?= is given|, which compares| out(?: of one of them)?\b|, and slopes)|"
    r"\A`(reference|slope)`(?= (?:is [^:]*, (?:which|whose)|names))"
)


def own_words(message: str) -> str:
    """Let a message speak of options as the command line calls them.

    Examples
    --------
    >>> own_words('say so: `pp.read(…, na=[…])`, or `pp.read(…, decimal=",")`; give `trials=`')
    'say so: `--na …`, or `--decimal ,`; give `--trials`'
    >>> own_words('`draws` is 0: leave `trials=` out, or use family="binomial"')
    '`--draws` is 0: leave `--trials` out, or use --family binomial'
    """

    def option(match: re.Match[str]) -> str:
        return "--" + (match[1] or match[2]).replace("_", "-")

    def read(match: re.Match[str]) -> str:
        value = match[2].strip("[]").strip('"')
        return f"`--{match[1]} {value}`"

    found = _own_options(_READ.sub(read, message))
    found = _VALUE.sub(lambda m: f"--{m[1].replace('_', '-')} {m[2]}", found)
    found = _GIVEN.sub(lambda m: f"`{option(m)}`", found)
    return _SUBJECT.sub(lambda m: f"`{option(m)}`", found)


def _own_options(text: str) -> str:
    return _OPTION.sub(lambda m: f"`--{m[1].replace('_', '-')}`", text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write to stdout or another stream; a reader that has left (`| head`) is no error."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        discard(stream)
        if not isinstance(error, BrokenPipeError) and stream is sys.stdout:
            raise OutputError(error) from None


def discard(stream: TextIO) -> None:
    """Send what is left to nowhere, or Python would complain about it on exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
