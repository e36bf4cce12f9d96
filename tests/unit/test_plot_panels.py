"""Effects and diagnostics against stored images.

Run as a script, this file writes the stored images anew; look at them before keeping them.
"""

from functools import partial

import numpy as np
import pytest

from partialpool.plots import diagnostics as d
from partialpool.plots.effects import Behind, Curve, Panel, Words
from partialpool.plots.effects import effects as draw_effects
from pictures import TOLERANCE, distance, pixels, same_letters, store, stored

CAPTION = ("Average over 80 rows, all given the same dose.",)


def curves(k, wide=1.0):
    x = np.linspace(0, 4, 41)
    names = ["arm = a", "arm = b", "arm = c"]
    return tuple(
        Curve(names[j] if k > 1 else "", x, y, y - wide * 0.3 - 0.02 * x**2, y + wide * 0.3)
        for j, y in ((j, np.sin(x + j / 2) + j / 2) for j in range(k))
    )


def lines(k, wide=1.0):
    rng = np.random.default_rng(1)
    x, curve = rng.uniform(0, 4, 80), np.arange(80) % k
    rows = Behind(x, np.sin(x + curve / 2) + curve / 2 + rng.normal(0, 0.4, 80), curve, "the data")
    words = Words("response by dose", "dose [mg/$m^2$]", "response", CAPTION)
    return draw_effects([Panel("", curves(k, wide), rows, rug=np.sort(x))], words)


def points(wide=1.0):
    at, rng = np.arange(4.0), np.random.default_rng(2)
    names = ("placebo", "größer", "$5", "a name that is very long")
    own = [np.array([1.0, 2.0, 1.5, 3.0]), np.array([1.4, 1.8, 2.5, 2.2])]
    pair = tuple(
        Curve(name, at, y, y - 0.4 * wide, y + 0.4 * wide)
        for name, y in zip(("sex = f", "sex = m"), own, strict=True)
    )
    code = rng.integers(0, 2, 60)
    rows = Behind(rng.integers(0, 4, 60) * 1.0, rng.normal(2, 0.8, 60), code, "the data")
    means = Behind(np.tile(at, 2), np.concatenate(own) + 0.1, np.repeat([0, 1], 4), "means")
    panels = [Panel(f"site = {k}", pair, rows, means) for k in (1, 2)]
    return draw_effects(panels, Words("y by arm, sex and site", "arm", "y", CAPTION, "sex", names))


def checks(wide=1.0):
    rng = np.random.default_rng(3)
    z = np.sort(rng.normal(size=60))
    at, x = np.linspace(-2, 2, 60), rng.uniform(0, 1, 60)
    half = wide * np.full(60, 0.5)
    band = {"low": at - half - 0.1 * at**2, "high": at + half + 0.1 * at**2}
    line = np.linspace(0, 1, 60), 0.3 * np.sin(6 * np.linspace(0, 1, 60))
    seen = {"x": x, "values": rng.permutation(z), "line": line, "band": (0.0, half)}
    codes = np.arange(60) % 3
    means = np.array([0.1, -0.6, 0.0])
    groups = {"names": ["a", "b", "c"], "codes": codes, "means": means}
    panels = [
        d.Panel("Sorted", "Standard normal", "Residual",
                partial(d.draw_sorted, expected=at, lines=[z], **band), "in the band"),
        d.Panel("By x", "x", "Residual", partial(d.draw_trend, **seen, failed=True),
                "trend leaves the band", True),
        d.Panel("By arm", "arm", "Residual", partial(d.draw_categories, **groups, values=z,
                reach=wide * np.full(3, 0.4)), "1 of 3 means outside the band", True),
        d.Panel("Influence", "Row", "Pareto k", partial(d.draw_influence, row=np.arange(1, 61),
                k=np.linspace(-0.1, 0.9, 60) ** 2, most=0.7), "8 of 60 rows above 0.7", True),
    ]  # fmt: skip
    return d.diagnostics(panels, "Does the model fit? y ~ x + (1 | g)", ["60 rows."])


PICTURES = {
    "effects_curve": partial(lines, 1),
    "effects_curves": partial(lines, 3),
    "effects_points": points,
    "diagnostics": checks,
}


@same_letters
@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_stored(name):
    assert distance(pixels(PICTURES[name]()), stored(name)) < TOLERANCE


@same_letters
@pytest.mark.parametrize("name", PICTURES)
def test_wider_bands_are_seen_by_the_comparison(name):
    assert distance(pixels(PICTURES[name](wide=1.5)), stored(name)) > TOLERANCE


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        store(name, draw())
