"""Columns + a checked expression → its numbers, one a row.

What an expression needs to know of the rows that were fitted (means, knots, …) is kept in a state,
by the text of the call, and used again for new rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from partialpool.arrays import Array, Flags
from partialpool.data import Column, label
from partialpool.data.conventions import is_plain
from partialpool.data.labels import distinct
from partialpool.errors import InputError, short
from partialpool.expressions.comparison import compare
from partialpool.expressions.state import decode, encode
from partialpool.expressions.unclear import as_numbers
from partialpool.formula.allowed import MATH
from partialpool.formula.constants import ARITHMETIC, is_text
from partialpool.formula.names import quoted
from partialpool.formula.tree import (
    LOGICAL,
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    Unary,
    is_condition,
    show,
)

State = dict[str, Any]


def _inv_logit(x: Array) -> Array:
    return np.asarray(np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))))


_OWN: dict[str, Callable[[Array], Array]] = {
    "logit": lambda x: np.asarray(np.log(x / (1 - x))),
    "inv_logit": _inv_logit,
    "exp10": lambda x: np.asarray(10.0**x),
}
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    name: _OWN.get(name) or getattr(np, name) for name in MATH
}
_SUMMARIES: dict[str, Callable[[Array], Any]] = {
    "mean": np.mean,
    "sd": lambda x: np.std(x, ddof=1),
    "std": np.std,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}


class Evaluator:
    """Computes expressions on the columns of some rows.

    Parameters
    ----------
    columns : mapping of str to Column
        Without missing values.
    n_rows : int
        The number of rows.
    state : dict, optional
        What an evaluator of the fitted rows learned, in its ``learned``.

    Attributes
    ----------
    learned : dict
        What to know of these rows, by the text of the call; survives JSON.

    Examples
    --------
    >>> from partialpool.formula.check import expression_factor
    >>> x = Column("x", "number", np.array([1.0, 3.0]), np.array([False, False]))
    >>> tree = expression_factor("(x - mean(x))^2 + 1", "here").tree
    >>> first = Evaluator({"x": x}, 2)
    >>> first.numbers(tree).tolist(), first.learned
    ([2.0, 2.0], {'mean(x)': 2.0})
    """

    def __init__(
        self, columns: Mapping[str, Column], n_rows: int, state: State | None = None
    ) -> None:
        self.columns = columns
        self.n_rows = n_rows
        self.state = state
        self.learned: State = {} if state is None else dict(state)

    @property
    def fitted(self) -> bool:
        """Whether a state says what to use."""
        return self.state is not None

    def numbers(self, node: Node) -> Array:
        """Return an expression's value in every row."""
        with np.errstate(all="ignore"):
            values = self._number(node)
        return np.array(np.broadcast_to(values, (self.n_rows,)), dtype=np.float64)

    def flags(self, node: Node) -> Flags:
        """Return in which rows a condition, or a column that is true or false, holds."""
        if isinstance(node, Name):
            column = self.columns[node.name]
            if column.kind == "boolean":
                return column.values
            if column.kind == "number" and bool(np.isin(column.values, (0, 1)).all()):
                return np.asarray(column.values == 1)
            raise InputError(
                f"the column `{node.name}` is joined by `&`, `|` or `!` but is not true or false",
                remedy=f"write a condition, such as `({quoted(node.name)} > 0)`",
            )
        if isinstance(node, Unary):
            return ~self.flags(node.operand)
        assert isinstance(node, Binary)
        if node.operator in LOGICAL:
            left, right = self.flags(node.left), self.flags(node.right)
            return left & right if node.operator == "&" else left | right
        with np.errstate(all="ignore"):
            sides = self._side(node.left), self._side(node.right)
            held = compare(node.operator, *sides, seen=not self.fitted)
        return np.array(np.broadcast_to(held, (self.n_rows,)))

    def columns_of(self, call: Call) -> tuple[tuple[str, ...], Array]:
        """Return the columns that a call such as ``poly(x, 2)`` gives, and their numbers."""
        name, options = call.name, plain_options(call)
        x = self.numbers(call.arguments[0])
        if name == "poly":
            _check_degree(call, x, options, fitted=self.fitted)
        try:
            values = self._remembered(
                call, lambda state: _transform(name)(x, **options, _state=state)
            )
        except (ValueError, TypeError, IndexError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise _uncomputable(call, error) from None
        if isinstance(values, dict) or hasattr(values, "keys"):
            names = [key for key in values if not str(key).startswith("__")]
            matrix = np.column_stack([np.asarray(values[key], dtype=np.float64) for key in names])
            return tuple(map(str, names)), matrix
        matrix = np.asarray(values, dtype=np.float64).reshape(self.n_rows, -1)
        return tuple(str(k + 1) for k in range(matrix.shape[1])), matrix

    def _number(self, node: Node) -> Any:
        match node:
            case Name(name):
                return self._column(name)
            case Constant(value):
                return value
            case Unary("-", operand):
                return -self._number(operand)
            case Binary(symbol, left, right) if symbol in ARITHMETIC:
                return _computed(symbol, self._number(left), self._number(right))
            case Call():
                return self._call(node)
        assert is_condition(node)
        return self.flags(node).astype(np.float64)

    def _column(self, name: str) -> Array:
        column = self.columns[name]
        if column.kind in ("number", "boolean"):
            return column.values.astype(np.float64)
        if column.kind == "date":
            remedy = f"write `C({quoted(name)})` for categories, or turn it into numbers"
            raise InputError(f"the column `{name}` holds dates", remedy=remedy)
        if self.fitted:
            return as_floats(column)
        column = as_numbers(column, np.arange(len(column)), "column")
        if column.kind == "number":
            return column.values.astype(np.float64)
        first = label(column.values[0]) if len(column) else "a"
        raise InputError(
            f"the column `{name}` holds text (`{short(first, 20)}`), where a number is needed",
            remedy=f"compare it with text, as in `{{{quoted(name)} == {short(first, 20)!r}}}`, or "
            f"write `C({quoted(name)})`",
        )

    def _call(self, call: Call) -> Any:
        name, options = call.name, plain_options(call)
        if name == "ifelse":
            held, yes, no = call.arguments
            return np.where(self.flags(held), self._number(yes), self._number(no))
        parts = [self._number(argument) for argument in call.arguments]
        x = parts[0]
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](x)
        if name == "log":
            return np.log(x) / np.log(options["base"]) if "base" in options else np.log(x)
        if name == "round":
            return np.round(x, int(options.get("digits", 0)))
        if name in ("pmin", "pmax"):
            return reduce(np.minimum if name == "pmin" else np.maximum, parts)
        if name in ("as.numeric", "as.integer"):
            return np.trunc(x) if name == "as.integer" else x
        if name in _SUMMARIES:
            key = show(call, canonical=True)
            if self.state is None or key not in self.state:
                values = np.broadcast_to(x, (self.n_rows,))
                self.learned[key] = float(_SUMMARIES[name](values))
            return self.learned[key]
        return self._remembered(call, lambda state: _transform(name)(x, **options, _state=state))

    def _remembered(self, call: Call, compute: Callable[[dict[str, Any]], Any]) -> Any:
        """Compute what keeps a state, from its own if it has one."""
        key = show(call, canonical=True)
        state = decode(self.state[key]) if self.state is not None and key in self.state else {}
        with np.errstate(all="ignore"):  # what is not finite is refused where columns are checked
            values = compute(state)
        self.learned[key] = encode(state)
        return values

    def _side(self, node: Node) -> Any:
        """Return one side of a comparison: numbers, a constant, constants, or a column as it is."""
        if isinstance(node, Items):
            return [item.value for item in node.items if isinstance(item, Constant)]
        if is_text(node):
            assert isinstance(node, Constant)
            return node.value
        if isinstance(node, Name):
            return self.columns[node.name]
        return self._number(node)


def as_floats(column: Column) -> Array:
    """Return the values of a column that was numbers or true and false in the fit as float64.

    Numbers by another type are numbers too: text, or categories. Others are an error.

    Examples
    --------
    >>> text = np.array(["1", "20"], dtype=object)
    >>> as_floats(Column("x", "string", text, np.zeros(2, dtype=bool))).tolist()
    [1.0, 20.0]
    """
    if column.kind == "categorical":
        found, codes = distinct(column.values)
        if all(is_plain(label(value).strip()) for value in found):
            return np.array([float(value) for value in found])[codes]
    column = as_numbers(column, np.arange(len(column)), "column")
    if column.kind not in ("number", "boolean"):
        raise InputError(
            f"the column `{column.name}` is now of kind {column.kind}",
            remedy="give numbers, as in the data that were fitted",
        )
    return column.values.astype(np.float64)


def plain_options(call: Call) -> dict[str, Any]:
    """Return the options of a call as values.

    Examples
    --------
    >>> plain_options(Call("poly", (), (("degree", Constant(2)),)))
    {'degree': 2}
    """
    found: dict[str, Any] = {}
    for key, node in call.named:
        if isinstance(node, Items):
            found[key] = [item.value for item in node.items if isinstance(item, Constant)]
        elif isinstance(node, Constant):
            found[key] = node.value
    return found


def _computed(symbol: str, left: Any, right: Any) -> Any:
    if symbol == "**":
        return np.power(np.asarray(left, dtype=np.float64), right)
    if symbol in ("%", "//"):
        return (np.mod if symbol == "%" else np.floor_divide)(left, right)
    if symbol == "/":
        return np.divide(left, right)
    return ARITHMETIC[symbol](left, right)


def _scaled(x: Array, centre: bool | float, scale: bool | float, ddof: float, state: State) -> Any:
    """Centre and scale, or only one of them; a number is used in place of mean or sd."""
    if "center" not in state:
        moved = float(np.mean(x)) if centre is True else None if centre is False else centre
        state |= {"ddof": ddof, "center": moved}
    x = x if state["center"] is None else x - state["center"]
    if "scale" not in state:
        size = float(np.sqrt(np.sum(x**2) / max(len(x) - ddof, 0)))
        state["scale"] = size if scale is True else None if scale is False else scale
    return x if state["scale"] is None else x / state["scale"]


def _transform(name: str) -> Callable[..., Any]:
    """Return a transform that keeps a state; all but the simplest are formulaic's."""
    if name == "center":
        return lambda x, _state: _scaled(x, True, False, 1, _state)
    if name == "scale":
        return lambda x, center=True, scale=True, ddof=1, *, _state: _scaled(
            x, center, scale, ddof, _state
        )
    if name == "standardize":
        return lambda x, center=True, rescale=True, ddof=0, *, _state: _scaled(
            x, center, rescale, ddof, _state
        )
    from formulaic.transforms import TRANSFORMS

    return TRANSFORMS[name]  # type: ignore[no-any-return]


def _check_degree(call: Call, x: Array, options: Mapping[str, Any], *, fitted: bool) -> None:
    """Refuse a polynomial of no degree, or of more than the values can tell."""
    degree = options.get("degree", 1)
    if isinstance(degree, bool) or not isinstance(degree, int) or not 1 <= degree <= 50:
        remedy = "give a whole number from 1, as in `poly(x, 2)`"
        raise InputError(f"`{short(show(call))}` has no whole degree", remedy=remedy)
    different = len(np.unique(x))
    if not fitted and degree >= different:
        raise InputError(
            f"`{short(show(call))}` needs more than {degree} different values, and there are "
            f"{different}",
            remedy="choose a lower degree",
        )


def _uncomputable(call: Call, error: Exception) -> InputError:
    text = str(error).split("\n")[0].rstrip(".")
    if "extrapolation" in text or "outside" in text or "bounds" in text:
        remedy = 'for values beyond those seen write `extrapolation="extend"` in the spline'
    else:
        remedy = "check the expression and the kinds of its columns"
    return InputError(
        f"`{short(show(call))}` cannot be computed ({short(text, 200)})", remedy=remedy
    )
