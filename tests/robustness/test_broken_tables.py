"""Tables that break while they are read: cut off, damaged, changed, gone, failing midway.

Each is an error of one sentence that names the file, and its row group where one is damaged; a
table that was not read whole never gives a fit.
"""

import contextlib
import os
import sqlite3

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

import partialpool as pp

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
FORMULA = "y ~ x + (x | g)"
FEW = {"draws": 20, "chains": 2, "seed": 1, "progress": False}


def written(path, table=TABLE):
    pa.parquet.write_table(table, path, row_group_size=GROUP)
    return path


def refuses(data, match):
    """A fit is refused in one sentence."""
    with pytest.raises(pp.InputError, match=match) as error:
        pp.fit(FORMULA, data, **FEW)
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


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


def test_files_that_are_cut_off(place):
    """Wherever a copy ended: at any byte but the last."""
    given, broken = place
    whole = written(broken).read_bytes()
    for cut in [4, 11, *RNG.integers(12, len(whole), 12), len(whole) - 1]:
        broken.write_bytes(whole[:cut])
        refuses(given, r"`b\.parquet` cannot be read \(it is cut off")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "`b.parquet` is empty"),
        (b"g,x,y\n1,2,3\n" * 20, r"`b\.parquet` cannot be read \(it is no Parquet file\)"),
        (b"PAR1" * 9, r"`b\.parquet` cannot be read"),
    ],
    ids=["nothing", "text", "magic alone"],
)
def test_files_that_are_something_else(content, match, place):
    given, broken = place
    broken.write_bytes(content)
    refuses(given, match)


def test_damaged_row_groups_are_named(place):
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
        refuses(given, rf"`b\.parquet` .*\(row group {group + 1} of {groups} is damaged: [^()]+\)")


def test_damage_elsewhere_does_not_matter(tmp_path):
    """Columns that are not used are not read."""
    path = written(tmp_path / "b.parquet")
    chunk = pa.parquet.ParquetFile(path).metadata.row_group(4).column(3)
    assert chunk.path_in_schema == "unused"
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset : chunk.data_page_offset + 30] = b"\xff" * 30
    path.write_bytes(content)
    assert pp.fit(FORMULA, path, **FEW).design.n_rows == N


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", pa.array([str(k) for k in range(N)])),
        ("y", pa.array(np.arange(N) > 7)),
        ("g", pa.array(np.arange(N))),
        ("x", pa.array(np.arange(N).astype("datetime64[D]"))),
    ],
)
def test_another_type_in_one_of_several_files(name, values, folder):
    written(folder / "b.parquet", TABLE.set_column(TABLE.column_names.index(name), name, values))
    refuses(folder, rf"`{name}` is of type \w+ in `b\.parquet` and \w+ in `a\.parquet`")


def test_another_column_in_one_of_several_files(folder):
    written(folder / "b.parquet", TABLE.drop_columns(["x"]))
    refuses(folder, r"`b\.parquet` has other columns than `a\.parquet`: `x` is in one of them")


def test_folders_without_tables(tmp_path):
    refuses(tmp_path, "is a folder without Parquet files")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "_metadata.parquet").write_bytes(b"PAR1")
    refuses(tmp_path, "is a folder without Parquet files")


def test_tables_without_rows(place):
    """A part without rows is one; a table of such parts is none."""
    given, broken = place
    written(broken, TABLE.slice(0, 0))
    if given == broken:
        refuses(given, "has no rows")
    else:
        assert pp.fit(FORMULA, given, **FEW).design.n_rows == 2 * N
        for name in "ac":
            written(given / f"{name}.parquet", TABLE.slice(0, 0))
        refuses(given, "has no rows")


@pytest.mark.parametrize("kind", ["x", "g", "y"])
def test_no_row_is_complete(kind, place):
    given, broken = place
    index = TABLE.column_names.index(kind)
    nothing = TABLE.set_column(index, kind, pa.array([None] * N, TABLE.schema.types[index]))
    for path in [broken] if given == broken else [broken, *given.glob("*.parquet")]:
        written(path, nothing)
    refuses(given, f"no complete row is left: `{kind}` is missing in every row")


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
def test_files_that_change_between_two_reads(how, name, tmp_path):
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
    refuses(source, rf"`{path.stem}\.\w+` (has changed since it was|was there when it was) opened")
    if how != "gone":
        path.write_bytes(whole)
        assert pp.fit(FORMULA, OPENED_AGAIN[name](path), **FEW).design.n_rows == N


OPENED_AGAIN = {"t.parquet": str, "t.csv": str, "t.sqlite": lambda path: f"{path}::t"}


def test_a_part_that_goes_while_a_folder_is_read(place):
    given, broken = place
    written(broken)
    source = pp.read(given)
    broken.unlink()
    refuses(source, r"`b\.parquet` was there when it was opened, and is gone")


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


@pytest.mark.parametrize("make", [relation, lazy])
def test_queries_that_fail_midway(make):
    refuses(make(), DEAD)


# ---------------------------------------------------------------------------- what is odd, and fine


@pytest.mark.parametrize("n", [200, 8000], ids=["small", "large"])
def test_lines_may_end_as_on_windows(n, tmp_path):
    """Read at once or through DuckDB: the same numbers, and no label ends in a mark of its own."""
    frame = pd.DataFrame({"y": RNG.normal(size=n), "x": RNG.normal(size=n)})
    frame["g"] = [f"g{k % 10}" for k in range(n)]  # the last column, where lines end
    fits = []
    for name, end in (("unix.csv", "\n"), ("windows.csv", "\r\n")):
        frame.to_csv(tmp_path / name, index=False, lineterminator=end)
        fits.append(pp.fit(FORMULA, tmp_path / name, **FEW))
    assert fits[0].model.groups[0].levels.tolist() == sorted({*frame["g"]})
    assert fits[1].model.groups[0].levels.tolist() == fits[0].model.groups[0].levels.tolist()
    assert fits[0].summary()["mean"].tolist() == fits[1].summary()["mean"].tolist()


def test_many_levels_of_text(tmp_path):
    """200,000 of them, two rows each, far apart: every row meets its own."""
    levels = 200_000
    names = np.char.add("user-", np.arange(levels).astype(str)).astype(object)
    order = RNG.permutation(2 * levels) % levels
    y = order + RNG.normal(size=order.size)
    pa.parquet.write_table(pa.table({"g": names[order], "y": y}), tmp_path / "t.parquet")
    design = pp.fit("y ~ 1 + (1 | g)", tmp_path / "t.parquet", **FEW).design
    factor = design.factors[0]
    assert len(factor.levels) == levels
    assert (factor.levels[factor.codes] == names[order]).all()
    assert (design.y == y).all()


def test_levels_that_are_numbers_with_gaps():
    """Whole floats name levels, a missing one drops its row, and fractions are no names."""
    g = np.arange(N) % 6 - 2.0
    missing = np.arange(N) % 7 == 0
    y = RNG.normal(size=N)
    for absent in (np.nan, None):
        values = pd.Series(g, dtype=object if absent is None else float).where(~missing, absent)
        fit = pp.fit("y ~ 1 + (1 | g)", {"g": values, "y": y}, **FEW)
        assert fit.model.groups[0].levels.tolist() == [-2, -1, 0, 1, 2, 3]
        assert fit.design.n_rows == (~missing).sum()
    with pytest.raises(pp.InputError, match=r"`g` holds fractions in \d+ rows"):
        pp.fit("y ~ 1 + (1 | g)", {"g": g / 2, "y": y}, **FEW)
    with pytest.raises(pp.InputError, match="`g`"):
        pp.fit("y ~ 1 + (1 | g)", {"g": np.where(missing, np.inf, g), "y": y}, **FEW)


def test_all_rows_in_one_level():
    fit = pp.fit(FORMULA, {"g": ["a"] * N, "x": TABLE["x"], "y": TABLE["y"]}, **FEW)
    assert fit.model.groups[0].levels.tolist() == ["a"]
    assert "one-level" in {finding.code for finding in fit.findings}


def test_levels_and_categories_of_dropped_rows_alone_are_none(place):
    given, broken = place
    g = np.array(TABLE["g"].to_pylist())
    gone = np.isin(g, ["g3", "g11"])
    table = TABLE.append_column("f", pa.array(np.where(gone, "late", np.where(g > "g2", "a", "b"))))
    table = table.set_column(1, "x", pa.array(np.where(gone, np.nan, table["x"]), mask=gone))
    for path in [broken] if given == broken else [broken, *given.glob("*.parquet")]:
        written(path, table)
    fit = pp.fit("y ~ x + f + (x | g)", given, **FEW)
    assert fit.model.groups[0].levels.tolist() == sorted({*g} - {"g3", "g11"})
    assert list(fit.summary().index[:3]) == ["b[Intercept]", "b[x]", "b[f[T.b]]"]
