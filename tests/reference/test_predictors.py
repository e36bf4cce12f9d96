"""Linear predictors and observations of rows over φ alone, by dense matrices.

As in `test_averaged.py`: given φ, θ = (b, coefficients of all levels) is normal, so every row is,
those of levels that were not fitted too; over φ they are mixtures of normals.
"""

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

import partialpool as pp
from helpers import covariance
from partialpool.engine import averaged
from partialpool.engine import predictors as engine

RNG = np.random.default_rng(47)
SIZES = [1, 6, 2, 9, 3]
J, G = len(SIZES), np.repeat(np.arange(5), SIZES)
N = len(G)
X, W = RNG.normal(1, 1, N), RNG.normal(size=N)
Y = 2 + X - 0.5 * W + RNG.normal(size=J)[G] * X + RNG.normal(size=N)
WEIGHTS, OFFSET, SE = RNG.uniform(0.3, 2, N), RNG.normal(size=N), RNG.uniform(0.4, 1.5, N)
DATA = {"y": Y, "x": X, "w": W, "g": G, "k": WEIGHTS, "o": OFFSET, "e": SE}
B = {"Intercept": (1.0, 3.0), "x": (0.5, 2.0), "w": (0.2, 0.7)}
CASES = {
    "intercepts": ("y ~ x + (1 | g)", ["Intercept"], {}),
    "correlated": ("y ~ x + w + (x | g)", ["Intercept", "x"], {}),
    "independent": ("y ~ x + (x || g)", ["Intercept", "x"], {}),
    "three": ("y ~ x + (x + w | g)", ["Intercept", "x", "w"], {}),
    "no twin": ("y ~ 1 + (x | g)", ["Intercept", "x"], {}),
    "weights and offset": (
        "y ~ x + (x | g)",
        ["Intercept", "x"],
        {"weights": "k", "offset": "o"},
    ),
    "se": ("y ~ x + (x | g)", ["Intercept", "x"], {"se": "e"}),
    "no group": ("y ~ x + w", [], {}),
    "no pooling": ("y ~ x + w + (x | g)", ["Intercept", "x"], {"pooling": "none"}),
}
# So few draws that all of them are nodes.
FEW = {"seed": 4, "draws": 30, "chains": 2}
M = 40
NEW = {
    "x": RNG.normal(0, 3, M),
    "w": RNG.normal(0, 2, M),
    "g": RNG.integers(0, J + 3, M),  # the last three are new
    "k": RNG.uniform(0.2, 3, M),
    "o": RNG.normal(0, 5, M),
    "e": RNG.uniform(0.1, 2, M),
}


def columns_of(data, names):
    every = {"Intercept": np.ones(len(data["x"])), "x": data["x"], "w": data["w"]}
    return np.column_stack([every[name] for name in names] + [np.empty((len(data["x"]), 0))])


def by_level(data, terms, levels):
    Z, codes = columns_of(data, terms), np.asarray(data["g"])
    out = np.zeros((len(codes), levels * len(terms)))
    for k in range(len(terms)):
        out[np.arange(len(codes)), codes * len(terms) + k] = Z[:, k]
    return out


def dense(fit, terms, kind, new_levels="sample"):
    """Means and variances of the new rows, draw by draw of φ: (draw, row), twice.

    New levels are levels without rows.
    """
    run, options = fit.run, fit.provenance.roles
    own, q, levels = list(fit.model.columns), len(terms), J + 3
    design = np.hstack([columns_of(DATA, own), by_level(DATA, terms, levels)])
    rows = np.hstack([columns_of(NEW, own), by_level(NEW, terms, levels)])
    if new_levels == "population":
        rows[NEW["g"] >= J, len(own) :] = 0.0
    none = fit.pooling == "none"
    found = []
    for s in range(run.chains * run.draws):
        sigma = 1.0 if run.sigma is None else run.sigma.ravel()[s]
        precision = np.zeros((design.shape[1],) * 2)
        precision[: len(own), : len(own)] = np.diag([B[c][1] ** -2.0 for c in own])
        prior = np.array([B[c][0] for c in own] + [0.0] * (levels * q))
        if none:
            precision[len(own) :, len(own) :] = np.kron(np.eye(levels), np.diag([0.25, 1 / 2.25]))
            prior[len(own) :] = np.tile([1.0, 0.5], levels)
        elif q:
            group = run.groups[0]
            sd, cor = (a.reshape(run.chains * run.draws, -1)[s] for a in (group.sd, group.cor))
            inverse = np.linalg.inv(covariance(sd, cor, fit.model.groups[0].pairs))
            precision[len(own) :, len(own) :] = np.kron(np.eye(levels), inverse)
        weight = WEIGHTS if "weights" in options else 1.0
        each = np.full(N, 1.0) * (1 / SE**2 if "se" in options else weight / sigma**2)
        H = (design.T * each) @ design + precision
        cov = np.linalg.inv(H)
        rest = Y - (OFFSET if "offset" in options else 0.0)
        theta = cov @ ((design.T * each) @ rest + precision @ prior)
        mean = rows @ theta + (NEW["o"] if "offset" in options else 0.0)
        variance = np.einsum("ij,jk,ik->i", rows, cov, rows)
        if kind == "observation":
            own_weight = NEW["k"] if "weights" in options else 1.0
            variance = variance + (NEW["e"] ** 2 if "se" in options else sigma**2 / own_weight)
        found.append((mean, variance))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def assert_mixture(table, means, variances, weights=None):
    """Mean, sd and quantiles are those of the mixture of normals."""
    weights = np.full(len(means), 1 / len(means)) if weights is None else weights
    mean = weights @ means
    variance = weights @ (variances + (means - mean) ** 2)
    # Rounding, magnified by the condition of the reference.
    np.testing.assert_allclose(table["mean"], mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table["sd"], np.sqrt(variance), rtol=1e-8)
    for name, p in (("lower", 0.05), ("upper", 0.95)):
        z = (table[name].to_numpy() - means) / np.sqrt(variances)
        np.testing.assert_allclose(weights @ stats.norm.cdf(z), p, atol=1e-7)


def fitted(case):
    formula, terms, options = CASES[case]
    priors = {"sd_g": pp.LogNormal(0, 0.5)} if terms else {}
    if case == "no pooling":
        priors = {"coef_g[Intercept]": pp.Normal(1, 2), "coef_g[x]": pp.Normal(0.5, 1.5)}
        priors |= {"b[w]": pp.Normal(*B["w"])}
    else:
        names = [name for name in B if name == "Intercept" or name in formula.split("(")[0]]
        priors |= {f"b[{name}]": pp.Normal(*B[name]) for name in names}
    return pp.fit(formula, DATA, priors=priors, **FEW, **options), terms


@pytest.mark.parametrize("case", CASES)
def test_predictions_are_mixtures_of_normals(case):
    fit, terms = fitted(case)
    assert len(engine.predictors(fit.model, fit.run).known) == FEW["draws"] * FEW["chains"]
    for kind in ("mean", "linear", "observation"):
        table = fit.predict(NEW, kind=kind, interval=0.9)
        assert_mixture(table, *dense(fit, terms, kind))
    if case != "no pooling":
        table = fit.predict(NEW, new_levels="population", interval=0.9)
        assert_mixture(table, *dense(fit, terms, "mean", "population"))


def test_levels_that_their_rows_do_not_determine_have_no_prediction():
    priors = {"coef_g": pp.Flat()}
    fit = pp.fit("y ~ x + w + (x | g)", DATA, pooling="none", priors=priors, **FEW)
    known = {name: values[NEW["g"] < J] for name, values in NEW.items()}
    table = fit.predict(known)
    assert np.array_equal(table["mean"].isna(), known["g"] == 0)
    drawn = fit.posterior_predictive(known, kind="linear").to_numpy().reshape(-1, len(table))
    # 60 draws: standard errors of 0.13 sds, and 0.09 of the sd.
    there = known["g"] > 0
    off = (drawn.mean(0) - table["mean"]) / table["sd"]
    assert np.abs(off[there]).max() < 5 * 0.13
    assert np.abs(drawn.std(0) / table["sd"] - 1)[there].max() < 5 * 0.13


def test_some_nodes_stand_for_all_draws(monkeypatch):
    """Within the tolerance by which their number is judged, in sds."""
    g, x = np.repeat(np.arange(40), 5), RNG.normal(size=200)
    y = 1 + x + RNG.normal(size=40)[g] * (1 + x / 2) + RNG.normal(size=200)
    fit = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, seed=5, draws=1000, chains=2)
    few = engine.predictors(fit.model, fit.run)
    assert len(few.known) < 500
    some = {kind: fit.predict(NEW, kind=kind) for kind in ("mean", "observation")}
    fit.run.window.clear()
    monkeypatch.setattr(engine, "MOST_NODES", 10**6)
    monkeypatch.setattr(averaged, "first_count", lambda phi, n: 10**6)
    assert len(engine.predictors(fit.model, fit.run).known) == 2000
    for kind, found in some.items():
        every = fit.predict(NEW, kind=kind)
        for name in ("mean", "sd", "lower", "upper"):
            assert np.abs((found[name] - every[name]) / every["sd"]).max() < 0.03


def test_predictions_do_better_than_draws():
    """Held against a long run: what is exact given φ, and the draws of all parameters."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(30), 4), rng.normal(size=120)
    y = 1 + x + rng.normal(size=30)[g] + rng.normal(size=120)
    data, new = {"y": y, "x": x, "g": g}, {"x": rng.normal(size=M), "g": rng.integers(0, 30, M)}
    long = pp.fit("y ~ x + (1 | g)", data, seed=1, draws=10_000).predict(new)
    errors = np.zeros(2)
    for seed in range(2, 8):
        fit = pp.fit("y ~ x + (1 | g)", data, seed=seed, draws=250)
        drawn = fit.posterior_predictive(new, kind="linear").to_numpy().reshape(-1, M)
        for k, mean in enumerate((fit.predict(new)["mean"], drawn.mean(0))):
            errors[k] += np.sum(((mean - long["mean"]) / long["sd"]) ** 2)
    assert errors[0] < errors[1] / 2


def test_rows_in_any_order_and_threads_give_the_same(monkeypatch):
    fit = fitted("correlated")[0]
    table = fit.predict(NEW)
    order = RNG.permutation(M)
    moved = fit.predict({name: values[order] for name, values in NEW.items()})
    numbers = ["mean", "sd", "lower", "upper"]
    np.testing.assert_allclose(
        moved[numbers], table[numbers].to_numpy()[order], rtol=1e-13, atol=1e-13
    )
    monkeypatch.setattr(engine.os, "cpu_count", lambda: 3)
    assert fit.predict(NEW).equals(table)


def test_what_is_not_normal_given_phi_is_summed_up_from_draws():
    bounded = pp.fit(
        "y ~ x + (1 | g)",
        {name: values[G > 0] for name, values in DATA.items()},
        pooling="none",
        priors={"coef_g": pp.Uniform(-50, 50)},
        **FEW,
    )
    walked = pp.fit("y ~ x + (1 | g)", DATA, method="nuts", warmup=100, **FEW)
    earlier = fitted("intercepts")[0]
    reduced = replace(earlier.model.reduced, population=None)
    earlier.model = replace(earlier.model, reduced=reduced)
    for fit in (bounded, walked, earlier):
        assert engine.predictors(fit.model, fit.run) is None
        known = {name: values[(NEW["g"] < J) & (NEW["g"] > 0)] for name, values in NEW.items()}
        table = fit.predict(known, interval=0.8)
        drawn = fit.posterior_predictive(known, kind="mean").to_numpy().reshape(60, -1)
        np.testing.assert_allclose(table["mean"], drawn.mean(0), rtol=1e-10)
        np.testing.assert_allclose(table["sd"], drawn.std(0, ddof=1), rtol=1e-10)
        np.testing.assert_allclose(
            table[["lower", "upper"]].T, np.quantile(drawn, [0.1, 0.9], axis=0), rtol=1e-10
        )
