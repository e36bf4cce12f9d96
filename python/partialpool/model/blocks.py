"""A Gaussian model with several grouping factors: rows reduced, priors as the core takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from partialpool import _core
from partialpool.arrays import Array
from partialpool.design import Design, GroupFactor
from partialpool.model.coordinates import Coordinates, integrable
from partialpool.model.defaults import resolve_priors
from partialpool.model.groupwork import WorkingGroup, group_of, working_predictor
from partialpool.model.marginal import (
    coefficient_specs,
    integrable_population,
    least_squares,
    log_constant,
    prior_rows,
    resolution,
    response_and_level,
    row_scale_of,
)
from partialpool.model.model import Group, Model, Reduced
from partialpool.model.points import with_points
from partialpool.model.pooling import Pooled
from partialpool.model.scalars import (
    CovarianceSpec,
    Scalar,
    covariance_spec,
    group_sd_specs,
    scale_spec,
)
from partialpool.model.scales import predictors, scales
from partialpool.priors import Prior


class BlockRows(NamedTuple):
    """The rows of a Gaussian model with several factors as the core takes them.

    Attributes
    ----------
    X, y : arrays
        Working columns of the population, and what is left of the response beside them.
    at : Coordinates
        Those of the population.
    groups : tuple of WorkingGroup
        The columns of each factor.
    row_scale : (n,) array or None
        Factor that gives every row the same residual variance.
    order : list of int
        Population columns in the order of the core: integrated ones, then sampled ones.
    n_sampled : int
        How many are sampled.
    """

    X: Array
    y: Array
    at: Coordinates
    groups: tuple[WorkingGroup, ...]
    row_scale: Array | None
    order: list[int]
    n_sampled: int

    @property
    def xy(self) -> Array:
        """Columns [X y] in the order of the core."""
        return np.column_stack([self.X[:, self.order], self.y])

    def reduce(self, factors: tuple[GroupFactor, ...], n_rows: int) -> _core.Blocks:
        """Reduce the rows, which stand for so many, to cross-products of pairs of levels."""
        data = _core.Blocks(
            z=[work.Z for work in self.groups],
            codes=[factor.codes for factor in factors],
            n_levels=[len(factor.levels) for factor in factors],
            unscale=[np.ascontiguousarray(work.unscale) for work in self.groups],
            xy=self.xy,
            row_scale=self.row_scale,
        )
        if data.n_rows == n_rows:
            return data
        row, column, value = data.parts()
        return _core.Blocks.from_parts(
            unscale=data.unscale,
            n_levels=data.n_levels,
            row=row.tolist(),
            column=column.tolist(),
            value=value,
            width=self.X.shape[1] + 1,
            n_rows=n_rows,
        )


def block_rows(design: Design, priors: Mapping[str, Prior]) -> BlockRows:
    """Bring the rows of a design into working coordinates, given the prior of every parameter."""
    y, level = response_and_level(design)
    work = working_predictor(predictors(design)[0], priors, scales(design), level=level)
    y = y - (work.at.level - design.origin)
    for group in work.factors:
        if group.known_sd is not None:
            y = y - group.columns @ group.mean
    sampled = [k for k, prior in enumerate(work.at.priors) if not integrable(prior)]
    order = [k for k in range(len(design.columns)) if k not in sampled] + sampled
    return BlockRows(
        work.columns, y, work.at, work.factors, row_scale_of(design), order, len(sampled)
    )


def build_blocks(
    pooled: Pooled,
    priors: Mapping[str, Prior | str] | None = None,
    check: Callable[[_core.Blocks], None] | None = None,
) -> Model:
    """Build the density of a Gaussian model with several grouping factors.

    Parameters
    ----------
    pooled : Pooled
        Response and columns as the pooling sees them.
    priors : mapping, optional
        User priors by parameter name; defaults for the rest.
    check : callable, optional
        Sees the rows, reduced, before working storage is taken; it may refuse them.

    Raises
    ------
    InputError
        If priors do not fit the model, or a group term is too far from 0 to compute with.
    """
    design = with_points(pooled.design)
    resolved = resolve_priors(priors, design)
    work = block_rows(design, resolved)
    at, order = work.at, work.order
    known = design.se is not None
    estimate, error, residual_sd = least_squares(
        work.X, work.y, work.row_scale, design.n_rows, known=known
    )
    sampled = order[len(order) - work.n_sampled :]
    data = work.reduce(design.factors, design.n_rows)
    if check is not None:
        check(data)
    groups = _groups(design, work, resolved)
    rows, constant = prior_rows(at, order)
    constant += log_constant(design, at, order[: len(order) - len(sampled)])
    core = _core.Marginal(
        data=data,
        sd=_sd_specs(design, work, resolved, residual_sd),
        covariances=_covariances(design, groups, resolved),
        sigma=1.0 if known else scale_spec("sigma", resolved["sigma"], residual_sd),
        sampled=coefficient_specs(sampled, at, estimate, error),
        sampled_map=np.diag(1 / at.unit[sampled]),
        sampled_shift=(-at.shift[sampled] / at.unit[sampled]).tolist(),
        prior_rows=rows,
        constant=constant,
    )
    return Model(
        formula=design.terms.formula,
        response=design.response,
        family=pooled.family,
        link="identity",
        pooling=pooled.pooling,
        columns=design.columns,
        groups=groups,
        priors=resolved,
        coordinates={"mu": at},
        known_errors=known,
        n_rows=design.n_rows,
        reduced=Reduced(data, tuple(order), integrable_population(at, order, len(sampled), rows)),
        core=core,
        plan=design.plan,
    )


def _groups(design: Design, work: BlockRows, priors: Mapping[str, Prior]) -> tuple[Group, ...]:
    found = []
    for factor, own in zip(design.factors, work.groups, strict=True):
        parts = scales(design).factors[factor.name]
        every = np.ones(len(factor.levels), dtype=bool)
        found.append(group_of(factor, "mu", own, priors, parts, work.at, every))
    return tuple(found)


def _sd_specs(
    design: Design, work: BlockRows, priors: Mapping[str, Prior], residual_sd: float
) -> list[Scalar | float]:
    """Specify the sds of all factors' coefficients, known ones by their value."""
    specs: list[Scalar | float] = []
    for factor, own in zip(design.factors, work.groups, strict=True):
        if own.known_sd is not None:
            specs += own.known_sd.tolist()
            continue
        size = resolution(factor, design, residual_sd)
        specs += group_sd_specs(factor, factor.name, own, priors, size)
    return specs


def _covariances(
    design: Design, groups: tuple[Group, ...], priors: Mapping[str, Prior]
) -> list[CovarianceSpec]:
    pairs = zip(design.factors, groups, strict=True)
    return [covariance_spec(factor, group, priors) for factor, group in pairs]
