"""The judge of simulation-based calibration: are the ranks of the truth among the draws uniform?

They are if and only if the posterior is right on average (Talts et al. 2018). Each quantity gets
two tests of its randomised ranks u: Kolmogorov–Smirnov (an ECDF band), and Σ Φ⁻¹(u)² ~ χ² for
intervals that are too wide or too narrow.
"""

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-4
"""Probability that a file of tests complains of calibrated models."""


def threshold(n_models, n_quantities):
    """p-value below which a quantity is wrong (Bonferroni over the tests of a file)."""
    return FALSE_ALARM / (2 * n_models * n_quantities)


def rank(truth, draws, rng):
    """Randomised rank of the truth among the draws, in (0, 1)."""
    return ((draws < truth).sum() + rng.random()) / (len(draws) + 1)


def miscalibrated(worlds, threshold):
    """Quantities whose ranks (a dict for each world) are not uniform, with their p-values."""
    wrong = {}
    for name in worlds[0]:
        u = np.array([world[name] for world in worlds])
        tail = stats.chi2(len(u)).cdf(np.sum(stats.norm.ppf(u) ** 2))
        p = min(stats.kstest(u, "uniform").pvalue, 2 * min(tail, 1 - tail))
        if p < threshold:
            wrong[name] = p
    return wrong
