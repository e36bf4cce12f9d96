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
