"""Formulas that change others."""

import itertools

import numpy as np
import pytest

import partialpool as pp
from partialpool.formula import expand, parse_formula
from partialpool.formula.update import summands, updated

OLD = "y ~ x + z + a * b + (x | g) + offset(log(e)) - 1"


@pytest.mark.parametrize(
    ("change", "new"),
    [
        (". ~ . + q", "y ~ x + z + a * b + (x | g) + offset(log(e)) - 1 + q"),
        ("~ . - x", "y ~ z + a * b + (x | g) + offset(log(e)) - 1"),
        ("~.-x-z", "y ~ a * b + (x | g) + offset(log(e)) - 1"),
        (". ~ . - (x|g) + (1|g)", "y ~ x + z + a * b + offset(log(e)) - 1 + (1|g)"),
        ("~ . - offset( log(e) )", "y ~ x + z + a * b + (x | g) - 1"),
        ("log(y) ~ .", "log(y) ~ x + z + a * b + (x | g) + offset(log(e)) - 1"),
        ("~ 0 + .", "y ~ 0 + x + z + a * b + (x | g) + offset(log(e)) - 1"),
        ("y ~ q", "y ~ q"),
        ("~ q", "y ~ q"),
        (". ~ q + (1 | g)", "y ~ q + (1 | g)"),
        ("~ . - a:b", "y ~ x + z + a * b + (x | g) + offset(log(e)) - 1 - a:b"),
        ("~ . + `a . b`", "y ~ x + z + a * b + (x | g) + offset(log(e)) - 1 + `a . b`"),
        ("y", "y"),
        ("a ~ b ~ c", "a ~ b ~ c"),
    ],
)
def test_changes_are_those_of_r(change, new):
    assert updated(change, OLD) == new


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("log(.) ~ .", "a dot is part of something else (at character 5)"),
        ("~ log(.)", "a dot is part of something else (at character 7)"),
        ("~ .:x", "a dot is part of something else (at character 3)"),
        ("~ . + .", "a dot is part of something else"),
        ("~ x - .", "a dot is part of something else"),
        ("~ (. | g)", "a dot is part of something else"),
        ("~ . - (1 | g)", "`(1 | g)` is taken away and is not in the formula: did you mean `(x |"),
        ("~ . - offset(x)", "`offset(x)` is taken away and is not in the formula"),
    ],
)
def test_what_is_not_clear_is_refused(change, words):
    with pytest.raises(pp.InputError) as raised:
        updated(change, OLD)
    assert words in str(raised.value)


def test_terms_are_those_that_the_algebra_leaves():
    """Whatever is left out of the text, the terms are those of the text with `- x` behind it."""
    pieces = ["x", "z", "x:z", "x * z", "x * w", "w", "0", "1"]
    tried = 0
    for some in itertools.permutations(pieces, 3):
        old = "y ~ " + " + ".join(some)
        for piece in ("x", "x:z", "x * z", "1"):
            whole = f"{old} - {piece}"
            try:
                expected = expand(parse_formula(whole).population)
            except pp.InputError as error:
                with pytest.raises(pp.InputError):
                    expand(parse_formula(updated(f"~ . - {piece}", old)).population)
                assert "not there" in str(error)  # noqa: PT017
                continue
            new = updated(f"~ . - {piece}", old)
            assert expand(parse_formula(new).population) == expected, (old, piece, new)
            tried += 1
    assert tried > 300


def test_predictors_of_sigma_change_likewise():
    assert updated("~ . + z", "~ x + (1 | g)") == "~ x + (1 | g) + z"
    assert updated("~ . - x", "~ x") == "~ 1"
    assert updated("~ z", "~ x") == "~ z"


def test_any_text_is_a_formula_or_an_error():
    rng = np.random.default_rng(1)
    pieces = ["y", "~", ".", "+", "-", "x", "(x | g)", "(", ")", "|", "`", "offset(", " ", "1", "'"]
    for _ in range(2000):
        text = "".join(rng.choice(pieces, size=rng.integers(1, 10)))
        try:
            assert isinstance(updated(text, OLD), str)
        except pp.InputError:
            continue


def test_summands_are_cut_outside_brackets():
    assert summands("a - (b + c | g) - -d") == [("+", "a"), ("-", "(b + c | g)"), ("+", "d")]
