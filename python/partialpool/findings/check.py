"""Data that a model, or its priors, cannot make: statistics of checks that are out of place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from partialpool import limits
from partialpool.draws.posterior import Posterior
from partialpool.draws.statistic import Statistic
from partialpool.finding import Finding
from partialpool.findings.dispersion import DISPERSION, RESIDUAL_SDS, overdispersed

UNJUDGED = Finding(
    "weights-not-expanded",
    "info",
    "Weights are not whole numbers, or stand for too many rows to make each. Data sets are made "
    "with one response a row and weighted like the data, which makes them vary more than what the "
    "weights stand for would: p is not judged.",
)


def check_findings(
    fit: Posterior, statistics: Sequence[Statistic], draws: int, prior: bool
) -> Iterator[Finding]:
    """Find statistics of the data that are out of place among those of made data sets.

    Parameters
    ----------
    fit : Posterior
        Whose model, or whose priors, made the data sets.
    statistics : sequence of Statistic
        What they are summed up by.
    draws : int
        How many there are.
    prior : bool
        Whether the priors made them.
    """
    if draws < limits.REPLICATES:
        yield Finding(
            "few-draws",
            "info",
            f"{draws} made data set{'s are' if draws != 1 else ' is'} too few to judge by: what "
            "lies outside of them may do so by chance.",
            f"Ask for {limits.REPLICATES} draws or more.",
        )
        return
    for one in statistics:
        if limits.P_LOW <= one.p <= limits.P_HIGH:
            continue
        low, high = one.interval
        if one.name == DISPERSION and one.p < limits.P_LOW:
            yield overdispersed(fit, one.observed, low, high)
            continue
        side = "larger" if one.p < limits.P_LOW else "smaller"
        which = "nearly all" if 0 < one.p < 1 else "all"
        yield Finding(
            "priors-cannot-make-the-data" if prior else "cannot-make-the-data",
            "warning",
            f"The {'priors' if prior else 'model'} cannot make data like these: {one.words} is "
            f"{one.observed:.4g}, {side} than in {which} of {draws} made data sets (95% of them "
            f"have {low:.4g} to {high:.4g}).",
            "Widen or move the priors." if prior else _remedy(fit, one),
        )


def _remedy(fit: Posterior, one: Statistic) -> str:
    remedies = fit.model.family.remedies
    zeros = one.name == "share of zeros" and one.p < limits.P_LOW
    if zeros and "zeros" in remedies:
        return remedies["zeros"]
    if one.name in ("sd", "min", "max") and "spread" in remedies:
        return remedies["spread"]
    if one.name == DISPERSION:
        return "Intervals are too wide: look for responses that are no counts of separate events."
    if one.name.startswith(RESIDUAL_SDS):
        if fit.model.known_errors:
            return "Look again at the known standard errors."
        factor = one.name.removeprefix(RESIDUAL_SDS)
        return f'Let the residual sd differ between them: `sigma="~ 1 + (1 | {factor})"`.'
    if one.name.startswith("sd of means by"):
        return "Check the pooling and the priors of the sds of that factor."
    return "Add predictors or group terms, or choose another family."
