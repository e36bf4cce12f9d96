"""Offsets, trials, errors, weights and exposures that a formula gives, as in lme4 and brms."""

import numpy as np
import pytest

import partialpool as pp
from partialpool import cli
from partialpool.errors import InputError, NotYetError

RNG = np.random.default_rng(11)
N = 60
SIZE = RNG.integers(4, 12, N)
K = RNG.binomial(SIZE, 0.4)
DATA = {
    "k": K,
    "n": SIZE,
    "fail": SIZE - K,
    "share": K / SIZE,
    "c": RNG.poisson(4, N),
    "e": RNG.gamma(5, 1, N) + 0.1,
    "z": RNG.normal(size=N),
    "s": RNG.gamma(5, 0.2, N),
    "w": RNG.integers(1, 4, N),
    "y": RNG.normal(size=N),
    "yes": RNG.integers(0, 2, N),
    "x": RNG.normal(size=N),
    "g": RNG.permutation(np.arange(N) % 6),
}
RUN = {"seed": 3, "chains": 2, "draws": 60, "warmup": 60, "progress": False}
BINOMIAL = {"family": "binomial"}
POISSON = {"family": "poisson"}

# What a formula says → the same by options.
SAME = {
    "c ~ x + offset(log(e)) + (1 | g)": (POISSON, "c ~ x + (1 | g)", {"exposure": "e"}),
    "c ~ offset(log(e)) + x": (POISSON, "c ~ x", {"exposure": "e"}),
    "c ~ x + offset(z) + offset(log(e))": (POISSON, "c ~ x", {"exposure": "e", "offset": "z"}),
    "c | rate(e) ~ x": (POISSON, "c ~ x", {"exposure": "e"}),
    "y ~ x + offset(2 * z)": ({}, "y ~ x", {"offset": 2 * DATA["z"]}),
    "cbind(k, n - k) ~ x + (1 | g)": (BINOMIAL, "k ~ x + (1 | g)", {"trials": "n"}),
    "cbind(k, fail) ~ x": (BINOMIAL, "k ~ x", {"trials": "n"}),
    "k | trials(n) ~ x": (BINOMIAL, "k ~ x", {"trials": "n"}),
    "k | trials(k + fail) ~ x": (BINOMIAL, "k ~ x", {"trials": "n"}),
    "k | trials(12) ~ x": (BINOMIAL, "k ~ x", {"trials": 12}),
    "k | resp_trials(n) + weights(w) ~ x": (BINOMIAL, "k ~ x", {"trials": "n", "weights": "w"}),
    "prop(k, n) ~ x": (BINOMIAL, "k ~ x", {"trials": "n"}),
    "p(k, 12) ~ x": (BINOMIAL, "k ~ x", {"trials": 12}),
    "y | se(s) ~ x + (1 | g)": ({}, "y ~ x + (1 | g)", {"se": "s"}),
    "y | se(sqrt(s)) ~ x": ({}, "y ~ x", {"se": np.sqrt(DATA["s"])}),
    "y | se(0.5) ~ x": ({}, "y ~ x", {"se": 0.5}),
    "c | weights(w) ~ x": (POISSON, "c ~ x", {"weights": "w"}),
    "-y / 2 ~ x": ({}, "{-y / 2} ~ x", {}),
    "log(e) ~ x": ({}, "{log(e)} ~ x", {}),
    "yes == 1 ~ x": ({"family": "bernoulli"}, "yes ~ x", {}),
}


@pytest.mark.parametrize("formula", SAME)
def test_a_formula_says_what_options_say(formula):
    family, plain, options = SAME[formula]
    one = pp.fit(formula, DATA, **family, **RUN)
    other = pp.fit(plain, DATA, **family, **options, **RUN)
    assert np.allclose(one.summary()["mean"], other.summary()["mean"], rtol=1e-9)


@pytest.mark.parametrize(
    "formula", ["k/n ~ x + (1 | g)", "share ~ x + (1 | g)", "I(k / n) ~ x + (1 | g)"]
)
def test_weights_of_shares_are_trials_as_in_r(formula, tmp_path):
    one = pp.fit(formula, DATA, family="binomial", weights="n", **RUN)
    other = pp.fit("k ~ x + (1 | g)", DATA, family="binomial", trials="n", **RUN)
    assert np.array_equal(one.summary()["mean"], other.summary()["mean"])
    one.save(tmp_path / "fit.nc")
    loaded = pp.load(tmp_path / "fit.nc")
    for fit in (one, loaded):
        assert fit.loo().elpd == pytest.approx(other.loo().elpd)
        new = {"x": [0.0, 1.0], "g": [1, 2], "n": [10, 20]}
        assert np.allclose(fit.predict(new)["mean"], other.predict(new)["mean"])


def test_shares_that_are_none_or_not_of_these_trials():
    def refused(words, formula="share ~ x", **options):
        with pytest.raises(InputError, match=words):
            pp.fit(formula, {**DATA, **options}, family="binomial", weights="n", **RUN)

    refused("is no share of trials in .*: give counts of successes with `trials=`", formula="k ~ x")
    refused("times its trials is no whole number", share=DATA["share"] * 0.97)
    with pytest.raises(InputError, match="give the column below the line as `weights=`"):
        pp.fit("k/n ~ x", DATA, family="binomial", **RUN)


def test_binomial_without_trials_is_one_trial_a_row_as_in_r():
    one = pp.fit("yes ~ x", DATA, family="binomial", **RUN)
    other = pp.fit("yes ~ x", DATA, family="bernoulli", **RUN)
    assert np.array_equal(one.summary()["mean"], other.summary()["mean"])
    assert "bernoulli family" in repr(one)
    condition = pp.fit("I(yes == 1) ~ x", DATA, family="binomial", **RUN)
    assert np.array_equal(condition.summary()["mean"], other.summary()["mean"])
    with pytest.raises(InputError, match="needs the number of trials of each row"):
        pp.fit("k ~ x", DATA, family="binomial", **RUN)


def test_predictions_need_the_columns_of_an_offset(tmp_path):
    fit = pp.fit("c ~ x + offset(log(e)) + (1 | g)", DATA, **POISSON, **RUN)
    fit.save(tmp_path / "fit.nc")
    for one in (fit, pp.load(tmp_path / "fit.nc")):
        new = {"x": [0.5, 0.5], "g": [1, 1], "e": [1.0, 10.0]}
        low, high = one.predict(new)["mean"]
        assert high / low == pytest.approx(10)
        with pytest.raises(InputError, match=r"the fit used `log\(e\)` as `offset`, which is not"):
            one.predict({"x": [0.5], "g": [1]})
        assert one.predict({"x": [0.5], "g": [1]}, offset=0)["mean"][0] == pytest.approx(low)
        assert len(one.effects("x")) > 0
        assert np.isfinite(one.loo().elpd)
        assert one.kfold(3).elpd < 0
    with pytest.raises(InputError, match=r"`offset\(log\(e\)\)` is not a finite number in 1 row"):
        pp.fit("c ~ offset(log(e)) + x", {**DATA, "e": [0.0, *DATA["e"][1:]]}, **POISSON, **RUN)


def test_rows_where_an_offset_is_missing_are_dropped():
    e = DATA["e"].copy()
    e[3] = np.nan
    fit = pp.fit("c ~ x + offset(log(e))", {**DATA, "e": e}, **POISSON, **RUN)
    assert next(one.code for one in fit.findings) == "dropped-rows"


def test_an_offset_keeps_what_it_learned():
    fit = pp.fit("y ~ x + offset(z - mean(z))", DATA, **RUN)
    a, b = fit.predict({"x": [0.0, 0.0], "z": [1.0, 2.0]})["mean"]
    assert b - a == pytest.approx(1)
    one = fit.predict({"x": [0.0], "z": [1.0]})["mean"][0]
    assert one == pytest.approx(a)


def test_an_offset_option_and_offsets_of_the_formula_add_up():
    both = pp.fit("c ~ x + offset(z)", DATA, offset=np.log(DATA["e"]), **POISSON, **RUN)
    other = pp.fit("c ~ x + offset(z)", DATA, exposure="e", **POISSON, **RUN)
    assert np.allclose(both.summary()["mean"], other.summary()["mean"])
    with pytest.raises(InputError, match="the fit used `offset`"):
        both.predict({"x": [0.0], "z": [1.0]})
    named = pp.fit("y ~ x + offset(z)", DATA, offset="s", **RUN)
    a, b = named.predict({"x": [0.0, 0.0], "z": [0.0, 1.0], "s": [0.0, 2.0]})["mean"]
    assert b - a == pytest.approx(3)


REFUSED = {
    "cbind(k, fail) ~ x": ({}, InputError, r"`cbind\(k, fail\)` counts successes .* is gaussian"),
    "k | trials(n) ~ x": ({}, InputError, "`trials` is given, but `gaussian` has none"),
    "c | rate(e) ~ x": ({}, InputError, "`exposure` is given, but the link is identity"),
    "y | weights(w) ~ x": ({}, NotYetError, "repeat the rows or, for precision weights"),
    "c | se(s) ~ x": (POISSON, InputError, "known standard errors belong to the gaussian"),
    "k | trials(x) ~ z": (BINOMIAL, InputError, "`trials` is not a positive whole number"),
    "y | se(z) ~ x": ({}, InputError, "`se` is zero or negative"),
    "pi ~ x": ({}, InputError, "no column `pi`"),
}


@pytest.mark.parametrize("formula", REFUSED)
def test_roles_that_do_not_fit(formula):
    options, kind, words = REFUSED[formula]
    with pytest.raises(kind, match=words):
        pp.fit(formula, DATA, **options, **RUN)


def test_a_role_is_given_once():
    with pytest.raises(InputError, match="`trials` is given in the formula and as an option"):
        pp.fit("k | trials(n) ~ x", DATA, family="binomial", trials="n", **RUN)
    with pytest.raises(InputError, match="in the formula of a further parameter"):
        pp.fit("y ~ x", DATA, sigma="~ x + offset(z)", **RUN)


def test_a_column_called_pi():
    data = {**DATA, "pi": DATA["x"]}
    with pytest.raises(InputError, match="`pi` is a column of the table and a number"):
        pp.fit("y ~ sin(pi * z)", data, **RUN)
    plain = pp.fit("y ~ I(pi * z)", DATA, method="reml").summary()["estimate"].iloc[1]
    assert pp.fit("y ~ z", DATA, method="reml").summary()["estimate"].iloc[1] == pytest.approx(
        plain * np.pi
    )
    own = pp.fit("y ~ pi", data, method="reml").summary()["estimate"]
    assert own["b[pi]"] == pytest.approx(
        pp.fit("y ~ x", DATA, method="reml").summary()["estimate"]["b[x]"]
    )


def test_on_the_command_line(tmp_path, capsys):
    import pandas as pd

    path, out = tmp_path / "d.csv", tmp_path / "fit.nc"
    pd.DataFrame(DATA).to_csv(path, index=False)
    quick = ["--seed", "3", "--chains", "1", "--draws", "30", "--warmup", "30"]
    formula = "cbind(k, n - k) ~ factor(w) + I(x^2) + offset(log(e)) + (1 | g)"
    command = ["fit", str(path), formula, "--family", "binomial", "--out", str(out), *quick]
    assert cli.main(command) in (0, 1)
    shown = capsys.readouterr().out
    assert "b[I(x^2)]" in shown
    assert "b[factor(w)[T.2]]" in shown
    assert cli.main(["predict", str(out), str(path)]) == 0
    assert f"interval of {N} rows" in capsys.readouterr().out
    assert cli.main(["fit", str(path), "y ~ 1/x", *quick]) == 2
    assert "write `I(1 / x)`" in capsys.readouterr().err
