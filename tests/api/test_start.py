"""`start=` of method="metropolis": chains start where they are told."""

import numpy as np
import pytest

import partialpool as pp

RNG = np.random.default_rng(8)
G = np.repeat(["a", "b", "c"], 6)
DATA = {"y": RNG.normal(size=18), "x": RNG.normal(size=18), "g": G}
FORMULA = "y ~ x + (x | g)"
# A walk of one tiny step stays where it started.
STAY = {
    "method": "metropolis",
    "draws": 4,
    "warmup": 0,
    "chains": 2,
    "seed": 3,
    "proposal_sd": 1e-9,
}


def at(start, **options):
    """Where the chains are: every population-level parameter and every level's coefficients."""
    fit = pp.fit(FORMULA, DATA, **STAY | options, start=start)
    draws = fit.draws["posterior"].isel(draw=0)
    return {name: draws[name].to_numpy() for name in draws.data_vars}


def test_values_are_where_chains_start():
    found = at(
        {"b": [3, -1], "sd_g": 0.7, "cor_g": 0.25, "sigma": 2, "coef_g": np.arange(6).reshape(3, 2)}
    )
    np.testing.assert_allclose(found["b"], [[3, -1], [3, -1]], atol=1e-6)
    np.testing.assert_allclose(found["sd_g"], 0.7, atol=1e-6)
    np.testing.assert_allclose(found["cor_g"], 0.25, atol=1e-6)
    np.testing.assert_allclose(found["sigma"], 2, atol=1e-6)
    np.testing.assert_allclose(found["coef_g"][1], [[0, 1], [2, 3], [4, 5]], atol=1e-6)


def test_what_is_left_out_starts_at_random_and_the_most_specific_wins():
    found = at({"coef_g": 5, "coef_g[x]": [1, 2, 3], "coef_g[b,x]": 9, "b[x]": 4})
    expected = [[5, 1], [5, 9], [5, 3]]
    np.testing.assert_allclose(found["coef_g"], [expected, expected], atol=1e-6)
    np.testing.assert_allclose(found["b"][:, 1], 4, atol=1e-6)
    by_default = at(None)
    for name in ("sigma", "sd_g", "cor_g"):
        np.testing.assert_allclose(found[name], by_default[name], atol=1e-6)
    assert found["b"][0, 0] != found["b"][1, 0]


def test_each_chain_can_have_its_own():
    found = at([{"sigma": 1}, {"sigma": 2}])
    np.testing.assert_allclose(found["sigma"], [1, 2], atol=1e-6)
    drawn = at(lambda rng: {"sigma": rng.uniform(5, 6), "sd_g": rng.uniform(7, 8, 2)})
    assert ((drawn["sigma"] > 5) & (drawn["sigma"] < 6)).all()
    assert ((drawn["sd_g"] > 7) & (drawn["sd_g"] < 8)).all()
    assert len(set(drawn["sigma"])) == 2
    again = at(lambda rng: {"sigma": rng.uniform(5, 6), "sd_g": rng.uniform(7, 8, 2)})
    np.testing.assert_array_equal(drawn["sigma"], again["sigma"])


@pytest.mark.parametrize("pooling", ["none", "complete"])
def test_other_poolings(pooling):
    start = {"b": 2} if pooling == "complete" else {"coef_g": 2}
    found = at(start | {"sigma": 1}, pooling=pooling)
    np.testing.assert_allclose(found["b" if pooling == "complete" else "coef_g"], 2, atol=1e-6)


BAD = {
    "unknown": ({"sigmaa": 1}, "`start` has a value for `sigmaa`, .*did you mean `sigma`"),
    "of another pooling": ({"tau": 1}, "`start` has a value for `tau`, which this model has not"),
    "level": ({"coef_g[z,x]": 1}, r"`start` has a value for `coef_g\[z,x\]`"),
    "negative": ({"sigma": -1}, "`start` is -1 for `sigma`: give numbers between 0 and inf"),
    "outside": ({"cor_g": 1.5}, "`start` is 1.5 for `cor_g`: give numbers between -1 and 1"),
    "not finite": ({"b": [0, np.nan]}, "`start` is nan for `b`"),
    "infinite": ({"b": np.inf}, "`start` is inf for `b`"),
    "shape": ({"coef_g": [1, 2, 3]}, "`start` has no 3 × 2 numbers for `coef_g`"),
    "text": ({"b": "high"}, "`start` has no 2 numbers for `b`"),
    "none": ({"b": None}, "`start` is nan for `b`"),
    "number": (3, "`start` is int: give values by parameter"),
    "word": ("sigma", "`start` is str: give values by parameter"),
    "too few": ([{"b": 0}], "`start` has 1 places for 2 chains"),
    "list of numbers": ([1, 2], "`start` is int"),
    "function": (lambda rng: 3, "`start` gives int"),
    "name": ({3: 1}, "`start` has a value for `3`"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_starts_are_one_sentence(case):
    start, message = BAD[case]
    with pytest.raises(pp.InputError, match=message):
        at(start)


def test_other_methods_have_no_start():
    for method in ("auto", "nuts", "marginal", "reml"):
        with pytest.raises(pp.InputError, match="`start` is given: it belongs to"):
            pp.fit(FORMULA, DATA, method=method, start={"sigma": 1})


def test_a_uniform_prior_bounds_the_start():
    priors = {"sigma": pp.Uniform(1, 3)}
    with pytest.raises(pp.InputError, match="give numbers between 1 and 3"):
        at({"sigma": 0.5}, priors=priors)
    np.testing.assert_allclose(at({"sigma": 1.5}, priors=priors)["sigma"], 1.5, atol=1e-6)
