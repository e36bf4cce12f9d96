"""Tables that cannot be used: one clear line each, never another library's exception."""

import gzip

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.data import open_table
from partialpool.errors import InputError

SOURCES = {
    "duplicate pandas": (lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]), "`x` occurs more"),
    "duplicate by text": (lambda: pd.DataFrame([[1, 2]], columns=["1", 1]), "`1` occurs more"),
    "duplicate arrow": (lambda: pa.table([[1], [2]], names=["x", "x"]), "`x` occurs more"),
    "unequal": (lambda: {"x": [1, 2], "y": [1]}, "unequal lengths"),
    "two dimensions": (lambda: {"x": np.ones((2, 2))}, "2 dimensions"),
    "nested list": (lambda: {"x": [[1, 2], [3, 4]]}, "2 dimensions"),
    "scalar": (lambda: {"x": 1.0}, "single value"),
    "scalar array": (lambda: {"x": np.array(1.0)}, "0 dimensions"),
    "string": (lambda: {"x": "abc"}, "single value"),
    "complex": (lambda: {"x": np.array([1j])}, "complex128"),
    "no columns": (lambda: {}, "no columns"),
    "no rows": (lambda: {"x": []}, "no rows"),
    "no rows pandas": (lambda: pd.DataFrame({"x": []}), "no rows"),
    "no rows polars": (lambda: pl.DataFrame({"x": []}), "no rows"),
    "not a table": (lambda: 42, "not a table"),
    "none": (lambda: None, "not a table"),
    "array": (lambda: np.ones(3), "not a table"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_tables_in_memory(name):
    make, message = SOURCES[name]
    with pytest.raises(InputError, match=message):
        open_table(make())


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1, 2]]),
        pl.Series([{"a": 1}]),
        pd.Series(pd.to_timedelta([1], unit="s")),
        np.array([{"a": 1}], dtype=object),
    ],
    ids=["list", "struct", "duration", "object"],
)
def test_values_that_are_no_column(values):
    with pytest.raises(InputError, match=r"column `x` .*cannot be used"):
        open_table({"x": values})


@pytest.mark.parametrize(
    "type_", ["[1, 2]", "{'a': 1}", "INTERVAL 1 DAY", "TIME '10:00'", "'a'::BLOB"]
)
def test_duckdb_types_that_are_no_column(type_):
    source = open_table(duckdb.sql(f"SELECT {type_} AS x, 1 AS y"))
    with pytest.raises(InputError, match=r"column `x` .*cannot be used"):
        source.take(["x"])
    assert source.take(["y"]).n_rows == 1


def test_an_empty_relation_has_no_rows():
    with pytest.raises(InputError, match="no rows"):
        open_table(duckdb.sql("SELECT 1 AS x WHERE false")).take(["x"])


@pytest.mark.parametrize(
    "data", [{"floor": [1]}, pl.DataFrame({"floor": [1]}), duckdb.sql("SELECT 1 AS floor")]
)
def test_an_unknown_column_brings_a_suggestion(data):
    with pytest.raises(InputError, match=r"no column `flor` .*did you mean `floor`\?"):
        open_table(data).take(["flor"])


FILES = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"x,y\n", "no rows"),
    "blank.csv": (b"\n\n", "no header"),
    "twice.csv": (b"x,y,x\n1,2,3\n", "`x` occurs more than once"),
    "ragged.csv": (b"x,y\n1,2\n3\n4,5\n", "line 3"),
    "wide.csv": (b"x,y\n1,2\n3,4,5\n", "line 3"),
    "latin.csv": ("stra\xdfe\n1\n".encode("latin-1"), "not UTF-8"),
    "latin_body.csv": ("x\n" + "stra\xdfe\n").encode("latin-1"),
    "cut.csv.gz": (gzip.compress(b"x\n" + b"1\n2\n3\n" * 50_000)[:-400], "cannot be read"),
    "not.csv.gz": (b"x,y\n1,2\n", "cannot be read"),
    "bad.parquet": (b"PAR1 no", "cannot be read"),
    "bad.feather": (b"nonsense", "cannot be read"),
    "bad.arrow": (b"nonsense", "cannot be read"),
    "table.xlsx": (b"PK", "extension that is not known"),
    "table": (b"x\n1\n", "extension that is not known"),
    "base.duckdb": (b"x", "is a database"),
}
FILES["latin_body.csv"] = (FILES["latin_body.csv"], "cannot be read|not UTF-8")


def read(path):
    source = open_table(path)
    return source.take(source.names)


@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_truncated_parquet_file(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"x": np.arange(10_000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        open_table(path)


def test_missing_files_and_folders(tmp_path):
    (tmp_path / "radon.csv").write_text("x\n1\n")
    with pytest.raises(InputError, match=r"no file .*did you mean `radon.csv`\?"):
        open_table(tmp_path / "radn.csv")
    with pytest.raises(InputError, match="check the path"):
        open_table(tmp_path / "nowhere" / "t.csv")
    with pytest.raises(InputError, match="is a folder"):
        open_table(tmp_path)


def test_duckdb_tables(tmp_path):
    path = tmp_path / "d.duckdb"
    connection = duckdb.connect(str(path))
    connection.execute("CREATE TABLE radon (x INT)")
    connection.execute("INSERT INTO radon VALUES (1)")
    connection.close()
    with pytest.raises(InputError, match=r"no table `rado` .*did you mean `radon`\?"):
        open_table(f"{path}::rado")
    with pytest.raises(InputError, match="no table"):
        open_table(f'{path}::radon"; DROP TABLE radon; --')
    assert open_table(f"{path}::radon").take(["x"]).n_rows == 1
    (tmp_path / "not.duckdb").write_bytes(b"nonsense" * 1000)
    with pytest.raises(InputError, match="cannot be read"):
        open_table(f"{tmp_path / 'not.duckdb'}::t")
