"""Group coefficients given everything else: exact normals, by dense matrices.

Given φ and b, the deviations of a level are N(C Zᵀ(y − Xb), σ² C), C = (ZᵀZ + σ²Σ⁻¹)⁻¹.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import Dense, covariance

RNG = np.random.default_rng(8)
SIZES = [1, 6, 2, 9, 3]
G = np.repeat(np.arange(5), SIZES)
N = len(G)
X = RNG.normal(1, 1, N)
Y = 2 + X + RNG.normal(size=5)[G] * X + RNG.normal(size=N)
WEIGHTS, OFFSET, SE = RNG.uniform(0.3, 2, N), RNG.normal(size=N), RNG.uniform(0.4, 1.5, N)
DATA = {"y": Y, "x": X, "g": G}
CASES = {
    "intercepts": ("y ~ x + (1 | g)", ("1",), [], {}),
    "correlated": ("y ~ x + (x | g)", ("1", "x"), [(0, 1)], {}),
    "independent": ("y ~ x + (x || g)", ("1", "x"), [], {}),
    "no twin": ("y ~ 1 + (x | g)", ("1", "x"), [(0, 1)], {}),
    "weights and offset": (
        "y ~ x + (x | g)",
        ("1", "x"),
        [(0, 1)],
        {"weights": WEIGHTS, "offset": OFFSET},
    ),
    "se": ("y ~ x + (x | g)", ("1", "x"), [(0, 1)], {"se": SE}),
}


def conditionals(fit, columns, pairs, options):
    """Mean and covariance of r for every draw: (draw, level, q) and (draw, level, q, q)."""
    run, q = fit.run, len(columns)
    b = run.b.reshape(-1, run.b.shape[2])
    sd, cor = run.groups[0].sd.reshape(-1, q), run.groups[0].cor.reshape(len(b), -1)
    sigma = np.ones(len(b)) if run.sigma is None else run.sigma.ravel()
    precision = options.get("weights", np.ones(N))
    if "se" in options:
        precision = 1 / SE**2
    Z = np.column_stack([np.ones(N) if c == "1" else X for c in columns])
    P = np.column_stack([np.ones(N), X])[:, : b.shape[1]]
    means, covs = np.empty((len(b), 5, q)), np.empty((len(b), 5, q, q))
    for s in range(len(b)):
        inverse = np.linalg.inv(covariance(sd[s], cor[s], pairs))
        rest = Y - options.get("offset", 0) - P @ b[s]
        for level in range(5):
            rows = level == G
            ZtD = Z[rows].T * precision[rows] / sigma[s] ** 2
            covs[s, level] = np.linalg.inv(ZtD @ Z[rows] + inverse)
            means[s, level] = covs[s, level] @ ZtD @ rest[rows]
    return means, covs


@pytest.fixture(params=CASES)
def case(request):
    formula, columns, pairs, options = CASES[request.param]
    # A prior that keeps Σ well conditioned, so that the dense reference can invert it.
    priors = {"sd_g": pp.LogNormal(0, 0.5)}
    fit = pp.fit(formula, DATA, priors=priors, seed=4, draws=200, chains=2, **options)
    return fit, *conditionals(fit, columns, pairs, options)


def test_draws_follow_the_conditionals(case):
    fit, means, covs = case
    r = fit.draws["posterior"]["r_g"].to_numpy().reshape(means.shape)
    z = np.linalg.solve(np.linalg.cholesky(covs), (r - means)[..., None]).ravel()
    # Independent standard normals: p < 1e-6 in none of 2 × 6 tests (false alarm 1e-5).
    assert stats.kstest(z, "norm").pvalue > 1e-6
    z = z.reshape(len(means), -1)
    correlations = np.corrcoef(np.hstack([z[1:], z[:-1]]).T)
    off = correlations[np.triu_indices_from(correlations, 1)]
    # Neither coefficients, levels nor successive draws depend on each other: Fisher's z, 5 sds of
    # up to 190 correlations, six times (5e-5).
    assert np.abs(np.arctanh(off)).max() < 5.5 / np.sqrt(len(z) - 3)


def test_population_coefficients_follow_their_conditional():
    # b ~ N(m, P⁻¹) a priori; given φ, b ~ N(H⁻¹(XᵀV⁻¹y + Pm), H⁻¹) with H = XᵀV⁻¹X + P.
    priors = {"b[Intercept]": pp.Normal(1, 0.8), "b[x]": pp.Normal(0.5, 0.4)}
    fit = pp.fit("y ~ x + (x | g)", DATA, priors=priors, seed=6, draws=300, chains=2)
    P, m = np.diag([1 / 0.8**2, 1 / 0.4**2]), np.array([1, 0.5])
    design = np.column_stack([np.ones(N), X])
    dense, z = Dense(Y, design, design, G), []
    phi = fit.run.groups[0].sd, fit.run.groups[0].cor, fit.run.sigma, fit.run.b
    for sd, cor, sigma, b in zip(*(part.reshape(600, -1) for part in phi), strict=True):
        W = np.linalg.solve(dense.V(covariance(sd, cor, [(0, 1)]), sigma[0]), design)
        H = W.T @ design + P
        mean = np.linalg.solve(H, W.T @ Y + P @ m)
        z.append(np.linalg.cholesky(H).T @ (b - mean))
    # p < 1e-6 and 5 sds: false alarms below 1e-5.
    assert stats.kstest(np.ravel(z), "norm").pvalue > 1e-6
    across = np.corrcoef(np.hstack([z[1:], z[:-1]]).T)[np.triu_indices(4, 1)]
    assert np.abs(np.arctanh(across)).max() < 5 / np.sqrt(597)


def test_levels_can_be_had_one_by_one():
    fit = pp.fit("y ~ x + (x | g)", DATA, seed=4, draws=50, warmup=50)
    together = fit.group_draws()
    tree = fit.draws["posterior"]
    assert np.array_equal(together, tree[together.name])
    assert np.array_equal(fit.group_draws([3]).to_numpy()[:, :, 0], together.sel(g=3).to_numpy())
    again = pp.fit("y ~ x + (x | g)", DATA, seed=4, draws=50, warmup=50)
    picked = again.group_draws([4, 1])
    assert np.array_equal(picked.to_numpy(), together.sel(g=[4, 1]).to_numpy())
    np.testing.assert_allclose(tree["coef_g"], tree["r_g"] + fit.run.b[:, :, None], rtol=1e-12)
