"""Designs of formulas as R users write them, against a small interpreter of R's own rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rebuild
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula
from rformula import as_factor, expand, is_hierarchical, model_matrix, variable

RNG = np.random.default_rng(20260202)
N = 240
CELLS = RNG.permutation(np.arange(N))
DATA = {
    "x": np.round(RNG.normal(size=N), 3),
    "z": np.round(RNG.normal(size=N) - 0.3, 3),
    "p": np.round(RNG.gamma(3, 1, N) + 0.1, 3),
    "my.x": RNG.integers(0, 9, N).astype(float),
    "k": 4 + 2 * (CELLS % 3),
    "f": np.array(list("acb"))[CELLS // 3 % 3],
    "h": np.array(["lo", "hi"])[CELLS // 9 % 2],
    "b": CELLS // 18 % 2 == 1,
}
NEW = {name: values[[5, 100, 17, 3, 3, 200]] for name, values in DATA.items()}

NUMBERS = [
    *("x", "z", "p", "my.x", "log(p)", "np.log(p)", "log1p(p)", "log(p, base = 2)", "sqrt(p)"),
    *("exp(x)", "I(x^2)", "I(x**2)", "I(x^2 * z)", "I(1/p)", "I(x/p)", "I(-x)", "I(x - z)"),
    *("scale(x)", "scale(p, scale = FALSE)", "I(scale(x)^2)", "I(p - mean(p))"),
    *("I((p - mean(p)) / sd(p))", "pmin(x, z)", "pmax(x, 0)", "sin(2 * pi * x)", "cos(pi * my.x)"),
    *("as.numeric(x > 0)", "ifelse(x > 0, x, 0)", "abs(x)", "I(pmin(p, 2))", "I(my.x %% 3)"),
]
SEVERAL = ["poly(x, 2)", "poly(p, 3)", "poly(x, 2, raw = TRUE)", "poly(my.x, degree = 2)"]
FACTORS = [
    *("f", "h", "b", "factor(k)", "as.factor(k)", "factor(f)", "I(x > 0)", "relevel(f, ref = 'c')"),
    *('relevel(factor(k), "8")', "interaction(f, h)", "I(f == 'a')", "I(f != 'a' & x > 0)"),
    *("I(f %in% c('a', 'b'))", "cut(x, c(-Inf, 0, Inf))", "factor(k, levels = c(8, 4, 6))"),
    *("C(f, contr.sum)", "C(f, contr.helmert)", "C(factor(k), contr.poly)", "I(!(x > 0))"),
    *("ifelse(x > 0, 'yes', 'no')", "factor(my.x > 4)"),
]


def independent(text, data=DATA):
    """The interpreter's matrix; Python takes `&`, `!` and `%%` where R has them."""
    # Two spellings of one variable are two variables to R.
    same = (("np.log(p)", "log(p)"), ("as.factor", "factor"), ("x**2", "x^2"))
    for r, python in (("%%", "%"), ("I(!(", "I(~("), *same):
        text = text.replace(r, python)
    return model_matrix(text.replace("I(f != 'a' & x > 0)", "I((f != 'a') & (x > 0))"), data)


def ours(text):
    return build_design(parse_formula(f"y ~ {text}"), {"y": RNG.normal(size=N), **DATA})


def spans(A, B):
    """Whether the columns of B are combinations of those of A."""
    fitted = A @ np.linalg.lstsq(A, B, rcond=None)[0]
    return np.abs(fitted - B).max(initial=0) < 1e-8 * max(np.abs(B).max(initial=0), 1)


@pytest.mark.parametrize("text", [*NUMBERS, *SEVERAL, *FACTORS])
def test_every_idiom_gives_r_s_columns_fitted_and_new(text):
    design = ours(text)
    X = independent(text)
    assert design.X.shape == X.shape
    assert np.allclose(design.X, X, rtol=1e-12, atol=1e-12)
    assert all(name == "Intercept" or name.startswith(text[:2]) for name in design.columns)
    # New rows keep means, knots and categories of the fit, in a saved fit too.
    plan = design.plan
    new = rebuild(plan, NEW)
    rows = [5, 100, 17, 3, 3, 200]
    assert np.allclose(new.X, X[rows], rtol=1e-12, atol=1e-12)


operators = st.sampled_from([" + ", " * ", ":", " / ", " %in% "])
numbers = st.sampled_from(NUMBERS)
factors = st.sampled_from(FACTORS)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.tuples(numbers | factors | factors, operators), max_size=3),
    numbers | factors,
    st.sampled_from(
        ["", "0 + ", "-1 + ", "(x + f)^2 + ", "(x + h + f)^2 - x:f + ", "poly(z, 2) + "]
    ),
    st.sampled_from(["", " - 1", " + 0", " + h:x"]),
)
def test_any_formula_of_idioms_spans_what_r_s_matrix_spans(parts, last, start, end):
    text = start + "".join(name + operator for name, operator in parts) + last + end
    X = independent(text)
    try:
        design = ours(text)
    except InputError as error:
        said = str(error)
        known = ("is just", "both sides are numbers", "equals a combination", "takes away")
        assert any(words in said for words in (*known, "same value", "0 in every row")), said
        if "equals a combination" in said:  # rank is what is left when R takes columns away
            assert np.linalg.matrix_rank(X, tol=1e-8) < X.shape[1]
        return
    assert np.linalg.matrix_rank(design.X) == design.X.shape[1]
    assert spans(design.X, X)
    assert spans(X, design.X)
    if is_hierarchical(text.replace("%%", "%")) and design.X.shape == X.shape:
        assert np.allclose(design.X, X, rtol=1e-12, atol=1e-12)
    plan = design.plan
    assert np.allclose(rebuild(plan, NEW).X, design.X[[5, 100, 17, 3, 3, 200]], rtol=1e-12)


def test_the_interpreter_knows_r():
    """What R prints for three small models, so that the interpreter is not only itself."""
    data = {"x": np.array([1.0, 2, 4]), "f": np.array(list("bac"))}
    assert model_matrix("x * f", data).tolist() == [
        [1, 1, 1, 0, 1, 0], [1, 2, 0, 0, 0, 0], [1, 4, 0, 1, 0, 4],
    ]  # fmt: skip
    assert model_matrix("0 + f", data).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert model_matrix("f / x", data).shape == (3, 6)
    root = np.sqrt(0.5)
    assert np.allclose(model_matrix("C(f, contr.poly)", data)[1, 1:], [-root, 1 / np.sqrt(6)])
    assert np.allclose(variable("poly(x, 2)", data)[:, 0], [-0.617, -0.154, 0.772], atol=1e-3)
    assert expand("(a + b)^2 - a:b") == ([("a",), ("b",)], True)
    assert as_factor([10, 9.0, 10]).levels == ["9", "10"]
