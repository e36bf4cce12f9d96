"""Linear regression with a conjugate prior by quadrature over sigma: dense numpy, no package code.

Given sigma, coefficients with a normal (or flat) prior are normal in closed form. Their posterior
is a mixture over the nodes of sigma, of which moments and quantiles are weighted sums.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from quadrature import legendre, mixture

PROBABILITIES = np.array([0.025, 0.25, 0.5, 0.9])


@dataclass
class Exact:
    """Posterior of coefficients (k) and sigma: nodes of sigma with weights, and what each gives."""

    sigma: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    @property
    def coefficients(self):
        """Means and sds."""
        return mixture(self.weights, self.means, self.variances)

    @property
    def scale(self):
        """Mean and sd of sigma, as arrays of one."""
        return mixture(self.weights, self.sigma[:, None], np.zeros((len(self.sigma), 1)))

    def quantiles(self, k):
        """Quantiles of coefficient k at PROBABILITIES."""
        mean, sd = (moment[k] for moment in self.coefficients)
        parts = stats.norm(self.means[:, k], np.sqrt(self.variances[:, k]))

        def beyond(x, p):
            return self.weights @ parts.cdf(x) - p

        ends = mean - 12 * sd, mean + 12 * sd
        return np.array([optimize.brentq(beyond, *ends, args=(p,)) for p in PROBABILITIES])


def normalised(log_weights):
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def regression(D, y, log_prior, *, mean=None, precision=None, sigma=(0.05, 30), row_precision=None):
    """Posterior of y ~ N(D coef, sigma² / row_precision), coef ~ N(mean, precision⁻¹).

    Parameters
    ----------
    log_prior : function
        Log prior density of sigma, up to a constant; None where sigma is known to be 1.
    mean, precision : arrays (k), (k, k), optional
        Flat where they are left out; then D may lack full rank, and the least-norm solution of
        coefficients stands for what the rows do not determine.
    sigma : pair
        Where sigma has all its mass: checked to lie so.
    """
    k = D.shape[1]
    root = np.ones(len(y)) if row_precision is None else np.sqrt(row_precision)
    D, y = D * root[:, None], y * root
    flat = precision is None
    P = np.zeros((k, k)) if flat else precision
    m = np.zeros(k) if flat else mean
    nodes, log_weights = legendre(*sigma, 240)
    if log_prior is None:
        nodes, log_weights = np.ones(1), np.zeros(1)
    else:
        log_weights = log_weights + log_prior(nodes)
    if flat:  # coefficients, and the rest that they leave, do not depend on sigma
        unit, rank = np.linalg.pinv(D.T @ D), np.linalg.matrix_rank(D)
        least = np.linalg.lstsq(D, y, rcond=None)[0]
    means, variances, logs = [], [], []
    for s in nodes:
        if flat:
            centre, covariance, log_det = least, s**2 * unit, -2 * rank * np.log(s)
        else:
            A = P + D.T @ D / s**2
            covariance = np.linalg.inv(A)
            centre = covariance @ (P @ m + D.T @ y / s**2)
            log_det = np.linalg.slogdet(A)[1]
        rest = np.sum((y - D @ centre) ** 2) / s**2 + (centre - m) @ P @ (centre - m)
        means.append(centre)
        variances.append(np.diag(covariance))
        logs.append(-len(y) * np.log(s) - 0.5 * rest - 0.5 * log_det)
    weights = normalised(log_weights + logs)
    assert len(nodes) == 1 or max(weights[0], weights[-1]) < 1e-9, "sigma has mass outside"
    return Exact(nodes, weights, np.array(means), np.array(variances))


def by_level(Z, codes):
    """Own columns for every level: level 0's q columns, level 1's, ..."""
    J, q = codes.max() + 1, Z.shape[1]
    D = np.zeros((len(codes), J * q))
    for level in range(J):
        D[codes == level, level * q : (level + 1) * q] = Z[codes == level]
    return D
