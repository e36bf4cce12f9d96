"""Posterior and prior predictive checks: statistics, findings, figures, and the priors' draws."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

import partialpool as pp
from partialpool.cli import main
from partialpool.cli.output import own_words
from partialpool.priors.lkj import lkj_roots

QUICK = {"chains": 2, "draws": 300, "warmup": 300, "seed": 1}


def counts(dispersed, seed=1, n=300):
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % 12, rng.normal(size=n)
    rate = np.exp(1 + 0.4 * x + 0.3 * rng.normal(size=12)[g])
    if dispersed:
        rate = rate * rng.gamma(1.5, 1 / 1.5, n)
    return {"y": rng.poisson(rate), "x": x, "g": g}


@pytest.fixture(scope="module")
def poisson_fit():
    return pp.fit("y ~ x + (1 | g)", counts(True), family="poisson", **QUICK)


@pytest.fixture(scope="module")
def poisson(poisson_fit):
    return poisson_fit.check()


def test_statistics_are_those_of_the_data(poisson):
    y = counts(True)["y"]
    g = counts(True)["g"]
    observed = poisson.table["observed"]
    means = pd.Series(y).groupby(g).mean()
    expected = [y.mean(), y.std(), y.min(), y.max(), np.mean(y == 0), means.std(ddof=0)]
    assert observed.index.tolist() == [
        "mean", "sd", "min", "max", "share of zeros", "sd of means by g", "dispersion",
    ]  # fmt: skip
    np.testing.assert_allclose(observed[:-1], expected)
    assert poisson.draws == 600


def test_replicates_are_draws_from_the_model():
    """Known errors, no groups: replicates are normal around a regression with a known posterior."""
    rng = np.random.default_rng(2)
    data = {"y": rng.normal(1, 0.5, 50), "se": np.full(50, 0.5)}
    fit = pp.fit("y ~ 1", data, se="se", priors={"b": pp.Normal(0, 10)}, seed=1)
    found = fit.check(draws=4000).table
    mean = data["y"].mean() / (1 + 0.25 / 50 / 100)
    assert found.loc["mean", "mean"] == pytest.approx(mean, abs=5 * 0.1 / np.sqrt(4000))
    # The sd of 50 draws with sd ½: mean of a chi distribution.
    expected = 0.5 * stats.chi(49).mean() / np.sqrt(50)
    assert found.loc["sd", "mean"] == pytest.approx(expected, abs=0.004)
    width = found.loc["mean", "upper"] - found.loc["mean", "lower"]
    assert width == pytest.approx(2 * 1.96 * 0.5 * np.sqrt(2 / 50), rel=0.08)


def test_too_much_spread_in_counts_is_found(poisson):
    assert {f.code for f in poisson.findings} == {"cannot-make-the-data", "overdispersion"}
    messages = " ".join(f.message for f in poisson.findings)
    assert "the sd of y is" in messages
    assert "the share of rows in which y is 0" in messages
    assert "larger than in all of 600 made data sets" in messages
    assert any("negbinomial" in f.remedy for f in poisson.findings)
    assert "cannot make data like these" in repr(poisson)


def test_the_family_that_fits_is_not_blamed():
    fit = pp.fit("y ~ x + (1 | g)", counts(True), family="negbinomial", **QUICK)
    assert fit.check().findings == ()
    assert "can make data like these" in repr(fit.check())


def test_heavy_tails_under_a_normal_distribution_are_found():
    rng = np.random.default_rng(3)
    fit = pp.fit("y ~ 1", {"y": rng.standard_t(2, 200)}, **QUICK)
    found = fit.check()
    assert found.findings
    assert any("student_t" in f.remedy for f in found.findings)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bernoulli", {}),
        ("binomial", {"trials": 9}),
        ("cumulative", {}),
        ("gamma", {}),
        ("lognormal", {}),
        ("student_t", {"sigma": "~ x"}),
        ("beta", {}),
        ("zero_inflated_poisson", {}),
    ],
)
def test_every_family_has_its_figures(family, options):
    rng = np.random.default_rng(4)
    n = 80
    x, g = rng.normal(size=n), np.arange(n) % 5
    y = {
        "bernoulli": rng.integers(0, 2, n),
        "binomial": rng.binomial(9, 0.3, n),
        "cumulative": rng.integers(0, 3, n),
        "beta": rng.beta(2, 3, n),
        "zero_inflated_poisson": rng.poisson(2, n) * rng.integers(0, 2, n),
        "student_t": rng.standard_t(5, n),
    }.get(family, rng.gamma(3, 1, n))
    fit = pp.fit("y ~ x + (1 | g)", {"y": y, "x": x, "g": g}, family=family, **options, **QUICK)
    found = fit.check(draws=200)
    assert found.findings == ()
    whole = family in ("bernoulli", "binomial", "cumulative", "zero_inflated_poisson")
    right, wrong = ("bars", "density") if whole else ("density", "bars")
    assert isinstance(getattr(found.plot, right)(), Figure)
    assert isinstance(found.plot.statistics(), Figure)
    assert isinstance(found.plot.groups(), Figure)
    with pytest.raises(pp.InputError, match=right):
        getattr(found.plot, wrong)()


def test_bars_count_the_rows(poisson):
    y = counts(True)["y"]
    ax = poisson.plot.bars().axes[0]
    heights = [bar.get_height() for bar in ax.patches]
    beyond = int(poisson.replicated.shape[1] > y.max() + 1)  # a bar for what the data do not reach
    assert heights == [*np.bincount(y), *[0] * beyond]


def test_bars_end_where_responses_do():
    y = np.resize([0, 1, 1], 60)
    binary = pp.fit("y ~ 1", {"y": y}, family="bernoulli", **QUICK).check(draws=100)
    assert binary.categories == ("0", "1")
    assert (binary.replicated.sum(axis=1) == 60).all()
    few = pp.fit("y ~ 1", {"y": [2, 3, 2, 3, 1, 4]}, family="poisson", **QUICK).check(draws=100)
    assert few.categories[-1] == "5+"
    assert (few.replicated[:, -1] > 0).any()


def test_densities_integrate_to_one():
    fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), **QUICK)
    lines = fit.check(draws=100).plot.density().axes[0].get_lines()
    for line in (lines[0], lines[-1]):
        x, density = line.get_data()
        assert np.trapezoid(density, x) == pytest.approx(1, abs=0.01)
    y = pp.datasets.radon()["log_radon"].to_numpy()
    x, density = lines[-1].get_data()
    width = 0.9 * min(y.std(), np.subtract(*np.quantile(y, [0.75, 0.25])) / 1.34) * len(y) ** -0.2
    expected = stats.norm(y[:, None], width).pdf(x).mean(axis=0)
    np.testing.assert_allclose(density, expected, atol=0.01)


def test_levels_in_the_figure_are_those_of_the_data():
    data = counts(False)
    found = pp.fit("y ~ x + (1 | g)", data, family="poisson", **QUICK).check()
    group = found.groups[0]
    np.testing.assert_allclose(group.observed, pd.Series(data["y"]).groupby(data["g"]).mean())
    assert np.mean((group.lower <= group.observed) & (group.observed <= group.upper)) > 0.9
    with pytest.raises(pp.InputError, match="no group terms of `h`"):
        found.plot.groups("h")


def test_a_fit_without_its_rows_cannot_be_checked(tmp_path):
    fit = pp.fit("y ~ x", counts(False), family="gaussian", **QUICK)
    fit.save(tmp_path / "fit.nc", rows=False)
    loaded = pp.load(tmp_path / "fit.nc")
    for ask in (loaded.check, loaded.loo, loaded.kfold):
        with pytest.raises(pp.InputError, match="saved without the rows"):
            ask()


def test_few_draws_are_not_judged(poisson_fit):
    """The model cannot make these data, but 5 data sets that it makes do not show that."""
    found = poisson_fit.check(draws=5)
    assert [(f.code, f.level) for f in found.findings] == [("few-draws", "info")]
    assert "5 made data sets are too few to judge by" in repr(found)
    assert "1 made data set is too few" in repr(poisson_fit.check(draws=1))
    assert poisson_fit.check(draws=100).findings[0].code == "cannot-make-the-data"


def test_more_draws_than_there_are_cannot_be_used(poisson_fit):
    with pytest.raises(pp.InputError, match="`draws` is 1001, and the fit has 600: ask for fewer"):
        poisson_fit.check(draws=1001)
    assert poisson_fit.check().draws == 600


def test_check_is_the_same_with_the_same_seed():
    fit = pp.fit("y ~ x", counts(False), **QUICK)
    pd.testing.assert_frame_equal(fit.check(seed=3).table, fit.check(seed=3).table)
    assert not fit.check(seed=3).table.equals(fit.check(seed=4).table)


def test_levels_without_enough_rows_under_flat_priors():
    """Rows determine their own predictors, though not all coefficients of their level."""
    rng = np.random.default_rng(5)
    g, x = np.repeat([0, 1, 2, 3], [1, 8, 8, 3]), rng.normal(size=20)
    x[17:] = 1.0
    data = {"y": 50 + 3 * x + rng.normal(0, 0.5, 20), "x": x, "g": g}
    fit = pp.fit("y ~ x + (x | g)", data, pooling="none", priors={"coef_g": pp.Flat()}, **QUICK)
    found = fit.check()
    assert found.findings == ()
    y = np.array(data["y"])
    np.testing.assert_allclose(found.groups[0].mean[3], y[17:].mean(), atol=0.2)
    np.testing.assert_allclose(found.groups[0].mean[0], y[0], atol=0.2)


# --- The priors ---------------------------------------------------------------------------------


def test_prior_draws_have_the_priors_distributions():
    data = counts(False)
    prior = pp.prior_predictive(
        "y ~ x + (x | g)",
        data,
        priors={
            "b[Intercept]": pp.Normal(1, 2),
            "b[x]": pp.StudentT(5, 0, 1),
            "sd_g": pp.Exponential(2),
            "cor_g": pp.LKJ(3),
            "sigma": pp.HalfNormal(2),
        },
        draws=4000,
        seed=1,
    )
    p = prior.parameters
    laws = {
        "b[Intercept]": stats.norm(1, 2),
        "b[x]": stats.t(5),
        "sd_g[x]": stats.expon(scale=0.5),
        "sigma": stats.halfnorm(scale=2),
        # LKJ(eta) of two columns: (r + 1)/2 is beta(eta, eta).
        "cor_g[Intercept,x]": stats.beta(3, 3, loc=-1, scale=2),
    }
    for name, law in laws.items():
        assert stats.kstest(p[name], law.cdf).pvalue > 1e-4, name


def test_prior_of_the_intercept_is_at_the_mean_of_the_predictors():
    data = counts(False)
    data["x"] = data["x"] + 100
    p = pp.prior_predictive("y ~ x", data, priors={"b[x]": pp.Normal(0, 3)}, draws=4000, seed=2)
    at_mean = p.parameters["b[Intercept]"] + p.parameters["b[x]"] * data["x"].mean()
    default = p.priors["b[Intercept]"]
    law = stats.norm(default.mean, default.sd)
    assert stats.kstest(at_mean, law.cdf).pvalue > 1e-4
    assert p.parameters["b[Intercept]"].std() > 100


def test_responses_follow_from_the_parameters():
    prior = pp.prior_predictive(
        "y ~ 1 + (1 | g)",
        counts(False),
        priors={"b": pp.Normal(3, 1), "sd_g": pp.Uniform(1, 1.001), "sigma": pp.Uniform(2, 2.001)},
        draws=3000,
        seed=3,
    )
    y = prior.responses
    assert y.shape == (3000, 300)
    # Rows of a level share b and r; rows of different levels share b alone.
    covariance = np.cov(y[:, [0, 12, 1]].T)
    np.testing.assert_allclose(covariance, [[6, 2, 1], [2, 6, 1], [1, 1, 6]], atol=0.5)
    assert y.mean() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("cumulative", {}),
        ("negbinomial", {}),
        ("gaussian", {"sigma": "~ x + (1 | g)"}),
        ("gaussian", {"pooling": "none"}),
        ("gaussian", {"pooling": "complete"}),
    ],
)
def test_priors_of_other_models(family, options):
    data = counts(False)
    if family == "cumulative":
        data["y"] = np.minimum(data["y"], 3)
    prior = pp.prior_predictive(
        "y ~ x + (x | g)", data, family=family, draws=300, seed=1, **options
    )
    assert prior.responses.shape == (300, 300)
    if family == "cumulative":
        cuts = prior.parameters.filter(like="threshold").to_numpy()
        assert cuts.shape[1] == 3
        assert (np.diff(cuts, axis=1) > 0).all()
    assert isinstance(prior.plot.statistics(), Figure)
    assert "the priors made" in repr(prior)


def test_prior_without_pooling_is_centred_on_the_data():
    """Default priors of the levels' coefficients: at the mean of the predictors, the mean of y."""
    data = counts(False)
    data["x"] = data["x"] + 50
    prior = pp.prior_predictive("y ~ x + (x | g)", data, pooling="none", draws=2000, seed=1)
    scale = 10 * np.std(data["y"], ddof=1)
    # Intercept, slope times (x − mean), and sigma ~ Exponential(1/s_y).
    row = int(np.argmin(np.abs(data["x"] - data["x"].mean())))
    y = prior.responses[:, row]
    assert y.mean() == pytest.approx(np.mean(data["y"]), abs=5 * scale / np.sqrt(2000))
    assert y.std() == pytest.approx(np.sqrt(scale**2 + 2 * (scale / 10) ** 2), rel=0.1)


def test_improper_priors_are_named():
    with pytest.raises(pp.InputError, match=r"Flat\(\) of `b\[x\]`"):
        pp.prior_predictive("y ~ x", counts(False), priors={"b[x]": pp.Flat()})


def test_priors_far_from_the_data_are_found():
    prior = pp.prior_predictive(
        "y ~ 1", counts(False), priors={"b": pp.Normal(100, 1)}, draws=500, seed=1
    )
    assert prior.check.findings[0].code == "priors-cannot-make-the-data"
    assert "priors cannot make data like these" in repr(prior)


def test_correlation_matrices_of_three_columns():
    """Under LKJ(eta) each of d columns' correlations has (r + 1)/2 ~ beta(eta + d/2 − 1, same)."""
    L = lkj_roots(np.random.default_rng(1), 1.5, 3, 5000)
    R = L @ np.swapaxes(L, 1, 2)
    law = stats.beta(2, 2, loc=-1, scale=2)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert stats.kstest(R[:, i, j], law.cdf).pvalue > 1e-4


# --- The command line -----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    data = counts(True) | {"h": np.resize(list("pq"), 300)}
    fit = pp.fit("y ~ x + (1 | g) + (1 | h)", data, family="poisson", **QUICK)
    fit.save(tmp_path / "fit.nc")
    return fit, tmp_path


def test_command_prints_what_check_says_and_draws_every_figure(saved, capsys):
    fit, folder = saved
    arguments = [str(folder / "fit.nc"), "--draws", "200", "--seed", "3"]
    assert main(["check", *arguments, "--plots", str(folder / "new" / "figures")]) == 0
    out, err = capsys.readouterr()
    found = fit.check(draws=200, seed=3)
    assert found.findings
    owed = fit.sensitivity()
    assert out.startswith(f"{fit.formula}\n{found.page.body}\n\nWhat the estimates owe")
    assert out.endswith(f"seed 3, partialpool 0.1.0\nFigures: {folder / 'new' / 'figures'}\n")
    assert err.strip() == own_words(f"{found.page.findings_text}\n{owed.page.findings_text}")
    names = sorted(path.name for path in (folder / "new" / "figures").iterdir())
    assert names == ["bars.png", "check.png", "groups-2.png", "groups.png", "statistics.png"]


def test_command_says_when_there_is_nothing_to_check_with(saved, capsys):
    fit, folder = saved
    (folder / "file").write_text("not a folder")
    assert main(["check", str(folder / "fit.nc"), "--plots", str(folder / "file")]) == 2
    assert "cannot be made" in capsys.readouterr().err
    fit.save(folder / "bare.nc", rows=False)
    assert main(["check", str(folder / "bare.nc")]) == 2
    assert "saved without the rows that were fitted: compute" in capsys.readouterr().err


def test_command_fit_leaves_rows_out_of_the_file_when_asked(tmp_path, capsys):
    pd.DataFrame(counts(False)).to_csv(tmp_path / "t.csv", index=False)
    options = ["--draws", "50", "--warmup", "50", "--seed", "1", "--no-rows"]
    main(["fit", str(tmp_path / "t.csv"), "y ~ x", *options, "--out", str(tmp_path / "fit.nc")])
    assert pp.load(tmp_path / "fit.nc").design is None
