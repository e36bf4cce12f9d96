"""Responses and dispersion parameters that every family can have."""

import numpy as np

from partialpool.families import FAMILIES

NONE = np.zeros(0)
AUX = {
    "gaussian": [1.3],
    "student_t": [1.3, 4.5],
    "lognormal": [0.7],
    "negbinomial": [1.7],
    "gamma": [2.3],
    "weibull": [1.4],
    "beta": [3.7],
    "cumulative": [-1.0, 0.3, 0.5, 2.0],
    "zero_inflated_poisson": [0.2],
    "zero_inflated_negbinomial": [1.7, 0.2],
    "hurdle_poisson": [0.3],
    "hurdle_negbinomial": [1.7, 0.3],
}
CASES = [(name, link) for name, family in FAMILIES.items() for link in family.links]


def aux_of(name):
    return np.array(AUX.get(name, []), dtype=float)


def response(name, n, rng):
    """Responses all over the support, and trials (the binomial's)."""
    if name in ("gaussian", "student_t"):
        return rng.normal(0, 2, n), NONE
    if name == "bernoulli":
        return rng.integers(0, 2, n).astype(float), NONE
    if name == "binomial":
        trials = rng.integers(0, 12, n).astype(float)
        return np.floor(rng.uniform(0, 1, n) * (trials + 1)), trials
    if name == "beta":
        return rng.uniform(0.001, 0.999, n), NONE
    if name == "cumulative":
        return np.concatenate([np.arange(5.0), rng.integers(0, 5, n - 5)]), NONE
    if FAMILIES[name].needs == "whole numbers from 0":
        return np.concatenate([[1e6, 4000, 300, 20], rng.poisson(1.5, n - 4)]), NONE
    return rng.lognormal(0, 1.5, n), NONE
