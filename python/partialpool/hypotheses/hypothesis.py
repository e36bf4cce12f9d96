"""Hypotheses about parameters: a question, and the draws that answer it."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from msgspec.structs import replace

from partialpool.arrays import Array
from partialpool.checks import check_interval
from partialpool.draws.posterior import Posterior, group_parameters, population_draws
from partialpool.engine.conditional import coefficient_draws, deviation_draws
from partialpool.errors import InputError, shown
from partialpool.hypotheses.answer import Hypothesis
from partialpool.hypotheses.arithmetic import evaluate
from partialpool.hypotheses.findings import findings_of
from partialpool.hypotheses.names import Found, Names
from partialpool.hypotheses.statement import EXAMPLE, Comparison, Statement, read_statement
from partialpool.memory import check_memory


def hypothesis(
    fit: Posterior,
    *texts: str,
    rope: float | tuple[float, float] | None = None,
    interval: float | None = None,
) -> Hypothesis:
    """Ask how probable hypotheses about parameters are, and how large the difference is.

    Parameters
    ----------
    *texts : str
        Each a comparison (``<``, ``<=``, ``>``, ``>=``, ``=``) of arithmetic over parameters, such
        as ``"b[floor] < -0.5"`` or ``"sd_county[floor] > sd_county[Intercept]"``; several joined
        by ``and``, or in a chain such as ``"0 < b[x] < 1"``; or an expression alone, such as
        ``"exp(b[x])"``, of which there is an estimate. Parameters are called as the summary calls
        them, those of levels ``coef_county[70,floor]`` and ``r_county[70,floor]``; a population
        coefficient also by its column alone. Arithmetic: ``+ - * / ^ ( )``, numbers, and exp, log,
        sqrt, abs, min, max, inv_logit (plogis), logit (qlogis), pnorm, qnorm and the like. Nothing
        of a text is run as code.
    rope : float or (float, float), optional
        Region of practical equivalence: what difference is as good as none, in the units of the
        difference; a number ``r`` is ``(-r, r)``.
    interval : float, optional
        Mass of the equal-tailed intervals; by default that of the fit.

    Returns
    -------
    Hypothesis
        ``table`` with a row for each text: probability with its Monte Carlo error, odds, and
        mean, sd and interval of the difference, left minus right. ``draws`` has the differences.

    Raises
    ------
    InputError
        If a text has no meaning, names what the fit does not have, or is undefined in all draws.

    Notes
    -----
    A probability is the share of the draws in which all comparisons hold. Its Monte Carlo error
    is ``sqrt(p (1 - p) / ess)`` with the effective number of draws of that share; where all draws
    agree it is 1/ess, and the share is shown as a bound, 3/ess from certainty (the 95% bound of an
    event that did not occur). A posterior of continuous parameters gives no single value a
    probability: for ``=`` there is the interval, whether 0 is in it, the probability of the more
    probable direction, and `rope`, which decides as Kruschke (2018) does, by the equal-tailed
    interval.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.fit("log_radon ~ floor + (floor | county)", pp.datasets.radon(), seed=1)
    >>> asked = fit.hypothesis("b[floor] < -0.5", "sd_county[floor] > sd_county[Intercept]")
    >>> asked.table["probability"].round(1).tolist()
    [1.0, 0.3]
    """
    if not texts:
        raise InputError("there is no hypothesis", remedy=f"give one as text: {EXAMPLE}")
    labels, drawn = population_draws(fit.model, fit.run)
    names = Names(labels, fit.model, group_parameters(fit.model))
    statements = tuple(read_statement(text, names) for text in texts)
    region = _region(rope)
    mass = fit.provenance.interval if interval is None else check_interval(interval)
    total = fit.run.chains * fit.run.draws
    parameters = {name: one for own in statements for name, one in own.parameters.items()}
    remedy = "ask for fewer at a time"
    check_memory(total, len(parameters) + 4 * len(texts), what="numbers", remedy=remedy)
    place = {label: k for k, label in enumerate(labels)}
    draws = {
        name: drawn[:, :, place[name]] if one.level is None else _of_level(fit, one)
        for name, one in parameters.items()
    }
    found = [_computed(statement, draws) for statement in statements]
    independent = fit.run.certificate is not None
    differences, holds = (np.stack(part) for part in zip(*found, strict=True))
    answer = Hypothesis(
        fit.formula, statements, differences, holds, mass, region, independent=independent
    )
    return replace(answer, findings=tuple(findings_of(answer)))


def _region(rope: Any) -> tuple[float, float] | None:
    """Take a region of practical equivalence as its two ends."""
    if rope is None:
        return None
    single = _is_number(rope)
    ends = (-rope, rope) if single else rope
    try:
        pair = tuple(ends)
    except TypeError:
        pair = ()
    if isinstance(ends, str) or len(pair) != 2 or not all(map(_is_number, pair)):
        raise InputError(
            f"`rope` is {shown(rope)}", remedy="give a number above 0, or two, such as (-0.1, 0.1)"
        )
    low, high = float(pair[0]), float(pair[1])
    if not low < high:
        remedy = "give a number above 0" if single else "give the lower end first"
        raise InputError(f"`rope` is {shown(rope)}", remedy=remedy)
    return low, high


def _is_number(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    return real and not math.isnan(float(value))


def _of_level(fit: Posterior, one: Found) -> Array:
    """Draws (chain, draw) of what one level has.

    Raises
    ------
    InputError
        If its rows do not determine it.
    """
    assert one.level is not None
    kind, k, level, term = one.level
    drawn = deviation_draws if kind == "r" else coefficient_draws
    found: Array = drawn(fit.model, fit.run, k, level, level + 1)[:, :, 0, term]
    if not np.isfinite(found).any():
        raise InputError(
            f"`{one.name}` is not estimable: the level's own rows do not determine it",
            remedy="partial pooling estimates the coefficients of all levels",
        )
    return found


def _computed(statement: Statement, draws: dict[str, Array]) -> tuple[Array, Array]:
    """Compute the difference, and whether the statement holds, draw by draw.

    Raises
    ------
    InputError
        If it is undefined in all draws.
    """
    shape = next(iter(draws.values())).shape
    if statement.value is not None:
        difference = np.broadcast_to(evaluate(statement.value, draws), shape)
        holds = np.full(shape, math.nan)
    else:
        margins = [_margin(one, draws, shape) for one in statement.comparisons]
        signs = [one.sign for one in statement.comparisons]
        true = [_true(sign, margin) for sign, margin in zip(signs, margins, strict=True)]
        holds = np.all(true, axis=0).astype(np.float64)
        if statement.joined:
            turned = [
                -margin if sign.startswith("<") else margin
                for sign, margin in zip(signs, margins, strict=True)
            ]
            difference = np.min(turned, axis=0)  # not finite where any is not
        else:
            difference = margins[0]
        if statement.equality:
            holds = np.full(shape, math.nan)
    defined = np.isfinite(difference)
    if not defined.any():
        raise InputError(
            f"`{statement.text}` is undefined in all {defined.size:,} draws",
            remedy="look for logarithms or roots of negative numbers, divisions by 0, or numbers "
            "too large to be computed with",
        )
    return np.where(defined, difference, math.nan), np.where(defined, holds, math.nan)


def _margin(one: Comparison, draws: dict[str, Array], shape: tuple[int, ...]) -> Array:
    """Left minus right; NaN where it is undefined or not finite."""
    with np.errstate(all="ignore"):
        margin = evaluate(one.left, draws) - evaluate(one.right, draws)
    return np.broadcast_to(np.where(np.isfinite(margin), margin, math.nan), shape)


def _true(sign: str, margin: Array) -> np.ndarray:
    """Whether a comparison holds, by its margin."""
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    return np.asarray(compare.get(sign, np.equal)(margin, 0.0))
