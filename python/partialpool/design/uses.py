"""How formulas use their columns: as numbers, or as labels, which stay as they stand."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from partialpool.formula import Factor, Terms, expand
from partialpool.formula.names import CODED, TEXT, aliases_in, split_alias
from partialpool.formula.tokens import tokenize


@dataclass
class Uses:
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
    uses = Uses()
    for factor in [*_factors(formulas), *([] if response is None else [response])]:
        if factor.bare:
            if factor is not response:
                uses.predictors[factor.columns[0]] = None
            continue
        compared = compared_with(factor)
        for name, texts in compared.items():
            uses.labels[name] = None
            uses.compared.setdefault(name, []).extend(texts)
        for name, use in aliases_in(factor.code):
            if use == CODED:
                uses.labels[name] = None
            elif use != TEXT and name not in compared:
                uses.numbers[name] = None
    for terms in formulas:
        uses.labels |= {name: None for group in terms.groups for name in group.columns}
    return uses


def response_factor(terms: Terms) -> Factor:
    """Return the left-hand side of a formula."""
    factor = tokenize(terms.response)[0].factor
    assert factor is not None  # parse_formula saw to it
    return factor


def compared_with(factor: Factor) -> dict[str, list[str]]:
    """Return the texts that an expression compares columns with, by column.

    Examples
    --------
    >>> from partialpool.formula.check import python_factor
    >>> compared_with(python_factor("(a == 'x') | (a == 'y') & (b > 1)", ""))
    {'a': ['x', 'y']}
    """
    found: dict[str, list[str]] = {}
    if TEXT not in {use for _, use in aliases_in(factor.code)}:
        return found
    for node in ast.walk(ast.parse(factor.code, mode="eval")):
        if isinstance(node, ast.Compare):
            sides = [_alias(side) for side in (node.left, *node.comparators)]
            texts = [name for name, use in filter(None, sides) if use == TEXT]
            for name, use in filter(None, sides):
                if use != TEXT and texts:
                    found.setdefault(name, []).extend(texts)
    return found


def compared_columns(factor: Factor) -> list[tuple[str, str]]:
    """Return the pairs of columns that an expression compares with one another.

    Examples
    --------
    >>> from partialpool.formula.check import python_factor
    >>> compared_columns(python_factor("(a == b) & (c > 1)", ""))
    [('a', 'b')]
    """
    pairs = []
    if len(factor.columns) > 1:
        for node in ast.walk(ast.parse(factor.code, mode="eval")):
            if isinstance(node, ast.Compare):
                one, other = _alias(node.left), _alias(node.comparators[0])
                if one and other and TEXT not in (one[1], other[1]):
                    pairs.append((one[0], other[0]))
    return pairs


def _alias(node: ast.expr) -> tuple[str, str] | None:
    return split_alias(node.id) if isinstance(node, ast.Name) else None


def _factors(formulas: Iterable[Terms]) -> Iterator[Factor]:
    for terms in formulas:
        for text in (terms.population, *(group.terms for group in terms.groups)):
            for term in expand(text):
                yield from term
