"""A design of points that stand for many rows gives the model of the rows."""

import numpy as np

from partialpool.design.rows import apply_plan
from partialpool.expressions.cells import cells_of, falling
from partialpool.scan.condensed import Facts, axis_terms, condensed_design
from partialpool.scan.moments import Moments


def condensed(design, precision=None):
    """The same design from moments of its rows."""
    y = design.y if design.offset is None else design.y - design.offset
    found = dict(zip(design.columns, design.X.T, strict=True))
    for factor in design.factors:
        found |= dict(zip(factor.terms, factor.Z.T, strict=True))
    values = np.column_stack([*found.values(), y])
    names = (*found, "y")
    codes = (
        np.column_stack([f.codes for f in design.factors])
        if design.factors
        else np.empty((len(y), 0))
    )
    origin = values[0] + np.mean(values - values[0], axis=0)
    weights, kind = None, None
    if design.weights is not None:
        weights, kind = design.weights, "weights"
    if design.se is not None:
        weights, kind = design.se**-2.0, "se"
    moments = Moments.of_rows(names, origin, codes, values, weights)
    (made,) = apply_plan(design.plan, design.table.columns, design.n_rows, fitted=True)
    axes = {}
    for name, term in axis_terms(design.plan, made):
        weight = falling(cells_of(term, design.table.columns))
        none = np.empty((len(y), 0))
        axes[name, term] = Moments.of_rows(names, origin, none, values, weight)
    return condensed_design(design.plan, made, moments, Facts(precision=kind, axes=axes))
