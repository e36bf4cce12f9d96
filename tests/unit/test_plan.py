"""A column means one thing: in fitted rows, in new ones in any order, and in those of a file."""

import contextlib
import json

import numpy as np
import pytest
from msgspec.structs import replace

from helpers import assert_same_rows
from partialpool.design import Plan, build_design
from partialpool.design.gather import gather
from partialpool.design.roles import ROLES, join_roles
from partialpool.design.rows import make_rows
from partialpool.draws.rows import take_rows
from partialpool.errors import InputError
from partialpool.families import FAMILIES
from partialpool.formula import parse_formula, parse_predictor
from partialpool.model import pool
from partialpool.model.general import build_general
from partialpool.saved.rows import read_rows, write_rows

N = 90
TERMS = [
    *("x", "log(z)", "I(x * z)", "scale(x)", "center(z)", "{x - mean(x) > 0}", "b", "poly(x, 2)"),
    *(
        "bs(z, df=4, extrapolation='extend')",
        "cut(z, 3)",
        "f",
        "k",
        "C(k, contr.sum)",
        "C(f, contr.helmert)",
        "f * h",
    ),
    *("f:x", "center(x):h", "relevel(h, ref='v')", "ifelse(f == 'a', x, 0)", "{f == 'b'}", "day:x"),
]
GROUPS = [
    *("(1 | g)", "(scale(x) | g)", "(x || s)", "(1 | g/s)", "(0 + f | g)", "(1 | g:h)", "(1 | k)"),
]
OFFSETS = ["offset(log(w))", "offset(scale(z))", "offset(x - mean(x) + log(w))"]
SEEDS = range(60)


def some_table(rng):
    table = {
        "y": rng.normal(size=N),
        "x": rng.normal(size=N) * 10.0 ** rng.integers(-3, 4),
        "z": rng.gamma(3.0, size=N),
        "w": rng.gamma(2.0, size=N) * (rng.random(N) > 0.05),
        "b": rng.random(N) > 0.5,
        "f": rng.choice(["b", "a", "c"], N),
        "h": rng.choice(["v", "u"], N),
        "k": rng.choice([3, 1, 2], N),
        "g": rng.choice([7, 5, 11, 2], N),
        "s": rng.choice(["q", "p", "r"], N),
        "day": np.array(["2020-01-01", "2020-02-01"])[rng.integers(0, 2, N)],
    }
    table = {name: values.astype(object) for name, values in table.items()}
    for name in rng.choice([*table], 3, replace=False):
        table[name][rng.choice(N, 5, replace=False)] = None
    table["w"][table["w"] == 0] = 0.5 if rng.random() < 0.5 else None
    return table


def some_model(rng):
    """A design with its table, and the options of its second predictor and roles."""
    terms = [str(one) for one in rng.choice(TERMS, rng.integers(1, 4), replace=False)]
    terms += [str(one) for one in rng.choice(GROUPS, rng.integers(0, 3), replace=False)]
    terms += [str(one) for one in rng.choice(OFFSETS, rng.integers(0, 2))]
    formula = parse_formula("y ~ " + " + ".join(terms))
    table = some_table(rng)
    roles = join_roles(formula, dict.fromkeys(ROLES))
    if rng.random() < 0.5:
        roles["weights"] = "w"
    second = "~ scale(x) + (1 | s)" if rng.random() < 0.3 else None
    sigma = None if second is None else parse_predictor(second)
    return table, build_design(formula, table, sigma=sigma, **roles)


def from_json(plan):
    return Plan.from_json(json.loads(json.dumps(plan.to_json())))


def new_rows(plan, table):
    """What a stored plan makes of a table, and which of its rows they are."""
    grouping = [*plan.levels]
    gathered = gather(plan, table, {}, roles=[*ROLES], grouping=grouping)
    return make_rows(plan, gathered, grouping), gathered.positions


def assert_rows_of(design, fitted, rows, at):
    """Rows at some places are those of a design at others, to the last bit."""
    pairs = [(design.X, rows.X), (design.total_offset, rows.offset)]
    parts = [design] if design.sigma is None else [design, design.sigma]
    factors = [factor for part in parts for factor in part.factors]
    for factor, member in zip(factors, rows.members, strict=True):
        pairs += [(factor.Z, member.Z), (factor.codes, member.codes)]
        assert member.labels == ()
    if design.sigma is not None:
        pairs.append((design.sigma.X, rows.sigma_X))
    assert list(design.roles) == list(rows.roles)
    pairs += [(values, rows.roles[role]) for role, values in design.roles.items()]
    for own, made in pairs:
        if own is None:
            assert made is None
        else:
            np.testing.assert_array_equal(own[fitted], made[at])


def shared(design, positions, table_rows):
    """Places among fitted rows, and among new ones, of the rows that both have."""
    place = {row: k for k, row in enumerate(design.rows.tolist())}
    pairs = [
        (place[row], k) for k, row in enumerate(table_rows[positions].tolist()) if row in place
    ]
    return np.array(pairs, dtype=int).reshape(-1, 2).T


MADE = {}
for seed in SEEDS:
    with contextlib.suppress(InputError):  # columns that others give, an intercept twice
        MADE[seed] = some_model(np.random.default_rng(seed))


def test_there_are_many():
    assert len(MADE) > 0.6 * len(SEEDS)
    designs = [design for _, design in MADE.values()]
    assert any(design.sigma for design in designs)
    assert any(design.total_offset is not None for design in designs)
    assert any(design.n_dropped for design in designs)
    assert any(design.aliased for design in designs) or any(len(d.factors) > 1 for d in designs)


@pytest.mark.parametrize("seed", MADE)
def test_new_rows_in_any_order_are_what_they_were_when_fitted(seed):
    table, design = MADE[seed]
    rng = np.random.default_rng(seed)
    plan = from_json(design.plan)
    for order in (np.arange(N), rng.permutation(N), rng.choice(N, 17, replace=False)):
        given = {name: values[order] for name, values in table.items() if name != "y"}
        rows, positions = new_rows(plan, given)
        fitted, at = shared(design, positions, order)
        assert len(at) == np.isin(order, design.rows).sum()
        assert_rows_of(design, fitted, rows, at)


@pytest.mark.parametrize("seed", MADE)
def test_rows_of_a_file_are_what_they_were(seed):
    design = MADE[seed][1]
    pooled = pool(design, "partial", FAMILIES["gaussian"], "identity")
    model = build_general(pooled)
    arrays = {}
    record = json.loads(json.dumps(write_rows(pooled.design, arrays)))
    back = read_rows(arrays, record, replace(model, plan=from_json(design.plan)))
    assert_same_rows(back, pooled.design)


@pytest.mark.parametrize("seed", MADE)
def test_refits_to_some_rows_have_the_columns_of_the_whole(seed):
    design = MADE[seed][1]
    some = np.random.default_rng(seed).choice(design.n_rows, design.n_rows // 3, replace=False)
    part = take_rows(design, some)
    assert (part.columns, part.plan) == (design.columns, design.plan)
    assert [f.levels.tolist() for f in part.factors] == [f.levels.tolist() for f in design.factors]
    np.testing.assert_array_equal(part.X, design.X[some])
    plan, own = from_json(design.plan), part.table
    rows, positions = new_rows(replace(plan, roles={}), own)
    assert len(positions) == len(some)
    np.testing.assert_array_equal(rows.X, part.X)
    for factor, member in zip(part.factors, rows.members, strict=False):
        np.testing.assert_array_equal(factor.codes, member.codes)
        np.testing.assert_array_equal(factor.Z, member.Z)
