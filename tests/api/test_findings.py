"""Findings: raised where they should be, with a remedy, and absent where all is well."""

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

import partialpool as pp
from partialpool.findings.run import run_findings

RNG = np.random.default_rng(12)
J, PER = 6, 5
G = np.repeat([f"lab {k}" for k in "abcdef"], PER)
X = RNG.normal(size=J * PER)
Y = 1 + 2 * X + np.repeat(RNG.normal(size=J), PER) + RNG.normal(size=J * PER)
DATA = {"y": Y, "x": X, "g": G}
QUICK = {"draws": 100, "warmup": 200, "seed": 1}


def codes(fit):
    return [finding.code for finding in fit.findings]


def test_all_is_well():
    fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    assert fit.findings == []
    assert "Findings: none" in repr(fit)
    assert "Findings: none" in fit._repr_html_()


def finding(fit, code):
    assert code in codes(fit)
    found = next(finding for finding in fit.findings if finding.code == code)
    assert found.message.endswith(".")
    assert found.remedy == "" or found.remedy.endswith(".")
    return found


def test_finding_dropped_rows():
    y = Y.copy()
    y[[0, 7]] = np.nan
    found = finding(pp.fit("y ~ x + (1 | g)", DATA | {"y": y}, **QUICK), "dropped-rows")
    assert found.level == "info"
    assert found.message.startswith("2 of 30 rows have missing values")
    y[:10] = np.nan
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"y": y}, **QUICK)
    assert finding(fit, "dropped-rows").level == "warning"
    assert "10 with missing values left out" in repr(fit)


def test_finding_one_level():
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"g": ["a"] * len(Y)}, **QUICK)
    assert "only one level" in finding(fit, "one-level").message
    assert "few-levels" not in codes(fit)


def test_finding_few_levels():
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"g": np.resize(["a", "b", "c"], len(Y))}, **QUICK)
    assert "only 3 levels" in finding(fit, "few-levels").message


def test_finding_one_row_in_every_level():
    data = DATA | {"g": np.arange(len(Y))}
    fit = pp.fit("y ~ x + (1 | g)", data, **QUICK)
    assert "cannot be told apart" in finding(fit, "sd-sigma-confounded").message
    known = codes(pp.fit("y ~ x + (1 | g)", data, se=np.ones(len(Y)), **QUICK))
    assert not {"sd-sigma-confounded", "sd-is-overdispersion"} & set(known)


def test_finding_the_prior_decides():
    # One row a level and errors far larger than the prior of the sd.
    data = {"y": RNG.normal(size=8), "g": list("abcdefgh")}
    fit = pp.fit(
        "y ~ 1 + (1 | g)", data, se=np.full(8, 50.0), priors={"sd_g": pp.HalfNormal(1)}, seed=1
    )
    assert "`sd_g[Intercept]` is hardly narrower" in finding(fit, "prior-decides").message
    sure = pp.fit("log_radon ~ 1 + (1 | county)", pp.datasets.radon(), seed=1)
    assert "prior-decides" not in codes(sure)


def test_findings_of_too_short_a_run():
    fit = pp.fit("y ~ x + (x | g)", DATA, draws=20, warmup=5, seed=1)
    assert finding(fit, "ess").level == "warning"
    assert "at least 400" in finding(fit, "ess").message
    assert "at most 1.01" in finding(fit, "r-hat").message


def test_finding_different_scales():
    data = DATA | {"z": 1e-9 * RNG.normal(size=len(Y))}
    assert "`z`" in finding(pp.fit("y ~ x + z", data, **QUICK), "different-scales").message


def test_finding_truncated_prior():
    fit = pp.fit("y ~ x + (1 | g)", DATA, priors={"sd_g": pp.Normal(0, 1)}, **QUICK)
    assert "cut off below 0" in finding(fit, "prior-truncated").message


def test_finding_a_prior_that_is_the_default_is_not_cut_off_by_the_user():
    data = DATA | {"y": RNG.standard_t(3, size=len(Y))}
    assert "prior-truncated" not in codes(pp.fit("y ~ x", data, family="student_t", **QUICK))
    own = pp.fit("y ~ x", data, family="student_t", priors={"nu": pp.Gamma(2, 1)}, **QUICK)
    assert "cut off below 1" in finding(own, "prior-truncated").message
    assert "Gamma(2, 1) above 1" in repr(own)


def test_finding_rows_of_weight_zero():
    weights = np.ones(len(Y))
    weights[[2, 5, 6]] = 0
    y = Y.copy()
    y[0] = np.nan
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"y": y}, weights=weights, **QUICK)
    found = finding(fit, "zero-weight")
    assert (found.level, found.message) == ("info", "3 of 30 rows have weight 0 and were left out.")
    assert finding(fit, "dropped-rows").message.startswith("1 of 30 rows")
    weights[[2, 5]] = 1
    one = finding(pp.fit("y ~ x", DATA, weights=weights, **QUICK), "zero-weight")
    assert "1 of 30 rows has weight 0 and was" in one.message
    assert "zero-weight" not in codes(pp.fit("y ~ x", DATA, weights=weights + 1, **QUICK))


# Separation

BINARY = {"x": X, "g": G, "y": (X + RNG.normal(size=len(X)) > 0).astype(float)}
KIND = np.resize(["a", "b", "c"], len(X))


def binary(y, formula="y ~ x", **options):
    options = {"family": "bernoulli"} | options
    return pp.fit(
        formula, BINARY | {"y": np.asarray(y, dtype=float), "kind": KIND}, **QUICK, **options
    )


def separations(fit):
    return [one.message for one in fit.findings if one.code == "separation"]


def test_finding_separation_by_a_predictor():
    assert BINARY["y"].mean() not in (0, 1)
    assert separations(binary(BINARY["y"])) == []
    above = X[X > 0.3].min()
    (found,) = separations(binary(X > 0.3))
    assert f"`x` separates the responses: the response is 1 only from {above:.4g} on, 0" in found
    assert finding(binary(X > 0.3), "separation").level == "warning"
    (falling,) = separations(binary(X < 0.3))
    assert "the response is 0 only from" in falling
    # One response on the wrong side is enough to make the estimate finite.
    y = (X > 0.3).astype(float)
    y[np.argmax(X)] = 0
    assert separations(binary(y)) == []


def test_finding_separation_but_for_ties():
    data = {"x": [1, 2, 3, 3, 3, 4, 5, 6], "y": [0, 0, 0, 1, 0, 1, 1, 1]}
    (found,) = separations(pp.fit("y ~ x", data, family="bernoulli", **QUICK))
    assert "`x` separates the responses but for ties: the response is 1 only from 3 on" in found
    mirrored = {"x": [-x for x in data["x"]], "y": data["y"]}
    (found,) = separations(pp.fit("y ~ x", mirrored, family="bernoulli", **QUICK))
    assert "but for ties: the response is 0 only from -3 on, 1 only up to -3" in found
    data["y"][2:5] = [0, 0, 1]
    data["x"][2:5] = [3, 3.5, 3]
    assert separations(pp.fit("y ~ x", data, family="bernoulli", **QUICK)) == []


def test_finding_separation_without_an_intercept():
    # Nothing but an intercept could move the border away from 0.
    data = {"x": [1.0, 2, 3, 4, 5, 6], "y": [0, 0, 0, 1, 1, 1]}
    assert separations(pp.fit("y ~ 0 + x", data, family="bernoulli", **QUICK)) == []
    assert len(separations(pp.fit("y ~ x", data, family="bernoulli", **QUICK))) == 1
    data["x"] = [-3.0, -2, -1, 1, 2, 3]
    assert len(separations(pp.fit("y ~ 0 + x", data, family="bernoulli", **QUICK))) == 1


@pytest.mark.parametrize(
    "term", ["poly(x, 2)", "bs(x, df=5)", "{x**2} + x", "bs(x, df=4, degree=2)"]
)
def test_values_of_a_curve_are_no_categories(term):
    """Each row has values of its own there, and one response; none of them is separated."""
    x = np.linspace(-1, 1, len(KIND))
    y = np.resize([0, 1, 1, 0, 1], len(x))
    assert separations(pp.fit(f"y ~ {term}", {"x": x, "y": y}, family="bernoulli", **QUICK)) == []
    assert separations(pp.fit(f"y ~ {term}", {"x": x, "y": y}, family="poisson", **QUICK)) == []


def test_finding_separation_by_a_category():
    mixed = BINARY["y"].copy()
    for kind in "abc":
        mixed[np.flatnonzero(np.equal(KIND, kind))[:2]] = [0, 1]
    assert separations(binary(mixed, "y ~ x + kind")) == []
    for kind, shown in (("b", "`kind[T.b]`"), ("a", "the reference category of `kind`")):
        fit = binary(np.where(np.equal(KIND, kind), 1, mixed), "y ~ x + kind")
        (found,) = separations(fit)
        assert f"The response is 1 in all 10 rows with {shown}: the data alone" in found
    # Other contrasts have no column for a category.
    (found,) = separations(binary(np.where(KIND == "b", 0, mixed), "y ~ x + C(kind, contr.sum)"))
    assert "is 0 in all 10 rows" in found
    two = binary(np.where(KIND == "b", 1, mixed), "y ~ x + {1 * (kind == 'b')}")
    assert "= 1" in separations(two)[0]


def test_finding_separation_with_trials():
    trials = np.full(len(X), 4.0)
    y = np.where(X > 0.3, 4.0, 0.0)
    assert len(separations(binary(y, family="binomial", trials=trials))) == 1
    y[np.argmin(X)] = 1
    assert separations(binary(y, family="binomial", trials=trials)) == []
    y = np.where(KIND == "b", 4.0, 2.0)
    fit = binary(y, "y ~ x + kind", family="binomial", trials=trials)
    assert "as large as the trials in all 10 rows with `kind[T.b]`" in separations(fit)[0]


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + kind", "y ~ 1", "y ~ x + (1 | g)"])
@pytest.mark.parametrize("successes", [0.0, 4.0])
def test_one_outcome_is_a_result_where_trials_are_known(formula, successes):
    trials = np.full(len(X), 4.0)
    fit = binary(np.full(len(X), successes), formula, family="binomial", trials=trials)
    found = finding(fit, "one-outcome")
    kind = "as large as the trials" if successes else "0"
    assert f"The response is {kind} in every row" in found.message
    assert separations(fit) == []


def test_no_count_at_all_is_a_result_where_exposures_differ():
    fit = binary(np.zeros(len(X)), "y ~ x", family="poisson", exposure=np.exp(X))
    assert "The response is 0 in every row" in finding(fit, "one-outcome").message


def test_finding_separation_of_ordered_categories():
    y = np.searchsorted([-0.5, 0.5], X)
    (found,) = separations(binary(y, family="cumulative"))
    assert "the categories of `y` follow one another along it" in found
    y[np.argmax(X)] = 0
    assert separations(binary(y, family="cumulative")) == []
    # All of one category in the middle leaves its coefficient finite, at an end it does not.
    y = np.resize([0, 1, 2, 1, 0, 2, 2], len(X))
    assert separations(binary(np.where(KIND == "b", 1, y), "y ~ kind", family="cumulative")) == []
    (found,) = separations(binary(np.where(KIND == "b", 2, y), "y ~ kind", family="cumulative"))
    assert "The response is 2 in all 10 rows" in found


def test_finding_separation_of_counts():
    y = RNG.poisson(3, size=len(X)) + 1
    y[:2] = 0  # in two kinds of three: one without zeros is nothing special
    assert separations(binary(y, "y ~ x + kind", family="poisson")) == []
    (found,) = separations(binary(np.where(KIND == "c", 0, y), "y ~ x + kind", family="poisson"))
    assert "The response is 0 in all 10 rows with `kind[T.c]`" in found
    # A number of counts has no upper end, and other families have none at all.
    assert separations(binary(np.where(KIND == "c", 9, 0), "y ~ x", family="poisson")) == []
    assert separations(binary(X > 0.3, family="gaussian")) == []


def test_finding_levels_with_one_kind_of_response():
    y = np.resize([0.0, 1.0], len(X))
    y[:PER], y[-PER:] = 0, 1
    found = finding(binary(y, "y ~ x + (1 | g)", pooling="none"), "separated-levels")
    assert "In 2 of 6 levels of `g` the response is only 0 or only 1" in found.message
    assert "separated-levels" not in codes(binary(y, "y ~ x + (1 | g)"))
    y[:PER], y[-PER:] = np.resize([0, 1], PER), np.resize([0, 1], PER)
    assert "separated-levels" not in codes(binary(y, "y ~ x + (1 | g)", pooling="none"))


# Levels

N = len(Y)
OWN = {"x": X, "row": np.arange(N), "y": RNG.poisson(2, size=N) + 1.0}


@pytest.mark.parametrize(
    ("family", "code", "level"),
    [
        ("gaussian", "sd-sigma-confounded", "warning"),
        ("lognormal", "sd-sigma-confounded", "warning"),
        ("student_t", "sd-sigma-confounded", "warning"),
        ("negbinomial", "sd-shape-confounded", "warning"),
        ("gamma", "sd-shape-confounded", "warning"),
        ("beta", "sd-phi-confounded", "warning"),
        ("bernoulli", "sd-undetermined", "warning"),
        ("cumulative", "sd-undetermined", "warning"),
        ("poisson", "sd-is-overdispersion", "info"),
        ("zero_inflated_poisson", "sd-is-overdispersion", "info"),
        ("exponential", "sd-is-overdispersion", "info"),
        ("binomial", "sd-is-overdispersion", "info"),
    ],
)
def test_finding_one_row_in_every_level_by_family(family, code, level):
    y = {
        "beta": OWN["y"] / 20,
        "bernoulli": OWN["y"] > 2,
        "cumulative": np.resize([1, 2, 3], N),
        "zero_inflated_poisson": np.where(X > 0.8, 0, OWN["y"]),
    }.get(family, OWN["y"])
    trials = {"trials": 20} if family == "binomial" else {}
    data = OWN | {"y": y, "pair": np.arange(N) // 2}
    fit = pp.fit("y ~ x + (1 | row)", data, family=family, **trials, **QUICK)
    assert finding(fit, code).level == level
    ours = {"sd-sigma-confounded", "sd-shape-confounded", "sd-phi-confounded"}
    ours |= {"sd-undetermined", "sd-is-overdispersion"}
    assert len(ours & set(codes(fit))) == 1
    # Two rows a level, or a slope without an intercept, are another matter.
    for other in ("y ~ x + (1 | pair)", "y ~ x + (0 + x | row)"):
        fit = pp.fit(other, data, family=family, **trials, **QUICK)
        assert not ours & set(codes(fit))


def test_finding_one_row_in_every_level_where_more_is_known():
    one = pp.fit(
        "y ~ x + (1 | row)", OWN | {"y": 1.0 * (X > 0)}, family="binomial", trials=1, **QUICK
    )
    assert "sd-undetermined" in codes(one)
    weights = np.resize([1.0, 2.0], N)
    weighted = pp.fit("y ~ x + (1 | row)", OWN, weights=weights, **QUICK)
    assert "sd-sigma-confounded" not in codes(weighted)
    constant = pp.fit("y ~ x + (1 | row)", OWN, sigma="~ 1", **QUICK)
    assert "sd-sigma-confounded" in codes(constant)
    varying = pp.fit("y ~ x + (1 | row)", OWN, sigma="~ x", **QUICK)
    assert "sd-sigma-confounded" not in codes(varying)


def test_findings_about_every_factor():
    data = DATA | {"one": ["a"] * N, "three": np.resize([1, 2, 3], N)}
    fit = pp.fit("y ~ x + (1 | g) + (1 | one) + (1 | three)", data, **QUICK)
    assert "`one` has only one level" in finding(fit, "one-level").message
    assert "`three` has only 3 levels" in finding(fit, "few-levels").message
    assert codes(fit).count("few-levels") == 1
    sigma = pp.fit("y ~ x + (1 | g)", data, sigma="~ 1 + (1 | three)", **QUICK)
    assert "another prior on `sd_sigma_three`" in finding(sigma, "few-levels").remedy
    far = DATA | {"far": X + 100, "tiny": 1e-9 * RNG.normal(size=N)}
    sigma = pp.fit("y ~ x", far, sigma="~ x + tiny + (far || g)", **QUICK)
    assert "`tiny`" in finding(sigma, "different-scales").message
    assert "center(far)" in finding(sigma, "independent-at-mean").remedy


def test_finding_far_from_zero_needs_a_common_distribution():
    fit = pp.fit("y ~ x + (x || g)", DATA | {"x": X + 100}, pooling="none", **QUICK)
    assert not {"far-from-zero", "independent-at-mean"} & set(codes(fit))


def test_finding_two_factors_with_the_same_levels():
    again = np.array([f"room {k[-1]}" for k in G])
    data = DATA | {"room": again, "half": np.arange(N) % J, "z": RNG.normal(size=N)}
    found = finding(pp.fit("y ~ x + (1 | g) + (1 | room)", data, **QUICK), "same-levels")
    assert found.message.startswith("`g` and `room` split the rows in the same way")
    assert found.level == "warning"
    nested = pp.fit("y ~ x + (1 | g / room)", data, **QUICK)
    assert "`g` and `g:room`" in finding(nested, "same-levels").message
    assert "same-levels" not in codes(pp.fit("y ~ x + (1 | g) + (1 | half)", data, **QUICK))
    apart = pp.fit("y ~ x + (1 | g) + (0 + x | room)", data, **QUICK)
    assert "same-levels" not in codes(apart)


def test_finding_sd_near_zero():
    rng = np.random.default_rng(5)
    g, h = np.repeat(np.arange(20), 20), np.tile(np.arange(20), 20)
    y = rng.normal(size=20)[g] + rng.normal(size=400)
    y -= [y[h == k].mean() for k in h]  # levels of h do not differ at all
    fit = pp.fit("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h}, seed=1)
    found = finding(fit, "sd-near-zero")
    assert codes(fit).count("sd-near-zero") == 1
    assert found.level == "info"
    most = np.quantile(fit.run.groups[1].sd, 0.95)
    assert f"`sd_h[Intercept]` piles up at 0 (95% of it is below {most:.2g})" in found.message
    assert "levels of `h` hardly differ in Intercept, or too" in found.message
    sigma = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": g, "h": h}, sigma="~ (1 | h)", seed=1)
    assert "hardly differ in Intercept of log sigma" in finding(sigma, "sd-near-zero").message
    # Where data say nothing, the posterior piles up as its prior does.
    few = pp.fit("y ~ 1 + (1 | g)", {"y": [1.0, 2.0, 4.0, 3.0], "g": list("aabb")}, seed=1)
    assert "sd-near-zero" not in codes(few)


def test_finding_sd_near_zero_needs_levels_that_could_differ():
    data = DATA | {"one": ["a"] * N}
    fit = pp.fit("y ~ x + (1 | one)", data, priors={"sd_one": pp.HalfCauchy(100)}, seed=1)
    assert "one-level" in codes(fit)
    assert "sd-near-zero" not in codes(fit)


@pytest.mark.parametrize("prior", [pp.Flat(), pp.Uniform(0, 1e9)])
def test_finding_sd_near_zero_where_the_prior_leaves_room_without_end(prior):
    # Three levels leave the sd a long tail, which a wide prior does not cut.
    data = {"y": [0.0, 1.2, 0.9, 0.1, 0.2, 1.0], "g": list("aabbcc")}
    wide = pp.fit("y ~ 1 + (1 | g)", data, priors={"sd_g": prior}, seed=1)
    draws = np.asarray(wide.run.groups[0].sd)
    assert np.quantile(draws, 0.95) > np.std(data["y"])
    assert np.mean(draws < 0.1 * np.quantile(draws, 0.95)) > 0.1
    assert "sd-near-zero" not in codes(wide)
    g = np.repeat(np.arange(20), 20)
    y = np.random.default_rng(5).normal(size=400)
    y -= [y[g == k].mean() for k in g]
    many = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": g}, priors={"sd_g": prior}, seed=1)
    assert "sd-near-zero" in codes(many)


@pytest.mark.parametrize(
    ("formula", "count", "remedy"),
    [
        ("y ~ x + (1 | g)", 40, "Use narrower priors on the sds, or centre and scale the predict"),
        ("y ~ 1 + (x | g)", 40, "Use narrower priors on the sds, or centre and scale the predict"),
        ("y ~ 1 + (1 | g)", 40, "Use narrower priors on the sds."),
        ("y ~ x", 40, "Use narrower priors, or centre and scale the predictors."),
        ("y ~ 1", 2, "Use narrower priors."),
        ("y ~ x + (1 | g)", 1, "So few hardly matter: a run with another seed or more warm-up"),
    ],
)
def test_finding_divergences_fits_the_model(formula, count, remedy):
    fit = pp.fit(formula, DATA, draws=500, warmup=200, seed=1)
    diverging = np.zeros_like(fit.run.stats["diverging"])
    diverging.flat[:count] = 1
    run = replace(fit.run, stats={**fit.run.stats, "diverging": diverging})
    found = [
        one for one in run_findings(fit.model, run, fit.judged_summary) if one.code == "divergences"
    ]
    assert found[0].message.startswith(f"{count} of 2000 draws diverged")
    assert found[0].remedy.startswith(remedy)


def test_finding_the_prior_decides_a_dispersion_parameter():
    y = np.random.default_rng(1).normal(size=40)
    fit = pp.fit("y ~ 1", {"y": y}, family="student_t", priors={"nu": pp.Uniform(20, 22)}, seed=1)
    assert "`nu` is hardly narrower than its prior Uniform(20, 22)" in (
        finding(fit, "prior-decides").message
    )


# Responses


def test_finding_rare_categories():
    y = np.resize(["low", "middle"], N).astype(object)
    y[[3, 8]] = "high"
    data = DATA | {"y": pd.Categorical(y, ["low", "middle", "high"], ordered=True)}
    found = finding(
        pp.fit("y ~ x", pd.DataFrame(data), family="cumulative", **QUICK), "rare-categories"
    )
    assert found.level == "info"
    assert "fewer than 5 rows: high (2)" in found.message
    even = DATA | {"y": np.resize([1, 2, 3], N)}
    assert "rare-categories" not in codes(pp.fit("y ~ x", even, family="cumulative", **QUICK))


@pytest.mark.parametrize("family", ["zero_inflated_poisson", "hurdle_negbinomial"])
def test_finding_no_zeros(family):
    fit = pp.fit("y ~ x", OWN, family=family, **QUICK)
    found = finding(fit, "no-zeros")
    assert found.level == "warning"
    assert f'family="{family.split("_")[-1]}"' in found.remedy
    some = pp.fit("y ~ x", OWN | {"y": OWN["y"] - 1}, family=family, **QUICK)
    assert "no-zeros" not in codes(some)
    assert "no-zeros" not in codes(pp.fit("y ~ x", OWN, family="poisson", **QUICK))


@pytest.mark.parametrize("family", ["hurdle_poisson", "hurdle_negbinomial"])
def test_finding_only_ones(family):
    ones = OWN | {"y": 1.0 * (OWN["y"] > 2)}
    found = finding(pp.fit("y ~ x", ones, family=family, **QUICK), "only-ones")
    assert found.level == "warning"
    assert "Every count of `y` above 0 is 1" in found.message
    more = ones | {"y": np.where(X > 1, 2, ones["y"])}
    assert "only-ones" not in codes(pp.fit("y ~ x", more, family=family, **QUICK))
    zi = pp.fit("y ~ x", ones, family="zero_inflated_poisson", **QUICK)
    assert "only-ones" not in codes(zi)


@pytest.mark.parametrize("mean", [1.5, 30])
@pytest.mark.parametrize(
    "family", ["negbinomial", "hurdle_negbinomial", "zero_inflated_negbinomial"]
)
def test_finding_no_overdispersion(family, mean):
    rng = np.random.default_rng(3)
    extra = np.where(rng.random(200) < 0.3 * (family != "negbinomial"), 0, 1)
    options = {"family": family, "draws": 500, "warmup": 500, "seed": 1}
    found = finding(
        pp.fit("y ~ 1", {"y": extra * rng.poisson(mean, size=200)}, **options), "no-overdispersion"
    )
    assert found.level == "info"
    assert "`y` do not visibly scatter more than Poisson" in found.message
    assert f'family="{family.replace("negbinomial", "poisson")}"' in found.remedy
    y = extra * rng.poisson(mean * rng.gamma(2, 1 / 2, size=200))
    assert "no-overdispersion" not in codes(pp.fit("y ~ 1", {"y": y}, **options))


def test_thresholds_stand_for_the_intercepts_of_levels():
    data = DATA | {"y": np.resize([1, 2, 3], N)}
    fit = pp.fit("y ~ x + (1 | g)", data, family="cumulative", pooling="complete", **QUICK)
    assert "vanished-terms" not in codes(fit)
    slopes = pp.fit("y ~ 1 + (x | g)", data, family="cumulative", pooling="complete", **QUICK)
    assert "x of g vanishes" in finding(slopes, "vanished-terms").message


def test_thresholds_and_levels_without_pooling_share_a_location():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(4), 15)
    data = {"y": rng.integers(0, 3, 60), "g": g, "x": rng.normal(size=60)}
    options = {"family": "cumulative", "draws": 50, "warmup": 50, "seed": 1}
    for formula, pooling, found in [
        ("y ~ x + (1 | g)", "none", True),
        ("y ~ x + (0 + x | g)", "none", False),
        ("y ~ x + (1 | g)", "partial", False),
    ]:
        fit = pp.fit(formula, data, pooling=pooling, **options)
        assert ("shared-location" in [one.code for one in fit.findings]) == found
