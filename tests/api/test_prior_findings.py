"""Findings on priors: conflicts with the data, sds that rest on their priors, far origins."""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.findings.priors import distance
from partialpool.limits import FAR_FROM_ZERO, ORIGIN_NEAR, PRIOR_CONFLICT

QUICK = {"draws": 200, "warmup": 200, "chains": 2, "seed": 1}


def sleep(seed=3, J=18):
    """Reaction times as in sleepstudy: intercepts 250 ± 25, slopes 10 ± 6, sigma 25."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"subject": np.repeat(np.arange(J), 10), "days": np.tile(np.arange(10.0), J)})
    own = rng.normal([251, 10.5], [25, 6], (J, 2))[d["subject"]]
    return d.assign(rt=own[:, 0] + own[:, 1] * d["days"] + rng.normal(0, 25, len(d)))


def found(fit, code):
    return [finding for finding in fit.findings if finding.code == code]


# Conflicts of prior and data


@pytest.mark.parametrize("method", ["auto", "nuts"])
def test_a_prior_on_b_holds_for_the_intercept_too(method):
    priors = {"b": pp.Normal(0, 10)}
    fit = pp.fit("rt ~ days + (days | subject)", sleep(), priors=priors, method=method, **QUICK)
    (finding,) = found(fit, "prior-conflict")
    assert finding.level == "warning"
    # The sd swallows the conflict: the posterior by itself does not show it.
    assert fit.summary().loc["sd_subject[Intercept]", "mean"] > 150
    assert (
        "The prior Normal(0, 10) of `b[Intercept]` lies far from what the data" in finding.message
    )
    assert "255.4 ± 7.5" in finding.message
    assert "holds for the intercept too" in finding.remedy


CONFLICTS = {
    "slope": ({"b[days]": pp.Normal(0, 0.5)}, "b[days]"),
    "wrong side": ({"b[days]": pp.Normal(-10, 2)}, "b[days]"),
    "unit": ({"b[Intercept]": pp.Normal(0.25, 0.1)}, "b[Intercept]"),
    "bounds": ({"b[days]": pp.Uniform(-3, 0)}, "b[days]"),
    "sign": ({"b[days]": pp.Uniform(-30, 0)}, "b[days]"),
    "one bound": ({"b[Intercept]": pp.HalfNormal(5)}, "b[Intercept]"),
    "at the mean": ({"b[Intercept]": "normal(0, 10) at the mean"}, "b[Intercept]"),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_conflicts_are_named(case):
    priors, label = CONFLICTS[case]
    fit = pp.fit("rt ~ days + (1 | subject)", sleep(), priors=priors, **QUICK)
    assert [f"of `{label}`" in f.message for f in found(fit, "prior-conflict")] == [True]


@pytest.mark.parametrize(
    "priors",
    [
        {},
        {"b": pp.Normal(0, 100)},
        {"b[days]": pp.Normal(10, 3)},
        # Heavy tails give way.
        {"b": pp.StudentT(3, 0, 10)},
        {"b": pp.Cauchy(0, 5)},
        {"b": pp.Flat()},
    ],
)
def test_priors_that_the_data_can_live_with(priors):
    fit = pp.fit("rt ~ days + (1 | subject)", sleep(), priors=priors, **QUICK)
    assert not found(fit, "prior-conflict")


FAMILIES = {
    "poisson": lambda eta, rng: rng.poisson(np.exp(eta)),
    "negbinomial": lambda eta, rng: rng.poisson(np.exp(eta) * rng.gamma(2, 1 / 2, len(eta))),
    "bernoulli": lambda eta, rng: rng.random(len(eta)) < 1 / (1 + np.exp(-eta)),
    "cumulative": lambda eta, rng: np.digitize(eta + rng.logistic(size=len(eta)), [-1, 1, 2]),
    "gamma": lambda eta, rng: np.exp(eta) * rng.gamma(3, 1 / 3, len(eta)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_in_other_families(family):
    rng = np.random.default_rng(8)
    d = sleep(J=24).assign(x=lambda d: (d["days"] - 4.5) / 3)
    eta = 0.5 + 1.2 * d["x"] + rng.normal(0, 0.4, 24)[d["subject"]]
    d["y"] = FAMILIES[family](eta, rng)
    formula = "y ~ x + (1 | subject)"
    against = {"b[x]": pp.Normal(-1, 0.1)}
    fit = pp.fit(formula, d, family=family, priors=against, **QUICK)
    assert [f.code for f in fit.findings].count("prior-conflict") == 1
    fit = pp.fit(formula, d, family=family, priors={"b[x]": pp.Normal(1, 0.3)}, **QUICK)
    assert not found(fit, "prior-conflict")


def test_levels_without_pooling():
    priors = {"coef_subject[Intercept]": pp.Normal(0, 10)}
    fit = pp.fit("rt ~ days + (days | subject)", sleep(), pooling="none", priors=priors, **QUICK)
    (finding,) = found(fit, "prior-conflict")
    assert "of `coef_subject[Intercept]`" in finding.message


def test_nearly_parallel_predictors_pull_a_default_prior_too():
    """An effect of a small difference is out of proportion to the sds of both columns."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    z = x + rng.normal(0, 1e-3, 400)
    y = 3000 * (x - z) + rng.normal(0, 0.3, 400)
    fit = pp.fit("y ~ x + z", {"x": x, "z": z, "y": y}, **QUICK)
    assert {f.message.split("`")[1] for f in found(fit, "prior-conflict")} == {"b[x]", "b[z]"}


def test_fits_whose_priors_are_true_are_left_alone():
    """Coefficients drawn from their prior: a distance of 4 has probability 6e-5 for each."""
    rng = np.random.default_rng(13)
    seen = []
    for seed in range(40):
        J = int(rng.integers(3, 12))
        g, x = np.repeat(np.arange(J), 6), rng.normal(size=6 * J)
        b = rng.normal(0, [5, 1])
        y = b[0] + b[1] * x + rng.normal(0, 2, J)[g] + rng.normal(size=6 * J)
        priors = {"b[Intercept]": pp.Normal(0, 5), "b[x]": pp.Normal(0, 1)}
        data = {"y": y, "x": x, "g": g}
        fit = pp.fit("y ~ x + (1 | g)", data, priors=priors, **QUICK | {"seed": seed})
        seen += found(fit, "prior-conflict")
    assert not seen


def test_limit_of_a_conflict():
    assert distance(pp.Normal(0, 3), 4.99 * PRIOR_CONFLICT, 4.0) < PRIOR_CONFLICT
    assert distance(pp.Normal(0, 3), 5.01 * PRIOR_CONFLICT, 4.0) > PRIOR_CONFLICT
    assert distance(pp.Uniform(0, 1), 0.5, 1e-9) == 0
    assert distance(pp.Uniform(0, 1), 1 + 4.1 * 0.5, 0.5) > PRIOR_CONFLICT
    assert distance(pp.Flat(), 1e300, 1.0) == 0


# Factors that the population holds already


def crossed(seed=2):
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"g": np.repeat(list("abcdef"), 8), "week": np.tile(np.arange(8.0), 6)})
    codes = d["g"].factorize()[0]
    d["code"], d["twin"], d["half"] = codes, d["g"].str.upper(), d["g"].isin(["a", "b"])
    d["district"] = np.array(["n", "n", "m", "m", "s", "s"])[codes]
    return d.assign(y=rng.normal(size=6)[codes] + 0.1 * d["week"] + rng.normal(size=len(d)))


HELD = {
    "y ~ week + g + (1 | g)": ["Intercept"],
    "y ~ 0 + g + week + (week | g)": ["Intercept"],
    "y ~ g * week + (week | g)": ["Intercept, week"],
    "y ~ C(code) + (1 | g)": ["Intercept"],
    "y ~ twin + (1 | g)": ["Intercept"],
    "y ~ g + (1 | district)": ["Intercept"],
    "y ~ C(g, contr.sum) + week + (1 | g) + (1 | week)": ["Intercept"],
    "y ~ week + half + (1 | g)": [],
    "y ~ district + (1 | g)": [],
    "y ~ week + district:week + (1 | g)": [],
    "y ~ g + (0 + week | g)": [],
}


@pytest.mark.parametrize("formula", HELD)
def test_levels_in_the_population(formula):
    fit = pp.fit(formula, crossed(), **QUICK | {"draws": 50})
    messages = [f.message for f in found(fit, "levels-in-population")]
    assert len(messages) == len(HELD[formula])
    for message, terms in zip(messages, HELD[formula], strict=True):
        assert f"for {terms}, so" in message


def test_an_sd_that_rests_on_its_prior_has_that_prior():
    """What the finding says is so: the posterior of the sd is its prior."""
    fit = pp.fit("y ~ week + g + (1 | g)", crossed(), seed=1)
    (finding,) = found(fit, "levels-in-population")
    assert "`g[T.b]`" in finding.message
    draws, rate = fit.run.groups[0].sd.ravel(), fit.priors["sd_g[Intercept]"].rate
    # The default priors of the population are not flat, so a little is left to learn.
    assert np.median(draws) * rate == pytest.approx(np.log(2), rel=0.15)


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("(week + twice | g)", True),
        ("(one | g)", True),
        ("(week + {week**2} | g)", False),
        # An intercept beside cell means that correlate with one another alone: a usual model.
        ("(1 | g) + (0 + half | g)", False),
    ],
)
def test_group_columns_that_determine_one_another(group, told):
    d = crossed().assign(twice=lambda d: 2 * d["week"] + 1, one=3.0)
    fit = pp.fit(f"y ~ week + {group}", d, **QUICK)
    assert bool(found(fit, "dependent-columns")) is told
    assert np.isfinite(fit.run.groups[0].sd).all()
    rates = [p.rate for name, p in fit.priors.items() if name.startswith("sd_")]
    assert max(rates) < 1e3 * min(rates)


# Origins far from the data


def far(shift):
    d = crossed()
    return d.assign(week=d["week"] - d["week"].mean() + shift * d["week"].std(ddof=0))


def test_correlated_slopes_do_not_care_where_the_zero_lies():
    fit = pp.fit("y ~ week + (week | g)", far(1000), **QUICK)
    assert not {"far-from-zero", "independent-at-mean"} & {f.code for f in fit.findings}


@pytest.mark.parametrize(
    ("shift", "code", "level"),
    [
        (ORIGIN_NEAR - 0.01, None, None),
        (ORIGIN_NEAR + 0.01, "independent-at-zero", "info"),
        (FAR_FROM_ZERO - 0.01, "independent-at-zero", "info"),
        (FAR_FROM_ZERO + 0.01, "independent-at-mean", "warning"),
        (-1000, "independent-at-mean", "warning"),
    ],
)
def test_independent_slopes(shift, code, level):
    fit = pp.fit("y ~ week + (week || g)", far(shift), **QUICK)
    told = [f for f in fit.findings if f.code.startswith("independent")]
    assert [(f.code, f.level) for f in told] == ([] if code is None else [(code, level)])


@pytest.mark.parametrize(
    ("shift", "told"), [(FAR_FROM_ZERO - 0.01, False), (FAR_FROM_ZERO + 0.01, True)]
)
def test_priors_as_written_are_about_an_extrapolation(shift, told):
    fit = pp.fit("y ~ week + (week | g)", far(shift), priors={"sd_g": pp.HalfNormal(2)}, **QUICK)
    assert bool(found(fit, "far-from-zero")) is told


def test_zero_within_the_data_is_an_origin_that_was_chosen():
    d = crossed().assign(week=lambda d: np.where(d.index == 3, 0.0, d["week"] + 100))
    fit = pp.fit("y ~ week + (week || g)", d, **QUICK)
    assert not {"independent-at-zero", "independent-at-mean"} & {f.code for f in fit.findings}


@pytest.mark.parametrize("value", [1e-6, 0.1, 5.0])
def test_constant_columns_of_groups_are_not_far_from_zero(value):
    """Rounding must not give a constant column an sd."""
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=24), "x": np.full(24, value), "g": np.resize(range(4), 24)}
    for terms in ("0 + x", "x"):
        fit = pp.fit(f"y ~ 1 + ({terms} || g)", data, **QUICK)
        assert not any("independent" in f.code or "far" in f.code for f in fit.findings)
