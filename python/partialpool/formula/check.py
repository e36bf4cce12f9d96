"""Factors written as Python, such as ``log(x)``: only what is on the list of `allowed.py` may pass.

What passes is rebuilt from the syntax tree with aliases for every name and string, so the code
that is evaluated holds our identifiers, numbers, operators and the functions listed there.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from partialpool.errors import InputError, did_you_mean

from .allowed import ARITHMETIC, COMPARISONS, CONTRASTS, ELSEWHERE, FUNCTIONS
from .names import BARE, BOOLEAN, CODED, NUMBER, TEXT, alias, aliases_in, readable, split_alias


@dataclass(frozen=True)
class Factor:
    """One factor of a term: a column, or Python code that has passed the check.

    Parameters
    ----------
    label : str
        How it reads in the names of the design's columns.
    code : str
        What is evaluated: aliases only. For a column, its alias.
    columns : tuple of str
        The columns that it uses, in order.
    bare : bool
        True for a column by itself.
    condition : bool
        True for code that is a condition, such as ``x > 0``.
    """

    label: str
    code: str
    columns: tuple[str, ...]
    bare: bool
    condition: bool = False


def column_factor(name: str) -> Factor:
    """Return the factor for a column.

    Examples
    --------
    >>> column_factor("x").label
    'x'
    """
    return Factor(name, alias(name, BARE), (name,), True)


def python_factor(code: str, place: str) -> Factor:
    """Check a piece of Python and return it as a factor.

    Parameters
    ----------
    code : str
        The code as written; names may be in backticks.
    place : str
        Where it stands in the formula, for messages.

    Examples
    --------
    >>> python_factor("log(x)", "at character 5").columns
    ('x',)
    >>> python_factor("open('f')", "at character 5")
    Traceback (most recent call last):
    ...
    partialpool.errors.InputError: `open` is not a function that formulas know (at character 5): \
choose one of `abs`, `sqrt`, `exp`, `expm1`, `exp2`, `exp10`, `log`, `log1p`, `log2`, `log10`, \
`sin`, `cos`, ….
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks about odd code
            tree = ast.parse(f"({_alias_odd_names(code)}\n)", mode="eval").body
        body = _Checker(place).value(tree, top=True)
        text = ast.unparse(ast.fix_missing_locations(body))
    except (SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        # A keyword, as in `as.factor(x)`, or a formula inside, as in `bf(y ~ x)`.
        name, _, inside = (part.strip() for part in code.partition("("))
        if name in ELSEWHERE:
            inside = inside.removesuffix(")").strip()
            raise _unknown(name, "x" if set(inside) & set("(,") else inside, place) from None
        raise InputError(
            f"`{code.strip()}` is not a Python expression", where=place, remedy="check its spelling"
        ) from None
    except (RecursionError, MemoryError):
        raise InputError("the expression is nested too deeply", where=place) from None
    if isinstance(body, ast.Name):
        return column_factor(aliases_in(text)[0][0])
    columns = tuple(dict.fromkeys(name for name, use in aliases_in(text) if use != TEXT))
    if not columns:
        raise InputError(
            f"`{readable(text)}` uses no column", where=place, remedy="name a column in it"
        )
    condition = isinstance(body, ast.Compare) or (
        isinstance(body, (ast.BinOp, ast.UnaryOp))
        and isinstance(body.op, (ast.BitAnd, ast.BitOr, ast.Invert))
    )
    return Factor(readable(text), text, columns, False, condition)


_PIECES = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`(?P<quoted>[^`]*)`|(?P<word>[^\W\d]\w*)""",
    re.DOTALL,
)


def _alias_odd_names(code: str) -> str:
    """Alias names in backticks and beyond ASCII: Python would refuse or change those."""

    def replace(match: re.Match[str]) -> str:
        if match["quoted"] is not None:
            return f" {alias(match['quoted'])} "
        word = match["word"]
        odd = word is not None and (not word.isascii() or split_alias(word))
        return alias(word) if odd else match[0]

    return _PIECES.sub(replace, code)


class _Checker:
    """Rebuilds a syntax tree from what is allowed; anything else raises."""

    def __init__(self, place: str) -> None:
        self.place = place

    def value(self, node: ast.expr, *, use: str = NUMBER, top: bool = False) -> ast.expr:
        """Return the checked tree of something that has a value for every row."""
        if isinstance(node, ast.Name):
            return self.column(node, use)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            return node
        if isinstance(node, ast.UnaryOp):
            return self.unary(node)
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Call):
            return self.call(node, top)
        raise self.refuse(node)

    def column(self, node: ast.Name, use: str) -> ast.expr:
        known = split_alias(node.id)
        name = known[0] if known else node.id
        if not known and "__" in name:
            raise InputError(
                f"`{name}` is not allowed in a formula",
                where=self.place,
                remedy="if it is a column, put it in backticks",
            )
        if name == "":
            raise InputError("a name in backticks is empty", where=self.place)
        return ast.Name(alias(name, use), ast.Load())

    def unary(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Invert):
            return ast.UnaryOp(node.op, self.truth(node.operand))
        if isinstance(node.op, ast.Not):
            raise self.refuse(node, "write `~(…)` for `not`")
        return ast.UnaryOp(node.op, self.value(node.operand))

    def binary(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            return ast.BinOp(self.truth(node.left), node.op, self.truth(node.right))
        if isinstance(node.op, ast.BitXor):
            left, right = _source(node.left), _source(node.right)
            raise InputError(
                f"`{left} ^ {right}` is not a power in Python",
                where=self.place,
                remedy=f"write `I({left}**{right})` or `{{{left}**{right}}}`",
            )
        if not isinstance(node.op, ARITHMETIC):
            raise self.refuse(node)
        left_, right_ = self.value(node.left), self.value(node.right)
        # Powers of plain numbers could grow without end; they are never needed.
        if isinstance(node.op, ast.Pow) and not (_columns(left_) or _columns(right_)):
            raise self.refuse(node, "write the number itself")
        return ast.BinOp(left_, node.op, right_)

    def truth(self, node: ast.expr) -> ast.expr:
        """Return the checked tree of an operand of ``&``, ``|`` and ``~``."""
        if isinstance(node, ast.Name):
            return self.column(node, BOOLEAN)
        logical = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr))
        inverse = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert)
        if isinstance(node, ast.Compare) or logical or inverse:
            return self.value(node)
        raise self.refuse(node, "join only conditions by `&`, `|` and `~`, each in brackets")

    def comparison(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1:
            raise self.refuse(node, "write `(a < x) & (x < b)` for `a < x < b`")
        if not isinstance(node.ops[0], COMPARISONS):
            raise self.refuse(node)
        sides = [
            self.text(side) if _is_text(side) else self.value(side)
            for side in (node.left, node.comparators[0])
        ]
        return ast.Compare(sides[0], node.ops, sides[1:])

    def call(self, node: ast.Call, top: bool) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if _source(node.func) in ELSEWHERE:
            shown = _source(node.args[0]) if node.args else "x"
            raise _unknown(_source(node.func), shown, self.place)
        if name == "Q" and len(node.args) == 1 and not node.keywords and _is_text(node.args[0]):
            text: str = node.args[0].value  # type: ignore[attr-defined]
            return self.column(ast.Name(alias(text)), NUMBER)
        if name is None:
            raise self.refuse(node)
        if name not in FUNCTIONS:
            known = split_alias(name)
            raise _unknown(known[0] if known else name, "x", self.place)
        if name == "C" and not top:
            raise InputError(
                "`C(…)` stands inside another expression",
                where=self.place,
                remedy="make it a term of its own",
            )
        self.arguments(node, name, FUNCTIONS[name])
        if not node.args:
            raise InputError(
                f"`{name}()` has no argument", where=self.place, remedy="name a column in it"
            )
        first = self.value(node.args[0], use=CODED if name == "C" else NUMBER)
        if not _columns(first):
            raise InputError(
                f"`{_source(node)}` uses no column in its first argument", where=self.place
            )
        second = self.contrast if name == "C" else self.constant
        rest = [second(a) if i == 0 else self.constant(a) for i, a in enumerate(node.args[1:])]
        keywords = [
            ast.keyword(k.arg, second(k.value) if k.arg == "contrasts" else self.constant(k.value))
            for k in node.keywords
        ]
        return ast.Call(ast.Name(name, ast.Load()), [first, *rest], keywords)

    def arguments(self, node: ast.Call, name: str, known: tuple[str, ...], first: int = 1) -> None:
        """Refuse starred, unknown and surplus arguments."""
        for keyword in node.keywords:
            if keyword.arg not in known:
                given = "**" if keyword.arg is None else f"{keyword.arg}="
                raise InputError(
                    f"`{name}` takes no argument `{given}`",
                    where=self.place,
                    remedy=did_you_mean(given, known) if known else "leave it out",
                )
        if (name == "C" and len(node.args) > 2) or len(node.args) > first + len(known):
            raise InputError(f"`{_source(node)}` has too many arguments", where=self.place)

    def contrast(self, node: ast.expr) -> ast.expr:
        """Return the checked tree of a contrast inside ``C(…)``."""
        func = node.func if isinstance(node, ast.Call) else node
        name = _source(func) if isinstance(func, (ast.Name, ast.Attribute)) else ""
        if name not in CONTRASTS:
            raise InputError(
                f"`{_source(node)}` is not a contrast that `C(…)` knows",
                where=self.place,
                remedy=did_you_mean(name, CONTRASTS),
            )
        target = ast.parse(name, mode="eval").body
        if not isinstance(node, ast.Call):
            # formulaic takes a class of contrasts too, but its `Treatment` is a function.
            return ast.Call(target, [], []) if name == "Treatment" else target
        self.arguments(node, name, CONTRASTS[name], first=0)
        return ast.Call(
            target,
            [self.constant(a) for a in node.args],
            [ast.keyword(k.arg, self.constant(k.value)) for k in node.keywords],
        )

    def constant(self, node: ast.expr) -> ast.expr:
        """Return the checked tree of an argument: a number, a truth value, a string, a list."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            return node
        if _is_text(node):
            return self.text(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            if isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float):
                return node
        elif isinstance(node, (ast.List, ast.Tuple)):
            return ast.List([self.constant(e) for e in node.elts], ast.Load())
        raise self.refuse(node, "give a number, a string, or a list of them")

    def text(self, node: ast.expr) -> ast.expr:
        value: str = node.value  # type: ignore[attr-defined]
        return ast.Name(alias(value, TEXT), ast.Load())

    def refuse(self, node: ast.expr, remedy: str | None = None) -> InputError:
        if remedy is None and isinstance(node, ast.Attribute):
            remedy = "if it is a column, put its whole name in backticks"
        elif remedy is None and isinstance(node, ast.BoolOp):
            remedy = "join conditions by `&` and `|`, each in brackets"
        return InputError(
            f"`{_source(node)}` is not allowed in a formula",
            where=self.place,
            remedy=remedy or "use columns, numbers, arithmetic, comparisons and known functions",
        )


def _unknown(name: str, argument: str, place: str) -> InputError:
    """Say what stands here for a function that formulas do not know."""
    return InputError(
        f"`{name}` is not a function that formulas know",
        where=place,
        remedy=ELSEWHERE.get(name, did_you_mean(name, FUNCTIONS)).replace("{x}", argument),
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is str


def _columns(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Name) and (split_alias(n.id) or ("", TEXT))[1] != TEXT
               for n in ast.walk(node))  # fmt: skip


def _source(node: ast.expr) -> str:
    text = readable(ast.unparse(node))
    return text if len(text) <= 60 else text[:57] + "…"
