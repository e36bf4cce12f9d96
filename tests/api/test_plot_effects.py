"""Effects drawn: what is in the figure is what `fit.effects` and the data say."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection

import partialpool as pp
from partialpool.drawing.places import spread
from partialpool.errors import InputError
from partialpool.plots.effects import NAMED, Behind, Curve, Panel, Words, y_limits
from partialpool.plots.effects import effects as draw_effects

QUICK = {"chains": 2, "draws": 60, "warmup": 100, "seed": 1}
ARMS = ["control", "drug $A$", "größer & <b>_%"]


def table(n=160, seed=3):
    rng = np.random.default_rng(seed)
    x, age, g = rng.normal(size=n), rng.integers(20, 80, n), np.arange(n) % 8
    arm = np.array(ARMS)[rng.integers(0, 3, n)]
    eta = 0.3 + 0.8 * x - 0.3 * x**2 + 0.5 * (arm == ARMS[1]) * x + rng.normal(0, 0.5, 8)[g]
    expo = rng.uniform(0.5, 3, n)
    grades = np.digitize(eta + rng.logistic(size=n), [-0.5, 1.0])
    return pd.DataFrame(
        {"x": x, "age": age, "g": [f"Ort {k}" for k in g], "arm": arm, "expo": expo}
        | {"y": eta + rng.normal(size=n), "b": (rng.random(n) < 1 / (1 + np.exp(-eta))) * 1}
        | {"c": rng.poisson(np.exp(0.4 * eta) * expo), "two": rng.integers(0, 2, n)}
        | {
            "o": pd.Categorical(
                np.array(["low", "mid", "high"])[grades], ["low", "mid", "high"], ordered=True
            )
        }
    )


@pytest.fixture(scope="module")
def normal():
    return pp.fit("y ~ poly(x, 2) * arm + age + two + (1 | g)", table(), **QUICK)


@pytest.fixture(scope="module")
def binary():
    return pp.fit("b ~ x * arm + (1 | g)", table(), family="bernoulli", **QUICK)


@pytest.fixture(scope="module")
def counts():
    return pp.fit("c ~ x + arm + (1 | g)", table(), family="poisson", exposure="expo", **QUICK)


@pytest.fixture(scope="module")
def ordered():
    return pp.fit("o ~ x + arm + (1 | g)", table(), family="cumulative", **QUICK)


def lines(ax):
    """Curves of a panel: (point, 2) each; these alone are as thick."""
    return [line.get_xydata() for line in ax.lines if line.get_linewidth() == 2.0]


def bands(ax):
    return [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, PolyCollection)]


def intervals(ax):
    """Vertical lines of the intervals: (interval, 2, 2), for each curve."""
    found = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [np.array(c.get_segments()) for c in found if c.get_linewidth()[0] != 0.7]


def small(ax):
    """Rows that are drawn one by one."""
    found = [x.get_xydata() for x in ax.lines if x.get_marker() != "None" and x.get_alpha()]
    return np.concatenate(found) if found else np.empty((0, 2))


def hollow(ax):
    """Means of the data, for each curve."""
    own = [x for x in ax.lines if x.get_markerfacecolor() == "white"]
    return [line.get_xydata() for line in own]


def predictions(frame):
    return frame[frame["quantity"] == "prediction"]


def words(fig):
    return " ".join(text.get_text() for text in fig.texts).replace("\n", " ")


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


@pytest.mark.parametrize("groups", ["integrate", "none"])
@pytest.mark.parametrize("which", ["normal", "binary", "counts", "ordered"])
def test_a_curve_is_what_effects_says(which, groups, request):
    fit = request.getfixturevalue(which)
    (ax,) = fit.plot.effects("x", groups=groups, interval=0.8).axes
    ((x, y),) = (line.T for line in lines(ax))
    data = table()["x"]
    assert x[0] == pytest.approx(data.min())
    assert x[-1] == pytest.approx(data.max())
    assert 25 <= len(x) <= 50
    found = predictions(fit.effects("x", {"x": x.tolist()}, groups=groups, interval=0.8))
    np.testing.assert_allclose(y, found["mean"], rtol=1e-12)
    (band,) = bands(ax)
    for place, low, high in zip(x, found["lower"], found["upper"], strict=True):
        own = band[np.isclose(band[:, 0], place), 1]
        assert own.min() == pytest.approx(low)
        assert own.max() == pytest.approx(high)


def test_curves_and_panels_are_combinations(normal):
    fig = normal.plot.effects(["x", "age", "arm"])
    assert [ax.get_title() for ax in fig.axes] == [f"arm = {a}".replace("$", r"\$") for a in ARMS]
    quartiles = np.quantile(table()["age"], [0.25, 0.5, 0.75])
    for ax, arm in zip(fig.axes, ARMS, strict=True):
        for line, age in zip(lines(ax), quartiles, strict=True):
            at = {"x": line[:, 0].tolist(), "arm": arm, "age": float(age)}
            found = predictions(normal.effects("x", at))
            np.testing.assert_allclose(line[:, 1], found["mean"], rtol=1e-10)
    assert "Quartiles of age" in words(fig)
    assert [name for name in legend(fig) if name.startswith("age")] == [
        f"age = {q:.3g}" for q in quartiles
    ]


def test_points_of_categories_are_what_effects_says(binary):
    (ax,) = binary.plot.effects("arm").axes
    found = predictions(binary.effects("arm"))
    assert [t.get_text() for t in ax.get_xticklabels()][1] == r"drug \$A\$"
    (own,) = intervals(ax)
    np.testing.assert_allclose(own[:, :, 1], found[["lower", "upper"]])
    points = [x.get_xydata() for x in ax.lines if x.get_markersize() == 6.5]
    np.testing.assert_allclose(points[0], np.column_stack([[0, 1, 2], found["mean"]]))
    (means,) = hollow(ax)
    np.testing.assert_allclose(means[:, 1], table().groupby("arm")["b"].mean())


def test_numbers_with_two_values_have_points(normal):
    (ax,) = normal.plot.effects("two").axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert not lines(ax)


def test_the_probability_of_each_category(ordered):
    (ax,) = ordered.plot.effects("x", kind="probability").axes
    every = lines(ax)
    np.testing.assert_allclose(sum(line[:, 1] for line in every), 1.0)
    at = {"x": every[0][:, 0].tolist()}
    found = predictions(ordered.effects("x", at, kind="probability"))
    for line, name in zip(every, ["low", "mid", "high"], strict=True):
        np.testing.assert_allclose(line[:, 1], found[found["category"] == name]["mean"])
    # Shares in bins of the data add up too.
    np.testing.assert_allclose(sum(means[:, 1] for means in hollow(ax)), 1.0)
    fig = ordered.plot.effects(["x", "arm"], kind="probability")
    assert len(fig.axes) == 3


def test_rows_are_drawn_as_they_are(normal):
    (ax,) = normal.plot.effects("x").axes
    drawn = small(ax)
    expected = table()[["x", "y"]].to_numpy()
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])


def test_rows_go_with_their_curve(normal):
    fig = normal.plot.effects(["x", "arm"])
    drawn = [x.get_xydata() for x in fig.axes[0].lines if x.get_alpha() and len(x.get_xdata()) > 0]
    drawn = [d for d in drawn if len(d) in table()["arm"].value_counts().to_list()]
    for own, arm in zip(drawn, ARMS, strict=True):
        expected = table()["x"][table()["arm"] == arm]
        np.testing.assert_allclose(np.sort(own[:, 0]), np.sort(expected))


def test_zeros_and_ones_are_marked_on_the_edges_and_averaged_in_bins(binary):
    (ax,) = binary.plot.effects("x").axes
    rugs = [c for c in ax.collections if isinstance(c, LineCollection)]
    at = [np.array(c.get_segments())[:, 0, 0] for c in rugs]
    data = table()
    np.testing.assert_allclose(at[0], np.sort(data["x"][data["b"] == 0]))
    np.testing.assert_allclose(at[1], np.sort(data["x"][data["b"] == 1]))
    (means,) = hollow(ax)
    assert 4 <= len(means) <= 20
    cuts = np.quantile(data["x"], np.linspace(0, 1, len(means) + 1)[1:-1])
    expected = data["b"].groupby(np.searchsorted(cuts, data["x"], side="right")).mean()
    np.testing.assert_allclose(means[:, 1], expected)
    assert len(small(ax)) == 0


def test_counts_are_drawn_at_the_exposure_that_is_asked_for(counts):
    (ax,) = counts.plot.effects("x", exposure=2.0).axes
    data = table()
    drawn = small(ax)
    expected = np.sort(2 * data["c"] / data["expo"])
    np.testing.assert_allclose(np.sort(drawn[:, 1]), expected)
    found = predictions(counts.effects("x", {"x": lines(ax)[0][:, 0].tolist()}, exposure=2.0))
    np.testing.assert_allclose(lines(ax)[0][:, 1], found["mean"])


@pytest.mark.parametrize("link", ["identity", "log", "logit"])
def test_data_at_another_offset(link):
    data = table().assign(off=np.linspace(-1, 1, 160))
    family = {"identity": "gaussian", "log": "poisson", "logit": "bernoulli"}[link]
    y = {"identity": "y", "log": "c", "logit": "b"}[link]
    fit = pp.fit(f"{y} ~ x", data, family=family, offset="off", **QUICK)
    (ax,) = fit.plot.effects("x", offset=0.5).axes
    drawn, change = np.sort(small(ax)[:, 1]), 0.5 - data["off"]
    if link == "identity":
        np.testing.assert_allclose(drawn, np.sort(data[y] + change))
    elif link == "log":
        np.testing.assert_allclose(drawn, np.sort(data[y] * np.exp(change)))
    else:
        assert len(drawn) == 0
        assert not hollow(ax)


def test_many_rows_are_sampled_and_said():
    rng = np.random.default_rng(1)
    x = rng.normal(size=5000)
    fit = pp.fit("y ~ x", {"x": x, "y": x + rng.normal(size=5000)}, **QUICK)
    fig = fit.plot.effects("x")
    assert len(small(fig.axes[0])) == 2000
    assert "2,000 of the 5,000 rows of data" in legend(fig)
    assert "means of the data in bins" in legend(fig)


def test_fewer_draws_where_all_would_take_minutes(binary, normal, monkeypatch):
    monkeypatch.setattr("partialpool.figures.effects.EFFORT", 160 * 41 * 2 * 20)
    monkeypatch.setattr("partialpool.figures.effects.FEWEST", 5)
    fig = binary.plot.effects("x")
    assert "40 of 120 draws." in words(fig)
    at = {"x": lines(fig.axes[0])[0][:, 0].tolist()}
    found = predictions(binary.effects("x", at, draws=20))
    np.testing.assert_allclose(lines(fig.axes[0])[0][:, 1], found["mean"])
    assert "draws" not in words(binary.plot.effects("x", draws=60))
    assert "draws" not in words(normal.plot.effects("x"))


def test_many_categories_are_sorted_and_not_named():
    rng = np.random.default_rng(1)
    n = 3 * (NAMED + 10)
    f = np.arange(n) % (NAMED + 10)
    data = {"f": [f"k{v}" for v in f], "y": rng.normal(size=n) + rng.permutation(NAMED + 10)[f]}
    fig = pp.fit("y ~ f", data, **QUICK).plot.effects("f")
    (own,) = intervals(fig.axes[0])
    assert (np.diff(own.mean(axis=1)[:, 1]) > -0.5).all()
    assert not fig.axes[0].get_xticklabels()
    assert f"{NAMED + 10} values of f, sorted" in fig.axes[0].get_xlabel()


@pytest.mark.parametrize("n_levels", [1, 3, 2000])
def test_levels_of_a_factor(n_levels):
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(n_levels), 3)
    data = {"g": g, "x": rng.normal(size=len(g)), "y": rng.normal(size=len(g)) + (g % 5)}
    fit = pp.fit("y ~ x + (1 | g)", data, **QUICK)
    fig = fit.plot.effects(["x", "g"])
    shown = min(n_levels, 6)
    assert len(lines(fig.axes[0])) == shown
    assert ("2,000 levels of g the 6 with most rows" in words(fig)) == (n_levels == 2000)
    chosen = fit.plot.effects("x", groups={"g": [0]})
    found = predictions(fit.effects("x", {"x": lines(chosen.axes[0])[0][:, 0].tolist()}, {"g": 0}))
    np.testing.assert_allclose(lines(chosen.axes[0])[0][:, 1], found["mean"], rtol=1e-10)


def test_the_caption_says_what_was_averaged_over(binary):
    said = words(binary.plot.effects("x", {"arm": "control"}, title="Mine"))
    assert "Average over 160 rows, all given the same x, arm = control" in said
    assert "levels integrated over the population by quadrature" in said
    assert said.startswith("Mine")
    (means,) = hollow(binary.plot.effects("arm", {"x": 0.0}).axes[0])
    assert len(means) == 3
    new = binary.plot.effects("x", data=table(40, seed=5))
    assert "Average over 40 rows" in words(new)
    assert not hollow(new.axes[0])


def test_without_rows_new_ones_are_needed(normal, tmp_path):
    normal.save(tmp_path / "fit.nc", rows=False)
    fit = pp.load(tmp_path / "fit.nc")
    with pytest.raises(InputError, match="without the rows"):
        fit.plot.effects("x")
    assert len(lines(fit.plot.effects("x", data=table()).axes[0])) == 1
    assert all(not name.startswith(("effects", "check")) for name in fit.plot.all())


@pytest.mark.parametrize(
    ("options", "message"),
    {
        "unknown": ({"by": "z"}, "`z` is no predictor"),
        "none": ({"by": []}, "names no predictor"),
        "twice": ({"by": ["x", "x"]}, "names `x` twice"),
        "four": ({"by": ["x", "arm", "age", "two"]}, "names 4 predictors, and this figure shows 3"),
        "values": ({"by": ["x", "age"], "at": {"age": list(range(9))}}, "room for 8"),
        "level": ({"by": "x", "groups": {"g": ["Ort 99"]}}, "`Ort 99` is no level of `g`"),
        "kind": ({"by": "x", "kind": "probability"}, "has no categories"),
        "title": ({"by": "x", "title": 3}, "`title` is 3"),
    }.values(),
)
def test_what_cannot_be_drawn_is_told(normal, options, message):
    with pytest.raises(InputError, match=message):
        normal.plot.effects(**options)


def test_wild_predictions_do_not_stretch_the_frame():
    x = np.linspace(0, 1, 30)
    y = np.where(x > 0.95, 1e8, x)
    rows = Behind(x, x, np.zeros(30, dtype=np.int64), "the data")
    panel = Panel("", (Curve("", x, y, y - 1, y + 1),), rows)
    (low, high), cut = y_limits([panel])
    assert cut
    assert -3 < low < 0
    assert 1 < high < 6
    assert "Predictions go on outside" in words(draw_effects([panel], Words("", "x", "y", ())))
    calm = Panel("", (Curve("", x, x, x - 1, x + 1),), rows)
    assert not y_limits([calm])[1]


def test_names_beside_curves_keep_apart():
    rng = np.random.default_rng(1)
    for n in (1, 2, 6):
        values = rng.normal(size=n)
        placed = spread(values, 1.0)
        ordered = np.sort(placed)
        assert (np.diff(ordered) > 1 - 1e-9).all()
        assert (np.argsort(placed) == np.argsort(values)).all()
        assert placed.mean() == pytest.approx(values.mean())
    far = np.array([3.0, 0.0, 10.0])
    np.testing.assert_allclose(spread(far, 1.0), far)


def test_curves_differ_in_dashes_and_colour(normal):
    (ax,) = normal.plot.effects(["x", "arm"]).axes
    own = [line for line in ax.lines if line.get_linewidth() == 2.0]
    for one, other in itertools.combinations(own, 2):
        assert one.get_color() != other.get_color()
        assert one._dash_pattern != other._dash_pattern


EVERY = {
    "nested counts": ("c ~ x + (1 | g / two)", {"family": "poisson"}),
    "sigma": ("y ~ x + (x || g)", {"sigma": "~ x + (1 | two)"}),
    "no pooling": ("y ~ x + (x | g)", {"pooling": "none"}),
    "no groups": ("b ~ x + arm", {"family": "bernoulli"}),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_that_is_listed_can_be_drawn(name):
    formula, options = EVERY[name]
    fit = pp.fit(formula, table(), **options, **QUICK)
    found = fit.plot.all()
    for draw in found.values():
        assert draw().axes
    assert {"effects-x", "posterior", "check"} <= {*found}
    assert ("coefficients" in found) == (name != "no pooling")
    assert any(one.startswith("levels") for one in found) == (name != "no groups")
    assert any(one.startswith("pooling") for one in found) == (
        "(" in formula and name[:4] != "no p"
    )
    assert "forest" not in found
    assert ("levels-g" in found) == (name in ("nested counts", "sigma"))
