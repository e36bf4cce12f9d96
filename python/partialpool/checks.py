"""Checks of options that several public functions take."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping
from typing import Any

from partialpool.errors import InputError, did_you_mean, short, shown

# More than that is a slip, whatever the model; memory has its own check.
_MOST = {"chains": 10_000, "threads": 100_000}
_MANY = 10**9


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of the known ones."""
    if not isinstance(value, str):
        raise InputError(f"`{name}` is {shown(value)}", remedy=did_you_mean("", known))
    if value not in known:
        raise InputError(f"unknown {name} `{short(value)}`", remedy=did_you_mean(value, known))


def check_counts(**counts: Any) -> None:
    """Refuse counts that are no whole numbers, too small (`warmup` may be 0), or beyond measure."""
    for name, value in counts.items():
        if name == "threads" and value is None:
            continue
        check_whole(name, value, 0 if name == "warmup" else 1, _MOST.get(name, _MANY))


def check_whole(name: str, value: Any, low: int, high: int = _MANY) -> int:
    """Take a whole number within bounds, of any type that is one.

    Examples
    --------
    >>> import numpy as np
    >>> check_whole("k", np.int8(3), 2)
    3
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputError(f"`{name}` is {shown(value)}", remedy="give a whole number")
    try:
        number = int(value.__index__())
    except TypeError:  # an array of several
        raise InputError(f"`{name}` is {shown(value)}", remedy="give one whole number") from None
    if not low <= number <= high:
        remedy = f"give at least {low}" if number < low else f"give at most {high:,}"
        raise InputError(f"`{name}` is {_digits(number)}", remedy=remedy)
    return number


def check_interval(interval: Any, name: str = "interval") -> float:
    """Take a share between 0 and 1."""
    real = isinstance(interval, numbers.Real) and not isinstance(interval, bool)
    if not real or not 0 < float(interval) < 1:
        raise InputError(
            f"`{name}` is {shown(interval)}",
            remedy="give a number between 0 and 1, such as 0.95",
        )
    return float(interval)


def check_seed(seed: Any) -> int:
    """Take a seed, or make one."""
    if seed is None:
        return int.from_bytes(os.urandom(4), "little")
    try:
        return check_whole("seed", seed, 0, 2**64 - 1)
    except InputError as error:
        raise InputError(error.what, remedy="give a whole number from 0 to 2**64 - 1") from None


def check_text(name: str, value: Any, example: str) -> None:
    """Refuse what is no text, where it is given.

    Examples
    --------
    >>> check_text("by", 3, '"county"')
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `by` is 3: give a name as text, such as "county".
    """
    if value is not None and not isinstance(value, str):
        remedy = f"give a name as text, such as {example}"
        raise InputError(f"`{name}` is {shown(value)}", remedy=remedy)


def check_values(name: str, values: Any) -> list[Any]:
    """Take several values as a list.

    Examples
    --------
    >>> check_values("levels", (1, 2))
    [1, 2]
    """
    single = _is_single(values)
    try:
        found = [] if single else list(values)
    except TypeError:  # an array of no dimension
        single = True
    if single or any(isinstance(v, (list, dict, set)) or (hasattr(v, "shape") and v.shape)
                     for v in found):  # fmt: skip
        raise InputError(f"`{name}` is {shown(values)}", remedy="give a list of values")
    return found


def check_one_or_more(name: str, values: Any) -> list[Any]:
    """Take several values as a list, or one as a list of one.

    Examples
    --------
    >>> check_one_or_more("levels", "70"), check_one_or_more("levels", ("1", "70"))
    (['70'], ['1', '70'])
    """
    return check_values(name, [values] if _is_single(values) else values)


def _is_single(values: Any) -> bool:
    return isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__")


A_FACTOR = '"county"'
"""A grouping factor, in messages."""


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither true nor false, where it is given."""
    if value is not None and not isinstance(value, bool):
        raise InputError(f"`{name}` is {shown(value)}", remedy="give True or False")


def check_mapping(name: str, value: Any, example: str) -> None:
    """Refuse what is no mapping with texts as keys, where it is given."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise InputError(f"`{name}` is {shown(value)}", remedy=f"give a dict, such as {example}")
    for key in value:
        if not isinstance(key, str):
            raise InputError(
                f"`{name}` has the key {shown(key)}", remedy=f"give names, as in {example}"
            )


def _digits(number: int) -> str:
    """Write a number that may have more digits than Python writes out."""
    if abs(number) < 10**30:
        return str(number)
    return f"about {'-' * (number < 0)}10^{int(number.bit_length() * 0.30103)}"
