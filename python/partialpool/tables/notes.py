"""Sentences under a table of fits: what its numbers are, and in what the fits differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from partialpool import called
from partialpool.errors import InputError
from partialpool.finding import Finding
from partialpool.scores.matching import match_rows
from partialpool.tables.rows import STATISTICS, Row
from partialpool.tables.side import Side
from partialpool.version import __version__
from partialpool.words.estimate import NAMES as METHODS
from partialpool.words.parameters import level_means, scale_name, scale_words


def build_notes(sides: Sequence[Side], rows: Sequence[Row]) -> list[str]:
    """Say what stands in the table."""
    shown = {row.key for row in rows if row.section == STATISTICS}
    return [
        *_numbers(sides),
        *_scales(sides),
        *_scores(shown),
        *_differences(sides),
        *_refusals(sides),
        *_unpooled(sides, shown),
        *_unusable(sides),
        *_gaps(rows),
        f"partialpool {__version__}.",
    ]


def _numbers(sides: Sequence[Side]) -> Iterator[str]:
    """Say what the estimates and their intervals are: posteriors', and those of likelihoods."""

    def posterior(side: Side) -> str:
        return f"Posterior means with {100 * side.interval:g}% posterior intervals (equal-tailed)"

    def likelihood(side: Side) -> str:
        return (
            f"Estimates by {METHODS[side.method]}, without priors, with "
            f"{100 * side.interval:g}% confidence intervals of population-level coefficients (Wald)"
        )

    yield from _said(sides, lambda side: posterior(side) if side.is_posterior else likelihood(side))


def _scales(sides: Sequence[Side]) -> Iterator[str]:
    """Say what coefficients mean that are not on the scale of the response."""

    def said(side: Side) -> str | None:
        if not side.exponentiated:
            return (scale_words(side.model) or "").rstrip(".") or None
        rest = f"All else is on the {scale_name(side.model)} scale"
        means = [name for name in level_means(side.model) if called.array_of(name) == called.b()]
        base = "the intercept" if called.b("Intercept") in side.places else ""
        if means:
            base = f"{listed(list(map(called.place_of, means)))}, which are no ratios,"
        return (
            f"Population-level coefficients are shown as exp(b): {side.exponentiated}"
            + (f", and exp of {base} is what these multiply" if base else "")
            + f". {rest}"
        )

    yield from _said(sides, said)
    if any(side.exponentiated for side in sides) and not all(side.exponentiated for side in sides):
        names = listed([side.name for side in sides if not side.exponentiated])
        yield f"Coefficients of {names} are shown as they are, as exp of them is no ratio."
    if any(side.model.sigma_formula for side in sides):
        yield "Coefficients of log sigma: exp of them multiplies the residual sd."


def _said(sides: Sequence[Side], say: Callable[[Side], str | None]) -> Iterator[str]:
    """Give what is said of each fit: of all without their names, if it is the same."""
    found: dict[str, list[str]] = {}
    for side in sides:
        words = say(side)
        if words is not None:
            found.setdefault(words, []).append(side.name)
    for words, names in found.items():
        alone = len(names) == len(sides)
        yield f"{words}." if alone else f"{listed(names)}: {words[0].lower()}{words[1:]}."


def _scores(shown: set[str]) -> Iterator[str]:
    """Say what the statistics are that need words."""
    if any(key.startswith("R²") for key in shown):
        yield (
            "R² marginal: the share of the variance that the population part explains; "
            "conditional: with the levels."
        )
    if any(key.startswith("ICC") for key in shown):
        yield "ICC: the share between levels of what the population part leaves."
    if any(key.endswith("(latent)") for key in shown):
        yield "Latent: of the variance on the scale of the link, not of the response."
    if any(key.startswith("elpd") for key in shown):
        yield (
            "elpd: log predictive density of what was left out, ± its standard error; differences "
            "between fits have smaller ones, which compare_fits (`partialpool loo`) gives."
        )


def _differences(sides: Sequence[Side]) -> Iterator[str]:
    """Say where fits are not of the same responses and rows."""
    first = sides[0]
    unknown = [side.name for side in sides if side.design is None]
    for side in sides[1:]:
        if side.design is None or first.design is None:
            own, other = side.model.n_rows, first.model.n_rows
            if own != other:
                yield f"{first.name} and {side.name} are fits of different rows ({other}, {own})."
            continue
        try:
            match_rows(first.design, side.design, (first.name, side.name))
        except InputError as error:
            yield f"{error.what.replace('`', '')}."
    if unknown and len(sides) > 1:
        saved = "have none of their rows" if unknown[1:] else "has none of its rows"
        yield f"{listed(unknown)} {saved}, so whether all rows are the same was not checked."


def _refusals(sides: Sequence[Side]) -> Iterator[str]:
    """Say why a statistic is not there."""
    reasons: dict[str, tuple[list[str], list[str]]] = {}
    for side in sides:
        for name, reason in side.refused.items():
            kinds, fits = reasons.setdefault(reason, ([], []))
            kinds += [SHORT.get(name, name)] if SHORT.get(name, name) not in kinds else []
            fits += [side.name] if side.name not in fits else []
    for reason, (kinds, fits) in reasons.items():
        who = "" if len(fits) == len(sides) else f" of {listed(fits)}"
        yield f"No {listed(kinds)}{who}: {reason.replace('`', '')}."


SHORT = {"r2": "R²", "icc": "ICC"}


def _unpooled(sides: Sequence[Side], shown: set[str]) -> Iterator[str]:
    """Say where coefficients of levels are that have no population."""
    found: dict[str, list[str]] = {}
    for side in sides:
        for group in side.model.groups:
            if group.known_sd is not None and side.name not in found.setdefault(group.factor, []):
                found[group.factor].append(side.name)
    for factor, names in found.items():
        who = "" if len(names) == len(sides) else f" in {listed(names)}"
        yield f"Levels of {factor} have coefficients of their own{who}, which are not shown."
    if found and any(key.startswith("R²") for key in shown):
        yield "In R² such levels count in the population part, with the noise of their estimates."


def _unusable(sides: Sequence[Side]) -> Iterator[str]:
    """Say which fits should not be used, since a table outlives what its author has read."""
    for side in sides:
        errors: list[Finding] = [one for one in side.findings if one.level == "error"]
        if errors:
            yield f"{side.name} should not be used as it is: {errors[0].message}"


def _gaps(rows: Sequence[Row]) -> Iterator[str]:
    parameters = [row for row in rows if row.section != STATISTICS]
    if any(cell is None for row in parameters for cell in row.cells):
        yield "–: not in the model."


def listed(names: Sequence[str]) -> str:
    """List names in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
