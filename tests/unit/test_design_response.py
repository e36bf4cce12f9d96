"""Responses that are true or false, or ordered categories."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from helpers import rebuild
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula, parse_predictor

X = [0.5, 1.0, 2.0, 0.0, 3.0, 1.5]
GRADES = ["mid", "lo", "hi", "hi", "lo", "mid"]
ORDER = ["lo", "mid", "hi"]  # not the order of the alphabet
BASE = {"x": X, "f": list("aabbcc"), "g": list("pqpqpq"), "w": [1.0, 2.0, 3.0, 1.0, 2.0, 0.0]}


def design(formula, y, response="ordered", **options):
    return build_design(parse_formula(formula), {**BASE, "y": y}, response=response, **options)


def dictionary(values, order, ordered=True):
    return pa.DictionaryArray.from_arrays(
        pa.array([None if v is None else order.index(v) for v in values]), order, ordered=ordered
    )


ORDERED = {
    "pandas": (pd.Categorical(GRADES, ORDER, ordered=True), ORDER),
    "pandas numbers": (pd.Categorical([5, 9, 7, 7, 9, 5], [9, 5, 7], ordered=True), [9, 5, 7]),
    "polars": (pl.Series(GRADES, dtype=pl.Enum(ORDER)), ORDER),
    "pyarrow": (dictionary(GRADES, ORDER), ORDER),
    "from 1": ([2, 1, 3, 3, 1, 2], [1, 2, 3]),
    "from 0": (np.array([1, 0, 2, 2, 0, 1]), [0, 1, 2]),
    "floats": ([1.0, 0.0, 2.0, 2.0, 0.0, 1.0], [0, 1, 2]),
    "from elsewhere": ([-4, -5, -3, -3, -5, -4], [-5, -4, -3]),
    "unsigned": (
        np.uint64(2**64 - 3) + np.array([1, 0, 2, 2, 0, 1], dtype=np.uint64),
        [2**64 - 3, 2**64 - 2, 2**64 - 1],
    ),
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_categories_become_codes(name):
    y, labels = ORDERED[name]
    d = design("y ~ x", y)
    assert d.y.tolist() == [1.0, 0.0, 2.0, 2.0, 0.0, 1.0]
    assert d.y.dtype == np.float64
    assert d.categories == tuple(labels)
    assert "3 ordered categories" in repr(d)


@pytest.mark.parametrize("y", [[True, False, True, True, False, True], [1, 0, 1, 1, 0, 1]])
def test_two_categories(y):
    d = design("y ~ x", y)
    assert d.y.tolist() == [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    assert d.categories == (min(y), max(y))
    assert type(d.categories[0]) is type(y[0])
    categories = design("{y == 1} ~ x", y).categories
    assert categories[0] is False
    assert categories[1] is True


def test_expressions_and_missing_rows():
    d = design("{y / 10} ~ x", [10, 20, 30, np.nan, 20, 10])
    assert (d.y.tolist(), d.categories) == ([0, 1, 2, 1, 0], (1, 2, 3))
    grades = pd.Categorical([*GRADES[:5], None], ORDER, ordered=True)
    assert design("y ~ x", grades).y.tolist() == [1, 0, 2, 2, 0]


def test_categories_at_the_ends_that_no_row_has_are_not_there():
    wide = ["none", *ORDER, "top", "beyond"]
    d = design("y ~ x", pd.Categorical(GRADES, wide, ordered=True))
    assert d.categories == tuple(ORDER)
    assert d.y.tolist() == [1.0, 0.0, 2.0, 2.0, 0.0, 1.0]


def test_thresholds_take_the_place_of_the_intercept():
    y = [2, 1, 3, 3, 1, 2]
    d, number = design("y ~ x + f + (x | g)", y), design("y ~ x + f + (x | g)", y, "number")
    assert d.columns == number.columns[1:] == ("x", "f[T.b]", "f[T.c]")
    assert np.array_equal(d.X, number.X[:, 1:])
    assert d.X.flags.c_contiguous
    assert d.factors[0].terms == ("Intercept", "x")
    assert d.factors[0].T.tolist() == [[0, 0, 0], [1, 0, 0]]
    some = [4, 0]
    new = {k: [BASE[k][i] for i in some] for k in "xfg"}
    again = rebuild(d.plan, new)
    assert np.array_equal(again.X, d.X[some])
    assert np.array_equal(again.Z[0], d.factors[0].Z[some])
    assert [part.name for part in d.plan.parts] == ["mu"]


def test_contrasts_of_a_group_that_spans_the_population():
    d = design("y ~ f + (0 + f | g)", [2, 1, 3, 3, 1, 2])
    assert d.factors[0].T.tolist() == [[0, 0], [1, 0], [0, 1]]


def test_thresholds_alone():
    d = design("y ~ 1 + (1 | g)", [2, 1, 3, 3, 1, 2])
    assert (d.X.shape, d.columns, d.factors[0].T.shape) == ((6, 0), (), (1, 0))
    new = rebuild(d.plan, {"g": ["q", "p"]})
    assert (new.X.shape, new.codes[0].tolist()) == ((2, 0), [1, 0])
    assert design("y ~ 1", [2, 1, 3, 3, 1, 2]).X.shape == (6, 0)


def test_a_second_predictor_keeps_its_intercept():
    d = design("y ~ x", [2, 1, 3, 3, 1, 2], sigma=parse_predictor("~ x"))
    assert (d.columns, d.sigma.columns) == (("x",), ("Intercept", "x"))
    new = rebuild(d.plan, {"x": [7.0]})
    assert (new.X.tolist(), new.sigma.X.tolist()) == ([[7.0]], [[1.0, 7.0]])


def test_a_constant_predictor_is_one_with_the_thresholds():
    with pytest.raises(InputError, match="same value in every row"):
        design("y ~ {0 * x + 1}", [2, 1, 3, 3, 1, 2])
    with pytest.raises(InputError, match="combination"):
        design("y ~ {f == 'a'} + {f != 'a'}", [2, 1, 3, 3, 1, 2])


TEXT = {
    "strings": ["no", "yes"] * 3,
    "categories": pd.Categorical(["yes", "no"] * 3),
    "quotes": ['say "x"', "it's"] * 3,
    "numbers": pd.Categorical([3, 1, 3, 1, 1, 3]),
    "enum": pl.Series(["b", "a"] * 3, dtype=pl.Enum(["b", "a"])),
}


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("column", ["y", "my y", "log"])
def test_text_is_not_binary_and_the_remedy_works(name, column):
    """What the message says to write gives a design, with 1 for the value that it names."""
    values = TEXT[name]
    data = {**BASE, column: values}
    with pytest.raises(InputError, match="neither a number nor true or false") as caught:
        build_design(parse_formula(f"`{column}` ~ x"), data, response="binary")
    start, end = str(caught.value).index("{"), str(caught.value).rindex(" ~ …")
    d = build_design(parse_formula(str(caught.value)[start:end] + " ~ x"), data, response="binary")
    last = (
        "yes" if name in ("strings", "categories")
        else {"quotes": 'say "x"', "numbers": 3, "enum": "a"}[name]
    )  # fmt: skip
    assert d.y.tolist() == [float(value == last) for value in list(values)]


def test_numbers_stay_numbers_where_binary_is_asked_for():
    assert design("y ~ x", [0, 1, 0, 1, 1, 0], "binary").y.tolist() == [0, 1, 0, 1, 1, 0]
    assert design("y ~ x", [0, 4, 2, 3, 1, 0], "binary", trials=4).y.tolist() == [0, 4, 2, 3, 1, 0]
    assert design("y ~ x", [0, 4, 2, 3, 1, 0], "binary", trials=4).categories == ()
