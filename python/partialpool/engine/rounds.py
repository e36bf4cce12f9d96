"""Draws in rounds, until effective sample sizes are as large as the user asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct

from partialpool import limits
from partialpool.engine.run import Run
from partialpool.model import Model

# Draws of each chain in a first round: enough to tell how many are needed.
LEAST = 100
# Numbers of draws are multiples of this.
STEP = 50
# How much more than what seems to be needed a round asks for, and how far it trusts that.
MARGIN, MOST_MORE = 1.05, 4.0
# The smallest of many effective sample sizes grows with about this power of the draws: of few
# draws each is less certain, so that the smallest is too small.
GROWTH = 1.3
# How much further chains go that disagree still.
FURTHER = 1.5


class Verdict(Struct, frozen=True):
    """What draws so far are worth.

    Attributes
    ----------
    ess : float
        The smallest bulk or tail effective sample size of all parameters that are judged.
    agree : bool
        Whether R-hat is where it should be for all of them.
    """

    ess: float
    agree: bool


class Rounds(Struct, frozen=True):
    """How long chains go on.

    Attributes
    ----------
    ess : float
        The effective sample size that is enough.
    judge : callable
        From a model and its draws so far to what they are worth.
    """

    ess: float
    judge: Callable[[Model, Run], Verdict]

    def first(self, chains: int) -> int:
        """Draws of each chain in the first round: if they are independent, enough at once.

        Examples
        --------
        >>> Rounds(400, lambda model, run: Verdict(0, False)).first(chains=4)
        150
        """
        return _rounded(max(LEAST, 1.5 * self.ess / chains))

    def enough(self, verdict: Verdict) -> bool:
        """Tell whether draws may end."""
        return verdict.agree and verdict.ess >= self.ess

    def until(self, drawn: int, verdict: Verdict, most: int) -> int:
        """Draws of each chain to go on to; as many as there are where that is enough, or the most.

        Examples
        --------
        >>> rounds = Rounds(400, lambda model, run: Verdict(0, False))
        >>> rounds.until(150, Verdict(300, True), 10_000), rounds.until(150, Verdict(9, True), 500)
        (200, 500)
        >>> rounds.until(250, Verdict(450, True), 10_000)
        250
        """
        if self.enough(verdict) or drawn >= most:
            return drawn
        short = self.ess / verdict.ess if verdict.ess > 0 else math.inf
        ratio = MARGIN * short ** (1 / GROWTH)
        ratio = min(max(ratio, 1.0 if verdict.agree else FURTHER), MOST_MORE)
        return min(_rounded(max(ratio * drawn, drawn + 1)), most)


def most_draws(fits: Callable[[int], bool]) -> int:
    """Most draws of each chain: the limit, or what fits into the memory of this machine."""
    most = limits.DRAWS
    while most > LEAST and not fits(most):
        most //= 2
    return most


def _rounded(draws: float) -> int:
    return STEP * math.ceil(draws / STEP)
