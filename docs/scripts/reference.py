"""Reference pages: signatures as users call them, references in docstrings as code."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import griffe

import partialpool as pp
from partialpool import priors
from partialpool.figures.comparison import ComparisonPlots
from partialpool.figures.fit import FitPlots

ROLE = re.compile(r":(?:func|meth|attr|class):`~?([\w.]+)`")
HOLDERS = (pp.Fit, FitPlots, ComparisonPlots)  # classes that list functions as their methods


def _listed() -> Iterator[str]:
    """Paths of the functions that are methods of a class elsewhere."""
    for holder in HOLDERS:
        for value in vars(holder).values():
            if isinstance(value, FunctionType):
                yield f"{value.__module__}.{value.__qualname__}"


METHODS = frozenset(_listed())
PRIORS = {f"{prior.__module__}.{prior.__qualname__}": prior for prior in priors.PRIORS.values()}


class AsCalled(griffe.Extension):
    """Options that a function takes from another; no first argument of methods; roles as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mend an object once it is known."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)
        if isinstance(obj, griffe.Class) and obj.path in PRIORS:
            obj.set_member("__init__", _made(PRIORS[obj.path]))
        if not isinstance(obj, griffe.Function) or obj.parent is None or not obj.parent.is_module:
            return
        function = getattr(importlib.import_module(obj.parent.path), obj.name, None)
        shown = getattr(function, "__signature__", None)
        if shown is not None:
            obj.parameters = griffe.Parameters(*map(_parameter, shown.parameters.values()))
        if obj.path in METHODS:
            first = next(iter(obj.parameters))
            first.name, first.annotation = "self", None


def _made(prior: type[priors.Prior]) -> griffe.Function:
    """How a prior is made, which only the class itself knows."""
    own = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    own += map(_parameter, inspect.signature(prior).parameters.values())
    return griffe.Function("__init__", parameters=griffe.Parameters(*own))


def _parameter(one: inspect.Parameter) -> griffe.Parameter:
    empty = inspect.Parameter.empty
    return griffe.Parameter(
        one.name,
        kind=griffe.ParameterKind[one.kind.name.lower()],
        annotation=None if one.annotation is empty else str(one.annotation),
        default=None if one.default is empty else repr(one.default),
    )
