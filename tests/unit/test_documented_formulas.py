"""Formulas of other packages' documents: fitted as typed, or answered in one sentence."""

import re
import zlib

import numpy as np
import pytest

import partialpool as pp
from documented import PACKAGES

N = 160
ROWS = np.arange(N)

# Columns by what the documents' columns of that name hold; the others are measurements.
KINDS = {
    "group": "Subject Batch plate sample batch cask rep mp sp replicate Dog Side sch.id s d g "
    "herd obs id item district Female Male patientID block Site BROOD patient visit "
    "subject study phylo fosternest dam site Nest reef.name site.name Year stimulus "
    "uid county Pig Player state eth playerID BMI g2 group h source type gear "
    "education",
    "category": "trt recipe temperature service dept f1 f2 period treatment Anger Gender btype "
    "situ ch urban livch Cross ttt2 year Trt FT SexParent FoodTreatment spp mined f "
    "f3 sex carry treat disease fDays Daysf a b c fat fiber wool tension Lrn lot_id "
    "prog condition gender party_id Region region race agegp alcgp tobgp Species "
    "seeding echomotion g1 age_grp Age Eth",
    "count": "count NCalls SiblingNegotiation shells TICKS counts daysabs",
    "yes or no": "r2 use Mate predation switch case cat_pref answer male race_adj mom_hs smoke ht "
    "outcome",
    "trials": "size n AB trials disagree",
    "successes": "incidence success H Hits yes agree disapprove",
    "positive": "time clot_time Area BroodSize N Girth Height Volume dist speed earn range x5 sei",
    "large": "mpg",
    "even": "cyl age_discrete",
    "share": "prop",
    "rating": "rating",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
LEVELS = {"Sex": ["Female", "Male"], "vote": ["clinton", "trump"], "tobgp": ["10-19", "30+"]}


def column(name, formula):
    """Values for a column, by its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = KIND.get(name, "group" if " ID" in name else "number")
    if name == "y":
        counted = "trials" if re.search("trials|prop", formula) else "count"
        kind = counted if counted == "count" and "roach" in formula else kind
        kind = "successes" if counted == "trials" else kind
    if "Sex/" in formula and name == "Days":
        kind = "count"
    if (name, "factor(age)" in formula) == ("age", True):
        kind = "category"
    if name in LEVELS:
        return np.array(LEVELS[name])[rng.permutation(ROWS % len(LEVELS[name]))]
    return {
        "group": lambda: rng.permutation(ROWS % 16),
        "category": lambda: np.array(list("EFG"))[rng.permutation(ROWS % 3)],
        "count": lambda: rng.poisson(3, N),
        "yes or no": lambda: rng.permutation(ROWS % 2),
        "trials": lambda: 12 + ROWS % 5,
        "successes": lambda: rng.binomial(12, 0.4, N),
        "positive": lambda: np.round(rng.gamma(5, 1, N) + 5, 2),
        "large": lambda: np.round(rng.gamma(5, 5, N), 1),
        "even": lambda: 4 + 2 * rng.permutation(ROWS % 3),
        "share": lambda: rng.beta(2, 3, N),
        "rating": lambda: 1 + rng.permutation(ROWS % 4),
        "number": lambda: rng.normal(size=N),
    }[kind]()


def cases():
    for package, text in PACKAGES.items():
        for line in text.strip().split("\n"):
            left, _, answer = line.partition(" => ")
            options = {}
            match = re.match(r"((?:\w+=\w+,? ?)+) \| ", left)
            if match:
                options = dict(part.split("=") for part in re.findall(r"\w+=\w+", match[1]))
                left = left[match.end() :]
            yield pytest.param(left, options, answer, id=f"{package}: {line[:70]}")


CASES = list(cases())


def table(formula, options):
    """A table with whatever columns a formula names, but for brms' nonlinear parameters."""
    names = re.findall(r"`[^`]+`|[^\W\d][\w.]*", formula) + list(options.values())
    return {name.strip("`"): column(name.strip("`"), formula) for name in names if name != "b1"}


@pytest.mark.parametrize(("formula", "options", "answer"), CASES)
def test_documented_formula(formula, options, answer):
    data = table(formula, options)
    quick = {"chains": 1, "draws": 4, "warmup": 4, "seed": 1, "progress": False}
    if answer:
        with pytest.raises(pp.InputError) as caught:
            pp.fit(formula, data, **options, **quick)
        sentence = str(caught.value)
        assert any(word in sentence for word in answer.split("|")), sentence
        assert "\n" not in sentence
        return
    fit = pp.fit(formula, data, **options, **quick)
    assert np.isfinite(fit.summary()["mean"]).all()


def test_there_are_many_and_most_run():
    fitted = sum(not case.values[2] for case in CASES)
    assert len(CASES) >= 200
    assert fitted >= 140
