"""What is run in the environment with Spark and Dask. Prints a line of JSON a case.

`python in_environment.py classic|connect|dask`
"""

import datetime
import decimal
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import asdict

import partialpool as pp

HOW = {"draws": 50, "chains": 2, "seed": 1, "progress": False}
FOLDER = tempfile.mkdtemp()


def table(n=600):
    """Columns of all kinds, with nulls and NaN; only the last rows have the category `late`."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 12, n)
    whole = {
        "text": np.array(["b", "a", "é", "zz", "a b", "10"])[group % 6],
        "day": [datetime.date(2020, 1, 1) + datetime.timedelta(7 * int(g)) for g in group],
        "naive": [datetime.datetime(2020, 1, 1, 5) + datetime.timedelta(int(g)) for g in group],
        "arm": np.where(np.arange(n) < n - 40, rng.choice(["t", "c"], n), "late"),
        "yes": rng.random(n) < 0.4,
        "written": [f"{v:.3f}" for v in rng.normal(size=n)],
        "w": rng.choice([0.0, 0.5, 1.0, 3.0], n),
        "off": rng.normal(size=n),
        "se": 0.5 + rng.random(n),
        "far": 1e9 + rng.normal(size=n),
        "money": [decimal.Decimal(int(v)) / 100 for v in rng.integers(0, 1000, n)],
        "list": [[1]] * n,
        "none": pa.nulls(n, pa.float64()),
    }
    x = rng.normal(size=n)
    y = 1 + 0.5 * x + rng.normal(size=12)[group] + (whole["arm"] == "t") + rng.normal(size=n)
    gone = rng.random((4, n)) < 0.03
    whole["text"] = pa.array(whole["text"], mask=gone[0])
    columns = {
        "y": pa.array(y, mask=gone[1]),
        "x": pa.array(np.where(gone[2], np.nan, x)),
        "int.key": pa.array(group * 10**12 + 5, mask=gone[3]),
        "small": pa.array(group % 5, pa.int8()),
        "instant": pa.array(whole["naive"], pa.timestamp("us", tz="UTC")),
        **whole,
        "at random": rng.integers(0, 60, n),
        "in order": np.arange(n) * 7 // n,
    }
    return pa.table(columns)


MODELS = {
    "whole numbers": ("y ~ x + (x | `int.key`)", {}),
    "text, weights of which some are 0": ("y ~ x + (1 | text)", {"weights": "w"}),
    "dates, an offset": ("y ~ far + (1 | day)", {"offset": "off"}),
    "points in time, known errors": ("y ~ x + (1 | instant)", {"se": "se"}),
    "a category that one part has": ("y ~ arm * x + yes + (1 + x | small)", {}),
    "several factors": ("y ~ written + money + (x | text) + (1 | naive)", {}),
    "what needs the whole column": ("y ~ scale(off) + I(x - mean(x)) + (1 | small)", {}),
    "no factor": ("y ~ x + arm", {}),
}
# Partitions by these columns: some have no rows, and 50 have few.
PARTS = [(1, None), (50, "at random"), (9, "in order")]


def check_same(here, there):
    """One posterior: levels, priors, density and draws."""
    assert there.provenance.n_rows == here.provenance.n_rows
    assert there.provenance.n_dropped == here.provenance.n_dropped
    for a, b in zip(here.model.groups, there.model.groups, strict=True):
        assert list(a.levels) == list(b.levels), (a.levels, b.levels)
        assert a.terms == b.terms
    assert list(here.priors) == list(there.priors)
    for name, prior in here.priors.items():
        own, other = asdict(prior), asdict(there.priors[name])
        assert own.keys() == other.keys()
        for key, value in own.items():
            np.testing.assert_allclose(other[key], value, rtol=1e-10, err_msg=name)
    rng, start = np.random.default_rng(2), np.array(here.model.core.start())
    for _ in range(5):
        u = start + 0.3 * rng.normal(size=len(start))
        (a, slope), (b, other) = (f.model.core.logp_and_grad(u) for f in (here, there))
        np.testing.assert_allclose(b, a, rtol=1e-10)
        np.testing.assert_allclose(other, slope, rtol=1e-7, atol=1e-7 * np.abs(slope).max())
    # Rounding may decide whether a proposal is taken, so a few draws may be others.
    own, other = (f.draws["posterior"]["b"] for f in (here, there))
    apart = np.abs(other - own) / own.std(("chain", "draw"))
    assert float(np.quantile(apart, 0.8)) < 0.1


class Frames:
    """Frames of one kind with the rows of a table."""

    def __init__(self, mode):
        self.mode, self.path = mode, f"{FOLDER}/rows.parquet"
        pq.write_table(table(), self.path)
        if mode != "dask":
            self.session = session(mode)

    def frame(self, parts=1, by=None):
        if self.mode == "dask":
            import dask.dataframe as dd

            frame = table().drop_columns(["list", "none"]).to_pandas(types_mapper=pandas_type)
            if by is not None:
                frame = frame.sort_values(by, kind="stable")
            return dd.from_pandas(frame, npartitions=parts, sort=False)
        frame = self.session.read.parquet(self.path)
        return frame.coalesce(1) if by is None else frame.repartition(parts, f"`{by}`")


def pandas_type(kind):
    import pandas as pd

    exact = pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_decimal(kind)
    return pd.ArrowDtype(kind) if exact else None


def session(mode):
    from pyspark.sql import SparkSession

    maker = SparkSession.builder
    maker = maker.remote("local[2]") if mode == "connect" else maker.master("local[2,3]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Tokyo",
    }.items():
        maker = maker.config(name, value)
    return maker.getOrCreate()


# --- Cases ---------------------------------------------------------------------------------------


def check_fits(frames, model, parts):
    formula, roles = MODELS[model]
    here = pp.fit(formula, table(), **roles, **HOW, one_pass=False)
    for number, by in parts:
        there = pp.fit(formula, frames.frame(number, by), **roles, **HOW, one_pass=True)
        check_same(here, there)


def check_whole(frames):
    """What cannot be done in one pass is brought here, in columns that are used."""
    data = table()
    here, there = (
        pp.fit("yes ~ x + (1 | text)", own, family="bernoulli", warmup=50, **HOW)
        for own in (data, frames.frame())
    )
    np.testing.assert_array_equal(here.design.y, there.design.y)
    np.testing.assert_array_equal(here.design.X, there.design.X)


def check_predictions(frames):
    """Rows get the predictions that they get here, whichever worker has them."""
    data = table().drop_columns(["list", "none"])
    data = data.append_column("mean", data["small"]).append_column(
        "row", pa.array(range(len(data)))
    )
    path = f"{FOLDER}/new.parquet"
    pq.write_table(data, path)
    parts = frames.session.read.parquet(path).repartition(7, "at random")
    for formula, roles, options in (
        ("y ~ x + arm + (x | `int.key`)", {"weights": "w"}, {"kind": "observation"}),
        ("y ~ x + (1 | text) + (1 | small)", {"offset": "off"}, {"interval": 0.5}),
        ("small ~ x + yes + (1 | text)", {"family": "cumulative"}, {}),
    ):
        fit = pp.fit(formula, data, **roles, **HOW)
        new = fit.predict(data, **options)
        made = list(new.columns[len(data.column_names) :])
        there = fit.predict(parts, **options)
        assert there.columns == list(new.columns)
        found = there.select("row", "data_mean", *(f"`{name}`" for name in made)).toPandas()
        found = found.sort_values("row")
        assert len(found) == len(new)
        assert (found["data_mean"].to_numpy() == data["mean"].to_numpy()).all()
        for name in made:
            own, other = new[name].to_numpy(), found[name].to_numpy()
            assert (np.isnan(own) == np.isnan(other)).all(), name
            size = np.nanmax(np.abs(own))
            np.testing.assert_allclose(other, own, rtol=1e-10, atol=1e-10 * size, err_msg=name)
    assert there.filter("mean IS NULL").count() == int(new["mean"].isna().sum()) > 0


def check_wrong_predictions(frames):
    """What cannot be predicted is said before Spark works, and no stack of Java says it."""
    data = table()
    fit = pp.fit("y ~ x + arm + (x | `int.key`)", data, **HOW)
    frame = frames.frame()
    for new, words in (
        (frame.drop("int.key"), "there is no grouping column `int.key` in the Spark data frame"),
        (frame.drop("x"), "`x`"),
        (frame.drop("x").withColumnRenamed("list", "x"), "`x` holds values of type array<bigint>"),
        (frame.drop("x").withColumnRenamed("text", "x"), "`x`"),
        (frame.drop("x").withColumnRenamed("day", "x"), "`x`"),
        (frame.drop("arm").withColumnRenamed("text", "arm"), "`arm`"),
    ):
        found = sentence(lambda new=new: fit.predict(new))
        assert words in found, found
    found = sentence(lambda: fit.predict(frame, out=f"{FOLDER}/scored.parquet"))
    assert "leave `out` out" in found, found
    found = sentence(lambda: fit.predict(frame, weights=np.ones(600)))
    assert "row by row" in found, found
    # A category that only the last rows have is met amid the work.
    other = frame.selectExpr("*", "IF(`in order` = 6, 'new', arm) AS other").drop("arm")
    scored = fit.predict(other.withColumnRenamed("other", "arm"))
    words = ""
    try:
        scored.toPandas()
    except Exception as error:
        words = str(error)
    assert "a category that the fit did not see, `new`" in words, words


def sentence(*args, **options):
    """What a user reads: one sentence, and no stack of Java."""
    try:
        if callable(args[0]):
            args[0]()
        else:
            pp.fit(*args, **HOW, **options, one_pass=True)
    except pp.InputError as error:
        text = str(error)
        assert "\n" not in text, text
        assert len(text) < 400, text
        return text
    raise AssertionError("nothing was said")


def check_sentences(frames):
    frame = frames.frame(3, "in order")
    expected = {
        ("y ~ list + (1 | text)",): "the column `list` holds values of type array<bigint>",
        ("y ~ nothing + (1 | text)",): "there is no column `nothing` in the Spark data frame",
        ("y ~ none + (1 | text)",): "no complete row is left: `none` is missing in every row",
        ("y ~ log(x) + (1 | text)",): "log(x)",
        ("y ~ x + (1 | off)",): "the grouping column `off` holds fractions",
        ("text ~ x + (1 | small)",): "the response `text`",
    }
    for (formula,), words in expected.items():
        found = sentence(formula, frame)
        assert words in found, found
    found = sentence("y ~ x + (1 | text)", frame, weights="off")
    assert "`weights` is negative" in found, found
    found = sentence("y ~ x + (1 | text)", frame.filter("x > 1e9"))
    assert "no rows" in found, found


def check_spark_fails(frames):
    """Spark's own errors, and workers that always die, are a sentence."""
    frame = frames.session.sql(
        "SELECT id AS y, assert_true(id < 5, 'too large') AS x FROM range(9)"
    )
    found = sentence("y ~ x", frame.selectExpr("y", "coalesce(x, y) AS x"))
    assert "Spark could not finish" in found, found
    assert "too large" in found, found

    def dies(batches):
        for _ in batches:
            os._exit(7)
        yield

    frame = frames.session.range(9).selectExpr("id AS y").mapInArrow(dies, "y bigint")
    found = sentence("y ~ 1", frame)
    assert "a Python worker ended without a word" in found, found


def check_lost_worker(frames):
    """A worker that is killed amid its rows is replaced, and nothing counts twice."""
    note = f"{FOLDER}/pid"

    def waits(batches):
        mine = f"{note}-{os.getpid()}"
        with open(mine, "w") as file:
            file.write(str(os.getpid()))
        try:
            os.link(mine, note)  # one of the workers is the first
        except FileExistsError:
            pass
        else:
            time.sleep(120)
        yield from batches

    def kills():
        while not os.path.exists(note):
            time.sleep(0.02)
        with open(note) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        killed.append(True)

    killed = []
    threading.Thread(target=kills, daemon=True).start()
    plain = frames.frame(5, "in order").select("y", "x", "text")
    there = pp.fit(
        "y ~ x + (1 | text)", plain.mapInArrow(waits, plain.schema), **HOW, one_pass=True
    )
    assert killed
    check_same(pp.fit("y ~ x + (1 | text)", table(), **HOW), there)


def cases(mode):
    frames = Frames(mode)
    for model in MODELS:
        if mode == "connect" and model not in list(MODELS)[:2]:
            continue
        parts = PARTS if model == next(iter(MODELS)) and mode != "connect" else PARTS[2:]
        yield f"{mode}: {model}", lambda m=model, p=parts: check_fits(frames, m, p)
    yield f"{mode}: a model that takes all rows", lambda: check_whole(frames)
    if mode != "dask":
        yield f"{mode}: predictions", lambda: check_predictions(frames)
    if mode == "classic":
        yield "wrong predictions", lambda: check_wrong_predictions(frames)
        yield "sentences", lambda: check_sentences(frames)
        yield "Spark fails", lambda: check_spark_fails(frames)
        yield "a lost worker", lambda: check_lost_worker(frames)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        for case, check in cases(sys.argv[1]):
            began, error = time.time(), ""
            try:
                check()
            except Exception:
                error = traceback.format_exc()
            seconds = round(time.time() - began, 1)
            print(json.dumps({"case": case, "error": error, "seconds": seconds}), flush=True)
    finally:
        shutil.rmtree(FOLDER)
