"""What stands below the estimates of a table: R², ICC, scores, sizes, and what was fitted how."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property

from msgspec import Struct

from partialpool import called
from partialpool.errors import InputError
from partialpool.posterior.estimate import Estimate
from partialpool.scores.loo import Loo
from partialpool.tables.side import Entry, Fitted

Found = dict[str, Entry | str]

# Beyond so many rows, shares of variance are computed only when asked for: they take seconds.
MOST_ROWS = 20_000
ENGINES = {"reml": "REML", "ml": "maximum likelihood"}


class Asked(Struct, dict=True):
    """A fit of which statistics are wanted.

    Attributes
    ----------
    by_name : bool
        Whether a user named them, so that scores are computed that were not yet.
    interval : float or None
        Mass of the intervals; by default the fit's own.
    """

    fit: Fitted
    by_name: bool
    interval: float | None

    @cached_property
    def shares(self) -> dict[str, Entry]:
        """Shares of variance by name; they may take a while."""
        fit = self.fit
        found = fit.variance() if isinstance(fit, Estimate) else fit.variance(self.interval)
        rows = found.table[["mean", "sd", "lower", "upper"]]
        return {name: Entry(*map(float, row)) for name, *row in rows.itertuples()}


def statistics(asked: Asked, wanted: Collection[str]) -> tuple[dict[str, Found], dict[str, str]]:
    """Find what is wanted, in the order of `STATISTICS`.

    Returns
    -------
    found : dict of dict
        By its name in `STATISTICS` and by label: an Entry, or text.
    refused : dict
        Why a statistic cannot be given, by its name in `STATISTICS`.
    """
    found, refused = {}, {}
    for name, find in STATISTICS.items():
        if name in wanted:
            try:
                found[name] = find(asked)
            except InputError as error:
                refused[name] = error.what
    return found, refused


def _shares(*names: str) -> Callable[[Asked], Found]:
    """Shares of variance of these names, on the scale of the response and on the latent one."""

    def find(asked: Asked) -> Found:
        if asked.fit.provenance.n_rows > MOST_ROWS and not asked.by_name:
            raise InputError(f"beyond {MOST_ROWS:,} rows only if `statistics` names it")
        found: dict[bool, Found] = {False: {}, True: {}}
        for quantity, entry in asked.shares.items():
            name, place = called.array_of(quantity), called.place_of(quantity)
            plain, latent = name.removesuffix(LATENT), name.endswith(LATENT)
            if plain in names and (place or not _is_one(asked, name)):
                found[latent][share_label(plain, place, latent=latent)] = entry
        return found[False] | found[True]

    return find


def _is_one(asked: Asked, name: str) -> bool:
    """Whether what all factors have together is the share of the only one."""
    of_factors = [q for q in asked.shares if called.array_of(q) == name and called.place_of(q)]
    return len(of_factors) == 1


LATENT = "_latent"
SHARES = {"r2_marginal": "R² marginal", "r2_conditional": "R² conditional", "icc": "ICC"}


def share_label(name: str, place: str, *, latent: bool) -> str:
    """Name a share of variance as papers do.

    Examples
    --------
    >>> share_label("r2_marginal", "", latent=False), share_label("icc", "county", latent=True)
    ('R² marginal', 'ICC county (latent)')
    """
    together = " all factors" if name == "icc" and not place else ""
    return f"{SHARES[name]}{f' {place}' if place else together}{' (latent)' if latent else ''}"


def _elpd(asked: Asked) -> Found:
    """Scores of what was left out, by what it was."""
    fit = asked.fit
    if isinstance(fit, Estimate):
        return {}
    if asked.by_name and not fit.held_out:
        fit.loo()
    return {_score_label(key, loo): Entry(loo.elpd, loo.se) for key, loo in fit.held_out.items()}


def _score_label(key: str, loo: Loo) -> str:
    """Name a score by what was left out; `key` tells refits apart."""
    if loo.method == "kfold":
        return f"elpd ({key})"
    return "elpd" if loo.unit == "row" else f"elpd ({loo.unit} left out)"


def _likelihood(asked: Asked) -> Found:
    fit = asked.fit
    if not isinstance(fit, Estimate):
        return {}
    numbers = {"Log likelihood": fit.log_likelihood, "AIC": fit.aic, "BIC": fit.bic}
    return {name: Entry(number) for name, number in numbers.items()}


def _rows(asked: Asked) -> Found:
    return {"Rows": Entry(asked.fit.provenance.n_rows)}


def _levels(asked: Asked) -> Found:
    return {f"Levels of {g.factor}": Entry(len(g.levels)) for g in asked.fit.model.groups}


def _response(asked: Asked) -> Found:
    return {"Response": asked.fit.model.response}


def _family(asked: Asked) -> Found:
    model = asked.fit.model
    link = "" if model.link == "identity" else f" ({model.link})"
    return {"Family": f"{model.family.name}{link}"}


def _pooling(asked: Asked) -> Found:
    fit = asked.fit
    alone = not fit.model.groups and fit.pooling == "partial"
    return {"Pooling": "no groups" if alone else fit.pooling}


def _engine(asked: Asked) -> Found:
    return {"Engine": ENGINES.get(asked.fit.method, asked.fit.method)}


STATISTICS: Mapping[str, Callable[[Asked], Found]] = {
    "r2": _shares("r2_marginal", "r2_conditional"),
    "icc": _shares("icc"),
    "elpd": _elpd,
    "likelihood": _likelihood,
    "rows": _rows,
    "levels": _levels,
    "response": _response,
    "family": _family,
    "pooling": _pooling,
    "engine": _engine,
}
"""By the names that users give, in the order of a table."""
