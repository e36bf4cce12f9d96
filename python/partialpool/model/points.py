"""Cells of a design that was read in one pass → points that stand for their rows, or for some."""

from __future__ import annotations

import os

import numpy as np
from msgspec.structs import replace

from partialpool import _core
from partialpool.arrays import Array, Ints
from partialpool.design import Cells, Design
from partialpool.model.scales import scales


def with_points(design: Design, picked: Ints | None = None) -> Design:
    """Return a design with points for corners, of all or some cells; itself if it has rows.

    Points are weighted rows, of as many as each cell needs for its moments. What is known of the
    table stays as it is, also where there are only some cells.
    """
    cells = cells_of(design)
    if cells is None or design.condensed is None:
        return design
    cells = cells if picked is None else cells.some(picked)
    sets = [cells.places(names) for names in (design.columns, *(f.terms for f in design.factors))]
    (X, *Z, y), precision, copies = _core.cell_points(
        **cells.told,
        added=cells.added,
        sets=[*sets, [len(cells.fixed) - 1]],
        threads=os.cpu_count() or 1,
    )
    weigh = {"weights": precision, "se": precision**-0.5}
    factors = []
    for factor, columns in zip(design.factors, Z, strict=True):
        codes = factor.codes if picked is None else factor.codes[picked]
        factors.append(replace(factor, Z=columns, codes=np.repeat(codes, copies)))
    return replace(
        design,
        y=y[:, 0],
        X=X,
        factors=tuple(factors),
        roles={role: weigh[role] for role in design.roles},
        condensed=replace(design.condensed, cells=None, whole=None, precision=precision),
    )


def as_written(design: Design, picked: Ints | None = None) -> Design:
    """Return rows, or points, with what no constant among the columns brings back to its place."""
    rows = with_points(design, picked)
    if design.condensed is None:
        return rows
    scale, shift = scales(design), design.condensed.facts.shift
    if scale.parts["mu"].ones.any() or any(own.whole.ones.any() for own in scale.factors.values()):
        return rows
    return replace(rows, y=rows.y + design.origin, X=rows.X + shift)


def reduced(
    cells: Cells, z: Array, xy: Array, codes: Ints, n_levels: int, unscale: Array
) -> _core.CrossProducts:
    """Reduce the rows of cells to what the likelihood needs of them.

    Parameters
    ----------
    cells : Cells
        They, each with the level in `codes`.
    z, xy : (d + 1, …) arrays
        Working columns at the corners.
    n_levels, unscale
        As `CrossProducts` takes them.
    """
    return _core.CrossProducts.of_cells(
        **cells.told,
        z=np.ascontiguousarray(z),
        xy=np.ascontiguousarray(xy),
        steps=cells.steps,
        codes=codes,
        n_levels=n_levels,
        unscale=np.ascontiguousarray(unscale),
        n_rows=int(cells.n.sum()),
        threads=os.cpu_count() or 1,
    )


def cells_of(design: Design) -> Cells | None:
    """Return the cells of a design whose rows are corners."""
    return None if design.condensed is None else design.condensed.cells


def rows_behind(design: Design, picked: Ints | None) -> int:
    """Return how many rows of the table some cells stand for."""
    cells = cells_of(design)
    return design.n_rows if cells is None or picked is None else int(cells.n[picked].sum())


def largest_cells(design: Design, most: int) -> Ints | None:
    """Pick cells of the levels with most rows, which have no more points; None for all rows."""
    cells = cells_of(design)
    if cells is None or not design.factors:
        return None
    enough = most // (len(cells.fixed) + 1)
    largest = max(design.factors, key=lambda factor: len(factor.levels))
    codes, counts = largest.codes, largest.counts
    if len(codes) <= enough:
        return None
    taken = np.ones(len(counts), dtype=bool)
    if len(counts) > enough:
        least = np.partition(counts, -enough)[-enough]
        taken = counts > least
        taken[np.flatnonzero(counts == least)[: enough - int(taken.sum())]] = True
    picked = np.flatnonzero(taken[codes])
    if len(picked) > enough:
        order = np.lexsort((codes[picked], -counts[codes[picked]]))
        picked = np.sort(picked[order[:enough]])
    return picked


def spread_cells(design: Design, most: int) -> Ints | None:
    """Pick all cells of every so-manieth level of the largest factor, so that points are few."""
    cells = cells_of(design)
    if cells is None or not design.factors:
        return None
    codes = max(design.factors, key=lambda factor: len(factor.levels)).codes
    points = len(codes) * (len(cells.fixed) + 1)
    return None if points <= most else np.flatnonzero(codes % -(-points // most) == 0)
