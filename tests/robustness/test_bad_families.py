"""Responses, roles and options that do not fit the family: one clear sentence each."""

import re

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import cli
from partialpool.errors import InputError, NotYetError
from partialpool.families import FAMILIES, family_of
from partialpool.priors import PRIORS

GOOD = {
    "n": [0.0, 1, 2, 3, 4, 5, 0, 2],
    "share": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    "time": [0.5, 1, 2, 3, 4, 5, 6, 7],
    "yes": [0.0, 1, 0, 1, 1, 0, 0, 1],
    "y": [1.0, 2, 1, -2, 3, 1, 4, 5],
    "grade": [1, 2, 3, 1, 2, 3, 1, 2],
    "x": [1.0, 2, 3, 1, 2, 3, 1, 5],
    "t": [6, 6, 6, 6, 6, 6, 6, 6],
    "g": list("aabbccdd"),
    "k": [1, 2, 1, 2, 1, 2, 1, 2],
    "half": [0.5, 1, 1.5, 2, 0.5, 1, 1.5, 2],
}


def spoiled(column, *places):
    """The table with other values in some rows, counted from 0."""
    values = np.array(GOOD[column], dtype=float)
    for row, value in places:
        values[row] = value
    return GOOD | {column: values}


def refusal(formula, data=GOOD, **options):
    """The sentence with which a fit is refused."""
    with pytest.raises(pp.InputError) as caught:
        pp.fit(formula, data, chains=1, draws=4, warmup=4, seed=1, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence[-1] in ".?"
    return sentence


# ----------------------------------------------------------------------- what may be observed

COUNTS = [name for name, family in FAMILIES.items() if family.needs == "whole numbers from 0"]
POSITIVE = [name for name, family in FAMILIES.items() if family.needs == "numbers above 0"]


def test_the_lists_are_not_empty():
    assert len(COUNTS) == 6
    assert set(POSITIVE) == {"lognormal", "gamma", "exponential", "weibull"}


@pytest.mark.parametrize("family", COUNTS)
@pytest.mark.parametrize("value", [-1.0, 1.5, 1e16])
def test_counts(family, value):
    assert refusal("n ~ x + (1 | g)", spoiled("n", (2, value)), family=family) == (
        f"`{family}` needs whole numbers from 0, but `n` is {value:g} in row 3: "
        "correct or drop it, or choose another family."
    )


@pytest.mark.parametrize("family", POSITIVE)
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_positive_numbers(family, value):
    data = spoiled("time", (0, value), (7, value))
    assert refusal("time ~ x + (1 | g)", data, family=family) == (
        f"`{family}` needs numbers above 0, but `time` is {value:g} in row 1 "
        "(2 rows do not fit: 1, 8): "
        "correct or drop them, or choose another family."
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.2])
def test_shares(value):
    found = refusal("share ~ x + (1 | g)", spoiled("share", (4, value)), family="beta")
    assert found.startswith(
        f"`beta` needs numbers above 0 and below 1, but `share` is {value:g} in row 5:"
    )


@pytest.mark.parametrize("value", [2.0, 0.5, -1.0])
def test_zeros_and_ones(value):
    found = refusal("yes ~ x + (1 | g)", spoiled("yes", (1, value)), family="bernoulli")
    assert found.startswith(f"`bernoulli` needs 0 or 1, but `yes` is {value:g} in row 2:")


def test_many_rows_are_counted_and_the_first_shown():
    data = spoiled("n", *((row, -1) for row in range(1, 8)))
    assert "in row 2 (7 rows do not fit: 2, 3, 4, 5, 6, …)" in refusal(
        "n ~ x", data, family="poisson"
    )


def test_rows_are_those_of_the_table():
    # Row 2 is dropped because x is missing, and row 3 because it has no weight.
    data = spoiled("n", (5, -1)) | {"x": [1, np.nan, *GOOD["x"][2:]]}
    weights = [1, 1, 0, 1, 1, 1, 1, 1]
    found = refusal("n ~ x + (1 | g)", data, family="poisson", weights=weights)
    assert "`n` is -1 in row 6:" in found


def test_rows_that_are_dropped_may_hold_anything():
    data = spoiled("n", (1, -1)) | {"x": [1, np.nan, *GOOD["x"][2:]]}
    pp.fit("n ~ x", data, family="poisson", chains=1, draws=4, warmup=4, seed=1)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "student_t"])
def test_infinite_responses(family):
    found = refusal("n ~ x", spoiled("n", (3, np.inf)), family=family)
    assert found == "the column `n` is infinite in 1 row: correct or drop those rows."


@pytest.mark.parametrize(
    ("formula", "family", "part"),
    [
        ("g ~ x", "poisson", "the response `g` is not a number"),
        ("g ~ x", "bernoulli", "say what counts as 1, as in `{g == "),
        ("{x > 2} ~ x", "poisson", "is true or false: to treat it as the numbers 0 and 1 write"),
        ("t ~ x", "poisson", "the response `t` is 6 in every row: there is nothing to explain"),
        ("t ~ x", "cumulative", "the response `t` is 6 in every row: there is nothing to explain"),
    ],
)
def test_responses_of_another_kind(formula, family, part):
    assert part in refusal(formula, family=family)


def test_ordered_responses():
    assert "`half` is not a whole number in 4 rows (the first is 0.5 in row 1, counted from 1)" in (
        refusal("half ~ x", family="cumulative")
    )
    assert "`g` is text without an order" in refusal("g ~ x", family="cumulative")


def test_grouping_by_fractions():
    found = refusal("n ~ x + (1 | half)", family="poisson")
    assert found.startswith(
        "the grouping column `half` holds fractions in 4 rows (the first is 0.5 in row 1, counted "
        "from 1): group by whole numbers"
    )
    # The row is that of the table, where others are left out.
    first = GOOD | {"x": [np.nan, *GOOD["x"][1:]], "half": [0.5, 1, 2.25, 1, 1, 2, 2, 2]}
    found = refusal("n ~ x + (1 | half)", first, family="poisson")
    assert "fractions in 1 row (the first is 2.25 in row 3, counted from 1)" in found
    assert "in 1 row (the first is 2.25 in row 3" in refusal("half ~ x", first, family="cumulative")


# ----------------------------------------------------------------------------------------- roles


def test_trials():
    formula = "n ~ x + (1 | g)"
    assert refusal(formula, family="binomial") == (
        "`binomial` needs the number of trials of each row: give it as `trials=`."
    )
    trials = [6, 6, 1, 6, 6, 4, 6, 6]
    assert refusal(formula, family="binomial", trials=trials) == (
        "`binomial` needs whole numbers from 0 to `trials`, but `n` is 2, of 1 trials, in row 3 "
        "(2 rows do not fit: 3, 6): "
        "correct or drop them, or choose another family."
    )
    for wrong in (0, -2, 1.5):
        found = refusal(formula, family="binomial", trials=wrong)
        assert found == f"`trials` is {wrong}: give a positive whole number."
    found = refusal(formula, family="binomial", trials=[6, 0, 6, 4.5, 6, 6, 6, 6])
    assert "`trials` is not a positive whole number in 2 rows (the first is 0 in row 2" in found
    assert "no column `tries`" in refusal(formula, family="binomial", trials="tries")


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "binomial"])
def test_trials_of_a_family_without(family):
    response = {"bernoulli": "yes", "beta": "share", "cumulative": "grade"}.get(family, "time")
    found = refusal(f"{response} ~ x", family=family, trials="t")
    assert found == f'`trials` is given, but `{family}` has none: use family="binomial".'


def test_exposure():
    formula = "n ~ x + (1 | g)"
    found = refusal(formula, spoiled("time", (2, 0)), family="poisson", exposure="time")
    assert found.startswith("`exposure` is zero or negative in 1 row (the first is 0 in row 3")
    found = refusal(formula, spoiled("time", (2, -1), (3, -2)), family="poisson", exposure="time")
    assert found.startswith("`exposure` is zero or negative in 2 rows (the first is -1 in row 3")
    found = refusal(formula, family="poisson", exposure=[1.0, 2.0])
    assert found.startswith("`exposure` has 2 values for 8 rows")


@pytest.mark.parametrize(
    ("response", "family", "link"),
    [("y", "gaussian", "identity"), ("yes", "bernoulli", "logit"), ("share", "beta", "logit")],
)
def test_exposure_needs_a_log_link(response, family, link):
    found = refusal(f"{response} ~ x", family=family, exposure="time")
    assert found.startswith(f"`exposure` is given, but the link is {link}: exposure needs a log")


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_weights(family):
    options = {"family": family, "method": "nuts"}
    found = refusal("n ~ x", spoiled("x", (4, -1)), weights="x", **options)
    assert found.startswith("`weights` is negative in 1 row (the first is -1 in row 5")
    found = refusal("n ~ x", weights=np.zeros(8), **options)
    assert found.startswith("`weights` is 0 in every complete row")
    assert refusal("n ~ x", weights="g", **options).startswith("`weights` holds no numbers")


def test_errors_and_the_formula_of_sigma():
    for family in ("poisson", "student_t"):
        found = refusal("n ~ x", family=family, se="time")
        assert found == (
            f"`se` is given, but the family is {family}: "
            "known standard errors belong to the gaussian family."
        )
    for response, family in (("n", "poisson"), ("yes", "bernoulli"), ("grade", "cumulative")):
        assert refusal(f"{response} ~ x", family=family, sigma="~ x") == (
            f"`sigma` has a formula, but the {family} family has no residual sd: "
            "leave it out, or use gaussian, student_t or lognormal."
        )
    assert refusal("y ~ x", se="time", sigma="~ x").startswith("both `se` and a formula of `sigma`")
    assert "`y` stands left of `~`" in refusal("y ~ x", sigma="y ~ x")
    assert "the formula has no `~`" in refusal("y ~ x", sigma="x")
    assert "there is no column `q`" in refusal("y ~ x", sigma="~ q")
    assert "`half` holds fractions" in refusal("y ~ x", sigma="~ (1 | half)")


# ------------------------------------------------------------------------------ family and link


def test_unknown_families():
    assert refusal("n ~ x", family="poison") == "unknown family `poison`: did you mean `poisson`?"
    found = refusal("n ~ x", family="zzz")
    assert all(f"`{name}`" in found for name in FAMILIES)
    assert refusal("n ~ x", family=None).startswith("`family` is None: give its name")
    assert refusal("n ~ x", family=["poisson"]).startswith("`family` is ['poisson']: give its")
    assert refusal("n ~ x", family="x" * 3000).startswith("unknown family `xxx")
    assert len(refusal("n ~ x", family="x" * 3000)) < 600


@pytest.mark.parametrize(
    ("name", "ours"),
    [("normal", "gaussian"), ("Gaussian()", "gaussian"), ("negative_binomial", "negbinomial"),
     ("nb2", "negbinomial"), ("nbinom2", "negbinomial"), ("neg_binomial_2", "negbinomial"),
     ("t", "student_t"), ("student", "student_t"), ("StudentT", "student_t"), ("Gamma", "gamma"),
     ("Gamma(link='log')", "gamma"), ("ZIP", "zero_inflated_poisson"),
     ("ziPoisson", "zero_inflated_poisson"), ("zinb", "zero_inflated_negbinomial"),
     ("zero_inflated_negative_binomial", "zero_inflated_negbinomial"), ("Beta", "beta"),
     ("beta_family", "beta"), ("hurdle_negative_binomial", "hurdle_negbinomial"),
     ("Poisson", "poisson"), ("poisson(link = log)", "poisson"), ("Weibull", "weibull")],
)  # fmt: skip
def test_other_names_of_the_same_family_are_taken(name, ours):
    assert family_of(name) == family_of(ours)


def test_a_family_by_another_name_takes_the_same():
    options = {"se": "time", "draws": 10, "warmup": 50, "seed": 1}
    fits = [pp.fit("y ~ x", GOOD, family=name, **options) for name in ("gaussian", "normal")]
    np.testing.assert_array_equal(fits[0].run.b, fits[1].run.b)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("binary", "bernoulli"), ("ordinal", "cumulative"), ("logit", "bernoulli"),
     ("logistic", "bernoulli"), ("polr", "cumulative"), ("poison", "poisson")],
)  # fmt: skip
def test_names_that_say_something_else_are_answered_with_ours(name, ours):
    found = refusal("n ~ x", family=name)
    assert found == f"unknown family `{name}`: did you mean `{ours}`?"


@pytest.mark.parametrize(
    "name",
    ["beta_binomial", "betabinomial", "skew_normal", "categorical", "multinomial", "tweedie",
     "COMPoisson", "compois", "genpois", "nbinom1", "truncated_poisson", "hurdle_gamma",
     "zero_inflated_beta", "zero_one_inflated_beta", "sratio", "acat", "inverse.gaussian",
     "von_mises", "quasipoisson", "quasibinomial", "dirichlet", "ordbeta", "exgaussian", "wiener",
     "asym_laplace", "zero_inflated_binomial", "mixture", "cox", "gen_extreme_value", "geometric"],
)  # fmt: skip
def test_families_of_others_are_not_there_yet(name):
    with pytest.raises(NotYetError, match=re.escape(f"the family `{name}` is not there yet")) as at:
        family_of(name)
    named = re.findall(r'"(\w+)"', at.value.remedy or "")
    assert all(one in FAMILIES for one in named)  # what comes nearest is there


def test_links():
    assert family_of("binomial(link='probit')")[1] == "probit"
    assert family_of("bernoulli(cloglog)")[1] == "cloglog"
    assert family_of("binomial()", "probit")[1] == "probit"
    found = refusal("grade ~ x", family="cumulative", link="probitt")
    assert found == "`cumulative` has no link `probitt`: did you mean `probit`?"
    assert refusal("y ~ x", link=3) == '`link` is 3: give its name as text, as "probit".'
    found = refusal("yes ~ x", family="bernoulli(probit)", link="logit")
    assert found == "`bernoulli(probit)` and `link` name two links: give one."
    with pytest.raises(NotYetError, match="the link `log` of the family `gaussian` is not there"):
        family_of("gaussian(link='log')")
    with pytest.raises(NotYetError, match=r"link `cauchit` .*choose `logit`, `probit`, `cloglog`"):
        family_of("bernoulli", "cauchit")
    with pytest.raises(InputError, match="`poisson` has no link `logit`: did you mean `log`"):
        family_of("poisson", "logit")


# ---------------------------------------------------------------------------------------- priors


def test_priors_on_parameters_that_are_none():
    found = refusal("y ~ x", priors={"nu": pp.Gamma(2, 0.1)})
    assert found == (
        "a prior is set on `nu`, which is no parameter: the model has "
        "`b`, `b[Intercept]`, `b[x]`, `sigma`."
    )
    found = refusal("n ~ x", family="poisson", priors={"sigma": pp.Exponential(1)})
    assert found.startswith("a prior is set on `sigma`, which is no parameter: the model has `b`")
    found = refusal("y ~ x", sigma="~ x", priors={"sigma": pp.Exponential(1)})
    assert found.endswith("log sigma has a formula: set priors on `b_sigma` instead.")
    found = refusal("y ~ x", se="time", priors={"sigma": pp.Exponential(1)})
    assert "so sigma is not estimated" in found
    ordered = {"family": "cumulative"}
    found = refusal("grade ~ x", priors={"b[Intercept]": pp.Normal(0, 1)}, **ordered)
    assert found.endswith(
        "ordered categories have thresholds in place of an intercept: set it on `threshold` for "
        "all of them, or on `threshold[1]`, `threshold[2]`."
    )
    found = refusal("grade ~ x", priors={"threshold[3]": pp.Normal(0, 1)}, **ordered)
    assert "did you mean `threshold[2]`?" in found
    # Log sigma has its own factors.
    found = refusal("y ~ x", sigma="~ (1 | g)", priors={"sd_g": pp.HalfNormal(1)})
    assert "`sd_sigma_g`" in found


@pytest.mark.parametrize("prior", [pp.Uniform(-1, 1), pp.HalfNormal(1), pp.Exponential(1)])
@pytest.mark.parametrize("name", ["threshold", "threshold[2]"])
def test_thresholds_with_bounds(name, prior):
    with pytest.raises(pp.NotYetError, match=r"on `threshold\[\d\]` has bounds: thresholds take"):
        pp.fit("grade ~ x", GOOD, family="cumulative", priors={name: prior}, seed=1)


def test_lkj_belongs_to_correlations():
    for key, name, family in (
        ("sd_g", "sd_g[Intercept]", "poisson"),
        ("b[x]", "b[x]", "poisson"),
        ("shape", "shape", "negbinomial"),
    ):
        found = refusal("n ~ x + (1 | g)", family=family, priors={key: pp.LKJ(2)})
        assert found == f"LKJ is set on `{name}`: it is a prior of correlations (`cor_…`)."
    found = refusal(
        "n ~ x + (x + time | g)",
        family="poisson",
        priors={"cor_g[Intercept,x]": pp.LKJ(2)},
    )
    assert found.endswith("set it on the whole matrix `cor_g`.")


@pytest.mark.parametrize(
    ("family", "response", "name", "prior"),
    [
        ("negbinomial", "n", "shape", pp.Uniform(-2, -1)),
        ("zero_inflated_poisson", "n", "zi", pp.Uniform(1, 2)),
        ("hurdle_poisson", "n", "hu", pp.Uniform(-2, 0)),
        ("student_t", "y", "nu", pp.Uniform(0, 1)),
        ("beta", "share", "phi", pp.Uniform(-3, 0)),
    ],
)
def test_priors_without_mass_where_the_parameter_lies(family, response, name, prior):
    found = refusal(f"{response} ~ x", family=family, priors={name: prior})
    assert f"on `{name}` has no mass where the parameter can lie" in found


@pytest.mark.parametrize(
    ("family", "formula", "name", "none", "some"),
    [
        ("zero_inflated_poisson", "n ~ x", "zi", pp.Normal(5, 0.1), pp.Normal(2, 0.5)),
        ("hurdle_poisson", "n ~ x", "hu", pp.LogNormal(5, 0.1), pp.LogNormal(2, 1)),
        ("student_t", "y ~ x", "nu", pp.Gamma(2, 100), pp.Gamma(2, 5)),
        ("gaussian", "y ~ x", "sigma", pp.Normal(-8, 1), pp.Normal(-3, 1)),
        ("poisson", "n ~ 1 + (1 | g)", "sd_g[Intercept]", pp.Normal(-8, 1), pp.Normal(-3, 1)),
        ("gaussian", "y ~ x + (x | g)", "cor_g[Intercept,x]", pp.Normal(9, 1), pp.Normal(2, 1)),
    ],
)
def test_priors_with_practically_no_mass_where_the_parameter_lies(
    family, formula, name, none, some
):
    assert refusal(formula, family=family, priors={name: none}) == (
        f"the prior {none} on `{name}` has practically no mass where the parameter can lie: "
        "choose one that has."
    )
    pp.fit(formula, GOOD, family=family, priors={name: some}, chains=1, draws=4, warmup=4, seed=1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("inv_gamma(2, 1)", "did you mean `InverseGamma`?"),
        ("half_normall(1)", "did you mean `HalfNormal`?"),
        ("zzz(1)", f"choose one of {', '.join(f'`{name}`' for name in PRIORS)}."),
    ],
)
def test_unknown_priors(text, part):
    found = refusal("y ~ x", priors={"sigma": text})
    assert found == f"unknown prior `{text.partition('(')[0]}`: {part}"


# ------------------------------------------------------------------------- engines and poolings


@pytest.mark.parametrize("method", ["marginal", "metropolis"])
@pytest.mark.parametrize(
    ("formula", "options", "why"),
    [
        ("n ~ x + (1 | g)", {"family": "poisson"}, "the poisson family is not Gaussian"),
        ("y ~ x + (1 | g)", {"sigma": "~ x"}, "log sigma has a formula of its own"),
    ],
)
def test_engines_that_cannot(method, formula, options, why):
    assert refusal(formula, method=method, **options) == (
        f'method="{method}" cannot sample this model: {why}: leave `method` out, and NUTS will.'
    )


def test_the_walk_takes_one_factor():
    assert refusal("y ~ x + (1 | g) + (1 | k)", method="metropolis") == (
        'method="metropolis" cannot sample this model: there are 2 grouping factors: '
        "leave `method` out, and the marginal engine will."
    )


BOTH = "n ~ x + (1 | g) + (1 | k)"


@pytest.mark.parametrize(
    ("formula", "pooling", "part"),
    [
        (BOTH, {"q": "none"}, "`pooling` names `q`, which is no grouping factor of the formula"),
        (BOTH, {3: "none"}, "`pooling` names `3`, which is no grouping factor of the formula"),
        (BOTH, {"g": "nothing"}, "unknown pooling `nothing`: choose one of `complete`, `none`"),
        (BOTH, {"g": None}, "`pooling` is None: choose one of"),
        (BOTH, {"g": "none", "k": "none"}, "`g` and `k` have no pooling, and at most one factor"),
        (BOTH, "none", 'as in pooling={"g": "none", "k": "partial"}'),
        ("n ~ x", {"g": "none"}, "`pooling` names `g`, which is no grouping factor"),
        ("n ~ x", "none", "the formula has no group term"),
        (BOTH, 3, "`pooling` is 3: choose one of"),
    ],
)
def test_poolings(formula, pooling, part):
    assert part in refusal(formula, family="poisson", pooling=pooling)


def test_pooling_is_about_the_factors_of_the_mean():
    found = refusal("y ~ x + (1 | g)", sigma="~ (1 | k)", pooling={"k": "none"})
    assert found.startswith("`pooling` names `k`, which is no grouping factor of the formula")


# ------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["n ~ x", "--family", "poison"], "unknown family `poison`: did you mean `poisson`?"),
        (
            ["yes ~ x", "--family", "bernoulli", "--link", "log"],
            "the link `log` of the family `bernoulli` is not there",
        ),
        (["y ~ x", "--family", "gamma"], "above 0, but `y` is -2 in row 4"),
        (["n ~ x", "--family", "binomial"], "needs the number of trials of each row"),
        (["n ~ x", "--family", "binomial", "--trials", "3"], "`n` is 4, of 3 trials, in row 5 (2"),
        (
            ["n ~ x", "--trials", "5.5"],
            "`--trials 5.5` is neither a whole number above 0 nor a col",
        ),
        (["n ~ x", "--trials", "-1"], "`--trials -1` is neither a whole number above 0 nor a col"),
        (["n ~ x", "--trials", "0"], "`--trials 0` is neither a whole number above 0 nor a column"),
        (["n ~ x", "--family", "poisson", "--sigma", "~ x"], "has no residual sd"),
        (["n ~ x", "--family", "poisson", "--se", "time"], "known standard errors belong to the"),
        (["y ~ x", "--exposure", "time"], "exposure needs a log link"),
        (["n ~ x", "--family", "poisson", "--prior", "sigma=exponential(1)"], "is no parameter"),
        (
            ["n ~ x", "--family", "poisson", "--method", "marginal"],
            "leave `--method` out, and NUTS",
        ),
        (["n ~ x + (1 | half)", "--family", "poisson"], "`half` holds fractions"),
        ([BOTH, "--family", "poisson", "--pooling", "g=none,k=none"], "at most one factor"),
        (
            ["grade ~ x", "--family", "cumulative", "--prior", "threshold=uniform(-1, 1)"],
            "thresholds take priors over all numbers",
        ),
    ],
)
def test_the_command_line_says_the_same(tmp_path, capsys, arguments, part):
    pd.DataFrame(GOOD).to_csv(tmp_path / "rows.csv", index=False)
    assert cli.main(["fit", str(tmp_path / "rows.csv"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert part in err
