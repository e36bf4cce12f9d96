"""REML and ML: dense matrices, closed forms, and what lme4 printed."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import partialpool as pp
from helpers import Dense, individuals
from partialpool.likelihood import search

# lme4 1.1-31 on R 4.2, bobyqa with rhoend 1e-12; the three digits of its default optimiser are in
# test_maximum.py. Deviance: its criterion (REML) or deviance (ML). AIC and BIC follow from it.
RADON = {
    ("(1 | county)", "reml"): (
        [1.4923931759, -0.6628887271, 0.3154081456, 0.7257798101],
        [0.04955303828, 0.06765333745],
        (2097.5219842831, 2105.5219842831, 2124.8151287725),
    ),
    ("(1 | county)", "ml"): (
        [1.4919695324, -0.6625476566, 0.3117989114, 0.7253670875],
        [0.04923006461, 0.06758553409],
        (2089.7067988126, 2097.7067988126, 2116.999943302),
    ),
    ("(floor | county)", "reml"): (
        [1.4945222744, -0.6548078039, 0.3370852440, 0.3284839557, -0.3707860854, 0.7168169226],
        [0.05195640965, 0.08388110314],
        (2094.4279726055, 2106.4279726055, 2135.3676893396),
    ),
    ("(floor | county)", "ml"): (
        [1.4941874230, -0.6561356646, 0.3328413847, 0.3137432621, -0.3745550621, 0.7169953640],
        [0.05156925638, 0.08269773488],
        (2087.0426800573, 2099.0426800573, 2127.9823967915),
    ),
    ("(floor || county)", "reml"): (
        [1.4919087192, -0.6476638741, 0.3185817566, 0.2805670910, 0.7184787180],
        [0.04999633763, 0.08112389156],
        (2095.7184382315, 2105.7184382315, 2129.8348688432),
    ),
}


@pytest.mark.parametrize(("term", "method"), RADON)
def test_radon_is_that_of_lme4(term, method):
    estimate, error, (deviance, aic, bic) = RADON[term, method]
    found = pp.fit(f"log_radon ~ floor + {term}", pp.datasets.radon(), method=method)
    # lme4 stops where its criterion changes by rounding: some 1e-6 from the maximum.
    assert found.numbers["estimate"] == pytest.approx(estimate, rel=2e-6)
    assert found.numbers["standard_error"][:2] == pytest.approx(error, rel=2e-6)
    assert np.isnan(found.numbers["standard_error"][2:]).all()
    assert found.deviance == pytest.approx(deviance, abs=2e-10 * deviance)
    assert (found.aic, found.bic) == pytest.approx((aic, bic), rel=1e-9)
    assert found.log_likelihood == -found.deviance / 2
    assert found.findings == []


def test_conditional_modes_are_those_of_lme4():
    # ranef() of the model above, REML, (floor | county): the first three intercepts.
    found = pp.fit("log_radon ~ floor + (floor | county)", pp.datasets.radon(), method="reml")
    r = found.maximum.groups[0].coef - found.maximum.b
    assert r[:3, 0] == pytest.approx([-0.312734653, -0.510491106, 0.006237882], abs=1e-7)


def test_weights_and_offset_are_those_of_lme4():
    # lmer(log_radon ~ floor + (floor | county), weights = 1 + i %% 3, offset = (i %% 7) / 10).
    radon = pp.datasets.radon()
    i = np.arange(1, len(radon) + 1)
    radon["w"], radon["o"] = 1 + i % 3, (i % 7) / 10
    found = pp.fit(
        "log_radon ~ floor + (floor | county)", radon, weights="w", offset="o", method="reml"
    )
    expected = [1.2143992296, -0.6658405114, 0.3598881176, 0.4052736757, -0.4289352340]
    assert found.numbers["estimate"] == pytest.approx([*expected, 1.0405618913], rel=1e-6)
    assert found.deviance == pytest.approx(2238.1506728577, rel=1e-12)


# Davies and Goldsmith (1972), the example of lme4's documentation: six batches of five.
DYESTUFF = """1545 1440 1440 1520 1580 1540 1555 1490 1560 1495 1595 1550 1605 1510 1560
1445 1440 1595 1465 1545 1595 1630 1515 1635 1625 1520 1455 1450 1480 1445"""
# Box and Tiao (1973), simulated: batches differ less than chance lets them.
DYESTUFF2 = """7.298 3.846 2.434 9.566 7.99 5.22 6.556 0.608 11.788 -0.892 0.11 10.386 13.434
5.51 8.166 2.212 4.852 7.092 9.288 4.98 0.282 9.014 4.458 9.446 7.198 1.722 4.782 8.106 0.758
3.758"""


def batches(text):
    return {"y": np.array(text.split(), dtype=float), "batch": np.repeat(list("ABCDEF"), 5)}


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_balanced_analysis_of_variance(method):
    # Balanced one-way layout: sigma² = MSW, sd² = (MSB − MSW)/5; ML has 6 for 5 in MSB.
    data = batches(DYESTUFF)
    y = data["y"].reshape(6, 5)
    within = np.sum((y - y.mean(axis=1, keepdims=True)) ** 2) / 24
    between = 5 * np.sum((y.mean(axis=1) - y.mean()) ** 2) / (5 if method == "reml" else 6)
    found = pp.fit("y ~ 1 + (1 | batch)", data, method=method)
    sd, sigma = np.sqrt((between - within) / 5), np.sqrt(within)
    assert found.numbers["estimate"] == pytest.approx([y.mean(), sd, sigma], rel=1e-9)
    assert found.maximum.vcov == pytest.approx(np.array([[(5 * sd**2 + sigma**2) / 30]]))
    sd, deviance = {"reml": (42.0006, 319.6542768), "ml": (37.26035, 327.3270599)}[method]
    assert found.maximum.groups[0].sd == pytest.approx([sd], rel=1e-6)
    assert found.deviance == pytest.approx(deviance, rel=1e-9)


@pytest.mark.parametrize(
    ("method", "sigma", "deviance"),
    [("reml", 3.715684, 161.8282778), ("ml", 3.653231, 162.8730367)],
)
def test_batches_that_do_not_differ(method, sigma, deviance):
    found = pp.fit("y ~ 1 + (1 | batch)", batches(DYESTUFF2), method=method)
    assert found.maximum.groups[0].sd.tolist() == [0.0]
    assert found.maximum.sigma == pytest.approx(sigma, rel=1e-6)
    assert found.deviance == pytest.approx(deviance, rel=1e-9)
    assert [finding.code for finding in found.findings] == ["singular-fit"]


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_eight_schools_lie_on_the_boundary(method):
    # Rubin (1981): the marginal likelihood is highest at 0, where b is the weighted mean.
    schools = pp.datasets.eight_schools()
    found = pp.fit("effect ~ 1 + (1 | school)", schools, se="se", method=method)
    weight = schools["se"].to_numpy() ** -2.0
    mean, error = np.average(schools["effect"], weights=weight), np.sum(weight) ** -0.5
    assert found.maximum.groups[0].sd.tolist() == [0.0]
    assert found.labels == ["b[Intercept]", "sd_school[Intercept]"]
    row = found.summary().loc["b[Intercept]"]
    assert row.tolist() == pytest.approx(
        [mean, error, mean - 1.959964 * error, mean + 1.959964 * error], rel=1e-6
    )
    table = found.coefficients()
    assert table["mean"].to_numpy() == pytest.approx(np.full(8, mean), rel=1e-12)
    assert table["sd"].to_numpy() == pytest.approx(np.full(8, error), rel=1e-12)
    logpdf = stats.norm(mean, schools["se"]).logpdf(schools["effect"]).sum()
    if method == "reml":
        logpdf += 0.5 * np.log(2 * np.pi) + np.log(error)
    assert found.log_likelihood == pytest.approx(logpdf, rel=1e-12)
    assert found.n_parameters == 2


# --- Dense matrices -----------------------------------------------------------------------------


def simulated():
    """Three coefficients that differ between 16 levels of 2 to 9 rows."""
    rng = np.random.default_rng(5)
    counts = np.resize([2, 5, 7, 9], 16)
    codes = np.repeat(np.arange(16), counts)
    x, z = rng.normal(2.0, 1.5, len(codes)), rng.normal(size=len(codes))
    r = rng.normal(size=(16, 3)) @ np.array([[1.0, 0.5, -0.3], [0, 0.8, 0.2], [0, 0, 0.6]])
    y = 3 + x - z + r[codes, 0] + r[codes, 1] * x + r[codes, 2] * z
    noise = rng.uniform(0.5, 2.0, len(codes))
    return pd.DataFrame(
        {
            "y": y + noise * rng.normal(size=len(codes)),
            "x": x,
            "z": z,
            "g": codes,
            "w": noise**-2,
            "o": rng.normal(size=len(codes)),
            "se": noise,
        }
    )


CASES = [
    ("(1 | g)", 1, False, {}),
    ("(x | g)", 2, True, {}),
    ("(x || g)", 2, False, {}),
    ("(x + z | g)", 3, True, {}),
    ("(x + z || g)", 3, False, {}),
    ("(x | g)", 2, True, {"weights": "w", "offset": "o"}),
    ("(1 | g)", 1, False, {"se": "se"}),
    ("(x | g)", 2, True, {"se": "se", "offset": "o"}),
]


def dense_of(data, q, roles):
    X = np.column_stack([np.ones(len(data)), data["x"], data["z"]])
    own = {name: data[column].to_numpy() for name, column in roles.items()}
    return Dense(data["y"].to_numpy(), X, X[:, :q], data["g"].to_numpy(), **own)


def dense_log_likelihood(dense, Sigma, sigma, method):
    """log p(y | b̂, Σ, σ), or with REML its integral over b."""
    V = dense.V(Sigma, sigma)
    y = dense.y if dense.offset is None else dense.y - dense.offset
    solved = np.linalg.solve(V, np.column_stack([dense.X, y]))
    information, score = dense.X.T @ solved[:, :-1], dense.X.T @ solved[:, -1]
    p = len(score) if method == "reml" else 0
    rest = y @ solved[:, -1] - score @ np.linalg.solve(information, score)
    value = (len(y) - p) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + rest
    return -0.5 * (value + (np.linalg.slogdet(information)[1] if p else 0.0))


def covariance_of(v, q, correlated):
    """Σ from its lower triangular factor, whose diagonal may be 0."""
    L = np.diag(v[:q])
    if correlated:
        L[np.tril_indices(q, -1)] = v[q : q + q * (q - 1) // 2]
    return L @ L.T


def newton_step(function, v, h=1e-3):
    """A step of Newton's method by central differences; those of the slope of fourth order."""
    steps = h * np.eye(len(v))
    near = np.array([function(v + s) - function(v - s) for s in steps])
    far = np.array([function(v + 2 * s) - function(v - 2 * s) for s in steps])
    slope = (8 * near - far) / (12 * h)
    curvature = [
        [
            function(v + s + t) - function(v + s - t) - function(v - s + t) + function(v - s - t)
            for s in steps
        ]
        for t in steps
    ]
    return -np.linalg.solve(np.array(curvature) / (4 * h * h), slope)


def dense_maximum(dense, q, correlated, known, method):
    """Maximise over the factor of Σ and log sigma, from far off."""
    n = q + (q * (q - 1) // 2 if correlated else 0)

    def negative(v):
        sigma = 1.0 if known else np.exp(v[n])
        return -dense_log_likelihood(dense, covariance_of(v, q, correlated), sigma, method)

    start = np.append(np.ones(q), np.zeros(n - q + (not known)))
    found = optimize.minimize(negative, start, method="BFGS").x
    for _ in range(4):
        found = found + newton_step(negative, found)
    Sigma = covariance_of(found, q, correlated)
    return Sigma, 1.0 if known else np.exp(found[n]), -negative(found)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(("term", "q", "correlated", "roles"), CASES)
def test_maximum_of_dense_matrices(term, q, correlated, roles, method):
    data = simulated()
    found = pp.fit(f"y ~ x + z + {term}", data, method=method, **roles)
    dense, best = dense_of(data, q, roles), found.maximum
    Sigma, sigma, value = dense_maximum(dense, q, correlated, "se" in roles, method)
    # The value is flat at its maximum; the estimates are known to the error of the differences.
    assert found.log_likelihood == pytest.approx(value, rel=1e-10)
    assert best.groups[0].sd == pytest.approx(np.sqrt(np.diag(Sigma)), rel=1e-6)
    scale = np.sqrt(np.diag(Sigma))
    pairs = [(0, 1), (0, 2), (1, 2)][: len(best.groups[0].cor)]
    assert best.groups[0].cor == pytest.approx(
        [(Sigma / np.outer(scale, scale))[p] for p in pairs], abs=1e-6
    )
    assert (best.sigma or 1.0) == pytest.approx(sigma, rel=1e-6)
    assert best.n_parameters == 3 + q + len(best.groups[0].cor) + ("se" not in roles)
    assert best.converged
    assert best.determined
    # Coefficients and their errors: Henderson's equations, written with V.
    V = dense.V(Sigma, sigma)
    inverse = np.linalg.inv(V)
    error = np.linalg.inv(dense.X.T @ inverse @ dense.X)
    b = dense.gls(Sigma, sigma)
    assert best.b == pytest.approx(b, rel=1e-6)
    assert best.vcov == pytest.approx(error, rel=1e-5, abs=1e-8)
    residual = dense.y - dense.X @ b - (0 if dense.offset is None else dense.offset)
    table = found.coefficients()
    for level in (0, 3, 11):
        A = Sigma @ (dense.Z * (dense.codes == level)[:, None]).T @ inverse
        away = np.eye(q, 3) - A @ dense.X
        own = Sigma - A @ V @ A.T + away @ error @ away.T
        rows = table[table["level"] == level]
        assert rows["mean"].to_numpy() == pytest.approx(b[:q] + A @ residual, rel=1e-6, abs=1e-7)
        assert rows["sd"].to_numpy() == pytest.approx(np.sqrt(np.diag(own)), rel=1e-6)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("roles", [{}, {"weights": "w", "offset": "o"}, {"se": "se"}])
def test_least_squares_without_groups(method, roles):
    data = simulated()
    dense = dense_of(data, 1, roles)
    scale = np.ones(len(data))
    if "weights" in roles:
        scale = np.sqrt(dense.weights)
    if "se" in roles:
        scale = 1 / dense.se
    y = (dense.y - (0 if dense.offset is None else dense.offset)) * scale
    X = dense.X * scale[:, None]
    b, rest = np.linalg.lstsq(X, y, rcond=None)[:2]
    free = len(y) - 3 if method == "reml" else len(y)
    sigma = 1.0 if "se" in roles else np.sqrt(rest[0] / free)
    for formula, pooling in (("y ~ x + z", "partial"), ("y ~ x + z + (x | g)", "complete")):
        found = pp.fit(formula, data, pooling=pooling, method=method, **roles)
        assert found.maximum.b == pytest.approx(b, rel=1e-10)
        assert (found.maximum.sigma or 1.0) == pytest.approx(sigma, rel=1e-10)
        assert found.maximum.vcov == pytest.approx(sigma**2 * np.linalg.inv(X.T @ X), rel=1e-9)
        expected = dense_log_likelihood(dense, np.zeros((1, 1)), sigma, method)
        assert found.log_likelihood == pytest.approx(expected, rel=1e-12)
        assert found.coefficients().empty


def test_slopes_of_the_criterion():
    # Central differences of the value and of the slope, in symmetric directions.
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula
    from partialpool.likelihood.criterion import build_likelihood
    from partialpool.model import pool

    rng = np.random.default_rng(2)
    for roles in ({}, {"se": "se"}):
        terms = parse_formula("y ~ x + z + (x + z | g)")
        pooled = pool(build_design(terms, open_table(simulated()), **roles), "partial")
        for restricted in (True, False):
            likelihood = build_likelihood(pooled, restricted=restricted)
            G = np.diag([0.5, 0.2, 0.8]) + 0.1
            here = likelihood.at(G)
            S, H = here.slope, here.exact_curvature
            for _ in range(4):
                D = rng.normal(size=(3, 3))
                D, h = D + D.T, 1e-4
                up, down = likelihood.at(G + h * D), likelihood.at(G - h * D)
                assert np.sum(S * D) == pytest.approx((up.value - down.value) / (2 * h), rel=1e-5)
                by_difference = (up.slope - down.slope) / (2 * h)
                assert H @ D.ravel() == pytest.approx(by_difference.ravel(), rel=1e-4, abs=1e-3)


# --- Behaviour ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_units_do_not_matter(method):
    data = simulated()
    first = pp.fit("y ~ x + z + (x | g)", data, method=method)
    data["y"], data["x"] = 1e-4 * data["y"] + 20, 1e3 * data["x"] - 5e4
    second = pp.fit("y ~ x + z + (x | g)", data, method=method)
    a, c, shift = 1e-4, 1e3, -5e4
    n, p = len(data), 3
    change = (n - p if method == "reml" else n) * 2 * np.log(a)
    # log|XᵀV⁻¹X| grows with x.
    change += 2 * np.log(c) if method == "reml" else 0
    assert second.deviance == pytest.approx(first.deviance + change, rel=1e-9)
    one, two = first.maximum, second.maximum
    assert two.sigma == pytest.approx(a * one.sigma, rel=1e-8)
    assert two.b[1:] == pytest.approx([a / c * one.b[1], a * one.b[2]], rel=1e-7)
    assert two.groups[0].sd[1] == pytest.approx(a / c * one.groups[0].sd[1], rel=1e-7)
    # The intercept at the new 0 is the old one at x = −shift/c.
    to = np.array([1.0, -shift / c])
    Sigma = np.outer(one.groups[0].sd, one.groups[0].sd) * np.array(
        [[1, one.groups[0].cor[0]], [one.groups[0].cor[0], 1]]
    )
    assert two.groups[0].sd[0] == pytest.approx(a * np.sqrt(to @ Sigma @ to), rel=1e-6)


@pytest.mark.parametrize("start", [0.0, 1e-7, 1e-4, 1e3, 1e5])
@pytest.mark.parametrize("term", ["(1 | g)", "(x | g)", "(x + z || g)"])
def test_any_start_ends_in_the_maximum(monkeypatch, start, term):
    formula = f"y ~ x + z + {term}"
    expected = pp.fit(formula, simulated(), method="reml").maximum
    monkeypatch.setattr(search, "STARTS", np.array([start]))
    found = pp.fit(formula, simulated(), method="reml").maximum
    assert found.converged
    assert found.deviance == pytest.approx(expected.deviance, abs=1e-9)
    assert found.groups[0].sd == pytest.approx(expected.groups[0].sd, rel=1e-6)


def lowest(formula, data, method):
    """The least deviance over the factor of Σ, by brute force, with the package's own value."""
    from partialpool.data import open_table
    from partialpool.design import build_design
    from partialpool.formula import parse_formula
    from partialpool.likelihood.criterion import build_likelihood
    from partialpool.model import pool

    pooled = pool(build_design(parse_formula(formula), open_table(data)), "partial")
    likelihood = build_likelihood(pooled, restricted=method == "reml")
    q = len(likelihood.unwork)
    rows, columns = np.tril_indices(q)

    def deviance(v):
        L = np.zeros((q, q))
        L[rows, columns] = v
        return likelihood.at(L @ L.T).deviance

    rng = np.random.default_rng(1)
    starts = 2 * rng.normal(size=(5, len(rows)))
    return min(optimize.minimize(deviance, v, method="BFGS").fun for v in starts)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("q", "term"), [(2, "(x | g)"), (3, "(x + z | g)")])
def test_singular_covariances_are_reached_exactly(seed, q, term):
    # One direction in which levels differ, weakly, and few levels: most such fits are singular.
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(8), 6)
    x, z = rng.normal(size=(2, 48))
    y = (rng.normal(size=8) * 0.7)[g] * (1 + x) + rng.normal(size=48)
    data = {"y": y, "x": x, "z": z, "g": g}
    found = pp.fit(f"y ~ x + z + {term}", data, method="reml")
    best = found.maximum
    assert best.converged
    assert best.deviance == pytest.approx(lowest(f"y ~ x + z + {term}", data, "reml"), abs=1e-6)
    if best.groups[0].rank == 1:
        assert np.all(np.abs(best.groups[0].cor) == 1)
    elif best.groups[0].rank == 0:
        assert best.groups[0].sd.tolist() == [0.0] * q
        assert np.isnan(best.groups[0].cor).all()
    codes = [finding.code for finding in found.findings]
    assert ("singular-fit" in codes) == (best.groups[0].rank < q)


def test_most_of_them_are_singular():
    ranks = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        g = np.repeat(np.arange(8), 6)
        x = rng.normal(size=48)
        y = rng.normal(size=48) + (rng.normal(size=8) * 0.7)[g] * (1 + x)
        found = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, method="reml")
        ranks.append(found.maximum.groups[0].rank)
    assert 1 in ranks


def test_an_sd_of_zero_beside_one_that_is_not():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 5)
    x = rng.normal(size=30)
    data = {"y": rng.normal(size=30) + x, "x": x, "g": g}
    found = pp.fit("y ~ x + (x || g)", data, method="reml")
    assert found.maximum.groups[0].sd[0] > 0.1
    assert found.maximum.groups[0].sd[1] == 0.0
    assert "`sd_g[x]` is exactly 0" in str(found.findings[-1])


def test_the_posterior_is_near():
    # 75 people of 5 trials: the posterior with default priors lies around the maximum.
    data = individuals()
    found = pp.fit("y ~ x + (x || id)", data, method="reml").summary()["estimate"]
    posterior = pp.fit("y ~ x + (x || id)", data, seed=1, chains=2, draws=500).summary()
    assert np.all(np.abs(found - posterior["mean"]) < posterior["sd"])
    assert found.index.tolist() == posterior.index.tolist()


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_one_row_a_level_determines_no_sd(method):
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=20), "g": np.arange(20)}
    found = pp.fit("y ~ 1 + (1 | g)", data, method=method)
    assert [(f.code, f.level) for f in found.findings] == [("not-determined", "error")]
