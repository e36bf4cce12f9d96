"""Residuals by leave-one-out: against dense matrices, refits, and what the model itself makes.

Uniform where the model holds, for every family, and not where it does not.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from helpers import covariance
from partialpool.draws.crossed import crossed, drawn
from partialpool.draws.crossed import standardised as crossed_standardised
from partialpool.errors import InputError
from partialpool.families import FAMILIES, Given
from partialpool.families.tails import Tails
from partialpool.findings.residuals import uniformity
from partialpool.scores.left_out import Places, places

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.errors.FindingWarning")

FEW = {"chains": 1, "draws": 5, "warmup": 50, "seed": 3}
SHORT = {"chains": 2, "draws": 300, "warmup": 300, "seed": 1}
QUICK = {"chains": 1, "draws": 200, "warmup": 150, "seed": 1}
CASES = [(name, link) for name, family in FAMILIES.items() for link in family.links]
AUX = {
    "sigma": 0.7,
    "nu": 4.0,
    "shape": 1.8,
    "phi": 6.0,
    "zi": 0.25,
    "hu": 0.3,
}


def aux_of(name):
    if name == "cumulative":
        return {"threshold": np.array([-1.0, 0.2, 1.4])}
    return {one.name: AUX[one.name] for one in FAMILIES[name].dispersion}


# ---------------------------------------------------------------------------- exact


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": "w", "offset": "o"},
        {"se": "s"},
        {"priors": {"b[Intercept]": pp.Normal(1, 2), "b[x]": pp.StudentT(4, 0, 1)}},
    ],
)
def test_rows_given_the_parameters_of_crossed_factors(options):
    """How far each row is from its mean given all others, by conditioning with dense matrices."""
    rng = np.random.default_rng(5)
    n = 40
    g, h, x = rng.integers(0, 6, n), rng.integers(0, 5, n), rng.normal(1, 1, n)
    data = pd.DataFrame({"g": g, "h": h, "x": x, "w": rng.uniform(0.3, 3, n)})
    data["s"], data["o"] = rng.uniform(0.4, 1.2, n), rng.normal(0, 2, n)
    data["y"] = 2 + x + rng.normal(0, 1, 6)[g] * x + rng.normal(0, 1, 5)[h] + rng.normal(0, 1, n)
    priors = {"b[Intercept]": pp.Normal(1, 2), "b[x]": pp.Normal(0.5, 1)}
    priors |= {"sd_g": pp.Exponential(1), "sd_h": pp.Exponential(1)}
    options = options | {"priors": priors | options.get("priors", {})}
    fit = pp.fit("y ~ x + (x | g) + (1 | h)", data, **FEW, **options)
    every = crossed(fit)
    z, log_density = crossed_standardised(every, drawn(fit, every, np.arange(5)))
    X = np.column_stack([np.ones(n), x])
    for s in range(5):
        mean, C = np.zeros(n), np.zeros((n, n))
        for k, name in enumerate(("Intercept", "x")):
            prior = fit.priors[f"b[{name}]"]
            if isinstance(prior, pp.Normal):
                C += prior.sd**2 * np.outer(X[:, k], X[:, k])
                mean = mean + prior.mean * X[:, k]
            else:
                mean = mean + fit.run.b[0, s, k] * X[:, k]
        for group, own, Z, codes in zip(
            fit.model.groups, fit.run.groups, (X, X[:, :1]), (g, h), strict=True
        ):
            Sigma = covariance(own.sd[0, s], own.cor[0, s], group.pairs)
            C += np.where(codes[:, None] == codes, Z @ Sigma @ Z.T, 0)
        if "se" in options:
            C += np.diag(data["s"] ** 2)
        else:
            own = data["w"] if "weights" in options else np.ones(n)
            C += np.diag(fit.run.sigma[0, s] ** 2 / own)
        y = data["y"] - (data["o"] if "offset" in options else 0.0)
        Q = np.linalg.inv(C)
        expected = (Q @ (y - mean)) / np.sqrt(np.diag(Q))
        np.testing.assert_allclose(z[s], expected, atol=1e-8)
        density = 0.5 * np.log(np.diag(Q) / (2 * np.pi)) - expected**2 / 2
        np.testing.assert_allclose(log_density[s], density, atol=1e-8)


def test_a_conjugate_model_is_exact():
    """A mean with a flat prior and known errors: the others' mean, and both errors."""
    rng = np.random.default_rng(2)
    y, se = rng.normal(3, 2, 9), rng.uniform(0.5, 2, 9)
    fit = pp.fit("y ~ 1", {"y": y, "s": se}, se="s", priors={"b": pp.Flat()}, **SHORT)
    found = fit.residuals()["residual"]
    for i in range(9):
        w = np.delete(se, i) ** -2.0
        mean, variance = np.average(np.delete(y, i), weights=w), 1 / w.sum()
        assert found[i] == pytest.approx((y[i] - mean) / np.sqrt(variance + se[i] ** 2), abs=1e-9)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(6), 6)
    x = rng.normal(size=36)
    r = rng.normal(0, 0.8, 6)
    data = pd.DataFrame({"g": g, "x": x, "y": 1 + 0.5 * x + r[g] + rng.normal(0, 0.7, 36)})
    data["k"] = rng.poisson(np.exp(0.8 + 0.4 * x + r[g]))
    return data


@pytest.mark.parametrize(("response", "family"), [("y", "gaussian"), ("k", "poisson")])
def test_leaving_out_is_what_refits_say(small, response, family):
    """The tails of three rows, within four Monte Carlo errors of both."""
    formula, draws = f"{response} ~ x + (1 | g)", {"draws": 2000, "seed": 8}
    fit = pp.fit(formula, small, family=family, **draws)
    found = places(fit)
    for row in (3, 14, 27):
        again = pp.fit(formula, small.drop(index=row), family=family, priors=fit.priors, **draws)
        eta = again.posterior_predictive(small.iloc[[row]], kind="linear").to_numpy().ravel()
        aux = {} if family == "poisson" else {"sigma": again.run.sigma.ravel()}
        y = float(small[response][row])
        given = Given(fit.model.link, aux)
        for at, own in ((y, found.up_to), (y - 1, found.before)):
            if family == "gaussian" and at < y:
                continue
            p = np.exp(fit.model.family.log_tails(np.float64(at), eta, given).below)
            # Draws of NUTS are worth about as many independent ones here; both sides have errors.
            error = 4 * np.sqrt(2) * p.std() / np.sqrt(len(p) / 4)
            assert np.exp(own.below[row]) == pytest.approx(p.mean(), abs=error)
        assert found.pareto_k[row] < 0.7


# ---------------------------------------------------------------------------- uniform


def uniform(pit):
    return stats.kstest(pit, "uniform").pvalue


@pytest.mark.parametrize(("name", "link"), CASES)
def test_what_a_family_makes_is_uniform_given_the_parameters(name, link):
    """And standard normal, also far out; draws of the same number are spread over its mass."""
    family, rng, n = FAMILIES[name], np.random.default_rng(11), 20_000
    trials = np.float64(6) if name == "binomial" else None
    given, eta = Given(link, aux_of(name), trials), rng.normal(0.3, 0.8, n)
    if name == "beta":
        eta = eta / 4  # of shares nearer to 1 numbers have no digits left
    y = family.simulate(rng, eta, given)

    def at(aux):
        law = Given(link, aux, trials)
        up_to = family.log_tails(y, eta, law)
        before = family.log_tails(y - 1, eta, law) if family.discrete else up_to
        return Places(up_to, before, np.zeros(n)).spread(rng.random(n))

    found = at(given.aux)
    assert uniform(np.exp(found.below)) > 1e-3
    assert uniform(-np.expm1(found.above)) > 1e-3
    np.testing.assert_allclose(np.logaddexp(*found), 0, atol=1e-9)
    if given.aux and name != "cumulative":  # a wrong dispersion is seen
        wrong = {key: 1.35 * value for key, value in given.aux.items()}
        assert uniform(np.exp(at(wrong).below)) < 1e-6


def sample(name, seed, n=90):
    """Rows of a family with a slope and some levels."""
    rng, family = np.random.default_rng(seed), FAMILIES[name]
    x, g = rng.normal(size=n), rng.integers(0, 10, n)
    eta = 0.4 + 0.5 * x + rng.normal(0, 0.4, 10)[g]
    data = {"x": x, "g": g}
    trials = None
    if name == "binomial":
        data["n"] = rng.integers(1, 9, n)
        trials = data["n"].astype(float)
    y = family.simulate(rng, eta, Given(family.links[0], aux_of(name), trials))
    return data | {"y": y if name in ("gaussian", "student_t", "lognormal", "gamma", "exponential",
                                      "weibull", "beta") else y.astype(int)}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_residuals_of_fits_to_what_a_family_makes_are_uniform(name):
    """Two data sets together, by leave-one-out."""
    pits = []
    for seed in range(2):
        data = sample(name, seed)
        options = {"trials": "n"} if name == "binomial" else {}
        fit = pp.fit("y ~ x", data, family=name, **QUICK, **options)
        found = fit.residuals()
        pits.append(found["pit"])
        inside = (found["pit"] > 1e-6) & (found["pit"] < 1 - 1e-6)
        normal = stats.norm.ppf(found["pit"][inside])
        np.testing.assert_allclose(found["residual"][inside], normal, atol=1e-6)
    assert uniform(np.concatenate(pits)) > 1e-3


def test_residuals_tell_a_wrong_model():
    rng, n = np.random.default_rng(6), 250
    x, g = rng.uniform(-2, 2, n), rng.integers(0, 12, n)
    mu = np.exp(1 + 0.4 * x)
    counts = {"x": x, "y": rng.poisson(mu * rng.gamma(1.0, 1.0, n))}
    wrong = pp.fit("y ~ x", counts, family="poisson", **QUICK).residuals()
    right = pp.fit("y ~ x", counts, family="negbinomial", **QUICK).residuals()
    assert uniform(wrong["pit"]) < 1e-6 < 1e-2 < uniform(right["pit"])
    assert wrong["residual"].std() > 1.5
    assert [one["code"] for one in wrong.attrs["findings"]] == ["residuals-not-uniform", "outliers"]
    assert right.attrs["findings"] == []
    assert "negbinomial" in wrong.attrs["findings"][0]["remedy"]
    far = wrong["residual"].abs().idxmax()
    shown = f"rows {far} (residual {wrong['residual'][far]:.1f})"
    assert shown in wrong.attrs["findings"][1]["message"]
    # Known errors that are half of what they should be.
    y = 1 + 0.3 * x + rng.normal(0, 0.5, 12)[g] + rng.normal(0, 1, n)
    table = {"x": x, "g": g, "y": y, "half": np.full(n, 0.5), "whole": np.ones(n)}
    found = {
        se: pp.fit("y ~ x + (1 | g)", table, se=se, **SHORT).residuals() for se in ("half", "whole")
    }
    assert uniform(found["half"]["pit"]) < 1e-6 < 1e-2 < uniform(found["whole"]["pit"])
    # A curve that is taken for a line: residuals are of one sign in the middle.
    table["y"] = y + x**2
    line = pp.fit("y ~ x + (1 | g)", table, **SHORT).residuals()["residual"]
    curve = pp.fit("y ~ x + {x**2} + (1 | g)", table, **SHORT).residuals()["residual"]
    middle = np.abs(x) < 1
    t = [one[middle].mean() * np.sqrt(middle.sum()) for one in (line, curve)]
    assert t[0] < -4
    assert abs(t[1]) < 3


# ---------------------------------------------------------------------------- what users get


def test_tails_do_not_end():
    """Responses 80 sds away have residuals of about that size."""
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.normal(0, 1, 60), [80.0]])
    fit = pp.fit(
        "y ~ 1", {"y": y, "s": np.ones(61)}, se="s", priors={"b": pp.Normal(0, 0.1)}, **SHORT
    )
    assert fit.residuals()["residual"].iloc[-1] == pytest.approx(80, rel=0.05)
    fit = pp.fit("k ~ 1", {"k": [0, 1, 2, 1, 0, 1, 2000]}, family="poisson",
                 priors={"b": pp.Normal(0, 0.01)}, **SHORT)  # fmt: skip
    found = fit.residuals()
    assert np.isfinite(found["residual"]).all()
    assert found["residual"].iloc[-1] > 100


def test_kinds(small):
    fit = pp.fit("y ~ x + (1 | g)", small, **SHORT)
    found = {kind: fit.residuals(kind) for kind in ("quantile", "pit", "response", "pearson")}
    mean, exact = found["quantile"]["fitted"], fit.predict()  # by draws; by integrals
    error = exact["sd"] / np.sqrt(fit.run.sigma.size)
    assert (np.abs(mean.to_numpy() - exact["mean"]) < 5 * error).all()
    for frame in found.values():
        np.testing.assert_allclose(frame["fitted"], mean, rtol=1e-12)
        np.testing.assert_allclose(frame["response"], small["y"])
    assert (found["pit"]["residual"] == found["quantile"]["pit"]).all()
    np.testing.assert_allclose(found["response"]["residual"], small["y"] - mean)
    sd = np.sqrt((fit.run.sigma**2).mean())
    np.testing.assert_allclose(found["pearson"]["residual"], (small["y"] - mean) / sd)
    assert list(found["pearson"]) == ["response", "fitted", "residual"]
    counts = pp.fit("k ~ x + (1 | g)", small, family="poisson", **SHORT)
    pearson = counts.residuals("pearson")
    expected = (small["k"] - pearson["fitted"]) / np.sqrt(pearson["fitted"])
    np.testing.assert_allclose(pearson["residual"], expected)


def test_rows_are_called_as_in_the_table_and_seeds_repeat(small):
    data = small.copy()
    data.loc[[2, 11], "x"] = np.nan
    fit = pp.fit("k ~ x + (1 | g)", data, family="poisson", **SHORT)
    found = fit.residuals()
    kept = [row for row in range(36) if row not in (2, 11)]
    assert found.index.tolist() == kept
    assert found.index.name == "row"
    assert found["response"].tolist() == data["k"][kept].tolist()
    assert (fit.residuals()["residual"] == found["residual"]).all()
    other = fit.residuals(seed=9)
    assert (other["residual"] != found["residual"]).all()
    assert (other["pareto_k"] == found["pareto_k"]).all()


def test_categories_count_as_they_do_elsewhere():
    rng = np.random.default_rng(4)
    x = rng.normal(size=80)
    y = np.array(["low", "mid", "high"])[np.digitize(x + rng.logistic(size=80), [-1, 1])]
    data = pd.DataFrame({"x": x, "y": pd.Categorical(y, ["low", "mid", "high"], ordered=True)})
    fit = pp.fit("y ~ x", data, family="cumulative", **SHORT)
    found = fit.residuals()
    assert set(found["response"]) == {0.0, 1.0, 2.0}
    pearson = fit.residuals("pearson")["residual"]
    assert pearson.std() == pytest.approx(1, abs=0.25)
    assert np.allclose(fit.fitted().filter(like="p[").sum(axis=1), 1)


def test_rows_that_nothing_else_determines_have_none():
    data = pd.DataFrame({"g": [0, 1, 1, 2, 2, 2], "y": [1.0, 2.0, 3.0, 1.0, 2.0, 2.5]})
    fit = pp.fit("y ~ 1 + (1 | g)", data, pooling="none", priors={"coef_g": pp.Flat()}, **SHORT)
    found = fit.residuals()
    assert np.isnan(found["residual"]).tolist() == [True] + [False] * 5
    assert any("nothing else" in note for note in found.attrs["notes"])


def test_fitted_values(small):
    fit = pp.fit("k ~ x + (1 | g)", small, family="poisson", **SHORT)
    predicted = fit.predict()[["mean", "sd", "lower", "upper"]]
    pd.testing.assert_frame_equal(fit.fitted(), predicted, check_exact=True)
    linear = fit.fitted("linear", groups="none", interval=0.5)
    b = fit.run.b.reshape(-1, 2)
    eta = small["x"].to_numpy()[:, None] * b[:, 1] + b[:, 0]
    np.testing.assert_allclose(linear["mean"], eta.mean(axis=1))
    np.testing.assert_allclose(linear["lower"], np.quantile(eta, 0.25, axis=1))
    mean = fit.fitted(groups="none")["mean"]
    np.testing.assert_allclose(mean, np.exp(eta).mean(axis=1))
    # Levels without pooling have no population, and stay as they are.
    apart = pp.fit("y ~ x + (1 | g)", small, pooling="none", **SHORT)
    pd.testing.assert_frame_equal(apart.fitted(groups="none"), apart.fitted())


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda fit: fit.residuals("deviance"), "unknown kind `deviance`"),
        (lambda fit: fit.residuals(seed=-1), "seed"),
        (lambda fit: fit.fitted("observation"), "unknown kind"),
        (lambda fit: fit.fitted(groups="some"), "unknown groups"),
        (lambda fit: fit.fitted(interval=2), "interval"),
    ],
)
def test_wrong_options(small, ask, match):
    fit = pp.fit("y ~ x", small, **FEW)
    with pytest.raises(InputError, match=match):
        ask(fit)


def test_fits_without_rows_say_so(small, tmp_path):
    fit = pp.fit("y ~ x + (1 | g)", small, **SHORT)
    fit.save(tmp_path / "whole.nc")
    whole = pp.load(tmp_path / "whole.nc")
    pd.testing.assert_frame_equal(whole.residuals(), fit.residuals())
    fit.save(tmp_path / "few.nc", rows=False)
    few = pp.load(tmp_path / "few.nc")
    for ask in (few.residuals, few.fitted, few.variance):
        with pytest.raises(InputError, match="without the rows"):
            ask()


def test_uniformity_is_that_of_scipy():
    rng = np.random.default_rng(3)
    for n, power in ((60, 1.4), (900, 1.1)):
        pit = rng.random(n) ** power
        exact = stats.kstest(pit, "uniform").pvalue
        assert exact < 0.2
        assert uniformity(pit) == pytest.approx(exact, rel=0.05)  # what Stephens' correction lacks


def test_within_the_probability_of_a_number():
    found = Places(Tails(np.log([0.7]), np.log([0.3])), Tails(np.log([0.2]), np.log([0.8])),
                   np.zeros(1)).spread(np.array([0.25]))  # fmt: skip
    np.testing.assert_allclose(np.exp(found.below), 0.2 + 0.25 * 0.5)
    np.testing.assert_allclose(np.exp(found.above), 1 - (0.2 + 0.25 * 0.5))
