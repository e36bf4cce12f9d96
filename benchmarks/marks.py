"""Marks that a case sets us, and the programs that estimate points beside which some are set."""

from dataclasses import dataclass
from typing import Literal

Peer = Literal["lme4", "glmm"]
PEERS: tuple[Peer, ...] = ("lme4", "glmm")


@dataclass(frozen=True)
class Mark:
    """How much of a measure is to be reached: so many seconds, or times a peer's."""

    measure: str
    at_most: float
    of: Peer | None = None
