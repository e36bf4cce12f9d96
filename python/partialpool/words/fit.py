"""A fit in plain text: what a terminal shows."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from partialpool.model.parameters import prior_of
from partialpool.words.parameters import (
    dispersion_words,
    family_words,
    given_words,
    scale_words,
    threshold_words,
)

if TYPE_CHECKING:
    from partialpool.draws.posterior import Posterior
    from partialpool.finding import Finding

WIDTH = 100

POOLING_NAMES = {
    "complete": "complete pooling",
    "none": "no pooling",
    "partial": "partial pooling",
}

PREDICTORS = {"mu": "coefficients", "sigma": "coefficients of log sigma"}


def number(x: float, sd: float) -> str:
    """Write a number with as many decimals as its sd deserves (two significant digits of it).

    Examples
    --------
    >>> number(1.49213, 0.0529), number(-1234.5, 310.0)
    ('1.492', '-1234')
    """
    if not math.isfinite(x):
        return "–" if math.isnan(x) else str(x)
    if not (math.isfinite(sd) and sd > 0):
        return f"{x:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(sd)))
    return f"{x:.{decimals}f}" if decimals <= 6 and abs(x) < 1e7 else f"{x:.3g}"


def give_or_take(x: float, error: float) -> str:
    """Write a number with its standard error; alone where there is none, as of a single row.

    Examples
    --------
    >>> give_or_take(1.26, 0.5), give_or_take(0.2, math.nan)
    ('1.3 ± 0.5', '0.2')
    """
    return f"{x:.1f} ± {error:.1f}" if math.isfinite(error) else f"{x:.1f}"


def percent(interval: float) -> tuple[str, str]:
    """Head the interval columns: ``2.5%`` and ``97.5%``."""
    tail = 50 * (1 - interval)
    return f"{tail:.3g}%", f"{100 - tail:.3g}%"


def parameter_rows(fit: Posterior) -> Iterator[tuple[str, list[str], str]]:
    """One row a parameter: label, cells (mean, sd, lower, upper, ess, r_hat), prior."""
    summary = fit.parameter_summary
    values = summary.values
    for k, label in enumerate(summary.labels):
        sd = float(values["sd"][k])
        cells = [number(float(values[c][k]), sd) for c in ("mean", "sd", "lower", "upper")]
        ess = min(values["ess_bulk"][k], values["ess_tail"][k])
        cells.append("–" if math.isnan(ess) else f"{ess:.0f}")
        cells.append("–" if math.isnan(values["r_hat"][k]) else f"{values['r_hat'][k]:.3f}")
        yield label, cells, prior_of(fit.model, label)


def section(fit: Posterior, label: str) -> str:
    """Head a kind of parameter in words."""
    name = label.split("[")[0]
    if name == "threshold":
        return threshold_words(fit.model)
    for group in fit.model.groups:
        if name == f"sd_{group.name}":
            what = PREDICTORS[group.predictor]
            return f"How much the {what} differ between levels of {group.factor} (sd)"
        if name == f"cor_{group.name}":
            return f"How these differences go together (correlation over {group.factor})"
    for predictor, what in PREDICTORS.items():
        if name == ("b" if predictor == "mu" else f"b_{predictor}"):
            return f"Population-level {what}"
    return dispersion_words(fit.model, name)


def heading(fit: Posterior) -> list[str]:
    """Describe data, model, and engine in a few lines."""
    model, run, facts = fit.model, fit.run, fit.provenance
    rows = f"{facts.n_rows} rows of {facts.source}"
    if facts.n_dropped:
        rows += f" ({facts.n_dropped} with missing values left out)"
    factors = {group.factor: len(group.levels) for group in model.groups}
    rows += "".join(f", {name} with {n} level{'s' * (n != 1)}" for name, n in factors.items())
    pooling = POOLING_NAMES.get(model.pooling, f"pooling {model.pooling}")
    if not model.groups and model.pooling == "partial":
        pooling = "no group terms"
    return [
        model.formula,
        *([f"log sigma {model.sigma_formula}"] if model.sigma_formula else []),
        f"{family_words(model)}, {pooling}; {rows}",
        *([given_words(facts.roles)] if facts.roles else []),
        f"{run.chains} chain{'s' * (run.chains > 1)} × {run.draws} draws after {run.warmup} of "
        f"warm-up, seed {run.seed}, "
        f"{facts.seconds:.2f} s, partialpool {facts.versions.get('partialpool', '')}",
        f"{facts.method} engine: {facts.method_reason}",
    ]


def interval_note(fit: Posterior) -> str:
    """Explain the columns."""
    low, high = percent(fit.provenance.interval)
    return (
        f"{low} to {high}: the {100 * fit.provenance.interval:g}% posterior interval. "
        "ess: effective number of draws (400 or more is fine). "
        "r_hat: chains agree where it is at most 1.01."
    )


def scale_note(fit: Posterior) -> str | None:
    """Say what coefficients mean that are not on the scale of the response."""
    words = scale_words(fit.model)
    if not fit.model.sigma_formula:
        return words
    return " ".join(filter(None, [words, "exp(b_sigma) multiplies the residual sd."]))


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
    names = [f"coef_{group.name}[{term}]" for term in group.terms]
    priors = ", ".join(f"{name} ~ {fit.model.priors[name]}" for name in names)
    return (
        f"Every level of {group.name} has coefficients of its own, with fixed priors ({priors}); "
        "coefficients() lists them."
    )


def fit_text(fit: Posterior) -> str:
    """Write a fit as text: model, estimates with priors, findings."""
    return "\n".join([estimates_text(fit), "", *findings_text(fit)])


def estimates_text(fit: Posterior) -> str:
    """Write model and estimates with priors, and what the columns mean."""
    lines = [
        line
        for fact in heading(fit)
        for line in textwrap.wrap(fact, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    ]
    head = ["mean", "sd", *percent(fit.provenance.interval), "ess", "r_hat"]
    rows = list(parameter_rows(fit))
    if rows:
        lines += ["", *_table(fit, head, rows)]
    lines.append("")
    lines += [line for note in notes(fit) for line in textwrap.wrap(note, WIDTH)]
    return "\n".join(lines)


def _table(fit: Posterior, head: list[str], rows: list[tuple[str, list[str], str]]) -> list[str]:
    """Lay out parameters under a title for each kind."""
    label_width = max(len(label) for label, _, _ in rows) + 2
    widths = [
        max(len(name), *(len(cells[k]) for _, cells, _ in rows)) + 2 for k, name in enumerate(head)
    ]
    titles = "".join(f"{name:>{width}}" for name, width in zip(head, widths, strict=True))
    lines = [" " * (label_width + 2) + titles + "   prior"]
    last = None
    for label, cells, prior in rows:
        title = section(fit, label)
        if title != last:
            lines.append(title)
            last = title
        numbers = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"  {label:<{label_width}}{numbers}   {prior}".rstrip())
    return lines


def findings_text(fit: Posterior) -> list[str]:
    """List the findings, or say that there are none."""
    if not fit.findings:
        return ["Findings: none. The chains agree, nothing diverged, and there are enough draws."]
    return ["Findings", *wrap_findings(fit.findings, indent="  ")]


def wrap_findings(findings: Sequence[Finding], indent: str = "") -> list[str]:
    """Write findings as lines of text."""
    return [
        line
        for finding in findings
        for line in textwrap.wrap(
            str(finding),
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_on_hyphens=False,
        )
    ]
