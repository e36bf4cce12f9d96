"""Texts of options → values, without the library that typer takes for it.

That library takes longer to import than a small fit takes in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import typer
from msgspec import Struct
from typer.main import get_command

KINDS = (str, int, float, bool)


def quick(app: typer.Typer) -> Any:
    """Make the command of an app, which reads texts and numbers by itself.

    A version of typer that keeps its readers elsewhere goes on to use them.
    """
    command = get_command(app)
    for parameter in _parameters(command):
        descriptor = getattr(parameter, "type_descriptor", None)
        annotation = getattr(descriptor, "annotation", None)
        kind = next(iter(get_args(annotation)), annotation)
        if kind in KINDS:
            parameter._runtime_param = Reader(kind)
    return command


def _parameters(command: Any, outer: typer.Context | None = None) -> Iterator[Any]:
    """All parameters of a command and of those in it, that for help among them."""
    context = typer.Context(command, parent=outer, **command.context_settings)
    yield from command.get_params(context)
    for inner in getattr(command, "commands", {}).values():
        yield from _parameters(inner, context)


class Reader(Struct, frozen=True):
    """Reads the values of one option, or of one argument.

    Attributes
    ----------
    kind : type
        Of one value.
    """

    kind: type

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Take what was given: a text, several, or nothing."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        try:
            return [self.read(one) for one in value] if several else self.read(value)
        except ValueError:
            words = "no valid integer" if self.kind is int else "no valid number"
            raise typer.BadParameter(words, ctx=ctx, param=param) from None

    def read(self, value: Any) -> Any:
        """Read one value.

        Examples
        --------
        >>> Reader(int).read("18446744073709551615"), Reader(int).read("4.0")
        (18446744073709551615, 4)
        >>> Reader(float).read("1e-3"), Reader(str).read("007")
        (0.001, '007')
        """
        if self.kind is not int or not isinstance(value, str):
            return self.kind(value)
        try:
            return int(value)
        except ValueError:
            number = float(value)
            if not number.is_integer():
                raise
            return int(number)
