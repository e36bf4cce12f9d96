"""Prior sensitivity against ArviZ, against a closed form, and on models of every kind."""

import re

import arviz_base
import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool import called
from partialpool.answers.sensitivity import distances, log_likelihood
from partialpool.draws.diagnostics import diagnose
from partialpool.draws.log_prior import log_priors
from partialpool.draws.posterior import population_draws
from partialpool.model.scales import predictors
from partialpool.priors import PRIORS, log_density

QUICK = {"chains": 2, "draws": 300, "warmup": 300, "seed": 1}
RADON = pp.datasets.radon()


@pytest.fixture(scope="module")
def radon():
    return pp.fit("log_radon ~ floor + (floor | county)", RADON, seed=1)


def by_name(fit):
    """Draws of all population-level parameters by name: (draw,)."""
    labels, draws = population_draws(fit.model, fit.run)
    return dict(zip(labels, draws.reshape(-1, len(labels)).T, strict=True))


def same_up_to_a_constant(a, b):
    np.testing.assert_allclose(a - a[0], b - b[0], rtol=1e-9, atol=1e-9)


def grouped(n=240, seed=2):
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % 12, rng.normal(2, 1, n)
    eta = 0.5 * (x - 2) + rng.normal(0, 0.7, 12)[g]
    return {"x": x, "g": g, "h": np.arange(n) % 24 // 12, "eta": eta, "u": rng.logistic(size=n)}


# Against ArviZ


def test_as_arviz_finds_it(radon):
    """The same draws, with densities from scipy and matrices written out."""
    model, draws = radon.model, radon.draws["posterior"]
    # Default priors of sds and correlations are at the mean of the predictors.
    x, (sd_0, sd_1) = RADON["floor"], np.moveaxis(draws["sd_county"].values, -1, 0)
    cov = sd_0 * sd_1 * draws["cor_county"].values[..., 0]
    at_mean = np.sqrt(sd_0**2 + 2 * x.mean() * cov + x.mean() ** 2 * sd_1**2)
    sd, cor = (at_mean, sd_1), (cov + x.mean() * sd_1**2) / (at_mean * sd_1)
    sigma, b = draws["sigma"].values, draws["b"].values
    own = {label: model.priors[label] for label in ("b[Intercept]", "b[floor]", "sigma")}
    middle = b[..., 0] + b[..., 1] * RADON["floor"].mean()
    first, second = own["b[Intercept]"], own["b[floor]"]
    log_prior = stats.norm(first.mean, first.sd).logpdf(middle)
    log_prior += stats.norm(second.mean, second.sd).logpdf(b[..., 1])
    log_prior += stats.expon(scale=1 / own["sigma"].rate).logpdf(sigma)
    for k, term in enumerate(("Intercept", "floor")):
        rate = model.priors[f"sd_county[{term}]"].rate
        log_prior += stats.expon(scale=1 / rate).logpdf(sd[k])
    log_prior += (model.priors["cor_county"].eta - 1) * np.log(1 - cor**2)
    codes = np.unique(RADON["county"], return_inverse=True)[1]
    coef = draws["coef_county"].values[:, :, codes]
    mean = coef[..., 0] + coef[..., 1] * RADON["floor"].to_numpy()
    rows = stats.norm(mean, sigma[..., None]).logpdf(RADON["log_radon"].to_numpy())
    tree = arviz_base.from_dict(
        {
            "posterior": {k.replace("[", "(").replace("]", ")"): v.reshape(4, 1000)
                          for k, v in by_name(radon).items()},
            "log_prior": {"all": log_prior},
            "log_likelihood": {"y": rows},
        }
    )  # fmt: skip
    table = radon.sensitivity().table
    for group in ("prior", "likelihood"):
        theirs = [float(x) for x in arviz_stats.psense(tree, group=group).data_vars.values()]
        np.testing.assert_allclose(table[group], theirs, rtol=1e-8, atol=1e-8)


# Against scipy

DENSITIES = {
    "Normal": (pp.Normal(1, 2), stats.norm(1, 2)),
    "NormalAtMean": (pp.NormalAtMean(1, 2), stats.norm(1, 2)),
    "StudentT": (pp.StudentT(3, 1, 2), stats.t(3, 1, 2)),
    "Cauchy": (pp.Cauchy(1, 2), stats.cauchy(1, 2)),
    "HalfNormal": (pp.HalfNormal(2), stats.halfnorm(scale=2)),
    "HalfStudentT": (pp.HalfStudentT(4, 2), stats.t(4, 0, 2)),
    "HalfCauchy": (pp.HalfCauchy(2), stats.halfcauchy(scale=2)),
    "Exponential": (pp.Exponential(2), stats.expon(scale=0.5)),
    "Gamma": (pp.Gamma(3, 2), stats.gamma(3, scale=0.5)),
    "InverseGamma": (pp.InverseGamma(3, 2), stats.invgamma(3, scale=2)),
    "LogNormal": (pp.LogNormal(0.5, 2), stats.lognorm(2, scale=np.exp(0.5))),
    "Uniform": (pp.Uniform(0, 50), stats.uniform(0, 50)),
}


def test_every_prior_has_a_density_here():
    assert {*DENSITIES, "ExponentialAtMean", "Flat", "LKJ", "LKJAtMean"} == set(PRIORS)
    np.testing.assert_array_equal(log_density(pp.Flat(), np.array([-1.0, 5.0])), 0.0)


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_are_those_of_scipy(name):
    prior, reference = DENSITIES[name]
    x = np.array([0.01, 0.5, 1.0, 3.0, 40.0])
    x = np.append(x, -x) if prior.support[0] < 0 else x
    same_up_to_a_constant(log_density(prior, x), reference.logpdf(x))


def test_a_cut_prior_is_the_whole_one_within_its_bounds():
    x = np.array([0.1, 1.0, 4.0])
    cut = stats.truncnorm((0 - 1) / 2, np.inf, 1, 2)
    same_up_to_a_constant(log_density(pp.Normal(1, 2), x), cut.logpdf(x))
    assert log_density(pp.Exponential(2), np.array([0.0])) == 0


def test_a_correlation_matrix_of_three():
    data = grouped() | {"w": np.random.default_rng(5).normal(size=240)}
    data["y"] = data["eta"] + data["u"]
    fit = pp.fit("y ~ (x + w | g)", data, priors={"cor_g": pp.LKJ(3)}, **QUICK)
    one, two, three = (
        by_name(fit)[f"cor_g[{pair}]"] for pair in ("Intercept,x", "Intercept,w", "x,w")
    )
    determinant = 1 + 2 * one * two * three - one**2 - two**2 - three**2
    same_up_to_a_constant(log_priors(fit)["cor_g"], 2 * np.log(determinant))


# Against a closed form


def test_a_normal_mean_in_closed_form():
    """With known errors, a prior N(m, s²) to a power is one with variance s²/power."""
    rng = np.random.default_rng(3)
    y, se, m, s = rng.normal(3, 1, 10), 1.0, 0.0, 0.4
    data = {"y": y, "se": np.full(10, se)}
    fit = pp.fit("y ~ 1", data, se="se", priors={"b": pp.Normal(m, s)}, draws=4000, seed=1)
    table = fit.sensitivity().table.loc["b[Intercept]"]

    def posterior(power):
        precision = power / s**2 + len(y) / se**2
        return (power * m / s**2 + y.sum() / se**2) / precision, precision**-0.5

    error = diagnose(fit.run.b)["mcse"][0]
    for column, power in (("mean", 1.0), ("weaker", 0.8), ("stronger", 1.25)):
        assert abs(table[column] - posterior(power)[0]) < 5 * error, column
    # The distance moves this far: all of it in the right direction.
    assert table["weaker"] - table["mean"] > 10 * error
    assert table["mean"] - table["stronger"] > 10 * error
    # The sensitivity is the Jensen-Shannon distance of the exact distributions, where draws are.
    grid = np.linspace(fit.run.b.min(), fit.run.b.max(), 20_001)
    P = stats.norm(*posterior(1.0)).cdf(grid)

    def distance(power):
        Q = stats.norm(*posterior(power)).cdf(grid)

        def one(P, Q):
            M = (P + Q) / 2
            lost = [
                np.sum(a * np.log2(np.where(a > 0, a / np.where(M > 0, M, 1), 1))) for a in (P, Q)
            ]
            return np.sqrt(sum(lost) / np.sum(P + Q))

        return max(one(P, Q), one(1 - P, 1 - Q)) / abs(np.log2(power))

    assert table["prior"] == pytest.approx((distance(0.99) + distance(1.01)) / 2, rel=0.05)
    assert table["diagnosis"] == "prior-data-conflict"


# Findings


def codes(found):
    return [finding.code for finding in found.findings]


def test_radon_has_none(radon):
    found = radon.sensitivity()
    assert found.findings == ()
    assert set(found.diagnosis) == {"fine"}
    assert found.table.index.tolist() == list(radon.parameter_summary.labels)
    np.testing.assert_allclose(found.mean, radon.parameter_summary.values["mean"])
    text = repr(found)
    assert "Prior sensitivity: no finding" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_prior_against_the_data_is_named():
    fit = pp.fit(
        "log_radon ~ floor + (1 | county)", RADON, priors={"b[floor]": pp.Normal(0, 0.05)}, seed=1
    )
    found = fit.sensitivity()
    assert codes(found) == ["prior-data-conflict"]
    message = found.findings[0].message
    assert message.startswith(
        "Prior and data seem to pull in different directions for `b[floor]`, "
    )
    assert message.endswith("The prior that moves it most is Normal(0, 0.05) of `b[floor]`.")
    table = found.table.loc["b[floor]"]
    assert table["weaker"] < table["mean"] < table["stronger"] < 0
    assert "[prior-data-conflict]" in repr(found)


def test_the_sd_of_few_levels_rests_on_its_prior():
    schools = pp.datasets.eight_schools()
    # The data's sensitivity is 0.025, with a Monte Carlo error of a third of that by default.
    fit = pp.fit("effect ~ 1 + (1 | school)", schools, se="se", draws=4000, seed=1)
    found = fit.sensitivity()
    assert codes(found) == ["prior-sensitive"]
    message = found.findings[0].message
    assert message.startswith("The estimate of `sd_school[Intercept]` rests on its prior as much")
    assert message.endswith("moves it most is Exponential(0.09575) of `sd_school[Intercept]`.")
    assert found.table["diagnosis"].tolist() == ["fine", "prior-sensitive"]


def test_a_prior_that_agrees_with_the_data_is_no_conflict():
    """Both narrow the posterior and neither moves it: no more than the weaker of them counts."""
    y = np.random.default_rng(3).normal(3, 1, 40)
    y += 3 - y.mean()
    priors = {"b": pp.Normal(3, 0.1)}
    fit = pp.fit("y ~ 1", {"y": y, "se": np.ones(40)}, se="se", priors=priors, seed=1)
    found = fit.sensitivity()
    assert found.prior[0] > 0.05 > found.likelihood[0]
    assert found.diagnosis == ["prior-sensitive"]


def test_too_far_to_reweight():
    """Priors that hold 150 coefficients fast have a log density that varies widely."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 150))
    data = {"y": X.sum(axis=1) + rng.normal(size=200)} | {f"x{k}": X[:, k] for k in range(150)}
    formula = "y ~ " + " + ".join(f"x{k}" for k in range(150))
    priors = {"b": pp.Normal(0, 0.02)}
    found = pp.fit(formula, data, priors=priors, **QUICK).sensitivity()
    assert max(found.pareto_k) > 0.7
    assert codes(found)[-1] == "pareto-k"
    rests = next(f for f in found.findings if f.code == "prior-sensitive").message
    assert re.search(r"` and \d+ more rest on their priors .*: the mean of `b", rests)


def test_flat_priors_have_no_strength():
    priors = {"b": pp.Flat(), "sd_county": pp.Uniform(0, 10), "sigma": pp.Flat()}
    fit = pp.fit("log_radon ~ floor + (1 | county)", RADON, priors=priors, **QUICK)
    assert log_priors(fit) == {}
    table = fit.sensitivity().table
    np.testing.assert_allclose(table["prior"], 0, atol=1e-5)
    np.testing.assert_allclose(table["weaker"], table["mean"])


# Every kind of model


def at_mean(fit, letter="b"):
    """The intercept at the mean of the predictors, or what a threshold lacks of that."""
    predictor = next(p for p in predictors(fit.design) if called.b(predictor=p.name) == letter)
    draws = by_name(fit)
    return sum(
        draws[f"{letter}[{name}]"] * (1.0 if name == "Intercept" else predictor.X[:, k].mean())
        for k, name in enumerate(predictor.columns)
    )


def models():
    data = grouped()
    data["yes"] = (data["eta"] + data["u"] > 0).astype(int)
    data["rate"] = pd.cut(data["eta"] + data["u"], [-99, -1, 1, 99], labels=["a", "b", "c"])
    rng = np.random.default_rng(9)
    data["count"] = rng.negative_binomial(3, 3 / (3 + np.exp(1 + data["eta"])))
    data["y"] = data["eta"] + data["u"]
    return data


KINDS = {
    "bernoulli": ("yes ~ x + (1 | g)", {"family": "bernoulli"}),
    "cumulative": ("rate ~ x + (1 | g)", {"family": "cumulative"}),
    "negbinomial": ("count ~ x + (1 | g)", {"family": "negbinomial"}),
    "sigma": ("y ~ x + (1 | g)", {"sigma": "~ x"}),
    "nested": ("y ~ x + (1 | g / h)", {}),
    "complete": ("y ~ x + (1 | g)", {"pooling": "complete"}),
    "none": ("y ~ x + (x | g)", {"pooling": "none"}),
    "none, student": ("y ~ x + (1 | g)", {"pooling": "none", "family": "student_t"}),
    "apart": ("y ~ x + (x | g)", {"priors": {"cor_g[Intercept,x]": pp.Normal(0, 0.4)}}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(kind):
    formula, options = KINDS[kind]
    fit = pp.fit(formula, models(), **options, **QUICK)
    parts, draws, priors = log_priors(fit), by_name(fit), fit.priors
    own = {name for name in priors if not name.startswith("coef_")}
    assert set(parts) == own
    for name, part in parts.items():
        x = draws[name]
        if name.endswith("[Intercept]") and name.startswith("b"):
            x = at_mean(fit, name.split("[")[0])
        elif name.startswith("threshold["):
            x = x - at_mean(fit)
        same_up_to_a_constant(part, log_density(priors[name], x))
    assert np.isfinite(log_likelihood(fit, np.arange(600))).all()
    found = fit.sensitivity()
    assert len(found.table) == len(draws)
    assert np.isfinite(found.table.drop(columns="diagnosis").to_numpy()).all()
    assert (found.likelihood > 0).all()
    assert repr(found)


@pytest.mark.parametrize(
    ("formula", "name", "options"),
    [
        ("yes ~ x + (1 | g)", "b[Intercept]", {"family": "bernoulli"}),
        ("yes ~ x + (1 | g)", "threshold[1]", {"family": "cumulative"}),
        ("y ~ x + (1 | g)", "b_sigma[Intercept]", {"sigma": "~ x"}),
        ("y ~ x + (1 | g)", "b[Intercept]", {}),
    ],
)
def test_priors_are_where_the_sampler_has_them(formula, name, options):
    """Where a prior decides alone, its log density is that of a normal: -z²/2, on average -1/2."""
    priors = {name: pp.NormalAtMean(0.3, 0.001)}
    fit = pp.fit(formula, models(), priors=priors, **options, **QUICK)
    assert log_priors(fit)[name].mean() == pytest.approx(-0.5, abs=0.2)


def test_constant_draws_have_no_sensitivity():
    rng = np.random.default_rng(1)
    draws = np.column_stack([np.ones(500), rng.normal(size=500)])
    found = distances(draws, -(draws[:, 1] ** 2))
    assert found[0] == 0
    assert found[1] > 0


def test_few_draws_and_no_parameters():
    few = pp.fit("log_radon ~ floor", RADON, chains=1, draws=4, warmup=100, seed=1)
    assert codes(few.sensitivity())[-1:] == ["pareto-k"]
    alone = pp.fit(
        "effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), se="se", pooling="none", **QUICK
    ).sensitivity()
    assert len(alone.table) == 0
    assert "Prior sensitivity: no finding" in repr(alone)


def test_big_tables_are_thinned(monkeypatch, radon):
    whole = radon.sensitivity()
    monkeypatch.setattr("partialpool.answers.sensitivity.MOST", 2_000_000)
    thin = radon.sensitivity()
    np.testing.assert_array_equal(thin.prior, whole.prior)
    assert not np.array_equal(thin.likelihood, whole.likelihood)
    # Between seeds the smallest of them have an sd of 0.02, the others less than 10%.
    np.testing.assert_allclose(thin.likelihood, whole.likelihood, rtol=0.2, atol=0.05)


def test_a_loaded_fit_says_the_same_if_it_has_its_rows(tmp_path, radon):
    radon.save(tmp_path / "fit.nc")
    assert repr(pp.load(tmp_path / "fit.nc").sensitivity()) == repr(radon.sensitivity())
    radon.save(tmp_path / "bare.nc", rows=False)
    with pytest.raises(pp.InputError, match="saved without the rows"):
        pp.load(tmp_path / "bare.nc").sensitivity()
