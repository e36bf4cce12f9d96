"""The shrinkage figure: its frame, its words, and its looks against stored images.

Run as a script, this file writes the stored images anew; look at them before keeping them.
"""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import style
from matplotlib.figure import Figure
from msgspec.structs import replace

from partialpool.drawing.canvas import canvas, titled
from partialpool.drawing.labels import place_labels
from partialpool.drawing.scales import central, frame, positions
from partialpool.drawing.style import shorten_all
from partialpool.errors import InputError
from partialpool.plots import Panel, save, shrinkage
from partialpool.plots.shrinkage.scene import CROWD, LINES, SHOWN
from pictures import TOLERANCE, distance, pixels, same_letters, store, stored

TERMS = ["Intercept", "floor", "uranium"]


def case(n_levels, q, *, rows=None, truth=False, lost=0.1, seed=1):
    """Three poolings of levels with known truth; some have no no-pooling estimate."""
    rng = np.random.default_rng(seed)
    counts = rng.geometric(0.08, n_levels) + 1 if rows is None else np.full(n_levels, rows)
    mean, sd = np.array([2.0, -2.0, 0.5])[:q], np.array([1.0, 0.7, 0.5])[:q]
    cor = np.eye(q)
    cor[: min(q, 2), : min(q, 2)] += -0.4 * (1 - np.eye(min(q, 2)))
    covariance = cor * np.outer(sd, sd)
    true = mean + rng.normal(size=(n_levels, q)) @ np.linalg.cholesky(covariance).T
    se = 2 / np.sqrt(counts)[:, None] * np.array([1.0, 1.4, 1.2])[:q]
    unpooled = true + se * rng.normal(size=(n_levels, q))
    weight = 1 / (1 + (se / sd) ** 2)
    partial, width = mean + weight * (unpooled - mean), 1.96 * se * np.sqrt(weight)
    unpooled[rng.random(n_levels) < lost] = np.nan
    complete = np.tile(mean + 0.1, (n_levels, 1))
    return {
        "panels": [
            Panel("Complete pooling", complete, between(complete, 0.2), complete[0]),
            Panel("No pooling", unpooled, between(unpooled, 1.96 * se), note="some left out"),
            Panel("Partial pooling", partial, between(partial, width), mean, covariance),
        ],
        "terms": TERMS[:q],
        "levels": [f"county {k + 1}" for k in range(n_levels)],
        "counts": counts,
        "factor": "county",
        "truth": true if truth else None,
        "reference": unpooled,
    }


def between(middle, half):
    return np.stack([middle - half, middle + half], axis=2)


def words(fig):
    """Everything that is written around the panels."""
    return " ".join(text.get_text() for text in fig.texts).replace("\n", " ")


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def under_title(ax):
    """Notes under a panel's title."""
    return [text.get_text() for text in ax.texts if text.xycoords == "axes fraction"]


def named(ax):
    """Levels whose names are written."""
    return [text.get_text() for text in ax.texts if text.xycoords == "data"]


PICTURES = {
    "shrinkage_8": lambda: case(8, 2, lost=0),
    "shrinkage_75_truth": lambda: case(75, 2, rows=5, truth=True),
    "shrinkage_75_chosen": lambda: case(75, 3) | {"choose": ("uranium", "floor")},
    "shrinkage_75_one": lambda: case(75, 1),
    "shrinkage_8_one": lambda: case(8, 1, rows=1, lost=0),
    "shrinkage_5000": lambda: case(5000, 2),
}


@same_letters
@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_stored(name):
    assert distance(pixels(shrinkage(**PICTURES[name]())), stored(name)) < TOLERANCE


@same_letters
@pytest.mark.parametrize("name", ["shrinkage_75_truth", "shrinkage_75_one", "shrinkage_5000"])
def test_a_wider_ellipse_is_seen_by_the_comparison(name):
    data = PICTURES[name]()
    partial = data["panels"][2]
    data["panels"][2] = replace(partial, covariance=1.3 * partial.covariance)
    assert distance(pixels(shrinkage(**data)), stored(name)) > TOLERANCE


@same_letters
def test_a_dark_style_changes_nothing():
    with matplotlib.rc_context(style.library["dark_background"]):
        drawn = pixels(shrinkage(**PICTURES["shrinkage_8"]()))
    assert distance(drawn, stored("shrinkage_8")) < TOLERANCE


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("n_levels", [1, 75, 1500])
def test_one_panel_a_pooling_with_the_same_axes(n_levels, q):
    data = case(n_levels, q, truth=q == 2)
    fig = shrinkage(**data)
    assert [ax.get_title() for ax in fig.axes] == [panel.title for panel in data["panels"]]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}) == 1
    assert fig.axes[0].get_ylabel() == ("Intercept" if q == 1 else "Coefficient of floor")
    partial = data["panels"][2].estimates[:, min(q, 2) - 1]
    low, high = fig.axes[0].get_ylim()
    assert low < partial.min() <= partial.max() < high


def test_lines_lead_to_the_truth_where_it_is_known():
    data = case(75, 2, truth=True)
    assert "line to its true value" in legend(shrinkage(**data))
    data["truth"] = None
    labels = legend(shrinkage(**data))
    assert "line to its no-pooling estimate" in labels
    assert "county without a no-pooling estimate" in labels
    data["reference"] = None
    fig = shrinkage(**data)
    assert not any("line" in label for label in legend(fig))
    assert "line" not in words(fig)


def test_lines_run_from_each_estimate_to_its_goal():
    data = case(75, 2, truth=True, lost=0)
    for ax, panel in zip(shrinkage(**data).axes, data["panels"], strict=True):
        (lines,) = [c for c in ax.collections if hasattr(c, "get_segments")]
        expected = np.stack([panel.estimates, data["truth"]], axis=1)
        np.testing.assert_allclose(np.array(lines.get_segments()), expected)


def test_wild_estimates_do_not_stretch_the_frame_and_are_counted():
    data = case(75, 2, lost=0)
    calm = shrinkage(**data).axes[0]
    wild = data["panels"][1].estimates.copy()
    wild[[3, 40], 0] = [400.0, -900.0]
    data["panels"][1] = replace(data["panels"][1], estimates=wild)
    fig = shrinkage(**data | {"reference": wild})
    low, high = fig.axes[0].get_xlim()
    assert high - low < 1.3 * (calm.get_xlim()[1] - calm.get_xlim()[0])
    assert under_title(fig.axes[1]) == ["some left out\n2 levels outside the frame"]
    assert under_title(fig.axes[2]) == []
    assert "estimate outside the frame" in legend(fig)


def test_a_few_levels_are_all_in_the_frame_unless_wild():
    data = case(8, 2, lost=0)
    assert under_title(shrinkage(**data).axes[1]) == ["some left out"]


def test_the_same_estimate_of_all_levels_is_one_dot_that_says_so():
    fig = shrinkage(**case(75, 2))
    assert under_title(fig.axes[0]) == ["all 75 levels on one point"]
    sizes = [c.get_sizes() for c in fig.axes[0].collections if hasattr(c, "get_sizes")]
    assert (
        max(size.max() for size in sizes) > 100
    )  # square points: seen around the mark of the mean


def test_few_levels_are_named_and_many_are_not():
    data = case(8, 2, lost=0)
    assert sorted(named(shrinkage(**data).axes[2])) == data["levels"]
    assert named(shrinkage(**case(75, 2)).axes[2]) == []
    data = case(8, 1, rows=4, lost=0)
    below = [text.get_text() for text in shrinkage(**data).axes[2].get_xticklabels()]
    assert sorted(below) == data["levels"]


@pytest.mark.parametrize("seed", range(4))
def test_names_neither_cover_each_other_nor_leave_the_frame(seed):
    """Of levels that lie close together at an edge only some are named."""
    rng = np.random.default_rng(seed)
    fig = Figure(figsize=(4, 3))
    ax = fig.add_subplot()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    points = 1 - 0.15 * rng.random((12, 2))
    names = [f"a level with number {k}"[-int(rng.integers(2, 22)) :] for k in range(12)]
    fig.draw_without_rendering()
    place_labels(ax, points, names, [])
    boxes = [text.get_window_extent() for text in ax.texts]
    assert 0 < len(boxes) < 12
    for k, box in enumerate(boxes):
        assert box.x1 < ax.bbox.x1 + 15 * fig.dpi / 72
        for other in boxes[:k]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            up = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 0.3 * min(box.width, other.width) or up < 0.5 * box.height


@pytest.mark.parametrize("longest", [8, 12, 16])
def test_short_names_stay_apart_where_beginnings_or_ends_differ(longest):
    names = [f"{a}, as it was measured {b}" for a in "pqr" for b in "xyz"] + ["none"]
    short = shorten_all(names, longest)
    assert len(set(short)) == len(names)
    assert max(map(len, short)) == longest
    assert short[-1] == "none"


@pytest.mark.parametrize("words", ["wide WORDS of a MODEL " * 6, "ordered(f, levels=c('a', 'b'))"])
def test_titles_stay_in_the_figure(words):
    fig, _ = canvas(1, 4.6, 3.0)
    titled(fig, f"Can the model make data like {words}?")
    fig.draw_without_rendering()
    box = fig._suptitle.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= fig.bbox.x1


def test_crowds_are_thinned_and_say_so():
    assert f"Lines are drawn for {LINES} of the {CROWD:,} levels." in words(
        shrinkage(**case(CROWD, 2))
    )
    n = SHOWN + 1
    said = words(shrinkage(**case(n, 1)))
    assert f"{SHOWN:,} of the {n:,} levels are drawn." in said


def test_the_ellipse_holds_the_mass_of_the_interval():
    data = case(8, 2, lost=0)
    panel = data["panels"][2]
    data |= {"panels": [panel], "interval": 0.8}
    fig = shrinkage(**data)
    (curve,) = [line for line in fig.axes[0].lines if len(line.get_xdata()) > 2]
    away = curve.get_xydata() - panel.mean
    squared = np.einsum("ij,jk,ik->i", away, np.linalg.inv(panel.covariance), away)
    np.testing.assert_allclose(1 - np.exp(-squared / 2), 0.8)
    assert "where 80% of all levels are expected" in legend(fig)


def test_levels_of_the_same_size_stand_side_by_side():
    counts = np.array([5, 2, 5, 9, 5])
    at = positions(counts, np.zeros(5))
    assert len(set(at)) == 5
    np.testing.assert_array_equal(np.round(at), counts)
    equal = positions(np.full(3, 4), np.array([2.0, 3.0, 1.0]))
    assert equal.argsort().tolist() == [2, 0, 1]


def test_frame_of_nothing_of_one_point_and_of_equal_points():
    assert frame(np.empty(0), np.empty(0)) == (-1.0, 1.0)
    low, high = frame(np.full(5, 7.0), np.array([np.nan]))
    assert low < 7 < high
    assert central(np.array([np.nan]), 0.98).size == 0


def test_a_panel_without_estimates_says_so():
    data = case(8, 2)
    lost = np.full((8, 2), np.nan)
    data["panels"] = [Panel("No pooling", lost), data["panels"][2]]
    fig = shrinkage(**data | {"reference": lost})
    assert under_title(fig.axes[0]) == ["no level has an estimate"]


def test_an_sd_of_zero_draws():
    data = case(8, 2)
    data["panels"][2] = replace(data["panels"][2], covariance=np.zeros((2, 2)))
    pixels(shrinkage(**data))


def test_names_are_written_as_they_are(tmp_path):
    data = case(3, 2, lost=0)
    data |= {
        "levels": ["a $ b $", "x_1^2 \\alpha", "a name that goes on and on"],
        "factor": "$price$",
        "terms": ["Intercept", "cost in $ of $"],
    }
    fig = shrinkage(**data)
    save(fig, tmp_path / "figure.svg")
    assert "$price$'s estimate" in words(fig).replace("\\$", "$")


@pytest.mark.parametrize(
    ("terms", "choose", "said"),
    [
        (TERMS, ("Intercept", "flor"), "did you mean `floor`"),
        (TERMS, ("floor", "floor"), "give two terms"),
        (TERMS, "floor", "give two terms"),
        (TERMS, ("floor",), "give two terms"),
        (TERMS[:1], ("Intercept", "floor"), "only coefficient"),
    ],
)
def test_wrong_choices_are_explained(terms, choose, said):
    with pytest.raises(InputError, match=said):
        shrinkage(**case(8, len(terms)) | {"choose": choose})


def test_chosen_terms_are_the_axes():
    fig = shrinkage(**case(8, 3) | {"choose": ("uranium", "Intercept")})
    assert fig.axes[0].get_xlabel() == "Coefficient of uranium"
    assert fig.axes[0].get_ylabel() == "Intercept"


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")],
)
def test_save_by_suffix_leaves_only_the_file(tmp_path, suffix, start):
    path = tmp_path / f"figure.{suffix}"
    path.write_bytes(b"old")
    save(shrinkage(**case(8, 2)), path)
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "nowhere/figure.png", "file/figure.pdf"])
def test_save_explains_what_it_cannot_write(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    fig = shrinkage(**case(3, 1))
    with pytest.raises(InputError, match=r"cannot be written|there is no folder"):
        save(fig, tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        save(fig, tmp_path / "folder.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]


def test_notebooks_show_it():
    assert shrinkage(**case(3, 2))._repr_png_().startswith(b"\x89PNG")


def test_import_brings_no_matplotlib_and_drawing_no_pyplot():
    code = (
        "import sys, numpy as np\n"
        "from partialpool.plots import Panel, shrinkage\n"
        "assert 'matplotlib' not in sys.modules\n"
        "e = np.array([[1.0], [2.0]])\n"
        "shrinkage([Panel('No pooling', e)], ['Intercept'], 'ab', np.array([1, 2]), factor='g')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    for name, make in PICTURES.items():
        store(name, shrinkage(**make()))
