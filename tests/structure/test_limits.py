"""Every decision limit, just inside and just outside of it.

A case is a function that does something at a value and tells whether something is said there;
`border` names the limit, and a value on each side. Every limit needs a case.
"""

import os
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import optimize, special

import partialpool as pp
from partialpool import limits
from partialpool.answers.sensitivity import Sensitivity, _findings
from partialpool.data import open_table
from partialpool.design import build_design, matrix, response
from partialpool.draws.approximate import Approximation, Change
from partialpool.draws.diagnostics import energy_bfmi
from partialpool.draws.statistic import Statistic
from partialpool.draws.summary import COLUMNS, Summary
from partialpool.engine import marginal, rounds
from partialpool.engine.engine import BoundsError
from partialpool.engine.sampling import Sampling
from partialpool.families.known import FAMILIES
from partialpool.findings import maximum
from partialpool.findings import priors as prior_findings
from partialpool.findings import run as findings
from partialpool.findings.approximate import _of_levels, _of_population
from partialpool.findings.check import check_findings
from partialpool.findings.dispersion import overdispersion
from partialpool.findings.residuals import residual_findings, uniformity
from partialpool.formula import expand, parse_formula
from partialpool.likelihood.maximum import Moved, check_maximised
from partialpool.model import general, pool
from partialpool.scan import choose
from partialpool.scan.wanted import Wanted
from partialpool.scores import loo
from partialpool.scores.loo import Loo, _unreliable
from partialpool.scores.ranking import Ranking
from partialpool.spec import Spec, pose

RNG = np.random.default_rng(1)
G = np.repeat(np.arange(6), 8)
DATA = {"x": RNG.normal(size=48), "g": G, "y": RNG.normal(size=48) + RNG.normal(size=6)[G]}
QUICK = {"draws": 100, "warmup": 100, "seed": 1}
CASES = []


def border(name, quiet, said):
    """Note a case: `quiet` is the last value at which nothing is said, `said` the first beyond."""

    def note(function):
        CASES.append(pytest.param(name, function, quiet, said, id=f"{name}-{function.__name__}"))
        return function

    return note


@border("ONE_PASS", 5_000_000, 5_000_001)
def rows_of_many_are_not_kept(rows):
    source = open_table(DATA)
    source.reader = SimpleNamespace(n_rows=rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "scan", lambda *_: "a design")
        return choose.one_pass_design(Wanted(parse_formula("y ~ x"), {}), source, None, None, None)


@cache
def fitted(formula="y ~ x + (1 | g)", **options):
    return pp.fit(formula, DATA, **QUICK, **options)


def codes(model, run, summary=None, pooled=None):
    summary = summary_of() if summary is None else summary
    return {f.code: f.level for f in findings.run_findings(model, run, summary, pooled)}


def summary_of(label="b[x]", **values):
    """A summary of one parameter in which all is well but for these values."""
    good = {name: np.ones(1) for name in COLUMNS} | {"r_hat": np.ones(1)}
    good |= {"ess_bulk": np.full(1, 4000.0), "ess_tail": np.full(1, 4000.0)}
    good |= {name: np.full(1, float(value)) for name, value in values.items()}
    return Summary((label,), good, np.zeros(1, dtype=bool))


def judged(label="b[x]", **values):
    """Findings of a fit whose summary has these values."""
    fit = fitted()
    return codes(fit.model, fit.run, summary_of(label, **values))


def of_run(**changes):
    """Findings of a fit whose run is changed."""
    fit = fitted()
    return codes(fit.model, replace(fit.run, **changes))


# --- Draws ---------------------------------------------------------------------------------------


@border("R_HAT", 1.0099, 1.0101)
def r_hat(value):
    return "r-hat" in judged(r_hat=value)


@border("R_HAT_LEVEL", 1.0499, 1.0501)
def r_hat_of_a_level(value):
    return "r-hat" in judged("coef_g[1,Intercept]", r_hat=value)


@border("R_HAT_UNUSABLE", 1.0999, 1.1001)
def r_hat_is_an_error(value):
    return judged(r_hat=value)["r-hat"] == "error"


@border("ESS", 400.1, 399.9)
def ess_of_the_bulk(value):
    return "ess" in judged(ess_bulk=value)


@border("ESS", 400.1, 399.9)
def ess_of_the_tails(value):
    return "ess" in judged(ess_tail=value)


def divergent(share):
    total = 40_000
    diverging = (np.arange(total) < share * total).reshape(4, -1)
    stats = {"diverging": diverging, "energy": RNG.normal(size=(4, total // 4))}
    fit = fitted()
    run = replace(fit.run, stats=stats, b=np.zeros((4, total // 4, 2)))
    return next(findings._sampler(fit.model, run))


@border("DIVERGING_UNUSABLE", 0.0999, 0.1001)
def many_divergences_are_an_error(share):
    return divergent(share).level == "error"


@border("DIVERGING_FEW", 0.0009, 0.0011)
def divergences_are_not_few(share):
    return "hardly matter" not in divergent(share).remedy


@border("E_BFMI", 0.301, 0.299)
def e_bfmi(value):
    slow, fast = np.cumsum(RNG.normal(size=(4, 100)), axis=1), RNG.normal(size=(4, 100))
    low, high = 0.0, 50.0
    for _ in range(80):
        share = (low + high) / 2
        found = energy_bfmi(slow + share * fast).min()
        low, high = (share, high) if found < value else (low, share)
    energy = slow + share * fast
    assert energy_bfmi(energy).min() == pytest.approx(value, abs=1e-6)
    return "low-e-bfmi" in of_run(stats=fitted().run.stats | {"energy": energy})


@border("ACCEPTANCE_LOW", 0.051, 0.049)
@border("ACCEPTANCE_HIGH", 0.699, 0.701)
def acceptance(rate):
    return "acceptance-rate" in of_run(method="metropolis", acceptance_rate=(rate, rate))


@border("ELIMINATION", 0.999e11, 1.001e11)
def an_elimination_costs_too_much(operations):
    try:
        marginal._check_cost(SimpleNamespace(cost=(operations, 0.0)), "`a`, `b`")
    except BoundsError:
        return True
    return False


@border("ELIMINATION_SPEED", 2e10 * 1.2, 2e10 * 1.26)
def the_time_of_an_elimination(speed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "ELIMINATION_SPEED", speed)
        with pytest.raises(BoundsError, match=r"would take [45] seconds") as error:
            marginal._check_cost(SimpleNamespace(cost=(1.1e11, 0.0)), "`a`, `b`")
    return "4 seconds" in str(error.value)


@border("BOUNDS_KEPT", 0.051, 0.049)
def too_few_draws_are_within_bounds(share):
    model = fitted(pooling="none").model
    answers = [np.arange(1000) < share * 1000, np.ones(40_000, dtype=bool)]

    def inside(_, run):
        return np.resize(answers.pop(0)[: run.draws], (run.chains, run.draws))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marginal, "draws_within_bounds", inside)
        try:
            marginal.run_marginal(model, Sampling(chains=1, warmup=50, seed=1, threads=1))
        except BoundsError:
            return True
    return False


# --- What the posterior owes to the prior ---------------------------------------------------------


def decided(width, shift):
    """Draws of sigma with quartiles so wide and so far off, in quartile widths of the prior."""
    fit = fitted()
    low, middle, high = findings._quantiles("sigma", fit.priors["sigma"], (0.25, 0.5, 0.75))
    span = high - low
    draws = middle + span * (shift + width * np.linspace(-1, 1, 4001)).reshape(1, -1)
    return "prior-decides" in of_run(scalars={"sigma": draws})


@border("PRIOR_WIDTH", 0.799, 0.801)
def a_wide_posterior(width):
    return decided(width, 0.0)


@border("PRIOR_SHIFT", 0.251, 0.249)
def a_posterior_in_its_place(shift):
    return decided(1.0, shift)


@border("PRIOR_CONFLICT", 3.96, 4.04)
def a_prior_far_from_the_data(z):
    """The data's own estimate is 0 ± 1/40, and the prior is of sd 3/40."""
    y = np.resize([1.0, -1.0], 1600)
    prior = pp.Normal(z * np.hypot(0.025, 0.075), 0.075)
    fit = pp.fit("y ~ 1", {"y": y}, se=np.ones(1600), priors={"b": prior}, **QUICK)
    return any(f.code == "prior-conflict" for f in fit.findings)


def suspected(mean, sd):
    """Whether a prior Normal(0, 1) is looked at where the posterior is this."""
    at = SimpleNamespace(priors=[pp.Normal(0, 1)], values=lambda b: b)
    draws = np.resize([mean - sd, mean + sd], (4, 50, 1))
    return bool(prior_findings._suspects(at, draws))


@border("CONFLICT_NARROW", 0.299, 0.301)
def a_posterior_that_is_not_narrow(sd):
    return suspected(0.0, sd)


@border("CONFLICT_INSIDE", 2.99, 3.01)
def a_posterior_far_out(mean):
    return suspected(mean, 0.1)


def near_zero(part=0.05, share=0.5, room=0.1):
    """Draws of an sd, a share of them at a part of their 95% quantile."""
    fit = fitted()
    name = "sd_g[Intercept]"
    (top,) = findings._quantiles(name, fit.priors[name], (0.95,))
    draws = np.full(10_000, room * top)
    draws[: round(share * 10_000)] *= part
    drawn = replace(fit.run.groups[0], sd=draws.reshape(1, -1, 1))
    return "sd-near-zero" in of_run(groups=(drawn,))


@border("ZERO_PART", 0.101, 0.099)
def near_zero_at_a_part_of_the_quantile(part):
    return near_zero(part=part)


@border("ZERO_SHARE", 0.099, 0.101)
def near_zero_in_a_share_of_the_draws(share):
    return near_zero(share=share)


@border("ZERO_ROOM", 0.251, 0.249)
def near_zero_beside_the_prior(room):
    return near_zero(room=room)


@cache
def counts():
    data = DATA | {"n": np.resize([1, 2, 3], 48)}
    posed = pose(Spec("n ~ x", family="negbinomial"), data)
    return pp.fit("n ~ x", data, family="negbinomial", **QUICK), posed.pooled


def shapes(values):
    fit, pooled = counts()
    run = replace(fit.run, scalars={"shape": np.reshape(values, (1, -1))})
    return bool(list(findings._scatter(pooled, run)))


@border("POISSON_SHAPE", 99.0, 101.0)
def a_shape_of_many_means(means):
    return shapes(np.full(1000, means * 2.0))


@border("POISSON_SHARE", 0.099, 0.101)
def a_share_of_shapes(share):
    return shapes(np.where(np.arange(1000) < share * 1000, 1e6, 1.0))


# --- Data -----------------------------------------------------------------------------------------


@border("DROPPED_MANY", 9, 10)
def many_rows_are_dropped(missing):
    data = {"y": RNG.normal(size=100)}
    data["y"][:missing] = np.nan
    fit = pp.fit("y ~ 1", data, **QUICK)
    return next(f.level for f in fit.findings if f.code == "dropped-rows") == "warning"


@border("LEVELS_FEW", 5, 4)
def few_levels(n):
    fit = pp.fit("y ~ 1 + (1 | h)", DATA | {"h": np.arange(48) % n}, **QUICK)
    return any(f.code == "few-levels" for f in fit.findings)


@border("LEVELS_FEW", 5, 4)
def few_levels_of_an_estimate(n):
    model = SimpleNamespace(groups=[SimpleNamespace(levels=range(n), name="h", factor="h")])
    return bool(list(maximum._levels(model)))


@border("CATEGORY_RARE", 5, 4)
def rare_categories(n):
    y = np.resize([0, 2], 48)
    y[:n] = 1
    fit = pp.fit("y ~ 1", {"y": y}, family="cumulative", **QUICK)
    return any(f.code == "rare-categories" for f in fit.findings)


@border("SCALES_APART", 0.99e4, 1.01e4)
def scales_apart(ratio):
    z = RNG.normal(size=48)
    z *= ratio * np.std(DATA["x"]) / np.std(z)
    fit = pp.fit("y ~ x + z", DATA | {"z": z}, **QUICK)
    return any(f.code == "different-scales" for f in fit.findings)


def origin(distance, code):
    x = (DATA["x"] - np.mean(DATA["x"])) / np.std(DATA["x"])
    fit = pp.fit("y ~ x + (x || g)", DATA | {"x": x + distance}, **QUICK)
    return any(f.code == code for f in fit.findings)


@border("FAR_FROM_ZERO", 9.9, 10.1)
def far_from_zero(distance):
    return origin(distance, "independent-at-mean")


@border("ORIGIN_NEAR", 1.99, 2.01)
def not_near_zero(distance):
    x = np.exp(np.clip(RNG.normal(size=48), -0.9, 0.9))
    x = x - x.mean()
    x = x / np.std(x) + distance
    assert x.min() > 0  # zero is outside of the data
    fit = pp.fit("y ~ x + (x || g)", DATA | {"x": x}, **QUICK)
    return any(f.code == "independent-at-zero" for f in fit.findings)


@border("PERFECT", 1.01e-6, 0.99e-6)
def a_perfect_fit(share):
    fit = fitted()
    pooled = SimpleNamespace(design=fit.design, family=pp.families.FAMILIES["gaussian"])
    sigma = np.full((4, 100), share * np.std(DATA["y"]))
    run = replace(fit.run, scalars={"sigma": sigma})
    return bool(list(findings._perfect(pooled, run)))


# --- Checks and scores ----------------------------------------------------------------------------


def extreme(larger, draws=1000):
    """What a check says where so many of the replicates are larger."""
    made = np.where(np.arange(draws) < larger, 1.0, -1.0)
    return bool(list(check_findings(fitted(), (Statistic("mean", "m", 0.0, made),), draws, False)))


@border("P_LOW", 10, 9)
@border("P_HIGH", 990, 991)
def an_extreme_share(larger):
    return extreme(larger)


@border("REPLICATES", 99, 100)
def enough_replicates(draws):
    one = Statistic("mean", "m", 0.0, np.ones(draws))
    found = list(check_findings(fitted(), (one,), draws, False))
    return [f.code for f in found] == ["cannot-make-the-data"]


@border("REPLICATES", 99, 100)
def enough_draws_for_dispersion(draws):
    y = np.repeat([0, 12], 100)
    fit = pp.fit("y ~ 1", {"y": y}, family="poisson", chains=1, draws=draws, warmup=200, seed=1)
    return bool(list(overdispersion(fit)))


def residuals_say(z):
    found = residual_findings("y", FAMILIES["gaussian"], z, np.arange(len(z)))
    return {finding.code for finding in found}


@border("RESIDUALS_UNIFORM", 0.051, 0.049)
def residuals_that_are_not_those_of_the_model(chance):
    even = (np.arange(200) + 0.5) / 200
    power = optimize.brentq(lambda a: uniformity(even**a) - chance, 1, 3)
    return "residuals-not-uniform" in residuals_say(special.ndtri(even**power))


@border("OUTLIER", 0.0101, 0.0099)
def a_response_far_out(chance):
    z = np.append(special.ndtri((np.arange(99) + 0.5) / 99), special.ndtri(chance / 200))
    return residuals_say(z) == {"outliers"}


@border("DISPERSED_RATIO", 1.08, 1.12)
def a_dispersion_that_matters(ratio):
    # Two values with a variance of `ratio` times their mean; 5000 rows are plenty.
    y = np.resize(1e4 + 100 * np.sqrt(ratio) * np.array([-1, 1]), 5000).round()
    fit = pp.fit("y ~ 1", {"y": y}, family="poisson", **QUICK)
    assert np.var(y) / np.mean(y) == pytest.approx(ratio, abs=0.02)
    return bool(list(overdispersion(fit)))


@border("P_LOW", 4, 3)
def a_dispersion_beyond_chance(larger):
    """So many replicates of 400 are as dispersed as the data."""
    fit = pp.fit("y ~ 1", {"y": np.repeat([0, 9], 100)}, family="poisson", seed=1, draws=250)
    calls = []

    def pearson(_, *responses):
        own = 2.0 * np.ones((400, 1))
        made = np.where(np.arange(400) < larger, 3.0, 1.0)[:, None]
        calls.append(len(responses))
        return (own,) if len(calls) == 1 else (made,)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("partialpool.draws.rows.RowDraws.pearson", pearson)
        return bool(list(overdispersion(fit)))


@border("PARETO_K", 0.699, 0.701)
def pareto_k_of_rows(k):
    return bool(_unreliable(np.array([0.1, k]), np.zeros(2), "rows", "kfold()"))


@border("PARETO_K", 0.699, 0.701)
def pareto_k_of_weaker_priors(k):
    found = sensitivity_of(0.0, 0.0, pareto_k=(0.1, k))
    return [f.code for f in _findings(found, np.zeros((2, 1)), {}, {})] == ["pareto-k"]


def approximate(**values):
    good = {
        "judged": 400,
        "pareto_k": 0.1,
        "effective": 0.5,
        "whole": 0.9,
        "shift": Change(0.0, "b[x]", 0.0),
        "widening": Change(0.0, "b[x]", 0.0),
    }
    found = Approximation(**good | {"levels_off": 0.0, "levels_wider": 0.0} | values)
    return [f.level for f in (*_of_population(found), *_of_levels(found))]


@border("PARETO_K", 0.699, 0.701)
def pareto_k_of_an_approximation(k):
    return approximate(pareto_k=k) == ["warning"]


@border("APPROXIMATE_K", 0.499, 0.501)
def an_approximation_that_may_be_rough(k):
    return approximate(pareto_k=k) == ["info"]


@border("APPROXIMATE_EFFECTIVE", 0.951, 0.949)
def an_approximation_whose_weights_differ(effective):
    return approximate(effective=effective, pareto_k=0.8) == ["warning"]


@border("ROUGH_INTEGRAL", 0.249, 0.251)
def a_maximum_that_better_integrals_move(errors):
    found = SimpleNamespace(moved=Moved("b[x]", 1.0, 1.2, errors), converged=True, quadrature=1)
    return bool(list(maximum._moved(SimpleNamespace(groups=[1, 2]), found)))


@border("APPROXIMATE_SHIFT", 0.249, 0.251)
def an_approximation_that_misses_a_mean(shift):
    return approximate(shift=Change(shift + 0.02, "b[x]", 0.01)) == ["warning"]


@border("APPROXIMATE_WIDENING", 0.119, 0.121)
def an_approximation_that_misses_an_sd(size):
    either = {
        approximate(widening=Change(side * (size + 0.02), "b", 0.01)) == ["warning"]
        for side in (1, -1)
    }
    of_levels = approximate(levels_wider=size) == ["warning"]
    assert either == {of_levels}
    return of_levels


@border("APPROXIMATE_LEVELS", 0.249, 0.251)
def an_approximation_that_misses_levels(off):
    return approximate(levels_off=off) == ["warning"]


def clear(lead, errors):
    """Whether a fit is clearly worse that is behind by so many units, and so many errors."""
    n = 400
    spread = lead / errors / np.sqrt(n)
    noise = np.resize([1.0, -1.0], n) * np.sqrt((n - 1) / n)
    best = np.zeros(n)
    worse = -lead / n + spread * noise
    empty = np.empty(0)
    scores = {
        name: Loo("psis", "row", 0, np.arange(n), own, own, empty, empty, empty)
        for name, own in (("best", best), ("worse", worse))
    }
    lower, error = Ranking(scores).difference("worse")
    assert lower == pytest.approx(-lead)
    assert -lower / error == pytest.approx(errors)
    return Ranking(scores).is_clear("worse")


@border("CLEAR_UNITS", 3.99, 4.01)
def a_lead_in_units(lead):
    return clear(lead, 10.0)


@border("CLEAR_ERRORS", 1.99, 2.01)
def a_lead_in_errors(errors):
    return clear(100.0, errors)


# --- What is refused before any work -------------------------------------------------------------


def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except pp.InputError:
        return True
    return False


@border("COLUMNS", 2000, 2001)
def columns_of_a_matrix(count):
    return refused(matrix._check_width, expand("0 + x"), [count], 10)


@border("CELLS", 500_000_000, 500_000_001)
def numbers_in_a_matrix(count):
    return refused(matrix._check_width, expand("0 + x"), [1], count)


@border("LOO_SECONDS", 3599, 3601)
def rows_left_out(seconds):
    rows = round(seconds * (os.cpu_count() or 1) / loo.ROW / 1000)
    return refused(loo.check_effort, rows, 1000, 0)


@border("MERGED", 101, 100)
def merged_rows(cells):
    """200 rows of so many cells."""
    data = {"x": np.arange(200) % cells, "y": np.arange(200) % 2}
    pooled = pose(Spec("y ~ x", family="bernoulli"), data).pooled
    return general.build_general(pooled).core.n_rows < 200


@border("DRAWS", 9999, 10_000)
def draws_at_the_end(drawn):
    few = rounds.Verdict(1.0, True)
    most = rounds.most_draws(lambda draws: True)
    return rounds.Rounds(400, lambda model, run: few).until(drawn, few, most) == drawn


def coefficients(bar, count):
    return refused(matrix._check_group_width, parse_formula(f"y ~ (x {bar} g)").groups[0], count)


@border("CORRELATED", 50, 51)
def correlated_coefficients(count):
    return coefficients("|", count)


@border("INDEPENDENT", 100, 101)
def independent_coefficients(count):
    return coefficients("||", count)


@border("CORRELATED_REML", 10, 11)
def correlated_coefficients_of_reml(count):
    names = [f"x{k}" for k in range(1, count)]
    data = {name: RNG.normal(size=48) for name in names} | DATA
    design = build_design(parse_formula(f"y ~ ({' + '.join(names)} | g)"), data)
    pooled = pool(design, "partial", FAMILIES["gaussian"], "identity")
    return refused(check_maximised, "reml", pooled)


@border("CATEGORIES", 100, 101)
def categories_of_a_response(count):
    return refused(response._several, "y", np.zeros(1), tuple(range(count)))


def sensitivity_of(prior, likelihood, pareto_k=(0.0, 0.0)):
    one = np.ones(1)
    return Sensitivity("y ~ 1", ("b",), prior * one, likelihood * one, one, one, one, one, pareto_k)


@border("SENSITIVE", 0.0499, 0.0501)
def sensitive_to_the_prior(value):
    return sensitivity_of(value, 0.0).diagnosis != ["fine"]


@border("SENSITIVE", 0.0499, 0.0501)
def in_conflict_with_the_data(value):
    return sensitivity_of(1.0, value).diagnosis == ["prior-data-conflict"]


@pytest.mark.parametrize(("name", "function", "quiet", "said"), CASES)
def test_limit(name, function, quiet, said):
    value = getattr(limits, name)
    wide = 0.25 if isinstance(value, int) else 0.15
    assert abs(quiet - said) <= max(wide * abs(value), 1) or name in ("P_LOW", "P_HIGH")
    assert not function(quiet)
    assert function(said)


def test_every_limit_has_a_case():
    names = {name for name in vars(limits) if name.isupper()}
    assert {case.values[0] for case in CASES} == names


# --- Whom a finding names -------------------------------------------------------------------------


def test_r_hat_and_ess_name_the_parameter_that_has_the_value():
    labels = ("b[Intercept]", "b[x]", "coef_g[1,x]", "coef_g[2,x]", "sigma")
    values = summary_of().values
    values = {name: np.repeat(column, 5) for name, column in values.items()}
    # The highest R-hat is that of a level which is not worth a word.
    values["r_hat"] = np.array([1.02, 1.03, 1.045, 1.0, 1.012])
    values["ess_tail"] = np.array([4000.0, 350, 120, 4000, 4000])
    fit = fitted()
    summary = Summary(labels, values, np.zeros(5, dtype=bool))
    found = {f.code: f for f in findings.run_findings(fit.model, fit.run, summary)}
    assert found["r-hat"].message == (
        "Chains disagree about `b[x]` (R-hat 1.03, should be at most 1.01); also about "
        "`b[Intercept]`, `sigma`."
    )
    assert found["r-hat"].level == "warning"
    assert "of `coef_g[1,x]` is 120 (should be at least 400)" in found["ess"].message
    assert "also few of `b[x]`." in found["ess"].message
    values["r_hat"][3] = 1.2
    found = {f.code: f for f in findings.run_findings(fit.model, fit.run, summary)}
    assert "`coef_g[2,x]` (R-hat 1.2, should be at most 1.05)" in found["r-hat"].message
    assert found["r-hat"].level == "error"
