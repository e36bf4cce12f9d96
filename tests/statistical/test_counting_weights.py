"""Weights that count rows: an aggregated table gives the answers of the table written out."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

import partialpool as pp
from partialpool.answers.residuals import counted
from partialpool.figures.groups import rows_of_levels
from partialpool.figures.lines import along, lines
from partialpool.findings.residuals import uniformity
from partialpool.posterior.fit import Fit
from partialpool.report.levels import levels_of
from partialpool.report.subject import Subject
from partialpool.saved.record import read_fit, write_fit
from partialpool.scores.left_out import means, places

FORMULA = "y ~ x + z + (1 | g)"
NUMBERS = ["mean", "sd", "lower", "upper"]


def tables(family):
    """A table written out, and its distinct rows with how often each occurs."""
    rng = np.random.default_rng(5)
    n = 900
    g = rng.integers(0, 8, n)
    # Unevenly many rows, so that averages without weights are others.
    x, z = rng.choice([0.0, 1, 2, 3, 4, 5], n, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]), g % 2
    eta = -1 + 0.4 * x + 0.5 * z + 0.6 * rng.normal(size=8)[g]
    p = 1 / (1 + np.exp(-eta))
    y = rng.random(n) < p if family == "bernoulli" else rng.poisson(np.exp(eta / 2))
    whole = pd.DataFrame({"y": y.astype(int), "x": x, "z": z, "g": g})
    return whole, whole.value_counts(sort=False).rename("w").reset_index()


@pytest.fixture(scope="module", params=["bernoulli", "poisson"])
def both(request):
    """The fits of the two tables, and that of the first with the draws of the second."""
    whole, counted = tables(request.param)
    options = {"family": request.param, "seed": 3, "draws": 500, "warmup": 400}
    one = pp.fit(FORMULA, whole, **options)
    other = pp.fit(FORMULA, counted, weights="w", **options)
    same = Fit(one.model, other.run, one.provenance, one.findings, one.design)
    return one, other, same, counted


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_the_posterior_is_the_same(family):
    # So many draws that sds of coefficients with long tails, from 8 groups, are known to a tenth.
    whole, counted = tables(family)
    options = {"family": family, "seed": 3, "draws": 5000}
    one = pp.fit(FORMULA, whole, **options)
    other = pp.fit(FORMULA, counted, weights="w", **options)
    sd = one.run.b.std((0, 1))
    assert np.all(np.abs(one.run.b.mean((0, 1)) - other.run.b.mean((0, 1))) < 0.3 * sd)
    np.testing.assert_allclose(other.run.b.std((0, 1)), sd, rtol=0.2)


@pytest.mark.parametrize("groups", ["integrate", "none"])
def test_effects_are_the_same(both, groups):
    _, other, same, counted = both
    for by in ("x", "z"):
        expected = same.effects(by, groups=groups)
        for options in ({}, {"data": counted}, {"data": counted, "weights": counted["w"]}):
            found = other.effects(by, groups=groups, **options)
            assert found["value"].tolist()[:-1] == expected["value"].tolist()[:-1]
            np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=1e-6)
    plain = other.effects("x", groups=groups, weights=1)
    assert np.abs(plain["mean"] / other.effects("x", groups=groups)["mean"] - 1).max() > 0.01


def test_weights_of_new_rows(both):
    _, other, _, counted = both
    without = other.effects("x", data=counted.drop(columns="w"))
    assert without.attrs["notes"] == [
        "the fit used `w` as `weights`; without it the new rows have weight 1"
    ]
    with pytest.raises(pp.InputError, match="`weights` is negative in"):
        other.effects("x", data=counted, weights=-counted["w"])
    with pytest.raises(pp.InputError, match="`weights` is zero or negative in 1 row"):
        other.effects("x", weights=np.arange(len(counted)))
    # A prediction is one of a row, whatever it counts as.
    with pytest.raises(pp.InputError, match="`weights` is given, but this model has no use"):
        other.predict(counted, weights="w")


def matched(whole, counted):
    """Which row of the table that was counted up each row is."""
    names = ["y", "x", "z", "g"]
    place = {tuple(row): k for k, row in enumerate(counted[names].to_numpy(float).tolist())}
    return [place[tuple(row)] for row in whole[names].to_numpy(float).tolist()]


def test_residuals_are_the_same(both):
    """A row that counts several times is one of as many; the others are kept."""
    one, other, same, counted_up = both
    at = matched(tables(one.model.family.name)[0], counted_up)
    found, expected = places(other).some(np.array(at)), places(same)
    for tails, others in ((found.up_to, expected.up_to), (found.before, expected.before)):
        for tail, another in zip(tails, others, strict=True):
            np.testing.assert_allclose(tail, another, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k, atol=1e-6)
    np.testing.assert_allclose(means(other)[at], same.loo().mean, rtol=1e-7)


def test_findings_of_residuals_look_at_all_that_rows_count_as(both):
    """As rows, residuals of the rare response were as many as those of the usual one."""
    _, other, _, counted_up = both
    frame, rows, z = counted(other)
    assert np.bincount(rows).tolist() == counted_up["w"].tolist()
    assert uniformity(ndtr(z)) > 0.01
    spread, of_rows = (abs(np.mean(own**2) - 1) for own in (z, frame["residual"]))
    assert spread < 0.2 < of_rows  # 4 standard errors
    assert not other.residuals().attrs["findings"]
    figure = other.plot.check()
    said = {ax.get_title(): [text.get_text() for text in ax.texts] for ax in figure.axes}
    assert said["Residuals, sorted"] == ["in the band"]
    assert said["Residuals by x"] == ["0 of 6 means outside the band"]
    assert "900 rows, as weights count them." in " ".join(t.get_text() for t in figure.texts)


def test_fractions_of_weights_count_by_chance(both):
    _, other, _, counted_up = both
    weights = counted_up["w"].to_numpy() * 0.7
    fit = other.update(weights=weights, draws=50, warmup=100)
    _, rows, _ = counted(fit)
    times = np.bincount(rows, minlength=len(weights))
    assert ((times == np.floor(weights)) | (times == np.ceil(weights))).all()
    assert abs(len(rows) - weights.sum()) < 4 * np.sqrt(len(weights) / 4)


def test_own_means_of_a_report_are_the_same(both):
    _, other, same, _ = both
    found, expected = (levels_of(Subject(fit))[0].observed for fit in (other, same))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_lines_of_levels_average_over_all_that_rows_count_as(both):
    _, other, _, counted_up = both
    group = other.model.groups[0]
    rows = rows_of_levels(other, group, [0, 3])
    found = lines(other, rows, along(other, group, "z"))
    for mean, own in zip(found.mean, rows, strict=True):
        for value, z in zip(mean, (0, 1), strict=True):
            part = counted_up.iloc[own]
            expected = other.predict(part.assign(z=z))["mean"]
            assert value == pytest.approx(np.average(expected, weights=part["w"]), rel=1e-9)


def test_checks_are_the_same(both):
    _, other, same, counted = both
    found, expected = other.check(draws=2000), same.check(draws=2000)
    np.testing.assert_allclose(found.table["observed"], expected.table["observed"], rtol=1e-12)
    for one, another in zip(found.statistics, expected.statistics, strict=True):
        sd = another.replicated.std()
        assert one.replicated.mean() == pytest.approx(another.replicated.mean(), abs=0.15 * sd)
        assert one.replicated.std() == pytest.approx(sd, rel=0.12)
    assert not found.findings
    np.testing.assert_array_equal(found.observed, expected.observed)
    np.testing.assert_array_equal(found.groups[0].counts, expected.groups[0].counts)
    np.testing.assert_allclose(found.groups[0].observed, expected.groups[0].observed)
    assert found.groups[0].counts.sum() == counted["w"].sum()


def test_fractions_are_weighted_and_not_judged():
    whole, counted = tables("poisson")
    options = {"family": "poisson", "draws": 100, "warmup": 100, "chains": 2, "seed": 3}
    fit = pp.fit(FORMULA, counted, weights=counted["w"] * 0.3, **options)
    found = fit.check()
    assert [f.code for f in found.findings] == ["weights-not-expanded"]
    expected = pp.fit(FORMULA, whole, **options).check().table
    observed = [table["observed"].drop("dispersion") for table in (found.table, expected)]
    np.testing.assert_allclose(*observed, rtol=1e-12)  # the dispersion depends on the draws
    sd = (expected["upper"] - expected["lower"])["mean"]
    assert found.table["mean"]["mean"] == pytest.approx(expected["mean"]["mean"], abs=sd)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_errors_of_held_out_means_are_the_same(family, tmp_path):
    # A row is left out with all that it stands for, which hardly matters where rows are many.
    rng = np.random.default_rng(6)
    x = rng.normal(size=400)
    if family == "bernoulli":
        y = (rng.random(400) < 1 / (1 + np.exp(-x - 1))).astype(int)
        w = np.where(y == 0, 4, 1)
    else:
        y = rng.poisson(np.exp(0.4 * x))
        w = np.where(y == 1, 4, 1)
    data = pd.DataFrame({"y": y, "x": x, "w": w})
    options = {"family": family, "seed": 3, "draws": 500, "warmup": 300}
    one = pp.fit("y ~ x", data.loc[data.index.repeat(w)], **options)
    other = pp.fit("y ~ x", data, weights="w", **options)
    for found, expected in ((other.loo(), one.loo()), (other.kfold(5), one.kfold(5))):
        assert found.rmse == pytest.approx(expected.rmse, rel=0.02)
        np.testing.assert_array_equal(found.weights, w)
        unweighted = np.sqrt(np.mean((found.y - found.mean) ** 2))
        assert abs(unweighted / expected.rmse - 1) > 0.04
    other.save(tmp_path / "fit.nc")
    again = pp.load(tmp_path / "fit.nc").loo()
    assert again.rmse == other.loo().rmse
    np.testing.assert_array_equal(again.weights, w)


def test_files_without_weights_of_scores_still_load():
    data = tables("poisson")[0][:60]
    fit = pp.fit("y ~ x", data, family="poisson", draws=60, warmup=60, seed=1)
    rmse = fit.loo().rmse
    arrays = {name: x for name, x in write_fit(fit, rows=True).items() if "_weights" not in name}
    assert read_fit(arrays, pp.Fit).loo().rmse == rmse


def test_loo_says_that_copies_are_left_out_together(both):
    one, other, _, _ = both
    said = "A row is left out together with all rows that its weight counts."
    assert said in other.loo().sentence
    assert said not in one.loo().sentence
    assert said not in other.kfold(2).sentence
