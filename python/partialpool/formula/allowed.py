"""What may stand in an expression: the list that the check goes by, and what R calls the same."""

from __future__ import annotations

from msgspec import Struct

MATH = (
    *("abs", "sqrt", "exp", "expm1", "exp2", "exp10", "log1p", "log2", "log10"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("floor", "ceil", "trunc", "sign", "logit", "inv_logit"),
)
SUMMARIES = ("mean", "sd", "std", "median", "min", "max")


class Function(Struct, frozen=True):
    """What a function takes.

    Parameters
    ----------
    options : tuple of str
        Names of its arguments that are constants, in the order in which they may be given.
    least, most : int
        How many arguments before these are values.
    gives : {"number", "columns", "categories"}
        One number a row, one or more columns, or categories.
    """

    options: tuple[str, ...] = ()
    least: int = 1
    most: int = 1
    gives: str = "number"


_CUBIC = ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation")
# Nothing else may be given, which also keeps out formulaic's own `_state=`.
FUNCTIONS: dict[str, Function] = {
    **dict.fromkeys((*MATH, *SUMMARIES), Function()),
    "log": Function(("base",)),
    "round": Function(("digits",)),
    **dict.fromkeys(("as.numeric", "as.integer"), Function()),
    **dict.fromkeys(("pmin", "pmax"), Function(least=2, most=20)),
    "ifelse": Function(least=3, most=3),
    "center": Function(),
    "scale": Function(("center", "scale", "ddof")),
    "standardize": Function(("center", "rescale", "ddof")),
    "poly": Function(("degree", "raw"), gives="columns"),
    "bs": Function(
        (
            *("df", "knots", "degree", "include_intercept"),
            *("lower_bound", "upper_bound", "extrapolation"),
        ),
        gives="columns",
    ),
    **dict.fromkeys(("cs", "cr", "cc"), Function(_CUBIC, gives="columns")),
    "C": Function(("contrasts", "levels"), gives="categories"),
    "factor": Function(("levels", "labels", "ordered"), gives="categories"),
    "ordered": Function(("levels", "labels"), gives="categories"),
    "relevel": Function(("ref",), gives="categories"),
    "interaction": Function(("sep", "drop", "lex.order"), least=2, most=20, gives="categories"),
    "cut": Function(("breaks", "labels", "include.lowest", "right"), gives="categories"),
    **dict.fromkeys(("as.character", "droplevels"), Function(gives="categories")),
}

# What R, numpy and others call a function of the list; `np.` and `stats::` before it are left out.
CALLED: dict[str, str] = {
    **{"ceiling": "ceil", "asin": "arcsin", "acos": "arccos", "atan": "arctan"},
    **dict.fromkeys(("plogis", "expit", "invlogit", "inv.logit", "inverse_logit"), "inv_logit"),
    **{"qlogis": "logit", "minimum": "pmin", "maximum": "pmax", "absolute": "abs"},
    **dict.fromkeys(("where", "if_else", "fifelse"), "ifelse"),
    **{"as.double": "as.numeric", "as_numeric": "as.numeric", "as_integer": "as.integer"},
    **dict.fromkeys(("as.factor", "as_factor"), "factor"),
    **{"as.ordered": "ordered", "as_ordered": "ordered", "as_character": "as.character"},
}
PREFIXES = ("np.", "numpy.", "math.")
# Other ways to write something: a term as it is, a name in quotes, `x**2`, `f == 'a'`.
REWRITTEN = ("I", "Q", "power", "dummy")
SPLINES = ("cs", "cr", "cc")
# R's names of options.
OPTIONS_CALLED: dict[str, dict[str, str]] = {
    "bs": {"intercept": "include_intercept"},
    "C": {"contr": "contrasts"},
    "cut": {"include_lowest": "include.lowest"},
}

_SMOOTH = "write `bs({x}, df=4)`, or `cr({x}, df=4, constraints='center')`"
_ONE = "make it a column of the table first"

# What R, lme4 and brms write as a function in places where it has another meaning → what to do.
ELSEWHERE: dict[str, str] = {
    "offset": "add it to the other terms by itself, `… + offset({x})`",
    **dict.fromkeys(
        ("trials", "se", "weights", "rate"), "write it left of `~`, as in `y | {name}({x}) ~ …`"
    ),
    **dict.fromkeys(("cbind", "p", "prop", "proportion"), "it counts successes, left of `~`"),
    **dict.fromkeys(("s", "t2", "te", "ns", "smooth", "lo"), _SMOOTH),
    **dict.fromkeys(("bf", "brmsformula", "formula", "lf"), "give the formula itself, as text"),
    **dict.fromkeys(("binary", "B"), "write a condition, `{{x} == 'a'}`"),
    "is.na": "rows with missing values are left out, so it would be false in every row",
    **dict.fromkeys(("rescale", "ave", "lag", "diff", "cumsum", "rank", "paste", "substr"), _ONE),
    **dict.fromkeys(("list", "tuple", "dict", "array"), "write a list as `c(1, 2)` or `[1, 2]`"),
}

# What other packages have and this version does not.
NOT_YET: dict[str, str] = {
    **dict.fromkeys(("mo",), "monotonic effects; `C({x})` codes each category"),
    **dict.fromkeys(("me", "mi"), "predictors with errors or missing values"),
    **dict.fromkeys(("gp", "hsgp"), "Gaussian processes; `bs({x}, df=4)` is a smooth curve"),
    **dict.fromkeys(("ar", "ma", "arma", "cosy", "unstr", "car", "sar", "fcor"),
                    "correlated residuals"),
    **dict.fromkeys(("mm", "mmc"), "levels with weights (multiple membership)"),
    **dict.fromkeys(("acat", "cse"), "effects that differ between thresholds"),
    **dict.fromkeys(("cens", "trunc", "Surv", "censored", "truncated"),
                    "censored or truncated responses"),
    **dict.fromkeys(("mvbind", "mvbf"), "several responses at once"),
    **dict.fromkeys(("SSlogis", "SSasymp", "SSfpl", "SSmicmen", "SSgompertz", "SSbiexp", "SSfol",
                     "SSweibull", "SSasympOff", "SSasympOrig", "nlf"),
                    "nonlinear formulas"),
}  # fmt: skip

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
# R's short names, as in `C(f, sum)`.
CONTRASTS_CALLED = {
    **{"treatment": "contr.treatment", "sum": "contr.sum", "helmert": "contr.helmert"},
    **{"poly": "contr.poly", "SAS": "contr.SAS", "contr.sdif": "contr.diff"},
    **{"MASS.contr.sdif": "contr.diff", "contr.sum.keepnames": "contr.sum"},
}

# Covariances that glmmTMB writes around a group term, as in `ar1(time + 0 | g)`.
NOT_YET_COVARIANCES = (
    *("cs", "homcs", "homdiag", "ar1", "hetar1", "toep", "homtoep", "ou", "exp", "gau", "mat"),
    *("rr", "propto", "equalto"),
)
