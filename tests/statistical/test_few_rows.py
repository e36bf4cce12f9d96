"""Levels of one to three yes/no rows: the energy of NUTS must not hang on the sd of the levels.

With information that stays as the sds change, E-BFMI is 0.2 here, whatever the number of levels.
With rare responses b grows with the sd: it has to follow, too.
"""

import numpy as np
import pytest
from scipy import special, stats

import partialpool as pp
from partialpool.draws.diagnostics import energy_bfmi


def births(seed, intercept=0.5, mothers=400, communities=40):
    rng = np.random.default_rng(seed)
    community = rng.integers(0, communities, mothers)
    mother = np.repeat(np.arange(mothers), rng.choice([1, 2, 3], mothers, p=[0.7, 0.25, 0.05]))
    x = rng.normal(size=len(mother))
    eta = intercept + x + rng.normal(0, 2.7, mothers)[mother]
    eta += rng.normal(0, 1, communities)[community[mother]]
    y = rng.random(len(mother)) < special.expit(eta)
    return {"y": y.astype(int), "x": x, "mother": mother, "community": community[mother]}


@pytest.mark.parametrize("intercept", [0.5, -6.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_energy_does_not_hang_on_the_sd(seed, intercept):
    options = {"family": "bernoulli", "chains": 2, "draws": 600, "warmup": 500, "seed": seed}
    fit = pp.fit("y ~ x + (1 | mother) + (1 | community)", births(seed, intercept), **options)
    assert energy_bfmi(fit.run.stats["energy"]).min() > 0.45
    assert not fit.run.stats["diverging"].any()


def log_likelihood(data, b0, b1, sd):
    """With each mother's coefficient integrated out on a fine grid: one value for each sd."""
    z = np.linspace(-7, 7, 61)
    eta = b0 + b1 * data["x"][:, None, None] + sd[:, None] * z
    rows = 1 / (1 + np.exp((1 - 2 * data["y"])[:, None, None] * eta))
    first = np.flatnonzero(np.diff(data["mother"], prepend=-1))
    return np.log(np.multiply.reduceat(rows, first) @ np.exp(-(z**2) / 2)).sum(0)


def moments(nodes, log_density, axis):
    """Mean, sd and kurtosis of one parameter whose density is known on a grid."""
    weights = np.exp(log_density - log_density.max())
    weights[..., 0] /= 2  # the trapezoidal rule, where the density does not vanish
    own = weights.sum(axis=tuple({0, 1, 2} - {axis})) / weights.sum()
    mean = own @ nodes
    spread = np.sqrt(own @ (nodes - mean) ** 2)
    return mean, spread, own @ ((nodes - mean) / spread) ** 4


def test_posterior_of_few_mothers_is_that_of_quadrature():
    data = births(3, mothers=60)
    priors = {
        "b": pp.Normal(0, 1.5),
        "b[Intercept]": pp.Normal(0, 2),
        "sd_mother": pp.HalfNormal(3),
    }
    fit = pp.fit("y ~ x + (1 | mother)", data, family="bernoulli", priors=priors, seed=1)
    b0, b1, sd = np.linspace(-1.5, 4.5, 25), np.linspace(-0.8, 4, 21), np.linspace(0, 10, 27)
    grid = np.array([[log_likelihood(data, i, k, sd) for k in b1] for i in b0])
    grid += stats.norm(0, 2).logpdf(b0)[:, None, None] + stats.norm(0, 1.5).logpdf(b1)[:, None]
    grid += stats.halfnorm(scale=3).logpdf(sd)
    table = fit.summary()
    places = {"b[Intercept]": (0, b0), "b[x]": (1, b1), "sd_mother[Intercept]": (2, sd)}
    for name, (axis, nodes) in places.items():
        mean, spread, kurtosis = moments(nodes, grid, axis)
        coarse = moments(nodes[::2], grid[::2, ::2, ::2], axis)
        row = table.loc[name]
        ess = min(row["ess_bulk"], row["ess_tail"])
        error = spread / np.sqrt(ess)
        of_spread = spread * np.sqrt((kurtosis - 1) / (4 * ess))
        # Half as many nodes change the grid's answers by less than the draws' own errors.
        assert abs(coarse[0] - mean) < error, name
        assert abs(coarse[1] - spread) < of_spread, name
        assert abs(row["mean"] - mean) < 4 * error, name
        assert abs(row["sd"] - spread) < 4 * of_spread, name
