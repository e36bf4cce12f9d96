"""What stands left of ``~``: the response, and what brms and lme4 write beside it."""

from __future__ import annotations

from msgspec import Struct, field

from partialpool.errors import InputError, NotYetError, short
from partialpool.formula.allowed import CALLED
from partialpool.formula.check import Factor, tree_factor, unknown_function
from partialpool.formula.constants import is_number, number
from partialpool.formula.expression import parse_expression
from partialpool.formula.text import top_level
from partialpool.formula.tree import (
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    is_condition,
    show,
)

Role = Factor | float
"""What a role is computed from, or one number for all rows."""

# brms' additions to a response → the role here.
_ADDITIONS = {"trials": "trials", "se": "se", "weights": "weights", "rate": "exposure"}
_NOT_YET = {
    **dict.fromkeys(("cens", "trunc"), "censored or truncated responses"),
    "mi": "missing or inexact responses",
    **dict.fromkeys(("subset", "index", "resp_subset"), "parts of the rows"),
    **dict.fromkeys(("dec", "vint", "vreal", "cat", "thres"), "what such families need"),
}
# Options of additions that may only be FALSE → what they are for, and what to do instead.
_NO_OPTIONS = {
    "sigma": (
        "known errors beside a residual sd",
        "a term `(1 | row)` of a column that numbers the rows has such an sd",
    ),
    "scale": ("weights that are scaled", "scale them before"),
}
# Bambi's and brms' names of successes among trials.
_PROPORTIONS = ("p", "prop", "proportion")
# R's ways to say what kind of number a column of numbers is.
_AS_IT_IS = ("as.numeric", "as.integer", "I", "factor", "ordered", "as.character")


class Left(Struct, frozen=True):
    """The response, as written and as computed, and the roles that the formula gives.

    Parameters
    ----------
    text : str
        The normalised text.
    factor : Factor
        What the response is computed from.
    roles : dict of str to Factor or number
        By role: trials, se, weights, exposure.
    ratio : bool
        True for one expression divided by another, which may be a share of trials.
    counts : str
        The function that counts successes, such as ``"cbind"``; or nothing.
    """

    text: str
    factor: Factor
    roles: dict[str, Role] = field(default_factory=dict)
    ratio: bool = False
    counts: str = ""


def parse_left(text: str) -> Left:
    """Read what stands left of ``~``.

    Examples
    --------
    >>> left = parse_left("cbind(k, n - k)")
    >>> left.factor.label, left.roles["trials"].label
    ('k', 'n')
    >>> parse_left("y | trials(10)").roles
    {'trials': 10}
    """
    bars = top_level(text, "|")
    added = text[bars[0] + 1 :] if bars else ""
    own = text[: bars[0]] if bars else text
    if bars and len(bars) > 1:
        raise InputError("a second bar stands left of `~`", where=f"at character {bars[1] + 1}")
    place = f"at character {len(own) - len(own.lstrip()) + 1}, `{short(own.strip())}`"
    if not own.strip():
        raise InputError("the response is missing", remedy="write it left of `~`")
    left = _response(parse_expression(own), place, braces=own.strip().startswith("{"))
    if not bars:
        return left
    roles = dict(left.roles)
    node = parse_expression(added, bars[0] + 2)
    for call in _summands(node):
        role, value = _addition(call, f"at character {bars[0] + 1}, `|{short(added)}`")
        if role in roles:
            raise InputError(f"`{role}` is given twice left of `~`", remedy="give it once")
        roles[role] = value
    return Left(
        f"{left.text} | {' + '.join(show(call) for call in _summands(node))}",
        left.factor,
        roles,
        left.ratio,
        left.counts,
    )


def _response(tree: Node, place: str, *, braces: bool) -> Left:
    shown = show(tree)
    if isinstance(tree, Binary) and tree.operator == "|" and not braces:
        raise InputError(
            "a group term stands left of `~`",
            where=place,
            remedy=f"if it joins conditions, write `{{{short(shown)}}}`",
        )
    if isinstance(tree, (Constant, Items)):
        raise InputError(
            f"the response `{short(shown)}` is no column", where=place, remedy="name a column"
        )
    if not isinstance(tree, Call):
        factor = tree_factor(tree, place)
        text = f"{{{shown}}}" if braces and not isinstance(tree, Name) else shown
        return Left(text, factor, ratio=isinstance(tree, Binary) and tree.operator == "/")
    name = CALLED.get(tree.name, tree.name)
    if name in ("cbind", *_PROPORTIONS):
        return _counts(tree, name, place)
    if name in ("mvbind", "Surv", "mi"):
        raise unknown_function("mvbind" if name == "mvbind" else "Surv", place)
    if name in _AS_IT_IS and len(tree.arguments) == 1 and not tree.named:
        inside = tree.arguments[0]
        ratio = isinstance(inside, Binary) and inside.operator == "/"
        # The response's kind decides what a column is; only its numbers are asked for here.
        plain = isinstance(inside, Name) or name == "I"
        inner = inside if plain or is_condition(inside) else tree
        return Left(shown, tree_factor(inner, place), ratio=ratio and name == "I")
    return Left(shown, tree_factor(tree, place))


def _counts(tree: Call, name: str, place: str) -> Left:
    """Successes beside failures (``cbind``), or among trials."""
    if len(tree.arguments) != 2 or tree.named:
        if len(tree.arguments) > 2:
            raise unknown_function("mvbind", place)
        remedy = "write `cbind(successes, failures)`"
        raise InputError(f"`{short(show(tree))}` has no meaning", where=place, remedy=remedy)
    successes, other = tree.arguments
    trials: Node = other
    if name == "cbind":
        whole = isinstance(other, Binary) and other.operator == "-" and other.right == successes
        trials = other.left if whole and isinstance(other, Binary) else Binary("+", *tree.arguments)
    return Left(
        show(tree),
        tree_factor(successes, place),
        {"trials": _role(trials, place)},
        counts=tree.name,
    )


def _summands(node: Node) -> list[Node]:
    if isinstance(node, Binary) and node.operator == "+":
        return [*_summands(node.left), *_summands(node.right)]
    return [node]


def _addition(node: Node, place: str) -> tuple[str, Role]:
    """Read one of brms' additions, such as ``trials(n)``."""
    if not isinstance(node, Call):
        raise InputError(
            "a group term stands left of `~`",
            where=place,
            remedy="what may stand there is `trials(n)`, `se(s)`, `weights(w)` or `rate(t)`",
        )
    name = node.name.removeprefix("resp_")
    if name in _NOT_YET:
        raise NotYetError(
            f"`{short(show(node))}` is for {_NOT_YET[name]}, which this version does not have",
            where=place,
        )
    if name not in _ADDITIONS:
        raise unknown_function(node.name, place)
    for key, value in node.named:
        if key not in _NO_OPTIONS:
            raise InputError(f"`{name}` takes no argument `{short(key)}=`", where=place)
        if not (isinstance(value, Constant) and value.value is False):
            what, instead = _NO_OPTIONS[key]
            raise NotYetError(
                f"`{short(show(node))}` is for {what}, which this version does not have",
                where=place,
                remedy=instead,
            )
    if len(node.arguments) != 1:
        raise InputError(f"`{short(show(node))}` takes one column", where=place)
    role = _ADDITIONS[name]
    return role, _role(node.arguments[0], place)


def _role(node: Node, place: str) -> Role:
    if is_number(node):
        return number(node)
    return tree_factor(node, place)
