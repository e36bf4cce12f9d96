"""Commands that take saved fits: show, loo, table."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from docx import Document

import partialpool as pp
from partialpool import cli
from partialpool.finding import Finding

N = 80
RNG = np.random.default_rng(11)
DATA = {
    "y": RNG.normal(size=N) + np.repeat(RNG.normal(size=8), 10),
    "x": RNG.normal(size=N),
    "g": np.repeat(np.arange(8), 10),
    "k": (RNG.random(N) < 0.4).astype(int),
}
QUICK = {"seed": 1, "chains": 2, "draws": 250, "warmup": 100, "progress": False}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder with fits: two of y, one of k, one without rows, one that should not be used."""
    folder = tmp_path_factory.mktemp("fits")
    fits = {
        "vary": pp.fit("y ~ x + (x | g)", DATA, **QUICK),
        "one": pp.fit("y ~ x + (1 | g)", DATA, **QUICK),
        "yes": pp.fit("k ~ x + (1 | g)", DATA, family="bernoulli", **QUICK),
    }
    for name, fit in fits.items():
        fit.findings = []
        fit.save(folder / f"{name}.nc")
    fits["one"].save(folder / "bare.nc", rows=False)
    bad = pp.fit("y ~ x", DATA, **QUICK)
    bad.findings = [Finding("r-hat", "error", "Chains disagree.", "Ask for more draws.")]
    bad.save(folder / "bad.nc")
    return folder


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def expect_error(result, *messages):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for message in messages:
        assert message in err


# --- show ---------------------------------------------------------------------------------------


def test_show_prints_what_fit_printed(capsys, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [",".join(DATA), *(",".join(map(str, row)) for row in zip(*DATA.values(), strict=True))]
    Path("data.csv").write_text("\n".join(rows) + "\n")
    fitted = run(
        capsys, "fit", "data.csv", "y ~ x + (1 | g)", "--seed", 2, "--out", "a.nc",
        "--coefficients", "one.csv",
    )  # fmt: skip
    shown = run(capsys, "show", "a.nc", "--coefficients", "other.csv")
    assert shown == fitted
    assert Path("one.csv").read_text() == Path("other.csv").read_text()
    assert len(Path("one.csv").read_text().splitlines()) == 9
    out = run(capsys, "show", "a.nc", "--json")[1]
    assert json.loads(out) == json.loads(json.dumps(pp.load("a.nc").to_dict()))


def test_show_a_fit_that_should_not_be_used(capsys, saved):
    code, out, err = run(capsys, "show", saved / "bad.nc")
    assert code == 1
    assert "b[x]" in out
    assert "error [r-hat]" in err
    code, out, _ = run(capsys, "show", saved / "bad.nc", "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["code"] == "r-hat"


def test_show_draws_figures(capsys, saved, tmp_path, monkeypatch):
    def some(plots):  # all of them take seconds
        return {"levels": plots.levels, "a:b": plots.coefficients}

    monkeypatch.setattr("partialpool.figures.fit.FitPlots.all", some)
    code, out, _ = run(
        capsys, "show", saved / "one.nc", "--plot", tmp_path / "a.png", "--plots", tmp_path / "all"
    )
    assert code == 0
    assert out.rstrip().endswith(f"Figures: {tmp_path / 'all'}")
    first, last = (tmp_path / "all" / name for name in ("levels.png", "a_b.png"))
    assert sorted((tmp_path / "all").iterdir()) == sorted([first, last])
    assert (tmp_path / "a.png").read_bytes() == first.read_bytes() != last.read_bytes()
    expect_error(run(capsys, "show", saved / "one.nc", "--plot", tmp_path / "a.xyz"), "a.xyz")


def test_show_bad_files(capsys, saved, tmp_path):
    expect_error(run(capsys, "show", "none.nc"), "no file `none.nc`")
    (tmp_path / "a.nc").write_text("nonsense")
    expect_error(run(capsys, "show", tmp_path / "a.nc"), "not a partialpool fit")
    fit = saved / "one.nc"
    expect_error(run(capsys, "show", fit, "--coefficients", fit), "overwrite the fit")
    expect_error(run(capsys, "show"), "FIT")


# --- loo ----------------------------------------------------------------------------------------


def test_loo_of_one(capsys, saved):
    fit = pp.load(saved / "one.nc")
    code, out, _ = run(capsys, "loo", saved / "one.nc")
    assert code == 0
    assert out.startswith("y ~ x + (1 | g)\n")
    assert f"{fit.loo().elpd:.1f} ± {fit.loo().se:.1f}" in out
    record = json.loads(run(capsys, "loo", saved / "one.nc", "--by", "g", "--json")[1])
    assert record["elpd"] == fit.loo(by="g").elpd
    assert (record["unit"], record["formula"]) == ("g", "y ~ x + (1 | g)")
    record = json.loads(run(capsys, "loo", saved / "one.nc", "--kfold", 3, "--json")[1])
    assert record["elpd"] == fit.kfold(3).elpd
    assert record["folds"] == 3


def test_loo_of_several_is_a_ranking(capsys, saved):
    files = [saved / "vary.nc", saved / "one.nc"]
    fits = {path.stem: pp.load(path) for path in files}
    ranking = pp.compare_fits(fits)
    code, out, _ = run(capsys, "loo", *files)
    assert code == 0
    assert out == ranking.page.body + "\n"
    record = json.loads(run(capsys, "loo", *files, "--by", "g", "--json")[1])
    ranking = pp.compare_fits(fits, by="g")
    assert [row["fit"] for row in record["fits"]] == list(ranking.scores)
    assert [row["elpd"] for row in record["fits"]] == [ranking.elpd(n)[0] for n in ranking.scores]
    named = run(capsys, "loo", *files, "--name", "a b", "--name", "c")[1]
    assert "`a b`" in named


def test_loo_bad_input(capsys, saved):
    one, vary, yes = (saved / f"{name}.nc" for name in ("one", "vary", "yes"))
    expect_error(run(capsys, "loo", one, "--by", "h"), "`h` names no single grouping factor")
    expect_error(run(capsys, "loo", one, "--kfold", 1), "`--kfold` is 1: give at least 2")
    expect_error(run(capsys, "loo", one, yes), "different responses")
    expect_error(run(capsys, "loo", one, one), "two fits are called", "`--name`")
    expect_error(run(capsys, "loo", saved / "bare.nc"), "saved without the rows")
    expect_error(run(capsys, "loo", one, vary, "--name", "a"), "`--name` gives 1 name for 2 fits")
    said = run(capsys, "loo", yes, "--by", "g")
    expect_error(said, "refit without them: `--kfold 10 --by g`")
    expect_error(run(capsys, "loo", one, vary, "--by", "h"), "give --by g, which all fits have")


def test_findings_of_scores_speak_of_options(capsys, saved, monkeypatch):
    monkeypatch.setattr("partialpool.limits.PARETO_K", -1.0)
    for options, words in (([], "`--kfold 10`"), (["--by", "g"], "`--kfold 10 --by g`")):
        err = " ".join(run(capsys, "loo", saved / "one.nc", *options)[2].split())
        assert "warning [pareto-k]" in err
        assert f"Use {words}, which fits again" in err


# --- table --------------------------------------------------------------------------------------


def test_table_is_that_of_python(capsys, saved):
    files = [saved / "vary.nc", saved / "yes.nc"]
    fits = {path.stem: pp.load(path) for path in files}
    code, out, err = run(capsys, "table", *files)
    assert code == 0
    assert out.strip() == pp.table(fits).page.body
    assert err.strip() == "Findings: none."
    options = [
        "--exponentiate", "--interval", 0.8, "--parameter", "b", "--parameter", "sd_g[x]",
        "--statistics", "rows, levels", "--label", "b[x]=Age = years", "--digits", 5,
        "--layout", "beside", "--name", "a", "--name", "b",
    ]  # fmt: skip
    table = pp.table(
        list(fits.values()),
        True,
        0.8,
        parameters=["b", "sd_g[x]"],
        statistics=["rows", "levels"],
        labels={"b[x]": "Age = years"},
        digits=5,
        layout="beside",
        names=["a", "b"],
    )
    assert run(capsys, "table", *files, *options)[1].strip() == table.page.body
    record = json.loads(run(capsys, "table", *files, *options, "--json")[1])
    assert record == json.loads(json.dumps(table.to_dict()))


@pytest.mark.parametrize("ending", ["md", "tex", "html", "csv", "docx"])
def test_table_as_a_file(capsys, saved, tmp_path, ending):
    files = [saved / "vary.nc", saved / "one.nc"]
    target = tmp_path / f"t.{ending}"
    code, out, _ = run(capsys, "table", *files, "--out", target)
    assert code == 0
    assert out.rstrip().endswith(f"Table: {target}")
    table = pp.table({path.stem: pp.load(path) for path in files})
    table.save(tmp_path / f"other.{ending}")
    if ending == "docx":
        cells = [
            [cell.text for row in Document(str(path)).tables[0].rows for cell in row.cells]
            for path in (target, tmp_path / "other.docx")
        ]
        assert cells[0] == cells[1]
        assert "vary" in cells[0]
    else:
        assert target.read_bytes() == (tmp_path / f"other.{ending}").read_bytes()
    if ending == "csv":
        head = next(csv.reader(io.StringIO(target.read_text())))
        assert head[:3] == ["section", "parameter", "vary estimate"]


def test_table_of_files_of_one_name(capsys, saved, tmp_path):
    other = tmp_path / "one.nc"
    other.write_bytes((saved / "one.nc").read_bytes())
    record = json.loads(run(capsys, "table", saved / "one.nc", other, "--json")[1])
    assert [fit["name"] for fit in record["fits"]] == [str(saved / "one.nc"), str(other)]


def test_table_with_a_fit_that_should_not_be_used(capsys, saved):
    code, out, err = run(capsys, "table", saved / "one.nc", saved / "bad.nc")
    assert code == 1
    assert "bad should not be used as it is: Chains disagree." in out
    assert "error [r-hat]: Chains disagree." in err


def test_table_bad_input(capsys, saved, tmp_path, monkeypatch):
    one, vary, yes = (saved / f"{name}.nc" for name in ("one", "vary", "yes"))
    monkeypatch.chdir(tmp_path)
    for arguments, *messages in (
        (["--exponentiate"], "`--exponentiate` is given, but in none of these fits"),
        (["--digits", 99], "`--digits` is 99"),
        (["--interval", 95], "`--interval` is 95"),
        (["--layout", "above"], "unknown layout `above`"),
        (["--statistics", "r3"], "no statistic `r3`"),
        (["--parameter", "b[w]"], "no fit has a parameter `b[w]`"),
        (["--label", "b[x]"], "`--label b[x]` is not of the form name=text"),
        (["--label", "b[w]=W"], "no fit has a parameter `b[w]`"),
        (["--out", "t.png"], "let it end in .md, .tex, .html, .csv or .docx"),
        (["--out", "nowhere/t.md"], "no folder"),
        (["--name", "a"], "`--name` gives 1 name for 2 fits"),
        (["--name", "a", "--name", "a"], "two fits are called `a`"),
    ):
        expect_error(run(capsys, "table", one, vary, *arguments), *messages)
        assert list(tmp_path.iterdir()) == []
    expect_error(run(capsys, "table", "none.nc"), "no file `none.nc`")
    expect_error(run(capsys, "table"), "FIT")
    copy = tmp_path / "fit.md"
    copy.write_bytes(yes.read_bytes())
    expect_error(run(capsys, "table", one, copy, "--out", copy), "would overwrite the fit")
    assert copy.read_bytes() == yes.read_bytes()


def test_help_names_every_option_of_python(capsys):
    import inspect

    out = re.sub(r"\s+", " ", run(capsys, "table", "--help")[1])
    for name in inspect.signature(pp.table).parameters:
        if name != "fits":
            option = f"--{name}" if f"--{name}" in out else f"--{name.removesuffix('s')}"
            assert option in out, name
    for command in ("show", "loo", "table"):
        assert command in run(capsys)[1]


def test_fit_writes_its_table(capsys, tmp_path, monkeypatch):
    """Also that of estimates, which are not saved."""
    monkeypatch.chdir(tmp_path)
    radon = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
    model = [radon, "log_radon ~ floor + (1 | county)"]
    assert run(capsys, "fit", *model, "--method", "reml", "--table", "t.md")[0] == 0
    text = Path("t.md").read_text(encoding="utf-8")
    estimate = pp.fit(model[1], pp.datasets.radon(), method="reml")
    assert f"| floor | {estimate.summary().loc['b[floor]', 'estimate']:.3f} |" in text
    with monkeypatch.context() as patch:
        patch.setattr(pp, "fit", lambda *_, **__: pytest.fail("it was sampled"))
        expect_error(run(capsys, "fit", *model, "--table", "t.png"), "let it end in .md")
        expect_error(run(capsys, "fit", *model, "--table", "a.md", "--out", "a.md"), "are both")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["loo", "{one}", "--kfold", "2.5"], "the value of `--kfold` is no whole number"),
        (["table", "{one}", "--digits", "x"], "the value of `--digits` is no whole number"),
        (["effects", "{one}", "x", "--interval", "x"], "the value of `--interval` is no number"),
        (["show", "{one}", "--jsn"], "no such option `--jsn`: did you mean `--json`?"),
        (["fit", "d.csv", "y", "~ x"], "too many arguments, `~ x`: put into quotes what has"),
        (["effects", "{one}", "x", "--pairs", "al"], "unknown pairs `al`: did you mean `all`?"),
        (["table", "{one}", "{yes}", "--name", "a"], "`--name` gives 1 name for 2 fits"),
        (["report", "{one}", "y ~ x"], "is a saved fit, which has its own: leave the formula out"),
        (["show", "{table}"], "give a file that `fit.save` or `partialpool fit --out` wrote"),
        (["show", "{one}", "--plots", "{table}"], "cannot be made (a file has this name)"),
    ],
)
def test_wrong_options_are_told_in_our_words(saved, capsys, tmp_path, arguments, said):
    table = tmp_path / "d.csv"
    table.write_text("y,x\n1,2\n")
    paths = {name: saved / f"{name}.nc" for name in ("one", "yes")} | {"table": table}
    expect_error(run(capsys, *(text.format(**paths) for text in arguments)), said)


def test_answers_name_options_as_the_command_line_does(saved, capsys):
    code, out, _ = run(capsys, "hypothesis", saved / "one.nc", "b[x] = 0")
    assert code == 0
    assert "Ask with `--rope` whether" in out
    assert "`rope=`" in str(pp.load(saved / "one.nc").hypothesis("b[x] = 0"))


def test_effects_say_the_mass_of_their_intervals(saved, capsys):
    out = run(capsys, "effects", saved / "one.nc", "x", "--interval", "0.8")[1]
    assert out.rstrip().endswith("lower to upper: the 80% posterior interval.")


def test_checks_never_say_that_there_is_no_finding_above_one(capsys, tmp_path):
    """Each of the two says so of itself alone."""
    schools = pp.fit(
        "effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), se="se", seed=1, draws=1000
    )
    assert schools.sensitivity().findings
    schools.save(tmp_path / "s.nc")
    err = run(capsys, "check", tmp_path / "s.nc")[2]
    assert "Findings: none" not in err
    assert "Predictive checks: no finding." in err


def test_reports_have_an_object_for_programs(saved, capsys, tmp_path):
    code, out, _ = run(capsys, "report", saved / "one.nc", "--out", tmp_path / "r.html", "--json")
    record = json.loads(out)
    assert code == 0
    assert Path(record["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert record["formula"] == "y ~ x + (1 | g)"
    assert record["findings"] == []
