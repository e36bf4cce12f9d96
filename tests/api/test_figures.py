"""Figures of fits: the numbers that they show are the fit's, whatever the fit."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy import stats

import partialpool as pp
from partialpool.draws.posterior import n_draws
from partialpool.errors import FindingWarning, InputError
from partialpool.figures.densities import PriorDensities, density
from partialpool.figures.forest import new_study
from partialpool.plots.levels import ENDS

warnings.simplefilter("ignore", FindingWarning)
OF_LEVELS = ("levels", "groups", "pooling_factor")
EVERY = (*OF_LEVELS, "coefficients", "posterior", "pairs", "trace", "rank")
FEW = {"draws": 100, "warmup": 100, "seed": 1}


def simulated(n_levels, terms, rows=None, *, seed=1, names="level {}"):
    """Levels with `terms` coefficients of their own, and rows of each."""
    rng = np.random.default_rng(seed)
    counts = rng.geometric(0.15, n_levels) + 2 if rows is None else np.full(n_levels, rows)
    code = np.repeat(np.arange(n_levels), counts)
    X = np.column_stack([np.ones(len(code)), rng.normal(size=(len(code), terms - 1))])
    own = np.array([5.0, 1.0, -0.5])[:terms] + rng.normal(size=(n_levels, terms))
    frame = pd.DataFrame(X[:, 1:], columns=["x", "z"][: terms - 1])
    frame["y"] = np.sum(X * own[code], axis=1) + rng.normal(size=len(code))
    frame["g"] = [names.format(k) for k in code]
    return frame


def fitted(n_levels, terms, **options):
    inner = " + ".join(["1", "x", "z"][:terms])
    data = simulated(n_levels, terms, **options)
    return pp.fit(f"y ~ {inner} + ({inner} | g)", data, chains=2, **FEW)


def words(fig):
    return " ".join(text.get_text() for text in fig.texts).replace("\n", " ")


def settles(fig):
    """Whether all that is written can be laid out, as it is when a figure is saved."""
    fig.draw_without_rendering()
    return isinstance(fig, Figure)


@pytest.fixture(scope="module")
def radon():
    formula = "log_radon ~ floor + (floor | county)"
    return pp.fit(formula, pp.datasets.radon(), draws=200, seed=1)


@pytest.fixture(scope="module")
def schools():
    schools = pp.datasets.eight_schools()
    return pp.fit("effect ~ 1 + (1 | school)", schools, se="se", draws=1000, seed=1)


@pytest.fixture(scope="module")
def yes_no():
    rng = np.random.default_rng(3)
    data = simulated(15, 2, seed=3)
    p = 1 / (1 + np.exp(-(data["y"] - 5)))
    data["yes"] = (rng.random(len(p)) < p).astype(int)
    data["arm"] = np.array(["a", "b", "c"])[rng.integers(0, 3, len(p))]
    return pp.fit("yes ~ x + arm + (x | g)", data, family="bernoulli", chains=2, **FEW)


# --- All figures, few and many levels, few and many terms, any names ------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("n_levels", "terms"), [(1, 1), (3, 3)])
def test_few_levels(name, n_levels, terms):
    fit = fitted(n_levels, terms, names="Größe $_{} ^ % <b> \\alpha & 名前 that is long")
    assert settles(getattr(fit.plot, name)())


@pytest.fixture(scope="module")
def many():
    return fitted(2000, 3)


@pytest.mark.parametrize("name", EVERY)
def test_many_levels(many, name):
    fig = getattr(many.plot, name)()
    assert settles(fig)
    if name == "levels":
        assert "Of 2,000 levels of g" in words(fig)
    if name == "groups":
        assert "8 of 2,000 levels" in words(fig)
    if name == "pairs":
        assert "8 of 10 parameters" in words(fig)


def test_notebooks_show_figures_and_pyplot_knows_none(radon):
    import sys

    assert radon.plot.levels()._repr_png_().startswith(b"\x89PNG")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize("name", EVERY)
def test_titles_are_those_that_are_given(yes_no, name):
    assert "Mine $5" in words(getattr(yes_no.plot, name)(title="Mine $5")).replace("\\$", "$")
    with pytest.raises(InputError, match="`title` is 3"):
        getattr(yes_no.plot, name)(title=3)


# --- Levels ---------------------------------------------------------------------------------------


def segments(ax):
    """Lines from left to right: (y, left, right) of all that are drawn by hlines."""
    found = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = np.array([segment for c in found for segment in c.get_segments()])
    return np.column_stack([ends[:, 0, 1], ends[:, 0, 0], ends[:, 1, 0]])


def test_levels_show_what_coefficients_says(radon):
    table = radon.coefficients()
    first = table[table.term == "Intercept"].sort_values("mean", kind="stable")
    order = first.level.tolist()
    for ax, term in zip(radon.plot.levels().axes, ("Intercept", "floor"), strict=True):
        own = table[table.term == term].set_index("level").loc[order]
        dots = np.concatenate([x.get_xydata() for x in ax.lines if x.get_marker() == "o"])
        dots = dots[np.argsort(dots[:, 1])]
        np.testing.assert_allclose(dots[:, 0], own["mean"])
        lines = segments(ax)
        lines = lines[np.argsort(lines[:, 0])]
        np.testing.assert_allclose(lines[:, 1:], own[["lower", "upper"]])
        if term == "Intercept":
            named = [text.get_text() for text in ax.get_yticklabels()]
            assert named[:ENDS] == [str(level) for level in order[:ENDS]]
    population = radon.summary("b")["mean"].tolist()
    for ax, at in zip(radon.plot.levels().axes, population, strict=True):
        assert ax.lines[0].get_xdata() == pytest.approx([at, at])


def test_rows_stand_beside_named_levels(radon):
    table = radon.coefficients()
    ax = radon.plot.levels(term="Intercept").axes[0]
    (side,) = ax.child_axes
    counts = table[table.term == "Intercept"].set_index("level")["n"]
    names = [text.get_text() for text in ax.get_yticklabels()][: 2 * ENDS]
    rows = [text.get_text() for text in side.get_yticklabels()][: 2 * ENDS]
    assert rows == [str(counts[int(name)]) for name in names]


def test_levels_that_are_not_estimable_are_left_out_and_counted():
    formula, data = "log_radon ~ floor + (floor | county)", pp.datasets.radon()
    fit = pp.fit(formula, data, pooling="none", chains=1, **FEW)
    fig = fit.plot.levels()
    assert "25 of 85 levels cannot determine their own coefficients" in words(fig)
    dots = [x.get_xydata() for x in fig.axes[0].lines if x.get_marker() == "o"]
    assert sum(map(len, dots)) == 60


# --- Coefficients ---------------------------------------------------------------------------------


def drawn_means(fig):
    """Points of a figure of coefficients by the name of their row."""
    found = {}
    for ax in fig.axes:
        at = dict(zip(ax.get_yticks(), [t.get_text() for t in ax.get_yticklabels()], strict=True))
        for line in ax.lines:
            if line.get_marker() == "o":
                found |= {at[y]: x for x, y in line.get_xydata()}
    return found


def test_coefficients_are_those_of_the_summary(yes_no):
    table = yes_no.summary("b")
    table.index = [label[2:-1] for label in table.index]
    fig = yes_no.plot.coefficients()
    assert drawn_means(fig) == pytest.approx(table["mean"].to_dict())
    wide = np.concatenate([segments(ax) for ax in fig.axes])[:, 1:]
    for _, row in table.iterrows():
        assert np.isclose(wide, [row["lower"], row["upper"]]).all(axis=1).any()
    draws = yes_no.run.b.reshape(-1, len(table))
    for low, high in np.quantile(draws, [0.25, 0.75], axis=0).T:
        assert np.isclose(wide, [low, high]).all(axis=1).any()
    assert fig.axes[0].get_xlabel() == "Intercept (logit scale)"


def test_ratios_are_exponentials_without_the_intercept(yes_no):
    table = yes_no.summary("b")
    table.index = [label[2:-1] for label in table.index]
    fig = yes_no.plot.coefficients(exponentiate=True)
    expected = np.exp(table["mean"].drop("Intercept")).to_dict()
    assert drawn_means(fig) == pytest.approx(expected)
    assert {ax.get_xscale() for ax in fig.axes} == {"log"}
    assert fig.axes[0].get_xlabel() == "Odds ratio"
    assert "The intercept is no ratio" in words(fig)


def test_ratios_are_refused_where_they_mean_nothing(radon):
    with pytest.raises(InputError, match=r"exp\(b\) means nothing here.*units of log_radon"):
        radon.plot.coefficients(exponentiate=True)
    with pytest.raises(InputError, match="give True or False"):
        radon.plot.coefficients(exponentiate="yes")


def test_without_population_coefficients_levels_are_named():
    data = simulated(4, 1)
    fit = pp.fit("y ~ 1 + (1 | g)", data, pooling="none", chains=1, **FEW)
    with pytest.raises(InputError, match=r"no population coefficients.*plot.levels"):
        fit.plot.coefficients()


def test_of_very_many_coefficients_some_are_drawn():
    rng = np.random.default_rng(1)
    data = {f"x{k}": rng.normal(size=120) for k in range(45)} | {"y": rng.normal(size=120)}
    data["y"] = data["y"] + 3 * data["x44"]
    formula = "y ~ " + " + ".join(f"x{k}" for k in range(45))
    fig = pp.fit(formula, data, chains=1, **FEW).plot.coefficients()
    assert "40 of 45 are drawn" in words(fig)
    assert "x44" in drawn_means(fig)


# --- Groups ---------------------------------------------------------------------------------------


def line_of(ax, colour):
    (found,) = [line for line in ax.lines if line.get_color() == colour]
    return found.get_xydata().T


BLUE, RED, INK = "#0072B2", "#D55E00", "#222222"


def test_lines_are_what_the_fit_predicts(yes_no):
    fig = yes_no.plot.groups(levels=["level 3"], x="x")
    table = yes_no.design.table
    rows = np.array([name == "level 3" for name in table.columns["g"].values])
    arms = table.columns["arm"].values[rows]
    x, y = line_of(fig.axes[0], BLUE)
    _, population = line_of(fig.axes[0], RED)
    for at in (0, len(x) // 2, -1):
        new = {"x": [x[at]] * len(arms), "arm": arms, "g": ["level 3"] * len(arms)}
        assert y[at] == pytest.approx(yes_no.predict(new)["mean"].mean())
        new["g"] = ["another"] * len(arms)
        expected = yes_no.predict(new, new_levels="population")["mean"].mean()
        assert population[at] == pytest.approx(expected)
    points = fig.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(table.columns["x"].values[rows]))


def test_a_band_has_the_mass_of_the_interval(radon):
    ax = radon.plot.groups(levels=[70]).axes[0]
    found = radon.predict({"floor": [0, 1], "county": [70, 70]})
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    for at, row in zip((0.0, 1.0), found.itertuples(), strict=True):
        ends = corners[corners[:, 0] == at][:, 1]
        assert (ends.min(), ends.max()) == pytest.approx((row.lower, row.upper))


def test_shares_rates_and_categories_are_on_their_own_scale():
    rng = np.random.default_rng(1)
    data = simulated(4, 2)
    n = len(data)
    data["n"] = rng.integers(5, 50, n)
    data["k"] = rng.binomial(data["n"], 0.3)
    data["time"] = rng.uniform(10, 100, n)
    data["count"] = rng.poisson(0.5 * data["time"])
    data["grade"] = pd.Categorical.from_codes(rng.integers(0, 3, n), ["low", "mid", "high"])
    data["grade"] = data["grade"].cat.as_ordered()
    few = {"chains": 1, **FEW}
    binomial = pp.fit("k ~ x + (1 | g)", data, family="binomial", trials="n", **few)
    ax = binomial.plot.groups(levels=["level 1"]).axes[0]
    own = data[data.g == "level 1"]
    np.testing.assert_allclose(np.sort(ax.lines[0].get_ydata()), np.sort(own.k / own.n))
    assert abs(line_of(ax, BLUE)[1].mean() - 0.3) < 0.15
    counts = pp.fit("count ~ x + (1 | g)", data, family="poisson", exposure="time", **few)
    ax = counts.plot.groups(levels=["level 1"]).axes[0]
    np.testing.assert_allclose(np.sort(ax.lines[0].get_ydata()), np.sort(own["count"] / own.time))
    assert abs(line_of(ax, BLUE)[1].mean() - 0.5) < 0.1
    grades = pp.fit("grade ~ x + (1 | g)", data, family="cumulative", **few)
    ax = grades.plot.groups(levels=["level 1"]).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["low", "mid", "high"]


def test_without_predictors_lines_are_horizontal(schools):
    fig = schools.plot.groups()
    assert len([ax for ax in fig.axes if ax.get_visible()]) == 8
    table = schools.coefficients()
    for ax, row in zip(fig.axes, table.itertuples(), strict=True):
        _, y = line_of(ax, BLUE)
        assert y == pytest.approx([row.mean] * 2, abs=0.3)  # draws beside averages over φ
        assert np.ptp(ax.lines[0].get_ydata()) == 0


def test_categories_and_dates_run_along_the_axis(yes_no):
    ax = yes_no.plot.groups(levels=["level 3"], x="arm").axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b", "c"]
    data = simulated(3, 2)
    data["day"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(len(data)) % 3, "D")
    fit = pp.fit("y ~ factor(day) + (1 | g)", data, chains=1, **FEW)
    assert settles(fit.plot.groups())


def test_extremes_are_chosen_and_named(radon):
    fig = radon.plot.groups()
    heads = [ax.get_title() for ax in fig.axes]
    assert heads[:2] == ["70\n116 rows, most rows", "26\n105 rows, most rows"]
    table = radon.coefficients()
    table = table[table.term == "Intercept"].set_index("level")["mean"]
    assert f"{table.idxmax()}\n" in next(h for h in heads if "highest" in h)
    assert f"{table.idxmin()}\n" in next(h for h in heads if "lowest" in h)


def test_groups_explain_what_they_cannot_draw(radon, yes_no, tmp_path):
    with pytest.raises(InputError, match="`999` is no level of `county`"):
        radon.plot.groups(levels=[999])
    with pytest.raises(InputError, match="give 1 to 24"):
        radon.plot.groups(levels=list(range(1, 30)))
    with pytest.raises(InputError, match=r"`flor` is no predictor.*did you mean `floor`"):
        radon.plot.groups(x="flor")
    with pytest.raises(InputError, match=r"no group terms of `count`.*did you mean `county`"):
        radon.plot.groups("count")
    yes_no.save(tmp_path / "fit.nc", rows=False)
    bare = pp.load(tmp_path / "fit.nc")
    for name in ("groups", "pooling_factor"):
        with pytest.raises(InputError, match="saved without the rows"):
            getattr(bare.plot, name)()
    for name in set(EVERY) - {"groups", "pooling_factor"}:
        assert settles(getattr(bare.plot, name)())


def test_sigma_has_levels_but_no_groups():
    data = simulated(5, 2)
    fit = pp.fit("y ~ x + (1 | g)", data, sigma="~ x + (1 | g)", chains=1, **FEW)
    assert fit.plot.levels("sigma_g").axes[0].get_xlabel() == "Intercept (log sigma)"
    assert settles(fit.plot.pooling_factor("sigma_g"))
    with pytest.raises(InputError, match="differ in log sigma"):
        fit.plot.groups("sigma_g")
    with pytest.raises(InputError, match="several grouping factors"):
        fit.plot.levels()
    labels = [ax.get_xlabel() for ax in fit.plot.coefficients().axes]
    assert "Coefficients (log sigma)" in labels


# --- Posterior and prior --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_density_is_that_of_its_draws_and_never_leaks(scale):
    draws = np.random.default_rng(1).exponential(scale, 40_000)
    at = np.linspace(-1, 8, 4001) * scale
    found = density(draws, at, (0.0, np.inf))
    assert not found[at < 0].any()
    assert np.trapezoid(found, at) == pytest.approx(1, abs=0.01)
    inside = (at >= 0) & (at < 3 * scale)
    error = np.abs(found - stats.expon(scale=scale).pdf(at))[inside] * scale
    assert error.max() < 0.08  # where a density with a slope is mirrored
    both = density(np.random.default_rng(1).uniform(-1, 1, 40_000), np.linspace(-1, 1, 9), (-1, 1))
    np.testing.assert_allclose(both, 0.5, atol=0.03)


PRIORS = {
    "b": pp.Normal(1, 2),
    "sd_g": pp.HalfStudentT(3, 2),
    "sigma": pp.InverseGamma(3, 2),
    "b[x]": pp.StudentT(4, 0, 1),
}


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x * z + (x + z | g)", {}),
        ("y ~ x + z + (x + z || g)", {"priors": PRIORS}),
        ("y ~ poly(x, 2) + (x | g)", {"priors": {"cor_g": "LKJ(1)", "sd_g": "Gamma(2, 1)"}}),
        ("y ~ x + (1 | g)", {"priors": {"sigma": "Uniform(0, 5)"}, "sigma": None}),
        ("y ~ x + (1 | g)", {"family": "student_t"}),
    ],
)
def test_priors_are_those_that_parameters_are_drawn_from(formula, options, tmp_path):
    data = simulated(6, 3)
    data["x"] += 1  # not at 0, so that priors at the mean are others than as written
    asked = {k: v for k, v in options.items() if v is not None}
    fit = pp.fit(formula, data, chains=1, **FEW, **asked)
    drawn = pp.prior_predictive(formula, data, draws=20_000, seed=2, **asked).parameters
    fit.save(tmp_path / "fit.nc")
    for one in (fit, pp.load(tmp_path / "fit.nc")):
        priors = PriorDensities(one)
        for label, values in drawn.items():
            # The share of draws below some quantiles is the integral of the density up to these.
            ends = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
            for low, high in pairwise(ends):
                at = np.linspace(low, high, 400)
                share = np.trapezoid(priors.of(label, at), at)
                assert share == pytest.approx(0.2, abs=0.025), label


def test_priors_without_a_density_are_named():
    data = simulated(5, 2)
    fit = pp.fit("y ~ x + (1 | g)", data, priors={"b": "Flat()"}, chains=1, **FEW)
    fig = fit.plot.posterior(["b", "sigma", "coef_g[level 1,Intercept]"])
    said = words(fig)
    assert "not drawn: b[Intercept], b[x]" in said
    assert "Coefficients of levels have the population" in said


def test_panels_show_means_and_intervals_of_the_summary(radon):
    fig = radon.plot.posterior()
    table = radon.summary()
    for ax, (label, row) in zip(fig.axes, table.iterrows(), strict=True):
        assert ax.get_title().replace("\n", "") == label
        (dot,) = [line for line in ax.lines if line.get_marker() == "o"]
        assert dot.get_xdata() == pytest.approx([row["mean"]])
        ends = segments(ax)[:, 1:]
        assert np.isclose(ends, [row["lower"], row["upper"]]).all(axis=1).any()
        low = ax.get_xlim()[0]
        assert not label.startswith("sd") or low >= 0


def test_parameters_of_levels_are_found_by_name(radon):
    name = "coef_county[70,floor]"
    ax = radon.plot.trace([name]).axes[0]
    draws = radon.group_draws([70]).sel(county_term="floor").values
    for line, own in zip(ax.lines, draws[:, :, 0], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), own)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("posterior", "sgma", "did you mean `sigma`"),
        ("posterior", ["coef_county[999,floor]"], "no parameter `coef_county\\[999,floor\\]`"),
        ("posterior", "coef_county", "room for 24"),
        ("pairs", "r_county", "room for 8"),
        ("pairs", "sigma", "only one parameter"),
        ("trace", [], "`parameters` is empty"),
        ("rank", [3], "`parameters` has 3"),
        ("rank", 3, "`parameters` is 3"),
    ],
)
def test_wrong_parameters_are_explained(radon, name, parameters, said):
    with pytest.raises(InputError, match=said):
        getattr(radon.plot, name)(parameters)


# --- Chains ---------------------------------------------------------------------------------------


def test_divergences_are_marked_and_counted(yes_no):
    stats_ = dict(yes_no.run.stats)
    marked = np.zeros_like(stats_["diverging"])
    marked[0, [3, 50]] = marked[1, 7] = True
    try:
        yes_no.run.stats["diverging"] = marked
        fig = yes_no.plot.pairs(["sd_g"])
        (dots,) = [line for line in fig.axes[2].lines if line.get_marker() == "D"]
        sd = yes_no.run.groups[0].sd[marked]
        np.testing.assert_allclose(dots.get_xydata(), sd)
        assert "diverged (3 draws)" in [t.get_text() for t in fig.legends[0].get_texts()]
        ticks = [
            line for line in yes_no.plot.trace("sd_g").axes[0].lines if line.get_marker() == "|"
        ]
        assert ticks[0].get_xdata().tolist() == [4, 8, 51]
    finally:
        yes_no.run.stats.update(stats_)


def test_correlations_of_draws_are_written(yes_no):
    fig = yes_no.plot.pairs(["sd_g"])
    value = np.corrcoef(yes_no.run.groups[0].sd.reshape(-1, 2).T)[0, 1]
    assert fig.axes[1].texts[0].get_text() == f"{value:.2f}".replace("-", "−")


def test_ranks_count_every_draw_and_show_a_chain_apart(radon):
    def heights(fit):
        axes = fit.plot.rank("sigma").axes
        return np.array([ax.patches[-1].get_data().values for ax in axes])

    counts = heights(radon)
    assert counts.sum(axis=1).tolist() == [200] * 4
    assert counts.sum(axis=0).tolist() == [40] * 20
    own = radon.run.scalars["sigma"]
    keep = own.copy()
    try:
        own[2] += 10
        apart = heights(radon)
        assert apart[2].tolist() == [0] * 15 + [40] * 5
    finally:
        own[:] = keep


@pytest.mark.parametrize("slow", [0.0, 0.97])
def test_ranks_of_slow_chains_that_agree_are_in_the_band(slow):
    """Of chains with the same distribution 5% of bars are outside, however slowly they move."""
    fit = pp.fit("y ~ 1", simulated(5, 1), chains=4, draws=2000, warmup=50, seed=1, method="nuts")
    own = fit.run.scalars["sigma"]
    rng, z = np.random.default_rng(4), np.zeros((4, 2200))
    for k in range(1, 2200):
        z[:, k] = slow * z[:, k - 1] + rng.normal(size=4)
    own[:] = z[:, 200:]
    fig = fit.plot.rank("sigma")
    counts = np.array([ax.patches[-1].get_data().values for ax in fig.axes])
    low, high = (
        fig.axes[0].patches[0].get_extents().transformed(fig.axes[0].transData.inverted()).intervaly
    )
    outside = ((counts < low) | (counts > high)).mean()
    assert outside < 0.05 + 3 * np.sqrt(0.05 * 0.95 / counts.size) + 0.02
    assert ("draws of each chain" in words(fig)) == (slow > 0)
    own[1] += 1.5 * own.std()
    fig = fit.plot.rank("sigma")
    counts = np.array([ax.patches[-1].get_data().values for ax in fig.axes])
    assert counts[1][-1] > 2 * counts.mean()


def test_independent_draws_and_single_chains_say_so(many, radon):
    data = simulated(5, 1)
    one = pp.fit("y ~ 1 + (1 | g)", data, chains=1, **FEW)
    with pytest.raises(InputError, match="only one chain"):
        one.plot.rank()
    for fit in (many, radon):
        said = "no chains to judge" in words(fit.plot.trace("sigma"))
        assert said == (fit.run.certificate is not None)
    assert any(fit.run.certificate is not None for fit in (many, radon))


# --- Meta-analysis --------------------------------------------------------------------------------


def test_a_forest_shows_studies_their_means_and_the_mean(schools):
    fig = schools.plot.forest()
    ax = fig.axes[0]
    data = pp.datasets.eight_schools()
    y, se = (np.asarray(data[name], dtype=float) for name in ("effect", "se"))
    order = np.argsort(-y, kind="stable")
    (own,) = [line.get_xdata() for line in ax.lines if line.get_marker() == "s"]
    np.testing.assert_array_equal(own, y[order])
    (dots,) = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
    table = schools.coefficients()
    np.testing.assert_allclose(dots, table["mean"].to_numpy()[order])
    ends = segments(ax)[:, 1:]
    reach = stats.norm.ppf(0.975)
    for k in range(8):
        assert np.isclose(ends, [y[k] - reach * se[k], y[k] + reach * se[k]]).all(axis=1).any()
        assert np.isclose(ends, table[["lower", "upper"]].to_numpy()[k]).all(axis=1).any()
    summary = schools.summary().loc["b[Intercept]"]
    corners = ax.patches[0].get_xy()
    assert corners[:, 0].min() == pytest.approx(summary["lower"])
    assert corners[:, 0].max() == pytest.approx(summary["upper"])
    sd = schools.summary().loc["sd_school[Intercept]"]
    assert f"sd of {sd['mean']:.3g}" in words(fig)


def test_a_new_study_is_drawn_from_the_population():
    rng = np.random.default_rng(1)
    mean, sd = rng.normal(size=500), rng.exponential(size=500)
    sd[:20] = 0
    found = new_study(mean, sd, (0.025, 0.975))
    brute = mean[:, None] + sd[:, None] * rng.normal(size=(500, 4000))
    assert found == pytest.approx(np.quantile(brute, [0.025, 0.975]), abs=0.03)


def test_with_predictors_there_is_no_one_mean():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12), "s": np.arange(12)}
    fit = pp.fit("y ~ x + (1 | s)", data, se=rng.uniform(0.2, 1, 12), chains=1, **FEW)
    fig = fit.plot.forest()
    assert not fig.axes[0].patches
    assert "Predictors move the mean" in words(fig)


@pytest.mark.parametrize(
    ("right", "offset", "why"),
    [("0", None, "The formula has no intercept"), ("1", "x", "Offsets move the mean")],
)
def test_a_forest_says_why_there_is_no_mean(right, offset, why):
    data = pp.datasets.eight_schools()
    data["x"] = np.arange(8.0)
    formula = f"effect ~ {right} + (1 | school)"
    fig = pp.fit(formula, data, se="se", offset=offset, **FEW).plot.forest()
    assert why in words(fig)
    assert "Predictors" not in words(fig)


def test_a_forest_is_for_one_row_a_level_with_known_errors(radon):
    with pytest.raises(InputError, match=r"standard error of each row.*plot.levels"):
        radon.plot.forest()
    data = simulated(4, 2)
    se = np.full(len(data), 0.5)
    few = {"chains": 1, **FEW}
    with pytest.raises(InputError, match="levels with several"):
        pp.fit("y ~ 1 + (1 | g)", data, se=se, **few).plot.forest()
    with pytest.raises(InputError, match="one grouping factor"):
        pp.fit("y ~ x + (x | g)", data, se=se, **few).plot.forest()
    with pytest.raises(InputError, match="one grouping factor"):
        pp.fit("y ~ x", data, se=se, **few).plot.forest()
    assert settles(radon.plot.levels())


# --- No groups, several factors -------------------------------------------------------------------


def test_without_groups_there_are_no_levels():
    fit = pp.fit("y ~ x", simulated(4, 2), chains=2, **FEW)
    for name in OF_LEVELS:
        with pytest.raises(InputError, match="no group terms"):
            getattr(fit.plot, name)()
    for name in set(EVERY) - set(OF_LEVELS):
        assert settles(getattr(fit.plot, name)())


def test_several_factors_are_told_apart():
    path = "tests/data/penicillin.csv"
    fit = pp.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", path, draws=100, seed=1)
    for name in OF_LEVELS:
        with pytest.raises(InputError, match="say which"):
            getattr(fit.plot, name)()
        assert settles(getattr(fit.plot, name)("sample"))
    for name in set(EVERY) - set(OF_LEVELS):
        assert settles(getattr(fit.plot, name)())


# --- Comparisons ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared():
    return pp.compare("log_radon ~ floor + (floor | county)", pp.datasets.radon(), **FEW)


def test_groups_have_the_lines_of_all_poolings(compared):
    fig = compared.plot.groups(levels=[70, 62])
    for ax, level in zip(fig.axes, (70, 62), strict=True):
        for colour, pooling in ((BLUE, "partial"), (INK, "none"), (RED, "complete")):
            x, y = line_of(ax, colour)
            new = {"floor": x, "county": [level] * len(x)}
            if pooling == "complete":
                new.pop("county")
            found = compared.fits[pooling].predict(new)  # by integrals, lines by draws
            error = found["sd"].to_numpy() / np.sqrt(n_draws(compared.fits[pooling]))
            assert (np.abs(y - found["mean"].to_numpy()) < 5 * error).all()


def test_chosen_groups_are_pulled_most(compared):
    heads = [ax.get_title() for ax in compared.plot.groups().axes]
    away = compared.estimates["partial"] - compared.estimates["none"]
    away = np.sqrt(np.sum((away / np.nanstd(compared.estimates["none"], axis=0)) ** 2, axis=1))
    levels = compared.fits["partial"].model.groups[0].levels
    most = {str(levels[k]) for k in np.argsort(-np.nan_to_num(away))[:4]}
    assert {head.split("\n")[0] for head in heads if "pulled most" in head} == most


def test_coefficients_stand_side_by_side(compared):
    fig = compared.plot.coefficients()
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert legend[:2] == ["partial pooling", "complete pooling"]
    assert "no pooling" not in legend
    for ax, label in zip(fig.axes, ("b[Intercept]", "b[floor]"), strict=True):
        for marker, pooling in (("o", "partial"), ("D", "complete")):
            (dot,) = [line for line in ax.lines if line.get_marker() == marker]
            expected = compared.fits[pooling].summary(label)["mean"].iloc[0]
            assert dot.get_xdata() == pytest.approx([expected])


def test_levels_have_their_estimates_without_pooling_behind(compared):
    fig = compared.plot.levels()
    none = compared.estimates["none"][:, 0]
    (squares,) = [x.get_xdata() for x in fig.axes[0].lines if x.get_marker() == "s"]
    np.testing.assert_allclose(np.sort(squares), np.sort(none))
    assert "25 levels have no estimate without pooling" in words(fig)


def test_a_comparison_has_the_pooling_factors_of_its_partial_fit(compared):
    ours, own = compared.plot.pooling_factor(), compared.fits["partial"].plot.pooling_factor()
    for one, other in zip(ours.axes, own.axes, strict=True):
        np.testing.assert_array_equal(
            one.collections[0].get_offsets(), other.collections[0].get_offsets()
        )


def test_plots_say_what_figures_there_are(radon, compared):
    for plots in (radon.plot, compared.plot):
        said = repr(plots)
        assert all(name.partition("-")[0] in said for name in plots.all())
        for name in said.partition(": ")[2].split(", "):
            assert callable(getattr(plots, name))
