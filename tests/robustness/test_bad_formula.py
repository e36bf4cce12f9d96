"""Formulas that have no meaning, and formulas that try to run code."""

import os

import pytest

from partialpool.errors import InputError, NotYetError
from partialpool.formula import parse_formula, parse_predictor

BAD = {
    "y ~ x z": "missing between `x` and `z` \\(at character 7, `z`\\)",
    "y ~ (x": "not closed \\(at character 5",
    "y ~ x)": "never opened \\(at character 6",
    "y ~ log(x": "not closed \\(at character 8",
    "y ~ log(x]": "do not match \\(at character 10",
    "y ~ {x": "not closed",
    "y ~ `x": "backtick is not closed",
    "y ~ ``": "empty",
    "y ~ log(``)": "empty",
    "y ~ log('x": "quote is not closed",
    "y ~ x +": "missing at the end",
    "y ~ x:": "missing at the end",
    "y ~ * x": "missing here \\(at character 5",
    "y ~ x:-z": "missing here \\(at character 7",
    "y ~ ()": "missing here",
    "y ~ ": "nothing stands right",
    "~ x": "response is missing",
    "x + z": "no `~`",
    "y ~ x ~ z": "second `~` \\(at character 7",
    "y ~~ x": "second `~`",
    "y ~ (x ~ z)": "second|inside brackets",
    "(y ~ x)": "inside brackets|not closed|never opened",
    "": "empty",
    "  \n": "empty",
    "1 ~ x": "`1` is no column",
    "c(y, z) ~ x": "is no column",
    "(y | g) ~ x": "left of `~`.*write `\\{y \\| g\\}`",
    "y | g ~ x": "left of `~`",
    "y | trials(n) | se(s) ~ x": "second bar",
    "y | trials(n) + trials(m) ~ x": "`trials` is given twice",
    "y | trials(n, m) ~ x": "takes one column",
    "y | trials(n, k=1) ~ x": "takes no argument `k=`",
    "y | size(n) ~ x": "`size` is not a function",
    "cbind(k) ~ x": "cbind\\(successes, failures\\)",
    "log(y ~ x": "inside brackets|not closed",
    "y z ~ x": "missing between `y` and `z`",
    "y > ~ x": "not complete",
    "y[1] ~ x": "whole columns",
    "d$y ~ x": "name the column alone",
    "y ~ x * (1 | g)": "only be added",
    "y ~ x - (1 | g)": "only be added",
    "y ~ x:(1 | g)": "only be added",
    "y ~ (1 | g) * x": "only be added",
    "y ~ - (1 | g)": "only be added",
    "y ~ (1 | g) z": "operator is missing",
    "y ~ (1 | g)(1 | g)": "operator is missing",
    "y ~ z (1 | g)": "only be added|operator is missing",
    "y ~ ( | g)": "left of the bar",
    "y ~ (x | )": "right of the bar",
    "y ~ x | g": "outside brackets",
    "y ~ (x) | g": "outside brackets|only be added",
    "y ~ (0 | g)": "group term is empty",
    "y ~ ((1 | g) + x)": "inside brackets",
    "y ~ (1 + (1 | h) | g)": "inside brackets",
    "y ~ (1 | g | h | i)": "second bar",
    "y ~ (1 || g | h)": "second bar",
    "y ~ (1 | g |)": "second bar",
    "y ~ (1 | g h)": "operator is missing",
    "y ~ (1 | 2)": "not a grouping column",
    "y ~ (1 | log(g))": "not a grouping column",
    "y ~ (1 | a + b)": r"`a \+ b` is not a grouping factor \(at .*`\(1 \| a\) \+ \(1 \| b\)`",
    "y ~ (x || a * b)": r"`\(x \|\| a\) \+ \(x \|\| b\) \+ \(x \|\| a:b\)`",
    "y ~ (1 | (`my a`/b))": r"not a grouping factor.*`\(1 \| `my a`\) \+ \(1 \| `my a`:b\)`",
    "y ~ (1 | a - a)": "not a grouping factor.*`\\(1 \\| a\\)`",
    "y ~ (1 | a:)": "grouping column is missing \\(at character 11, `:`\\)",
    "y ~ (1 | /a)": "grouping column is missing \\(at character 10",
    "y ~ (1 | a//b)": "grouping column is missing \\(at character 12",
    "y ~ (1 | a:b c)": "operator is missing after the grouping column \\(at character 14",
    "y ~ (1 | a:a)": "`a` is combined with itself \\(at character 12",
    "y ~ (1 | a/b/a)": "`a` is combined with itself",
    "y ~ (1 | a:log(b))": r"`log\(b\)` is not a grouping column",
    "y ~ (1 | a:2)": "`2` is not a grouping column",
    "y ~ (1 | a:b) + (1 | `a:b`)": "two grouping factors would be called `a:b`",
    "y ~ (1 | a/b) + (1 + x | a)": r"intercept is in both `\(1 \| a / b\)` and `\(1 \+ x \| a\)`",
    "y ~ (x | a:b) + (0 + x | b:a)": r"x is in both .*`\(1 \| a:b\) \+ \(0 \+ x \| a:b\)`",
    "y ~ (x z | g)": "missing between",
    "y ~ (x | g) + (1 | g)": "in both `\\(x \\| g\\)` and `\\(1 \\| g\\)`",
    "y ~ (1 | g) + (1 + x | g)": "the intercept is in both",
    "y ~ (0 + x | g) + (0 + x:z + x || g)": "x is in both",
    "y ~ 2": "`2` is not a term",
    "y ~ x + 2": "write `I\\(x \\+ 2\\)`",
    "y ~ 2*x": "`2 \\* x` is no arithmetic.*write `I\\(2 \\* x\\)` or `\\{2 \\* x\\}`",
    "y ~ 1/x": "`1 / x` is no arithmetic.*write `I\\(1 / x\\)`",
    "y ~ z + 1/(x + z)": "write `I\\(1 / \\(x \\+ z\\)\\)`",
    "y ~ (1/x | g)": "write `I\\(1 / x\\)`",
    "y ~ (1)/x": "no arithmetic",
    "y ~ x/2": "write `I\\(x / 2\\)`",
    "y ~ x*z/2": "write `I\\(x \\* z / 2\\)`",
    "y ~ 1:x": "no arithmetic",
    "y ~ x*1": "no arithmetic",
    "y ~ 0:x": "no arithmetic",
    "y ~ x*x": "just `x`.*write `I\\(x\\^2\\)`",
    "y ~ x:x": "just `x`",
    "y ~ log(x)*log(x)": "just `log\\(x\\)`",
    "y ~ x - z": "`- z` takes away a term that is not there.*`I\\(x - z\\)`",
    "y ~ -x": "takes away a term that is not there.*`I\\(-1 \\* x\\)`",
    "y ~ (x - z | g)": "takes away",
    "y ~ x * offset(z)": "an offset can only be added",
    "y ~ x - offset(z)": "an offset can only be added",
    "y ~ (offset(z) | g)": "an offset can only be added",
    "y ~ d$x": "name the column alone",
    "y ~ x & z": "for an interaction write `a:b`",
    "y ~ x[1]": "whole columns",
    "y ~ log(x)[1]": "whole columns",
    "y ~ log(x)(z)": "missing|not a function",
    "y = x + z": "write `~` in place of `=` at character 3",
    "y ~ (x - 1)": "inside brackets",
    "y ~ (0 + x)": "inside brackets",
    "y ~ x^2": "`x\\^2` is just `x`.*I\\(x\\^2\\)",
    "y ~ x^-1": "`x\\^-1` is no power of terms.*I\\(x\\^-1\\)",
    "y ~ x**0.5": "I\\(x\\^0.5\\)",
    "y ~ x^(1/2)": "I\\(x\\^\\(1 / 2\\)\\)",
    "y ~ (x + z)**1.5": "whole number",
    "y ~ (x + z)**99": "whole number",
    "y ~ x > 0": "comparison needs braces",
    "y ~ x %% 2": "comparison needs braces|no meaning",
    "y ~ 1x": "start with a digit",
    "y ~ 'x'": "string is not a term",
    "y ~ [x]": "no meaning",
    "y ~ x # note": "no meaning",
    "y ~ {x %in% z}": "list the values",
    "y ~ x %like% z": "no meaning|braces",
    "y ~ {1 < x < 3}": "\\(a < x\\) & \\(x < b\\)",
    "y ~ {x & 1}": "join only conditions",
    "y ~ {x = 1}": "write `==`",
    "y ~ {x + Inf}": "no finite number",
    "y ~ {x + 1/0}": "no finite number",
    "y ~ {x + TRUE + 'a'}": "not allowed",
    "y ~ cr(x)": "give `df=`",
    "y ~ cs(x)": "category-specific effects are not there yet",
    "y ~ relevel(f)": "give `ref=`",
    "y ~ cut(x)": "give `breaks=`",
    "y ~ factor(x, levels=z)": "not allowed",
    "y ~ C(f, contr.treatment(3, base=2))": "name the reference category",
    "y ~ ifelse(x > 1, 'a', 2)": "texts in both",
    "y ~ ifelse(x, 1)": "too few",
    "y ~ log(factor(h))": "a term of its own",
    "y ~ I(poly(x, 2))": "a term of its own",
    "y ~ scale(x, center=z)": "not allowed",
    "y ~ log(x, base=2, base=3)": "gives `base` twice",
    "y ~ poly(x, 2, degree=3)": "gives `degree` twice",
    "y ~ interaction(f)": "too few",
    "y ~ {" + " + ".join(["x"] * 300) + "}": "more than 200 operators",
    "y ~ {x + " + "9" * 400 + "}": "no finite number",
    "y ~ (1 |p| g) + (0 + x |p| g)": "correlated by their name `p`",
    "y ~ {2 + 3}": "uses no column",
    "y ~ log(2)": "no column",
    "y ~ log()": "no argument",
    "y ~ logg(x)": "did you mean `log`",
    "y ~ poly(x, degre=2)": "did you mean `degree`",
    "y ~ center(C(f))": "term of its own",
    "y ~ C(f, contr.summ)": "not a contrast.*contr.sum",
    "y ~ " + "(" * 100 + "x" + ")" * 100: "nested too deeply",
    "y ~ {" + "(" * 500 + "x" + ")" * 500 + "}": "nested|not a Python",
    "y ~ " + "x + " * 10_000 + "x": "more than 20000 characters",
    "y ~ " + " * ".join(f"x{i}" for i in range(40)): "more than 5000 terms",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_formulas_without_meaning(text):
    with pytest.raises(InputError, match=BAD[text]):
        parse_formula(text)


IDIOMS = {
    "y ~ x + weights(w)": r"`weights\(…\)` has no meaning here .*: write it left of `~`",
    "y ~ x + trials(n)": r"write it left of `~`, as in `y \| trials\(n\) ~ …`",
    "y ~ (1 | log(g))": "not a grouping column",
    "y ~ s(x, k=4)": r"write `bs\(x, df=4\)`, or `cr\(x, df=4, constraints='center'\)`",
    "bf(y ~ x)": r"`bf\(…\)` stands around a formula: give what is in it",
    "bf(y ~ x, sigma ~ z)": "give what is in it",
    "@formula(y ~ x)": "give what is in it",
    "lmer(y ~ x + (1 | g), data = d)": "give what is in it",
    "y ~ x + is.na(z)": "rows with missing values are left out",
    "y ~ rescale(x)": "make it a column of the table first",
    "y ~ x + log(offset(e))": "add it to the other terms",
}


@pytest.mark.parametrize("text", IDIOMS)
def test_idioms_of_other_packages_are_answered_with_ours(text):
    with pytest.raises(InputError, match=IDIOMS[text]):
        parse_formula(text)


@pytest.mark.parametrize("value", [None, 3, b"y ~ x", ["y ~ x"]])
def test_only_text_is_a_formula(value):
    with pytest.raises(InputError, match="write it as text"):
        parse_formula(value)


PREDICTORS = {
    "x + z": "no `~`: write `~ x \\+ z`",
    "y ~ x": "`y` stands left of `~`.*: write `~ x`",
    "{y > 0} ~ ": "stands left of `~`",
    "~": "nothing stands right",
    "": "is empty: write one such as `~ x`",
    "~ x ~ z": "second `~`",
    "~ (1 | a + b)": "not a grouping factor",
    "~ open(x)": "not a function",
}


@pytest.mark.parametrize("text", PREDICTORS)
def test_formulas_of_parameters_without_meaning(text):
    with pytest.raises(InputError, match=PREDICTORS[text]):
        parse_predictor(text)


@pytest.mark.parametrize("value", [None, 3, b"y ~ x", ["y ~ x"]])
def test_only_text_is_a_formula_of_a_parameter(value):
    with pytest.raises(InputError, match='write it as text, "~ x"'):
        parse_predictor(value)


NOT_YET = [
    "y ~ .",
    "y ~ mo(x)",
    "y ~ me(x, s)",
    "y ~ gp(x)",
    "y ~ ar(p = 1)",
    "y ~ (1 | mm(g, h))",
    "y ~ (1 | gr(g, by = h))",
    "y ~ ar1(0 + x | g)",
    "y ~ cs(0 + x | g)",
    "y | cens(c) ~ x",
    "y | trunc(lb = 0) ~ x",
    "y | mi() ~ x",
    "y | se(s, sigma = TRUE) ~ x",
    "y | weights(w, scale = TRUE) ~ x",
    "Surv(time, status) ~ x",
    "mvbind(y, z) ~ x",
    "cbind(y, z, w) ~ x",
    "y ~ SSlogis(x, Asym, xmid, scal)",
    "y ~ SSlogis(x, Asym, xmid, scal) ~ Asym | g",
]


@pytest.mark.parametrize("text", NOT_YET)
def test_not_yet(text):
    with pytest.raises(NotYetError):
        parse_formula(text)


ATTACKS = [
    "__import__('os').system('x')",
    "{__import__('os').system('x')}",
    "x.__class__",
    "{x.__class__}",
    "{x.__class__.__mro__[1].__subclasses__()}",
    "log(x).__class__",
    "log(x)[0]",
    "log(x)()",
    "(lambda: 1)()",
    "{(lambda: 1)()}",
    "{lambda: x}",
    "{open('f')}",
    "open('f')",
    "eval('x')",
    "exec('x')",
    "getattr(x, 'y')",
    "{np.load('f')}",
    "np",
    "{[c for c in x]}",
    "{[x]}",
    "{(x, x)}",
    "{ {x: x} }",
    "{x[0]}",
    "{x[::]}",
    "{(z := x)}",
    "{x if x else x}",
    "{f'{x}'}",
    "{f'{open(1)}'}",
    "{await x}",
    "{(yield x)}",
    "{*x}",
    "{x; open('f')}",
    "{x\nimport os}",
    "{x @ x}",
    "{x << 3}",
    "{x is x}",
    "{x in x}",
    "{x + None}",
    "{x + ...}",
    "{x + 1j}",
    "{x + b'a'}",
    "{x * 'a'}",
    "{9**9**9**9 * x}",
    "log(*x)",
    "log(**x)",
    "log(x, out=y)",
    "log(x, y)",
    "log(x, where=y)",
    "log(`x`)(`x`)",
    "`log`(x)",
    "{`open`('f')}",
    "lag(x)",
    "hashed(x, levels=3)",
    "poly(x, _state={})",
    "poly(x, _state=x)",
    "poly(x, degree=x)",
    "poly(x, 2, True, 3)",
    "bs(x, knots=x)",
    "bs(x, knots=[open('f')])",
    "scale(x, center=open('f'))",
    "C(x, open('f'))",
    "C(x, contr.__class__)",
    "C(x, contr.treatment.__init__)",
    "C(x, contr.treatment(open('f')))",
    "C(x, contr.treatment(**x))",
    "C(x, contr.custom(x))",
    "C(x, contr)",
    "C(x, x)",
    "C(x, {'a': [1, 2]})",
    "C(x, levels=open('f'))",
    "contr.treatment(x)",
    "Treatment(x)",
    "Q(open('f'))",
    "Q('x', 'y')",
    "Q('x').y",
    "{x + __builtins__}",
    "{x + __FORMULAIC_STATE__}",
    "I(open)",  # a column that is called open: parses, and names a column
]


@pytest.mark.parametrize(
    "place", ["y ~ {}", "y ~ x + ({} | g)", "{} ~ x", "y ~ (1 | {})", "y ~ (1 | x:{})"]
)
@pytest.mark.parametrize("attack", ATTACKS)
def test_code_is_refused_or_is_only_a_column_name(attack, place):
    try:
        terms = parse_formula(place.replace("{}", attack, 1))
    except InputError:
        return
    assert attack in ("np", "I(open)")  # names like any other: columns, which the table must have
    assert {"np", "open"} & set(terms.columns)


HOSTILE = [
    "__import__('os').abort()",
    "x'); open('f",
    '"] + open(1) + ["',
    "{x}",
    "\\",
    "a\nb",
    "ppcol_n_78_",
    "__FORMULAIC_STATE__",
    "lambda",
    "ﬁ",
    "µ",
    " ",
    "{0}",
    "%s",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_strings_are_only_names_and_strings(name, monkeypatch):

    import numpy as np

    from helpers import rebuild
    from partialpool.design import build_design

    def forbidden(*args, **kwargs):
        raise AssertionError("code from a name was run")

    x = np.array([1.0, 2.0, 4.0, 3.0, 8.0])
    data = {
        "y": x**2,
        name: x,
        "s": np.array([name, "b", name, "b", "c"], dtype=object),
        f"g {name}": ["a", "a", "b", "b", "b"],
    }
    text = f"y ~ center(`{name}`) + {{s == {name!r}}} + (0 + `{name}` | `g {name}`)"
    terms = parse_formula(text)
    with monkeypatch.context() as patch:
        patch.setattr(os, "abort", forbidden)
        patch.setattr(os, "system", forbidden)
        design = build_design(terms, data)
        again = rebuild(design.plan, data)
    assert np.allclose(design.X[:, 1], x - x.mean())
    assert design.X[:, 2].tolist() == [1, 0, 1, 0, 0]
    assert design.factors[0].terms == (name,)
    assert np.array_equal(again.X, design.X)


def test_a_plan_is_checked_again():
    from helpers import rebuild
    from partialpool.design import build_design

    data = {"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 5.0]}
    plan = build_design(parse_formula("y ~ log(x)"), data).plan.to_json()
    with pytest.raises(InputError, match="not a function"):
        rebuild({**plan, "formula": "y ~ open(x)"}, data)
    with pytest.raises(InputError, match="version"):
        rebuild({**plan, "version": 99}, data)
