"""Posteriors by quadrature: an independent computation, dense numpy on a grid over φ.

For each node φ = (sds, sigma), independent group coefficients and b ~ N(m, P⁻¹) have closed forms;
moments over φ are weighted sums. Nothing of the package is used.
"""

from dataclasses import dataclass

import numpy as np


def legendre(low, high, count):
    """Gauss–Legendre nodes and log weights between two bounds."""
    x, w = np.polynomial.legendre.leggauss(count)
    return low + (high - low) * (x + 1) / 2, np.log(w * (high - low) / 2)


def mesh(*rules):
    """All combinations of one-dimensional rules: nodes (count, dimension) and log weights."""
    nodes = np.meshgrid(*(nodes for nodes, _ in rules), indexing="ij")
    logs = np.meshgrid(*(logs for _, logs in rules), indexing="ij")
    return np.stack([n.ravel() for n in nodes], axis=1), sum(w.ravel() for w in logs)


def inverse_and_log_det(A):
    """Inverse and log determinant of symmetric 1 × 1 or 2 × 2 matrices (…, q, q)."""
    if A.shape[-1] == 1:
        return 1 / A, np.log(A[..., 0, 0])
    a, b, c = A[..., 0, 0], A[..., 0, 1], A[..., 1, 1]
    det = a * c - b * b
    inverse = np.stack([np.stack([c, -b], -1), np.stack([-b, a], -1)], -2)
    return inverse / det[..., None, None], np.log(det)


@dataclass
class Moments:
    """Posterior means and sds: b (p), φ (dimension), coefficients of each level (level, q)."""

    b: tuple
    phi: tuple
    coefficients: tuple


def mixture(weights, means, variances):
    """Mean and sd of a mixture over the first axis."""
    mean = np.tensordot(weights, means, 1)
    variance = np.tensordot(weights, variances + (means - mean) ** 2, 1)
    return mean, np.sqrt(variance)


def posterior(y, X, q, codes, prior_mean, prior_precision, sd, sigma, log_weight):
    """Moments of a model whose q group columns are the first q of X.

    Parameters
    ----------
    prior_mean, prior_precision : arrays (p) and (p, p)
        Of b ~ N(m, P⁻¹).
    sd, sigma : arrays (node, q) and (node)
    log_weight : array (node)
        Log of quadrature weight times prior density of φ.
    """
    Z, precision = X[:, :q], 1 / sigma**2
    H = prior_precision + precision[:, None, None] * (X.T @ X)
    h = prior_precision @ prior_mean + precision[:, None] * (X.T @ y)
    total = log_weight - len(y) * np.log(sigma) - 0.5 * precision * (y @ y)
    levels, parts = range(codes.max() + 1), []
    ridge = np.zeros((len(sigma), q, q))
    ridge[:, range(q), range(q)] = (sigma[:, None] / sd) ** 2
    for level in levels:
        rows = codes == level
        ZZ, ZX, Zy = Z[rows].T @ Z[rows], Z[rows].T @ X[rows], Z[rows].T @ y[rows]
        C, log_det = inverse_and_log_det(ZZ + ridge)
        H -= precision[:, None, None] * np.einsum("ap,sab,bk->spk", ZX, C, ZX)
        h -= precision[:, None] * np.einsum("ap,sab,b->sp", ZX, C, Zy)
        total += 0.5 * precision * np.einsum("a,sab,b->s", Zy, C, Zy)
        # log|V| = (n − q) log σ² + log|Σ| + log|ZᵀZ + σ²Σ⁻¹|; n log σ is counted above
        total += q * np.log(sigma) - np.log(sd).sum(1) - 0.5 * log_det
        parts.append((C, ZX, Zy))
    S, log_det = inverse_and_log_det(H)
    b = np.einsum("sab,sb->sa", S, h)
    total += 0.5 * np.einsum("sa,sa->s", b, h) - 0.5 * log_det
    weights = np.exp(total - total.max())
    weights /= weights.sum()
    means, sds = [], []
    for C, ZX, Zy in parts:
        # coefficient = b_q + C(Zy − ZX b): affine in b given φ.
        A = np.eye(q, X.shape[1]) - C @ ZX
        mean = np.einsum("sap,sp->sa", A, b) + C @ Zy
        between = np.einsum("sap,spk,sak->sa", A, S, A)
        within = (sigma**2)[:, None] * np.einsum("saa->sa", C)
        m, s = mixture(weights, mean, between + within)
        means.append(m)
        sds.append(s)
    phi = np.column_stack([sd, sigma])
    return Moments(
        mixture(weights, b, np.einsum("saa->sa", S)),
        mixture(weights, phi, np.zeros_like(phi)),
        (np.array(means), np.array(sds)),
    )


def of_individuals(data):
    """Moments of ``y ~ x + (x || id)`` with b ~ N(0, 3), for the bundled individuals.

    Priors of the sds and of sigma are flat; the posterior ends within (0, 3) and (1.4, 2.8).
    """
    nodes, log_weight = mesh(legendre(0, 3, 36), legendre(0, 3, 36), legendre(1.4, 2.8, 30))
    return posterior(
        data["y"].to_numpy(),
        np.column_stack([np.ones(len(data)), data["x"]]),
        2,
        data["id"].to_numpy() - 1,
        np.zeros(2),
        np.eye(2) / 3**2,
        nodes[:, :2],
        nodes[:, 2],
        log_weight,
    )
