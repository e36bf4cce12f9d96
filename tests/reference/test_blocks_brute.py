"""Marginal densities of several factors against the joint density, summed over grids.

The joint density of (y, b, r) is written out here from normal densities of single rows, levels and
coefficients: no covariance of rows, no completed square. It is summed over every coefficient by the
trapezoidal rule, variable by variable. For normal integrands the rule's error falls like
exp(−2π²(s/h)²) by the step h in conditional sds s, to 1e-10 at steps of 0.9 s, and what lies
beyond 7 sds is smaller; so sums and closed forms agree to some 1e-9 of a density.
"""

import string

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import covariance, log_likelihood, model_of, points

STEP, REACH = 0.9, 7.0
TOLERANCE = 1e-8

RNG = np.random.default_rng(1302)
CELLS = {
    # Two levels by two, with an uneven number of rows; one cell empty; three within two.
    "crossed": ([0, 0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 1, 0, 1, 1, 0]),
    "empty cell": ([0, 0, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 0, 0]),
    "nested": ([0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 2, 2, 2, 0]),
}


def table(cells):
    a, c = (np.array(codes) for codes in CELLS[cells])
    n, rng = len(a), np.random.default_rng(len(cells))
    x = rng.normal(0.4, 0.8, n)
    y = 0.5 + 0.4 * x + rng.normal(0, 0.6, 2)[a] + rng.normal(0, 0.5, 3)[c] + rng.normal(0, 0.9, n)
    return {"y": y, "x": x, "a": a, "c": c}


def options(kind, n):
    rng = np.random.default_rng(77)
    found = {}
    if "weights" in kind:
        found["weights"] = rng.uniform(0.5, 2, n)
    if "offset" in kind:
        found["offset"] = rng.normal(0, 2, n)
    if "errors" in kind:
        found["se"] = rng.uniform(0.6, 1.4, n)
    return found


class Axis:
    """Nodes of some coefficients with their weights: what is summed over."""

    def __init__(self, centre, reach, resolution, log_prior):
        lines = []
        for middle, wide, fine in zip(centre, reach, resolution, strict=True):
            step = STEP * fine
            half = int(np.ceil(REACH * wide / step))
            lines.append(middle + step * np.arange(-half, half + 1))
        self.nodes = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, len(lines))
        cell = np.prod([line[1] - line[0] for line in lines])
        self.weight = cell * np.exp(log_prior(self.nodes))


def summed(population, factors, rows):
    """Log of the sum over all axes of priors and rows.

    population: axis and columns (n, p), or None; factors: for each (axes of its levels, columns,
    codes); rows: y less what is known, and the sd of every row.
    """
    y, noise = rows
    letters = iter(string.ascii_letters)
    operands, used = [], {}

    def letter(key, axis):
        if key not in used:
            used[key] = next(letters)
            operands.append((axis.weight, used[key]))
        return used[key]

    combinations = np.unique(np.stack([codes for _, _, codes in factors]), axis=1).T
    for levels in combinations:
        mine = np.all([codes == level for (_, _, codes), level in
                       zip(factors, levels, strict=True)], axis=0)  # fmt: skip
        axes = [] if population is None else [("b", population[0], population[1][mine])]
        for k, ((own, columns, _), level) in enumerate(zip(factors, levels, strict=True)):
            axes.append(((k, level), own, columns[mine]))
        name = "".join(letter(key, axis) for key, axis, _ in axes)
        log_density = 0.0
        for i in range(mine.sum()):
            left = np.asarray(y[mine][i])
            for position, (_, axis, columns) in enumerate(axes):
                shape = [1] * len(axes)
                shape[position] = -1
                left = left - (axis.nodes @ columns[i]).reshape(shape)
            log_density = log_density + stats.norm(0, noise[mine][i]).logpdf(left)
        operands.append((np.exp(log_density), name))
    equation = ",".join(name for _, name in operands) + "->"
    total = np.einsum(equation, *(values for values, _ in operands), optimize="greedy")
    return float(np.log(total))


def fineness(columns, noise, prior_sd=np.inf):
    """Conditional sds of coefficients, all others given: what a grid has to resolve."""
    return 1 / np.sqrt(np.sum((columns / noise[:, None]) ** 2, axis=0) + 1 / np.square(prior_sd))


def brute(data, at, *, X, b_prior, terms, Sigmas, means, roles, shift=0.0):
    """Log density of y by the joint density, summed."""
    n = len(data["y"])
    columns = {"1": np.ones(n), "x": data["x"]}
    noise = np.full(n, at["sigma"]) / np.sqrt(roles.get("weights", np.ones(n)))
    noise = roles.get("se", noise)
    y = data["y"] - roles.get("offset", 0.0)
    factors, V = [], np.diag(noise**2)
    for name, own, Sigma, mean in zip("ac", terms, Sigmas, means, strict=True):
        Z, codes = np.column_stack([columns[c] for c in own]), data[name]
        normal, sd = stats.multivariate_normal(mean, Sigma), np.sqrt(np.diag(Sigma))
        # The level with most rows asks for the smallest steps.
        own_rows = [fineness(Z[codes == k], noise[codes == k], sd) for k in np.unique(codes)]
        conditional = np.min(own_rows, axis=0) * np.sqrt(1 - _correlation(Sigma) ** 2)
        factors.append((Axis(mean, sd, conditional, normal.logpdf), Z, codes))
        V += np.where(codes[:, None] == codes, Z @ Sigma @ Z.T, 0.0)
    if not X:
        return summed(None, factors, (y - shift, noise))
    columns = np.column_stack([columns[c] for c in X])
    # Only where the grid lies: what its ends leave out under any prior is nothing.
    weight = np.linalg.solve(V, columns)
    left_over = np.linalg.inv(columns.T @ weight)
    centre, wide = left_over @ weight.T @ y, np.sqrt(np.diag(left_over))
    population = Axis(centre, wide, fineness(columns, noise), b_prior)
    return summed((population, columns), factors, (y - shift, noise))


def _correlation(Sigma):
    return 0.0 if len(Sigma) == 1 else Sigma[0, 1] / np.sqrt(Sigma[0, 0] * Sigma[1, 1])


def flat(nodes):
    return np.zeros(len(nodes))


def normal(mean, sd):
    return lambda nodes: stats.norm(mean, sd).logpdf(nodes).sum(axis=1)


SCALES = {"sd_a": pp.HalfNormal(1), "sd_c": pp.HalfNormal(1)}
TERMS = {"1": ("1",), "x": ("1", "x"), "0 + x": ("x",)}

# population columns, group terms of a and c, priors of b: as the fit has them, and as written here
MODELS = {
    "intercepts": ("1", ("1", "1"), {"b": pp.Normal(0.2, 1.0)}, normal(0.2, 1.0)),
    "flat": ("1", ("1", "1"), {"b": pp.Flat()}, flat),
    "two coefficients": ("1 + x", ("1", "1"), {"b": pp.Normal(0.2, 0.7)}, normal(0.2, 0.7)),
    "slopes": ("1", ("x", "1"), {"b": pp.Normal(0.2, 1.0)}, normal(0.2, 1.0)),
    "slopes alone": ("0 + x", ("0 + x", "1"), {"b": pp.Normal(0.1, 0.8)}, normal(0.1, 0.8)),
}
POPULATIONS = {"1": ("1",), "1 + x": ("1", "x"), "0 + x": ("x",)}


def moderate(core, seed, count=1):
    """Points at which grids of moderate size do."""
    found = []
    for u in points(core, 4000, seed, spread=0.8):
        at = core.constrain(u)
        scales = np.append(at["sd"], at["sigma"])
        fits = np.all((scales > 0.35) & (scales < 1.5)) and np.all(np.abs(at["cor"]) < 0.8)
        if fits and np.max(at["sd"]) <= 0.85:
            found.append(u)
        if len(found) == count:
            return found
    raise AssertionError("no such points")


EVERY = ("plain", "weights and offset", "errors and offset")
CASES = [
    *(
        (model, cells, kind)
        for model in ("intercepts", "flat")
        for cells in CELLS
        for kind in EVERY
    ),
    ("two coefficients", "crossed", "weights and offset"),
    ("two coefficients", "nested", "plain"),
    *(("slopes", cells, kind) for cells, kind in zip(CELLS, EVERY, strict=True)),
    *(("slopes alone", cells, kind) for cells, kind in zip(CELLS, reversed(EVERY), strict=True)),
]


@pytest.mark.parametrize(("model", "cells", "kind"), CASES)
def test_coefficients_summed_one_by_one(model, cells, kind):
    population, (of_a, of_c), priors, b_prior = MODELS[model]
    data = table(cells)
    roles = options(kind, len(data["y"]))
    data["y"] = data["y"] + roles.get("offset", 0.0)
    formula = f"y ~ {population} + ({of_a} | a) + ({of_c} | c)"
    core = model_of(formula, data, priors | SCALES, **roles).core
    terms = [TERMS[of_a], TERMS[of_c]]
    q = len(terms[0])
    for u in moderate(core, seed=5):
        at = core.constrain(u)
        Sigmas = [
            covariance(at["sd"][:q], at["cor"], [(0, 1)] if q == 2 else []),
            covariance(at["sd"][q:], [], []),
        ]
        expected = brute(
            data, at, X=POPULATIONS[population], b_prior=b_prior, terms=terms,
            Sigmas=Sigmas, means=[np.zeros(q), np.zeros(1)], roles=roles,
        )  # fmt: skip
        assert log_likelihood(core, u) == pytest.approx(expected, abs=TOLERANCE)


def test_sampled_coefficients_and_correlated_slopes():
    priors = {"b[Intercept]": pp.StudentT(3), "b[x]": pp.Uniform(-3, 3)}
    data = table("crossed")
    core = model_of("y ~ x + (x | a) + (1 | c)", data, priors | SCALES).core
    for u in moderate(core, seed=6):
        at = core.constrain(u)
        known = at["sampled"][0] + at["sampled"][1] * data["x"]
        Sigmas = [covariance(at["sd"][:2], at["cor"], [(0, 1)]), covariance(at["sd"][2:], [], [])]
        expected = brute(
            data, at, X=(), b_prior=None, terms=[("1", "x"), ("1",)],
            Sigmas=Sigmas, means=[np.zeros(2), np.zeros(1)], roles={}, shift=known,
        )  # fmt: skip
        assert log_likelihood(core, u) == pytest.approx(expected, abs=TOLERANCE)


def test_default_priors_of_own_parts():
    # b[x] ~ Normal(0, 2.5 s_y / s_x), and the value at the mean of x ~ Normal(mean y, 2.5 s_y).
    data = table("crossed")
    s_y, x = np.std(data["y"], ddof=1), data["x"]
    centred = x - x.mean()

    def prior(nodes):
        at_mean, slope = nodes[:, 0] + x.mean() * nodes[:, 1], nodes[:, 1]
        log_slope = stats.norm(0, 2.5 * s_y / np.std(centred, ddof=1)).logpdf(slope)
        return log_slope + stats.norm(data["y"].mean(), 2.5 * s_y).logpdf(at_mean)

    core = model_of("y ~ x + (1 | a) + (1 | c)", data).core
    for u in moderate(core, seed=7):
        at = core.constrain(u)
        expected = brute(
            data, at, X=("1", "x"), b_prior=prior, terms=[("1",), ("1",)],
            Sigmas=[np.diag(at["sd"][:1] ** 2), np.diag(at["sd"][1:] ** 2)],
            means=[np.zeros(1), np.zeros(1)], roles={},
        )  # fmt: skip
        assert log_likelihood(core, u) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("kind", EVERY)
def test_one_factor_without_pooling(kind):
    data = table("crossed")
    roles = options(kind, len(data["y"]))
    data["y"] = data["y"] + roles.get("offset", 0.0)
    priors = {"coef_a": pp.Normal(0.4, 0.8), "sd_c": pp.HalfNormal(1)}
    pooling = {"a": "none", "c": "partial"}
    formula = "y ~ 1 + (1 | a) + (1 | c)"
    core = model_of(formula, data, priors, pooling=pooling, **roles).core
    for u in moderate(core, seed=8):
        at = core.constrain(u)
        expected = brute(
            data, at, X=(), b_prior=None, terms=[("1",), ("1",)],
            Sigmas=[np.array([[0.8**2]]), np.diag(at["sd"][-1:] ** 2)],
            means=[np.array([0.4]), np.zeros(1)], roles=roles,
        )  # fmt: skip
        assert log_likelihood(core, u) == pytest.approx(expected, abs=TOLERANCE)
