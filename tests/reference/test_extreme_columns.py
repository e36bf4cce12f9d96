"""A predictor with a huge offset or a tiny unit: the same density as the tame one, or a refusal.

The numbers are multiples of 1/16 with a mean that is a multiple of 1/1024, so that adding 1e12
loses nothing and both problems are exactly the same.
"""

import numpy as np
import pytest

import partialpool as pp
from helpers import Dense, covariance, log_likelihood, model_of, points

RNG = np.random.default_rng(5)
N = 64
X = RNG.integers(-40, 40, N) / 16
G = RNG.integers(0, 7, N)
Y = 1 + 0.4 * X + RNG.normal(size=7)[G] + RNG.normal(size=N)


def reference(z):
    """Default priors in the tame unit."""
    s_y, s_x = np.std(Y, ddof=1), np.std(X, ddof=1)
    centred = np.column_stack([np.ones(N), X - X.mean()])
    # Default priors of sds are at the mean of the predictors.
    Z = np.column_stack([np.ones(N), (X - X.mean()) / s_x])[:, :z]
    return Dense(Y, centred, Z, G, np.array([Y.mean(), 0]), 2.5 * s_y / np.array([1, s_x]))


def agrees(x, term, pairs, priors=None, y=Y, rel=1e-10):
    core = model_of(f"y ~ x + {term}", {"y": y, "x": x, "g": G}, priors).core
    dense = reference(len(pairs) + 1)
    for u in points(core, 5, 1):
        at = core.constrain(u)
        expected = dense.log_marginal(covariance(at["sd"], at["cor"], pairs), at["sigma"])
        assert log_likelihood(core, u) == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e12, -1e12])
def test_offset_of_a_population_term(offset):
    assert np.array_equal((X + offset) - offset, X)
    agrees(X + offset, "(1 | g)", [])


@pytest.mark.parametrize("unit", [1e-12, 1e12, 1e-139])
def test_unit_of_a_population_term(unit):
    agrees(X * unit, "(1 | g)", [])


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_unit_of_a_group_term(unit):
    agrees(X * unit, "(x | g)", [(0, 1)])


@pytest.mark.parametrize("offset", [1e3, -1e12])
def test_offset_of_a_group_term(offset):
    agrees(X + offset, "(x | g)", [(0, 1)])


def test_offset_and_unit_at_once():
    # 2⁻⁴⁰ times an offset of 2⁴⁰: exact.
    agrees((X + 2.0**40) * 2.0**-40, "(1 | g)", [])


def test_offset_of_the_response():
    # Near 1e12 a double resolves 1e-4: y is a multiple of 1/64 there, and the reference sees it.
    y = np.round(Y * 64) / 64
    core = model_of("y ~ x + (1 | g)", {"y": y + 1e12, "x": X, "g": G}).core
    tame = model_of("y ~ x + (1 | g)", {"y": y, "x": X, "g": G}).core
    for u in points(core, 5, 2):
        # Means of numbers near 1e12 are known to 1e-4, and with them the prior's centre: it moves
        # the log density by less than 1e-4 · (y − centre)/(2.5 s_y)² < 1e-4.
        assert log_likelihood(core, u) == pytest.approx(log_likelihood(tame, u), abs=1e-4)


# A prior of one's own is about coefficients as written.
WRITTEN = {"sd_g": pp.HalfNormal(2)}


def test_group_term_as_written_with_a_moderate_offset():
    # The intercepts refer to x = 0, 1e3 away: R carries 1e3 · eps relative error, squared in K.
    offset = 1e3
    core = model_of("y ~ x + (x | g)", {"y": Y, "x": X + offset, "g": G}, WRITTEN).core
    dense = reference(2)
    dense.Z = np.column_stack([np.ones(N), X + offset])
    for u in points(core, 5, 3):
        at = core.constrain(u)
        expected = dense.log_marginal(covariance(at["sd"], at["cor"], [(0, 1)]), at["sigma"])
        # The dense reference loses more: V has condition 1e6 and worse.
        assert log_likelihood(core, u) == pytest.approx(expected, rel=1e-7)


def test_group_term_as_written_with_a_huge_offset_is_refused():
    with pytest.raises(pp.InputError, match=r"`x` lies very far from 0 .*center\(x\)"):
        pp.fit("y ~ x + (x | g)", {"y": Y, "x": X + 1e12, "g": G}, priors=WRITTEN)


def test_posterior_of_a_slope_under_a_huge_offset():
    # Same seed, same walk: the slope is the same to rounding, the intercept moves by 1e12 slopes.
    fits = [
        pp.fit("y ~ x + (1 | g)", {"y": Y, "x": x, "g": G}, seed=3, draws=100, warmup=100)
        for x in (X, X + 1e12)
    ]
    slopes = [fit.run.b[..., 1] for fit in fits]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=0, atol=1e-9)
