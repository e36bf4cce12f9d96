"""`table`: fits → a table of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from msgspec.structs import replace

from partialpool.checks import (
    check_choice,
    check_flag,
    check_interval,
    check_mapping,
    check_text,
    check_values,
    check_whole,
)
from partialpool.errors import InputError, did_you_mean
from partialpool.posterior.comparison import Comparison
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.tables.grid import Layout
from partialpool.tables.named import named
from partialpool.tables.notes import build_notes
from partialpool.tables.rows import build_rows
from partialpool.tables.side import Side, entries, exponentiated, places
from partialpool.tables.statistics import STATISTICS, Asked
from partialpool.tables.statistics import statistics as find_statistics
from partialpool.tables.table import Table

One = Fit | Estimate | Comparison


def table(
    fits: One | Sequence[One] | Mapping[str, One],
    exponentiate: bool = False,
    interval: float | None = None,
    *,
    parameters: str | Sequence[str] | None = None,
    statistics: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    digits: int | None = None,
    layout: Layout = "below",
) -> Table:
    r"""Put fits side by side, as papers show them.

    Parameters
    ----------
    fits : Fit, Estimate or Comparison, list of these, or dict
        By the names of their columns; fits of a list are numbered. A comparison gives its three.
        Families, formulas and data may differ; what differs is said under the table.
    exponentiate : bool
        Whether to show population coefficients as exp(b) where this is a ratio: of odds (logit),
        of means or medians (log), of hazards (cloglog). Estimates and ends of intervals are the
        exponentials of those of b. Sds, correlations and all other fits stay as they are.
    interval : float, optional
        Mass of the intervals; by default that of each fit.
    parameters : str or list of str, optional
        Only these, by their full names or arrays, such as ``["b", "sd_county"]``.
    statistics : list of str, optional
        What stands below: ``"r2"`` (marginal and conditional), ``"icc"``, ``"elpd"``,
        ``"likelihood"`` (with AIC and BIC, without priors), ``"rows"``, ``"levels"``,
        ``"family"``, ``"pooling"``, ``"engine"``, ``"response"``. By default all but the last, as
        far as fits have them; elpd where it was computed before, R² and ICC up to 20,000 rows.
        Named here, they are computed.
    names : list of str, optional
        Names of the columns, for a list of fits.
    labels : dict, optional
        What rows are called: ``{"b[floor]": "First floor"}``.
    digits : int, optional
        Decimals of the estimates; by default so many that sds have two significant digits.
    layout : {"below", "beside"}
        Where the intervals are: below the estimates, or in columns of their own.

    Returns
    -------
    Table
        It prints as text, and in notebooks as HTML; ``frame()``, ``to_gt()``, ``to_markdown()``,
        ``to_latex()``, ``to_html()``, ``to_csv()``, ``to_docx(path)``, ``save(path)``. Rows are the
        population coefficients in the order of the formulas, matched by name, then sds and
        correlations by factor, and other parameters.

    Raises
    ------
    InputError
        If there are no fits, a name is that of nothing, or exponentials are asked for that are no
        ratios in any of the fits.

    Examples
    --------
    >>> import partialpool as pp
    >>> radon = pp.datasets.radon()
    >>> fits = {
    ...     "pooled": pp.fit("log_radon ~ floor", radon, method="ml"),
    ...     "by county": pp.fit("log_radon ~ floor + (1 | county)", radon, method="ml"),
    ... }
    >>> shown = pp.table(fits, parameters=["b", "sd_county"], statistics=["rows"])
    >>> print("\n".join(str(shown).splitlines()[3:11]))
                             pooled         by county
    Population-level coefficients
      Intercept               1.362             1.492
                     [1.307, 1.418]    [1.395, 1.588]
      floor                  -0.586            -0.663
                   [-0.723, -0.449]  [-0.795, -0.530]
    Sd between levels of county
      Intercept                   –            0.3118
    """
    check_flag("exponentiate", exponentiate)
    exp = bool(exponentiate)
    mass = None if interval is None else check_interval(interval)
    check_mapping("labels", labels, '{"b[floor]": "First floor"}')
    check_choice("layout", layout, get_args(Layout))
    decimals = None if digits is None else check_whole("digits", digits, 0, 15)
    wanted = None if parameters is None else _texts("parameters", parameters, '"b"')
    below = None if statistics is None else _statistics(statistics)
    found = named(fits, names)
    every = [one for one in STATISTICS if one != "response"]  # above the columns, if they differ
    sides = [
        _side(name, Asked(fit, below is not None, mass), every if below is None else below, exp)
        for name, fit in found.items()
    ]
    if exp and not any(side.exponentiated for side in sides):
        raise InputError(
            "`exponentiate` is given, but in none of these fits exp of a coefficient is a ratio",
            remedy="leave it out",
        )
    rows = build_rows(sides, wanted, {key: str(text) for key, text in (labels or {}).items()})
    notes = build_notes(sides, rows)
    without_rows = tuple(replace(side, design=None) for side in sides)  # they were for the notes
    return Table(without_rows, rows, tuple(notes), layout, decimals)


def _texts(name: str, values: Any, example: str) -> list[str]:
    found = check_values(name, [values] if isinstance(values, str) else values)
    for one in found:
        if not isinstance(one, str):
            check_text(name, one if one is not None else 0, example)
    return found


def _statistics(values: Any) -> list[str]:
    found = _texts("statistics", values, '"r2"')
    for one in found:
        if one not in STATISTICS:
            raise InputError(f"no statistic `{one}`", remedy=did_you_mean(one, STATISTICS))
    return found


def _side(name: str, asked: Asked, wanted: Collection[str], exponentiate: bool) -> Side:
    """Take from a fit all that the table shows of it."""
    fit = asked.fit
    shown = entries(fit, asked.interval)
    words = ""
    if exponentiate:
        words, shown = exponentiated(fit.model, shown)
    found, refused = find_statistics(asked, wanted)
    return Side(
        name=name,
        model=fit.model,
        method=fit.method,
        source=fit.provenance.source,
        design=fit.pooled.rows if isinstance(fit, Estimate) else fit.design,
        findings=tuple(fit.findings),
        places=places(fit.model, list(shown)),
        entries=shown,
        statistics=found,
        interval=asked.interval or fit.provenance.interval,
        exponentiated=words,
        refused=refused,
    )
