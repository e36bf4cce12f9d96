"""Densities of parameters: of their draws, never beyond where they can lie, and of their priors."""

from __future__ import annotations

import math

import numpy as np

from partialpool import called
from partialpool.arrays import Array
from partialpool.draws.posterior import Posterior
from partialpool.engine.conditional import written_scales
from partialpool.model import Group
from partialpool.model.coordinates import Coordinates, coordinates, implied_priors
from partialpool.model.defaults import bounds
from partialpool.model.scales import predictors, scales
from partialpool.priors import LKJ, Flat, Prior
from partialpool.priors.density import density_within
from partialpool.priors.distributions import AtMean
from partialpool.priors.lkj import lkj_roots

BINS = 2048
SIMULATED = 100_000  # draws of priors that have no formula …
FINE = 0.3  # … which need less smoothing

Bounds = tuple[float, float]


def density(draws: Array, at: Array, within: Bounds, smooth: float = 1.0) -> Array:
    """Estimate a density from draws, with Silverman's bandwidth.

    Draws are mirrored at finite ends of the range, so that no mass leaks beyond these.

    Parameters
    ----------
    draws : (draw,) array
        Not all equal.
    at : (m,) array
        Where it is wanted; 0 outside the range.
    within : pair of float
        Where the parameter can lie.
    smooth : float
        Of the bandwidth.

    Examples
    --------
    >>> x = np.random.default_rng(1).exponential(size=20_000)
    >>> density(x, np.array([-0.1, 0.0, 1.0]), (0.0, np.inf)).round(1)
    array([0. , 0.9, 0.4])
    """
    low, high = within
    q1, q3 = np.quantile(draws, [0.25, 0.75])
    spread = min(float(np.std(draws)), (q3 - q1) / 1.349 or math.inf)
    width = 0.9 * smooth * spread * len(draws) ** -0.2
    left = max(low, draws.min() - 4 * width)
    right = min(high, draws.max() + 4 * width)
    counts, edges = np.histogram(draws, BINS, (left, right))
    middle, step = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    # A wild tail must not leave all draws in a few bins.
    if width < 2 * step:
        core = np.quantile(draws, [0.005, 0.995])
        left, right = max(low, core[0] - 5 * width), min(high, core[1] + 5 * width)
        counts, edges = np.histogram(draws, BINS, (left, right))
        middle, step = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    half = max(1, math.ceil(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * step / width) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(counts.astype(float), half)
    if left == low:
        padded[:half] = counts[:half][::-1]
    if right == high:
        padded[-half:] = counts[-half:][::-1]
    smoothed = np.convolve(padded, kernel, mode="valid") / (len(draws) * step)
    found: Array = np.interp(at, middle, smoothed, left=0.0, right=0.0)
    ends = ((at >= left) & (at < middle[0]), (at > middle[-1]) & (at <= right))
    for inside, value in zip(ends, (smoothed[0], smoothed[-1]), strict=True):
        found[inside] = value
    return found


def range_of(fit: Posterior, label: str) -> Bounds:
    """Where a parameter can lie."""
    kind = called.kind_of(label)
    if kind in ("coef", "r", "threshold"):
        return (-math.inf, math.inf)
    return bounds(label, fit.model.priors.get(label, Flat()))


class PriorDensities:
    """Densities of the priors of a fit, of parameters as they are written.

    Priors at the mean of the predictors are those of other numbers than the one that is shown;
    what they say of this one follows in closed form for normal coefficients, else from draws.
    """

    def __init__(self, fit: Posterior) -> None:
        self._fit = fit
        self._drawn: dict[str, dict[str, Array]] = {}

    def of(self, label: str, at: Array) -> Array | None:
        """Density of a parameter's prior; None where it has none.

        Flat priors have no density, thresholds one that hangs on each other, and levels have the
        population in place of a prior.
        """
        priors, kind = self._fit.model.priors, called.kind_of(label)
        prior = priors.get(label, priors.get(called.array_of(label)))
        if prior is None or isinstance(prior, Flat) or kind in ("threshold", "coef", "r"):
            return None
        if kind == "b":
            written = _written(self._fit, label, prior)
            return None if written is None else density_within(written, at, bounds(label, written))
        if kind not in ("sd", "cor"):
            return density_within(prior, at, bounds(label, prior))
        groups = self._fit.model.groups
        group = next(g for g in groups if label in (*g.sd_labels, *g.cor_labels))
        if not group.at_mean:
            return _as_written(group, label, prior, at)
        if group.name not in self._drawn:
            self._drawn[group.name] = _simulated(group, priors.get(called.cor(group.name)))
        within = (0.0, math.inf) if kind == "sd" else (-1.0, 1.0)
        return density(self._drawn[group.name][label], at, within, smooth=FINE)


def _written(fit: Posterior, label: str, prior: Prior) -> Prior | None:
    """The prior of a coefficient as it is written; None where it is not normal."""
    if not isinstance(prior, AtMean):
        return prior
    if label in fit.model.implied:
        return fit.model.implied[label]
    if not fit.model.coordinates and fit.design is None:
        return None
    for labels, at in _coordinates(fit):
        if label in labels:
            return implied_priors(at)[labels.index(label)]
    return None


def _coordinates(fit: Posterior) -> list[tuple[list[str], Coordinates]]:
    """Names of the coefficients of each predictor, and what their priors are about."""
    model, design = fit.model, fit.design
    assert design is not None
    found = []
    for predictor in predictors(design):
        at = model.coordinates.get(predictor.name)
        if at is None:
            parts = scales(design, model.family).parts[predictor.name]
            _, at = coordinates(parts, [model.priors[label] for label in predictor.labels])
        found.append((list(predictor.labels), at))
    return found


def _as_written(group: Group, label: str, prior: Prior, at: Array) -> Array | None:
    """Density of the prior of an sd or a correlation of coefficients as written."""
    if isinstance(prior, LKJ):
        from scipy import stats

        k = group.cor_labels.index(label)
        size = len(_block(group, group.pairs[k][0]))
        # Any one correlation of an LKJ matrix is beta-distributed on (−1, 1).
        shape = prior.eta + (size - 2) / 2
        return np.asarray(stats.beta(shape, shape, loc=-1, scale=2).pdf(at))
    if label in group.cor_labels and len(group.terms) > 2:
        return None  # what is left of it where the matrix is positive definite
    return density_within(prior, at, bounds(label, prior))


def _block(group: Group, column: int) -> list[int]:
    """Columns whose coefficients correlate with that of a column, and it."""
    return sorted({column, *(k for pair in group.pairs if column in pair for k in pair)})


def _simulated(group: Group, whole: Prior | None) -> dict[str, Array]:
    """Draw sds and correlations as written, of which the priors are those at the mean."""
    rng = np.random.default_rng(1)
    sd = np.column_stack([prior.draw(rng, SIMULATED, 0.0) for prior in group.own])
    root = np.broadcast_to(np.eye(len(group.own)), (SIMULATED, *[len(group.own)] * 2)).copy()
    done: set[int] = set()
    for column in range(len(group.own)):
        block = _block(group, column)
        if column not in done and len(block) > 1 and isinstance(whole, LKJ):
            root[np.ix_(range(SIMULATED), block, block)] = lkj_roots(
                rng, whole.eta, len(block), SIMULATED
            )
        done |= set(block)
    matrix = root @ np.swapaxes(root, 1, 2)
    cor = np.empty((SIMULATED, len(group.pairs)))
    for k, (i, j) in enumerate(group.pairs):
        cor[:, k] = matrix[:, i, j]
    drawn = written_scales(group, sd[None], cor[None])
    sds = zip(group.sd_labels, drawn.sd[0].T, strict=True)
    return dict([*sds, *zip(group.cor_labels, drawn.cor[0].T, strict=True)])
