"""Grouping factors: levels, codes, blocks, and the twins of group columns in the population."""

import datetime
import json
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

from partialpool.design import build_design, rebuild
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
    recipe = json.loads(json.dumps(d.recipe))
    new = rebuild(recipe, {"g": levels})
    assert np.array_equal(new.codes[0], g.codes)


def test_codes_point_at_the_sorted_levels():
    g = factor("y ~ 1 + (1 | g)", {"y": [1.0, 2.0, 4.0], "g": ["b", "a", "c"]})
    assert g.codes.tolist() == [1, 0, 2]


def test_levels_that_are_not_known_or_missing():
    recipe = json.loads(json.dumps(design("y ~ x + (1 | g)").recipe))
    new = {"x": [0.0] * 4, "g": [3, 99, None, 5.0]}
    assert rebuild(recipe, new).codes[0].tolist() == [3, -1, -1, 5]
    assert rebuild(recipe, {"x": [1.0]}).codes[0].tolist() == [-1]
    with pytest.raises(InputError, match="`g` is now of kind string"):
        rebuild(recipe, {"x": [1.0], "g": ["3"]})


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


def test_a_million_rows_and_levels_are_quick():
    n = 1_000_000
    rng = np.random.default_rng(0)
    ids = np.array([f"level {i}" for i in rng.permutation(n)], dtype=object)
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "g": ids}
    start = time.perf_counter()
    g = factor("y ~ x + (x | g)", data)
    seconds = time.perf_counter() - start
    assert len(g.levels) == n
    assert g.levels[g.codes[123]] == ids[123]
    assert seconds < 10  # about 1.5 s; a loop over levels with array work would take minutes
