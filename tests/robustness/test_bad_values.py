"""Values and paths that nobody should give: a fit, or one clear sentence, never a traceback."""

import datetime
import decimal
import os
import stat

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import partialpool as pp

DATA = {"y": [1.0, 2.0, 4.0, 3.0, 5.5], "x": [1.0, 2.0, 3.0, 5.0, 4.0], "g": list("aabbb")}
QUICK = {"seed": 1, "chains": 1, "draws": 30, "warmup": 60, "progress": False}
UTC = datetime.UTC


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")

    def __len__(self):
        raise RuntimeError("no length")


VALUES = {
    "a large number": lambda: [10**400, 1, 2, 3, 4],
    "a number of 5000 digits": lambda: [10**5000, 1, 2, 3, 4],
    "a signalling NaN": lambda: [decimal.Decimal("sNaN"), 1, 2, 3, 4],
    "an infinite decimal": lambda: [decimal.Decimal("Infinity"), 1, 2, 3, 4],
    "a vast decimal": lambda: [decimal.Decimal("1e999999"), 1, 2, 3, 4],
    "mixed time zones": lambda: (
        [datetime.datetime(2020, 1, 1, tzinfo=UTC)]
        + [datetime.datetime(2020, 1, k) for k in range(1, 5)]
    ),
    "a frame": lambda: pd.DataFrame({"a": range(5)}),
    "two columns": lambda: pd.DataFrame({"a": range(5), "b": range(5)}),
    "a polars frame": lambda: pl.DataFrame({"a": range(5)}),
    "an arrow table": lambda: pa.table({"a": range(5)}),
    "128 bits": lambda: pl.Series([2**100, 1, 2, 3, 4], dtype=pl.Int128),
    "unprintable": lambda: [Unprintable(), 1, 2, 3, 4],
    "objects": lambda: [object() for _ in range(5)],
    "bytes": lambda: [b"a"] * 5,
    "complex": lambda: [1j] * 5,
    "nothing": lambda: None,
    "a generator": lambda: (k for k in range(5)),
    "a set": lambda: set(range(5)),
    "a dict": lambda: {k: k for k in range(5)},
    "nested": lambda: [[k] for k in range(5)],
    "times": lambda: [datetime.time(k) for k in range(5)],
    "durations": lambda: pd.Series(pd.to_timedelta(range(5))),
    "periods": lambda: pd.Series(pd.period_range("2020", periods=5)),
    "intervals": lambda: pd.Series(pd.interval_range(0, 5)),
    "wide floats": lambda: np.array([np.longdouble("1e400"), 2, 3, 4, 5]),
    "structures": lambda: np.array([(1, 2)] * 5, dtype=[("a", int), ("b", int)]),
    "voids": lambda: np.zeros(5, dtype="V4"),
    "tuples": lambda: pd.MultiIndex.from_tuples([(1, k) for k in range(5)]),
    "nulls": lambda: pa.array([None] * 5),
    "too few": lambda: [1, 2],
    "polars objects": lambda: pl.Series([object() for _ in range(5)], dtype=pl.Object),
    "polars lists": lambda: pl.Series([[k] for k in range(5)]),
}


@pytest.mark.parametrize("place", ["x", "y", "g", "weights", "offset", "se"])
@pytest.mark.parametrize("name", VALUES)
def test_values(name, place):
    values = VALUES[name]()
    data = dict(DATA)
    roles = {place: values} if place in ("weights", "offset", "se") else {}
    if not roles:
        data[place] = values
    try:
        fit = pp.fit("y ~ x + (1 | g)", data, **roles, **QUICK)
    except pp.InputError as error:
        text = str(error)
        assert "\n" not in text
        assert len(text) < 500
        assert "Unknown" not in text
    else:
        assert np.isfinite(fit.run.b).all()


ROLES = {
    "tiny errors": ({"se": 1e-320}, "`se` is too close to 0 or too large to be computed with"),
    "huge weights": ({"weights": [1e308] * 5}, "`weights` is too close to 0 or too large"),
    "one huge weight": ({"weights": [1, 2, 3, 4, 1e308]}, "in 1 row .* in row 5, counted from 1"),
    "huge offset": ({"offset": [1e300, -1e300, 0, 0, 0]}, "`offset` is too large to be computed"),
    "truth": ({"se": True}, "`se` is True: give a number, or one a row"),
    "a large number of trials": (
        {"trials": 10**400, "family": "binomial"},
        "`trials` is 1000.*…: give",
    ),
    "trials without end": ({"trials": 10**5000, "family": "binomial"}, "`trials` is far too large"),
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_that_no_float_can_be_computed_with(name):
    options, message = ROLES[name]
    with pytest.raises(pp.InputError, match=message):
        pp.fit("y ~ x", DATA, **options, **QUICK)


def test_lazy_frames_that_fail():
    frame = pl.LazyFrame({"y": ["a", "b"]}).with_columns(pl.col("y").cast(pl.Int64))
    with pytest.raises(pp.InputError, match="the table cannot be collected"):
        pp.fit("y ~ 1", frame, **QUICK)
    with pytest.raises(pp.InputError, match=r"the table` cannot be read .*nowhere.csv"):
        pp.fit("y ~ 1", pl.scan_csv("nowhere.csv"), **QUICK)


PATHS = {
    "long": ("a" * 300, r"File name too long"),
    "very long": ("a" * 5000 + ".csv", "File name too long"),
    "no user": ("~nobody_of_that_name/x.csv", "there is no user `~nobody_of_that_name`"),
    "a circle": ("circle.csv", "Too many levels of symbolic links"),
    "nothing": ("", "`path` is ''"),
    "a zero": ("\0.csv", "`path` is "),
    "a surrogate": ("\ud800.csv", "`path` is "),
    "a folder": (".", "is a folder"),
    "a device": ("/dev/null", "extension that is not known|is empty"),
    "a part of a circle": ("circle.csv::t", "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("function", ["fit", "load"])
def test_paths(name, function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("other.csv", "circle.csv")
    os.symlink("circle.csv", "other.csv")
    path, message = PATHS[name]
    with pytest.raises(pp.InputError) as caught:
        pp.load(path) if function == "load" else pp.fit("y ~ x", path, **QUICK)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    if function == "fit":
        assert any(part in text for part in message.split("|"))
    assert "damaged" not in text or name == "a device"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_called_damaged(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    for name in ("t.csv", "fit.nc"):
        (folder / name).write_text("y,x\n1,2\n")
        (folder / name).chmod(0)
    for read in (lambda: pp.fit("y ~ x", folder / "t.csv"), lambda: pp.load(folder / "fit.nc")):
        with pytest.raises(
            pp.InputError, match=r"cannot be read \(Permission denied\): see whether"
        ):
            read()
    folder.chmod(0)
    try:
        with pytest.raises(pp.InputError, match=r"cannot be reached \(Permission denied\)"):
            pp.fit("y ~ x", folder / "t.csv")
    finally:
        folder.chmod(stat.S_IRWXU)
