"""Every answer says one thing in a terminal, in a notebook and as JSON."""

import json
import math
from html import unescape

import numpy as np
import pytest

import partialpool as pp
from partialpool.cli import main

RADON = pp.datasets.radon()
FORMULA = "log_radon ~ floor + (1 | county)"
QUICK = {"draws": 100, "warmup": 100, "chains": 2, "seed": 1}
EVIL = "<script>alert(1)</script>"


def evil():
    """A table whose column is called like a program."""
    rng = np.random.default_rng(1)
    names = np.repeat(["a", "b", "c", "d"], 5)
    return {"y": rng.normal(size=20), EVIL: rng.normal(size=20), "g": names}


@pytest.fixture(scope="module")
def answers():
    fit = pp.fit(FORMULA, RADON, **QUICK)
    hurt = pp.fit(f"y ~ `{EVIL}` + (1 | g)", evil(), **QUICK)
    return {
        "fit": fit,
        "without coefficients": pp.fit("y ~ 0", evil(), **QUICK),
        "a column called like a program": hurt,
        "estimate": pp.fit(f"y ~ `{EVIL}` + (1 | g)", evil(), method="reml"),
        "check": fit.check(draws=100),
        "sensitivity": hurt.sensitivity(),
        "loo": fit.loo(),
        "loo of levels": fit.loo(by="county"),
        "kfold": fit.kfold(2),
        "comparison": pp.compare(f"y ~ `{EVIL}` + (1 | g)", evil(), **QUICK),
        "ranking": pp.compare_fits({EVIL: fit, "other": pp.fit(FORMULA, RADON, **QUICK)}),
        "prior predictive": pp.prior_predictive(FORMULA, RADON, draws=100, seed=1),
    }


NAMES = (
    *("fit", "without coefficients", "a column called like a program", "estimate", "check"),
    *("sensitivity", "loo", "loo of levels", "kfold", "comparison", "ranking", "prior predictive"),
)


@pytest.mark.parametrize("name", NAMES)
def test_one_page_behind_terminal_notebook_and_json(answers, name):
    answer = answers[name]
    page = answer.page
    assert repr(answer) == page.text
    assert max(map(len, page.text.splitlines())) <= 160
    html = answer._repr_html_()
    assert html.startswith("<div class='partialpool'>")
    assert "<script>" not in html
    record = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert [one["code"] for one in record["findings"]] == [found.code for _, found in page.findings]
    shown = unescape(html)
    for text in (*page.notes, *page.heading):
        assert text in shown
    if page.table is not None:
        for column in page.table.columns:
            for cell in column.cells or ():
                assert cell in page.text
                assert cell in shown


@pytest.mark.parametrize("name", ["check", "sensitivity", "comparison", "ranking"])
def test_frames_and_json_hold_the_same_numbers(answers, name):
    answer = answers[name]
    rows = answer.to_dict()[answer.page.rows]
    frame = answer.table
    for row in rows:
        label = row[frame.index.name]
        for column in frame.columns:
            one, other = row[column], frame.loc[label, column]
            if isinstance(other, str):
                assert one == other
            else:
                assert one == (None if not math.isfinite(other) else other)
    left_out = set(frame.index) - {row[frame.index.name] for row in rows}
    assert left_out <= {"elpd difference se"}


@pytest.mark.parametrize("name", ["check", "sensitivity", "estimate"])
def test_a_table_has_a_row_a_label(answers, name):
    table = answers[name].page.table
    lines = table.text()
    for label in table.labels:
        assert sum(line.strip().startswith(f"{label}  ") for line in lines) == 1


def test_every_command_has_json(tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    RADON.to_csv(rows, index=False)
    saved, quick = str(tmp_path / "fit.nc"), ["--draws", "100", "--warmup", "100", "--seed", "1"]
    commands = {
        "fit": ["fit", str(rows), FORMULA, *quick, "--out", saved],
        "compare": ["compare", str(rows), FORMULA, *quick],
        "predict": ["predict", saved, str(rows)],
        "check": ["check", saved, "--draws", "100"],
        "effects": ["effects", saved, "floor", "--at", "floor=0,1"],
        "data": ["data"],
        "data radon": ["data", "radon", "--out", str(tmp_path)],
        "demo": ["demo", "--out", str(tmp_path)],
    }
    found = {}
    for name, command in commands.items():
        assert main([*command, "--json"]) == 0, name
        found[name] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    fit = pp.load(saved)
    assert found["fit"]["parameters"] == fit.to_dict()["parameters"]
    mean = fit.predict(RADON)["mean"].tolist()
    assert [row["mean"] for row in found["predict"]["rows"]] == mean
    effects = fit.effects("floor", {"floor": [0, 1]})
    assert [row["mean"] for row in found["effects"]["rows"]] == effects["mean"].tolist()
    assert found["check"]["sensitivity"] == fit.sensitivity().to_dict()
    assert set(found["compare"]["fits"]) == {"complete", "none", "partial"}
    assert found["data"]["data_sets"][0]["name"] == "radon"
    assert found["data radon"]["files"] == [str(tmp_path / "radon_mn.csv")]
    assert found["demo"]["fits"][-1]["fit"] == "hierarchical"


def test_effects_in_a_terminal(tmp_path, capsys):
    fit = pp.fit("y ~ arm * x + (1 | g)", arms(), **QUICK)
    saved = str(tmp_path / "fit.nc")
    fit.save(saved)
    assert main(["effects", saved, "arm", "--at", "arm=007,new", "--at", "x=1.5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{fit.formula}\nAverage over 20 rows; levels integrated")
    shown = fit.effects("arm", {"arm": ["007", "new"], "x": 1.5})
    for mean in shown["mean"]:
        assert f"{mean:.4g}" in out
    assert main(["effects", saved, "x", "--at", "x=0,1", "--at", "x=2"]) == 2
    assert "`--at` is given twice for `x`" in capsys.readouterr().err
    assert main(["effects", saved, "x", "--na", "-"]) == 2
    assert "`--na` is given without `--data`" in capsys.readouterr().err
    assert main(["effects", saved, "x", "--at", "x=0,"]) == 2
    assert "`--at` gives `x` the value ''" in capsys.readouterr().err
    assert main(["effects", saved, "nothing"]) == 2
    assert "`nothing`" in capsys.readouterr().err


def arms():
    rng = np.random.default_rng(2)
    return evil() | {"arm": np.resize(["007", "new", "old"], 20), "x": rng.normal(size=20)}


def test_an_estimate_says_what_was_given():
    weighted = evil() | {"w": np.resize([1.0, 2.0], 20)}
    found = pp.fit("y ~ 1 + (1 | g)", weighted, method="ml", weights="w")
    assert "weights: w" in repr(found)
    assert found.to_dict()["roles"] == {"weights": "w"}
