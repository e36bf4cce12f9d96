"""The parts that a formula is taken into."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.errors import InputError
from partialpool.formula import GroupTerm, expand, parse_formula, parse_predictor


def labels(text):
    return [":".join(f.label for f in term) or "1" for term in expand(text)]


def test_the_parts():
    terms = parse_formula("log_radon~floor+(floor|county)")
    assert terms.formula == "log_radon ~ floor + (floor | county)"
    assert (terms.response, terms.population) == ("log_radon", "floor")
    assert terms.groups == (GroupTerm("floor", "county", ("county",), True, "(floor | county)"),)
    assert terms.columns == ("log_radon", "floor", "county")


def test_group_terms_anywhere_and_on_several_lines():
    terms = parse_formula("y ~ (1 | g)\n + x\n + (0 + z\n || g) - 1")
    assert terms.population == "x - 1"
    assert [(g.terms, g.correlated) for g in terms.groups] == [("1", True), ("0 + z", False)]


@pytest.mark.parametrize(
    ("text", "population"),
    [
        ("y ~ (1 | g)", "1"),
        ("y ~ 0 + (1 | g)", "0"),
        ("y ~ (1 | g) - 1", "- 1"),
        ("y ~ (1 | g) + 0 + x", "0 + x"),
        ("y ~ x", "x"),
    ],
)
def test_what_is_left_of_the_population(text, population):
    assert labels(parse_formula(text).population) == labels(population)
    assert parse_formula(text).population.replace(" ", "") == population.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", ["1", "x"]),
        ("0 + x", ["x"]),
        ("x - 1", ["x"]),
        ("-1 + x", ["x"]),
        ("x + 0 + 1", ["1", "x"]),
        ("a * b", ["1", "a", "b", "a:b"]),
        ("b:a + c", ["1", "c", "b:a"]),
        ("a:b + b:a", ["1", "a:b"]),
        ("a * b * c", ["1", "a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"]),
        ("a / b", ["1", "a", "a:b"]),
        ("(a + b)^2", ["1", "a", "b", "a:b"]),
        ("(a + b) * c - a:c", ["1", "a", "b", "c", "b:c"]),
        ("(1 + a):b", ["1", "b", "a:b"]),
        ("`my col`:log(x)", ["1", "my col:log(x)"]),
        ("{x} + x", ["1", "x"]),
        ("log(x)+log( x )", ["1", "log(x)"]),
        ("`log(x)` + log(x)", ["1", "log(x)", "log(x)"]),
        ("x.y + ü", ["1", "x.y", "ü"]),
    ],
)
def test_algebra(text, expected):
    assert labels(text) == expected


def test_names_in_backticks():
    terms = parse_formula("`my y` ~ log(`a b`) + `(1 | z)` + (`x 1` | `the group`)")
    assert terms.columns == ("my y", "a b", "(1 | z)", "x 1", "the group")
    assert terms.groups[0].factor == "the group"
    assert terms.response == "`my y`"


def test_the_name_of_a_function_is_fine_as_a_column():
    assert parse_formula("log ~ C + log(center) + (exp | scale)").columns == (
        "log", "C", "center", "exp", "scale",
    )  # fmt: skip


def test_expressions():
    terms = parse_formula("{floor > 0} ~ {x**2} + C(f, contr.sum) + Q('a b') + (log(z) | g)")
    assert terms.response == "{floor > 0}"
    assert terms.columns == ("floor", "x", "f", "a b", "z", "g")
    assert terms.population == "{x ** 2} + C(f, contr.sum) + `a b`"


def test_strings_may_hold_anything():
    text = """y ~ C(x, levels=[')', "it's", '"]+open(1)+["', '`']) + {s == "a) + b"}"""
    terms = parse_formula(text)
    assert terms.columns == ("y", "x", "s")
    assert parse_formula(terms.formula) == terms


def test_several_grouping_factors():
    terms = parse_formula("y ~ x + (x | a) + (1 || `my b`) + (0 + z | a)")
    assert [(g.factor, g.columns) for g in terms.groups] == [
        ("a", ("a",)),
        ("my b", ("my b",)),
        ("a", ("a",)),
    ]
    assert terms.columns == ("y", "x", "a", "my b", "z")


@pytest.mark.parametrize(
    ("short", "written_out"),
    [
        ("(x | a/b)", "(x | a) + (x | a:b)"),
        ("(1 || a/b/c)", "(1 || a) + (1 || a:b) + (1 || a:b:c)"),
        ("(1 | a:b/c)", "(1 | a:b) + (1 | a:b:c)"),
        ("(1 | a/b:c)", "(1 | a) + (1 | a:b:c)"),
        ("(0 + x*z - z | `my a`/b.c)", "(0 + x*z - z | `my a`) + (0 + x*z - z | `my a`:b.c)"),
        ("(1 | a/b) + (0 + x | b:a)", "(1 | a) + (1 | a:b) + (0 + x | b:a)"),
    ],
)
def test_nested_factors_equal_what_they_stand_for(short, written_out):
    a, b = parse_formula(f"y ~ x + {short}"), parse_formula(f"y ~ x + {written_out}")
    assert a.groups == b.groups
    assert (a.population, a.columns) == (b.population, b.columns)


def test_a_combination_has_one_name_in_whatever_order_it_is_written():
    first, second = parse_formula("y ~ (1 | a:b) + (0 + x | b:a)").groups
    assert (first.factor, first.columns) == (second.factor, second.columns) == ("a:b", ("a", "b"))
    assert parse_formula("y ~ (1 | b:a)").groups[0].factor == "b:a"


def test_the_formula_of_a_further_parameter():
    terms = parse_predictor("~x+(1|id)")
    assert (terms.formula, terms.response) == ("~ x + (1 | id)", "")
    assert (terms.population, terms.columns) == ("x", ("x", "id"))
    assert terms.groups == parse_formula("y ~ x + (1 | id)").groups
    assert parse_predictor("~ -1 + x").population == "-1 + x"
    assert parse_predictor(terms.formula) == terms


names = st.sampled_from(["x", "z", "`a b`", "log(x)", "{x + 1}", "C(f)", "ü"])
operators = st.sampled_from([" + ", ":", "*", " / ", "+", " - "])


@settings(deadline=None)
@given(
    st.lists(st.tuples(names, operators), min_size=1, max_size=6),
    st.sampled_from(["", " + (0 + x || `g h`)", " + (x | a / `b:c`:d) + (1 | e)"]),
)
def test_normalised_text_means_the_same(parts, groups):
    right = "".join(n + o for n, o in parts) + "x" + groups
    try:
        terms = parse_formula(f"y~{right}")
    except InputError as error:
        assert "is just" in str(error) or "not there" in str(error)  # noqa: PT017
        return
    again = parse_formula(terms.formula)
    assert again == terms
    assert expand(again.population) == expand(terms.population)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="yxgz~+-*/:|()[]{}`'\"\\.0123 ^_#,=<>&\n", max_size=30))
def test_any_text_parses_or_is_refused_with_one_clear_error(text):
    try:
        terms = parse_formula(text)
    except InputError:  # any other exception fails the test
        return
    assert parse_formula(terms.formula) == terms
