"""Numbers of any magnitude in any column: fitted without warnings, or refused by name."""

import re
import warnings

import numpy as np
import pytest

import partialpool as pp
from partialpool.engine.chains import usable_chains

RNG = np.random.default_rng(7)
N = 30
TAME = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "g": np.arange(N) % 5,
    "w": RNG.gamma(3, 1, N),
    "s": RNG.gamma(3, 1, N),
    "o": RNG.normal(size=N),
}
ROLES = {"w": "weights", "s": "se", "o": "offset", "y": "y", "x": "x"}


@pytest.mark.parametrize("column", ROLES)
@pytest.mark.parametrize("power", [-320, -300, -160, -100, -61, -30, 30, 61, 100, 160, 300])
def test_any_magnitude_is_fitted_or_refused_by_name(column, power):
    with np.errstate(all="ignore"):
        scaled = TAME[column] * 10.0**power
    role = ROLES[column]
    options = {role: column} if role in ("weights", "se", "offset") else {}
    quick = {"seed": 1, "chains": 1, "draws": 10, "warmup": 10, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            fit = pp.fit("y ~ x + (1 | g)", {**TAME, column: scaled}, **options, **quick)
        except pp.InputError as error:
            named = f"`{role}` (reaches|is too close to 0|is too large)"
            assert re.match(named, str(error))  # noqa: PT017
            assert abs(power) > 60
            return
    assert np.isfinite(fit.summary()["mean"]).all()
    # Predictors are scaled before they are used; small offsets are as good as none.
    assert (
        abs(power) < 61 or (column == "x" and abs(power) <= 100) or (column, power < 0) == ("o", 1)
    )


def test_failures_of_chains_are_one_line():
    raw = {"chains": [{"failure": "bad start\n\nStack backtrace:\n 0: f"}], "interrupted": False}
    with pytest.raises(pp.errors.EngineError, match=r"\Ano chain could be sampled: bad start\.\Z"):
        usable_chains(raw)


@pytest.mark.parametrize("formula", ["y ~ poly(x, 2)", "y ~ bs(x, df=4)", "y ~ scale(x)"])
def test_what_overflows_in_a_function_is_one_sentence(formula):
    huge = {**TAME, "x": np.linspace(-1, 1, len(TAME["y"])) * 1e200}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            fit = pp.fit(formula, huge, draws=20, warmup=20, chains=1, seed=1)
        except pp.InputError:
            return
    assert np.isfinite(fit.summary()["mean"]).all()
