"""The panel of diagnostics: bands hold as often as they say, panels suit the model, faults show."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

import partialpool as pp
from partialpool.errors import InputError
from partialpool.figures import bands
from partialpool.figures.scaled_levels import standardised
from partialpool.plots.diagnostics import CROWD

QUICK = {"chains": 2, "draws": 200, "warmup": 200, "seed": 1}
TIMES = 400
# Four standard errors of a share of 0.95, and that of the band, simulated itself.
SLACK = 4 * math.sqrt(0.95 * 0.05 * (1 / TIMES + 1 / bands.TIMES))


@pytest.mark.parametrize("n", [1, 7, 300, 4000])
def test_sorted_normal_values_lie_in_their_band_as_often_as_it_says(n):
    rng, band = np.random.default_rng(n), bands.sorted_normals(n)
    made = np.sort(rng.normal(size=(TIMES, n)), axis=1)
    inside = np.mean([bands.outside(own, band) == 0 for own in made])
    assert inside == pytest.approx(0.95, abs=SLACK)
    if n > 1:
        middle = stats.norm.ppf(stats.beta(band.ranks + 1, n - band.ranks).median())
        np.testing.assert_allclose(band.expected, middle, atol=1e-8)


@pytest.mark.parametrize("kind", ["even", "skewed", "ties"])
@pytest.mark.parametrize("roots", [False, True])
def test_trends_of_nothing_lie_in_their_band_as_often_as_it_says(kind, roots):
    rng = np.random.default_rng(1)
    n = 250
    x = {"even": np.arange(n) * 1.0, "skewed": np.exp(2 * rng.normal(size=n))}
    x["ties"] = rng.integers(0, 12, n) * 1.0
    moments = (bands.ROOT_MEAN, bands.ROOT_VARIANCE) if roots else (0.0, 1.0)
    smoother = bands.smoother(x[kind])
    band = smoother.trend(np.zeros(n), *moments)
    made = rng.normal(size=(TIMES, n))
    made = np.sqrt(np.abs(made)) if roots else made
    lines = np.array([smoother.weights @ means(one, smoother) for one in made])
    inside = (np.abs(lines - moments[0]) < band.half).all(axis=1)
    assert np.mean(inside) == pytest.approx(0.95, abs=SLACK)
    np.testing.assert_allclose(smoother.trend(made[0], *moments).y, lines[0])


def means(values, smoother):
    return [values[smoother.bins == k].mean() for k in range(len(smoother.counts))]


def test_local_lines_are_weighted_least_squares():
    """Against the definition: tricube weights, and a line at each point."""
    rng = np.random.default_rng(1)
    n, x = 150, rng.normal(size=150)
    values = rng.normal(size=n) + np.sin(2 * x)
    rank = (stats.rankdata(x) - 0.5) / n
    found = bands.smoother(x).trend(values)
    for k in (0, 20, 49):
        point = np.linspace(rank.min(), rank.max(), bands.POINTS)[k]
        weights = np.clip(1 - (np.abs(rank - point) / bands.SPAN) ** 3, 0, None) ** 3
        _slope, level = np.polyfit(rank - point, values, 1, w=np.sqrt(weights))
        # 150 rows in 200 bins: each is alone.
        assert found.y[k] == pytest.approx(level, abs=1e-9)
        assert found.x[k] == pytest.approx(np.interp(point, np.sort(rank), np.sort(x)))


def test_moments_of_the_root_of_a_normal_value():
    for power, value in ((1, bands.ROOT_MEAN), (2, bands.ROOT_VARIANCE + bands.ROOT_MEAN**2)):
        exact = integrate.quad(lambda z, p=power: abs(z) ** (p / 2) * stats.norm.pdf(z), -9, 9)[0]
        assert value == pytest.approx(exact, abs=1e-7)


def test_means_of_categories_lie_within_their_reach_as_often_as_it_says():
    rng, counts = np.random.default_rng(1), np.array([1, 4, 30, 200])
    z = rng.normal(size=(20_000, 4)) / np.sqrt(counts)
    inside = (np.abs(z) < bands.mean_reach(counts.astype(float))).all(axis=1).mean()
    assert inside == pytest.approx(0.95, abs=0.007)


def data(n=240, levels=12, seed=1, *, tails=False):
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % levels, rng.normal(size=n)
    own = rng.standard_t(1, size=levels) if tails else rng.normal(size=levels)
    arm = np.array(["a", "b", "$c_%"])[rng.integers(0, 3, n)]
    eta = 0.4 + 0.5 * x + (arm == "b") + 0.5 * own[g]
    return {"g": g, "x": x, "arm": arm, "eta": eta, "noise": rng.normal(size=n)}


def panels(fig):
    """By title: axes, and what is said under the title with its colour."""
    return {ax.get_title(): ax for ax in fig.axes if ax.get_visible()}


def note(ax):
    return next(text for text in ax.texts if text.xycoords == "axes fraction")


def failed(fig):
    return {title for title, ax in panels(fig).items() if note(ax).get_fontweight() == "bold"}


@pytest.fixture(scope="module")
def normal():
    table = data()
    table["y"] = table["eta"] + table["noise"]
    return pp.fit("y ~ x + arm + (x | g)", table, **QUICK)


def test_what_is_drawn_is_what_residuals_say(normal):
    found, residuals = panels(normal.plot.check()), normal.residuals()
    r, expected = residuals["residual"].to_numpy(), normal.loo().mean
    for title, x, values in (
        ("Residuals by expectation", expected, r),
        ("Spread by expectation", expected, np.sqrt(np.abs(r))),
        ("Residuals by x", data()["x"], r),
    ):
        points = next(x.get_xydata() for x in found[title].lines if x.get_marker() == "o")
        np.testing.assert_allclose(points, np.column_stack([x, values]))
    trend = bands.smoother(data()["x"]).trend(r)
    (line,) = [x for x in found["Residuals by x"].lines if x.get_linewidth() == 1.8]
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([trend.x, trend.y]))
    points = found["Residuals, sorted"].lines[-1].get_ydata()
    np.testing.assert_allclose(points, np.sort(r)[bands.sorted_normals(len(r)).ranks])
    k = [x.get_ydata() for x in found["Influence"].lines if x.get_marker() in ("o", "D")]
    np.testing.assert_allclose(np.sort(np.concatenate(k)), np.sort(residuals["pareto_k"]))
    arms = found["Residuals by arm"].collections[0].get_segments()
    own = [r[data()["arm"] == name].mean() for name in ("$c_%", "a", "b")]
    np.testing.assert_allclose([line[0][1] for line in arms], own)


def test_levels_are_in_units_of_their_sd(normal):
    tree = normal.draws["posterior"]
    r = tree["r_g"].stack(s=("chain", "draw")).transpose("g", "g_term", "s").to_numpy()
    sd = tree["sd_g"].stack(s=("chain", "draw")).to_numpy()
    picked = np.linspace(0, 399, 100).round().astype(int)
    np.testing.assert_allclose(standardised(normal, 0), (r / sd)[:, :, picked], rtol=1e-6)
    found = panels(normal.plot.check())
    lines = found["Levels of g, x"].lines[1:]
    expected = np.sort((r / sd)[:, 1, picked], axis=0)
    np.testing.assert_allclose(lines[0].get_ydata(), expected[:, 0], rtol=1e-6)


def test_a_right_model_passes(normal):
    assert failed(normal.plot.check()) == set()


FAULTS = {
    "curve": ("gaussian", lambda d: d["eta"] + d["x"] ** 2 + d["noise"], "Residuals by x"),
    "tails": ("gaussian", lambda d: d["eta"] + d["noise"] ** 5 / 10, "Residuals, sorted"),
    "spread": (
        "gaussian",
        lambda d: d["eta"] + np.exp(1.5 * d["eta"]) * d["noise"],
        "Spread by expectation",
    ),
    "counts": (
        "poisson",
        lambda d: np.random.default_rng(1).negative_binomial(1, 1 / (1 + np.exp(d["eta"]))),
        "Dispersion",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(name):
    family, make, where = FAULTS[name]
    table = data()
    table["y"] = make(table)
    fit = pp.fit("y ~ x + arm + (1 | g)", table, family=family, **QUICK)
    assert where in failed(fit.plot.check())


def test_levels_with_tails_are_seen():
    table = data(n=1200, levels=60, tails=True)
    table["y"] = table["eta"] + 0.3 * table["noise"]
    fit = pp.fit("y ~ x + arm + (1 | g)", table, **QUICK)
    assert failed(fit.plot.check()) == {"Levels of g"}


def made(family, table):
    rng = np.random.default_rng(5)
    eta = table["eta"]
    if family == "bernoulli":
        return (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(int)
    if family == "cumulative":
        return 1 + np.digitize(eta + rng.logistic(size=len(eta)), [0.0, 1.0])
    return rng.poisson(np.exp(eta))


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "cumulative"])
@pytest.mark.parametrize("levels", [1, 3, 80])
def test_panels_suit_the_model(family, levels):
    table = data(levels=levels)
    table["y"] = made(family, table)
    fit = pp.fit("y ~ x + arm + (1 | g)", table, family=family, **QUICK)
    found = panels(fit.plot.check())
    expected = ["Data and model", "Residuals, sorted", "Residuals by expectation"]
    expected += ["Spread by expectation", "Residuals by x", "Residuals by arm"]
    expected += ["Dispersion"] * (family == "poisson")
    expected += ["Levels of g"] * (levels >= 5)  # fewer say nothing of their shape
    assert list(found) == [*expected, "Influence"]
    if family == "bernoulli":
        ticks = [tick.get_text() for tick in found["Data and model"].get_xticklabels()]
        assert ticks == ["0", "1"]


def test_without_predictors_and_groups():
    fit = pp.fit("y ~ 1", {"y": np.random.default_rng(1).normal(size=30)}, **QUICK)
    assert list(panels(fit.plot.check())) == ["Data and model", "Residuals, sorted", "Influence"]


def test_without_pooling_levels_have_no_shape():
    table = data()
    table["y"] = table["eta"] + table["noise"]
    fit = pp.fit("y ~ x + (1 | g)", table, pooling="none", **QUICK)
    assert not any("Levels" in title for title in panels(fit.plot.check()))


def test_of_many_predictors_those_with_the_strongest_trends_are_drawn():
    rng = np.random.default_rng(1)
    table = {f"x{k}": rng.normal(size=200) for k in range(9)}
    table["y"] = table["x8"] ** 2 + table["x2"] ** 2 + rng.normal(size=200)
    formula = "y ~ " + " + ".join(f"x{k}" for k in range(9))
    fig = pp.fit(formula, table, **QUICK).plot.check()
    drawn = [title for title in panels(fig) if title.startswith("Residuals by x")]
    assert len(drawn) == 6
    assert {"Residuals by x2", "Residuals by x8"} <= {*drawn}
    said = " ".join(text.get_text() for text in fig.texts).replace("\n", " ")
    assert "Of 9 predictors the 6 with the strongest trends are drawn." in said


def test_crowds_are_hexagons_that_hold_all_and_many_categories_are_sorted():
    rng = np.random.default_rng(1)
    n = CROWD + 500
    g = np.arange(n) % 2200
    table = {"x": rng.normal(size=n), "g": g, "f": [f"k{v}" for v in rng.integers(0, 40, n)]}
    table["y"] = table["x"] + 0.5 * rng.normal(size=2200)[g] + rng.normal(size=n)
    fit = pp.fit("y ~ x + f + (1 | g)", table, chains=2, draws=60, warmup=100, seed=1)
    fig = fit.plot.check()
    found = panels(fig)
    assert any("Hexagons stand for the rows" in text.get_text() for text in fig.texts)
    (hexagons,) = [c for c in found["Residuals by x"].collections if c.get_array() is not None]
    assert hexagons.get_array().sum() == n
    assert "Mean residuals of 40 values of f" in found
    assert note(found["Levels of g"]).get_text().startswith("2,000 of 2,200 levels")


def test_rows_are_needed(normal, tmp_path):
    normal.save(tmp_path / "fit.nc", rows=False)
    with pytest.raises(InputError, match="without the rows"):
        pp.load(tmp_path / "fit.nc").plot.check()
