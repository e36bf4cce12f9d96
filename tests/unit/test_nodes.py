"""Nodes of φ: weights, spread, and how many there are."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.engine import nodes as nodes_of_phi
from partialpool.engine.nodes import choose, first_count, settle, tame

MANY = 10**9


def phi_of(draws, dims, seed=0):
    z = np.random.default_rng(seed).normal(size=(draws, dims))
    z[:, 0] = np.exp(0.5 * z[:, 0])  # skewed
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    return z


@pytest.mark.parametrize("dims", [1, 2, 4, 6])
def test_weights_give_the_means_of_all_monomials(dims):
    phi = phi_of(4000, dims)
    count = first_count(phi, 100_000)
    assert 32 <= count <= 120
    while (nodes := choose(phi, count, MANY)) is None:
        count *= 2
    assert count <= 240
    assert len(nodes.picked) == 2 * count == len(np.unique(nodes.picked))
    for weights in (nodes.weights, nodes.coarse):
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)
        for i in range(dims):
            # Sds are 1; the sums are balanced to 1e-9 of the sd of each monomial.
            assert weights @ phi[nodes.picked, i] == pytest.approx(0, abs=1e-8)
            for j in range(i + 1):
                both = phi[:, i] * phi[:, j]
                expected = pytest.approx(both.mean(), abs=1e-8 * both.std())
                assert weights @ both[nodes.picked] == expected
    assert np.array_equal(np.flatnonzero(nodes.coarse), np.arange(0, 2 * count, 2))


@pytest.mark.parametrize("seed", range(6))
def test_nodes_are_spread_out(seed, monkeypatch):
    # Every quarter of each coordinate has its share of 60 nodes; at random it would miss it by 3.4.
    phi = phi_of(4000, 2, seed)
    monkeypatch.setattr(nodes_of_phi, "_balanced", lambda phi, picked: np.ones(len(picked)))
    picked = choose(phi, 30, MANY).picked
    edges = np.quantile(phi, [0.25, 0.5, 0.75], axis=0)
    for k in range(2):
        counts = np.bincount(np.searchsorted(edges[:, k], phi[picked, k]), minlength=4)
        assert np.abs(counts - 15).max() <= 3


def test_few_draws_are_all_nodes():
    for draws in (1, 3, 100):
        nodes = choose(phi_of(max(draws, 2), 3)[:draws], 60, MANY)
        assert nodes.coarse is None
        assert np.array_equal(nodes.picked, np.arange(draws))
        assert np.array_equal(nodes.weights, np.full(draws, 1 / draws))
    assert choose(phi_of(4000, 3), 60, 119).coarse is None
    assert choose(phi_of(4000, 3), 60, 120).coarse is not None


def test_many_dimensions_and_none():
    for dims in (16, 70):
        phi = phi_of(4000, dims)
        nodes = choose(phi, first_count(phi, 100_000), MANY)
        np.testing.assert_allclose(nodes.weights @ phi[nodes.picked], 0, atol=1e-8)
    nodes = choose(np.empty((4000, 0)), 24, MANY)
    assert np.array_equal(nodes.weights, np.full(48, 1 / 48))


def test_two_nodes_cannot_balance_what_lies_outside_them():
    phi = np.linspace(-1, 1, 4000)[:, None] ** 3
    phi[:, 0] += 1000 * (np.arange(4000) == 3999)  # its mean is beyond all others
    assert choose((phi - phi.mean()) / phi.std(), 24, MANY) is None


def test_nodes_are_doubled_until_it_changes_nothing():
    phi, prepared = phi_of(4000, 2), []

    def prepare(picked):
        prepared.append(len(picked))
        return phi[picked]

    def means_of(columns):
        def summarise(at, weights):
            mean = weights @ columns(at)
            return np.stack([mean, np.ones(len(mean)), mean - 2, mean + 2], axis=-1)

        return summarise

    # Products are exact at once; waves need more, or all draws.
    _, weights = settle(phi, 48, MANY, prepare, means_of(lambda at: at * at[:, ::-1]))
    assert prepared == [96]
    assert np.count_nonzero(weights) == 48
    prepared.clear()

    def waves(at):
        return np.sin(at[:, [0]] * np.arange(20, 40))

    at, weights = settle(phi, 48, MANY, prepare, means_of(waves))
    assert prepared[:3] == [96, 192, 384]
    # Half as many nodes would have differed by more than 0.01.
    np.testing.assert_allclose(weights @ waves(at), waves(phi).mean(axis=0), atol=0.01)


@pytest.mark.parametrize("wave", [0.001, 0.1, 1.0])
def test_few_nodes_do_for_many_coefficients_if_they_agree_ten_times_closer(wave):
    phi, prepared = phi_of(4000, 4), []
    few = first_count(phi, 10**6)
    assert 12 <= few < first_count(phi, 100_000)

    def prepare(picked):
        prepared.append(len(picked))
        return phi[picked]

    def summarise(at, weights):
        mean = weights @ np.sin(wave * at * np.arange(1, 5))
        return np.stack([mean, np.ones(4), mean - 2, mean + 2], axis=-1)

    at, weights = settle(phi, few, MANY, prepare, summarise)
    assert (len(prepared) == 1) == (wave == 0.001)
    count = np.count_nonzero(weights)
    exact = np.sin(wave * phi * np.arange(1, 5)).mean(axis=0)
    off = np.abs(weights @ np.sin(wave * at * np.arange(1, 5)) - exact).max()
    assert off < (0.001 if count < 32 else 0.01)


def test_phi_is_tame_at_the_edges():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 4)
    data = {"x": rng.normal(size=24), "g": g, "y": rng.normal(size=24)}
    fit = pp.fit("y ~ x + (x | g)", data, seed=1, draws=100, chains=2)
    run = fit.run
    phi = tame(fit.model, run, np.empty((200, 0)))
    assert phi.shape == (200, 4)
    np.testing.assert_allclose(phi.T @ phi / 200, np.eye(4), atol=1e-8)
    own = run.groups[0].own
    own[:, :50, 0], own[:, :50, 2] = 0.0, 1.0  # an sd of 0, a correlation of 1
    assert np.isfinite(tame(fit.model, run, np.empty((200, 0)))).all()
    own[..., 0] = 0.0
    assert tame(fit.model, run, np.ones((200, 2))).shape == (200, 3)
