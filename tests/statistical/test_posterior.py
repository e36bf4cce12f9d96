"""Whole posteriors against quadrature over φ, within Monte Carlo error.

Every comparison allows 5 errors: a false alarm has probability 6e-7 for each of some 100
numbers, below 1e-4 for the file; and the seeds are fixed.
"""

import numpy as np
import pytest

import partialpool as pp
from helpers import assert_moments, individuals, sd_error
from partialpool.draws.diagnostics import diagnose
from quadrature import legendre, mesh, of_individuals, posterior


def assert_agrees(fit, exact, levels):
    """Compare b, sds, sigma, and these levels: their draws, and the averaged summary."""
    run = fit.run
    assert_moments(run.b, *exact.b)
    sd = run.groups[0].sd
    phi = sd if run.sigma is None else np.concatenate([sd, run.sigma[..., None]], axis=2)
    known = slice(0, phi.shape[2])
    assert_moments(phi, *(moment[known] for moment in exact.phi))
    group = fit.model.sole_group
    q = len(group.terms)
    draws = fit.draws["posterior"][f"coef_{group.name}"].to_numpy()[:, :, levels]
    draws = draws.reshape(run.chains, run.draws, -1)
    mean, sd = (moment[levels].ravel() for moment in exact.coefficients)
    assert_moments(draws, mean, sd)
    # The summary averages over φ analytically: its error is at most that of the draws.
    found = fit.coefficients()[["mean", "sd"]].to_numpy().reshape(-1, q, 2)[levels].reshape(-1, 2)
    assert np.all(np.abs(found[:, 0] - mean) < 5 * diagnose(draws)["mcse"])
    assert np.all(np.abs(found[:, 1] - sd) < 5 * sd_error(draws))


def test_radon_under_default_priors():
    radon = pp.datasets.radon()
    y, floor = radon["log_radon"].to_numpy(), radon["floor"].to_numpy(float)
    s_y = y.std(ddof=1)
    # a = b₀ + mean(floor) b₁ ~ N(ȳ, 2.5 s_y), b₁ ~ N(0, 2.5 s_y / s_x); sds ~ Exponential(1/s_y).
    at_mean = np.array([[1.0, floor.mean()], [0.0, 1.0]])
    precision = at_mean.T @ np.diag([1, floor.var(ddof=1)]) @ at_mean / (2.5 * s_y) ** 2
    nodes, log_weight = mesh(legendre(0, 0.8, 80), legendre(0.6, 0.9, 60))
    X = np.column_stack([np.ones(len(y)), floor])
    exact = posterior(
        y,
        X,
        1,
        np.unique(radon["county"], return_inverse=True)[1],
        np.linalg.solve(at_mean, [y.mean(), 0]),
        precision,
        nodes[:, :1],
        nodes[:, 1],
        log_weight - nodes.sum(1) / s_y,
    )
    fit = pp.fit("log_radon ~ floor + (1 | county)", radon, seed=11)
    assert_agrees(fit, exact, [0, 1, 20, 25, 69])


def test_individuals_under_uniform_priors():
    data = individuals()
    exact = of_individuals(data)
    priors = {"b": pp.Normal(0, 3), "sd_id": pp.Uniform(0, 10), "sigma": pp.Uniform(0, 10)}
    fit = pp.fit("y ~ x + (x || id)", data, priors=priors, seed=12)
    assert_agrees(fit, exact, [0, 6, 37, 74])


@pytest.fixture
def schools():
    """Quadrature for mu ~ N(0, 5), tau ~ half-Cauchy(5): uniform t where tau = 5 tan(πt/2)."""
    data = pp.datasets.eight_schools()
    se = data["se"].to_numpy()
    t, log_weight = legendre(0, 1, 400)
    return posterior(
        data["effect"].to_numpy() / se,
        1 / se[:, None],
        1,
        np.arange(8),
        np.zeros(1),
        np.eye(1) / 25,
        5 * np.tan(np.pi * t / 2)[:, None],
        np.ones(400),
        log_weight,
    )


def test_eight_schools_quadrature_gives_the_known_numbers(schools):
    (mu, mu_sd), (tau, tau_sd) = (
        (float(mean[0]), float(sd[0])) for mean, sd in (schools.b, schools.phi)
    )
    assert (round(mu, 3), round(mu_sd, 3)) == (4.397, 3.318)
    assert (round(tau, 3), round(tau_sd, 3)) == (3.598, 3.220)


def test_eight_schools(schools):
    fit = pp.fit(
        "effect ~ 1 + (1 | school)",
        pp.datasets.eight_schools(),
        priors={"b": pp.Normal(0, 5), "sd_school": pp.HalfCauchy(5)},
        se="se",
        draws=4000,
        seed=13,
    )
    assert_agrees(fit, schools, list(range(8)))
