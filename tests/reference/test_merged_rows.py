"""Rows that differ in their responses alone, as one: the same log density, slopes and posterior.

Sums over merged rows are held against sums over all of them, for every family and link. They agree
to the rounding of the terms that they are sums of.
"""

import numpy as np
import pytest

import partialpool as pp
from partialpool import _core, alike, limits
from partialpool.alike import kinds_of
from partialpool.families import FAMILIES, Responses
from partialpool.model.general import build_general
from partialpool.spec import Spec, pose
from responses import CASES, NONE, aux_of, response

ROLES = ["", "whole weights", "weights", "offset", "whole weights offset", "weights offset"]
CELLS, ROWS = 12, 500
ROUNDING = 1e-12  # of the sum of what is added up, a few hundred terms


def rows_of(family, roles, rng):
    """Rows of a dozen cells, with whatever may stand beside a response."""
    y, trials = response(family.name, 9, rng)  # so that there are equal ones
    which = rng.integers(0, 9, ROWS)
    y, trials = (own[which] if own.size else own for own in (y, trials))
    weights, offset = None, None
    if "weights" in roles:
        weights = rng.integers(1, 5, ROWS).astype(float)
        if "whole" not in roles:
            weights = weights * 0.37
    if "offset" in roles:
        # Of few values, or any.
        offset = rng.choice([-1.3, 0.4, 2.0], ROWS) + (rng.normal(0, 2, ROWS) * ("any" in roles))
    given = trials if trials.size else None
    return Responses(y, given, weights, offset), rng.integers(0, CELLS, ROWS)


def sums(density, link, rows, eta, aux):
    """Log likelihood of all rows, what it is a sum of, and slopes by row and dispersion."""
    empty = [NONE if own is None else own for own in (rows.trials, rows.weights)]
    eta = eta if rows.offset is None else eta + rows.offset
    logp, by_eta, _, by_aux = _core.family_rows(
        family=density,
        link=link,
        y=rows.y,
        trials=empty[0],
        weights=empty[1],
        eta=eta,
        log_sigma=NONE,
        aux=aux,
    )
    return logp.sum(), np.abs(logp).sum(), by_eta, by_aux


def scattered(merged, aux):
    """What rows that stand for several add by what these scatter by, and its slope."""
    if merged.scatter is None:
        return 0.0, 0.0
    copies, within = merged.scatter
    if merged.density == "gamma":
        return aux[0] * within.sum(), within.sum()
    n = (copies - 1).sum()  # each row is there once
    value = -n * np.log(aux[0]) - 0.5 * within.sum() / aux[0] ** 2
    return value, -n / aux[0] + within.sum() / aux[0] ** 3


@pytest.mark.parametrize("roles", [*ROLES, "offset any"])
@pytest.mark.parametrize(("name", "link"), CASES)
def test_merged_rows_have_the_log_density_and_slopes_of_all(name, link, roles):
    family = FAMILIES[name]
    rng = np.random.default_rng(len(name) + len(roles))
    rows, cell = rows_of(family, roles, rng)
    shared = family.shared(rows)
    assert (shared is None) == (name == "student_t")  # whose weights are precisions
    if shared is None:
        return
    kinds = kinds_of([cell, *shared], ROWS)
    merged = family.merged(rows, kinds)
    assert len(merged.rows.y) == len(kinds) < ROWS or "any" in roles
    for _ in range(3):
        of_cell = rng.normal(0, 1.5, CELLS)
        eta, aux = of_cell[cell], aux_of(name)
        whole = sums(family.density, link, rows, eta, aux)
        found = sums(merged.density, link, merged.rows, eta[kinds.first], aux)
        beside, by_aux = scattered(merged, aux)
        room = ROUNDING * (whole[1] + found[1] + abs(beside) + abs(merged.constant))
        assert abs(found[0] + beside + merged.constant - whole[0]) < room
        slopes = np.bincount(kinds.of, whole[2], len(kinds))
        size = np.bincount(kinds.of, np.abs(whole[2]), len(kinds))
        assert np.all(np.abs(found[2] - slopes) < 1e-11 * (1 + size))
        assert np.allclose(found[3] + by_aux, whole[3], rtol=1e-10, atol=1e-10 * whole[1])


def test_sums_of_yes_and_no_and_of_counts_leave_one_row_a_cell():
    rng = np.random.default_rng(3)
    adding = ("bernoulli", "binomial", "poisson", "exponential", "gamma", "gaussian", "lognormal")
    for name in adding:
        rows, cell = rows_of(FAMILIES[name], "whole weights", rng)
        assert len(kinds_of([cell, *FAMILIES[name].shared(rows)], ROWS)) == CELLS
    rows, cell = rows_of(FAMILIES["poisson"], "offset any", rng)
    assert len(kinds_of([cell, *FAMILIES["poisson"].shared(rows)], ROWS)) == CELLS


def test_counts_too_large_to_add_up_are_left_apart():
    y = np.array([5e15, 5e15, 1.0])
    poisson = FAMILIES["poisson"]
    assert poisson.shared(Responses(y[1:])) == []
    assert len(poisson.shared(Responses(y))) == 1


@pytest.mark.parametrize("seed", range(20))
def test_kinds_are_those_of_sorting(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 3000))
    values = rng.choice([-0.0, 0.0, 1.5, np.pi, 1e300, -1e-300], (n, 3))
    codes = rng.integers(0, rng.integers(1, 2 * n), n)
    if seed % 4 == 0:
        # A hash that takes different rows for the same, until the third attempt.
        own = alike._hashes
        few = lambda *given: own(*given) % np.uint64(7) if given[2] < 3 else own(*given)  # noqa: E731
        monkeypatch.setattr(alike, "_hashes", few)
    found = kinds_of([*values.T, codes], n)
    rows = np.column_stack([values + 0.0, codes])
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    assert np.array_equal(np.sort(first), found.first)
    assert np.array_equal(first[of.ravel()], found.first[found.of])
    assert found.counts.sum() == n


def table(rng, n=1200):
    a, b, x = rng.integers(0, 8, n), rng.integers(0, 4, n), rng.integers(0, 2, n).astype(float)
    eta = rng.normal(0, 0.5, 8)[a] + rng.normal(0, 0.3, 4)[b] + 0.4 * x - 0.2
    e = rng.choice([0.5, 1.0, 2.0], n)
    return {
        **{"a": a, "b": b, "x": x, "e": e, "w": rng.integers(1, 4, n), "v": 0.3 * (1 + a % 3)},
        "y": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int),
        "k": rng.binomial(3, 1 / (1 + np.exp(-eta))),
        "c": rng.poisson(np.exp(eta) * e),
        "o": np.digitize(eta + rng.logistic(size=n), [-1, 0, 1]),
        "t": rng.exponential(np.exp(eta)),
        "g": 1e6 + eta + rng.normal(size=n),
    }


MODELS = [
    ("y ~ x + (1 + x | a) + (1 | b)", {"family": "bernoulli"}),
    ("y ~ x + (x || a) + (1 | b)", {"family": "bernoulli", "link": "probit", "offset": "e"}),
    ("y ~ x + (1 | a)", {"family": "bernoulli", "pooling": "none"}),
    ("y ~ x", {"family": "bernoulli", "weights": "w", "link": "cloglog"}),
    ("y ~ x + (1 | a)", {"family": "bernoulli", "weights": "v"}),
    ("k ~ x + (1 | a) + (1 | b)", {"family": "binomial", "trials": 3}),
    ("c ~ x + (1 | a) + (1 | b)", {"family": "poisson", "exposure": "e", "weights": "w"}),
    ("c ~ x + (1 | a)", {"family": "negbinomial", "exposure": "e"}),
    ("c ~ x + (1 | a)", {"family": "poisson", "priors": {"b[x]": "uniform(-2, 2)"}}),
    ("o ~ x + (1 | a) + (1 | b)", {"family": "cumulative"}),
    ("g ~ x + (1 + x | a) + (1 | b)", {"sigma": "~ x + (1 | a)", "weights": "w"}),
    ("g ~ x + (1 | a)", {"offset": "e", "priors": {"b[x]": "student_t(3, 0, 1)"}}),
    ("g ~ x + (1 | a)", {"se": "e"}),
    ("t ~ x + (1 | a)", {"family": "lognormal", "sigma": "~ x", "offset": "e"}),
    ("t ~ x + (1 | a)", {"family": "gamma", "offset": "e", "weights": "w"}),
    ("t ~ x + (1 | a) + (1 | b)", {"family": "gamma"}),
    ("t ~ x + (1 | a)", {"family": "exponential", "offset": "e"}),
]


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_models_have_the_density_that_all_rows_give(formula, options, monkeypatch):
    pooled = pose(Spec(formula, **options), table(np.random.default_rng(5))).pooled
    merged = build_general(pooled).core
    monkeypatch.setattr(limits, "MERGED", 0.0)
    whole = build_general(pooled).core
    assert merged.n_rows < 0.5 * whole.n_rows == 600
    rng, apart = np.random.default_rng(6), []
    for _ in range(3):
        u = rng.normal(0, 0.4, whole.dim)
        value, slopes = merged.logp_and_grad(u)
        by_differences = steps(lambda at: np.array([merged.logp_and_grad(at)[0]]), u)[:, 0]
        assert np.allclose(slopes, by_differences, rtol=1e-5, atol=1e-5 * np.abs(slopes).max())
        # The pilots find coordinates that are nearly, but not quite the same.
        other = the_same(whole, merged.constrain(u), u)
        assert np.abs(other - u).max() < 0.01
        found = whole.logp_and_grad(other)[0]
        apart.append((value - log_volume(merged, u)) - (found - log_volume(whole, other)))
    # So do densities, by a constant that goes with the coordinates.
    assert np.ptp(apart) < 1e-6
    assert abs(apart[0]) < 1e-3


def log_volume(core, u):
    return np.linalg.slogdet(free(steps(core.constrain, u)))[1]


def free(slopes):
    """Without parameters that are fixed: the core has the first threshold at 0."""
    return slopes[:, np.any(slopes != 0, axis=0)]


def steps(function, at, size=1e-5):
    """Slopes by central differences: (coordinate, value)."""
    each = size * np.eye(len(at))
    return np.array([(function(at + one) - function(at - one)) / (2 * size) for one in each])


def the_same(core, parameters, u):
    """Where another density has these parameters, by Newton's method."""
    for _ in range(4):
        slopes = steps(core.constrain, u)
        gap = (core.constrain(u) - parameters)[np.any(slopes != 0, axis=0)]
        u = u - np.linalg.solve(free(slopes).T, gap)
    assert np.allclose(core.constrain(u), parameters, rtol=1e-9, atol=1e-10)
    return u


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + (1 | a)", {"family": "bernoulli"}),
        ("c ~ x + (1 | a)", {"family": "poisson", "exposure": "e"}),
    ],
)
def test_the_posterior_is_the_same(formula, options, monkeypatch):
    data = table(np.random.default_rng(7))
    data["e"] = data["e"] * np.random.default_rng(8).uniform(0.5, 2, len(data["e"]))
    asked = {"draws": 1000, "warmup": 300, "chains": 2, **options}
    merged = pp.fit(formula, data, seed=1, **asked)
    assert merged.model.core.n_rows == 16
    scored = merged.loo()
    monkeypatch.setattr(limits, "MERGED", 0.0)
    whole = pp.fit(formula, data, seed=2, **asked)
    assert whole.model.core.n_rows == merged.design.n_rows == 1200
    one, other = merged.summary(), whole.summary()
    apart = (one["mean"] - other["mean"]) / np.hypot(one["mcse"], other["mcse"])
    assert np.all(np.abs(apart) < 4.5)
    assert np.allclose(one["sd"], other["sd"], rtol=0.2)
    # What is asked of rows is asked of all of them.
    assert scored.elpd == pytest.approx(whole.loo().elpd, abs=0.5)
    assert len(scored.pointwise) == 1200
