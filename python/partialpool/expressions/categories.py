"""Columns + a checked expression → categories: their order, and each row's place in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool.arrays import Array, Ints
from partialpool.data import label
from partialpool.data.labels import date_labels, distinct, in_order, match_labels
from partialpool.errors import InputError, did_you_mean, short
from partialpool.expressions.evaluate import Evaluator, plain_options
from partialpool.formula.constants import is_text
from partialpool.formula.tree import Call, Constant, Name, Node, is_condition, show


class Categories(Struct, frozen=True, eq=False):
    """The categories of the rows.

    Parameters
    ----------
    levels : tuple
        The categories that the fitted rows have, in order.
    codes : numpy.ndarray
        (n,) each row's index into them.
    contrast : Name, Call or None
        How they are coded; None for dummies beside the first.
    """

    levels: tuple[Any, ...]
    codes: Ints
    contrast: Node | None = None


def categorize(node: Node, evaluator: Evaluator) -> Categories:
    """Return the categories that an expression gives.

    Parameters
    ----------
    node : Node
        A checked tree: a column, a call such as ``relevel(f, ref='b')``, or numbers.
    evaluator : Evaluator
        Of the rows; it remembers the categories of the fitted ones.

    Examples
    --------
    >>> from partialpool.data import Column
    >>> from partialpool.formula.check import expression_factor
    >>> f = Column("f", "string", np.array(["b", "a", "b"], dtype=object), np.zeros(3, dtype=bool))
    >>> tree = expression_factor("relevel(f, ref='b')", "here").tree
    >>> found = categorize(tree, Evaluator({"f": f}, 3))
    >>> found.levels, found.codes.tolist()
    (('b', 'a'), [0, 1, 0])
    """
    if isinstance(node, Name):
        return _of_column(node, evaluator)
    if not isinstance(node, Call) or node.name not in _CALLS:
        condition = is_condition(node)
        values: NDArray[Any] = evaluator.flags(node) if condition else evaluator.numbers(node)
        if not np.isfinite(values).all():
            raise InputError(f"`{short(show(node))}` is not a finite number in some rows")
        found = np.unique(values).tolist()
        return _known(node, evaluator, found, values.tolist(), f"`{short(show(node))}`")
    return _CALLS[node.name](node, evaluator)


def _of_column(node: Name, evaluator: Evaluator) -> Categories:
    column = evaluator.columns[node.name]
    values = column.labels
    if values.dtype.kind == "M":
        values = np.array(date_labels(values), dtype=object)
    found, codes = distinct(values)
    ordered = in_order(column, found)
    return _met(node, evaluator, ordered, found, codes, f"the column `{node.name}`")


def _known(
    node: Node, evaluator: Evaluator, found: list[Any], given: list[Any], what: str
) -> Categories:
    """Return rows as categories: those found, in order, or those that the fitted rows had."""
    place = {value: k for k, value in enumerate(found)}
    codes = np.fromiter(map(place.__getitem__, given), dtype=np.int64, count=len(given))
    return _met(node, evaluator, found, found, codes, what)


def _met(
    node: Node,
    evaluator: Evaluator,
    ordered: list[Any],
    found: list[Any],
    codes: Ints,
    what: str,
) -> Categories:
    """Return the categories of rows whose values are `found[codes]`, met by their labels."""
    known = _remember(node, evaluator, ordered)
    places = match_labels(found, known, what)
    if -1 in places:
        unseen = label(found[places.index(-1)])
        raise InputError(
            f"{what} has a category that the fit did not see, `{short(unseen)}`",
            remedy=did_you_mean(unseen, [label(value) for value in known]),
        )
    return Categories(tuple(known), np.array(places, dtype=np.int64)[codes])


def _remember(node: Node, evaluator: Evaluator, found: list[Any]) -> list[Any]:
    key = f"levels of {show(node, canonical=True)}"
    if evaluator.state is not None and key in evaluator.state:
        return list(evaluator.state[key])
    evaluator.learned[key] = found
    return found


def _coded(node: Call, evaluator: Evaluator) -> Categories:
    """``C(x, contrast, levels=…)``, ``ordered(x)`` and ``factor(x, labels=…)``."""
    inner = categorize(node.arguments[0], evaluator)
    options, named = plain_options(node), dict(node.named)
    contrast = named.get("contrasts", inner.contrast)
    if node.name == "ordered":
        contrast = Name("contr.poly")
    if "levels" in options:
        inner = _in_order(node, inner, _listed(options["levels"]))
    if "labels" in options:
        inner = _relabelled(node, inner, _listed(options["labels"]), options.get("levels"))
    return replace(inner, contrast=contrast)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _in_order(node: Call, inner: Categories, order: list[Any]) -> Categories:
    """Put categories into an order that is given; those that do not occur make no column."""
    place = {label(level): k for k, level in enumerate(inner.levels)}
    names = [label(level) for level in order]
    outside = [name for name in place if name not in names]
    if outside:
        raise InputError(
            f"`{short(show(node))}` meets the value `{short(outside[0])}` outside its categories",
            remedy=f"known are {', '.join(f'`{short(name)}`' for name in names[:12])}; list them "
            "all",
        )
    old = [place[name] for name in dict.fromkeys(names) if name in place]
    return _permuted(inner, old)


def _permuted(inner: Categories, old: Sequence[int]) -> Categories:
    """Reorder categories: `old` tells the former places, in the new order."""
    new = np.empty(len(inner.levels), dtype=np.int64)
    new[list(old)] = np.arange(len(old))
    return Categories(tuple(inner.levels[k] for k in old), new[inner.codes], inner.contrast)


def _relabelled(node: Call, inner: Categories, labels: list[Any], levels: Any) -> Categories:
    known = [label(one) for one in _listed(levels)] if levels is not None else None
    own = [label(level) for level in inner.levels]
    names = known or own
    if len(labels) != len(names):
        raise InputError(
            f"`{short(show(node))}` has {len(labels)} labels for {len(names)} categories",
            remedy="give one label for each",
        )
    by_name = dict(zip(names, labels, strict=True))
    renamed = [by_name[name] for name in own]
    merged = list(dict.fromkeys(renamed))
    new = np.array([merged.index(name) for name in renamed], dtype=np.int64)
    return Categories(tuple(merged), new[inner.codes], inner.contrast)


def _releveled(node: Call, evaluator: Evaluator) -> Categories:
    """``relevel(f, ref='b')``: one category first."""
    inner = categorize(node.arguments[0], evaluator)
    reference = plain_options(node)["ref"]
    first = find_level(inner.levels, reference, show(node), counted_from=1)
    others = [k for k in range(len(inner.levels)) if k != first]
    return _permuted(inner, [first, *others])


def find_level(
    levels: Sequence[Any], wanted: Any, what: str, *, counted_from: int | None = None
) -> int:
    """Return the place of a category by what it is called or, if no other meaning, by its number.

    Parameters
    ----------
    levels : sequence
        The categories.
    wanted : object
        What one of them is called.
    what : str
        Where it is asked for, for messages.
    counted_from : int, optional
        Whether a number may also tell the place, and from where it counts.

    Examples
    --------
    >>> find_level(["a", "b"], "b", "here"), find_level(["a", "b"], 2, "here", counted_from=1)
    (1, 1)
    """
    names = [label(level) for level in levels]
    by_name = names.index(label(wanted)) if label(wanted) in names else None
    by_place = None
    if counted_from is not None and isinstance(wanted, int) and not isinstance(wanted, bool):
        place = wanted - counted_from
        by_place = place if 0 <= place < len(names) else None
    if by_name is not None and by_place is not None and by_name != by_place:
        raise InputError(
            f"`{short(what)}` could mean category {wanted}, or number {wanted} of them, "
            f"`{short(names[by_place])}`",
            remedy=f"write '{wanted}' or '{short(names[by_place])}' in quotes",
        )
    found = by_place if by_name is None else by_name
    if found is None:
        raise InputError(
            f"`{short(what)}` names `{short(label(wanted))}`, which is none of the categories",
            remedy=did_you_mean(label(wanted), names),
        )
    return found


def _crossed(node: Call, evaluator: Evaluator) -> Categories:
    """``interaction(a, b)``: the combinations that occur; the first varies fastest, as in R."""
    parts = [categorize(argument, evaluator) for argument in node.arguments]
    joined = str(plain_options(node).get("sep", "."))
    codes = parts[0].codes
    names = [label(level) for level in parts[0].levels]
    for part in parts[1:]:
        codes = codes + len(names) * part.codes
        names = [f"{name}{joined}{label(level)}" for level in part.levels for name in names]
    given = [names[k] for k in codes.tolist()]
    present = set(given)
    found = [name for name in dict.fromkeys(names) if name in present]
    return _known(node, evaluator, found, given, f"`{short(show(node))}`")


def _as_text(node: Call, evaluator: Evaluator) -> Categories:
    """``as.character(x)``: the same categories in the order of their texts."""
    inner = categorize(node.arguments[0], evaluator)
    order = sorted(range(len(inner.levels)), key=lambda k: label(inner.levels[k]))
    found = _permuted(inner, order)
    return Categories(tuple(label(level) for level in found.levels), found.codes)


def _choice(node: Call, evaluator: Evaluator) -> Categories:
    """``ifelse(x > 3, 'high', 'low')``."""
    held, *branches = node.arguments
    sides = []
    for branch in branches:
        if is_text(branch):
            assert isinstance(branch, Constant)
            sides.append(np.full(evaluator.n_rows, branch.value, dtype=object))
        else:
            inner = categorize(branch, evaluator)
            names = np.array([label(level) for level in inner.levels], dtype=object)
            sides.append(names[inner.codes])
    given = np.where(evaluator.flags(held), *sides).tolist()
    return _known(node, evaluator, sorted(set(given)), given, f"`{short(show(node))}`")


def _cut(node: Call, evaluator: Evaluator) -> Categories:
    """``cut(x, breaks)``: intervals, by R's rules."""
    x = evaluator.numbers(node.arguments[0])
    options, what = plain_options(node), short(show(node))
    key = f"breaks of {show(node, canonical=True)}"
    if evaluator.state is not None and key in evaluator.state:
        breaks = np.array(evaluator.state[key], dtype=np.float64)
    else:
        breaks = _breaks(options["breaks"], x, what)
        evaluator.learned[key] = breaks.tolist()
    right = options.get("right", True) is not False
    codes = np.searchsorted(breaks, x, side="left" if right else "right") - 1
    if options.get("include.lowest") is True:
        codes[x == (breaks[0] if right else breaks[-1])] = 0 if right else len(breaks) - 2
    outside = int(((codes < 0) | (codes > len(breaks) - 2) | np.isnan(x)).sum())
    if outside:
        raise InputError(
            f"`{what}` has no interval for the value in {outside} row{'s' * (outside != 1)}",
            remedy="let the breaks reach beyond all values, as in `c(-Inf, 0, Inf)`",
        )
    names = _interval_names(breaks, right)
    labels = options.get("labels")
    if labels is not None:
        if not isinstance(labels, list) or len(labels) != len(names):
            raise InputError(
                f"`{what}` needs one label for each of its {len(names)} intervals",
                remedy=f"list {len(names)} of them, or none",
            )
        names = [label(one) for one in labels]
    given = [names[k] for k in codes.tolist()]
    present = set(given)
    found = [name for name in dict.fromkeys(names) if name in present]
    return _known(node, evaluator, found, given, f"`{what}`")


def _breaks(given: Any, x: Array, what: str) -> Array:
    if isinstance(given, list):
        breaks = np.unique(np.array(given, dtype=np.float64)) if _numeric(given) else np.empty(0)
    else:
        count = given if _numeric([given]) and float(given).is_integer() else 0
        low, high = float(x.min()), float(x.max())
        breaks = np.linspace(low, high, int(count) + 1) if 2 <= count <= 1000 else np.empty(0)
        if len(breaks) and high > low:  # R moves the ends out a little
            breaks[[0, -1]] += np.array([-1, 1]) * (high - low) / 1000
    if len(np.unique(breaks)) < 2:
        raise InputError(
            f"`{what}` has no breaks", remedy="list them, as in `c(0, 5, 10)`, or give a number"
        )
    return breaks


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _interval_names(breaks: Array, right: bool) -> list[str]:
    names: list[str] = []
    for digits in range(3, 17):  # as few as tell them apart
        ends = [f"{end:.{digits}g}".replace("inf", "Inf") for end in breaks.tolist()]
        pairs = list(pairwise(ends))
        names = [f"({a},{b}]" if right else f"[{a},{b})" for a, b in pairs]
        if len(set(ends)) == len(ends):
            break
    return names


_CALLS = {
    **dict.fromkeys(("C", "factor", "ordered"), _coded),
    "relevel": _releveled,
    "interaction": _crossed,
    "cut": _cut,
    "as.character": _as_text,
    "ifelse": _choice,
}
