"""What estimates without priors say of the data, and of themselves."""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.likelihood import climb

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")


def table(n=120, seed=3):
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=n), np.arange(n) // 8
    eta = 0.3 + 0.5 * x + rng.normal(0, 0.6, 1 + g[-1])[g]
    return pd.DataFrame(
        {
            "x": x,
            "g": g,
            "i": np.arange(n),
            "normal": eta + rng.normal(size=n),
            "count": rng.poisson(np.exp(eta)),
            "yes": rng.binomial(1, 1 / (1 + np.exp(-eta))),
            "wait": rng.gamma(2.0, np.exp(eta) / 2.0),
            "order": np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5]),
            "w": np.arange(n) % 3,
        }
    )


def codes(fit):
    return {finding.code for finding in fit.findings}


@pytest.mark.parametrize(
    ("method", "family"), [("reml", "gaussian"), ("ml", "gaussian"), ("ml", "lognormal")]
)
def test_how_columns_were_read_is_said_whatever_the_method(method, family):
    data = table()
    data["z"] = [f"{value:.2f}".replace(".", ",") for value in np.exp(data["normal"])]
    data.loc[3, "z"] = "n/a"
    data["g"] = [f"school {code}" for code in data["g"]]
    data.loc[5, "g"] = "School 0"
    found = pp.fit("z ~ x + (1 | g)", data, family=family, method=method)
    sampled = pp.fit("z ~ x + (1 | g)", data, family=family, draws=50, warmup=50, seed=1)
    notes = {"missing-marks", "number-format", "alike-labels", "dropped-rows"}
    assert notes <= codes(found)
    assert notes <= codes(sampled)


def test_rows_of_weight_0_are_said():
    fit = pp.fit("yes ~ x + (1 | g)", table(), family="bernoulli", weights="w", method="ml")
    assert "zero-weight" in codes(fit)


@pytest.mark.parametrize(
    ("formula", "family", "code", "words"),
    [
        ("wait ~ x + (1 | i)", "gamma", "sd-shape-confounded", "their estimates mean little"),
        ("yes ~ x + (1 | i)", "bernoulli", "sd-undetermined", "the sd is arbitrary"),
        ("order ~ x + (1 | i)", "cumulative", "sd-undetermined", "the sd is arbitrary"),
        ("count ~ x + (1 | i)", "poisson", "sd-is-overdispersion", "how much more"),
    ],
)
def test_levels_of_one_row_are_judged_without_a_word_of_priors(formula, family, code, words):
    fit = pp.fit(formula, table(), family=family, method="ml")
    (finding,) = [one for one in fit.findings if one.code == code]
    assert words in finding.message
    assert "prior" not in finding.message


@pytest.mark.parametrize(
    ("formula", "family", "name"),
    [("normal ~ x + (1 | g)", "student_t", "nu"), ("even ~ x", "negbinomial", "shape")],
)
def test_dispersion_that_the_data_show_nothing_of_is_said(formula, family, name):
    data = table(n=400)
    data["even"] = np.random.default_rng(1).binomial(6, 1 / (1 + np.exp(-0.2 * data["x"])))
    fit = pp.fit(formula, data, family=family, method="ml")
    (finding,) = [one for one in fit.findings if one.code == "at-the-edge"]
    assert f"where `{name}` goes on" in finding.message
    assert fit.maximum.edges == (name,)
    assert np.isnan(fit.maximum.errors[name])
    # Standard errors are those of the family without it.
    simple = {"student_t": "gaussian", "negbinomial": "poisson"}[family]
    plain = pp.fit(formula, data, family=simple, method="ml")
    columns = ["estimate", "standard_error"]
    assert np.allclose(fit.summary("b")[columns], plain.summary("b")[columns], rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_dispersion_that_the_data_show_is_no_finding(sd):
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    mean = np.exp(0.5 + 0.3 * x)
    y = rng.negative_binomial(1 / sd, 1 / sd / (1 / sd + mean))
    fit = pp.fit("y ~ x", {"x": x, "y": y}, family="negbinomial", method="ml")
    assert "at-the-edge" not in codes(fit)


def test_numbers_that_a_search_cannot_use_are_an_error_of_one_sentence(monkeypatch):
    def lost(*_, **__):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(climb, "minimise", lost)
    with pytest.raises(pp.EngineError, match="where the search has led; leave `method` out"):
        pp.fit("yes ~ x + (1 | g)", table(), family="bernoulli", method="ml")
