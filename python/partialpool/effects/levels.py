"""What draws expect of rows, averaged over the population of levels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial

import numpy as np

from partialpool.answers.predict import pick_draws
from partialpool.arrays import Array, Ints
from partialpool.design.rows import Rows
from partialpool.draws.evaluate import Evaluator
from partialpool.draws.normal_nodes import normal_nodes
from partialpool.draws.posterior import Posterior
from partialpool.effects.tabulated import Tabulated, node_count
from partialpool.errors import InputError

DISTANCES = {
    "logit": 3.0,
    "probit": 1.5,
    "cloglog": 1.5,
    "log": 1.5,
}  # from the real line, for sure
FEW_ROWS = 60  # so many are integrated one by one
MOST_NODES = 500  # of a table


class Levels:
    """The expected response of rows: over the population of levels, or without deviations.

    Parameters
    ----------
    fit : Posterior
        Any family, any engine.
    groups : {"integrate", "none"}
        Average over levels, or take one without deviations.
    kind : {"mean", "probability", "linear"}
        What is expected.
    draws : int, optional
        How many draws of each chain are used.
    chosen : collection of str
        Names of groups whose rows have levels that are known, so that these are no average.

    Raises
    ------
    InputError
        If there are fewer draws, or if the average over levels is infinite.
    """

    def __init__(
        self,
        fit: Posterior,
        groups: str,
        kind: str,
        draws: int | None,
        chosen: Collection[str] = (),
    ) -> None:
        self.model, self.run, self.kind = fit.model, fit.run, kind
        self.drawn = pick_draws(fit, draws)
        self.picked = (np.arange(fit.run.chains)[:, None] * fit.run.draws + self.drawn).ravel()
        self.pooled = {
            k
            for k, group in enumerate(self.model.groups)
            if group.known_sd is None and group.name not in chosen
        }
        pooled = [self.model.groups[k] for k in self.pooled]
        names = {group.predictor for group in pooled}
        self.integrate = groups == "integrate" and bool(pooled) and kind != "linear"
        if self.integrate and "sigma" in names and self.model.family.mean_takes_sigma:
            raise InputError(
                "the residual sds of the levels vary, so the expected "
                f"{self.model.family.name} response over the population of levels is infinite",
                remedy='use groups="none" or kind="linear"',
            )
        # Levels of log sigma alone do not move the mean of other families.
        self.integrate = self.integrate and "mu" in names
        self.rule = self._rule()
        self.how = self._how(groups, chosen)

    def _rule(self) -> str:
        """How the normal distribution of the levels is integrated over."""
        averages = self.model.family.averages
        if not self.integrate or averages == "linear":
            return "linear"  # the expected response is that of the average level
        if averages == "loglinear":
            return "loglinear"
        if averages == "link" and self.model.link == "probit":
            return "probit"
        return "quadrature"

    def _how(self, groups: str, chosen: Collection[str]) -> str:
        own = [group.factor for group in self.model.groups if group.name in chosen]
        if own:
            named = f"chosen: {', '.join(dict.fromkeys(own))}"
            return f"{named}; others {self._how(groups, ())}" if self.pooled else named
        if not self.pooled:
            return "there are no levels of a population"
        if groups == "none":
            return "left out: a level without deviations"
        if self.kind == "linear" or not self.integrate or self.rule == "linear":
            return "integrated over the population, where deviations average to 0"
        if self.rule == "quadrature":
            return "integrated over the population by quadrature (trapezoid rule)"
        return "integrated over the population in closed form"

    @property
    def are_linear(self) -> bool:
        """Whether what is expected is linear in the columns."""
        return self.kind == "linear" or self.model.family.averages == "linear"

    def means(self, rows: Rows) -> Iterator[tuple[Ints, Array]]:
        """Give expected responses, a part of the rows at a time."""
        evaluator = Evaluator(
            self.model,
            self.run,
            rows,
            new_levels="population",
            seed=self.run.seed,
            picked=self.picked,
        )
        # In the order of the rows, so that two ends of a difference meet in an even part.
        evaluator.order = np.arange(len(rows))
        width = max(1, 2 * len(self.model.categories))
        compute = partial(self._mean, evaluator)
        if self.rule == "quadrature":
            kinds, tables = self._tables(evaluator)
            compute = partial(self._integrated, evaluator, kinds, tables)
            if self.kind == "mean" and np.isin(kinds, list(tables)).all():
                width = 1
        for at in evaluator.chunks(width):
            with np.errstate(invalid="ignore", over="ignore"):
                yield at, compute(at)

    def _mean(self, evaluator: Evaluator, at: Ints) -> Array:
        eta = evaluator.linear(at)
        if self.kind == "linear":
            return eta
        if self.rule == "linear":
            if self.kind == "probability":
                return evaluator.probabilities(eta)
            return evaluator.mean(at, eta)
        variance = self._variance(evaluator, at)
        if self.rule == "loglinear":
            return evaluator.mean(at, eta + variance / 2)
        return evaluator.mean(at, eta / np.sqrt(1 + variance))

    def _integrated(
        self,
        evaluator: Evaluator,
        kinds: Ints,
        tables: Mapping[int, Tabulated],
        at: Ints,
    ) -> Array:
        eta, kinds = evaluator.linear(at), kinds[at]
        categories = len(self.model.categories) if self.kind == "probability" else 0
        out = np.empty((*eta.shape, categories) if categories else eta.shape)
        for kind in np.unique(kinds).tolist():
            own = kinds == kind
            if kind in tables:
                out[own] = tables[kind](eta[own])
        own = ~np.isin(kinds, list(tables))
        if own.any():
            sd = np.sqrt(self._variance(evaluator, at[own]))
            out[own] = self._quadrature(evaluator, eta[own], sd)
        trials = evaluator.rows.roles.get("trials")
        return out if trials is None else out * trials[at][:, None]

    def _tables(self, evaluator: Evaluator) -> tuple[Ints, dict[int, Tabulated]]:
        """Tabulate the integrals over levels where many rows share their variance.

        The integral then depends on the draw and the linear predictor alone.

        Returns
        -------
        kinds : (row,) array
            Which rows share a variance.
        tables : dict
            By kind, where looking up is faster than computing.
        """
        rows, distance = evaluator.rows, DISTANCES[self.model.link]
        Z = np.hstack([rows.members[k].Z for k in self._varying(evaluator)])
        _, kinds, counts = np.unique(Z, axis=0, return_inverse=True, return_counts=True)
        kinds = kinds.ravel()
        tables: dict[int, Tabulated] = {}
        for kind in np.flatnonzero(counts > FEW_ROWS).tolist():
            own = np.flatnonzero(kinds == kind)
            low = np.full(len(self.picked), np.inf)
            high = -low
            for part in evaluator.chunks():
                eta = evaluator.linear(part[kinds[part] == kind])
                low = np.minimum(low, eta.min(axis=0, initial=np.inf))
                high = np.maximum(high, eta.max(axis=0, initial=-np.inf))
            if not np.isfinite(high - low).all():
                continue
            if node_count(low, high, distance) < min(len(own) / 2, MOST_NODES):
                sd = np.sqrt(self._variance(evaluator, own[:1]))
                compute = partial(self._quadrature, evaluator, sd=sd)
                tables[kind] = Tabulated(compute, low, high, distance)
        return kinds, tables

    def _quadrature(self, evaluator: Evaluator, eta: Array, sd: Array) -> Array:
        """Expected response, or probabilities, over normal linear predictors: (row, draw, …)."""
        nodes, weights = normal_nodes(float(sd.max(initial=0.0)), self.model.link)
        total: Array | float = 0.0
        for node, weight in zip(nodes, weights, strict=True):
            total = total + weight * evaluator.expected(eta + node * sd, self.kind)
        return np.asarray(total)

    def _varying(self, evaluator: Evaluator) -> list[int]:
        """Positions of the groups whose levels move the linear predictor of the mean."""
        own = [member.k for member in evaluator.rows.members]
        groups = self.model.groups
        return [i for i, k in enumerate(own) if k in self.pooled and groups[k].predictor == "mu"]

    def _variance(self, evaluator: Evaluator, at: Ints) -> Array:
        """Variance of the linear predictor between levels of the population: (row, draw)."""
        total = np.zeros((len(at), len(self.picked)))
        for k in self._varying(evaluator):
            member = evaluator.rows.members[k]
            Z, covariance = member.Z[at], evaluator.covariance(member.k)
            q = Z.shape[1]
            squares = (Z[:, :, None] * Z[:, None, :]).reshape(len(at), q * q)
            total += squares @ covariance.reshape(-1, q * q).T
        return np.maximum(total, 0.0)
