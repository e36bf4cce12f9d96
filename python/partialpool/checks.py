"""Checks of options that several public functions take."""

from __future__ import annotations

import secrets

from partialpool.errors import InputError, did_you_mean


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of the known ones."""
    if value not in known:
        raise InputError(f"unknown {name} `{value}`", remedy=did_you_mean(str(value), known))


# More than these cannot be meant: of chains and threads each costs something by itself.
MOST = {"chains": 10_000, "threads": 10_000}
MOST_OF_ALL = 10**9


def check_counts(**counts: int | None) -> None:
    """Refuse counts that are no whole numbers, too small (`warmup` may be 0) or absurd."""
    for name, value in counts.items():
        if name == "threads" and value is None:
            continue
        low = 0 if name == "warmup" else 1
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise InputError(f"`{name}` is {value!r}", remedy="give a whole number")
        if int(value) < low:  # type: ignore[arg-type]
            raise InputError(f"`{name}` is {value}", remedy=f"give at least {low}")
        most = MOST.get(name, MOST_OF_ALL)
        if int(value) > most:  # type: ignore[arg-type]
            raise InputError(f"`{name}` is {value}", remedy=f"give at most {most:,}")


def check_interval(interval: float) -> None:
    """Refuse what is no share between 0 and 1."""
    if not isinstance(interval, (int, float)) or not 0 < interval < 1:
        raise InputError(
            f"`interval` is {interval!r}", remedy="give a number between 0 and 1, such as 0.95"
        )


def check_seed(seed: int | None) -> int:
    """Take a seed, or make one."""
    if seed is None:
        return secrets.randbits(32)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**64:
        raise InputError(f"`seed` is {seed!r}", remedy="give a whole number from 0 to 2**64 - 1")
    return int(seed)
