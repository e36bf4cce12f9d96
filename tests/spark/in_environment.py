"""What is run in the environment with Spark and Dask. Prints a line of JSON a case.

`python in_environment.py classic|connect|dask`
"""

import datetime
import decimal
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa

import partialpool as pp

OPTIONS = {"draws": 50, "chains": 2, "seed": 1}


# --- Tables --------------------------------------------------------------------------------------


def table(n=900, seed=1):
    """Columns of all kinds, some far from 0, with nulls and NaN in them."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 12, n)
    text = np.array(["b", "a", "é", "zz", "a b", "10"])[group % 6]
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(7 * g)) for g in group]
    x, far = rng.normal(size=n), 1e9 + rng.normal(size=n)
    # Only the last rows have this category.
    arm = np.where(np.arange(n) < n - 40, rng.choice(["t", "c"], n), "late")
    y = 1 + 0.5 * x + rng.normal(size=12)[group] + (arm == "t") + rng.normal(size=n)
    gone = rng.random((4, n)) < 0.03
    return pa.table(
        {
            "y": pa.array(y, mask=gone[0]),
            "x": pa.array(np.where(gone[1], np.nan, x)),
            "far": far,
            "int.key": pa.array(group * 10**12 + 5, mask=gone[2]),
            "text": pa.array(text, mask=gone[3]),
            "day": days,
            "stamp": [datetime.datetime(2020, 1, 1, 5) + datetime.timedelta(int(g)) for g in group],
            "arm": arm,
            "yes": rng.random(n) < 0.4,
            "w": rng.choice([0.0, 0.5, 1.0, 3.0], n),
            "off": rng.normal(size=n),
            "se": 0.5 + rng.random(n),
            "money": [decimal.Decimal(int(v)) / 100 for v in 1000 * np.abs(x)],
            "small": pa.array(group % 5, pa.int8()),
            "list": [[1]] * n,
        }
    )


MODELS = {
    "whole numbers as keys": ("y ~ x + (x | `int.key`)", {}),
    "text as keys, weights, some of them 0": ("y ~ x + (1 | text)", {"weights": "w"}),
    "dates as keys, an offset": ("y ~ far + (1 | day)", {"offset": "off"}),
    "points in time as keys, known errors": ("y ~ x + (1 | stamp)", {"se": "se"}),
    "a category that one part has": ("y ~ arm * x + yes + (1 + x | small)", {}),
    "several factors": ("y ~ x + money + (x | text) + (1 | day)", {}),
    "a transform that needs the whole column": ("y ~ scale(far) + (1 | small)", {}),
}


# --- Frames --------------------------------------------------------------------------------------


def spark(mode):
    from pyspark.sql import SparkSession

    maker = SparkSession.builder
    maker = maker.remote("local[2]") if mode == "connect" else maker.master("local[2,3]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.log.level": "OFF",
    }.items():
        maker = maker.config(name, value)
    return maker.getOrCreate()


def read(session, data, parts, rng):
    """A Spark frame of these rows in any order, in so many parts, some of them empty."""
    folder = tempfile.mkdtemp()
    import pyarrow.parquet as pq

    shuffled = data.take(rng.permutation(len(data))) if parts != 1 else data
    cuts = np.sort(rng.integers(0, len(data) + 1, parts - 1))
    for k, (a, b) in enumerate(zip([0, *cuts], [*cuts, len(data)], strict=True)):
        pq.write_table(shuffled.slice(a, b - a), f"{folder}/{k:03}.parquet")
    frame = session.read.parquet(folder)
    return frame if parts == 1 else frame.repartition(parts)
