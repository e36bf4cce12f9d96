"""Coefficients of levels over φ alone, population coefficients integrated out, by dense matrices.

Given φ, θ = (b, coefficients of all levels) is normal a priori and the rows are linear in it, so
its posterior is N(H⁻¹(AᵀDy + Pm), H⁻¹) with ``H = AᵀDA + P``; over φ, a mixture of these.
"""

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

import partialpool as pp
from helpers import covariance
from partialpool.engine import averaged, nodes
from partialpool.engine.averaged import Normals, coefficient_summaries

RNG = np.random.default_rng(31)
SIZES = [1, 6, 2, 9, 3]
J, G = len(SIZES), np.repeat(np.arange(5), SIZES)
N = len(G)
X, W = RNG.normal(1, 1, N), RNG.normal(size=N)
Y = 2 + X - 0.5 * W + RNG.normal(size=J)[G] * X + RNG.normal(size=N)
WEIGHTS, OFFSET, SE = RNG.uniform(0.3, 2, N), RNG.normal(size=N), RNG.uniform(0.4, 1.5, N)
DATA = {"y": Y, "x": X, "w": W, "g": G}
ONES = np.ones(N)
B = {"Intercept": (1.0, 3.0), "x": (0.5, 2.0), "w": (0.2, 0.7)}
COLUMNS = {"Intercept": ONES, "x": X, "w": W}
PARTIAL = {
    "intercepts": ("y ~ x + (1 | g)", ["Intercept", "x"], ["Intercept"], {}),
    "correlated": ("y ~ x + w + (x | g)", ["Intercept", "x", "w"], ["Intercept", "x"], {}),
    "independent": ("y ~ x + (x || g)", ["Intercept", "x"], ["Intercept", "x"], {}),
    "three": ("y ~ x + (x + w | g)", ["Intercept", "x"], ["Intercept", "x", "w"], {}),
    "no twin": ("y ~ 1 + (x | g)", ["Intercept"], ["Intercept", "x"], {}),
    "weights and offset": (
        "y ~ x + (x | g)",
        ["Intercept", "x"],
        ["Intercept", "x"],
        {"weights": WEIGHTS, "offset": OFFSET},
    ),
    "se": ("y ~ x + (x | g)", ["Intercept", "x"], ["Intercept", "x"], {"se": SE}),
}


def row_precision(options, sigma):
    if "se" in options:
        return 1 / SE**2
    return options.get("weights", ONES) / sigma**2


def posterior(design, prior_precision, prior_mean, precision, rest):
    """Mean and covariance of θ."""
    H = (design.T * precision) @ design + prior_precision
    cov = np.linalg.inv(H)
    return cov @ ((design.T * precision) @ rest + prior_precision @ prior_mean), cov


def of_levels(mean, cov, first, terms, shared):
    """Means and variances of b + r: (level, term)."""
    p, q = first, len(terms)
    means, variances = np.empty((J, q)), np.empty((J, q))
    for level in range(J):
        for k in range(q):
            pick = np.zeros(len(mean))
            pick[p + level * q + k] = 1.0
            if shared[k] is not None:
                pick[shared[k]] = 1.0
            means[level, k], variances[level, k] = pick @ mean, pick @ cov @ pick
    return means, variances


def random_columns(terms):
    Z = np.zeros((N, J * len(terms)))
    for k, term in enumerate(terms):
        Z[np.arange(N), G * len(terms) + k] = COLUMNS[term]
    return Z


def dense_partial(fit, columns, terms, options, sampled=()):
    """The same for every draw of φ: (draw, level, term), twice. `sampled` columns belong to φ."""
    run, q = fit.run, len(terms)
    own = [column for column in columns if column not in sampled]
    design = np.column_stack([COLUMNS[column] for column in own] + [random_columns(terms)])
    pairs = fit.model.groups[0].pairs
    s = run.chains * run.draws
    sd, cor, b = (a.reshape(s, -1) for a in (run.groups[0].sd, run.groups[0].cor, run.b))
    found = []
    for s in range(len(sd)):
        sigma = 1.0 if run.sigma is None else run.sigma.ravel()[s]
        inverse = np.linalg.inv(covariance(sd[s], cor[s], pairs))
        p = len(own)
        precision = np.zeros((p + J * q, p + J * q))
        precision[:p, :p] = np.diag([B[column][1] ** -2.0 for column in own])
        precision[p:, p:] = np.kron(np.eye(J), inverse)
        mean = np.array([B[column][0] for column in own] + [0.0] * (J * q))
        rest = Y - options.get("offset", 0)
        for column in sampled:
            rest = rest - COLUMNS[column] * b[s, columns.index(column)]
        theta = posterior(design, precision, mean, row_precision(options, sigma), rest)
        shared = [own.index(term) if term in own else None for term in terms]
        means, variances = of_levels(*theta, p, terms, shared)
        for k, term in enumerate(terms):
            if term in sampled:
                means[:, k] += b[s, columns.index(term)]
        found.append((means, variances))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def assert_mixture(summary, means, variances, weights=None):
    """Mean, sd and quantiles are those of the mixture of normals."""
    weights = np.full(len(means), 1 / len(means)) if weights is None else weights
    mean = np.einsum("s,sjk->jk", weights, means)
    variance = np.einsum("s,sjk->jk", weights, variances + (means - mean) ** 2)
    # Rounding, magnified by the condition of Σ in the reference.
    np.testing.assert_allclose(summary[..., 0], mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(summary[..., 1], np.sqrt(variance), rtol=1e-8)
    for k, p in ((2, 0.025), (3, 0.975)):
        # 1e-6 sds: the density in the tails is below 0.4 an sd.
        z = (summary[..., k] - means) / np.sqrt(variances)
        below = np.einsum("s,sjk->jk", weights, stats.norm.cdf(z))
        np.testing.assert_allclose(below, p, atol=1e-7)


def normal(name):
    return pp.Normal(*B[name])


@pytest.mark.parametrize("case", PARTIAL)
def test_partial_pooling(case):
    formula, columns, terms, options = PARTIAL[case]
    # Sds that keep Σ well conditioned, so that the dense reference can invert it.
    priors = {"sd_g": pp.LogNormal(0, 0.5)} | {f"b[{c}]": normal(c) for c in columns}
    fit = pp.fit(formula, DATA, priors=priors, seed=4, draws=60, chains=2, **options)
    means, variances = dense_partial(fit, columns, terms, options)
    assert_mixture(fit.level_summaries[0], means, variances)
    # One node by itself, and some with weights.
    picked, weights = np.array([3, 50, 77, 110, 111]), np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    at = Normals.at(fit.model, fit.run, 0, picked)
    some = at.summary(np.array([4, 0]), weights, (0.025, 0.975))
    assert_mixture(some, means[picked][:, [4, 0]], variances[picked][:, [4, 0]], weights)
    alone = at.take(np.array([2])).summary(np.arange(J), np.ones(1), (0.025, 0.975))
    assert_mixture(alone, means[[77]], variances[[77]])


def test_coefficients_that_are_sampled_belong_to_phi():
    formula, columns, terms, options = PARTIAL["correlated"]
    priors = {"sd_g": pp.LogNormal(0, 0.5)} | {f"b[{c}]": normal(c) for c in columns}
    priors |= {"b[x]": pp.StudentT(3, 0, 1), "b[w]": pp.Uniform(-3, 3)}
    fit = pp.fit(formula, DATA, priors=priors, seed=4, draws=60, chains=2, method="marginal")
    means, variances = dense_partial(fit, columns, terms, options, sampled=("x", "w"))
    assert_mixture(fit.level_summaries[0], means, variances)


def test_many_columns():
    # So many that the sums over levels are products of matrices (`Wide`).
    n, codes = 63, np.repeat(np.arange(J), [1, 22, 2, 29, 9])
    more = {f"v{k}": RNG.normal(size=n) for k in range(24)}
    y = 2 + RNG.normal(size=J)[codes] + RNG.normal(size=n)
    priors = {"sd_g": pp.LogNormal(0, 0.5), "b[Intercept]": normal("Intercept")}
    priors |= {f"b[{name}]": pp.Normal(0, 1) for name in more}
    formula = f"y ~ {' + '.join(more)} + (1 | g)"
    data = {"y": y, "g": codes} | more
    fit = pp.fit(formula, data, priors=priors, seed=4, draws=20, chains=2)
    dummies = (codes[:, None] == np.arange(J)).astype(float)
    design, found = np.column_stack([np.ones(n), *more.values(), dummies]), []
    for sd, sigma in zip(fit.run.groups[0].sd.ravel(), fit.run.sigma.ravel(), strict=True):
        precision = np.diag([1 / 9.0] + [1.0] * 24 + [sd**-2] * J)
        mean = np.array([1.0] + [0.0] * (24 + J))
        theta = posterior(design, precision, mean, np.ones(n) / sigma**2, y)
        found.append(of_levels(*theta, 25, ["Intercept"], [0]))
    means, variances = (np.array(part) for part in zip(*found, strict=True))
    assert_mixture(fit.level_summaries[0], means, variances)


def no_pooling(fit, prior_precision, prior_mean):
    """θ = (b[w], coef of all levels), draw by draw."""
    design, found = np.column_stack([W, random_columns(["Intercept", "x"])]), []
    for sigma in fit.run.sigma.ravel():
        theta = posterior(design, prior_precision, prior_mean, ONES / sigma**2, Y)
        found.append(of_levels(*theta, 1, ["Intercept", "x"], [None, None]))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def test_no_pooling_with_normal_priors():
    priors = {"coef_g[Intercept]": pp.Normal(1, 2), "coef_g[x]": pp.Normal(0.5, 1.5)}
    priors |= {"b[w]": normal("w")}
    fit = pp.fit(
        "y ~ x + w + (x | g)", DATA, pooling="none", priors=priors, seed=4, draws=60, chains=2
    )
    precision = np.diag([0.7**-2] + [2.0**-2, 1.5**-2] * J)
    means, variances = no_pooling(fit, precision, np.array([0.2] + [1, 0.5] * J))
    assert_mixture(fit.level_summaries[0], means, variances)


def test_no_pooling_with_flat_priors():
    priors = {"coef_g": pp.Flat(), "b[w]": normal("w")}
    fit = pp.fit(
        "y ~ x + w + (x | g)", DATA, pooling="none", priors=priors, seed=4, draws=60, chains=2
    )
    found = fit.level_summaries[0]
    # One row cannot tell two coefficients; next to nothing is known of them in the reference.
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()
    precision = np.diag([0.7**-2] + [1e-9] * (2 * J))
    means, variances = no_pooling(fit, precision, np.array([0.2] + [0.0] * (2 * J)))
    mean = means.mean(0)[1:]
    np.testing.assert_allclose(found[1:, :, 0], mean, rtol=1e-5, atol=1e-5)
    sd = np.sqrt((variances + (means - means.mean(0)) ** 2).mean(0))[1:]
    np.testing.assert_allclose(found[1:, :, 1], sd, rtol=1e-5)


def test_an_sd_at_zero_leaves_the_population():
    priors = {"sd_g": pp.LogNormal(0, 0.5)} | {f"b[{c}]": normal(c) for c in ("Intercept", "x")}
    fit = pp.fit("y ~ x + (x || g)", DATA, priors=priors, seed=4, draws=10, chains=2)
    drawn = fit.run.groups[0]
    for size in (0.0, 1e-160, 1e-9):
        none = replace(drawn, sd=drawn.sd * size, own=None)
        run = replace(fit.run, groups=(none,))
        group = replace(fit.model.groups[0], at_mean=False)
        found = coefficient_summaries(replace(fit.model, groups=(group,)), run, 0.95)[0]
        design, means, variances = np.column_stack([ONES, X]), [], []
        for sigma in run.sigma.ravel():
            mean, cov = posterior(
                design, np.diag([1 / 9, 1 / 4]), np.array([1, 0.5]), ONES / sigma**2, Y
            )
            means.append(np.tile(mean, (J, 1)))
            variances.append(np.tile(np.diag(cov), (J, 1)))
        assert_mixture(found, np.array(means), np.array(variances))


def test_the_number_of_threads_changes_nothing(monkeypatch):
    fit = pp.fit("y ~ x + w + (x | g)", DATA, seed=4, draws=100, chains=2)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(averaged.os, "cpu_count", lambda threads=threads: threads)
        found.append(coefficient_summaries(fit.model, fit.run, 0.95)[0])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_files_of_earlier_versions_average_over_draws_of_b_too(monkeypatch):
    """Their rows do not tell the priors: numbers are the same within Monte Carlo error."""
    fit = pp.fit("y ~ x + w + (x | g)", DATA, seed=4)
    new = fit.level_summaries[0]
    earlier = replace(fit.model, reduced=replace(fit.model.reduced, population=None))
    old = coefficient_summaries(earlier, fit.run, 0.95)[0]
    assert not np.array_equal(old, new)
    # 4,000 draws: standard errors of mean and sd are below 1.6% of the sd, of quantiles 4%.
    off = np.abs(old - new) / new[..., [1]]
    assert off[..., :2].max() < 4 * 0.016
    assert off[..., 2:].max() < 4 * 0.04
    # So it is where there are too many population coefficients to keep their covariances.
    monkeypatch.setattr(averaged, "MOST_NUMBERS", 100)
    drawn = coefficient_summaries(fit.model, fit.run, 0.95)[0]
    monkeypatch.setattr(nodes, "CHEAP", 10**9)
    np.testing.assert_allclose(drawn, coefficient_summaries(earlier, fit.run, 0.95)[0], rtol=1e-12)


def test_nodes_do_better_than_draws_of_b(monkeypatch):
    """Held against a long run: the average over nodes, and over the draws of (φ, b)."""
    formula, data = "y ~ x + (x | g)", DATA
    long = pp.fit(formula, data, seed=1, draws=20_000).level_summaries[0]
    errors = np.zeros(2)
    for seed in range(2, 10):
        fit = pp.fit(formula, data, seed=seed, draws=250)
        drawn = replace(fit.model, reduced=replace(fit.model.reduced, population=None))
        # φ has four dimensions: 60 nodes, degree 2.
        monkeypatch.setattr(nodes, "CHEAP", 0)
        new = coefficient_summaries(fit.model, fit.run, 0.95)[0]
        monkeypatch.setattr(nodes, "CHEAP", 10**9)
        old = coefficient_summaries(drawn, fit.run, 0.95)[0]
        for k, found in enumerate((new, old)):
            errors[k] += np.sum(((found - long) / long[..., [1]])[..., :2] ** 2)
    assert errors[0] < errors[1]
