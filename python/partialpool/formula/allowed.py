"""What may stand in a factor: the list that the check goes by."""

from __future__ import annotations

import ast

MATH = (
    *("abs", "sqrt", "exp", "expm1", "exp2", "exp10", "log", "log1p", "log2", "log10"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("floor", "ceil", "sign"),
)

# Function → names of its arguments after the first. Nothing else may be given, which also keeps
# out numpy's `out=` and formulaic's own `_state=`.
_CUBIC = ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation")
FUNCTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MATH, ()),
    "I": (),
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "standardize": ("center", "rescale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": (
        *("df", "knots", "degree", "include_intercept"),
        *("lower_bound", "upper_bound", "extrapolation"),
    ),
    **dict.fromkeys(("cs", "cr", "cc"), _CUBIC),
    "C": ("contrasts", "levels"),
}

_CODED = "write `C({x})`, and a grouping column by its name alone"
_SMOOTH = "write `bs({x}, df=4)` or `cr({x}, df=4)`"

# What R, lme4 and brms write as a function → how it is said here; `{x}` is the first argument.
ELSEWHERE: dict[str, str] = {
    "offset": "give the column as `offset=`, or its exponential as `exposure=`",
    "rate": "give the column as `exposure=`",
    "weights": "give the column as `weights=`",
    "se": "give the column as `se=`",
    "trials": 'use family="binomial" and give the column as `trials=`',
    "cbind": 'use family="binomial", name the successes alone and give `trials=`',
    **dict.fromkeys(("factor", "as.factor", "as_factor"), _CODED),
    **dict.fromkeys(("s", "t2", "te", "ns", "smooth"), _SMOOTH),
    **dict.fromkeys(("bf", "brmsformula", "formula"), "give the formula itself, as text"),
}

CONTRASTS: dict[str, tuple[str, ...]] = {
    "contr.treatment": ("base",),
    "contr.SAS": ("base",),
    "contr.sum": (),
    "contr.helmert": ("reverse", "scale"),
    "contr.diff": ("backward",),
    "contr.poly": ("scores",),
    "Treatment": ("reference",),
    "Sum": (),
    "Helmert": ("reverse", "scale"),
    "Diff": ("backward",),
    "Poly": ("scores",),
}

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
