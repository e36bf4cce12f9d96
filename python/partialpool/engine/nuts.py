"""NUTS on all parameters of a model of any family: the core samples, rows are unpacked here."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool import _core
from partialpool.engine.chains import Chains, check_memory, usable_chains
from partialpool.engine.progress import Progress
from partialpool.engine.run import GroupDraws, Run
from partialpool.model import Model
from partialpool.model.layout import Layout, Slices

Array = NDArray[np.float64]

MAX_TREE_DEPTH = 10


def run_nuts(
    model: Model,
    *,
    chains: int,
    draws: int,
    warmup: int,
    seed: int,
    threads: int,
    progress: bool | None = None,
) -> Run:
    """Sample a model of any family.

    Parameters
    ----------
    model : Model
        From ``build_general``.
    chains, draws, warmup, seed, threads, progress
        As for the marginal engine.

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
    check_memory(chains * draws, layout.size)
    began = time.perf_counter()
    with Progress(chains * (draws + warmup), progress) as bar:
        raw = core.sample(chains, draws, warmup, seed, threads, MAX_TREE_DEPTH, bar.update)
    seconds = time.perf_counter() - began
    usable = usable_chains(raw)
    warm = sum(c["warmup_seconds"] for c in usable.good)
    busy = warm + sum(c["sampling_seconds"] for c in usable.good)
    return _unpack(
        model,
        layout,
        usable,
        seed=seed,
        warmup=warmup,
        seconds_warmup=seconds * warm / busy if busy else 0.0,
        seconds_sampling=seconds,
    )


def _unpack(model: Model, layout: Layout, usable: Chains, **facts: Any) -> Run:
    """Split rows of output into parameters on the user's scale."""
    chains, kept = usable.good, usable.kept
    rows = np.stack([c["outputs"][:kept] for c in chains])
    groups: list[GroupDraws] = []
    scalars: dict[str, Array] = {}
    coefficients = {s.name: population(s, layout, rows) for s in layout.predictors}
    for predictor in layout.predictors:
        own = [group for group in model.groups if group.predictor == predictor.name]
        b = coefficients[predictor.name]
        for k, group in enumerate(own):
            shape = (*rows.shape[:2], len(group.levels), len(group.terms))
            r = rows[..., predictor.r[k]].reshape(shape)
            coef = r + (b @ group.T.T)[:, :, None, :]
            groups.append(GroupDraws(rows[..., predictor.sd[k]], rows[..., predictor.cor[k]], coef))
        if predictor.name != "mu":
            labels = [f"b_{predictor.name}[{column}]" for column in predictor.columns]
            scalars |= {label: b[..., k] for k, label in enumerate(labels)}
    scalars |= dispersion(layout, rows)
    return Run(
        method="nuts",
        b=coefficients["mu"],
        groups=tuple(groups),
        scalars=scalars,
        working=None,
        stats={
            "diverging": np.stack([c["diverging"][:kept] for c in chains]),
            "energy": np.stack([c["energy"][:kept] for c in chains]),
            "lp": np.stack([c["logp"][:kept] for c in chains]),
            "tree_depth": np.stack([c["depth"][:kept] for c in chains]),
        },
        step_size=tuple(c["step_size"] for c in chains),
        failures=usable.failures,
        interrupted=usable.interrupted,
        **facts,
    )


def population(predictor: Slices, layout: Layout, rows: Array) -> Array:
    """Population coefficients of a linear predictor on the user's scale: (…, column)."""
    c = rows[..., predictor.c]
    if layout.thresholds and predictor.name == "mu":
        c = c[..., 1:]
    return predictor.standardisation.from_working(c)


def dispersion(layout: Layout, rows: Array) -> dict[str, Array]:
    """Dispersion parameters or thresholds by label."""
    values = rows[..., layout.values]
    if not layout.thresholds:
        return {name: values[..., k] for k, name in enumerate(layout.dispersion)}
    # The core's intercept is minus the first threshold where predictors are at their means.
    main = layout.predictors[0]
    b = population(main, layout, rows)
    shift = b @ main.standardisation.centre - rows[..., main.c][..., 0]
    return {f"threshold[{k + 1}]": values[..., k] + shift for k in range(values.shape[-1])}
