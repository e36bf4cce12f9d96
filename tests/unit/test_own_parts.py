"""Default and own priors of coefficients against the formulas written out, term by term.

The own part Q of a term is its columns less their projection on the constant and the columns of the
terms marginal to it; ``X b = β₀ + Σ Q β``; β₀ ~ N(ȳ, 2.5 s_y) and β ~ N(0, (2.5 s_y)² (QᵀQ/n)⁻¹).
Here this is done by least squares over the columns, and b follows from the fitted contributions.
"""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.model.coordinates import coordinates
from partialpool.model.scales import scales
from partialpool.own.build import _rank_one_less, _square_qr

RNG = np.random.default_rng(11)
N = 80
D = pd.DataFrame(
    {
        "x": RNG.normal(2010, 4, N),
        "z": RNG.gamma(2.0, 1.0, N),
        "f": RNG.choice(list("abc"), N),
        "g": RNG.integers(0, 9, N),
    }
)
D["y"] = 40 + 0.3 * (D["x"] - 2010) * D["z"] + RNG.normal(0, 2, N)
S, MEAN = 2.5 * D["y"].std(ddof=1), D["y"].mean()
ONE = np.ones((N, 1))


def columns(*names):
    """Columns of the reference: dummies of f, powers and products by name."""
    found = {"x": D[["x"]], "z": D[["z"]], "x2": D[["x"]] ** 2}
    found = {name: column.to_numpy() for name, column in found.items()}
    found["f"] = np.column_stack([D["f"] == "b", D["f"] == "c"]).astype(float)
    out = []
    for name in names:
        left, *right = (found[part] for part in name.split(":"))
        for other in right:
            left = np.column_stack([a * b for b in other.T for a in left.T])
        out.append(left)
    return out


def project_out(Q, others):
    base = np.column_stack([ONE, *others])
    base = base / np.abs(base).max(axis=0)
    for _ in range(3):
        Q = Q - base @ np.linalg.lstsq(base, Q, rcond=None)[0]
    return Q


def reference(terms, marginal):
    """Mean and covariance of the fitted predictor: terms by name, with those marginal to each."""
    covariance = S**2 * np.ones((N, N))
    for name in terms:
        Q = project_out(columns(name)[0], columns(*marginal.get(name, ())))
        covariance += S**2 * (N - 1) * Q @ np.linalg.solve(Q.T @ Q, Q.T)
    return MEAN * np.ones(N), covariance


def ours(formula, priors=None):
    fit = pp.fit(formula, D, priors=priors, chains=1, draws=4, warmup=4, seed=1)
    at = fit.model.coordinates["mu"]
    moments = np.array([prior.typical for prior in at.priors])
    half = at.back / at.unit * moments[:, 1]
    return fit, at.from_values(moments[:, 0]), half


MODELS = {
    "main effects": ("y ~ x + z", ("x", "z"), {}),
    "factor": ("y ~ f + x", ("f", "x"), {}),
    "interaction": ("y ~ x * z", ("x", "z", "x:z"), {"x:z": ("x", "z")}),
    "slopes by category": ("y ~ f * x", ("f", "x", "f:x"), {"f:x": ("f", "x")}),
    "power": ("y ~ x + {x**2}", ("x", "x2"), {"x2": ("x",)}),
    "power first": ("y ~ {x**2} + x", ("x2", "x"), {"x": ("x2",)}),
    "nested slopes": ("y ~ f + f:z", ("f", "f:z", "z"), {"f:z": ("f", "z")}),
    "everything": (
        "y ~ f * (x + {x**2}) + z",
        ("f", "x", "x2", "z", "f:x", "f:x2"),
        {"x2": ("x",), "f:x": ("f", "x", "x2"), "f:x2": ("f", "x", "x2", "f:x")},
    ),
    "no intercept": ("y ~ 0 + f + z", ("f", "z"), {}),
}


@pytest.mark.parametrize("name", [name for name in MODELS if name != "nested slopes"])
def test_the_prior_of_what_is_fitted(name):
    formula, terms, marginal = MODELS[name]
    fit, mean, half = ours(formula)
    X = fit.design.X
    expected = reference(terms, marginal)
    fitted = X @ half
    # Columns 2010 from 0 and squared cost 1e-16 · (2010/4)⁴ of an sd.
    np.testing.assert_allclose(X @ mean, expected[0], rtol=0, atol=1e-5 * S)
    np.testing.assert_allclose(fitted @ fitted.T, expected[1], rtol=0, atol=1e-5 * S**2)


def test_nested_slopes_are_one_term():
    """`f + f:z` has slopes of z in each category as one term of three columns."""
    fit, _, half = ours("y ~ f + f:z")
    X, F = fit.design.X, columns("f")
    slopes = np.column_stack([(D["f"] == k) * D["z"] for k in "abc"])
    own = [project_out(F[0], []), project_out(slopes, F)]
    expected = S**2 + sum(S**2 * (N - 1) * Q @ np.linalg.solve(Q.T @ Q, Q.T) for Q in own)
    np.testing.assert_allclose(X @ half @ half.T @ X.T, expected, rtol=0, atol=1e-8 * S**2)


def test_through_the_origin_scales_are_root_mean_squares():
    priors = pp.default_priors("y ~ 0 + x + (0 + z | g)", D)
    size, x, z = (np.sqrt(np.mean(D[name] ** 2)) for name in "yxz")
    assert priors["b[x]"].sd == pytest.approx(2.5 * size / x)
    assert priors["sd_g[z]"].rate == pytest.approx(z / size)
    assert priors["sigma"].rate == pytest.approx(1 / size)


def test_numbers_that_are_shown_are_those_of_the_own_parts():
    priors = pp.default_priors("y ~ f * x", D)
    Q = project_out(columns("f:x")[0], columns("f", "x"))
    sds = S * np.sqrt((N - 1) * np.diag(np.linalg.inv(Q.T @ Q)))
    for k, label in enumerate(("b[f[T.b]:x]", "b[f[T.c]:x]")):
        assert type(priors[label]) is pp.NormalAtMean
        assert priors[label].sd == pytest.approx(sds[k], rel=1e-7)
    assert priors["b[x]"].sd == pytest.approx(S / D["x"].std(ddof=1), rel=1e-7)
    assert "0.0 at the mean" not in str(priors["b[x]"])
    assert str(priors["b[x]"]).endswith("at the mean of the predictors")
    # Alone in its term and in no other, a slope is its own part.
    assert type(pp.default_priors("y ~ f + x", D)["b[x]"]) is pp.Normal


def test_what_the_priors_imply_for_coefficients_as_written():
    fit, mean, half = ours("y ~ f * x")
    covariance = half @ half.T
    for k, label in enumerate(fit.summary().index[: len(mean)]):
        implied = fit.model.implied.get(label)
        if implied is not None:
            assert implied.mean == pytest.approx(mean[k], rel=1e-6, abs=1e-6 * S)
            assert implied.sd == pytest.approx(np.sqrt(covariance[k, k]), rel=1e-6)
    assert {"b[Intercept]", "b[f[T.b]]", "b[x]"} <= set(fit.model.implied)
    assert "b[f[T.b]:x]" not in fit.model.implied


# Priors of one's own


def test_a_prior_on_a_coefficient_holds_for_it_and_the_rest_keep_theirs():
    """b[x] is as given; the mean, z and x:z keep the priors of their own parts."""
    own = pp.Normal(0.5, 0.01)
    fit, mean, half = ours("y ~ x * z", {"b[x]": own})
    covariance = half @ half.T
    at = fit.model.columns.index("x")
    assert mean[at] == pytest.approx(0.5)
    assert covariance[at, at] == pytest.approx(1e-4)
    # β of z, of x:z and β₀ keep their priors, independent of b[x] and of one another.
    X = fit.design.X
    Q = project_out(columns("x:z")[0], columns("x", "z"))
    Z = project_out(columns("z")[0], [])
    rows = [np.mean(X, axis=0)]
    rows += [(Z.T @ X / (Z.T @ Z)).ravel(), (Q.T @ X / (Q.T @ Q)).ravel()]
    # z at the mean of x: its own coefficient, of what z and x:z contribute along z with x out.
    both = np.column_stack([Z, project_out(columns("x")[0], []), Q])
    rows[1] = np.linalg.lstsq(both, X - X.mean(axis=0), rcond=None)[0][0]
    rows = np.array(rows)
    found = (rows @ half) @ (rows @ half).T
    sds = [S, S / np.sqrt(Z.T @ Z / (N - 1))[0, 0], S / np.sqrt(Q.T @ Q / (N - 1))[0, 0]]
    np.testing.assert_allclose(found / np.outer(sds, sds), np.eye(3), rtol=0, atol=1e-5)
    cross = rows @ covariance[:, at] / (np.array(sds) * 0.01)
    np.testing.assert_allclose(cross, 0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("formula", ["y ~ f + z", "y ~ 0 + f + z"])
def test_one_category_of_a_factor(formula):
    """The others keep their joint prior without it."""
    plain, _, half = ours(formula)
    before = half @ half.T
    name = next(c for c in plain.model.columns if "b" in c)
    label = f"b[{name}]"
    fit, mean, half = ours(formula, {label: pp.Normal(3, 0.1)})
    covariance = half @ half.T
    k = fit.model.columns.index(name)
    assert (mean[k], covariance[k, k]) == (pytest.approx(3), pytest.approx(0.01))
    rest = [i for i, c in enumerate(fit.model.columns) if i != k and c.startswith("f")]
    # Cell means where z is at its mean; differences do not depend on it.
    shift = np.zeros((len(mean), len(mean)))
    if formula.startswith("y ~ 0"):
        shift[:3, 3] = D["z"].mean()
    T = np.eye(len(mean)) + shift
    old, new = T @ before @ T.T, T @ covariance @ T.T
    np.testing.assert_allclose(new[np.ix_(rest, rest)], old[np.ix_(rest, rest)], rtol=1e-8)
    if formula == "y ~ f + z":
        np.testing.assert_allclose(new[k, rest] / np.sqrt(new[rest, rest]), 0, atol=1e-8)


def test_priors_of_ones_own_at_the_mean_keep_the_correlations_of_a_term():
    formula = "y ~ f * x"
    defaults = pp.default_priors(formula, D)
    given = {key: defaults[key] for key in ("b[f[T.b]]", "b[f[T.c]]")}
    plain, _, before = ours(formula)
    _, _, after = ours(formula, given)
    np.testing.assert_allclose(after @ after.T, before @ before.T, rtol=1e-9)
    halved = {key: pp.NormalAtMean(0, prior.sd / 2) for key, prior in given.items()}
    _, _, narrower = ours(formula, halved)
    own = project_out(columns("f")[0], [])
    rows = np.linalg.lstsq(own, np.eye(N) - 1 / N, rcond=None)[0] @ plain.design.X
    x = project_out(columns("x")[0], [])
    Q = project_out(columns("f:x")[0], columns("f", "x"))
    both = np.column_stack([own, x, Q])
    rows = np.linalg.lstsq(both, plain.design.X - plain.design.X.mean(axis=0), rcond=None)[0][:2]
    wide, narrow = rows @ before, rows @ narrower
    np.testing.assert_allclose(narrow @ narrow.T, wide @ wide.T / 4, rtol=1e-5)


@pytest.mark.parametrize(
    "priors", [{"b": pp.Flat()}, {"b[z]": pp.Flat()}, {"b[f[T.b]]": pp.Flat()}]
)
def test_flat_priors_leave_the_rest_as_it_is(priors):
    fit = pp.fit("y ~ f * z", D, priors=priors, chains=1, draws=4, warmup=4, seed=1)
    scale = scales(fit.design)
    labels = [f"b[{c}]" for c in fit.model.columns]
    at = coordinates(scale.parts["mu"], [fit.model.priors[label] for label in labels]).at
    flat = [isinstance(prior, pp.Flat) for prior in at.priors]
    assert sum(flat) == sum(isinstance(fit.model.priors[label], pp.Flat) for label in labels)
    assert np.linalg.cond(at.back / np.linalg.norm(at.back, axis=0)) < 1e6


@pytest.mark.parametrize("rows", [2, 4, 6, 7, 20])
def test_cell_means_of_fewer_rows_than_categories(rows):
    """As in a refit to a part of the rows."""
    rng = np.random.default_rng(rows)
    M = np.eye(7)[rng.integers(0, 7, rows)]
    Q = M - M.mean(axis=0)
    E, R = _rank_one_less(Q, rows - 1.0)
    assert E.shape == (rows, 6)
    assert R.shape == (6, 7)
    np.testing.assert_allclose(E @ R, Q, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_own_parts_of_fewer_rows_than_columns(rows):
    Q = np.random.default_rng(rows).normal(size=(rows, 4))
    E, R = _square_qr(Q)
    assert E.shape == (rows, 4)
    assert np.linalg.matrix_rank(R) == 4
    np.testing.assert_allclose(E @ R, Q, atol=1e-12)


@pytest.mark.parametrize("formula", ["y ~ 0 + f + (1 | g)", "y ~ f + (1 | g)", "y ~ poly(x, 5)"])
def test_refits_to_fewer_rows_than_columns(formula):
    data = {"y": np.arange(8.0) ** 2, "f": list("abcdefga"), "g": [0, 0, 1, 1, 2, 2, 3, 3]}
    data["x"] = np.sin(data["y"])
    fit = pp.fit(formula, data, draws=100, warmup=100, seed=1)
    assert np.isfinite(fit.kfold(3).elpd_i).all()
