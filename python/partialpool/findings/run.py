"""Findings of a run: what its draws tell, and what they owe to the priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from partialpool import called, limits
from partialpool.arrays import Array, Ints, quantiles, sd_of
from partialpool.draws.diagnostics import energy_bfmi
from partialpool.draws.posterior import Posterior, Provenance
from partialpool.draws.summary import Summary
from partialpool.engine import GroupDraws, Run
from partialpool.engine.rounds import Rounds, Verdict
from partialpool.errors import InputError
from partialpool.finding import Finding
from partialpool.model import Group, Model, Pooled
from partialpool.model.defaults import INTERCEPT, RANGES, bounds, default_priors
from partialpool.priors import Exponential, Prior


def run_findings(
    model: Model, run: Run, summary: Summary, pooled: Pooled | None = None
) -> list[Finding]:
    """Judge the draws, and what they owe to the priors; with the rows also what these add."""
    return [
        *_failures(run),
        *(() if pooled is None else _perfect(pooled, run)),
        *_unused(run),
        *_convergence(summary, run),
        *_sampler(model, run),
        *_prior_alone(model, run),
        *_near_zero(model, run, pooled),
        *(() if pooled is None else _scatter(pooled, run)),
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


def _named(labels: Sequence[str], picked: Sequence[int] | np.ndarray) -> str:
    names = [f"`{labels[k]}`" for k in picked]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _unused(run: Run) -> Iterator[Finding]:
    if run.certificate is not None and run.warmup:
        yield Finding(
            "no-warmup",
            "info",
            f"`warmup` = {run.warmup} has no part in this fit: its draws are independent, and "
            "nothing walks that would have to warm up.",
            "Leave it out.",
        )


def _convergence(summary: Summary, run: Run) -> Iterator[Finding]:
    labels = summary.labels
    if summary.constant.any():
        yield Finding(
            "constant-chain",
            "error",
            f"All draws of {_named(labels, np.flatnonzero(summary.constant))} are equal: the "
            "sampler did not move.",
            "Check the priors of these parameters.",
        )
    r_hat, most = _r_hat(summary)
    apart = _apart(summary, run)
    if len(apart):
        apart = apart[np.argsort(-r_hat[apart], kind="stable")]
        who = "Chains disagree" if run.chains > 1 else "The two halves of the chain disagree"
        worst, others = apart[0], apart[1:]
        also = f"; also about {_named(labels, others)}" if len(others) else ""
        yield Finding(
            "r-hat",
            "error" if r_hat[worst] > limits.R_HAT_UNUSABLE else "warning",
            f"{who} about `{labels[worst]}` (R-hat {r_hat[worst]:.4g}, should be at most "
            f"{most[worst]:g}){also}.",
            "Ask for more warm-up and draws; if that does not help, the model is not determined "
            "by data and priors.",
        )
    ess = _sizes(summary)
    few = np.flatnonzero(ess < limits.ESS)
    if len(few):
        few = few[np.argsort(ess[few], kind="stable")]
        also = f"; also few of {_named(labels, few[1:])}" if len(few) > 1 else ""
        yield Finding(
            "ess",
            "warning",
            f"The effective sample size of `{labels[few[0]]}` is {ess[few[0]]:.0f} (should be at "
            f"least {limits.ESS:.0f}): means and intervals are imprecise{also}.",
            "Ask for more draws.",
        )


def _r_hat(summary: Summary) -> tuple[Array, Array]:
    """R-hat of every parameter, and what it should be at most."""
    r_hat = np.nan_to_num(summary.values["r_hat"], nan=1.0, posinf=np.inf)
    levels = np.array([called.kind_of(label) == "coef" for label in summary.labels], dtype=bool)
    return r_hat, np.where(levels, limits.R_HAT_LEVEL, limits.R_HAT)


def _apart(summary: Summary, run: Run) -> Ints:
    """Parameters about which chains disagree."""
    r_hat, most = _r_hat(summary)
    # Independent draws differ between chains by chance alone.
    return np.flatnonzero((r_hat > most) & (run.certificate is None))


def _sizes(summary: Summary) -> Array:
    """Effective sample size of every parameter: the smaller of bulk and tail."""
    bulk, tail = summary.values["ess_bulk"], summary.values["ess_tail"]
    return np.nan_to_num(np.fmin(bulk, tail), nan=np.inf)


def verdict(summary: Summary, run: Run) -> Verdict:
    """Tell what draws so far are worth."""
    return Verdict(float(np.min(_sizes(summary), initial=np.inf)), not len(_apart(summary, run)))


class Judge(Struct):
    """Let chains go on until findings would have nothing to say of their length.

    The last summary is kept: where all draws are those of the last round, it is that of the fit.
    """

    record: Provenance
    last: tuple[Array, Summary] | None = None

    def __call__(self, model: Model, run: Run) -> Verdict:
        summary = Posterior(model, run, self.record, []).judged_summary
        self.last = run.b, summary
        return verdict(summary, run)

    def summary_of(self, fit: Posterior) -> Summary:
        """Give the `judged_summary` of a fit."""
        if self.last is not None and fit.run.certificate is None:
            b, summary = self.last
            # No two walks have the same coefficients.
            if b.size and np.array_equal(b, fit.run.b):
                return summary
        return fit.judged_summary


def too_few(summary: Summary, run: Run, rounds: Rounds) -> list[Finding]:
    """Find that chains came to an end before they had enough draws."""
    found = verdict(summary, run)
    if run.interrupted or rounds.enough(found):
        return []
    sizes = _sizes(summary)
    worst = summary.labels[int(np.argmin(sizes))]
    what = (
        f"its chains still disagree, at an effective sample size of {found.ess:.0f}"
        if found.ess >= rounds.ess
        else f"the effective sample size of `{worst}` is {found.ess:.0f}, not {rounds.ess:g}"
    )
    return [
        Finding(
            "draws-bound",
            "warning",
            f'`draws="auto"` ended at {run.draws:,} draws of each chain, the most that it takes: '
            f"{what}.",
            f"Ask for more, as in `draws={4 * run.draws}`, or for a longer `warmup`; where that "
            "helps little, the model is hardly determined by data and priors.",
        )
    ]


def _sampler(model: Model, run: Run) -> Iterator[Finding]:
    """Judge an engine by what it tells of its walk."""
    if run.acceptance_rate:
        yield from _acceptance(run)
    if "diverging" in run.stats:
        yield from _divergences(model, run)
    if "energy" in run.stats and run.draws > 1:
        yield from _energy(run)


def _divergences(model: Model, run: Run) -> Iterator[Finding]:
    diverging = int(np.sum(run.stats["diverging"]))
    total = run.chains * run.draws
    if diverging:
        yield Finding(
            "divergences",
            "error" if diverging > limits.DIVERGING_UNUSABLE * total else "warning",
            f"{diverging} of {total} draws diverged: the sampler may have missed a part of the "
            "posterior.",
            _against_divergences(model, few=diverging < limits.DIVERGING_FEW * total),
        )


def _energy(run: Run) -> Iterator[Finding]:
    bfmi = energy_bfmi(run.stats["energy"].astype(float))
    low = np.nan_to_num(bfmi, nan=1.0) < limits.E_BFMI
    if low.any():
        yield Finding(
            "low-e-bfmi",
            "warning",
            f"In {int(low.sum())} of {run.chains} chains the energy moves slowly (E-BFMI "
            f"{np.nanmin(bfmi):.2g}, should be at least {limits.E_BFMI:g}): tails may be explored "
            "poorly.",
            "Ask for more warm-up, or use priors with lighter tails.",
        )


def _against_divergences(model: Model, *, few: bool) -> str:
    if few:
        return "So few hardly matter: a run with another seed or more warm-up tells if they stay."
    sds = any(group.sd_labels for group in model.groups)
    slopes = {*model.columns, *(term for group in model.groups for term in group.terms)}
    scale = ", or centre and scale the predictors" if slopes - {INTERCEPT} else ""
    return f"Use narrower priors{' on the sds' * sds}{scale}."


def _acceptance(run: Run) -> Iterator[Finding]:
    low, high = min(run.acceptance_rate), max(run.acceptance_rate)
    if low < limits.ACCEPTANCE_LOW:
        yield Finding(
            "acceptance-rate",
            "error" if low == 0 else "warning",
            f"Only {100 * low:.2g}% of the Metropolis proposals were accepted: the chain hardly "
            "moves.",
            "Make proposal_sd smaller.",
        )
    elif high > limits.ACCEPTANCE_HIGH:
        yield Finding(
            "acceptance-rate",
            "warning",
            f"{100 * high:.2g}% of the Metropolis proposals were accepted: the steps are so small "
            "that the chain explores slowly.",
            "Make proposal_sd larger.",
        )


def _scales(model: Model, run: Run) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Sds of every factor: label, factor, term, draws."""
    for group, drawn in zip(model.groups, run.groups, strict=True):
        of = "" if group.predictor == "mu" else f" of log {group.predictor}"
        for k, name in enumerate(group.sd_labels):
            yield name, group.factor, group.terms[k] + of, _sd_draws(group, drawn, k)


def _sd_draws(group: Group, drawn: GroupDraws, k: int) -> np.ndarray:
    """Draws of an sd as its prior is about it: of own coefficients where it is at the mean."""
    if drawn.own is None:
        return drawn.sd[..., k]
    return np.asarray(drawn.own[..., k] * abs(group.back[k, k]))


def _prior_alone(model: Model, run: Run) -> Iterator[Finding]:
    """Compare quartiles of sds and dispersion parameters with those of their priors."""
    drawn = {name: draws for name, _, _, draws in _scales(model, run)}
    drawn |= {name: draws for name, draws in run.scalars.items() if name in RANGES}
    for name, draws in drawn.items():
        prior = model.priors.get(name)
        before = None if prior is None else _quantiles(name, prior, (0.25, 0.5, 0.75))
        if before is None:
            continue  # improper: it decides nothing alone
        after = quantiles(draws.ravel(), [0.25, 0.5, 0.75])
        width = before[2] - before[0]
        wide = after[2] - after[0] > limits.PRIOR_WIDTH * width
        if wide and abs(after[1] - before[1]) < limits.PRIOR_SHIFT * width:
            yield Finding(
                "prior-decides",
                "warning",
                f"The posterior of `{name}` is hardly narrower than its prior {prior}: the data "
                "say almost nothing about it.",
                "Report it as an assumption, or choose the prior from what you know.",
            )


@lru_cache(maxsize=256)  # many fits of one table ask for the same
def _quantiles(name: str, prior: Prior, at: tuple[float, ...]) -> np.ndarray | None:
    """Quantiles of a prior where the parameter can lie; None where it has no mass to share out."""
    if isinstance(prior, Exponential) and bounds(name, prior) == (0.0, np.inf):
        return np.asarray(-np.log1p(-np.array(at)) / prior.rate)
    try:
        return quantiles(prior.draw(np.random.default_rng(0), 4000, *bounds(name, prior)), at)
    except InputError:
        return None


def _near_zero(model: Model, run: Run, pooled: Pooled | None) -> Iterator[Finding]:
    """Find sds that the data hold near 0: highest density there, and far less room than before.

    A wide prior leaves room without end, so the default is asked too: it knows the data's scale.
    """
    alone = {name for g in model.groups if len(g.levels) == 1 for name in g.sd_labels}
    for name, factor, term, draws in _scales(model, run):
        if name in alone:
            continue  # nothing can differ, and another finding says so
        most = float(quantiles(draws.ravel(), [0.95])[0])
        if most <= 0 or np.mean(draws < limits.ZERO_PART * most) < limits.ZERO_SHARE:
            continue
        defaults = {} if pooled is None else default_priors(pooled.design, pooled.family)
        priors = [p for p in (model.priors[name], defaults.get(name)) if p is not None]
        before = [q[0] for p in priors if (q := _quantiles(name, p, (0.95,))) is not None]
        if most < limits.ZERO_ROOM * min(before, default=np.inf):
            yield Finding(
                "sd-near-zero",
                "info",
                f"The posterior of `{name}` piles up at 0 (95% of it is below {most:.2g}): levels "
                f"of `{factor}` hardly differ in {term}, or too little for these data to show.",
                "The term may stay: pooling then draws the levels close together.",
            )


def _scatter(pooled: Pooled, run: Run) -> Iterator[Finding]:
    """Find counts for which `shape` has no upper end: it is then as long-tailed as its prior."""
    family, y = pooled.family, pooled.design.y
    if "no-overdispersion" not in family.remedies:
        return
    enough = limits.POISSON_SHAPE * float(np.mean(y[y > 0] if family.zeros else y))
    beyond = float(np.mean(run.scalars[family.scatter] > enough))
    if beyond > limits.POISSON_SHARE:
        yield Finding(
            "no-overdispersion",
            "info",
            f"The counts of `{pooled.design.response}` do not visibly scatter more than Poisson "
            f"counts: `{family.scatter}` has no upper end ({100 * beyond:.0f}% of its draws are "
            f"above {enough:.3g}, where the variance is Poisson's), so its mean and sd are noise.",
            family.remedies["no-overdispersion"],
        )


def _perfect(pooled: Pooled, run: Run) -> Iterator[Finding]:
    """Find responses that the model gives nearly exactly (exactly is refused before)."""
    sigma = run.scalars.get("sigma")
    offset = pooled.design.condensed is not None and "offset" in pooled.design.plan.roles
    if sigma is None or offset:  # then it is not known how the response itself scatters
        return
    y = pooled.family.linear(pooled.design.described.y)
    own, size = float(quantiles(sigma.ravel(), [0.5])[0]), float(sd_of(y))
    if own < limits.PERFECT * size:
        yield Finding(
            "perfect-fit",
            "warning",
            f"The model gives `{pooled.design.response}` nearly exactly: its residual sd `sigma` "
            f"is about {own:.2g}, and the sd of the response {size:.2g}.",
            "Look for a predictor or group that is made of the response: what is left may be "
            "rounding, and then it is no normal error.",
        )
