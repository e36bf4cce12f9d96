"""The tree of an expression, and its text.

A tree holds names, numbers, strings and operators, and nothing that could be run: `check.py` says
which trees have a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from partialpool.formula.names import quoted


class Name(Struct, frozen=True):
    """A name: of a column, or of a constant such as ``pi``; `sure` where it is in backticks."""

    name: str
    sure: bool = False


class Constant(Struct, frozen=True):
    """A number, a truth value, a string, or None for nothing at all (``NULL``)."""

    value: float | bool | str | None
    written: str = ""


class Unary(Struct, frozen=True):
    """``-x``, ``+x`` or not x (the operator is ``!``)."""

    operator: str
    operand: Node
    written: str = ""


class Binary(Struct, frozen=True):
    """Two operands and what is between them, by its Python name."""

    operator: str
    left: Node
    right: Node
    written: str = ""


class Call(Struct, frozen=True):
    """A function's name, its arguments, and those that are named."""

    name: str
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...] = ()


class Items(Struct, frozen=True):
    """A list of constants: ``c(1, 2)`` or ``[1, 2]``."""

    items: tuple[Node, ...]
    written: str = "["


Node = Name | Constant | Unary | Binary | Call | Items

# From loose to tight, as in R; `not` stands between `&` and the comparisons.
BINDING = {
    **dict.fromkeys(("|", "||", "or"), 1),
    **dict.fromkeys(("&", "&&", "and"), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "%", "//"), 6),
    **dict.fromkeys(("%%", "%/%", "%in%"), 7),
    ":": 8,
    **dict.fromkeys(("^", "**"), 10),
}
NOT, SIGN = 3, 9
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")
LOGICAL = ("&", "|")
PYTHON = {
    **{"||": "|", "or": "|", "&&": "&", "and": "&"},
    **{"^": "**", "%%": "%", "%/%": "//", "%in%": "in"},
}
CONSTANTS: dict[str, float | bool | None] = {
    **{"TRUE": True, "True": True, "FALSE": False, "False": False, "NULL": None, "None": None},
    **{"Inf": float("inf")},
}
# Names that are constants unless they stand in backticks.
PI = ("pi", "np.pi", "numpy.pi", "math.pi")


def show(node: Node, *, canonical: bool = False) -> str:
    """Write a tree as text that reads back as the same tree.

    Parameters
    ----------
    node : Node
        From ``parse_expression``.
    canonical : bool
        Write operators and constants one way, whichever way they were written.

    Examples
    --------
    >>> from partialpool.formula.expression import parse_expression
    >>> tree = parse_expression("!(a>1&b)")
    >>> show(tree), show(tree, canonical=True)
    ('!((a > 1) & b)', '~((a > 1) & b)')
    """

    def inner(child: Node, loose: bool) -> str:
        text = show(child, canonical=canonical)
        return f"({text})" if loose else text

    match node:
        case Name(name, sure):
            return f"`{name}`" if sure and name in (*CONSTANTS, *PI) else quoted(name)
        case Constant(value, written):
            spelled = value is None or isinstance(value, bool) or value == float("inf")
            return written if spelled and written and not canonical else _constant(value)
        case Unary("!", operand, written):
            sign = "~" if canonical or written in ("", "not") else written
            return sign + inner(operand, not isinstance(operand, (Name, Call)))
        case Unary(operator, operand):
            return operator + inner(operand, _binding(operand) < SIGN)
        case Binary(operator, left, right, written):
            binding = BINDING[operator]
            tight = binding in (8, 10) and not (canonical or written == "**")
            plain = canonical or written in ("", "and", "or", "&&", "||")
            sign = operator if plain else written
            # Python compares before it joins, and R after: brackets say it for both.
            joins = operator in LOGICAL
            if operator in ("%", "//"):
                binding = SIGN
            before = inner(left, _loose(left, binding + (binding == 10), joins))
            after = inner(right, _loose(right, binding + (binding != 10), joins))
            return f"{before}{sign}{after}" if tight else f"{before} {sign} {after}"
        case Call(name, arguments, named):
            given = [show(a, canonical=canonical) for a in arguments]
            given += [f"{key}={show(value, canonical=canonical)}" for key, value in named]
            return f"{name}({', '.join(given)})"
        case Items(items, written):
            listed = ", ".join(show(item, canonical=canonical) for item in items)
            return f"c({listed})" if written == "c(" and not canonical else f"[{listed}]"


def _constant(value: float | bool | str | None) -> str:
    return "Inf" if value == float("inf") else repr(value)


def _binding(node: Node) -> int:
    if isinstance(node, Binary):
        return BINDING[node.operator]
    if isinstance(node, Unary):
        return NOT if node.operator == "!" else SIGN
    return 100


def _loose(node: Node, least: int, joins: bool) -> bool:
    """Tell whether an operand needs brackets."""
    if isinstance(node, Binary) and node.operator in ("%", "//"):
        return True  # R and Python do not agree how tightly these bind
    compared = isinstance(node, Binary) and node.operator in COMPARISONS
    signed = isinstance(node, Constant) and isinstance(node.value, (int, float)) and node.value < 0
    return _binding(node) < least or (joins and compared) or signed


def is_condition(tree: Node) -> bool:
    """Tell whether a tree is true or false in every row."""
    if isinstance(tree, Binary):
        return tree.operator in (*COMPARISONS, *LOGICAL)
    return isinstance(tree, Unary) and tree.operator == "!"


def columns_of(node: Node) -> Iterator[str]:
    """Give the names of the columns in a checked tree, in order."""
    match node:
        case Name(name):
            yield name
        case Unary(_, operand):
            yield from columns_of(operand)
        case Binary(_, left, right):
            yield from columns_of(left)
            yield from columns_of(right)
        case Call(_, arguments):
            for argument in arguments:
                yield from columns_of(argument)
