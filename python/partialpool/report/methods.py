"""A methods paragraph, ready to paste."""

from __future__ import annotations

import numpy as np

from partialpool import called, limits
from partialpool.arrays import Array
from partialpool.draws.approximate import approximation
from partialpool.draws.posterior import Posterior
from partialpool.model.parameters import prior_words
from partialpool.priors import Prior
from partialpool.report.subject import Missing, Subject, sentence
from partialpool.words.parameters import given_words, pooling_words

ENGINES = {
    "marginal": "coefficients were integrated out exactly and the remaining parameters sampled",
    "nuts": "all parameters were sampled by Hamiltonian Monte Carlo, by the No-U-Turn sampler "
    "where paths of a set length would not do",
    "laplace": "an approximation, for which coefficients given scales and dispersion were taken "
    "for normal around their mean (Laplace's formula)",
    "metropolis": "all parameters were sampled by random-walk Metropolis",
}


def paragraph_of(subject: Subject) -> str:
    """Write the methods paragraph."""
    parts = (_model(subject), _priors(subject), _sampling(subject), _judged(subject))
    return " ".join((*parts, _software(subject.fit)))


def _model(subject: Subject) -> str:
    fit, model, facts = subject.fit, subject.fit.model, subject.fit.provenance
    link = "" if model.link == "identity" else f" with a {model.link} link"
    kind = "multilevel" if model.groups else "regression"
    text = (
        f"We fitted a Bayesian {kind} model ({fit.formula}) to {facts.n_rows} rows, with a "
        f"{model.family.name.replace('_', ' ')} response distribution{link}"
    )
    if model.sigma_formula:
        text += f" and a model of log sigma ({model.sigma_formula})"
    if facts.roles:
        text += f" (given beside it: {given_words(facts.roles)})"
    text += "."
    grouped = []
    for factor, group in subject.factors.items():
        counts = group.counts
        terms = ", ".join(t for g in model.groups if g.factor == factor for t in g.terms)
        low, high = int(counts.min()), int(counts.max())
        rows = f"{low} to {high} rows" if low < high else f"{low} row{'s' * (low > 1)} each"
        grouped.append(f"{factor} ({len(group.levels)} levels of {rows}; varying {terms})")
    if grouped:
        under = pooling_words(fit.pooling)
        text += f" Coefficients varied by {' and by '.join(grouped)}, under {under}."
    dropped = facts.n_dropped
    text += (
        f" {dropped} row{'s' * (dropped != 1)} with missing values in the variables used "
        f"{'were' if dropped != 1 else 'was'} left out."
        if dropped
        else " No row was left out for missing values."
    )
    if subject.compared is not None:
        text += " The same model was fitted under complete and under no pooling, to compare."
    return text


def _priors(subject: Subject) -> str:
    fit, own = subject.fit, chosen_priors(subject)
    listed = "; ".join(f"{name} ~ {prior_words(name, prior)}" for name, prior in fit.priors.items())
    if own is None:
        how = "Priors were"
    elif not own:
        how = "Priors were partialpool's defaults, scaled to the data:"
    else:
        how = f"Priors were chosen for {', '.join(own)}, else defaults scaled to the data:"
    return f"{how} {listed}."


def chosen_priors(subject: Subject) -> dict[str, Prior | str] | None:
    """Give the priors that the user set; None where an earlier version did not keep them."""
    fits = [subject.fit] if subject.compared is None else list(subject.compared.fits.values())
    found: dict[str, Prior | str] = {}
    for fit in fits:
        if fit.request is None:
            return None
        found |= fit.request.options.get("priors") or {}
    return found


def _sampling(subject: Subject) -> str:
    fit, run = subject.fit, subject.fit.run
    how = ENGINES.get(fit.method, f"sampled by the {fit.method} engine")
    summary = fit.parameter_summary.values
    chains = f"{run.chains} chain{'s' * (run.chains > 1)}"
    if run.certificate is not None:
        seen, judged = run.certificate, approximation(fit.model, run)
        density = "posterior density" if judged is None else "approximate density of the others"
        text = (
            f"By partialpool's {fit.method} engine, {how}: {run.draws * run.chains} independent "
            f"draws (seed {run.seed}) from polynomials through {seen.evaluations} exact "
            f"evaluations of the {density}, which they met at {seen.checked} fresh draws "
            f"with an sd of the difference of {seen.sd:.2g} in the logarithm (largest "
            f"{seen.largest:.2g})."
        )
        return text if judged is None else f"{text} {sentence(judged.words)}"
    text = (
        f"By partialpool's {fit.method} engine, {how}, in {chains} of {run.draws} draws each after "
        f"{run.warmup_words} (seed {run.seed})."
    )
    if len(summary["r_hat"]):
        worst, least = _most(summary["r_hat"]), _least(summary["ess_bulk"], summary["ess_tail"])
        text += f" R-hat was at most {worst} and effective sample sizes at least {least}."
    diverging = run.stats.get("diverging")
    if diverging is not None:
        count = int(diverging.sum())
        text += f" {count or 'No'} draw{'s' * (count != 1)} diverged."
    return text


def _most(values: Array) -> str:
    return f"{np.nanmax(values):.3f}" if np.isfinite(values).any() else "undefined"


def _least(*values: Array) -> str:
    found = np.concatenate(values)
    return f"{np.nanmin(found):.0f}" if np.isfinite(found).any() else "undefined"


def _judged(subject: Subject) -> str:
    """Say which checks were made and what came out."""
    parts = []
    check, owed, loo = subject.check, subject.sensitivity, subject.loo
    if not isinstance(check, Missing):
        n = len(check.statistics)
        inside = sum(limits.P_LOW <= s.p <= limits.P_HIGH for s in check.statistics)
        parts.append(
            f"In posterior predictive checks with {check.draws} replicated data sets, {inside} of "
            f"{n} statistics had p-values between {limits.P_LOW:g} and {limits.P_HIGH:g}."
        )
    if not isinstance(owed, Missing):
        n = sum(word != "fine" for word in owed.diagnosis)
        hang = f"{n} of {len(owed.labels)} parameters" if n else "no parameter"
        parts.append(f"By power-scaling, {hang} proved sensitive to the prior.")
    if not isinstance(loo, Missing):
        parts.append(
            f"The leave-one-out log predictive density was {loo.elpd:.1f} (standard error "
            f"{loo.se:.1f})."
        )
    serious = [f.code for level in ("error", "warning") for f in subject.own_findings(level)]
    if serious:
        parts.append(f"What should be known beside: {', '.join(serious)} (see Findings).")
    return " ".join(parts)


def _software(fit: Posterior) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in fit.provenance.versions.items())
    mass = f"{100 * fit.provenance.interval:g}%"
    return f"Intervals are equal-tailed {mass} posterior intervals. Software: {versions}."


def names_of_priors(fit: Posterior) -> list[tuple[str, str, str]]:
    """List the priors: parameter, prior with its numbers, what it implies for it as written."""
    implied = fit.model.implied
    return [
        (name, prior_words(name, prior), str(implied.get(name, "")))
        for name, prior in fit.priors.items()
        if called.kind_of(name) != "r"
    ]
