"""NUTS on all parameters of a model of any family: the core samples, rows are unpacked here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from partialpool import _core, called
from partialpool.arrays import Array
from partialpool.engine.chains import sample_nuts
from partialpool.engine.conditional import written_scales
from partialpool.engine.engine import Engine
from partialpool.engine.rounds import Verdict
from partialpool.engine.run import GroupDraws, Run
from partialpool.engine.sampling import Sampling
from partialpool.model import Group, Model, Pooled
from partialpool.model.general import build_general
from partialpool.model.layout import Layout, Slices


def run_nuts(model: Model, sampling: Sampling) -> Run:
    """Sample a model of any family, as ``build_general`` builds it.

    Raises
    ------
    InputError
        If the draws of all parameters do not fit in memory.
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before any draw was kept; later, the run holds what there was.
    """
    core, layout = model.core, model.layout
    assert isinstance(core, _core.General)
    assert layout is not None
    levels = sum(len(group.levels) * len(group.terms) for group in model.groups)

    def worth(rows: Array, facts: dict[str, Any]) -> Verdict:
        assert sampling.rounds is not None
        return sampling.rounds.judge(model, unpacked(model, layout, rows, facts))

    rows, facts = sample_nuts(core, sampling, worth, levels=levels)
    return unpacked(model, layout, rows, facts)


def unpacked(
    model: Model,
    layout: Layout,
    rows: Array,
    facts: dict[str, Any],
    method: str = "nuts",
    later: Callable[[int], Array] | None = None,
) -> Run:
    """Split rows of output into parameters on the user's scale.

    `later` gives the levels' coefficients of the group at a position, where the rows do not have
    them.
    """
    groups: list[GroupDraws] = []
    scalars: dict[str, Array] = {}
    coefficients = {s.name: population(s, layout, rows) for s in layout.predictors}
    for predictor in layout.predictors:
        own = [group for group in model.groups if group.predictor == predictor.name]
        b = coefficients[predictor.name]
        for k, group in enumerate(own):
            drawn = written_scales(group, rows[..., predictor.sd[k]], rows[..., predictor.cor[k]])
            levels = (
                own_coefficients(group, rows[..., predictor.r[k]], b)
                if later is None
                else partial(later, len(groups))
            )
            groups.append(replace(drawn, levels=levels))
        if predictor.name != "mu":
            labels = [called.b(column, predictor.name) for column in predictor.columns]
            scalars |= {label: b[..., k] for k, label in enumerate(labels)}
    scalars |= dispersion(layout, rows)
    return Run(
        method=method,
        b=coefficients["mu"],
        groups=tuple(groups),
        scalars=scalars,
        working=None,
        **facts,
    )


def own_coefficients(group: Group, r: Array, b: Array) -> Array:
    """Levels' own coefficients as written, from r̃ and the population's: (chain, draw, level, term).

    In place, chain by chain: a second copy of all coefficients would double the memory.
    """
    coef = r.reshape(*b.shape[:2], len(group.levels), len(group.terms))
    for chain, shared in zip(coef, b @ group.T.T, strict=True):
        chain[...] = chain @ group.back.T
        chain += shared[:, None, :]
    return coef


def population(predictor: Slices, layout: Layout, rows: Array) -> Array:
    """Population coefficients of a linear predictor on the user's scale: (…, column)."""
    c = rows[..., predictor.c]
    if layout.thresholds and predictor.name == "mu":
        c = c[..., 1:]
    return predictor.coordinates.from_working(c)


def dispersion(layout: Layout, rows: Array) -> dict[str, Array]:
    """Dispersion parameters or thresholds by label."""
    values = rows[..., layout.values]
    if not layout.thresholds:
        return {name: values[..., k] for k, name in enumerate(layout.dispersion)}
    # The core's intercept is minus the first threshold where predictors are at their means.
    main = layout.predictors[0]
    b = population(main, layout, rows)
    shift = b @ main.coordinates.outer[0] - rows[..., main.c][..., 0]
    return {called.threshold(k + 1): values[..., k] + shift for k in range(values.shape[-1])}


def _without_rows(pooled: Pooled, *_: object) -> str | None:
    if pooled.design.condensed is None:
        return None
    return "NUTS on all parameters walks over single rows, and one pass over the table adds them up"


NUTS = Engine(
    "nuts",
    obstacle=_without_rows,
    build=build_general,
    run=run_nuts,
    asked="you asked for it: NUTS on all parameters",
    why="{obstacle}, so NUTS samples all parameters",
)
