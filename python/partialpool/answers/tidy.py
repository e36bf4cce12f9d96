"""Draws as a long table, a row for each draw of each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.arrays import Array
from partialpool.checks import check_flag, check_text, check_values
from partialpool.draws.posterior import (
    Posterior,
    group_parameters,
    level_labels,
    n_draws,
    population_draws,
)
from partialpool.engine.conditional import coefficient_draws, deviation_draws, level_parts
from partialpool.errors import InputError, did_you_mean
from partialpool.memory import check_memory

if TYPE_CHECKING:
    import pandas as pd

LEVEL_COLUMNS = ("factor", "level", "term")


def tidy(
    fit: Posterior,
    parameters: str | Sequence[str] | None = None,
    levels: bool = False,
    *,
    wide: bool = False,
) -> pd.DataFrame:
    """Give all draws as a table: a row for each draw of each parameter.

    What tidybayes and posterior know as ``gather_draws`` (or, with ``wide=True``, ``spread_draws``
    and ``as_draws_df``). broom's ``tidy``, a row a parameter with estimate, standard error and
    interval, is :meth:`summary`.

    Parameters
    ----------
    parameters : str or list of str, optional
        Only these, by the names of :meth:`summary`: ``"b"``, ``"sd_county"``, ``"b[x]"``, those of
        all levels such as ``"coef_county"`` or ``"r_county"``, or of one, such as
        ``"coef_county[AITKIN,x]"``. By default all population-level parameters.
    levels : bool
        Whether to add the coefficients of every level of every factor (``coef_G``).
    wide : bool
        Whether to give a row a draw and a column a parameter.

    Returns
    -------
    DataFrame
        Columns chain and draw (counted from 0, after warm-up), parameter and value; where
        parameters of levels are among them, also factor, level and term, which are empty for the
        others. One parameter after the other, each in the order of chains and draws. If `wide`:
        chain, draw, and a column a parameter.

    Raises
    ------
    InputError
        If there is no such parameter, or the table would not fit into memory.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> draws = fit.tidy(["b", "sigma"])
    >>> draws.columns.tolist(), len(draws)
    (['chain', 'draw', 'parameter', 'value'], 12000)
    >>> draws.groupby("parameter", observed=True)["value"].mean().round(2).to_dict()
    {'b[Intercept]': 1.49, 'b[floor]': -0.66, 'sigma': 0.73}
    >>> fit.tidy("coef_county", wide=True).shape
    (4000, 87)
    """
    check_flag("levels", levels)
    check_flag("wide", wide)
    asked = _asked(parameters)
    found = _population(fit, asked)
    sets = _of_levels(fit, asked, bool(levels))
    count = len(found) + sum(len(one.places) for one in sets)
    columns = 3 if wide or not sets else 6
    remedy = "name the `parameters` that you need, or take levels by `group_draws`"
    check_memory(n_draws(fit), count, what="parameters", copies=columns, remedy=remedy)
    return _wide(fit, found, sets) if wide else _long(fit, found, sets)


class Levels(Struct, frozen=True):
    """Parameters of the levels of a group: which kind, of which group, and which of them.

    Attributes
    ----------
    places : list of int
        Positions among all levels and terms of the group, terms running fastest.
    """

    kind: str
    k: int
    places: list[int]

    def labels(self, fit: Posterior) -> list[str]:
        """Full names."""
        every = level_labels(fit.model.groups[self.k], self.kind)
        return [every[place] for place in self.places]

    def draws(self, fit: Posterior) -> Iterator[Array]:
        """Draws of one parameter after the other: chains and draws in a row."""
        group = fit.model.groups[self.k]
        width = len(group.terms)
        drawn = deviation_draws if self.kind == "r" else coefficient_draws
        for first, last in level_parts(fit.run, group):
            some = [p for p in self.places if first <= p // width < last]
            if not some:
                continue
            low, high = some[0] // width, some[-1] // width + 1
            values = drawn(fit.model, fit.run, self.k, low, high)
            for place in some:
                yield values[:, :, place // width - low, place % width].ravel()


def _asked(parameters: Any) -> list[str] | None:
    """Take one name or several; None asks for what there is without levels."""
    if parameters is None:
        return None
    given = [parameters] if isinstance(parameters, str) else parameters
    names = check_values("parameters", given)
    for name in names:
        if name is None:
            raise InputError("`parameters` holds None", remedy='give names, such as "b"')
        check_text("parameters", name, '"b"')
    return names


def _population(fit: Posterior, asked: list[str] | None) -> dict[str, Array]:
    """Draws of the population-level parameters that are asked for, by name."""
    labels, draws = population_draws(fit.model, fit.run)
    wanted = None if asked is None else set(asked)
    return {
        label: draws[:, :, k].ravel()
        for k, label in enumerate(labels)
        if wanted is None or wanted & {label, called.array_of(label)}
    }


def _of_levels(fit: Posterior, asked: list[str] | None, every: bool) -> list[Levels]:
    """Which parameters of levels are asked for.

    Raises
    ------
    InputError
        If a name is that of no parameter at all.
    """
    arrays = group_parameters(fit.model)
    population = fit.parameter_summary.labels
    known = {*population, *map(called.array_of, population)}
    picked: dict[tuple[str, int], set[int]] = {}
    index = {one: _places(fit, *one) for one in arrays.values()} if set(asked or ()) - known else {}
    for name in [] if asked is None else asked:
        if name in known:
            continue
        one = next((arrays[a] for a in arrays if name == a or name in index[arrays[a]]), None)
        if one is None:
            of = called.array_of(name)
            within = of in arrays
            near = index[arrays[of]] if within else sorted({*known, *arrays})
            remedy = did_you_mean(name if within else of, near)
            raise InputError(f"no parameter `{name}`", remedy=remedy)
        own = index[one]
        picked.setdefault(one, set()).update(own.values() if name in arrays else [own[name]])
    for kind, k in arrays.values() if every else ():
        if kind == "coef":
            group = fit.model.groups[k]
            picked[kind, k] = set(range(len(group.levels) * len(group.terms)))
    return [Levels(*one, sorted(picked[one])) for one in arrays.values() if one in picked]


def _places(fit: Posterior, kind: str, k: int) -> dict[str, int]:
    """Positions of the parameters of all levels of a group, by their full names."""
    return {name: place for place, name in enumerate(level_labels(fit.model.groups[k], kind))}


def _long(fit: Posterior, found: dict[str, Array], sets: list[Levels]) -> pd.DataFrame:
    import pandas as pd

    chains, draws = fit.run.chains, fit.run.draws
    labels = [*found, *(label for one in sets for label in one.labels(fit))]
    values = np.empty((len(labels), chains * draws))
    for row, drawn in zip(values, _drawn(fit, found, sets), strict=True):
        row[:] = drawn
    each = chains * draws
    columns: dict[str, Any] = {
        "chain": np.tile(np.repeat(np.arange(chains), draws), len(labels)),
        "draw": np.tile(np.arange(draws), chains * len(labels)),
        "parameter": _repeated(labels, each),
    }
    if sets:
        columns |= _facts(fit, len(found), sets, each)
    return pd.DataFrame(columns | {"value": values.ravel()})


def _facts(fit: Posterior, empty: int, sets: list[Levels], each: int) -> dict[str, Any]:
    """Factor, level and term of every row; None for parameters that have none."""
    facts: dict[str, list[Any]] = {name: [None] * empty for name in LEVEL_COLUMNS}
    for one in sets:
        group = fit.model.groups[one.k]
        levels, width = group.levels.tolist(), len(group.terms)
        facts["factor"] += [group.name] * len(one.places)
        facts["level"] += [levels[place // width] for place in one.places]
        facts["term"] += [group.terms[place % width] for place in one.places]
    return {name: _repeated(values, each) for name, values in facts.items()}


def _repeated(values: list[Any], each: int) -> Any:
    """Repeat every value, as a categorical: names are held once."""
    import pandas as pd

    kinds = list(dict.fromkeys(value for value in values if value is not None))
    place = {kind: k for k, kind in enumerate(kinds)}
    codes = np.array([-1 if value is None else place[value] for value in values], dtype=np.int64)
    return pd.Categorical.from_codes(np.repeat(codes, each), categories=pd.Index(kinds))


def _wide(fit: Posterior, found: dict[str, Array], sets: list[Levels]) -> pd.DataFrame:
    import pandas as pd

    labels = [*found, *(label for one in sets for label in one.labels(fit))]
    chains, draws = fit.run.chains, fit.run.draws
    values = np.empty((chains * draws, len(labels)))
    for column, drawn in enumerate(_drawn(fit, found, sets)):
        values[:, column] = drawn
    where = pd.DataFrame(
        {
            "chain": np.repeat(np.arange(chains), draws),
            "draw": np.tile(np.arange(draws), chains),
        }
    )
    return pd.concat([where, pd.DataFrame(values, columns=labels)], axis=1)


def _drawn(fit: Posterior, found: dict[str, Array], sets: list[Levels]) -> Iterator[Array]:
    yield from found.values()
    for one in sets:
        yield from one.draws(fit)
