"""What would not fit into the memory of this machine is refused before any work."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from partialpool.errors import InputError

NUMBER = 8.0  # bytes
SHARE = 0.75  # of the memory that one call may take
UNKNOWN = 8e9  # bytes, where the system does not say

# Limits that containers set, of control groups version 2 and 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def machine_memory() -> float:
    """Bytes that this machine, or the container that we are in, has in all."""
    known = []
    try:
        known.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        known.append(UNKNOWN)
    for path in LIMITS:
        try:
            known.append(float(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # none, or "max"
            continue
    return min(known)


def check_memory(
    draws: int,
    width: int,
    *,
    what: str = "parameters",
    copies: float = 1.0,
    remedy: str = "ask for fewer draws or chains",
) -> None:
    """Refuse to keep more draws than this machine can hold.

    Parameters
    ----------
    draws, width : int
        Every one of so many draws has so many numbers.
    what : str
        What these numbers are, in the plural.
    copies : float
        How often they are in memory at the peak.
    remedy : str
        What to do.

    Raises
    ------
    InputError
        If they do not fit into memory.
    """
    size, limit = NUMBER * copies * draws * width, machine_memory()
    if size > SHARE * limit:
        raise InputError(
            f"every draw of all {width:,} {what} would be kept, {_gigabytes(size)} in all, and "
            f"this machine has {_gigabytes(limit)}",
            remedy=remedy,
        )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.0f} GB" if size < 1e15 else f"{size / 1e9:.0e} GB"
