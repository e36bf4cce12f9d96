"""A methods paragraph ready to paste, and how to make the fit again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from partialpool import called, limits
from partialpool.arrays import Array
from partialpool.draws.posterior import Posterior
from partialpool.families import DEFAULT
from partialpool.formula import parse_formula
from partialpool.model import default_priors
from partialpool.model.parameters import prior_words
from partialpool.priors import AtMean, Prior
from partialpool.report.subject import Missing, Subject
from partialpool.words.parameters import POOLING_NAMES, given_words

ENGINES = {
    "marginal": "coefficients were integrated out exactly and the remaining parameters sampled",
    "nuts": "all parameters were sampled by the No-U-Turn sampler",
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
        grouped.append(
            f"{factor} ({len(group.levels)} levels of {counts.min()} to {counts.max()} rows; "
            f"varying {terms})"
        )
    if grouped:
        text += f" Coefficients varied by {' and by '.join(grouped)}, under {pooling_words(fit)}."
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


def pooling_words(fit: Posterior) -> str:
    """Name the pooling."""
    return POOLING_NAMES.get(fit.pooling, f"pooling {fit.pooling}")


def _priors(subject: Subject) -> str:
    fit = subject.fit
    own = set_by_user(fit)
    listed = "; ".join(f"{name} ~ {prior_words(name, prior)}" for name, prior in fit.priors.items())
    if own is None:
        how = "Priors were"
    elif not own:
        how = "Priors were partialpool's defaults, scaled to the data:"
    else:
        how = f"Priors were chosen for {', '.join(own)}, and defaults scaled to the data else:"
    return f"{how} {listed}."


def set_by_user(fit: Posterior) -> dict[str, Prior] | None:
    """Give the priors that are not the defaults; None where rows, which tell these, are gone."""
    if fit.design is None:
        return None
    defaults = default_priors(fit.design, fit.model.family)
    return {name: p for name, p in fit.priors.items() if repr(defaults.get(name)) != repr(p)}


def _sampling(subject: Subject) -> str:
    fit, run = subject.fit, subject.fit.run
    how = ENGINES.get(fit.method, f"sampled by the {fit.method} engine")
    summary = fit.parameter_summary.values
    chains = f"{run.chains} chain{'s' * (run.chains > 1)}"
    if run.certificate is not None:
        seen = run.certificate
        return (
            f"By partialpool's {fit.method} engine, {how}: {run.draws * run.chains} independent "
            f"draws (seed {run.seed}) from polynomials through {seen.evaluations} exact "
            f"evaluations of the posterior density, which they met at {seen.checked} fresh draws "
            f"with an sd of the difference of {seen.sd:.2g} in the logarithm (largest "
            f"{seen.largest:.2g})."
        )
    text = (
        f"By partialpool's {fit.method} engine, {how}, in {chains} of {run.draws} draws each after "
        f"{run.warmup} of warm-up (seed {run.seed})."
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


def python_code(subject: Subject, path: str) -> str:
    """Give the lines of Python that make the fit, and this report, again."""
    fit = subject.fit
    source = fit.provenance.source
    data = json.dumps(source, ensure_ascii=False) if is_file(source) else "…"
    rows = f"{fit.provenance.n_rows + fit.provenance.n_dropped} rows"
    lines = [
        "import partialpool as pp",
        "",
        f"data = {data}  # {rows}" + ("" if is_file(source) else ": your table"),
        f"{'cmp = pp.compare' if subject.compared else 'fit = pp.fit'}(",
        f"    {json.dumps(fit.formula, ensure_ascii=False)},",
        "    data,",
        *(f"    {name}={value}," for name, value in _python_options(subject).items()),
        ")",
        f"{'cmp' if subject.compared else 'fit'}.report({json.dumps(path, ensure_ascii=False)})",
    ]
    return "\n".join(lines)


def _python_options(subject: Subject) -> dict[str, str]:
    options = {name: _literal(value) for name, value in _options(subject).items()}
    own = set_by_user(subject.fit)
    if own:
        inner = ", ".join(f"{_literal(name)}: pp.{prior!r}" for name, prior in own.items())
        options["priors"] = f"{{{inner}}}"
    return options


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _options(subject: Subject) -> dict[str, object]:
    """Give what was asked for beside formula and data, as far as it is not the default."""
    fit, model, run, facts = (
        subject.fit,
        subject.fit.model,
        subject.fit.run,
        subject.fit.provenance,
    )
    options: dict[str, object] = {}
    if model.family != DEFAULT:
        options["family"] = model.family.name
    if model.link != model.family.links[0]:
        options["link"] = model.link
    if subject.compared is None and fit.pooling != "partial":
        options["pooling"] = _pooling(fit.pooling)
    elif subject.compared is not None and len(subject.factors) > 1:
        options["factor"] = subject.compared_factor
    if model.sigma_formula:
        options["sigma"] = model.sigma_formula
    written = parse_formula(fit.formula).roles
    options |= {role: _role(value) for role, value in facts.roles.items() if role not in written}
    if facts.method_reason.startswith("you asked for it"):
        options["method"] = facts.method
    asked = {"chains": run.chains, "draws": run.draws, "warmup": run.warmup}
    usual = {"chains": 4, "draws": 1000, "warmup": 1000}
    options |= {name: value for name, value in asked.items() if value != usual[name]}
    if run.certificate is not None and not run.warmup:
        options.pop("warmup", None)
    if facts.interval != 0.95:
        options["interval"] = facts.interval
    return options | {"seed": run.seed}


def _pooling(pooling: str) -> object:
    """Read what a model calls its pooling, as in ``none by id, partial by item``."""
    if " by " not in pooling:
        return pooling
    pairs = (part.partition(" by ") for part in pooling.split(", "))
    return {factor: value for value, _, factor in pairs}


def _role(text: str) -> object:
    return int(text) if text.isdigit() else text


def shell_command(subject: Subject, path: str) -> str:
    """Give the command that makes the report again; empty where the table was no file."""
    fit = subject.fit
    source = fit.provenance.source
    roles = fit.provenance.roles
    if not is_file(source) or "one value a row" in roles.values():
        return ""
    words = ["partialpool", "report", source, fit.formula]
    for name, value in _options(subject).items():
        if isinstance(value, Mapping):
            value = ",".join(f"{factor}={one}" for factor, one in value.items())
        words += [f"--{name.replace('_', '-')}", str(value)]
    for name, prior in (set_by_user(fit) or {}).items():
        words += ["--prior", f"{name}={_shell_prior(prior)}"]
    if subject.compared is None and subject.factors and fit.pooling == "partial":
        words.append("--no-compare")
    return " ".join(map(shlex.quote, [*words, "--out", path]))


def _shell_prior(prior: Prior) -> str:
    numbers = ", ".join(repr(getattr(prior, field.name)) for field in fields(prior))
    kind = type(prior).__name__.removesuffix("AtMean").lower()
    return f"{kind}({numbers}){' at the mean' * isinstance(prior, AtMean)}"


def is_file(source: str) -> bool:
    """Whether a source is the name of a file, not of a table in memory."""
    return source not in ("the table", "the relation", "standard input") and "." in source


def names_of_priors(fit: Posterior) -> list[tuple[str, str, str]]:
    """List the priors: parameter, prior with its numbers, what it implies for it as written."""
    implied = fit.model.implied
    return [
        (name, prior_words(name, prior), str(implied.get(name, "")))
        for name, prior in fit.priors.items()
        if called.kind_of(name) != "r"
    ]


def caveats(subject: Subject) -> list[str]:
    """Say what a fit does not keep of how it was asked for."""
    fit, found = subject.fit, []
    if set_by_user(fit) is None:
        found.append("Without the rows it cannot be told which priors you set: set them again.")
    if "one value a row" in fit.provenance.roles.values():
        found.append("What was given as one value a row is not in the table: give it again.")
    if fit.method == "metropolis":
        found.append("Step size and starting points of Metropolis are not kept with a fit.")
    if is_file(fit.provenance.source):
        found.append(
            "If you said how to read the file (missing marks, decimal mark, columns of text), say "
            "it again."
        )
    return found
