"""Fit: the posterior of a model, what it says, and how far to trust it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.engine import Run
from partialpool.engine.conditional import coefficient_draws, coefficient_summary, deviation_draws
from partialpool.errors import InputError, did_you_mean
from partialpool.model import Model
from partialpool.model.priors import Prior
from partialpool.posterior.findings import Finding
from partialpool.posterior.summary import Summary, summarise

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataTree

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Provenance:
    """Where a fit comes from, for the record."""

    source: str
    n_rows: int
    n_dropped: int
    method: str
    method_reason: str
    interval: float
    seconds: float
    versions: dict[str, str]


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
    """

    def __init__(
        self, model: Model, run: Run, provenance: Provenance, findings: Sequence[Finding]
    ) -> None:
        self.model = model
        self.run = run
        self.provenance = provenance
        self.findings = list(findings)

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
        return summarise(labels, draws, self.provenance.interval)

    @property
    def judged_summary(self) -> Summary:
        """Summary of all that the sampler walked over: what its convergence is judged by.

        Group coefficients that are drawn exactly given the rest need no judging.
        """
        group, coef = self.model.group, self.run.coef
        if coef is None or group is None or self.run.method == "marginal":
            return self.parameter_summary
        labels, draws = population_draws(self.model, self.run)
        labels += [f"coef_{group.name}[{level},{t}]" for level in group.levels for t in group.terms]
        everything = np.concatenate([draws, coef.reshape(*draws.shape[:2], -1)], axis=2)
        return summarise(labels, everything, self.provenance.interval)

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
            mean), ess_bulk, ess_tail, r_hat.

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        if parameter is None:
            return self.parameter_summary.to_frame()
        group = self.model.group
        if group is not None and parameter in group_parameters(self.model):
            drawn = deviation_draws if parameter.startswith("r_") else coefficient_draws
            values = drawn(self.model, self.run, 0, len(group.levels))
            labels = [f"{parameter}[{lv},{t}]" for lv in group.levels for t in group.terms]
            flat = values.reshape(*values.shape[:2], -1)
            return summarise(labels, flat, self.provenance.interval).to_frame()
        frame = self.parameter_summary.to_frame()
        picked = [lab for lab in frame.index if parameter in (lab, lab.split("[")[0])]
        if not picked:
            known = list(dict.fromkeys(lab.split("[")[0] for lab in frame.index))
            known += group_parameters(self.model)
            raise InputError(f"no parameter `{parameter}`", remedy=did_you_mean(parameter, known))
        return frame.loc[picked]

    def coefficients(self) -> pd.DataFrame:
        """Coefficients of every level, a row for each level and term.

        Returns
        -------
        DataFrame
            Columns factor, level, term, n (rows of the level), mean, sd, lower, upper. Empty
            without group terms (under complete pooling every level has `b`), NaN for levels that
            cannot determine their own coefficients under flat priors without pooling. Where the
            engine integrates, means and sds are averaged over the variance parameters
            analytically, so they carry less Monte Carlo error than the draws.
        """
        import pandas as pd

        group = self.model.group
        columns = ["factor", "level", "term", "n", "mean", "sd", "lower", "upper"]
        if group is None:
            return pd.DataFrame({name: [] for name in columns})
        q = len(group.terms)
        frame = pd.DataFrame(
            {
                "factor": group.name,
                "level": np.repeat(group.levels, q),
                "term": np.tile(group.terms, len(group.levels)),
                "n": np.repeat(group.counts, q),
            }
        )
        frame[columns[4:]] = self.level_summary.reshape(-1, 4)
        return frame

    @cached_property
    def level_summary(self) -> Array:
        """Mean, sd, lower and upper of every level's coefficients: (level, term, 4) (no pandas)."""
        return coefficient_summary(self.model, self.run, self.provenance.interval)

    @cached_property
    def draws(self) -> DataTree:
        """All draws as an xarray DataTree that ArviZ reads.

        Group draws (``r_G``, ``coef_G``) are included up to 50 million numbers; beyond that, take
        them for some levels with :meth:`group_draws`.
        """
        from partialpool.posterior.tree import draws_tree

        return draws_tree(self.model, self.run)

    def group_draws(self, levels: Sequence[Any] | None = None) -> Any:
        """Draws of the coefficients of chosen levels.

        Parameters
        ----------
        levels : sequence, optional
            Levels as they are in the data; by default all.

        Returns
        -------
        xarray.DataArray
            ``coef_G`` with dims (chain, draw, level, term).

        Raises
        ------
        InputError
            If the model has no group terms or a level is unknown.
        """
        from partialpool.posterior.tree import group_array

        group = self.model.group
        if group is None:
            raise InputError("the model has no group terms")
        if levels is None:
            picked = list(range(len(group.levels)))
        else:
            position = {level: k for k, level in enumerate(group.levels.tolist())}
            unknown = [level for level in levels if level not in position]
            if unknown:
                raise InputError(
                    f"`{unknown[0]}` is no level of `{group.name}`",
                    remedy=did_you_mean(str(unknown[0]), [str(lv) for lv in position]),
                )
            picked = [position[level] for level in levels]
        return group_array(self.model, self.run, picked)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fit in one NetCDF file, from which :func:`partialpool.load` brings it back.

        Raises
        ------
        InputError
            If the path cannot be written.
        """
        from partialpool.posterior.io import save_fit

        save_fit(self, path)

    def __repr__(self) -> str:
        from partialpool.posterior.text import fit_text

        return fit_text(self)

    def _repr_html_(self) -> str:
        from partialpool.posterior.html import fit_html

        return fit_html(self)


def population_draws(model: Model, run: Run) -> tuple[list[str], Array]:
    """Labels and draws (chain, draw, parameter) of everything but the group coefficients."""
    labels = [f"b[{name}]" for name in model.columns]
    parts = [run.b]
    if model.group is not None:
        name = model.group.name
        if model.group.known_sd is None:
            labels += [f"sd_{name}[{term}]" for term in model.group.terms]
        labels += [f"cor_{name}[{pair}]" for pair in model.group.pair_labels]
        parts += [run.sd, run.cor]
    if run.sigma is not None:
        labels.append("sigma")
        parts.append(run.sigma[..., None])
    return labels, np.concatenate(parts, axis=2)


def group_parameters(model: Model) -> list[str]:
    """Names of the group parameters; without pooling there are no deviations."""
    if model.group is None:
        return []
    names = [f"r_{model.group.name}", f"coef_{model.group.name}"]
    return names if model.group.known_sd is None else names[1:]
