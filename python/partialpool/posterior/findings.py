"""Findings: what a user should know before trusting a fit, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partialpool.design import Design
from partialpool.engine import Run
from partialpool.errors import InputError
from partialpool.model import Model, Pooled
from partialpool.model.defaults import INTERCEPT, bounds, column_sd, is_truncated
from partialpool.posterior.diagnostics import energy_bfmi
from partialpool.posterior.summary import Summary

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing to know about a fit.

    Attributes
    ----------
    code : str
        Stable name, such as ``"divergences"``.
    level : {"info", "warning", "error"}
        An error means that the fit should not be used.
    message, remedy : str
        What was found, and what to do about it.

    Examples
    --------
    >>> print(Finding("one-level", "warning", "There is one level.", "Leave the term out."))
    warning [one-level]: There is one level. Leave the term out.
    """

    code: str
    level: Level
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level} [{self.code}]: {self.message} {self.remedy}".rstrip()


def design_findings(pooled: Pooled, model: Model) -> list[Finding]:
    """What the data and the priors already tell, before any sampling."""
    design = pooled.design
    return [
        *_dropped_rows(design),
        *_pooling(pooled, model),
        *_levels(design, model),
        *_columns(design),
        *_priors(model),
    ]


def _dropped_rows(design: Design) -> Iterator[Finding]:
    if design.n_dropped:
        total = design.n_rows + design.n_dropped
        yield Finding(
            "dropped-rows",
            "info" if design.n_dropped < 0.1 * total else "warning",
            f"{design.n_dropped} of {total} rows have missing values in the columns used and "
            "were left out.",
            "If values are not missing at random, estimates may be biased.",
        )


def _pooling(pooled: Pooled, model: Model) -> Iterator[Finding]:
    if pooled.vanished:
        yield Finding(
            "vanished-terms",
            "info",
            f"Under complete pooling {', '.join(pooled.vanished)} vanishes: the population part "
            "has no such term.",
        )
    if pooled.dropped:
        names = ", ".join(f"`{name}`" for name in pooled.dropped)
        yield Finding(
            "dropped-columns",
            "info",
            f"Without pooling {names} cannot be told from the levels' own coefficients and is left "
            "out.",
        )
    for group in model.groups:
        left = int(np.sum(~group.estimable))
        if left:
            yield Finding(
                "not-estimable",
                "warning",
                f"{left} of {len(group.levels)} levels of `{group.factor}` have too few or too "
                "similar rows to determine their own coefficients without pooling.",
                "Partial pooling estimates them all.",
            )


def _levels(design: Design, model: Model) -> Iterator[Finding]:
    for factor in design.factors:
        if not factor.pooled:
            continue
        n = len(factor.levels)
        if n == 1:
            yield Finding(
                "one-level",
                "warning",
                f"`{factor.name}` has only one level, so its sds come from the prior alone.",
                "Leave the group term out.",
            )
        elif n < 5:
            yield Finding(
                "few-levels",
                "info",
                f"`{factor.name}` has only {n} levels, so the data say little about how much "
                "levels differ.",
                f"See whether results change with another prior on `sd_{factor.name}`.",
            )
        if np.all(factor.counts == 1) and "sigma" in model.priors and n > 1:
            yield Finding(
                "sd-sigma-confounded",
                "warning",
                f"Every level of `{factor.name}` has one row, so its sd and the residual sd "
                "cannot be told apart: only the prior separates them.",
                "Give known standard errors (`se=`), or leave the group term out.",
            )


def _columns(design: Design) -> Iterator[Finding]:
    sds = {
        name: column_sd(design.X[:, k])
        for k, name in enumerate(design.columns)
        if name != INTERCEPT
    }
    if sds and max(sds.values()) > 1e4 * min(sds.values()):
        small, large = min(sds, key=sds.__getitem__), max(sds, key=sds.__getitem__)
        yield Finding(
            "different-scales",
            "info",
            f"The predictors `{small}` (sd {sds[small]:.3g}) and `{large}` (sd {sds[large]:.3g}) "
            "are on very different scales: results are accurate but hard to read.",
            "Express them in units of similar size.",
        )
    for factor in design.factors:
        for k, term in enumerate(factor.terms):
            if INTERCEPT not in factor.terms or term == INTERCEPT:
                continue
            column = factor.Z[:, k]
            if abs(float(np.mean(column))) > 10 * column_sd(column):
                yield Finding(
                    "far-from-zero",
                    "warning",
                    f"`{term}` lies far from 0, where the intercepts of `{factor.name}` refer "
                    "to: their sd and its prior are about an extrapolation.",
                    f"Use center({term}) in the group term.",
                )


def _priors(model: Model) -> Iterator[Finding]:
    for name, prior in model.priors.items():
        if is_truncated(name, prior):
            low, high = bounds(name, prior)
            where = f"below {low:g}" if np.isinf(high) else f"outside {low:g} to {high:g}"
            yield Finding(
                "prior-truncated",
                "info",
                f"The prior {prior} on `{name}` is cut off {where}, where `{name}` cannot lie.",
            )


def run_findings(model: Model, run: Run, summary: Summary) -> list[Finding]:
    """Judge the draws, and what they owe to the priors."""
    return [
        *_failures(run),
        *_convergence(summary, run.chains),
        *_sampler(run),
        *_prior_alone(model, run),
    ]


def _failures(run: Run) -> Iterator[Finding]:
    if run.interrupted:
        yield Finding(
            "interrupted",
            "warning",
            f"Sampling was interrupted: {run.draws} draws of {run.chains} chains were kept.",
            "Run it to the end before you rely on it.",
        )
    if run.failures:
        yield Finding(
            "failed-chains",
            "error",
            f"{len(run.failures)} of {run.chains + len(run.failures)} chains failed "
            f"({run.failures[0]}).",
            "Check priors and data; the remaining chains may not be representative.",
        )


def _named(labels: Sequence[str], picked: np.ndarray) -> str:
    names = [f"`{label}`" for label, pick in zip(labels, picked, strict=True) if pick]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _convergence(summary: Summary, chains: int) -> Iterator[Finding]:
    if summary.constant.any():
        yield Finding(
            "constant-chain",
            "error",
            f"All draws of {_named(summary.labels, summary.constant)} are equal: the sampler did "
            "not move.",
            "Check the priors of these parameters.",
        )
    r_hat = np.nan_to_num(summary.values["r_hat"], nan=1.0, posinf=np.inf)
    if (r_hat > 1.01).any():
        who = "Chains disagree" if chains > 1 else "The two halves of the chain disagree"
        yield Finding(
            "r-hat",
            "error" if r_hat.max() > 1.1 else "warning",
            f"{who} about {_named(summary.labels, r_hat > 1.01)} (R-hat up to "
            f"{r_hat.max():.3g}, should be at most 1.01).",
            "Ask for more warm-up and draws; if that does not help, the model is not determined "
            "by data and priors.",
        )
    bulk, tail = summary.values["ess_bulk"], summary.values["ess_tail"]
    ess = np.nan_to_num(np.fmin(bulk, tail), nan=np.inf)
    if (ess < 400).any():
        yield Finding(
            "ess",
            "warning",
            f"The effective sample size of {_named(summary.labels, ess < 400)} is down to "
            f"{ess.min():.0f} (should be at least 400): means and intervals are imprecise.",
            "Ask for more draws.",
        )


def _sampler(run: Run) -> Iterator[Finding]:
    if run.method == "metropolis":
        yield from _acceptance(run)
        return
    diverging = int(np.sum(run.stats["diverging"]))
    total = run.chains * run.draws
    if diverging:
        yield Finding(
            "divergences",
            "error" if diverging > 0.1 * total else "warning",
            f"{diverging} of {total} draws diverged: the sampler may have missed a part of the "
            "posterior.",
            "Use narrower priors on the sds, or centre and scale the predictors.",
        )
    bfmi = energy_bfmi(run.stats["energy"].astype(float)) if run.draws > 1 else np.array([np.nan])
    low = np.nan_to_num(bfmi, nan=1.0) < 0.3
    if low.any():
        yield Finding(
            "low-e-bfmi",
            "warning",
            f"In {int(low.sum())} of {run.chains} chains the energy moves slowly (E-BFMI "
            f"{np.nanmin(bfmi):.2g}, should be at least 0.3): tails may be explored poorly.",
            "Ask for more warm-up, or use priors with lighter tails.",
        )


def _acceptance(run: Run) -> Iterator[Finding]:
    low, high = min(run.acceptance_rate), max(run.acceptance_rate)
    if low < 0.05:
        yield Finding(
            "acceptance-rate",
            "error" if low == 0 else "warning",
            f"Only {100 * low:.2g}% of the Metropolis proposals were accepted: the chain hardly "
            "moves.",
            "Make proposal_sd smaller.",
        )
    elif high > 0.7:
        yield Finding(
            "acceptance-rate",
            "warning",
            f"{100 * high:.2g}% of the Metropolis proposals were accepted: the steps are so small "
            "that the chain explores slowly.",
            "Make proposal_sd larger.",
        )


def _prior_alone(model: Model, run: Run) -> Iterator[Finding]:
    """Compare quartiles of each group sd with those of its prior."""
    rng = np.random.default_rng(0)
    sds = [
        (name, drawn.sd[..., k])
        for group, drawn in zip(model.groups, run.groups, strict=True)
        for k, name in enumerate(group.sd_labels)
    ]
    for name, draws in sds:
        prior = model.priors[name]
        try:
            before = np.quantile(prior.draw(rng, 4000, *bounds(name, prior)), [0.25, 0.5, 0.75])
        except InputError:
            continue  # improper: it decides nothing alone
        after = np.quantile(draws, [0.25, 0.5, 0.75])
        width = before[2] - before[0]
        if after[2] - after[0] > 0.8 * width and abs(after[1] - before[1]) < 0.25 * width:
            yield Finding(
                "prior-decides",
                "warning",
                f"The posterior of `{name}` is hardly narrower than its prior {prior}: the data "
                "say almost nothing about it.",
                "Report it as an assumption, or choose the prior from what you know.",
            )
