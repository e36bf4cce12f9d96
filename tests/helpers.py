"""What several tests share: dense reference mathematics, and Monte Carlo errors.

Nothing here calls the package's own densities: matrices are dense, priors are written out.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool.design import Plan
from partialpool.design.gather import gather
from partialpool.design.rows import make_rows
from partialpool.draws.diagnostics import diagnose


def model_of(formula, data, priors=None, **options):
    """The model of a formula with its core density; its few draws are thrown away."""
    return pp.fit(
        formula, data, priors=priors, chains=1, draws=4, warmup=0, seed=1, **options
    ).model


def individuals():
    with files("partialpool.datasets").joinpath("individuals.csv").open("rb") as file:
        return pd.read_csv(file)


def points(core, count, seed, spread=1.2):
    """Points around the density's own start."""
    rng = np.random.default_rng(seed)
    return [np.array(core.start()) + spread * rng.normal(size=core.dim) for _ in range(count)]


def log_likelihood(core, u):
    """log p(y | φ, sampled b): the log density without the prior of what is sampled."""
    return core.logp_and_grad(u)[0] - core.constrain(u)["log_prior"]


def covariance(sd, cor, pairs):
    """Σ from sds and the correlations of these pairs of columns."""
    matrix = np.eye(len(sd))
    for (i, j), value in zip(pairs, cor, strict=True):
        matrix[i, j] = matrix[j, i] = value
    return matrix * np.outer(sd, sd)


@dataclass
class Dense:
    """A Gaussian model with dense matrices; prior b ~ N(mean, diag(sd²)) of these columns of X."""

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    codes: np.ndarray
    mean: np.ndarray | None = None
    sd: np.ndarray | None = None
    weights: np.ndarray | None = None
    offset: np.ndarray | None = None
    se: np.ndarray | None = None

    def V(self, Sigma, sigma):
        """Covariance of y given b."""
        n = len(self.y)
        noise = np.full(n, sigma**2)
        if self.weights is not None:
            noise = noise / self.weights
        if self.se is not None:
            noise = self.se**2
        same = self.codes[:, None] == self.codes[None, :]
        return np.where(same, self.Z @ Sigma @ self.Z.T, 0.0) + np.diag(noise)

    def log_marginal(self, Sigma, sigma):
        """log p(y | Σ, sigma), b integrated over its normal prior."""
        mean = self.X @ self.mean + (0 if self.offset is None else self.offset)
        cov = self.V(Sigma, sigma) + (self.X * self.sd**2) @ self.X.T
        return stats.multivariate_normal(mean, cov).logpdf(self.y)

    def log_restricted(self, Sigma, sigma):
        """log ∫ p(y | b, Σ, sigma) db: the REML criterion."""
        V = self.V(Sigma, sigma)
        b = self.gls(Sigma, sigma)
        fitted = self.X @ b + (0 if self.offset is None else self.offset)
        information = self.X.T @ np.linalg.solve(V, self.X)
        return (
            stats.multivariate_normal(fitted, V).logpdf(self.y)
            + 0.5 * len(b) * np.log(2 * np.pi)
            - 0.5 * np.linalg.slogdet(information)[1]
        )

    def gls(self, Sigma, sigma):
        """Generalised least-squares estimate of b."""
        V = self.V(Sigma, sigma)
        y = self.y if self.offset is None else self.y - self.offset
        W = np.linalg.solve(V, self.X)
        return np.linalg.solve(W.T @ self.X, W.T @ y)


def sd_error(draws):
    """Monte Carlo error of the sd of draws (chain, draw, parameter), by the delta method."""
    mean, sd = draws.mean((0, 1)), draws.std((0, 1))
    return diagnose((draws - mean) ** 2)["mcse"] / (2 * sd)


def assert_moments(draws, mean, sd, k=5.0):
    """Assert that draws (chain, draw, parameter) have this mean and sd, within k errors.

    k = 5: a false alarm has probability 6e-7 for each number compared.
    """
    found = diagnose(draws)
    z = (found["mean"] - mean) / found["mcse"]
    assert np.all(np.abs(z) < k), f"means are off by {z} Monte Carlo errors"
    z = (found["sd"] - sd) / sd_error(draws)
    assert np.all(np.abs(z) < k), f"sds are off by {z} Monte Carlo errors"


def assert_same_rows(one, other):
    """Every field of two designs; arrays exactly."""
    for name in one.__struct_fields__:
        own, wanted = getattr(one, name), getattr(other, name)
        if name in ("factors", "sigma"):
            own, wanted = np.atleast_1d(own), np.atleast_1d(wanted)
            assert len(own) == len(wanted)
            for a, b in zip(own, wanted, strict=True):
                if a is not None or b is not None:
                    assert_same_rows(a, b)
        elif name == "table":
            assert own.names == wanted.names
            for column in own.names:
                assert_same_rows(own.columns[column], wanted.columns[column])
        elif name == "plan":
            assert own.to_json() == json.loads(json.dumps(wanted.to_json()))
        elif name == "roles":
            assert list(own) == list(wanted)
            for role, values in wanted.items():
                np.testing.assert_array_equal(own[role], values)
        elif isinstance(wanted, np.ndarray):
            assert own.dtype == wanted.dtype
            np.testing.assert_array_equal(own, wanted)
        else:
            assert own == wanted


def rebuild(plan, table, **given):
    """Arrays that a plan makes of new rows after a round through JSON; −1: a level not known."""
    stored = plan if isinstance(plan, dict) else plan.to_json()
    plan = Plan.from_json(json.loads(json.dumps(stored)))
    grouping = [name for part in plan.parts for g in part.groupings for name in g.columns]
    gathered = gather(
        plan, table, given, roles=("offset", "exposure"), grouping=grouping, optional=True
    )
    rows = make_rows(plan, gathered, grouping)
    parts, members = [], iter(rows.members)
    for part, X in zip(plan.parts, (rows.X, rows.sigma_X), strict=False):
        own = [next(members) for _ in part.groupings]
        sizes = [grouping.n_levels for grouping in part.groupings]
        codes = [np.where(m.codes < n, m.codes, -1) for m, n in zip(own, sizes, strict=True)]
        parts.append(SimpleNamespace(X=X, Z=[m.Z for m in own], codes=codes))
    main, *others = parts
    sigma = others[0] if others else None
    return SimpleNamespace(**vars(main), offset=rows.offset, sigma=sigma, notes=gathered.notes)


def assert_weighted(found, expected, away, dims):
    """Log weights of four draws are those expected but for a constant; `away` are squared distances
    of the draws in their own normal distribution."""
    assert np.ptp(found) > 1e-3
    assert np.subtract(found, found[0]) == pytest.approx(
        np.subtract(expected, expected[0]), abs=1e-3
    )
    # As many independent normal numbers.
    assert stats.chi2(4 * dims).cdf(sum(away)) == pytest.approx(0.5, abs=0.4999)
