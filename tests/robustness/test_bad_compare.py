"""What compare() refuses: truths, priors, steps and formulas, in one clear sentence each."""

import re

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

QUICK = {"draws": 200, "warmup": 200, "seed": 1}
LINES = "y ~ x + (x || id)"

BAD = {
    "lacking level": (
        lambda t: {"truth": t[t["id"] != 7]},
        "`truth` lacks 1 of the 75 levels of `id`, such as `7`: give one row a level.",
    ),
    "no level of the data": (
        lambda t: {"truth": t.assign(id=t["id"] + 100)},
        "`truth` lacks 75 of the 75 levels of `id`, such as `1`",
    ),
    "lacking term": (
        lambda t: {"truth": t.drop(columns="x")},
        "`truth` has no column `x`: it needs `id` and one column for each of `Intercept`, `x`.",
    ),
    "lacking factor": (
        lambda t: {"truth": t.rename(columns={"id": "who"})},
        "`truth` has no column `id`: it needs `id`",
    ),
    "duplicate level": (
        lambda t: {"truth": pd.concat([t, t[:1]])},
        "`truth` names a level of `id` more than once",
    ),
    "text": (
        lambda t: {"truth": t.assign(x="a")},
        "column `x` of `truth` has values that are not numbers",
    ),
    "missing": (
        lambda t: {"truth": t.assign(x=t["x"].where(t["id"] != 3))},
        "column `x` of `truth` has values that are not numbers",
    ),
    "infinite": (
        lambda t: {"truth": t.assign(x=t["x"].where(t["id"] != 3, np.inf))},
        "column `x` of `truth` has values that are not",
    ),
    "no table": (lambda t: {"truth": 3}, "is not a table"),
    "unknown prior": (
        lambda t: {"priors": {"sd_idd": pp.Normal(0, 1)}},
        "a prior is set on `sd_idd`",
    ),
    "prior of a correlation that is fixed": (
        lambda t: {"priors": {"cor_id": pp.LKJ(2)}},
        "a prior is set on `cor_id`",
    ),
    "steps of another engine": (
        lambda t: {"proposal_sd": 0.1},
        '`proposal_sd` is given: it belongs to method="metropolis"; leave it out.',
    ),
    "steps of zero": (
        lambda t: {"method": "metropolis", "proposal_sd": 0},
        "`proposal_sd` is 0: give a number above 0.",
    ),
    "negative steps": (
        lambda t: {"method": "metropolis", "proposal_sd": -0.5},
        "`proposal_sd` is -0.5: give a number above 0.",
    ),
    "steps that are no number": (
        lambda t: {"method": "metropolis", "proposal_sd": float("nan")},
        "`proposal_sd` is nan",
    ),
    "unknown method": (lambda t: {"method": "gibbs"}, "unknown method `gibbs`"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(case):
    data, truth = pp.datasets.individuals()
    options, message = BAD[case]
    with pytest.raises(pp.InputError) as caught:
        pp.compare(LINES, data, **(QUICK | options(truth)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x", "has no group term, so there is nothing to pool: add one such as `(1 | group)`."),
    ],
)
def test_formulas_that_cannot_be_compared(formula, message):
    with pytest.raises(pp.PartialPoolError, match=re.escape(message)):
        pp.compare(formula, pp.datasets.individuals()[0], **QUICK)
