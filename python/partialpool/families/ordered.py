"""Ordered categories: cumulative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Array
from partialpool.errors import InputError

from . import tails
from .family import Ends, Family, Given, Observed, Response, whole
from .links import LATENT, probabilities


class Cumulative(Family, frozen=True):
    """Ordered categories 0 … K − 1, cut out of a latent variable by `threshold` (last axis)."""

    links: tuple[str, ...] = ("logit", "probit")
    response: Response = "ordered"
    discrete: bool = True
    needs: str = "categories counted from 0"

    def possible(self, y: Array, trials: Array | None) -> NDArray[np.bool_]:
        return whole(y)

    def refuse(self, observed: Observed) -> None:
        if len(observed.y) and not observed.y.any():
            raise InputError(f"`{self.name}` needs at least two categories, but there is one")

    def ends(self, y: Array, trials: Array | None, categories: Sequence[Any]) -> Ends:
        kinds = [y == k for k in range(len(categories))]
        return Ends(kinds, str(categories[0]), str(categories[-1]))

    def probabilities(self, eta: Array, link: str, thresholds: Array) -> Array:
        cuts = thresholds - np.asarray(eta)[..., None]
        below, above = probabilities(link, cuts)
        ends = np.zeros((*cuts.shape[:-1], 1))
        p = np.concatenate([ends, below, ends + 1], axis=-1)
        q = np.concatenate([ends + 1, above, ends], axis=-1)
        # The difference of the two smaller numbers, so that neither tail cancels.
        lower = p[..., 1:] < q[..., :-1]
        differences = np.where(lower, p[..., 1:] - p[..., :-1], q[..., :-1] - q[..., 1:])
        return np.asarray(differences, dtype=float)

    def mean(self, eta: Array, given: Given) -> Array:
        # Of categories 0, 1, 2 …: the sum of the probabilities to lie above each threshold.
        cuts = given.aux["threshold"] - np.asarray(eta)[..., None]
        return np.asarray(probabilities(given.link, cuts)[1].sum(axis=-1))

    def variance(self, eta: Array, given: Given) -> Array:
        cuts = given.aux["threshold"] - np.asarray(eta)[..., None]
        above = probabilities(given.link, cuts)[1]
        # E k² is the sum over k of (2k − 1) P(Y ≥ k).
        steps = 2.0 * np.arange(above.shape[-1]) + 1
        return np.asarray(above @ steps - above.sum(axis=-1) ** 2)

    def log_tails(self, y: Array, eta: Array, given: Given) -> tails.Tails:
        thresholds = np.asarray(given.aux["threshold"], dtype=float)
        last = thresholds.shape[-1]
        cut = np.zeros(np.broadcast_shapes(np.shape(y), thresholds.shape[:-1]))
        for k in range(last):
            cut = np.where(y == k, thresholds[..., k], cut)
        certain = tails.CERTAIN.where(np.asarray(y) >= last, tails.CERTAIN.swapped)
        return tails.link(given.link, cut - eta).where((y >= 0) & (y < last), certain)

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        return np.asarray(LATENT[given.link][0])

    def latent_words(self, link: str) -> str:
        return LATENT[link][1]

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        thresholds = np.asarray(given.aux["threshold"], dtype=float)
        shape = np.broadcast_shapes(np.shape(eta), thresholds.shape[:-1])
        noise = rng.logistic(size=shape) if given.link == "logit" else rng.standard_normal(shape)
        return np.asarray(((eta + noise)[..., None] > thresholds).sum(axis=-1), dtype=float)


CUMULATIVE = Cumulative(
    "cumulative",
    words={
        "logit": "exp(b) multiplies the odds of a higher category",
        "probit": "a positive b makes higher categories likelier, in sds of a latent normal "
        "variable",
    },
)
