"""Files of every kind, and that reading one never reads another."""

import gzip
import io
import sqlite3
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import partialpool as pp
from partialpool.data import open_table, read
from partialpool.data.excel import _MOST_CELLS
from partialpool.data.relations import connect
from workbook import write_workbook

NAMES = ["id", "x", "s"]
ROWS = [(1, 1.5, "b"), (2, None, "ä"), (3, -2.25, None)]
CSV = "id,x,s\n1,1.5,b\n2,NA,ä\n3,-2.25,\n"


def seen(source):
    table = source.take(NAMES, ["s"])
    return [
        [None if m else v for v, m in zip(c.values.tolist(), c.missing, strict=True)]
        for c in table.columns.values()
    ]


EXPECTED = [list(column) for column in zip(*ROWS, strict=True)]


def whole(data):
    source = open_table(data)
    return source.take(source.names)


def database(path):
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "my t" (id INTEGER, x, s TEXT)')
        connection.executemany('INSERT INTO "my t" VALUES (?, ?, ?)', ROWS)
        connection.execute('CREATE VIEW v AS SELECT * FROM "my t"')
    connection.close()
    return path


def standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def several(folder):
    folder.mkdir()
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    for k in range(3):
        frame[k : k + 1].write_parquet(folder / f"part{k}.parquet")
    (folder / "_SUCCESS").write_text("")
    (folder / ".part9.parquet.crc").write_text("x")
    return folder


FILES = {
    "packed": lambda p: written(p / "t.csv.gz", gzip.compress(CSV.encode())),
    "packed twice over": lambda p: written(
        p / "t.csv.gz", gzip.compress(CSV[:20].encode()) + gzip.compress(CSV[20:].encode())
    ),
    "packed by another name": lambda p: written(p / "t.csv", gzip.compress(CSV.encode())),
    "wide": lambda p: written(p / "t.csv", CSV.encode("utf-16")),
    "wide and packed": lambda p: written(p / "t.txt.gz", gzip.compress(CSV.encode("utf-16"))),
    "said by Excel": lambda p: written(p / "t.csv", ("sep=;\n" + CSV.replace(",", ";")).encode()),
    "lines of Windows": lambda p: written(p / "t.csv", CSV.replace("\n", "\r\n").encode()),
    "sqlite": lambda p: f"{database(p / 'd.sqlite')}::my t",
    "sqlite by another name": lambda p: f"{database(p / 'd.db')}::my t",
    "view of sqlite": lambda p: f"{database(p / 'd.sqlite')}::v",
    "folder": lambda p: several(p / "parts"),
    "pattern": lambda p: f"{several(p / 'parts')}/part*.parquet",
    "pattern of folders": lambda p: f"{several(p / 'parts').parent}/*s/part*.parquet",
    "sheet": lambda p: write_workbook(p / "t.xlsx", data=[NAMES, *ROWS]),
    "sheet by name": lambda p: (
        f"{write_workbook(p / 't.xlsx', a=[['q'], [1]], b=[NAMES, *ROWS])}::b"
    ),
    "sheet with empty ends": lambda p: write_workbook(
        p / "t.xlsx", data=[[*NAMES, "", ""], *([*row, "", ""] for row in ROWS), [""] * 5]
    ),
}


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("small", [True, False])
def test_files(name, small, tmp_path, monkeypatch):
    if not small:
        monkeypatch.setattr("partialpool.data.lines.SMALL", -1)
    source = open_table(FILES[name](tmp_path))
    assert source.names == tuple(NAMES)
    assert seen(source) == EXPECTED
    assert source.n_rows == 3


@pytest.mark.parametrize(
    "content", [CSV.encode(), gzip.compress(CSV.encode(), mtime=0)], ids=["plain", "packed"]
)
def test_standard_input(content, monkeypatch):
    standard_input(monkeypatch, content)
    source = open_table("-")
    assert (seen(source), source.source) == (EXPECTED, "standard input")
    standard_input(monkeypatch, b"")
    with pytest.raises(pp.InputError, match="`standard input` is empty: give a file with data"):
        open_table("-")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "mac-roman"])
def test_encodings_that_are_said(encoding, tmp_path):
    path = written(tmp_path / "t.csv", CSV.encode(encoding))
    assert seen(read(path, encoding=encoding)) == EXPECTED
    packed = written(tmp_path / "t.csv.gz", gzip.compress(CSV.encode(encoding)))
    assert seen(read(packed, encoding=encoding)) == EXPECTED


@pytest.mark.parametrize("small", [True, False])
def test_other_encodings_are_refused_with_a_word_on_what_to_say(small, tmp_path, monkeypatch):
    if not small:
        monkeypatch.setattr("partialpool.data.lines.SMALL", -1)
    path = written(tmp_path / "t.csv", CSV.encode("latin-1"))
    with pytest.raises(
        pp.InputError, match=r"not UTF-8 text: say what it is, .*encoding=\"cp1252\""
    ):
        seen(open_table(path))
    with pytest.raises(pp.InputError, match="is not utf-16-le text"):
        read(written(tmp_path / "u.csv", b"x\n1\n2"), encoding="utf-16-le")


@pytest.mark.parametrize("named", [True, False])
def test_copies_go_when_nobody_reads_them(named, tmp_path, monkeypatch):
    """Where files without a name can be read, there is none to go."""
    if named:
        monkeypatch.setattr("partialpool.files.unpack._OPEN_FILES", "/nowhere")
    elif not Path("/proc/self/fd").is_dir():
        pytest.skip("files have names here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("partialpool.data.lines.SMALL", -1)
    source = open_table(written(tmp_path / "t.csv.gz", gzip.compress(CSV.encode())))
    assert len(list((tmp_path / "temporary").iterdir())) == named
    assert seen(source) == EXPECTED
    del source
    assert list((tmp_path / "temporary").iterdir()) == []
    with pytest.raises(pp.InputError, match="cannot be read"):
        open_table(written(tmp_path / "u.csv.gz", gzip.compress(CSV.encode())[:-5]))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_sheets_speak_like_csv(tmp_path):
    rows = [
        ["g", "x", "b", "n"],
        ["01", 1.5, True, 5.0],
        ["1", "NA", False, "-"],
        ["01", 2, True, 7],
    ]
    table = open_table(write_workbook(tmp_path / "t.xlsx", data=rows)).take(["g", "x", "b", "n"])
    g, x, b, n = table.columns.values()
    assert g.labels.tolist() == ["01", "1", "01"]
    assert (x.kind, x.missing.tolist()) == ("number", [False, True, False])
    assert (b.kind, b.values.tolist()) == ("boolean", [True, False, True])
    assert (n.kind, n.values[[0, 2]].tolist()) == ("number", [5, 7])
    assert [note.code for note in n.notes] == ["missing-marks"]


BAD = {
    "no sheet": (
        lambda p: f"{write_workbook(p / 't.xlsx', data=[['a'], [1]])}::dat",
        "no sheet `dat`.*`data`",
    ),
    "which sheet": (
        lambda p: write_workbook(p / "t.xlsx", a=[["q"], [1]], b=[["q"], [1]]),
        r"has 2 sheets: give one of `t.xlsx::a`, `t.xlsx::b`",
    ),
    "empty sheet": (lambda p: write_workbook(p / "t.xlsx", data=[]), "has no header"),
    "no rows": (lambda p: write_workbook(p / "t.xlsx", data=[["a"]]), "has no rows"),
    "names twice": (
        lambda p: write_workbook(p / "t.xlsx", data=[["a", "a"], [1, 2]]),
        "`a` occurs more",
    ),
    "no table": (lambda p: f"{database(p / 'd.sqlite')}::my", "no table `my` in .*`my t`"),
    "no table named": (lambda p: database(p / "d.sqlite"), "is a database.*d.sqlite::table`"),
    "no sqlite": (
        lambda p: f"{written(p / 'd.sqlite', b'SQLite format 3' + bytes(100))}::t",
        "cannot be read",
    ),
    "empty folder": (lambda p: p, "is a folder without Parquet files"),
    "no match": (lambda p: f"{p}/*.parquet", "no file is called like"),
    "other matches": (
        lambda p: f"{written(p / 'a.csv', b'x') and written(p / 'b.csv', b'x') and p}/*.csv",
        "names several files, and `a.csv` is no Parquet file",
    ),
    "spreadsheet": (lambda p: written(p / "t.ods", b"x"), "save it as `.xlsx` or CSV"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name, tmp_path):
    make, message = BAD[name]
    with pytest.raises(pp.InputError, match=message):
        open_table(make(tmp_path)).take(["a"])


def test_a_sheet_with_a_cell_far_away_is_refused_before_room_is_made_for_it(tmp_path):
    path = write_workbook(tmp_path / "t.xlsx", data=[["a"], [1]])
    parts = {}
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    far = b'</row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"</row></sheetData>", far)
    with zipfile.ZipFile(path, "w") as book:
        for part, content in parts.items():
            book.writestr(part, content)
    assert _MOST_CELLS < 1048576 * 16384
    with pytest.raises(pp.InputError, match="cells up to row 1048576 and column 16384: delete"):
        open_table(path)


def test_parquet_files_that_do_not_continue_one_another(tmp_path):
    frame = pl.DataFrame({"x": [1, 2], "y": [1.5, 2.5]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.select("x").write_parquet(tmp_path / "b.parquet")
    with pytest.raises(
        pp.InputError, match=r"`b\.parquet` has other columns than `a\.parquet`: `y`"
    ):
        open_table(tmp_path)
    frame.with_columns(pl.col("x").cast(pl.Float64)).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(pp.InputError, match=r"`x` is of type double in `b\.parquet` and bigint in"):
        open_table(tmp_path)
    frame.with_columns(pl.col("x").cast(pl.Int8)).write_parquet(tmp_path / "b.parquet")
    assert open_table(tmp_path).take(["x"]).columns["x"].values.tolist() == [1, 2, 1, 2]
    (tmp_path / "year=2019").mkdir()
    frame.write_parquet(tmp_path / "year=2019" / "a.parquet")
    with pytest.raises(pp.InputError, match="divided by folders such as `year=2019`"):
        open_table(tmp_path)


def test_a_folder_is_read_only_if_its_files_are_the_table(tmp_path):
    frame = pl.DataFrame({"x": [1, 2]})
    frame.write_parquet(tmp_path / "a.parquet")
    for name in ("_temporary", ".hidden", "notes"):  # nothing of the table is in there
        (tmp_path / name).mkdir()
    frame.write_parquet(tmp_path / "_temporary" / "b.parquet")
    assert open_table(tmp_path).n_rows == 2
    (tmp_path / "b.parquet").symlink_to(tmp_path / "a.parquet")
    with pytest.raises(pp.InputError, match=r"`b\.parquet` and `a\.parquet` are one file"):
        open_table(tmp_path)
    (tmp_path / "b.parquet").unlink()
    for log, kind in {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}.items():
        (tmp_path / log).mkdir()
        with pytest.raises(pp.InputError, match=f"is a {kind} table"):
            open_table(tmp_path)
        (tmp_path / log).rmdir()
    (tmp_path / "notes" / "more").mkdir()
    frame.write_parquet(tmp_path / "notes" / "more" / "b.parquet")
    with pytest.raises(pp.InputError, match="has Parquet files in folders, such as `notes`"):
        open_table(tmp_path)
    assert open_table(f"{tmp_path}/**/*.parquet").n_rows == 6


# --- A file that is read reads no other -----------------------------------------------------------

SECRETS = {
    "csv": "SELECT * FROM read_csv('{secret}')",
    "text": "SELECT content FROM read_text('{secret}')",
    "blob": "SELECT content FROM read_blob('{secret}')",
    "path": "SELECT * FROM '{secret}'",
    "parquet": "SELECT * FROM read_parquet('{folder}/secret.parquet')",
    "glob": "SELECT * FROM glob('{folder}/*')",
    "sniff": "SELECT Delimiter FROM sniff_csv('{secret}')",
    "query": "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "macro": "SELECT * FROM m()",
}


@pytest.mark.parametrize("name", SECRETS)
def test_views_of_a_duckdb_file_read_no_other_file(name, tmp_path):
    secret = written(tmp_path / "secret.csv", b"a,b\n1,2\n")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "secret.parquet")
    path = tmp_path / "d.duckdb"
    with duckdb.connect(str(path)) as connection:
        if name == "macro":
            connection.execute(f"CREATE MACRO m() AS TABLE SELECT * FROM read_text('{secret}')")
        view = SECRETS[name].format(secret=secret, folder=tmp_path)
        connection.execute(f"CREATE VIEW v AS {view}")
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        connection.execute("CREATE VIEW w AS SELECT x FROM t")
    with pytest.raises(pp.InputError, match="is a view of other files") as caught:
        whole(f"{path}::v")
    assert "\n" not in str(caught.value)
    assert open_table(f"{path}::w").take(["x"]).columns["x"].values.tolist() == [1]


def test_views_of_a_duckdb_file_see_no_variables_of_ours(tmp_path):
    hidden_frame = pd.DataFrame({"q": [1]})
    assert len(hidden_frame) == 1
    path = tmp_path / "d.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE hidden_frame AS SELECT 1 AS q")
        connection.execute("CREATE VIEW v AS SELECT * FROM hidden_frame")
        connection.execute("DROP TABLE hidden_frame")
    with pytest.raises(pp.InputError, match="cannot be read"):
        open_table(f"{path}::v").take(["q"])


# --- What is fitted does not follow later changes -------------------------------------------------

MUTABLE = {
    "float64": lambda: np.arange(12.0),
    "int64": lambda: np.arange(12),
    "float32": lambda: np.arange(12, dtype=np.float32),
    "bool": lambda: np.arange(12) % 2 == 0,
    "dates": lambda: np.arange(12).astype("datetime64[D]"),
    "objects": lambda: np.array([f"a{k % 3}" for k in range(12)], dtype=object),
    "masked": lambda: np.ma.array(np.arange(12.0), mask=np.zeros(12, dtype=bool)),
}


@pytest.mark.parametrize("kind", MUTABLE)
def test_columns_do_not_follow_what_they_were_made_from(kind):
    values = MUTABLE[kind]()
    for make in (
        lambda v: {"x": v},
        lambda v: {"x": pd.Series(v)},
        lambda v: pd.DataFrame({"x": v}),
    ):
        data = make(values)
        column = open_table(data).take(["x"]).columns["x"]
        before = column.values.copy()
        values[3:6] = values[0]
        if isinstance(data, pd.DataFrame):
            data.iloc[3:6, 0] = data.iloc[0, 0]
        assert column.values.tolist() == before.tolist()
        values = MUTABLE[kind]()


def test_a_fit_does_not_follow_later_changes():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.arange(40) % 5}
    weights = np.ones(40)
    fit = pp.fit(
        "y ~ x + (1 | g)", data, weights=weights, seed=1, chains=2, draws=100, progress=False
    )
    before = fit.predict()["mean"].to_numpy()
    for values in (*data.values(), weights):
        values[:] = 7
    assert fit.predict()["mean"].to_numpy().tolist() == before.tolist()
    assert fit.check(draws=50).table.loc["mean", "observed"] != 7


# --- pp.read --------------------------------------------------------------------------------------


def test_read_tells_what_each_column_is_taken_for(tmp_path):
    text = "id;x;d;when;ok;n\n01;1,5;a;2020-01-01;true;1\n2;-;b;2020-02-01;FALSE;1\n"
    shown = repr(read(written(tmp_path / "t.csv", text.encode())))
    assert shown.splitlines() == [
        "t.csv: 2 rows",
        "  id    numbers from 1 to 2",
        "  x     1.5 in every row, 1 missing",
        "  d     text: `a`, `b`",
        "  when  dates from 2020-01-01 to 2020-02-01",
        "  ok    true or false",
        "  n     1 in every row",
        "In `x` these are taken as missing (rows): `-` (1). If one of them is a value, say which "
        "marks",
        "are not: `pp.read(…, na=[…])`.",
        "`x` is read with decimal commas: `1,5` is 1.5.",
    ]


OPTIONS = {
    "decimal": ({"decimal": ";"}, "`decimal` is ';'"),
    "encoding": ({"encoding": "utf-99"}, "`encoding` is 'utf-99', which is not known"),
    "no text": ({"encoding": "hex"}, "`encoding` is 'hex', which is not known"),
    "na": ({"na": [True]}, r"`na` is \[True\]: give marks"),
    "text": ({"text": "nme"}, "`text` names `nme`, which is no column of t.csv: did you mean"),
    "numbers": ({"text": 3}, "`text` is 3: give names of columns"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options(name, tmp_path):
    options, message = OPTIONS[name]
    with pytest.raises(pp.InputError, match=message):
        read(written(tmp_path / "t.csv", b"name,x\na,1\n"), **options)


def test_what_is_said_holds_for_tables_with_types(tmp_path):
    frame = pd.DataFrame({"id": [1, 2, -99], "x": [1.5, -99.0, 3.0], "d": ["1,5", "q", "-99"]})
    table = read(frame, na=-99, text="id").take(["id", "x", "d"])
    ids, x, d = table.columns.values()
    assert (ids.kind, ids.values.tolist()) == ("string", ["1", "2", ""])
    assert ids.missing.tolist() == [False, False, True]
    assert x.missing.tolist() == [False, True, False]
    assert d.missing.tolist() == [False, False, True]
    with pytest.raises(pp.InputError, match="`encoding` is given, but the table is no text file"):
        read(frame, encoding="latin-1")
    pyarrow.parquet.write_table(pa.table(frame), tmp_path / "t.parquet")
    with pytest.raises(
        pp.InputError, match=r"`encoding` is given, but `t\.parquet` is no text file"
    ):
        read(tmp_path / "t.parquet", encoding="latin-1")
    with pytest.raises(pp.InputError, match="the table is open already"):
        read(read(frame))


def test_connections_look_into_nothing_of_ours():
    connection = connect()
    for name in ("python_enable_replacements", "autoload_known_extensions"):
        shown = connection.execute(f"SELECT current_setting('{name}')").fetchall()
        assert shown == [(False,)]


def test_a_library_does_not_print(tmp_path, monkeypatch):
    monkeypatch.setattr("partialpool.data.lines.SMALL", -1)
    reader = open_table(written(tmp_path / "t.csv", CSV.encode())).reader
    shown = reader._connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    assert shown == [(False,)]
