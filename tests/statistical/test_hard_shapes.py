"""Densities of hard shapes: both explorers against sums over a grid of the density itself.

Shares of draws below points of the grid are compared: they see tails, and are finite whatever these
are like. An explorer may refuse (no certificate, then NUTS on the density takes over), but what it
draws has to be right. Where φ has too many dimensions for a grid, NUTS on the same density stands
for it. Seeds are fixed; z is at most 4.5 for some thousand comparisons.
"""

import numpy as np
import pytest

from helpers import model_of
from partialpool.draws.diagnostics import diagnose
from partialpool.engine.sampling import Sampling

Z = 4.5
CELL = 2e-3  # what the cells of a grid leave of a share
SHARES = (0.02, 0.2, 0.5, 0.8, 0.98)


def factors(seed, levels, rows, sds, sigma, balanced=False):
    """Crossed factors a and c with these sds."""
    rng = np.random.default_rng(seed)
    if balanced:
        codes = [np.arange(rows) % levels[0], np.arange(rows) // levels[0] % levels[1]]
    else:
        codes = [np.r_[np.arange(J), rng.integers(0, J, rows - J)] for J in levels]
    x, noise = rng.normal(size=(2, rows))
    y = 1 + 0.3 * x + sigma * noise
    for own, J, sd in zip(codes, levels, sds, strict=True):
        deviation = rng.normal(size=J)
        y = y + sd * ((deviation - deviation.mean()) / deviation.std())[own]
    return {"y": y, "x": x, "a": codes[0], "c": codes[1]}


def below_expectation():
    """Six batches of five, whose means differ less than noise alone would let them (Dyestuff2)."""
    rng = np.random.default_rng(22)
    batch = np.repeat(np.arange(6), 5)
    noise = rng.normal(size=30)
    means = np.bincount(batch, noise) / 5
    return {"y": 5.7 + 3.7 * (noise - 0.8 * means[batch]), "a": batch}


def core_of(formula, data, priors=None, **options):
    return model_of(formula, data, priors, **options).core


def sampled(core, design, draws=4000, surrogate=True):
    asked = Sampling(draws=draws, seed=7, threads=2, warmup_given=True)
    raw = core.sample(asked=asked, progress=None, surrogate=surrogate, design=design)
    return np.stack([chain["outputs"] for chain in raw["chains"]]), raw["design"]


def values_at(core, k, at):
    """Parameter k of (sds, correlations, sigma, sampled) along the coordinate that moves it."""
    found = []
    for x in at:
        u = np.zeros(core.dim)
        u[k] = x
        point = core.constrain(u)
        every = [*point["sd"], *point["cor"], *([point["sigma"]] if core.dim > k else [])]
        found.append(every[k])
    return np.array(found)


def axis(core, k, draws, count):
    """Midpoints along a coordinate wherever there is any mass, and values between the cells.

    Negative sds are mirror images of positive ones.
    """
    signed = values_at(core, k, [-1.0])[0] == values_at(core, k, [1.0])[0]
    rough = np.linspace(0 if signed else -40, 40, 2001)
    value = values_at(core, k, rough)
    rising = np.r_[True, np.diff(value) > 0]
    ends = np.quantile(draws, [2e-4, 1 - 2e-4])
    low, high = np.interp(ends, value[rising], rough[rising])
    wide = 0.25 * (high - low)
    low = max(low - wide, 0.0) if signed else low - wide
    edges = np.linspace(low, high + wide, count + 1)
    return (edges[1:] + edges[:-1]) / 2, values_at(core, k, edges[1:])


def marginals(core, draws, count):
    """Of each parameter: values between cells, and the share of the mass below."""
    axes = [axis(core, k, draws[..., k], count) for k in range(core.dim)]
    mesh = np.stack(np.meshgrid(*(at for at, _ in axes), indexing="ij"), axis=-1)
    logp = np.array([core.logp_and_grad(u)[0] for u in mesh.reshape(-1, core.dim)])
    weight = np.exp(logp - logp.max()).reshape(mesh.shape[:-1])
    weight /= weight.sum()
    others = [tuple(j for j in range(core.dim) if j != k) for k in range(core.dim)]
    return [(edges, np.cumsum(weight.sum(axis=rest)))
            for (_, edges), rest in zip(axes, others, strict=True)]  # fmt: skip


def assert_shares(draws, known):
    """Shares of draws (chain, draw, parameter) below what marginals say."""
    for k, (edges, share) in enumerate(known):
        for wanted in SHARES:
            at = int(np.searchsorted(share, wanted))
            below = (draws[..., k] < edges[at]).astype(float)
            ess = float(diagnose(below[..., None])["ess_bulk"][0])
            error = np.hypot(np.sqrt(share[at] * (1 - share[at]) / ess), CELL)
            assert abs(below.mean() - share[at]) < Z * error, (k, wanted, below.mean(), share[at])


CROSSED = "y ~ x + (1 | a) + (1 | c)"
SHAPES = {
    "Dyestuff2": ("y ~ 1 + (1 | a)", below_expectation(), {}),
    "both at 0": (CROSSED, factors(1, (8, 6), 90, (0, 0), 1.0), {}),
    "one at 0": (CROSSED, factors(2, (8, 6), 90, (0.8, 0), 1.0), {}),
    "three levels": (CROSSED, factors(3, (3, 3), 40, (0.8, 0.5), 1.0), {}),
    "two levels": (CROSSED, factors(4, (2, 9), 40, (0.8, 0.5), 1.0), {"sd_a": "halfcauchy(1)"}),
    "sigma near 0": (CROSSED, factors(5, (9, 7), 90, (1.0, 0.6), 1e-3), {}),
    "needle": (CROSSED, factors(6, (12, 10), 1_000_000, (1.0, 0.6), 1.0), {}),
    "needle of one factor": (
        "y ~ x + (1 | a)", factors(7, (300, 2), 1_000_000, (0.5, 0), 1.0), {}
    ),
    "a level a row": (CROSSED, factors(8, (60, 8), 66, (0.7, 0.7), 0.7), {}),
    "balanced": (CROSSED, factors(9, (24, 6), 144, (0.8, 1.9), 0.55, balanced=True), {}),
    "uniform": (
        CROSSED, factors(10, (8, 6), 90, (0.8, 0.3), 1.0),
        {"sd_a": "uniform(0, 1)", "sd_c": "uniform(0.2, 0.6)", "sigma": "uniform(0.5, 1.05)"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shares_are_those_of_the_density(name):
    formula, data, priors = SHAPES[name]
    core = core_of(formula, data, priors)
    walked, _ = sampled(core, design=None)
    designed, _ = sampled(core, design=True)
    # Within bounds, densities fall off slowly in the coordinates of the grid.
    count = 60 if core.dim == 2 else 36 if name == "uniform" else 24
    known = marginals(core, np.concatenate([walked, designed]), count)
    assert_shares(walked, known)
    assert_shares(designed, known)


# What a scale may have as its prior; the last two say something else than the data.
PRIORS = {
    "exponential": "exponential(2)",
    "half-normal": "halfnormal(0.7)",
    "half-Student": "halfstudent_t(3, 0.5)",
    "half-Cauchy": "halfcauchy(0.5)",
    "normal": "normal(0.3, 0.5)",
    "Student": "student_t(3, 0.5, 0.4)",
    "Cauchy": "cauchy(0.5, 0.4)",
    "gamma": "gamma(2, 3)",
    "lognormal": "lognormal(-0.5, 1)",
    "inverse gamma": "inverse_gamma(3, 1)",
    "uniform": "uniform(0.05, 3)",
    "flat": "flat()",
    "narrow": "normal(0.4, 0.01)",
    "far away": "gamma(400, 100)",
}


@pytest.mark.parametrize("of", ["sd_a", "sigma"])
@pytest.mark.parametrize("kind", PRIORS)
def test_priors_of_every_kind(kind, of):
    data = factors(11, (9, 2), 60, (0.5, 0), 1.0)
    core = core_of("y ~ x + (1 | a)", data, {of: PRIORS[kind]})
    walked, _ = sampled(core, design=None)
    designed, _ = sampled(core, design=True)
    known = marginals(core, np.concatenate([walked, designed]), 80)
    assert_shares(walked, known)
    assert_shares(designed, known)


# Priors on sd_a whose narrow hill is far from what the data say, each with some of the mass.
HILLS = {
    "one factor": ("y ~ x + (1 | a)", 5, 0.05, "student_t(1, 5, 0.1)"),
    "crossed": (CROSSED, 5, 0.05, "student_t(1, 5, 0.1)"),
    "mostly there": (CROSSED, 4, 0.3, "student_t(1, 3, 0.05)"),
}


@pytest.mark.parametrize("name", HILLS)
def test_hills_that_a_prior_makes_by_itself_are_not_missed(name):
    formula, levels, sd, prior = HILLS[name]
    core = core_of(formula, factors(31, (levels, 6), 100, (sd, 0.5), 1.0), {"sd_a": prior})
    _, certificate = sampled(core, design=True, draws=50)
    assert certificate is None


def test_a_prior_that_agrees_with_the_data_is_no_hill_apart():
    core = core_of(CROSSED, SHAPES["one at 0"][1], {"sd_a": "normal(0.9, 0.2)"})
    _, certificate = sampled(core, design=True, draws=50)
    assert certificate is not None


@pytest.mark.parametrize("cor", [0.995, -0.995])
@pytest.mark.parametrize("design", [None, True], ids=["auto", "design"])
def test_correlations_near_one_agree_with_nuts_on_the_density(design, cor):
    rng = np.random.default_rng(12)
    data = factors(13, (40, 6), 400, (0, 0.4), 0.5)
    slope, noise = rng.normal(size=(2, 40))
    intercept = cor * slope + np.sqrt(1 - cor**2) * noise
    data["y"] = data["y"] + 0.6 * (intercept + slope * data["x"][:, None])[
        np.arange(400), data["a"]
    ]  # fmt: skip
    core = core_of("y ~ x + (x | a) + (1 | c)", data)
    one, _ = sampled(core, design)
    other, certificate = sampled(core, False, draws=2000, surrogate=False)
    assert certificate is None
    for k in range(one.shape[2]):
        below = [(own[..., k] < np.median(other[..., k])).astype(float) for own in (one, other)]
        found = [diagnose(own[..., None]) for own in below]
        error = np.hypot(*(float(of["mcse"][0]) for of in found))
        assert abs(below[0].mean() - below[1].mean()) < Z * error, k
