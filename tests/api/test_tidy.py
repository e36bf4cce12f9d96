"""fit.tidy: the draws, all of them, each under its own name."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.draws.posterior import population_draws

N = 90
RNG = np.random.default_rng(2)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "g": np.array([f"level {k % 6}, [{k % 6}]" for k in range(N)]),
    "h": 10 * (np.arange(N) % 5),
    "k": (RNG.random(N) < 0.4).astype(int),
}
QUICK = {"seed": 1, "chains": 2, "draws": 30, "warmup": 50, "progress": False}
FITS = {
    "integrated": ("y ~ x + (x | g)", {}),
    "crossed": ("y ~ x + (1 | g) + (x || h)", {}),
    "sampled": ("k ~ x + (1 | g)", {"family": "bernoulli"}),
    "unpooled": ("y ~ x + (1 | h)", {"pooling": "none"}),
    "no groups": ("y ~ x", {"family": "student_t"}),
    "spread": ("y ~ x", {"sigma": "~ 1 + (1 | h)"}),
}


@pytest.fixture(scope="module", params=FITS)
def fit(request):
    formula, options = FITS[request.param]
    return pp.fit(formula, DATA, **QUICK, **options)


def by_name(frame):
    return dict(iter(frame.groupby("parameter", observed=True, sort=False)))


def test_population_draws_are_all_there(fit):
    labels, draws = population_draws(fit.model, fit.run)
    frame = fit.tidy()
    assert frame.columns.tolist() == ["chain", "draw", "parameter", "value"]
    found = by_name(frame)
    assert list(found) == labels
    for k, part in enumerate(found.values()):
        at = part["chain"].to_numpy(), part["draw"].to_numpy()
        np.testing.assert_array_equal(part["value"], draws[at[0], at[1], k])
        assert len(set(zip(*at, strict=True))) == 60


def test_levels_are_those_of_group_draws(fit):
    frame = fit.tidy(levels=True)
    labels = population_draws(fit.model, fit.run)[0]
    rest = frame[~frame["parameter"].isin(labels)]
    if not fit.model.groups:
        assert rest.empty
        assert "level" not in frame
        return
    assert frame.loc[frame["parameter"].isin(labels), "level"].isna().all()
    count = 0
    for (factor, level, term), part in rest.groupby(["factor", "level", "term"], observed=True):
        own = fit.group_draws([level], factor=factor).sel({f"{factor}_term": term}).squeeze()
        expected = own.values[part["chain"], part["draw"]]
        np.testing.assert_array_equal(part["value"], expected)
        assert set(part["parameter"]) == {f"coef_{factor}[{level},{term}]"}
        count += 1
    assert count == sum(len(g.levels) * len(g.terms) for g in fit.model.groups)


def test_wide_holds_the_same(fit):
    for options in ({}, {"levels": True}):
        long, wide = fit.tidy(**options), fit.tidy(**options, wide=True)
        names = list(dict.fromkeys(long["parameter"]))
        assert wide.columns.tolist() == ["chain", "draw", *names]
        again = wide.melt(["chain", "draw"], var_name="parameter")
        for column in ("chain", "draw", "value"):
            np.testing.assert_array_equal(again[column], long[column])


def test_means_are_those_of_the_summary(fit):
    means = fit.tidy().groupby("parameter", observed=True)["value"].mean()
    np.testing.assert_allclose(means, fit.summary().loc[means.index, "mean"], rtol=1e-10)


def test_names_of_the_summary_are_taken():
    fit = pp.fit("y ~ x + (x | g) + (1 | h)", DATA, **QUICK)
    for name in ("b", "b[x]", "sd_g", "cor_g", "sigma", "coef_g", "r_g", "r_h", "coef_h"):
        found = by_name(fit.tidy(name))
        summary = fit.summary(name)
        assert list(found) == summary.index.tolist()
        means = [part["value"].mean() for part in found.values()]
        np.testing.assert_allclose(means, summary["mean"], rtol=1e-8, atol=1e-12)
    one = fit.tidy(["sigma", "r_g[level 3, [3],x]", "coef_h[20,Intercept]"])
    assert list(by_name(one)) == ["sigma", "r_g[level 3, [3],x]", "coef_h[20,Intercept]"]
    several = fit.tidy("r_g")
    np.testing.assert_array_equal(
        several.loc[several["parameter"] == "r_g[level 3, [3],x]", "value"],
        one.loc[one["parameter"] == "r_g[level 3, [3],x]", "value"],
    )
    assert set(one["level"].dropna()) == {"level 3, [3]", 20}


def test_what_is_no_parameter():
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK)
    for name, remedy in (
        ("b[z]", "did you mean `b`"),
        ("coef_gg", "did you mean `coef_g`"),
        ("coef_g[level 9, [9],Intercept]", "did you mean `coef_g.level"),
    ):
        with pytest.raises(pp.InputError, match=f"no parameter .*{remedy}"):
            fit.tidy(name)
    with pytest.raises(pp.InputError, match="`parameters` is 3: give a list of values"):
        fit.tidy(3)


def test_a_loaded_fit_has_the_same_draws(tmp_path):
    fit = pp.fit("y ~ x + (x | g)", DATA, **QUICK)
    fit.save(tmp_path / "fit.nc", rows=False)
    loaded = pp.load(tmp_path / "fit.nc").tidy(levels=True)
    own = fit.tidy(levels=True)
    assert loaded["parameter"].astype(str).tolist() == own["parameter"].astype(str).tolist()
    np.testing.assert_array_equal(loaded["value"], own["value"])


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK)
    monkeypatch.setattr("partialpool.memory.machine_memory", lambda: 10_000.0)
    with pytest.raises(pp.InputError, match="name the `parameters` that you need"):
        fit.tidy(levels=True)
    assert len(fit.tidy("sigma")) == 60


def test_estimates_have_no_draws():
    with pytest.raises(pp.InputError, match="`tidy` belongs to a posterior"):
        pp.fit("y ~ x", DATA, method="ml").tidy()
