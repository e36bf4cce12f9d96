"""REML and ML of several grouping factors: dense matrices, one factor by itself, lme4."""

import numpy as np
import pytest
from scipy import optimize

import partialpool as pp
from dense_blocks import DenseBlocks
from dense_factors import Dense, simulated, table
from partialpool import _core
from partialpool.data import open_table
from partialpool.design import build_design
from partialpool.formula import parse_formula
from partialpool.likelihood import criterion as likelihoods
from partialpool.likelihood import maximum
from partialpool.likelihood.integrals import Several
from partialpool.model import pool

# lme4 1.1-31 on R 4.2, lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)), but for
# the formula as written here: deviance or REML criterion, AIC, estimates, standard errors of b.
LME4 = [
    (
        "penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "reml",
        (330.86058899109, 338.860588991),
        [22.9722222222, 0.846704399531, 1.931558700665, 0.549923126499], [0.808573511676],
    ),
    (
        "penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "ml",
        (332.1883486685, 340.188348669),
        [22.9722222222, 0.845572201891, 1.770646447376, 0.549932192325], [0.74459586217],
    ),
    (
        "pastes", "strength ~ 1 + (1 | sample) + (1 | batch)", "reml",
        (246.99074585349, 254.990745853),
        [60.0533333333, 2.904077578381, 1.287365188869, 0.823407544618], [0.676870099848],
    ),
    (
        "pastes", "strength ~ 1 + (1 | batch/cask)", "ml",
        (247.99446586242, 255.994465862),
        [60.0533333333, 1.095059608521, 2.904077600805, 0.823407552474], [0.642135327089],
    ),
    (
        "cake", "angle ~ recipe + temp + (1 | replicate) + (1 | recipe:replicate)", "reml",
        (1655.9446149655, 1669.94461497),
        [1.515873015873, -1.477777777778, -1.522222222222, 0.158031746032,
         6.17374446657, 1.91898246568, 4.55054040052],
        [3.6789459912018, 0.9752763728911, 0.9752763728911, 0.0162157743842],
    ),
    (
        "cake", "angle ~ recipe + temp + (temp || replicate) + (1 | recipe:replicate)", "reml",
        (1653.9076324725, 1669.90763247),
        [1.515873015864, -1.477777777778, -1.522222222222, 0.158031746032,
         2.6881281688, 0.02775963563, 1.92955596715, 4.52363229115],
        [3.3691762610989, 0.9752762171441, 0.9752762171441, 0.0176415401911],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "formula", "method", "criteria", "estimate", "error"), LME4)
def test_estimates_are_those_of_lme4(name, formula, method, criteria, estimate, error):
    found = pp.fit(formula, table(name), method=method)
    assert (found.deviance, found.aic) == pytest.approx(criteria, abs=1e-7)
    # Where lme4 stops, some 1e-9 of deviance from the maximum, sds are still some 1e-5 off.
    assert found.numbers["estimate"] == pytest.approx(estimate, rel=3e-5)
    assert found.numbers["standard_error"][: len(error)] == pytest.approx(error, rel=3e-5)
    assert found.findings == []


@pytest.mark.parametrize(
    ("name", "formula", "objective"),
    [  # MixedModels.jl, test/pls.jl
        ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", 332.18834867227616),
        ("pastes", "strength ~ 1 + (1 | batch / cask)", 247.9944658624955),
    ],
)
def test_deviances_are_those_of_mixed_models(name, formula, objective):
    found = pp.fit(formula, table(name), method="ml").deviance
    assert found == pytest.approx(objective, abs=1e-6)
    assert found <= objective


def test_cells_of_the_split_plot_that_is_balanced():
    # lmer(angle ~ recipe * temp + (1 | recipe:replicate)): one factor, by both paths.
    found = pp.fit("angle ~ recipe * temp + (1 | recipe:replicate)", table("cake"), method="reml")
    assert found.deviance == pytest.approx(1703.2674800755, abs=1e-7)
    two = pp.fit(
        "angle ~ recipe * temp + (1 | recipe:replicate) + (1 | temp)", table("cake"), method="reml"
    )
    assert two.deviance <= found.deviance


# --- Dense matrices -----------------------------------------------------------------------------


# Formula, and of each factor in the order of the summary: column, columns of Z, correlated or not.
MODELS = [
    ("(1 | g) + (1 | h)", [("g", "1", False), ("h", "1", False)], {}),
    ("(x | g) + (1 | h)", [("g", "1x", True), ("h", "1", False)], {}),
    ("(x | g) + (z | h)", [("g", "1x", True), ("h", "1z", True)], {"weights": "w", "offset": "o"}),
    ("(x || g) + (z | h)", [("g", "1x", False), ("h", "1z", True)], {"se": "se"}),
    ("(1 | g) + (1 | k)", [("g", "1", False), ("k", "1", False)], {"weights": "w"}),
    (
        "(x | g) + (1 | k) + (0 + z | h)",
        [("g", "1x", True), ("k", "1", False), ("h", "z", False)],
        {},
    ),
]


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(("terms", "factors", "roles"), MODELS)
def test_maximum_of_dense_matrices(terms, factors, roles, method):
    data = simulated(3)
    found = pp.fit(f"y ~ x + z + {terms}", data, method=method, **roles)
    dense, best = Dense(data, factors, roles, method), found.maximum
    assert [group.name for group in found.model.groups] == [name for name, *_ in factors]
    # At our estimates the deviance is what we say, and nothing near or far is lower.
    v = []
    for group, (_, _, tied) in zip(best.groups, dense.factors, strict=True):
        q = len(group.sd)
        cor = np.eye(q)
        if tied and q == 2:
            cor[0, 1] = cor[1, 0] = group.cor[0]
        L = np.linalg.cholesky(cor * np.outer(group.sd, group.sd) + 1e-15 * np.eye(q))
        v += [*np.diag(L), *(L[np.tril_indices(q, -1)] if tied else [])]
    v = np.array(v if dense.known else [*v, np.log(best.sigma)])
    assert dense.deviance(v) == pytest.approx(found.deviance, abs=1e-8)
    assert dense.minimum().fun >= found.deviance - 1e-8
    assert dense.minimum(start=v).fun >= found.deviance - 1e-8
    # Coefficients and their errors: Henderson's equations, written with V.
    V = dense.V(v)
    inverse = np.linalg.inv(V)
    error = np.linalg.inv(dense.X.T @ inverse @ dense.X)
    b = error @ dense.X.T @ inverse @ dense.y
    assert best.b == pytest.approx(b, rel=1e-8)
    assert best.vcov == pytest.approx(error, rel=1e-7)
    order = {"1": 0, "x": 1, "z": 2}
    coefficients = found.coefficients()
    for (name, columns, _), (codes, Z, _), Sigma in zip(
        factors, dense.factors, dense.covariances(v), strict=True
    ):
        twins = np.eye(3)[[order[c] for c in columns]]
        for level in (0, 3):
            A = Sigma @ (Z * (codes == level)[:, None]).T @ inverse
            away = twins - A @ dense.X
            own = Sigma - A @ V @ A.T + away @ error @ away.T
            rows = coefficients[(coefficients["factor"] == name) & (coefficients["level"] == level)]
            expected = twins @ b + A @ (dense.y - dense.X @ b)
            assert rows["mean"].to_numpy() == pytest.approx(expected, rel=1e-6)
            assert rows["sd"].to_numpy() == pytest.approx(np.sqrt(np.diag(own)), rel=1e-6)


def likelihood_of(formula, data, *, restricted=True, **roles):
    pooled = pool(build_design(parse_formula(formula), open_table(data), **roles), "partial")
    return likelihoods.build_likelihood(pooled, restricted=restricted)


@pytest.mark.parametrize("roles", [{}, {"se": "se"}, {"weights": "w"}])
@pytest.mark.parametrize("restricted", [True, False])
def test_slopes_of_the_criterion(roles, restricted):
    likelihood = likelihood_of(
        "y ~ x + z + (x | g) + (z || h)", simulated(1), restricted=restricted, **roles
    )
    G = np.zeros((4, 4))
    G[:2, :2], G[2, 2], G[3, 3] = [[0.5, 0.1], [0.1, 0.3]], 0.2, 0.7
    here, rng = likelihood.at(G), np.random.default_rng(1)
    for _ in range(3):
        D = np.zeros((4, 4))
        D[:2, :2], D[2:, 2:] = rng.normal(size=(2, 2, 2))
        D, h = D + D.T, 1e-4
        up, down = likelihood.at(G + h * D), likelihood.at(G - h * D)
        assert np.sum(here.slope * D) == pytest.approx((up.value - down.value) / (2 * h), rel=1e-5)
        curvature = np.sum((up.slope - down.slope) * D) / (2 * h)
        assert here.curvature(D[None])[0, 0] == pytest.approx(curvature, rel=1e-3)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize(
    ("formula", "roles"),
    [("y ~ x + (1 | g)", {}), ("y ~ x + z + (x | g)", {"weights": "w"}),
     ("y ~ x + (x || g)", {"se": "se"})],
)  # fmt: skip
def test_one_factor_by_the_path_of_several(monkeypatch, formula, roles, restricted):
    data = simulated(2)
    one = likelihood_of(formula, data, restricted=restricted, **roles)
    monkeypatch.setattr(likelihoods, "_at_most_one", likelihoods._several)
    other = likelihood_of(formula, data, restricted=restricted, **roles)
    assert isinstance(other.rows, Several)
    first, second = maximum.maximise(one), maximum.maximise(other)
    assert second.deviance == pytest.approx(first.deviance, abs=1e-9)
    assert second.b == pytest.approx(first.b, rel=1e-6)
    assert second.vcov == pytest.approx(first.vcov, rel=1e-5)
    for name in ("sd", "cor", "coef", "coef_sd"):
        ours, theirs = (getattr(m.groups[0], name) for m in (second, first))
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert (second.converged, second.determined) == (True, True)


def test_the_stand_in_and_the_core_agree():
    data = simulated(4)
    rng = np.random.default_rng(4)
    Z = [np.column_stack([np.ones(90), data["x"]]), data[["z"]].to_numpy()]
    given = {
        "z": Z,
        "codes": [data["g"].to_numpy(np.int64), data["k"].to_numpy(np.int64)],
        "n_levels": [9, 27],
        "unscale": [np.array([[1.0, 0.3], [0.0, 2.0]]), np.array([[0.7]])],
        "xy": rng.normal(size=(90, 3)),
        "row_scale": data["se"].to_numpy(),
    }
    factors = [np.array([[0.8, 0.0], [-0.3, 0.5]]), np.array([[0.6]])]
    omega = np.cov(rng.normal(size=(3, 9)))
    dense, core = DenseBlocks(**given), _core.Blocks(**given)
    # The stand-in itself, against the covariance of the rows.
    scale = given["row_scale"][:, None]
    V = np.eye(90)
    for z, unscale, codes, L in zip(Z, given["unscale"], given["codes"], factors, strict=True):
        half = scale * (z @ unscale @ L)
        V += np.where(codes[:, None] == codes, half @ half.T, 0.0)
    xy = scale * given["xy"]
    log_det, F = dense.at(factors)
    assert log_det == pytest.approx(np.linalg.slogdet(V)[1])
    assert pytest.approx(xy.T @ np.linalg.solve(V, xy)) == F
    assert core.at(factors)[0] == pytest.approx(log_det)
    assert core.at(factors)[1] == pytest.approx(F)
    for name, arguments in (("slopes", (omega,)), ("pull", ()), ("variances", ())):
        ours = getattr(core, name)(factors, *arguments)
        for own, theirs in zip(ours, getattr(dense, name)(factors, *arguments), strict=True):
            assert own == pytest.approx(theirs, rel=1e-9, abs=1e-10)


# --- The boundary -------------------------------------------------------------------------------


def test_sds_of_zero_are_exact():
    # Factors that have nothing to do with the response, balanced so that means differ too little.
    rng = np.random.default_rng(8)
    g, h = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)
    y = rng.normal(size=96)
    y = y - np.bincount(h, y)[h] / 8 + rng.normal(size=8)[g]
    found = pp.fit("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h}, method="reml")
    one = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": g}, method="reml")
    assert found.maximum.groups[1].sd.tolist() == [0.0]
    assert found.maximum.groups[1].rank == 0
    assert found.maximum.groups[0].sd == pytest.approx(one.maximum.groups[0].sd, rel=1e-6)
    assert found.deviance == pytest.approx(one.deviance, abs=1e-9)
    assert found.maximum.groups[1].coef == pytest.approx(np.full((12, 1), found.maximum.b[0]))
    (finding,) = (f for f in found.findings if f.code == "singular-fit")
    assert "The estimate of `sd_h[Intercept]` is exactly 0" in finding.message


def test_correlations_of_one_are_exact():
    # lmer(angle ~ recipe + temp + (temp | replicate) + (1 | recipe:replicate), cake) is singular.
    formula = "angle ~ recipe + temp + (temp | replicate) + (1 | recipe:replicate)"
    found = pp.fit(formula, table("cake"), method="reml")
    assert found.maximum.groups[0].cor.tolist() == [1.0]
    assert [group.rank for group in found.maximum.groups] == [1, 1]
    assert found.deviance == pytest.approx(1653.8974977172, abs=1e-6)
    assert [f.code for f in found.findings] == ["singular-fit"]


@pytest.mark.parametrize("seed", range(6))
def test_no_search_finds_more(seed):
    # Few levels, slopes in both factors: many of these maxima lie on the boundary.
    data = simulated(100 + seed, n=50)
    data["y"] = np.random.default_rng(seed).normal(size=50) + 0.5 * data["y"]
    formula = "y ~ x + (x | g) + (z | h)"
    likelihood = likelihood_of(formula, data)
    best = maximum.maximise(likelihood)
    rng = np.random.default_rng(seed)

    def deviance(v):
        L = np.zeros((4, 4))
        L[[0, 1, 1, 2, 3, 3], [0, 0, 1, 2, 2, 3]] = v
        return likelihood.at(L @ L.T).deviance

    lowest = min(
        optimize.minimize(deviance, rng.normal(size=6), method="BFGS").fun for _ in range(3)
    )
    assert best.converged
    assert best.deviance <= lowest + 1e-7


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_units_do_not_matter(method):
    data = simulated(5)
    formula = "y ~ x + z + (x | g) + (1 | h)"
    first = pp.fit(formula, data, method=method)
    data["y"], data["x"] = 1e-4 * data["y"] + 20, 1e3 * data["x"] - 5e4
    second = pp.fit(formula, data, method=method)
    n, p = len(data), 3
    change = (n - p if method == "reml" else n) * 2 * np.log(1e-4)
    change += 2 * np.log(1e3) if method == "reml" else 0
    assert second.deviance == pytest.approx(first.deviance + change, abs=1e-7)
    one, two = first.maximum, second.maximum
    assert two.sigma == pytest.approx(1e-4 * one.sigma, rel=1e-6)
    assert two.groups[0].sd[1] == pytest.approx(1e-7 * one.groups[0].sd[1], rel=1e-5)
    assert two.groups[1].sd == pytest.approx(1e-4 * one.groups[1].sd, rel=1e-5)


def test_factors_that_are_the_same_determine_no_sds():
    data = simulated(6)
    data["again"] = data["g"] + 100
    found = pp.fit("y ~ x + (1 | g) + (1 | again)", data, method="reml")
    assert next((f.code, f.level) for f in found.findings) == ("not-determined", "error")
