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
    count, threads, order = adder.sums.count(), adder.threads, None
    codes = np.zeros((count, 0), dtype=np.int64)
    if levelled:
        members = adder.cells.members(count)
        codes = np.column_stack(
            [own.places[numbers] for own, numbers in zip(levelled, members, strict=True)]
        )
        order = _order(codes)
        codes = codes[order]
    constant = adder.columns.constant
    sums = adder.sums.parts(order=order, constant=constant, threads=threads)
    origin, overall = adder.origin, adder.overall
    assert origin is not None
    if constant:
        origin, overall = np.append(1.0, origin), _with_constant(overall)
    return Moments(adder.columns.all, origin, codes, *sums, overall)


def _order(codes: Ints) -> Ints:
    """Return the order of cells by their levels; a level of the only factor is one cell."""
    if codes.shape[1] > 1:
        return np.lexsort(codes.T[::-1])
    order = np.empty(len(codes), dtype=np.int64)
    order[codes[:, 0]] = np.arange(len(codes))
    return order


def axis_moments(adder: Adder, moments: Moments) -> dict[tuple[str, Term], Moments]:
    """Return the moments of all rows with the weights that give axes to terms of factors."""
    found = {}
    for key, axis in adder.axes.items():
        n, weight, mean, root = axis.sums.parts(constant=adder.columns.constant)
        codes = np.zeros((1, 0), dtype=np.int64)
        found[key] = replace(moments, codes=codes, n=n, weight=weight, mean=mean, root=root)
    return found


def _with_constant(whole: Overall) -> Overall:
    """Put a column of ones, which is its own origin, before the others."""
    d = len(whole.mean)
    root = np.zeros((d + 1, d + 1))
    root[1:, 1:] = whole.root
    return replace(
        whole,
        mean=np.append(0.0, whole.mean),
        root=root,
        low=np.append(1.0, whole.low),
        high=np.append(1.0, whole.high),
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
