"""Files of which one byte has changed: one sentence, or a table; never a crash.

Where the file has a checksum, the table must be the one that was written. Each kind is tried in a
process of its own, so that a crash would be seen.
"""

import gzip
import json
import sqlite3
import subprocess
import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from workbook import write_workbook

N = 240
COUNT = 150

CHILD = """
import collections, json, os, sys
import numpy as np
import partialpool as pp
from partialpool.data import open_table

path, target, part, seed, count = sys.argv[1:6]
content = open(path, "rb").read()

def take(name):
    source = open_table(name + part)
    table = source.take(source.names, source.names)
    return {
        name: (c.kind, [None if m else v for v, m in zip(c.values.tolist(), c.missing.tolist())])
        for name, c in table.columns.items()
    }

whole = take(path)
rng = np.random.default_rng(int(seed))
found = collections.Counter()
for _ in range(int(count)):
    at, damaged = int(rng.integers(len(content))), bytearray(content)
    damaged[at] ^= 1 << int(rng.integers(8)) if rng.random() < 0.5 else int(rng.integers(1, 256))
    with open(target, "wb") as file:
        file.write(bytes(damaged))
    try:
        found["same" if take(target) == whole else "other"] += 1
    except pp.InputError as error:
        assert "\\n" not in str(error) and len(str(error)) < 600, str(error)
        found["said"] += 1
print(json.dumps(found))
"""


def table():
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "id": [1, None, 3] * (N // 3),
            "x": rng.normal(size=N),
            "s": ["b", None, "aé"] * (N // 3),
            "b": [True, False, None] * (N // 3),
            "d": pa.array(["u", "v", "u"] * (N // 3)).dictionary_encode(),
            "w": pa.array(["q"] * N, pa.large_string()),
            "t": pa.array(np.arange(N).astype("datetime64[D]")),
        }
    )


def feather(path, compression):
    pyarrow.feather.write_feather(table(), str(path), compression=compression, chunksize=100)


def stream(path):
    with pa.ipc.new_stream(str(path), table().schema) as writer:
        writer.write_table(table(), max_chunksize=77)


def packed(path):
    rng = np.random.default_rng(0)
    lines = [f"{k % 50},{x:.6f},a{k % 7}\n" for k, x in enumerate(rng.normal(size=N))]
    path.write_bytes(gzip.compress(("id,x,s\n" + "".join(lines)).encode(), mtime=0))


def sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x REAL, s TEXT)")
        rows = [(k, k / 3, f"a{k % 5}") for k in range(N)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.close()


def database(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id, i / 3.0 AS x FROM range(300) r(i)")


def workbook(path):
    rows = [[k, k / 3, f"a{k % 5}"] for k in range(60)]
    write_workbook(path, data=[["id", "x", "s"], *rows])


KINDS = {
    "t.csv.gz": (packed, "", True),
    "plain.feather": (lambda p: feather(p, "uncompressed"), "", False),
    "lz4.feather": (lambda p: feather(p, "lz4"), "", False),
    "zstd.feather": (lambda p: feather(p, "zstd"), "", False),
    "t.arrow": (stream, "", False),
    "t.parquet": (lambda p: pyarrow.parquet.write_table(table(), str(p)), "", False),
    "polars.parquet": (lambda p: pl.from_arrow(table()).write_parquet(p), "", False),
    "t.sqlite": (sqlite, "::t", False),
    "t.duckdb": (database, "::t", True),
    "t.xlsx": (workbook, "", True),
}


@pytest.mark.parametrize("name", KINDS)
def test_one_changed_byte(name, tmp_path):
    make, part, has_checksum = KINDS[name]
    make(tmp_path / name)
    (tmp_path / "x").mkdir()
    count = COUNT // 3 if name.endswith(("parquet", "duckdb")) else COUNT  # these take longer
    arguments = [str(tmp_path / name), str(tmp_path / "x" / name), part, "1", str(count)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert sum(found.values()) == count
    assert found.get("said", 0) > 0
    if has_checksum:
        assert found.get("other", 0) == 0
