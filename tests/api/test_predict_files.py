"""Predictions from table to file in parts: the numbers of tables in memory, however cut."""

import csv
import gzip
import subprocess
import sys
import textwrap
import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import partialpool as pp
from partialpool import cli
from partialpool.predictions import batches, stream

RNG = np.random.default_rng(7)
N, J = 160, 12
G = RNG.permutation(np.repeat(np.arange(J), N // J + 1))[:N]
X = RNG.normal(size=N)
ETA = 0.3 + 0.4 * X + 0.6 * RNG.normal(size=J)[G]
P = 1 / (1 + np.exp(-ETA))
RESPONSES = {
    "gaussian": ETA + RNG.normal(size=N),
    "student_t": ETA + RNG.standard_t(5, N),
    "lognormal": np.exp(ETA + 0.5 * RNG.normal(size=N)),
    "bernoulli": (RNG.random(N) < P).astype(int),
    "binomial": RNG.binomial(7, P),
    "poisson": RNG.poisson(np.exp(ETA)),
    "negbinomial": RNG.negative_binomial(3, 3 / (3 + np.exp(ETA))),
    "gamma": RNG.gamma(2, np.exp(ETA) / 2),
    "beta": np.clip(RNG.beta(5 * P, 5 * (1 - P)), 0.001, 0.999),
    "cumulative": np.digitize(ETA + RNG.logistic(size=N), [-1, 0.5]),
    "hurdle_poisson": np.where(RNG.random(N) < 0.3, 0, RNG.poisson(np.exp(ETA))),
}
K = RNG.choice(["u", "v", "w"], N)
T = RNG.integers(1, 9, N)
QUICK = {"draws": 40, "warmup": 60, "chains": 2, "seed": 8, "progress": False}
NUMBERS = ["mean", "sd", "lower", "upper"]
M = 333


def fitted(family="gaussian", formula="y ~ x + k + (x | g)", **options):
    data = {"y": RESPONSES[family], "x": X, "k": K, "g": G, "t": T + 7}
    options |= {"trials": "t"} if family == "binomial" else {}
    with warnings.catch_warnings(action="ignore"):
        return pp.fit(formula, data, family=family, **QUICK | options)


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def new():
    """Rows with new levels, missing values, categories that come late, names that are taken."""
    frame = pd.DataFrame(
        {
            "mean": np.arange(M, dtype="int16"),
            "x": RNG.normal(size=M).round(1),
            "k": np.where(np.arange(M) < 200, "u", RNG.choice(["v", "w"], M)),
            "g": RNG.integers(0, J + 4, M),
            "t": RNG.integers(5, 20, M),
            "code": [f"{k:03}" for k in range(M)],
            "day": pd.Timestamp("2024-02-28") + pd.to_timedelta(np.arange(M), "D"),
            "yes": np.arange(M) % 3 == 0,
            "name": pd.Categorical(RNG.choice(["a,b", 'c"d', "é"], M)),
        }
    )
    frame.loc[RNG.random(M) < 0.1, "x"] = np.nan
    frame.loc[[3, 300], "k"] = None
    return frame


def assert_same(written, in_memory):
    got = written[[name for name in in_memory.columns if name in (*NUMBERS, *shares(in_memory))]]
    expected = in_memory[got.columns]
    assert got.isna().equals(expected.isna())
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def shares(frame):
    return [name for name in frame.columns if name.startswith("p[")]


# --- Numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", RESPONSES)
def test_every_family_in_parts_of_any_size(family, new, tmp_path, monkeypatch):
    fit = fitted(family)
    new.to_parquet(tmp_path / "new.parquet", row_group_size=100)
    for kind in ("mean", "observation", "linear"):
        expected = fit.predict(new, kind=kind, interval=0.8)
        for rows in (1_000, 64, 37) if kind == "observation" else (37,):
            monkeypatch.setattr(stream, "ROWS", rows)
            done = fit.predict(
                tmp_path / "new.parquet", kind=kind, interval=0.8, out=tmp_path / "out.parquet"
            )
            assert_same(pd.read_parquet(tmp_path / "out.parquet"), expected)
            assert list(done.notes) == expected.attrs["notes"]
            assert (done.rows, done.predicted) == (M, int(expected["mean"].notna().sum()))
            assert (done.kind, done.interval, done.seed) == (kind, 0.8, 8)


def test_observations_and_new_levels_do_not_hang_on_other_rows(new):
    """They belong to the row's place, and to the level's label."""
    fit = fitted("poisson")
    whole = fit.posterior_predictive(new, kind="observation")
    changed = new.assign(x=np.where(np.arange(M) % 2, new["x"], new["x"] + 1.0))
    other = fit.posterior_predictive(changed, kind="observation")
    same = (np.arange(M) % 2 == 1) & new["x"].notna() & new["k"].notna()
    assert same.sum() > 100
    assert np.array_equal(whole[:, :, same], other[:, :, same])
    drawn = fit.posterior_predictive(new, kind="linear", draws=40).to_numpy()
    twins = np.flatnonzero((new["g"] == J + 1) & new["x"].notna() & new["k"].notna())[:2]
    slope = fit.posterior_predictive(
        new.iloc[twins].assign(x=0.0, k="u").reset_index(drop=True), kind="linear"
    )
    assert drawn.shape[2] == M
    assert np.array_equal(slope[:, :, 0], slope[:, :, 1])


def test_several_factors_and_a_formula_of_sigma(new, tmp_path, monkeypatch):
    fit = fitted(formula="y ~ x + (x | g) + (1 | k)", sigma="~ x")
    new.to_parquet(tmp_path / "new.parquet")
    monkeypatch.setattr(stream, "ROWS", 48)
    for kind in ("mean", "observation"):
        for new_levels in ("sample", "population"):
            expected = fit.predict(new, kind=kind, new_levels=new_levels)
            fit.predict(
                tmp_path / "new.parquet",
                kind=kind,
                new_levels=new_levels,
                out=tmp_path / "out.feather",
            )
            assert_same(pd.read_feather(tmp_path / "out.feather"), expected)


def test_rows_that_are_alike_are_computed_once(new, monkeypatch):
    """And are what they are one by one."""
    from partialpool.predictions import summaries

    fit = fitted("bernoulli")
    some = new.dropna().assign(g=lambda frame: frame["g"] % 3, x=lambda frame: frame["x"].round())
    seen = []
    own = summaries.values_of

    def counting(evaluator, kind, at):
        seen.append(len(at))
        return own(evaluator, kind, at)

    monkeypatch.setattr(summaries, "values_of", counting)
    table = fit.predict(some)
    assert sum(seen) == len(some[["x", "k", "g"]].drop_duplicates()) < len(some) / 2
    for row in (0, 50, 150):
        alone = fit.predict(some.iloc[[row]])
        np.testing.assert_allclose(alone[NUMBERS], table[NUMBERS].iloc[[row]], rtol=1e-12)


# --- Tables in, files out -------------------------------------------------------------------------


def inputs(new, folder):
    """The same rows as everything that is read in parts."""
    new.to_parquet(folder / "new.parquet", row_group_size=50)
    new.to_csv(folder / "new.csv", index=False)
    new.to_csv(folder / "new.csv.gz", index=False)
    new.to_feather(folder / "new.feather")
    parts = folder / "parts"
    parts.mkdir()
    for k in range(3):
        new[k * 111 : (k + 1) * 111].to_parquet(parts / f"{k}.parquet")
    table = pa.Table.from_pandas(new, preserve_index=False)
    with pa.ipc.new_stream(str(folder / "stream.arrow"), table.schema) as writer:
        for batch in table.to_batches(60):
            writer.write_batch(batch)
    base = folder / "base.duckdb"
    with duckdb.connect(str(base)) as connection:
        connection.execute(f"CREATE TABLE rows AS FROM read_parquet('{folder / 'new.parquet'}')")
    return {
        "file": folder / "new.parquet",
        "text": str(folder / "new.csv"),
        "packed": folder / "new.csv.gz",
        "feather": folder / "new.feather",
        "arrow stream": folder / "stream.arrow",
        "folder": parts,
        "pattern": str(parts / "*.parquet"),
        "database": f"{base}::rows",
        "frame": new,
        "dict": {name: new[name].to_numpy() for name in new.columns if name != "name"},
        "polars": pl.from_pandas(new),
        "lazy": pl.scan_parquet(folder / "new.parquet"),
        "relation": duckdb.from_parquet(str(folder / "new.parquet")),
        "dataset": pa.dataset.dataset(parts),
        "scanner": pa.dataset.dataset(parts).scanner(batch_size=40),
        "arrow": table,
        "reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches(70)),
        "read": pp.read(folder / "new.csv", text="code"),
    }


def test_all_tables_give_the_same_in_all_formats(fit, new, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "ROWS", 64)
    monkeypatch.setattr(batches, "ROWS", 64)
    expected = fit.predict(new)
    for kind, data in inputs(new, tmp_path).items():
        for ending in ("parquet",) if kind == "reader" or kind == "scanner" else ("parquet", "csv"):
            out = tmp_path / f"out.{ending}"
            done = fit.predict(data, out=out)
            read = pd.read_parquet if ending == "parquet" else pd.read_csv
            got = read(out)
            assert_same(got, expected), kind
            own = [name for name in expected.columns if name != "name" or kind != "dict"]
            assert tuple(own) == done.columns == tuple(got.columns), kind
            if "code" in got:  # leading zeros stay
                assert [str(code)[-1] for code in got["code"]] == [code[-1] for code in new["code"]]
            if ending == "parquet" and kind != "dict":
                assert list(got["code"]) == list(new["code"]), kind
            assert any("`g` has 4 levels that the fit did not see" in note for note in done.notes)
            assert any("the column `mean` of the data" in note for note in done.notes)
            assert done.rows == M


def test_columns_keep_their_types_and_values(fit, new, tmp_path):
    given = pa.Table.from_pandas(new, preserve_index=False)
    given = given.append_column("list", pa.array([[1, 2]] * M))
    given = given.append_column("money", pa.array(range(M)).cast(pa.decimal128(21, 2)))
    pq.write_table(given, tmp_path / "new.parquet")
    fit.predict(tmp_path / "new.parquet", out=tmp_path / "out.parquet")
    got = pq.read_table(tmp_path / "out.parquet")
    given = pq.read_table(tmp_path / "new.parquet").rename_columns(
        ["data_mean", *given.column_names[1:]]
    )
    assert got.select(given.column_names).equals(given)
    assert [str(got.schema.field(name).type) for name in NUMBERS] == ["double"] * 4
    # What is missing is null, for whoever reads Parquet.
    assert got["mean"].null_count == int((new["x"].isna() | new["k"].isna()).sum())


def test_text_is_written_as_it_stands(fit, tmp_path):
    lines = ["x;g;note;z", '1,50;3;"a ""b"";";007', ";2;;1e1", "-0,25;99; c ;", "12;1;é;x"]
    (tmp_path / "new.csv").write_text("\n".join(lines), encoding="utf-8")
    model = fitted(formula="y ~ x + (x | g)")
    done = model.predict(tmp_path / "new.csv", out=tmp_path / "out.tsv")
    with open(tmp_path / "out.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[0] == ["x", "g", "note", "z", *NUMBERS]
    with open(tmp_path / "new.csv", encoding="utf-8", newline="") as file:
        given = list(csv.reader(file, delimiter=";"))[1:]
    assert [row[:4] for row in rows[1:]] == given
    expected = model.predict({"x": [1.5, -0.25, 12.0], "g": [3, 99, 1]})
    got = np.array([[float(x) for x in row[4:]] for row in rows[1:] if row[4]])
    np.testing.assert_allclose(got, expected[NUMBERS], rtol=1e-15)
    assert rows[2][4:] == [""] * 4
    assert done.predicted == 3


def test_a_decimal_comma_that_shows_late_is_one_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "ROWS", 16)
    model = fitted(formula="y ~ x + (1 | g)")
    texts = ["1.250"] * 40 + ["2.500,5"]  # thousands: only the last one tells
    (tmp_path / "new.csv").write_text("x;g\n" + "".join(f"{t};1\n" for t in texts))
    model.predict(tmp_path / "new.csv", out=tmp_path / "out.csv")
    got = pd.read_csv(tmp_path / "out.csv", dtype={"x": str})
    assert list(got["x"]) == texts
    expected = model.predict({"x": [1250.0, 2500.5], "g": [1, 1]})
    np.testing.assert_allclose(got[NUMBERS].iloc[[0, 40]], expected[NUMBERS], rtol=1e-12)


def test_rows_that_were_fitted_and_tables_with_arrays_beside(fit, new, tmp_path):
    done = fit.predict(out=tmp_path / "own.parquet")
    own = pd.read_parquet(tmp_path / "own.parquet")
    assert_same(own, fit.predict())
    assert (done.rows, done.predicted) == (N, N)
    offset = RNG.normal(size=M)
    expected = fit.predict(new, offset=offset)
    fit.predict(new, offset=offset, out=tmp_path / "out.csv.gz")
    with gzip.open(tmp_path / "out.csv.gz") as file:
        assert_same(pd.read_csv(file), expected)


def test_the_answer_says_what_was_written(fit, new, tmp_path):
    done = fit.predict(new, out=tmp_path / "out.feather", kind="linear")
    text = str(done)
    assert text.startswith(f"linear and 95% interval of {done.predicted:,} of {M:,} rows:")
    assert "Note: no prediction for" in text
    record = done.to_dict()
    assert record["rows"] == M
    assert record["path"] == str(tmp_path / "out.feather")
    assert record["columns"][-4:] == NUMBERS
    assert "no prediction" in done._repr_html_()


def test_command_line(fit, new, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stream, "ROWS", 100)
    fit.save(tmp_path / "fit.nc")
    new.to_parquet(tmp_path / "new.parquet")
    out = tmp_path / "scored.parquet"
    code = cli.main(
        ["predict", str(tmp_path / "fit.nc"), str(tmp_path / "new.parquet"), "--out", str(out)]
    )
    told = capsys.readouterr()
    assert code == 0
    assert f"mean and 95% interval of {M} rows, seed 8" in told.out
    assert told.err.count("that the fit did not see") == 1
    assert_same(pd.read_parquet(out), fit.predict(new))


# --- What goes wrong ------------------------------------------------------------------------------


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def broken(kind, new, folder, monkeypatch):
    """A table that fails in its second part, and what the message has to name."""
    path = folder / "new.parquet"
    new.to_parquet(path, row_group_size=100)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
        return path, ["new.parquet"]
    if kind == "damaged":
        meta = pq.ParquetFile(path).metadata.row_group(2).column(1)
        content = bytearray(path.read_bytes())
        first = meta.dictionary_page_offset or meta.data_page_offset
        content[first : first + 40] = b"\xff" * 40
        path.write_bytes(bytes(content))
        return path, ["new.parquet", "row group 3 of 4"]
    if kind == "category":
        new.assign(k=np.where(np.arange(M) == 250, "other", new["k"])).to_parquet(path)
        return path, ["other", "rows 201 to 300"]
    if kind == "weights":
        new.assign(x=np.where(np.arange(M) == 250, np.inf, new["x"])).to_parquet(path)
        return path, ["`x`", "rows 201 to 300"]
    if kind == "types":
        table = pa.Table.from_pandas(new, preserve_index=False)
        one, two = table.slice(0, 200), table.slice(200)
        two = two.set_column(1, "x", two["x"].cast(pa.string()))

        def parts(frame, **options):
            return iter([pl.from_arrow(one), pl.from_arrow(two)])

        monkeypatch.setattr(pl.LazyFrame, "collect_batches", parts)
        return pl.from_arrow(one).lazy(), ["`x` as", "from row 201 on"]
    if kind == "fields":
        text = new.drop(columns="name").to_csv(index=False).splitlines()
        text[250] += ",1,2"
        (folder / "new.csv").write_text("\n".join(text))
        return folder / "new.csv", ["new.csv", "line 251"]
    if kind == "column":
        new.drop(columns="x").to_parquet(path)
        return path, ["`x`"]
    raise AssertionError


@pytest.mark.parametrize(
    "kind", ["truncated", "damaged", "category", "weights", "types", "fields", "column"]
)
def test_a_broken_part_is_named_and_leaves_no_file(kind, fit, new, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "ROWS", 100)
    monkeypatch.setattr(batches, "ROWS", 100)
    data, names = broken(kind, new, tmp_path, monkeypatch)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(pp.InputError) as error:
        fit.predict(data, out=tmp_path / "out.parquet")
    for name in names:
        assert name in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_cannot_be(fit, new, tmp_path):
    new.to_parquet(tmp_path / "new.parquet")
    path = str(tmp_path / "new.parquet")
    cases = [
        ({"out": tmp_path / "out.xlsx"}, "`out.xlsx` does not say how to write it"),
        ({"out": tmp_path / "new.parquet"}, "would overwrite the rows"),
        ({"out": tmp_path / "none" / "out.csv"}, "there is no folder"),
        ({"out": tmp_path / "o.csv", "offset": np.zeros(M)}, "`offset` is given row by row"),
        ({"out": 3}, "out"),
    ]
    for options, message in cases:
        with pytest.raises(pp.InputError, match=message.replace("(", r"\(")):
            fit.predict(path, **options)
    nested = new.assign(list=[[1]] * M)
    nested.to_parquet(path)
    with pytest.raises(pp.InputError, match=r"`list` holds list<.*write Parquet"):
        fit.predict(path, out=tmp_path / "o.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["new.parquet"]


def test_an_older_file_stays_until_the_new_one_is_whole(fit, new, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "ROWS", 100)
    out = tmp_path / "out.parquet"
    out.write_text("older")
    new.to_parquet(tmp_path / "new.parquet")
    own, calls = stream.predicted, []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return own(*given)

    monkeypatch.setattr(stream, "predicted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit.predict(tmp_path / "new.parquet", out=out)
    assert out.read_text() == "older"
    assert not leftovers(tmp_path)


def test_memory_does_not_grow_with_the_rows(fit, tmp_path):
    """Ten times the rows take a few megabytes more, where their columns alone are 100."""
    fit.save(tmp_path / "fit.nc", rows=False)
    code = """
    import resource, sys
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    import partialpool as pp
    folder, millions = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=100_000), rng.integers(0, 12, 100_000)
    rows = pa.table({"x": x, "g": g, "k": pa.array(["u"] * 100_000), "z": x, "w": x})
    path = f"{folder}/{millions}.parquet"
    with pq.ParquetWriter(path, rows.schema) as writer:
        for _ in range(millions):
            writer.write_table(rows)
    done = pp.load(f"{folder}/fit.nc").predict(path, out=f"{folder}/out.parquet")
    assert done.predicted == millions * 100_000
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """

    def peak(parts):
        found = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(parts)],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(found.stdout) / 1024

    few, many = peak(3), peak(30)
    # 2.7 million rows more: 216 MB as the ten columns that are written.
    assert many - few < 108
