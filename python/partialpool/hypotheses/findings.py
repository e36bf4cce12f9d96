"""What to know before trusting an answer: draws that are too few, apart, or undefined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from partialpool import limits
from partialpool.finding import Finding
from partialpool.hypotheses.answer import Hypothesis


def findings_of(answer: Hypothesis) -> Iterator[Finding]:
    """Say which rows rest on too few draws, on chains that disagree, or on a part of the draws."""
    facts, texts = answer.facts, [one.text for one in answer.statements]
    undefined = facts["undefined"]
    if undefined.any():
        worst = int(np.argmax(undefined))
        yield Finding(
            "undefined-draws",
            "warning",
            f"`{texts[worst]}` is undefined in {int(undefined[worst]):,} of "
            f"{answer.differences[0].size:,} draws, which are left out"
            f"{_others(texts, undefined > 0, worst)}.",
            "Look for logarithms or roots of negative numbers, and divisions by 0.",
        )
    if answer.independent:
        return
    r_hat = np.nan_to_num(facts["r_hat"], nan=1.0, posinf=np.inf)
    if (r_hat > limits.R_HAT).any():
        worst = int(np.argmax(r_hat))
        yield Finding(
            "r-hat",
            "error" if r_hat[worst] > limits.R_HAT_UNUSABLE else "warning",
            f"Chains disagree about `{texts[worst]}` (R-hat {r_hat[worst]:.4g}, should be at most "
            f"{limits.R_HAT:g}){_others(texts, r_hat > limits.R_HAT, worst)}.",
            "Fit again with more warm-up and draws.",
        )
    ess = np.nan_to_num(facts["ess"], nan=np.inf)
    if (ess < limits.ESS).any():
        worst = int(np.argmin(ess))
        yield Finding(
            "ess",
            "warning",
            f"The effective sample size of `{texts[worst]}` is {ess[worst]:.0f} (should be at "
            f"least {limits.ESS:.0f}): its interval is imprecise"
            f"{_others(texts, ess < limits.ESS, worst)}.",
            "Fit again with more draws.",
        )


def _others(texts: Sequence[str], picked: np.ndarray, worst: int) -> str:
    others = [f"`{texts[int(k)]}`" for k in np.flatnonzero(picked) if k != worst]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"; also {', '.join(others[:3])}{more}" if others else ""
