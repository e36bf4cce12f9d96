"""Predictions and marginal effects: what they are made of, files, the command line, bad input."""

import datetime
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import partialpool as pp
from helpers import assert_same_rows
from partialpool import cli
from partialpool.draws import evaluate
from partialpool.families import FAMILIES

RNG = np.random.default_rng(41)
J, N = 12, 96
G = RNG.permutation(np.repeat(np.arange(10, 10 + J), N // J))
H, K = RNG.choice(["p", "q", "r"], N), RNG.choice(["u", "v", "w"], N)
X = RNG.normal(2, 1, N)
ETA = 0.3 + 0.4 * (X - 2) + 0.6 * RNG.normal(size=J)[G - 10]
MU, P = np.exp(ETA), 1 / (1 + np.exp(-ETA))
POISSON, NEGBINOMIAL = RNG.poisson(MU), RNG.negative_binomial(3, 3 / (3 + MU))
ZERO = RNG.random(N) < 0.3
RESPONSES = {
    "gaussian": ETA + RNG.normal(size=N),
    "student_t": ETA + RNG.standard_t(5, N),
    "lognormal": np.exp(ETA + 0.5 * RNG.normal(size=N)),
    "bernoulli": RNG.random(N) < P,
    "binomial": RNG.binomial(7, P),
    "poisson": POISSON,
    "negbinomial": NEGBINOMIAL,
    "gamma": RNG.gamma(2, MU / 2),
    "exponential": RNG.exponential(MU),
    "weibull": MU * RNG.weibull(1.5, N),
    "beta": np.clip(RNG.beta(5 * P, 5 * (1 - P)), 0.001, 0.999),
    "cumulative": pd.Categorical.from_codes(
        np.digitize(ETA + RNG.logistic(size=N), [-1, 0.5]), ["low", "mid", "high"], ordered=True
    ),
    "zero_inflated_poisson": np.where(ZERO, 0, POISSON),
    "zero_inflated_negbinomial": np.where(ZERO, 0, NEGBINOMIAL),
    "hurdle_poisson": np.where(ZERO, 0, POISSON),
    "hurdle_negbinomial": np.where(ZERO, 0, NEGBINOMIAL),
}
QUICK = {"draws": 60, "warmup": 100, "chains": 2, "seed": 8}
NUMBERS = ["mean", "sd", "lower", "upper"]


def data_of(family="gaussian"):
    return {"y": RESPONSES[family], "x": X, "k": K, "g": G, "h": H}


def fitted(formula="y ~ x + k + (x | g)", family="gaussian", **options):
    if family == "binomial":
        options.setdefault("trials", 7)
    return pp.fit(formula, data_of(family), family=family, **QUICK | options)


def linear_draws(fit, new, **options):
    """Draws of the linear predictor: (draw of all chains, row)."""
    found = fit.posterior_predictive(new, kind="linear", **options).to_numpy()
    return found.reshape(-1, found.shape[2])


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def several():
    return fitted("y ~ x + k + (x | g) + (1 | h) + (1 | g:h)", sigma="~ x + (1 | g)")


# --- What predictions are made of -----------------------------------------------------------------


def test_known_groups_use_the_draws_of_their_coefficients(fit):
    new = {"x": [0.0, 1.0, -2.0], "k": ["u", "v", "u"], "g": [20, 11, 11]}
    coef = fit.group_draws([20, 11]).to_numpy()
    kv = fit.run.b[..., fit.model.columns.index("k[T.v]")]
    expected = np.stack(
        [
            coef[:, :, 0, 0],
            coef[:, :, 1, 0] + coef[:, :, 1, 1] + kv,
            coef[:, :, 1, 0] - 2 * coef[:, :, 1, 1],
        ],
        axis=-1,
    )
    found = fit.posterior_predictive(new, kind="linear")
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    table = fit.predict(new, interval=0.8)
    flat = expected.reshape(-1, 3)
    lower, upper = np.quantile(flat, [0.1, 0.9], axis=0)
    sd = flat.std(0, ddof=1)
    # 120 draws: standard errors of 0.09 sds, and of quantiles at 0.1 of 0.16; walks have more.
    for name, numbers in zip(NUMBERS, (flat.mean(0), sd, lower, upper), strict=True):
        assert (np.abs(table[name] - numbers) < 5 * 0.16 * sd).all()
    assert (found.dims, found.name) == (("chain", "draw", "row"), "y")


def test_several_factors_and_log_sigma(several):
    model, run = several.model, several.run
    new = {"x": [1.5, 0.5], "k": ["u", "u"], "g": [13, 15], "h": ["q", "p"]}
    at = np.array(new["x"])
    eta = run.b[..., :1] + run.b[..., 1:2] * at
    log_sigma = run.scalars["b_sigma[Intercept]"][..., None]
    log_sigma = log_sigma + run.scalars["b_sigma[x]"][..., None] * at
    for group, drawn in zip(model.groups, run.groups, strict=True):
        labels = {"g": [13, 15], "h": ["q", "p"], "g:h": ["13:q", "15:p"]}[group.factor]
        picked = [group.levels.tolist().index(label) for label in labels]
        r = drawn.coef[:, :, picked]
        if group.predictor == "sigma":
            log_sigma = log_sigma + r[..., 0] - run.scalars["b_sigma[Intercept]"][..., None]
            continue
        r = r - (run.b @ group.T.T)[:, :, None, :]
        eta = eta + r[..., 0] + (r[..., 1] * at if len(group.terms) > 1 else 0)
    found = several.posterior_predictive(new, kind="linear").to_numpy()
    np.testing.assert_allclose(found, eta, rtol=1e-10)
    # Whatever the parameters of a draw, (y − η)/σ is standard normal.
    y = several.posterior_predictive(new).to_numpy()
    z = ((y - eta) / np.exp(log_sigma)).ravel()
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


@pytest.mark.parametrize("family", RESPONSES)
def test_observations_scatter_around_their_mean(family):
    assert set(RESPONSES) == set(FAMILIES)
    fit = fitted("y ~ x + (1 | g)", family)
    mean = fit.posterior_predictive(kind="mean").to_numpy().reshape(-1, N)
    y = fit.posterior_predictive().to_numpy().reshape(-1, N)
    gap = (y - mean).mean(axis=0) / (y - mean).std(axis=0) * np.sqrt(len(y))
    # Skewed counts are not normal after 120 draws; the mean over rows is.
    assert abs(gap.mean()) < 0.5
    table = fit.predict()
    if family == "gaussian":  # needs no draws; 120 of them have standard errors of 0.09 sds
        assert (np.abs(table["mean"] - mean.mean(axis=0)) < 5 * 0.09 * table["sd"]).all()
    else:
        np.testing.assert_allclose(table["mean"], mean.mean(axis=0), rtol=1e-10)
    eta = linear_draws(fit, None)
    if family in ("gaussian", "student_t"):
        np.testing.assert_array_equal(eta, mean)
    elif family == "lognormal":
        sigma = fit.run.sigma.reshape(-1, 1)
        np.testing.assert_allclose(mean, np.exp(eta + sigma**2 / 2), rtol=1e-12)
    elif family == "poisson":
        np.testing.assert_allclose(mean, np.exp(eta), rtol=1e-12)
    elif family == "binomial":
        np.testing.assert_allclose(mean, 7 / (1 + np.exp(-eta)), rtol=1e-12)


def test_rows_of_the_fit_are_those_of_its_data():
    data = pd.DataFrame(data_of()).assign(z=1.0)
    data.loc[3, "x"] = np.nan
    fit = pp.fit("y ~ x + k + (x | g)", data, **QUICK)
    own, given = fit.predict(), fit.predict(data)
    assert own.index.tolist() == [row for row in range(N) if row != 3]
    assert own.columns.tolist() == ["y", "x", "k", "g", *NUMBERS]
    assert given.columns.tolist() == [*data.columns, *NUMBERS]
    pd.testing.assert_frame_equal(
        own[NUMBERS], given.drop(index=3)[NUMBERS], check_names=False, rtol=1e-12
    )
    assert given.loc[3, NUMBERS].isna().all()
    assert given.attrs["notes"] == ["no prediction for 1 row with missing values (`x`)"]
    assert fit.posterior_predictive()["row"].to_numpy().tolist() == own.index.tolist()


def test_probabilities_of_ordered_categories():
    fit = fitted("y ~ x + (1 | g)", "cumulative")
    new = {"x": [0.0, 4.0], "g": [10, 99]}
    p = fit.predict(new)
    shares = p[["p[low]", "p[mid]", "p[high]"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(shares @ [0, 1, 2], p["mean"], rtol=1e-12)
    cuts = np.stack([fit.run.scalars[f"threshold[{k}]"] for k in (1, 2)], axis=-1).reshape(-1, 1, 2)
    below = 1 / (1 + np.exp(linear_draws(fit, new)[..., None] - cuts))
    np.testing.assert_allclose(shares["p[low]"], below[..., 0].mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(1 - shares["p[high]"], below[..., 1].mean(axis=0), rtol=1e-10)
    codes = fit.posterior_predictive(new)
    assert set(np.unique(codes)) == {0.0, 1.0, 2.0}
    assert codes.attrs["categories"] == ["low", "mid", "high"]
    assert "p[low]" not in fit.predict(new, kind="observation")


def test_a_predictor_that_was_true_or_false_stays_so():
    fit = pp.fit("y ~ f", {"y": X, "f": X + RNG.normal(size=N) > 2}, **QUICK)
    expected = fit.predict({"f": [True, False]})["mean"].tolist()
    for same in ([1, 0], [1.0, 0.0], ["True", "False"], ["true", "FALSE"], pd.Categorical([1, 0])):
        assert fit.predict({"f": same})["mean"].tolist() == expected
    for other in ([7, 0], ["yes", "no"], [0.5, 0]):
        with pytest.raises(pp.InputError, match=r"`f` was true or false .*: give true and false"):
            fit.predict({"f": other})


def test_large_whole_levels_are_not_rounded():
    level = 2**62 + G.astype(np.int64)
    fit = pp.fit("y ~ x + (1 | g)", data_of() | {"g": level}, **QUICK)
    with pytest.raises(pp.InputError, match=r"`g` holds whole numbers beyond 2⁵³ as floats"):
        fit.predict({"x": X, "g": level.astype(float)})
    assert fit.predict({"x": [0.0], "g": [3.0]}).attrs["notes"]  # a new level


# --- Levels never seen ----------------------------------------------------------------------------


def test_rows_of_a_new_level_share_its_draw_and_others_do_not(several):
    new = {
        "x": [1.0] * 5,
        "k": ["u"] * 5,
        "g": [90, 91, 90, 90, 90],
        "h": ["z", "z", "z", "y", "z"],
    }
    eta = linear_draws(several, new)
    assert np.array_equal(eta[:, 0], eta[:, 2])
    assert np.array_equal(eta[:, 0], eta[:, 4])
    assert not np.any(eta[:, 0] == eta[:, 1])
    assert not np.any(eta[:, 0] == eta[:, 3])
    alone = linear_draws(several, {name: values[3:4] for name, values in new.items()})
    np.testing.assert_allclose(alone[:, 0], eta[:, 3], rtol=1e-12)
    assert several.predict(new).attrs["notes"][0] == (
        "`g` has 2 levels that the fit did not see (`90`, `91`), in 5 rows: "
        "drawn from the population"
    )


def test_factors_that_share_a_label_do_not_share_draws():
    fit = fitted("y ~ 1 + (1 | h) + (1 | k)", draws=1000)
    new = {"h": ["new", "p"], "k": ["u", "new"]}
    eta = linear_draws(fit, new)
    population = linear_draws(fit, new, new_levels="population")
    sds = np.stack([drawn.sd[..., 0].ravel() for drawn in fit.run.groups], axis=-1)
    z = (eta - population) / sds
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(len(z))


def test_new_combinations_are_levels_of_their_own():
    fit = fitted("y ~ 1 + (1 | g:h)")
    eta = linear_draws(fit, {"g": [90, 90, 91, 90], "h": ["p", "q", "p", "p"]})
    assert np.array_equal(eta[:, 0], eta[:, 3])
    assert not np.any(eta[:, 0] == eta[:, 1])
    assert not np.any(eta[:, 0] == eta[:, 2])


@pytest.mark.parametrize("kind", ["mean", "observation", "linear"])
def test_the_size_of_the_parts_changes_nothing(several, monkeypatch, kind):
    rng = np.random.default_rng(1)
    n = 70
    new = {
        "x": rng.normal(size=n),
        "k": rng.choice(["u", "v"], n),
        "g": rng.integers(8, 26, n),
        "h": rng.choice(["p", "q", "new", "newer"], n),
    }
    whole = several.posterior_predictive(new, kind=kind).to_numpy()
    table = several.predict(new, kind=kind)
    monkeypatch.setattr(evaluate, "CHUNK", 1)
    assert len(list(evaluator(several, new).chunks())) > 4
    np.testing.assert_allclose(
        several.posterior_predictive(new, kind=kind), whole, rtol=1e-9, atol=1e-9
    )
    pd.testing.assert_frame_equal(several.predict(new, kind=kind), table, rtol=1e-9)


def evaluator(fit, new):
    from partialpool.draws.new_rows import build_rows, gather_new

    gathered = gather_new(fit.model, new, {}, kind="linear", needed=fit.model.groups)
    rows = build_rows(fit.model, gathered, fit.model.groups)
    return evaluate.Evaluator(fit.model, fit.run, rows, new_levels="sample", seed=1)


def test_labels_are_the_same_level_however_a_table_holds_them(fit):
    tables = [
        {"x": [1.0], "k": ["u"], "g": [99]},
        {"x": [1.0], "k": ["u"], "g": np.array([99.0])},
        pd.DataFrame({"x": [1.0], "k": ["u"], "g": pd.array([99], dtype="Int64")}),
        pl.DataFrame({"x": [1], "k": pl.Series(["u"], dtype=pl.Categorical), "g": [99]}),
    ]
    first, *others = [fit.predict(table)[NUMBERS] for table in tables]
    for other in others:
        pd.testing.assert_frame_equal(other, first)


def test_dates_and_text_as_levels(tmp_path):
    days = [datetime.date(2024, 1, d) for d in (1, 2, 3, 4)]
    data = data_of() | {"d": np.resize(days, N), "t": np.resize(["", "b", "ü", "b:c"], N)}
    fit = pp.fit("y ~ x + (1 | d) + (1 | t)", data, **QUICK)
    new = {"x": [1.0] * 3, "d": [days[1], datetime.date(2030, 1, 1), days[2]], "t": ["", "?", "?"]}
    eta = linear_draws(fit, new)
    assert eta.std(axis=0).all()
    same = linear_draws(fit, new | {"d": np.array(new["d"], dtype="M8[ns]")})
    np.testing.assert_allclose(same, eta, rtol=1e-12)
    fit.save(tmp_path / "fit.nc")
    assert np.array_equal(linear_draws(pp.load(tmp_path / "fit.nc"), new), eta)


def test_the_population_and_an_error_in_place_of_draws(fit):
    new = {"x": [1.0, 1.0], "k": ["u", "u"], "g": [99, 12]}
    eta = linear_draws(fit, new, new_levels="population")
    expected = (fit.run.b[..., 0] + fit.run.b[..., 1]).ravel()
    np.testing.assert_allclose(eta[:, 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(eta[:, 1], linear_draws(fit, new)[:, 1])
    without = {name: new[name] for name in "xk"}
    np.testing.assert_array_equal(
        linear_draws(fit, without, new_levels="population")[:, 0], eta[:, 0]
    )
    table = fit.predict(without, new_levels="population")
    assert table.attrs["notes"] == [
        "there is no column `g`: given the coefficients of the population"
    ]
    with pytest.raises(pp.InputError, match=r"level `99`, which .* known are `10`, `11`.*, …"):
        fit.predict(new, new_levels="error")
    assert fit.predict({"x": [1.0], "k": ["u"], "g": [12]}, new_levels="error")["sd"].notna().all()


def test_seeds(fit):
    new = {"x": [1.0, 1.0], "k": ["u", "u"], "g": [99, 12]}
    # Nothing of a Gaussian model is drawn.
    assert fit.predict(new, seed=8)["mean"].equals(fit.predict(new, seed=9)["mean"])
    fit = fitted(family="poisson")
    default = fit.predict(new)
    pd.testing.assert_frame_equal(fit.predict(new, seed=8), default)
    other = fit.predict(new, seed=9)
    assert default.attrs["seed"] == 8
    assert default.loc[0, "mean"] != other.loc[0, "mean"]
    assert default.loc[1, "mean"] == other.loc[1, "mean"]
    one, two = (fit.predict(new, kind="observation", seed=s) for s in (1, 2))
    assert (one["mean"] != two["mean"]).all()


def test_some_draws_are_those_among_all(several):
    new = {"x": [1.0, 1.0], "k": ["u", "v"], "g": [99, 12], "h": ["p", "z"]}
    whole = several.posterior_predictive(new, kind="mean")
    some = several.posterior_predictive(new, kind="mean", draws=7)
    assert some.shape == (2, 7, 2)
    assert np.unique(np.diff(some["draw"])).tolist() in ([8], [8, 9])
    np.testing.assert_allclose(some, whole.sel(draw=some["draw"]), rtol=1e-12)
    fit = fitted()
    new = {"x": [1.0, 1.0], "k": ["u", "v"], "g": [99, 12]}
    whole = fit.posterior_predictive(new, kind="mean")
    some = fit.posterior_predictive(new, kind="mean", draws=60)
    np.testing.assert_array_equal(some, whole)
    some = fit.posterior_predictive(new, kind="mean", draws=3)
    np.testing.assert_allclose(some, whole[:, ::20], rtol=1e-12)


# --- Poolings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["marginal", "nuts"])
def test_without_pooling_known_levels_are_their_own_and_new_ones_their_prior(method):
    priors = {"coef_g[Intercept]": pp.Normal(3, 2), "coef_g[x]": pp.Normal(-1, 0.5)}
    fit = fitted(pooling="none", priors=priors, method=method, draws=2000)
    new = {"x": [0.0, 1.0, 0.0, 1.0], "k": ["u"] * 4, "g": [14, 14, 99, 99]}
    eta = linear_draws(fit, new)
    coef = fit.group_draws([14]).to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(eta[:, 0], coef[:, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(eta[:, 1], coef.sum(axis=1), rtol=1e-9, atol=1e-9)
    own = np.column_stack([eta[:, 2], eta[:, 3] - eta[:, 2]])
    error = np.array([2, 0.5]) / np.sqrt(len(own))
    assert np.all(np.abs(own.mean(axis=0) - [3, -1]) < 5 * error)
    assert np.all(np.abs(own.std(axis=0) - [2, 0.5]) < 5 * error)
    assert "without pooling, drawn from the fixed prior" in fit.predict(new).attrs["notes"][0]


@pytest.mark.parametrize("method", ["marginal", "nuts"])
def test_default_priors_without_pooling_are_at_the_mean_of_the_predictors(method):
    fit = fitted(pooling="none", method=method, draws=2000)
    prior = fit.priors["coef_g[Intercept]"]
    new = {"x": [X.mean()], "k": ["u"], "g": [99]}
    # k stays shared, and the intercept's prior is where all predictors are at their means.
    shift = fit.run.coefficients("mu") @ [np.mean(k == K) for k in ("v", "w")]
    eta = linear_draws(fit, new)[:, 0] + shift.ravel()
    assert abs(eta.mean() - prior.mean) < 5 * prior.sd / np.sqrt(len(eta))
    assert abs(eta.std() - prior.sd) < 5 * prior.sd / np.sqrt(2 * len(eta))


def test_new_levels_under_uniform_flat_and_other_priors_without_pooling():
    new = {"x": [0.0], "k": ["u"], "g": [99]}
    formula = "y ~ x + k + (1 | g)"
    fit = fitted(formula, pooling="none", priors={"coef_g": pp.Uniform(-5, 9)}, draws=2000)
    eta = linear_draws(fit, {**new, "x": [0.0]})[:, 0]
    assert -5 < eta.min() < -4.9
    assert 8.9 < eta.max() < 9
    fit = fitted(formula, pooling="none", priors={"coef_g": pp.StudentT(5, 2, 1)}, draws=2000)
    eta = linear_draws(fit, new)[:, 0]
    assert abs(np.median(eta) - 2) < 5 * 1.32 / np.sqrt(len(eta))
    flat = fitted(formula, pooling="none", priors={"coef_g": pp.Flat()})
    with pytest.raises(pp.InputError, match="its prior is flat, so nothing can be said of it"):
        flat.predict(new)
    with pytest.raises(pp.InputError, match="there is no population to take it from"):
        fit.predict(new, new_levels="population")
    assert flat.predict({"x": [0.0], "k": ["u"], "g": [13]})["sd"].notna().all()


def test_levels_that_do_not_determine_their_coefficients():
    data = data_of() | {"z": (G > 11).astype(float) * RNG.integers(0, 2, N)}
    fit = pp.fit("y ~ z + (z | g)", data, pooling="none", priors={"coef_g": pp.Flat()}, **QUICK)
    table = fit.predict({"z": [0, 0], "g": [10, 14]})
    assert table["mean"].isna().tolist() == [True, False]
    assert "no prediction for 1 row in levels whose own rows" in table.attrs["notes"][0]
    found = fit.effects("z")
    assert found["mean"].notna().all()
    assert "left out: 16 rows in levels" in found.attrs["notes"][0]


def test_complete_pooling_needs_no_groups():
    fit = fitted(pooling="complete")
    new = {"x": [1.0], "k": ["u"]}
    table = fit.predict(new)
    expected = fit.run.b[..., :2].sum(axis=-1)
    # 120 draws: a standard error of 0.09 sds.
    assert abs(table["mean"][0] - expected.mean()) < 5 * 0.09 * expected.std()
    assert table.attrs["notes"] == []
    assert fit.effects("x").attrs["groups"] == "there are no levels of a population"


def test_an_intercept_alone(tmp_path):
    fit = pp.fit("y ~ 1", data_of(), **QUICK)
    pd.DataFrame({"other": [1, 2, 3]}).to_csv(tmp_path / "new.csv")
    for new in (tmp_path / "new.csv", pd.DataFrame({"other": [1, 2, 3]})):
        off = np.abs(fit.predict(new)["mean"] - fit.run.b.mean())
        assert (off < 5 * 0.09 * fit.run.b.std()).all()


# --- Roles ----------------------------------------------------------------------------------------


def test_trials():
    new = {"x": [1.0, 1.0], "g": [12, 12]}
    fit = fitted("y ~ x + (1 | g)", "binomial")
    np.testing.assert_array_equal(fit.predict(new)["mean"], fit.predict(new, trials=7)["mean"])
    p = fit.predict(new, trials=1)["mean"]
    np.testing.assert_allclose(fit.predict(new, trials=[1, 20])["mean"], p * [1, 20], rtol=1e-12)
    assert fit.posterior_predictive(new, trials=2).max() == 2
    named = pp.fit("y ~ x", data_of("binomial") | {"n": np.full(N, 7)}, family="binomial",
                   trials="n", **QUICK)  # fmt: skip
    with pytest.raises(pp.InputError, match="the fit used `n` as `trials`, which is not in the"):
        named.predict(new)
    assert named.predict(new, kind="linear")["mean"].notna().all()
    ratio = named.predict(new | {"n": [3, 6]})["mean"]
    np.testing.assert_allclose(ratio[1] / ratio[0], 2, rtol=1e-12)
    for bad in (0, 2.5, [1, -1], "x y"):
        with pytest.raises(pp.InputError, match=r"trials|x y"):
            named.predict(new, trials=bad)
    given = pp.fit("y ~ x", data_of("binomial"), family="binomial", trials=np.full(N, 7), **QUICK)
    with pytest.raises(pp.InputError, match="the fit used `trials`: give `trials` for the new"):
        given.predict(new)
    np.testing.assert_allclose(given.predict()["mean"], given.predict(data_of(), trials=7)["mean"])


def test_offset_and_exposure():
    data = data_of("poisson") | {"o": RNG.normal(size=N), "t": RNG.uniform(1, 3, N)}
    fit = pp.fit("y ~ x", data, family="poisson", offset="o", exposure="t", **QUICK)
    new = {"x": [1.0, 1.0], "o": [0.0, 1.0], "t": [1.0, 5.0]}
    p = fit.predict(new)["mean"]
    np.testing.assert_allclose(p[1] / p[0], 5 * np.e, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(new, offset=0, exposure=1)["mean"], p[0], rtol=1e-12)
    np.testing.assert_allclose(fit.predict()["mean"], fit.predict(data)["mean"], rtol=1e-12)
    np.testing.assert_allclose(
        fit.predict(exposure=2)["mean"], fit.predict()["mean"] * 2 / data["t"], rtol=1e-12
    )
    with pytest.raises(pp.InputError, match="`exposure` is 0"):
        fit.predict(new, exposure=0)
    with pytest.raises(pp.InputError, match="`offset` has 3 values for 2 rows"):
        fit.predict(new, offset=[1, 2, 3])
    with pytest.raises(pp.InputError, match="`offset` is infinite in 1 row"):
        fit.predict(new, offset=[1, np.inf])


@pytest.mark.parametrize("family", ["gaussian", "student_t", "lognormal"])
def test_weights_divide_the_residual_variance(family):
    data = data_of(family) | {"w": RNG.uniform(0.5, 2, N)}
    fit = pp.fit("y ~ x", data, family=family, weights="w", **QUICK | {"draws": 2000})
    new = {"x": [1.0] * 3, "w": [1.0, 100.0, 0.0]}
    log = np.log if family == "lognormal" else np.asarray
    y = log(fit.posterior_predictive(new).to_numpy().reshape(-1, 3))
    residual = np.median(np.abs(y - linear_draws(fit, new)), axis=0)
    assert abs(residual[0] / residual[1] - 10) < 1
    assert np.isnan(residual[2])
    table = fit.predict(new, kind="observation")
    assert table.attrs["notes"] == ["no prediction for 1 row with weight 0"]
    lacking = fit.predict({"x": [1.0]}, kind="observation")
    assert lacking.attrs["notes"] == [
        "the fit used `w` as `weights`; without it the new rows have weight 1"
    ]
    assert abs(np.log(lacking["sd"][0] / table["sd"][0])) < 0.5
    if family == "lognormal":
        assert fit.predict(new)["mean"][1] < fit.predict(new)["mean"][0]
    with pytest.raises(pp.InputError, match="`weights` is negative in 1 row"):
        fit.predict(new, kind="observation", weights=[1, -1, 2])


def test_known_errors():
    data = data_of() | {"e": RNG.uniform(0.5, 2, N)}
    fit = pp.fit("y ~ x + (1 | g)", data, se="e", **QUICK | {"draws": 2000})
    new = {"x": [1.0] * 2, "g": [12, 12]}
    assert fit.predict(new)["mean"].notna().all()
    y = fit.posterior_predictive(new, se=[1e-9, 3.0]).to_numpy().reshape(-1, 2)
    z = y - linear_draws(fit, new)
    assert abs(z[:, 0]).max() < 1e-7
    assert abs(z[:, 1].std() / 3 - 1) < 5 / np.sqrt(2 * len(z))
    with pytest.raises(pp.InputError, match="the fit used `e` as `se`, which is not in the table"):
        fit.predict(new, kind="observation")
    with pytest.raises(pp.InputError, match="`se` is 0"):
        fit.predict(new, kind="observation", se=0)


# --- Bad input ------------------------------------------------------------------------------------

ROW = {"x": [1.0], "k": ["u"], "g": [12]}
BAD = {
    "no column": ({"k": ["u"], "g": [12]}, {}, "there is no column `x` in the table"),
    "no group": ({"x": [1.0], "k": ["u"]}, {}, "no grouping column `g` in the table: add it"),
    "text for numbers": (ROW | {"x": ["a"]}, {}, "the column `x` is now of kind string"),
    "numbers for categories": (ROW | {"k": [1]}, {}, "`k` .*did not see"),
    "a new category": (ROW | {"k": ["t"]}, {}, "did not see, `t`: choose one of `u`, `v`, `w`"),
    "infinite": (ROW | {"x": [np.inf]}, {}, "the column `x` is infinite in 1 row"),
    "no rows": ({"x": [], "k": [], "g": []}, {}, "the table has no rows"),
    "kind": (ROW, {"kind": "response"}, "unknown kind `response`: choose one of `mean`"),
    "new levels": (ROW, {"new_levels": "none"}, "unknown new_levels `none`"),
    "interval": (ROW, {"interval": 95}, "`interval` is 95: give a number between 0 and 1"),
    "seed": (ROW, {"seed": -1}, "`seed` is -1"),
    "trials": (ROW, {"trials": 3}, "`trials` is given, but this model has no use for it"),
    "exposure": (ROW, {"exposure": 3}, "`exposure` is given, but this model has no use for it"),
    "se": (ROW, {"se": 3}, "`se` is given, but this model has no use for it"),
    "no table": (3, {}, "a int is not a table"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(fit, name):
    new, options, message = BAD[name]
    with pytest.raises(pp.InputError, match=message) as error:
        fit.predict(new, **options)
    assert "\n" not in str(error.value)


def test_bad_draws(fit):
    for draws, message in {0: "give at least 1", 61: "each chain has 60", 2.5: "whole"}.items():
        with pytest.raises(pp.InputError, match=message):
            fit.posterior_predictive(ROW, draws=draws)


def test_rows_with_missing_values_come_back_without_a_prediction(fit):
    new = pd.DataFrame(
        {"x": [1.0, None, 1.0, 1.0], "k": ["u", "u", None, "v"], "g": [12, 12, 12, None]},
        index=list("abcd"),
    )
    table = fit.predict(new)
    assert table.index.tolist() == list("abcd")
    assert table["mean"].isna().tolist() == [False, True, True, True]
    assert table.attrs["notes"] == ["no prediction for 3 rows with missing values (`x`, `k`, `g`)"]
    nothing = fit.predict(new.iloc[1:3], kind="observation")
    assert nothing[NUMBERS].isna().all(axis=None)
    draws = fit.posterior_predictive(new)
    assert np.isnan(draws).all(("chain", "draw")).to_numpy().tolist() == [False, True, True, True]


def test_tables_of_any_kind(fit, tmp_path):
    new = pd.DataFrame({"x": [1.0, None], "k": ["u", "v"], "g": [12, 99], "d": [1, 2]})
    expected = fit.predict(new)
    new.to_csv(tmp_path / "new.csv", index=False)
    new.to_parquet(tmp_path / "new.parquet")
    tables = [pl.from_pandas(new), tmp_path / "new.csv", str(tmp_path / "new.parquet")]
    tables.append({name: new[name].tolist() for name in new})
    for table in tables:
        found = fit.predict(table)
        assert found.columns.tolist() == expected.columns.tolist()
        pd.testing.assert_frame_equal(found[NUMBERS], expected[NUMBERS])
        assert found["k"].tolist() == ["u", "v"]
    before = new.copy()
    fit.predict(new)
    pd.testing.assert_frame_equal(new, before)


# --- Files ----------------------------------------------------------------------------------------

SAVED = {
    "marginal": ("gaussian", "y ~ poly(x, 2) + k + (x | g)", {}),
    "none": ("gaussian", "y ~ x + k + (x | g)", {"pooling": "none"}),
    "metropolis": ("gaussian", "y ~ x + k + (1 | g)", {"method": "metropolis"}),
    "weights": ("student_t", "y ~ x + (1 | g)", {"weights": "w"}),
    "several": ("gaussian", "y ~ x * k + (x | g) + (1 | g:h)", {"sigma": "~ x + (1 | h)"}),
    "binomial": ("binomial", "y ~ C(k) + (1 | h)", {"trials": "n"}),
    "exposure": ("negbinomial", "y ~ center(x) + (1 | h)", {"exposure": "w"}),
    "ordered": ("cumulative", "y ~ bs(x, df=4) + (1 | h)", {}),
    "none nuts": ("poisson", "y ~ x + k + (1 | g)", {"pooling": "none"}),
    "complete": ("bernoulli", "y ~ x + f + (1 | g)", {"pooling": "complete"}),
    "other": ("hurdle_poisson", "y ~ x + c + (1 | g) + (1 | h)", {"pooling": {"h": "none"}}),
}
EXTRA = {"w": RNG.uniform(1, 2, N), "n": np.full(N, 7), "f": X > 2}
EXTRA["c"] = pd.Categorical(K, categories=["w", "u", "v", "never"], ordered=True)
PROGRAM = textwrap.dedent(
    """
    import sys
    import pandas as pd
    import partialpool as pp

    folder, by = sys.argv[1:]
    fit, new = pp.load(f"{folder}/fit.nc"), pd.read_pickle(f"{folder}/new.pkl")
    found = [fit.predict(new, kind=kind) for kind in ("mean", "observation", "linear")]
    pd.to_pickle([*found, fit.effects(by, data=new)], f"{folder}/found.pkl")
    """
)


@pytest.mark.parametrize("name", SAVED)
def test_a_loaded_fit_predicts_the_same_in_another_process(name, tmp_path):
    family, formula, options = SAVED[name]
    data = pd.DataFrame(data_of(family) | EXTRA)
    fit = pp.fit(formula, data, family=family, **QUICK | options)
    new = data.drop(columns="y").iloc[:60].copy()
    if "g" in formula and fit.pooling != "none":
        new.loc[:3, "g"] = 99
    by = "k" if name == "binomial" else "x"
    new.to_pickle(tmp_path / "new.pkl")
    fit.save(tmp_path / "fit.nc")
    expected = [fit.predict(new, kind=kind) for kind in ("mean", "observation", "linear")]
    expected.append(fit.effects(by, data=new))
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path), by]
    subprocess.run(arguments, check=True, timeout=120)
    for one, other in zip(expected, pd.read_pickle(tmp_path / "found.pkl"), strict=True):
        pd.testing.assert_frame_equal(other, one, check_exact=True)
        assert other.attrs == one.attrs
        assert one["mean"].notna().all()
    back = pp.load(tmp_path / "fit.nc")
    model = back.model
    assert (model.categories, model.sigma_formula) == (
        fit.model.categories,
        fit.model.sigma_formula,
    )
    assert fit.model.plan.to_json() == model.plan.to_json()
    assert_same_rows(back.design, fit.design)
    pd.testing.assert_frame_equal(back.predict(), fit.predict(), check_exact=True)
    pd.testing.assert_frame_equal(back.effects(by), fit.effects(by), check_exact=True)
    assert repr(back.check(draws=50)) == repr(fit.check(draws=50))
    np.testing.assert_array_equal(back.loo().elpd_i, fit.loo().elpd_i)


def test_a_fit_saved_without_its_rows_asks_for_them(fit, tmp_path):
    fit.save(tmp_path / "fit.nc", rows=False)
    back = pp.load(tmp_path / "fit.nc")
    assert back.design is None
    with pytest.raises(pp.InputError, match=r"saved without the rows .*: give them as `new`"):
        back.predict()
    with pytest.raises(pp.InputError, match=r"saved without the rows .*: give them as `data`"):
        back.effects("x")
    pd.testing.assert_frame_equal(back.effects("x", data=data_of()), fit.effects("x"))


def test_general_fits_that_were_cut_short_never_load(several, tmp_path):
    several.save(tmp_path / "fit.nc")
    whole = (tmp_path / "fit.nc").read_bytes()
    assert len(whole) > 40 * 4096
    for length in (*range(0, len(whole), 4096), len(whole) - 1):
        (tmp_path / "cut.nc").write_bytes(whole[:length])
        with pytest.raises(pp.InputError, match="damaged or not a partialpool fit"):
            pp.load(tmp_path / "cut.nc")


# --- The command line -----------------------------------------------------------------------------


@pytest.fixture
def saved(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"x": [1.0, None], "k": ["u", "v"], "g": [99, 12]})
    new.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def run(capsys, *arguments):
    code = cli.main(["predict", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_command_prints_a_table_and_its_notes(saved, fit, capsys):
    code, out, err = run(capsys, saved / "fit.nc", saved / "new.csv", "--interval", "0.5")
    assert code == 0
    head, first, second, _, facts = out.splitlines()
    assert head.split() == ["x", "k", "g", *NUMBERS]
    expected = fit.predict(saved / "new.csv", interval=0.5).loc[0, NUMBERS]
    np.testing.assert_allclose([float(t) for t in first.split()[3:]], expected.astype(float), 1e-3)
    assert second.split() == ["v", "12"]
    assert facts == "mean and 50% interval of 2 rows, seed 8, partialpool 0.1.0"
    assert err.splitlines() == [
        "note: no prediction for 1 row with missing values (`x`)",
        "note: `g` has 1 level that the fit did not see (`99`), in 1 row: "
        "drawn from the population",
    ]


def test_command_writes_a_file(saved, fit, capsys):
    code, out, _ = run(
        capsys, saved / "fit.nc", saved / "new.csv", "--kind", "observation", "--seed", 5,
        "--new-levels", "population", "--out", saved / "p.csv",
    )  # fmt: skip
    assert (code, len(out.splitlines())) == (0, 1)
    expected = fit.predict(saved / "new.csv", kind="observation", seed=5, new_levels="population")
    pd.testing.assert_frame_equal(pd.read_csv(saved / "p.csv"), expected, rtol=1e-12)


def test_command_takes_trials(tmp_path, capsys):
    fitted("y ~ x", "binomial").save(tmp_path / "fit.nc")
    pd.DataFrame({"x": [1.0], "m": [50]}).to_csv(tmp_path / "new.csv", index=False)
    means = [
        float(run(capsys, tmp_path / "fit.nc", tmp_path / "new.csv", "--trials", t)[1].split()[8])
        for t in ("1", "m")
    ]
    assert means[1] == pytest.approx(50 * means[0], rel=2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.nc", "{new}"], "there is no file `nowhere.nc`"),
        (["{new}", "{new}"], "is damaged or not a partialpool fit"),
        (["{fit}", "nowhere.csv"], "there is no file `nowhere.csv`"),
        (["{fit}", "{new}", "--kind", "x"], "unknown kind `x`"),
        (["{fit}", "{new}", "--new-levels", "error"], "has the level `99`"),
        (["{fit}", "{new}", "--interval", "2"], "`--interval` is 2.0"),
        (["{fit}", "{new}", "--out", "{new}"], "would overwrite the data"),
        (["{fit}", "{new}", "--out", "{fit}"], "would overwrite the fit"),
        (["{fit}", "{new}", "--trials", "3"], "this model has no use for it"),
        (["{fit}"], "missing argument"),
    ],
)
def test_command_refuses_in_one_line(saved, capsys, arguments, message):
    places = {"fit": saved / "fit.nc", "new": saved / "new.csv"}
    before = [path.read_bytes() for path in places.values()]
    code, out, err = run(capsys, *(argument.format(**places) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [path.read_bytes() for path in places.values()] == before


# --- Marginal effects -----------------------------------------------------------------------------


def test_effects_of_categories_and_conditions():
    data = data_of() | {"t": X > 2}
    fit = pp.fit("y ~ t + k", data, **QUICK)
    found = fit.effects("k")
    assert found["quantity"].tolist() == ["prediction"] * 3 + ["contrast"] * 2
    assert found["value"].tolist() == ["u", "v", "w", "v", "w"]
    assert found["reference"].tolist()[3:] == ["u", "u"]
    b = dict(zip(fit.model.columns, fit.run.b.mean((0, 1)), strict=True))
    np.testing.assert_allclose(found["mean"][3:], [b["k[T.v]"], b["k[T.w]"]], rtol=1e-10)
    other = fit.effects("k", {"k": ["w", "u"], "t": True})
    assert other["value"].tolist() == ["w", "u", "u"]
    np.testing.assert_allclose(other["mean"][2], -b["k[T.w]"], rtol=1e-10)
    truth = fit.effects("t")
    assert truth["value"].tolist() == [False, True, True]
    ordered = pd.DataFrame(data).assign(k=pd.Categorical(K, ["w", "v", "u"]))
    again = pp.fit("y ~ t + k", ordered, **QUICK).effects("k")
    assert again["value"].tolist()[:3] == ["w", "v", "u"]


def test_effects_of_numbers_take_quartiles_or_the_few_that_occur():
    data = data_of() | {"few": RNG.integers(1, 4, N)}
    fit = pp.fit("y ~ x + C(few)", data, **QUICK)
    found = fit.effects("x")
    np.testing.assert_array_equal(found["value"][:5], np.quantile(X, [0, 0.25, 0.5, 0.75, 1]))
    assert found["quantity"].iloc[-1] == "slope"
    assert fit.effects("few")["value"].tolist() == [1, 2, 3, 2, 3]
    numbers = pp.fit("y ~ few", data, **QUICK).effects("few")
    assert numbers["value"].tolist()[:5] == [1, 2, 3, 2, 3]
    assert numbers["quantity"].iloc[-1] == "slope"


def test_slopes_of_transforms_stay_within_the_data():
    # A spline is not defined beyond its knots; the slope of x² is 2x.
    fit = pp.fit("y ~ bs(x, df=4)", data_of(), **QUICK)
    assert np.isfinite(fit.effects("x")["mean"]).all()
    fit = pp.fit("y ~ x + I(x**2)", data_of(), **QUICK)
    b = fit.run.b.mean((0, 1))
    # The two rows at the ends have one-sided differences: 2·10⁻⁴ sds of error over N rows.
    expected = b[1] + 2 * b[2] * X.mean()
    assert fit.effects("x")["mean"].iloc[-1] == pytest.approx(expected, abs=1e-4 * abs(b[2]))


def test_effects_with_some_draws_and_other_scales():
    fit = fitted("y ~ x + (1 | g)", "binomial")
    whole, some = fit.effects("x"), fit.effects("x", draws=5)
    assert not np.allclose(whole["mean"], some["mean"], rtol=1e-6)
    np.testing.assert_allclose(fit.effects("x", trials=1)["mean"] * 7, whole["mean"], rtol=1e-10)
    linear = fit.effects("x", kind="linear")
    np.testing.assert_allclose(linear["mean"].iloc[-1], fit.run.b[..., 1].mean(), rtol=1e-8)
    rates = data_of("poisson") | {"t": RNG.uniform(1, 3, N)}
    fit = pp.fit("y ~ x", rates, family="poisson", exposure="t", **QUICK)
    found = fit.effects("x")["mean"] / fit.effects("x", exposure=1)["mean"]
    np.testing.assert_allclose(found[:5], rates["t"].mean(), rtol=1e-10)


def test_effects_on_the_probabilities_of_categories():
    """A probit is integrated in closed form; codes weigh to the mean response."""
    fit = fitted("y ~ x + (1 | g)", "cumulative", link="probit")
    at = {"x": [1.0, 2.0]}
    found = fit.effects("x", at, kind="probability")
    assert found["category"].tolist() == ["low", "mid", "high"] * 4
    predictions = found[found["quantity"] == "prediction"]["mean"].to_numpy().reshape(2, 3)
    scale = np.sqrt(1 + fit.run.groups[0].sd[..., 0].ravel() ** 2)
    cuts = np.stack([fit.run.scalars[f"threshold[{k}]"].ravel() for k in (1, 2)])
    for x, row in zip(at["x"], predictions, strict=True):
        below = stats.norm.cdf((cuts - x * fit.run.b[..., 0].ravel()) / scale).mean(axis=1)
        np.testing.assert_allclose(row, np.diff([0, *below, 1]), atol=1e-7)
    codes = fit.effects("x", at)["mean"].to_numpy()
    np.testing.assert_allclose(found["mean"].to_numpy().reshape(4, 3) @ [0, 1, 2], codes, atol=1e-9)
    change = found[found["quantity"].isin(["contrast", "slope"])]
    np.testing.assert_allclose(change["mean"].to_numpy().reshape(2, 3).sum(axis=1), 0, atol=1e-9)


def test_effects_without_pooling_keep_the_levels():
    fit = fitted(family="bernoulli", formula="y ~ x + (1 | g)", pooling="none")
    coef = fit.group_draws().to_numpy().reshape(-1, J)
    slope = fit.run.b.reshape(-1, 1)
    counts = np.bincount(G - 10)
    expected = (1 / (1 + np.exp(-coef - slope)) @ counts / N).mean()
    found = fit.effects("x", {"x": [1.0]})
    assert found["mean"][0] == pytest.approx(expected, rel=1e-10)
    with pytest.raises(pp.InputError, match="has the level `99`"):
        fit.effects("x", data={"x": [1.0, 2.0], "g": [10, 99]})


def test_effects_over_other_rows():
    fit = fitted("y ~ x * k + (1 | g)")
    data = pd.DataFrame(data_of()).drop(columns=["y", "g"])
    pd.testing.assert_frame_equal(fit.effects("x", data=data), fit.effects("x"))
    data.loc[0, "x"] = None
    some = fit.effects("x", {"x": [1.0]}, data=data)
    assert some.attrs["n_rows"] == N - 1
    assert some.attrs["notes"] == ["no prediction for 1 row with missing values (`x`)"]
    part = fit.effects("x", {"x": [1.0]}, data=data[data["k"] == "u"])["mean"][0]
    expected = fit.run.b[..., :2].sum(axis=-1).mean()
    assert part == pytest.approx(expected, rel=1e-10)


def test_lognormal_levels_of_sigma_have_no_expectation():
    fit = fitted("y ~ x + (1 | g)", "lognormal", sigma="~ 1 + (1 | h)")
    with pytest.raises(pp.InputError, match='is infinite: use groups="none"'):
        fit.effects("x")
    assert np.isfinite(fit.effects("x", groups="none")["mean"]).all()


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        ("z", {}, "`z` is no predictor of the formula: choose one of `x`, `k`, `g`"),
        ("y", {}, "`y` is no predictor"),
        ("x", {"at": {"z": 1}}, "`z` is no predictor"),
        ("x", {"at": {"x": ["a"]}}, "`at` gives `x` the value 'a': give a finite number"),
        ("x", {"at": {"x": [np.nan]}}, "`at` gives `x` the value nan"),
        ("x", {"at": {"x": []}}, "`at` lists no value of `x`"),
        ("x", {"at": {"k": "t"}}, "did not see, `t`: choose one of"),
        (
            "k",
            {"at": {"k": [1]}},
            "`k` has a category that the fit did not see, `1`: choose one of `u`, `v`, `w`",
        ),
        ("x", {"groups": "all"}, "unknown groups `all`"),
        ("x", {"kind": "observation"}, "unknown kind `observation`"),
        ("x", {"kind": "probability"}, "the gaussian family has no categories: use kind"),
        ("x", {"interval": 0}, "`interval` is 0"),
        ("x", {"draws": 61}, "each chain has 60"),
        ("x", {"trials": 2}, "this model has no use for it"),
        ("x", {"data": {"x": [None], "k": ["u"]}}, "no row is complete"),
    ],
)
def test_bad_effects(fit, by, options, message):
    with pytest.raises(pp.InputError, match=message):
        fit.effects(by, **options)


def test_predictions_beyond_what_can_be_computed_with_are_said():
    fit = fitted("y ~ x + (1 | g)", family="poisson")
    far = fit.predict({"x": [1e6, 0.0], "g": [11, 11]})
    assert np.isinf(far["mean"][0])
    assert far.attrs["notes"][-1].startswith("the prediction of 1 row is larger than can be comp")
    with pytest.raises(pp.InputError, match='larger than can be computed with: use kind="linear"'):
        fit.effects("x", {"x": [0.0, 1e6]})
