"""Laplace's formula where log sigma has a formula: against dense matrices, integrals, and nlme.

Numbers of nlme 3.1-162: ``lme(…, method = "ML", control = lmeControl(tolerance = 1e-10, msTol =
1e-10))`` and ``gls(…, method = "ML")`` with ``varIdent`` and ``varExp``, which are Gaussian models
with a formula of log sigma.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import partialpool as pp
from helpers import assert_weighted
from partialpool import _core
from partialpool.engine.laplace import JUDGED, drawn_as
from partialpool.likelihood.generalised import build_generalised
from partialpool.likelihood.place import Searched
from partialpool.model.general import build_general
from partialpool.spec import Spec, pose

DATA = Path(__file__).parents[1] / "data"
FAMILIES = ("gaussian", "student_t", "lognormal")
FORMULAS = (
    ("y ~ x + (1 | g)", "~ x"),
    ("y ~ x + (x | g) + (1 | h)", "~ x + (1 | h)"),
    ("y ~ x + (1 | h)", "~ 1 + (x | g)"),
    ("y ~ x", "~ x + (x || h)"),
    ("y ~ x", "~ x"),
)


def table(rng, family, n=70):
    x, g, h = rng.normal(size=n), rng.integers(0, 7, n), rng.integers(0, 5, n)
    eta = 0.3 + 0.5 * x + rng.normal(0, 0.7, 7)[g] + rng.normal(0, 0.5, 5)[h]
    noise = rng.standard_t(5, n) if family == "student_t" else rng.normal(size=n)
    y = eta + np.exp(-0.4 + 0.3 * x + rng.normal(0, 0.3, 5)[h]) * noise
    y = np.exp(y) if family == "lognormal" else y
    return pd.DataFrame({"x": x, "g": g, "h": h, "y": y, "w": rng.integers(1, 3, n)})


def generalised(formula, sigma, data, family, quadrature=1, **options):
    posed = pose(Spec(formula, sigma=sigma, family=family, **options), data)
    return build_generalised(posed.pooled, quadrature), posed.design


def place(of, v):
    return Searched(of, np.arange(len(v)), v).at(v)


def moved(rng, of):
    return of.start + rng.normal(0, 0.15, len(of.start))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("formula", "sigma"), FORMULAS)
@pytest.mark.parametrize("weights", [None, "w"])
def test_slopes_are_those_of_the_value(family, formula, sigma, weights):
    rng = np.random.default_rng(FAMILIES.index(family) + 10 * len(formula + sigma))
    of, _ = generalised(formula, sigma, table(rng, family), family, weights=weights)
    v = moved(rng, of)
    here = place(of, v)
    assert here.mode is not None
    found, h = here.by_entries, 1e-4
    near = [[place(of, v + k * step).value for k in (-2, -1, 1, 2)] for step in h * np.eye(len(v))]
    ends = np.array([(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in near])
    assert np.allclose(found, ends, rtol=1e-5, atol=2e-5 * np.abs(ends).max())


class Dense:
    """The joint density of coefficients of both predictors, b in front, in plain matrices."""

    def __init__(self, family, design, lambdas, nu=None, prior=0.0):
        self.family, self.nu, self.prior = family, nu, prior
        y = design.y
        self.y = np.log(y) if family == "lognormal" else y
        self.constant = -np.log(y).sum() if family == "lognormal" else 0.0
        sides, lambdas = [], iter(lambdas)
        for X, factors in ((design.X, design.factors), (design.sigma.X, design.sigma.factors)):
            columns = []
            for factor in factors:
                L, q = next(lambdas), len(factor.terms)
                Z = np.zeros((len(X), len(factor.levels) * q))
                for i, level in enumerate(factor.codes):
                    Z[i, level * q : (level + 1) * q] = factor.Z[i] @ L
                columns.append(Z)
            sides.append((X, columns))
        (X, own), (W, others) = sides
        none = [np.zeros_like(Z) for Z in own], [np.zeros_like(Z) for Z in others]
        self.A = np.column_stack([X, np.zeros_like(W), *own, *none[1]])
        self.B = np.column_stack([np.zeros_like(X), W, *none[0], *others])
        self.p = X.shape[1] + W.shape[1]

    def rows(self, eta, log_sigma):
        z = (self.y - eta) * np.exp(-log_sigma)
        if self.nu is None:
            return -log_sigma - 0.5 * z * z - 0.5 * math.log(2 * math.pi)
        nu = self.nu
        known = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)
        return -log_sigma + known - 0.5 * np.log(nu * np.pi) - (nu + 1) / 2 * np.log1p(z * z / nu)

    def value(self, v):
        rows = self.rows(self.A @ v, self.B @ v).sum() + self.constant
        c, u = v[: self.p], v[self.p :]
        return rows - 0.5 * (c**2).sum() * self.prior - 0.5 * (u**2).sum()

    def slopes(self, v):
        """Of rows by both predictors: by steps along the imaginary axis."""
        eta, own = self.A @ v, self.B @ v
        step = 1e-30j
        return (self.rows(eta + step, own).imag / 1e-30, self.rows(eta, own + step).imag / 1e-30)

    def slope(self, v):
        by_eta, by_own = self.slopes(v)
        penalty = np.concatenate([np.full(self.p, self.prior), np.ones(len(v) - self.p)])
        return self.A.T @ by_eta + self.B.T @ by_own - penalty * v

    def precision(self, v):
        """Second derivatives, negative, as differences of slopes."""
        found = np.empty((len(v),) * 2)
        for k, step in enumerate(1e-5 * np.eye(len(v))):
            found[k] = (self.slope(v - step) - self.slope(v + step)) / 2e-5
        return (found + found.T) / 2

    def mean(self, mode, covariance):
        """½ A⁻¹ times the slope of what curvatures add up to with the covariance, from the mode."""
        along = [
            np.sum(covariance * (self.precision(mode - s) - self.precision(mode + s))) / 2e-3
            for s in 1e-3 * np.eye(len(mode))
        ]
        return mode + 0.5 * covariance @ np.array(along)

    def mode(self, drawn):
        """The likelier of those that are found from zeros and from a draw: there may be several."""
        return max((self.climb(v) for v in (np.zeros(len(drawn)), drawn)), key=self.value)

    def climb(self, v, fixed=0):
        """Over all coefficients but the first."""
        for _ in range(80):
            H = self.precision(v)[fixed:, fixed:]
            values, vectors = np.linalg.eigh(H)
            along = vectors.T @ self.slope(v)[fixed:] / np.maximum(np.abs(values), 1e-3)
            step = np.concatenate([np.zeros(fixed), vectors @ along])
            share = 1.0
            while self.value(v + share * step) < self.value(v) - 1e-10 and share > 1e-8:
                share /= 2
            v = v + share * step
            if np.abs(step).max() < 1e-9:
                break
        return v


@pytest.mark.parametrize("family", FAMILIES)
def test_the_integral_is_that_of_dense_matrices(family):
    rng = np.random.default_rng(FAMILIES.index(family) + 3)
    formula, sigma = "y ~ x + (x | g)", "~ x + (1 | h)"
    of, design = generalised(formula, sigma, table(rng, family), family)
    v = moved(rng, of)
    nu = of.aux(v)[0][0] if family == "student_t" else None
    dense = Dense(family, design, of.factors(v), nu)
    c = of.coefficients(v)
    b = np.concatenate([one.at.from_working(c[one.place]) for one in of.predicted])
    start = np.concatenate([b, np.zeros(dense.A.shape[1] - len(b))])
    mode = dense.climb(start, len(b))
    own = dense.precision(mode)[len(b) :, len(b) :]
    expected = dense.value(mode) - 0.5 * np.linalg.slogdet(own)[1]
    assert -0.5 * place(of, v).value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("formula", "sigma", "nodes"), [("y ~ x", "~ (x | g)", 45), ("y ~ x + (1 | g)", "~ x", 41)]
)
def test_quadrature_is_the_integral(family, formula, sigma, nodes):
    rng = np.random.default_rng(nodes)
    of, design = generalised(formula, sigma, table(rng, family, n=50), family, nodes)
    v = moved(rng, of)
    nu = of.aux(v)[0][0] if family == "student_t" else None
    dense = Dense(family, design, of.factors(v), nu)
    c = of.coefficients(v)
    b = np.concatenate([one.at.from_working(c[one.place]) for one in of.predicted])
    eta, own = dense.A[:, : len(b)] @ b, dense.B[:, : len(b)] @ b
    (factor,) = [*design.factors, *design.sigma.factors]
    q = len(factor.terms)
    grid = np.linspace(-9, 9, 1201)
    points = np.stack(np.meshgrid(*[grid] * q, indexing="ij"), axis=-1).reshape(-1, q)
    logs = np.zeros((len(factor.levels), len(points)))
    for i, code in enumerate(factor.codes):
        at = slice(len(b) + code * q, len(b) + (code + 1) * q)
        z = (dense.y[i] - eta[i] - points @ dense.A[i, at]) * np.exp(-own[i])
        z = z * np.exp(-points @ dense.B[i, at])
        log = stats.norm.logpdf(z) if nu is None else stats.t.logpdf(z, nu)
        logs[code] += log - own[i] - points @ dense.B[i, at]
    weight = stats.norm.logpdf(points).sum(axis=1) + q * math.log(grid[1] - grid[0])
    expected = special.logsumexp(logs + weight, axis=1).sum() + dense.constant
    assert -0.5 * place(of, v).value == pytest.approx(expected, abs=2e-5)


def draws_of(family, formula, sigma, seed):
    rng = np.random.default_rng(seed)
    data = table(rng, family, n=150)  # with 70, third derivatives move means by up to 6 sds
    if seed % 2:  # equal rows are merged
        data["x"] = np.round(data["x"])
    priors = {"b": "normal(0, 1.5)", "b_sigma": "normal(0, 1.5)"}
    pooled = pose(Spec(formula, sigma=sigma, family=family), data).pool("partial")
    model = build_general(pooled, priors)
    core = _core.Approximation(model.core)
    start = np.array(core.start())
    thetas = [start + 0.2 * rng.normal(size=len(start)) for _ in range(3)]

    def at(theta, seed):
        value, _, row = core.at(theta, seed)
        run = drawn_as(model, core, row[None, None], {"seed": 1, "warmup": 0, "stats": {}})
        lambdas, u = [], []
        b_sigma = [run.scalars[name] for name in run.scalars if name.startswith("b_sigma")]
        b = {"mu": run.b[0, 0], "sigma": np.array([draws[0, 0] for draws in b_sigma])}
        for group, drawn in zip(model.groups, run.groups, strict=True):
            correlation = np.eye(len(group.terms))
            for (i, j), r in zip(group.pairs, drawn.cor[0, 0], strict=True):
                correlation[i, j] = correlation[j, i] = r
            sd = drawn.sd[0, 0]
            lambdas.append(np.linalg.cholesky(correlation * np.outer(sd, sd)))
            r = drawn.coef[0, 0] - group.T @ b[group.predictor]
            u.append(np.linalg.solve(lambdas[-1], r.T).T.ravel())
        nu = run.scalars["nu"][0, 0] if family == "student_t" else None
        dense = Dense(family, pooled.design, lambdas, nu, prior=1 / 1.5**2)
        judged = {name: run.stats[name].item() for name in JUDGED}
        return value, dense, np.concatenate([b["mu"], b["sigma"], *u]), judged

    return thetas, at


CASES = [
    (family, *FORMULAS[k], 2 * i + j)
    for i, family in enumerate(FAMILIES)
    for j, k in enumerate((1, 2, 4))
]


@pytest.mark.parametrize(("family", "formula", "sigma", "seed"), CASES)
def test_the_density_is_that_of_dense_matrices(family, formula, sigma, seed):
    thetas, at = draws_of(family, formula, sigma, seed)
    found, expected = [], []
    for theta in thetas:
        value, dense, drawn, _ = at(theta, 1)
        mode = dense.mode(drawn)
        found.append(value)
        expected.append(dense.value(mode) - 0.5 * np.linalg.slogdet(dense.precision(mode))[1])
    # Coordinates of c are others: a constant. Without levels or dispersion nothing else is left.
    # The core takes the curvature from so near the mode that it may be off by some 1e-4.
    assert np.ptp(found) > 0.05 or not thetas[0].size
    assert np.subtract(found, found[0]) == pytest.approx(
        np.subtract(expected, expected[0]), abs=2e-4
    )


@pytest.mark.parametrize(("family", "formula", "sigma", "seed"), CASES)
def test_draws_are_weighted_by_the_posterior_over_their_density(family, formula, sigma, seed):
    (theta, *_), at = draws_of(family, formula, sigma, seed)
    found, expected, away, mean = [], [], [], None
    for k in range(4):
        _, dense, v, judged = at(theta, k)
        if mean is None:
            mode = dense.mode(v)
            precision = dense.precision(mode)
            covariance = np.linalg.inv(precision)
            mean = dense.mean(mode, covariance)
        found.append(judged["log_weight"])
        expected.append(dense.value(v) + 0.5 * (v - mean) @ precision @ (v - mean))
        away.append((v - mean) @ precision @ (v - mean))
    assert_weighted(found, expected, away, len(mean))


@pytest.mark.parametrize(
    ("formula", "sigma"), [("y ~ x + (1 | g)", "~ x"), ("y ~ x", "~ x + (1 | g)")]
)
def test_levels_are_integrated_out_of_a_weight(formula, sigma):
    (theta, *_), at = draws_of("student_t", formula, sigma, 7)
    found, expected, mean = [], [], None
    for k in range(3):
        _, dense, v, judged = at(theta, k)
        p = dense.p
        if mean is None:
            mode = dense.mode(v)
            covariance = np.linalg.inv(dense.precision(mode))
            mean = dense.mean(mode, covariance)[:p]
            of_c = np.linalg.inv(covariance[:p, :p])
        c = v[:p]
        eta, own = dense.A[:, :p] @ c, dense.B[:, :p] @ c
        total = 0.5 * (c - mean) @ of_c @ (c - mean) - 0.5 * dense.prior * c @ c
        for column in range(p, len(v)):
            a, b = dense.A[:, column], dense.B[:, column]
            rows = (a != 0) | (b != 0)

            grid = np.linspace(-8, 8, 801)
            logs = dense.rows(eta + np.outer(grid, a), own + np.outer(grid, b))[:, rows].sum(axis=1)
            total += special.logsumexp(logs - 0.5 * grid**2)
        found.append(judged["log_weight_levels"])
        expected.append(total)
    assert np.ptp(expected) > 1e-3
    assert np.subtract(found, found[0]) == pytest.approx(
        np.subtract(expected, expected[0]), abs=1e-2
    )


def orthodont():
    return pd.read_csv(DATA / "orthodont.csv")


@pytest.mark.parametrize(
    ("formula", "sigma", "deviance", "b", "ratio", "sigma_0"),
    [
        (
            *("distance ~ age * sex + (1 | subject)", "~ sex", 409.352350961),
            *([17.3727272727, 0.4795454545], 1 / 0.4657965, 1.651842 * 0.4657965),
        ),
        (
            *("distance ~ age * sex + (age | subject)", "~ sex", 406.04238877),
            *([17.3727272727, 0.4795454545], math.exp(0.8883031), 1.621532 / math.exp(0.8883031)),
        ),
        (
            *("distance ~ age + (1 | subject)", "~ age", 443.357452264),
            *([16.744074289, 0.661728122], math.exp(-0.008380586), 1.557461),
        ),
        (
            *("distance ~ age * sex", "~ sex", 477.943791224),
            *([17.3727272727, 0.4795454545], math.exp(0.07597959), 2.281239 / math.exp(0.07597959)),
        ),
    ],
)
def test_gaussian_models_as_nlme(formula, sigma, deviance, b, ratio, sigma_0):
    found = pp.fit(formula, orthodont(), sigma=sigma, method="ml")
    assert found.deviance == pytest.approx(deviance, abs=2e-7)
    estimate = found.summary()["estimate"]
    assert np.allclose(estimate.iloc[:2], b, atol=2e-5)
    own = [name for name in estimate.index if name.startswith("b_sigma")]
    assert np.allclose(np.exp(estimate[own]), [sigma_0, ratio], rtol=2e-5)
    assert "Laplace" not in str(found)  # levels of the mean integrate out exactly
    assert f"log sigma {sigma}" in str(found)
    errors = found.summary()["standard_error"]
    assert (errors[[*estimate.index[:2], *own]] > 0).all()


def test_a_constant_log_sigma_is_no_formula():
    formula = "distance ~ age * sex + (age | subject)"
    one = pp.fit(formula, orthodont(), sigma="~ 1", method="ml")
    other = pp.fit(formula, orthodont(), method="ml")
    assert one.deviance == pytest.approx(other.deviance, abs=1e-6)
    assert one.n_parameters == other.n_parameters
    sigma = other.summary()["estimate"]["sigma"]
    assert one.summary()["estimate"]["b_sigma[Intercept]"] == pytest.approx(
        math.log(sigma), abs=1e-4
    )
    a, b = one.coefficients(), other.coefficients()
    assert np.allclose(a["mean"], b["mean"], atol=1e-3)
    assert np.allclose(a["sd"], b["sd"], rtol=0.05)  # with the errors of the other parameters


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sigma", [None, "~ x + (1 | h)"])
def test_units_of_the_response_change_nothing_else(family, sigma):
    data = table(np.random.default_rng(5), family, n=150)
    fits = []
    for unit in (1.0, 1e-9, 1e-4, 1e3, 1e7):
        scaled = data.assign(y=unit * data["y"])
        fits.append(
            (unit, pp.fit("y ~ x + (1 | g)", scaled, sigma=sigma, family=family, method="ml"))
        )
    (_, first), *others = fits
    expected = first.summary()
    for unit, fit in others:
        assert fit.deviance - 2 * len(data) * math.log(unit) == pytest.approx(
            first.deviance, abs=1e-5 * abs(first.deviance)
        )
        found = fit.summary()
        log = family == "lognormal"
        if log:
            found.loc["b[Intercept]", "estimate"] -= math.log(unit)
        for name in found.index:
            scale = 1.0 if log or name.startswith(("b_sigma", "sd_sigma", "nu")) else unit
            shift = math.log(unit) if name == "b_sigma[Intercept]" and not log else 0.0
            own = found.loc[name] / scale - [shift, 0, shift, shift]
            for column in ("estimate", "standard_error"):
                assert own[column] == pytest.approx(
                    expected.loc[name, column], rel=2e-3, abs=2e-4, nan_ok=True
                )


def test_likelihoods_are_compared_within_a_family_and_by_both_formulas():
    data = orthodont()
    formula = "distance ~ age + (1 | subject)"
    plain = pp.fit(formula, data, method="ml")
    by_sex, by_age = (pp.fit(formula, data, sigma=s, method="ml") for s in ("~ sex", "~ age"))
    both = pp.fit(formula, data, sigma="~ sex + age", method="ml")
    levels = pp.fit(formula, data, sigma="~ sex + (1 | subject)", method="ml")
    test = plain.lrt(by_sex)
    assert (test.df, test.variances) == (1, 0)
    assert test.chisq == pytest.approx(plain.deviance - by_sex.deviance)
    assert "log sigma ~ sex" in str(test)
    assert by_age.lrt(both).df == 1
    assert (by_sex.lrt(levels).df, by_sex.lrt(levels).variances) == (1, 1)
    with pytest.raises(pp.InputError, match="of log sigma"):
        by_age.lrt(levels)
    heavy = pp.fit(formula, data, family="student_t", method="ml")
    with pytest.raises(pp.InputError, match="student_t family"):
        plain.lrt(heavy)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "reml"}, "log sigma has a formula"),
        ({"method": "ml", "pooling": "none"}, "without pooling"),
        ({"method": "ml", "quadrature": 5, "sigma": "~ (1 | subject)"}, "for one grouping factor"),
    ],
)
def test_what_it_cannot_do_is_said(options, says):
    options = {"sigma": "~ sex", **options}
    with pytest.raises(pp.InputError, match=says):
        pp.fit("distance ~ age + (1 | subject)", orthodont(), **options)
    estimate = pp.fit("distance ~ age + (1 | subject)", orthodont(), sigma="~ sex", method="ml")
    for ask in (estimate.confint, estimate.variance):
        with pytest.raises(pp.InputError, match="a formula of sigma"):
            ask()


def test_what_nothing_determines_is_named():
    # A single row of its own kind that lies where it is expected: its sd may be any small one.
    data = table(np.random.default_rng(3), "gaussian", n=90)
    data.loc[7, "y"] = 0.3 + 0.5 * data["x"][7] + data.query("g == @data.g[7]")["y"].mean() - 0.4
    data["kind"] = np.where(np.arange(90) == 7, "one", np.where(np.arange(90) % 2, "a", "b"))
    fit = pp.fit("y ~ x + (1 | g)", data, sigma="~ kind", method="ml")
    (finding,) = [one for one in fit.findings if one.level == "error"]
    assert finding.code == "not-determined"
    assert "values of `b_sigma[kind[T.one]]`: " in finding.message
    row = fit.summary().loc["b_sigma[kind[T.one]]"]
    assert row[["standard_error", "lower", "upper"]].isna().all()
    assert fit.summary("b")["standard_error"].notna().all()
