"""Where each response lies in the predictive distribution that the other rows give: its tails.

In a Gaussian model whose coefficients integrate out, that distribution is normal given sds,
correlations and sigma, whose posterior is reweighted; in all others, that of all parameters is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array, Ints
from partialpool.draws.crossed import crossed, crosses, drawn
from partialpool.draws.crossed import standardised as crossed_standardised
from partialpool.draws.evaluate import CHUNK
from partialpool.draws.integrated import blocks, integrates, parameters, standardised
from partialpool.draws.posterior import Posterior, rows_of
from partialpool.draws.rows import RowDraws, chunks, counting_weights, row_draws, thinned
from partialpool.families import tails
from partialpool.families.tails import Tails
from partialpool.memory import check_memory
from partialpool.scores.loo import (
    FEWEST,
    MOST,
    LeftOut,
    affordable,
    check_effort,
    efficiency,
    leave_out,
    loo,
)


class Places(Struct, frozen=True):
    """Where responses lie among those that a posterior which has not seen them expects: (row,).

    Attributes
    ----------
    up_to : Tails
        Log probabilities of responses up to this one, itself included, and of those beyond.
    before : Tails
        The same without it. They differ where single responses have a probability.
    pareto_k : array
        Reliability of each: below 0.7 is fine.
    """

    up_to: Tails
    before: Tails
    pareto_k: Array

    def spread(self, u: Array) -> Tails:
        """Give the tails at a point within the probability of each response: u from 0 to 1."""
        with np.errstate(divide="ignore"):
            mine, rest = np.log(u), np.log1p(-u)
        pairs = zip(self.before, self.up_to, strict=True)
        return Tails(*(np.logaddexp(rest + before, mine + up_to) for before, up_to in pairs))

    def some(self, rows: Ints) -> Places:
        """Take some rows, also several times."""
        up_to, before = (Tails(*(tail[rows] for tail in own)) for own in (self.up_to, self.before))
        return Places(up_to, before, self.pareto_k[rows])


def places(fit: Posterior) -> Places:
    """Place every row's response in its leave-one-out predictive distribution.

    Of rows that weights count several times, one is left out.

    Raises
    ------
    InputError
        If the fit was saved without its rows, or it would take hours.
    """
    n = rows_of(fit).n_rows
    draws = thinned(fit, max(FEWEST, MOST // n))
    found = np.full((5, n), np.nan)
    if crosses(fit):
        parts = _crossed(fit, draws)
    elif integrates(fit):
        check_effort(n, len(draws), len(fit.model.columns))
        parts = _integrated(fit, draws)
    else:
        check_effort(n, len(draws), 0)
        parts = _reweighted(fit, draws)
    for at, up_to, before, left in parts:
        averaged = [_averaged(left.weights, tail) for tail in (*up_to, *before)]
        found[:, at] = [*averaged, left.pareto_k]
    return Places(Tails(found[0], found[1]), Tails(found[2], found[3]), found[4])


_Part = tuple[Ints, Tails, Tails, LeftOut]


def _integrated(fit: Posterior, draws: Ints) -> Iterator[_Part]:
    rows = blocks(fit)
    of_draws, relative = parameters(fit, rows, draws), efficiency(fit)
    width = rows.B.shape[1] + rows.Z.shape[1] ** 2 + rows.Z.shape[1] + 8
    size = max(1, CHUNK // (len(draws) * width))
    for first in range(0, len(rows.y), size):
        at = slice(first, min(first + size, len(rows.y)))
        z, log_density = standardised(rows, of_draws, at)
        own = tails.normal(z)
        yield rows.order[at], own, own, leave_out(log_density, relative)


def _crossed(fit: Posterior, draws: Ints) -> Iterator[_Part]:
    every, n = crossed(fit), rows_of(fit).n_rows
    picked = affordable(fit, every, len(draws), 6, "rows")
    check_memory(len(picked), n, what="rows", copies=12, remedy='use kind="response"')
    z, log_density = crossed_standardised(every, drawn(fit, every, picked))
    own = tails.normal(z)
    yield np.arange(n), own, own, leave_out(log_density, efficiency(fit))


def _reweighted(fit: Posterior, draws: Ints) -> Iterator[_Part]:
    relative = efficiency(fit)
    for at in chunks(rows_of(fit), max(1, CHUNK // (4 * len(draws)))):
        of_rows = row_draws(fit, at, draws)
        up_to = of_rows.log_tails(of_rows.y)
        before = of_rows.log_tails(of_rows.y - 1) if of_rows.family.discrete else up_to
        yield at, up_to, before, leave_out(_of_one(of_rows), relative)


def _of_one(rows: RowDraws) -> Array:
    """Log densities of one of the rows that each counts as: (draw, row)."""
    density = rows.log_densities()
    return density if rows.weights is None else density / np.maximum(rows.weights, 1.0)


def means(fit: Posterior) -> Array:
    """Give what is expected of each row from all others; of rows that count several times, one."""
    if (counting_weights(fit) == 1).all():
        return loo(fit).mean
    design, relative = rows_of(fit), efficiency(fit)
    draws = thinned(fit, max(FEWEST, MOST // design.n_rows))
    found = np.full(design.n_rows, np.nan)
    for at in chunks(design, max(1, CHUNK // (4 * len(draws)))):
        of_rows = row_draws(fit, at, draws)
        weights = leave_out(_of_one(of_rows), relative).weights
        found[at] = np.einsum("sr,sr->r", weights, of_rows.means())
    return found


def _averaged(weights: Array, log_p: Array) -> Array:
    """Log of the weighted mean over draws of probabilities that are given by their logarithms."""
    most = np.max(log_p, axis=0)
    size = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(size + np.log(np.einsum("sr,sr->r", weights, np.exp(log_p - size))))
