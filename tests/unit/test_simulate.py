"""Simulated groups have the moments that were asked for, and the truth is the truth."""

import math

import numpy as np
import pandas as pd
import pytest

from partialpool import datasets
from partialpool.errors import InputError
from partialpool.simulate import simulate

# Tolerances are five standard errors of the statistic over `MANY` independent groups: with normal
# values the mean has the error s/√n, an sd s/√(2n), a correlation (1 − ρ²)/√n. Five are passed
# once in 1.7 million, so no seed was picked.
MANY = 20_000
FIVE = 5 / math.sqrt(MANY)


def least_squares(data, term):
    """Intercept and slope of each group."""
    fits = [np.polyfit(rows[term], rows["y"], 1)[::-1] for _, rows in data.groupby("id")]
    return np.array(fits)


def test_defaults_are_those_of_the_tutorial():
    data, truth, parameters, seed = simulate(seed=3)
    assert data.shape == (375, 4)
    assert list(data) == ["id", "trial", "x", "y"]
    assert truth.shape == (75, 3)
    assert list(truth) == ["id", "Intercept", "x"]
    assert seed == 3
    assert parameters == {
        "b[Intercept]": 2.0,
        "b[x]": -2.0,
        "sd_id[Intercept]": 1.0,
        "sd_id[x]": 1.0,
        "cor_id[Intercept,x]": 0.0,
        "sigma": 2.0,
    }


def test_moments():
    made = simulate(
        MANY,
        1,
        mean={"Intercept": 1.0, "x": -3.0},
        sd={"Intercept": 0.5, "x": 2.0},
        cor=-0.6,
        sigma=1.5,
        seed=1,
    )
    a, b = made.truth["Intercept"], made.truth["x"]
    assert abs(a.mean() - 1.0) < 0.5 * FIVE
    assert abs(b.mean() + 3.0) < 2.0 * FIVE
    assert abs(a.std() - 0.5) < 0.5 * FIVE / math.sqrt(2)
    assert abs(b.std() - 2.0) < 2.0 * FIVE / math.sqrt(2)
    assert abs(a.corr(b) + 0.6) < (1 - 0.36) * FIVE
    x, noise = made.data["x"], made.data["y"] - a - b * made.data["x"]
    assert abs(x.mean()) < FIVE
    assert abs(x.std() - 1) < FIVE / math.sqrt(2)
    assert abs((x.abs() < 1).mean() - 0.6827) < 0.4655 * FIVE  # √(p (1 − p)) of a normal x
    assert abs(noise.mean()) < 1.5 * FIVE
    assert abs(noise.std() - 1.5) < 1.5 * FIVE / math.sqrt(2)
    for one, other in [(noise, x), (noise, a), (noise, b), (x, a), (x, b)]:
        assert abs(one.corr(other)) < FIVE  # independent


def test_a_correlation_matrix_of_the_terms_that_vary():
    correlation = np.array([[1, 0.5, -0.2], [0.5, 1, 0.3], [-0.2, 0.3, 1]])
    made = simulate(
        MANY,
        1,
        mean={"Intercept": 0, "u": 1, "w": 2, "v": 3},
        sd={"v": 3.0, "Intercept": 1.0, "u": 2.0, "w": 0},  # the order is that of mean
        cor=correlation,
        seed=2,
    )
    assert (made.truth["w"] == 2).all()
    varying = made.truth[["Intercept", "u", "v"]]
    bounds = (1 - correlation**2) * FIVE + 1e-12
    assert (np.abs(varying.corr().to_numpy() - correlation) < bounds).all()
    sds = np.array([1.0, 2.0, 3.0])
    assert (np.abs(varying.std().to_numpy() - sds) < sds * FIVE / math.sqrt(2)).all()
    assert made.parameters == {
        "b[Intercept]": 0,
        "b[u]": 1,
        "b[w]": 2,
        "b[v]": 3,
        "sd_id[Intercept]": 1,
        "sd_id[u]": 2,
        "sd_id[v]": 3,
        "cor_id[Intercept,u]": 0.5,
        "cor_id[Intercept,v]": -0.2,
        "cor_id[u,v]": 0.3,
        "sigma": 2.0,
    }
    assert list(made.parameters)[:4] == ["b[Intercept]", "b[u]", "b[w]", "b[v]"]
    assert all(type(value) is float for value in made.parameters.values())


def test_truth_is_what_the_data_were_made_from():
    made = simulate(20, 6, sigma=1e-9, seed=1)
    np.testing.assert_allclose(least_squares(made.data, "x"), made.truth[["Intercept", "x"]], 1e-6)


def test_truth_is_what_the_data_were_made_from_with_ragged_rows_and_more_predictors():
    made = simulate(rows=[3, 1, 4], mean={"Intercept": 1, "u": 2, "v": 3}, sigma=0, seed=1)
    rows = made.data.merge(made.truth, on="id", suffixes=("", "_true"))
    expected = rows["Intercept"] + rows["u"] * rows["u_true"] + rows["v"] * rows["v_true"]
    np.testing.assert_allclose(made.data["y"], expected)
    assert made.data["id"].tolist() == [1, 1, 1, 2, 3, 3, 3, 3]
    assert made.data["trial"].tolist() == [1, 2, 3, 1, 1, 2, 3, 4]
    assert made.truth["id"].tolist() == [1, 2, 3]


def test_without_an_intercept():
    made = simulate(3, 2, mean={"x": 2}, sd={}, sigma=0, seed=1)
    assert list(made.truth) == ["id", "x"]
    np.testing.assert_allclose(made.data["y"], 2 * made.data["x"])
    assert made.parameters == {"b[x]": 2, "sigma": 0}


def test_without_predictors():
    made = simulate(3, 2, mean={"Intercept": 2}, seed=1)
    assert list(made.data) == ["id", "trial", "y"]


def test_names():
    made = simulate(
        2, 2, mean={"Intercept": 1, "age": 0}, factor="school", response="score", seed=1
    )
    assert list(made.data) == ["school", "trial", "age", "score"]
    assert list(made.truth) == ["school", "Intercept", "age"]
    assert "sd_school[age]" in made.parameters


def test_distributions_of_predictors():
    def binary(rng, n):
        return rng.integers(0, 2, n)

    assert set(simulate(10, 5, x=binary, seed=1).data["x"]) == {0.0, 1.0}
    made = simulate(10, 5, mean={"u": 1, "v": 1}, x={"v": binary}, seed=1)
    assert set(made.data["v"]) == {0.0, 1.0}
    assert made.data["u"].nunique() == 50


def test_same_seed_same_data():
    one, two, other = simulate(seed=1), simulate(seed=1), simulate(seed=2)
    pd.testing.assert_frame_equal(one.data, two.data)
    pd.testing.assert_frame_equal(one.truth, two.truth)
    assert not np.array_equal(one.data["y"], other.data["y"])
    drawn = simulate()
    pd.testing.assert_frame_equal(drawn.data, simulate(seed=drawn.seed).data)
    assert drawn.seed != simulate().seed


def test_the_truth_does_not_depend_on_rows_predictors_and_noise():
    made = simulate(75, 2, sigma=1, x=lambda rng, n: rng.uniform(size=n), seed=1)
    pd.testing.assert_frame_equal(made.truth, simulate(seed=1).truth)


def test_individuals():
    data, truth = datasets.individuals()
    assert list(data) == ["id", "trial", "x", "y"]
    assert list(truth) == ["id", "Intercept", "x"]
    assert (data.groupby("id")["trial"].agg(list).map(tuple) == (1, 2, 3, 4, 5)).all()
    assert truth["id"].tolist() == list(range(1, 76)) == data["id"].unique().tolist()
    # Published with the tutorial: the first true intercept is 2 + rnorm(1) of R's set.seed(1).
    assert truth["Intercept"][0] == pytest.approx(2 - 0.626453810742332, abs=1e-12)
    rows = data.merge(truth, on="id", suffixes=("", "_true"))
    noise = rows["y"] - rows["Intercept"] - rows["x"] * rows["x_true"]
    assert abs(noise.mean()) < 5 * 2 / math.sqrt(375)
    assert abs(noise.std() - 2) < 5 * 2 / math.sqrt(2 * 375)


THREE = {"Intercept": 0, "u": 1, "v": 1}

ERRORS = {
    "no groups": ({"groups": 0}, "`groups` is 0: give at least 1."),
    "groups not whole": ({"groups": 2.5}, "`groups` is 2.5: give a whole number."),
    "no rows": ({"rows": 0}, "`rows` is 0: give at least 1."),
    "rows text": ({"rows": "5"}, "`rows` is '5': give a whole number."),
    "rows empty": ({"rows": []}, "`rows` is empty: give a number for each group."),
    "rows with 0": ({"rows": [1, 0]}, "`rows[1]` is 0: give at least 1."),
    "rows and groups": ({"groups": 3, "rows": [1, 2]}, "`rows` has 2 numbers for 3 groups: give"),
    "mean not a dict": ({"mean": 2}, "`mean` is 2: give a dict such as {'Intercept': 2, 'x': -2}."),
    "mean empty": ({"mean": {}}, "`mean` is {}: give a dict"),
    "mean text": ({"mean": {"x": "1"}}, "`mean` of `x` is '1': give a finite number."),
    "mean nan": ({"mean": {"x": math.nan}}, "`mean` of `x` is nan: give a finite number."),
    "mean list": ({"mean": {"x": [1]}}, "`mean` of `x` is [1]: give a finite number."),
    "sd a number": ({"sd": 1.0}, "`sd` is 1.0: give a dict"),
    "sd unknown": (
        {"sd": {"intercept": 1}},
        "`sd` names `intercept`, which `mean` does not have: did you mean `Intercept`?",
    ),
    "sd negative": ({"sd": {"x": -1}}, "`sd` of `x` is -1: give a positive number or 0."),
    "sigma negative": ({"sigma": -1}, "`sigma` is -1: give a positive number, or 0."),
    "sigma none": ({"sigma": None}, "`sigma` is None: give a finite number."),
    "sigma infinite": ({"sigma": math.inf}, "`sigma` is inf: give a finite number."),
    "cor 1": ({"cor": 1}, "`cor` is 1: give a number between -1 and 1."),
    "cor nan": ({"cor": math.nan}, "`cor` is nan: give a finite number."),
    "cor true": ({"cor": True}, "`cor` is True: give a finite number."),
    "cor text": ({"cor": "a"}, "`cor` is 'a': give a finite number."),
    "cor of one term": ({"sd": {"x": 1}, "cor": 0.5}, "one number, but 1 term varies: leave it"),
    "cor of three": (
        {"mean": THREE, "cor": 0.5},
        "`cor` is one number, but 3 terms vary: give the 3 × 3 correlation matrix.",
    ),
    "cor shape": (
        {"mean": THREE, "cor": np.eye(2)},
        "`cor` has shape (2, 2): give 3 rows and columns, one for each term that varies "
        "(Intercept, u, v).",
    ),
    "cor ragged": ({"cor": [[1], [0, 1]]}, "`cor` is [[1], [0, 1]]: give a number or a matrix"),
    "cor nan matrix": ({"cor": [[1, math.nan], [0, 1]]}, "`cor` has values that are not finite"),
    "cor diagonal": ({"cor": [[1, 0], [0, 2]]}, "the diagonal of `cor` is not 1: give corr"),
    "cor asymmetric": ({"cor": [[1, 0.5], [0, 1]]}, "`cor` is not symmetric: give the same"),
    "cor impossible": (
        {"mean": THREE, "cor": [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]},
        "`cor` is not positive definite, so no coefficients can vary like that",
    ),
    "cor singular": ({"cor": [[1, 1], [1, 1]]}, "`cor` is not positive definite"),
    "x unknown": ({"x": "norml"}, "`x` is 'norml' for `x`: give \"normal\", or a function"),
    "x an array": ({"x": np.zeros(375)}, 'for `x`: give "normal", or a function'),
    "x names": ({"x": {"z": "normal"}}, "`x` names `z`, which is not a predictor in `mean`"),
    "x shape": (
        {"x": lambda rng, n: rng.normal(size=(n, 1))},
        "the function `x` for `x` gave an array of float64 of shape (375, 1): return 375 numbers",
    ),
    "x text": ({"x": lambda rng, n: ["a"] * n}, "the function `x` for `x` gave an array of <U1"),
    "x nan": ({"x": lambda rng, n: np.full(n, np.nan)}, "gave values that are not finite"),
    "name twice": ({"response": "x"}, "two columns would be called `x`: rename one of them."),
    "trial": ({"mean": {"trial": 1}}, "two columns would be called `trial`"),
    "factor": ({"factor": "Intercept"}, "two columns would be called `Intercept`"),
    "name empty": ({"factor": ""}, "'' cannot name a column: give a string."),
    "name number": ({"mean": {1: 2.0}}, "1 cannot name a column: give a string."),
    "seed": ({"seed": 1.5}, "`seed` is 1.5: give a whole number"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    options, message = ERRORS[name]
    with pytest.raises(InputError) as caught:
        simulate(**options)
    assert message in str(caught.value)
