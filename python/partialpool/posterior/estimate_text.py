"""What to know of an estimate by maximum likelihood: its findings, and its text in a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from partialpool import limits
from partialpool.engine.maximum import Maximum
from partialpool.finding import Finding
from partialpool.findings.data import design_findings
from partialpool.model import Model, Pooled
from partialpool.words.fit import POOLING_NAMES, WIDTH, number, percent, wrap_findings

if TYPE_CHECKING:
    from partialpool.posterior.estimate import Estimate

NAMES = {"reml": "restricted maximum likelihood (REML)", "ml": "maximum likelihood (ML)"}

# Findings about data that hold without priors too.
OF_DATA = (
    *("dropped-rows", "empty-cell", "aliased-columns"),
    *("vanished-terms", "different-scales"),
)


def estimate_findings(pooled: Pooled, model: Model, found: Maximum) -> list[Finding]:
    """Judge data and maximum."""
    of_data = [f for f in design_findings(pooled, model) if f.code in OF_DATA]
    return [*of_data, *_search(model, found), *_singular(model, found), *_levels(model)]


def _search(model: Model, found: Maximum) -> Iterator[Finding]:
    sds = ", ".join(f"`{label}`" for group in model.groups for label in group.sd_labels)
    if not found.converged:
        yield Finding(
            "not-converged",
            "error",
            f"The search for the maximum did not converge in {found.steps} steps: the likelihood "
            f"may keep rising as {sds} grow beside the noise.",
            "Simplify the group term, or leave `method` out to sample with priors.",
        )
    elif not found.determined:
        yield Finding(
            "not-determined",
            "error",
            f"The likelihood is the same for very different values of {sds}: the data do not "
            "determine them.",
            "Simplify the group term, or give known standard errors (`se=`).",
        )
    if found.several:
        yield Finding(
            "several-maxima",
            "warning",
            "The likelihood has several maxima; the highest that was found is reported.",
            "Simplify the group term, or leave `method` out: a posterior has room for all of them.",
        )


def _singular(model: Model, found: Maximum) -> Iterator[Finding]:
    for group in model.groups:
        if found.rank == len(group.terms) or not found.converged or not found.determined:
            continue
        zero = [f"`{name}`" for name, sd in zip(group.sd_labels, found.sd, strict=True) if sd == 0]
        one = [
            f"`{name}`" for name, r in zip(group.cor_labels, found.cor, strict=True) if abs(r) == 1
        ]
        if zero:
            what = f"The estimate of {' and '.join(zero)} is exactly 0"
        elif one:
            what = f"The estimate of {' and '.join(one)} is exactly {'±' * (len(one) > 1)}"
            what += "1" if len(one) > 1 else f"{found.cor[np.abs(found.cor) == 1][0]:.0f}"
        else:
            what = f"Coefficients of `{group.factor}` vary in {found.rank} directions only"
        yield Finding(
            "singular-fit",
            "warning",
            f"{what}: the fit is singular. The data show no more differences between levels than "
            "noise alone would make; this does not mean that there are none.",
            "Leave `method` out to see which values data and priors leave open, or simplify the "
            "group term.",
        )


def _levels(model: Model) -> Iterator[Finding]:
    for group in model.groups:
        n = len(group.levels)
        if 1 < n < limits.LEVELS_FEW:
            yield Finding(
                "few-levels",
                "info",
                f"`{group.factor}` has only {n} levels, so the data say little about how much "
                "levels differ, and a single estimate hides that.",
                f"Leave `method` out to see how uncertain `sd_{group.name}` is.",
            )


def estimate_text(estimate: Estimate) -> str:
    """Write an estimate as text: model, table, notes, findings."""
    return "\n".join([table_text(estimate), "", *estimate_findings_text(estimate)])


def heading(estimate: Estimate) -> list[str]:
    """Describe data, model and method in a few lines."""
    model, facts = estimate.model, estimate.provenance
    rows = f"{facts.n_rows} rows of {facts.source}"
    if facts.n_dropped:
        rows += f" ({facts.n_dropped} with missing values left out)"
    rows += "".join(f", {group.factor} with {len(group.levels)} levels" for group in model.groups)
    pooling = POOLING_NAMES.get(model.pooling, f"pooling {model.pooling}")
    name = "REML criterion" if estimate.method == "reml" else "deviance"
    return [
        model.formula,
        f"{model.family} family, {pooling}; {rows}",
        f"{NAMES[estimate.method]}, without priors; {facts.seconds:.2f} s, "
        f"partialpool {facts.versions.get('partialpool', '')}",
        f"{name} {estimate.deviance:.2f} (log likelihood {estimate.log_likelihood:.2f}), "
        f"{estimate.n_parameters} parameters, AIC {estimate.aic:.2f}, BIC {estimate.bic:.2f}",
    ]


def table_text(estimate: Estimate) -> str:
    """Write model and estimates, and what the columns mean."""
    lines = [*heading(estimate), ""]
    labels, columns = estimate.labels, list(estimate.numbers.values())
    head = ["estimate", "s.e.", *percent(estimate.provenance.interval)]
    cells = [
        [_cell(float(x[k]), float(columns[1][k])) for x in columns] for k in range(len(labels))
    ]
    first = max((len(label) for label in labels), default=0) + 2
    widths = [
        max(len(name), *(len(row[k]) for row in cells)) + 2 if cells else len(name)
        for k, name in enumerate(head)
    ]
    titles = "".join(f"{name:>{width}}" for name, width in zip(head, widths, strict=True))
    lines.append(" " * (first + 2) + titles)
    last = None
    for label, row in zip(labels, cells, strict=True):
        title = _title(estimate, label)
        if title != last:
            lines.append(title)
            last = title
        numbers = "".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append(f"  {label:<{first}}{numbers}")
    lines.append("")
    for note in notes(estimate):
        lines += textwrap.wrap(note, WIDTH)
    return "\n".join(lines)


def _cell(x: float, error: float) -> str:
    """Write a number; one without a standard error has four digits."""
    return number(x, error) if math.isfinite(error) else number(x, math.nan)


def _title(estimate: Estimate, label: str) -> str:
    name = label.split("[")[0]
    for group in estimate.model.groups:
        if name == f"sd_{group.name}":
            return f"How much the coefficients differ between levels of {group.factor} (sd)"
        if name == f"cor_{group.name}":
            return f"How these differences go together (correlation over {group.factor})"
    if name == "b":
        return "Population-level coefficients"
    return f"Residual sd of {estimate.model.response}"


def notes(estimate: Estimate) -> Iterator[str]:
    """Give the sentences that stand under the table."""
    low, high = percent(estimate.provenance.interval)
    interval = f"{100 * estimate.provenance.interval:g}%"
    rest = [
        what
        for what, there in (
            ("sds", estimate.model.groups),
            ("correlations", any(group.pairs for group in estimate.model.groups)),
            ("sigma", estimate.maximum.sigma is not None),
        )
        if there
    ]
    listed = " and ".join([", ".join(rest[:-1]), rest[-1]] if len(rest) > 1 else rest)
    note = f"{low} to {high}: the {interval} confidence interval of b (Wald)"
    if rest:
        note += f", as if {listed} were known; these have no interval here"
    yield note + "."
    if estimate.method == "reml":
        yield "AIC and BIC of REML compare models with the same population terms."


def estimate_findings_text(estimate: Estimate) -> list[str]:
    """List the findings, or say that there are none."""
    if not estimate.findings:
        inside = ", and no sd is 0" if estimate.model.groups else ""
        return [f"Findings: none. The maximum was found{inside}."]
    return ["Findings", *wrap_findings(estimate.findings, indent="  ")]
