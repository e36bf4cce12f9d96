"""What a report is about: a fit, perhaps with its comparison, and the answers that it tells.

Each answer is computed once, when it is first asked for. What cannot be had is a `Missing` that
says why, which the page then says in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.answers.check import Check, check
from partialpool.answers.partition import label
from partialpool.answers.sensitivity import Sensitivity, sensitivity
from partialpool.answers.variance import Variance, variance
from partialpool.arrays import Array
from partialpool.draws.posterior import Posterior, n_draws
from partialpool.errors import InputError
from partialpool.finding import Finding, about_all
from partialpool.model import Group
from partialpool.report.numbers import mean_and_ends
from partialpool.scores.loo import Loo, loo
from partialpool.scores.ranking import Ranking
from partialpool.words.page import Page
from partialpool.words.parameters import POOLING_NAMES

Found = TypeVar("Found")

# Rows up to which all is computed unasked, and draws × rows that checks take beyond.
MOST_ROWS = 5000
MOST_WORK = 20_000_000
FEWEST_DRAWS = 100


class Missing(Struct, frozen=True):
    """An answer that there is not, and why."""

    why: str


class Compared(Protocol):
    """What a report takes from a comparison of poolings."""

    @property
    def fits(self) -> Mapping[str, Posterior]:
        """By pooling."""

    @property
    def sentence(self) -> str:
        """What pooling did, in words."""

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """Of all fits."""

    @property
    def ranking(self) -> Ranking | None:
        """By held-out scores."""

    @property
    def page(self) -> Page:
        """Its table, and among its facts the `factor` whose pooling is compared."""


class Subject(Struct, frozen=True, eq=False, dict=True):
    """A fit that is reported, and the poolings beside it.

    Attributes
    ----------
    fit : Posterior
        The fit; of a comparison that with partial pooling.
    compared : Compared or None
        The comparison, if one is reported.
    """

    fit: Posterior
    compared: Compared | None = None

    @property
    def n_rows(self) -> int:
        """Rows that were fitted."""
        return self.fit.provenance.n_rows

    @property
    def response(self) -> str:
        """The response as it reads."""
        return self.fit.model.response

    @property
    def factors(self) -> dict[str, Group]:
        """The groups by their factors, those of the mean first."""
        found: dict[str, Group] = {}
        for group in self.fit.model.groups:
            found.setdefault(group.factor, group)
        return found

    @property
    def compared_factor(self) -> str | None:
        """The grouping factor whose pooling is compared, if one is."""
        return None if self.compared is None else str(self.compared.page.facts["factor"])

    @cached_property
    def check(self) -> Check | Missing:
        """Posterior predictive checks."""
        draws = min(1000, n_draws(self.fit), max(FEWEST_DRAWS, MOST_WORK // max(self.n_rows, 1)))
        return attempt(lambda: check(self.fit, draws=draws))

    @cached_property
    def sensitivity(self) -> Sensitivity | Missing:
        """What the estimates owe to the priors."""
        return attempt(lambda: sensitivity(self.fit))

    @cached_property
    def loo(self) -> Loo | Missing:
        """Leave-one-out scores, where they are at hand or soon had."""
        if self.n_rows > MOST_ROWS:
            return Missing(
                f"With more than {MOST_ROWS} rows, held-out scores are computed only when asked "
                "for, by `fit.loo()`."
            )
        return attempt(lambda: loo(self.fit))

    @cached_property
    def variance(self) -> Variance | Missing:
        """Shares of the variance."""
        return attempt(lambda: variance(self.fit))

    def share(self, factor: str) -> str:
        """Say what part of the variance lies between the levels of a factor; empty without."""
        found = self.variance
        if isinstance(found, Missing):
            return ""
        for array, scale in (("share", ""), ("share_latent", " on the latent scale")):
            draws = found.draws.get(called.element(array, label(factor)))
            if draws is not None and np.isfinite(draws).all():
                mean, low, high = mean_and_ends(draws, self.fit.provenance.interval)
                return f"{mean:.0%}, {low:.0%} to {high:.0%}, of the variance{scale}"
        return ""

    @cached_property
    def findings(self) -> list[tuple[str, Finding]]:
        """Findings of fits, checks and scores, each once, the gravest first."""
        compared = self.compared
        found = about_all(self.fit.findings) if compared is None else list(compared.findings)
        for answer in (self.check, self.sensitivity, self.loo):
            if not isinstance(answer, Missing):
                found += about_all(answer.findings)
        order = ("error", "warning", "info")
        distinct = {finding: about for about, finding in reversed(found)}
        return sorted(
            ((about, finding) for finding, about in reversed(distinct.items())),
            key=lambda pair: (order.index(pair[1].level), not _is_own(pair[0])),
        )

    def own_findings(self, level: str) -> list[Finding]:
        """Findings of a level that are about the fit itself, not about other poolings."""
        return [f for about, f in self.findings if f.level == level and _is_own(about)]

    def dispersed(self, k: int) -> Array:
        """Sds of a group's coefficients over its levels: (draw, term)."""
        sd = self.fit.run.groups[k].sd
        return sd.reshape(sd.shape[0] * sd.shape[1], sd.shape[2])


def _is_own(about: str) -> bool:
    """Whether a finding is about the fit that is reported, perhaps among others."""
    return not about or POOLING_NAMES["partial"] in about


def attempt(answer: Callable[[], Found]) -> Found | Missing:
    """Give an answer, or say in a sentence why there is none."""
    try:
        return answer()
    except InputError as error:
        return Missing(sentence(str(error)))


def sentence(message: str) -> str:
    """Write a message as a sentence.

    Examples
    --------
    >>> sentence("this fit was saved without its rows: fit again")
    'This fit was saved without its rows: fit again.'
    """
    text = message.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
