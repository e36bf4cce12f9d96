"""Text that is numbers means in every part of a table what it means in the whole of it."""

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import partialpool as pp
from partialpool.predictions import batches, stream

# The same number, as people write it; which way is meant, some of these tell only together.
WAYS = (
    lambda v: f"{v:.2f}",
    lambda v: f"{v:.3f}",
    lambda v: f"{v:.3f}".replace(".", ","),
    lambda v: f"{v:.1f}".replace(".", ","),
    lambda v: f"{1000 * v:,.0f}",
    lambda v: f"{1000 * v:,.2f}".replace(",", " ").replace(".", ","),
    lambda v: f"{v:.1f}%",
    lambda v: str(int(v)),
    lambda v: "NA",
)
KINDS = ("parquet", "feather", "relation", "lazy", "dataset", "table")


def fitted(formula):
    rng = np.random.default_rng(3)
    g, x = rng.integers(0, 5, 200), rng.exponential(3, 200)
    x = np.floor(x) if "| x" in formula else x
    k = rng.choice(["1,5", "1,234", "other"], 200)
    y = x + g + rng.normal(size=200)
    return pp.fit(formula, {"y": y, "x": x, "id": g, "k": k}, seed=1, draws=100)


@pytest.fixture(scope="module")
def fit():
    return fitted("y ~ x + (1 | id)")


@pytest.fixture(scope="module")
def fit_by_numbers():
    """Of a number that names levels, too."""
    return fitted("y ~ x + (1 | x)")


def given(kind, table, folder):
    if kind == "parquet":
        pq.write_table(table, folder / "new.parquet")
        return folder / "new.parquet"
    if kind == "feather":
        pyarrow.feather.write_feather(table, folder / "new.feather")
        return folder / "new.feather"
    if kind == "relation":
        return duckdb.connect().from_arrow(table)
    if kind == "lazy":
        return pl.from_arrow(table).lazy()
    return ds.dataset(table) if kind == "dataset" else table


def outcome(action):
    try:
        return action(), ""
    except pp.InputError as error:
        return None, error.what


@pytest.mark.parametrize("seed", range(40))
def test_parts_are_read_as_the_whole(seed, fit, fit_by_numbers, monkeypatch, tmp_path):
    fit = fit_by_numbers if seed % 4 == 3 else fit
    rng = np.random.default_rng([8, seed])
    few = rng.choice(len(WAYS), int(rng.integers(1, 4)), replace=False)
    ways = [WAYS[k] for k in rng.choice(few, 6)]  # of rows one after the other
    x = [way(v) for way in ways for v in 1 + rng.exponential(2, 10)]
    table = pa.table({"x": x, "id": rng.integers(0, 7, len(x))})
    for module in (batches, stream):
        monkeypatch.setattr(module, "ROWS", int(rng.integers(3, 25)))
    new = given(KINDS[seed % len(KINDS)], table, tmp_path)
    out = tmp_path / "scored.parquet"
    whole, why = outcome(lambda: fit.predict(table))
    if whole is None:
        assert outcome(lambda: fit.predict(new, out=out))[1][:30] == why[:30]
        assert not out.exists()
        return
    fit.predict(new, out=out)
    scored = pq.read_table(out)
    assert scored["x"].to_pylist() == x
    for name in ("mean", "sd", "lower", "upper"):
        own = scored[name].to_numpy(zero_copy_only=False)
        np.testing.assert_allclose(own, whole[name].to_numpy(), rtol=1e-12)


def test_rows_that_come_once_cannot_tell(fit, tmp_path):
    table = pa.table({"x": ["1,5", "1,234"], "id": [1, 2]})
    with pytest.raises(
        pp.InputError, match=r"`x` is text in the table, .* the rows come only once"
    ):
        fit.predict(table.to_reader(), out=tmp_path / "scored.parquet")
    labels = pa.table({"x": [1.0, 2.0], "id": ["1", "2"]})  # labels are what they are called
    assert fit.predict(labels.to_reader(), out=tmp_path / "scored.parquet").predicted == 2


def test_categories_are_what_they_are_called_in_rows_that_come_once(tmp_path):
    fit = fitted("y ~ k + (1 | id)")
    table = pa.table({"k": ["1,5", "other", "1,234"], "id": [1, 2, 3]})
    fit.predict(table.to_reader(), out=tmp_path / "scored.parquet")
    scored = pq.read_table(tmp_path / "scored.parquet")
    np.testing.assert_allclose(scored["mean"].to_numpy(), fit.predict(table)["mean"], rtol=1e-12)
    numbers = fitted("y ~ x + k + (1 | x)").model.plan
    assert numbers.named == {"k"}
