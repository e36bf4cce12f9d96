"""Warm-up: as long as it takes, which the fit says, or else as long as was asked."""

import json

import numpy as np
import pytest
from msgspec.structs import replace

import partialpool as pp


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 20, 400), rng.integers(0, 10, 400)
    x = rng.normal(size=400)
    eta = 0.5 * rng.normal(size=20)[a] + 0.5 * rng.normal(size=10)[b] + 0.2 * x + 0.5
    return {"y": rng.poisson(np.exp(eta)), "x": x, "a": a, "b": b}


def fitted(data, **options):
    options = {"draws": 100, "seed": 1, "progress": False} | options
    return pp.fit("y ~ x + (1 | a) + (1 | b)", data, family="poisson", **options)


def test_a_fit_says_how_long_it_took_whatever_the_threads(counts, tmp_path):
    fit, other = fitted(counts, threads=1), fitted(counts, threads=3)
    assert all(100 <= warmup <= 400 for warmup in fit.run.warmups)
    assert fit.run.warmup == max(fit.run.warmups)
    assert fit.run.warmups == other.run.warmups
    np.testing.assert_array_equal(fit.run.b, other.run.b)
    assert f"100 draws after {fit.run.warmup_words}" in str(fit)
    assert json.loads(json.dumps(fit.to_dict()))["warmups"] == list(fit.run.warmups)
    fit.save(tmp_path / "fit.nc")
    assert pp.load(tmp_path / "fit.nc").run.warmups == fit.run.warmups


def test_a_number_is_the_length(counts):
    for warmup in (20, 250):
        fit = fitted(counts, warmup=warmup, draws=20)
        assert fit.run.warmups == (warmup,) * 4
        assert f"20 draws after {warmup} of warm-up" in str(fit)


def test_chains_that_differ_are_told_apart(counts):
    fit = fitted(counts, draws=20)
    run = replace(fit.run, warmups=(100, 300, 100, 200), warmup=300)
    assert run.warmup_words == "100 to 300 of warm-up"


def test_rounds_have_the_same_warm_up(counts):
    fit = fitted(counts, draws="auto", ess=150)
    assert fit.run.warmups == fitted(counts).run.warmups
