"""Options of wrong types and values through every public function: an answer or one sentence."""

import datetime
import decimal
import inspect
import math

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import EngineError, InputError

RNG = np.random.default_rng(3)
N = 40
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "g": np.arange(N) % 5,
    "f": np.array(list("ab"))[np.arange(N) % 2],
    "c": RNG.poisson(3, N),
    "r": 1 + np.arange(N) % 3,
}
QUICK = {"seed": 1, "chains": 2, "draws": 30, "warmup": 30, "progress": False}
TINY = {"seed": 1, "chains": 1, "draws": 4, "warmup": 4, "progress": False}


class Wordy:
    """Something whose text is far too long for a message."""

    def __repr__(self):
        return "o" * 5000


class Failing:
    """A sequence that does not give its values."""

    def __len__(self):
        return 40

    def __getitem__(self, k):
        raise RuntimeError("no")


VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3, 10**30, 2**64, 2**63, -(2**70), 0.0, 0.5, 1.5, -2.0),
    *(math.nan, math.inf, 1e308, "", "x", "g", "f", "y", "nope", "x" * 150, "mean", "sample"),
    *(b"x", [], [1, 2], ["g"], ["x", "f"], (), {}, {"x": 1}, {"g": ["a"]}, {1: 2}, {"x": [1, 2]}),
    *({"f": ["a", "b"]}, {"f": "zz"}, set(), np.array(3), np.array([1, 2]), np.array(["g"])),
    *(np.array([]), np.array(1.5), np.int8(4), np.int64(3), np.float32(0.5), np.bool_(True)),
    *(np.str_("g"), np.datetime64("2020-01-01"), pd.NA, pd.Series([1, 2]), decimal.Decimal(2)),
    *(decimal.Decimal("sNaN"), datetime.date(2020, 1, 1), object(), Wordy(), int, pp, 1 + 2j),
    *(range(3), pd.DataFrame({"x": [1, 2]}), pd.DataFrame(), Failing(), [Failing()], [[1], [2]]),
    *("a\nb", "\u200b", "\ud800", "~", "x + g", [None], [math.nan], np.zeros((2, 2)), len),
    *(iter("g"), np.arange(40.0), np.array([None] * 40), pd.Series(["a"] * 40), bytearray(b"x")),
    ...,
]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Functions with usual arguments, and the options that are to be spoiled."""
    fits = {
        "gaussian": pp.fit("y ~ x + f + (x | g)", DATA, **QUICK),
        "poisson": pp.fit("c ~ x + (1 | g)", DATA, family="poisson", **QUICK),
        "cumulative": pp.fit("r ~ x + (1 | g)", DATA, family="cumulative", **QUICK),
    }
    estimate = pp.fit("y ~ x + (1 | g)", DATA, method="reml")
    where = tmp_path_factory.mktemp("saved") / "fit.nc"
    usual = {"formula": "y ~ x + (1 | g)", "data": DATA}
    found = {
        "fit": (pp.fit, usual | TINY),
        "reml": (pp.fit, usual | {"method": "reml"}),
        "compare": (pp.compare, usual | TINY),
        "default_priors": (pp.default_priors, usual),
        "prior_predictive": (pp.prior_predictive, usual | {"draws": 5, "seed": 1}),
        "compare_fits": (pp.compare_fits, {"fits": {"a": fits["gaussian"], "b": fits["gaussian"]}}),
        "estimate": (estimate.summary, {}),
        "table": (pp.table, {"fits": [fits["gaussian"], fits["poisson"], estimate]}),
        "table latex": (pp.table(estimate).to_latex, {}),
        "load": (pp.load, {"path": "nowhere.nc"}),
    }
    for family, fit in fits.items():
        found |= {
            f"summary {family}": (fit.summary, {}),
            f"group_draws {family}": (fit.group_draws, {}),
            f"predict {family}": (fit.predict, {}),
            f"posterior_predictive {family}": (fit.posterior_predictive, {}),
            f"effects {family}": (fit.effects, {"by": "x"}),
            f"effects of several {family}": (fit.effects, {"by": ["x", "g"], "pairwise": True}),
            f"loo {family}": (fit.loo, {}),
            f"kfold {family}": (fit.kfold, {"k": 2}),
            f"check {family}": (fit.check, {}),
            f"tidy {family}": (fit.tidy, {}),
            f"save {family}": (fit.save, {"path": where}),
        }
    return found


@pytest.mark.parametrize("seed", range(12))
def test_no_option_makes_anything_but_an_answer_or_one_sentence(calls, seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # "x" is a path like any other
    rng = np.random.default_rng(seed)
    answers = refusals = 0
    for _ in range(150):
        name = str(rng.choice(list(calls)))
        function, usual = calls[name]
        options = list(inspect.signature(function).parameters)
        picked = rng.choice(options, min(len(options), int(rng.integers(1, 3))), replace=False)
        spoiled = {str(option): VALUES[int(rng.integers(len(VALUES)))] for option in picked}
        try:
            repr(function(**(usual | spoiled)))
            answers += 1
        except (InputError, EngineError) as error:
            refusals += 1
            sentence = str(error)
            assert "\n" not in sentence, (name, spoiled)
            assert len(sentence) < 700, (name, spoiled)
        except Exception as error:
            raise AssertionError(f"{name} with {spoiled} raised {error!r}") from error
    assert answers > 0
    assert refusals > 50


SAID = {
    "fit priors": (lambda: pp.fit("y ~ x", DATA, priors=[1]), "`priors` is .*: give a dict"),
    "keys": (lambda: pp.fit("y ~ x", DATA, priors={3: pp.Normal()}), "`priors` has the key 3"),
    "chains": (lambda: pp.fit("y ~ x", DATA, chains=2.5), "`chains` is 2.5: give a whole number"),
    "many": (lambda: pp.fit("y ~ x", DATA, chains=2**31), "`chains` is 2147483648: give at most"),
    "draws": (lambda: pp.fit("y ~ x", DATA, draws=10**40), r"`draws` is about 10\^"),
    "progress": (lambda: pp.fit("y ~ x", DATA, progress="no"), "`progress` is 'no': give True"),
    "family": (lambda: pp.fit("y ~ x", DATA, family=3), "`family` is 3: give its name as text"),
    "interval": (lambda: pp.fit("y ~ x", DATA, interval=True), "`interval` is True"),
}


@pytest.mark.parametrize("name", SAID)
def test_sentences(name):
    call, words = SAID[name]
    with pytest.raises(InputError, match=words):
        call()


def test_sentences_of_fits(calls):
    fit = calls["loo gaussian"][0].__self__
    for call, words in (
        (lambda: fit.loo(by=3), "`by` is 3: give a name as text"),
        (lambda: fit.loo(by=["g"]), r"`by` is \['g'\]: give a name as text"),
        (lambda: fit.kfold(by=3), "`by` is 3: give a name as text"),
        (lambda: fit.kfold(2.5), "`k` is 2.5: give a whole number"),
        (lambda: fit.summary(3), "`parameter` is 3: give a name as text"),
        (lambda: fit.group_draws(5), "`5` is no level of `g`"),
        (lambda: fit.group_draws([[1]]), "give a list of values"),
        (lambda: fit.effects("x", 1.5), "`at` is 1.5: give a dict"),
        (lambda: fit.effects("x", at={"f": ["a", "b"]}), "`at` gives `f` several values: give one"),
        (lambda: fit.effects("x", at={3: 1}), "`at` has the key 3"),
        (lambda: fit.effects("x", groups={3: 1}), "`groups` has the key 3"),
        (lambda: fit.effects("x", groups={"g": [[1]]}), "give a list of values"),
        (lambda: fit.effects("g", {"g": [["a"]]}), "`g` has no such level: give levels by"),
        (lambda: fit.effects("x", reference=[]), r"`reference` is \[\]"),
        (lambda: fit.effects("x", reference={}), "`reference` names nothing"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_whole_numbers_of_any_type_are_whole_numbers(calls):
    fit = calls["loo gaussian"][0].__self__
    assert fit.kfold(np.int64(2)).elpd == fit.kfold(2).elpd
    one = pp.fit("y ~ x", DATA, **(TINY | {"chains": np.int8(2), "draws": np.array(5)}))
    assert (one.run.chains, one.run.draws) == (2, 5)


def test_a_long_name_is_cut_and_all_else_stays():
    with pytest.raises(InputError) as caught:
        pp.fit(f"y ~ {'x' * 3000}", DATA)
    assert len(str(caught.value)) < 300
    assert "there is no column `xxx" in str(caught.value)


def test_options_are_checked_before_the_data_are_read():
    class Untouched:
        def __getattr__(self, name):
            raise AssertionError("the data were read")

    for options in ({"chains": 0}, {"method": "gibbs"}, {"interval": 3}, {"family": "poison"}):
        for function in (pp.fit, pp.compare):
            with pytest.raises(InputError):
                function("y ~ x + (1 | g)", Untouched(), **options)
    with pytest.raises(InputError, match="not closed"):
        pp.fit("y ~ (x", Untouched())
