"""The same rows in two fits: which row of one is which of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Ints
from partialpool.data import Column, label
from partialpool.data.labels import distinct, match_labels
from partialpool.design import Design, GroupFactor
from partialpool.design.roles import ROLES
from partialpool.errors import InputError
from partialpool.scores.loo import Loo


def match_rows(first: Design, other: Design, names: tuple[str, str]) -> Ints:
    """Return for each row of a design the position of the same row in another.

    Rows are the same that hold the same: the response, and all that both designs have. Where that
    says nothing, as after a transform of a predictor, equal responses in the same places do.

    Parameters
    ----------
    first, other : Design
        Of two fits.
    names : pair of str
        What the fits are called, for messages.

    Raises
    ------
    InputError
        If the rows are not the same, or cannot be told apart.
    """
    one, two = (f"`{name}`" for name in names)
    if first.n_rows != other.n_rows:
        raise InputError(
            f"{one} and {two} are fits of different rows ({first.n_rows} and {other.n_rows})",
            remedy="fit them to the same table, without rows that miss values for one of them",
        )
    here = np.arange(first.n_rows, dtype=np.int64)
    shared = _shared(first, other)
    if _same(first.y, other.y) and all(_same(*pair) for pair in shared.values()):
        return here
    codes, others = _keys([(first.y, other.y), *shared.values()])
    order, place = np.argsort(codes, kind="stable"), np.argsort(others, kind="stable")
    if np.array_equal(codes[order], others[place]):
        _check_ties(first, other, codes, others, names)
        found = np.empty_like(here)
        found[order] = place
        return found
    if np.array_equal(first.y, other.y) and np.array_equal(first.rows, other.rows):
        return here
    raise _unlike(first, other, shared, one, two)


def match_factors(first: GroupFactor, other: GroupFactor, rows: Ints) -> Ints | None:
    """Return for each level of a factor the position of the same level of another's.

    None where the rows, of which the other's at `rows` are the same, have different ones.
    """
    levels = [label(level) for level in other.levels]
    places = np.array(
        match_labels(levels, [label(level) for level in first.levels], f"`{first.name}`"),
        dtype=np.int64,
    )
    if len(places) != len(first.levels) or (places < 0).any():
        return None
    if not np.array_equal(places[other.codes[rows]], first.codes):
        return None
    found = np.empty_like(places)
    found[places] = np.arange(len(places))
    return found


def reorder(scores: Loo, order: Ints) -> Loo:
    """Return scores in another order."""
    names = ("labels", "elpd_i", "log_score", "pareto_k", "y", "mean", "weights")
    own = {name: getattr(scores, name) for name in names}
    return replace(scores, **{name: x[order] for name, x in own.items() if len(x)})


def _shared(first: Design, other: Design) -> dict[str, tuple[Any, Any]]:
    """Values of the columns and roles that both have, by name, of one kind each."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, column in first.table.columns.items():
        if name in other.table.columns:
            found[name] = _alike(column, other.table.columns[name])
    for role in ROLES:
        if role in first.roles and role in other.roles:
            found[f"{role}="] = first.roles[role], other.roles[role]
    return found


def _alike(column: Column, other: Column) -> tuple[Any, Any]:
    """Values of two columns that can be compared: numbers, else labels."""
    plain = ("number", "boolean")
    if column.kind in plain and other.kind in plain and column.texts is None is other.texts:
        return column.values, other.values
    return _labels(column), _labels(other)


def _labels(column: Column) -> NDArray[Any]:
    found, codes = distinct(column.labels)
    names = np.empty(len(found), dtype=object)
    names[:] = [label(value) for value in found]
    return names[codes]


def _same(own: NDArray[Any], its: NDArray[Any]) -> bool:
    return bool(np.array_equal(own, its))


def _hold_the_same(own: NDArray[Any], its: NDArray[Any]) -> bool:
    """Whether values are the same in some order."""
    codes, others = _keys([(own, its)])
    return bool(np.array_equal(np.sort(codes), np.sort(others)))


def _keys(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[Ints, Ints]:
    """Number the rows of both by what they hold: equal numbers, equal rows."""
    n = len(pairs[0][0])
    codes = np.zeros(2 * n, dtype=np.int64)
    for own, its in pairs:
        found, place = distinct(np.concatenate([own, its]))
        # Numbering the combinations anew each time keeps the numbers small.
        codes = np.unique(codes * len(found) + place, return_inverse=True)[1].reshape(-1)
    return codes[:n], codes[n:]


def _check_ties(
    first: Design, other: Design, codes: Ints, others: Ints, names: tuple[str, str]
) -> None:
    """Refuse rows that hold the same in what both have, and differ in what each has alone."""
    if len(np.unique(codes)) == len(codes):
        return
    if _is_settled(first, codes) or _is_settled(other, others):
        return
    raise InputError(
        f"the rows of `{names[0]}` and `{names[1]}` are in another order, and some cannot be told "
        "apart by what both fits use",
        remedy="fit them to the same table, in the same order",
    )


def _is_settled(design: Design, codes: Ints) -> bool:
    """Whether rows with the same number are the same in all that a design has."""
    own = [_labels(column) for column in design.table.columns.values()]
    own += design.roles.values()
    whole = _keys([(values, values) for values in [design.y, *own]])[0]
    return len(np.unique(whole)) == len(np.unique(codes))


def _unlike(
    first: Design, other: Design, shared: Mapping[str, tuple[Any, Any]], one: str, two: str
) -> InputError:
    """Say in what the rows of two fits differ."""
    if not np.array_equal(np.sort(first.y), np.sort(other.y)):
        responses = f" ({first.response} and {other.response})"
        return InputError(
            f"{one} and {two} have different responses{responses if responses[2:] else ''}",
            remedy="log densities compare only for the same numbers; put a transform into the "
            'family, as family="lognormal" does',
        )
    differ = [name for name, (own, its) in shared.items() if not _hold_the_same(own, its)]
    if np.array_equal(first.y, other.y):
        what = f"other values of `{differ[0]}`" if differ else "other rows of their tables"
        return InputError(
            f"{one} and {two} have the same responses, but {what}",
            remedy="fit them to the same table",
        )
    why = f", as the values of `{differ[0]}` differ" if differ else ""
    return InputError(
        f"the rows of {one} and {two} are in another order, and do not show which is which{why}",
        remedy="fit them to the same table, in the same order",
    )
