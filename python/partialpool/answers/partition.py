"""Shares of the variance, ICC and R²: from variances draw by draw, each with its definition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.called import element
from partialpool.draws.components import Components, Explained, Found

POPULATION, RESIDUAL, TOGETHER = "population", "residual", "together"


class Quantity(Struct, frozen=True):
    """A number that every draw gives.

    Attributes
    ----------
    name : str
        As ``share[county]``; with ``_latent`` on the scale of a link.
    section : str
        The title that it stands under.
    values : (draw,) array
    definition : str
        What it is.
    scale : {"response", "latent"}
        On which scale.
    """

    name: str
    section: str
    values: Array
    definition: str
    scale: str


def quantities(found: Found, response: str, link: str, around: str) -> Iterator[Quantity]:
    """Give all quantities that are defined, on the scale of the predictor first.

    Parameters
    ----------
    response : str
        What the formula calls it.
    link : str
        The scale of the predictor; empty where it is that of the response.
    around : str
        What the variance around the predictor is, in words.
    """
    if found.latent is not None:
        titles = f"On the {link} scale of the predictor" if link else f"Variance of {response}"
        yield from _of(found.latent, "latent" if link else "response", titles, around)
    if found.response is not None:
        words = "around the mean, averaged over rows and levels"
        yield from _of(found.response, "response", f"On the scale of {response} itself", words)
    if found.explained is not None:
        yield _bayesian(found.explained, response)


def _of(parts: Components, scale: str, title: str, around: str) -> Iterator[Quantity]:
    at = "_latent" if scale == "latent" else ""
    total = parts.population + parts.between + parts.residual
    given = parts.between + parts.residual
    variances = {POPULATION: (parts.population, "of the population part, between rows")}
    factors = list(parts.levels)
    alone = " alone" if parts.together is not None else ""
    for factor, own in parts.levels.items():
        words = f"between levels of {factor}{alone}"
        variances[label(factor)] = own, words
    if parts.together is not None:
        words = "that levels explain only together"
        variances[TOGETHER] = parts.together, words
    variances[RESIDUAL] = parts.residual, around
    for name, (own, words) in variances.items():
        yield Quantity(element(f"variance{at}", name), title, own, words, scale)
    for name, (own, _) in variances.items():
        words = f"{element('variance', name)} / total"
        yield Quantity(element(f"share{at}", name), title, ratio(own, total), words, scale)
    for factor in factors:
        words = f"levels of {factor} / (levels + residual)"
        values = ratio(parts.levels[factor], given)
        yield Quantity(element(f"icc{at}", label(factor)), title, values, words, scale)
    if factors:
        words = "levels / (levels + residual), adjusted"
        yield Quantity(f"icc{at}", title, ratio(parts.between, given), words, scale)
        words = "levels / total, unadjusted"
        yield Quantity(f"icc_unadjusted{at}", title, ratio(parts.between, total), words, scale)
    words = "population / total"
    yield Quantity(f"r2_marginal{at}", title, ratio(parts.population, total), words, scale)
    words = "(population + levels) / total"
    both = ratio(parts.population + parts.between, total)
    yield Quantity(f"r2_conditional{at}", title, both, words, scale)


def _bayesian(own: Explained, response: str) -> Quantity:
    return Quantity(
        "r2_bayes",
        f"Fitted values of {response}, with the levels that these rows have",
        ratio(own.fitted, own.fitted + own.residual),
        "var(fitted) / (var(fitted) + residual)",
        "response",
    )


def label(factor: str) -> str:
    """Name a factor so that it is told from the other parts of the variance."""
    reserved = (POPULATION, RESIDUAL, TOGETHER)
    return f"levels of {factor}" if factor in reserved else factor


def ratio(part: Array, total: Array) -> Array:
    """Share of a total; NaN of 0, and where the total is infinite, all for what is so.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0, np.inf]), np.array([4.0, np.inf, np.inf])).tolist()
    [0.25, 0.0, 1.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = part / total
    return np.asarray(np.where(np.isinf(total), np.isinf(part).astype(float), found))
