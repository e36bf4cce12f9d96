"""Predictions: for the rows that were fitted or new ones, for levels known or never seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np

from partialpool.arrays import Array, Ints, mean_of, sd_of, tails
from partialpool.checks import check_choice, check_counts, check_interval, check_seed
from partialpool.design.gather import Gathered
from partialpool.design.rows import Rows
from partialpool.draws.evaluate import Evaluator, check_new_levels
from partialpool.draws.new_rows import (
    build_rows,
    check_known,
    gather_fitted,
    gather_new,
    table_frame,
    unseen_notes,
)
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.memory import check_memory
from partialpool.model import Group, Model
from partialpool.taking import takes

if TYPE_CHECKING:
    import pandas as pd
    from xarray import DataArray


KINDS = ("mean", "observation", "linear")
NEW_LEVELS = ("sample", "population", "error")
COLUMNS = ("mean", "sd", "lower", "upper")

HOW = {
    "sample": "drawn from the population",
    "population": "given the coefficients of the population",
}
HOW_PRIOR = "without pooling, drawn from the fixed prior"


class RoleOptions(TypedDict, total=False):
    """What predictions may be told beside the rows; None is as if not given."""

    offset: Any
    exposure: Any
    trials: Any
    se: Any
    weights: Any


class AverageRoles(TypedDict, total=False):
    """What averages of predictions over rows may be told."""

    offset: Any
    exposure: Any
    trials: Any
    weights: Any


def given_roles(known: type, roles: Mapping[str, Any]) -> dict[str, Any]:
    """Give every role that is known; None where it is not given."""
    return dict.fromkeys(known.__annotations__) | dict(roles)


class _Ready:
    """Rows that can be predicted, with the notes about them."""

    def __init__(
        self,
        fit: Posterior,
        new: Any,
        kind: str,
        new_levels: str,
        seed: int | None,
        roles: Mapping[str, Any],
    ) -> None:
        check_choice("kind", kind, KINDS)
        check_choice("new_levels", new_levels, NEW_LEVELS)
        model = fit.model
        self.seed = fit.run.seed if seed is None else check_seed(seed)
        self.gathered: Gathered
        if new is None:
            why = fit.provenance.lacking
            self.gathered = gather_fitted(
                model, fit.design, roles, kind=kind, argument="new", lacking=why
            )
        else:
            self.gathered = gather_new(
                model,
                new,
                roles,
                kind=kind,
                needed=model.groups,
                optional=new_levels == "population",
            )
        self.rows: Rows = build_rows(model, self.gathered, model.groups)
        self.notes = list(self.gathered.notes)
        if new_levels == "error":
            check_known(model, self.rows)
        else:
            check_new_levels(model, self.rows, new_levels)
            self.notes += unseen_notes(model, self.rows, lambda group: _how(group, new_levels))

    def evaluator(self, fit: Posterior, new_levels: str, picked: Ints | None = None) -> Evaluator:
        """What computes the draws."""
        return Evaluator(
            fit.model, fit.run, self.rows, new_levels=new_levels, seed=self.seed, picked=picked
        )


def _how(group: Group, new_levels: str) -> str:
    return HOW[new_levels] if group.known_sd is None else HOW_PRIOR


def predict(
    fit: Posterior,
    new: Any = None,
    kind: Literal["mean", "observation", "linear"] = "mean",
    new_levels: Literal["sample", "population", "error"] = "sample",
    interval: float = 0.95,
    *,
    seed: int | None = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    se: Any = None,
    weights: Any = None,
) -> pd.DataFrame:
    """Predict rows, for levels that are known or never seen.

    Parameters
    ----------
    new : DataFrame, dict of arrays, or path, optional
        The rows to predict, as :func:`partialpool.fit` takes tables; by default those that were
        fitted. They need no response.
    kind : {"mean", "observation", "linear"}
        The expected response given the parameters, a new observation, or the linear predictor
        with its offset.
    new_levels : {"sample", "population", "error"}
        What levels have that the fit did not see: draws from the population, shared by the rows
        of a level; the coefficients of the population; or an error. Without pooling there is no
        population, and a new level has only its prior.
    interval : float
        Mass of the equal-tailed intervals.
    seed : int, optional
        Of the random numbers for new levels and observations; by default that of the fit.
    offset, exposure, trials, se, weights : str, array or number, optional
        As in :func:`partialpool.fit`; by default the columns that the fit used. Rows have
        weight 1 where the new data lack that column.

    Returns
    -------
    DataFrame
        The columns of the rows, and mean, sd, lower, upper; columns of the data with these
        names are called ``data_mean`` and so on. Ordered categories count as the numbers that
        they are, and as 0, 1, 2, … where they are none; with ``kind="mean"`` the probability of
        each is in ``p[label]``.
        ``attrs["notes"]`` says which rows have no prediction because a value is missing, and
        what was made of new levels.

    Raises
    ------
    InputError
        If a column is lacking or of another kind, or holds a category that the fit did not see.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    >>> new = fit.predict({"floor": [0, 0], "county": [1, 999]})
    >>> bool(new["sd"][1] > new["sd"][0])
    True
    """
    import pandas as pd

    roles = {"offset": offset, "exposure": exposure, "trials": trials}
    roles |= {"se": se, "weights": weights}

    check_interval(interval)
    ready = _Ready(fit, new, kind, new_levels, seed, roles)
    if new is None:
        assert fit.design is not None
        frame = table_frame(fit.design.table)
        frame.index = pd.Index(fit.design.rows, name="row")
    else:
        frame = table_frame(new)
    evaluator, model = ready.evaluator(fit, new_levels), fit.model
    labels = _probability_labels(model, kind)
    frame, renamed = _beside(frame, (*COLUMNS, *labels))
    ready.notes += renamed
    n, at_table = ready.gathered.n_given, ready.gathered.positions
    out = np.full((n if new is not None else len(at_table), 4), np.nan)
    shares = np.full((len(out), len(labels)), np.nan)
    place = at_table if new is not None else np.arange(len(at_table))
    out[place], shares[place] = summarised(evaluator, kind, interval)
    ready.notes += without_numbers(out[place])
    columns = dict(zip(COLUMNS, out.T, strict=True)) | dict(zip(labels, shares.T, strict=True))
    frame = frame.assign(**columns)
    frame.attrs |= _facts(fit, kind, ready) | {"interval": float(interval)}
    return frame


def summarised(evaluator: Evaluator, kind: str, interval: float) -> tuple[Array, Array]:
    """Mean, sd, lower and upper of all rows, and the probabilities of their categories.

    Returns
    -------
    (row, 4) array, (row, category) array
        The second without columns where no probabilities belong to the kind.
    """
    labels = _probability_labels(evaluator.model, kind)
    out = np.full((len(evaluator.rows), 4), np.nan)
    shares = np.full((len(out), len(labels)), np.nan)
    for first, at in evaluator.chunks(max(1, 2 * len(labels))):
        # Overflow to infinity, and undetermined levels, are results like others.
        with np.errstate(invalid="ignore", over="ignore"):
            if labels:
                p = evaluator.probabilities(evaluator.linear(at))
                shares[at] = p.mean(axis=1)
                values = np.asarray(p @ evaluator.model.scores)
            else:
                values = _values(evaluator, kind, first, at)
            out[at] = summarise_rows(values, interval)
    return out, shares


def without_numbers(out: Array) -> list[str]:
    """Say how many rows of a summary are not determined, or too large."""
    notes = []
    undetermined = int(np.isnan(out[:, 0]).sum())
    if undetermined:
        notes.append(
            f"no prediction for {undetermined} row{'s' * (undetermined != 1)} in levels whose own "
            "rows do not determine their coefficients"
        )
    infinite = int(np.isinf(out).any(axis=1).sum())
    if infinite:
        notes.append(
            f"the prediction of {infinite} row{'s' * (infinite != 1)} is larger than can be "
            "computed with: look at the values of the predictors"
        )
    return notes


def _beside(frame: pd.DataFrame, taken: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Rename columns of a table that are called as those of the predictions, and say so."""
    names = list(map(str, frame.columns))
    used, renamed = {*names, *taken}, {}
    for name in names:
        if name in taken:
            new = f"data_{name}"
            while new in used:
                new = f"data_{new}"
            used.add(new)
            renamed[name] = new
    notes = [
        f"the column `{old}` of the data is called `{new}` here" for old, new in renamed.items()
    ]
    frame.columns = [renamed.get(name, own) for name, own in zip(names, frame.columns, strict=True)]
    return frame, notes


@takes(predict, RoleOptions)
def posterior_predictive(
    fit: Posterior,
    new: Any = None,
    kind: Literal["mean", "observation", "linear"] = "observation",
    new_levels: Literal["sample", "population", "error"] = "sample",
    draws: int | None = None,
    seed: int | None = None,
    **roles: Unpack[RoleOptions],
) -> DataArray:
    """Draw what :meth:`predict` summarises.

    Parameters
    ----------
    new, kind, new_levels, seed, offset, exposure, trials, se, weights
        As in :meth:`predict`.
    draws : int, optional
        How many draws of each chain to use, evenly spaced; by default all.

    Returns
    -------
    xarray.DataArray
        Dims (chain, draw, row); rows of the fit are numbered as in its table, from 0.

    Raises
    ------
    InputError
        As in :meth:`predict`, and if the draws would not fit in memory.
    """
    import xarray as xr

    ready = _Ready(fit, new, kind, new_levels, seed, given_roles(RoleOptions, roles))
    chosen = pick_draws(fit, draws)
    picked = (np.arange(fit.run.chains)[:, None] * fit.run.draws + chosen).ravel()
    n = ready.gathered.n_given
    remedy = "ask for fewer with `draws=`, or for fewer rows at a time"
    check_memory(len(picked), n, what="rows", copies=1.1, remedy=remedy)
    evaluator = ready.evaluator(fit, new_levels, picked)
    out = np.full((n, len(picked)), np.nan)
    place = ready.gathered.positions if new is not None else np.arange(n)
    for first, at in evaluator.chunks(max(1, 2 * len(_probability_labels(fit.model, kind)))):
        with np.errstate(invalid="ignore", over="ignore"):
            out[place[at]] = _values(evaluator, kind, first, at)
    return xr.DataArray(
        np.moveaxis(out.reshape(n, fit.run.chains, len(chosen)), 0, 2),
        dims=("chain", "draw", "row"),
        coords={
            "chain": np.arange(fit.run.chains),
            "draw": chosen,
            "row": np.arange(n) if new is not None else ready.gathered.positions,
        },
        name=fit.model.response,
        attrs=_facts(fit, kind, ready),
    )


def pick_draws(fit: Posterior, draws: int | None) -> Ints:
    """Choose that many draws of each chain, evenly spaced.

    Raises
    ------
    InputError
        If there are fewer.
    """
    if draws is None:
        return np.arange(fit.run.draws)
    check_counts(draws=draws)
    if draws > fit.run.draws:
        raise InputError(
            f"`draws` is {draws}, and each chain has {fit.run.draws}", remedy="ask for fewer"
        )
    return np.arange(draws) * fit.run.draws // draws


def summarise_rows(values: Array, interval: float) -> Array:
    """Mean, sd, lower and upper over the draws of every row: (row, 4).

    Examples
    --------
    >>> summarise_rows(np.array([[1.0, 2.0, 3.0]]), 0.5)
    array([[2. , 1. , 1.5, 2.5]])
    """
    n = values.shape[1]
    # Two order statistics beside each quantile, by one partition for all.
    at = np.array(tails(interval)) * (n - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, n - 1)
    ordered = np.partition(values, np.unique([low, high]), axis=1)
    below, above = ordered[:, low], ordered[:, high]
    quantiles = below + np.where(above > below, (above - below) * (at - low), 0.0)
    sd = sd_of(values, axis=1, ddof=1) if n > 1 else np.zeros(len(values))
    found = np.column_stack([mean_of(values, axis=1), sd, quantiles])
    found[np.isnan(values).any(axis=1)] = np.nan
    return found


def _values(evaluator: Evaluator, kind: str, first: int, at: Ints) -> Array:
    by_kind: dict[str, Callable[[], Array]] = {
        "mean": lambda: evaluator.mean(at),
        "linear": lambda: evaluator.linear(at),
        "observation": lambda: evaluator.observations(first, at),
    }
    return by_kind[kind]()


def _probability_labels(model: Model, kind: str) -> tuple[str, ...]:
    """Name the columns of the probabilities of ordered categories."""
    return tuple(f"p[{label}]" for label in model.categories) if kind == "mean" else ()


def _facts(fit: Posterior, kind: str, ready: _Ready) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": kind, "seed": ready.seed, "notes": ready.notes}
    if fit.model.categories:
        facts["categories"] = list(fit.model.categories)
    return facts
