"""Levels of one to three yes/no rows: the energy of NUTS must not hang on the sd of the levels.

With information that stays as the sds change, E-BFMI is 0.2 here, whatever the number of levels.
"""

import numpy as np
import pytest
from scipy import special

import partialpool as pp
from partialpool.posterior.diagnostics import energy_bfmi


def births(seed, mothers=400, communities=40):
    rng = np.random.default_rng(seed)
    community = rng.integers(0, communities, mothers)
    mother = np.repeat(np.arange(mothers), rng.choice([1, 2, 3], mothers, p=[0.7, 0.25, 0.05]))
    x = rng.normal(size=len(mother))
    eta = 0.5 + x + rng.normal(0, 2.7, mothers)[mother]
    eta += rng.normal(0, 1, communities)[community[mother]]
    y = rng.random(len(mother)) < special.expit(eta)
    return {"y": y.astype(int), "x": x, "mother": mother, "community": community[mother]}


@pytest.mark.parametrize("seed", [1, 2])
def test_energy_does_not_hang_on_the_sd(seed):
    options = {"family": "bernoulli", "chains": 2, "draws": 600, "warmup": 500, "seed": seed}
    fit = pp.fit("y ~ x + (1 | mother) + (1 | community)", births(seed), **options)
    assert energy_bfmi(fit.run.stats["energy"]).min() > 0.45
    assert not fit.run.stats["diverging"].any()
