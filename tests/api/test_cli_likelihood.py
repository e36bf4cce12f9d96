"""Likelihoods on the command line: profile intervals and tests, as Python gives them."""

import io
import json
from pathlib import Path

import pytest

import partialpool as pp
from partialpool import cli

RADON = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
SMALL = "log_radon ~ floor + (1 | county)"
LARGE = "log_radon ~ floor + (floor | county)"


def run(capsys, *arguments):
    """Return exit code, stdout and stderr of the command line, run in this process."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_intervals_are_those_of_confint(capsys, method):
    asked = ("fit", RADON, SMALL, "--method", method, "--interval", "0.8", "--confint")
    code, out, _ = run(capsys, *asked, "--json")
    record = json.loads(out)
    estimate = pp.fit(SMALL, RADON, method=method, interval=0.8)
    bounds = estimate.confint().reset_index().to_dict("records")
    assert code == 0
    assert record["intervals"] == "profile likelihood"
    assert len(record["parameters"]) == len(bounds) == 4
    for row, expected in zip(record["parameters"], bounds, strict=True):
        assert row["parameter"] == expected["parameter"]
        assert row["lower"] == pytest.approx(expected["lower"], abs=1e-6)
        assert row["upper"] == pytest.approx(expected["upper"], abs=1e-6)
        # Estimates stay those of the method.
        assert row["estimate"] == pytest.approx(
            estimate.summary().loc[row["parameter"], "estimate"], abs=1e-6
        )
    _, out, _ = run(capsys, *asked)
    assert "the 80% confidence interval by profile likelihood" in out
    assert ("estimates are by REML" in " ".join(out.split())) == (method == "reml")
    assert "Wald" not in out


def test_without_confint_intervals_are_walds(capsys):
    _, out, _ = run(capsys, "fit", RADON, SMALL, "--method", "ml", "--json")
    record = json.loads(out)
    assert "intervals" not in record
    assert record["parameters"][-1]["lower"] is None  # sigma


def test_posteriors_have_no_profiles(capsys):
    code, out, error = run(capsys, "fit", RADON, SMALL, "--confint")
    assert (code, out) == (2, "")
    assert "`--confint` is given with `--method auto`" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("formulas", [(SMALL, LARGE), (LARGE, SMALL)])
def test_a_test_of_nested_models_in_either_order(capsys, formulas):
    code, out, error = run(capsys, "lrt", RADON, *formulas, "--json")
    record = json.loads(out)
    test = pp.fit(SMALL, RADON, method="ml").lrt(pp.fit(LARGE, RADON, method="ml"))
    assert code == 0
    assert error == ""
    for name in ("chisq", "df", "p", "p_mixture"):
        assert record[name] == pytest.approx(getattr(test, name), abs=1e-6)
    assert [row["formula"] for row in record["models"]] == [SMALL, LARGE]


def test_standard_input_is_read_for_both(capsys, monkeypatch):
    text = Path(RADON).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text), "utf-8"))
    code, out, _ = run(capsys, "lrt", "-", SMALL, LARGE, "--method", "reml", "--json")
    assert code == 0
    assert json.loads(out)["method"] == "reml"


def test_weights_change_both(capsys, tmp_path):
    data = pp.datasets.radon()
    data["w"] = 1.0 + (data["floor"] == 0)
    data.to_csv(tmp_path / "data.csv", index=False)
    code, out, _ = run(
        capsys, "lrt", tmp_path / "data.csv", SMALL, LARGE, "--weights", "w", "--json"
    )
    one, two = (pp.fit(text, data, method="ml", weights="w") for text in (SMALL, LARGE))
    assert code == 0
    assert json.loads(out)["chisq"] == pytest.approx(one.lrt(two).chisq, abs=1e-6)


@pytest.mark.parametrize(
    ("formulas", "options", "message"),
    [
        ((SMALL, LARGE), ("--method", "nuts"), "`--method nuts` gives no maximum"),
        ((SMALL, "log_radon ~ (1 | county)"), ("--method", "reml"), "with --method ml"),
        (("log_radon ~ floor", "log_radon ~ log_uranium"), (), "nested"),
        ((SMALL, SMALL), (), "same"),
    ],
)
def test_what_cannot_be_tested(capsys, formulas, options, message):
    code, out, error = run(capsys, "lrt", RADON, *formulas, *options)
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_findings_of_both_are_told_with_the_model_that_they_are_about(capsys, tmp_path):
    data = pp.datasets.radon()
    data.loc[:3, "log_radon"] = None
    data.to_csv(tmp_path / "data.csv", index=False)
    code, _, error = run(capsys, "lrt", tmp_path / "data.csv", SMALL, LARGE)
    assert code == 0
    assert SMALL in error
    assert LARGE in error


@pytest.mark.parametrize(
    ("formulas", "options"),
    [
        (("log_radon ~ 1 + (1 | county)", SMALL), {"sigma": "~ floor"}),
        (("floor ~ 1 + (1 | county)", "floor ~ log_radon + (1 | county)"), {"quadrature": 5}),
    ],
)
def test_tests_of_other_models_are_those_of_python(capsys, formulas, options):
    if "quadrature" in options:
        options = {"family": "bernoulli", **options}
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    code, out, _ = run(capsys, "lrt", RADON, *formulas, *given, "--json")
    small, large = (pp.fit(text, RADON, method="ml", **options) for text in formulas)
    test = json.loads(out)
    assert code == 0
    assert test["chisq"] == pytest.approx(large.lrt(small).chisq, abs=1e-6)
    assert test["df"] == 1
