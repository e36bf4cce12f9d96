"""Population and group columns: what they are, and that formulaic's are the same."""

import numpy as np
import pandas as pd
import pytest
from formulaic import ModelSpec
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rebuild
from partialpool.data import open_table
from partialpool.design import build_design
from partialpool.design.matrix import build_matrix
from partialpool.errors import InputError
from partialpool.formula import expand, parse_formula, parse_predictor

RNG = np.random.default_rng(20240501)
N = 80
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N) + 3,
    "z": RNG.integers(1, 9, N),
    "b": RNG.random(N) < 0.5,
    "f": RNG.choice(list("abc"), N).astype(object),
    "h": pd.Categorical(RNG.choice(["lo", "hi"], N), categories=["lo", "hi", "never"]),
    "my x": RNG.random(N),
    "g": RNG.choice(list("pqrst"), N).astype(object),
    "day": np.datetime64("2020-01-01") + RNG.integers(0, 3, N).astype("timedelta64[D]"),
}
COLUMNS = open_table(DATA).take(DATA).columns


def design(formula, data=DATA, **options):
    return build_design(parse_formula(formula), data, **options)


def formulaics(text):
    """The same columns by formulaic, to which true and false are two categories, as to R."""
    frame = pd.DataFrame({k: v for k, v in DATA.items() if k not in ("h", "day")})
    frame["h"] = DATA["h"].remove_unused_categories()
    frame["b"] = pd.Categorical(DATA["b"], categories=[False, True])
    theirs = ModelSpec(formula=text, output="numpy").get_model_matrix(frame)
    names = [name.replace("b[T.True]", "b") for name in theirs.model_spec.column_names]
    return names, np.asarray(theirs, dtype=float)


operands = st.sampled_from(["x", "z", "b", "`my x`", "f", "h", "log(x + 10)"])
operators = st.sampled_from([" + ", ":", "*"])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(operands, operators), max_size=4),
    operands,
    st.sampled_from(["", "0 + ", "1 + ", "-1 + ", "(x + f) * ", "f / "]),
    st.sampled_from(["", " - 1", " + 0", " + 1"]),
)
def test_columns_are_formulaics_for_any_formula(parts, last, start, end):
    text = start + "".join(n + o for n, o in parts) + last + end
    try:
        terms = expand(text)
    except InputError as error:
        assert "is just" in str(error)  # noqa: PT017 (x:x and the like, which nobody can mean)
        return
    names, X = formulaics(text)
    ours = build_matrix(terms, COLUMNS, N)
    assert list(ours.names) == names
    assert np.allclose(ours.values, X, rtol=1e-14, atol=1e-14)


CODED = [
    "center(x)",
    "scale(x)",
    "standardize(x)",
    "poly(x, 3)",
    "poly(x, degree=2, raw=True)",
    "bs(x, df=5)",
    "bs(x, knots=[2.5, 3], degree=2, lower_bound=-9, upper_bound=9)",
    "cr(x, df=4, constraints='center')",
    "cc(x, df=4, constraints='center')",
    "C(f)",
    "C(f, contr.treatment)",
    "C(f, contr.treatment('b'))",
    "C(f, contr.treatment(base='c'))",
    "C(f, contr.SAS)",
    "C(f, contr.sum)",
    "C(f, contr.helmert)",
    "C(f, contr.diff)",
    "C(f, contr.poly)",
    "C(f, Treatment('b'))",
    "C(f, Treatment(reference='b'))",
    "C(f, Sum)",
    "C(f, Helmert)",
    "C(f, Diff)",
    "C(f, Poly)",
    "C(f, levels=['c', 'a', 'b'])",
    "C(z)",
    "C(b)",
    "f",
    "h",
    "0 + f",
    "f * x",
    "f * h",
    "b * f",
    "x + x:f",
    "center(log(x + 10)):f",
    "log(x + 10)",
    "I(x**2)",
    "{x**2} + x",
    "{x > 3}",
    "{b & (x > 3)}",
    "{~b | (z >= 4)}",
    "{f == 'a'}",
    "sqrt(abs(x))",
    "poly(x, 2):f",
]


@pytest.mark.parametrize("text", [t for t in CODED if t != "sqrt(abs(x))"])
def test_coded_columns_are_formulaics(text):
    names, X = formulaics(text.replace("{b &", "{(b == True) &").replace("{~b", "{(b == False)"))
    names = [n.replace("(b == True)", "b").replace("(b == False)", "~b") for n in names]
    if "raw" in text:  # there formulaic counts from 0
        names = [n.replace("[1]", "[2]").replace("[0]", "[1]") for n in names]
    ours = build_matrix(expand(text), COLUMNS, N)
    assert list(ours.names) == names
    assert np.allclose(ours.values, X, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("text", [*CODED, "x", "x * z", "0 + b", "C(day)"])
def test_recipe_rebuilds_the_same_columns_from_some_rows(text):
    whole = design(f"y ~ {text} + ({text} || g)")
    plan = whole.plan
    some = np.array([5, 3, 17])
    new = rebuild(plan, {k: v[some] for k, v in DATA.items() if k != "y"})
    assert np.array_equal(new.X, whole.X[some])
    assert np.array_equal(new.Z[0], whole.factors[0].Z[some])
    assert np.array_equal(new.codes[0], whole.factors[0].codes[some])


def test_names_read_as_they_were_written():
    assert design("y ~ center(`my x`) + {x > 3} + C(f, contr.treatment('b'))").columns == (
        "Intercept",
        "center(`my x`)",
        "x > 3",
        "C(f, contr.treatment('b'))[T.a]",
        "C(f, contr.treatment('b'))[T.c]",
    )
    assert design("y ~ `my x`:f").columns[1] == "my x:f[a]"


def test_true_and_false_are_two_categories_where_there_is_no_other_reference():
    assert design("y ~ b").columns == ("Intercept", "b")
    assert design("y ~ 0 + b").columns == ("b[False]", "b[True]")
    assert design("y ~ 0 + {x > 3}").columns == ("x > 3[False]", "x > 3[True]")
    assert design("y ~ x:b").columns == ("Intercept", "x:b[False]", "x:b[True]")
    assert design("y ~ x * b").columns == ("Intercept", "x", "b", "x:b")
    means = design("y ~ 0 + b")
    assert np.array_equal(means.X, np.column_stack([~DATA["b"], DATA["b"]]))
    plan = means.plan
    assert rebuild(plan, {"b": [1, 0]}).X.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(InputError, match="true or false in the fit"):
        rebuild(plan, {"b": [2, 0]})


def test_functions_survive_columns_of_their_name():
    data = {"y": [1.0, 2.0, 4.0], "log": [1.0, 2.0, 5.0], "center": [1.0, 0.0, 0.0]}
    X = design("y ~ center(log) + log(log)", data).X
    assert np.allclose(X[:, 1], data["log"] - np.mean(data["log"]))
    assert np.allclose(X[:, 2], np.log(data["log"]))


def test_integers_are_computed_as_numbers_without_wrapping_round():
    data = {"y": [1.0, 2.0, 4.0], "x": [1, 2, 10**6]}
    assert design("y ~ {x**4}", data).X[2, 1] == 1e24
    assert design("y ~ x:z", {**data, "z": [1, 2, 10**15]}).X[2, 1] == 1e21


def test_unused_categories_make_no_column():
    assert design("y ~ h").columns == ("Intercept", "h[T.hi]")
    data = {"y": [1.0, 2.0, 4.0, 3.0], "f": ["a", "b", "b", "c"], "x": [1, 2, 3, None]}
    assert design("y ~ f + {x + 0}", data).columns == ("Intercept", "f[T.b]", "x + 0")


def test_array_and_frame_give_the_same_design():
    frame = pd.DataFrame(DATA, index=np.arange(N)[::-1] * 7)  # an index must not matter
    a, b = design("y ~ C(f) * center(x) + (x | g)"), design("y ~ C(f) * center(x) + (x | g)", frame)
    assert np.array_equal(a.X, b.X)
    assert np.array_equal(a.factors[0].codes, b.factors[0].codes)


def test_design_tells_what_it_is_and_is_read_only():
    d = design("y ~ x + (x | g)")
    assert repr(d) == "80 rows, 2 population columns, g: 5 levels × 2 columns"
    for array in (d.y, d.X, d.factors[0].Z, d.factors[0].codes, d.factors[0].T):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert d.X.flags.c_contiguous
    assert d.factors[0].Z.flags.c_contiguous
    assert d.factors[0].codes.dtype == np.int64


def spelled(term):
    return ":".join(f.label for f in term) or "Intercept"


@pytest.mark.parametrize(
    "text", ["f * x + b", "0 + f:h + x", "f / h", "poly(x, 2):f + z", "{x > 3} * h", "C(day) - 1"]
)
def test_every_column_knows_its_term(text):
    whole = design(f"y ~ {text} + (f + x || g) + (0 + x:z | g)")
    terms = expand(text)
    position = [terms.index(term) for term in whole.column_terms]
    assert position == sorted(position)  # the columns follow the terms
    assert set(position) == set(range(len(terms)))
    for name, term in zip(whole.columns, whole.column_terms, strict=True):
        pieces = [piece.split("[")[0] for piece in name.split(":")]
        assert pieces == [f.label for f in term] or (name, term) == ("Intercept", ())
    factor = whole.factors[0]
    assert [spelled(term) for term in factor.column_terms] == ["Intercept", "f", "f", "x", "x:z"]


def test_columns_keep_their_terms_whatever_is_left_of_them():
    from partialpool.model import pool

    whole = design("y ~ x + f + z + (x | g)", sigma=parse_predictor("~ f + z"))
    apart = pool(whole, "none").design
    assert [spelled(term) for term in apart.column_terms] == ["f", "f", "z"]
    assert [spelled(t) for t in whole.sigma.column_terms] == ["Intercept", "f", "f", "z"]
    ordered = design("z ~ x + f", response="ordered")
    assert [spelled(term) for term in ordered.column_terms] == ["x", "f", "f"]


def test_a_term_of_one_category_has_no_column():
    data = {"y": [1.0, 2.0, 4.0], "k": ["a", "a", "a"], "x": [1.0, 2.0, 5.0], "l": ["p", "q", "p"]}
    whole = design("y ~ k + l + x", data)
    assert whole.columns == ("Intercept", "l[T.q]", "x")
    assert [spelled(term) for term in whole.column_terms] == ["Intercept", "l", "x"]
