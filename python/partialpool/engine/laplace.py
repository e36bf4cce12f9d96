"""An approximate posterior of models that are not Gaussian: coefficients integrated out by Laplace.

Given scales and dispersion, population and group coefficients are taken for jointly normal around
their mean (``src/laplace/posterior/``). Draws are independent, and each comes with the logarithm of
the posterior over the density that it was drawn from, which tells how good they are.
"""

from __future__ import annotations

import math
from typing import Any

from partialpool import _core
from partialpool.arrays import Array
from partialpool.engine.chains import sample_nuts
from partialpool.engine.engine import Engine, Priors
from partialpool.engine.nuts import unpacked
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
        return sampling.rounds.judge(model, _unpacked(model, rows, facts))

    try:
        drawn = sample_nuts(core, sampling, worth, levels=levels)
    except EngineError as error:
        raise EngineError(f'{str(error).rstrip(".")}; use method="nuts".') from None
    return _unpacked(model, *drawn)


def _unpacked(model: Model, rows: Array, facts: dict[str, Any]) -> Run:
    assert model.layout is not None
    last = rows.shape[-1] - len(JUDGED)
    judged = {name: rows[..., last + k].copy() for k, name in enumerate(JUDGED)}
    facts = facts | {"stats": facts["stats"] | judged}
    return unpacked(model, model.layout, rows[..., :last], facts, "laplace")


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
    if pooled.family.conjugate:
        return "in a Gaussian model coefficients integrate out exactly"
    if design.condensed is not None:
        return "it needs single rows, and one pass over the table adds them up"
    if design.sigma is not None or design.se is not None:
        return "it takes one linear predictor, and log sigma has one too"
    return None


LAPLACE = Engine(
    "laplace",
    obstacle=_not_nearly,
    build=_build,
    run=run_laplace,
    asked="you asked for it: an approximation, coefficients integrated out by Laplace's formula",
)
