"""Quantiles against numpy's, to the last bit."""

import numpy as np
import pytest

from partialpool.arrays import quantiles

AT = [0.0, 0.025, 0.25, 0.5, 0.6, 0.975, 1.0]
RNG = np.random.default_rng(7)


@pytest.mark.parametrize("n", [1, 2, 3, 40, 999, 4000])
def test_quantiles_are_those_of_numpy(n):
    values = RNG.normal(size=(3, n)) * np.array([[1.0], [1e-7], [1e9]])
    np.testing.assert_array_equal(quantiles(values, AT), np.quantile(values, AT, axis=-1))


def test_quantiles_of_ties_and_of_what_is_not_finite():
    ties = RNG.integers(0, 4, 200).astype(float)
    np.testing.assert_array_equal(quantiles(ties, AT), np.quantile(ties, AT))
    assert np.isnan(quantiles(np.append(ties, np.nan), AT)).all()
