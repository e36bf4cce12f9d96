"""Uniform priors without pooling, where a level's rows do not determine its coefficients."""

import numpy as np
import pytest

import partialpool as pp

RNG = np.random.default_rng(0)
LEVELS = np.repeat([0, 1, 2], [4, 4, 2])
# The last level has one value of x: its rows say something about one combination only.
X = np.r_[RNG.normal(size=8), 0.5, 0.5]
Y = np.r_[1 - X[:8] + RNG.normal(0, 0.5, 8), 6.0, 6.4]
DATA = {"y": Y, "x": X, "g": LEVELS}


def unpooled(bound, **options):
    priors = {"coef_g": pp.Uniform(-bound, bound), "sigma": pp.Uniform(0, 5)}
    return pp.fit("y ~ x + (x | g)", DATA, pooling="none", priors=priors, seed=1, **options)


def test_bounds_that_reach_them_are_refused():
    # At ±3 the level would need an intercept of about 6: quadrature gives sigma 1.81, flat 0.5.
    with pytest.raises(pp.EngineError, match="cannot honour them there"):
        unpooled(3)


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
