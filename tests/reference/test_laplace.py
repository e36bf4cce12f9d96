"""Maximum likelihood of models that are not Gaussian: the integral, its slopes, and lme4's numbers.

Numbers of lme4 1.1-31: ``glmer(…, control = glmerControl(optimizer = "bobyqa", optCtrl =
list(maxfun = 1e5, rhoend = 1e-9), tolPwrss = 1e-10))``.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import partialpool as pp
from partialpool import limits
from partialpool.likelihood.generalised import build_generalised
from partialpool.likelihood.place import Searched
from partialpool.spec import Spec, pose

DATA = Path(__file__).parents[1] / "data"


def generalised(formula, data, family="gaussian", quadrature=1, **options):
    posed = pose(Spec(formula, family=family, **options), data)
    return build_generalised(posed.pooled, quadrature), posed.design


def place(of, v):
    return Searched(of, np.arange(len(v)), v).at(v)


def table(rng, family, n=60):
    """Rows with two crossed factors that any family can give."""
    x, g, h = rng.normal(size=n), rng.integers(0, 7, n), rng.integers(0, 5, n)
    eta = 0.3 + 0.5 * x + rng.normal(0, 0.7, 7)[g] + rng.normal(0, 0.5, 5)[h]
    mean = np.exp(np.clip(eta, -3, 3))
    share = 1 / (1 + np.exp(-eta))
    y = {
        "bernoulli": lambda: rng.binomial(1, share),
        "binomial": lambda: rng.binomial(6, share),
        "poisson": lambda: rng.poisson(mean),
        "negbinomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
        "gamma": lambda: rng.gamma(2.0, mean / 2.0),
        "exponential": lambda: rng.exponential(mean),
        "weibull": lambda: mean * rng.weibull(1.5, n),
        "lognormal": lambda: np.exp(eta + rng.normal(0, 0.6, n)),
        "beta": lambda: np.clip(rng.beta(5 * share, 5 * (1 - share)), 1e-3, 1 - 1e-3),
        "student_t": lambda: eta + rng.standard_t(4, n),
        "zero_inflated_poisson": lambda: rng.poisson(mean) * rng.binomial(1, 0.8, n),
        "cumulative": lambda: np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 1.5]),
    }[family]()
    return pd.DataFrame({"x": x, "g": g, "h": h, "y": y, "w": rng.integers(1, 3, n)})


FAMILIES = (
    *("bernoulli", "binomial", "poisson", "negbinomial", "gamma", "exponential", "weibull"),
    *("lognormal", "beta", "cumulative", "student_t", "zero_inflated_poisson"),
)


def codes(fit):
    return [finding.code for finding in fit.findings]


def options_of(family):
    return {"trials": 6} if family == "binomial" else {}


def moved(rng, of):
    return of.start + rng.normal(0, 0.2, len(of.start))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "groups", ["(1 | g)", "(x | g)", "(1 | g) + (1 | h)", "(x || g) + (x | h)"]
)
def test_slopes_are_those_of_the_value(family, groups):
    rng = np.random.default_rng(len(groups) + 100 * FAMILIES.index(family))
    data = table(rng, family)
    of, _ = generalised(f"y ~ x + {groups}", data, family, **options_of(family))
    v = moved(rng, of)
    here, steps = place(of, v), 1e-4 * np.eye(len(v))
    assert here.mode is not None
    found = here.by_entries
    ends = [(place(of, v + s).value - place(of, v - s).value) / 2e-4 for s in steps]
    assert np.allclose(found, ends, rtol=2e-5, atol=2e-5 * np.abs(ends).max())


def test_slopes_of_an_earlier_mode_are_its_own():
    # They share the storage in which modes are found.
    rng = np.random.default_rng(5)
    of, _ = generalised("y ~ x + (x | g) + (1 | h)", table(rng, "gamma"), "gamma")
    v, other = moved(rng, of), moved(rng, of)
    expected = place(of, v).by_entries
    here, there = place(of, v), place(of, other)
    assert np.allclose(here.by_entries, expected, rtol=1e-9, atol=1e-9)
    assert not np.allclose(there.by_entries, expected, rtol=0.01)
    assert np.allclose(here.by_entries, place(of, v).by_entries, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "gamma"])
def test_the_integral_is_that_of_dense_matrices(family):
    # The mode by a library's optimiser, the curvature by differences of an independent density.
    rng = np.random.default_rng(FAMILIES.index(family))
    data = table(rng, family, n=40)
    of, design = generalised("y ~ x + (x | g) + (1 | h)", data, family)
    v = moved(rng, of)
    here = place(of, v)
    (L_g, L_h), aux = of.factors(v), of.aux(v)[0]
    b = of.model.coordinates["mu"].from_working(v[: of.n_c])
    y, X, g, h = data["y"].to_numpy(), design.X, data["g"].to_numpy(), data["h"].to_numpy()

    def logp(u):
        r_g = u[:14].reshape(7, 2) @ L_g.T
        eta = X @ b + (X * r_g[g]).sum(axis=1) + (u[14:] * L_h[0, 0])[h]
        if family == "bernoulli":
            rows = y * eta - np.logaddexp(0, eta)
        elif family == "poisson":
            rows = stats.poisson.logpmf(y, np.exp(eta))
        else:
            rows = stats.gamma.logpdf(y, aux[0], scale=np.exp(eta) / aux[0])
        return rows.sum() - 0.5 * u @ u

    start = optimize.minimize(lambda u: -logp(u), np.zeros(19), method="BFGS")
    found = optimize.minimize(lambda u: -logp(u), start.x, method="BFGS", options={"gtol": 1e-8})
    h_ = 1e-3
    eye = h_ * np.eye(19)
    H = np.empty((19, 19))
    for i in range(19):
        for j in range(19):
            corners = [
                s * t * logp(found.x + s * eye[i] + t * eye[j]) for s in (1, -1) for t in (1, -1)
            ]
            H[i, j] = -sum(corners) / (4 * h_**2)
    expected = logp(found.x) - 0.5 * np.linalg.slogdet(H)[1]
    assert -0.5 * here.value == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("family", "nodes"), [("bernoulli", 25), ("poisson", 45)])
def test_quadrature_is_the_integral(family, nodes):
    rng = np.random.default_rng(nodes)
    data = table(rng, family, n=30)
    of, design = generalised("y ~ x + (0 + x | g)", data, family, nodes)
    v = moved(rng, of)
    (L,) = of.factors(v)
    b = of.model.coordinates["mu"].from_working(v[: of.n_c])
    y, X, g = data["y"].to_numpy(), design.X, data["g"].to_numpy()

    def level(j):
        own = g == j

        def density(u):
            eta = X[own] @ b + X[own, 1] * L[0, 0] * u
            if family == "bernoulli":
                rows = y[own] * eta - np.logaddexp(0, eta)
            else:
                rows = stats.poisson.logpmf(y[own], np.exp(eta))
            return math.exp(rows.sum() - 0.5 * u * u) / math.sqrt(2 * math.pi)

        return math.log(integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-11, limit=200)[0])

    expected = sum(level(j) for j in np.unique(g))
    assert -0.5 * place(of, v).value == pytest.approx(expected, abs=1e-6)


def test_gaussian_rows_are_integrated_exactly():
    # Laplace's formula is exact for them: the maximum is that of the logarithms.
    rng = np.random.default_rng(5)
    data = table(rng, "lognormal", n=80)
    data["log_y"] = np.log(data["y"])
    formula = " ~ x + (x | g) + (1 | h)"
    ours = pp.fit("y" + formula, data, family="lognormal", method="ml")
    exact = pp.fit("log_y" + formula, data, method="ml")
    jacobian = 2 * float(np.sum(data["log_y"]))
    assert ours.deviance == pytest.approx(exact.deviance + jacobian, abs=1e-5)
    theirs = exact.summary()["estimate"]
    assert np.allclose(ours.summary()["estimate"].loc[theirs.index], theirs, atol=2e-4)
    a, b = ours.coefficients(), exact.coefficients()
    assert np.allclose(a["mean"], b["mean"], atol=1e-3)
    assert np.allclose(a["sd"], b["sd"], rtol=0.05)


CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def cbpp():
    return pd.read_csv(DATA / "cbpp.csv").astype({"period": str})


def test_cbpp_as_lme4():
    found = pp.fit(CBPP, cbpp(), family="binomial", method="ml")
    assert found.deviance == pytest.approx(184.052563742994, abs=1e-5)
    summary = found.summary()
    b = [-1.398532123711, -0.9923327060565, -1.128672080624, -1.580313800769]
    error = [0.2324718516296, 0.3066421912028, 0.3266374686042, 0.4274359816379]
    assert np.allclose(summary["estimate"].iloc[:4], b, atol=2e-4)
    assert np.allclose(summary["standard_error"].iloc[:4], error, rtol=0.01)
    assert summary["estimate"]["sd_herd[Intercept]"] == pytest.approx(0.6422614453932, abs=2e-4)


@pytest.mark.parametrize(
    ("link", "nodes", "b", "sd"),
    [
        (
            *("logit", 9),
            [-1.399230192315, -0.9914038642892, -1.127819693091, -1.579471055346],
            0.6475177264307,
        ),
        (
            *("probit", 25),
            [-0.8320144447649, -0.5262790311159, -0.6147811985459, -0.7975317564268],
            0.3396481398231,
        ),
    ],
)
def test_cbpp_by_quadrature_as_lme4(link, nodes, b, sd):
    found = pp.fit(CBPP, cbpp(), family="binomial", link=link, method="ml", quadrature=nodes)
    summary = found.summary()
    assert np.allclose(summary["estimate"].iloc[:4], b, atol=2e-4)
    assert summary["estimate"]["sd_herd[Intercept]"] == pytest.approx(sd, abs=2e-4)
    assert f"quadrature with {nodes} nodes" in str(found)


def test_grouseticks_as_lme4():
    data = pd.read_csv(DATA / "grouseticks.csv")
    data["height"] -= data["height"].mean()
    formula = "ticks ~ factor(year) + height + (1 | brood) + (1 | index) + (1 | location)"
    found = pp.fit(formula, data, family="poisson", method="ml")
    assert found.deviance == pytest.approx(1780.542706981, abs=1e-3)
    summary = found.summary()
    b = [0.37278646870313, 1.18040749855760, -0.97868689604788, -0.02376040678401]
    error = [0.196363665437, 0.238119748727, 0.262772674796, 0.003438325874]
    sds = [0.7500306200386, 0.5415083364103, 0.5287210009327]
    assert np.allclose(summary["estimate"], [*b, *sds], atol=1e-4)
    assert np.allclose(summary["standard_error"].iloc[:4], error, rtol=1e-3)


CONTRACEPTION = "use ~ age + I(age^2) + urban + children + (1 | district)"


@pytest.mark.parametrize(
    ("nodes", "deviance", "sd"), [(1, 2372.728706598, 0.4752171), (9, 2372.458884977, 0.4786364)]
)
def test_contraception_as_lme4(nodes, deviance, sd):
    data = pd.read_csv(DATA / "contraception.csv")
    found = pp.fit(CONTRACEPTION, data, family="bernoulli", method="ml", quadrature=nodes)
    assert found.deviance == pytest.approx(deviance, abs=2e-4)  # lme4 stops before the maximum
    estimate = found.summary()["estimate"]
    b = [-1.0354197, 0.0035328, -0.0045632, 0.6967084, 0.8151491, 0.9165219, 0.9153616]
    assert np.allclose(estimate.iloc[:7], b, atol=6e-4)
    assert estimate["sd_district[Intercept]"] == pytest.approx(sd, abs=1e-4)


TOENAIL = "outcome ~ treatment * visit + (1 | patient)"


@pytest.mark.parametrize(
    ("nodes", "deviance", "estimates", "error"),
    [
        (1, 1248.760258954, [-1.450300, -0.013508, -0.805655, -0.235598, 4.759796], 0.9203978),
        (5, 1250.851293153, [-0.305369, 0.177602, -0.778691, -0.229997, 3.821281], 0.4424228),
        (25, 1242.421651527, [-0.450784, 0.158118, -0.791549, -0.236020, 4.127021], 0.4786508),
    ],
)
def test_toenail_as_lme4(nodes, deviance, estimates, error):
    data = pd.read_csv(DATA / "toenail.csv")
    found = pp.fit(TOENAIL, data, family="bernoulli", method="ml", quadrature=nodes)
    assert found.deviance == pytest.approx(deviance, abs=1e-5)
    summary = found.summary()
    assert np.allclose(summary["estimate"], estimates, atol=2e-5)
    assert summary["standard_error"].iloc[0] == pytest.approx(error, rel=1e-3)


def test_where_laplace_is_rough_it_says_so_and_by_how_much():
    data = pd.read_csv(DATA / "toenail.csv")
    found = pp.fit(TOENAIL, data, family="bernoulli", method="ml")
    (finding,) = [one for one in found.findings if one.code == "rough-integral"]
    assert finding.level == "warning"
    assert "`quadrature=15`" in finding.remedy
    assert found.maximum.moved.label == "sd_patient[Intercept]"
    assert found.maximum.moved.to == pytest.approx(4.127, abs=0.1)  # in place of 4.76
    better = pp.fit(TOENAIL, data, family="bernoulli", method="ml", quadrature=31)
    assert "rough-integral" not in codes(better)


def test_too_few_nodes_are_told():
    data = pd.read_csv(DATA / "toenail.csv")
    found = pp.fit(TOENAIL, data, family="bernoulli", method="ml", quadrature=5)
    (finding,) = [one for one in found.findings if one.code == "rough-integral"]
    assert finding.message.startswith("Quadrature with 5 nodes of the likelihood is rough")
    assert found.maximum.moved.to == pytest.approx(4.127, abs=0.15)  # in place of 3.82


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_what_would_move_is_where_quadrature_leads(seed):
    rng = np.random.default_rng(seed)
    levels, rows = int(rng.integers(40, 400)), int(rng.integers(4, 25))
    g, sd = np.repeat(np.arange(levels), rows), rng.uniform(0.4, 1.6)
    x = rng.normal(size=len(g))
    eta = rng.normal() + 0.5 * x + rng.normal(0, sd, levels)[g]
    family = ["bernoulli", "poisson"][seed % 2]
    share = 1 / (1 + np.exp(-eta))
    y = rng.binomial(1, share) if family == "bernoulli" else rng.poisson(np.exp(eta - 1))
    fits = [
        pp.fit("y ~ x + (1 | g)", {"x": x, "g": g, "y": y}, family=family, method="ml", **options)
        for options in ({}, {"quadrature": 21})
    ]
    laplace, exact = (fit.summary()["estimate"] for fit in fits)
    moved = fits[0].maximum.moved
    if moved is None:
        assert abs(laplace["sd_g[Intercept]"] - exact["sd_g[Intercept]"]) < 0.01
        return
    assert moved.estimate == pytest.approx(laplace[moved.label])
    away = exact[moved.label] - moved.estimate
    error = abs(moved.to - moved.estimate) / moved.errors
    assert abs(moved.to - exact[moved.label]) < 0.15 * abs(away) + 0.01 * error
    assert (moved.errors > limits.ROUGH_INTEGRAL) == ("rough-integral" in codes(fits[0]))


def test_what_is_left_out_of_crossed_factors_is_that_of_each():
    rng = np.random.default_rng(4)
    data = table(rng, "bernoulli", n=90)
    of, design = generalised("y ~ x + (1 | g) + (x | h)", data, "bernoulli")
    v = moved(rng, of)
    here = place(of, v)
    b = of.model.coordinates["mu"].from_working(v[: of.n_c])
    y, X = data["y"].to_numpy(), design.X
    L_g, L_h = of.factors(v)
    r_g, r_h = here.mode.r
    g, h = (factor.codes for factor in design.factors)
    eta = X @ b + r_g[g, 0] + (X * r_h[h]).sum(axis=1)
    x, width = np.linspace(-8, 8, 401), 0.04
    square = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    for k, (codes_, L, r, Z) in enumerate([(g, L_g, r_g, X[:, :1]), (h, L_h, r_h, X)]):
        points, expected = (x[:, None], square)[k], 0.0
        for level in np.unique(codes_):
            own = codes_ == level
            rest = eta[own] - Z[own] @ r[level]
            mode = np.linalg.solve(L, r[level])

            def logs(u, rest=rest, own=own, L=L, Z=Z):
                at = rest + u @ (Z[own] @ L).T
                return (y[own] * at - np.logaddexp(0, at)).sum(axis=1) - 0.5 * (u**2).sum(axis=1)

            p = 1 / (1 + np.exp(-(rest + Z[own] @ r[level])))
            A = np.eye(len(L)) + L.T @ (Z[own].T * (p * (1 - p))) @ Z[own] @ L
            top = logs(mode[None])[0]
            integral = np.log(np.exp(logs(points) - top).sum() * width ** len(L))
            gauss = 0.5 * len(L) * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(A)[1]
            expected += integral - gauss
        nodes, weights = (own.tolist() for own in np.polynomial.hermite.hermgauss(31))
        found = of.core.left_out(mode=here.mode, factor=k, nodes=nodes, weights=weights)
        assert found == pytest.approx(expected, abs=1e-6)


def test_an_sd_that_nothing_speaks_for_is_0():
    rng = np.random.default_rng(2)
    y = np.tile([0, 1], 30)
    data = {"y": y, "g": np.repeat(np.arange(10), 6), "x": rng.normal(size=60)}
    found = pp.fit("y ~ x + (1 | g)", data, family="bernoulli", method="ml")
    assert found.summary()["estimate"]["sd_g[Intercept]"] == 0
    assert "singular-fit" in {one.code for one in found.findings}
    alone = pp.fit("y ~ x + (1 | g)", data, family="bernoulli", method="ml", pooling="complete")
    assert found.deviance == pytest.approx(alone.deviance, abs=1e-8)


def test_nested_models_are_tested():
    data = cbpp()
    large = pp.fit(CBPP, data, family="binomial", method="ml")
    small = pp.fit(CBPP.replace("period", "1", 1), data, family="binomial", method="ml")
    test = large.lrt(small)
    assert test.df == 3
    assert test.chisq == pytest.approx(small.deviance - large.deviance)
    finer = pp.fit(CBPP, data, family="binomial", method="ml", quadrature=9)
    with pytest.raises(
        pp.InputError, match="integrated out with 1 node, those of the other with 9"
    ):
        small.lrt(finer)
    none = pp.fit(CBPP.replace(" + (1 | herd)", ""), data, family="binomial", method="ml")
    assert none.lrt(finer).chisq == pytest.approx(none.deviance - finer.deviance)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "reml"}, "is for Gaussian models"),
        ({"method": "ml", "quadrature": 0}, "quadrature"),
        ({"method": "nuts", "quadrature": 3}, 'belongs to method="ml"'),
        ({"method": "ml", "priors": {"b": "normal(0, 1)"}}, "priors are given"),
        ({"method": "ml", "pooling": "none"}, "without pooling"),
    ],
)
def test_what_it_cannot_do_is_said(options, says):
    with pytest.raises(pp.InputError, match=says):
        pp.fit(CBPP, cbpp(), family="binomial", **options)


@pytest.mark.parametrize(("family", "nodes"), [("bernoulli", 31), ("poisson", 45)])
@pytest.mark.parametrize("term", ["(x | g)", "(x || g)"])
def test_quadrature_of_two_coefficients_is_the_integral(family, nodes, term):
    rng = np.random.default_rng(nodes)
    data = table(rng, family, n=40)
    of, design = generalised(f"y ~ x + {term}", data, family, nodes)
    v = moved(rng, of)
    (L,) = of.factors(v)
    b = of.model.coordinates["mu"].from_working(v[: of.n_c])
    y, X, g = data["y"].to_numpy(), design.X, data["g"].to_numpy()
    grid = np.linspace(-9, 9, 1201)
    one, other = np.meshgrid(grid, grid, indexing="ij")

    def level(j):
        logp = -0.5 * (one**2 + other**2) - math.log(2 * math.pi)
        for i in np.flatnonzero(g == j):
            z = X[i] @ L
            eta = X[i] @ b + z[0] * one + z[1] * other
            if family == "bernoulli":
                logp = logp + y[i] * eta - np.logaddexp(0, eta)
            else:
                logp = logp + stats.poisson.logpmf(y[i], np.exp(eta))
        return math.log(np.exp(logp).sum() * (grid[1] - grid[0]) ** 2)

    expected = sum(level(j) for j in np.unique(g))
    assert -0.5 * place(of, v).value == pytest.approx(expected, abs=1e-5)


def test_quadrature_of_slopes_says_its_nodes_and_settles():
    data = table(np.random.default_rng(3), "bernoulli", n=80)
    fits = [
        pp.fit("y ~ x + (x | g)", data, family="bernoulli", method="ml", quadrature=nodes)
        for nodes in (1, 7, 15)
    ]
    assert "adaptive quadrature with 7 × 7 nodes a level" in " ".join(str(fits[1]).split())
    laplace, some, many = (fit.log_likelihood for fit in fits)
    assert abs(some - many) < 1e-3 < abs(laplace - many)


def test_quadrature_needs_few_coefficients_a_level():
    data = cbpp()
    with pytest.raises(pp.InputError, match="one or two coefficients a level"):
        pp.fit(CBPP.replace("(1", "(period"), data, family="binomial", method="ml", quadrature=5)
    with pytest.raises(pp.InputError, match="integrate out exactly"):
        pp.fit("size ~ 1 + (1 | herd)", data, method="ml", quadrature=5)
