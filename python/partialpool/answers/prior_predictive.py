"""Data that the priors expect: parameters and responses drawn without looking at the likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from partialpool import called
from partialpool.answers.check import Check, CheckPlots, check_made
from partialpool.arrays import Array
from partialpool.design import Design, GroupFactor
from partialpool.draws.posterior import Posterior, Provenance, population_draws, rows_of
from partialpool.draws.rows import chunks, row_draws
from partialpool.engine import GroupDraws, Run
from partialpool.engine.conditional import written_scales
from partialpool.errors import InputError
from partialpool.memory import check_memory
from partialpool.model import Group, Model
from partialpool.model.coordinates import Coordinates
from partialpool.model.defaults import bounds, pairs
from partialpool.model.scales import predictors
from partialpool.priors.distributions import LKJ, NormalAtMean
from partialpool.priors.lkj import lkj_roots
from partialpool.priors.prior import Prior
from partialpool.words.page import Answer, Page

if TYPE_CHECKING:
    import pandas as pd


class PriorPredictive(Answer):
    """Draws of parameters from their priors, and of responses from these.

    Attributes
    ----------
    priors : dict of Prior
        By parameter name.
    run : Run
        The draws of the parameters, as one chain.
    """

    def __init__(self, model: Model, design: Design, draws: int, seed: int) -> None:
        levels = sum(len(group.levels) * len(group.terms) for group in model.groups)
        width = len(model.priors) + len(model.columns) + levels
        check_memory(draws, width, copies=2, remedy="ask for fewer draws")
        run = prior_run(model, design, draws, seed)
        facts = Provenance("the table", design.n_rows, 0, "prior", "", 0.95, 0.0, {})
        self.run = run
        self._fit = Posterior(model, run, facts, [], design=design)
        self._seed = seed
        self.priors = dict(model.priors)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """A row a draw, a column a population-level parameter."""
        import pandas as pd

        labels, draws = population_draws(self._fit.model, self._fit.run)
        return pd.DataFrame(draws[0], columns=pd.Index(labels, name="parameter"))

    @cached_property
    def responses(self) -> Array:
        """Responses for the rows of the data: (draw, row)."""
        design = rows_of(self._fit)
        picked = np.arange(self._fit.run.draws)
        rng = np.random.default_rng([self._seed, 4])
        check_memory(len(picked), design.n_rows, what="rows", remedy="ask for fewer draws")
        made = np.empty((len(picked), design.n_rows))
        for rows in chunks(design, max(1, 4_000_000 // len(picked))):
            made[:, rows] = row_draws(self._fit, rows, picked).responses(rng)
        model = self._fit.model
        return model.scores[made.astype(np.int64)] if model.categories else made

    @cached_property
    def check(self) -> Check:
        """The data beside what the priors make."""
        return check_made(self._fit, self._fit.run.draws, self._seed, prior=True)

    @property
    def plot(self) -> CheckPlots:
        """Figures: ``density()`` or ``bars()``, ``statistics()``, ``groups()``."""
        return self.check.plot

    @property
    def page(self) -> Page:
        """What it says."""
        page, formula = self.check.page, self._fit.formula
        heading = [f"Prior predictive draws of {formula}", *page.heading]
        return replace(page, heading=heading, facts={"formula": formula, **page.facts})


def prior_run(model: Model, design: Design, draws: int, seed: int) -> Run:
    """Draw all parameters from their priors, as a run of one chain.

    Raises
    ------
    InputError
        If a prior is improper.
    """
    draw = _Draw(model.priors, np.random.default_rng([seed, 3]), draws)
    scalars: dict[str, Array] = {}
    groups: list[GroupDraws] = []
    b = np.empty((draws, 0))
    for predictor in predictors(design):
        at = model.coordinates[predictor.name]
        own = draw.coefficients(at, predictor.labels)
        if predictor.name == "mu":
            b = own
            for k, cut in enumerate(draw.thresholds(at, own).T):
                scalars[called.threshold(k + 1)] = cut[None]
        else:
            scalars |= {name: own[None, :, k] for k, name in enumerate(predictor.labels)}
        of = [group for group in model.groups if group.predictor == predictor.name]
        groups += [
            draw.group(group, factor, own)
            for group, factor in zip(of, predictor.factors, strict=True)
        ]
    for name in model.priors:
        if not called.place_of(name) and called.kind_of(name) != "cor":
            scalars[name] = draw.scalar(name)[None]
    return Run(
        method="prior",
        seed=seed,
        warmup=0,
        b=b[None],
        groups=tuple(groups),
        scalars=scalars,
        working=None,
        stats={},
    )


class _Draw:
    """Draws from the priors of a model."""

    def __init__(self, priors: Mapping[str, Prior], rng: np.random.Generator, draws: int) -> None:
        self._priors, self._rng, self._draws = priors, rng, draws

    def scalar(self, name: str, prior: Prior | None = None, size: int | None = None) -> Array:
        """Draw one parameter within its range; `prior` where not the one that is shown."""
        prior = self._priors[name] if prior is None else prior
        try:
            return prior.draw(self._rng, size or self._draws, *bounds(name, prior))
        except InputError as error:
            raise InputError(
                f"nothing can be drawn from the prior {self._priors[name]} of `{name}`",
                remedy="give it a proper prior",
            ) from error

    def coefficients(self, at: Coordinates, labels: list[str]) -> Array:
        """Coefficients of a predictor: (draw, column)."""
        v = [self.scalar(name, prior) for name, prior in zip(labels, at.priors, strict=True)]
        return at.from_values(np.column_stack([np.empty((self._draws, 0)), *v]))

    def thresholds(self, at: Coordinates, b: Array) -> Array:
        """Increasing thresholds: (draw, threshold), without columns where there are none."""
        names = [name for name in self._priors if called.kind_of(name) == "threshold"]
        if not names:
            return np.empty((self._draws, 0))
        alike = len({self._priors[name] for name in names}) == 1
        kept = np.empty((0, len(names)))
        for _ in range(10_000):
            cuts = np.column_stack([self.scalar(name) for name in names])
            if alike:
                # In order, they have the density of those that happen to be.
                cuts = np.sort(cuts, axis=1)
            increasing = np.all(np.diff(cuts, axis=1) > 0, axis=1)
            kept = np.concatenate([kept, cuts[increasing]])
            if len(kept) >= self._draws:
                break
        else:
            raise InputError("the priors of the thresholds leave hardly any increasing ones")
        cuts = kept[: self._draws]
        shifted = [isinstance(self._priors[name], NormalAtMean) for name in names]
        cuts[:, shifted] += (b @ at.outer[0])[:, None]
        return cuts

    def group(self, group: Group, factor: GroupFactor, b: Array) -> GroupDraws:
        """Sds, correlations and coefficients of a factor."""
        name, q, J = group.name, len(group.terms), len(group.levels)
        s, none = self._draws, np.empty((1, self._draws, 0))
        shared = (b @ group.T.T)[:, None]
        if group.known_sd is not None:
            if group.own:
                labels = [called.coef(name, term) for term in group.terms]
                own = np.stack(
                    [self.scalar(x, p, s * J) for x, p in zip(labels, group.own, strict=True)]
                )
                r = own.T.reshape(s, J, q)
            else:
                r = self._rng.normal(size=(s, J, q)) * group.known_sd
            return GroupDraws(none, none, (shared + group.base + r @ group.back.T)[None])
        kernels = group.own if group.at_mean else [self._priors[x] for x in group.sd_labels]
        sd = np.column_stack(
            [self.scalar(x, prior) for x, prior in zip(group.sd_labels, kernels, strict=True)]
        )
        root, cor = self._correlations(name, factor)
        r = np.einsum("sab,sjb->sja", root, self._rng.normal(size=(s, J, q))) * sd[:, None]
        drawn = written_scales(group, sd[None], cor[None])
        return replace(drawn, levels=(shared + r @ group.back.T)[None])

    def _correlations(self, name: str, factor: GroupFactor) -> tuple[Array, Array]:
        """Cholesky factors of correlation matrices (draw, q, q), and the correlations of pairs."""
        s, q = self._draws, len(factor.terms)
        own = pairs(factor)
        root = np.broadcast_to(np.eye(q), (s, q, q)).copy()
        whole = self._priors.get(called.cor(name))
        if isinstance(whole, LKJ):
            for start, stop, correlated in factor.blocks:
                if correlated:
                    block = slice(start, stop)
                    root[:, block, block] = lkj_roots(self._rng, whole.eta, stop - start, s)
        elif own:
            root = self._elementwise(name, factor)
        matrix = root @ np.swapaxes(root, 1, 2)
        cor = np.stack([matrix[:, i, j] for i, j in own], axis=1) if own else np.empty((s, 0))
        return root, cor

    def _elementwise(self, name: str, factor: GroupFactor) -> Array:
        """Draw correlations one by one and keep those that are positive definite together."""
        s, q = self._draws, len(factor.terms)
        kept = np.empty((0, q, q))
        for _ in range(1000):
            matrix = np.broadcast_to(np.eye(q), (s, q, q)).copy()
            for i, j in pairs(factor):
                label = called.cor(name, called.pair(factor.terms[i], factor.terms[j]))
                matrix[:, i, j] = matrix[:, j, i] = self.scalar(label)
            positive = np.linalg.eigvalsh(matrix)[:, 0] > 1e-12
            kept = np.concatenate([kept, np.linalg.cholesky(matrix[positive])])
            if len(kept) >= s:
                return kept[:s]
        raise InputError(
            f"the priors of the correlations of `{name}` leave hardly any correlation matrix",
            remedy="use an LKJ prior",
        )
