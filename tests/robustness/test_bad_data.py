"""Tables that cannot be used: one clear line each, never another library's exception."""

import gzip

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partialpool.data import open_table
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula

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
        read(make())


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
        read({"x": values})


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
    "table.xlsx": (b"PK", "cannot be read"),
    "table.xls": (b"PK", "is a spreadsheet of a kind that is not read: save it as `.xlsx` or CSV"),
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
    with pytest.raises(InputError, match="is a folder without Parquet files"):
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


CAT = {"categories": ["lo", "mid", "hi"], "ordered": True}
RESPONSES = {
    "text": ("ordered", ["lo", "hi", "lo"], "is text without an order.*`ordered=True`.*whole"),
    "unordered": ("ordered", pd.Categorical(["lo", "hi", "lo"]), "has categories without an order"),
    "unordered polars": ("ordered", pl.Series(["b", "a", "b"], dtype=pl.Categorical), "an order"),
    "unordered arrow": ("ordered", pa.array(["b", "a", "b"]).dictionary_encode(), "an order"),
    "fractions": ("ordered", [1, 2.5, 3], "`y` is not a whole number in 1 row"),
    "one number": ("ordered", [2, 2, 2], "`y` is 2 in every row.*nothing to explain"),
    "one category": ("ordered", pd.Categorical(["lo"] * 3, **CAT), "`y` is lo in every row"),
    "always true": ("ordered", [True] * 3, "`y` is True in every row"),
    "dates": ("ordered", np.arange(3).astype("datetime64[D]"), "`y` is not a number"),
    "stray text": (
        "ordered",
        [*map(str, range(20)), "x"],
        r"the response `y` has text among its numbers \(`x`\) \(row 21, counted from 1\): correct",
    ),
    "all 0": ("binary", [0, 0, 0], "`y` is 0 in every row.*nothing to explain"),
    "all 1": ("binary", [1, 1, 1], "`y` is 1 in every row"),
    "all false": ("binary", [False] * 3, "`y` is 0 in every row"),
    "binary text": ("binary", ["b", "a", "b"], '`{y == "b"} ~ …`'),
    "binary dates": ("binary", np.arange(3).astype("datetime64[D]"), "`y` is not a number"),
    "unknown": ("binry", [0, 1, 0], "unknown response `binry`: did you mean `binary`"),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_responses(name):
    response, y, message = RESPONSES[name]
    data = {"y": y, "x": np.arange(len(y)) ** 2.0}
    with pytest.raises(InputError, match=message):
        build_design(parse_formula("y ~ x"), data, response=response)


@pytest.mark.parametrize("text", ["y ~ 0 + x", "y ~ x - 1", "y ~ 0 + (1 | g)"])
def test_an_ordered_response_has_no_intercept_to_leave_out(text):
    data = {"y": [1, 2, 3, 1], "x": [1.0, 2.0, 4.0, 3.0], "g": list("abab")}
    with pytest.raises(InputError, match=r"thresholds in place of an intercept.*without `0 \+`"):
        build_design(parse_formula(text), data, response="ordered")


ROLES = {
    "zero trials": ({"trials": [1, 0, 2]}, r"in 1 row \(the first is 0 in row 2, counted from 1\)"),
    "part of a trial": ({"trials": [1, 2.5, -1]}, "not a positive whole number in 2 rows.*2.5"),
    "infinite trials": ({"trials": [1, np.inf, 2]}, "`trials` is infinite"),
    "text trials": ({"trials": ["a", "b", "c"]}, "`trials` holds no numbers"),
    "short trials": ({"trials": [3, 4]}, "`trials` has 2 values for 3 rows"),
    "unknown trials": ({"trials": "xx"}, "no column `xx`"),
    "one trial number": ({"trials": 2.5}, "`trials` is 2.5: give a positive whole number"),
    "no trials": ({"trials": 0}, "`trials` is 0: give"),
    "true trials": ({"trials": True}, "`trials` is True: give"),
    "trials beyond measure": ({"trials": 10**400}, "`trials` is 1000.*: give"),
    "undefined trials": ({"trials": float("nan")}, "`trials` is nan: give"),
    "zero exposure": ({"exposure": [1.0, 2.0, 0.0]}, "zero or negative in 1 row .*in row 3"),
    "negative exposure": ({"exposure": [-1.0, 2.0, 0.5]}, "`exposure` is zero or .* -1 in row 1"),
    "no exposure": ({"exposure": -3.0}, "`exposure` is -3.0: give a positive number"),
    "text": ({"exposure": b"t"}, "`exposure` is a single value"),
    "true exposure": ({"exposure": True}, "`exposure` is True: give a number"),
    "tiny error": ({"se": [1.0, 1e-320, 1.0]}, "`se` is too close to 0 .* in 1 row .* in row 2"),
    "huge weight": ({"weights": [1.0, 1e308, 1.0]}, "`weights` is too close to 0 or too large"),
    "trials beyond counts": ({"trials": [1.0, 1e17, 2.0]}, "not a positive whole number in 1 row"),
    "infinite exposure": ({"exposure": [1.0, np.inf, 1.0]}, "`exposure` is infinite"),
    "negative weight": ({"weights": [1.0, 0.0, -2.0]}, "negative in 1 row .*-2 in row 3.*give 0"),
    "no weight": ({"weights": [0, 0, 0]}, "`weights` is 0 in every complete row: give some"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROLES)
def test_columns_with_a_role(name):
    options, message = ROLES[name]
    data = {"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 5.0]}
    with pytest.raises(InputError, match=message):
        build_design(parse_formula("y ~ x"), data, **options)


def test_places_count_the_rows_of_the_table_also_where_some_are_dropped():
    data = {"y": [1.0, np.nan, 4.0, 3.0], "x": [1.0, 2.0, 5.0, 4.0]}
    with pytest.raises(InputError, match="in row 3, counted"):
        build_design(parse_formula("y ~ x"), data, trials=[1, 1, 0, 1])
    with pytest.raises(InputError, match="in row 3, counted"):
        build_design(parse_formula("y ~ x"), data, weights=[1, 1, -1, 1])


def test_combinations_that_would_share_a_name():
    data = {"y": [1.0, 2.0, 4.0], "a": ["p:q", "p", "p"], "b": ["r", "q:r", "r"]}
    with pytest.raises(InputError, match="`a`, `b` would both be called `p:q:r`: rename"):
        build_design(parse_formula("y ~ 1 + (1 | a:b)"), data)
    data = {"y": [1.0, 2.0, 4.0], "a": pd.Categorical([1, "1", 1]), "b": ["r", "r", "s"]}
    with pytest.raises(InputError, match="would both be called `1:r`"):
        build_design(parse_formula("y ~ 1 + (1 | a:b)"), data)


def test_fractions_are_no_levels_of_a_combination():
    data = {"y": [1.0, 2.0, 4.0], "a": [0.5, 1.0, 2.0], "b": ["r", "q", "r"]}
    with pytest.raises(InputError, match="grouping column `a` holds fractions"):
        build_design(parse_formula("y ~ 1 + (1 | b:a)"), data)


@pytest.mark.parametrize(
    ("roles", "response"),
    [
        ({"trials": [10, 50, 100]}, "number"),
        ({"trials": [10, 50, 100]}, "binary"),
        ({"exposure": [1.0, 5.0, 2.0]}, "number"),
    ],
)
@pytest.mark.parametrize("count", [0, 2])
def test_equal_counts_out_of_different_trials_or_exposures_are_results(roles, response, count):
    data = {"y": [count] * 3}
    design = build_design(parse_formula("y ~ 1"), data, response=response, **roles)
    assert design.y.tolist() == [count] * 3
