"""Predictions and effects against what they should be on average, closed forms and quadrature.

Coverage: parameters are drawn from the prior and data from the model, so intervals cover at exactly
their nominal rate; the number of hits is binomial. A false alarm has probability below 1e-4 for
each of the counts. Monte Carlo errors: five of them, as in the other files.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import assert_moments
from partialpool.effects import levels
from partialpool.effects.levels import normal_nodes
from partialpool.effects.tabulated import Tabulated

SETS = 150
J, PER = 8, 5
QUICK = {"chains": 2, "draws": 250, "warmup": 250}
PRIORS = {
    "b[Intercept]": pp.Normal(0, 1),
    "b[x]": pp.Normal(0, 1),
    "sd_g[Intercept]": pp.HalfNormal(1),
    "sd_g[x]": pp.HalfNormal(0.5),
    "cor_g": pp.LKJ(1),
}


def truth(rng, levels):
    """Coefficients of levels, from parameters that are drawn from the prior."""
    b, sd = rng.normal(size=2), np.abs(rng.normal(size=2)) * [1, 0.5]
    correlation = rng.uniform(-1, 1)  # LKJ(1) of two columns
    root = np.array([[1, 0], [correlation, np.sqrt(1 - correlation**2)]])
    return b + (rng.normal(size=(levels, 2)) @ root.T) * sd


def assert_rate(hits, rate):
    low, high = stats.binom(len(hits), rate).ppf([5e-5, 1 - 5e-5])
    assert low <= sum(hits) <= high, f"{np.mean(hits):.3f} instead of {rate}"


def test_intervals_of_observations_cover_at_their_rate_for_known_and_new_groups():
    rng = np.random.default_rng(71)
    hits = {(level, rate): [] for level in ("known", "new") for rate in (0.5, 0.95)}
    for seed in range(SETS):
        coef, sigma = truth(rng, J + 1), abs(rng.normal())
        g, x = np.repeat(np.arange(J), PER), rng.normal(size=J * PER)
        y = coef[g, 0] + coef[g, 1] * x + sigma * rng.normal(size=J * PER)
        priors = PRIORS | {"sigma": pp.HalfNormal(1)}
        fit = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, priors=priors, seed=seed, **QUICK)
        at, new = np.array([0, J]), rng.normal(size=2)
        actual = coef[at, 0] + coef[at, 1] * new + sigma * rng.normal(size=2)
        for rate in (0.5, 0.95):
            p = fit.predict({"x": new, "g": at}, kind="observation", interval=rate)
            inside = (p["lower"] <= actual) & (actual <= p["upper"])
            for level, hit in zip(("known", "new"), inside, strict=True):
                hits[level, rate].append(hit)
    for (_, rate), own in hits.items():
        assert_rate(own, rate)


def test_counts_are_predicted_at_their_rate_for_known_and_new_groups():
    # Intervals of counts cover too often. With ties broken at random, the share of predicted counts
    # below the actual one is uniform.
    rng = np.random.default_rng(72)
    shares = {"known": [], "new": []}
    for seed in range(SETS):
        coef = truth(rng, J + 1)
        g, x = np.repeat(np.arange(J), PER), rng.uniform(-1, 1, size=J * PER)
        y = rng.poisson(np.exp(coef[g, 0] + coef[g, 1] * x))
        if np.ptp(y) == 0:
            continue
        fit = pp.fit(
            "y ~ x + (x | g)",
            {"y": y, "x": x, "g": g},
            family="poisson",
            priors=PRIORS,
            seed=seed,
            **QUICK,
        )
        at, new = np.array([3, J]), rng.uniform(-1, 1, size=2)
        actual = rng.poisson(np.exp(coef[at, 0] + coef[at, 1] * new))
        draws = fit.posterior_predictive({"x": new, "g": at}).to_numpy().reshape(-1, 2)
        below, equal = (draws < actual).mean(axis=0), (draws == actual).mean(axis=0)
        for level, share in zip(shares, below + rng.random(2) * equal, strict=True):
            shares[level].append(share)
    for own in shares.values():
        assert len(own) > 0.95 * SETS
        distance = np.abs(np.array(own) - 0.5)
        assert_rate(list(distance < 0.25), 0.5)
        assert_rate(list(distance < 0.475), 0.95)


@pytest.fixture(scope="module")
def radon():
    return pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=5)


def test_a_new_county_is_less_certain_than_any_that_is_known(radon):
    counties = [*radon.model.sole_group.levels.tolist(), 999]
    p = radon.predict({"floor": np.zeros(len(counties)), "county": counties})
    assert (p["sd"].iloc[:-1] < p["sd"].iloc[-1]).all()
    widths = p["upper"] - p["lower"]
    assert (widths.iloc[:-1] < widths.iloc[-1]).all()


def test_moments_of_new_counties(radon):
    # b + r with r ~ N(0, sd²): the variances add up.
    new = {"floor": [0, 0, 1], "county": [997, 998, 999]}
    draws = radon.posterior_predictive(new, kind="linear").to_numpy()
    b, sd = radon.run.b, radon.run.groups[0].sd[..., 0]
    at = np.stack([b[..., 0], b[..., 0], b[..., 0] + b[..., 1]], axis=-1)
    expected = np.sqrt(at.var(axis=(0, 1)) + np.mean(sd**2))
    assert_moments(draws - at, np.zeros(3), np.full(3, np.sqrt(np.mean(sd**2))))
    assert_moments(draws, at.mean(axis=(0, 1)), expected)
    # Two counties are two draws, and share the population alone.
    r = (draws - at).reshape(-1, 3)
    assert np.all(np.abs(np.corrcoef(r.T)[np.triu_indices(3, 1)]) < 5 / np.sqrt(len(r)))


def test_new_levels_have_the_correlation_of_the_population():
    rng = np.random.default_rng(73)
    g, x = np.repeat(np.arange(30), 6), rng.normal(size=180)
    r = rng.multivariate_normal([0, 0], [[1, -0.8], [-0.8, 1]], size=30)
    data = {"y": r[g, 0] + (1 + r[g, 1]) * x + 0.3 * rng.normal(size=180), "x": x, "g": g}
    fit = pp.fit("y ~ x + (x | g)", data, seed=3, draws=4000)
    ends = fit.posterior_predictive({"x": [0.0, 1.0], "g": [99, 99]}, kind="linear").to_numpy()
    b, drawn = fit.run.b, fit.run.groups[0]
    r0 = ends[..., 0] - b[..., 0]
    r1 = ends[..., 1] - ends[..., 0] - b[..., 1]
    covariance = drawn.cor[..., 0] * drawn.sd[..., 0] * drawn.sd[..., 1]
    assert_moments(np.stack([r0, r1], axis=-1), np.zeros(2), np.sqrt(np.mean(drawn.sd**2, (0, 1))))
    gap = (r0 * r1 - covariance).ravel()
    assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(gap.size)
    assert covariance.mean() < -0.4  # so the test would see a wrong sign


# --- Effects ------------------------------------------------------------------------------------

T = np.linspace(-10, 10, 4001)
NORMAL = np.exp(-(T**2) / 2)
NORMAL /= NORMAL.sum()  # the trapezoid rule, whose error is far below rounding here


def logistic(eta):
    return 1 / (1 + np.exp(-eta))


def over_population(f, eta, sd):
    """The average of f(eta + sd t) over a standard normal t, for every draw."""
    found = [NORMAL @ f(e + s * T) for e, s in zip(eta.ravel(), sd.ravel(), strict=True)]
    return np.reshape(found, eta.shape)


def assert_rows(frame, draws, rtol=1e-9):
    """Rows of effects against draws of what they summarise."""
    expected = np.stack([np.ravel(x) for x in draws])
    np.testing.assert_allclose(frame["mean"], expected.mean(axis=1), rtol)
    np.testing.assert_allclose(frame["sd"], expected.std(axis=1, ddof=1), rtol * 10)
    lower, upper = np.quantile(expected, [0.025, 0.975], axis=1)
    np.testing.assert_allclose(frame["lower"], lower, rtol * 10)
    np.testing.assert_allclose(frame["upper"], upper, rtol * 10)


def grouped(seed=74, n=160, levels=16):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), n // levels)
    x, z = rng.normal(size=n), rng.normal(1, 2, size=n)
    eta = 0.5 + 0.8 * x - 0.3 * z + 1.2 * rng.normal(size=levels)[g]
    return rng, {"x": x, "z": z, "g": g}, eta


def test_effects_of_a_linear_model():
    rng, data, eta = grouped()
    data["y"] = eta + rng.normal(size=len(eta))
    fit = pp.fit("y ~ x * z + (x | g)", data, seed=1, draws=300)
    found = fit.effects("x", {"x": [-1.0, 0.5, 2.0]})
    b0, bx, bz, bxz = np.moveaxis(fit.run.b, 2, 0)
    z = data["z"].mean()
    level = [b0 + bx * v + (bz + bxz * v) * z for v in (-1.0, 0.5, 2.0)]
    slope = bx + bxz * z
    assert_rows(found, [*level, 1.5 * slope, 3 * slope, slope])
    assert found["quantity"].tolist() == ["prediction"] * 3 + ["contrast"] * 2 + ["slope"]
    assert found["reference"].tolist()[3:5] == [-1.0, -1.0]
    at = fit.effects("x", {"x": [0, 1], "z": -2.0}, groups="none")
    assert_rows(at, [b0 - 2 * bz, b0 + bx - 2 * (bz + bxz), bx - 2 * bxz, bx - 2 * bxz])


@pytest.fixture(scope="module")
def logit():
    rng, data, eta = grouped()
    data["y"] = rng.random(len(eta)) < logistic(eta)
    fit = pp.fit("y ~ x + (1 | g)", data, family="bernoulli", seed=2, chains=2, draws=60)
    assert fit.run.groups[0].sd.max() > 1.5  # where quadrature is not easy
    return fit, data


def test_effects_of_a_logit_model_over_the_population(logit):
    fit, data = logit
    b0, b1 = np.moveaxis(fit.run.b, 2, 0)
    sd = fit.run.groups[0].sd[..., 0]
    found = fit.effects("x", {"x": [0.0, 1.5]})
    low, high = (over_population(logistic, b0 + b1 * v, sd) for v in (0.0, 1.5))

    def density(eta):
        return logistic(eta) * (1 - logistic(eta))

    slope = np.mean([b1 * over_population(density, b0 + b1 * v, sd) for v in data["x"]], axis=0)
    assert_rows(found.iloc[:3], [low, high, high - low], 1e-6)
    assert_rows(found.iloc[3:], [slope], 1e-6)
    assert "trapezoid rule" in found.attrs["groups"]


def test_effects_of_a_logit_model_without_groups(logit):
    fit, data = logit
    b0, b1 = np.moveaxis(fit.run.b, 2, 0)
    found = fit.effects("x", {"x": [0.0, 1.5]}, groups="none")
    low, high = logistic(b0), logistic(b0 + 1.5 * b1)
    p = logistic(b0[..., None] + b1[..., None] * data["x"])
    assert_rows(found.iloc[:3], [low, high, high - low])
    # At the two ends of x the difference is one-sided, off by 1e-4 of a curvature.
    assert_rows(found.iloc[3:], [b1 * (p * (1 - p)).mean(axis=-1)], 1e-6)


@pytest.mark.parametrize("family", ["poisson", "lognormal", "probit"])
def test_closed_forms_over_the_population(family):
    # The population of x's own coefficients: the variance changes along x.
    rng, data, eta = grouped(75)
    options = {"family": family}
    if family == "probit":
        options = {"family": "bernoulli", "link": "probit"}
        data["y"], f = eta + rng.normal(size=len(eta)) > 0, stats.norm.cdf
    elif family == "poisson":
        data["y"], f = rng.poisson(np.exp(eta)), np.exp
    else:
        data["y"], f = np.exp(eta + rng.normal(size=len(eta))), np.exp
    fit = pp.fit("y ~ x + (x | g)", data, seed=2, chains=2, draws=40, **options)
    b0, b1 = np.moveaxis(fit.run.b, 2, 0)
    drawn = fit.run.groups[0]
    s0, s1, cor = drawn.sd[..., 0], drawn.sd[..., 1], drawn.cor[..., 0]
    factor = np.exp(fit.run.sigma**2 / 2) if family == "lognormal" else 1.0
    expected = [
        factor
        * over_population(f, b0 + b1 * v, np.sqrt(s0**2 + v**2 * s1**2 + 2 * v * cor * s0 * s1))
        for v in (-1.0, 0.5)
    ]
    found = fit.effects("x", {"x": [-1.0, 0.5]})
    assert_rows(found.iloc[:2], expected, 1e-8)
    assert "closed form" in found.attrs["groups"]


LINKS = {
    "logit": logistic,
    "probit": stats.norm.cdf,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    # A hurdle's mean, μ/(1 − exp(−μ)), relative to its size.
    "log": lambda eta: np.exp(eta) / -np.expm1(-np.exp(eta)),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("sd", [0.0, 0.3, 1.0, 2.5, 6.0, 15.0])
def test_quadrature_over_the_population(link, sd):
    t = np.linspace(-12 - sd, 12 + sd, 400_001)
    fine = np.exp(-(t**2) / 2) * (t[1] - t[0]) / np.sqrt(2 * np.pi)
    nodes, weights = normal_nodes(sd, link)
    with np.errstate(over="ignore"):
        for eta in (-6.0, -1.0, 0.0, 2.5):
            exact = fine @ LINKS[link](eta + sd * t)
            found = weights @ LINKS[link](eta + sd * nodes)
            assert abs(found - exact) < 3e-7 * max(1, exact)


@pytest.mark.parametrize("family", ["bernoulli", "cumulative", "hurdle_poisson"])
def test_integrals_that_are_looked_up_are_those_row_by_row(family, monkeypatch):
    rng, data, eta = grouped(76, n=480)
    data["t"] = rng.integers(0, 2, len(eta))  # two variances
    data["y"] = {
        "bernoulli": lambda: rng.random(len(eta)) < logistic(eta),
        "cumulative": lambda: np.digitize(eta + rng.logistic(size=len(eta)), [-1, 1]),
        "hurdle_poisson": lambda: rng.poisson(np.exp(eta / 2)),
    }[family]()
    formula = "y ~ x + z + (0 + t | g)" if family == "bernoulli" else "y ~ x + z + (1 | g)"
    fit = pp.fit(formula, data, family=family, seed=3, chains=1, draws=20)
    kind = "probability" if family == "cumulative" else "mean"
    tables = []

    def tabulated(*args):
        tables.append(Tabulated(*args))
        return tables[-1]

    monkeypatch.setattr(levels, "Tabulated", tabulated)
    found = fit.effects("x", {"x": [0.0, 1.5]}, kind=kind)
    assert len(tables) >= 3
    monkeypatch.setattr(levels, "FEW_ROWS", len(eta))
    expected = fit.effects("x", {"x": [0.0, 1.5]}, kind=kind)
    np.testing.assert_allclose(
        found.iloc[:, 3:7].astype(float), expected.iloc[:, 3:7].astype(float), rtol=1e-8
    )
