"""The tutorial as a command, and `partialpool compare`: what they print, write and return."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import cli

RADON = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
INDIVIDUALS = str(Path(pp.datasets.__file__).parent / "individuals.csv")
TRUTH = str(Path(pp.datasets.__file__).parent / "individuals_truth.csv")
VARYING = "log_radon ~ floor + (floor | county)"
PNG = b"\x89PNG\r\n\x1a\n"
SHORT = ["--draws", "100", "--warmup", "200", "--seed", "1"]

# Root mean squared errors of intercepts and slopes: without pooling those of least squares,
# for the hierarchical model by quadrature over sds and sigma (see test_complete_pooling).
UNPOOLED = (0.967, 1.504)
HIERARCHICAL = (0.736, 0.764)


def run(capsys, *arguments):
    """Return exit code, stdout and stderr of the command line, run in this process."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def least_squares_error():
    data, truth = pp.datasets.individuals()
    lines = [
        np.linalg.lstsq(np.column_stack([np.ones(len(d)), d["x"]]), d["y"], rcond=None)[0]
        for _, d in data.groupby("id")
    ]
    error = np.array(lines) - truth.sort_values("id")[["Intercept", "x"]].to_numpy()
    return np.sqrt(np.mean(error**2, axis=0))


# --- demo ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Exit code, text, and folder of the demo, run once."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("demo") / "not" / "yet"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = cli.main(["demo", "--out", str(folder)])
    return code, out.getvalue(), folder


NAMES = ["unpooled, Metropolis", "hierarchical, Metropolis", "unpooled", "hierarchical"]


def table(text):
    """Rows of the demo's table: cells by name."""
    lines = text.splitlines()
    (head,) = [k for k, line in enumerate(lines) if "min. ESS" in line]
    rows = {}
    for line in lines[head + 1 : head + 5]:
        name, *cells = re.split(r"\s{2,}", line.strip())
        rows[name] = cells
    assert lines[head + 5] == ""
    return lines[head], rows


def test_demo_prints_four_fits_and_exits_with_0(demo):
    code, text, _ = demo
    assert code == 0
    head, rows = table(text)
    assert re.split(r"\s{2,}", head.strip()) == [
        "accepted", "min. ESS", "max. R-hat", "seconds", "RMSE intercept", "RMSE slope",
    ]  # fmt: skip
    assert list(rows) == NAMES
    assert all(len(cells) == 6 for cells in rows.values())
    assert [cells[0].endswith("%") for cells in rows.values()] == [True, True, False, False]
    assert f"Seed 1, partialpool {pp.__version__}." in text


def test_the_tutorials_chains_have_not_converged_and_ours_have(demo):
    _, rows = table(demo[1])
    for name, (_, ess, r_hat, *_) in rows.items():
        if "Metropolis" in name:
            assert float(r_hat) > 1.1
            assert float(ess) < 100
        else:
            assert float(r_hat) <= 1.01
            assert float(ess) > 400
    assert "It has not converged" in " ".join(demo[1].split())


def test_errors_of_the_default_engine(demo):
    _, rows = table(demo[1])
    np.testing.assert_allclose(least_squares_error(), UNPOOLED, atol=5e-4)
    for name, expected in (("unpooled", UNPOOLED), ("hierarchical", HIERARCHICAL)):
        found = [float(cell) for cell in rows[name][-2:]]
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_demo_draws_the_figure(demo):
    _, text, folder = demo
    figure = folder / "shrinkage.png"
    assert [path.name for path in folder.iterdir()] == ["shrinkage.png"]
    assert figure.read_bytes().startswith(PNG)
    assert figure.stat().st_size > 20_000
    assert f"Figure: {figure}" in text


def test_demo_needs_a_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, "demo", "--out", tmp_path / "file")
    assert (code, out) == (2, "")
    assert err.startswith("error: the folder")
    assert err.count("\n") == 1


# --- compare ------------------------------------------------------------------------------------


def test_compare_prints_what_python_does(capsys, tmp_path):
    figure = tmp_path / "f.png"
    code, out, err = run(capsys, "compare", RADON, VARYING, "--plot", figure, "--seed", 1)
    assert code == 0
    cmp = pp.compare(VARYING, RADON, seed=1)
    assert out == f"{cmp.page.body}\nFigure: {figure}\n"
    assert figure.read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
    # Findings go to stderr, with the poolings that have them.
    assert "no pooling: warning [not-estimable]: 25 of 85 levels" in err
    assert "Traceback" not in err


def test_compare_with_truth_and_priors(capsys):
    code, out, _ = run(
        capsys, "compare", INDIVIDUALS, "y ~ x + (x || id)", "--truth", TRUTH,
        "--prior", "sd_id=uniform(0, 10)", "--prior", "coef_id=uniform(-100, 100)", "--seed", 1,
    )  # fmt: skip
    assert code == 0
    (row,) = [line.split() for line in out.splitlines() if line.startswith("rmse[x]")]
    assert float(row[2]) == pytest.approx(UNPOOLED[1], abs=0.01)
    assert float(row[3]) == pytest.approx(HIERARCHICAL[1], abs=0.01)
    assert "Figure" not in out


def test_compare_by_a_sampler_that_fails_returns_1(capsys):
    code, out, err = run(
        capsys, "compare", INDIVIDUALS, "y ~ x + (x || id)", "--method", "metropolis",
        "--proposal-sd", "0.1", "--chains", "2", *SHORT,
    )  # fmt: skip
    assert code == 1
    assert "b[x]" in out
    assert "error [r-hat]" in err


@pytest.fixture
def three(tmp_path):
    """A table with three coefficients for each level."""
    rng = np.random.default_rng(91)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["y", "x", "z"])
    table["g"] = np.repeat(np.arange(10), 6)
    path = tmp_path / "three.csv"
    table.to_csv(path, index=False)
    return str(path)


THREE = "y ~ x + z + (x + z || g)"


def test_compare_draws_two_chosen_terms(capsys, three, tmp_path):
    figures = []
    for choose in ("Intercept,x", "x, z"):
        figure = tmp_path / "three.png"
        code, _, _ = run(
            capsys, "compare", three, THREE, "--plot", figure, "--choose", choose, *SHORT
        )
        assert code == 0
        figures.append(figure.read_bytes())
    assert figures[0] != figures[1]


# What is wrong, and what the one line on stderr says; none of these may sample.
REFUSED = {
    "wrong suffix": (["--plot", "f.jpeg"], "a figure cannot be written as `.jpeg`"),
    "no suffix": (["--plot", "figure"], "a figure cannot be written without a suffix"),
    "no folder": (["--plot", "no/such/f.png"], "there is no folder for `--plot no/such/f.png`"),
    "negative steps": (["--method", "metropolis", "--proposal-sd", "-1"], "`--proposal-sd` is -1"),
    "steps of another engine": (["--proposal-sd", "1"], "`--proposal-sd` is given"),
    "unknown prior": (["--prior", "sd_h=uniform(0, 1)"], "a prior is set on `sd_h`"),
    "missing truth": (["--truth", "nothing.csv"], "nothing.csv"),
    "truth without levels": (["--truth", "truth.csv"], "`truth` lacks 9 of the 10 levels of `g`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused_before_sampling(capsys, monkeypatch, tmp_path, three, case):
    arguments, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    Path("truth.csv").write_text("g,Intercept,x,z\n0,1,1,1\n")

    def never(*_, **__):
        raise AssertionError("it samples")

    monkeypatch.setattr("partialpool.engine.marginal._sample", never)
    before = sorted(tmp_path.iterdir())
    code, out, err = run(capsys, "compare", three, THREE, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("choose", "message"),
    [("x,w", "`choose` names `w`"), ("x", "give two terms"), ("x,x", "give two terms")],
)
def test_terms_that_cannot_be_chosen(capsys, three, tmp_path, choose, message):
    figure = tmp_path / "f.png"
    code, _, err = run(
        capsys, "compare", three, THREE, "--plot", figure, "--choose", choose, *SHORT
    )
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not figure.exists()


def test_the_figure_does_not_overwrite_the_data(capsys, three, tmp_path):
    data = tmp_path / "data.png"
    data.write_bytes(Path(three).read_bytes())
    code, out, err = run(capsys, "compare", data, THREE, "--plot", data)
    assert (code, out) == (2, "")
    assert "would overwrite the data" in err


def test_compare_without_groups(capsys, three):
    code, out, err = run(capsys, "compare", three, "y ~ x")
    assert (code, out) == (2, "")
    assert "has no group term" in err
