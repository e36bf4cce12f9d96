"""A report of radon, with names that could do harm."""

import pytest

import partialpool as pp

EVIL = "<script>alert(1)</script>"
"""Stands for county 1, which has 4 rows."""
NAMES = {1: EVIL, 2: "<!-- <script>", 3: "日本 ключ", 4: '`a` & "b" $x_1$ \\u003c'}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def data():
    table = pp.datasets.radon()
    table["county"] = [NAMES.get(county, f"county {county}") for county in table["county"]]
    return table


@pytest.fixture(scope="session")
def comparison(data):
    return pp.compare("log_radon ~ floor + (floor | county)", data, draws=250, seed=1)


@pytest.fixture(scope="session")
def path(comparison, folder):
    return comparison.report(folder / "radon.html")
