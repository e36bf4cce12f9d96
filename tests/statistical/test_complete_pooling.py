"""Complete pooling against ordinary regression, and partial pooling at its two limits.

References integrate over sigma (and what else has no closed form) by quadrature. Draws are compared
within 5 Monte Carlo errors: a false alarm has probability 6e-7 for each of some 150 numbers, and
the seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from conjugate import by_level, normalised, regression
from helpers import assert_moments
from partialpool.datasets import individuals as individuals_and_truth
from quadrature import legendre, mesh, mixture, of_individuals

RNG = np.random.default_rng(51)
SIZES = [3, 4, 5, 8, 6]
CODES = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(CODES), len(SIZES)
X = RNG.normal(1.5, 1, N)
Y = 2 - X + np.repeat(RNG.normal(0, 1, J), SIZES) + RNG.normal(0, 1.2, N)
DATA = {"y": Y, "x": X, "g": CODES}
LINE = np.column_stack([np.ones(N), X])
WEIGHTS, OFFSET, SE = RNG.uniform(0.3, 3, N), RNG.normal(3, 2, N), RNG.uniform(0.5, 2, N)
OPTIONS = {
    "plain": {},
    "weights and offset": {"weights": WEIGHTS, "offset": OFFSET},
    "se and offset": {"se": SE, "offset": OFFSET},
}
S_X = X.std(ddof=1)


def exponential(rate):
    return lambda sigma: -rate * sigma


def complete(priors, formula="y ~ x + (x | g)", **options):
    return pp.fit(formula, DATA, pooling="complete", priors=priors, seed=1, **options)


def assert_agrees(fit, exact):
    assert_moments(fit.run.b, *exact.coefficients)
    if fit.run.sigma is not None:
        assert_moments(fit.run.sigma[..., None], *exact.scale)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("prior", ["default", "normal", "flat"])
def test_conjugate_regression(prior, name):
    options = OPTIONS[name]
    y = Y - options.get("offset", 0.0)
    s_y = y.std(ddof=1)
    mean = precision = None
    if prior == "default":
        # a = b₀ + mean(x) b₁ ~ N(ȳ, 2.5 s_y), b₁ ~ N(0, 2.5 s_y / s_x)
        at_mean = np.array([[1.0, X.mean()], [0.0, 1.0]])
        mean = np.linalg.solve(at_mean, [y.mean(), 0])
        precision = at_mean.T @ np.diag([1, S_X**2]) @ at_mean / (2.5 * s_y) ** 2
    elif prior == "normal":
        mean, precision = np.array([1.0, -0.2]), np.diag([1 / 0.5**2, 1 / 0.3**2])
    priors = {
        "default": {},
        "normal": {"b[Intercept]": pp.Normal(1, 0.5), "b[x]": pp.Normal(-0.2, 0.3)},
        "flat": {"b": pp.Flat()},
    }[prior]
    log_prior = None if "se" in options else exponential(1 / s_y)
    rows = 1 / SE**2 if "se" in options else options.get("weights")
    exact = regression(LINE, y, log_prior, mean=mean, precision=precision, row_precision=rows)
    fit = complete(priors, **options)
    assert fit.coefficients().empty
    assert [name for name in fit.summary().index if not name.startswith("b[")] == (
        [] if "se" in options else ["sigma"]
    )
    assert_agrees(fit, exact)


def test_grid_of_student_and_uniform_priors_of_slope_and_intercept():
    # Both on the actual coefficients: a grid over (b₀, b₁, sigma), the last summed at once.
    priors = {"b[Intercept]": pp.StudentT(3, 1, 0.4), "b[x]": pp.Uniform(-0.9, 0.5),
              "sigma": pp.Exponential(0.5)}  # fmt: skip
    nodes, log_weights = mesh(legendre(-4, 5, 160), legendre(-0.9, 0.5, 80), legendre(0.4, 6, 80))
    b, sigma = nodes[:, :2], nodes[:, 2]
    least = np.linalg.lstsq(LINE, Y, rcond=None)[0]
    away = b - least
    rest = np.sum((Y - LINE @ least) ** 2) + np.einsum("na,ab,nb->n", away, LINE.T @ LINE, away)
    logs = log_weights + stats.t(3, 1, 0.4).logpdf(b[:, 0]) - 0.5 * sigma
    weights = normalised(logs - N * np.log(sigma) - 0.5 * rest / sigma**2)
    mean, sd = mixture(weights, nodes, np.zeros_like(nodes))
    fit = complete(priors)
    assert fit.run.b[..., 1].min() > -0.9
    assert mean[1] - 2.5 * sd[1] < -0.9  # the bound is felt
    assert_moments(np.concatenate([fit.run.b, fit.run.sigma[..., None]], axis=2), mean, sd)


def test_student_slope_beside_the_default_intercept():
    # The intercept at the mean is independent of the slope: it integrates out, two dimensions stay.
    s_y, centred = Y.std(ddof=1), X - X.mean()
    nodes, log_weights = mesh(legendre(-4, 3, 200), legendre(0.4, 6, 120))
    slope, sigma = nodes.T
    variance = (2.5 * s_y) ** 2 + sigma**2 / N  # of ȳ, which is all that a's prior touches
    logs = log_weights + stats.t(4, 0.5, 0.3).logpdf(slope) - sigma / s_y
    rest = (centred @ centred) * (slope - centred @ Y / (centred @ centred)) ** 2
    rest = rest + np.sum((Y - Y.mean()) ** 2) - (centred @ Y) ** 2 / (centred @ centred)
    logs += -(N - 1) * np.log(sigma) - 0.5 * rest / sigma**2 - 0.5 * np.log(variance)
    weights = normalised(logs)
    # The prior of a is centred at ȳ, so a | sigma ~ N(ȳ, ·); b₀ = a − mean(x) b₁.
    within = 1 / (1 / (2.5 * s_y) ** 2 + N / sigma**2)
    intercept = mixture(weights, (Y.mean() - X.mean() * slope)[:, None], within[:, None])
    slope_sigma = mixture(weights, nodes, np.zeros_like(nodes))
    exact = [np.concatenate(pair) for pair in zip(intercept, slope_sigma, strict=True)]
    fit = complete({"b[x]": pp.StudentT(4, 0.5, 0.3)})
    assert_moments(np.concatenate([fit.run.b, fit.run.sigma[..., None]], axis=2), *exact)


def test_group_terms_without_a_twin_vanish_with_a_finding():
    fit = complete({}, "y ~ 1 + (x | g)")
    assert fit.model.columns == ("Intercept",)
    (finding,) = fit.findings
    assert (finding.code, finding.level) == ("vanished-terms", "info")
    assert "x of g" in finding.message
    assert "Intercept of g" not in finding.message
    y = Y.std(ddof=1)
    exact = regression(LINE[:, :1], Y, exponential(1 / y), mean=np.array([Y.mean()]),
                       precision=np.array([[1 / (2.5 * y) ** 2]]))  # fmt: skip
    assert_agrees(fit, exact)


# --- Partial pooling between the two ------------------------------------------------------------

SHORT = {"b": pp.Normal(1, 2), "sigma": pp.Exponential(0.5)}
PRIOR = {"mean": np.array([1.0, 1.0]), "precision": np.eye(2) / 4}


@pytest.mark.parametrize("group", ["(x | g)", "(x || g)"])
def test_small_sds_give_complete_pooling(group):
    priors = SHORT | {"sd_g": pp.Uniform(1e-6, 2e-6)}
    fit = pp.fit(f"y ~ x + {group}", DATA, priors=priors, seed=2)
    exact = regression(LINE, Y, exponential(0.5), **PRIOR)
    assert_agrees(fit, exact)
    # Deviations of sd 2e-6 average out to some 1e-7 of it; 1e-5 is beyond any.
    r = fit.draws["posterior"]["r_g"].to_numpy()
    assert np.abs(r).max() < 2e-5
    means = fit.coefficients()["mean"].to_numpy().reshape(J, 2)
    mean, sd = exact.coefficients
    # b is integrated out, so that 4,000 draws of sigma leave less than a tenth of its own error.
    assert np.abs((means - mean) / sd).max() < 5 * 0.1 / np.sqrt(4000)
    np.testing.assert_allclose(means, np.tile(means[0], (J, 1)), atol=1e-5)


# Deviations far below their sds make a covariance near singularity likely: keep from it.
@pytest.mark.parametrize("cor", [None, pp.Uniform(-0.9, 0.9)])
def test_large_sds_give_no_pooling(cor):
    group = "(x | g)" if cor else "(x || g)"
    priors = SHORT | {"sd_g": pp.Uniform(1e3, 1e3 + 1)} | ({"cor_g": cor} if cor else {})
    fit = pp.fit(f"y ~ x + {group}", DATA, priors=priors, seed=3)
    D = by_level(LINE, CODES)
    exact = regression(D, Y, exponential(0.5))
    assert_moments(fit.run.sigma[..., None], *exact.scale)
    mean, sd = exact.coefficients
    found = fit.coefficients()
    # Levels are drawn towards b by sigma²(ZᵀZ)⁻¹Σ⁻¹ of their distance: at most 5² (posterior
    # variances over 1000²) of a distance of some 10, times 1/(1 − 0.9²).
    assert sd.max() < 5
    np.testing.assert_allclose(found["mean"], mean, atol=25e-6 * 10 * 5.3)
    draws = fit.draws["posterior"]["coef_g"].to_numpy().reshape(4, 1000, 2 * J)
    assert_moments(draws, mean, sd)


def test_in_between_lies_partial_pooling():
    # The limits are told apart from what they limit.
    wide, middle, narrow = (
        pp.fit("y ~ x + (x || g)", DATA, priors=SHORT | {"sd_g": pp.Uniform(s, 1.01 * s)}, seed=4)
        for s in (1e3, 0.5, 1e-6)
    )
    spread = [fit.coefficients()["mean"].to_numpy()[::2].std() for fit in (wide, middle, narrow)]
    assert spread[0] > 1.2 * spread[1] > 1.44 * spread[2]


def test_error_of_the_hierarchical_model_on_the_individuals():
    data, truth = individuals_and_truth()
    true = truth.sort_values("id")[["Intercept", "x"]].to_numpy()
    exact = of_individuals(data)
    expected = np.sqrt(np.mean((exact.coefficients[0] - true) ** 2, axis=0))
    np.testing.assert_allclose(expected, [0.736, 0.764], atol=1e-3)
    priors = {"b": pp.Normal(0, 3), "sd_id": pp.Uniform(0, 10), "sigma": pp.Uniform(0, 10)}
    fit = pp.fit("y ~ x + (x || id)", data, priors=priors, seed=5)
    error = fit.coefficients()["mean"].to_numpy().reshape(75, 2) - true
    np.testing.assert_allclose(np.sqrt(np.mean(error**2, axis=0)), expected, atol=0.01)
