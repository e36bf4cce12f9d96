"""What came of an input: fine and sane, one sentence, or a failure."""

import math
import time
import traceback
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

import partialpool as pp

SECONDS = 20.0  # an input that takes longer hangs, as a user would say
LONGEST = 700  # characters of a sentence


class Insane(AssertionError):
    """A number that cannot be right."""


@dataclass(frozen=True)
class Verdict:
    """`outcome` is "fine", "refused" or "failure"; `why` the sentence or the traceback."""

    outcome: str
    why: str = ""


def judge(case):
    """Run a case, a function without arguments, and judge it."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pp.FindingWarning)
        for other in (
            DeprecationWarning,
            PendingDeprecationWarning,
            FutureWarning,
            ResourceWarning,
        ):
            warnings.simplefilter("ignore", other)
        try:
            case()
            verdict = Verdict("fine")
        except (pp.InputError, pp.EngineError) as error:
            verdict = sentence(str(error))
        except Exception:
            verdict = Verdict("failure", traceback.format_exc())
    seconds = time.perf_counter() - began
    if seconds > SECONDS and verdict.outcome != "failure":
        return Verdict("failure", f"took {seconds:.0f} s")
    return verdict


def sentence(text):
    """A refusal is one sentence for people."""
    bad = [
        ("\n" in text.strip(), "has several lines"),
        (len(text) > LONGEST, f"has {len(text)} characters"),
        (not text.rstrip().endswith((".", "?", ")", '"')), "does not end as a sentence"),
        ("Traceback" in text or "object at 0x" in text or "Unknown" in text, "shows internals"),
    ]
    for wrong, what in bad:
        if wrong:
            return Verdict("failure", f"the sentence {what}: {text[:1000]}")
    return Verdict("refused", text)


def ordered(frame):
    """Numbers are finite, intervals in order, and the mean not far outside of them."""
    columns = [c for c in ("mean", "sd", "lower", "upper") if c in frame]
    values = frame[columns].to_numpy(dtype=float)
    known = np.isfinite(values[:, 0])
    if not np.isfinite(values[known]).all():
        raise Insane(f"numbers are not finite\n{frame}")
    frame = frame[known]
    scale = 1e-9 * (1 + frame["mean"].abs())
    if (frame["lower"] > frame["upper"] + scale).any() or (frame["sd"] < 0).any():
        raise Insane(f"intervals are not in order\n{frame}")
    apart = (frame["mean"] - frame["lower"]).abs() + (frame["upper"] - frame["mean"]).abs()
    if (frame["sd"] > 1e6 * (apart + scale)).any():
        raise Insane(f"an sd is too large for its interval\n{frame}")


RANGES = {
    "bernoulli": (0, 1), "beta": (0, 1), "poisson": (0, math.inf), "negbinomial": (0, math.inf),
    "gamma": (0, math.inf), "exponential": (0, math.inf), "weibull": (0, math.inf),
    "lognormal": (0, math.inf), "zero_inflated_poisson": (0, math.inf),
    "hurdle_negbinomial": (0, math.inf), "binomial": (0, math.inf),
}  # fmt: skip


def within(frame, family):
    """Predictions are what the family can give."""
    low, high = RANGES.get(family, (-math.inf, math.inf))
    values = frame[["mean", "lower", "upper"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if ((values < low) | (values > high)).any():
        raise Insane(f"predictions of {family} are outside of {low} to {high}\n{frame}")


def sane(fit):
    """A fit's numbers, unless it says itself that it should not be used."""
    text = repr(fit)
    if not text.splitlines()[0].strip():
        raise Insane(f"a fit prints nothing\n{text}")
    fit._repr_html_()
    if any(f.level == "error" for f in fit.findings):
        return
    if isinstance(fit, pp.Estimate):
        frame = fit.summary()
        # Correlations with what does not vary have no value.
        rest = frame[~frame.index.str.startswith("cor_")]
        if not np.isfinite(rest["estimate"]).all():
            raise Insane(f"estimates are not finite\n{frame}")
        return
    ordered(fit.summary())
    coefficients = fit.coefficients()
    if len(coefficients):
        ordered(coefficients)
    sds = fit.summary().filter(like="sd_", axis=0)
    if (sds["lower"] < 0).any():
        raise Insane(f"an sd is negative\n{sds}")


def same(one: pd.DataFrame, other: pd.DataFrame):
    """Two tables are equal, NaN with NaN."""
    if not one.equals(other):
        raise Insane(f"tables differ\n{one}\n{other}")
