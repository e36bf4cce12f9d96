"""The core's maximum without priors: a dense REML criterion, and what lme4 published for radon."""

import numpy as np
import pytest
from scipy import optimize

import partialpool as pp
from helpers import Dense, assert_moments, covariance, individuals, log_likelihood, model_of

FLAT = {"b": pp.Flat(), "sigma": pp.Flat()}


def maximise(core):
    """The maximum of the likelihood over u, from several starts: (constrained values, value)."""
    best = None
    for shift in (0.0, 0.8):
        found = optimize.minimize(
            lambda u: -log_likelihood(core, u),
            np.array(core.start()) + shift,
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000},
        )
        assert found.success
        best = found if best is None or found.fun < best.fun else best
    return core.constrain(best.x), -best.fun


def radon_reference(terms):
    radon = pp.datasets.radon()
    X = np.column_stack([np.ones(len(radon)), radon["floor"]])
    return Dense(radon["log_radon"].to_numpy(), X, X[:, :terms], radon["county"].to_numpy())


def test_lme4_intercepts():
    # lme4, REML: intercept 1.492, floor −0.663, county sd 0.315, residual sd 0.726.
    priors = FLAT | {"sd_county": pp.Flat()}
    core = model_of("log_radon ~ floor + (1 | county)", pp.datasets.radon(), priors).core
    at, _ = maximise(core)
    assert round(at["sd"][0], 3) == 0.315
    assert round(at["sigma"], 3) == 0.726
    b = radon_reference(1).gls(np.diag(at["sd"] ** 2), at["sigma"])
    assert b.round(3).tolist() == [1.492, -0.663]


def test_lme4_slopes():
    # lme4, REML: sds 0.337 and 0.328, correlation −0.37, residual sd 0.717.
    priors = FLAT | {"sd_county": pp.Flat(), "cor_county": pp.LKJ(1)}
    core = model_of("log_radon ~ floor + (floor | county)", pp.datasets.radon(), priors).core
    at, _ = maximise(core)
    assert at["sd"].round(3).tolist() == [0.337, 0.328]
    assert at["cor"].round(2).tolist() == [-0.37]
    assert round(at["sigma"], 3) == 0.717


def test_coefficients_at_the_maximum():
    # With φ pinned at lme4's estimates and flat b, the posterior of b is GLS, drawn exactly.
    priors = FLAT | {"sd_county": pp.Normal(0.315, 1e-6), "sigma": pp.Normal(0.726, 1e-6)}
    fit = pp.fit(
        "log_radon ~ floor + (1 | county)", pp.datasets.radon(), priors=priors, seed=1, draws=2000
    )
    dense = radon_reference(1)
    Sigma = np.array([[0.315**2]])
    information = dense.X.T @ np.linalg.solve(dense.V(Sigma, 0.726), dense.X)
    b = dense.gls(Sigma, 0.726)
    assert_moments(fit.run.b, b, np.sqrt(np.diag(np.linalg.inv(information))))


def dense_maximum(dense, q, correlated):
    """Maximise the dense criterion over log sds, tanh⁻¹ correlation and log sigma."""

    def negative(v):
        cor = np.tanh(v[q + 1 :])
        Sigma = covariance(np.exp(v[:q]), cor, [(0, 1)] if correlated else [])
        return -dense.log_restricted(Sigma, np.exp(v[q]))

    start = np.zeros(q + 1 + correlated)
    found = optimize.minimize(
        negative,
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000},
    )
    return np.exp(found.x[:q]), np.tanh(found.x[q + 1 :]), np.exp(found.x[q]), -found.fun


@pytest.mark.parametrize(
    ("term", "q", "correlated"), [("(1 | id)", 1, 0), ("(x || id)", 2, 0), ("(x | id)", 2, 1)]
)
def test_maximum_is_that_of_the_dense_criterion(term, q, correlated):
    data = individuals().query("id <= 12")
    priors = FLAT | {"sd_id": pp.Flat()} | ({"cor_id": pp.LKJ(1)} if correlated else {})
    core = model_of(f"y ~ x + {term}", data, priors).core
    X = np.column_stack([np.ones(len(data)), data["x"]])
    dense = Dense(data["y"].to_numpy(), X, X[:, :q], data["id"].to_numpy())
    sd, cor, sigma, value = dense_maximum(dense, q, correlated)
    at, reached = maximise(core)
    # The value is flat at its maximum: an error of 1e-6 in φ costs some 1e-11 of it. φ itself is
    # known to sqrt(rounding of the value) ~ sqrt(1e-13 · 100): 1e-5 with room.
    assert reached == pytest.approx(value, rel=1e-10)
    assert at["sd"] == pytest.approx(sd, rel=1e-5)
    assert at["cor"] == pytest.approx(cor, rel=1e-5)
    assert at["sigma"] == pytest.approx(sigma, rel=1e-5)
