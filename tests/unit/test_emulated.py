"""Moments at many φ from polynomials through few: right where they are smooth, else not there."""

import numpy as np
import pytest

from partialpool.engine import emulated as emulated_module
from partialpool.engine.blocks import Moments
from partialpool.engine.emulated import emulated


def cubic(rng, dims, outputs, bend):
    """A smooth function of φ to so many numbers, with a part that no quadratic is like."""
    a, b, c = (rng.normal(size=(dims, outputs)) / np.sqrt(dims) for _ in range(3))

    def at(phi):
        return phi @ a + 0.3 * (phi @ b) ** 2 + bend * (phi @ c) ** 3

    return at


def problem(seed, dims, bend, rough=0.0):
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(2000, dims))
    mean, log_variance = cubic(rng, dims, 6, bend), cubic(rng, dims, 6, bend)
    asked = []

    def moments(picked):
        asked.append(len(picked))
        x = phi[picked]
        noise = rough * np.sign(np.sin(40 * x.sum(axis=1)))[:, None]
        value, variance = mean(x) + noise, np.exp(0.1 * log_variance(x))
        return [
            Moments(value[:, :4].reshape(-1, 2, 2), variance[:, :4].reshape(-1, 2, 2)),
            Moments(value[:, 4:, None], variance[:, 4:, None]),
        ]

    return phi, moments, asked


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_nearly_quadratic_is_foretold_by_few_nodes(seed, dims):
    phi, moments, asked = problem(seed, dims, bend=1e-3)
    found, many = emulated(phi, moments)
    assert sum(asked) <= max(16, 1.6 * (dims + 1) * (dims + 2) / 2 + 1)
    for one, truth in zip(found, moments(many), strict=True):
        sd = np.sqrt(truth.variance.mean(axis=0))
        assert (np.sqrt(np.mean((one.mean - truth.mean) ** 2, axis=0)) < 0.05 * sd).all()
        assert (abs(np.log(one.variance / truth.variance)) < 0.1).all()


def test_bent_moments_take_more_nodes_and_a_higher_degree(monkeypatch):
    degrees = []
    of_degree = emulated_module._of_degree
    monkeypatch.setattr(
        emulated_module, "_of_degree", lambda *a: degrees.append(a[0]) or of_degree(*a)
    )
    phi, moments, asked = problem(1, 3, bend=0.2)
    found, many = emulated(phi, moments)
    assert len(asked) > 1
    assert max(degrees) >= 3
    off = np.concatenate(
        [(one.mean - truth.mean).ravel() for one, truth in zip(found, moments(many), strict=True)]
    )
    assert np.sqrt(np.mean(off**2)) < 0.05


def test_what_no_polynomial_foretells_is_refused():
    phi, moments, asked = problem(2, 3, bend=0.0, rough=1.0)
    assert emulated(phi, moments) is None
    assert sum(asked) > 100
