"""What a model wants of a table, and why some of it cannot be had batch by batch."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from partialpool.data import Column
from partialpool.design.roles import Expression, role_columns
from partialpool.errors import short
from partialpool.formula import Factor, Terms, expand
from partialpool.formula.allowed import FUNCTIONS, SUMMARIES
from partialpool.formula.tree import Binary, Call, Node, Unary, show
from partialpool.formula.uses import Uses, uses_of

# Calls that keep something of all rows, and those of them for which means and sums of squares do.
SCALING = ("center", "scale", "standardize")
_KEEPING = (*SUMMARIES, *SCALING, *(n for n, own in FUNCTIONS.items() if own.gives == "columns"))
_SUMMED = {*SUMMARIES, *SCALING} - {"median"}


class WholeNeeded(Exception):
    """A model or a table that batches do not serve; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Wanted(Struct, frozen=True, eq=False, dict=True):
    """A formula, and what columns do beside it.

    Attributes
    ----------
    terms : Terms
        The formula.
    roles : mapping of str to str, number or Expression
        Those that are given.
    """

    terms: Terms
    roles: Mapping[str, Any]

    @property
    def left(self) -> Factor:
        """The response."""
        assert self.terms.left is not None  # parse_formula saw to it
        return self.terms.left.factor

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns of the formula."""
        computed = [value for value in self.roles.values() if isinstance(value, Expression)]
        own = (name for value in computed for name in role_columns(value))
        return tuple(dict.fromkeys((*self.terms.columns, *own)))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table that are used."""
        own = (name for value in self.roles.values() for name in role_columns(value))
        return tuple(dict.fromkeys((*self.names, *own)))

    @cached_property
    def uses(self) -> Uses:
        """How the columns are used."""
        return uses_of([self.terms], self.left)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors of all terms, each once."""
        texts = (self.terms.population, *(group.terms for group in self.terms.groups))
        found = {f.code: f for text in texts for term in expand(text) for f in term}
        return tuple(found.values())

    @cached_property
    def grouping(self) -> tuple[str, ...]:
        """The grouping columns."""
        return tuple(dict.fromkeys(c for group in self.terms.groups for c in group.columns))

    @cached_property
    def keeping(self) -> dict[str, Call]:
        """The calls whose state sums tell, by their text: of all terms, and of roles."""
        trees = [factor.tree for factor in self.factors]
        trees += [v.factor.tree for v in self.roles.values() if isinstance(v, Expression)]
        return {show(c, canonical=True): c for tree in trees for c in _calls(tree, _SUMMED)}

    def check(self) -> None:
        """Refuse formulas and roles that need the whole table.

        Raises
        ------
        WholeNeeded
            If there is one.
        """
        for role, value in self.roles.items():
            added = value.added if isinstance(value, Expression) else value
            if not (added is None or isinstance(added, (str, numbers.Real))):
                raise WholeNeeded(f"`{role}` is given as one value a row")
        if next(_calls(self.left.tree, _KEEPING), None) is not None:
            raise WholeNeeded(f"the response `{short(self.left.label)}` depends on all its values")
        trees = [factor.tree for factor in self.factors]
        trees += [v.factor.tree for v in self.roles.values() if isinstance(v, Expression)]
        for tree in trees:
            for call in _calls(tree, _KEEPING):
                inner = [c for a in call.arguments for c in _calls(a, _KEEPING)]
                if call.name not in _SUMMED or inner:
                    raise WholeNeeded(f"`{short(show(call))}` needs all values of a column at once")

    def is_labelled(self, factor: Factor, columns: Mapping[str, Column]) -> bool:
        """Tell whether the different values of a factor's columns decide what it makes."""
        kinds = {columns[name].kind for name in factor.columns}
        if factor.bare:
            return bool(kinds & {"string", "categorical"})
        return factor.categorical or bool(kinds & {"string", "categorical"})


def _calls(tree: Node, names: Any) -> Iterator[Call]:
    """Give the calls of some functions in an expression."""
    match tree:
        case Unary(_, operand):
            yield from _calls(operand, names)
        case Binary(_, left, right):
            yield from _calls(left, names)
            yield from _calls(right, names)
        case Call(name, arguments):
            if name in names:
                yield tree
            for argument in arguments:
                yield from _calls(argument, names)
