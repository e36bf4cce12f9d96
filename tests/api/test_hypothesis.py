"""Hypotheses: probabilities against draws and closed forms, names of all fits, any text."""

import datetime
import json
import math
import warnings

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from partialpool import cli
from partialpool.draws.posterior import group_parameters, level_labels, population_draws
from partialpool.hypotheses.names import Names
from partialpool.hypotheses.statement import read_statement

RNG = np.random.default_rng(12)
QUICK = {"seed": 1, "chains": 2, "draws": 100, "warmup": 100, "progress": False}
N = 60
ODD = ["a, b", "c]d", "x,Intercept", "é ü", "[1]", "1.5", "$<&%", "a,b", "and", "b[x] > 0"]
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "my x": RNG.normal(size=N),
    "größe": RNG.normal(size=N),
    "z.1": RNG.uniform(1, 2, size=N),
    "arm": np.resize(["T.b", "T, [c]", "d:e"], N),
    "year": np.tile(np.repeat([2011, 2012, 2013], 3), N)[:N],
    "g": np.resize(ODD, N),
    "h": np.resize(np.arange(6), N),
    "day": np.resize([datetime.date(2020, 1, k) for k in (1, 2, 3)], N),
    "count": RNG.poisson(3, size=N),
    "yes": RNG.integers(0, 2, size=N),
    "rating": RNG.integers(1, 4, size=N),
}


def fitted(formula, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pp.fit(formula, DATA, **(QUICK | options))


@pytest.fixture(scope="module")
def fit():
    return fitted("y ~ x + arm:year + `my x` + (x | g)")


@pytest.fixture(scope="module")
def plain():
    return fitted("y ~ x + z.1 + (x | h)", draws=500)


def draws_of(fit, name):
    labels, draws = population_draws(fit.model, fit.run)
    return draws[:, :, labels.index(name)]


# --- Arithmetic, against an evaluation of its own ------------------------------------------------

NAMES = {"b[x]": "x", "b[z.1]": "b_z.1", "sigma": "sigma", "sd_h[x]": "sd_h__x"}
UNARY = {"exp": np.exp, "abs": np.abs, "sqrt": np.sqrt, "log": np.log, "plogis": stats.logistic.cdf}
UNARY |= {"inv_logit": stats.logistic.cdf, "logit": stats.logistic.ppf, "pnorm": stats.norm.cdf}
UNARY |= {"qnorm": stats.norm.ppf, "log1p": np.log1p, "expm1": np.expm1, "log2": np.log2}
# How tightly they bind, as in R.
TIGHT = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "^": 4}


def random_tree(rng, depth):
    kind = rng.integers(0, 10 if depth else 3)
    if kind < 2:
        return ("name", str(rng.choice(list(NAMES))))
    if kind < 3:
        return ("number", float(rng.choice([0.5, 1.0, 2.0, 3.0])))
    if kind < 4:
        return ("neg", random_tree(rng, depth - 1))
    if kind < 5:
        return ("call", str(rng.choice(list(UNARY))), random_tree(rng, depth - 1))
    if kind < 6:
        both = random_tree(rng, depth - 1), random_tree(rng, depth - 1)
        return ("most", str(rng.choice(["min", "max"])), *both)
    if kind < 7:
        return ("^", random_tree(rng, depth - 1), ("number", float(rng.integers(0, 4))))
    operator = str(rng.choice(["+", "-", "*", "/"]))
    return (operator, random_tree(rng, depth - 1), random_tree(rng, depth - 1))


def written(tree, rng):
    """The text of a tree with as few brackets as R needs, and now and then more; how tight."""

    def blank():
        return " " * int(rng.integers(0, 2))

    match tree:
        case ("name", name):
            return (name if rng.random() < 0.7 else NAMES[name]), 9
        case ("number", value):
            return (f"{value:g}" if rng.random() < 0.7 else f"{value:.1e}"), 9
        case ("call", function, inner):
            return f"{function}({blank()}{written(inner, rng)[0]})", 9
        case ("most", function, one, other):
            return f"{function}({written(one, rng)[0]},{blank()}{written(other, rng)[0]})", 9
        case ("neg", inner):
            return f"-{bracketed(inner, rng, TIGHT['neg'])}", TIGHT["neg"]
        case ("^", base, power):
            sign = str(rng.choice(["^", "**"]))
            return f"{bracketed(base, rng, 5)}{sign}{bracketed(power, rng, 5)}", TIGHT["^"]
        case (operator, left, right):
            own = TIGHT[operator]
            sign = f"{blank()}{operator}{blank()}"
            return f"{bracketed(left, rng, own)}{sign}{bracketed(right, rng, own + 1)}", own


def bracketed(tree, rng, least):
    text, tight = written(tree, rng)
    return f"({text})" if tight < least or rng.random() < 0.1 else text


def computed(tree, fit):
    match tree:
        case ("name", name):
            return draws_of(fit, name)
        case ("number", value):
            return np.full(draws_of(fit, "sigma").shape, value)
        case ("neg", inner):
            return -computed(inner, fit)
        case ("call", function, inner):
            return UNARY[function](computed(inner, fit))
        case ("most", function, one, other):
            both = computed(one, fit), computed(other, fit)
            return (np.minimum if function == "min" else np.maximum)(*both)
        case ("^", base, power):
            return computed(base, fit) ** computed(power, fit)
        case (operator, left, right):
            a, b = computed(left, fit), computed(right, fit)
            return {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[operator]


def test_random_arithmetic_is_what_an_evaluation_of_its_own_gives(plain):
    rng = np.random.default_rng(3)
    tried = 0
    for _ in range(150):
        left, right = random_tree(rng, 3), random_tree(rng, 2)
        sign = str(rng.choice(["<", "<=", ">", ">="]))
        text = f"{written(left, rng)[0]} {sign} {written(right, rng)[0]}"
        if "'name'" not in repr((left, right)):
            continue
        with np.errstate(all="ignore"):
            a, b = computed(left, plain), computed(right, plain)
            expected = np.where(np.isfinite(a) & np.isfinite(b), a - b, np.nan)
        expected[~np.isfinite(expected)] = np.nan
        if np.isnan(expected).all():
            with pytest.raises(pp.InputError, match="undefined in all 1,000 draws"):
                plain.hypothesis(text)
            continue
        found = plain.hypothesis(text)
        np.testing.assert_allclose(
            found.draws.values[:, :, 0], expected, rtol=1e-8, atol=1e-10, err_msg=text
        )
        row, own = found.table.iloc[0], expected[~np.isnan(expected)]
        clear = np.abs(own) > 1e-9  # of others, rounding decides
        holds = {"<": own < 0, "<=": own <= 0, ">": own > 0, ">=": own >= 0}[sign]
        if clear.all():
            assert row["probability"] == np.mean(holds)
        assert row["mean"] == pytest.approx(own.mean(), rel=1e-9, abs=1e-12)
        ends = np.quantile(own, [0.025, 0.975])
        np.testing.assert_allclose(row[["lower", "upper"]].astype(float), ends, rtol=1e-6)
        assert row["undefined"] == np.isnan(expected).sum()
        tried += 1
    assert tried > 90


def test_joined_comparisons_hold_where_all_do(plain):
    x, sigma = draws_of(plain, "b[x]"), draws_of(plain, "sigma")
    cases = {
        "-0.1 < b[x] < 0.2": (x > -0.1) & (x < 0.2),
        "b[x] > 0 and sigma < 1": (x > 0) & (sigma < 1),
        "(b[x] > 0) & (0.9 < sigma <= 1.1)": (x > 0) & (sigma > 0.9) & (sigma <= 1.1),
        "((x>0 and sigma>0)and(x<0.1))": (x > 0) & (x < 0.1),
        "1 > sigma > x > 0": (sigma < 1) & (x < sigma) & (x > 0),
    }
    found = plain.hypothesis(*cases)
    for k, (text, holds) in enumerate(cases.items()):
        assert found.table["probability"].iloc[k] == np.mean(holds), text
        assert np.array_equal(found.draws.values[:, :, k] > 0, holds), text
    assert found.table["mean"].isna().all()
    assert "there is no one difference" in repr(found)


# --- Closed forms --------------------------------------------------------------------------------


def test_probabilities_of_normal_posteriors():
    """With known errors and normal priors the posterior of b is normal."""
    x = np.linspace(-1, 1, 20)
    data = {"y": 0.3 + 0.4 * x + RNG.normal(size=20), "x": x}
    priors = {"b[Intercept]": "normal(0, 2)", "b[x]": "normal(0, 1)"}
    fit = pp.fit("y ~ x", data, se=1.0, priors=priors, seed=3, draws=5000, progress=False)
    X = np.column_stack([np.ones(20), x])
    covariance = np.linalg.inv(X.T @ X + np.diag([1 / 4, 1.0]))
    mean = covariance @ X.T @ data["y"]
    weights = {"b[x] > 0.3": ([0, 1], 0.3), "2*b[Intercept] - b[x] > 0.1": ([2, -1], 0.1)}
    weights |= {"b[x] > 2": ([0, 1], 2.0), "b[Intercept] > b[x]": ([1, -1], 0.0)}
    for text, (a, bound) in weights.items():
        a = np.array(a)
        own = stats.norm(a @ mean - bound, math.sqrt(a @ covariance @ a))
        row = fit.hypothesis(text).table.iloc[0]
        p = own.sf(0)
        assert abs(row["probability"] - p) < 5 * max(row["mcse"], 1e-4), text
        # The error that it tells is that of independent draws.
        assert row["mcse"] == pytest.approx(math.sqrt(p * (1 - p) / 20_000), rel=0.3, abs=1e-4)
        assert row["mean"] == pytest.approx(own.mean(), abs=5 * own.std() / math.sqrt(20_000))
        assert row["lower"] == pytest.approx(own.ppf(0.025), abs=0.06 * own.std())


def test_errors_of_probabilities_allow_for_walks():
    """A random walk has fewer effective draws, and its probabilities larger errors."""
    fit = fitted("y ~ x + (1 | h)", method="metropolis", draws=2000, warmup=500)
    row = fit.hypothesis("b[x] > 0").table.iloc[0]
    p = row["probability"]
    assert row["mcse"] > 2 * math.sqrt(p * (1 - p) / 4000)
    assert row["ess"] < 1000
    codes = {one.code for one in fit.hypothesis("b[x] > 0").findings}
    assert "ess" in codes or row["ess"] >= 400
    bound = fit.hypothesis("sigma > 0").table.iloc[0]
    assert bound["probability"] == 1
    assert bound["mcse"] == pytest.approx(1 / bound["ess"])


def test_what_all_draws_agree_on_is_not_certain(plain):
    found = plain.hypothesis("sigma > 0", "sigma < 0")
    ess = found.table["ess"].iloc[0]
    least = 1 - 3 / min(ess, 1000)
    always, never = repr(found).splitlines()[4:6]
    shown = float(always.split(">")[2].split()[0])
    assert least - 0.001 < shown <= least
    assert "1.000" not in always
    assert "< 0.00" in never
    assert (found.table["mcse"] > 0).all()
    assert found.table["odds"].tolist() == [math.inf, 0.0]
    json.dumps(found.to_dict(), allow_nan=False)


# --- Names ---------------------------------------------------------------------------------------

MODELS = {
    "levels with brackets and commas": ("y ~ x + (x | g)", {}),
    "interactions": ("y ~ arm * year + `my x` + größe + z.1", {}),
    "transforms": ("y ~ log(z.1) + I(x^2) + C(arm) + (1 | h)", {}),
    "crossed": ("y ~ x + (x || g) + (1 | h)", {}),
    "combinations": ("y ~ x + (1 | g:h)", {}),
    "dates": ("y ~ x + (1 + x | day)", {}),
    "sigma": ("y ~ x + (1 | h)", {"sigma": "~ x + (x | g)"}),
    "no pooling": ("y ~ x + (1 | h)", {"pooling": "none"}),
    "complete pooling": ("y ~ x + (1 | h)", {"pooling": "complete"}),
    "counts": ("count ~ x + (1 | h)", {"family": "zero_inflated_negbinomial"}),
    "yes or no": ("yes ~ x + (x | h)", {"family": "bernoulli"}),
    "ordered": ("rating ~ x + (1 | h)", {"family": "cumulative"}),
    "heavy tails": ("y ~ x + (1 | day)", {"family": "student_t"}),
}


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_is_found_by_its_name(model):
    formula, options = MODELS[model]
    fit = fitted(formula, **(options | {"draws": 20, "warmup": 50}))
    labels, draws = population_draws(fit.model, fit.run)
    expected = dict(zip(labels, np.moveaxis(draws, 2, 0), strict=True))
    for kind, k in group_parameters(fit.model).values():
        group = fit.model.groups[k]
        every = np.concatenate(list(fit._some(k, kind)), axis=2)
        own = every.reshape(*every.shape[:2], -1)
        expected |= dict(zip(level_labels(group, kind), np.moveaxis(own, 2, 0), strict=True))
    names = [name for name, own in expected.items() if np.isfinite(own).all()]
    assert len(names) > 2
    for start in range(0, len(names), 40):
        some = names[start : start + 40]
        found = fit.hypothesis(*(f"({name})/2 <= 1e9" for name in some))
        for k, name in enumerate(some):
            assert found.table.index[k] == f"({name})/2 <= 1e9"
            np.testing.assert_allclose(
                2 * (found.draws.values[:, :, k] + 1e9), expected[name], atol=1e-6, err_msg=name
            )


def test_names_of_other_packages_and_columns_alone(fit, plain):
    same = {
        "x": "b[x]",
        "b_x": "b[x]",
        "b[ x ]": "b[x]",
        "`my x`": None,
        "Intercept": "b[Intercept]",
        "b_Intercept": "b[Intercept]",
        "sd_g__x": "sd_g[x]",
        "cor_g__Intercept__x": "cor_g[Intercept,x]",
        "cor_g[x, Intercept]": "cor_g[Intercept,x]",
        "cor_g": "cor_g[Intercept,x]",
        "arm[T.b]:year": "b[arm[T.b]:year]",
        "b[my x]": "b[my x]",
        "`b[my x]`": "b[my x]",
        "coef_g[a, b,x]": None,
        "z.1": "b[z.1]",
        "coef_h[3,x]": "coef_h[3,x]",
        "r_h[ 3 , x]": "r_h[3,x]",
    }
    for written_so, full in same.items():
        own = plain if written_so in ("z.1", "coef_h[3,x]", "r_h[ 3 , x]") else fit
        if full is None:
            continue
        assert own.hypothesis(f"{written_so} > 0").table.index[0] == f"{full} > 0"


def test_the_longest_name_is_meant():
    data = {"y": DATA["y"], "g": DATA["h"], "g x": np.resize(np.arange(5), N), "a": DATA["x"]}
    data["a:b"] = DATA["größe"]
    fit = pp.fit("y ~ a + `a:b` + (1 | g) + (1 | `g x`)", data, **QUICK)
    cases = {"sd_g x[Intercept] > 0": "sd_g x[Intercept]", "sd_g > 0": "sd_g[Intercept]"}
    cases |= {"a:b > 0": "b[a:b]", "a > 0": "b[a]", "coef_g x[3] > 0": "coef_g x[3,Intercept]"}
    for text, name in cases.items():
        assert fit.hypothesis(text).table.index[0] == f"{name} > 0"


def test_few_draws_are_enough_for_an_answer():
    fit = fitted("y ~ x + (1 | h)", chains=1, draws=3, warmup=20)
    found = fit.hypothesis("sigma > 0", "b[x] > 0", "b[x]", "sigma = 0", rope=1)
    assert "> 0.0" in repr(found)
    assert found.draws.shape == (1, 3, 4)
    json.dumps(found.to_dict(), allow_nan=False)


def test_names_that_may_be_several_things_are_refused():
    data = DATA | {"exp(x)": RNG.normal(size=N), "sigma_x": DATA["z.1"]}
    fit = pp.fit("y ~ x + `exp(x)` + sigma_x", data, sigma="~ x", **QUICK)
    with pytest.raises(pp.InputError, match=r"`exp\(x\)` is the name of a column.*`b\[exp\(x\)\]`"):
        fit.hypothesis("exp(x) > 0")
    assert fit.hypothesis("exp(b[x]) > 0").table["probability"].iloc[0] == 1
    assert fit.hypothesis("b[exp(x)] > 0").draws.shape == (2, 100, 1)
    with pytest.raises(pp.InputError, match=r"may be `b.*sigma.*x\]` or `b.*at character 1\)"):
        fit.hypothesis("sigma_x > 0")
    # Levels `a, b` and `a,b`, each of which is found as it stands.
    with pytest.raises(pp.InputError, match=r"may be `coef_g.a, b,x.` or `coef_g.a,b,x.`"):
        fitted("y ~ x + (x | g)").hypothesis("coef_g[a , b,x] > 0")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b[xx] > 0", "no parameter `b[xx]` (at character 1): did you mean `b[x]`?"),
        ("1 + coef_h[9,x] > 0", "`9` is no level of `h` (at character 5): choose one of"),
        ("coef_h[3,y] > 0", "`y` is no coefficient of the levels of `h` (at character 1)"),
        ("coef_h > 0", "`coef_h` names no level and term (at character 1): write it like `coef_h["),
        ("coef_h[3] > 0", "names no level and term"),
        ("sd_h > 0", "`sd_h` is several parameters (at character 1): name one, such as `sd_h[Int"),
        ("b[x] >", "something is missing after `>` (at character 6, `>`)"),
        ("> b[x]", "something is missing before `>` (at character 1, `>`)"),
        ("b[x] 2 > 0", "an operator is missing between `b[x]` and `2` (at character 6, `2`)"),
        ("(b[x]) (2)", "an operator is missing between `)` and `(` (at character 8, `(`)"),
        ("exp(b[x], 2) > 0", "`exp` takes one number, and 2 are given (at character 1, `exp`)"),
        ("max(b[x]) > 0", "`max` takes two numbers or more, and 1 is given"),
        ("exp() > b[x]", "`exp` takes one number, and none are given"),
        ("1 < 2", "`1 < 2` names no parameter (at character 1)"),
        ("b[x] > 0 or sigma > 1", "`or` joins or turns comparisons"),
        ("b[x] > 0 | sigma > 1", "`|` joins or turns comparisons"),
        ("not (b[x] > 0)", "`not` joins or turns comparisons"),
        ("b[x] != 0", "that two numbers differ is always true of draws (at character 6, `!`)"),
        ("b[x] =< 0", "a sign is turned (at character 6): write `<=` or `>=`"),
        ("0 < b[x] > -1", "point in different directions (at character 10, `>`)"),
        ("b[x] + (sigma > 1)", "`>` stands inside brackets that are part of arithmetic"),
        ("b[x] and sigma > 1", "what is joined by `and` compares nothing (at character 1"),
        ("b[x] > 0 and", "something is missing beside `and`"),
        ("b[x] = 0 and sigma > 1", "`=` stands beside other comparisons (at character 6"),
        ("import os", "no parameter `import` (at character 1)"),
        ("__import__('os')", "there is no function `__import__` (at character 1)"),
        ("b[x].__class__", "at character 5"),
        ("b[x]; 1", "`;` has no meaning in a hypothesis (at character 5, `;`)"),
        ("2x > 0", "this is no number (at character 1, `2`)"),
        ("", "a hypothesis is empty (at character 1)"),
        ("(" * 10_000, "more than 2000 characters"),
        ("(" * 150 + "b[x]", "nested too deeply"),
        ("-" * 150 + "b[x]", "nested too deeply"),
        ("b[x]" + "+1" * 150, "more than 200 parts"),
        ("`b[x", "a backtick is not closed (at character 1)"),
        (3, 'a hypothesis is 3: write it as text: "b[x] > 0"'),
        (["b[x] > 0"], "a hypothesis is ['b[x] > 0']"),
        ("log(-sigma)", "is undefined in all 1,000 draws"),
    ],
)
def test_what_has_no_meaning_is_an_error_that_says_where(plain, text, words):
    with pytest.raises(pp.InputError) as raised:
        plain.hypothesis(text)
    assert words in str(raised.value)


PIECES = ["b[x]", "x", "sigma", "coef_h[3,x]", "sd_h", "(", ")", "+", "-", "*", "/", "^", "<", ">"]
PIECES += ["=", "<=", "and", "or", "exp(", "max(", ",", "1", "0.5", ".", "`", "[", "]", "{", "'"]
PIECES += ["é", "\0", "\n", " ", "b[", "not", "&&", "1e", "__", "%", "∞", "²", "Ⅳ", "٣", "\u2028"]


def test_any_text_is_read_or_refused_with_its_place(plain):
    rng = np.random.default_rng(4)
    labels, _ = population_draws(plain.model, plain.run)
    names = Names(labels, plain.model, group_parameters(plain.model))
    read = 0
    for _ in range(6000):
        text = "".join(rng.choice(PIECES, size=rng.integers(1, 14)))
        try:
            statement = read_statement(text, names)
        except pp.InputError as error:
            said = str(error)
        else:
            read += 1
            said = "at character" * bool(statement.parameters)
        assert "at character" in said, text
    assert read > 50


# --- Undefined draws, regions, equalities --------------------------------------------------------


def test_undefined_draws_are_counted_and_left_out(plain):
    x = draws_of(plain, "b[x]")
    bad = x <= 0
    assert 0 < bad.sum() < bad.size
    found = plain.hypothesis("log(b[x]) < -3", "b[x] > 0")
    row = found.table.iloc[0]
    assert row["undefined"] == bad.sum()
    assert row["probability"] == np.mean(np.log(x[~bad]) < -3)
    (finding,) = (one for one in found.findings if one.code == "undefined-draws")
    assert f"undefined in {bad.sum()} of 1,000 draws" in finding.message
    assert not plain.hypothesis("b[x] > 0").findings
    # Also where another of several comparisons holds without doubt.
    with pytest.raises(pp.InputError, match="undefined in all 1,000 draws"):
        plain.hypothesis("exp(1000) > b[x] and sigma > 0")
    joined = plain.hypothesis("log(b[x]) < 9 and sigma > 0").table.iloc[0]
    assert (joined["undefined"], joined["probability"]) == (bad.sum(), 1)


def test_levels_that_are_not_estimable_are_said_to_be():
    data = {"y": RNG.normal(size=9), "x": [0, 1, 2, 0, 1, 2, 1, 1, 1.5], "g": list("aaabbbccd")}
    fit = pp.fit("y ~ x + (x | g)", data, pooling="none", **QUICK)
    assert len(fit.hypothesis("coef_g[a,x] > 0").table) == 1
    flat = {"coef_g": pp.Flat()} if hasattr(pp, "Flat") else None
    if flat:
        fit = pp.fit("y ~ x + (x | g)", data, pooling="none", priors=flat, **QUICK)
        with pytest.raises(pp.InputError, match=r"`coef_g.d,x.` is not estimable"):
            fit.hypothesis("coef_g[d,x] > 0")


def test_regions_are_judged_by_the_interval(plain):
    x = draws_of(plain, "b[x]").ravel()
    low, high = np.quantile(x, [0.025, 0.975])
    for rope, verdict in {
        (low - 0.01, high + 0.01): "practically equal",
        (low + 0.01, high + 0.01): "undecided",
        (high + 0.01, high + 1): "different",
        (low - 1, low - 0.01): "different",
    }.items():
        row = plain.hypothesis("b[x] > 0", rope=rope).table.iloc[0]
        assert row["verdict"] == verdict
        assert row["inside"] == np.mean((x >= rope[0]) & (x <= rope[1]))
    narrow = plain.hypothesis("b[x] > 0", rope=(low + 0.01, high + 0.01), interval=0.5)
    assert narrow.table["verdict"].iloc[0] == "practically equal"
    assert narrow.table["lower"].iloc[0] == pytest.approx(np.quantile(x, 0.25))
    assert plain.hypothesis("b[x]", rope=9).table["verdict"].iloc[0] == "inside"
    assert "in rope: share of draws" in repr(narrow)
    for bad in (0, -1, "a", (1, 0), (1, 1), (1, 2, 3), True, math.nan, [None, 1], {}):
        with pytest.raises(pp.InputError, match="`rope` is"):
            plain.hypothesis("b[x] > 0", rope=bad)
    with pytest.raises(pp.InputError, match="`interval` is 1"):
        plain.hypothesis("b[x] > 0", interval=1)
    with pytest.raises(pp.InputError, match="there is no hypothesis"):
        plain.hypothesis()


def test_equalities_say_what_they_honestly_can(plain):
    x = draws_of(plain, "b[x]").ravel()
    found = plain.hypothesis("b[x] = 0")
    assert math.isnan(found.table["probability"].iloc[0]) if "probability" in found.table else True
    share = max(np.mean(x > 0), np.mean(x < 0))
    text = " ".join(repr(found).split())
    assert "no single value has a probability of its own. 0 is inside the 95% interval" in text
    assert f"{'above' if np.mean(x > 0) >= 0.5 else 'below'} 0 with probability {share:.3g}" in text
    assert "Ask with `rope=` whether it is near 0." in text
    far = " ".join(repr(plain.hypothesis("sigma == 0", rope=0.1)).split())
    assert "0 is outside the 95% interval of the difference, which is above 0" in far
    assert "probability more than 0.99" in far
    assert "Ask with" not in far


def test_answers_are_shown_escaped_and_are_the_same_from_a_file(fit, tmp_path):
    text = "coef_g[$<&%,x] > b[x]"
    found = fit.hypothesis(text, "exp(b[x])")
    assert "coef_g[$&lt;&amp;%,x] &gt; b[x]" in found._repr_html_()
    fit.save(tmp_path / "fit.nc", rows=False)
    again = pp.load(tmp_path / "fit.nc").hypothesis(text, "exp(b[x])")
    assert repr(again) == repr(found)
    assert np.array_equal(again.draws, found.draws)


def test_many_levels_cost_only_those_that_are_named():
    n = 4000
    data = {"y": RNG.normal(size=n), "g": [f"level {k}" for k in range(n)]}
    fit = pp.fit("y ~ 1 + (1 | g)", data, se=1.0, **(QUICK | {"draws": 50}))
    found = fit.hypothesis("coef_g[level 3999,Intercept] > coef_g[level 7]")
    assert found.table.index[0] == "coef_g[level 3999,Intercept] > coef_g[level 7,Intercept]"
    own = fit.group_draws(["level 3999", "level 7"]).values[..., 0]
    np.testing.assert_allclose(found.draws.values[..., 0], own[..., 0] - own[..., 1])


def test_the_command(plain, tmp_path, capsys):
    path = str(tmp_path / "fit.nc")
    plain.save(path)
    assert cli.main(["hypothesis", path, "-b[x] > 0", "sigma < 1", "--rope=-0.1,0.2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("y ~ x + z.1 + (x | h)")
    assert "-b[x] > 0" in out
    assert "in rope" in out
    assert cli.main(["hypothesis", path, "b[x] > 0", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["hypotheses"]
    assert row["probability"] == plain.hypothesis("b[x] > 0").table["probability"].iloc[0]
    for wrong in (["b[q] > 0"], ["x > 0", "--rope", "a"], ["x > 0", "--interval", "3"], []):
        assert cli.main(["hypothesis", path, *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
