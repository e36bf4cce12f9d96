"""The answer in three sentences: what was found, how groups differ, how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool import called, limits
from partialpool.draws.approximate import approximation
from partialpool.report.effects import Effect
from partialpool.report.levels import Levels
from partialpool.report.numbers import between, decimals_of, estimate_text, mean_and_ends, rounded
from partialpool.report.subject import Missing, Subject
from partialpool.words.parameters import POOLING_NAMES, scale_name

MOST_EFFECTS, MOST_FACTORS = 3, 3


def answer(
    subject: Subject, effects: Sequence[Effect] | Missing, levels: Sequence[Levels]
) -> tuple[str, str, str]:
    """Give the three sentences."""
    return found(subject, effects), differing(subject, levels), trusted(subject)


def found(subject: Subject, effects: Sequence[Effect] | Missing) -> str:
    """Say what the predictors do; without any, where the population lies."""
    if isinstance(effects, Missing) or not effects:
        return _coefficients(subject)
    told = [effect.words for effect in effects[:MOST_EFFECTS]]
    unit = told[0].partition(" is ")[0]
    rest = [words.removeprefix(f"{unit} is ") for words in told[1:]]
    more = len(effects) - len(told)
    others = f"; {more} more predictor{'s' * (more > 1)} below" if more else ""
    return f"On average, {'; it is '.join([told[0], *rest])}{others}."


def _coefficients(subject: Subject) -> str:
    """Say what the population coefficients are, on their own scale."""
    fit = subject.fit
    summary = fit.parameter_summary
    scale = scale_name(fit.model)
    on = f" on the {scale} scale" if scale else ""
    interval = f"{100 * fit.provenance.interval:g}% interval"
    told = []
    for k, name in enumerate(summary.labels):
        if called.kind_of(name) not in ("b", "threshold") or called.array_of(name) == "b_sigma":
            continue
        mean, low, high = (float(summary.values[v][k]) for v in ("mean", "lower", "upper"))
        d = decimals_of(high - low)
        what = f"`{name}`"
        if name == called.b("Intercept") and not scale and len(fit.model.columns) == 1:
            what = f"the population's mean of `{subject.response}`"
        told.append(f"{what} is {rounded(mean, d)}{on} ({interval} {between(low, high)})")
    if not told:
        return f"Every level has its own estimate of `{subject.response}`; there is no population."
    text = "; ".join(told[:MOST_EFFECTS])
    return f"{text[:1].upper()}{text[1:]}."


def differing(subject: Subject, levels: Sequence[Levels]) -> str:
    """Say how much groups differ, between which levels, and what pooling does to that."""
    if not levels:
        return (
            "The model has no groups: every row follows the population."
            if subject.fit.pooling != "complete"
            else "Groups are pooled completely: all levels are taken to be the same."
        )
    told = [
        words
        for k, one in enumerate(levels)
        if k < MOST_FACTORS and (words := _spread(subject, k, one))
    ]
    if not told:
        return "Levels have estimates of their own, which no common distribution draws together."
    text = "; ".join(told)
    ranking = None if subject.compared is None else subject.compared.ranking
    if ranking is not None:
        best, *others = ranking.scores
        clear = all(map(ranking.is_clear, others))
        text += (
            f"; {POOLING_NAMES[best]} is {'clearly ' * clear}best at predicting rows that were "
            f"left out{', though its lead may be chance' * (not clear)}"
        )
    return f"{text[:1].upper()}{text[1:]}."


def _spread(subject: Subject, k: int, levels: Levels) -> str:
    """Say how far the levels of a factor lie from one another."""
    group = levels.group
    estimates = next(iter(levels.estimates.values()))
    sds = subject.dispersed(k)
    interval = subject.fit.provenance.interval
    scale = scale_name(subject.fit.model)
    on = f" (on the {scale} scale)" if scale else ""
    on = on if group.predictor == "mu" else f" of log {group.predictor}"
    parts: list[str] = []
    for t, term in enumerate(group.terms[:2]):
        where = f"in {term}{on if not parts else ''}"
        own = estimates[:, t, 0]
        known = np.flatnonzero(np.isfinite(own))
        if not len(known):
            continue
        low, high = known[np.argmin(own[known])], known[np.argmax(own[known])]
        d = decimals_of(float(np.nanmedian(estimates[:, t, 2] - estimates[:, t, 1])))
        ends = (
            f"from {rounded(own[low], d)} ({group.factor} {levels.names[low]}) to "
            f"{rounded(own[high], d)} ({levels.names[high]})"
        )
        if group.known_sd is None:
            mean, lower, upper = mean_and_ends(sds[:, t], interval)
            parts.append(f"{where} with an sd of {estimate_text(mean, lower, upper)}, {ends}")
        else:
            parts.append(f"{where} {ends}")
    apart = ", each estimated from its own rows alone," if group.known_sd is not None else ""
    share = subject.share(group.factor) if group.predictor == "mu" and not apart else ""
    share = f" ({share})" if share else ""
    listed = " and ".join(parts)
    return f"levels of `{group.factor}`{share}{apart} differ {listed}" if parts else ""


def trusted(subject: Subject) -> str:
    """Say how far to trust the numbers: what speaks against them, or that nothing does."""
    errors, warnings = subject.own_findings("error"), subject.own_findings("warning")
    if errors:
        return f"Do not use these numbers: {_first(errors[0].message)}"
    if warnings:
        n = len(warnings)
        others = f" ({n - 1} more warning{'s' * (n > 2)} below)" * (n > 1)
        return f"Read these numbers with care{others}: {_first(warnings[0].message)}"
    fit = subject.fit
    if fit.run.certificate is None:
        worst = float(np.nanmax(np.append(fit.parameter_summary.values["r_hat"], 1.0)))
        draws = f"chains agree (R-hat at most {worst:.3f})"
    elif approximation(fit.model, fit.run) is None:
        draws = "draws are independent, and what they come from met the exact density"
    else:
        draws = "draws are independent, and exact densities found the approximation good"
    parts = [draws]
    if not isinstance(subject.check, Missing):
        n = len(subject.check.statistics)
        inside = sum(limits.P_LOW <= s.p <= limits.P_HIGH for s in subject.check.statistics)
        parts.append(f"the model makes data like these ({inside} of {n} checks passed)")
    if not isinstance(subject.sensitivity, Missing):
        parts.append("the estimates do not hang on the exact priors")
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"Nothing found speaks against these numbers: {listed}."


def _first(message: str) -> str:
    """Give the first sentence of a message, beginning small but for names."""
    text = message.split(". ")[0].rstrip(".") + "."
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
