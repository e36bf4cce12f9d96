"""The posterior of a model: its draws, their summaries, and what they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from partialpool import called
from partialpool.arrays import Array
from partialpool.checks import A_FACTOR, check_one_or_more, check_text
from partialpool.data.labels import as_given, find_levels
from partialpool.design import Design
from partialpool.draws.summary import Summary, summarise
from partialpool.draws.tree import draws_tree, group_array
from partialpool.engine import Run
from partialpool.engine.averaged import coefficient_summaries
from partialpool.engine.conditional import coefficient_draws, deviation_draws, level_parts
from partialpool.errors import InputError, did_you_mean
from partialpool.finding import Finding
from partialpool.model import Group, Model
from partialpool.model.parameters import prior_of
from partialpool.priors import Prior
from partialpool.request import Request

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataArray, DataTree


COEFFICIENT_COLUMNS = ("factor", "level", "term", "n", "mean", "sd", "lower", "upper")

# Levels of a factor whose convergence is looked at: it takes half a millisecond for each.
MOST_JUDGED = 500


class Provenance(Struct, frozen=True):
    """Where a fit comes from, for the record.

    Attributes
    ----------
    roles : dict of str
        What was given beside the formula, such as ``{"trials": "n"}``.
    one_pass : bool
        Whether the table was read in one pass, of which no rows are kept.
    """

    source: str
    n_rows: int
    n_dropped: int
    method: str
    method_reason: str
    interval: float
    seconds: float
    versions: dict[str, str]
    roles: dict[str, str] = field(default_factory=dict)
    one_pass: bool = False

    @property
    def lacking(self) -> str:
        """Why a fit that has no rows has none."""
        if self.one_pass:
            return "this fit read its rows in one pass and kept none of them"
        return "this fit was saved without the rows that were fitted"


class Posterior:
    """What a run found of a model: all that answers are computed from.

    Attributes
    ----------
    model : Model
        Parameters and priors.
    run : Run
        The raw draws and sampler statistics.
    provenance : Provenance
        Data, engine, versions, time.
    findings : list of Finding
        What to know before trusting the fit; empty when all is well.
    design : Design or None
        The rows that were fitted, as the pooling sees them; None in a fit saved without them, and
        of one that read them in one pass.
    request : Request or None
        What was asked; None in a fit saved by an earlier version.
    held_out : dict
        What :meth:`loo` and :meth:`kfold` have computed so far.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        provenance: Provenance,
        findings: Sequence[Finding],
        design: Design | None = None,
        request: Request | None = None,
    ) -> None:
        self.model = model
        self.run = run
        self.provenance = provenance
        self.findings = list(findings)
        self.design = design
        self.request = request
        self.held_out: dict[str, Any] = {}

    # What was fitted

    @property
    def formula(self) -> str:
        """The formula."""
        return self.model.formula

    @property
    def pooling(self) -> str:
        """How group coefficients relate."""
        return self.model.pooling

    @property
    def priors(self) -> dict[str, Prior]:
        """Every prior by parameter name."""
        return dict(self.model.priors)

    @property
    def method(self) -> str:
        """The engine."""
        return self.provenance.method

    @property
    def method_reason(self) -> str:
        """Why that engine."""
        return self.provenance.method_reason

    @property
    def seed(self) -> int:
        """Seed of the run: the same seed gives the same draws."""
        return self.run.seed

    # What came out

    @cached_property
    def parameter_summary(self) -> Summary:
        """Summary of the population-level parameters (no pandas)."""
        labels, draws = population_draws(self.model, self.run)
        return summarise(labels, [draws], self.provenance.interval)

    @property
    def judged_summary(self) -> Summary:
        """Summary of all that the sampler walked over: what its convergence is judged by.

        Group coefficients that are drawn exactly given the rest need no judging. Of those that
        the sampler walked over, those of some levels speak for the others.
        """
        independent = self.run.certificate is not None
        if independent or not any(drawn.has_coef for drawn in self.run.groups):
            return self.parameter_summary
        labels, draws = population_draws(self.model, self.run)
        parts, scales = [iter([draws])], [np.zeros(draws.shape[2])]
        for k, (group, drawn) in enumerate(zip(self.model.groups, self.run.groups, strict=True)):
            if drawn.has_coef:
                step = -(-len(group.levels) // MOST_JUDGED)
                labels += level_labels(group, "coef", step)
                parts.append(self._every(k, step))
                scales.append(np.tile(self._largest(k, "coef"), -(-len(group.levels) // step)))
        return summarise(
            labels, chain.from_iterable(parts), self.provenance.interval, np.concatenate(scales)
        )

    def _every(self, k: int, step: int) -> Iterator[Array]:
        """Coefficients of every so-manieth level of a group that the sampler walked over."""
        group, coef = self.model.groups[k], self.run.groups[k].coef
        assert coef is not None
        for first, last in level_parts(self.run, group):
            levels = [level for level in range(first, last) if level % step == 0]
            yield coef[:, :, levels].reshape(*coef.shape[:2], -1)

    def _some(self, k: int, kind: str) -> Iterator[Array]:
        """Draws of all levels of a group, some levels at a time: (chain, draw, level, term)."""
        drawn = deviation_draws if kind == "r" else coefficient_draws
        for first, last in level_parts(self.run, self.model.groups[k]):
            yield drawn(self.model, self.run, k, first, last)

    def _largest(self, k: int, kind: str) -> Array:
        """Largest coefficient of any level in each term, where all of that term are rounded."""
        largest = np.zeros(len(self.model.groups[k].terms))
        for part in self._some(k, kind):
            finite = np.isfinite(part)
            most = np.max(np.abs(part), axis=(0, 1, 2), initial=0.0, where=finite)
            largest = np.maximum(largest, most)
        return largest

    def summary(self, parameter: str | None = None) -> pd.DataFrame:
        """Summarise parameters, a row each.

        Parameters
        ----------
        parameter : str, optional
            Only this parameter: ``"b"``, ``"sd_county"``, ``"b[x]"``, or a group parameter such as
            ``"r_county"`` or ``"coef_county"``. By default all population-level parameters.

        Returns
        -------
        DataFrame
            Columns mean, sd, lower, upper (equal-tailed interval), mcse (Monte Carlo error of the
            mean), ess_bulk, ess_tail, r_hat, prior (empty where levels share a distribution). All
            of them are shown, below each other on a narrow screen.

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        check_text("parameter", parameter, '"b"')
        own = self.parameter_summary
        frame = own.to_frame([prior_of(self.model, label) for label in own.labels])
        if parameter is None:
            return frame
        found = group_parameters(self.model).get(parameter)
        if found is not None:
            kind, k = found
            group = self.model.groups[k]
            parts = (part.reshape(*part.shape[:2], -1) for part in self._some(k, kind))
            priors = [prior_of(self.model, called.element(parameter, term)) for term in group.terms]
            n_levels = len(group.levels)
            scale = np.tile(self._largest(k, kind), n_levels)
            own = summarise(level_labels(group, kind), parts, self.provenance.interval, scale)
            return own.to_frame(priors * n_levels)
        return rows_called(parameter, frame, others=group_parameters(self.model))

    def coefficients(self) -> pd.DataFrame:
        """Coefficients of every level, a row for each level and term.

        Returns
        -------
        DataFrame
            Columns factor, level, term, n (rows of the level), mean, sd, lower, upper; one factor
            after the other. Empty without group terms (under complete pooling every level has `b`),
            NaN for levels that cannot determine their own coefficients under flat priors without
            pooling. Where the engine integrates, these numbers are averages over the variance
            parameters, given which coefficients are normal: they need no draws of coefficients, and
            carry less Monte Carlo error than those.
        """
        return coefficient_frame(self.model.groups, self.level_summaries)

    @cached_property
    def level_summaries(self) -> tuple[Array, ...]:
        """Mean, sd, lower and upper of every level's coefficients: (level, term, 4) a group."""
        interval = self.provenance.interval
        return coefficient_summaries(self.model, self.run, interval)

    @cached_property
    def draws(self) -> DataTree:
        """All draws as an xarray DataTree that ArviZ reads.

        Group draws (``r_G``, ``coef_G``) are included up to 50 million numbers; beyond that, take
        them for some levels with :meth:`group_draws`.
        """
        return draws_tree(self.model, self.run)

    def group_draws(
        self, levels: Sequence[Any] | None = None, factor: str | None = None
    ) -> DataArray:
        """Draws of the coefficients of chosen levels.

        Parameters
        ----------
        levels : sequence, optional
            Levels by their labels, whatever type carries them; by default all.
        factor : str, optional
            Whose levels, as in the column `factor` of :meth:`coefficients`; needed only where there
            are several.

        Returns
        -------
        xarray.DataArray
            ``coef_G`` with dims (chain, draw, level, term).

        Raises
        ------
        InputError
            If the model has no group terms, several and `factor` does not say which, or a level is
            unknown.
        """
        check_text("factor", factor, A_FACTOR)
        chosen = group_position(self.model, factor)
        group = self.model.groups[chosen]
        if levels is None:
            picked = list(range(len(group.levels)))
        else:
            asked = check_one_or_more("levels", levels)
            picked = find_levels(asked, as_given(group.levels), group.name)
        return group_array(self.model, self.run, chosen, picked)

    def __getstate__(self) -> dict[str, Any]:
        # The tree of all draws is made again when it is asked for.
        return {name: value for name, value in self.__dict__.items() if name != "draws"}


def rows_of(fit: Posterior) -> Design:
    """Return the rows that a fit was made from.

    Raises
    ------
    InputError
        If it was saved without them, or read them in one pass.
    """
    if fit.design is None:
        raise InputError(
            fit.provenance.lacking,
            remedy="fit some of the rows, or all of them with `one_pass=False`"
            if fit.provenance.one_pass
            else "compute this before saving, save with `rows=True`, or fit again",
        )
    return fit.design


def group_position(model: Model, factor: str | None) -> int:
    """Find the group of this name; it need not be given where there is but one.

    Raises
    ------
    InputError
        If there is no group, none of this name, or several and none is named.
    """
    names = [group.name for group in model.groups]
    if not names:
        raise InputError("the model has no group terms")
    if factor is None and len(names) > 1:
        raise InputError(
            "the model has several grouping factors",
            remedy=f"say which: `factor=` {' or '.join(repr(name) for name in names)}",
        )
    if factor is not None and factor not in names:
        remedy = did_you_mean(str(factor), names)
        raise InputError(f"the model has no group terms of `{factor}`", remedy=remedy)
    return 0 if factor is None else names.index(factor)


def n_draws(fit: Posterior) -> int:
    """Return the number of draws of all chains."""
    return fit.run.chains * fit.run.draws


def population_draws(model: Model, run: Run) -> tuple[list[str], Array]:
    """Labels and draws (chain, draw, parameter) of everything but the group coefficients.

    In this order: b, other coefficients and thresholds, sds and correlations of every factor, and
    what describes the spread around the predictor.
    """
    labels = [called.b(name) for name in model.columns]
    parts = [run.b]
    early = [name for name in run.scalars if called.kind_of(name) in ("b", "threshold")]
    late = [name for name in run.scalars if name not in early]
    parts += [run.scalars[name][..., None] for name in early]
    labels += early
    for group, drawn in zip(model.groups, run.groups, strict=True):
        labels += [*group.sd_labels, *group.cor_labels]
        parts += [drawn.sd, drawn.cor]
    parts += [run.scalars[name][..., None] for name in late]
    labels += late
    return labels, np.concatenate(parts, axis=2)


def group_parameters(model: Model) -> dict[str, tuple[str, int]]:
    """Names of the group parameters: which kind ("r" or "coef") of which group.

    Without pooling there are no deviations.
    """
    found = {}
    for k, group in enumerate(model.groups):
        if group.known_sd is None:
            found[called.r(group.name)] = ("r", k)
        found[called.coef(group.name)] = ("coef", k)
    return found


def level_labels(group: Group, kind: str, step: int = 1) -> list[str]:
    """Full names of the deviations ("r") or coefficients ("coef") of every `step`-th level."""
    array = (called.r if kind == "r" else called.coef)(group.name)
    return [
        called.at_level(array, level, term)
        for level in group.levels[::step]
        for term in group.terms
    ]


def rows_called(parameter: str, frame: pd.DataFrame, others: Iterable[str] = ()) -> pd.DataFrame:
    """Rows of a table of parameters for one of them, ``"b[x]"``, or an array, ``"b"``.

    Raises
    ------
    InputError
        If there is none; it names the nearest among these and `others`.
    """
    picked = [lab for lab in frame.index if parameter in (lab, called.array_of(lab))]
    if not picked:
        known = list(dict.fromkeys([*(called.array_of(lab) for lab in frame.index), *others]))
        raise InputError(f"no parameter `{parameter}`", remedy=did_you_mean(parameter, known))
    return frame.loc[picked]


def coefficient_frame(groups: Sequence[Group], summaries: Sequence[Array]) -> pd.DataFrame:
    """Table of every level's coefficients from their summaries: (level, term, 4) a group."""
    import pandas as pd

    frames = []
    for group, summary in zip(groups, summaries, strict=True):
        levels, terms = len(group.levels), len(group.terms)
        level, term = np.repeat(np.arange(levels), terms), np.tile(np.arange(terms), levels)
        facts = {
            "factor": pd.Series([group.name]).array.take(np.zeros_like(level)),
            "level": pd.Series(group.levels).array.take(level),
            "term": pd.Series(list(group.terms)).array.take(term),
            "n": group.counts[level],
        }
        # One copy, and as the numbers lie: there may be millions of levels.
        own, names = summary.reshape(-1, 4).copy(), list(COEFFICIENT_COLUMNS[4:])
        numbers = pd.DataFrame(own, columns=names, copy=False)
        frames.append(pd.concat([pd.DataFrame(facts, copy=False), numbers], axis=1))
    if not frames:
        return pd.DataFrame({name: [] for name in COEFFICIENT_COLUMNS})
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
