"""Uniform priors without pooling, where a level's rows do not determine its coefficients."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import partialpool as pp
from helpers import assert_moments

RNG = np.random.default_rng(0)
LEVELS = np.repeat([0, 1, 2], [4, 4, 2])
# The last level has one value of x: its rows say something about one combination only.
X = np.r_[RNG.normal(size=8), 0.5, 0.5]
Y = np.r_[1 - X[:8] + RNG.normal(0, 0.5, 8), 6.0, 6.4]
DATA = {"y": Y, "x": X, "g": LEVELS}


def unpooled(bound, **options):
    priors = {"coef_g": pp.Uniform(-bound, bound), "sigma": pp.Uniform(0, 5)}
    return pp.fit("y ~ x + (x | g)", DATA, pooling="none", priors=priors, seed=1, **options)


def sigma_by_quadrature(bound):
    """Posterior mean of sigma: the box integrated by brute force, level by level."""
    sigma = np.linspace(0.02, 5, 250)
    grid = (np.arange(600) + 0.5) / 300 * bound - bound
    log_density = np.zeros_like(sigma)
    for level in range(3):
        x, y = X[level == LEVELS], Y[level == LEVELS]
        squares = sum(
            (y_ - grid[:, None] - grid[None, :] * x_) ** 2 for x_, y_ in zip(x, y, strict=True)
        )
        least = squares.min()
        inner = [np.sum(np.exp(-(squares - least) / (2 * s**2))) for s in sigma]
        log_density += np.log(inner) - least / (2 * sigma**2) - len(y) * np.log(sigma)
    density = np.exp(log_density - log_density.max())
    return float(np.sum(sigma * density) / np.sum(density))


@pytest.mark.parametrize("bound", [5, 6, 9])
def test_bounds_that_reach_them_count(bound):
    # The level informs t = c₀ + c₁/2 ≈ 6.2; at ±5 slices shorten from t = 2.5 on and end at 7.5.
    row = unpooled(bound, draws=4000).summary().loc["sigma"]
    # Three comparisons within 5 Monte Carlo errors, and 0.5% for the grids.
    expected = sigma_by_quadrature(bound)
    assert abs(row["mean"] - expected) < 5 * row["mcse"] + 0.005 * expected


def test_hopeless_bounds_need_nuts():
    # At ±3 no slice has t near 6.2.
    with pytest.raises(pp.EngineError, match="widen the bounds"):
        unpooled(3, method="marginal")
    assert unpooled(3).method == "nuts"


def test_wide_bounds_are_the_same_as_none():
    # p(sigma | y) ∝ sigma^−(rows − ranks) exp(−RSS / 2 sigma²) on (0, 5).
    rest, free = 0.0, 0
    for level in range(3):
        Z = np.column_stack([np.ones(len(X)), X])[level == LEVELS]
        y = Y[level == LEVELS]
        fitted = Z @ np.linalg.pinv(Z) @ y
        rest += float(np.sum((y - fitted) ** 2))
        free += len(y) - int(np.linalg.matrix_rank(Z))
    grid = np.linspace(1e-3, 5, 20_001)
    density = np.exp(-free * np.log(grid) - rest / (2 * grid**2))
    expected = float(np.sum(grid * density) / np.sum(density))
    row = unpooled(100, draws=5000).summary().loc["sigma"]
    # One comparison: 5 Monte Carlo errors, with room for theirs on a tail like this one.
    assert abs(row["mean"] - expected) < 5 * row["mcse"]


def test_the_finding_names_them():
    found = {finding.code for finding in unpooled(100).findings}
    assert "not-estimable" in found


def test_uniform_priors_of_levels_whose_rows_determine_one_combination():
    """One row of a level says only what c0 + x c1 is, whose prior is a trapezoid.

    The posterior of sigma then is an integral over one dimension; without the trapezoid, or with
    another, its mean would be off by 20 errors or more.
    """
    rng = np.random.default_rng(2)
    full = np.array([-1.2, -0.6, 0.1, 0.5, 0.9, 1.3])
    x = np.concatenate([full, [0.5, -0.5]])
    y = np.concatenate([0.3 + 0.4 * full + rng.normal(size=6), [2.3, -2.6]])
    data = {"y": y, "x": x, "g": np.array([0] * 6 + [1, 2])}
    priors = {"coef_g": pp.Uniform(-2, 2), "sigma": pp.Exponential(1)}
    fit = pp.fit("y ~ x + (x | g)", data, pooling="none", priors=priors, draws=5000, seed=1)
    assert fit.method == "marginal"

    def trapezoid(t, slope):
        """Density of c0 + slope c1, both uniform: the length of the slice of the box."""
        wide, narrow = 2.0, 2.0 * abs(slope)
        low = np.maximum(t - narrow, -wide)
        return np.maximum(np.minimum(t + narrow, wide) - low, 0.0)

    X = np.column_stack([np.ones(6), full])
    c0, c1 = np.meshgrid(np.linspace(-2, 2, 161), np.linspace(-2, 2, 161))
    grid = np.column_stack([c0.ravel(), c1.ravel()])
    squares = ((y[:6, None] - X @ grid.T) ** 2).sum(axis=0)
    sigma = np.linspace(0.05, 8, 1200)
    t = np.linspace(-4, 4, 4001)
    log = -sigma + np.array([logsumexp(-squares / (2 * s**2)) - 6 * np.log(s) for s in sigma])
    for own, slope in ((y[6], 0.5), (y[7], -0.5)):
        density = stats.norm(own, sigma[:, None]).pdf(t) @ trapezoid(t, slope)
        log += np.log(density)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = weights @ sigma
    sd = np.sqrt(weights @ (sigma - mean) ** 2)
    assert_moments(fit.run.scalars["sigma"][..., None], mean, sd)
