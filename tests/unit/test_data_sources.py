"""Every kind of table gives the same columns."""

import datetime
import decimal
import itertools
import subprocess
import sys
import threading

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from partialpool.data import open_table

BIG = 2**53 + 1
IDS = [1, None, BIG]
X = [1.5, 2.0, None]
S = ["b", None, "a"]
B = [True, False, None]


def duckdb_file(path):
    connection = duckdb.connect(str(path / "d.duckdb"))
    connection.execute('CREATE TABLE "my t" (id BIGINT, x DOUBLE, s VARCHAR, b BOOLEAN)')
    connection.executemany(
        'INSERT INTO "my t" VALUES (?, ?, ?, ?)', list(zip(IDS, X, S, B, strict=True))
    )
    connection.close()
    return f"{path / 'd.duckdb'}::my t"


def written(path, name, text):
    (path / name).write_text(text)
    return path / name


def arrow():
    return pa.table({"id": IDS, "x": X, "s": S, "b": B})


def stored(path, kind):
    if kind == "parquet":
        pl.DataFrame(arrow()).write_parquet(path / "t.parquet")
        return path / "t.parquet"
    pyarrow.feather.write_feather(arrow(), str(path / f"t.{kind}"))
    return str(path / f"t.{kind}")


CSV = f"id,x,s,b\n1,1.5,b,true\nNA,2,,false\n{BIG},NaN,a,NA\n"
SOURCES = {
    "pandas nullable": lambda p: pd.DataFrame(
        {
            "id": pd.array(IDS, dtype="Int64"),
            "x": pd.array(X, dtype="Float64"),
            "s": pd.array(S, dtype="string"),
            "b": pd.array(B, dtype="boolean"),
        }
    ),
    "pandas object": lambda p: pd.DataFrame({"id": IDS, "x": X, "s": S, "b": B}, dtype=object),
    "pandas arrow": lambda p: arrow().to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda p: pl.DataFrame({"id": IDS, "x": X, "s": S, "b": B}),
    "polars lazy": lambda p: pl.LazyFrame({"id": IDS, "x": X, "s": S, "b": B}),
    "pyarrow": lambda p: arrow(),
    "lists": lambda p: {"id": IDS, "x": X, "s": S, "b": B},
    "series": lambda p: {
        "id": pl.Series(IDS),
        "x": pd.Series(X),
        "s": pa.array(S),
        "b": np.ma.array([True, False, True], mask=[False, False, True]),
    },
    "relation": lambda p: duckdb.sql(f"SELECT * FROM '{written(p, 'r.csv', CSV)}'").project(
        "try_cast(id AS BIGINT) AS id, try_cast(x AS DOUBLE) AS x, nullif(s, '') AS s, "
        "try_cast(b AS BOOLEAN) AS b"
    ),
    "csv": lambda p: written(p, "t.csv", CSV),
    "csv with semicolons": lambda p: written(p, "t.csv", CSV.replace(",", ";")),
    "tsv": lambda p: written(p, "t.tsv", CSV.replace(",", "\t")),
    "txt with a byte order mark": lambda p: written(p, "t.txt", "\ufeff" + CSV),
    "parquet": lambda p: stored(p, "parquet"),
    "feather": lambda p: stored(p, "feather"),
    "arrow": lambda p: stored(p, "arrow"),
    "duckdb file": duckdb_file,
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_columns(name, tmp_path):
    source = open_table(SOURCES[name](tmp_path))
    assert source.names == ("id", "x", "s", "b")
    table = source.take(["b", "id", "x", "s"])
    assert table.n_rows == source.n_rows == 3
    ids, x, s, b = (table.columns[k] for k in ("id", "x", "s", "b"))
    assert [c.kind for c in (ids, x, s, b)] == ["number", "number", "string", "boolean"]
    assert ids.missing.tolist() == [False, True, False]
    assert ids.values.dtype == np.int64
    assert int(ids.values[2]) == BIG
    assert x.missing.tolist() == [False, False, True]
    assert x.values[:2].tolist() == [1.5, 2.0]
    assert s.missing.tolist() == [False, True, False]
    assert (s.values[0], s.values[2]) == ("b", "a")
    assert b.missing.tolist() == [False, False, True]
    assert b.values.dtype == bool
    assert b.values[:2].tolist() == [True, False]


def test_gzip_csv(tmp_path):
    import gzip

    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert open_table(path).take(["x"]).columns["x"].values[0] == 1.5


def test_only_taken_columns_are_converted():
    source = open_table(pl.DataFrame({"x": [1.0], "nested": [[1, 2]]}))
    assert source.take(["x"]).columns["x"].values.tolist() == [1.0]


def test_categories_keep_their_order_and_type():
    frame = pd.DataFrame({"f": pd.Categorical([3, 1, None], categories=[3, 2, 1])})
    column = open_table(frame).take(["f"]).columns["f"]
    assert (column.kind, column.categories) == ("categorical", (3, 2, 1))
    assert column.missing.tolist() == [False, False, True]
    assert column.values[:2].tolist() == [3, 1]


@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame({"f": pl.Series(["b", "a", None], dtype=pl.Enum(["b", "a"]))}),
        duckdb.sql("SELECT unnest(['b', 'a', NULL]::ENUM('b', 'a')[]) AS f"),
        pa.table({"f": pa.array(["b", "a", None]).dictionary_encode()}),
    ],
    ids=["polars", "duckdb", "arrow"],
)
def test_enumerations_are_categorical(data):
    column = open_table(data).take(["f"]).columns["f"]
    assert (column.kind, column.categories) == ("categorical", ("b", "a"))
    assert column.missing.tolist() == [False, False, True]
    assert column.values[:2].tolist() == ["b", "a"]


def arrow_dictionary(ordered):
    codes, values = pa.array([1, 0, None]), pa.array(["b", "a"])
    return pa.DictionaryArray.from_arrays(codes, values, ordered=ordered)


UNORDERED = pd.Categorical(["a", "b", None])
ORDER = {
    "pandas": ({"f": UNORDERED.as_ordered()}, True),
    "pandas unordered": ({"f": UNORDERED}, False),
    "pandas frame": (pd.DataFrame({"f": UNORDERED.as_ordered()}), True),
    "polars enum": (pl.DataFrame({"f": pl.Series(["a", None], dtype=pl.Enum(["b", "a"]))}), True),
    "polars categorical": ({"f": pl.Series(["a", None], dtype=pl.Categorical)}, False),
    "arrow": (pa.table({"f": arrow_dictionary(True)}), True),
    "arrow unordered": (pa.table({"f": arrow_dictionary(False)}), False),
    "duckdb": (duckdb.from_df(pd.DataFrame({"f": UNORDERED})), False),
    "strings": ({"f": ["a", "b", None]}, False),
}


@pytest.mark.parametrize("name", ORDER)
def test_categories_are_ordered_only_where_the_table_says_so(name):
    data, ordered = ORDER[name]
    column = open_table(data).take(["f"]).columns["f"]
    assert column.ordered is ordered
    assert column.rows(~column.missing).ordered is ordered


def test_the_order_survives_a_file(tmp_path):
    pyarrow.feather.write_feather(ORDER["arrow"][0], str(tmp_path / "t.feather"))
    column = open_table(tmp_path / "t.feather").take(["f"]).columns["f"]
    assert (column.ordered, column.categories) == (True, ("b", "a"))


@pytest.mark.parametrize(
    "days",
    [
        pd.Series(pd.to_datetime(["2020-01-01", None])),
        pd.Series(pd.to_datetime(["2020-01-01 05:00", None])).dt.tz_localize("Asia/Karachi"),
        pl.Series([datetime.date(2020, 1, 1), None]),
        [datetime.date(2020, 1, 1), None],
        np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
    ],
    ids=["pandas", "time zone", "polars", "list", "numpy"],
)
def test_dates(days):
    column = open_table({"d": days}).take(["d"]).columns["d"]
    assert column.kind == "date"
    assert column.missing.tolist() == [False, True]
    assert column.values[0] == np.datetime64("2020-01-01")


def test_dates_in_csv(tmp_path):
    column = open_table(written(tmp_path, "t.csv", "d\n2020-01-01\n")).take(["d"]).columns["d"]
    assert column.kind == "date"


def test_numbers_of_every_width():
    data = {
        "u": np.array([2**64 - 1], dtype=np.uint64),
        "small": np.array([7], dtype=np.uint64),
        "h": np.array([0.5], dtype=np.float16),
        "d": [decimal.Decimal("1.25")],
        "big": [2**63],
        "mixed": [np.int8(3)],
    }
    columns = open_table(data).take(data).columns
    assert int(columns["u"].values[0]) == 2**64 - 1
    assert columns["small"].values.dtype == np.int64
    assert columns["h"].values.dtype == np.float64
    assert columns["d"].values.tolist() == [1.25]
    assert int(columns["big"].values[0]) == 2**63
    assert columns["mixed"].values.dtype == np.int64
    frame = pl.DataFrame(
        {"d": [decimal.Decimal("1.25")], "u": pl.Series([2**64 - 1], dtype=pl.UInt64)}
    )
    columns = open_table(frame).take(["d", "u"]).columns
    assert columns["d"].values.tolist() == [1.25]
    assert int(columns["u"].values[0]) == 2**64 - 1


def test_mixed_objects_become_strings_and_infinity_is_not_missing():
    table = open_table({"m": [1, "a", None], "x": [1, np.inf, np.nan]}).take(["m", "x"])
    assert table.columns["m"].kind == "string"
    assert table.columns["m"].values[:2].tolist() == ["1", "a"]
    assert table.columns["m"].missing.tolist() == [False, False, True]
    assert table.columns["x"].missing.tolist() == [False, False, True]


def test_names_that_differ_only_in_case_or_spaces_stay_apart(tmp_path):
    path = written(tmp_path, "t.csv", "x,X, x ,\n1,2,3,4\n")
    source = open_table(path)
    assert source.names == ("x", "X", " x ", "column3")
    values = {n: int(c.values[0]) for n, c in source.take(source.names).columns.items()}
    assert values == {"x": 1, "X": 2, " x ": 3, "column3": 4}
    pl.DataFrame({"x": [1], "s": [{"X": 1}], "X": [2]}).write_parquet(tmp_path / "t.parquet")
    source = open_table(tmp_path / "t.parquet")
    assert source.names == ("x", "s", "X")
    assert int(source.take(["X"]).columns["X"].values[0]) == 2


def test_a_late_string_and_quoted_lines_survive(tmp_path):
    body = "".join(f"{i},1\n" for i in range(30_000)) + 'id9,"1"\n"a,\nb",2\n'
    column = open_table(written(tmp_path, "t.csv", "id,x\n" + body)).take(["id", "x"])
    assert column.n_rows == 30_002
    assert column.columns["id"].kind == "string"
    assert column.columns["id"].values[-1] == "a,\nb"
    assert column.columns["x"].values[-1] == 2


def test_paths_with_pattern_characters(tmp_path):
    assert open_table(written(tmp_path, "a[1]*.csv", "x\n1\n")).take(["x"]).n_rows == 1


def test_integer_names_and_frames_with_odd_names():
    frame = pd.DataFrame({5: [1.0], "n_rows": [2.0], "take": [3.0], "columns": [4.0]})
    table = open_table(frame).take(["5", "n_rows", "take", "columns"])
    assert [c.values[0] for c in table.columns.values()] == [1.0, 2.0, 3.0, 4.0]


def test_a_duckdb_file_is_not_created(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        open_table(str(tmp_path / "typo.duckdb::t"))
    assert list(tmp_path.iterdir()) == []


def test_reading_a_csv_imports_neither_pandas_nor_formulaic(tmp_path):
    path = written(tmp_path, "t.csv", "y,x,g\n1,2,a\n2,4,b\n3,5,a\n4,7,b\n")
    code = f"""
import sys
from partialpool.design import build_design
from partialpool.formula import parse_formula
design = build_design(parse_formula("y ~ x + (x | g)"), {str(path)!r})
assert design.n_rows == 4
sys.exit(any(m in sys.modules for m in ("pandas", "formulaic", "scipy", "narwhals", "pyarrow")))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "uint64", "float", "double"])
@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize("pieces", [1, 3])
def test_numbers_of_arrow_are_those_of_lists(kind, lacking, pieces):
    """With and without missing values, of one piece or several, where one begins in the middle."""
    given = [3, 0, None if lacking else 7, 100, 2]
    if kind in ("float", "double"):
        given[1] = float("nan")
    if kind == "uint64":
        given[3] = 2**64 - 1
    parts = [
        pa.array(
            [9, *given], getattr(pa, {"float": "float32", "double": "float64"}.get(kind, kind))()
        )[1:]
    ]
    table = pa.table({"x": pa.chunked_array(parts * pieces), "y": range(5 * pieces)})
    found = open_table(table).take(["x"]).columns["x"]
    missing = [v is None or v != v for v in given] * pieces
    assert found.missing.tolist() == missing
    kept = [v for v, none in zip(given * pieces, missing, strict=True) if not none]
    assert found.values[~found.missing].tolist() == kept
    whole = "uint64" if kind == "uint64" else "int64"
    assert found.values.dtype == ("float64" if kind in ("float", "double") else whole)


def test_batches_that_are_read_ahead_end_with_the_pass(tmp_path):
    """Who stops in the middle leaves no thread behind, and the table can be read again."""
    pa.parquet.write_table(pa.table({"x": range(50_000)}), tmp_path / "t.parquet")
    frames = open_table(tmp_path / "t.parquet").frames(["x"])
    before = set(threading.enumerate())
    batches = frames.open(["x"], 2048)
    first = next(batches)
    assert set(threading.enumerate()) > before
    batches.close()
    assert set(threading.enumerate()) == before
    again = [batch["x"].to_pylist() for batch in frames.open(["x"], 2048)]
    assert again[0] == first["x"].to_pylist()
    assert list(itertools.chain(*again)) == list(range(50_000))
