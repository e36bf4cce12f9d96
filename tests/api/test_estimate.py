"""`method="reml"` and `"ml"`: what users call, the errors, and the command line."""

import csv
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import partialpool as pp
from partialpool import cli
from partialpool.engine.sampling import Sampling

RADON = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
SCHOOLS = str(Path(pp.datasets.__file__).parent / "eight_schools.csv")
VARYING = "log_radon ~ floor + (floor | county)"
SIMPLE = "log_radon ~ floor + (1 | county)"


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def radon():
    return pp.fit(VARYING, pp.datasets.radon(), method="reml")


def test_names_are_those_of_a_fit(radon):
    fit = pp.fit(VARYING, pp.datasets.radon(), chains=1, draws=4, warmup=4, seed=1)
    assert radon.summary().index.tolist() == fit.summary().index.tolist()
    ours, theirs = radon.coefficients(), fit.coefficients()
    assert ours.columns.tolist() == theirs.columns.tolist()
    facts = ["factor", "level", "term", "n"]
    assert ours[facts].equals(theirs[facts])
    assert isinstance(radon, pp.Estimate)
    assert (radon.formula, radon.pooling, radon.method) == (VARYING, "partial", "reml")


def test_intervals_follow_the_standard_errors(radon):
    b = radon.summary("b")
    assert b.index.tolist() == ["b[Intercept]", "b[floor]"]
    assert np.sqrt(np.diag(radon.vcov)) == pytest.approx(b["standard_error"].to_numpy())
    wide = pp.fit(VARYING, pp.datasets.radon(), method="reml", interval=0.5).summary("b")
    for frame, z in ((b, 1.959964), (wide, 0.674490)):  # quantiles of the normal distribution
        width = (frame["upper"] - frame["lower"]) / frame["standard_error"]
        assert width.to_numpy() == pytest.approx(2 * z, rel=1e-6)
    assert radon.summary("sigma")[["standard_error", "lower", "upper"]].isna().all(axis=None)
    with pytest.raises(pp.InputError, match="did you mean `sd_county`"):
        radon.summary("sd_conty")


def test_text(radon):
    text = repr(radon)
    assert "restricted maximum likelihood (REML), without priors" in text
    assert "REML criterion 2094.43 (log likelihood -1047.21), 6 parameters, AIC 2106.43" in text
    assert "b[floor]                         -0.655  0.084  -0.819  -0.490" in text
    assert "as if sds, correlations and sigma were\nknown; these have no interval here." in text
    assert text.endswith("Findings: none. The maximum was found, and no sd is 0.")
    plain = repr(pp.fit("log_radon ~ floor", pp.datasets.radon(), method="ml"))
    assert "maximum likelihood (ML)" in plain
    assert "deviance 2172.97" in plain
    assert "as if sigma were known" in plain
    assert plain.endswith("Findings: none. The maximum was found.")
    known = repr(pp.fit("effect ~ 1", pp.datasets.eight_schools(), se="se", method="ml"))
    assert "the 95% confidence interval of b (Wald).\n" in known


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"priors": {"b": pp.Normal(0, 1)}}, "they have no part in it"),
        ({"pooling": "none"}, "without pooling the levels of `county` have no common"),
        ({"pooling": {"county": "none"}}, "without pooling"),
        ({"family": "student_t"}, "the family is student_t"),
        ({"sigma": "~ floor"}, "log sigma has a formula of its own"),
        ({"chains": 2}, "`chains` is given with method=\"reml\", which draws nothing"),
        ({"draws": 10}, "`draws` is given"),
        ({"warmup": 10}, "`warmup` is given"),
        ({"seed": 1}, "`seed` is given"),
        ({"threads": 1}, "`threads` is given"),
        ({"proposal_sd": 0.1}, "`proposal_sd` is given"),
        ({"interval": 2}, "`interval` is 2"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_said(options, what):
    formula = options.pop("formula", SIMPLE)
    with pytest.raises(pp.InputError, match=what.replace("(", r"\(")):
        pp.fit(formula, pp.datasets.radon(), method="reml", **options)


@pytest.mark.parametrize("option", ["chains", "draws", "warmup", "threads", "progress", "seed"])
def test_sampling_options_are_refused_whatever_their_values(option):
    """That an option is given is known from its being there, not from its value."""
    value = {"progress": False, "seed": 0}.get(option, getattr(Sampling(), option))
    with pytest.raises(pp.InputError, match=f"`{option}` is given with method=.*draws nothing"):
        pp.fit(SIMPLE, pp.datasets.radon(), method="ml", **{option: value})
    assert inspect.signature(pp.fit).parameters[option].default is None


def test_comparing_is_for_posteriors():
    with pytest.raises(pp.InputError, match="estimates one model"):
        pp.compare(SIMPLE, pp.datasets.radon(), method="reml")


@pytest.mark.parametrize(
    ("data", "formula", "what"),
    [
        ({"y": [1.0, 3.0], "x": [0, 1]}, "y ~ x", "2 rows cannot determine 2 coefficients"),
        ({"y": [1.0, 3.0, 5.0], "x": [0, 1, 2]}, "y ~ x", "fit every row of `y` exactly"),
        (
            {"y": [1.0, 1, 2, 2], "g": [0, 0, 1, 1]},
            "y ~ 1 + (1 | g)",
            "fit every row of `y` exactly",
        ),
    ],
)
def test_likelihoods_without_a_maximum(data, formula, what):
    with pytest.raises(pp.InputError, match=what):
        pp.fit(formula, data, method="ml")


@pytest.mark.parametrize(
    "name",
    ["draws", "save", "loo", "kfold", "predict", "effects", "check", "sensitivity", "run", "seed"],
)
def test_what_needs_a_posterior(radon, name):
    with pytest.raises(pp.InputError, match=f"`{name}` belongs to a posterior"):
        getattr(radon, name)
    assert not hasattr(radon, name)


def test_other_attributes_are_unknown(radon):
    with pytest.raises(AttributeError, match="no attribute 'sumary'"):
        radon.sumary()


def test_findings():
    rng = np.random.default_rng(1)
    y = rng.normal(size=30)
    y[[3, 4, 5]] = np.nan
    data = {"y": y, "g": np.repeat([0, 1, 2], 10), "x": rng.normal(size=30)}
    found = pp.fit("y ~ x + (1 | g)", data, method="reml")
    assert {"dropped-rows", "few-levels"} <= {finding.code for finding in found.findings}
    assert found.provenance.n_dropped == 3
    assert not any("prior" in str(f) for f in found.findings if f.code != "singular-fit")


def test_a_search_that_does_not_end_is_an_error(monkeypatch):
    from partialpool.likelihood import search

    monkeypatch.setattr(search, "MAX_STEPS", 1)
    found = pp.fit(VARYING, pp.datasets.radon(), method="reml")
    assert not found.maximum.converged
    assert [(f.code, f.level) for f in found.findings] == [("not-converged", "error")]


def test_several_maxima_are_said(monkeypatch):
    from partialpool.likelihood import search

    data = {
        "y": [1.9, 4.1, -3.4, 4.5, -1.4, 2.2, -1.2, -1.6],
        "x": [0.4, 1.5, -1.8, 1.7, 0.0, -0.8, -0.8, -1.1],
        "g": [0, 0, 1, 1, 2, 2, 3, 3],
    }
    found = pp.fit("y ~ x + (x || g)", data, method="reml")
    assert [finding.code for finding in found.findings][:2] == ["several-maxima", "singular-fit"]
    monkeypatch.setattr(search, "STARTS", np.array([10.0]))
    other = pp.fit("y ~ x + (x || g)", data, method="reml")
    assert other.maximum.converged
    assert other.deviance > found.deviance + 0.3


# --- The command line ---------------------------------------------------------------------------


def test_table(capsys):
    code, out, err = run(capsys, "fit", RADON, VARYING, "--method", "reml")
    assert code == 0
    assert "REML criterion 2094.43" in out
    assert "sd_county[floor]                 0.3285" in out
    assert err.strip() == "Findings: none. The maximum was found, and no sd is 0."


def test_json(capsys):
    code, out, _ = run(capsys, "fit", SCHOOLS, "effect ~ 1 + (1 | school)", "--se", "se",
                       "--method", "ml", "--json")  # fmt: skip
    record = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert record["method"] == "ml"
    assert record["deviance"] == pytest.approx(59.3485, abs=1e-4)
    assert [row["parameter"] for row in record["parameters"]] == [
        "b[Intercept]", "sd_school[Intercept]",
    ]  # fmt: skip
    assert record["parameters"][1] == {
        "parameter": "sd_school[Intercept]",
        "estimate": 0.0,
        "standard_error": None,
        "lower": None,
        "upper": None,
    }
    assert [finding["code"] for finding in record["findings"]] == ["singular-fit"]
    assert record["versions"]["partialpool"] == pp.__version__


def test_coefficients(capsys, tmp_path, radon):
    path = tmp_path / "c.csv"
    code, *_ = run(capsys, "fit", RADON, VARYING, "--method", "reml", "--coefficients", path)
    assert code == 0
    with open(path, encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    expected = radon.coefficients()
    assert [float(row["mean"]) for row in written] == expected["mean"].tolist()
    assert [float(row["upper"]) for row in written] == expected["upper"].tolist()


def test_no_file_of_an_estimate(capsys, tmp_path):
    path = tmp_path / "fit.nc"
    code, out, err = run(capsys, "fit", RADON, SIMPLE, "--method", "reml", "--out", path)
    assert (code, out) == (2, "")
    assert "`--out` is given with `--method reml`, and it saves posteriors" in err
    assert not path.exists()


def test_exit_codes(capsys, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("y,g\n" + "\n".join(f"{k**2 % 7},{k}" for k in range(12)))
    assert run(capsys, "fit", path, "y ~ 1 + (1 | g)", "--method", "reml")[0] == cli.UNUSABLE
    code, _, err = run(capsys, "fit", RADON, SIMPLE, "--method", "remml")
    assert code == cli.BAD_INPUT
    assert "did you mean `reml`?" in err
