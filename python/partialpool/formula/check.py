"""Which expressions have a meaning: only what is on the list of `allowed.py` may pass.

What passes is a tree of columns, constants, operators and functions of that list, in one spelling
whatever the user's; the design computes it (`expressions/evaluate.py`), and no text is ever run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from partialpool.errors import InputError, NotYetError, did_you_mean, short
from partialpool.formula.allowed import (
    CALLED,
    CONTRASTS,
    CONTRASTS_CALLED,
    ELSEWHERE,
    FUNCTIONS,
    NOT_YET,
    OPTIONS_CALLED,
    PREFIXES,
    REWRITTEN,
    SPLINES,
    SUMMARIES,
)
from partialpool.formula.constants import ARITHMETIC, constant, folded, is_text, number, text
from partialpool.formula.expression import parse_expression
from partialpool.formula.tree import (
    COMPARISONS,
    LOGICAL,
    PI,
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    Unary,
    columns_of,
    is_condition,
    show,
)


class Factor(Struct, frozen=True):
    """One factor of a term: a column, or an expression that has passed the check.

    Parameters
    ----------
    label : str
        How it reads in the names of the design's columns: as it was written.
    code : str
        The same in one spelling; equal where the meaning is.
    columns : tuple of str
        The columns that it uses, in order.
    bare : bool
        True for a column by itself.
    condition : bool
        True for a condition, such as ``x > 0``.
    categorical : bool
        True for categories, such as ``factor(x)``; a bare column's kind decides for it.
    constants : tuple of str
        Names in it that stand for a number, such as ``pi``, and could also be columns.
    tree : Node
        What is computed.
    """

    label: str
    code: str
    columns: tuple[str, ...]
    bare: bool
    condition: bool = False
    categorical: bool = False
    constants: tuple[str, ...] = ()
    tree: Node = Name("")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Factor) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[Any, ...]:
        return astuple(self)[:-1]


def column_factor(name: str) -> Factor:
    """Return the factor for a column.

    Examples
    --------
    >>> column_factor("x").label
    'x'
    """
    tree = Name(name, sure=True)
    return Factor(name, show(tree), (name,), True, tree=tree)


def expression_factor(text: str, place: str, start: int = 1) -> Factor:
    """Check an expression and return it as a factor.

    Parameters
    ----------
    text : str
        The expression as written.
    place : str
        Where it stands in the formula, for messages.
    start : int
        The position of its first character in the formula.

    Examples
    --------
    >>> expression_factor("np.log(x)", "at character 5").code
    'log(x)'
    >>> expression_factor("open('f')", "at character 5")
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `open` is not a function that formulas know (at character 5): \
choose one of `abs`, `sqrt`, `exp`, `expm1`, `exp2`, `exp10`, `log1p`, `log2`, `log10`, `sin`, \
`cos`, `tan`, ….
    """
    return tree_factor(parse_expression(text, start), place)


def tree_factor(written: Node, place: str) -> Factor:
    """Check a tree as it was written and return it as a factor."""
    checker = _Checker(place)
    # By itself, a name such as pi is that of a column.
    tree: Node = checker.column(written) if isinstance(written, Name) else checker.factor(written)
    if isinstance(tree, Name):
        return column_factor(tree.name)
    columns = tuple(dict.fromkeys(columns_of(tree)))
    if not columns:
        raise InputError(
            f"`{short(show(written))}` uses no column", where=place, remedy="name a column in it"
        )
    return Factor(
        show(written),
        show(tree, canonical=True),
        columns,
        False,
        condition=is_condition(tree),
        categorical=isinstance(tree, Call) and gives_categories(tree),
        constants=tuple(dict.fromkeys(checker.named_numbers)),
        tree=tree,
    )


def gives_categories(call: Call) -> bool:
    """Tell whether a call gives categories."""
    if call.name == "ifelse":
        return any(
            (isinstance(part, Call) and gives_categories(part)) or is_text(part)
            for part in call.arguments[1:]
        )
    return FUNCTIONS[call.name].gives == "categories"


class _Checker:
    """Rebuilds a tree from what is allowed; anything else raises."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.named_numbers: list[str] = []

    def factor(self, node: Node) -> Node:
        """Return the checked tree of a whole factor."""
        if isinstance(node, Call):
            name = self.function(node)
            if name in FUNCTIONS and FUNCTIONS[name].gives == "columns":
                return self.call(node, name, alone=True)
            return self.categories(node)
        return self.number(node)

    def number(self, node: Node) -> Node:
        """Return the checked tree of something that has a number for every row."""
        match node:
            case Name(name, False) if name in PI:
                self.named_numbers += [name] * (name == "pi")
                return Constant(math.pi)
            case Name():
                return self.column(node)
            case Constant(value) if isinstance(value, (int, float)):
                if math.isinf(value):
                    raise self.refuse(node, "it is no finite number")
                return Constant(value)
            case Unary("!", operand):
                return Unary("!", self.truth(operand))
            case Unary(sign, operand):
                inside = self.number(operand)
                if isinstance(inside, Constant):
                    return Constant(-number(inside) if sign == "-" else number(inside))
                return inside if sign == "+" else Unary("-", inside)
            case Binary(symbol, left, right) if symbol in LOGICAL:
                return Binary(symbol, self.truth(left), self.truth(right))
            case Binary(symbol) if symbol in COMPARISONS:
                return self.comparison(node)
            case Binary(symbol, left, right) if symbol in ARITHMETIC:
                sides = self.number(left), self.number(right)
                if all(isinstance(side, Constant) for side in sides):
                    return folded(node, *sides, self.place)
                return Binary(symbol, *sides)
            case Call():
                return self.call(node, self.function(node))
        raise self.refuse(node)

    def column(self, node: Name) -> Name:
        if "__" in node.name and not node.sure:
            raise InputError(
                f"`{short(node.name)}` is not allowed in a formula",
                where=self.place,
                remedy="if it is a column, put it in backticks",
            )
        return Name(node.name, sure=True)

    def truth(self, node: Node) -> Node:
        """Return the checked tree of an operand of ``&``, ``|`` and ``!``."""
        if isinstance(node, Call) and self.function(node) == "I":
            node = self.only(node)
        if isinstance(node, Name):
            return self.column(node)
        checked = self.number(node)
        if is_condition(checked):
            return checked
        raise self.refuse(node, "join only conditions by `&`, `|` and `!`")

    def comparison(self, node: Binary) -> Node:
        if node.operator not in ("in", "not in"):
            return Binary(node.operator, self.compared(node.left), self.compared(node.right))
        if not isinstance(node.right, Items):
            raise self.refuse(node, "list the values, as in `x %in% c('a', 'b')`")
        inside = Binary("in", self.compared(node.left), constant(node.right, self.place))
        return inside if node.operator == "in" else Unary("!", inside)

    def compared(self, node: Node) -> Node:
        if is_text(node):
            return Constant(text(node))
        if isinstance(node, Call) and self.function(node) in ("factor", "as.character"):
            return self.compared(self.only(node))
        return self.number(node)

    def function(self, node: Call) -> str:
        """Return the name by which the list knows a function."""
        prefix = next((p for p in PREFIXES if node.name.startswith(p)), "")
        name = node.name.removeprefix(prefix)
        name = CALLED.get(name, name)
        if name in FUNCTIONS or name in REWRITTEN:
            return name
        shown = short(show(node.arguments[0])) if node.arguments else "x"
        shown = shown if shown.isidentifier() or shown.startswith("`") else "x"
        raise unknown_function(node.name, self.place, shown)

    def call(self, node: Call, name: str, *, alone: bool = False) -> Node:
        """Return the checked tree of a function that gives numbers."""
        if name in REWRITTEN:
            return self.rewritten(node, name)
        function = FUNCTIONS[name]
        if function.gives == "categories" or (function.gives == "columns" and not alone):
            raise InputError(
                f"`{short(show(node))}` stands inside another expression",
                where=self.place,
                remedy="make it a term of its own",
            )
        values, options = self.arguments(node, name)
        parts = [self.number(value) for value in values]
        if name == "ifelse":
            parts[0] = self.truth(values[0])
        if name in SPLINES and not {"df", "knots"} & set(dict(options)):
            also = "; category-specific effects are not there yet" if name == "cs" else ""
            raise self.refuse(node, f"give `df=`, as in `{name}(x, df=4)`{also}")
        self.uses_column(node, parts)
        return Call(name, tuple(parts), tuple(options))

    def rewritten(self, node: Call, name: str) -> Node:
        """Return the checked tree of what is only another way to write something."""
        if name in ("I", "Q"):
            inside = self.only(node)
            if name == "I":
                return self.number(inside)
            if not is_text(inside):
                raise self.refuse(node, "write `Q('name')`, or the name in backticks")
            return self.column(Name(text(inside), sure=True))
        if len(node.arguments) != 2 or node.named:
            remedy = "write `x**2`" if name == "power" else "write `{f == 'a'}`"
            raise self.refuse(node, remedy)
        return self.number(Binary("**" if name == "power" else "==", *node.arguments))

    def categories(self, node: Node) -> Node:
        """Return the checked tree of something that may give categories."""
        if not isinstance(node, Call):
            return self.number(node)
        name = self.function(node)
        if name == "I":
            return self.categories(self.only(node))
        if name == "ifelse":
            return self.choice(node)
        if name not in FUNCTIONS or FUNCTIONS[name].gives != "categories":
            return self.number(node)
        values, options = self.arguments(node, name)
        parts = tuple(self.categories(value) for value in values)
        self.uses_column(node, parts)
        given = dict(options)
        needed = {"relevel": "ref", "cut": "breaks"}.get(name)
        if needed is not None and needed not in given:
            raise self.refuse(node, f"give `{needed}=`")
        if name == "factor":
            ordered = given.pop("ordered", None) == Constant(True)
            name = "ordered" if ordered else "factor" if "labels" in given else "C"
        elif name == "interaction":
            given = {key: value for key, value in given.items() if key == "sep"}
        elif name == "droplevels":
            name = "C"
        return Call(name, parts, tuple(given.items()))

    def choice(self, node: Call) -> Node:
        """Return the checked tree of one value or another: two numbers, or two texts."""
        values, _ = self.arguments(node, "ifelse")
        parts = [Constant(text(v)) if is_text(v) else self.categories(v) for v in values[1:]]
        texts = [is_text(p) or (isinstance(p, Call) and gives_categories(p)) for p in parts]
        if any(texts) and not all(texts):
            raise self.refuse(node, "give texts in both cases, or numbers in both")
        call = Call("ifelse", (self.truth(values[0]), *parts))
        self.uses_column(node, call.arguments)
        return call

    def contrast(self, node: Node) -> Node:
        """Return the checked tree of a contrast inside ``C(…)``."""
        name = text(node) if is_text(node) else getattr(node, "name", "")
        name = CONTRASTS_CALLED.get(name, name)
        if name not in CONTRASTS:
            raise InputError(
                f"`{short(show(node))}` is not a contrast that `C(…)` knows",
                where=self.place,
                remedy=did_you_mean(name, CONTRASTS),
            )
        if not isinstance(node, Call):
            return Name(name)
        known, named = CONTRASTS[name], dict(node.named)
        if "base" in named and node.arguments:
            raise self.refuse(node, f"name the reference category, as in `{name}(base='b')`")
        surplus = next((key for key in named if key not in known), None)
        if surplus is not None:
            raise InputError(
                f"`{name}` takes no argument `{short(surplus)}=`",
                where=self.place,
                remedy=did_you_mean(surplus, known) if known else "leave it out",
            )
        if len(node.arguments) + len(named) > len(known):
            raise InputError(f"`{short(show(node))}` has too many arguments", where=self.place)
        return Call(
            name,
            tuple(constant(value, self.place) for value in node.arguments),
            tuple((key, constant(value, self.place)) for key, value in node.named),
        )

    def arguments(self, node: Call, name: str) -> tuple[list[Node], list[tuple[str, Node]]]:
        """Sort arguments into values and checked options; surplus and unknown ones are refused."""
        function, written = FUNCTIONS[name], short(show(node))
        called = OPTIONS_CALLED.get(name, {})
        named = [(called.get(key, key), value) for key, value in node.named]
        if name in (*SUMMARIES, "pmin", "pmax"):  # no value is missing where they are computed
            named = [(key, value) for key, value in named if key != "na.rm"]
        values = [value for key, value in named if key == "x"] + list(node.arguments)
        named = [(key, value) for key, value in named if key != "x"]
        surplus = next((key for key, _ in named if key not in function.options), None)
        if surplus is not None:
            known = function.options
            raise InputError(
                f"`{node.name}` takes no argument `{short(surplus)}=`",
                where=self.place,
                remedy=did_you_mean(surplus, known) if known else "leave it out",
            )
        spare = function.options if function.least == function.most else ()
        if len(values) > function.most + len(spare):
            raise InputError(f"`{written}` has too many arguments", where=self.place)
        if len(values) < function.least:
            what = "has no argument" if not values else "has too few arguments"
            raise InputError(f"`{written}` {what}", where=self.place, remedy="name a column in it")
        options = [*zip(spare, values[function.most :], strict=False), *named]
        keys = [key for key, _ in options]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise InputError(f"`{written}` gives `{twice}` twice", where=self.place)
        checked = [
            (key, self.contrast(value) if key == "contrasts" else constant(value, self.place))
            for key, value in options
        ]
        return values[: function.most], [one for one in checked if one[1] != Constant(None)]

    def only(self, node: Call) -> Node:
        """Return the one argument of a call."""
        if len(node.arguments) == 1 and not node.named:
            return node.arguments[0]
        what = "has too many arguments" if node.arguments else "has no argument"
        raise InputError(
            f"`{short(show(node))}` {what}", where=self.place, remedy="name one column in it"
        )

    def uses_column(self, node: Node, parts: Iterable[Node]) -> None:
        if not any(True for part in parts for _ in columns_of(part)):
            raise InputError(
                f"`{short(show(node))}` uses no column in its first argument", where=self.place
            )

    def refuse(self, node: Node, remedy: str | None = None) -> InputError:
        if isinstance(node, Items):
            remedy = remedy or f"write a comparison as `{{x %in% {short(show(node))}}}`"
        return InputError(
            f"`{short(show(node))}` is not allowed in a formula",
            where=self.place,
            remedy=remedy or "use columns, numbers, arithmetic, comparisons and known functions",
        )


def unknown_function(written: str, place: str, shown: str = "x") -> InputError:
    """Say what stands here for a function that formulas do not know.

    Parameters
    ----------
    written : str
        Its name as it was written.
    place : str
        Where it stands, for messages.
    shown : str
        Its argument, if that is a column.
    """
    if "__" in written:
        return InputError(f"`{short(written)}` is not allowed in a formula", where=place)
    name = written.rpartition("::")[2]
    if name in NOT_YET:
        what, _, instead = NOT_YET[name].replace("{x}", shown).partition("; ")
        return NotYetError(
            f"`{short(written)}(…)` is for {what}, which this version does not have",
            where=place,
            remedy=instead or None,
        )
    if name in ELSEWHERE:
        remedy = ELSEWHERE[name].replace("{x}", shown).replace("{name}", name)
        return InputError(f"`{short(written)}(…)` has no meaning here", where=place, remedy=remedy)
    return InputError(
        f"`{short(written)}` is not a function that formulas know",
        where=place,
        remedy=did_you_mean(name, FUNCTIONS),
    )
