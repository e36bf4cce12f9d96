"""How often checks blame a model that made the data, and how often they find one that did not."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.figures.bands import ROOT_MEAN, ROOT_VARIANCE, smoother

QUICK = {"chains": 1, "draws": 300, "warmup": 300}


def made(family, seed):
    """Data from a model of this family with parameters near the centre of its default priors."""
    rng = np.random.default_rng(seed)
    n, g = 120, np.arange(120) % 10
    x = rng.normal(size=n)
    eta = 0.5 + 0.4 * x + 0.5 * rng.normal(size=10)[g]
    y = {
        "gaussian": lambda: eta + rng.normal(size=n),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "bernoulli": lambda: (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int),
    }[family]()
    return {"y": y, "x": x, "g": g}


@pytest.mark.parametrize("family", ["gaussian", "poisson", "bernoulli"])
def test_false_alarms_are_rare(family):
    """Predictive p-values are drawn to ½, so that fewer than 2% of each statistic are extreme."""
    alarms, p = 0, []
    for seed in range(40):
        fit = pp.fit("y ~ x + (1 | g)", made(family, seed), family=family, seed=seed, **QUICK)
        found = fit.check(draws=300)
        alarms += bool(found.findings)
        p.append(found.table["p"].to_numpy())
    # None with these seeds: all but the extremes are fitted, far below the nominal 2%.
    assert alarms <= 2
    p = np.array(p)
    # Mean and sd are fitted, so their p-values lie close around a half.
    assert np.abs(p[:, 0] - 0.5).max() < 0.35
    assert np.abs(p.mean(axis=0) - 0.5).max() < 0.2


def test_too_much_spread_is_nearly_always_found():
    found = 0
    for seed in range(15):
        data = made("poisson", seed)
        rng = np.random.default_rng(seed + 100)
        data["y"] = rng.poisson(data["y"] * rng.gamma(1, 1, 120))
        fit = pp.fit("y ~ x + (1 | g)", data, family="poisson", seed=seed, **QUICK)
        found += bool(fit.check(draws=300).findings)
    assert found >= 14


def few_rows(family, seed):
    """Data in which fitted values lean towards their own responses: many levels have few rows."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(60), np.maximum(1, rng.poisson(rng.gamma(0.8, 6, 60))))
    x = rng.normal(size=len(g))
    eta = 0.5 + 0.4 * x + 0.5 * rng.normal(size=60)[g]
    y = eta + rng.normal(size=len(g)) if family == "gaussian" else rng.poisson(np.exp(eta))
    return {"y": y, "x": x, "g": g}


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_residuals_show_no_trend_where_there_is_none(family):
    """A band holds the whole trend in 95% of data sets; by fitted values half would leave it."""
    worlds = 40 if family == "gaussian" else 20
    left = np.zeros(2)
    for seed in range(worlds):
        fit = pp.fit("y ~ x + (1 | g)", few_rows(family, seed), family=family, seed=seed, **QUICK)
        r, expected = fit.residuals()["residual"].to_numpy(), fit.loo().mean
        smooth = smoother(expected)
        left[0] += smooth.trend(r).strength > 1
        sizes = smooth.trend(np.sqrt(np.abs(r)), ROOT_MEAN, ROOT_VARIANCE)
        left[1] += sizes.strength > 1
    assert (left <= 0.05 * worlds + 3.5 * np.sqrt(0.05 * 0.95 * worlds)).all()
