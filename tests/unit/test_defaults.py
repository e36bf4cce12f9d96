"""The default priors' numbers, and how a user's priors take their place."""

import numpy as np
import pytest
from msgspec.structs import astuple

import partialpool as pp
from partialpool.priors import NormalAtMean

RNG = np.random.default_rng(3)
N = 30
DATA = {
    "y": 5 + 2 * RNG.normal(size=N),
    "x": 100 + 7 * RNG.normal(size=N),
    "z": 0.01 * RNG.normal(size=N),
    "kind": np.resize(["a", "b", "c"], N),
    "g": np.resize([1, 2, 3, 4, 5, 6], N),
}
S_Y, MEAN_Y = DATA["y"].std(ddof=1), DATA["y"].mean()
S_X, S_Z = DATA["x"].std(ddof=1), DATA["z"].std(ddof=1)


def numbers(prior):
    return list(astuple(prior))


def resolved(formula, priors=None, **options):
    """Every prior of a fit."""
    return pp.fit(formula, DATA, priors=priors, draws=4, warmup=4, chains=1, **options).priors


def test_numbers():
    priors = pp.default_priors("y ~ x + z + (x + z | g)", DATA)
    expected = {
        "b[Intercept]": (NormalAtMean, [MEAN_Y, 2.5 * S_Y]),
        "b[x]": (pp.Normal, [0, 2.5 * S_Y / S_X]),
        "b[z]": (pp.Normal, [0, 2.5 * S_Y / S_Z]),
        "sd_g[Intercept]": (pp.ExponentialAtMean, [1 / S_Y]),
        "sd_g[x]": (pp.ExponentialAtMean, [S_X / S_Y]),
        "sd_g[z]": (pp.ExponentialAtMean, [S_Z / S_Y]),
        "cor_g": (pp.LKJAtMean, [2]),
        "sigma": (pp.Exponential, [1 / S_Y]),
    }
    assert list(priors) == list(expected)
    for name, (kind, values) in expected.items():
        assert type(priors[name]) is kind
        # Rounding of sums of 30 numbers.
        assert numbers(priors[name]) == pytest.approx(values, rel=1e-12)


def test_the_columns_of_a_factor_have_a_joint_prior():
    # Fitted contributions of all three kinds alike: differences have twice their variance, and a
    # contribution of sd 1 to balanced rows has one of 2 · 3/2 in each difference.
    priors = pp.default_priors("y ~ kind + (kind || g)", DATA)
    size = np.sqrt(2 * 3 * (N - 1) / N)
    for kind in "bc":
        prior = priors[f"b[kind[T.{kind}]]"]
        assert type(prior) is NormalAtMean
        assert numbers(prior) == pytest.approx([0, 2.5 * S_Y * size], rel=1e-12)
        assert numbers(priors[f"sd_g[kind[T.{kind}]]"]) == pytest.approx([1 / (S_Y * size)])


def test_parameters_follow_the_model():
    assert list(pp.default_priors("y ~ x", DATA)) == ["b[Intercept]", "b[x]", "sigma"]
    assert "cor_g" not in pp.default_priors("y ~ x + (x || g)", DATA)
    assert "cor_g" not in pp.default_priors("y ~ x + (1 | g)", DATA)
    assert "sigma" not in pp.default_priors("y ~ x + (1 | g)", DATA, se=np.ones(N))
    assert "b[Intercept]" not in pp.default_priors("y ~ 0 + x", DATA)


def test_an_offset_is_taken_out_first():
    offset = 3 * DATA["z"] + 50
    priors = pp.default_priors("y ~ x", DATA, offset=offset)
    rest = DATA["y"] - offset
    expected = [rest.mean(), 2.5 * rest.std(ddof=1)]
    assert numbers(priors["b[Intercept]"]) == pytest.approx(expected, rel=1e-12)


def test_only_rows_that_are_used_count():
    y = DATA["y"].copy()
    y[:5] = np.nan
    priors = pp.default_priors("y ~ x", DATA | {"y": y})
    expected = [y[5:].mean(), 2.5 * y[5:].std(ddof=1)]
    assert numbers(priors["b[Intercept]"]) == pytest.approx(expected, rel=1e-12)
    slope = 2.5 * y[5:].std(ddof=1) / DATA["x"][5:].std(ddof=1)
    assert numbers(priors["b[x]"]) == pytest.approx([0, slope], rel=1e-12)


def test_defaults_given_back_change_nothing():
    formula = "y ~ x + (z | g)"
    defaults = pp.default_priors(formula, DATA)
    one = pp.fit(formula, DATA, seed=1, draws=20, warmup=20)
    other = pp.fit(formula, DATA, priors=defaults, seed=1, draws=20, warmup=20)
    assert other.priors == one.priors == defaults
    assert np.array_equal(one.run.b, other.run.b)


def test_the_implied_prior_of_the_actual_intercept_is_shown():
    # a − mean(x) b ~ N(ȳ, √((2.5 s_y)² + (mean(x) 2.5 s_y / s_x)²))
    sd = 2.5 * S_Y * np.hypot(1, DATA["x"].mean() / S_X)
    text = repr(pp.fit("y ~ x", DATA, draws=20, seed=1))
    assert f"implies Normal({MEAN_Y:.4g}, {sd:.4g}) for b[Intercept] itself" in " ".join(
        text.split()
    )


def test_the_most_specific_key_wins():
    priors = {
        "b": pp.Normal(0, 9),
        "b[x]": pp.StudentT(3),
        "sd_g": "half_cauchy(4)",
        "sd_g[z]": pp.Uniform(0, 1),
        "cor_g": pp.LKJ(5),
    }
    for order in (list(priors), list(reversed(priors))):
        found = resolved("y ~ x + z + (x + z | g)", {key: priors[key] for key in order})
        assert found["b[Intercept]"] == found["b[z]"] == pp.Normal(0, 9)
        assert found["b[x]"] == pp.StudentT(3)
        assert found["sd_g[Intercept]"] == found["sd_g[x]"] == pp.HalfCauchy(4)
        assert found["sd_g[z]"] == pp.Uniform(0, 1)
        assert found["cor_g"] == pp.LKJ(5)
        assert type(found["sigma"]) is pp.Exponential


def test_priors_of_single_correlations():
    found = resolved("y ~ x + (x + z | g)", {"cor_g[Intercept,x]": pp.Normal(0, 0.3)})
    assert "cor_g" not in found
    assert found["cor_g[Intercept,x]"] == pp.Normal(0, 0.3)
    assert found["cor_g[Intercept,z]"] == found["cor_g[x,z]"] == pp.Uniform(-1, 1)
    # One correlation is the whole matrix.
    assert resolved("y ~ x + (x | g)", {"cor_g[Intercept,x]": pp.LKJ(3)})["cor_g"] == pp.LKJ(3)


REFUSED = {
    "unknown": ({"sdg": pp.Normal()}, "`sdg`, which is no parameter: did you mean `sd_g`?"),
    "lists": ({"foo": pp.Normal()}, "the model has `b`, `b[Intercept]`, `b[x]`, `cor_g`"),
    "no such term": ({"b[z]": pp.Normal()}, "`b[z]`, which is no parameter"),
    "no such factor": ({"sd_h": pp.Normal()}, "`sd_h`, which is no parameter"),
    "no such pair": ({"cor_g[x,Intercept]": pp.Normal()}, "did you mean `cor_g[Intercept,x]`?"),
    "lkj": ({"sd_g": pp.LKJ(2)}, "LKJ is set on `sd_g[Intercept]`: it is a prior of correlations"),
    "at mean": ({"sigma": NormalAtMean(0, 1)}, "it applies to coefficients, intercepts"),
    "sd at mean": ({"b[x]": pp.ExponentialAtMean(1)}, "it applies to sds of coefficients that"),
    "mixed": (
        {"sd_g[x]": "exponential(1) at the mean", "cor_g": pp.LKJ(2)},
        "the prior on `cor_g` is about coefficients as written, that on `sd_g[Intercept]`",
    ),
    "no mass": ({"sigma": pp.Uniform(-2, -1)}, "has no mass where the parameter can lie"),
    "class": ({"sigma": pp.Exponential}, "call it: `pp.Exponential(…)`"),
    "number": ({"sigma": 3}, "the prior on `sigma` is 3: give a prior such as"),
    "text": ({"sigma": "expo(1)"}, "unknown prior `expo`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_priors_that_are_refused(case):
    priors, message = REFUSED[case]
    with pytest.raises(pp.InputError) as error:
        pp.fit("y ~ x + (x | g)", DATA, priors=priors)
    assert message in str(error.value)
    assert str(error.value).count("\n") == 0


def test_a_prior_on_sigma_beside_known_errors():
    with pytest.raises(pp.InputError, match="sigma is not estimated: leave it out"):
        pp.fit("y ~ x", DATA, se=np.ones(N), priors={"sigma": pp.Exponential(1)})


def test_priors_are_printed_with_their_numbers():
    text = repr(pp.fit("y ~ x + (1 | g)", DATA, draws=20, seed=1))
    assert f"Normal({MEAN_Y:.4g}, {2.5 * S_Y:.4g}) at the mean of the predictors" in text
    assert f"Normal(0, {2.5 * S_Y / S_X:.4g})" in text
    assert text.count(f"Exponential({1 / S_Y:.4g})") == 2


@pytest.mark.parametrize("family", ["gamma", "exponential", "weibull", "lognormal"])
def test_priors_of_positive_responses_follow_their_unit(family):
    y, x = np.random.default_rng(1).gamma(2, 0.5, 50), np.arange(50.0)
    one, other = (
        pp.default_priors("y ~ x", {"y": y * unit, "x": x}, family=family)["b[Intercept]"]
        for unit in (1.0, 1e-9)
    )
    assert other.mean - np.log(1e-9) == pytest.approx(one.mean, abs=1e-6)
    assert other.sd == pytest.approx(one.sd)
