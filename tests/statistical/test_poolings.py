"""No pooling against least squares and dense conjugate computations.

With flat priors the means do not depend on sigma, so only rounding separates them from least
squares: n · eps · cond is below 1e-11 here, 1e-9 leaves room. What depends on draws of sigma or of
shared coefficients is compared within 5 Monte Carlo errors: a false alarm has probability 6e-7 for
each of some 500 numbers, and the seeds are fixed.
"""

import numpy as np
import pytest

import partialpool as pp
from conjugate import PROBABILITIES, by_level, regression
from helpers import assert_moments, individuals, sd_error
from partialpool.draws.diagnostics import diagnose

RNG = np.random.default_rng(31)
SIZES = [3, 4, 5, 8, 6]
CODES = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(CODES), len(SIZES)
X, Z = RNG.normal(1.5, 1, N), RNG.normal(-4, 2, N)
Y = 2 - X + 0.5 * Z + np.repeat(RNG.normal(0, 1, J), SIZES) + RNG.normal(0, 1.2, N)
ORDER = RNG.permutation(N)  # rows of a level are not neighbours
CODES, X, Z, Y = CODES[ORDER], X[ORDER], Z[ORDER], Y[ORDER]
DATA = {"y": Y, "x": X, "z": Z, "g": CODES}
ONE = np.ones(N)
WEIGHTS, OFFSET, SE = RNG.uniform(0.3, 3, N), RNG.normal(3, 2, N), RNG.uniform(0.5, 2, N)
OPTIONS = {
    "plain": {},
    "weights": {"weights": WEIGHTS},
    "offset": {"offset": OFFSET},
    "weights and offset": {"weights": WEIGHTS, "offset": OFFSET},
    "se and offset": {"se": SE, "offset": OFFSET},
}
# The groups as fitted, and their columns: correlations mean nothing without pooling.
GROUPS = {"(1 | g)": [ONE], "(x | g)": [ONE, X], "(x || g)": [ONE, X], "(0 + x | g)": [X]}


def options_of(name):
    """Options of the fit, the response of the reference and its row precision."""
    options = OPTIONS[name]
    precision = 1 / SE**2 if "se" in options else options.get("weights")
    return options, Y - options.get("offset", 0.0), precision


def unpooled(formula, priors, data=DATA, **options):
    return pp.fit(formula, data, pooling="none", priors=priors, **options)


def exponential(rate):
    return lambda sigma: -rate * sigma


def log_sigma_prior(options, y):
    """The default prior, Exponential(1/(s_y √w)) with w the mean weight; s_y is not weighted."""
    weight = np.mean(options.get("weights", 1.0))
    return None if "se" in options else exponential(1 / (y.std(ddof=1) * np.sqrt(weight)))


def assert_scale(fit, exact):
    if fit.run.sigma is not None:
        assert_moments(fit.run.sigma[..., None], *exact.scale)


def assert_levels(fit, exact):
    """Compare draws of the coefficients, their quantiles, and the averaged summary."""
    k = len(fit.model.sole_group.terms) * len(fit.model.sole_group.levels)
    draws = fit.draws["posterior"]["coef_g"].to_numpy().reshape(fit.run.chains, fit.run.draws, k)
    mean, sd = (moment[:k] for moment in exact.coefficients)
    assert_moments(draws, mean, sd)
    found = fit.coefficients()[["mean", "sd"]].to_numpy()
    assert np.all(np.abs(found[:, 0] - mean) < 5 * diagnose(draws)["mcse"])
    assert np.all(np.abs(found[:, 1] - sd) < 5 * sd_error(draws))
    for level in (0, k - 1):
        below = draws[..., level, None] <= exact.quantiles(level)
        below = diagnose(below.astype(float))
        assert np.all(np.abs(below["mean"] - PROBABILITIES) < 5 * below["mcse"])


# --- Flat priors --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("group", GROUPS)
def test_flat_priors_give_least_squares_of_each_level(group, name):
    options, y, precision = options_of(name)
    formula = f"y ~ {'x' if 'x' in group else '1'} + {group}"
    fit = unpooled(formula, {"coef_g": pp.Flat()}, seed=1, **options)
    D = by_level(np.column_stack(GROUPS[group]), CODES)
    if group == "(0 + x | g)":  # the common intercept is no twin: it stays, with its own prior
        D = np.column_stack([D, ONE])
    root = np.ones(N) if precision is None else np.sqrt(precision)
    found = fit.coefficients()
    unit = np.sqrt(np.diag(np.linalg.inv((D.T * root**2) @ D)))
    if group != "(0 + x | g)":
        expected = np.linalg.lstsq(D * root[:, None], y * root, rcond=None)[0]
        np.testing.assert_allclose(found["mean"], expected, rtol=1e-9, atol=1e-9)
        # Var = E Var + Var E, and the second is 0: the means are the same for all sigma.
        scale = 1.0 if "se" in options else np.sqrt(np.mean(fit.run.sigma**2))
        np.testing.assert_allclose(found["sd"], scale * unit, rtol=1e-9)
        assert fit.run.b.shape[2] == 0
        exact = regression(D, y, log_sigma_prior(options, y), row_precision=precision)
    else:
        # Default prior of the intercept at the mean: its only predictor stays with the levels.
        P = np.zeros((J + 1, J + 1))
        P[J, J] = 1 / (2.5 * y.std(ddof=1)) ** 2
        mean = np.append(np.zeros(J), y.mean())
        log_prior = log_sigma_prior(options, y)
        exact = regression(D, y, log_prior, mean=mean, precision=P, row_precision=precision)
        assert_moments(fit.run.b, *(moment[J:] for moment in exact.coefficients))
    assert_scale(fit, exact)
    assert_levels(fit, exact)


def test_shared_columns_are_those_of_the_regression_with_interactions():
    fit = unpooled("y ~ x + z + (x | g)", {"coef_g": pp.Flat(), "b": pp.Flat()}, seed=2)
    assert fit.model.columns == ("z",)
    own = by_level(np.column_stack([ONE, X]), CODES)
    exact = regression(np.column_stack([own, Z]), Y, exponential(1 / Y.std(ddof=1)))
    assert_moments(fit.run.b, *(moment[-1:] for moment in exact.coefficients))
    assert_scale(fit, exact)
    assert_levels(fit, exact)
    # Whatever sigma, the means of all coefficients are least squares: rounding only.
    expected = np.linalg.lstsq(np.column_stack([own, Z]), Y, rcond=None)[0][:-1]
    np.testing.assert_allclose(fit.coefficients()["mean"], expected, rtol=1e-9, atol=1e-9)


# z as it is, constant within levels, and such a constant plus a multiple of x.
CONSTANT = np.array([3.0, 1.0, 4.0, 1.5, 9.0])[CODES]


@pytest.mark.parametrize("term", ["(1 | g)", "(x | g)"])
def test_columns_that_levels_make_redundant_are_dropped(term):
    data = DATA | {"u": CONSTANT, "v": CONSTANT**2 + 2 * X}
    fit = unpooled(f"y ~ x + z + u + v + {term}", {"coef_g": pp.Flat()}, data, seed=3)
    # Beside level intercepts alone, u is redundant, and v is once x is there.
    kept = ("x", "z") if term == "(1 | g)" else ("z",)
    assert fit.model.columns == kept
    (finding,) = [f for f in fit.findings if f.code == "dropped-columns"]
    assert "`u`, `v`" in finding.message
    assert all(f"`{name}`" not in finding.message for name in ("x", "z"))
    simple = unpooled(f"y ~ {' + '.join(kept)} + {term}", {"coef_g": pp.Flat()}, seed=3)
    assert "dropped-columns" not in [f.code for f in simple.findings]
    np.testing.assert_allclose(simple.run.b, fit.run.b, rtol=1e-9)
    np.testing.assert_allclose(simple.run.sigma, fit.run.sigma, rtol=1e-9)


def ragged():
    """Levels that cannot determine a line: one row (5), two rows with one x (6); and all others."""
    rng = np.random.default_rng(32)
    codes = np.concatenate([CODES, [5, 6, 6]])
    x = np.concatenate([X, [0.7, 2.0, 2.0]])
    y = np.concatenate([Y, rng.normal(0, 2, 3)])
    return {"y": y, "x": x, "g": codes}


def test_levels_that_cannot_be_estimated_are_marked():
    data = ragged()
    fit = unpooled("y ~ x + (x | g)", {"coef_g": pp.Flat()}, data, seed=4)
    assert fit.model.sole_group.estimable.tolist() == [True] * J + [False] * 2
    (finding,) = [f for f in fit.findings if f.code == "not-estimable"]
    assert finding.level == "warning"
    assert finding.message.startswith("2 of 7 levels")
    found = fit.coefficients()
    lines = found.iloc[: 2 * J]
    assert found.iloc[2 * J :][["mean", "sd", "lower", "upper"]].isna().all(axis=None)
    D = by_level(np.column_stack([np.ones(N + 3), data["x"]]), data["g"])
    exact = regression(D, data["y"], exponential(1 / data["y"].std(ddof=1)))
    # The two rows with one x still tell of sigma, the single row does not.
    assert_scale(fit, exact)
    np.testing.assert_allclose(lines["mean"], exact.means[0, : 2 * J], rtol=1e-9, atol=1e-9)
    without = unpooled("y ~ x + (1 | g)", {"coef_g": pp.Flat()}, data, seed=4)
    assert without.model.sole_group.estimable.all()


# --- Normal priors ------------------------------------------------------------------------------

# How a user sets the priors of intercept and slope, and the normal that is meant:
# (at the mean of the predictors, intercept mean and sd, slope mean and sd); None is the default.
NORMAL = {
    "default": ({}, (True, None, None)),
    "actual": ({"coef_g": pp.Normal(0.5, 1.5)}, (False, (0.5, 1.5), (0.5, 1.5))),
    "actual intercept": ({"coef_g[Intercept]": pp.Normal(1, 0.8)}, (False, (1, 0.8), None)),
    "slope": ({"coef_g[x]": pp.Normal(-1, 0.4)}, (True, None, (-1, 0.4))),
    "at the mean": (
        {"coef_g[Intercept]": pp.NormalAtMean(1, 0.6), "coef_g[x]": pp.Normal(-1, 0.4)},
        (True, (1, 0.6), (-1, 0.4)),
    ),
}


def normal_prior(spec, y, x, z, shared):
    """Mean and precision of levels' lines and of the coefficient of a shared z."""
    at_mean, intercept, slope = spec
    s_y = y.std(ddof=1)
    a, s_a = intercept or (y.mean(), 10 * s_y)
    c, s_c = slope or (0.0, 10 * s_y / x.std(ddof=1))
    mean, rows = [], []  # rows: what each prior is about, in units of its sd
    levels = 7
    width = 2 * levels + (1 if shared else 0)
    for level in range(levels):
        about = np.zeros(width)
        about[2 * level] = 1
        if at_mean:
            about[2 * level + 1] = x.mean()
            if shared:
                about[-1] = z.mean()
        rows.append(about / s_a)
        mean.append(a / s_a)
        rows.append(np.eye(width)[2 * level + 1] / s_c)
        mean.append(c / s_c)
    if shared:
        s_b = 2.5 * s_y / z.std(ddof=1)
        rows.append(np.eye(width)[-1] / s_b)
        mean.append(0.0)
    R, t = np.array(rows), np.array(mean)
    precision = R.T @ R
    return np.linalg.solve(precision, R.T @ t), precision


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", ["plain", "weights and offset", "se and offset"])
@pytest.mark.parametrize("case", NORMAL)
def test_normal_priors(case, name, shared):
    # Levels with a row or two are where the prior speaks.
    rng = np.random.default_rng(33)
    priors, spec = NORMAL[case]
    data = ragged() | {"z": np.append(Z, rng.normal(-4, 2, 3))}
    n = len(data["y"])
    options = {
        "plain": {},
        "weights and offset": {"weights": rng.uniform(0.3, 3, n), "offset": rng.normal(3, 2, n)},
        "se and offset": {"se": rng.uniform(0.5, 2, n), "offset": rng.normal(3, 2, n)},
    }[name]
    y = data["y"] - options.get("offset", 0.0)
    precision = 1 / options["se"] ** 2 if "se" in options else options.get("weights")
    D = by_level(np.column_stack([np.ones(n), data["x"]]), data["g"])
    D = np.column_stack([D, data["z"]]) if shared else D
    mean, P = normal_prior(spec, y, data["x"], data["z"], shared)
    log_prior = log_sigma_prior(options, y)
    exact = regression(D, y, log_prior, mean=mean, precision=P, row_precision=precision)
    fit = unpooled(f"y ~ x {'+ z' if shared else ''} + (x | g)", priors, data, seed=5, **options)
    assert_scale(fit, exact)
    assert_levels(fit, exact)
    if shared:
        assert_moments(fit.run.b, *(moment[-1:] for moment in exact.coefficients))


# --- The tutorial's model -----------------------------------------------------------------------


def test_unpooled_model_of_the_tutorial():
    # Bounds of ±100 lie more than 20 posterior sds away, so the priors are flat up to rounding.
    data = individuals()
    priors = {"coef_id": pp.Uniform(-100, 100), "sigma": pp.Uniform(0, 10)}
    fit = pp.fit("y ~ x + (x || id)", data, pooling="none", priors=priors, seed=6)
    D = by_level(np.column_stack([np.ones(375), data["x"]]), data["id"].to_numpy() - 1)
    exact = regression(D, data["y"].to_numpy(), np.zeros_like, sigma=(1.5, 3.2))
    mean, sd = exact.coefficients
    assert np.all(np.abs(mean) + 20 * sd < 100)
    assert_scale(fit, exact)
    np.testing.assert_allclose(fit.coefficients()["mean"], mean, rtol=1e-9, atol=1e-9)
    draws = fit.draws["posterior"]["coef_id"].to_numpy().reshape(4, 1000, 150)
    assert_moments(draws, mean, sd)


def test_slopes_of_levels_beside_a_shared_intercept_far_from_zero():
    # The response is centred then, and the priors of the slopes must not move with it.
    data = DATA | {"y": 1000 + Y}
    priors = {"coef_g": pp.Normal(0, 0.5)}
    options = {"pooling": "none", "priors": priors, "seed": 6}
    exact = pp.fit("y ~ x + (0 + x | g)", data, method="marginal", **options).coefficients()
    fit = pp.fit("y ~ x + (0 + x | g)", data, method="nuts", **options)
    draws = fit.run.groups[0].coef[..., 0]
    # The means of the reference are averaged, so nearly all of the error is that of the draws.
    assert_moments(draws, exact["mean"].to_numpy(), exact["sd"].to_numpy())
