"""The integrator for several factors against dense multivariate normals."""

import numpy as np
import pytest

from partialpool import _core

RANDOM = range(60)


class Dense:
    """Random rows of several factors, with all matrices written out."""

    def __init__(self, seed, *, sparse=False):
        rng = self.rng = np.random.default_rng([13, seed])
        self.p = int(rng.integers(0, 4))
        if sparse:
            # So many levels of the others that their matrix is kept sparse.
            self.levels = [140, 110, int(rng.integers(4, 6))]
            self.q = [int(rng.integers(1, 3)) for _ in self.levels]
            n = 300
            first = rng.integers(0, 140, n)
            self.codes = [first, (first * 3 // 4 + rng.integers(0, 2, n)) % 110, first // 40]
        else:
            factors = int(rng.integers(1, 4))
            n = int(rng.integers(5, 60))
            self.levels = [int(rng.integers(1, 9)) for _ in range(factors)]
            self.q = [int(rng.integers(1, 4)) for _ in range(factors)]
            self.codes = [rng.integers(0, levels, n) for levels in self.levels]
            if factors > 1 and rng.random() < 0.4:  # nested
                self.codes[1] = self.codes[0] // 2
                self.levels[1] = max(self.levels[1], self.levels[0] // 2 + 1)
        self.codes = [np.asarray(code, dtype=np.int64) for code in self.codes]
        z = [rng.normal(size=(n, q)) for q in self.q]
        for own in z:
            own[:, 0] = 1.0
        unscale = [np.triu(0.3 * rng.normal(size=(q, q)), 1) + np.eye(q) for q in self.q]
        xy = rng.normal(size=(n, self.p + 1))
        row_scale = rng.uniform(0.5, 2, n) if rng.random() < 0.5 else None
        self.blocks = _core.Blocks(
            z=z,
            codes=self.codes,
            n_levels=self.levels,
            unscale=unscale,
            xy=xy,
            row_scale=row_scale,
        )
        scale = np.ones((n, 1)) if row_scale is None else row_scale[:, None]
        self.n, self.xy = n, xy * scale
        self.rows = {"z": z, "codes": self.codes, "xy": xy, "row_scale": scale[:, 0].copy()}
        self.Z = [
            self._spread(own @ un * scale, code, levels)
            for own, un, code, levels in zip(z, unscale, self.codes, self.levels, strict=True)
        ]
        self.factors = [np.tril(rng.normal(size=(q, q))) for q in self.q]
        kind = rng.random()
        if kind < 0.3:
            self.factors[0][:] = 0.0  # an sd of 0
        elif kind < 0.5:
            self.factors[-1][:, -1] = 0.0  # a correlation of ±1
        self.G = [
            np.kron(np.eye(levels), factor @ factor.T)
            for levels, factor in zip(self.levels, self.factors, strict=True)
        ]
        self.V = np.eye(n) + sum(Z @ G @ Z.T for Z, G in zip(self.Z, self.G, strict=True))
        self.inverse = np.linalg.inv(self.V)

    @staticmethod
    def _spread(own, code, levels):
        n, q = own.shape
        out = np.zeros((n, levels, q))
        out[np.arange(n), code] = own
        return out.reshape(n, -1)

    def level(self, k, j):
        """Columns of a level."""
        return slice(j * self.q[k], (j + 1) * self.q[k])

    def prior(self, sampled):
        """Normal priors of some coefficients, as rows."""
        p = self.p
        rows = np.zeros((p + 1, p + 1))
        kept = np.arange(p - sampled)
        rows[kept, kept], rows[kept, -1], rows[-1, kept], rows[-1, -1] = 0.3, 0.2, 0.2, 1.0
        return rows

    def population(self, sigma, sampled):
        """(−ĉ, 1), and the covariance of the integrated coefficients."""
        free = self.p - len(sampled)
        F = self.xy.T @ self.inverse @ self.xy / sigma**2 + self.prior(len(sampled))
        u = np.append(np.zeros(free), np.append(-sampled, 1.0))
        u[:free] = -np.linalg.solve(F[:free, :free], F[:free, free:] @ u[free:])
        return u, np.linalg.inv(F[:free, :free]) if free else np.zeros((0, 0))


def cases():
    return [*((seed, False) for seed in RANDOM), *((seed, True) for seed in range(8))]


@pytest.fixture(params=cases(), ids=lambda case: f"{'sparse' if case[1] else 'dense'}{case[0]}")
def dense(request):
    seed, sparse = request.param
    return Dense(seed, sparse=sparse)


def close(found, expected, rtol=1e-8):
    size = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)


def test_density_and_slopes(dense):
    log_det, K = dense.blocks.at(dense.factors)
    close(log_det, np.linalg.slogdet(dense.V)[1])
    close(K, dense.xy.T @ dense.inverse @ dense.xy)
    half = dense.rng.normal(size=(dense.p + 1, dense.p + 1))
    omega = half @ half.T
    slopes, pulls = dense.blocks.slopes(dense.factors, omega), dense.blocks.pull(dense.factors)
    for k, Z in enumerate(dense.Z):
        P, C = Z.T @ dense.inverse @ Z, Z.T @ dense.inverse @ dense.xy
        whole = P - C @ omega @ C.T
        levels = [dense.level(k, j) for j in range(dense.levels[k])]
        total = np.sum([whole[level, level] for level in levels], axis=0)
        close(slopes[k], total, 1e-7)
        close(pulls[k].reshape(C.shape), C)


def test_slopes_are_those_of_differences(dense):
    if not dense.factors[0].any():
        pytest.skip("an even function has no slope at 0")
    omega = np.eye(dense.p + 1)

    def value(step):
        factors = [dense.factors[0] + step * direction, *dense.factors[1:]]
        log_det, K = dense.blocks.at(factors)
        return log_det + np.trace(omega @ K)

    direction = np.tril(dense.rng.normal(size=dense.factors[0].shape))
    by_covariance = dense.blocks.slopes(dense.factors, omega)[0]
    slope = 2 * np.sum((by_covariance @ dense.factors[0]) * direction)
    numeric = (value(1e-5) - value(-1e-5)) / 2e-5
    assert slope == pytest.approx(numeric, rel=1e-5, abs=1e-5 * max(1.0, abs(value(0.0))))


def test_conditionals_of_levels(dense):
    variances = dense.blocks.variances(dense.factors)
    for k, (Z, G) in enumerate(zip(dense.Z, dense.G, strict=True)):
        covariance = G - G @ Z.T @ dense.inverse @ Z @ G
        for j in range(dense.levels[k]):
            level = dense.level(k, j)
            close(variances[k][j], covariance[level, level], 1e-7)


def test_moments_at_nodes_integrate_the_population(dense):
    sigma, sampled = 1.3, dense.rng.normal(size=int(dense.rng.integers(0, dense.p + 1)))
    maps = [dense.rng.normal(size=(q, dense.p)) for q in dense.q]
    back = [np.triu(dense.rng.normal(size=(q, q))) for q in dense.q]
    found = dense.blocks.node_moments(
        covariance=[sigma**2 * (factor @ factor.T)[None] for factor in dense.factors],
        sigma=[sigma],
        prior=dense.prior(len(sampled)),
        sampled=sampled[None],
        maps=maps,
        back=back,
        threads=2,
    )
    u, of_b = dense.population(sigma, sampled)
    free = len(of_b)
    for k, (Z, G) in enumerate(zip(dense.Z, dense.G, strict=True)):
        half = G @ Z.T @ dense.inverse
        covariance = sigma**2 * (G - half @ Z @ G)
        for j in range(dense.levels[k]):
            level = dense.level(k, j)
            along = back[k] @ (half @ dense.xy)[level]
            along[:, : dense.p] -= maps[k]
            own = back[k] @ covariance[level, level] @ back[k].T
            variance = np.diag(own + along[:, :free] @ of_b @ along[:, :free].T)
            close(found[k][0][0, j], along @ u, 1e-7)
            close(found[k][1][0, j], variance, 1e-7)


def test_left_out_rows_and_the_density_of_all(dense):
    sigma, sampled = 0.8, dense.rng.normal(size=int(dense.rng.integers(0, dense.p + 1)))
    named = {
        "covariance": [sigma**2 * (factor @ factor.T)[None] for factor in dense.factors],
        "sigma": [sigma],
        "prior": dense.prior(len(sampled)),
        "sampled": sampled[None],
        "threads": 1,
    }
    found = dense.blocks.leave_rows_out(**dense.rows, **named)[0]
    u, of_b = dense.population(sigma, sampled)
    X = dense.xy[:, : len(of_b)]
    Q = dense.inverse - dense.inverse @ X @ of_b @ X.T @ dense.inverse / sigma**2
    Q /= sigma**2
    alpha = dense.inverse @ dense.xy @ u / sigma**2
    variance = 1 / np.diag(Q)
    away = alpha * variance
    log_density = -0.5 * (np.log(2 * np.pi * variance) + away**2 / variance)
    close(found[:, 0], log_density, 1e-7)
    close(found[:, 1], away, 1e-7)
    spread = 2 * sigma**2 - sigma**4 * np.diag(Q)
    residual = sigma**2 * alpha
    close(found[:, 2], -0.5 * (np.log(2 * np.pi * spread) + residual**2 / spread), 1e-7)
    F = dense.xy.T @ dense.inverse @ dense.xy / sigma**2 + dense.prior(len(sampled))
    free = len(of_b)
    log_det = np.linalg.slogdet(dense.V)[1] + dense.n * np.log(2 * np.pi * sigma**2)
    log_det += np.linalg.slogdet(F[:free, :free])[1]
    close(dense.blocks.log_densities(**named)[0], -0.5 * (log_det + u @ F @ u))


def test_what_files_keep_gives_the_same(dense):
    row, column, value = dense.blocks.parts()
    again = _core.Blocks.from_parts(
        unscale=dense.blocks.unscale,
        n_levels=dense.blocks.n_levels,
        row=row.tolist(),
        column=column.tolist(),
        value=value,
        width=dense.blocks.width,
        n_rows=dense.blocks.n_rows,
    )
    for one, other in zip(dense.blocks.at(dense.factors), again.at(dense.factors), strict=True):
        close(one, other, 1e-13)
    assert again.n_rows == dense.n


def test_draws_have_the_moments_of_the_conditional():
    dense = Dense(3)
    sigma, draws = 1.2, 40_000
    b = dense.rng.normal(size=dense.p)
    u = np.append(-b, 1.0)
    named = {
        "covariance": [
            np.tile(sigma**2 * factor @ factor.T, (draws, 1, 1)) for factor in dense.factors
        ],
        "sigma": [sigma] * draws,
        "contrast": np.tile(u, (draws, 1)),
        "seed": 3,
    }
    total = sum(q * levels for q, levels in zip(dense.q, dense.levels, strict=True))
    found = dense.blocks.draws(**named, first=0, last=total, threads=2)
    Z = np.hstack(dense.Z)
    G = np.zeros((Z.shape[1], Z.shape[1]))
    first = 0
    for own in dense.G:
        G[first : first + len(own), first : first + len(own)] = own
        first += len(own)
    half = G @ Z.T @ dense.inverse
    mean, covariance = half @ dense.xy @ u, sigma**2 * (G - half @ Z @ G)
    variance = np.diag(covariance)
    assert (np.abs(found.mean(axis=0) - mean) <= 5 * np.sqrt(variance / draws) + 1e-12).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / draws)
    assert (np.abs(np.cov(found.T) - covariance) <= 5 * error + 1e-12).all()
    some = dense.blocks.draws(**named, first=1, last=3, threads=1)
    assert np.array_equal(some, found[:, 1:3])
