"""Types that editors and checkers see: names are completed, and a slip is found before it runs."""

import subprocess
import sys
from importlib.resources import files
from typing import get_args

from partialpool.engine.sample import METHODS, Method
from partialpool.families import FAMILIES, FamilyName, LinkName
from partialpool.model.pooling import POOLINGS, PoolingName

CODE = """\
import partialpool as pp

data = pp.datasets.radon()
fit = pp.fit("log_radon ~ floor + (1 | county)", data, pooling={"county": "none"}, method="nuts")
pp.fit("floor ~ 1", data, family="bernoulli", link="probit")
pp.fit("floor ~ 1", data, family="bernouli")
pp.fit("floor ~ 1", data, link="logarithm")
pp.fit("floor ~ 1", data, method="mcmc")
pp.fit("floor ~ 1", data, pooling="some")
pp.compare("floor ~ 1", data, family="bernouli")
"""


def test_literals_are_what_is_accepted():
    assert get_args(FamilyName) == tuple(dict.fromkeys(get_args(FamilyName)))
    assert set(get_args(FamilyName)) == set(FAMILIES)
    assert set(get_args(LinkName)) == {link for one in FAMILIES.values() for link in one.links}
    assert get_args(Method) == METHODS
    assert get_args(PoolingName) == POOLINGS


def test_the_package_is_typed(tmp_path):
    assert files("partialpool").joinpath("py.typed").is_file()
    (tmp_path / "user.py").write_text(CODE)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            ".mypy_cache",
            tmp_path / "user.py",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"MYPYPATH": str(files("partialpool").joinpath("..")), "PATH": ""},
    )
    lines = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]
    assert lines == [6, 7, 8, 9, 10], done.stdout
    assert "arg-type" in done.stdout
