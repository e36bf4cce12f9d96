"""What users have of a fit by ``method="laplace"``, and what it refuses."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.cli import main
from partialpool.draws.approximate import approximation
from partialpool.engine import laplace

RNG = np.random.default_rng(2)
G = np.repeat(np.arange(12), 15)
X = RNG.normal(size=180)
Y = RNG.binomial(1, 1 / (1 + np.exp(-0.5 * X - RNG.normal(size=12)[G])))
DATA = pd.DataFrame({"x": X, "g": G, "y": Y, "z": RNG.normal(size=180)})
QUICK = {"family": "bernoulli", "method": "laplace", "chains": 2, "draws": 200, "seed": 1}


@pytest.fixture(scope="module")
def fit():
    return pp.fit("y ~ x + (1 | g)", DATA, **QUICK)


def test_it_says_what_it_is(fit):
    assert fit.method == "laplace"
    assert "an approximation" in fit.method_reason
    found = approximation(fit.model, fit.run)
    assert found.judged == 400
    shown = str(fit)
    assert f"Pareto k {found.pareto_k:.2f} over 400 draws" in " ".join(shown.split())
    assert "2 chains × 200 independent draws" in shown
    assert fit.to_dict()["approximation"]["pareto_k"] == found.pareto_k


def test_more_draws_are_judged_where_their_weights_differ():
    good = pp.fit("y ~ x + (1 | g)", DATA, family="bernoulli", method="laplace", seed=1)
    found = approximation(good.model, good.run)
    assert found.judged == 200
    assert found.effective > 0.95
    rng, g = np.random.default_rng(3), np.repeat(np.arange(60), 2)
    few = pd.DataFrame(
        {"g": g, "y": rng.random(120) < 1 / (1 + np.exp(-2 * rng.normal(size=60)[g]))}
    )
    poor = pp.fit("y ~ 1 + (1 | g)", few, family="bernoulli", method="laplace", seed=1)
    found = approximation(poor.model, poor.run)
    assert 400 <= found.judged <= 600
    assert found.effective < 0.9


def test_answers_are_those_of_any_fit(fit):
    assert (fit.summary()["sd"] > 0).all()
    assert len(fit.coefficients()) == 12
    assert fit.predict(DATA.head(3))["mean"].between(0, 1).all()
    assert len(fit.effects("x"))
    assert "b[x]" in str(fit.hypothesis("b[x] > 0"))
    assert np.isfinite(fit.loo().elpd).all()
    assert len(fit.residuals()) == 180
    assert "b[x]" in fit.sensitivity().labels
    assert fit.variance().page


def test_levels_are_drawn_once_and_when_they_are_asked_for(monkeypatch, tmp_path):
    calls, draw = [], laplace._coefficients
    monkeypatch.setattr(laplace, "_coefficients", lambda *of: calls.append(1) or draw(*of))
    data = DATA.assign(h=np.arange(180) % 7)
    asked = "y ~ x + (1 | g) + (1 | h)"
    fit = pp.fit(asked, data, **QUICK)
    assert str(fit)
    assert len(fit.summary()) == 4
    assert not calls
    means = fit.coefficients()["mean"]
    fit.predict(data.head(3))
    assert len(calls) == 1
    for other in (
        pp.fit(asked, data, **QUICK | {"threads": 1}),
        pickle.loads(pickle.dumps(pp.fit(asked, data, **QUICK))),
        copy.deepcopy(fit),
        fit.save(tmp_path / "fit.nc") or pp.load(tmp_path / "fit.nc"),
    ):
        assert (other.coefficients()["mean"] == means).all()
    one, other = pp.fit(asked, data, **QUICK), pp.fit(asked, data, **QUICK)
    assert (one.predict(data.head(3))["mean"] == other.predict(data.head(3))["mean"]).all()
    assert (one.coefficients()["mean"] == means).all()


def test_answers_say_whose_draws_they_take(fit):
    walk = pp.fit("y ~ x + (1 | g)", DATA, **QUICK | {"method": "nuts"})
    for answer in ("loo", "check"):
        found = {f.code: f for f in getattr(fit, answer)().findings}["approximate-draws"]
        assert found.level == "info"
        assert "Pareto k" in found.message
        assert "approximate-draws" not in {f.code for f in getattr(walk, answer)().findings}


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_answers_of_a_bad_approximation_warn():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(60), 3)})
    data["y"] = rng.binomial(1, 1 / (1 + np.exp(-2 * rng.normal(size=60)[data["g"]])))
    bad = pp.fit("y ~ 1 + (1 | g)", data, **QUICK | {"draws": 1000})
    for answer in ("loo", "check"):
        found = {f.code: f for f in getattr(bad, answer)().findings}["approximate-draws"]
        assert found.level == "warning"
        assert "not a good one" in found.message


def test_a_file_keeps_how_good_it_is(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    again = pp.load(tmp_path / "fit.nc")
    assert str(again) == str(fit)
    assert approximation(again.model, again.run) == approximation(fit.model, fit.run)
    pd.testing.assert_frame_equal(again.coefficients(), fit.coefficients())


def test_reports_and_comparisons_take_it(fit, tmp_path):
    fit.report(tmp_path / "report.html")
    assert "normal around their mean" in (tmp_path / "report.html").read_text()
    compared = pp.compare("y ~ x + (1 | g)", DATA, **QUICK)
    assert {fit.method for fit in compared.fits.values()} == {"laplace"}
    assert "y" in str(pp.compare_fits({"a": fit, "b": compared.fits["complete"]}))


def test_the_command_line_takes_it(tmp_path, capsys):
    DATA.to_csv(tmp_path / "rows.csv", index=False)
    options = ["--family", "bernoulli", "--method", "laplace", "--draws", "100", "--seed", "1"]
    code = main(["fit", str(tmp_path / "rows.csv"), "y ~ x + (1 | g)", *options])
    assert code == 0
    assert "Pareto k" in capsys.readouterr().out


def test_draws_go_on_until_there_are_enough():
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK | {"draws": "auto", "ess": 1500})
    assert fit.run.draws * fit.run.chains >= 1500
    assert fit.summary()["ess_bulk"].min() >= 1500


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_few_draws_are_no_judgement_and_warmup_has_no_part():
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK | {"draws": 10, "warmup": 5})
    assert {"approximation-unjudged", "no-warmup"} <= {f.code for f in fit.findings}


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("z ~ x + (1 | g)", {"family": "gaussian"}, "integrate out exactly"),
        ("y ~ x + (1 | g)", {"priors": {"b[x]": "uniform(0, 2)"}}, "prior with bounds"),
        ("y ~ x + (1 + x + z + x:z | g)", {}, "10 numbers, and it takes 8 at most"),
        ("y ~ x + (1 | g)", {"quadrature": 5}, "quadrature"),
        ("y ~ x + (1 | g)", {"proposal_sd": 0.1}, "proposal_sd"),
        ("y ~ x + (1 | g)", {"one_pass": True}, "single rows"),
        (
            "y ~ x + (1 | g)",
            {"pooling": "none", "priors": {"coef_g": "student_t(3, 0, 1)"}},
            "not normal",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(formula, options, words):
    with pytest.raises(pp.InputError, match=words):
        pp.fit(formula, DATA, **QUICK | options)
