"""The joint density of all parameters on their natural scales, for random-walk Metropolis."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from partialpool import _core, called
from partialpool.model.defaults import bounds
from partialpool.model.marginal import prior_rows
from partialpool.model.model import Group, Model
from partialpool.model.scalars import Bounded, correlation_prior
from partialpool.priors import Normal


class Layout(Struct, frozen=True):
    """Where each kind of parameter lies in the vector that the core walks on."""

    b: slice
    coef: slice
    sd: slice
    cor: slice
    sigma: slice
    dim: int

    @classmethod
    def of(cls, model: Model) -> Layout:
        """Lay out the parameters of a model: b, coefficients level by level, sd, cor, sigma."""
        group = model.sole_group
        sizes = [
            len(model.columns),
            len(group.levels) * len(group.terms) if group else 0,
            len(group.sd_labels) if group else 0,
            len(group.pairs) if group else 0,
            0 if model.known_errors else 1,
        ]
        ends = np.cumsum(sizes).tolist()
        b, coef, sd, cor, sigma = (slice(e - n, e) for e, n in zip(ends, sizes, strict=True))
        return cls(b, coef, sd, cor, sigma, ends[-1])


def build_joint(model: Model) -> _core.Joint:
    """Build the joint density of a model (see src/walk/joint.rs)."""
    assert model.reduced is not None
    at, group = model.coordinates["mu"], model.sole_group
    order = list(model.reduced.order)
    p = len(model.columns)
    shift, matrix = at.to_working(np.zeros(p)), at.forward
    rows, _ = prior_rows(at, order)
    q = len(group.terms) if group else 0
    names = group.sd_labels if group else []
    eta, elementwise = correlation_prior(group, model.priors)
    limits = np.tile([-math.inf, math.inf], (q, 1))
    if group is not None and group.bounds is not None:
        limits = group.bounds
    known = [] if group is None or group.known_sd is None else group.known_sd.tolist()
    return _core.Joint(
        data=model.reduced.levels,
        map=np.ascontiguousarray(matrix[order]),
        shift=shift[order].tolist(),
        t=np.ascontiguousarray(group.T) if group else np.empty((0, p)),
        base=group.base.tolist() if group else [],
        unback=np.linalg.inv(group.back).astype(np.float64) if group else np.empty((0, 0)),
        prior_rows=rows,
        b=[_bounded(model, called.b(name)) for name in model.columns],
        sd=[_scale(model, group, k) for k in range(len(names))] if group else [],
        pairs=[(int(i), int(j)) for i, j in group.pairs] if group else [],
        lkj_eta=eta,
        correlations=elementwise,
        fixed_sd=known,
        bounds=[(float(low), float(high)) for low, high in limits],
        sigma=None if model.known_errors else _bounded(model, "sigma"),
    )


def _scale(model: Model, group: Group, k: int) -> Bounded:
    """Prior of an sd: that of r̃ where this is what is sampled."""
    label = group.sd_labels[k]
    prior = group.own[k] if group.at_mean else model.priors[label]
    return Bounded(prior.kernel(), *bounds(label, prior))


def _bounded(model: Model, name: str) -> Bounded:
    prior = model.priors[name]
    # Normal priors of b are in the prior rows.
    normal = called.array_of(name) == called.b() and isinstance(prior, Normal)
    kernel = ("flat", []) if normal else prior.kernel()
    return Bounded(kernel, *bounds(name, prior))
