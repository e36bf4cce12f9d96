"""Arguments that are constants: numbers, truth values, strings, and lists of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from partialpool.errors import InputError, short
from partialpool.formula.tree import (
    PI,
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    Unary,
    show,
)

MAX_ITEMS = 1_000
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "%": operator.mod,
    "//": operator.floordiv,
}


def constant(node: Node, place: str) -> Constant | Items:
    """Return the value of a constant, or the list of several.

    Parameters
    ----------
    node : Node
        As it was written; ``1:3``, ``seq(0, 1, 0.5)`` and arithmetic with numbers are worked out.
    place : str
        Where it stands, for messages.

    Examples
    --------
    >>> from partialpool.formula.expression import parse_expression
    >>> show(constant(parse_expression("c(-1, 2:4, 3 * 2)"), "here"), canonical=True)
    '[-1, 2, 3, 4, 6]'
    """
    match node:
        case Name("T" | "F" as name, False):
            return Constant(name == "T")
        case Name(name, False) if name in PI:
            return Constant(math.pi)
        case Constant(value):
            return Constant(value)
        case Items(items):
            inner = [constant(item, place) for item in items]
            return _list(node, [one for part in inner for one in _several(part)], place)
        case Unary("-" | "+" as sign, operand):
            inside = constant(operand, place)
            if is_number(inside):
                return Constant(-number(inside) if sign == "-" else number(inside))
        case Binary(":", left, right):
            ends = [constant(left, place), constant(right, place)]
            if all(is_number(end) for end in ends):
                first, last = (float(number(end)) for end in ends)
                return _list(node, _sequence(first, last, 1.0 if last >= first else -1.0), place)
        case Binary(symbol, left, right) if symbol in ARITHMETIC:
            sides = constant(left, place), constant(right, place)
            if all(is_number(side) for side in sides):
                return folded(node, *sides, place)
        case Call("seq", arguments, named):
            given = dict(zip(("from", "to", "by"), arguments, strict=False)) | dict(named)
            steps = {key: constant(value, place) for key, value in given.items()}
            known = {"from", "to"} <= set(steps) <= {"from", "to", "by"}
            if known and all(is_number(step) for step in steps.values()):
                first, last = float(number(steps["from"])), float(number(steps["to"]))
                by = float(number(steps["by"])) if "by" in steps else 1.0
                return _list(node, _sequence(first, last, by), place)
    raise _refuse(node, place, "give a number, a string, or a list of them")


def folded(node: Binary, left: Node, right: Node, place: str) -> Constant:
    """Return the number that arithmetic with two numbers gives."""
    try:
        value = ARITHMETIC[node.operator](float(number(left)), float(number(right)))
    except (ZeroDivisionError, OverflowError):
        value = math.inf
    if isinstance(value, complex) or not math.isfinite(value):
        raise _refuse(node, place, "it is no finite number")
    return Constant(int(value) if value.is_integer() and abs(value) < 2**53 else value)


def is_text(node: Node) -> bool:
    """Tell whether a node is a string."""
    return isinstance(node, Constant) and isinstance(node.value, str)


def is_number(node: Node) -> bool:
    """Tell whether a node is a number."""
    plain = isinstance(node, Constant) and isinstance(node.value, (int, float))
    return plain and not isinstance(node.value, bool)  # type: ignore[union-attr]


def text(node: Node) -> str:
    """Return the string of a node that is one."""
    assert isinstance(node, Constant)
    return str(node.value)


def number(node: Node) -> float:
    """Return the number of a node that is one."""
    assert isinstance(node, Constant)
    assert isinstance(node.value, (int, float))
    return node.value


def _several(part: Constant | Items) -> tuple[Node, ...]:
    return part.items if isinstance(part, Items) else (part,)


def _list(node: Node, values: list[Node], place: str) -> Items:
    if len(values) > MAX_ITEMS:
        raise _refuse(node, place, f"list at most {MAX_ITEMS} values")
    return Items(tuple(values))


def _sequence(first: float, last: float, by: float) -> list[Node]:
    count = math.floor((last - first) / by + 1e-9) + 1 if by else 0
    values = [first + by * k for k in range(min(max(count, 0), MAX_ITEMS + 1))]
    return [Constant(int(value) if value.is_integer() else value) for value in values]


def _refuse(node: Node, place: str, remedy: str) -> InputError:
    return InputError(
        f"`{short(show(node))}` is not allowed in a formula", where=place, remedy=remedy
    )
