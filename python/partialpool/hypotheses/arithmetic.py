"""Arithmetic over draws: a tree of few kinds of nodes, walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.errors import InputError
from partialpool.formula.tree import Binary, Call, Constant, Name, Node, Unary


class Function(Struct, frozen=True):
    """A function, and how many numbers it takes at most; at least 2 where it takes several."""

    compute: Callable[..., Any]
    most: int = 1


def _inv_logit(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def _logit(x: Any) -> Any:
    return np.log(x) - np.log1p(-x)


def _inv_cloglog(x: Any) -> Any:
    return -np.expm1(-np.exp(x))


def _normal(x: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(x)


def _normal_quantile(x: Any) -> Any:
    from scipy.special import ndtri

    found = np.asarray(ndtri(x))
    return np.where(np.isfinite(found), found, np.nan)


def _least(*x: Any) -> Any:
    return reduce(np.minimum, x)


def _greatest(*x: Any) -> Any:
    return reduce(np.maximum, x)


SEVERAL = 100
FUNCTIONS = {
    **{"exp": Function(np.exp), "expm1": Function(np.expm1), "sqrt": Function(np.sqrt)},
    **{"log": Function(np.log), "log2": Function(np.log2), "log10": Function(np.log10)},
    **{"log1p": Function(np.log1p), "abs": Function(np.abs)},
    **dict.fromkeys(("inv_logit", "plogis", "expit"), Function(_inv_logit)),
    **dict.fromkeys(("logit", "qlogis"), Function(_logit)),
    **dict.fromkeys(("pnorm", "Phi"), Function(_normal)),
    "qnorm": Function(_normal_quantile),
    "inv_cloglog": Function(_inv_cloglog),
    **dict.fromkeys(("min", "pmin"), Function(_least, SEVERAL)),
    **dict.fromkeys(("max", "pmax"), Function(_greatest, SEVERAL)),
}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "**": np.power,
}


def check_arithmetic(name: str, given: int, where: str) -> None:
    """Refuse a function of too few or too many numbers."""
    most = FUNCTIONS[name].most
    least = 1 if most == 1 else 2
    if not least <= given <= most:
        takes = "one number" if most == 1 else "two numbers or more"
        raise InputError(
            f"`{name}` takes {takes}, and {given or 'none'} {'is' if given == 1 else 'are'} given",
            where=where,
        )


def evaluate(node: Node, draws: Mapping[str, Array]) -> Array:
    """Compute an expression draw by draw; where it is undefined it is not finite.

    Parameters
    ----------
    node : Node
        Its tree, in which names are those of parameters.
    draws : mapping of str to array
        Draws by the names of parameters, all of one shape.

    Examples
    --------
    >>> tree = Binary("/", Name("a"), Call("exp", (Constant(0),)))
    >>> evaluate(tree, {"a": np.array([1.0, 2.0])})
    array([1., 2.])
    """
    with np.errstate(all="ignore"):
        return np.asarray(_value(node, draws), dtype=np.float64)


def _value(node: Node, draws: Mapping[str, Array]) -> Any:
    match node:
        case Name(name):
            return draws[name]
        case Constant(value) if isinstance(value, (int, float)):
            return np.float64(value)
        case Unary("-", operand):
            return -_value(operand, draws)
        case Unary("+", operand):
            return _value(operand, draws)
        case Binary(operator, left, right) if operator in _OPERATORS:
            return _OPERATORS[operator](_value(left, draws), _value(right, draws))
        case Call(name, arguments, ()) if name in FUNCTIONS:
            return FUNCTIONS[name].compute(*(_value(one, draws) for one in arguments))
    raise AssertionError("the tokens of a hypothesis have no other meaning")
