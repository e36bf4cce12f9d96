"""What the estimates owe to the priors: power-scaling, without another fit.

The density of all priors is raised to a power (above 1 they count more, below 1 less), or that of
the data, and the draws are reweighted to the posterior that this would give (Kallioinen et al.
2023). What moves with its priors rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool import limits
from partialpool.arrays import Array, Ints, mean_of, sd_of
from partialpool.draws.log_prior import log_priors
from partialpool.draws.posterior import Posterior, n_draws, population_draws, rows_of
from partialpool.draws.rows import chunks, row_draws, thinned
from partialpool.finding import Finding, about_all
from partialpool.model.parameters import prior_words
from partialpool.numerals import number
from partialpool.priors.prior import Prior
from partialpool.scores.loo import FEWEST, leave_out
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd


# Powers for the sensitivities, which are slopes at 1: the log likelihood of many levels varies so
# much that powers further off would leave a handful of draws with all the weight.
NEAR = (0.99, 1.01)
# Powers for the means that are shown.
WEAKER, STRONGER = 0.8, 1.25
# Draws × rows of which the likelihood is computed; above it draws are thinned.
MOST = 20_000_000

FINE, RESTS, CONFLICT = "fine", "prior-sensitive", "prior-data-conflict"


class Sensitivity(Answer, Struct, frozen=True, eq=False):
    """How far population-level parameters depend on the priors, and on the data.

    Attributes
    ----------
    labels : tuple of str
        The parameters.
    prior, likelihood : (parameter,) arrays
        Sensitivities: how far the posterior moves when the priors, or the likelihood, are raised
        to a power, as a cumulative Jensen-Shannon distance for each doubling of that power.
    mean, sd : (parameter,) arrays
        Of the posterior as it is.
    weaker, stronger : (parameter,) arrays
        Means with all priors to the power 0.8 and 1.25.
    pareto_k : tuple of float
        Reliability of `weaker` and of `stronger`: at most 0.7 is fine.
    findings : tuple of Finding
        Which estimates depend on their priors, and what cannot be trusted here.
    """

    formula: str
    labels: tuple[str, ...]
    prior: Array
    likelihood: Array
    mean: Array
    sd: Array
    weaker: Array
    stronger: Array
    pareto_k: tuple[float, float]
    findings: tuple[Finding, ...] = ()

    @property
    def diagnosis(self) -> list[str]:
        """What to think of each parameter.

        ``"prior-sensitive"``: it moves with the priors and hardly with the data.
        ``"prior-data-conflict"``: it moves with both, which it does where they disagree; where they
        agree, each takes from the weight of the other. Else ``"fine"``.
        """
        words = np.where(self.likelihood >= limits.SENSITIVE, CONFLICT, RESTS)
        return [str(word) for word in np.where(self.prior >= limits.SENSITIVE, words, FINE)]

    @property
    def table(self) -> pd.DataFrame:
        """A row a parameter: sensitivities, means under scaled priors, diagnosis."""
        return self._table.frame()

    @property
    def _table(self) -> ResultTable:
        moved = {"prior": self.prior, "likelihood": self.likelihood}
        means = {"mean": self.mean, "weaker": self.weaker, "stronger": self.stronger}
        columns = [
            ResultColumn(name, x, [f"{value:.3f}" for value in x]) for name, x in moved.items()
        ]
        columns += [
            ResultColumn(
                name, x, [number(float(m), float(sd)) for m, sd in zip(x, self.sd, strict=True)]
            )
            for name, x in means.items()
        ]
        columns.append(ResultColumn("diagnosis", self.diagnosis, self.diagnosis, is_text=True))
        return ResultTable("parameter", self.labels, columns)

    @property
    def page(self) -> Page:
        """What it says."""
        return Page(
            heading=["What the estimates owe to the priors"],
            table=self._table,
            notes=[
                "prior, likelihood: how far the posterior moves when all priors, or the data, "
                f"count more or less; {limits.SENSITIVE:g} or more is sensitive. weaker, stronger: "
                f"means with all priors to the power {WEAKER:g} and {STRONGER:g}."
            ],
            findings=about_all(self.findings),
            otherwise="Prior sensitivity: no finding. The estimates do not hang on the exact "
            "priors.",
            formula=self.formula,
            facts={"formula": self.formula, "pareto_k": self.pareto_k},
            rows="parameters",
        )


def sensitivity(fit: Posterior) -> Sensitivity:
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
    picked = thinned(fit, max(FEWEST, MOST // rows_of(fit).n_rows))
    labels, drawn = population_draws(fit.model, fit.run)
    draws = drawn.reshape(n_draws(fit), len(labels))
    parts = log_priors(fit)
    log_prior = sum(parts.values(), np.zeros(len(draws)))
    weaker, stronger = (power_weights(log_prior, power) for power in (WEAKER, STRONGER))
    found = Sensitivity(
        formula=fit.formula,
        labels=tuple(labels),
        prior=distances(draws, log_prior),
        likelihood=distances(draws[picked], log_likelihood(fit, picked)),
        mean=mean_of(draws),
        sd=sd_of(draws),
        weaker=weaker.mean(draws),
        stronger=stronger.mean(draws),
        pareto_k=(weaker.pareto_k, stronger.pareto_k),
    )
    return replace(found, findings=_findings(found, draws, parts, fit.priors))


def log_likelihood(fit: Posterior, draws: Ints) -> Array:
    """Log density of all responses given all parameters: (draw,)."""
    total = np.zeros(len(draws))
    for rows in chunks(rows_of(fit), max(1, 2_000_000 // len(draws))):
        total += row_draws(fit, rows, draws).log_densities().sum(axis=1)
    return total


class Weights(Struct, frozen=True):
    """Normalised weights of draws, and the Pareto k that says how reliable they are."""

    weights: Array
    pareto_k: float

    def mean(self, draws: Array) -> Array:
        """Weighted mean of draws (draw, parameter)."""
        return np.asarray(draws[0] + self.weights @ (draws - draws[0]))


def power_weights(log_density: Array, power: float) -> Weights:
    """Reweight draws (draw,) to the posterior in which a part of its density has this power."""
    from arviz_stats.base.array import array_stats

    n = len(log_density)
    if np.ptp(log_density) < 1e-10:
        return Weights(np.full(n, 1 / n), 0.0)
    relative = array_stats.ess(log_density[None], method="tail", prob=0.05, relative=True)  # type: ignore[no-untyped-call]
    found = leave_out((1 - power) * log_density[:, None], float(relative))
    return Weights(found.weights[:, 0], float(found.pareto_k[0]))


def distances(draws: Array, log_density: Array) -> Array:
    """Sensitivity of each parameter (draw, parameter) to a part of the density (draw,).

    Constant draws have none.
    """
    from arviz_stats.base.array import array_stats

    low, high = (power_weights(log_density, power).weights[None] for power in NEAR)
    found = np.zeros(draws.shape[1])
    for k in np.flatnonzero(np.ptp(draws, axis=0) > 0):
        found[k] = array_stats.power_scale_sense(draws[None, :, k], low, high, *NEAR)  # type: ignore[no-untyped-call]
    return found


def _findings(
    found: Sensitivity, draws: Array, parts: Mapping[str, Array], priors: Mapping[str, Prior]
) -> tuple[Finding, ...]:
    """Say what depends on its prior: one finding a kind."""
    diagnosis, findings = np.array(found.diagnosis), []
    for kind in (CONFLICT, RESTS):
        picked = np.flatnonzero(diagnosis == kind)
        if not len(picked):
            continue
        picked = picked[np.argsort(-found.prior[picked], kind="stable")]
        names = [f"`{found.labels[k]}`" for k in picked]
        most = int(picked[0])
        # Of all priors, the one that moves it most when it alone is scaled.
        single = {name: distances(draws[:, [most]], part)[0] for name, part in parts.items()}
        guilty = max(single, key=lambda name: single[name])
        words = prior_words(guilty, priors[guilty])
        prior = f"The prior that moves it most is {words} of `{guilty}`."
        whose = "its mean" if len(names) == 1 else f"the mean of {names[0]}"
        findings.append(_finding(kind, names, prior, f"{whose} {_movement(found, most)}"))
    if max(found.pareto_k) > limits.PARETO_K:
        findings.append(
            Finding(
                "pareto-k",
                "warning",
                "The means under weaker and stronger priors cannot be trusted (Pareto k up to "
                f"{max(found.pareto_k):.2f}, should be at most {limits.PARETO_K}): these "
                "posteriors are too far from the one that was drawn.",
                "Fit again with other priors, and compare.",
            )
        )
    return tuple(findings)


def _movement(found: Sensitivity, k: int) -> str:
    mean, weaker, stronger = (
        number(x[k], found.sd[k]) for x in (found.mean, found.weaker, found.stronger)
    )
    return (
        f"is {mean}, and would be {weaker} with all priors to the power {WEAKER:g} (weaker) and "
        f"{stronger} to the power {STRONGER:g} (stronger)"
    )


def _finding(kind: str, names: list[str], prior: str, movement: str) -> Finding:
    named, several = ", ".join(names[:4]), len(names) > 1
    named += f" and {len(names) - 4} more" if len(names) > 4 else ""
    if kind == CONFLICT:
        return Finding(
            kind,
            "warning",
            f"Prior and data seem to pull in different directions for {named}: {movement}. {prior}",
            "If this movement matters, ask whether that prior, with its units, says what you know: "
            "use a wider one if not; if so, report that it holds against the data.",
        )
    estimates = f"The estimates of {named} rest on their priors" if several else ""
    estimates = estimates or f"The estimate of {named} rests on its prior"
    return Finding(
        kind,
        "warning",
        f"{estimates} as much as on the data: {movement}. {prior}",
        "Choose that prior from what you know and report it with the result, or beside results "
        "under others; more data would make it matter less.",
    )
