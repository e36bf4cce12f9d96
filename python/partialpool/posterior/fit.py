"""Fit: the posterior of a model, what it says, and how far to trust it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.checks import EXAMPLE, check_flag, check_text, check_values
from partialpool.data.labels import label, match_labels
from partialpool.engine import Run
from partialpool.engine.conditional import (
    coefficient_draws,
    coefficient_summary,
    deviation_draws,
    level_parts,
)
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Group, Model
from partialpool.model.priors import Prior
from partialpool.posterior.findings import Finding
from partialpool.posterior.summary import Summary, summarise

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataArray, DataTree

    from partialpool.design import Design
    from partialpool.posterior.checks import Check
    from partialpool.posterior.loo import Loo
    from partialpool.posterior.sensitivity import Sensitivity

Array = NDArray[np.float64]

COEFFICIENT_COLUMNS = ("factor", "level", "term", "n", "mean", "sd", "lower", "upper")

# Levels of a factor whose convergence is looked at: it takes half a millisecond for each.
MOST_JUDGED = 500


@dataclass(frozen=True)
class Provenance:
    """Where a fit comes from, for the record.

    Attributes
    ----------
    roles : dict of str
        What was given beside the formula, such as ``{"trials": "n"}``.
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


class Fit:
    """The posterior of a hierarchical model.

    Print it, or call :meth:`summary`, :meth:`coefficients`, :attr:`draws`, :attr:`findings`.

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
        The rows that were fitted, as the pooling sees them; None in a fit saved without them.
    held_out : dict of Loo
        What :meth:`loo` and :meth:`kfold` have computed so far.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        provenance: Provenance,
        findings: Sequence[Finding],
        design: Design | None = None,
    ) -> None:
        self.model = model
        self.run = run
        self.provenance = provenance
        self.findings = list(findings)
        self.design = design
        self.held_out: dict[str, Loo] = {}

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
        if all(drawn.coef is None for drawn in self.run.groups):
            return self.parameter_summary
        labels, draws = population_draws(self.model, self.run)
        parts, scales = [iter([draws])], [np.zeros(draws.shape[2])]
        for k, (group, drawn) in enumerate(zip(self.model.groups, self.run.groups, strict=True)):
            if drawn.coef is not None:
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
        from partialpool.posterior.words import prior_of

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
            priors = [prior_of(self.model, f"{parameter}[{term}]") for term in group.terms]
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
            pooling. Where the engine integrates, means and sds are averaged over the variance
            parameters analytically, so they carry less Monte Carlo error than the draws.
        """
        return coefficient_frame(self.model.groups, self.level_summaries)

    @cached_property
    def level_summaries(self) -> tuple[Array, ...]:
        """Mean, sd, lower and upper of every level's coefficients: (level, term, 4) a group."""
        interval = self.provenance.interval
        return tuple(
            coefficient_summary(self.model, self.run, k, interval)
            for k in range(len(self.model.groups))
        )

    @cached_property
    def draws(self) -> DataTree:
        """All draws as an xarray DataTree that ArviZ reads.

        Group draws (``r_G``, ``coef_G``) are included up to 50 million numbers; beyond that, take
        them for some levels with :meth:`group_draws`.
        """
        from partialpool.posterior.tree import draws_tree

        return draws_tree(self.model, self.run)

    def to_arviz(
        self,
        *,
        log_likelihood: bool = True,
        posterior_predictive: bool = True,
        prior: bool | int = False,
    ) -> DataTree:
        """Give the draws with all that ArviZ's functions look for.

        Parameters
        ----------
        log_likelihood : bool
            Whether to add the log density of every response given all parameters, for ``az.loo``.
            (Where coefficients integrate out, :meth:`loo` is more reliable.)
        posterior_predictive : bool
            Whether to add a new response of every row for every draw, for ``az.plot_ppc_dist``.
        prior : bool or int
            Whether to add draws from the priors, and responses that they make: 1000, or so many.

        Returns
        -------
        xarray.DataTree
            Groups posterior and sample_stats as in :attr:`draws`, observed_data, log_likelihood,
            posterior_predictive, prior and prior_predictive. ArviZ 1 and arviz-stats 0.8 read it;
            for ArviZ 0.23, ``az.InferenceData.from_datatree`` converts it.

        Raises
        ------
        InputError
            If the fit was saved without its rows, the draws would not fit in memory, or a prior is
            improper.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), draws=100, seed=1)
        >>> fit.to_arviz()["log_likelihood"]["log_radon"].shape
        (4, 100, 919)
        """
        from partialpool.posterior.arviz import to_arviz

        return to_arviz(
            self,
            log_likelihood=log_likelihood,
            posterior_predictive=posterior_predictive,
            prior=prior,
        )

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
        from partialpool.posterior.tree import group_array

        check_text("factor", factor, EXAMPLE)
        chosen = self._position(factor)
        group = self.model.groups[chosen]
        if levels is None:
            picked = list(range(len(group.levels)))
        else:
            single = isinstance(levels, (str, bytes, Mapping)) or not hasattr(levels, "__iter__")
            asked = check_values("levels", [levels] if single else levels)
            known = list(group.levels) if group.levels.dtype.kind == "M" else group.levels.tolist()
            picked = match_labels(asked, known, f"`{group.name}`")
            if -1 in picked:
                unknown = label(asked[picked.index(-1)])
                raise InputError(
                    f"`{unknown}` is no level of `{group.name}`",
                    remedy=did_you_mean(unknown, [label(level) for level in known]),
                )
        return group_array(self.model, self.run, chosen, picked)

    def _position(self, factor: str | None) -> int:
        """Position of the group of this name; it need not be given where there is but one."""
        names = [group.name for group in self.model.groups]
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

    def predict(
        self,
        new: Any = None,
        kind: Literal["mean", "observation", "linear"] = "mean",
        new_levels: Literal["sample", "population", "error"] = "sample",
        interval: float = 0.95,
        *,
        seed: int | None = None,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        se: Any = None,
        weights: Any = None,
    ) -> pd.DataFrame:
        """Predict rows, for levels that are known or never seen.

        Parameters
        ----------
        new : DataFrame, dict of arrays, or path, optional
            The rows to predict, as :func:`partialpool.fit` takes tables; by default those that were
            fitted. They need no response.
        kind : {"mean", "observation", "linear"}
            The expected response given the parameters, a new observation, or the linear predictor
            with its offset.
        new_levels : {"sample", "population", "error"}
            What levels have that the fit did not see: draws from the population, shared by the rows
            of a level; the coefficients of the population; or an error. Without pooling there is no
            population, and a new level has only its prior.
        interval : float
            Mass of the equal-tailed intervals.
        seed : int, optional
            Of the random numbers for new levels and observations; by default that of the fit.
        offset, exposure, trials, se, weights : str, array or number, optional
            As in :func:`partialpool.fit`; by default the columns that the fit used. Rows have
            weight 1 where the new data lack that column.

        Returns
        -------
        DataFrame
            The columns of the rows, and mean, sd, lower, upper; columns of the data with these
            names are called ``data_mean`` and so on. Ordered categories count as the numbers that
            they are, and as 0, 1, 2, … where they are none; with ``kind="mean"`` the probability of
            each is in ``p[label]``.
            ``attrs["notes"]`` says which rows have no prediction because a value is missing, and
            what was made of new levels.

        Raises
        ------
        InputError
            If a column is lacking or of another kind, or holds a category that the fit did not see.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> new = fit.predict({"floor": [0, 0], "county": [1, 999]})
        >>> bool(new["sd"][1] > new["sd"][0])
        True
        """
        from partialpool.posterior.predict import predict

        roles = {"offset": offset, "exposure": exposure, "trials": trials}
        roles |= {"se": se, "weights": weights}
        return predict(
            self,
            new,
            kind=kind,
            new_levels=new_levels,
            interval=interval,
            seed=seed,
            roles=roles,
        )

    def posterior_predictive(
        self,
        new: Any = None,
        kind: Literal["mean", "observation", "linear"] = "observation",
        new_levels: Literal["sample", "population", "error"] = "sample",
        draws: int | None = None,
        seed: int | None = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        se: Any = None,
        weights: Any = None,
    ) -> DataArray:
        """Draw what :meth:`predict` summarises.

        Parameters
        ----------
        new, kind, new_levels, seed, offset, exposure, trials, se, weights
            As in :meth:`predict`.
        draws : int, optional
            How many draws of each chain to use, evenly spaced; by default all.

        Returns
        -------
        xarray.DataArray
            Dims (chain, draw, row); rows of the fit are numbered as in its table, from 0.

        Raises
        ------
        InputError
            As in :meth:`predict`, and if the draws would not fit in memory.
        """
        from partialpool.posterior.predict import posterior_predictive

        roles = {"offset": offset, "exposure": exposure, "trials": trials}
        roles |= {"se": se, "weights": weights}
        return posterior_predictive(
            self, new, kind=kind, new_levels=new_levels, draws=draws, seed=seed, roles=roles
        )

    def effects(
        self,
        by: str,
        at: Mapping[str, Any] | None = None,
        groups: Literal["integrate", "none"] = "integrate",
        kind: Literal["mean", "probability", "linear"] = "mean",
        interval: float = 0.95,
        *,
        data: Any = None,
        draws: int | None = None,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        weights: Any = None,
    ) -> pd.DataFrame:
        """Average what the population is predicted to do: marginal effects of a predictor.

        Also known as average predictions, average comparisons and average slopes.

        Parameters
        ----------
        by : str
            The predictor, a column of the data. All rows get each of its values in turn.
        at : mapping, optional
            Values by column: a list for `by`, whose first is what the others are compared with; one
            value for other predictors, which all rows then have. By default `by` takes its
            categories or, where it has more than five numbers, its quartiles.
        groups : {"integrate", "none"}
            Average over the population of levels, or take a level without deviations. Levels
            without pooling keep their own coefficients.
        kind : {"mean", "probability", "linear"}
            On the scale of the response (of ordered categories as in :meth:`predict`); the
            probability of each ordered category; or on the scale of the linear predictor.
        interval : float
            Mass of the equal-tailed intervals.
        data : DataFrame, dict of arrays, or path, optional
            The rows to average over; by default those that were fitted.
        draws : int, optional
            How many draws of each chain to use, evenly spaced; by default all.
        offset, exposure, trials, weights : str, array or number, optional
            As in :meth:`predict`: ``trials=1`` gives shares, ``exposure=1`` rates. Weights that
            count rows count in averages and quartiles too.

        Returns
        -------
        DataFrame
            Columns quantity, value, reference, mean, sd, lower, upper. "prediction": the average
            response at a value; "contrast": its difference from that at the reference; "slope": for
            a number, the average derivative where the rows are (not across levels without pooling).
            With ``kind="probability"`` there is a row for each of the column `category`.
            ``attrs["groups"]`` says how levels were averaged over.

        Raises
        ------
        InputError
            If there is no such predictor or value, or no data.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> fit.effects("floor")[["quantity", "value", "mean"]].round(1)
             quantity  value  mean
        0  prediction    0.0   1.5
        1  prediction    1.0   0.8
        2    contrast    1.0  -0.7
        3       slope    NaN  -0.7
        """
        from partialpool.posterior.effects import effects

        roles = {"offset": offset, "exposure": exposure, "trials": trials, "weights": weights}
        return effects(
            self,
            by,
            at,
            groups=groups,
            kind=kind,
            interval=interval,
            data=data,
            draws=draws,
            roles=roles,
        )

    # How well it predicts

    def loo(self, by: str | None = None) -> Loo:
        """Score predictions of rows, or of whole levels, by a posterior that has not seen them.

        Parameters
        ----------
        by : str, optional
            ``"group"`` or the name of the grouping factor: leave out one level after the other,
            and score all of its rows together. By default one row after the other.

        Returns
        -------
        Loo
            Sum of the log scores with its standard error, effective number of parameters,
            scores and held-out means row by row.

        Raises
        ------
        InputError
            If the fit was saved without its rows and this was not computed before, or levels
            are to be left out of a model whose group coefficients do not integrate out
            (:meth:`kfold` can do that).

        Notes
        -----
        In a Gaussian model with at most one grouping factor, coefficients are integrated out: the
        held-out density given sds, correlations and sigma is exact, and only the posterior of
        these few is reweighted. In other models the posterior of all parameters is reweighted.
        Weights are smoothed (PSIS, Vehtari et al. 2024).

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> bool(fit.loo().elpd > fit.loo(by="county").elpd)
        True
        """
        from partialpool.posterior.loo import loo

        return loo(self, by)

    def kfold(self, k: int = 10, by: str | None = None, seed: int = 0) -> Loo:
        """Score predictions of rows by refits without them: slower than :meth:`loo`, but safe.

        Parameters
        ----------
        k : int
            Number of parts into which the rows, or the levels, are dealt at random.
        by : str, optional
            ``"group"`` or the name of a grouping factor: its levels stay whole, so that every row
            is predicted as one of a new level. Each row counts by itself.
        seed : int
            Deals the rows; the fits have the seed of this one.

        Returns
        -------
        Loo

        Raises
        ------
        InputError
            If the fit was saved without its rows, or there are fewer rows or levels than parts.

        Notes
        -----
        All refits have the priors of this fit, with the numbers that all rows gave them.
        """
        from partialpool.posterior.kfold import kfold

        return kfold(self, k, by, seed)

    def check(self, draws: int = 1000, seed: int = 0) -> Check:
        """Compare the data with data that the model makes.

        Parameters
        ----------
        draws : int
            Number of replicated data sets; the 1000 of the default are at most as many as the fit
            has draws. Fewer than 100 are too few for findings.
        seed : int
            Seed of the replicates.

        Returns
        -------
        Check
            A table of statistics with their predictive p-values, findings where the model cannot
            make the data, and figures in ``.plot``.

        Raises
        ------
        InputError
            If the fit was saved without its rows, or has fewer draws than asked for.

        Notes
        -----
        Weights that count rows stand for rows that are made one by one, like those of the table
        written out. Where they are not whole numbers, each row is made once and weighted in all
        statistics, and no p-value is judged: too much would vary together.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> fit.check(draws=200).table.index[:2].tolist()
        ['mean', 'sd']
        """
        from partialpool.posterior.checks import check

        return check(self, draws, seed)

    def sensitivity(self) -> Sensitivity:
        """Tell how far the estimates depend on the priors, without another fit.

        Returns
        -------
        Sensitivity
            A table of the population-level parameters: sensitivity to the priors and to the data
            (0.05 or more counts), means under weaker and stronger priors, and a diagnosis; findings
            where an estimate rests on its prior, or prior and data disagree.

        Raises
        ------
        InputError
            If the fit was saved without its rows.

        Notes
        -----
        The density of all priors, and that of all responses given all parameters, is raised to
        powers near 1 in turn, and the draws are reweighted to the posterior that this would give
        (Kallioinen et al. 2023, with smoothed weights as in PSIS). The means are for priors to the
        power 0.8 and 1.25. Scaled are the priors of population coefficients, thresholds, sds,
        correlations and dispersion parameters. The normal distribution of group coefficients given
        their sds is not, for it is part of the model, and neither are the levels' own priors under
        no pooling. Flat and uniform priors have no strength to be scaled.

        With hundreds of levels the sensitivities to the data are noisy; those to the priors are
        not.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
        >>> found = fit.sensitivity()
        >>> found.findings
        ()
        >>> found.table["diagnosis"].unique().tolist()
        ['fine']
        """
        from partialpool.posterior.sensitivity import sensitivity

        return sensitivity(self)

    def save(self, path: str | os.PathLike[str], *, rows: bool = True) -> None:
        """Save the fit in one NetCDF file, from which :func:`partialpool.load` brings it back.

        Parameters
        ----------
        path : str or path
            Where to; an older file is replaced once the new one is whole.
        rows : bool
            Whether to keep the rows that were fitted (the columns of the formula), which
            :meth:`check`, :meth:`sensitivity`, :meth:`loo` and :meth:`kfold` need, and
            :meth:`predict` and :meth:`effects` where they are given no others. Without them the
            file holds parameters, names of levels, and the scores that :meth:`loo` and
            :meth:`kfold` gave before.

        Raises
        ------
        InputError
            If the path cannot be written.
        """
        from partialpool.posterior.io import save_fit

        check_flag("rows", rows)
        save_fit(self, path, rows=rows)

    def __getstate__(self) -> dict[str, Any]:
        # The tree of all draws is made again when it is asked for.
        return {name: value for name, value in self.__dict__.items() if name != "draws"}

    def __repr__(self) -> str:
        from partialpool.posterior.text import fit_text

        return fit_text(self)

    def _repr_html_(self) -> str:
        from partialpool.posterior.html import fit_html

        return fit_html(self)


def population_draws(model: Model, run: Run) -> tuple[list[str], Array]:
    """Labels and draws (chain, draw, parameter) of everything but the group coefficients.

    In this order: b, other coefficients and thresholds, sds and correlations of every factor, and
    what describes the spread around the predictor.
    """
    labels = [f"b[{name}]" for name in model.columns]
    parts = [run.b]
    early = [name for name in run.scalars if name.startswith(("b_", "threshold"))]
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
    return {
        f"{kind}_{group.name}": (kind, k)
        for k, group in enumerate(model.groups)
        for kind in ("r", "coef")
        if kind == "coef" or group.known_sd is None
    }


def level_labels(group: Group, kind: str, step: int = 1) -> list[str]:
    """Full names of the deviations ("r") or coefficients ("coef") of every `step`-th level."""
    name = f"{kind}_{group.name}"
    return [f"{name}[{level},{term}]" for level in group.levels[::step] for term in group.terms]


def rows_called(parameter: str, frame: pd.DataFrame, others: Iterable[str] = ()) -> pd.DataFrame:
    """Rows of a table of parameters for one of them, ``"b[x]"``, or an array, ``"b"``.

    Raises
    ------
    InputError
        If there is none; it names the nearest among these and `others`.
    """
    picked = [lab for lab in frame.index if parameter in (lab, lab.split("[")[0])]
    if not picked:
        known = list(dict.fromkeys([*(lab.split("[")[0] for lab in frame.index), *others]))
        raise InputError(f"no parameter `{parameter}`", remedy=did_you_mean(parameter, known))
    return frame.loc[picked]


def coefficient_frame(groups: Sequence[Group], summaries: Sequence[Array]) -> pd.DataFrame:
    """Table of every level's coefficients from their summaries: (level, term, 4) a group."""
    import pandas as pd

    frames = []
    for group, summary in zip(groups, summaries, strict=True):
        q = len(group.terms)
        facts = {
            "factor": group.name,
            "level": np.repeat(group.levels, q),
            "term": np.tile(group.terms, len(group.levels)),
            "n": np.repeat(group.counts, q),
        }
        numbers = dict(zip(COEFFICIENT_COLUMNS[4:], summary.reshape(-1, 4).T, strict=True))
        frames.append(pd.DataFrame(facts | numbers))
    if not frames:
        return pd.DataFrame({name: [] for name in COEFFICIENT_COLUMNS})
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
