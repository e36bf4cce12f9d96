"""What a small fit imports: nothing that takes longer than the fit itself."""

import subprocess
import sys
from pathlib import Path

import pytest

import partialpool as pp
from partialpool import cli
from partialpool.cli.values import quick

DATA = str(Path(pp.datasets.__file__).parent / "individuals.csv")
HEAVY = {"pandas", "scipy", "duckdb", "pyarrow", "xarray", "matplotlib", "pydantic", "rich"}
HEAVY |= {"numpy.random", "numpy.polynomial", "sqlite3", "zipfile", "statistics", "secrets"}
HEAVY |= {
    "narwhals",
    "formulaic",
    "numpy.ma",
    "hashlib",
    "concurrent.futures",
    "logging",
    "asyncio",
}
SCRIPT = """
import sys
from partialpool import cli
assert cli.main(sys.argv[1:]) == 0
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["fit", "--help"], ["fit", DATA, "y ~ x + (x || id)", "--seed", "1"]],
    ids=["version", "help", "fit"],
)
def test_the_command_line_imports_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.split())


def test_the_package_imports_nothing_heavy():
    script = 'import sys, partialpool; print(*sys.modules, sep="\\n")'
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not (HEAVY | {"typer"}) & set(done.stdout.split())


SEARCHES = """
import gc, sys
sys.argv[0] = sys.argv[1]
from partialpool import cli
print(gc.isenabled(), end=" ")
cli.main(["data", "individuals"])
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("program", "found"), [("partialpool", "False True True"), ("analysis.py", "True True False")]
)
def test_our_own_process_alone_looks_for_no_garbage_in_modules(program, found, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SEARCHES, program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    words = done.stdout.split()
    assert " ".join([words[0], *words[-2:]]) == found


def test_only_the_command_that_is_asked_for_is_made_ready():
    assert list(quick(cli.asked(["fit", "data.csv"])).commands) == ["fit"]
    assert {"fit", "show"} < quick(cli.asked(["fot"])).commands.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [("4.0", None), ("4", None), ("4.5", "no whole number"), ("x", "no whole number")],
)
def test_whole_numbers_on_the_command_line(capsys, text, words):
    code = cli.main(["fit", DATA, "y ~ x", "--chains", "1", "--draws", text, "--seed", "1"])
    out, err = capsys.readouterr()
    assert (code == 2) == (words is not None), err
    assert (words or "1 chain × 4 draws") in (err if words else out)
