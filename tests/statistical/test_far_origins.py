"""Predictions do not depend on where a predictor has its zero, whatever engine made them.

The same model, years counted from 0 and from their mean; posterior means and sds of linear
predictors agree within 5 Monte Carlo errors of their difference (6e-7 for each number; seeds are
fixed).
"""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from helpers import sd_error
from partialpool.draws.diagnostics import diagnose

RNG = np.random.default_rng(42)
J, PER = 14, 9
D = pd.DataFrame({"g": np.repeat(np.arange(J), PER), "year": np.tile(np.arange(2004.0, 2013), J)})
D["arm"] = np.where(D["g"] % 2, "treated", "control")
OWN = RNG.normal([0, 0.05], [1.0, 0.06], (J, 2))[D["g"]]
SINCE = D["year"] - 2008
ETA = 20 + OWN[:, 0] + (OWN[:, 1] + 0.08 * (D["arm"] == "treated")) * SINCE
D["y"] = ETA + RNG.normal(0, 0.4, len(D))
D["k"] = RNG.poisson(np.exp(1 + (ETA - 20) / 2))
D["level"] = np.digitize(D["y"], [19, 20, 21])
D["w"] = 1e5 * RNG.uniform(0.5, 2, len(D))
CENTRED = D.assign(year=SINCE)
NEW = [3, 40, 77, 125]


def same_predictor(one, other, new=None):
    """Means and sds of linear predictors of some rows, those of a new level among them."""
    draws = []
    for fit, d in ((one, D), (other, CENTRED)):
        rows = d.iloc[NEW]
        rows = pd.concat([rows, rows.iloc[:1].assign(g=99)]) if new is None else new(rows)
        # Thresholds move with the zero: of ratings, predictions are compared.
        kind = "mean" if fit.model.categories else "linear"
        eta = fit.posterior_predictive(rows, kind=kind)
        draws.append(np.asarray(eta).reshape(fit.run.chains, -1, len(rows)))
    a, b = map(diagnose, draws)
    z = (a["mean"] - b["mean"]) / np.hypot(a["mcse"], b["mcse"])
    assert np.all(np.abs(z) < 5), z
    z = (a["sd"] - b["sd"]) / np.hypot(*map(sd_error, draws))
    assert np.all(np.abs(z) < 5), z


CASES = {
    "interaction": ("y ~ arm * year + (1 | g)", {}),
    "power": ("y ~ arm + year + {year**2} + (1 | g)", {}),
    "slopes": ("y ~ year + (year | g)", {}),
    "independent slopes": ("y ~ year + (year || g)", {}),
    "weights": ("y ~ arm * year + (year | g)", {"weights": "w"}),
    "everything sampled": ("y ~ arm * year + (year | g)", {"method": "nuts"}),
    "two factors": ("y ~ arm * year + (year | g) + (1 | level)", {}),
    "counts": ("k ~ arm * year + (year | g)", {"family": "poisson"}),
    "ratings": ("level ~ arm * year + (year | g)", {"family": "cumulative"}),
    "varying sd": ("y ~ arm * year + (1 | g)", {"sigma": "~ year + (year | g)"}),
    "complete": ("y ~ arm * year + (1 | g)", {"pooling": "complete"}),
}


@pytest.mark.parametrize("case", CASES)
def test_engines_and_families(case):
    formula, options = CASES[case]
    one, other = (pp.fit(formula, d, seed=seed, **options) for seed, d in ((1, D), (2, CENTRED)))
    if "level)" in formula or options.get("family") == "cumulative":
        same_predictor(one, other, new=lambda rows: rows)
    else:
        same_predictor(one, other)
    hard = {"divergences", "r-hat", "low-e-bfmi", "prior-conflict"}
    assert not hard & {f.code for f in one.findings}


def test_no_pooling():
    one, other = (
        pp.fit("y ~ arm * year + (year | g)", d, pooling="none", seed=seed)
        for seed, d in ((1, D), (2, CENTRED))
    )
    same_predictor(one, other, new=lambda rows: rows)
    assert one.priors["coef_g[Intercept]"] == other.priors["coef_g[Intercept]"]


def test_cell_means_are_the_model_with_an_intercept():
    with_, without = (
        pp.fit(f"y ~ {sign} arm + (1 | g)", D.assign(y=D["y"] + 500), seed=seed)
        for seed, sign in ((1, "1 +"), (2, "0 +"))
    )
    same_predictor(with_, without)


def test_saved_fits_predict_score_and_judge_alike(tmp_path):
    fit = pp.fit("y ~ arm * year + (year | g)", D, seed=1, draws=300)
    fit.save(tmp_path / "fit.nc")
    again = pp.load(tmp_path / "fit.nc")
    new = pd.concat([D.iloc[NEW], D.iloc[:1].assign(g=99)])
    pd.testing.assert_frame_equal(fit.predict(new), again.predict(new))
    pd.testing.assert_frame_equal(fit.coefficients(), again.coefficients())
    assert repr(fit) == repr(again)
    assert fit.priors == again.priors
    assert fit.loo().elpd == again.loo().elpd
    assert repr(fit.sensitivity()) == repr(again.sensitivity())


def test_scores_and_sensitivities_do_not_depend_on_the_zero():
    one, other = (pp.fit("y ~ arm * year + (year | g)", d, seed=1, draws=500) for d in (D, CENTRED))
    assert one.loo().elpd == pytest.approx(other.loo().elpd, abs=0.3)
    # Refits have the priors that all rows gave.
    assert one.kfold(3, seed=1).elpd == pytest.approx(other.kfold(3, seed=1).elpd, abs=0.5)
    a, b = one.sensitivity().table, other.sensitivity().table
    for label in ("b[arm[T.treated]:year]", "sd_g[year]", "sigma"):
        np.testing.assert_allclose(a.loc[label, "prior"], b.loc[label, "prior"], atol=0.01)


def test_what_the_priors_expect_does_not_depend_on_the_zero():
    one, other = (
        pp.prior_predictive("y ~ arm * year + (year | g)", d, draws=4000, seed=1).responses
        for d in (D, CENTRED)
    )
    # The same draws of coordinates make the same responses.
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_prior_draws_have_the_sds_and_correlations_that_are_reported():
    prior = pp.prior_predictive("y ~ year + (year | g)", D, draws=2000, seed=3)
    drawn = prior._fit.run.groups[0]
    r = drawn.coef[0] - prior._fit.run.b[0][:, None]
    z = r / drawn.sd[0][:, None]
    assert np.mean(z**2, axis=(0, 1)) == pytest.approx([1, 1], abs=0.05)
    cor = np.mean(z[..., 0] * z[..., 1], axis=1)
    # Years count from 0: intercepts there go against the slopes.
    assert np.median(drawn.cor[0]) < -0.99
    np.testing.assert_allclose(np.mean(cor), np.mean(drawn.cor[0]), atol=0.03)
