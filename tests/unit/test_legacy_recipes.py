"""Recipes that version 0.1.0 wrote give the columns that it gave."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import rebuild
from partialpool.design import upgrade
from partialpool.design.plan import VERSION
from partialpool.errors import InputError

# Written by version 0.1.0: recipes of a table with columns of every kind, four rows of it, and the
# columns that it gave for these.
WRITTEN = json.loads((Path(__file__).parent / "files" / "recipes_0_1_0.json").read_text())
FITS = {fit["recipe"]["formula"]: fit for fit in WRITTEN["fits"]}
# What it computed otherwise, or where a number could mean two categories.
REFUSED = {
    "y ~ exp10(x)": "made them otherwise: fit the model again",
    "y ~ C(k, Treatment(2))": "could mean category 2, or number 2 of them, `3`",
}


@pytest.mark.parametrize("formula", FITS)
def test_columns_are_those_of_that_version(formula):
    fit = FITS[formula]
    recipe = upgrade(fit["recipe"])
    if formula in REFUSED:
        with pytest.raises(InputError, match=REFUSED[formula]):
            rebuild(recipe, WRITTEN["new"])
        return
    assert recipe["version"] == VERSION
    made = rebuild(recipe, WRITTEN["new"])
    np.testing.assert_allclose(made.X, fit["X"], rtol=0, atol=1e-9)
    for own, expected in zip(made.Z, fit["Z"], strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-9)
    assert [codes.tolist() for codes in made.codes] == fit["codes"]
    if fit["sigma"] is not None:
        np.testing.assert_allclose(made.sigma.X, fit["sigma"], rtol=0, atol=1e-9)


def test_there_are_many_of_them():
    assert len(FITS) > 70
    assert any(fit["sigma"] for fit in FITS.values())


def test_categories_that_they_did_not_see_are_refused():
    recipe = upgrade(FITS["y ~ f * x"]["recipe"])
    with pytest.raises(InputError, match="a category that the fit did not see, `q`"):
        rebuild(recipe, {"x": [1.0], "f": ["q"]})
