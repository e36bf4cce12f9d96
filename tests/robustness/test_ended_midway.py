"""Processes that are told to end while they read a table, and disks that fill up.

Whatever the moment: an exit code that says what happened, no traceback, and neither a temporary
file nor half of one that was asked for.
"""

import gzip
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import partialpool as pp
from partialpool.files.failures import attempt
from partialpool.starting import INTERRUPTED

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")

FORMULA = "y ~ x + (x | g)"
SIGNALS = {name: getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
RNG = np.random.default_rng(15)
N = 20_000
TABLE = pa.table(
    {"g": [f"g{k % 40}" for k in range(N)], "x": RNG.normal(size=N), "y": RNG.normal(size=N)}
)
TEXT = TABLE.to_pandas().to_csv(index=False).encode()


@pytest.fixture
def place(tmp_path):
    """A working folder and one for temporary files, both empty, and the environment."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    return work, temporary, {**os.environ, "TMPDIR": str(temporary)}


def started(command, place, **options):
    work, _, environment = place
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": work, "env": environment}
    return subprocess.Popen([sys.executable, *command], **pipes | options)


def ended(process, name, place):
    """Wait for a process that got a signal, and look at what it leaves."""
    out, err = process.communicate(timeout=60)
    wanted = (INTERRUPTED, b"interrupted\n") if name == "SIGINT" else (-SIGNALS[name], b"")
    assert (process.returncode, err, out) == (*wanted, b"")
    work, temporary, _ = place
    assert [*work.iterdir(), *temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "packed"), [("SIGINT", False), ("SIGTERM", True), ("SIGHUP", False)]
)
def test_killed_while_standard_input_is_copied(packed, name, place):
    """Half of a table came, which is more than a pipe holds: the rest is waited for."""
    command = ["-m", "partialpool", "fit", "-", FORMULA, "--out", "fit.nc", "--no-progress"]
    process = started(command, place, stdin=subprocess.PIPE)
    content = gzip.compress(TEXT, 1) if packed else TEXT
    assert len(content) // 2 > 2 * 2**16
    process.stdin.write(content[: len(content) // 2])
    process.stdin.flush()
    process.send_signal(SIGNALS[name])
    ended(process, name, place)


# A query that takes a second or more, in the place of each that reads rows. DuckDB looks for
# signals between its tasks, or the interpreter does after it.
MIDWAY = """
import os, sys, threading
import duckdb
from partialpool import cli
from partialpool.data import {module}

begun = {module}.{reader}._run if "{reader}" != "_Files" else {module}._Files.run

def slow(self, query):
    threading.Timer(0.2, os.kill, (os.getpid(), {number})).start()
    slow = "SELECT i FROM range(100000000) t(i) WHERE sin(i) > 2"
    return begun(self, lambda: duckdb.sql(slow).fetchall())

setattr({module}.{reader}, "run" if "{reader}" == "_Files" else "_run", slow)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("file", "module", "reader", "name", "how"),
    [
        ("t.parquet", "parquet", "_Files", "SIGINT", "--no-one-pass"),
        ("t.parquet", "parquet", "_Files", "SIGTERM", "--one-pass"),
        ("t.parquet", "parquet", "_Files", "SIGINT", "--one-pass"),
        ("t.csv", "delimited", "DelimitedReader", "SIGINT", "--one-pass"),
        ("t.csv", "delimited", "DelimitedReader", "SIGHUP", "--no-one-pass"),
    ],
)
def test_killed_in_a_query(file, module, reader, name, how, place, tmp_path):
    path = tmp_path / file
    if file.endswith("csv"):
        path.write_bytes(TEXT)
    else:
        pa.parquet.write_table(TABLE, path)
    script = MIDWAY.format(module=module, reader=reader, number=int(SIGNALS[name]))
    arguments = ["fit", str(path), FORMULA, "--out", "fit.nc", "--no-progress", how]
    ended(started(["-c", script, *arguments], place), name, place)


def test_interrupts_are_not_tables_that_cannot_be_read():
    """DuckDB tells Ctrl-C as an error of its own."""

    def query():
        raise RuntimeError("Query interrupted")

    with pytest.raises(KeyboardInterrupt):
        attempt("t.parquet", query)


# ---------------------------------------------------------------------------- full disks

LIMITED = """
import resource, sys
from partialpool import cli
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    pp.fit(FORMULA, TABLE.slice(0, 3000), draws=100, seed=1, progress=False).save(path)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="limits of processes")
@pytest.mark.parametrize(
    ("option", "name", "limit"),
    [("--out", "scored.csv", 50_000), ("--coefficients", "c.csv", 500), ("--out", "f.nc", 0)],
)
def test_a_full_disk_leaves_what_was_there(option, name, limit, saved, place, tmp_path):
    """A limit of the size of files, which the system enforces as a full disk would be."""
    work, temporary, _ = place
    pa.parquet.write_table(TABLE.slice(0, 3000), tmp_path / "t.parquet")
    (work / name).write_bytes(b"older")
    table = str(tmp_path / "t.parquet")
    asked = ["predict", str(saved), table] if name == "scored.csv" else ["fit", table, FORMULA]
    process = started(["-c", LIMITED.format(limit=limit), *asked, option, name], place)
    _, err = process.communicate(timeout=60)
    last = err.decode().splitlines()[-1]
    assert process.returncode == 2, err
    assert last.startswith("error: ")
    assert last.endswith("cannot be written (File too large): choose another path.")
    assert b"Traceback" not in err
    assert (work / name).read_bytes() == b"older"
    assert [path.name for path in (*work.iterdir(), *temporary.iterdir())] == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of processes")
def test_no_room_for_a_copy(place, tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT, 1))
    asked = ["fit", str(tmp_path / "t.csv.gz"), FORMULA]
    process = started(["-c", LIMITED.format(limit=300_000), *asked], place)
    out, err = process.communicate(timeout=60)
    work, temporary, _ = place
    assert (process.returncode, out) == (2, b"")
    assert err.decode() == (
        "error: `t.csv.gz` cannot be unpacked (File too large): make room in "
        f"{temporary}, or set TMPDIR to another folder.\n"
    )
    assert [*work.iterdir(), *temporary.iterdir()] == []
