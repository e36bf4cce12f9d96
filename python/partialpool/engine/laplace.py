"""An approximate posterior of models that are not Gaussian: coefficients integrated out by Laplace.

Given scales and dispersion, population and group coefficients are taken for jointly normal around
their mean (``src/laplace/posterior/``). Draws are independent, and some come with the logarithm of
the posterior over the density that they were drawn from, which tells how good they are.
"""

from __future__ import annotations

import math
import os
from threading import Lock
from typing import Any

from partialpool import _core
from partialpool.arrays import Array
from partialpool.engine.chains import sample_nuts
from partialpool.engine.engine import Engine, Priors
from partialpool.engine.integrable import is_closed
from partialpool.engine.nuts import own_coefficients, population, unpacked
from partialpool.engine.rounds import Verdict
from partialpool.engine.run import Run
from partialpool.engine.sampling import Sampling
from partialpool.errors import EngineError, NotYetError
from partialpool.model import Model, Pooled
from partialpool.model.general import build_general

JUDGED = ("log_weight", "log_weight_levels", "levels_off", "levels_wider")
WHOLE, LEVELS, LEVELS_OFF, LEVELS_WIDER = JUDGED
"""What sampler statistics call, of draws that are judged, the logarithm of posterior over density,
the same with levels integrated out, by how many sds their means are off, and the mean logarithm of
what their sds should be over what they are; of others NaN."""


def run_laplace(model: Model, sampling: Sampling) -> Run:
    """Draw from the approximate posterior of a model, as ``build_general`` builds it.

    Raises
    ------
    InputError
        If the draws of all parameters do not fit in memory.
    EngineError
        If the approximate density could not be explored.
    KeyboardInterrupt
        If interrupted before any draw was kept; later, the run holds what there was.
    """
    assert isinstance(model.core, _core.General)
    core = _core.Approximation(model.core)
    levels = sum(len(group.levels) * len(group.terms) for group in model.groups)

    def worth(rows: Array, facts: dict[str, Any]) -> Verdict:
        assert sampling.rounds is not None
        return sampling.rounds.judge(model, drawn_as(model, core, rows, facts))

    try:
        drawn = sample_nuts(core, sampling, worth, later=levels)
    except EngineError as error:
        raise EngineError(f'{str(error).rstrip(".")}; use method="nuts".') from None
    return drawn_as(model, core, *drawn)


def drawn_as(model: Model, core: _core.Approximation, rows: Array, facts: dict[str, Any]) -> Run:
    """Split rows of output into parameters and what draws are judged by."""
    assert model.layout is not None
    last = core.n_parameters
    judged = {name: rows[..., last + k].copy() for k, name in enumerate(JUDGED)}
    facts = facts | {"stats": facts["stats"] | judged}
    levels = _Levels(model, core, rows)
    return unpacked(model, model.layout, rows[..., :last], facts, "laplace", levels.of)


class _Levels:
    """Coefficients of all levels, drawn together when those of a group are first asked for.

    Each draw has what its levels are drawn by, so they are the same whenever that is.
    """

    def __init__(self, model: Model, core: _core.Approximation, rows: Array) -> None:
        self._drawn_with: tuple[Model, _core.Approximation, Array] | None = model, core, rows
        self._found: list[Array] = []
        self._one_by_one = Lock()

    def of(self, k: int) -> Array:
        """Those of the group at a position: (chain, draw, level, term)."""
        with self._one_by_one:
            if self._drawn_with is not None:
                self._found = _coefficients(*self._drawn_with)
                self._drawn_with = None  # polynomials are as large as draws
        return self._found[k]


def _coefficients(model: Model, core: _core.Approximation, rows: Array) -> list[Array]:
    layout = model.layout
    assert layout is not None
    b = {one.name: population(one, layout, rows) for one in layout.predictors}
    try:
        r = core.levels(rows.reshape(-1, rows.shape[-1]), os.cpu_count() or 1)
    except ValueError as error:
        raise EngineError(f'{error}; use method="nuts".') from None
    groups = zip(model.groups, r, strict=True)
    return [own_coefficients(group, own, b[group.predictor]) for group, own in groups]


def _build(pooled: Pooled, priors: Priors | None = None) -> Model:
    model = build_general(pooled, priors, walked=False)
    assert isinstance(model.core, _core.General)
    try:
        _core.Approximation(model.core)
    except ValueError as error:
        raise NotYetError(
            f'method="laplace" cannot sample this model: {error}', remedy='use method="nuts"'
        ) from None
    return model


def _not_nearly(pooled: Pooled, priors: Priors, left: float = math.nan) -> str | None:
    """Say why Laplace's formula does not integrate coefficients out, if so."""
    design = pooled.design
    if is_closed(pooled):
        return "in a Gaussian model coefficients integrate out exactly"
    if design.condensed is not None:
        return "it needs single rows, and one pass over the table adds them up"
    return None


LAPLACE = Engine(
    "laplace",
    obstacle=_not_nearly,
    build=_build,
    run=run_laplace,
    asked="you asked for it: an approximation, coefficients integrated out by Laplace's formula",
)
