"""Tables that break while they are read: cut off, damaged, changed, gone, failing midway.

Each is an error of one sentence that names the file, and its row group where one is damaged; a
table that was not read whole never gives a fit. All of it twice: with the table in memory, and in
one pass over its batches.
"""

import contextlib
import os
import sqlite3

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

import partialpool as pp
from partialpool.batches.batches import in_batches

RNG = np.random.default_rng(14)
N, GROUP = 4000, 400
TABLE = pa.table(
    {
        "g": [f"g{k % 30}" for k in range(N)],
        "x": RNG.normal(size=N),
        "y": RNG.normal(size=N),
        "unused": RNG.normal(size=N),
    }
)
NUMBERED = TABLE.set_column(0, "g", pa.array(np.arange(N) % 30))
FORMULA = "y ~ x + (x | g)"
FEW = {"draws": 20, "chains": 2, "seed": 1, "progress": False}


def written(path, table=TABLE):
    pa.parquet.write_table(table, path, row_group_size=GROUP)
    return path


class Fitting:
    """The table in memory, or in one pass."""

    def __init__(self, one_pass):
        self.one_pass = one_pass

    def __call__(self, data, formula=FORMULA):
        return pp.fit(formula, data, one_pass=self.one_pass, **FEW)

    def refuses(self, data, match, formula=FORMULA):
        """In one sentence."""
        with pytest.raises(pp.InputError, match=match) as error:
            self(data, formula)
        assert "\n" not in str(error.value)
        assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.fixture(params=[False, True], ids=["in memory", "one pass"])
def fit(request):
    return Fitting(request.param)


def rows(fitted):
    """How many were fitted."""
    table = fitted.coefficients()
    return table["n"][table["term"] == "Intercept"].sum()


@pytest.fixture
def folder(tmp_path):
    """A folder of good files, in which one is to be broken."""
    found = tmp_path / "parts"
    found.mkdir()
    written(found / "a.parquet")
    written(found / "c.parquet")
    return found


@pytest.fixture(params=["alone", "in a folder"])
def place(request, tmp_path, folder):
    """A path to give, and the file in it that is to be broken."""
    if request.param == "alone":
        return tmp_path / "b.parquet", tmp_path / "b.parquet"
    return folder, folder / "b.parquet"


# ---------------------------------------------------------------------------- what is in a file


def test_files_that_are_cut_off(place, fit):
    """Wherever a copy ended: at any byte but the last."""
    given, broken = place
    whole = written(broken).read_bytes()
    for cut in [4, 11, *RNG.integers(12, len(whole), 12), len(whole) - 1]:
        broken.write_bytes(whole[:cut])
        fit.refuses(given, r"`b\.parquet` cannot be read \(it is cut off")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "`b.parquet` is empty"),
        (b"g,x,y\n1,2,3\n" * 20, r"`b\.parquet` cannot be read \(it is no Parquet file\)"),
        (b"PAR1" * 9, r"`b\.parquet` cannot be read"),
    ],
    ids=["nothing", "text", "magic alone"],
)
def test_files_that_are_something_else(content, match, place, fit):
    given, broken = place
    broken.write_bytes(content)
    fit.refuses(given, match)


def test_damaged_row_groups_are_named(place, fit):
    """In any row group, of any column that is used."""
    given, broken = place
    whole = written(broken).read_bytes()
    metadata = pa.parquet.ParquetFile(broken).metadata
    groups = metadata.num_row_groups
    for group in RNG.permutation(groups)[:6]:
        chunk = metadata.row_group(group).column(int(RNG.integers(3)))
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        content = bytearray(whole)
        content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
        broken.write_bytes(content)
        fit.refuses(
            given, rf"`b\.parquet` .*\(row group {group + 1} of {groups} is damaged: [^()]+\)"
        )


def test_damage_elsewhere_does_not_matter(tmp_path, fit):
    """Columns that are not used are not read."""
    path = written(tmp_path / "b.parquet")
    chunk = pa.parquet.ParquetFile(path).metadata.row_group(4).column(3)
    assert chunk.path_in_schema == "unused"
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset : chunk.data_page_offset + 30] = b"\xff" * 30
    path.write_bytes(content)
    assert rows(fit(path)) == N


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", pa.array([str(k) for k in range(N)])),
        ("y", pa.array(np.arange(N) > 7)),
        ("g", pa.array(np.arange(N))),
        ("x", pa.array(np.arange(N).astype("datetime64[D]"))),
    ],
)
def test_another_type_in_one_of_several_files(name, values, folder, fit):
    written(folder / "b.parquet", TABLE.set_column(TABLE.column_names.index(name), name, values))
    fit.refuses(folder, rf"`{name}` is of type \w+ in `b\.parquet` and \w+ in `a\.parquet`")


def test_another_column_in_one_of_several_files(folder, fit):
    written(folder / "b.parquet", TABLE.drop_columns(["x"]))
    fit.refuses(folder, r"`b\.parquet` has other columns than `a\.parquet`: `x` is in one of them")


def test_folders_without_tables(tmp_path, fit):
    fit.refuses(tmp_path, "is a folder without Parquet files")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "_metadata.parquet").write_bytes(b"PAR1")
    fit.refuses(tmp_path, "is a folder without Parquet files")


def test_tables_without_rows(place, fit):
    """A part without rows is one; a table of such parts is none."""
    given, broken = place
    written(broken, TABLE.slice(0, 0))
    if given == broken:
        fit.refuses(given, "has no rows")
    else:
        assert rows(fit(given)) == 2 * N
        for name in "ac":
            written(given / f"{name}.parquet", TABLE.slice(0, 0))
        fit.refuses(given, "has no rows")


@pytest.mark.parametrize("kind", ["x", "g", "y"])
def test_no_row_is_complete(kind, place, fit):
    given, broken = place
    index = TABLE.column_names.index(kind)
    nothing = TABLE.set_column(index, kind, pa.array([None] * N, TABLE.schema.types[index]))
    for path in [broken] if given == broken else [broken, *given.glob("*.parquet")]:
        written(path, nothing)
    fit.refuses(given, f"no complete row is left: `{kind}` is missing in every row")


# ---------------------------------------------------------------------------- what happens to it


def csv(path):
    TABLE.to_pandas().to_csv(path, index=False)
    assert path.stat().st_size > 200_000  # what is smaller is read at once
    return path


def sqlite(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        TABLE.to_pandas().to_sql("t", connection, index=False)
    return f"{path}::t"


OPENED = {"t.parquet": written, "t.csv": csv, "t.sqlite": sqlite}


@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("how", ["gone", "shorter", "others"])
def test_files_that_change_between_two_reads(how, name, tmp_path, fit):
    """What was read before and after would be of other rows."""
    path = tmp_path / name
    source = pp.read(OPENED[name](path))
    assert len(source.take(["y"]).columns["y"]) == N
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "shorter":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        written(path, TABLE.slice(0, N - 1)) if name == "t.parquet" else path.write_bytes(whole)
        os.utime(path, ns=(1, 1))
    fit.refuses(
        source, rf"`{path.stem}\.\w+` (has changed since it was|was there when it was) opened"
    )
    if how != "gone":
        path.write_bytes(whole)
        assert rows(fit(OPENED_AGAIN[name](path))) == N


OPENED_AGAIN = {"t.parquet": str, "t.csv": str, "t.sqlite": lambda path: f"{path}::t"}


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
@pytest.mark.parametrize("how", ["between two passes", "within one"])
def test_files_that_change_while_batches_are_read(how, name, tmp_path):
    path = tmp_path / name
    source = pp.read(OPENED[name](path))
    passes = in_batches(source, ["g", "x", "y"], ["g"])
    assert sum(batch.table.n_rows for batch in passes) == N
    begun = iter(passes)
    if how == "within one":
        next(begun)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(pp.InputError, match=f"`{name}` has changed since"):
        list(begun)


def test_a_part_that_goes_while_a_folder_is_read(place, fit):
    given, broken = place
    written(broken)
    source = pp.read(given)
    broken.unlink()
    fit.refuses(source, r"`b\.parquet` was there when it was opened, and is gone")


# ---------------------------------------------------------------------------- what fails midway

DEAD = "the line went dead"


def relation():
    connection = duckdb.connect()
    fails = f"CASE WHEN i = 2500 THEN error('{DEAD}') ELSE i * 0.5 END"
    return connection.sql(
        f"SELECT 'g' || (i % 30) AS g, sin(i) AS x, ({fails})::DOUBLE AS y FROM range({N}) t(i)"
    )


def lazy():
    def fail(values):
        raise ValueError(DEAD)

    frame = pl.from_arrow(TABLE).lazy()
    return frame.with_columns(pl.col("y").map_batches(fail, return_dtype=pl.Float64))


def batches():
    yield from NUMBERED.slice(0, N // 2).to_batches(max_chunksize=500)
    raise ValueError(DEAD)


def reader():
    return pa.RecordBatchReader.from_batches(NUMBERED.schema, batches())


class Exported:
    """What has the Arrow interface of streams, and nothing else."""

    def __arrow_c_stream__(self, requested_schema=None):
        return reader().__arrow_c_stream__(requested_schema)


def scanner():
    return pa.dataset.Scanner.from_batches(batches(), schema=NUMBERED.schema)


@pytest.mark.parametrize("make", [relation, lazy, reader, Exported, scanner])
def test_queries_and_streams_that_fail_midway(make, fit):
    fit.refuses(make(), DEAD)


def test_a_batch_of_another_type(fit):
    """Not what was promised: Arrow says so, or we do."""
    other = NUMBERED.set_column(1, "x", pa.array(["?"] * N))
    parts = [*NUMBERED.to_batches(max_chunksize=900), *other.to_batches()]
    stream = pa.RecordBatchReader.from_batches(NUMBERED.schema, parts)
    fit.refuses(stream, "cannot be read .Schema|`x` is now of kind string")


def test_streams_that_come_once(fit):
    """What needs two looks at the rows, as texts do, says so."""

    def stream(table):
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=900))

    assert rows(fit(stream(NUMBERED))) == N
    if fit.one_pass:
        fit.refuses(stream(TABLE), "read twice, and they come only once")
    else:
        assert rows(fit(stream(TABLE))) == N


# ---------------------------------------------------------------------------- what is odd, and fine


@pytest.mark.parametrize("n", [200, 8000], ids=["small", "large"])
def test_lines_may_end_as_on_windows(n, tmp_path, fit):
    """Read at once or through DuckDB: the same numbers, and no label ends in a mark of its own."""
    frame = pd.DataFrame({"y": RNG.normal(size=n), "x": RNG.normal(size=n)})
    frame["g"] = [f"g{k % 10}" for k in range(n)]  # the last column, where lines end
    fits = []
    for name, end in (("unix.csv", "\n"), ("windows.csv", "\r\n")):
        frame.to_csv(tmp_path / name, index=False, lineterminator=end)
        fits.append(fit(tmp_path / name))
    assert fits[0].model.groups[0].levels.tolist() == sorted({*frame["g"]})
    assert fits[1].model.groups[0].levels.tolist() == fits[0].model.groups[0].levels.tolist()
    assert fits[0].summary()["mean"].tolist() == fits[1].summary()["mean"].tolist()


def test_many_levels_of_text(tmp_path, fit):
    """100,000 of them, two rows each, far apart: every row meets its own."""
    levels = 100_000
    order = RNG.permutation(2 * levels) % levels
    names = np.char.add("user-", order.astype(str)).astype(object)
    y = order + RNG.normal(size=order.size)  # levels lie so far apart that nothing is pooled
    pa.parquet.write_table(pa.table({"g": names, "y": y}), tmp_path / "t.parquet")
    table = fit(tmp_path / "t.parquet", "y ~ 1 + (1 | g)").coefficients()
    own = pd.Series(y).groupby(names).mean()
    assert table["level"].tolist() == own.index.tolist()
    assert (table["n"] == 2).all()
    assert (table["mean"] - own.to_numpy()).abs().max() < 0.01


def test_levels_that_are_numbers_with_gaps(fit):
    """Whole floats name levels, a missing one drops its row, and fractions are no names."""
    g = np.arange(N) % 6 - 2.0
    missing = np.arange(N) % 7 == 0
    y = RNG.normal(size=N)
    for absent in (np.nan, None):
        values = pd.Series(g, dtype=object if absent is None else float).where(~missing, absent)
        found = fit({"g": values, "y": y}, "y ~ 1 + (1 | g)")
        assert found.model.groups[0].levels.tolist() == [-2, -1, 0, 1, 2, 3]
        assert rows(found) == (~missing).sum()
    halves = {"g": g / 2, "y": y}
    fit.refuses(halves, r"`g` holds fractions in \d+ rows", "y ~ 1 + (1 | g)")
    endless = {"g": np.where(missing, np.inf, g), "y": y}
    fit.refuses(endless, "`g`", "y ~ 1 + (1 | g)")


def test_all_rows_in_one_level(fit):
    found = fit({"g": ["a"] * N, "x": TABLE["x"], "y": TABLE["y"]})
    assert found.model.groups[0].levels.tolist() == ["a"]
    assert "one-level" in {finding.code for finding in found.findings}


def test_levels_and_categories_of_dropped_rows_alone_are_none(place, fit):
    given, broken = place
    g = np.array(TABLE["g"].to_pylist())
    gone = np.isin(g, ["g3", "g11"])
    table = TABLE.append_column("f", pa.array(np.where(gone, "late", np.where(g > "g2", "a", "b"))))
    table = table.set_column(1, "x", pa.array(np.where(gone, np.nan, table["x"]), mask=gone))
    for path in [broken] if given == broken else [broken, *given.glob("*.parquet")]:
        written(path, table)
    found = fit(given, "y ~ x + f + (x | g)")
    assert found.model.groups[0].levels.tolist() == sorted({*g} - {"g3", "g11"})
    assert list(found.summary().index[:3]) == ["b[Intercept]", "b[x]", "b[f[T.b]]"]
