"""The parameters that a figure shows, by name, with their draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.arrays import Array
from partialpool.checks import check_values
from partialpool.draws.posterior import (
    Posterior,
    group_parameters,
    level_labels,
    population_draws,
)
from partialpool.engine.conditional import coefficient_draws, deviation_draws
from partialpool.errors import InputError, did_you_mean


class Chosen(Struct, frozen=True):
    """Parameters with their draws: (chain, draw, parameter); what to say of those left out."""

    labels: list[str]
    draws: Array
    note: str

    @property
    def notes(self) -> list[str]:
        """What a caption says."""
        return [self.note] if self.note else []


def chosen(fit: Posterior, parameters: str | Sequence[str] | None, most: int) -> Chosen:
    """Find parameters by the names that tables give them.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Names as in :meth:`Fit.summary`: of one parameter (``"b[x]"``,
        ``"coef_county[70,floor]"``), or of an array (``"sd_county"``). By default all but those of
        levels; where they are too many, all but some population coefficients.
    most : int
        How many there may be.

    Raises
    ------
    InputError
        If there is none of a name, or there are more than `most`.
    """
    labels, draws = population_draws(fit.model, fit.run)
    if parameters is None:
        kept = _kept(labels, most)
        note = ""
        if len(kept) < len(labels):
            note = f"{len(kept)} of {len(labels):,} parameters; parameters= names others."
        if not labels:
            raise InputError(
                "there are no parameters but those of levels",
                remedy=_example(fit),
            )
        return Chosen([labels[k] for k in kept], draws[:, :, kept], note)
    asked = [parameters] if isinstance(parameters, str) else check_values("parameters", parameters)
    found: dict[str, Array] = {}
    for name in asked:
        if not isinstance(name, str):
            raise InputError(
                f"`parameters` has {name!r}", remedy='give names as text, such as "sd_county"'
            )
        places = [k for k, own in enumerate(labels) if name in (own, called.array_of(own))]
        found |= {labels[k]: draws[:, :, k] for k in places}
        if not places:
            found |= _of_levels(fit, name, labels, most)
        _check_count(len(found), most)
    if not found:
        raise InputError("`parameters` is empty", remedy="name some, or leave it out")
    return Chosen(list(found), np.stack(list(found.values()), axis=-1), "")


def _example(fit: Posterior) -> str:
    """Say how to name a parameter of a level."""
    some = [level_labels(group, "coef")[0] for group in fit.model.groups]
    return f"name some by `parameters=`, such as `{some[:1]}`"


def _kept(labels: list[str], most: int) -> list[int]:
    """All, or of too many the first population coefficients and as many others as can be."""
    first = [k for k, label in enumerate(labels) if called.array_of(label) == called.b()]
    others = [k for k in range(len(labels)) if k not in first]
    first = first[: max(most - len(others), most // 4)]
    return sorted([*first, *others[: most - len(first)]])


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise InputError(
            f"`parameters` names {count} parameters or more",
            remedy=f"this figure has room for {most} of them",
        )


def _of_levels(fit: Posterior, name: str, known: list[str], most: int) -> dict[str, Array]:
    """Draws of the coefficients or deviations of a level, or of all levels of a few."""
    groups = group_parameters(fit.model)
    array = called.array_of(name)
    if array not in groups:
        names = [*known, *(called.array_of(label) for label in known), *groups]
        remedy = did_you_mean(name, dict.fromkeys(names))
        raise InputError(f"no parameter `{name}`", remedy=remedy)
    kind, k = groups[array]
    group = fit.model.groups[k]
    labels = level_labels(group, kind)
    places = range(len(labels)) if name == array else [j for j, x in enumerate(labels) if x == name]
    if not places:
        raise InputError(f"no parameter `{name}`", remedy=did_you_mean(name, labels))
    _check_count(len(places), most)
    drawn = deviation_draws if kind == "r" else coefficient_draws
    found = {}
    for place in places:
        level, term = divmod(place, len(group.terms))
        values = drawn(fit.model, fit.run, k, level, level + 1)[:, :, 0, term]
        if not np.isfinite(values).all():
            raise InputError(
                f"the rows of its level do not determine `{labels[place]}`",
                remedy="leave it out",
            )
        found[labels[place]] = values
    return found
