"""What to make of chains that failed or were interrupted: the same for every engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from partialpool.errors import EngineError, InputError

MEMORY_LIMIT = 8e9  # bytes of kept draws


def check_memory(rows: int, width: int) -> None:
    """Refuse to keep more draws than a machine is likely to hold.

    Raises
    ------
    InputError
        If `rows` draws of `width` parameters are too many.
    """
    size = 8.0 * rows * width
    if size > MEMORY_LIMIT:
        raise InputError(
            f"every draw of all {width} parameters would be kept, {size / 1e9:.0f} GB in all",
            remedy="ask for fewer draws or chains",
        )


class Chains(NamedTuple):
    """Chains that can be used, the draws that all of them have, and why others failed."""

    good: list[dict[str, Any]]
    kept: int
    failures: tuple[str, ...]
    interrupted: bool


def usable_chains(raw: dict[str, Any]) -> Chains:
    """Sort what the core returned.

    Raises
    ------
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before anything worth keeping was drawn.
    """
    good = [chain for chain in raw["chains"] if chain["failure"] is None]
    failures = tuple(c["failure"] for c in raw["chains"] if c["failure"] is not None)
    if not good:
        raise EngineError(f"no chain could be sampled: {failures[0]}")
    if raw["interrupted"]:
        # Chains that hardly began would cost all others most of their draws.
        longest = max(len(c["outputs"]) for c in good)
        good = [c for c in good if len(c["outputs"]) >= max(4, longest // 2)]
        if not good:
            raise KeyboardInterrupt
    kept = min(len(c["outputs"]) for c in good)
    return Chains(good, kept, failures, bool(raw["interrupted"]))
