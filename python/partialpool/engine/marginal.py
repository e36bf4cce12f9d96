"""The marginal engine: φ sampled in the core, coefficients drawn from exact conditionals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core, limits
from partialpool.arrays import Array
from partialpool.engine.chains import sample_nuts
from partialpool.engine.conditional import (
    coefficient_draws,
    draws_within_bounds,
    level_parts,
    written_scales,
)
from partialpool.engine.engine import BoundsError, Engine, Priors
from partialpool.engine.integrable import not_integrable
from partialpool.engine.rounds import Verdict
from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.sampling import Sampling, all_cores
from partialpool.memory import SHARE, check_memory, machine_memory
from partialpool.model import Model, Pooled
from partialpool.model.blocks import build_blocks
from partialpool.model.marginal import build_marginal


def run_marginal(model: Model, sampling: Sampling) -> Run:
    """Sample a Gaussian model.

    Raises
    ------
    EngineError
        If no chain could be run.
    BoundsError
        If uniform priors of group coefficients leave next to nothing of what was drawn.
    KeyboardInterrupt
        If interrupted before any draw was kept; later, the run holds what there was.
    """
    if len(model.groups) > 1:
        return _sample(model, sampling)
    group = model.sole_group
    bounds = group is not None and group.bounds is not None
    if group is not None and bounds and len(group.terms) > 2:
        left = int(np.sum(~group.estimable))
        if left:
            raise BoundsError(
                f"{left} levels of `{group.name}` cannot determine all of their coefficients "
                "within uniform priors",
                "use normal priors or method='nuts'",
            )
    if sampling.rounds is None:
        return _within_bounds(model, sampling)
    if not bounds:
        return _sample(model, sampling)
    # What is kept is known only in the end: every round is drawn anew.
    rounds, draws = sampling.rounds, min(sampling.draws, limits.DRAWS)
    while True:
        run = _within_bounds(model, replace(sampling, draws=draws, rounds=None))
        if run.interrupted:
            return run
        more = rounds.until(draws, rounds.judge(model, run), limits.DRAWS)
        if more <= draws:
            return run
        draws = more


def _within_bounds(model: Model, sampling: Sampling) -> Run:
    """Sample a model whose coefficients of levels have uniform priors."""
    draws = asked = sampling.draws
    run = _sample(model, sampling)
    inside = draws_within_bounds(model, run)
    while not inside.all():
        # Uniform priors of group coefficients: the draws are exact without the bounds, so keeping
        # whole draws that respect them is exact too (level by level would bias sigma).
        if run.interrupted:
            kept = int(inside.sum(axis=1).min())
            if kept == 0:
                raise KeyboardInterrupt
            return _keep(model, run, inside, kept)
        share = float(inside.mean(axis=1).min())
        if share < limits.BOUNDS_KEPT:
            raise BoundsError(
                f"only {100 * share:.2g}% of the draws have every coefficient within its uniform "
                "prior",
                "widen the bounds, or use method='nuts'",
            )
        if inside.sum(axis=1).min() >= draws:
            return _keep(model, run, inside, draws)
        asked = int(asked * max(1.2, 1.1 * draws / max(inside.sum(axis=1).min(), 1))) + 20
        run = _sample(model, replace(sampling, draws=asked))
        inside = draws_within_bounds(model, run)
    return run


def _keep(model: Model, run: Run, inside: NDArray[np.bool_], draws: int) -> Run:
    """Keep the first draws of each chain that are inside, group coefficients with them."""
    group = model.sole_group
    assert group is not None
    rows = [np.flatnonzero(chain)[:draws] for chain in inside]
    n_levels, q = len(group.levels), len(group.terms)
    check_memory(len(rows) * draws, n_levels * q, what="coefficients of the levels")

    def pick(values: NDArray[Any]) -> NDArray[Any]:
        return np.stack([values[chain, picked] for chain, picked in enumerate(rows)])

    coef = np.empty((len(rows), draws, n_levels, q))
    for first, last in level_parts(run, group):
        coef[:, :, first:last] = pick(coefficient_draws(model, run, 0, first, last))
    return replace(
        run,
        b=pick(run.b),
        groups=(GroupDraws(pick(run.groups[0].sd), pick(run.groups[0].cor), coef),),
        scalars={name: pick(values) for name, values in run.scalars.items()},
        working=None if run.working is None else pick(run.working),
        stats={name: pick(values) for name, values in run.stats.items()},
    )


def _sample(model: Model, sampling: Sampling) -> Run:
    """Run the core."""
    assert isinstance(model.core, _core.Marginal)

    def worth(outputs: Array, facts: dict[str, Any]) -> Verdict:
        assert sampling.rounds is not None
        return sampling.rounds.judge(model, _unpack(model, outputs, facts))

    outputs, facts = sample_nuts(model.core, sampling, worth)
    return _unpack(model, outputs, facts)


def _unpack(model: Model, outputs: Array, facts: dict[str, Any]) -> Run:
    """Split rows of output into parameters on the user's scale."""
    assert model.reduced is not None
    # With flat priors of the group coefficients the core has no group at all.
    q = sum(len(group.terms) for group in model.groups if not group.is_flat)
    n_cor = sum(len(group.pairs) for group in model.groups)
    sd, cor, sigma, working = np.split(outputs, [q, q + n_cor, q + n_cor + 1], axis=2)
    c = np.empty_like(working)
    c[..., list(model.reduced.order)] = working
    return Run(
        method="marginal",
        b=model.coordinates["mu"].from_working(c),
        groups=tuple(_scales(model, sd, cor)),
        scalars={} if model.known_errors else {"sigma": sigma[..., 0]},
        working=working,
        **facts,
    )


def _scales(model: Model, sd: Array, cor: Array) -> Iterator[GroupDraws]:
    """Draws of each group from those of all sds and all correlations."""
    first, pair = 0, 0
    for group in model.groups:
        last = first + (0 if group.is_flat else len(group.terms))
        end = pair + len(group.pairs)
        own = sd[..., first:first] if group.known_sd is not None else sd[..., first:last]
        yield written_scales(group, own, cor[..., pair:end])
        first, pair = last, end


def _build(pooled: Pooled, priors: Priors | None = None) -> Model:
    if len(pooled.design.factors) < 2:
        return build_marginal(pooled, priors)
    names = ", ".join(f"`{factor.name}`" for factor in pooled.design.factors)
    return build_blocks(pooled, priors, lambda data: _check_cost(data, names))


def _check_cost(data: _core.Blocks, names: str) -> None:
    """Refuse factors whose elimination would take too much memory or time."""
    operations, size = data.cost
    whole = size * all_cores()
    what = f"the levels of {names} meet in so many ways that integrating them out would take"
    remedy = "leave `method` out, or use method='nuts'"
    if whole > SHARE * machine_memory():
        raise BoundsError(f"{what} {whole / 1e9:.0f} GB of memory", remedy)
    if operations > limits.ELIMINATION:
        seconds = operations / limits.ELIMINATION_SPEED
        raise BoundsError(f"{what} {seconds:.0f} seconds for every evaluation", remedy)


MARGINAL = Engine(
    "marginal",
    obstacle=not_integrable,
    build=_build,
    run=run_marginal,
    why="in a Gaussian model, coefficients of levels integrate out exactly",
    refit="auto",
)
