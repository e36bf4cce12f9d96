"""What to know of an estimate by maximum likelihood: how the search ended, and where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from partialpool import limits
from partialpool.finding import Finding
from partialpool.findings.data import design_findings, one_row_levels
from partialpool.likelihood import Maximum
from partialpool.model import Model, Pooled

# Findings about data that hold without priors too, beside notes of how columns were read.
OF_DATA = (
    *("dropped-rows", "zero-weight", "empty-cell", "aliased-columns", "vanished-terms"),
    *("different-scales", "unused-categories", "rare-categories"),
)

SEPARATED = ("separation", "one-outcome")


def estimate_findings(pooled: Pooled, model: Model, found: Maximum) -> list[Finding]:
    """Judge data and maximum."""
    known = list(design_findings(pooled, model))
    notes = {code for code, *_ in pooled.design.notes}
    of_data = [f for f in known if f.code in OF_DATA or f.code in notes]
    apart = [_without_maximum(f) for f in known if f.code in SEPARATED]
    return [
        *of_data,
        *apart,
        *([] if apart else _search(model, found)),
        *_singular(model, found),
        *_edges(found),
        *_moved(model, found),
        *_levels(model),
        *(one_row_levels(pooled, sampled=False) if found.determined else ()),
    ]


def _without_maximum(finding: Finding) -> Finding:
    """What separation means where no prior holds a coefficient back."""
    what = finding.message.partition(", so the prior decides")[0]
    return Finding(
        finding.code,
        "error",
        f"{what}, and the likelihood has no maximum: the estimate is where the search gave up.",
        "Leave `method` out to sample with priors, or leave the term out.",
    )


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
        loose = ", ".join(f"`{label}`" for label in found.loose) or sds
        yield Finding(
            "not-determined",
            "error",
            f"The likelihood is the same for very different values of {loose}: the data do not "
            "determine them.",
            "Leave `method` out to sample with priors, or leave such terms out."
            if found.loose
            else "Simplify the group term, or give known standard errors (`se=`).",
        )
    if found.several:
        yield Finding(
            "several-maxima",
            "warning",
            "The likelihood has several maxima; the highest that was found is reported.",
            "Simplify the group term, or leave `method` out: a posterior has room for all of them.",
        )


def _edges(found: Maximum) -> Iterator[Finding]:
    for name in found.edges:
        yield Finding(
            "at-the-edge",
            "info",
            f"The likelihood hardly falls where `{name}` goes on from its estimate, "
            f"{found.scalars[name]:.3g}, to the end of its range: the data show nothing of what it "
            "is there for.",
            "Use a family without it.",
        )


def _moved(model: Model, found: Maximum) -> Iterator[Finding]:
    """Say that levels are integrated out roughly, where estimates owe much to it."""
    moved, nodes = found.moved, found.quadrature
    if moved is None or moved.errors < limits.ROUGH_INTEGRAL or not found.converged:
        return
    few = len(model.groups) == 1 and len(model.groups[0].terms) <= 2
    what = "Laplace's approximation" if nodes == 1 else f"Quadrature with {nodes} nodes"
    yield Finding(
        "rough-integral",
        "warning",
        f"{what} of the likelihood is rough here: by better integrals `{moved.label}` would be "
        f"about {moved.to:.3g} in place of {moved.estimate:.3g} ({moved.errors:.2g} standard "
        "errors). Levels with few rows, or with rows that are alike, make it so.",
        f"Give `quadrature={15 if nodes < 8 else 2 * nodes + 1}`."
        if few
        else "Leave `method` out to sample the posterior.",
    )


def _singular(model: Model, found: Maximum) -> Iterator[Finding]:
    if not found.converged or not found.determined:
        return
    for group, own in zip(model.groups, found.groups, strict=True):
        if own.rank == len(group.terms):
            continue
        zero = [f"`{name}`" for name, sd in zip(group.sd_labels, own.sd, strict=True) if sd == 0]
        one = [
            f"`{name}`" for name, r in zip(group.cor_labels, own.cor, strict=True) if abs(r) == 1
        ]
        if zero:
            what = f"The estimate of {' and '.join(zero)} is exactly 0"
        elif one:
            what = f"The estimate of {' and '.join(one)} is exactly {'±' * (len(one) > 1)}"
            what += "1" if len(one) > 1 else f"{own.cor[np.abs(own.cor) == 1][0]:.0f}"
        else:
            ways = "1 direction" if own.rank == 1 else f"{own.rank} directions"
            what = f"Coefficients of `{group.factor}` vary in {ways} only"
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
