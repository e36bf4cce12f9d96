"""One trial a row, or a number of successes among trials: bernoulli, binomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.alike import Kinds
from partialpool.arrays import Array, nearly_whole
from partialpool.errors import InputError

from . import tails
from .family import ROW_TERM, Averages, Ends, Family, Given, Observed, Response, whole
from .links import LATENT, probabilities
from .merging import Merged, Responses, repeated, successes


class Binary(Family, frozen=True):
    """One trial a row, or a number of successes among `trials`."""

    links: tuple[str, ...] = ("logit", "probit", "cloglog")
    response: Response = "binary"
    discrete: bool = True
    averages: Averages = "link"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        if trials is None:
            return np.asarray((y == 0) | (y == 1))
        return whole(y) & whole(trials) & (y <= trials)

    def settled(self, y: Array) -> Array:
        return nearly_whole(y)

    def refuse(self, observed: Observed) -> None:
        y = observed.y
        if observed.trials is not None and bool(np.all((y >= 0) & (y <= 1)) and np.any(y % 1)):
            _refuse_shares(observed, observed.trials)

    def ends(self, y: Array, trials: Array | None, categories: Sequence[Any]) -> Ends:
        if trials is None:
            return Ends([y == 0, y == 1], "0", "1")
        return Ends([y < trials, y > 0], "0", "as large as the trials")

    def shared(self, rows: Responses) -> list[Array]:
        return rows.given("offset") if rows.add_up else rows.given("y", "trials", "offset")

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        if not rows.add_up:
            return repeated(self.density, rows, kinds)
        return successes(BINOMIAL.density, rows, kinds)

    def mean(self, eta: Array, given: Given) -> Array:
        return probabilities(given.link, eta)[0] * (1.0 if given.trials is None else given.trials)

    def variance(self, eta: Array, given: Given) -> Array:
        p, q = probabilities(given.link, eta)
        return p * q * (1.0 if given.trials is None else given.trials)

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        trials = np.asarray(1.0 if given.trials is None else given.trials)
        return tails.binomial(y, trials, tails.link(given.link, eta))

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        return np.asarray(LATENT[given.link][0])

    def latent_words(self, link: str) -> str:
        return LATENT[link][1]

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        p = probabilities(given.link, eta)[0]
        if given.trials is None:
            return (rng.random(p.shape) < p).astype(float)
        return rng.binomial(given.trials.astype(np.int64), p).astype(float)


def _refuse_shares(observed: Observed, trials: Array) -> None:
    """Tell who gives shares of successes in place of their numbers how to give these."""
    label, y, _, rows, name = observed
    counts = y * trials
    off = nearly_whole(counts) % 1 != 0
    what = f"`{label}` holds shares, and `binomial` is about numbers of successes"
    times = f"`{{{label} * {name}}} ~ …`" if name else "multiply the shares by the trials"
    if not off.any():
        whole = "which are whole numbers in every row" if len(y) > 1 else "which is a whole number"
        raise InputError(what, remedy=f"write {times} for the numbers, {whole}")
    first = int(np.argmax(off))
    raise InputError(
        what,
        where=f"and the share {y[first]:.6g} of {trials[first]:.15g} trials in row "
        f"{rows[first] + 1} is {counts[first]:.6g} successes, no whole number",
        remedy=f"{'write ' * bool(name)}{times} once the shares are exact, or give the numbers "
        "themselves",
    )


BERNOULLI = Binary("bernoulli", notation="Bernoulli({mean})", needs="0 or 1")
BINOMIAL = Binary(
    "binomial",
    notation="Binomial({trials}, {mean})",
    needs="whole numbers from 0 to `trials`",
    response="number",
    roles=("trials",),
    one_trial="bernoulli",
    variance_from_mean=True,
    remedies={
        "overdispersion": f"Add {ROW_TERM}.",
        "spread": "Add a group term with a level for each row, which makes the variance free.",
    },
)
