"""The density and draws of ``method="laplace"`` against dense matrices, on the user's scale.

Nothing of the core is asked but what it says of itself: parameters at θ, the log density there, and
draws with their weights.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import assert_weighted
from partialpool import _core
from partialpool.engine.laplace import JUDGED, drawn_as
from partialpool.model.general import build_general
from partialpool.spec import Spec, pose

PRIORS = {"b": "normal(0.2, 1.5)", "sd_g": "exponential(0.7)"}
CUTS = (-1.0, 0.5, 1.5)
FACTS = {"seed": 1, "warmup": 0, "stats": {}}


def rows_of(family, eta, aux, y, n=6):
    """Log densities of rows by scipy."""
    share = 1 / (1 + np.exp(-eta))
    if family == "bernoulli":
        return stats.bernoulli.logpmf(y, share)
    if family == "binomial":
        return stats.binom.logpmf(y, n, share)
    if family == "poisson":
        return stats.poisson.logpmf(y, np.exp(eta))
    if family == "negbinomial":
        return stats.nbinom.logpmf(y, aux[0], aux[0] / (aux[0] + np.exp(eta)))
    if family == "gamma":
        return stats.gamma.logpdf(y, aux[0], scale=np.exp(eta) / aux[0])
    if family == "student_t":
        return stats.t.logpdf(y, aux[1], loc=eta, scale=aux[0])
    cuts = np.concatenate([[-np.inf], aux, [np.inf]])
    return np.log(stats.logistic.cdf(cuts[y + 1] - eta) - stats.logistic.cdf(cuts[y] - eta))


def drawn_rows(family, rng, eta):
    mean, share = np.exp(np.clip(eta, -3, 3)), 1 / (1 + np.exp(-eta))
    return {
        "bernoulli": lambda: rng.binomial(1, share),
        "binomial": lambda: rng.binomial(6, share),
        "poisson": lambda: rng.poisson(mean),
        "negbinomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
        "gamma": lambda: rng.gamma(2.0, mean / 2.0),
        "student_t": lambda: eta + rng.standard_t(4, len(eta)),
        "cumulative": lambda: np.digitize(eta + rng.logistic(size=len(eta)), CUTS),
    }[family]()


FAMILIES = (
    *("bernoulli", "binomial", "poisson", "negbinomial", "gamma", "student_t", "cumulative"),
)


class Case:
    """A small model with its dense twin; c are b, behind a first threshold where there are some."""

    def __init__(self, family, groups, seed, n=60, pooling="partial", levels=(7, 5)):
        rng = np.random.default_rng(seed)
        # Equal rows are merged.
        x = rng.integers(0, 2, n) - 0.3 if seed % 2 else rng.normal(size=n)
        g, h = rng.integers(0, levels[0], n), rng.integers(0, levels[1], n)
        eta = 0.3 + 0.5 * x + rng.normal(0, 0.7, levels[0])[g] + rng.normal(0, 0.5, levels[1])[h]
        self.family, self.y = family, drawn_rows(family, rng, eta)
        self.data = pd.DataFrame({"x": x, "g": g, "h": h, "k": (g + h) % 3, "y": self.y})
        options = {"trials": 6} if family == "binomial" else {}
        rates = {"sd_h": "exponential(1.3)", "sd_k": "exponential(1)"}
        priors = PRIORS | {sd: rate for sd, rate in rates.items() if f"| {sd[-1]}" in groups}
        if family == "negbinomial":
            priors |= {"shape": "gamma(2, 1)"}
        if family == "cumulative":
            priors |= {f"threshold[{k + 1}]": f"normal({k}, 3)" for k in range(3)}
        posed = pose(Spec(f"y ~ x + {groups}", family=family, **options), self.data)
        self.pooled = posed.pool(pooling)
        self.model = build_general(self.pooled, priors)
        self.core = _core.Approximation(self.model.core)
        self.rng = rng

    def theta(self, spread=0.3):
        start = np.array(self.core.start())
        theta = start + spread * self.rng.normal(size=len(start))
        n_sds = sum(len(group.terms) for group in self.model.groups)
        theta[:n_sds] = np.abs(theta[:n_sds]) + 0.1
        return theta

    def at(self, theta, seed=1):
        """Log density, log prior, the drawn parameters as a run, and how they are judged."""
        value, prior, row = self.core.at(theta, seed)
        run = drawn_as(self.model, self.core, row[None, None], FACTS)
        return value, prior, run, {name: run.stats[name].item() for name in JUDGED}

    def dense(self, run):
        return Dense(self, run)


class Dense:
    """The joint density of c and u given the parameters of a run, with its mode and curvature."""

    def __init__(self, case, run):
        self.case, design = case, case.pooled.design
        self.ordered = case.family == "cumulative"
        X = design.X
        columns, self.lambdas = [X], []
        for factor, group, drawn in zip(design.factors, case.model.groups, run.groups, strict=True):
            sd, q = drawn.sd[0, 0], len(group.terms)
            correlation = np.eye(q)
            for (i, j), value in zip(group.pairs, drawn.cor[0, 0], strict=True):
                correlation[i, j] = correlation[j, i] = value
            L = np.linalg.cholesky(correlation * np.outer(sd, sd))
            Z = np.zeros((len(X), len(factor.levels) * q))
            for i, level in enumerate(factor.codes):
                Z[i, level * q : (level + 1) * q] = factor.Z[i] @ L
            columns.append(Z)
            self.lambdas.append(L)
        self.names = [f"b[{column}]" for column in design.columns]
        self.aux = np.array([float(draws[0, 0]) for draws in run.scalars.values()])
        self.A = np.column_stack(columns)
        if self.ordered:  # the first threshold is minus an intercept
            self.steps = self.aux - self.aux[0]
            self.A = np.column_stack([-np.ones(len(X)), self.A])
            self.aux = self.steps
        self.p = X.shape[1] + self.ordered

    def eta(self, v):
        return self.A @ v

    def rows(self, eta):
        return rows_of(self.case.family, eta, self.aux, self.case.y)

    def prior(self, v):
        c = v[: self.p]
        if not self.ordered:
            return stats.norm.logpdf(c, 0.2, 1.5).sum()
        cuts = stats.norm.logpdf(c[0] + self.steps, np.arange(3), 3).sum()
        return cuts + stats.norm.logpdf(c[1:], 0.2, 1.5).sum()

    def value(self, v):
        return self.rows(self.eta(v)).sum() + self.prior(v) - 0.5 * v[self.p :] @ v[self.p :]

    def derivatives(self, eta):
        """Second and third derivatives of rows by differences of their log densities."""
        h = 2e-3
        f = [self.rows(eta + k * h) for k in (-3, -2, -1, 0, 1, 2, 3)]
        second = (-f[1] + 16 * f[2] - 30 * f[3] + 16 * f[4] - f[5]) / (12 * h**2)
        k = 2e-2
        f = [self.rows(eta + i * k) for i in (-3, -2, -1, 1, 2, 3)]
        third = (f[0] - 8 * f[1] + 13 * f[2] - 13 * f[3] + 8 * f[4] - f[5]) / (8 * k**3)
        return second, third

    def precision(self, v):
        second, _ = self.derivatives(self.eta(v))
        penalty = np.eye(len(v))
        p = self.p
        penalty[:p, :p] = np.eye(p) / 1.5**2
        if self.ordered:
            penalty[0, 0] = 3 / 9
        return self.A.T @ (-second[:, None] * self.A) + penalty

    def mode(self):
        v = np.zeros(self.A.shape[1])
        for _ in range(60):
            h = 1e-4
            eta = self.eta(v)
            slope = (self.rows(eta + h) - self.rows(eta - h)) / (2 * h)
            by_v = self.A.T @ slope
            by_v[self.p :] -= v[self.p :]
            eye = 1e-4 * np.eye(self.p)
            for k in range(self.p):
                up, down = v.copy(), v.copy()
                up[: self.p] += eye[k]
                down[: self.p] -= eye[k]
                by_v[k] += (self.prior(up) - self.prior(down)) / 2e-4
            step = np.linalg.solve(self.precision(v), by_v)
            share = 1.0
            while self.value(v + share * step) < self.value(v) - 1e-9 and share > 1e-6:
                share /= 2
            v = v + share * step
            if np.abs(step).max() < 1e-9:
                break
        return v

    def drawn(self, run):
        """What was drawn, as (c, u)."""
        b, parts = run.b[0, 0], []
        for L, group, drawn in zip(self.lambdas, self.case.model.groups, run.groups, strict=True):
            r = drawn.coef[0, 0] - group.T @ b
            parts.append(np.linalg.solve(L, r.T).T.ravel())
        first = [run.scalars["threshold[1]"][0, 0]] if self.ordered else []
        return np.concatenate([first, b, *parts])


GROUPS = ("(1 | g)", "(x || g)", "(x | g)", "(1 | g) + (1 | h)", "(1 + x | h) + (x | g)")
THREE = "(1 | k) + (x || g) + (1 | h)"


@pytest.mark.parametrize(
    ("family", "groups"),
    [(family, GROUPS[k % len(GROUPS)]) for k, family in enumerate(FAMILIES)] + [("poisson", THREE)],
)
def test_the_density_is_that_of_dense_matrices(family, groups):
    case = Case(family, groups, FAMILIES.index(family))
    found, expected = [], []
    for _ in range(3):
        value, _, run, _ = case.at(case.theta())
        dense = case.dense(run)
        mode = dense.mode()
        found.append(value)
        expected.append(dense.value(mode) - 0.5 * np.linalg.slogdet(dense.precision(mode))[1])
    # Coordinates of c are others: a constant.
    assert np.ptp(found) > 0.05
    assert np.subtract(found, found[0]) == pytest.approx(
        np.subtract(expected, expected[0]), abs=2e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_are_weighted_by_the_posterior_over_their_density(family):
    seed = FAMILIES.index(family) + 20
    case = Case(family, GROUPS[seed % len(GROUPS)], seed)
    theta, found, expected, away = case.theta(), [], [], []
    for k in range(4):
        *_, run, judged = case.at(theta, seed=k)
        dense = case.dense(run)
        if k == 0:
            mode = dense.mode()
            precision = dense.precision(mode)
            _, third = dense.derivatives(dense.eta(mode))
            spread = np.einsum("ia,ia->i", dense.A, np.linalg.solve(precision, dense.A.T).T)
            mean = mode + 0.5 * np.linalg.solve(precision, dense.A.T @ (third * spread))
        v = dense.drawn(run)
        found.append(judged["log_weight"])
        expected.append(dense.value(v) + 0.5 * (v - mean) @ precision @ (v - mean))
        away.append((v - mean) @ precision @ (v - mean))
    assert_weighted(found, expected, away, len(mean))


@pytest.mark.parametrize(("family", "groups"), [("bernoulli", "(1 | g)"), ("poisson", "(x | g)")])
def test_levels_are_integrated_out_of_a_weight(family, groups):
    case = Case(family, groups, 3, n=90)
    theta, found, expected = case.theta(), [], []
    for k in range(3):
        *_, run, judged = case.at(theta, seed=k)
        dense = case.dense(run)
        if k == 0:
            mode = dense.mode()
            precision = dense.precision(mode)
            _, third = dense.derivatives(dense.eta(mode))
            spread = np.einsum("ia,ia->i", dense.A, np.linalg.solve(precision, dense.A.T).T)
            mean = mode + 0.5 * np.linalg.solve(precision, dense.A.T @ (third * spread))
            of_c = np.linalg.inv(np.linalg.inv(precision)[: dense.p, : dense.p])
        c = dense.drawn(run)[: dense.p]
        q = len(case.model.groups[0].terms)
        total = dense.prior(c) + 0.5 * (c - mean[: dense.p]) @ of_c @ (c - mean[: dense.p])
        for level in range(len(case.model.groups[0].levels)):
            own = case.pooled.design.factors[0].codes == level
            Z = dense.A[own][:, dense.p + level * q : dense.p + (level + 1) * q]
            total += math.log(_integral(family, dense.A[own, : dense.p] @ c, Z, case.y[own]))
        found.append(judged["log_weight_levels"])
        expected.append(total)
    assert np.ptp(expected) > 1e-3
    assert np.subtract(found, found[0]) == pytest.approx(
        np.subtract(expected, expected[0]), abs=5e-3
    )


def _integral(family, eta, Z, y):
    """Of one level's rows over its coefficients, by a grid that is fine and wide."""
    x = np.linspace(-7, 7, 141)
    grid = np.stack(np.meshgrid(*[x] * Z.shape[1], indexing="ij"), axis=-1).reshape(-1, Z.shape[1])
    logs = rows_of(family, eta[:, None] + Z @ grid.T, (), y[:, None]).sum(axis=0)
    return float(np.exp(logs - 0.5 * (grid**2).sum(axis=1)).sum())


def test_the_prior_is_that_of_the_parameters():
    case = Case("negbinomial", "(1 | g) + (1 | h)", 8)
    values, logs = [], []
    for _ in range(3):
        theta = case.theta()
        prior = case.at(theta)[1]

        def parameters(theta):
            run = case.at(theta)[2]
            sds = [drawn.sd.item() for drawn in run.groups]
            return np.array([*sds, run.scalars["shape"].item()])

        at, step = parameters(theta), 1e-5
        slopes = [
            (parameters(theta + step * e) - parameters(theta - step * e))[k] / (2 * step)
            for k, e in enumerate(np.eye(3))
        ]
        logs.append(
            stats.expon.logpdf(at[0], scale=1 / 0.7)
            + stats.expon.logpdf(at[1], scale=1 / 1.3)
            + stats.gamma.logpdf(at[2], 2)
            + np.log(np.abs(slopes)).sum()
        )
        values.append(prior)
    assert np.subtract(values, values[0]) == pytest.approx(np.subtract(logs, logs[0]), abs=1e-6)
