"""Pooling factors against closed forms, and against conditionals of dense matrices."""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from partialpool.draws.pulled import pooling_factors
from partialpool.errors import InputError

FEW = {"chains": 2, "draws": 100, "warmup": 100, "seed": 1}


def grouped(counts, seed=1):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(counts)), counts)
    x = rng.normal(size=len(g))
    y = rng.normal(size=len(counts))[g] + 0.5 * x + rng.normal(size=len(g))
    return {"g": g, "x": x, "y": y, "w": rng.uniform(0.5, 4, len(g))}


def test_a_balanced_one_way_model_has_the_closed_form():
    data = grouped([7] * 12)
    fit = pp.fit("y ~ 1 + (1 | g)", data, **FEW)
    error, variance = fit.run.sigma.ravel() ** 2 / 7, fit.run.groups[0].sd.ravel() ** 2
    expected = np.mean(error / (error + variance))
    np.testing.assert_allclose(pooling_factors(fit, 0), expected)


def test_the_estimate_is_the_weighted_mean_that_the_factor_says():
    """Given sds and b, a level's mean is (1 − λ) · mean of its rows + λ · population."""
    data = grouped([1, 3, 10, 60])
    fit = pp.fit("y ~ 1 + (1 | g)", data, priors={"sigma": "Uniform(0.9999, 1.0001)"}, **FEW)
    factor = pooling_factors(fit, 0)[:, 0]
    own = np.array([data["y"][data["g"] == k].mean() for k in range(4)])
    sd = fit.run.groups[0].sd.ravel()
    b = fit.run.b.ravel()
    weight = 1 / (1 + sd[:, None] ** 2 * np.array([1, 3, 10, 60]))
    np.testing.assert_allclose(factor, weight.mean(axis=0), rtol=1e-3)
    mean = np.mean((1 - weight) * own + weight * b[:, None], axis=0)
    np.testing.assert_allclose(fit.coefficients()["mean"], mean, atol=0.15)


@pytest.mark.parametrize("bars", ["|", "||"])
def test_correlated_slopes_and_weights_against_dense_conditionals(bars):
    data = grouped([2, 5, 9, 30])
    fit = pp.fit(f"y ~ x + (x {bars} g)", data, weights="w", **FEW)
    drawn = fit.run.groups[0]
    sd, sigma = drawn.sd.reshape(-1, 2), fit.run.sigma.ravel()
    cor = drawn.cor.reshape(len(sd), -1)
    expected = np.zeros((4, 2))
    for s in range(len(sd)):
        rho = cor[s, 0] if cor.shape[1] else 0.0
        Sigma = np.outer(sd[s], sd[s]) * np.array([[1, rho], [rho, 1]])
        for k in range(4):
            rows = data["g"] == k
            Z = np.column_stack([np.ones(rows.sum()), data["x"][rows]])
            V = Z @ Sigma @ Z.T + sigma[s] ** 2 * np.diag(1 / data["w"][rows])
            left = Sigma - Sigma @ Z.T @ np.linalg.solve(V, Z @ Sigma)
            expected[k] += np.diag(left) / np.diag(Sigma) / len(sd)
    np.testing.assert_allclose(pooling_factors(fit, 0), expected, rtol=1e-6)


def test_known_errors_count():
    data = grouped([1] * 8)
    se = np.linspace(0.2, 2, 8)
    fit = pp.fit("y ~ 1 + (1 | g)", data, se=se, **FEW)
    variance = fit.run.groups[0].sd.ravel()[:, None] ** 2
    np.testing.assert_allclose(
        pooling_factors(fit, 0)[:, 0], np.mean(se**2 / (se**2 + variance), axis=0)
    )


def information(family, eta, fit):
    """Minus the second derivative of the log density, in closed form: (draw, row)."""
    if family == "poisson":
        return np.exp(eta)
    if family == "bernoulli":
        return stats.logistic.pdf(eta)
    sigma = fit.run.scalars["sigma"].reshape(-1, 1)  # lognormal: that of the logarithm
    return np.broadcast_to(1 / sigma**2, eta.shape)


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "lognormal"])
def test_rows_of_other_families_count_by_their_information(family):
    data = grouped([2, 5, 9, 30])
    rng = np.random.default_rng(2)
    data["y"] = {
        "poisson": rng.poisson(np.exp(data["y"] / 2)),
        "bernoulli": (data["y"] > 0).astype(int),
        "lognormal": np.exp(data["y"]),
    }[family]
    fit = pp.fit("y ~ x + (1 | g)", data, family=family, **FEW)
    coef = fit.group_draws().values.reshape(-1, 4)
    b = fit.run.b.reshape(-1, 2)
    eta = coef[:, data["g"]] + b[:, [1]] * data["x"]
    by_row = information(family, eta, fit)
    by_level = np.stack([by_row[:, data["g"] == k].sum(axis=1) for k in range(4)], axis=1)
    expected = np.mean(1 / (1 + fit.run.groups[0].sd.reshape(-1, 1) ** 2 * by_level), axis=0)
    np.testing.assert_allclose(pooling_factors(fit, 0)[:, 0], expected, rtol=1e-3)


def test_sigma_of_a_level_is_known_by_two_for_each_row():
    """The expected information of a normal row on log sigma is 2; over many rows that is met."""
    rng = np.random.default_rng(4)
    counts = np.array([400, 400, 800])
    g = np.repeat(np.arange(3), counts)
    data = {"g": g, "y": np.exp(np.array([0.0, 0.5, -0.5]))[g] * rng.normal(size=len(g))}
    fit = pp.fit("y ~ 1 + (1 | g)", data, sigma="~ 1 + (1 | g)", **FEW)
    k = [group.name for group in fit.model.groups].index("sigma_g")
    sd = fit.run.groups[k].sd.reshape(-1, 1)
    expected = np.mean(1 / (1 + sd**2 * 2 * counts), axis=0)
    np.testing.assert_allclose(pooling_factors(fit, k)[:, 0], expected, rtol=0.1)


def test_an_sd_of_zero_pools_completely_and_no_pooling_is_refused():
    data = grouped([4, 4, 4])
    fit = pp.fit("y ~ 1 + (1 | g)", data, **FEW)
    fit.run.groups[0].sd[:] = 0
    np.testing.assert_array_equal(pooling_factors(fit, 0), 1)
    none = pp.fit("y ~ 1 + (1 | g)", data, pooling="none", **FEW)
    with pytest.raises(InputError, match="no pooling"):
        pooling_factors(none, 0)
