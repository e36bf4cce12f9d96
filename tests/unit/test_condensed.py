"""A design of points that stand for many rows gives the model of the rows."""

import numpy as np
import pytest

from partialpool.design import build_design
from partialpool.design.rows import apply_plan
from partialpool.formula import parse_formula
from partialpool.model import pool
from partialpool.model.blocks import build_blocks
from partialpool.model.marginal import build_marginal
from partialpool.scan.condensed import Facts, condensed_design
from partialpool.scan.moments import Moments


def condensed(design, precision=None):
    """The same design from moments of its rows."""
    y = design.y if design.offset is None else design.y - design.offset
    columns = {"y": y}
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
    return condensed_design(design.plan, made, moments, Facts(precision=kind))
