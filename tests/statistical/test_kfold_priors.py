"""Refits have the priors that all rows gave, wherever a predictor has its zero."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.draws.rows import row_draws
from partialpool.families import FAMILIES
from partialpool.model import Pooled
from partialpool.model.fixed import fixed
from partialpool.scores.kfold import refit

RNG = np.random.default_rng(4)
N = 90
X = 20 + RNG.normal(size=N)
G = np.resize(np.arange(6), N)
LATENT = 1.5 * (X - 20) + 0.7 * RNG.normal(size=6)[G] + RNG.logistic(size=N)
DATA = {"y": np.digitize(LATENT, [-1.5, 0.5, 2.0]), "x": X, "g": G}

PRIORS = {
    "defaults": None,
    # As written: b and thresholds are about x = 0, which is far away.
    "as written": {"threshold": pp.Normal(30, 3), "b[x]": pp.Normal(1.5, 0.5)},
}


@pytest.mark.parametrize("name", PRIORS)
def test_thresholds_of_refits_have_their_priors_where_those_of_the_fit_have_them(name):
    """A refit that leaves nothing out is the same posterior."""
    fit = pp.fit("y ~ x + (1 | g)", DATA, family="cumulative", priors=PRIORS[name], seed=1)
    again = fixed(Pooled(fit.design, fit.pooling, FAMILIES["cumulative"], "logit"), fit.priors)
    refitted = refit(fit, again.design, again.priors)
    means = [row_draws(one).means() for one in (fit, refitted)]
    error = means[0].std(axis=0) / np.sqrt(500)  # of some 1000 effective draws each
    off = (means[0].mean(axis=0) - means[1].mean(axis=0)) / error
    assert np.abs(off).max() < 5
    spread = means[0].std(axis=0) / means[1].std(axis=0)
    assert np.abs(spread - 1).max() < 0.15
