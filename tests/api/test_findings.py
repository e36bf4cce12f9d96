"""Findings: raised where they should be, with a remedy, and absent where all is well."""

import numpy as np

import partialpool as pp

RNG = np.random.default_rng(12)
J, PER = 6, 5
G = np.repeat([f"lab {k}" for k in "abcdef"], PER)
X = RNG.normal(size=J * PER)
Y = 1 + 2 * X + np.repeat(RNG.normal(size=J), PER) + RNG.normal(size=J * PER)
DATA = {"y": Y, "x": X, "g": G}
QUICK = {"draws": 100, "warmup": 200, "seed": 1}


def codes(fit):
    return [finding.code for finding in fit.findings]


def test_all_is_well():
    fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), seed=1)
    assert fit.findings == []
    assert "Findings: none" in repr(fit)
    assert "Findings: none" in fit._repr_html_()


def finding(fit, code):
    assert code in codes(fit)
    found = next(finding for finding in fit.findings if finding.code == code)
    assert found.message.endswith(".")
    assert found.remedy == "" or found.remedy.endswith(".")
    return found


def test_finding_dropped_rows():
    y = Y.copy()
    y[[0, 7]] = np.nan
    found = finding(pp.fit("y ~ x + (1 | g)", DATA | {"y": y}, **QUICK), "dropped-rows")
    assert found.level == "info"
    assert found.message.startswith("2 of 30 rows have missing values")
    y[:10] = np.nan
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"y": y}, **QUICK)
    assert finding(fit, "dropped-rows").level == "warning"
    assert "10 with missing values left out" in repr(fit)


def test_finding_one_level():
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"g": ["a"] * len(Y)}, **QUICK)
    assert "only one level" in finding(fit, "one-level").message
    assert "few-levels" not in codes(fit)


def test_finding_few_levels():
    fit = pp.fit("y ~ x + (1 | g)", DATA | {"g": np.resize(["a", "b", "c"], len(Y))}, **QUICK)
    assert "only 3 levels" in finding(fit, "few-levels").message


def test_finding_one_row_in_every_level():
    data = DATA | {"g": np.arange(len(Y))}
    fit = pp.fit("y ~ x + (1 | g)", data, **QUICK)
    assert "cannot be told apart" in finding(fit, "sd-sigma-confounded").message
    assert "sd-sigma-confounded" not in codes(
        pp.fit("y ~ x + (1 | g)", data, se=np.ones(len(Y)), **QUICK)
    )


def test_finding_the_prior_decides():
    # One row a level and errors far larger than the prior of the sd.
    data = {"y": RNG.normal(size=8), "g": list("abcdefgh")}
    fit = pp.fit(
        "y ~ 1 + (1 | g)", data, se=np.full(8, 50.0), priors={"sd_g": pp.HalfNormal(1)}, seed=1
    )
    assert "`sd_g[Intercept]` is hardly narrower" in finding(fit, "prior-decides").message
    sure = pp.fit("log_radon ~ 1 + (1 | county)", pp.datasets.radon(), seed=1)
    assert "prior-decides" not in codes(sure)


def test_findings_of_too_short_a_run():
    fit = pp.fit("y ~ x + (x | g)", DATA, draws=20, warmup=5, seed=1)
    assert finding(fit, "ess").level == "warning"
    assert "at least 400" in finding(fit, "ess").message
    assert "at most 1.01" in finding(fit, "r-hat").message


def test_finding_different_scales():
    data = DATA | {"z": 1e-9 * RNG.normal(size=len(Y))}
    assert "`z`" in finding(pp.fit("y ~ x + z", data, **QUICK), "different-scales").message


def test_finding_far_from_zero():
    fit = pp.fit("y ~ x + (x | g)", DATA | {"x": X + 100}, **QUICK)
    assert "center(x)" in finding(fit, "far-from-zero").remedy


def test_finding_truncated_prior():
    fit = pp.fit("y ~ x + (1 | g)", DATA, priors={"sd_g": pp.Normal(0, 1)}, **QUICK)
    assert "cut off below 0" in finding(fit, "prior-truncated").message
