"""`update`: all as it was asked, but for what changes; on the rows of the fit or on others."""

import json
import pickle
import warnings

import numpy as np
import pytest
from msgspec.structs import asdict

import partialpool as pp
from partialpool.request import Request, requested
from partialpool.saved.request import read_request, write_request
from partialpool.saved.stored import DamagedError

RNG = np.random.default_rng(5)
N = 48
QUICK = {"seed": 3, "chains": 2, "draws": 60, "warmup": 60, "progress": False}
G = np.repeat(list("abcdef"), 8)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.normal(size=N),
    "e": RNG.uniform(1, 2, size=N),
    "w": RNG.integers(1, 4, size=N),
    "n": RNG.integers(5, 9, size=N),
    "g": G,
    "h": np.resize(["01", "1", "2"], N),
}
DATA["count"] = RNG.poisson(DATA["e"] * 2)
DATA["k"] = RNG.binomial(DATA["n"], 0.4)
DATA["share"] = DATA["k"] / DATA["n"]
DATA["rating"] = RNG.integers(1, 4, size=N)
DATA["gap"] = np.where(np.arange(N) % 6 == 0, np.nan, RNG.normal(size=N))

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.errors.FindingWarning")


def fitted(formula, **options):
    return pp.fit(formula, DATA, **(QUICK | options))


def all_draws(fit):
    return {name: own.values for name, own in fit.draws["posterior"].data_vars.items()}


def assert_same(one, other):
    assert all_draws(one).keys() == all_draws(other).keys()
    for name, own in all_draws(one).items():
        np.testing.assert_array_equal(own, all_draws(other)[name], err_msg=name)
    assert one.priors == other.priors
    assert one.findings == other.findings
    hidden = {"seconds"}
    own, others = (asdict(f.provenance) for f in (one, other))
    assert {k for k in own if own[k] != others[k]} <= hidden
    np.testing.assert_array_equal(one.design.rows, other.design.rows)
    assert one.request == other.request


MODELS = {
    "gaussian": ("y ~ x + gap + (x | g)", {"priors": {"sigma": pp.Exponential(1)}}),
    "texts": ("y ~ x + (1 | h)", {"interval": 0.8, "pooling": "none"}),
    "weights": ("y ~ x + (1 | g)", {"weights": "w"}),
    "weights by row": ("y ~ x + (1 | g)", {"weights": np.where(np.arange(N) % 5, 1.0, 0.0)}),
    "errors": ("y ~ x + (1 | g)", {"se": "e", "priors": {"sd_g": "exponential(2)"}}),
    "sigma": ("y ~ x + (1 | g)", {"sigma": "~ z"}),
    "exposure": ("count ~ x + (1 | g)", {"family": "poisson", "exposure": "e"}),
    "offsets": ("count ~ x + offset(log(e))", {"family": "poisson", "offset": "z"}),
    "trials": ("k ~ x + (1 | g)", {"family": "binomial", "trials": "n", "link": "probit"}),
    "trials in the formula": ("k | trials(n) ~ x", {"family": "binomial"}),
    "successes": ("cbind(k, n - k) ~ x", {"family": "binomial"}),
    "shares": ("share ~ x", {"family": "binomial", "weights": "n"}),
    "shares by row": ("share ~ x", {"family": "binomial", "weights": DATA["n"]}),
    "ordered": ("rating ~ x + (1 | g)", {"family": "cumulative"}),
    "condition": ("{y > 0} ~ x + (1 | g)", {"family": "bernoulli"}),
    "metropolis": ("y ~ x + (1 | g)", {"method": "metropolis", "start": {"sigma": 2.0}}),
    "poolings": ("y ~ x + (1 | g) + (1 | h)", {"pooling": {"g": "complete"}}),
}


@pytest.mark.parametrize("model", MODELS)
def test_without_changes_the_same_comes_out_also_from_a_file(model, tmp_path):
    formula, options = MODELS[model]
    fit = fitted(formula, **options)
    again = fit.update()
    assert_same(fit, again)
    fit.save(tmp_path / "fit.nc")
    loaded = pp.load(tmp_path / "fit.nc")
    assert loaded.request == fit.request
    assert_same(fit, loaded.update())
    assert_same(fit, pickle.loads(pickle.dumps(fit)).update())
    if "by row" in model:
        return  # new rows lack what was given row by row
    predicted = [f.predict({k: v[:3] for k, v in DATA.items()}, seed=1) for f in (fit, again)]
    assert predicted[0].equals(predicted[1])


def test_changes_give_what_a_fit_with_them_gives():
    options = {"weights": "w", "priors": {"b[x]": pp.Normal(0, 1), "sigma": "exponential(1)"}}
    fit = fitted("y ~ x + (x | g)", **options)
    changed = {
        "draws": {"draws": 80},
        "seed": {"seed": 9},
        "interval": {"interval": 0.5},
        "pooling": {"pooling": "complete"},
        "priors": {"priors": {"sd_g": pp.Exponential(3)}},
        "no priors": {"priors": None},
        "no weights": {"weights": None},
        "method": {"method": "nuts"},
    }
    for change in changed.values():
        expected = fitted("y ~ x + (x | g)", **(options | change))
        found = fit.update(**change)
        assert_same(found, expected)
    assert fit.run.draws == 60
    longer = fit.update(formula=". ~ . - (x | g) + (1 | g)", chains=1)
    assert_same(longer, fitted("y ~ x + (1 | g)", **(options | {"chains": 1})))


def test_other_rows_are_fitted_with_all_options():
    fit = fitted("y ~ x + (1 | g)", weights="w", priors={"b[x]": pp.Normal(0, 1)})
    half = {name: values[::2] for name, values in DATA.items()}
    options = QUICK | {"weights": "w", "priors": fit.request.options["priors"]}
    expected = pp.fit("y ~ x + z + (1 | g)", half, **options)
    found = fit.update(data=half, formula="y ~ x + z + (1 | g)")
    np.testing.assert_array_equal(found.run.b, expected.run.b)
    np.testing.assert_array_equal(found.design.rows, np.arange(N // 2))
    by_row = fitted("y ~ x + (1 | g)", weights=np.ones(N))
    with pytest.raises(
        pp.InputError, match=r"`weights` was given as one value a row: give it again"
    ):
        by_row.update(data=half)
    assert by_row.update(data=half, weights=None).design.weights is None
    assert by_row.update(data=half, weights=np.ones(N // 2)).design.n_rows == N // 2


def test_columns_and_rows_that_were_not_kept_are_said():
    fit = fitted("y ~ x + gap + (1 | g)")
    with pytest.raises(
        pp.InputError, match=r"`z` is not among the columns that the fit used.*`data="
    ):
        fit.update(formula="~ . + z")
    with pytest.raises(pp.InputError, match="`z`, `e` are not among the columns"):
        fit.update(sigma="~ z", weights="e")
    fewer = fit.update(formula="~ . - gap")
    assert fewer.design.n_rows == 40
    (finding,) = (one for one in fewer.findings if one.code == "rows-not-kept")
    assert finding.message.startswith("8 rows that the earlier fit left out for missing values")
    assert fit.update(formula="~ . - gap", data=DATA).design.n_rows == N
    assert "rows-not-kept" not in {one.code for one in fit.update().findings}


def test_priors_of_parameters_that_are_gone_are_left_out_and_said():
    fit = fitted("y ~ x + (x | g)", priors={"b[x]": pp.Normal(0, 1), "sigma": pp.Exponential(1)})
    fewer = fit.update(formula="~ . - x - (x | g) + (1 | g)")
    (finding,) = (one for one in fewer.findings if one.code == "priors-left-out")
    assert "`b[x]` is left out" in finding.message
    assert fewer.priors["sigma"] == pp.Exponential(1)
    assert fewer.request.options["priors"] == {"sigma": pp.Exponential(1)}
    with pytest.raises(pp.InputError, match=r"a prior is set on `b.x.`"):
        fit.update(formula="y ~ 1", priors={"b[x]": pp.Normal(0, 1)})


def test_what_has_no_part_in_another_family_or_method_is_left_out():
    fit = fitted("{1 * (y > 0)} ~ x + (1 | g)", family="bernoulli", link="probit")
    other = fit.update(family="gaussian")
    assert (other.model.link, "link" in other.request.options) == ("identity", False)
    assert fit.update(draws=50).model.link == "probit"
    walk = fitted("y ~ x + (1 | g)", method="metropolis", proposal_sd=0.3)
    assert walk.request.options["proposal_sd"] == 0.3
    assert "proposal_sd" not in walk.update(method="auto").request.options
    assert walk.update(draws=50).request.options["proposal_sd"] == 0.3


def test_seeds_that_were_given_stay_and_others_do_not():
    fit = pp.fit("y ~ x", DATA, draws=20, warmup=20, progress=False)
    assert fit.update().seed != fit.seed
    assert fit.update(seed=4).update().seed == 4
    assert fitted("y ~ x").update(seed=None).seed != 3


def test_what_cannot_be_done_is_said(tmp_path):
    fit = fitted("y ~ x + (1 | g)")
    with pytest.raises(pp.InputError, match=r'`method="reml"` gives an estimate'):
        fit.update(method="reml")
    with pytest.raises(TypeError, match="unexpected keyword argument 'drawz'"):
        fit.update(drawz=3)
    fit.save(tmp_path / "bare.nc", rows=False)
    bare = pp.load(tmp_path / "bare.nc")
    with pytest.raises(
        pp.InputError, match="saved without the rows that were fitted: give them as"
    ):
        bare.update()
    assert_same(bare.update(data=DATA), fit)
    walk = fitted("y ~ x", method="metropolis", start=lambda rng: {"sigma": 1.0})
    assert walk.update().run.method == "metropolis"
    walk.save(tmp_path / "walk.nc")
    loaded = pp.load(tmp_path / "walk.nc")
    with pytest.raises(pp.InputError, match="`start` was a function, which files do not keep"):
        loaded.update()
    assert loaded.update(start=None).run.method == "metropolis"
    assert loaded.update(method="nuts").run.method == "nuts"
    fit.request = None
    with pytest.raises(pp.InputError, match="saved by an earlier version, which did not keep"):
        fit.update()
    both = fitted("count ~ x + offset(log(e))", family="poisson", offset=DATA["z"])
    with pytest.raises(pp.InputError, match="`offset` was given as one value a row beside that of"):
        both.update()
    assert_same(both.update(data=DATA, offset=DATA["z"]), both)


def test_poolings_of_a_comparison_can_be_fitted_again():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pp.compare("y ~ x + (x | g)", DATA, priors={"sd_g": pp.Exponential(1)}, **QUICK)
    for fit in found.fits.values():
        assert_same(fit.update(), fit)


def test_estimates_can_be_made_again():
    estimate = pp.fit("y ~ x + (1 | g)", DATA, method="reml", weights="w", interval=0.9)
    same = estimate.update()
    assert same.deviance == estimate.deviance
    assert same.provenance.interval == 0.9
    ml = estimate.update(method="ml", formula="~ . - x")
    assert ml.deviance == pp.fit("y ~ (1 | g)", DATA, method="ml", weights="w").deviance
    fit = estimate.update(**(QUICK | {"method": "auto"}))
    expected = pp.fit("y ~ x + (1 | g)", DATA, weights="w", interval=0.9, **QUICK)
    np.testing.assert_array_equal(fit.run.b, expected.run.b)


def test_requests_are_kept_in_files_and_checked():
    asked = requested(
        "y ~ x",
        {
            "priors": {"sigma": pp.StudentT(3, 0, 1), "b": "normal(0, 1)"},
            "weights": [1, 2],
            "seed": np.uint64(2**63 + 1),
            "start": [{"b[x]": np.array([1.0])}, {"sigma": 2}],
            "pooling": {"g": "none"},
            "trials": 7,
            "link": None,
        },
    )
    record = json.loads(json.dumps(write_request(asked)))
    found = read_request(record)
    assert found.options["priors"] == asked.options["priors"]
    assert found.options["seed"] == 2**63 + 1
    assert found.options["weights"] is asked.options["weights"]
    assert "link" not in found.options
    assert read_request(None) is None
    for damaged in (
        [],
        {"formula": 3, "options": {}},
        {"formula": "y ~ x", "options": []},
        {"formula": "y ~ x", "options": {"nothing": 1}},
        {"formula": "y ~ x", "options": {"priors": 3}},
        {"formula": "y ~ x", "options": {"priors": {"b": ["Unknown", 1]}}},
        {"formula": "y ~ x", "options": {"priors": {"b": []}}},
    ):
        with pytest.raises(DamagedError):
            read_request(damaged)
    assert isinstance(asked, Request)
