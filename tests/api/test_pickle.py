"""Whatever users hold can be pickled, copied, and sent to and from other processes."""

import copy
import multiprocessing
import pickle

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from helpers import assert_same_rows

RNG = np.random.default_rng(3)
N = 40
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "g": np.resize(list("abcde"), N),
    "h": np.resize([1, 2, 3], N),
    "n": np.full(N, 7),
    "k": RNG.binomial(7, 0.4, N),
    "r": pd.Categorical(np.resize(["low", "mid", "high"], N), ["low", "mid", "high"], ordered=True),
}
QUICK = {"draws": 50, "warmup": 100, "seed": 1}

MODELS = {
    "marginal": ("y ~ x + (x | g)", {}),
    "complete": ("y ~ x + (x | g)", {"pooling": "complete"}),
    "no pooling": ("y ~ x + (x | g)", {"pooling": "none"}),
    "flat": ("y ~ x + (1 | g)", {"pooling": "none", "priors": {"coef_g": pp.Uniform(-50, 50)}}),
    "crossed": ("y ~ x + (1 | g) + (1 | h)", {"sigma": "~ x"}),
    "nuts": ("k ~ x + (1 | g)", {"family": "binomial", "trials": "n"}),
    "ordered": ("r ~ x", {"family": "cumulative"}),
    "metropolis": ("y ~ x + (1 | g)", {"method": "metropolis"}),
}


def twins(thing):
    return {
        "pickle": pickle.loads(pickle.dumps(thing)),
        "deepcopy": copy.deepcopy(thing),
        "copy": copy.copy(thing),
    }


@pytest.mark.parametrize("name", MODELS)
def test_fits(name):
    formula, options = MODELS[name]
    fit = pp.fit(formula, DATA, **options, **QUICK)
    drawn = fit.draws
    score = fit.loo().elpd
    for twin in twins(fit).values():
        assert repr(twin) == repr(fit)
        assert twin.findings == fit.findings
        assert twin.priors == fit.priors
        assert drawn.identical(twin.draws)
        assert list(twin.held_out) == ["loo"]
        assert twin.loo().elpd == score
        assert_same_rows(twin.design, fit.design)
        pd.testing.assert_frame_equal(twin.coefficients(), fit.coefficients())
        pd.testing.assert_frame_equal(twin.predict(), fit.predict())
        pd.testing.assert_frame_equal(twin.check().table, fit.check().table)


def test_copies_are_apart_and_small():
    fit = pp.fit("y ~ x + (x | g)", DATA, **QUICK)
    before = len(pickle.dumps(fit))
    assert fit.draws is not None
    assert len(pickle.dumps(fit)) < before + 2000
    twin = copy.deepcopy(fit)
    twin.run.b[:] = 0
    twin.findings.clear()
    assert fit.run.b.any()
    assert fit.findings


def test_loaded_fits(tmp_path):
    fit = pp.fit("y ~ x + (x | g)", DATA, **QUICK)
    fit.save(tmp_path / "fit.nc")
    loaded = pp.load(tmp_path / "fit.nc")
    for twin in twins(loaded).values():
        twin.save(tmp_path / "again.nc")
        assert repr(pp.load(tmp_path / "again.nc")) == repr(fit)


def test_estimates():
    estimate = pp.fit("y ~ x + (1 | g)", DATA, method="reml")
    for twin in twins(estimate).values():
        assert repr(twin) == repr(estimate)
        pd.testing.assert_frame_equal(twin.coefficients(), estimate.coefficients())
        with pytest.raises(pp.InputError, match="belongs to a posterior"):
            twin.draws  # noqa: B018


def test_answers():
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK)
    comparison = pp.compare("y ~ x + (1 | g)", DATA, **QUICK)
    answers = [
        comparison,
        comparison.loo(),
        fit.loo(),
        fit.loo(by="g"),
        fit.kfold(3),
        fit.check(),
        fit.sensitivity(),
        pp.compare_fits({"a": fit, "b": comparison.fits["complete"]}),
        pp.prior_predictive("y ~ x", DATA, draws=100, seed=1),
        pp.metropolis(lambda at: -(at["x"] ** 2), {"x": 0.0}, draws=50, proposal_sd=1, seed=1),
        fit.summary(),
        fit.findings[0],
        pp.Normal(0, 2),
    ]
    for answer in answers:
        for twin in twins(answer).values():
            assert repr(twin) == repr(answer)
            assert type(twin) is type(answer)
    for twin in twins(comparison).values():
        pd.testing.assert_frame_equal(twin.table, comparison.table)
        assert twin.plot.shrinkage() is not None


def test_errors_keep_their_words():
    with pytest.raises(pp.InputError) as caught:
        pp.fit("y ~ z", DATA)
    twin = pickle.loads(pickle.dumps(caught.value))
    assert type(twin) is type(caught.value)
    assert str(twin) == str(caught.value)
    assert (twin.what, twin.remedy) == (caught.value.what, caught.value.remedy)


def fit_one(seed):
    return pp.fit("y ~ x + (1 | g)", DATA, **QUICK | {"seed": seed})


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_other_processes(start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no `{start}`")
    here = [fit_one(seed) for seed in (1, 2)]
    with multiprocessing.get_context(start).Pool(2) as pool:
        there = pool.map(fit_one, [1, 2])
        scores = pool.map(pp.Fit.loo, here)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.run.b, other.run.b)
    assert [score.elpd for score in scores] == [fit.loo().elpd for fit in here]
