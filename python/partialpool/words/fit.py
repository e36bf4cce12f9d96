"""A fit in words: what it is of, what its parameters mean, and how its columns are read."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from partialpool import called
from partialpool.draws.approximate import approximation
from partialpool.draws.posterior import Posterior, Provenance
from partialpool.finding import about_all
from partialpool.model.model import Model
from partialpool.model.parameters import prior_of
from partialpool.numerals import formatted, number, percent
from partialpool.words.page import Page
from partialpool.words.parameters import (
    dispersion_words,
    family_words,
    given_words,
    pooling_words,
    scale_words,
    threshold_words,
)
from partialpool.words.table import ResultColumn, ResultTable

ESS = ("ess_bulk", "ess_tail")
NO_FINDING = "Findings: none. The chains agree, nothing diverged, and there are enough draws."
NO_FINDING_INDEPENDENT = (
    "Findings: none. Draws are independent, what they come from met the density, and there are "
    "enough."
)
NO_FINDING_APPROXIMATE = (
    "Findings: none. Draws are independent, exact densities found the approximation good, and "
    "there are enough."
)

RATIO_OF_SIGMA = "exp(b_sigma) multiplies the residual sd."

PREDICTORS = {"mu": "coefficients", "sigma": "coefficients of log sigma"}


def fit_page(fit: Posterior) -> Page:
    """Say what a fit found: model, estimates with priors, findings."""
    return Page(
        heading=heading(fit),
        table=parameter_table(fit),
        notes=notes(fit),
        findings=about_all(fit.findings),
        otherwise=_nothing_found(fit),
        formula=fit.formula,
        facts=facts(fit),
        rows="parameters",
    )


def _nothing_found(fit: Posterior) -> str:
    if fit.run.certificate is None:
        return NO_FINDING
    exact = approximation(fit.model, fit.run) is None
    return NO_FINDING_INDEPENDENT if exact else NO_FINDING_APPROXIMATE


def parameter_table(fit: Posterior) -> ResultTable | None:
    """Give a row a parameter; None where there are none."""
    summary = fit.parameter_summary
    labels, values = summary.labels, summary.values
    if not labels:
        return None
    lower, upper = percent(fit.provenance.interval)
    heads = {"mean": "", "sd": "", "lower": lower, "upper": upper}
    sds = values["sd"].tolist()
    shown = [
        ResultColumn(name, values[name], list(map(number, values[name].tolist(), sds)), head)
        for name, head in heads.items()
    ]
    ess = [formatted(min(pair), ".0f") for pair in zip(*(values[e] for e in ESS), strict=True)]
    held = [ResultColumn(name, values[name]) for name in ("mcse", *ESS)]
    r_hat = [formatted(x, ".3f") for x in values["r_hat"]]
    priors = [prior_of(fit.model, label) for label in labels]
    columns = [
        *(
            *shown,
            *held,
            ResultColumn("ess", None, ess),
            ResultColumn("r_hat", values["r_hat"], r_hat),
        ),
        ResultColumn("prior", priors, priors, is_text=True),
    ]
    return ResultTable(
        "parameter", labels, columns, [section(fit.model, label) for label in labels]
    )


def facts(fit: Posterior) -> dict[str, Any]:
    """Give what JSON holds of a fit beside its parameters and findings."""
    model, run, provenance = fit.model, fit.run, fit.provenance
    return {
        **common_facts(model, provenance),
        "sigma": model.sigma_formula or None,
        "method_reason": fit.method_reason,
        "chains": run.chains,
        "draws": run.draws,
        "warmup": run.warmup,
        "warmups": run.warmups,
        "seed": fit.seed,
        "certificate": None if run.certificate is None else asdict(run.certificate),
        "approximation": None if (found := approximation(model, run)) is None else asdict(found),
        "priors": {name: str(prior) for name, prior in fit.priors.items()},
    }


def common_facts(model: Model, provenance: Provenance) -> dict[str, Any]:
    """Give what JSON holds of every model that was fitted, with priors or without."""
    return {
        "formula": model.formula,
        "family": model.family.name,
        "link": model.link,
        "pooling": model.pooling,
        "method": provenance.method,
        "source": provenance.source,
        "n_rows": provenance.n_rows,
        "n_dropped": provenance.n_dropped,
        "roles": provenance.roles,
        "interval": provenance.interval,
        "seconds": provenance.seconds,
        "versions": provenance.versions,
    }


def section(model: Model, label: str) -> str:
    """Head a kind of parameter in words."""
    name = called.array_of(label)
    if name == "threshold":
        return threshold_words(model)
    for group in model.groups:
        if name == called.sd(group.name):
            what = PREDICTORS[group.predictor]
            return f"How much the {what} differ between levels of {group.factor} (sd)"
        if name == called.cor(group.name):
            return f"How these differences go together (correlation over {group.factor})"
    for predictor, what in PREDICTORS.items():
        if name == called.b(predictor=predictor):
            return f"Population-level {what}"
    return dispersion_words(model, name)


def rows_words(model: Model, facts: Provenance) -> list[str]:
    """Describe family, pooling and rows, and what was given beside the formula."""
    rows = f"{facts.n_rows} rows of {facts.source}"
    if facts.n_dropped:
        rows += f" ({facts.n_dropped} with missing values left out)"
    factors = {group.factor: len(group.levels) for group in model.groups}
    rows += "".join(f", {name} with {n} level{'s' * (n != 1)}" for name, n in factors.items())
    pooling = pooling_words(model.pooling)
    if not model.groups and model.pooling == "partial":
        pooling = "no group terms"
    given = [given_words(facts.roles)] if facts.roles else []
    return [f"{family_words(model)}, {pooling}; {rows}", *given]


def heading(fit: Posterior) -> list[str]:
    """Describe data, model, and engine in a few lines."""
    model, run, facts = fit.model, fit.run, fit.provenance
    walked = run.certificate is None
    draws = f"{run.draws} draws after {run.warmup_words}"
    return [
        *([f"log sigma {model.sigma_formula}"] if model.sigma_formula else []),
        *rows_words(model, facts),
        f"{run.chains} chain{'s' * (run.chains > 1)} × "
        f"{draws if walked else f'{run.draws} independent draws'}, seed {run.seed}, "
        f"{facts.seconds:.2f} s, partialpool {facts.versions.get('partialpool', '')}",
        f"{facts.method} engine: {facts.method_reason}",
        *([] if (found := approximation(model, run)) is None else [found.words]),
    ]


def interval_note(fit: Posterior) -> str:
    """Explain the columns."""
    low, high = percent(fit.provenance.interval)
    independent = "Draws are independent, so ess is about their number, and r_hat about 1."
    walked = "r_hat: chains agree where it is at most 1.01."
    return (
        f"{low} to {high}: the {100 * fit.provenance.interval:g}% posterior interval. "
        "ess: effective number of draws (400 or more is fine). "
        f"{walked if fit.run.certificate is None else independent}"
    )


def scale_note(fit: Posterior) -> str | None:
    """Say what coefficients mean that are not on the scale of the response."""
    words = scale_words(fit.model)
    if not fit.model.sigma_formula:
        return words
    return " ".join(filter(None, [words, RATIO_OF_SIGMA]))


def intercept_note(fit: Posterior) -> str | None:
    """Say which priors coefficients have as written when their own are at the mean.

    An ordered response has thresholds in place of an intercept.
    """
    found = []
    if fit.model.categories:
        shifted = "; levels shift them" * bool(fit.model.groups)
        found.append(f"Thresholds are those where all predictors are 0{shifted}.")
    implied = [f"{prior} for {name}" for name, prior in fit.model.implied.items()]
    if implied:
        several = len(implied) > 1
        more = f" and {len(implied) - 4} more" if len(implied) > 4 else ""
        found.append(
            f"The prior{'s' * several} at the mean of the predictors "
            f"{'imply' if several else 'implies'} {', '.join(implied[:4])}{more} "
            f"{'themselves' if several else 'itself'}."
        )
    return " ".join(found) or None


def notes(fit: Posterior) -> list[str]:
    """Give the sentences that stand under the table."""
    every = (interval_note(fit), scale_note(fit), intercept_note(fit), unpooled_note(fit))
    return [note for note in every if note]


def unpooled_note(fit: Posterior) -> str | None:
    """Say where the levels' own coefficients are, and which fixed priors they have."""
    group = next((group for group in fit.model.groups if group.known_sd is not None), None)
    if group is None:
        return None
    names = [called.coef(group.name, term) for term in group.terms]
    priors = ", ".join(f"{name} ~ {fit.model.priors[name]}" for name in names)
    return (
        f"Every level of {group.name} has coefficients of its own, with fixed priors ({priors}); "
        "coefficients() lists them."
    )
