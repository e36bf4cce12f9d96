"""Population and group columns: what they are, and that the light path equals formulaic's."""

import json

import numpy as np
import pandas as pd
import pytest
from formulaic import ModelSpec
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool.data import open_table
from partialpool.design import build_design, rebuild
from partialpool.design.coding import code_terms
from partialpool.design.matrix import build_matrix
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


names = st.sampled_from(["x", "z", "b", "`my x`"])
operators = st.sampled_from([" + ", ":", "*", " - "])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(names, operators), max_size=5),
    names,
    st.sampled_from(["", "0 + ", "1 + ", "-1 + ", "(x + z) * "]),
    st.sampled_from(["", " - 1", " + 0", " + 1"]),
)
def test_light_path_equals_formulaic(parts, last, start, end):
    text = start + "".join(n + o for n, o in parts) + last + end
    frame = pd.DataFrame(
        {"x": DATA["x"], "z": DATA["z"] * 1.0, "b": DATA["b"] * 1.0, "my x": DATA["my x"]}
    )
    theirs = ModelSpec(formula=text, output="numpy").get_model_matrix(frame)
    ours, X, of_terms, state = build_matrix(expand(text), COLUMNS, N)
    assert state == {}
    assert of_terms == expand(text)
    assert list(ours) == list(theirs.model_spec.column_names)
    assert np.array_equal(X, np.asarray(theirs, dtype=float))
    coded = code_terms(expand(text), COLUMNS, N)
    assert (coded.names, coded.terms) == (ours, of_terms)
    assert np.array_equal(coded.values, X)


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
# formulaic treats these like ours when it gets the text and the plain frame.
SAME_IN_FORMULAIC = [t for t in CODED if t not in ("sqrt(abs(x))",)]


@pytest.mark.parametrize("text", SAME_IN_FORMULAIC)
def test_coded_columns_are_formulaics(text):
    frame = pd.DataFrame({k: v for k, v in DATA.items() if k not in ("h", "day")})
    frame["h"] = DATA["h"].remove_unused_categories()
    theirs = ModelSpec(formula=text, output="numpy").get_model_matrix(frame)
    ours, X = build_matrix(expand(text), COLUMNS, N)[:2]
    assert list(ours) == list(theirs.model_spec.column_names)
    assert np.allclose(X, np.asarray(theirs, dtype=float), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("text", [*CODED, "x", "x * z", "0 + b", "C(day)"])
def test_recipe_rebuilds_the_same_columns_from_some_rows(text):
    whole = design(f"y ~ {text} + ({text} || g)")
    recipe = json.loads(json.dumps(whole.recipe))
    some = np.array([5, 3, 17])
    new = rebuild(recipe, {k: v[some] for k, v in DATA.items() if k != "y"})
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
    assert design("y ~ `my x`:b").columns == ("Intercept", "my x:b")


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
