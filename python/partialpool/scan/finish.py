"""All rows are added → levels in order, their moments, and the plan with the columns that stay."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.arrays import Array, Ints
from partialpool.design.aliased import leave_out, leave_out_zeros
from partialpool.design.interaction import Coded, combine, match_combinations
from partialpool.design.plan import Plan, PlannedGrouping
from partialpool.design.rows import PartRows
from partialpool.formula import Term

from .adder import Adder
from .condensed import simplex
from .learn import Learner
from .levels import Levels
from .moments import Moments, Overall


class Levelled(Struct, frozen=True):
    """The levels of a factor, and which of them each number is that it got as it came."""

    levels: tuple[Array, ...]
    members: Ints | None
    places: Ints


def finished_moments(adder: Adder, levelled: tuple[Levelled, ...]) -> Moments:
    """Return the moments of all rows that were added, cells in the order of their levels."""
    n, weight, mean, root = adder.sums.parts()
    codes = np.zeros((len(n), 0), dtype=np.int64)
    if levelled:
        members = adder.cells.members(len(n))
        codes = np.column_stack(
            [own.places[numbers] for own, numbers in zip(levelled, members, strict=True)]
        )
        order = np.lexsort(codes.T[::-1])
        codes, n, weight = codes[order], n[order], weight[order]
        mean, root = mean[order], root[order]
    assert adder.origin is not None
    found = Moments(adder.columns.names, adder.origin, codes, n, weight, mean, root, adder.overall)
    return _with_constant(found) if adder.columns.constant else found


def axis_moments(adder: Adder, moments: Moments) -> dict[tuple[str, Term], Moments]:
    """Return the moments of all rows with the weights that give axes to terms of factors."""
    found = {}
    for key, axis in adder.axes.items():
        n, weight, mean, root = axis.sums.parts()
        own = replace(moments, codes=np.zeros((1, 0), dtype=np.int64), n=n, weight=weight)
        if adder.columns.constant:
            mean, root = _beside_constant(mean, root)
        found[key] = replace(own, mean=mean, root=root)
    return found


def _beside_constant(mean: Array, root: Array) -> tuple[Array, Array]:
    """Put a column before others whose mean is its origin, and which has no spread."""
    d = mean.shape[1]
    wider = np.zeros((len(mean), d + 1, d + 1))
    wider[:, 1:, 1:] = root
    return np.column_stack([np.zeros(len(mean)), mean]), wider


def _with_constant(moments: Moments) -> Moments:
    """Put a column of ones before the others."""
    whole = moments.overall
    mean, root = _beside_constant(moments.mean, moments.root)
    whole_mean, whole_root = _beside_constant(whole.mean[None], whole.root[None])
    overall = replace(
        whole,
        mean=whole_mean[0],
        root=whole_root[0],
        low=np.append(1.0, whole.low),
        high=np.append(1.0, whole.high),
    )
    return replace(
        moments,
        columns=("Intercept", *moments.columns),
        origin=np.append(1.0, moments.origin),
        mean=mean,
        root=root,
        overall=overall,
    )


def ordered_levels(adder: Adder) -> tuple[Levelled, ...]:
    """Return the levels of each factor in their order."""
    coded: dict[str, Coded] = {}
    for name, own in adder.levels.items():
        assert isinstance(own, Levels)
        coded[name] = own.coded()
    found = []
    for tuples, grouping in zip(adder.tuples, adder.groupings, strict=True):
        levels = tuple(coded[name][0] for name in grouping.columns)
        numbers = tuples.members(len(coded[grouping.columns[0]][1]))
        single = [
            (coded[name][0], coded[name][1][own])
            for name, own in zip(grouping.columns, numbers, strict=True)
        ]
        if len(single) == 1:
            found.append(Levelled(levels, None, single[0][1]))
            continue
        members = combine(single, grouping.columns)
        places = match_combinations([codes for _, codes in single], members)
        found.append(Levelled(levels, members, places))
    return tuple(found)


def complete_plan(
    plan: Plan, learner: Learner, moments: Moments, levelled: tuple[Levelled, ...]
) -> tuple[Plan, PartRows]:
    """Return the plan with its levels and without columns that others determine.

    The second value has the names and terms of the columns, and no rows.
    """
    part = plan.part("mu")
    place = {name: k for k, name in enumerate(moments.columns)}
    points = _like_all(moments.overall, moments.origin)
    every, coded = learner.made(part), learner.categories()
    made = every.X
    X = points[:, [place[name] for name in made.names]]
    kept, aliased = leave_out(made.names, X, made.terms, coded)
    population = replace(part.population, kept=tuple(made.names[j] for j in kept), aliased=aliased)
    ends = np.vstack([moments.overall.low, moments.overall.high])
    groupings, factors = [], []
    for own, rows, levels in zip(part.groupings, every.factors, levelled, strict=True):
        parts, Z = [], []
        for planned, columns in zip(own.parts, rows.Z, strict=True):
            zeros = ends[:, [place[name] for name in columns.names]]
            stay, gone = leave_out_zeros(columns.names, zeros, columns.terms, coded)
            names = tuple(columns.names[j] for j in stay)
            parts.append(replace(planned, kept=names, aliased=gone))
            Z.append(columns.some(stay))
        groupings.append(
            PlannedGrouping(own.name, own.columns, levels.levels, levels.members, tuple(parts))
        )
        factors.append(replace(rows, Z=tuple(Z)))
    finished = replace(part, population=population, groupings=tuple(groupings))
    return replace(plan, parts=(finished,)), PartRows(made.some(kept), tuple(factors))


def _like_all(overall: Overall, origin: Array) -> Array:
    """Make a few rows with the means and the scatter of all."""
    R = overall.root[np.any(overall.root != 0, axis=1)]
    H = simplex(len(R))
    if 2 * len(H) <= overall.n:  # so many that a column too many is seen at once
        H = np.vstack([H, -H]) / np.sqrt(2)
    return np.asarray(origin + overall.mean + np.sqrt(len(H) / overall.n) * (H @ R))
