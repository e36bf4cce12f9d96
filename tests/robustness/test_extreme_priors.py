"""Every prior with extreme numbers: no warning of numpy, or one sentence that refuses it."""

import math
import warnings

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import EngineError, InputError
from partialpool.priors import PRIORS

EXTREME = [1e-140, 1e-50, 1e-10, 0.001, 1.0, 1000.0, 1e10, 1e50, 1e140, -1e140, -5.0]
BEYOND = [1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan, 10**400]
KEYS = ["sigma", "b", "b[x]", "b[Intercept]", "sd_g", "sd_g[x]", "cor_g"]
RNG = np.random.default_rng(5)
DATA = {
    "y": RNG.normal(size=30),
    "c": RNG.poisson(3, 30),
    "x": RNG.normal(size=30),
    "g": np.arange(30) % 5,
}


@pytest.fixture(autouse=True)
def _warnings_fail():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def made(rng, values):
    """A random prior with some of these numbers; None if they are refused."""
    kind = PRIORS[str(rng.choice(list(PRIORS)))]
    numbers = [values[int(rng.integers(len(values)))] for _ in kind.__struct_fields__]
    try:
        return kind(*numbers)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 300  # noqa: PT017
        return None


@pytest.mark.parametrize("seed", range(20))
def test_drawing_from_extreme_priors(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        prior = made(rng, EXTREME + BEYOND * (seed % 2))
        if prior is None:
            continue
        assert all(map(math.isfinite, prior.typical[:1]))
        for low in (-math.inf, 0.0):
            try:
                drawn = prior.draw(np.random.default_rng(1), 20, low=low)
            except InputError:
                continue
            assert np.isfinite(drawn).all()
            assert (drawn >= low).all()


@pytest.mark.parametrize("seed", range(20))
def test_fits_with_extreme_priors(seed):
    rng = np.random.default_rng(100 + seed)
    for _ in range(20):
        prior, key = made(rng, EXTREME), str(rng.choice(KEYS))
        if prior is None:
            continue
        family, y = ("gaussian", "y") if rng.random() < 0.6 else ("poisson", "c")
        options = {"family": family, "priors": {key: prior}, "seed": 1}
        options["pooling"] = str(rng.choice(["partial", "none", "complete"]))
        try:
            if rng.random() < 0.3:
                pp.prior_predictive(f"{y} ~ x + (x | g)", DATA, draws=20, **options)
            else:
                quick = {"chains": 1, "draws": 5, "warmup": 5, "progress": False}
                repr(pp.fit(f"{y} ~ x + (x | g)", DATA, **options, **quick))
        except (InputError, EngineError) as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("number", BEYOND)
def test_numbers_that_no_quantity_has(number):
    with pytest.raises(InputError, match="`sd` of Normal is"):
        pp.Normal(0, number)
    with pytest.raises(InputError, match="Uniform"):
        pp.Uniform(number, number)


def test_a_log_normal_beyond_all_numbers():
    with pytest.raises(InputError, match="`mu` of LogNormal is 1000: no quantity is that large"):
        pp.LogNormal(1000, 1)


def test_an_sd_that_numbers_near_the_mean_cannot_resolve():
    with pytest.raises(InputError, match=r"`sd` of Normal\(1e\+140, 1\) is smaller than"):
        pp.Normal(1e140, 1)
    assert pp.Normal(5, 1e-9).sd == 1e-9


def test_the_usual_vague_prior_is_silent():
    for prior in (pp.InverseGamma(0.001, 0.001), pp.Gamma(0.001, 0.001)):
        drawn = prior.draw(np.random.default_rng(1), 1000)
        assert np.isfinite(drawn).all()
