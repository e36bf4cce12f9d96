"""What cannot be sampled, and log densities that fail: one clear line each."""

import math

import numpy as np
import pytest

from partialpool.errors import InputError
from partialpool.metropolis import metropolis


def normal(at):
    return -0.5 * float(np.sum(np.square(at["x"])))


def run(log_density=normal, start=None, **options):
    options = {"draws": 200, "proposal_sd": 1.0, "seed": 1} | options
    return metropolis(log_density, {"x": 0.0} if start is None else start, **options)


TWO = {"x": 0.0, "scale": [1.0, 2.0]}

ARGUMENTS = {
    "no draws": ({"draws": 0}, "`draws` is 0: give at least 1."),
    "draws not whole": ({"draws": 1.5}, "`draws` is 1.5: give a whole number."),
    "negative warmup": ({"warmup": -1}, "`warmup` is -1: give at least 0."),
    "no chains": ({"chains": 0}, "`chains` is 0: give at least 1."),
    "negative seed": ({"seed": -1}, "`seed` is -1: give a whole number from 0"),
    "density not callable": ({"log_density": 3}, "`log_density` cannot be called: give a function"),
    "sd zero": ({"proposal_sd": 0}, "`proposal_sd` of `x` is 0.: give a positive number."),
    "sd negative": ({"proposal_sd": -1.5}, "`proposal_sd` of `x` is -1.5: give a positive"),
    "sd nan": ({"proposal_sd": math.nan}, "`proposal_sd` of `x` is nan: give finite numbers."),
    "sd text": ({"proposal_sd": "1"}, "`proposal_sd` of `x` is not a number"),
    "sd none": ({"proposal_sd": None}, "`proposal_sd` of `x` is not a number"),
    "sd true": ({"proposal_sd": True}, "`proposal_sd` of `x` is not a number"),
    "sd zero in an array": (
        {"start": TWO, "proposal_sd": {"x": 1, "scale": [1.0, 0.0]}},
        "`proposal_sd` of `scale` is [1. 0.]: give a positive number.",
    ),
    "sd of another shape": (
        {"start": TWO, "proposal_sd": {"x": 1, "scale": [1.0, 1.0, 1.0]}},
        "`proposal_sd` of `scale` has shape (3,), the parameter (2,): give a number, or an array",
    ),
    "sd unknown name": (
        {"start": TWO, "proposal_sd": {"x": 1, "scal": 1}},
        "`proposal_sd` names `scal`, which `start` does not have: did you mean `scale`?",
    ),
    "sd missing": ({"start": TWO, "proposal_sd": {"x": 1}}, "`proposal_sd` lacks `scale`: add"),
    "start empty": ({"start": {}}, "`start` is {}: give a dict such as {'x': 0.0}."),
    "start a number": ({"start": 1.0}, "`start` is 1.0: give a dict"),
    "start name": ({"start": {1: 0.0}}, "`start` is {1: 0.0}: give a dict"),
    "start objects": (
        {"start": {"x": np.array([1, None])}},
        "`start` of `x` is not a number or an array of numbers.",
    ),
    "start text": ({"start": {"x": "1"}}, "`start` of `x` is not a number"),
    "start ragged": ({"start": {"x": [[1], [2, 3]]}}, "`start` of `x` is not a number"),
    "start complex": ({"start": {"x": 1j}}, "`start` of `x` is not a number"),
    "start nan": ({"start": {"x": math.nan}}, "`start` of `x` is nan: give finite numbers."),
    "start infinite": ({"start": {"x": [0, math.inf]}}, "`start` of `x` is [ 0. inf]: give finite"),
    "start no elements": ({"start": {"x": []}}, "`start` of `x` is []: give finite numbers."),
    "too few starts": (
        {"start": [{"x": 0.0}], "chains": 2},
        "`start` has length 1, `chains` is 2: give one dict for each chain.",
    ),
    "starts differ": (
        {"start": [{"x": 0.0}, {"x": [0.0]}], "chains": 2},
        "the chains start with different parameters or shapes in `start`.",
    ),
    "callable start": ({"start": lambda rng: rng.normal()}, "give a dict such as {'x': 0.0}"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name):
    options, message = ARGUMENTS[name]
    with pytest.raises(InputError) as caught:
        run(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def failing(value):
    """A log density that is fine at first, then gives `value`."""
    calls = []

    def log_density(at):
        calls.append(at)
        return normal(at) if len(calls) <= 3 else value

    return log_density


RESULTS = {
    "nan": (math.nan, "returned nan"),
    "nan of numpy": (np.float32("nan"), "returned nan"),
    "infinity": (math.inf, "returned inf"),
    "none": (None, "returned None"),
    "text": ("-1.0", "returned '-1.0'"),
    "complex": (1j, "returned 1j"),
    "bool": (True, "returned True"),
    "array": (np.zeros(3), "returned an array of shape (3,)"),
    "array of one": (np.zeros(1), "returned an array of shape (1,)"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_the_log_density(name):
    value, message = RESULTS[name]
    with pytest.raises(InputError) as caught:
        run(failing(value))
    text = str(caught.value)
    assert text.startswith(f"the log density {message} (at proposal 3 of chain 1, where x = ")
    assert text.endswith(("-inf outside the support.", "return one number, such as the sum."))


def test_a_log_density_that_raises_says_where_and_keeps_the_exception():
    def log_density(at):
        return -at["x"] - math.log(at["x"])  # no check of the support

    with pytest.raises(InputError) as caught:
        run(log_density, {"x": 0.5, "b": np.zeros((2, 2))})
    text = str(caught.value)
    assert text.startswith("the log density raised ")
    assert "of chain 1, where x = -" in text
    assert ", b = [[" in text
    assert text.endswith("]]): return -inf outside the support.")
    assert "\n" not in text
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_chain_that_failed_is_named():
    def log_density(at):
        return math.nan if at["x"] > 50 else normal(at)

    with pytest.raises(InputError, match=r"returned nan \(at the start of chain 2, where x = 100"):
        run(log_density, [{"x": 0.0}, {"x": 100.0}], chains=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            -math.inf,
            "the log density is -inf (at the start of chain 1, where x = 0.): start inside",
        ),
        (math.nan, "the log density returned nan (at the start of chain 1, where x = 0.): return"),
    ],
)
def test_start_outside_the_support(value, message):
    with pytest.raises(InputError) as caught:
        run(lambda at: value)
    assert message in str(caught.value)


def test_a_run_that_never_accepts():
    with pytest.raises(InputError) as caught:
        run(proposal_sd=1e9, draws=60, warmup=40)
    assert str(caught.value) == (
        "chain 1 never accepted any of its 100 proposals: make `proposal_sd` smaller."
    )
    assert run(proposal_sd=1e9, draws=99).acceptance_rate.tolist() == [0.0]  # too few to say


@pytest.mark.parametrize(("calls", "when"), [(0, "the start"), (3, "proposal 3")])
def test_an_array_cannot_be_changed_by_the_log_density(calls, when):
    seen = []

    def log_density(at):
        seen.append(at)
        if len(seen) > calls:
            at["x"] += 1.0
        return normal(at)

    with pytest.raises(InputError, match=rf"raised ValueError .*read-only.* \(at {when}"):
        run(log_density, {"x": np.zeros(2)})


def test_names_taken_out_by_the_log_density_stay():
    assert run(lambda at: -0.5 * at.pop("x") ** 2).draws["x"].shape == (1, 200)


def test_what_was_given_is_not_changed():
    start = {"x": np.zeros(2)}
    run(start=start)
    assert start["x"].tolist() == [0, 0]
    assert start["x"].flags.writeable


@pytest.mark.parametrize("interval", [0, 1, "0.9"])
def test_interval(interval):
    with pytest.raises(InputError, match="`interval` is"):
        run().summary(interval)
