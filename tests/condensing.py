"""A design of rows in memory → the same design from what its rows add up to."""

import numpy as np

from partialpool.design.rows import apply_plan
from partialpool.expressions.cells import cells_of, falling
from partialpool.scan.condensed import Facts, axis_terms, condensed_design
from partialpool.scan.moments import Moments


def condensed(design):
    """Reduce the rows of a design to moments, and build a design from these."""
    y = design.y if design.offset is None else design.y - design.offset
    found = dict(zip(design.columns, design.X.T, strict=True))
    for factor in design.factors:
        found |= dict(zip(factor.terms, factor.Z.T, strict=True))
    names, values = (*found, "the response"), np.column_stack([*found.values(), y])
    origin = values[0] + np.mean(values - values[0], axis=0)
    none = np.empty((len(y), 0))
    codes = np.column_stack([none, *(factor.codes for factor in design.factors)])
    weights, precision = None, None
    if design.weights is not None:
        weights, precision = design.weights, "weights"
    if design.se is not None:
        weights, precision = design.se**-2.0, "se"
    (made,) = apply_plan(design.plan, design.table.columns, design.n_rows, fitted=True)
    axes = {}
    for name, term in axis_terms(design.plan, made):
        weight = falling(cells_of(term, design.table.columns))
        axes[name, term] = Moments.of_rows(names, origin, none, values, weight)
    facts = Facts(
        design.n_dropped, design.n_zero_weight, precision=precision, notes=design.notes, axes=axes
    )
    moments = Moments.of_rows(names, origin, codes, values, weights)
    return condensed_design(design.plan, made, moments, facts)
