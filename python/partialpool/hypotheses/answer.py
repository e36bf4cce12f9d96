"""What the draws say of hypotheses: a table, and how it is read."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.finding import Finding, about_all
from partialpool.hypotheses.facts import facts_of
from partialpool.hypotheses.statement import Statement
from partialpool.numerals import formatted, number, percent
from partialpool.words.page import Answer, Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataArray

# What the interval says of a difference, and of an expression, that is in the region or not.
EQUAL, DIFFERENT, UNDECIDED = "practically equal", "different", "undecided"
INSIDE, OUTSIDE = "inside", "outside"


class Hypothesis(Answer, Struct, frozen=True, eq=False, dict=True):
    """What the draws say of hypotheses.

    Attributes
    ----------
    formula : str
        The model.
    statements : tuple of Statement
        What was asked.
    differences : (hypothesis, chain, draw) array
        Left minus right of a comparison, or the expression that stands alone. Where several
        comparisons are joined, the least margin by which one of them holds: all hold where it is
        above 0. NaN where undefined.
    holds : (hypothesis, chain, draw) array
        1 where it holds and 0 where not; NaN where undefined, and without a comparison.
    interval : float
        Mass of the equal-tailed intervals.
    rope : (float, float) or None
        The region of practical equivalence.
    findings : tuple of Finding
        What to know before trusting it.
    """

    formula: str
    statements: tuple[Statement, ...]
    differences: Array
    holds: Array
    interval: float
    rope: tuple[float, float] | None
    independent: bool
    findings: tuple[Finding, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """A row for each hypothesis, as it was written, with the full names of parameters.

        Columns: probability and its Monte Carlo error `mcse`; odds (probability over that of the
        opposite, brms' evidence ratio); mean, median, sd, lower and upper of the difference; ess
        and r_hat of it; undefined, the number of draws left out; with a region of practical
        equivalence also inside, the share of draws in it, and verdict.
        """
        return self._table.frame()

    @property
    def draws(self) -> DataArray:
        """Draws of the differences, with dims (chain, draw, hypothesis); see `differences`."""
        import xarray as xr

        return xr.DataArray(
            np.moveaxis(self.differences, 0, -1),
            dims=("chain", "draw", "hypothesis"),
            coords={"hypothesis": [one.text for one in self.statements]},
            name="difference",
        )

    @property
    def page(self) -> Page:
        """What it says."""
        return Page(
            heading=["What the draws say of hypotheses"],
            table=self._table,
            notes=self._notes,
            findings=about_all(self.findings),
            formula=self.formula,
            facts={"formula": self.formula, "interval": self.interval, "rope": self.rope},
            rows="hypotheses",
        )

    @cached_property
    def facts(self) -> dict[str, Array]:
        """Numbers of the table, a value for each hypothesis."""
        rows = [
            facts_of(statement, difference, holds, self.interval, self.rope)
            for statement, difference, holds in zip(
                self.statements, self.differences, self.holds, strict=True
            )
        ]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @property
    def _table(self) -> ResultTable:
        facts, sds = self.facts, self.facts["sd"].tolist()
        lower, upper = percent(self.interval)
        heads = {"mean": "", "sd": "", "lower": lower, "upper": upper}
        columns = []
        if np.isfinite(facts["probability"]).any():
            columns += [
                ResultColumn("probability", facts["probability"], self._probabilities),
                ResultColumn("mcse", facts["mcse"]),
                ResultColumn("odds", facts["odds"], self._odds),
            ]
        columns += [
            ResultColumn(name, facts[name], list(map(number, facts[name].tolist(), sds)), head)
            for name, head in heads.items()
        ]
        held = ("median", "ess", "r_hat", "undefined")
        columns += [ResultColumn(name, facts[name]) for name in held]
        if self.rope is not None:
            inside = [formatted(x, ".3f") for x in facts["inside"].tolist()]
            verdicts = [
                _verdict(self.rope, *ends, compared=bool(one.comparisons))
                for one, ends in zip(self.statements, self.ends, strict=True)
            ]
            columns += [
                ResultColumn("inside", facts["inside"], inside, "in rope"),
                ResultColumn("verdict", verdicts, verdicts, is_text=True),
            ]
        return ResultTable("hypothesis", [one.text for one in self.statements], columns)

    @property
    def ends(self) -> list[tuple[float, float]]:
        lower, upper = self.facts["lower"].tolist(), self.facts["upper"].tolist()
        return list(zip(lower, upper, strict=True))

    @property
    def _probabilities(self) -> list[str]:
        """Probabilities with their Monte Carlo errors; where all draws agree, a bound."""
        cells = []
        for p, error, bound in zip(*self._columns("probability", "mcse", "bound"), strict=True):
            if math.isnan(p):
                cells.append("–")
            elif p in (0.0, 1.0):
                cells.append(f"> {_floor(1 - bound)}" if p else f"< {_ceiling(bound)}")
            else:
                cells.append(f"{number(p, error)} ± {number(error, error)}")
        return cells

    @property
    def _odds(self) -> list[str]:
        cells = []
        for p, odds, bound in zip(*self._columns("probability", "odds", "bound"), strict=True):
            if math.isnan(p):
                cells.append("–")
            elif p in (0.0, 1.0):
                least = (1 - bound) / bound
                cells.append(f"> {_ratio(least)}" if p else f"< {_ratio(1 / least)}")
            else:
                cells.append(_ratio(odds))
        return cells

    def _columns(self, *names: str) -> list[list[float]]:
        return [self.facts[name].tolist() for name in names]

    @property
    def _notes(self) -> list[str]:
        notes = []
        compared = [one for one in self.statements if one.comparisons]
        alone = [one for one in self.statements if not one.comparisons]
        if any(not one.equality for one in compared):
            notes.append(
                "probability: share of the draws in which it holds, ± its Monte Carlo error; odds: "
                "that share over the rest."
            )
        low, high = percent(self.interval)
        what = "the difference, left minus right" if compared else "the expression"
        also = ", or of the expression that stands alone" if compared and alone else ""
        notes.append(f"mean, sd, {low} to {high}: of {what}{also}.")
        if any(p in (0.0, 1.0) for p in self.facts["probability"].tolist()):
            notes.append(
                "Where a probability is a bound, all draws agree, and more of them might not."
            )
        if any(one.joined for one in self.statements):
            notes.append(
                "Where comparisons are joined there is no one difference: ask for each by itself."
            )
        notes += [_equality_words(one, k, self) for k, one in enumerate(self.statements)
                  if one.equality]  # fmt: skip
        if self.rope is not None:
            words = [(EQUAL, DIFFERENT)] * bool(compared) + [(INSIDE, OUTSIDE)] * bool(alone)
            equal, different = (" or ".join(kind) for kind in zip(*words, strict=True))
            notes.append(
                f"in rope: share of draws in the region of practical equivalence, "
                f"{self.rope[0]:g} to {self.rope[1]:g}. {equal}: the whole "
                f"{100 * self.interval:g}% interval is in it; {different}: none of the interval "
                f"is; {UNDECIDED}: a part of it is."
            )
        return notes


def _verdict(rope: tuple[float, float], lower: float, upper: float, *, compared: bool) -> str:
    """Say where an interval lies: in the region, out of it, or partly in it."""
    if math.isnan(lower):
        return "–"
    if rope[0] <= lower and upper <= rope[1]:
        return EQUAL if compared else INSIDE
    if upper < rope[0] or lower > rope[1]:
        return DIFFERENT if compared else OUTSIDE
    return UNDECIDED


def _equality_words(statement: Statement, k: int, whole: Hypothesis) -> str:
    """Say of an equality what can be said of it."""
    own = whole.differences[k][np.isfinite(whole.differences[k])]
    lower, upper = whole.ends[k]
    above = float(np.mean(own > 0))
    direction, p = ("above", above) if above >= 0.5 else ("below", float(np.mean(own < 0)))
    bound = float(whole.facts["bound"][k])
    share = f"more than {_floor(1 - bound)}" if p == 1 else f"{p:.3g}"
    inside = "inside" if lower <= 0 <= upper else "outside"
    do = "" if whole.rope else " Ask with `rope=` whether it is near 0."
    return (
        f"`{statement.text}`: no single value has a probability of its own. 0 is {inside} the "
        f"{100 * whole.interval:g}% interval of the difference, which is {direction} 0 with "
        f"probability {share}.{do}"
    )


def _ratio(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def _floor(x: float) -> str:
    """Write a number below 1, rounded down to the digits that tell it from 1."""
    digits = max(2, 1 - math.floor(math.log10(max(1 - x, 1e-12))) - 1)
    return f"{math.floor(x * 10**digits) / 10**digits:.{digits}f}"


def _ceiling(x: float) -> str:
    digits = max(2, -math.floor(math.log10(max(x, 1e-12))))
    return f"{math.ceil(x * 10**digits) / 10**digits:.{digits}f}"
