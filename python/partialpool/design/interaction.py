"""Several grouping columns → one factor: the combinations that occur, by their codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.arrays import Ints
from partialpool.data.labels import date_labels, label
from partialpool.errors import InputError

Coded = tuple[NDArray[Any], Ints]


def combine(coded: Sequence[Coded], columns: Sequence[str]) -> Ints:
    """Return the combinations that occur.

    Parameters
    ----------
    coded : sequence of (levels, codes)
        What ``factorize`` made of each column.
    columns : sequence of str
        The names of the columns.

    Returns
    -------
    numpy.ndarray
        (columns, combinations) the codes that each is made of, in the order of the first column's
        levels, then the second's, and so on.

    Examples
    --------
    >>> a = np.array(["p", "q"], dtype=object), np.array([1, 0, 1])
    >>> b = np.array([7, 9]), np.array([1, 0, 1])
    >>> combine([a, b], ["a", "b"]).tolist()
    [[0, 1], [0, 1]]
    """
    codes = coded[0][1]
    members = [np.arange(len(coded[0][0]), dtype=np.int64)]
    for levels, own in coded[1:]:
        # Numbering the combinations anew each time keeps the numbers small.
        pairs, codes = np.unique(codes * len(levels) + own, return_inverse=True)
        before, last = np.divmod(pairs, len(levels))
        members = [member[before] for member in members] + [last]
    found = np.array(members)
    _check_unique(join_levels([levels for levels, _ in coded], found).tolist(), columns)
    return found


def join_levels(levels: Sequence[NDArray[Any]], members: Ints) -> NDArray[Any]:
    """Return what combinations are called: ``"a:b"``.

    Examples
    --------
    >>> a, b = np.array(["p", "q"], dtype=object), np.array([7, 9])
    >>> join_levels([a, b], np.array([[0, 1], [0, 1]])).tolist()
    ['p:7', 'q:9']
    """
    texts = [_texts(own) for own in levels]
    parts = [[text[k] for k in member] for text, member in zip(texts, members, strict=True)]
    out = np.empty(members.shape[1], dtype=object)
    out[:] = [":".join(part) for part in zip(*parts, strict=True)]
    return out


def match_combinations(codes: Sequence[Ints], members: Ints) -> Ints:
    """Return each row's index into known combinations; −1 for one not among them.

    Parameters
    ----------
    codes : sequence of numpy.ndarray
        Each row's index into the levels of each column, −1 for a level not known.
    members : numpy.ndarray
        The combinations, as ``combine`` returned them.

    Examples
    --------
    >>> members = np.array([[0, 1], [0, 1]])
    >>> match_combinations([np.array([1, 1, -1]), np.array([1, 0, 1])], members).tolist()
    [1, -1, -1]
    """
    known, given = members[0], codes[0]
    for own, new in zip(members[1:], codes[1:], strict=True):
        size = int(own.max()) + 1
        pairs, known = np.unique(known * size + own, return_inverse=True)
        wanted = given * size + new  # negative, so not among the pairs, where given is
        at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        given = np.where((new >= 0) & (pairs[at] == wanted), at, -1)
    return given


def _texts(levels: NDArray[Any]) -> list[str]:
    return date_labels(levels) if levels.dtype.kind == "M" else list(map(label, levels.tolist()))


def _check_unique(labels: Sequence[str], columns: Sequence[str]) -> None:
    if len(set(labels)) == len(labels):
        return
    seen: set[str] = set()
    for name in labels:
        if name in seen:
            shown = ", ".join(f"`{column}`" for column in columns)
            raise InputError(
                f"two combinations of the grouping columns {shown} would both be called `{name}`",
                remedy="rename values of these columns, without `:` in them",
            )
        seen.add(name)
