"""Figures of fits from arrays: their looks against stored images, and what the pieces compute.

Run as a script, this file writes the stored images anew; look at them before keeping them.
"""

import numpy as np
import pytest

from partialpool.plots.chains import rank
from partialpool.plots.coefficients import Estimates, Section, by_size, coefficients, ratio_ticks
from partialpool.plots.forest import Study, Summary, forest
from partialpool.plots.groups import Axis, Line, groups
from partialpool.plots.levels import BETWEEN, ENDS, LINES, NAMED, Caterpillar, caterpillar, places
from partialpool.plots.pairs import pairs
from partialpool.plots.pooling_factor import pooling_factor
from partialpool.plots.posterior import Density, posterior
from pictures import TOLERANCE, distance, pixels, same_letters, store, stored


def levels_of(n, *, lost=0, wide=1.0, seed=1):
    rng = np.random.default_rng(seed)
    counts = rng.geometric(0.1, n)
    panels = []
    for label, middle in (("Intercept (log_radon)", 1.5), ("Coefficient of floor", -0.7)):
        mean = middle + rng.normal(size=n) * 0.5
        half = wide / np.sqrt(counts)
        mean[:lost] = np.nan
        panels.append(Caterpillar(label, mean, mean - half, mean + half, middle))
    return caterpillar(
        panels, [f"county {k}" for k in range(n)], counts, factor="county", interval=0.95
    )


def coefficients_of(seed=1):
    rng = np.random.default_rng(seed)
    names = ["x", "arm[T.b]", "income in $ of $"]
    size = np.array([1.0, 0.5, 0.001])

    def one(name, of):
        mean = rng.normal(size=len(of)) * of
        ends = np.stack([mean - of, mean + of], axis=1)
        return Estimates(name, mean, 0.5 * (ends + mean[:, None]), ends)

    fits = ("partial pooling", "complete pooling")
    intercept = Section("Intercept (y)", ["Intercept"], [one(n, size[:1]) for n in fits])
    slopes = Section("Coefficients (y)", names, [one(n, size) for n in fits], reference=0.0)
    return coefficients([intercept, slopes], interval=0.95, title="Population coefficients")


def groups_of(seed=1):
    rng = np.random.default_rng(seed)
    at = np.linspace(-2, 2, 25)
    points, own = [], []
    for k in range(6):
        x = rng.normal(size=5 + 20 * k)
        points.append((x, (rng.random(len(x)) < 1 / (1 + np.exp(-x))).astype(float)))
        own.append(1 / (1 + np.exp(-at * (1 + 0.3 * k))))
    own = np.array(own)
    lines = [
        Line("own", "its own and 95% band", at, own, 0.8 * own, np.minimum(1.2 * own, 1)),
        Line("population", "population", at, np.tile(own[0], (6, 1))),
    ]
    names = [f"person {k}\n{5 + 20 * k} rows, most rows" for k in range(6)]
    return groups(points, names, lines, Axis("x"), Axis("y"), title="y by x", notes=["Some."])


def posterior_of():
    at = np.linspace(0, 4, 200)
    half = np.sqrt(2 / np.pi) * np.exp(-(at**2) / 2)
    intervals = (0.3, 1.1), (0.03, 2.2)
    sd = Density("sd_id[Intercept]", "Exponential(1)", at, half, np.exp(-at), 0.8, *intervals)
    x = np.linspace(-3, 3, 200)
    normal = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    b = Density("b[x]", "", x, normal, None, 0.0, (-0.7, 0.7), (-1.96, 1.96))
    fixed = Density("sigma", "", np.empty(0), np.empty(0), None, 2.0, (2.0, 2.0), (2.0, 2.0))
    return posterior([sd, b, fixed], interval=0.95, title="Posterior and prior")


def forest_of(n=8, summary=True, seed=1):
    rng = np.random.default_rng(seed)
    y, se = rng.normal(0.2, 0.5, n), rng.uniform(0.1, 0.6, n)
    studies = [
        Study(f"Study {k}", a, (a - 2 * s, a + 2 * s), 0.5 * a, (0.5 * a - s, 0.5 * a + s))
        for k, (a, s) in enumerate(zip(y, se, strict=True))
    ]
    whole = Summary(0.2, (0.05, 0.35), (-0.5, 0.9)) if summary else None
    return forest(studies, whole, label="effect", factor="study", interval=0.95, title="Effects")


def factors_of(n, seed=1):
    rng = np.random.default_rng(seed)
    counts = rng.geometric(0.1, n)
    factors = np.stack([1 / (1 + counts), np.clip(1 / (1 + 0.3 * counts), 0, 1)], axis=1)
    names = [f"level {k}" for k in range(n)]
    return pooling_factor(factors, ["Intercept", "x"], names, counts, factor="id")


def pairs_of(n, seed=1):
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(n, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1.0]])
    ends = np.tile([-4.0, 4.0], (3, 1))
    names = ["b[x]", "sd_id[x]", "cor_id[Intercept,a long name]"]
    return pairs(names, draws, rng.random(n) < 0.02, ends, title="Two by two")


PICTURES = {
    "levels_12": lambda: levels_of(12, lost=2),
    "levels_5000": lambda: levels_of(5000),
    "coefficients": coefficients_of,
    "groups": groups_of,
    "posterior": posterior_of,
    "forest": forest_of,
    "pooling_factor": lambda: factors_of(60),
    "pairs": lambda: pairs_of(400),
}


@same_letters
@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_stored(name):
    assert distance(pixels(PICTURES[name]()), stored(name)) < TOLERANCE


@same_letters
def test_wider_intervals_are_seen_by_the_comparison():
    assert distance(pixels(levels_of(12, lost=2, wide=1.3)), stored("levels_12")) > TOLERANCE


@pytest.mark.parametrize("n", [1, NAMED, NAMED + 1, 10_000])
def test_levels_stand_sorted_and_named_ones_have_a_row_each(n):
    values = np.random.default_rng(1).normal(size=n)
    found = places(values)
    assert (np.diff(values[found.order]) >= 0).all()
    assert (np.diff(found.at) > 0).all()
    if n <= NAMED:
        assert found.named.all()
        assert found.at.tolist() == list(range(n))
    else:
        assert found.named.sum() == 2 * ENDS
        assert found.named[:ENDS].all()
        assert found.named[-ENDS:].all()
        assert found.rows == 2 * ENDS + BETWEEN


def words(fig):
    return " ".join(text.get_text() for text in fig.texts).replace("\n", " ")


def test_what_is_summed_up_or_left_out_is_said():
    few = ENDS + ENDS + LINES
    assert "highest" not in words(levels_of(NAMED))
    assert "the 15 highest and the 15 lowest are named" in words(levels_of(NAMED + 1))
    assert "averages over neighbours" not in words(levels_of(few))
    assert "averages over neighbours" in words(levels_of(few + 1))
    assert "3 of 20 levels cannot determine their own coefficients" in words(levels_of(20, lost=3))
    assert "50 of 51 are drawn" in words(forest_of(51))
    assert "are drawn" not in words(forest_of(50))
    assert "20,000 of the 20,001 levels are drawn" in words(factors_of(20_001))


def test_coefficients_of_like_size_share_an_axis():
    mean = np.array([1.0, 0.06, 0.04, 1e-6])
    ends = np.stack([mean, mean], axis=1)
    parts = by_size(Section("", list("abcd"), [Estimates("", mean, ends, ends)], 0.0))
    assert [part.rows for part in parts] == [["a", "b"], ["c"], ["d"]]
    ratios = Section("", list("abcd"), [Estimates("", np.exp(mean), *[np.exp(ends)] * 2)], 1.0)
    assert [part.rows for part in by_size(ratios)] == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize("low", [1e-6, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("times", [1.001, 1.5, 2.9, 3.1, 40.0, 1e7])
def test_ratios_have_some_ticks_within_the_frame(low, times):
    ticks = ratio_ticks(low, low * times)
    assert 2 <= len(ticks) <= 10
    assert all(low <= tick <= low * times for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_the_rank_figure_has_a_panel_for_each_chain_and_parameter():
    counts = np.full((2, 3, 10), 20)
    fig = rank(["a", "b"], counts, (20.0, 12.0, 28.0), title="Ranks")
    assert len(fig.axes) == 6
    assert [ax.get_title() for ax in fig.axes[:3]] == ["chain 1", "chain 2", "chain 3"]


if __name__ == "__main__":
    for name, make in PICTURES.items():
        store(name, make())
