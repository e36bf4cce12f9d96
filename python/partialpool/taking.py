"""Functions that take the options of another, written down once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def takes(
    source: Callable[..., object], *lists: type
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function that ends in ``**options`` show which they are, for help and completion.

    Parameters
    ----------
    source : callable
        Has these options, with their defaults.
    *lists : TypedDict
        Which of them.

    Examples
    --------
    >>> from typing import TypedDict
    >>> class Options(TypedDict, total=False):
    ...     seed: int
    >>> def full(*, seed: int = 1, draws: int = 5): ...
    >>> @takes(full, Options)
    ... def other(x, **options): ...
    >>> print(*inspect.signature(other).parameters)
    x seed
    """
    known = inspect.signature(source).parameters
    return _taking([known[name] for one in lists for name in one.__annotations__])


def changes(default: object, *lists: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function that ends in ``**options`` show which they are, all with one default.

    Examples
    --------
    >>> from typing import TypedDict
    >>> class Options(TypedDict, total=False):
    ...     seed: int
    >>> @changes(None, Options)
    ... def other(x, **options): ...
    >>> print(inspect.signature(other))
    (x, *, seed=None)
    """
    own = inspect.Parameter.KEYWORD_ONLY
    names = [name for one in lists for name in one.__annotations__]
    return _taking([inspect.Parameter(name, own, default=default) for name in names])


def _taking(
    parameters: Sequence[inspect.Parameter],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function show these parameters in place of its ``**options``."""

    def shown(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function)
        *first, rest = own.parameters.values()
        assert rest.kind is inspect.Parameter.VAR_KEYWORD
        whole = own.replace(parameters=[*first, *parameters])

        @wraps(function)
        def taking(*given: P.args, **options: P.kwargs) -> R:
            try:
                whole.bind(*given, **options)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(*given, **options)

        taking.__signature__ = whole  # type: ignore[attr-defined]
        return taking

    return shown
