"""Grouped data with known truth, to see what a method recovers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from partialpool import called
from partialpool.arrays import Array
from partialpool.checks import check_counts, check_seed
from partialpool.errors import InputError, did_you_mean, shown

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 10**8

Draw: TypeAlias = "Callable[[np.random.Generator, int], Any]"

INTERCEPT = "Intercept"
TRIAL = "trial"


class Simulated(NamedTuple):
    """Simulated data and what they were made from.

    Attributes
    ----------
    data : DataFrame
        The factor, ``trial`` (1, 2, … within each group), the predictors and the response.
    truth : DataFrame
        The true coefficients of each group: the factor and one column a term.
    parameters : dict
        The population's parameters, named as in the summary of a fit.
    seed : int
        Makes the same data again.
    """

    data: pd.DataFrame
    truth: pd.DataFrame
    parameters: dict[str, float]
    seed: int


def simulate(
    groups: int | None = None,
    rows: int | Sequence[int] = 5,
    *,
    mean: Mapping[str, float] | None = None,
    sd: Mapping[str, float] | None = None,
    cor: Any = 0.0,
    sigma: float = 2.0,
    x: str | Draw | Mapping[str, str | Draw] = "normal",
    factor: str = "id",
    response: str = "y",
    seed: int | None = None,
) -> Simulated:
    """Simulate groups whose coefficients come from a multivariate normal population.

    Parameters
    ----------
    groups : int, optional
        Number of groups; by default 75, or as many as `rows` has numbers.
    rows : int or list of int
        Rows of each group.
    mean : dict, optional
        Population mean of the coefficient of each term: ``Intercept`` and the predictors, which
        get these names. By default ``{"Intercept": 2, "x": -2}``.
    sd : dict, optional
        How much each coefficient differs between groups; terms that are left out do not. By
        default 1 for every term.
    cor : float or array
        Correlation of the coefficients: one number for two varying terms, or the matrix of all
        varying terms, in the order of `mean`.
    sigma : float
        Residual standard deviation.
    x : "normal", callable, or dict
        Distribution of the predictors, or of each predictor by name (the rest are normal):
        ``"normal"`` is standard normal; a callable gets a random generator and the number of
        rows, and returns the values.
    factor, response : str
        Names of these columns.
    seed : int, optional
        Same seed, same data. The truth also stays the same for other `rows`, `x` and
        `sigma`.

    Returns
    -------
    Simulated
        A named tuple of data, truth, parameters and seed.

    Raises
    ------
    InputError
        If an argument cannot be used; the message says what to do.

    Examples
    --------
    >>> data, truth, parameters, seed = simulate(groups=2, rows=[1, 2], seed=1)
    >>> list(data), data["id"].tolist(), data["trial"].tolist()
    (['id', 'trial', 'x', 'y'], [1, 2, 2], [1, 1, 2])
    >>> list(truth), len(truth)
    (['id', 'Intercept', 'x'], 2)
    >>> parameters["sd_id[x]"]
    1.0

    Dose is the same for all, its effect is not; only intercepts and effects of age vary:

    >>> made = simulate(
    ...     mean={"Intercept": 1, "age": 0.5, "dose": 2},
    ...     sd={"Intercept": 1, "age": 0.3},
    ...     cor=-0.4,
    ...     x={"dose": lambda rng, n: rng.integers(0, 2, n)},
    ...     seed=1,
    ... )
    >>> made.truth["dose"].unique().tolist(), sorted(made.data["dose"].unique().tolist())
    ([2.0], [0.0, 1.0])
    """
    import pandas as pd

    means = _coefficients("mean", {INTERCEPT: 2.0, "x": -2.0} if mean is None else mean)
    sds = _sds(means, sd)
    correlation = _correlation(cor, [term for term in means if sds[term] > 0])
    sigma = _number("`sigma`", sigma)
    if sigma < 0:
        raise InputError(f"`sigma` is {sigma:g}", remedy="give a positive number, or 0")
    counts = _rows(groups, rows)
    predictors = [term for term in means if term != INTERCEPT]
    _check_names(factor, TRIAL, *means, response)
    distributions = _distributions(x, predictors)
    seed = check_seed(seed)
    for_truth, for_x, for_y = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)
    )

    coefficients = np.tile(list(means.values()), (len(counts), 1))
    varying = [k for k, value in enumerate(sds.values()) if value > 0]
    if varying:
        scale = np.array(list(sds.values()))[varying, None] * np.linalg.cholesky(correlation)
        coefficients[:, varying] += for_truth.normal(size=(len(counts), len(varying))) @ scale.T

    group, n = np.repeat(np.arange(len(counts)), counts), int(counts.sum())
    columns = {name: _draw(name, distributions[name], for_x, n) for name in predictors}
    y = sigma * for_y.normal(size=n)
    for k, term in enumerate(means):
        y += coefficients[group, k] * columns.get(term, 1.0)

    trial = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    levels = np.arange(len(counts)) + 1
    return Simulated(
        pd.DataFrame({factor: levels[group], TRIAL: trial, **columns, response: y}),
        pd.DataFrame({factor: levels, **dict(zip(means, coefficients.T, strict=True))}),
        _parameters(factor, means, sds, correlation, sigma),
        seed,
    )


def _parameters(
    factor: str, means: dict[str, float], sds: dict[str, float], correlation: Array, sigma: float
) -> dict[str, float]:
    named = {called.b(term): value for term, value in means.items()}
    named |= {called.sd(factor, term): value for term, value in sds.items() if value > 0}
    varying = [term for term in means if sds[term] > 0]
    for i, one in enumerate(varying):
        for j in range(i + 1, len(varying)):
            named[called.cor(factor, called.pair(one, varying[j]))] = float(correlation[i, j])
    return {**named, "sigma": sigma}


def _number(what: str, value: Any) -> float:
    array = np.asarray(value) if not isinstance(value, (list, tuple)) else np.empty(1, object)
    if array.ndim or array.dtype.kind not in "iuf" or not math.isfinite(array):
        raise InputError(f"{what} is {shown(value)}", remedy="give a finite number")
    return float(array)


def _coefficients(name: str, given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            f"`{name}` is {shown(given)}",
            remedy="give a dict such as {'Intercept': 2, 'x': -2}",
        )
    return {term: _number(f"`{name}` of `{term}`", value) for term, value in given.items()}


def _sds(means: dict[str, float], given: Mapping[str, float] | None) -> dict[str, float]:
    if given is None:
        return dict.fromkeys(means, 1.0)
    sds = _coefficients("sd", given) if given != {} else {}
    for term, value in sds.items():
        if term not in means:
            raise InputError(
                f"`sd` names `{term}`, which `mean` does not have",
                remedy=did_you_mean(str(term), means),
            )
        if value < 0:
            raise InputError(f"`sd` of `{term}` is {value:g}", remedy="give a positive number or 0")
    return {term: sds.get(term, 0.0) for term in means}


def _correlation(given: Any, varying: list[str]) -> Array:
    """A checked correlation matrix of the varying terms."""
    q = len(varying)
    if hasattr(given, "__len__") and not isinstance(given, str):
        return _correlation_matrix(given, varying)
    value = _number("`cor`", given)
    if not -1 < value < 1:
        raise InputError(f"`cor` is {value:g}", remedy="give a number between -1 and 1")
    if value and q != 2:
        raise InputError(
            f"`cor` is one number, but {q} term{' varies' if q == 1 else 's vary'}",
            remedy="leave it out" if q < 2 else f"give the {q} × {q} correlation matrix",
        )
    return np.eye(q) + value * (1 - np.eye(q))


def _correlation_matrix(given: Any, varying: list[str]) -> Array:
    q = len(varying)
    try:
        matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"`cor` is {shown(given)}", remedy="give a number or a matrix of numbers"
        ) from None
    if matrix.shape != (q, q):
        raise InputError(
            f"`cor` has shape {matrix.shape}",
            remedy=f"give {q} rows and columns, one for each term that varies "
            f"({', '.join(varying) or 'there is none'})",
        )
    if not np.isfinite(matrix).all():
        raise InputError("`cor` has values that are not finite", remedy="give numbers")
    if not np.allclose(np.diag(matrix), 1, rtol=0, atol=1e-10):
        raise InputError("the diagonal of `cor` is not 1", remedy="give correlations")
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-10):
        raise InputError("`cor` is not symmetric", remedy="give the same value on both sides")
    if q and np.linalg.eigvalsh(matrix)[0] < 1e-12:
        raise InputError(
            "`cor` is not positive definite, so no coefficients can vary like that",
            remedy="give correlations nearer to 0",
        )
    return matrix


def _rows(groups: int | None, rows: Any) -> NDArray[np.int64]:
    """Give the number of rows of each group."""
    if groups is not None:
        check_counts(groups=groups)
    if isinstance(rows, (str, Mapping)) or not isinstance(rows, Iterable):
        same: Any = rows
        check_counts(rows=same)
        total = (75 if groups is None else int(groups)) * int(same)
        if total > MOST_ROWS:
            raise InputError(
                f"{total:,} rows are asked for", remedy=f"ask for at most {MOST_ROWS:,}"
            )
        return np.full(75 if groups is None else int(groups), int(same), dtype=np.int64)
    counts = list(rows)
    if not counts:
        raise InputError("`rows` is empty", remedy="give a number for each group")
    for k, count in enumerate(counts):
        check_counts(**{f"rows[{k}]": count})
    if groups is not None and len(counts) != int(groups):
        raise InputError(
            f"`rows` has {len(counts)} numbers for {groups} groups",
            remedy="give one for each group",
        )
    return np.array(counts, dtype=np.int64)


def _check_names(*names: str) -> None:
    for k, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise InputError(f"{shown(name)} cannot name a column", remedy="give a string")
        if name in names[:k]:
            raise InputError(f"two columns would be called `{name}`", remedy="rename one of them")


def _distributions(x: Any, predictors: list[str]) -> dict[str, str | Draw]:
    """One checked distribution for each predictor."""
    given = x if isinstance(x, Mapping) else dict.fromkeys(predictors, x)
    for name, how in given.items():
        if name not in predictors:
            raise InputError(
                f"`x` names `{name}`, which is not a predictor in `mean`",
                remedy=did_you_mean(str(name), predictors) if predictors else None,
            )
        if not callable(how) and not (isinstance(how, str) and how == "normal"):
            raise InputError(
                f"`x` is {shown(how)} for `{name}`",
                remedy='give "normal", or a function of a random generator and a number of rows',
            )
    return {name: given.get(name, "normal") for name in predictors}


def _draw(name: str, how: str | Draw, rng: np.random.Generator, n: int) -> Array:
    if not callable(how):
        return rng.normal(size=n)
    values = np.asarray(how(rng, n))
    if values.shape != (n,) or values.dtype.kind not in "biuf":
        raise InputError(
            f"the function `x` for `{name}` gave an array of {values.dtype} of shape "
            f"{values.shape}",
            remedy=f"return {n} numbers, one for each row",
        )
    if not np.isfinite(values).all():
        raise InputError(f"the function `x` for `{name}` gave values that are not finite")
    return values.astype(np.float64)
