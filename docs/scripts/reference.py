"""Reference pages: names as Python has them when it runs, references in docstrings as links."""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|meth|attr|class):`~?([\w.]+)`")


class AsCalled(griffe.Extension):
    """Signatures as users call them, and Sphinx's roles as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mend an object as soon as it is known."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)

    def on_function(self, *, node: Any, func: griffe.Function, **_: Any) -> None:
        """Give options that a function takes from another, and no first argument of a method."""
        function = getattr(node, "obj", None)
        if function is None:
            return
        shown = getattr(function, "__signature__", None)
        if shown is not None:
            func.parameters = griffe.Parameters(*map(_parameter, shown.parameters.values()))
        first = next(iter(func.parameters), None)
        if func.parent is not None and func.parent.is_class and first is not None:
            first.name = "self"
            first.annotation = None


def _parameter(one: inspect.Parameter) -> griffe.Parameter:
    empty = inspect.Parameter.empty
    return griffe.Parameter(
        one.name,
        kind=griffe.ParameterKind[one.kind.name.lower()],
        annotation=None if one.annotation is empty else str(one.annotation),
        default=None if one.default is empty else repr(one.default),
    )
