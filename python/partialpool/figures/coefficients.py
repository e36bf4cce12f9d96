"""Population coefficients of a fit, or of several side by side, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool import called
from partialpool.arrays import Array, quantiles
from partialpool.checks import check_flag
from partialpool.draws.posterior import Posterior, population_draws
from partialpool.errors import InputError
from partialpool.figures.named import check_title, scale_of
from partialpool.figures.plots import Plots
from partialpool.model import Model
from partialpool.words.parameters import level_means, ratio_words, scale_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from partialpool.plots.coefficients import Estimates, Section

MOST = 40  # coefficients of a kind


def coefficients(
    plots: Plots, exponentiate: bool | None = None, *, title: str | None = None
) -> Figure:
    """Draw the population coefficients with their intervals.

    Points are posterior means, thick and thin lines the 50% interval and that of the fit. The
    intercept stands apart, as do thresholds and the coefficients of log sigma; coefficients of very
    different size have axes of their own.

    Parameters
    ----------
    exponentiate : bool, optional
        Draw exp(b) on a log axis: odds ratios where the link is the logit, factors on the mean
        where it is the log. Points are then exp of the posterior means of b. The intercept, which
        is no ratio, is left out, and what stands in its place, as ``0 + arm`` has it.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there are no population coefficients, or exp(b) means nothing.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> [ax.get_xlabel() for ax in fit.plot.coefficients().axes]
    ['Intercept (log_radon)', 'Coefficients (log_radon)']
    """
    return draw_coefficients({"": plots.fit}, exponentiate, title)


def draw_coefficients(
    fits: Mapping[str, Posterior], exponentiate: bool | None, title: str | None
) -> Figure:
    """Draw the coefficients of one or several fits of the same data, by their names."""
    from partialpool.plots.coefficients import coefficients as draw

    check_flag("exponentiate", exponentiate)
    check_title(title)
    model = next(iter(fits.values())).model
    ratios = bool(exponentiate)
    if ratios:
        check_ratios(model)
    notes: list[str] = []
    found = {kind: _section(fits, kind, ratios, notes) for kind in _kinds(fits)}
    sections = [section for section in found.values() if section is not None]
    if not sections:
        raise InputError(
            "there are no population coefficients to draw",
            remedy="draw those of the levels by `.plot.levels()`"
            if model.groups
            else "the formula has none",
        )
    intercepts = [kind for kind in found if kind.endswith("[Intercept]")]
    if ratios and intercepts:
        notes.append("The intercept is no ratio and is left out.")
    means = _level_means(fits)
    if ratios and means:
        names = ", ".join(map(called.place_of, means))
        notes.append(f"In the place of an intercept, no ratios, and left out: {names}.")
    if ratios:
        notes.append("Points are exp of the posterior means of b.")
    interval = next(iter(fits.values())).provenance.interval
    what = "Population coefficients" if not ratios else "Population coefficients, exponentiated"
    return draw(sections, interval=interval, title=title or what, notes=notes)


def check_ratios(model: Model) -> None:
    """Refuse exp(b) where it means nothing.

    Raises
    ------
    InputError
        If the family's link gives it no meaning.
    """
    if ratio_words(model) is None:
        scale = scale_name(model)
        of = f"on the {scale} scale" if scale else f"in units of {model.response}"
        raise InputError(
            f"`exponentiate` is True, but exp(b) means nothing here: coefficients are {of}",
            remedy="leave it out; it is for links such as logit and log",
        )


def _ratio_axis(model: Model) -> str:
    """Name exp(b) on an axis; empty where it means nothing."""
    rest = (ratio_words(model) or "").removeprefix("exp(b) ")
    return rest.replace("is an odds ratio", "Odds ratio").replace("multiplies ", "Factor on ")


def _kinds(fits: Mapping[str, Posterior]) -> list[str]:
    """Arrays of coefficients in order, each after its own intercept."""
    kinds = {_kind(label) for fit in fits.values() for label in coefficient_labels(fit)}

    def place(kind: str) -> tuple[bool, str, bool]:
        array = called.array_of(kind)
        return array != "threshold", array, array == kind

    return sorted(kinds, key=place)


def coefficient_labels(fit: Posterior) -> list[str]:
    """Population coefficients and thresholds of a fit."""
    labels = [called.b(column) for column in fit.model.columns]
    return labels + [k for k in fit.run.scalars if called.kind_of(k) in ("b", "threshold")]


def _section(
    fits: Mapping[str, Posterior], kind: str, ratios: bool, notes: list[str]
) -> Section | None:
    """Coefficients of one kind, of all fits; None of what is no ratio where ratios are asked."""
    from partialpool.plots.coefficients import Section

    model = next(iter(fits.values())).model
    every = dict.fromkeys(label for fit in fits.values() for label in coefficient_labels(fit))
    labels = [label for label in every if _kind(label) == kind]
    array, apart = called.array_of(kind), "[" in kind
    if ratios and (apart or array == "threshold"):
        return None
    if ratios:
        labels = [label for label in labels if label not in _level_means(fits)]
        if not labels:
            return None
    labels = _most(fits, labels, notes)
    estimates = [_estimates(name, fit, labels, ratios) for name, fit in fits.items()]
    rows = [_row_name(model, label) for label in labels]
    predictor = "sigma" if array == called.b(predictor="sigma") else called.MEAN
    scale = scale_of(model, predictor)
    if array == "threshold":
        return Section(f"Thresholds ({scale})", rows, estimates)
    if apart:
        return Section(f"Intercept ({scale})", rows, estimates)
    if ratios:
        words = _ratio_axis(model) if predictor == called.MEAN else f"Factor on {predictor}"
        return Section(words, rows, estimates, reference=1.0)
    return Section(f"Coefficients ({scale})", rows, estimates, reference=0.0)


def _level_means(fits: Mapping[str, Posterior]) -> list[str]:
    """Coefficients of any of the fits that stand in the place of its intercept."""
    return list(dict.fromkeys(name for fit in fits.values() for name in level_means(fit.model)))


def _kind(label: str) -> str:
    return label if called.place_of(label) == "Intercept" else called.array_of(label)


def _row_name(model: Model, label: str) -> str:
    """Name a coefficient; a threshold by the categories that it lies between."""
    place = called.place_of(label)
    if called.array_of(label) == "threshold" and model.categories:
        k = int(place)
        return f"{model.categories[k - 1]} | {model.categories[k]}"
    return place


def _most(fits: Mapping[str, Posterior], labels: list[str], notes: list[str]) -> list[str]:
    """Of very many coefficients, those furthest from 0 in their sds."""
    if len(labels) <= MOST:
        return labels
    away = np.zeros(len(labels))
    for fit in fits.values():
        values = fit.parameter_summary.values
        far = np.abs(values["mean"]) / np.maximum(values["sd"], np.finfo(float).tiny)
        of = dict(zip(fit.parameter_summary.labels, far, strict=True))
        away = np.fmax(away, [of.get(label, 0.0) for label in labels])
    kept = np.sort(np.argsort(-away, kind="stable")[:MOST])
    notes.append(f"{MOST} of {len(labels):,} are drawn: those furthest from 0 in their sds.")
    return [labels[k] for k in kept]


def _estimates(name: str, fit: Posterior, labels: Sequence[str], ratios: bool) -> Estimates:
    """Means and intervals of some parameters; NaN of those that the fit has not."""
    from partialpool.plots.coefficients import Estimates

    summary = fit.parameter_summary
    at = {label: k for k, label in enumerate(summary.labels)}
    known = [k for k, label in enumerate(labels) if label in at]
    places = [at[labels[k]] for k in known]
    draws = population_draws(fit.model, fit.run)[1].reshape(-1, len(at))
    found = np.full((len(labels), 5), np.nan)
    found[known, 0] = summary.values["mean"][places]
    found[known, 1:3] = quantiles(np.ascontiguousarray(draws[:, places].T), [0.25, 0.75]).T
    found[known, 3] = summary.values["lower"][places]
    found[known, 4] = summary.values["upper"][places]
    shown: Array = np.exp(found) if ratios else found
    return Estimates(name, shown[:, 0], shown[:, 1:3], shown[:, 3:])
