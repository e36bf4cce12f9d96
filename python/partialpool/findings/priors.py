"""Findings on what estimates owe to priors: conflicts with the data, and sds that rest on them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core, called, limits
from partialpool.arrays import Array, Ints
from partialpool.design import Design, GroupFactor
from partialpool.engine import Run
from partialpool.finding import Finding
from partialpool.model import Model, Pooled
from partialpool.model.coordinates import Coordinates, bounded, coordinates
from partialpool.model.defaults import default_priors
from partialpool.model.groupwork import own_priors
from partialpool.model.points import spread_cells, with_points
from partialpool.model.scales import FactorParts, predictors, scales
from partialpool.own.parts import OwnParts
from partialpool.priors import AtMean, Cauchy, Flat, Prior, StudentT, Uniform

# Rows from which the data's own estimate is taken at most.
MOST_ROWS = 50_000


class _Part(Struct, frozen=True):
    """Coefficients of the mean whose priors are to be compared with the data.

    Those of the population, or the levels' own where they have no pooling.
    """

    labels: list[str]
    parts: OwnParts
    at: Coordinates
    suspects: list[int]


def prior_conflicts(pooled: Pooled, model: Model, run: Run) -> Iterator[Finding]:
    """Find priors of coefficients that lie far from what the data say without them."""
    if not any(part.suspects for part in _parts(pooled, model, run)):
        return
    design = pooled.design
    pooled = replace(pooled, design=with_points(design, spread_cells(design, MOST_ROWS)))
    found = list(_parts(pooled, model, run))
    said = data_estimate(pooled, model, run, [part.parts for part in found])
    for part, (estimate, error) in zip(found, said, strict=True):
        values = part.at.values(estimate)
        for k in part.suspects:
            weights = part.at.forward[k] * part.at.unit[k]
            spread = math.sqrt(max(float(weights @ error @ weights), 0.0))
            z = distance(part.at.priors[k], float(values[k]), spread)
            if z > limits.PRIOR_CONFLICT:
                label = part.labels[k]
                now = run.coefficients("mu")[..., k].mean() if part is found[0] else None
                yield _conflict(label, model.priors[label], estimate[k], error[k, k], z, now)


def _parts(pooled: Pooled, model: Model, run: Run) -> Iterator[_Part]:
    design, family = pooled.design, pooled.family
    scale, main = scales(design, family), predictors(design)[0]
    at = model.coordinates["mu"]
    yield _Part(main.labels, scale.parts["mu"], at, _suspects(at, run.b))
    defaults = None
    for factor in design.factors:
        if factor.pooled:
            continue
        defaults = default_priors(design, family) if defaults is None else defaults
        labels = [called.coef(factor.name, term) for term in factor.terms]
        whole = scale.factors[factor.name].whole
        own = coordinates(whole, own_priors(factor, model.priors)).at
        given = [k for k, label in enumerate(labels) if model.priors[label] != defaults[label]]
        yield _Part(labels, whole, own, given)


def _suspects(at: Coordinates, b: Array) -> list[int]:
    """Coordinates whose posterior is not far narrower than the prior, or far out in it."""
    if not at.priors:
        return []
    v = at.values(b).reshape(-1, len(at.priors))
    mean, sd = v.mean(axis=0), v.std(axis=0)
    found = []
    for k, prior in enumerate(at.priors):
        if isinstance(prior, Flat):
            continue
        centre, spread = prior.typical
        # At a bound a posterior is narrow because of its prior.
        wide = sd[k] > limits.CONFLICT_NARROW * spread
        if bounded(prior) or wide or abs(mean[k] - centre) > limits.CONFLICT_INSIDE * spread:
            found.append(k)
    return found


def distance(prior: Prior, value: float, error: float) -> float:
    """Distance of an estimate from a prior, in sds of both.

    Tails heavier than a normal distribution's count by what they say of such a distance: where a
    deviation of z sds of a normal one has the same density, relative to its centre.

    Examples
    --------
    >>> from partialpool.priors import Normal
    >>> distance(Normal(0, 3), 25.0, 4.0), round(distance(StudentT(3, 0, 3), 25.0, 4.0), 1)
    (5.0, 2.6)
    """
    if isinstance(prior, Flat):
        return 0.0
    low, high = prior.support
    outside = max(low - value, value - high, 0.0)
    if outside > 0 or isinstance(prior, Uniform):
        return outside / error if error > 0 else (math.inf if outside > 0 else 0.0)
    centre, spread = prior.typical
    ratio = abs(value - centre) / math.hypot(spread, error)
    df = {StudentT: getattr(prior, "df", 0.0), Cauchy: 1.0}.get(type(prior), 0.0)
    return math.sqrt(df * math.log1p(ratio**2 / df)) if df else ratio


def data_estimate(
    pooled: Pooled, model: Model, run: Run, parts: list[OwnParts]
) -> list[tuple[Array, Array]]:
    """Estimate coefficients without priors, by a normal approximation.

    Weighted least squares at the fitted predictor, all levels alike, with errors that allow rows of
    a level to go together (Liang & Zeger 1986): they need neither the sds nor their priors. Of few
    levels the errors are widened, as those of a t distribution are.

    Returns
    -------
    list of (estimate, covariance)
        For each of `parts`; NaN where there are too few levels to say.
    """
    design, n = pooled.design, len(pooled.design.y)
    rows = np.arange(0, n, max(1, -(-n // MOST_ROWS)))
    z, weight = _working_response(pooled, model, run, rows)
    flat = [coordinates(one, [Flat()] * len(one.terms)) for one in parts]
    columns = np.column_stack([one.columns[rows] for one in flat])
    if design.categories:
        columns = np.column_stack([columns, np.ones(len(rows))])
    inverse = np.linalg.pinv(columns.T @ (columns * weight[:, None]), hermitian=True)
    c = inverse @ (columns.T @ (weight * z))
    score = columns * (weight * (z - columns @ c))[:, None]
    if design.condensed is not None and all(len(one.levels) == 1 for one in design.factors):
        # Of single rows nothing is known: their errors are taken as alike.
        rest = float(np.sum(weight * (z - columns @ c) ** 2))
        free = design.n_rows - columns.shape[1]
        error = inverse * (rest / max(free, 1) * _widened(free))
    else:
        error = inverse @ _meat(score, columns, design, rows) @ inverse
    found, first = [], 0
    for one in flat:
        own = slice(first, first + len(one.at.priors))
        back = one.at.back
        found.append((one.at.from_working(c[own]), back @ error[own, own] @ back.T))
        first = own.stop
    return found


def _meat(score: Array, columns: Array, design: Design, rows: Ints) -> Array:
    """Covariance of the summed scores, rows of a level going together."""
    n, p = score.shape
    if all(len(factor.levels) == 1 for factor in design.factors):
        return np.asarray(score.T @ score * _widened(n - p))
    total = np.zeros((p, p))
    for factor in design.factors:
        codes, J = factor.codes[rows], len(factor.levels)
        if J == 1:
            continue
        between = int(np.sum(_constant_within(columns, codes, J)))
        sums = np.zeros((J, p))
        np.add.at(sums, codes, score)
        total += sums.T @ sums * _widened(J - between) * J / max(J - between, 1)
    return total


def _constant_within(columns: Array, codes: Ints, J: int) -> NDArray[np.bool_]:
    """Which columns vary between levels alone."""
    first = np.zeros(J, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    size = np.abs(columns).max(axis=0)
    return np.asarray(np.abs(columns - columns[first[codes]]).max(axis=0) <= 1e-9 * size)


def _widened(df: int) -> float:
    """Square of the factor by which errors of so many degrees of freedom are wider.

    With it, a deviation of `PRIOR_CONFLICT` of these errors has about the probability of that many
    normal ones (Wallace 1959).
    """
    if df < 1:
        return math.nan  # nothing is known of them
    return df * math.expm1(limits.PRIOR_CONFLICT**2 / df) / limits.PRIOR_CONFLICT**2


def _working_response(
    pooled: Pooled, model: Model, run: Run, rows: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Give each row's working response and weight at the fitted linear predictor."""
    design, family = pooled.design, pooled.family
    offset = design.total_offset
    shift = np.zeros(len(design.y)) if offset is None else offset
    if not family.unit_scale:
        y = family.linear(design.y) + design.origin - shift
        weight = np.ones(len(y)) if design.weights is None else design.weights
        if design.se is not None:
            weight = 1 / design.se**2
        if design.condensed is not None:
            assert design.condensed.precision is not None
            weight = design.condensed.precision
        return y[rows], weight[rows]
    eta = _fitted(pooled, model, run)[rows]
    slope, curvature = _slopes(pooled, run, rows, eta)
    return eta - shift[rows] + slope / curvature, curvature


def _fitted(pooled: Pooled, model: Model, run: Run) -> Array:
    """Posterior mean of every row's linear predictor."""
    design = pooled.design
    eta = design.X @ run.b.mean(axis=(0, 1))
    if design.total_offset is not None:
        eta = eta + design.total_offset
    names = [factor.name for factor in design.factors]
    for group, drawn in zip(model.groups, run.groups, strict=True):
        coef = drawn.coef if group.predictor == "mu" else None
        if coef is None:
            continue
        factor = design.factors[names.index(group.factor)]
        r = coef.mean(axis=(0, 1)) - group.T @ run.b.mean(axis=(0, 1))
        eta = eta + np.einsum("iq,iq->i", factor.Z, r[factor.codes])
    return np.asarray(eta)


def _slopes(pooled: Pooled, run: Run, rows: NDArray[np.int64], eta: Array) -> tuple[Array, Array]:
    """Slope of each row's log likelihood by its predictor, and minus its curvature."""
    design = pooled.design
    names = [d.name for d in pooled.family.dispersion]
    aux = np.array([run.scalars[name].mean() for name in names if name in run.scalars])
    if design.categories:
        cuts = [x.mean() for name, x in run.scalars.items() if called.kind_of(name) == "threshold"]
        aux = np.array(cuts)

    def slope(at: Array) -> Array:
        return _core.family_rows(
            family=pooled.family.density,
            link=pooled.link,
            y=design.y[rows].tolist(),
            trials=[] if design.trials is None else design.trials[rows].tolist(),
            weights=[] if design.weights is None else design.weights[rows].tolist(),
            eta=at,
            log_sigma=np.empty(0),
            aux=aux,
        )[1]

    h = 1e-4
    curvature = (slope(eta - h) - slope(eta + h)) / (2 * h)
    # Where a mixture curves upwards (zeros that may be extra ones) a row says next to nothing.
    return slope(eta), np.maximum(curvature, 1e-6 * max(float(np.max(curvature)), 1e-300))


def _conflict(
    label: str, prior: Prior, value: float, variance: float, z: float, now: float | None
) -> Finding:
    spread = math.sqrt(max(variance, 0.0))
    after = "" if now is None else f" Its posterior mean is {now:.4g}."
    intercept = " A prior on `b` holds for the intercept too." * (label == called.b("Intercept"))
    return Finding(
        "prior-conflict",
        "warning",
        f"The prior {prior} of `{label}` lies far from what the data say without it, "
        f"{value:.4g} ± {spread:.2g} (by a normal approximation): {z:.2g} sds of both.{after}",
        "Check its centre, scale and unit. If it says what you know, report that it holds against "
        f"the data.{intercept}",
    )


def levels_in_population(pooled: Pooled) -> Iterator[Finding]:
    """Find factors whose coefficients the population's own can take up altogether.

    Nothing is left then that would tell how much levels differ, and the sd comes from its prior.
    """
    few = any(len(one.levels) <= len(pooled.design.columns) + 1 for one in pooled.design.factors)
    for predictor in predictors(with_points(pooled.design) if few else pooled.design):
        basis: Array | None = None
        for factor in predictor.factors:
            J = len(factor.levels)
            # As many columns as levels, but for what all levels have in common.
            if not factor.pooled or J < 2 or len(predictor.columns) < J - 1:
                continue
            X, Z = predictor.written, factor.written
            if not _may_be_held(X, factor):
                continue
            if basis is None:
                basis = np.linalg.qr(X / np.abs(X).max(axis=0))[0]
            held = [
                term for k, term in enumerate(factor.terms) if not _left(basis, factor, Z[:, k])
            ]
            if not held:
                continue
            own = [c for c in predictor.columns if any(name in c for name in factor.columns)]
            shown = ", ".join(f"`{name}`" for name in own[:3]) + ", …" * (len(own) > 3)
            through = f" ({shown})" if own else ""
            group = called.group(predictor.name, factor.name)
            sds = ", ".join(f"`{called.sd(group, t)}`" for t in held)
            yield Finding(
                "levels-in-population",
                "warning",
                f"The population-level terms{through} already give every level of `{factor.name}` "
                f"a coefficient of its own for {', '.join(held)}, so {sds} "
                f"{'comes' if len(held) == 1 else 'come'} from the prior alone, and widens the "
                "intervals of those terms.",
                f"Keep one: the group term of `{factor.name}`, which pools its levels, or the "
                "population-level terms, which leave them apart.",
            )


def _may_be_held(X: Array, factor: GroupFactor) -> bool:
    """Whether columns give coefficients that levels have at random: a quick no, or perhaps."""
    levels = np.random.default_rng(0).normal(size=len(factor.levels))
    own = levels[factor.codes, None] * factor.written
    size = np.abs(X).max(axis=0)
    scaled = X / np.where(size > 0, size, 1.0)
    # Normal equations are right to a few digits, and a level that is left shows in the second.
    gram = scaled.T @ scaled + 1e-10 * len(X) * np.eye(X.shape[1])
    rest = own - scaled @ np.linalg.solve(gram, scaled.T @ own)
    return bool(np.any(np.linalg.norm(rest, axis=0) < 0.01 * np.linalg.norm(own, axis=0)))


def _left(basis: Array, factor: GroupFactor, column: Array) -> bool:
    """Whether anything of the levels' coefficients of a column is not the population's."""
    J = len(factor.levels)
    inside = np.zeros((J, basis.shape[1]))
    np.add.at(inside, factor.codes, basis * column[:, None])
    size = np.bincount(factor.codes, column**2, minlength=J)
    size = np.where(size > 0, size, 1.0)
    scaled = inside / np.sqrt(size)[:, None]
    rest = np.eye(J) - scaled @ scaled.T
    return bool(np.linalg.eigvalsh(rest)[-1] > 1e-8)


def dependent_columns(pooled: Pooled) -> Iterator[Finding]:
    """Find group terms some of whose columns determine another, so that only priors tell apart."""
    for predictor in predictors(pooled.design):
        for factor in predictor.factors:
            name = called.group(predictor.name, factor.name)
            parts = scales(pooled.design, pooled.family).factors[name]
            for (start, stop, correlated), block in zip(factor.blocks, parts.blocks, strict=True):
                if factor.pooled and correlated and block is None:
                    names = ", ".join(f"`{term}`" for term in factor.terms[start:stop])
                    yield Finding(
                        "dependent-columns",
                        "warning",
                        f"Of the group columns {names} of `{factor.name}` some determine another: "
                        "only the priors tell their coefficients apart.",
                        "Take one of them out of the group term.",
                    )


def far_origins(pooled: Pooled, model: Model) -> Iterator[Finding]:
    """Say where coefficients of group terms refer to a zero that lies outside the data."""
    for predictor in predictors(pooled.design):
        for factor in predictor.factors:
            if factor.pooled:
                name = called.group(predictor.name, factor.name)
                parts = scales(pooled.design, pooled.family).factors[name]
                yield from _far_origins(factor, name, parts, model)


def _far_origins(
    factor: GroupFactor, name: str, parts: FactorParts, model: Model
) -> Iterator[Finding]:
    constant = parts.constant
    if constant is None:
        return
    at_mean = isinstance(model.priors.get(called.sd(name, factor.terms[constant])), AtMean)
    for start, stop, correlated in factor.blocks:
        together = correlated and start <= constant < stop
        if together and at_mean:
            continue  # the sds and correlations are those at the mean
        for k in range(start, stop):
            mean, sd = float(factor.facts.mean[k]), float(factor.facts.sd[k])
            if sd == 0 or not factor.facts.outside[k] or abs(mean) <= limits.ORIGIN_NEAR * sd:
                continue
            distance = abs(mean) / sd
            term = factor.terms[k]
            if together:
                if distance > limits.FAR_FROM_ZERO:
                    yield _as_written(term, factor, distance)
            elif parts.far[k] and at_mean:
                yield _moved(term, factor, mean, distance)
            else:
                yield _independent(term, factor, distance)


def _as_written(term: str, factor: GroupFactor, distance: float) -> Finding:
    return Finding(
        "far-from-zero",
        "warning",
        f"`{term}` lies far from 0 ({distance:.0f} of its sds), where the intercepts of "
        f"`{factor.name}` refer to: their sd and correlations, and the priors that you set on "
        "them, are about an extrapolation.",
        f"Use center({term}) in the group term, or set priors at the mean of the predictors.",
    )


def _moved(term: str, factor: GroupFactor, mean: float, distance: float) -> Finding:
    return Finding(
        "independent-at-mean",
        "warning",
        f"`||` makes intercepts and slopes of `{factor.name}` independent where `{term}` is 0, "
        f"but it lies {distance:.0f} of its sds from there: they were taken as independent at its "
        f"mean, {mean:.6g}, which is a different model.",
        f"Write center({term}) to say so, or `|`, which does not depend on where `{term}` has its "
        "zero.",
    )


def _independent(term: str, factor: GroupFactor, distance: float) -> Finding:
    return Finding(
        "independent-at-zero",
        "info",
        f"`||` makes intercepts and slopes of `{factor.name}` independent where `{term}` is 0, "
        f"which lies outside the data ({distance:.1f} of its sds from their mean).",
        f"Centring `{term}` is a different model; with `|` it does not matter.",
    )
