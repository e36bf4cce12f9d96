"""Commands that draw: which files they write, whole or not at all, and what they refuse."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import partialpool as pp
from partialpool import cli
from partialpool.cli.figures import file_name, write_figures
from partialpool.errors import InputError

RADON = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
FORMULA = "log_radon ~ floor + (1 | county)"
SHORT = ["--chains", "2", "--draws", "60", "--warmup", "100", "--seed", "1"]
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF"


def run(capsys, *arguments):
    """Return exit code, stdout and stderr of the command line, run in this process."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    pp.fit(FORMULA, RADON, chains=2, draws=60, warmup=100, seed=1).save(path)
    return path


def few(self):
    """Two of all figures: each has tests of its own."""
    return {"levels": self.levels, "coefficients": self.coefficients}


def test_fit_draws(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("partialpool.figures.fit.FitPlots.all", few)
    code, out, _ = run(
        capsys, "fit", RADON, FORMULA, *SHORT, "--plot", tmp_path / "f.pdf", "--plots",
        tmp_path / "all",
    )  # fmt: skip
    assert code in (0, 1)
    assert (tmp_path / "f.pdf").read_bytes().startswith(PDF)
    assert names(tmp_path / "all") == {"levels.png", "coefficients.png"}
    assert all(path.read_bytes().startswith(PNG) for path in (tmp_path / "all").iterdir())
    assert f"Figure: {tmp_path / 'f.pdf'}\nFigures: {tmp_path / 'all'}\n" in out


def test_effects_draws_what_it_prints(capsys, tmp_path, saved, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        "partialpool.figures.fit.FitPlots.effects",
        lambda _, **given: asked.update(given) or Figure(),
    )
    figure = tmp_path / "e.svg"
    code, out, _ = run(
        capsys, "effects", saved, "floor", "--at", "floor=0,1", "--kind", "linear", "--interval",
        "0.8", "--plot", figure,
    )  # fmt: skip
    assert code == 0
    assert figure.read_text().startswith("<?xml")
    assert (asked["by"], asked["at"], asked["kind"]) == ("floor", {"floor": [0, 1]}, "linear")
    assert asked["interval"] == 0.8
    assert f"Figure: {figure}" in out


def test_show_and_check_draw(capsys, tmp_path, saved, monkeypatch):
    monkeypatch.setattr("partialpool.figures.fit.FitPlots.all", few)
    code, out, _ = run(capsys, "show", saved, "--plots", tmp_path / "show")
    assert code in (0, 1)
    assert names(tmp_path / "show") == {"levels.png", "coefficients.png"}
    assert f"Figures: {tmp_path / 'show'}" in out
    assert run(capsys, "check", saved, "--plots", tmp_path / "check", "--draws", 100)[0] == 0
    expected = {"check.png", "density.png", "statistics.png", "groups.png"}
    assert names(tmp_path / "check") == expected


def test_compare_draws(capsys, tmp_path):
    three = tmp_path / "three.csv"
    rows = [f"{'abc'[k % 3]},{k % 7},{(k * 7) % 11 + k % 3}" for k in range(40)]
    three.write_text("\n".join(["g,x,y", *rows]) + "\n")
    code, out, _ = run(
        capsys, "compare", three, "y ~ x + (1 | g)", *SHORT, "--plots", tmp_path / "out"
    )
    assert code in (0, 1)
    expected = ["shrinkage", "levels", "groups", "pooling_factor", "coefficients"]
    assert names(tmp_path / "out") == {f"{name}.png" for name in expected}
    assert f"Figures: {tmp_path / 'out'}" in out


BAD = {
    "ending": (["--plot", "f.jpeg"], "a figure cannot be written as `.jpeg`"),
    "folder": (["--plot", "no/such/f.png"], "there is no folder for `--plot no/such/f.png`"),
    "a file": (["--plots", RADON], "cannot be made"),
    "method": (
        ["--method", "reml", "--plot", "f.png"],
        "`--plot` is given with `--method reml`, and it draws posteriors",
    ),
    "twice": (["--plot", "f.png", "--out", "f.png"], "are both"),
}


@pytest.mark.parametrize("name", BAD)
def test_fit_refuses_before_it_samples(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partialpool.fit", lambda *_, **__: pytest.fail("it sampled"))
    options, message = BAD[name]
    code, out, err = run(capsys, "fit", RADON, FORMULA, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_a_figure_does_not_replace_the_fit(capsys, saved):
    before = saved.read_bytes()
    code, _, err = run(capsys, "effects", saved, "floor", "--plot", saved)
    assert code == 2
    assert "would overwrite the fit" in err
    assert saved.read_bytes() == before


def test_all_figures_are_written_or_none(tmp_path):
    def broken():
        raise InputError("there is nothing to draw", remedy="leave it")

    (tmp_path / "one.png").write_text("older")
    with pytest.raises(InputError, match="nothing to draw"):
        write_figures({"one": Figure, "two": broken}, tmp_path)
    assert names(tmp_path) == {"one.png"}
    assert (tmp_path / "one.png").read_text() == "older"
    paths = write_figures({"one": Figure, "effects-a/b": Figure, "effects-a:b": Figure}, tmp_path)
    assert [path.name for path in paths] == ["one.png", "effects-a_b.png", "effects-a_b-2.png"]
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["", "..", "a/../../b", "CON\0", "$x_%<&>", "größe", "x" * 300])
def test_names_of_files_stay_in_their_folder(name):
    own = file_name(name)
    assert own
    assert not {"/", "\\", "\0", "<", ">", "%"} & {*own}
    assert len(own) <= 80
    assert own.strip(".")
