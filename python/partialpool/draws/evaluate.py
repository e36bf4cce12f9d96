"""Parameters × rows: linear predictors, expected responses and observations, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from partialpool import called
from partialpool.arrays import Array, Ints
from partialpool.design.rows import Member, Rows
from partialpool.engine import Run
from partialpool.engine.conditional import (
    coefficient_draws,
    covariances,
    deviation_draws,
    draws_together,
    population_part,
)
from partialpool.errors import InputError
from partialpool.families import Given
from partialpool.model import Group, Model
from partialpool.priors import Flat, Normal

CHUNK = 4_000_000  # numbers (draws × rows) that are computed at a time


def stream(seed: int, *parts: object) -> np.random.Generator:
    """Give the random numbers that belong to a seed and a name, whatever else is drawn.

    Examples
    --------
    >>> stream(1, "level", "A").normal() == stream(1, "level", "B").normal()
    False
    """
    import hashlib

    text = "\0".join(map(str, (seed, *parts)))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


class Evaluator:
    """What the parameters of a run say about rows.

    Arrays are (row, draw), chains after one another. Rows are taken in an order in which those of a
    level stand together, so that the coefficients of a level need not be drawn twice.

    Parameters
    ----------
    model, run
        Of a fit.
    rows : Rows
        With codes beyond the known levels for others.
    new_levels : {"sample", "population"}
        What others have: draws from the population, or no deviation from it.
    seed : int
        Draws of new levels depend on the seed, the group and the label alone, so rows that share a
        level share them.
    picked : array of int, optional
        Which draws to use, counted over all chains.
    places : (row,) array of int, optional
        Where the rows are in their table: observations depend on the seed and on that alone.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        rows: Rows,
        *,
        new_levels: str,
        seed: int,
        picked: Ints | None = None,
        places: Ints | None = None,
    ) -> None:
        self.model, self.run, self.rows = model, run, rows
        self.places = np.arange(len(rows)) if places is None else places
        self.family = model.family
        self.new_levels, self.seed = new_levels, seed
        self.n_draws = run.chains * run.draws
        self.picked = np.arange(self.n_draws) if picked is None else picked
        self.aux: dict[str, Array] = {
            name: values.ravel()[self.picked]
            for name, values in run.scalars.items()
            if "[" not in name
        }
        cuts = [
            values for name, values in run.scalars.items() if called.kind_of(name) == "threshold"
        ]
        if cuts:
            self.aux["threshold"] = np.stack([cut.ravel() for cut in cuts], axis=-1)[self.picked]
        self._roots: dict[int, Array] = {}

    @cached_property
    def order(self) -> Ints:
        """Positions of the rows, those of a level of the largest group together."""
        if not self.rows.members:
            return np.arange(len(self.rows))
        largest = max(
            self.rows.members,
            key=lambda member: self.model.groups[member.k].counts.size * member.Z.shape[1],
        )
        return np.argsort(largest.codes, kind="stable")

    def of(self, rows: Rows) -> Evaluator:
        """Say the same about other rows."""
        return Evaluator(
            self.model,
            self.run,
            rows,
            new_levels=self.new_levels,
            seed=self.seed,
            picked=self.picked,
        )

    def chunks(self, width: int = 1) -> Iterator[Ints]:
        """Positions of the rows, some at a time.

        `width`: how many numbers are needed for each row and draw.
        """
        size = max(1, CHUNK // (self.n_draws * width))
        for first in range(0, len(self.order), size):
            yield self.order[first : first + size]

    def linear(self, at: Ints) -> Array:
        """Linear predictor of the mean."""
        return self._predictor("mu", self.rows.X, at, self.rows.offset)

    def log_sigma(self, at: Ints) -> Array | None:
        """Log of the residual sds; None where they are the same for all rows, or there are none."""
        se, weights = self.rows.roles.get("se"), self.rows.roles.get("weights")
        if se is not None:
            return np.asarray(np.log(se[at])[:, None])
        if self.rows.sigma_X is not None:
            own = self._predictor("sigma", self.rows.sigma_X, at, None)
        elif weights is not None:
            own = np.log(self.aux["sigma"])
        else:
            return None
        return own if weights is None else np.asarray(own - 0.5 * np.log(weights[at])[:, None])

    def mean(self, at: Ints, eta: Array | None = None) -> Array:
        """Expected responses, given the linear predictor or computing it."""
        eta = self.linear(at) if eta is None else eta
        if self.model.categories:
            return np.asarray(self.probabilities(eta) @ self.model.scores)
        log_sigma = self.log_sigma(at) if self.family.mean_takes_sigma else None
        given = Given(self.model.link, self.aux, self._trials(at), log_sigma)
        mean = self.family.mean(eta, given)
        return np.broadcast_to(mean, eta.shape)

    def variance(self, at: Ints, eta: Array | None = None) -> Array:
        """Variances of responses around their means."""
        eta = self.linear(at) if eta is None else eta
        if self.model.categories:
            p, scores = self.probabilities(eta), self.model.scores
            return np.asarray(p @ scores**2 - (p @ scores) ** 2)
        given = Given(self.model.link, self.aux, self._trials(at), self.log_sigma(at))
        return np.broadcast_to(self.family.variance(eta, given), eta.shape)

    def expected(self, eta: Array, kind: str) -> Array:
        """Expected responses of one trial, or with ``kind="probability"`` those of categories.

        For families in which nothing else of the rows matters.
        """
        if kind == "probability":
            return self.probabilities(eta)
        if self.model.categories:
            return np.asarray(self.probabilities(eta) @ self.model.scores)
        return self.family.mean(eta, Given(self.model.link, self.aux))

    def observations(self, at: Ints) -> Array:
        """Draws of responses, from a random stream for each row."""
        eta, log_sigma, trials = self.linear(at), self.log_sigma(at), self._trials(at)
        log_sigma = None if log_sigma is None else np.broadcast_to(log_sigma, eta.shape)
        out = np.empty(eta.shape)
        for k, place in enumerate(self.places[at].tolist()):
            given = Given(
                self.model.link,
                self.aux,
                None if trials is None else trials[k : k + 1],
                None if log_sigma is None else log_sigma[k : k + 1],
            )
            rng = stream(self.seed, "row", place)
            out[k : k + 1] = self.family.simulate(rng, eta[k : k + 1], given)
        return self.model.scores[out.astype(np.int64)] if self.model.categories else out

    def probabilities(self, eta: Array) -> Array:
        """Probability of each category: (row, draw, category)."""
        found = self.family.probabilities(eta, self.model.link, self.aux["threshold"])
        return np.asarray(found, dtype=float)

    def _trials(self, at: Ints) -> Array | None:
        trials = self.rows.roles.get("trials")
        return None if trials is None else trials[at][:, None]

    def _predictor(self, name: str, X: Array, at: Ints, offset: Array | None) -> Array:
        b = self.run.coefficients(name)
        b = b.reshape(self.n_draws, b.shape[2])[self.picked].T
        members = [m for m in self.rows.members if self.model.groups[m.k].predictor == name]
        if not members:
            total: Array = X[at] @ b
        else:
            total = np.empty((len(at), len(self.picked)))
        for first, member in enumerate(members):
            Z = member.Z[at]
            wide = Z if first else np.hstack([X[at], Z])
            for rows, own in self._by_level(member, at):
                if first:
                    total[rows] += wide[rows] @ own
                elif isinstance(rows, slice):  # one product for all columns, in place
                    np.matmul(wide[rows], np.concatenate([b, own]), out=total[rows])
                else:
                    total[rows] = wide[rows] @ np.concatenate([b, own])
        if offset is not None:
            total += offset[at][:, None]
        return total

    def _by_level(self, member: Member, at: Ints) -> Iterator[tuple[Ints | slice, Array]]:
        """Rows of each level among those at these positions, and its coefficients (term, draw)."""
        n_levels = len(self.model.groups[member.k].levels)
        codes = member.codes[at]
        used = np.unique(codes)
        known = used[used < n_levels]
        coefficients = self.known(member.k, known)
        sorted_ = bool((np.diff(codes) >= 0).all())
        order = np.argsort(codes, kind="stable")
        ends = np.append(np.searchsorted(codes[order], used), len(codes))
        for u, code in enumerate(used.tolist()):
            rows = slice(int(ends[u]), int(ends[u + 1]))
            own = coefficients[u] if u < len(known) else self._other(member, code - n_levels)
            yield rows if sorted_ else order[rows], own

    def _other(self, member: Member, new: int) -> Array:
        """Coefficients of a new level, or none of its own: (term, draw)."""
        group = self.model.groups[member.k]
        if self.new_levels == "population" and group.known_sd is None:
            return np.zeros((len(group.terms), len(self.picked)))
        return self.new(member.k, member.labels[new])

    def known(self, k: int, levels: Ints) -> Array:
        """Draws for levels in rising order: (level, term, draw).

        Of deviations from the population, or of the levels' own coefficients without pooling.
        """
        model, run = self.model, self.run
        group, coef = model.groups[k], run.groups[k].coef
        pooled = group.known_sd is None
        if not len(levels):
            return np.empty((0, len(group.terms), len(self.picked)))
        if coef is not None:
            found = coef[:, :, levels]
            if pooled:
                found = found - population_part(model, run, k)[:, :, None, :]
            return self._flat(found)
        draw = deviation_draws if pooled else coefficient_draws
        parts = [*map(self._flat, draws_together(draw, model, run, k, levels))]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _flat(self, draws: Array) -> Array:
        """(chain, draw, level, term) → (level, term, draw)."""
        shape = (*draws.shape[2:], self.n_draws)
        flat = np.moveaxis(draws, (0, 1), (2, 3)).reshape(shape)
        return flat if len(self.picked) == self.n_draws else flat[..., self.picked]

    def new(self, k: int, label: str) -> Array:
        """Draws for a level that the fit did not see: (term, draw)."""
        group = self.model.groups[k]
        rng = stream(self.seed, "level", group.name, label)
        if group.known_sd is not None:
            return self._prior_draws(group, k, rng)[:, self.picked]
        z = rng.standard_normal((len(group.terms), self.n_draws))[:, self.picked]
        root = self._root(k)
        return root * z if root.ndim == 2 else np.einsum("sij,js->is", root, z)

    def _root(self, k: int) -> Array:
        """Square roots of the covariances: of the sds alone (term, draw), or (draw, term, term)."""
        if k not in self._roots:
            group, drawn = self.model.groups[k], self.run.groups[k]
            q = len(group.terms)
            if not group.pairs and not group.at_mean:
                self._roots[k] = drawn.sd.reshape(self.n_draws, q)[self.picked].T
            else:
                # Unlike Cholesky's, this root exists where an sd is 0 or a correlation is 1.
                inner = covariances(self.model, self.run, k)[self.picked]
                values, vectors = np.linalg.eigh(inner)
                root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
                self._roots[k] = np.ascontiguousarray(group.back @ root)
        return self._roots[k]

    def covariance(self, k: int) -> Array:
        """Covariances of a group's deviations: (draw, term, term)."""
        back = self.model.groups[k].back
        return back @ covariances(self.model, self.run, k)[self.picked] @ back.T

    def _prior_draws(self, group: Group, k: int, rng: np.random.Generator) -> Array:
        """Coefficients of a new level without pooling: all that is known is their prior."""
        own = [self.model.priors[called.coef(group.name, term)] for term in group.terms]
        shift = population_part(self.model, self.run, k).reshape(self.n_draws, len(own)).T
        if all(isinstance(prior, Normal) for prior in own):
            assert group.known_sd is not None
            z = rng.standard_normal((len(own), self.n_draws))
            return np.asarray(shift + group.back @ (group.known_sd[:, None] * z))
        draws = np.stack([prior.draw(rng, self.n_draws) for prior in group.own or own])
        # Other priors are those of r̃; in old files, of the coefficients themselves.
        return np.asarray(shift + group.back @ draws) if group.own else draws


def check_new_levels(model: Model, rows: Rows, new_levels: str) -> None:
    """Refuse new levels of a factor without pooling where nothing is known of them.

    Raises
    ------
    InputError
        If their priors are improper, or the population is asked for.
    """
    for member in rows.members:
        group = model.groups[member.k]
        if group.known_sd is None or not (member.codes >= len(group.levels)).any():
            continue
        label = f"`{member.labels[0]}`" if member.labels else "(there is no column)"
        what = f"`{group.factor}` has no pooling, and the fit did not see its level {label}"
        if new_levels == "population":
            raise InputError(
                f"{what}: there is no population to take it from",
                remedy='leave those rows out, or fit with pooling="partial"',
            )
        own = [model.priors[called.coef(group.name, term)] for term in group.terms]
        if any(isinstance(prior, Flat) for prior in own):
            raise InputError(
                f"{what}: its prior is flat, so nothing can be said of it",
                remedy='leave those rows out, or fit with pooling="partial"',
            )
