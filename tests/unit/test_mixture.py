"""Summaries of mixtures of normals, whose means and variances are given."""

import numpy as np
import pytest
from scipy import optimize, stats

from partialpool import _core

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("nodes", [1, 3, 4, 61])
@pytest.mark.parametrize("spread", [0.0, 0.3, 5.0])
def test_moments_and_quantiles(nodes, spread):
    means = 10 + spread * RNG.normal(size=(nodes, 7, 2))
    variances = RNG.uniform(0.01, 2, size=means.shape)
    weights = RNG.dirichlet(np.ones(nodes))
    options = {"means": means, "variances": variances, "weights": weights}
    found = _core.mixture_summary(**options, probabilities=(0.05, 0.9), threads=2)
    mean = np.einsum("s,sjk->jk", weights, means)
    variance = np.einsum("s,sjk->jk", weights, variances + (means - mean) ** 2)
    np.testing.assert_allclose(found[..., 0], mean, rtol=1e-13)
    np.testing.assert_allclose(found[..., 1], np.sqrt(variance), rtol=1e-12)
    for level, term in np.ndindex(7, 2):
        own = stats.norm(means[:, level, term], np.sqrt(variances[:, level, term]))
        for p, quantile in zip((0.05, 0.9), found[level, term, 2:], strict=True):
            expected = optimize.brentq(lambda x, own=own, p=p: weights @ own.cdf(x) - p, -99, 99)
            assert quantile == pytest.approx(expected, abs=1e-8)
    for threads in (1, 5):
        again = _core.mixture_summary(**options, probabilities=(0.05, 0.9), threads=threads)
        assert np.array_equal(found, again)


def test_shapes_must_agree():
    means = np.zeros((3, 2, 1))
    right = {"means": means, "variances": means, "weights": np.ones(3), "threads": 1}
    for wrong in (
        {"variances": np.zeros((3, 1, 1))},
        {"weights": np.ones(2)},
        {"probabilities": (0.0, 0.9)},
    ):
        with pytest.raises(ValueError, match="do not agree"):
            _core.mixture_summary(**({"probabilities": (0.1, 0.9)} | right | wrong))
