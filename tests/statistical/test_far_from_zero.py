"""A response far from zero: shifting it shifts every mean by as much, and changes nothing else.

Responses lie on a grid that the shift does not leave, and so does their mean: the working response
is the same to the last bit, and with it every draw but for the shift. What is left is the rounding
of results of that size, `ULP` each, and of sums of a few of them.
"""

import numpy as np
import pytest

import partialpool as pp

SHIFT = 2.0**42  # 4.4e12
ULP = SHIFT * 2.0**-52


def table(seed):
    """64 rows on a grid of 1/16, their sum a whole multiple of 64."""
    rng = np.random.default_rng(seed)
    g = rng.permutation(np.repeat(np.arange(8), 8))
    x, w = rng.normal(size=(2, 64))
    y = 1 + x + rng.normal(0, 0.7, 8)[g] + rng.normal(size=64)
    y = np.round(y * 16) / 16
    y[0] -= y.sum() % 64 if y.sum() % 64 < 32 else y.sum() % 64 - 64
    y = np.where(np.arange(64) > 0, y, y[0])
    return {"y": y, "x": x, "w": w, "g": g}


def shifted(values, other, tolerance=4 * ULP):
    assert np.max(np.abs(np.asarray(other) - np.asarray(values) - SHIFT)) <= tolerance


def same(values, other, tolerance=4 * ULP):
    np.testing.assert_allclose(other, values, rtol=1e-6, atol=tolerance)


CASES = {
    "marginal": ("y ~ x + (x | g)", {}),
    "none": ("y ~ x + (x | g)", {"pooling": "none"}),
    "complete": ("y ~ x + w + (1 | g)", {"pooling": "complete"}),
    "means": ("y ~ 0 + x + (1 | g)", {"pooling": "none"}),
    "nuts": ("y ~ x + (x | g)", {"method": "nuts"}),
    "student": ("y ~ x + (1 | g)", {"family": "student_t"}),
    "weights": ("y ~ x + (1 | g)", {"weights": "k"}),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_shift_of_the_response(case, seed):
    formula, options = CASES[case]
    near = table(seed)
    near["k"] = np.random.default_rng(seed).integers(1, 4, 64) / 2
    far = near | {"y": near["y"] + SHIFT}
    assert np.array_equal(far["y"] - SHIFT, near["y"])
    options = {"seed": seed, "draws": 300, "warmup": 300} | options
    one, other = (pp.fit(formula, data, **options) for data in (near, far))
    a, b = one.summary(), other.summary()
    for name in a.index:
        close = shifted if name == "b[Intercept]" else same
        for column in ("mean", "lower", "upper"):
            close(a.loc[name, column], b.loc[name, column])
        same(a.loc[name, ["sd", "mcse"]], b.loc[name, ["sd", "mcse"]])
        # Draws that were rounded to the same number share a rank.
        assert b.loc[name, "ess_bulk"] == pytest.approx(a.loc[name, "ess_bulk"], rel=0.02)
    if one.model.groups:
        a, b = one.coefficients(), other.coefficients()
        first = a["term"] == "Intercept"
        for column in ("mean", "lower", "upper"):
            shifted(a.loc[first, column], b.loc[first, column])
            same(a.loc[~first, column], b.loc[~first, column])
        same(a["sd"], b["sd"])
    new = {"x": [-1.0, 0.5], "w": [0.0, 1.0], "g": [0, 3], "k": [1.0, 2.0]}
    for kind in ("mean", "observation"):
        a, b = one.predict(new, kind=kind), other.predict(new, kind=kind)
        for column in ("mean", "lower", "upper"):
            shifted(a[column], b[column])
        same(a["sd"], b["sd"])
    a, b = one.effects("x"), other.effects("x")
    for k, quantity in enumerate(a["quantity"]):
        close = shifted if quantity == "prediction" else same
        for column in ("mean", "lower", "upper"):
            close(a.loc[k, column], b.loc[k, column])
    a, b = one.loo(), other.loo()
    same(a.elpd_i, b.elpd_i, 0.01)  # the densities are those of deviations of some ULP
    shifted(a.mean, b.mean)
    same(a.rmse, b.rmse)
    a, b = one.kfold(3), other.kfold(3)  # means of some rows are off the grid: other draws
    assert np.median(np.abs(b.mean - a.mean - SHIFT)) < 0.1
    a, b = one.check(seed=1).table, other.check(seed=1).table
    for name in a.index:
        close = shifted if name in ("mean", "min", "max") else same
        for column in ("observed", "mean", "lower", "upper"):
            close(a.loc[name, column], b.loc[name, column], 8 * ULP)
