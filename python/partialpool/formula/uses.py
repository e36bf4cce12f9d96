"""How formulas use their columns: as numbers, or as labels, which stay as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from partialpool.formula import Factor, Terms, expand
from partialpool.formula.check import gives_categories
from partialpool.formula.constants import is_text
from partialpool.formula.tree import (
    COMPARISONS,
    Binary,
    Call,
    Constant,
    Items,
    Name,
    Node,
    Unary,
)


class Uses(Struct):
    """What the columns of some formulas are used for; a column may have several uses.

    Attributes
    ----------
    labels : dict
        Columns whose values name things: grouping columns, ``C(x)``, comparisons with text.
    predictors : dict
        Columns that are terms by themselves: their kind decides whether they are numbers.
    numbers : dict
        Columns in expressions that need numbers.
    compared : dict of list of str
        The texts that a column is compared with.
    """

    labels: dict[str, None] = field(default_factory=dict)
    predictors: dict[str, None] = field(default_factory=dict)
    numbers: dict[str, None] = field(default_factory=dict)
    compared: dict[str, list[str]] = field(default_factory=dict)


def uses_of(formulas: Iterable[Terms], response: Factor | None = None) -> Uses:
    """Tell what the columns of formulas are used for.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> uses_of([parse_formula("y ~ x + C(day) + {b == 'yes'} + log(z) + (x | id)")])
    Uses(labels={'day': None, 'b': None, 'id': None}, predictors={'x': None}, \
numbers={'z': None}, compared={'b': ['yes']})
    """
    formulas = list(formulas)
    uses = Uses()
    factors = [factor for terms in formulas for factor in all_factors(terms)]
    for factor in factors if response is None else [*factors, response]:
        if factor.bare:
            if factor is not response:
                uses.predictors[factor.columns[0]] = None
            continue
        for name, texts in compared_with(factor.tree).items():
            uses.labels[name] = None
            uses.compared.setdefault(name, []).extend(texts)
        for name, naming in _named(factor.tree):
            if naming:
                uses.labels[name] = None
            elif name not in uses.compared:
                uses.numbers[name] = None
    uses.labels |= {name: None for t in formulas for group in t.groups for name in group.columns}
    return uses


def compared_with(tree: Node) -> dict[str, list[str]]:
    """Return the texts that an expression compares columns with, by column.

    Examples
    --------
    >>> from partialpool.formula.check import expression_factor
    >>> compared_with(expression_factor("a == 'x' | a %in% c('y', 'z') & b > 1", "").tree)
    {'a': ['x', 'y', 'z']}
    """
    found: dict[str, list[str]] = {}
    for left, right in _comparisons(tree):
        for name, other in ((left, right), (right, left)):
            values = other.items if isinstance(other, Items) else (other,)
            texts = [str(v.value) for v in values if isinstance(v, Constant) and is_text(v)]
            if isinstance(name, Name) and texts:
                found.setdefault(name.name, []).extend(texts)
    return found


def _named(tree: Node, naming: bool = False) -> Iterator[tuple[str, bool]]:
    """Give the columns of an expression, and whether their values name things there."""
    match tree:
        case Name(name):
            yield name, naming
        case Unary(_, operand):
            yield from _named(operand)
        case Binary(_, left, right):
            yield from _named(left)
            yield from _named(right)
        case Call(name, arguments):
            inside = gives_categories(tree) and name not in ("cut", "ifelse")
            for argument in arguments:
                yield from _named(argument, inside and isinstance(argument, (Name, Call)))


def _comparisons(tree: Node) -> Iterator[tuple[Node, Node]]:
    match tree:
        case Unary(_, operand):
            yield from _comparisons(operand)
        case Binary(symbol, left, right):
            if symbol in COMPARISONS:
                yield left, right
            yield from _comparisons(left)
            yield from _comparisons(right)
        case Call(_, arguments):
            for argument in arguments:
                yield from _comparisons(argument)


def all_factors(terms: Terms) -> Iterator[Factor]:
    """Give the factors of a formula's terms, and what its roles are computed from."""
    for text in (terms.population, *(group.terms for group in terms.groups)):
        for term in expand(text):
            yield from term
    yield from (role for role in terms.roles.values() if isinstance(role, Factor))
