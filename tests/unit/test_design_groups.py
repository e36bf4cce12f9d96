"""Grouping factors: levels, codes, blocks, and the twins of group columns in the population."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import rebuild
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula

RNG = np.random.default_rng(7)
N = 60
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.normal(size=N),
    "f": RNG.choice(list("abc"), N).astype(object),
    "g": RNG.integers(0, 6, N),
}


def design(formula, data=DATA, **options):
    return build_design(parse_formula(formula), data, **options)


def factor(formula, data=DATA):
    return design(formula, data).factors[0]


BIG = 2**53


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ([BIG + 1, BIG, BIG + 1], [BIG, BIG + 1]),
        (np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], dtype=np.uint64), [2**64 - 2, 2**64 - 1]),
        ([2.0, 1.0, 2.0], [1.0, 2.0]),
        ([True, False, True], [False, True]),
        (pd.Categorical(["lo", "hi", "lo"], categories=["never", "hi", "lo"]), ["hi", "lo"]),
        (pd.Categorical([7, 9, 7], categories=[9, 7]), [9, 7]),
        (pl.Series(["b", "a", "b"], dtype=pl.Enum(["b", "a"])), ["b", "a"]),
        ([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], None),
    ],
    ids=["str", "int", "uint", "float", "bool", "cat", "int cat", "enum", "date"],
)
def test_levels_stay_what_they_were(levels, expected):
    data = {"y": [1.0, 2.0, 4.0], "g": levels}
    d = design("y ~ 1 + (1 | g)", data)
    g = d.factors[0]
    if expected is None:
        expected = [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)]
    assert g.levels.tolist() == expected
    assert g.levels[g.codes].tolist() == [g.levels[g.codes[0]], g.levels[g.codes[1]]] * 1 + [
        g.levels[g.codes[0]]
    ]
    assert g.codes[0] != g.codes[1]
    assert g.counts[g.codes].tolist() == [2, 1, 2]
    plan = d.plan
    new = rebuild(plan, {"g": levels})
    assert np.array_equal(new.codes[0], g.codes)


def test_codes_point_at_the_sorted_levels():
    g = factor("y ~ 1 + (1 | g)", {"y": [1.0, 2.0, 4.0], "g": ["b", "a", "c"]})
    assert g.codes.tolist() == [1, 0, 2]


def test_levels_that_are_not_known_or_missing():
    plan = design("y ~ x + (1 | g)").plan
    new = {"x": [0.0] * 4, "g": [3, 99, None, 5.0]}
    found = rebuild(plan, new)
    assert found.codes[0].tolist() == [3, -1, 5]
    assert found.notes == ["no prediction for 1 row with missing values (`g`)"]
    assert rebuild(plan, {"x": [1.0]}).codes[0].tolist() == [-1]
    labels = ["3", "3.0", "03", "Utopia", " 3"]
    for text in labels:
        expected = -1 if text == "Utopia" else 3
        assert rebuild(plan, {"x": [1.0], "g": [text]}).codes[0].tolist() == [expected]
    with pytest.raises(InputError, match="`3` and `03` of the grouping column `g` would both be"):
        rebuild(plan, {"x": [1.0, 2.0, 3.0], "g": ["3", "03", "c"]})


def test_only_levels_of_rows_that_are_used():
    g = factor("y ~ 1 + (1 | g)", {"y": [1.0, None, 4.0], "g": ["b", "a", "c"]})
    assert g.levels.tolist() == ["b", "c"]


def test_fractions_are_not_levels():
    with pytest.raises(InputError, match="grouping column `x` holds fractions"):
        design("y ~ 1 + (1 | x)")


@pytest.mark.parametrize(
    ("group", "terms", "blocks"),
    [
        ("(1 | g)", ("Intercept",), ((0, 1, False),)),
        ("(x | g)", ("Intercept", "x"), ((0, 2, True),)),
        ("(x || g)", ("Intercept", "x"), ((0, 2, False),)),
        ("(0 + x | g)", ("x",), ((0, 1, False),)),
        ("(1 | g) + (0 + x | g)", ("Intercept", "x"), ((0, 2, False),)),
        ("(0 + x | g) + (1 | g)", ("Intercept", "x"), ((0, 2, False),)),
        ("(x | g) + (0 + z | g)", ("Intercept", "x", "z"), ((0, 2, True), (2, 3, False))),
        ("(0 + x + z | g) + (1 | g)", ("Intercept", "x", "z"), ((0, 1, False), (1, 3, True))),
        ("(f | g)", ("Intercept", "f[T.b]", "f[T.c]"), ((0, 3, True),)),
        ("(0 + f | g)", ("f[a]", "f[b]", "f[c]"), ((0, 3, True),)),
    ],
)
def test_blocks(group, terms, blocks):
    g = factor(f"y ~ x + z + f + {group}")
    assert (g.terms, g.blocks) == (terms, blocks)
    assert g.Z.shape == (N, len(terms))


def test_two_ways_to_write_an_uncorrelated_slope():
    a, b = factor("y ~ x + (1 | g) + (0 + x | g)"), factor("y ~ x + (x || g)")
    assert (a.terms, a.blocks) == (b.terms, b.blocks)
    assert np.array_equal(a.Z, b.Z)
    assert np.array_equal(a.T, b.T)


@pytest.mark.parametrize(
    ("formula", "T"),
    [
        ("y ~ x + (x | g)", [[1, 0], [0, 1]]),
        ("y ~ x + z + (z | g)", [[1, 0, 0], [0, 0, 1]]),
        ("y ~ 1 + (x | g)", [[1], [0]]),
        ("y ~ x + (1 | g)", [[1, 0]]),
        ("y ~ 0 + x + (1 + x | g)", [[0], [1]]),
        ("y ~ 0 + (1 | g)", [[]]),
        ("y ~ f + (0 + f | g)", [[1, 0, 0], [1, 1, 0], [1, 0, 1]]),
        ("y ~ 0 + f + (f | g)", [[1, 0, 0], [-1, 1, 0], [-1, 0, 1]]),
        ("y ~ C(f, contr.sum) + (0 + f | g)", [[1, 1, 0], [1, 0, 1], [1, -1, -1]]),
        ("y ~ 1 + (0 + f | g)", [[1], [1], [1]]),
        ("y ~ x + (0 + {2 * x} | g)", [[0, 0.5]]),
        ("y ~ f + (1 | g) + (0 + f | g)", [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ],
)
def test_twins_in_the_population(formula, T):
    d = design(formula)
    g = d.factors[0]
    assert g.T.tolist() == T
    spanned = g.T.any(axis=0)
    assert np.allclose((g.Z @ g.T)[:, spanned], d.X[:, spanned], rtol=1e-12, atol=1e-12)


def equal_factors(a, b):
    arrays = ("Z", "codes", "levels", "counts", "T")
    assert (a.name, a.columns, a.terms, a.blocks) == (b.name, b.columns, b.terms, b.blocks)
    assert all(np.array_equal(getattr(a, k), getattr(b, k)) for k in arrays)


def test_crossed_factors_are_each_what_they_are_alone():
    both = design("y ~ x + (x | g) + (1 | f) + (0 + z | g)")
    assert [factor.name for factor in both.factors] == ["g", "f"]
    equal_factors(both.factors[0], factor("y ~ x + (x | g) + (0 + z | g)"))
    equal_factors(both.factors[1], factor("y ~ x + (1 | f)"))
    some = np.array([7, 3])
    new = rebuild(both.plan, {k: DATA[k][some] for k in "xzfg"})
    for k, own in enumerate(both.factors):
        assert np.array_equal(new.Z[k], own.Z[some])
        assert np.array_equal(new.codes[k], own.codes[some])


def test_nested_factors_equal_what_they_stand_for():
    short = design("y ~ x + (x | f/g)")
    written_out = design("y ~ x + (x | f) + (x | f:g)")
    assert [factor.name for factor in short.factors] == ["f", "f:g"]
    for a, b in zip(short.factors, written_out.factors, strict=True):
        equal_factors(a, b)
    plans = [{**d.plan.to_json(), "formula": ""} for d in (short, written_out)]
    assert plans[0] == plans[1]
    assert np.array_equal(short.X, written_out.X)


def test_terms_of_a_combination_go_together_in_whatever_order_it_is_written():
    a = factor("y ~ x + (1 | f:g) + (0 + x | g:f)")
    equal_factors(a, factor("y ~ x + (x || f:g)"))
    assert factor("y ~ x + (1 | g:f)").levels[0] == "0:a"


def test_combinations_that_occur_in_the_order_of_their_columns():
    data = {
        "y": [1.0, 2.0, 4.0, 3.0, 0.0],
        "k": [10, 2, 2, 10, 2],
        "c": pd.Categorical(list("uvuvu"), categories=["w", "v", "u"]),
    }
    g = factor("y ~ 1 + (1 | k:c)", data)
    assert (g.name, g.columns) == ("k:c", ("k", "c"))
    assert g.levels.tolist() == ["2:v", "2:u", "10:v", "10:u"]  # v before u, 2 before 10
    assert g.codes.tolist() == [3, 0, 1, 2, 1]
    assert g.codes.dtype == np.int64
    assert g.counts.tolist() == [1, 2, 1, 1]
    g = factor("y ~ 1 + (1 | k:c)", {k: v[:3] for k, v in data.items()})
    assert g.levels.tolist() == ["2:v", "2:u", "10:u"]


def test_combinations_of_three_columns_against_tuples():
    data = {**DATA, "h": RNG.integers(0, 3, N)}
    d = design("y ~ 1 + (1 | h:f:g)", data)
    rows = list(zip(data["h"], data["f"], data["g"], strict=True))
    known = sorted(set(rows))
    assert d.factors[0].levels.tolist() == [":".join(map(str, row)) for row in known]
    assert d.factors[0].codes.tolist() == [known.index(row) for row in rows]
    new = {
        "h": RNG.integers(-1, 4, 200),
        "f": RNG.choice(list("abcd"), 200).astype(object),
        "g": RNG.integers(-1, 7, 200),
    }
    expected = [
        known.index(row) if row in known else -1
        for row in zip(new["h"], new["f"], new["g"], strict=True)
    ]
    assert -1 in expected
    assert len(set(expected)) > 10
    codes = rebuild(d.plan, new).codes[0]
    assert codes.tolist() == expected
    assert codes.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([2.0, 1.0, 2.0], ["1", "2"]),
        ([True, False, True], ["False", "True"]),
        ([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
         ["2020-01-01", "2020-01-02"]),
        (pd.Categorical([7, 9, 7], categories=[9, 7]), ["9", "7"]),
        (np.array([2**64 - 1, 5, 2**64 - 1], dtype=np.uint64), ["5", str(2**64 - 1)]),
    ],
    ids=["float", "bool", "date", "int cat", "uint"],
)  # fmt: skip
def test_how_values_read_in_a_combination(values, texts):
    data = {"y": [1.0, 2.0, 4.0], "v": values, "s": ["q", "q", "p"]}
    d = design("y ~ 1 + (1 | v:s)", data)
    first, second = texts
    in_order = [f"{first}:q", f"{second}:p", f"{second}:q"]
    assert d.factors[0].levels.tolist() == in_order
    assert rebuild(d.plan, data).codes[0].tolist() == [2, 0, 1]


def test_combinations_that_are_not_known_or_missing():
    data = {"y": [1.0, 2.0, 4.0, 3.0], "a": list("pqqq"), "b": [1, 1, 2, 1]}
    plan = design("y ~ 1 + (1 | a/b)", data).plan
    new = {"a": ["p", "q", "p", "new", None, "q", "q"], "b": [1, 2, 2, 1, 1, None, 9]}
    nested, combined = rebuild(plan, new).codes
    assert nested.tolist() == [0, 1, 0, -1, 1]
    assert combined.tolist() == [0, 2, -1, -1, -1]
    nested, combined = rebuild(plan, {"a": ["q"]}).codes
    assert (nested.tolist(), combined.tolist()) == ([1], [-1])
    assert rebuild(plan, {"a": ["q"], "b": ["1"]}).codes[1].tolist() == [1]


def test_rows_missing_in_any_grouping_column_are_dropped_for_all():
    data = {"y": [1.0, 2.0, 4.0, 3.0], "a": ["p", None, "q", "q"], "b": [1, 3, 2, None]}
    d = design("y ~ 1 + (1 | a/b)", data)
    assert d.rows.tolist() == [0, 2]
    assert [g.levels.tolist() for g in d.factors] == [["p", "q"], ["p:1", "q:2"]]


def test_a_million_rows_of_combinations():
    n = 1_000_000
    rng = np.random.default_rng(0)
    names = np.array([f"v{i}" for i in range(2000)], dtype=object)
    data = {"y": rng.normal(size=n), "a": rng.integers(0, 1000, n)}
    data["b"] = names[rng.integers(0, 2000, n)]
    d = design("y ~ 1 + (1 | a/b)", data)
    codes = rebuild(d.plan, data).codes[1]
    assert np.array_equal(codes, d.factors[1].codes)
    row = 12_345
    assert d.factors[1].levels[codes[row]] == f"{data['a'][row]}:{data['b'][row]}"


def test_a_million_rows_and_levels():
    n = 1_000_000
    rng = np.random.default_rng(0)
    ids = np.array([f"level {i}" for i in rng.permutation(n)], dtype=object)
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "g": ids}
    g = factor("y ~ x + (x | g)", data)
    assert len(g.levels) == n
    assert g.levels[g.codes[123]] == ids[123]
