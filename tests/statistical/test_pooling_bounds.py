"""Uniform priors on coefficients without pooling, where they bind: against brute-force quadrature.

Given sigma (and shared coefficients) the levels are independent, each a normal cut off at a box;
its integral over the box belongs to the posterior of sigma. Grids are fine enough that doubling
them changes nothing shown here; draws are compared within 5 Monte Carlo errors: a false alarm has
probability 6e-7 for each of some 100 numbers, and the seeds are fixed.
"""

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

import partialpool as pp
from conjugate import normalised
from helpers import assert_moments, individuals
from partialpool.engine.conditional import draws_within_bounds
from partialpool.engine.marginal import _sample
from partialpool.engine.sampling import Sampling
from quadrature import legendre, mesh, mixture

RNG = np.random.default_rng(41)
SIZES = [3, 4, 5, 6]
CODES = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(CODES), len(SIZES)
X = RNG.normal(0.5, 1, N)
Y = 1 - X + RNG.normal(0, 0.8, N)
DATA = {"y": Y, "x": X, "g": CODES}
WEIGHTS = RNG.uniform(0.3, 3, N)
RANGE = (0.3, 3.5)  # beyond it sigma has no mass worth a digit


def box(y, Z, bounds, sigma, count):
    """Integral of N(y | Z c, sigma²) over a box of two coefficients, and moments of c within it.

    Returns log integrals (node), means and variances (node, 2).
    """
    estimate = np.linalg.lstsq(Z, y, rcond=None)[0]
    rest = np.sum((y - Z @ estimate) ** 2)
    reach = 9 * sigma.max() * np.sqrt(np.diag(np.linalg.inv(Z.T @ Z)))
    low = np.maximum(bounds[:, 0], estimate - reach)
    high = np.minimum(bounds[:, 1], estimate + reach)
    nodes, log_weights = mesh(*(legendre(a, b, count) for a, b in zip(low, high, strict=True)))
    away = nodes - estimate
    square = np.einsum("na,ab,nb->n", away, Z.T @ Z, away)
    logs = log_weights - 0.5 * square / sigma[:, None] ** 2
    top = logs.max(axis=1, keepdims=True)
    mass = np.exp(logs - top)
    total = mass.sum(axis=1)
    mean = mass @ nodes / total[:, None]
    variance = mass @ nodes**2 / total[:, None] - mean**2
    log_integral = np.log(total) + top[:, 0] - 0.5 * rest / sigma**2 - len(y) * np.log(sigma)
    return log_integral, mean, variance


def posterior(y, x, codes, bounds, sigma, count):
    """Moments of sigma ~ U, and of lines within the box: (mean, sd) of sigma and (level, 2)."""
    nodes, log_weights = legendre(*sigma, 40)
    parts = []
    for level in range(codes.max() + 1):
        rows = codes == level
        Z = np.column_stack([np.ones(rows.sum()), x[rows]])
        parts.append(box(y[rows], Z, bounds, nodes, count))
    weights = normalised(log_weights + sum(part[0] for part in parts))
    assert max(weights[0], weights[-1]) < 1e-5, "sigma has mass outside"
    scale = mixture(weights, nodes[:, None], np.zeros((len(nodes), 1)))
    lines = [mixture(weights, mean, variance) for _, mean, variance in parts]
    return scale, tuple(np.concatenate(moment) for moment in zip(*lines, strict=True))


def share_kept(fit):
    """Share of the engine's draws within the bounds, before any is rejected."""
    sampling = Sampling(chains=2, draws=1000, warmup=500, seed=9, threads=1, progress=False)
    return draws_within_bounds(fit.model, _sample(fit.model, sampling)).mean()


def assert_agrees(fit, scale, lines):
    group = fit.model.sole_group
    draws = fit.draws["posterior"][f"coef_{group.name}"].to_numpy()
    assert draws.shape[:2] == (fit.run.chains, fit.run.draws) == fit.run.sigma.shape
    low, high = group.bounds.T
    assert np.all(draws >= low)
    assert np.all(draws <= high)
    assert_moments(fit.run.sigma[..., None], *scale)
    assert_moments(draws.reshape(*draws.shape[:2], -1), *lines)
    found = fit.coefficients()
    flat = draws.reshape(-1, draws.shape[2] * draws.shape[3])
    np.testing.assert_allclose(found["mean"], flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["upper"], np.quantile(flat, 0.975, axis=0), rtol=1e-12)


@pytest.mark.parametrize("reach", [17, 12])
def test_individuals(reach):
    # At 17 a single slope feels the bound (2.6 sds away); at 12 several do.
    data = individuals()
    priors = {"coef_id": pp.Uniform(-reach, reach), "sigma": pp.Uniform(0, 10)}
    fit = pp.fit("y ~ x + (x || id)", data, pooling="none", priors=priors, seed=1)
    y, x, codes = data["y"].to_numpy(), data["x"].to_numpy(), data["id"].to_numpy() - 1
    bounds = np.array([[-reach, reach]] * 2)
    scale, lines = posterior(y, x, codes, bounds, (1.5, 3.2), 60)
    assert 0.8 < share_kept(fit) < 0.999
    assert_agrees(fit, scale, lines)


TIGHT = {"coef_g[Intercept]": pp.Uniform(0.3, 1.7), "coef_g[x]": pp.Uniform(-2.0, -0.3)}


def test_a_third_of_the_draws_is_kept():
    priors = TIGHT | {"sigma": pp.Uniform(0, 5)}
    fit = pp.fit("y ~ x + (x | g)", DATA, pooling="none", priors=priors, draws=4000, seed=2)
    bounds = np.array([[0.3, 1.7], [-2.0, -0.3]])
    scale, lines = posterior(Y, X, CODES, bounds, RANGE, 60)
    assert 0.2 < share_kept(fit) < 0.4
    assert_agrees(fit, scale, lines)
    # The bounds tell of sigma: with level-by-level rejection it would have its unbounded mean.
    free = pp.fit("y ~ x + (x | g)", DATA, pooling="none",
                  priors={"coef_g": pp.Flat(), "sigma": pp.Uniform(0, 5)}, seed=2)  # fmt: skip
    assert abs(free.run.sigma.mean() - scale[0][0]) > 20 * fit.summary().loc["sigma", "mcse"]


def cut_normal(centre, unit, ends, span):
    """Mean and variance of a normal between two ends (in units from its centre)."""
    density = stats.norm.pdf(ends) / span
    shift = density[0] - density[1]
    spread = 1 + ends[0] * density[0] - ends[1] * density[1] - shift**2
    return (centre + unit * shift)[:, None], (unit**2 * spread)[:, None]


def test_bounds_beside_a_shared_column_and_weights():
    # coef ~ U(0.5, 1.4), b ~ N(-1, 0.5): a grid over (b, sigma); a level's integral over its
    # coefficient is a difference of normal distribution functions.
    low, high = 0.5, 1.4
    priors = {"coef_g": pp.Uniform(low, high), "b": pp.Normal(-1, 0.5), "sigma": pp.Uniform(0, 5)}
    fit = pp.fit("y ~ x + (1 | g)", DATA, pooling="none", priors=priors, weights=WEIGHTS,
                 draws=4000, seed=3)  # fmt: skip
    nodes, log_weights = mesh(legendre(-3, 1, 120), legendre(0.01, 5, 200))
    b, sigma = nodes.T
    total = log_weights + stats.norm(-1, 0.5).logpdf(b) - N * np.log(sigma)
    parts = []
    for level in range(J):
        rows = level == CODES
        w, y, x = WEIGHTS[rows], Y[rows], X[rows]
        rest = y - b[:, None] * x
        centre, unit = rest @ w / w.sum(), sigma / np.sqrt(w.sum())
        ends = [(end - centre) / unit for end in (low, high)]
        span = np.maximum(stats.norm.cdf(ends[1]) - stats.norm.cdf(ends[0]), 1e-300)
        total += np.log(span) + np.log(unit)
        total -= 0.5 * ((rest - centre[:, None]) ** 2 @ w) / sigma**2
        parts.append((centre, unit, ends, span))
    weights = normalised(total)
    keep = weights > 1e-14  # far outside its box the moments of a normal lose all digits
    weights = weights[keep] / weights[keep].sum()
    lines = [mixture(weights, *cut_normal(*(np.array(x)[..., keep] for x in p))) for p in parts]
    lines = tuple(np.concatenate(moment) for moment in zip(*lines, strict=True))
    scale = mixture(weights, nodes[keep], np.zeros_like(nodes[keep]))
    assert share_kept(fit) < 0.7
    assert_agrees(fit, tuple(moment[1:] for moment in scale), lines)
    assert_moments(fit.run.b, *(moment[:1] for moment in scale))


def test_bounds_that_hold_hardly_any_draw_need_nuts():
    priors = {"coef_g": pp.Uniform(5, 6)}
    options = {"pooling": "none", "priors": priors, "seed": 4}
    with pytest.raises(pp.EngineError, match="widen the bounds, or use method='nuts'"):
        pp.fit("y ~ x + (x | g)", DATA, method="marginal", **options)
    fit = pp.fit("y ~ x + (x | g)", DATA, **options)
    assert fit.method == "nuts"
    assert "of the draws have every coefficient within" in fit.method_reason
    coef = fit.run.groups[0].coef
    assert coef.min() > 5
    assert coef.max() < 6


def test_nuts_honours_bounds_as_rejecting_does():
    priors = {"coef_g[Intercept]": pp.Uniform(0.2, 1.9), "coef_g[x]": pp.Uniform(-2, 2)}
    options = {"pooling": "none", "priors": priors | {"sigma": pp.Uniform(0, 5)}, "seed": 6}
    whole = pp.fit("y ~ x + (x | g)", DATA, draws=4000, **options)
    joint = pp.fit("y ~ x + (x | g)", DATA, draws=4000, method="nuts", **options)
    for name in ("coef_g", "sigma"):
        one, other = whole.summary(name), joint.summary(name)
        error = np.hypot(one["mcse"], other["mcse"])
        assert np.all(np.abs(one["mean"] - other["mean"]) < 5 * error)


def test_one_bounded_and_one_flat_coefficient():
    priors = {"coef_g[Intercept]": pp.Uniform(0.2, 1.9), "coef_g[x]": pp.Flat()}
    priors |= {"sigma": pp.Uniform(0, 5)}
    fit = pp.fit("y ~ x + (x | g)", DATA, pooling="none", priors=priors, draws=4000, seed=5)
    bounds = np.array([[0.2, 1.9], [-np.inf, np.inf]])
    scale, lines = posterior(Y, X, CODES, bounds, RANGE, 160)
    assert share_kept(fit) < 0.9
    assert_agrees(fit, scale, lines)


def test_interrupted_runs_keep_only_draws_within_bounds(monkeypatch):
    def cut_short(model, sampling):
        return replace(_sample(model, sampling), interrupted=True)

    monkeypatch.setattr("partialpool.engine.marginal._sample", cut_short)
    priors = {"coef_id": pp.Uniform(-17, 17)}
    data, _ = pp.datasets.individuals()
    fit = pp.fit("y ~ x + (x || id)", data, pooling="none", priors=priors, seed=1)
    assert fit.run.draws < 1000
    assert np.abs(fit.run.groups[0].coef).max() <= 17
