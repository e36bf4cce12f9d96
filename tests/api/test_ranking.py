"""Which fit predicts best: the three poolings, any fits of the same rows, stacking weights."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import partialpool as pp
from partialpool.scores.ranking import stacking_weights

QUICK = {"draws": 500, "warmup": 500, "seed": 1}


@pytest.fixture(scope="module")
def radon():
    return pp.compare("log_radon ~ floor + (floor | county)", pp.datasets.radon(), **QUICK)


def test_radon_ranks_partial_pooling_first(radon):
    table = radon.table
    elpd = table.loc["elpd"]
    assert elpd["partial"] > elpd["complete"] > elpd["none"]
    assert table.loc["elpd difference", "partial"] == 0
    assert table.loc["elpd difference se", "partial"] == 0
    loo = {p: fit.loo() for p, fit in radon.fits.items()}
    for pooling in ("complete", "none"):
        lower = loo[pooling].elpd_i - loo["partial"].elpd_i
        assert table.loc["elpd difference", pooling] == pytest.approx(lower.sum())
        error = np.sqrt(len(lower)) * lower.std(ddof=1)
        assert table.loc["elpd difference se", pooling] == pytest.approx(error)
        y = pp.datasets.radon()["log_radon"].to_numpy()
        rmse = np.sqrt(np.mean((y - loo[pooling].mean) ** 2))
        assert table.loc["held-out rmse", pooling] == pytest.approx(rmse)
    assert table.loc["held-out rmse"].idxmin() == "partial"
    # Two coefficients and sigma.
    assert table.loc["effective parameters", "complete"] == pytest.approx(3, abs=1.5)


def test_the_sentence_says_which_and_whether_it_is_clear(radon):
    assert (
        "Partial pooling is best at predicting rows of known levels of county that were left out: "
        "in log predictive density it is ahead of complete pooling by" in radon.sentence
    )
    assert radon.sentence.endswith("These differences are clear.")


def test_no_pooling_is_left_out_where_levels_are_new(radon):
    ranking = radon.loo("group")
    assert list(ranking.scores) == ["partial", "complete"]
    assert "predicting levels of county" in ranking.sentence
    assert ranking.scores["partial"].n == 85
    assert ranking.scores["partial"].elpd == radon.fits["partial"].loo(by="county").elpd
    (finding,) = radon.fits["none"].loo(by="county").findings
    assert finding.code == "prior-only"
    with pytest.raises(pp.InputError, match="differ in `county`"):
        radon.loo("floor")


def test_where_levels_do_not_differ_the_lead_may_be_chance():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=60), "x": rng.normal(size=60), "g": np.arange(60) % 6}
    cmp = pp.compare("y ~ x + (1 | g)", data, **QUICK)
    assert "may be chance" in cmp.sentence


def test_large_tables_are_scored_when_asked(monkeypatch):
    monkeypatch.setattr("partialpool.posterior.comparison.MOST_ROWS", 50)
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=60), "g": np.arange(60) % 6}
    cmp = pp.compare("y ~ 1 + (1 | g)", data, **QUICK)
    assert "elpd" not in cmp.table.index
    assert "only when asked" in cmp.sentence
    assert cmp.loo().scores["none"].n == 60


def test_scores_that_cannot_be_trusted_are_said():
    """One row lies far out: without it, sigma would be another."""
    data = {"y": [0.0, 0.1, 0.2, 0.1, 0.0, 0.1, 40.0], "g": [0, 0, 1, 1, 2, 2, 3]}
    cmp = pp.compare("y ~ 1 + (1 | g)", data, **QUICK)
    count = int(np.sum(cmp.fits["complete"].loo().pareto_k > 0.7))
    assert count > 0
    assert f"Under complete pooling the scores of {count} rows are not reliable" in cmp.sentence
    (finding,) = cmp.fits["complete"].loo().findings
    assert finding.code == "pareto-k"
    assert "kfold()" in finding.remedy


# --- Any fits -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits():
    data = pp.datasets.radon()
    return {
        "mean": pp.fit("log_radon ~ 1", data, **QUICK),
        "floor": pp.fit("log_radon ~ floor + (1 | county)", data, **QUICK),
        "tails": pp.fit("log_radon ~ floor", data, family="student_t", **QUICK),
    }


def test_fits_are_sorted_with_paired_differences(fits):
    ranking = pp.compare_fits(fits)
    table = ranking.table
    assert table.index[0] == "floor"
    assert table["elpd"].is_monotonic_decreasing
    best = fits["floor"].loo().elpd_i
    for name in ("mean", "tails"):
        lower = fits[name].loo().elpd_i - best
        assert table.loc[name, "difference"] == pytest.approx(lower.sum())
        assert table.loc[name, "difference_se"] == pytest.approx(
            np.sqrt(len(lower)) * lower.std(ddof=1)
        )
        # Fits err at the same rows, so that paired differences are surer than the sums.
        assert table.loc[name, "difference_se"] < 0.7 * table.loc[name, "se"]
    assert table["weight"].sum() == pytest.approx(1)
    assert "`floor` is best at predicting rows" in repr(ranking)


def test_stacking_weights_are_those_of_arviz(fits):
    import arviz_stats
    from arviz_stats.utils import ELPDData
    from xarray import DataArray

    theirs = {}
    for name, fit in fits.items():
        loo = fit.loo()
        elpd_i = DataArray(loo.elpd_i, dims="row")
        theirs[name] = ELPDData(
            "loo", loo.elpd, loo.se, loo.p_eff, 2000, loo.n, "log", False, 0.7, elpd_i, elpd_i
        )
    expected = arviz_stats.compare(theirs)["weight"]
    found = pp.compare_fits(fits).table["weight"]
    np.testing.assert_allclose(found[expected.index], expected, atol=2e-3)


def test_stacking_weights_are_best():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(200, 3)) - 1000  # densities would underflow
    best = stacking_weights(scores)

    def value(weights):
        return logsumexp(scores, b=weights, axis=1).sum()

    for _ in range(200):
        assert value(rng.dirichlet([1, 1, 1])) <= value(best) + 1e-4
    assert stacking_weights(np.column_stack([scores[:, 0], scores[:, 0] - 5]))[0] > 0.999


def test_refits_in_place_of_reweighting(fits):
    ranking = pp.compare_fits({name: fits[name] for name in ("mean", "floor")}, k=2)
    assert [loo.method for loo in ranking.scores.values()] == ["kfold", "kfold"]
    assert list(ranking.scores) == ["floor", "mean"]


def test_fits_of_other_rows_or_responses_are_refused(fits):
    data = pp.datasets.radon()
    fewer = pp.fit("log_radon ~ floor", data.iloc[:-1], **QUICK)
    with pytest.raises(pp.InputError, match="different rows"):
        pp.compare_fits({"a": fits["mean"], "b": fewer})
    other = pp.fit("log_radon ~ 1", data.assign(log_radon=2 * data["log_radon"]), **QUICK)
    with pytest.raises(pp.InputError, match="different responses"):
        pp.compare_fits({"a": fits["mean"], "b": other})
    with pytest.raises(pp.InputError, match="nothing to compare"):
        pp.compare_fits({"a": fits["mean"]})
    with pytest.raises(pp.InputError, match="`b` is int"):
        pp.compare_fits({"a": fits["mean"], "b": 1})
    for wrong in (list(fits.values()), None):
        with pytest.raises(pp.InputError, match=f"is {type(wrong).__name__}: give a dict of fits"):
            pp.compare_fits(wrong)
    with pytest.raises(pp.InputError, match="the same name"):
        pp.compare_fits({1: fits["mean"], "1": fits["floor"]})


def test_names_are_shown_as_text(fits):
    ranking = pp.compare_fits({1: fits["mean"], 2: fits["floor"]})
    assert list(ranking.scores) == ["2", "1"]
    assert "`2` is best" in repr(ranking)


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.default_rng(8)
    g, h = np.arange(60) % 6, np.arange(60) // 10
    data = {"y": rng.normal(size=6)[g] + rng.normal(size=60), "g": g, "h": h}
    return {
        "G": pp.fit("y ~ 1 + (1 | g)", data, **QUICK),
        "H": pp.fit("y ~ 1 + (1 | h)", data, **QUICK),
        "both": pp.fit("y ~ 1 + (1 | g) + (1 | h)", data, **QUICK),
        "other": pp.fit("y ~ 1 + (1 | g)", data | {"g": h}, **QUICK),
        "N": pp.fit("y ~ 1 + (1 | g)", data, pooling="none", **QUICK),
        "slope": pp.fit("y ~ h + (1 | g)", data, **QUICK),
    }


@pytest.mark.parametrize("k", [None, 2])
def test_unlike_levels_are_never_paired(grouped, k):
    def ask(*names, by="group"):
        return pp.compare_fits({name: grouped[name] for name in names}, by=by, k=k)

    with pytest.raises(pp.InputError, match=r"`G` would .* of `g`, `H` .* `h`: leave"):
        ask("G", "H")
    with pytest.raises(pp.InputError, match=r'`both` .*\(it has `g` and `h`\): give by="g", which'):
        ask("G", "both")
    with pytest.raises(pp.InputError, match=r"`H` has no grouping factor `g` \(it has `h`\)"):
        ask("G", "H", by="g")
    with pytest.raises(pp.InputError, match=r"`by` is 5: give a name as text"):
        ask("G", "H", by=5)
    with pytest.raises(pp.InputError, match=r"`by` is \["):
        ask("G", "slope", by=["g"])
    with pytest.raises(pp.InputError, match="`G` and `other` have different levels of `g`"):
        ask("G", "other")


def test_parts_must_be_the_same():
    data = {"y": np.arange(40) % 2, "x": np.arange(40.0)}
    fits = {name: pp.fit("y ~ x", data, family=name, **QUICK) for name in ("bernoulli", "gaussian")}
    with pytest.raises(pp.InputError, match=r"different parts: leave `k` out"):
        pp.compare_fits(fits, k=4)
    assert len(pp.compare_fits(fits).scores) == 2


@pytest.mark.parametrize("k", [None, 2])
def test_no_pooling_gets_no_verdict_on_new_levels(grouped, k):
    fits = {name: grouped[name] for name in ("G", "N", "slope")}
    ranking = pp.compare_fits(fits, by="g", k=k)
    assert set(ranking.table.index) == {"G", "slope"}
    assert "`N`" not in ranking.sentence
    assert ranking.findings[0].code == "prior-only"
    assert "`N` is left out: without pooling" in repr(ranking)
    with pytest.raises(pp.InputError, match=r"^without `N` .*: leave `by` out, or"):
        pp.compare_fits({name: grouped[name] for name in ("G", "N")}, by="g", k=k)


def test_weights_that_multiply_and_trials_must_be_the_same():
    rng = np.random.default_rng(9)
    data = {"y": rng.integers(0, 5, 30), "w": rng.integers(1, 4, 30), "n": 5 + np.arange(30) % 2}

    def fit(family, **options):
        return pp.fit("y ~ 1", data, family=family, **options, **QUICK)

    plain, weighted = fit("poisson"), fit("poisson", weights="w")
    with pytest.raises(pp.InputError, match=r"weights of `a` and `b` differ.*`weights=`"):
        pp.compare_fits({"a": plain, "b": weighted})
    with pytest.raises(pp.InputError, match="weights of `a` and `b` differ"):
        pp.compare_fits({"a": fit("gaussian", weights="w"), "b": weighted})
    pp.compare_fits({"a": weighted, "b": fit("negbinomial", weights="w")})
    # A precision is part of the model.
    pp.compare_fits({"a": fit("gaussian"), "b": fit("gaussian", weights="w")})
    with pytest.raises(pp.InputError, match=r"trials of `a` and `b` differ: .*`trials=`"):
        pp.compare_fits({"a": fit("binomial", trials="n"), "b": fit("binomial", trials=9)})


def test_counts_under_a_density_are_marked():
    data = pd.DataFrame({"y": np.random.default_rng(1).poisson(4, 60)})
    fits = {name: pp.fit("y ~ 1", data, family=name, **QUICK) for name in ("poisson", "gaussian")}
    assert [f.code for f in pp.compare_fits(fits).findings] == ["different-measures"]


def test_what_cannot_be_left_out_is_refused(fits):
    with pytest.raises(pp.InputError, match="no group terms"):
        fits["mean"].loo(by="group")
    with pytest.raises(pp.InputError, match="did you mean"):
        fits["floor"].loo(by="county ")
    data = {"y": [1, 2, 3, 4, 0, 1], "g": [0, 0, 1, 1, 2, 2]}
    counts = pp.fit("y ~ 1 + (1 | g)", data, family="poisson", **QUICK)
    with pytest.raises(pp.InputError, match=r'kfold\(by="g"\)'):
        counts.loo(by="g")
    with pytest.raises(pp.InputError, match="there are 3 levels"):
        counts.kfold(by="g")
    with pytest.raises(pp.InputError, match="`k` is 1"):
        counts.kfold(1)
    assert counts.kfold(3, by="g").n == 6


def test_results_are_kept(fits):
    fit = fits["floor"]
    assert fit.loo() is fit.loo()
    assert fit.loo(by="group") is fit.loo(by="county")
    assert {"loo", "loo by county"} <= set(fit.held_out)
