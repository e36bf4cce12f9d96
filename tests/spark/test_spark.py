"""Fits of tables that lie in a real Spark, and in Dask, are those of the same rows in memory."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from environments import ENVIRONMENTS, ROOT

(ENVIRONMENT,) = (one for one in ENVIRONMENTS if one.of == "spark")
CASES = {"classic": 14, "connect": 4, "dask": 9}


@pytest.mark.parametrize("mode", list(CASES))
def test_fits_are_those_of_the_rows_in_memory(mode):
    if ENVIRONMENT.lacks():
        pytest.skip(ENVIRONMENT.lacks())
    if not ENVIRONMENT.is_whole():
        pytest.skip("`make spark` makes the environment")
    python = str(ENVIRONMENT.python)
    done = subprocess.run(
        [python, Path(__file__).with_name("in_environment.py"), mode],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT / "python"),
            "PYSPARK_PYTHON": python,
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [f"{one['case']}\n{one['error']}" for one in found if one["error"]]
    assert not failed, "\n".join(failed)
    assert done.returncode == 0, done.stderr
    assert len(found) == CASES[mode], done.stderr
