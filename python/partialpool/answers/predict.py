"""Predictions: for the rows that were fitted or new ones, for levels known or never seen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np

from partialpool.answers.prediction_file import PredictionFile
from partialpool.arrays import Ints
from partialpool.checks import check_counts
from partialpool.cluster import is_spark
from partialpool.draws.new_rows import table_frame
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.memory import check_memory
from partialpool.paths import as_path
from partialpool.predictions.batches import open_batches
from partialpool.predictions.notes import Tally
from partialpool.predictions.prepared import Asked, asked, prepare
from partialpool.predictions.sink import TEXT, ending
from partialpool.predictions.spread import predicted_frame
from partialpool.predictions.stream import Done, stream, used_columns, written_frame
from partialpool.predictions.summaries import (
    predicted,
    probability_labels,
    renamed,
    values_of,
)
from partialpool.taking import takes

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame as SparkFrame
    from xarray import DataArray


COLUMNS = ("mean", "sd", "lower", "upper")


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


def predict(
    fit: Posterior,
    new: Any = None,
    kind: Literal["mean", "observation", "linear"] = "mean",
    new_levels: Literal["sample", "population", "error"] = "sample",
    interval: float = 0.95,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    se: Any = None,
    weights: Any = None,
) -> pd.DataFrame | PredictionFile | SparkFrame:
    """Predict rows, for levels that are known or never seen.

    Parameters
    ----------
    new : DataFrame, dict of arrays, or path, optional
        The rows to predict, as :func:`partialpool.fit` takes tables; by default those that were
        fitted. They need no response. Those of a Spark data frame are predicted by Spark's workers.
    kind : {"mean", "observation", "linear"}
        The expected response given the parameters, a new observation, or the linear predictor
        with its offset.
    new_levels : {"sample", "population", "error"}
        What levels have that the fit did not see: draws from the population, shared by the rows
        of a level; the coefficients of the population; or an error. Without pooling there is no
        population, and a new level has only its prior.
    interval : float
        Mass of the equal-tailed intervals.
    out : path, optional
        Write the rows here with their predictions, instead of returning them, by the ending:
        ``.parquet``, ``.feather`` (``.arrow``), ``.csv`` or ``.tsv`` (also with ``.gz``). Files,
        DuckDB relations and tables, polars LazyFrames, pyarrow datasets and streams are then read
        and written in parts, so that ten million rows take no more memory than a hundred thousand.
        The file is whole or not there.
    seed : int, optional
        Of the random numbers for new levels and observations, where any are drawn; by default that
        of the fit.
    offset, exposure, trials, se, weights : str, array or number, optional
        As in :func:`partialpool.fit`; by default the columns that the fit used. Rows have
        weight 1 where the new data lack that column. Arrays only for tables in memory.

    Returns
    -------
    DataFrame
        The columns of the rows, and mean, sd, lower, upper; columns of the data with these
        names are called ``data_mean`` and so on. Ordered categories count as the numbers that
        they are, and as 0, 1, 2, … where they are none; with ``kind="mean"`` the probability of
        each is in ``p[label]``.
        ``attrs["notes"]`` says which rows have no prediction because a value is missing, and
        what was made of new levels.
    PredictionFile
        With `out`: what was written. The columns are those of the rows, with their types and in
        their order, and the same beside them; nothing stands where there is no prediction.
    pyspark.sql.DataFrame
        For a Spark data frame: the same columns, computed when they are asked for. Some rows
        are predicted at once, so that columns that cannot be are an error here. What is drawn for
        a row hangs on its place in its partition.

    Notes
    -----
    In Gaussian models with at most one grouping factor whose coefficients integrate out, a row is
    normal given the variance parameters, and the numbers are those of a mixture of normals over
    these. They need no draws of coefficients, levels or observations, and agree with those of
    :meth:`posterior_predictive` within its Monte Carlo error. In other models they sum up these
    draws. They do not depend on how a table is cut, or on which other rows it has: draws of a new
    level belong to its label, those of an observation to the row's place in the table.

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
    >>> import os, tempfile
    >>> scored = os.path.join(tempfile.mkdtemp(), "scored.parquet")
    >>> fit.predict({"floor": [0, None], "county": [1, 999]}, out=scored).predicted
    1
    """
    roles = {"offset": offset, "exposure": exposure, "trials": trials}
    roles |= {"se": se, "weights": weights}
    what = asked(fit, kind, new_levels, seed, roles, interval)
    if is_spark(new):
        if out is not None:
            raise InputError(
                "the rows of a Spark data frame are predicted where they are, and not written here",
                remedy="leave `out` out, and write the frame that you get with Spark",
            )
        return predicted_frame(fit, what, new)
    if out is None:
        return _table(fit, what, new)
    path = as_path(out, "out")
    as_texts = ending(path) in TEXT
    batches = None
    if new is not None:
        used, named = used_columns(fit, what), fit.model.plan.named
        batches = open_batches(new, used, named, as_texts=as_texts)
    if batches is not None:
        done = stream(fit, what, batches, path)
    else:
        frame = _table(fit, what, new)
        rows, there = len(frame), int(np.isfinite(frame["mean"].to_numpy()).sum())
        done = Done(rows, there, written_frame(frame, path), tuple(frame.attrs["notes"]))
    return PredictionFile(path, *done, kind, float(interval), what.seed)


def _table(fit: Posterior, what: Asked, new: Any) -> pd.DataFrame:
    """Rows with their predictions beside them."""
    import pandas as pd

    prepared, tally = prepare(fit, what, new), Tally()
    if new is None:
        assert fit.design is not None
        frame = table_frame(fit.design.table)
        frame.index = pd.Index(fit.design.rows, name="row")
    else:
        frame = table_frame(new)
    found, gathered = predicted(prepared, tally), prepared.gathered
    n = gathered.n_given if new is not None else len(gathered.positions)
    place = gathered.positions if new is not None else np.arange(n)
    names = list(map(str, frame.columns))
    tally.renamed = renamed(names, found)
    frame.columns = [
        tally.renamed.get(name, own) for name, own in zip(names, frame.columns, strict=True)
    ]
    columns = {}
    for name, values in found.items():
        columns[name] = np.full(n, np.nan)
        columns[name][place] = values
    frame = frame.assign(**columns)
    frame.attrs |= _facts(fit, what, tally) | {"interval": what.interval}
    return frame


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

    what = asked(fit, kind, new_levels, seed, given_roles(RoleOptions, roles))
    prepared, tally = prepare(fit, what, new), Tally()
    tally.add_rows(prepared)
    gathered, chosen = prepared.gathered, pick_draws(fit, draws)
    picked = (np.arange(fit.run.chains)[:, None] * fit.run.draws + chosen).ravel()
    n = gathered.n_given
    remedy = "ask for fewer with `draws=`, or for fewer rows at a time"
    check_memory(len(picked), n, what="rows", copies=1.1, remedy=remedy)
    evaluator = prepared.evaluator(picked)
    out = np.full((n, len(picked)), np.nan)
    place = gathered.positions if new is not None else np.arange(n)
    for at in evaluator.chunks(max(1, 2 * len(probability_labels(fit.model, kind)))):
        with np.errstate(invalid="ignore", over="ignore"):
            out[place[at]] = values_of(evaluator, kind, at)
    return xr.DataArray(
        np.moveaxis(out.reshape(n, fit.run.chains, len(chosen)), 0, 2),
        dims=("chain", "draw", "row"),
        coords={
            "chain": np.arange(fit.run.chains),
            "draw": chosen,
            "row": np.arange(n) if new is not None else gathered.positions,
        },
        name=fit.model.response,
        attrs=_facts(fit, what, tally),
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


def _facts(fit: Posterior, what: Asked, tally: Tally) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": what.kind, "seed": what.seed, "notes": tally.notes}
    if fit.model.categories:
        facts["categories"] = list(fit.model.categories)
    return facts
