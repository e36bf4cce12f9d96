"""A table that is read in batches gives what it gives when it is read whole.

Whatever the size of the batches, the kind of table, and the order of the rows; to 1e-10 of the size
of what is compared, which leaves room for sums that are added up in another order.
"""

import datetime
import itertools
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from condensing import condensed
from partialpool.batches import batches
from partialpool.data import Source, open_table
from partialpool.data.framed import TextKind
from partialpool.data.frames import FrameReader
from partialpool.errors import InputError
from partialpool.model.marginal import build_marginal
from partialpool.model.points import with_points
from partialpool.spec import OnePass, Spec, pose

CLOSE = 1e-10
POPULATION = (
    *("1", "x", "x + z", "f", "x * f", "far", "0 + x", "0 + f + x", "a * x", "f * k", "C(whole)"),
    *(
        "scale(x)",
        "center(x) + I(x**2)",
        "f:x",
        "{f == 'b'} + x",
        "log(z + 1) + late",
        "a + {x > 0}",
    ),
    *("x + offset(z - mean(z))", "standardize(z):f", "relevel(f, ref='c')", "I(x - min(x)) + days"),
)
GROUPS = (
    *(
        "",
        "(1 | id)",
        "(x | id)",
        "(x || id)",
        "(1 | text)",
        "(f | id)",
        "(0 + f | text)",
        "(1 | a)",
    ),
    *("(x + far | id)", "(1 | day)", "(1 | id) + (x | text)", "(1 | text / id)", "(1 | id:day)"),
    *("(1 | floats)", "(scale(x) | id)", "(1 | id) + (0 + z | id)", "(1 | big)"),
)
ROLES = ({}, {}, {"weights": "w"}, {"se": "s"}, {"offset": "z"}, {"offset": 2.5}, {"se": 0.5})


def table(rng):
    """Columns of all kinds, in which some values are missing; one category comes last."""
    n = int(rng.integers(60, 400))
    id_ = rng.integers(-4, 9, n)
    late = rng.choice(["p", "q"], n).astype(object)
    late[-2:] = "a"
    weights = rng.exponential(size=n)
    weights[rng.random(n) < 0.05] = 0
    return pd.DataFrame(
        {
            "y": rng.normal(3, 2, n) + id_,
            "x": rng.normal(size=n),
            "z": rng.exponential(size=n),
            "far": 1e9 + rng.normal(size=n),
            "f": rng.choice(["b", "c", "a a"], n),
            "k": pd.Categorical(rng.choice(["u", "v"], n), ["v", "never", "u"]),
            "late": late,
            "a": rng.random(n) < 0.4,
            "whole": rng.integers(0, 3, n),
            "id": id_,
            "big": rng.integers(2**62, 2**62 + 5, n),
            "floats": rng.integers(0, 6, n).astype(float),
            "text": rng.choice(["01", "1", "ü", ""], n),
            "day": rng.choice(pd.date_range("2020-01-01", periods=5), n),
            "days": rng.integers(0, 30, n),
            "w": weights,
            "s": rng.uniform(0.5, 2, n),
        }
    )


def with_holes(rng, data):
    """Take out some values of columns that can lack them."""
    data = data.copy()
    for name in ("y", "x", "z", "floats", "f", "text", "day"):
        if rng.random() < 0.4:
            data.loc[rng.random(len(data)) < 0.1, name] = None
    return data


def close(one, other, size=None):
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    assert one.shape == other.shape
    size = np.max(np.abs(one), initial=1e-300) if size is None else size
    return bool(np.all(np.abs(one - other) <= CLOSE * size))


def assert_same_plan(one, other, where=""):
    """The same JSON, with numbers that may differ by rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same_plan(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for a, b in zip(one, other, strict=True):
            assert_same_plan(a, b, where)
    elif isinstance(one, float):
        assert close(one, other, max(abs(one), 1e-3)), where
    else:
        assert one == other, where


def products(design, facts):
    """Cross-products in each cell of what is around the means, in units of the sds."""
    # Of a column far from 0 the design has only what is beyond its origin.
    own = [design.condensed.facts, *(factor.known for factor in design.factors)]
    columns = [design.X, *(factor.Z for factor in design.factors)]
    around = [
        (values + (mine.shift - whole.mean)) / np.where(whole.sd > 0, whole.sd, 1.0)
        for values, mine, whole in zip(columns, own, facts, strict=True)
    ]
    V = np.column_stack([*around, design.y + design.origin, np.ones(len(design.y))])
    codes = [factor.codes for factor in design.factors] or [np.zeros(len(V), dtype=int)]
    cells = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)
    weighted = design.condensed.precision[:, None, None] * V[:, :, None] * V[:, None, :]
    found = np.zeros((cells.max() + 1, V.shape[1], V.shape[1]))
    np.add.at(found, cells, weighted)
    return found


def assert_same(one, other):
    """Two designs of points have the same plan, facts, levels and cross-products."""
    assert_same_plan(one.plan.to_json(), other.plan.to_json())
    for name in ("n_rows", "n_dropped", "n_zero_weight", "columns", "notes", "response"):
        assert getattr(one, name) == getattr(other, name), name
    for a, b in zip(one.factors, other.factors, strict=True):
        assert (a.name, a.terms, a.blocks) == (b.name, b.terms, b.blocks)
        assert a.levels.dtype == b.levels.dtype
        assert np.array_equal(a.levels, b.levels)
        assert np.array_equal(a.counts, b.counts)
        # By least squares, from columns whose numbers are a billion times their spread.
        assert close(a.T, b.T, 1e4 if "far" in a.terms else 1)
    for name in ("mean", "sd", "low", "high", "size"):
        own, found = (getattr(d.condensed.facts, name) for d in (one, other))
        assert close(own, found), name
    assert close(one.condensed.mean, other.condensed.mean)
    assert close(one.condensed.logs, other.condensed.logs, one.n_rows)
    facts = [one.condensed.facts, *(factor.known for factor in one.factors)]
    assert close(products(with_points(one), facts), products(with_points(other), facts))
    assert one.condensed.axes.keys() == other.condensed.axes.keys()


def as_parquet(data, folder):
    data.to_parquet(folder / "rows.parquet", row_group_size=50)
    return str(folder / "rows.parquet")


def as_stream(data, folder):
    import pyarrow as pa

    return pa.Table.from_pandas(data).to_reader(max_chunksize=31)


def as_dataset(data, folder):
    import pyarrow.dataset as ds

    as_parquet(data, folder)
    return ds.dataset(folder / "rows.parquet")


def as_lazy(data, folder):
    import polars as pl

    return pl.scan_parquet(as_parquet(data, folder))


def as_csv(data, folder):
    """So many rows that they are not read as a small file is; several times the same."""
    more = pd.concat([data] * (250_000 // (len(data) * 60) + 1), ignore_index=True)
    more.to_csv(folder / "rows.csv", index=False)
    return str(folder / "rows.csv")


class Workers(FrameReader):
    """A table whose rows lie with workers: a part of them each, of which some have none."""

    def __init__(self, data, rng):
        super().__init__(data, "the table")
        cuts = np.sort(rng.integers(0, len(data) + 1, int(rng.integers(0, 9))))
        bounds = zip([0, *cuts], [*cuts, len(data)], strict=True)
        self.parts = [data.iloc[a:b].reset_index(drop=True) for a, b in bounds]
        self.data = data

    def texts(self, names, labels):
        kinds = {name: self.data[name].dtype for name in names}
        found = {name: TextKind() for name, kind in kinds.items() if kind in ("str", object)}
        categories = {n: tuple(k.categories) for n, k in kinds.items() if hasattr(k, "categories")}
        return found | {name: TextKind(categories=own) for name, own in categories.items()}

    def count(self, name):
        found = self.data[name].dropna().value_counts()
        return list(found.index), found.to_numpy()

    def reduce(self, names, work, join):
        shares = []
        for part in self.parts:
            # What travels is copied, and a worker may get its rows in pieces.
            own = pickle.loads(pickle.dumps(work))
            frames = (part[list(names)].iloc[k : k + 13] for k in range(0, len(part), 13))
            shares += own(frames)
        shares.sort(key=lambda one: one[0])
        found = []
        for key, group in itertools.groupby(shares, lambda one: one[0]):
            found += [(key, table) for table in join(key, [table for _, table in group])]
        return found


def with_workers(data, folder):
    return Source(Workers(data, np.random.default_rng(len(data))))


KINDS = (lambda data, folder: data, as_parquet, as_dataset, as_lazy, with_workers, with_workers)


@pytest.mark.parametrize("seed", range(90))
def test_batches_give_the_design_of_the_whole(seed, monkeypatch, tmp_path):
    rng = np.random.default_rng([15, seed])
    data, roles = table(rng), ROLES[rng.integers(len(ROLES))]
    data = with_holes(rng, data) if rng.random() < 0.7 else data
    groups = str(rng.choice(GROUPS))
    formula = f"y ~ {rng.choice(POPULATION)}" + f" + {groups}" * bool(groups)
    made = KINDS[rng.integers(len(KINDS))]
    given = made(data, tmp_path)
    monkeypatch.setattr(batches, "ROWS", int(rng.integers(5, 90)))
    spec = Spec(formula, **roles)
    try:
        whole = condensed(pose(spec, given).design)
    except InputError as error:
        with pytest.raises(InputError, match=re.escape(error.what)):
            pose(spec, given, OnePass(True))
        return
    assert_same(whole, pose(spec, given, OnePass(True)).design)
    if rng.random() < 0.3:
        again = made(data.iloc[rng.permutation(len(data))].reset_index(drop=True), tmp_path)
        assert_same(whole, pose(spec, again, OnePass(True)).design)


def test_a_file_of_text_is_read_as_it_is_when_whole(monkeypatch, tmp_path):
    rng = np.random.default_rng(3)
    data = with_holes(rng, table(rng))
    data["floats"] = [f"{x:.2f}".replace(".", ",") for x in rng.normal(size=len(data))]
    given = as_csv(data, tmp_path)
    monkeypatch.setattr(batches, "ROWS", 999)
    spec = Spec("y ~ floats + f + (x | text) + (1 | id)", weights="w")
    assert open_table(given).n_rows > 999
    assert_same(condensed(pose(spec, given).design), pose(spec, given, OnePass(True)).design)


def test_what_comes_once_is_read_once(monkeypatch, tmp_path):
    data = table(np.random.default_rng(4))
    monkeypatch.setattr(batches, "ROWS", 50)
    spec = Spec("y ~ x + z + (x | id) + (1 | day)")
    whole = condensed(pose(spec, data).design)
    assert_same(whole, pose(spec, as_stream(data, tmp_path), OnePass(True)).design)
    for formula in ("y ~ scale(x) + (1 | id)", "y ~ f", "y ~ x + (1 | text)"):
        with pytest.raises(InputError, match="read twice, and they come only once"):
            pose(Spec(formula), as_stream(data, tmp_path), OnePass(True))


def test_dates_with_and_without_a_time_are_one_level_each():
    times = [datetime.datetime(2020, 1, 1 + k % 3, k % 2) for k in range(40)]
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.normal(size=40), "t": times})
    spec = Spec("y ~ 1 + (1 | t)")
    assert_same(condensed(pose(spec, data).design), pose(spec, data, OnePass(True)).design)


@pytest.mark.parametrize(
    ("roles", "pooling"),
    [({}, "partial"), ({"weights": "w"}, "none"), ({"weights": "w"}, "complete")],
)
def test_many_levels_are_reduced_as_rows_are(roles, pooling, tmp_path):
    """So many that shares of them are added up side by side; most have two rows or one."""
    rng = np.random.default_rng(6)
    levels, n = 70_000, 120_000
    id_ = np.append(np.arange(levels), rng.integers(0, levels, n - levels))
    data = pd.DataFrame({"id": rng.permutation(levels)[id_] * 7 - 3, "x": rng.normal(4, 2, n)})
    data["w"] = rng.uniform(0.5, 2, n)
    data["y"] = 1e5 + data["x"] * (1 + rng.normal(size=levels)[id_]) + rng.normal(size=n)
    data = data.sample(frac=1, random_state=1).reset_index(drop=True)
    spec, path = Spec("y ~ x + (x | id)", **roles), as_parquet(data, tmp_path)
    one, other = (
        build_marginal(pose(spec, path, OnePass(asked)).pool(pooling)) for asked in (False, True)
    )
    start = np.array(one.core.start())
    assert np.allclose(start, other.core.start(), atol=1e-7)
    for _ in range(2):
        u = start + rng.normal(scale=0.3, size=len(start))
        (value, slope), (found, steep) = (m.core.logp_and_grad(u) for m in (one, other))
        assert close([value], [found], n)
        assert close(slope, steep, n)
    for own, same in zip(one.groups, other.groups, strict=True):
        assert np.array_equal(own.levels, same.levels)
        assert np.array_equal(own.counts, same.counts)
        assert np.array_equal(own.estimable, same.estimable)
