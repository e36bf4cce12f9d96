"""Gaussian models with several factors: integrated against NUTS, answer by answer."""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.engine.conditional import coefficient_draws

RNG = np.random.default_rng(1313)
N = 360
A, C = RNG.integers(0, 24, N), RNG.integers(0, 9, N)
X, WEIGHT = RNG.normal(0.5, 1, N), RNG.uniform(0.5, 2, N)
Y = (
    1
    + 0.5 * X
    + RNG.normal(size=24)[A]
    + (0.4 * RNG.normal(size=24))[A] * X
    + (0.6 * RNG.normal(size=9))[C]
    + RNG.normal(size=N) / np.sqrt(WEIGHT)
)
DATA = pd.DataFrame({"y": Y, "x": X, "a": A, "c": C, "w": WEIGHT})
FORMULA = "y ~ x + (x | a) + (1 | c)"
NEW = pd.DataFrame({"x": [0.0, 1.0, 2.0], "a": [0, 3, 99], "c": [1, 2, 99], "w": [1.0] * 3})


@pytest.fixture(scope="module")
def fits():
    options = {"weights": "w", "seed": 1, "progress": False, "draws": 2000}
    return [pp.fit(FORMULA, DATA, method=method, **options) for method in ("auto", "nuts")]


@pytest.fixture(scope="module")
def integrated(fits):
    return fits[0]


def agree(one, other, sd, draws=2000):
    """Means of two runs within Monte Carlo error, for at least so many effective draws each."""
    off = np.abs(np.asarray(one) - np.asarray(other))
    assert (off < 5 * np.asarray(sd) * (2 / draws) ** 0.5).all()


def test_the_engine_integrates(fits):
    assert [fit.run.method for fit in fits] == ["marginal", "nuts"]
    assert "integrate out exactly" in fits[0].method_reason


def test_parameters(fits):
    one, other = (fit.summary() for fit in fits)
    assert one.index.tolist() == other.index.tolist()
    agree(one["mean"], other["mean"], other["sd"])
    np.testing.assert_allclose(one["sd"], other["sd"], rtol=0.12)


def test_coefficients_of_all_levels(fits):
    one, other = (fit.coefficients() for fit in fits)
    assert one[["factor", "level", "term", "n"]].equals(other[["factor", "level", "term", "n"]])
    agree(one["mean"], other["mean"], other["sd"])
    np.testing.assert_allclose(one["sd"], other["sd"], rtol=0.12)
    agree(one["lower"], other["lower"], 3 * other["sd"])
    agree(one["upper"], other["upper"], 3 * other["sd"])


def test_draws_of_levels_go_with_the_summaries(integrated):
    summaries = integrated.level_summaries
    for k, group in enumerate(integrated.model.groups):
        drawn = coefficient_draws(integrated.model, integrated.run, k, 0, len(group.levels))
        mean, sd = summaries[k][..., 0], summaries[k][..., 1]
        agree(drawn.mean(axis=(0, 1)), mean, sd)
        np.testing.assert_allclose(drawn.std(axis=(0, 1)), sd, rtol=0.1)
        some = coefficient_draws(integrated.model, integrated.run, k, 2, 4)
        assert np.array_equal(some, drawn[:, :, 2:4])


def test_predictions_for_known_and_new_levels(fits):
    one, other = (fit.predict(NEW) for fit in fits)
    agree(one["mean"], other["mean"], other["sd"])
    np.testing.assert_allclose(one["sd"], other["sd"], rtol=0.1)


def test_rows_left_out(fits):
    one, other = (fit.loo() for fit in fits)
    assert one.method == other.method == "integrated"
    assert one.elpd == pytest.approx(other.elpd, abs=0.15)
    np.testing.assert_allclose(one.elpd_i, other.elpd_i, atol=0.05)


@pytest.mark.parametrize("factor", ["a", "c"])
def test_levels_left_out(fits, factor):
    one, other = (fit.loo(by=factor) for fit in fits)
    trusted = np.maximum(one.pareto_k, other.pareto_k) < 0.7  # others say so
    assert trusted.mean() > 0.8
    np.testing.assert_allclose(one.elpd_i[trusted], other.elpd_i[trusted], atol=0.3)
    assert len(one.elpd_i) == len(np.unique({"a": A, "c": C}[factor]))
    # Rows of a level together are harder to foretell than one by one.
    assert one.elpd < fits[0].loo().elpd


def test_other_answers_work(integrated):
    assert 0 < integrated.check().table["p"].between(0, 1).mean() <= 1
    assert len(integrated.effects("x")) >= 1
    assert len(integrated.sensitivity().table) >= 1


def test_a_saved_fit_answers_alike(integrated, tmp_path):
    integrated.save(tmp_path / "fit.nc")
    again = pp.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.coefficients(), integrated.coefficients())
    pd.testing.assert_frame_equal(again.predict(NEW), integrated.predict(NEW))
    integrated.save(tmp_path / "small.nc", rows=False)
    small = pp.load(tmp_path / "small.nc")
    pd.testing.assert_frame_equal(small.coefficients(), integrated.coefficients())


def test_threads_and_order_do_not_matter(integrated):
    again = pp.fit(FORMULA, DATA, weights="w", seed=1, progress=False, draws=2000, threads=1)
    assert np.array_equal(again.run.b, integrated.run.b)
    pd.testing.assert_frame_equal(again.coefficients(), integrated.coefficients())
