"""What must not change an answer: order, names, units, threads.

Where the arithmetic is the same the draws are equal; where it differs by rounding the posterior is
the same, so means agree within 5 Monte Carlo errors of their difference (6e-7 for each number, some
80 numbers: 5e-5 for the file; seeds are fixed).
"""

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from helpers import individuals, log_likelihood, model_of, points
from partialpool.draws.diagnostics import diagnose

FORMULA = "y ~ x + (x | id)"
DATA = individuals().query("id <= 20").reset_index(drop=True)
SHORT = {"draws": 200, "warmup": 200, "seed": 5}


def stacked(fit):
    """All draws but those of the groups: (chain, draw, parameter)."""
    run = fit.run
    groups = [part for drawn in run.groups for part in (drawn.sd, drawn.cor)]
    return np.concatenate([run.b, *groups, run.sigma[..., None]], axis=2)


def assert_same_posterior(one, other, factors=1.0):
    """Compare means of independent runs; `factors` scales the first."""
    a, b = diagnose(one * factors), diagnose(other)
    z = (a["mean"] - b["mean"]) / np.hypot(a["mcse"], b["mcse"])
    assert np.all(np.abs(z) < 5), z


def assert_same_density(one, other):
    """The log likelihood at the same points: equal up to rounding."""
    for u in points(one, 4, 1):
        assert log_likelihood(one, u) == pytest.approx(log_likelihood(other, u), rel=1e-12)


def test_order_of_rows():
    shuffled = DATA.sample(frac=1, random_state=3)
    assert_same_density(model_of(FORMULA, DATA).core, model_of(FORMULA, shuffled).core)
    one = pp.fit(FORMULA, DATA, seed=1)
    other = pp.fit(FORMULA, shuffled, seed=2)
    assert_same_posterior(stacked(one), stacked(other))
    assert one.coefficients()["level"].tolist() == other.coefficients()["level"].tolist()


def test_names_of_levels_in_the_same_order_change_no_draw():
    renamed = DATA.assign(id=[f"person {k:02}" for k in DATA["id"]])
    one, other = pp.fit(FORMULA, DATA, **SHORT), pp.fit(FORMULA, renamed, **SHORT)
    assert np.array_equal(stacked(one), stacked(other))
    assert np.array_equal(one.draws["posterior"]["r_id"], other.draws["posterior"]["r_id"])
    assert other.coefficients()["level"].iloc[0] == "person 01"


def test_name_of_the_factor_changes_no_draw():
    one = pp.fit(FORMULA, DATA, **SHORT)
    other = pp.fit("y ~ x + (x | who)", DATA.rename(columns={"id": "who"}), **SHORT)
    assert np.array_equal(stacked(one), stacked(other))


def test_order_of_levels():
    # Renaming 1…20 to 20…1 turns the groups around.
    turned = DATA.assign(id=21 - DATA["id"])
    assert_same_density(model_of(FORMULA, DATA).core, model_of(FORMULA, turned).core)
    one, other = pp.fit(FORMULA, DATA, seed=1), pp.fit(FORMULA, turned, seed=2)
    assert_same_posterior(stacked(one), stacked(other))
    there = one.draws["posterior"]["coef_id"].to_numpy()
    back = other.draws["posterior"]["coef_id"].to_numpy()[:, :, ::-1]
    picked = [0, 7, 19]
    shape = (*there.shape[:2], -1)
    assert_same_posterior(there[:, :, picked].reshape(shape), back[:, :, picked].reshape(shape))


def test_scale_of_the_response_with_its_priors():
    # Autoscaled priors follow y: each density is that of y divided by 8, for every row.
    larger = DATA.assign(y=8 * DATA["y"])
    one, other = model_of(FORMULA, DATA).core, model_of(FORMULA, larger).core
    shift = -len(DATA) * np.log(8)
    for u in points(one, 4, 1):
        assert log_likelihood(other, u) == pytest.approx(log_likelihood(one, u) + shift, rel=1e-12)
    one, other = pp.fit(FORMULA, DATA, seed=1), pp.fit(FORMULA, larger, seed=2)
    assert_same_posterior(stacked(one), stacked(other), [8, 8, 8, 8, 1, 8])


def test_scale_of_the_response_with_written_priors():
    def priors(unit):
        return {
            "b": pp.Normal(0, 3 * unit),
            "sd_id": pp.HalfCauchy(2 * unit),
            "sigma": pp.Uniform(0, 10 * unit),
        }

    one = pp.fit(FORMULA, DATA, priors=priors(1), seed=1)
    other = pp.fit(FORMULA, DATA.assign(y=1000 * DATA["y"]), priors=priors(1000), seed=2)
    assert_same_posterior(stacked(one), stacked(other), [1000, 1000, 1000, 1000, 1, 1000])


@pytest.mark.parametrize("method", ["nuts", "laplace"])
@pytest.mark.parametrize(
    ("family", "sigma"), [("student_t", None), ("student_t", "~ x"), ("gaussian", "~ x + (1 | id)")]
)
@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_scale_of_the_response_where_coefficients_do_not_integrate_out(method, family, sigma):
    # Steps of differences must not have a unit: quick pilots are as good, and so are the chains.
    rng = np.random.default_rng(5)
    code, x = np.repeat(np.arange(12), 15), rng.normal(size=180)
    y = 0.3 + 0.5 * x + rng.normal(0, 0.7, 12)[code] + rng.standard_t(5, 180) * np.exp(0.2 * x)
    fits = []
    for unit in (1.0, 1e-9, 1e-4, 1e3, 1e7):
        data = pd.DataFrame({"y": unit * y, "x": x, "id": code})
        options = {"method": method, "sigma": sigma, "draws": 500, "seed": 2}
        fit = pp.fit("y ~ x + (1 | id)", data, family=family, **options)
        fits.append((fit.run.b / unit, fit.summary()["ess_bulk"].min()))
    (first, least), *others = fits
    for own, ess in others:
        assert_same_posterior(own, first)
        assert ess > 0.6 * least


def test_shift_of_a_predictor_leaves_the_population_slope():
    # Default priors, (1 | g): a shift by a whole number loses no digit of x / 64.
    tame = DATA.assign(x=np.round(DATA["x"] * 64) / 64)
    shifted = tame.assign(x=tame["x"] + 1024)
    formula = "y ~ x + (1 | id)"
    assert_same_density(model_of(formula, tame).core, model_of(formula, shifted).core)
    one, other = pp.fit(formula, tame, seed=1).run, pp.fit(formula, shifted, seed=2).run
    back = other.b @ np.array([[1, 0], [1024, 1]])
    assert_same_posterior(
        np.concatenate([one.b, one.groups[0].sd], axis=2),
        np.concatenate([back, other.groups[0].sd], axis=2),
    )


def test_shift_of_the_response():
    tame = DATA.assign(y=np.round(DATA["y"] * 64) / 64)
    shifted = tame.assign(y=tame["y"] - 512)
    assert_same_density(model_of(FORMULA, tame).core, model_of(FORMULA, shifted).core)
    one, other = pp.fit(FORMULA, tame, seed=1), pp.fit(FORMULA, shifted, seed=2)
    assert_same_posterior(stacked(one) - np.eye(6)[0] * 512, stacked(other))


def test_offset_is_the_response_less_the_offset():
    offset = np.sin(np.arange(len(DATA)))
    one = pp.fit(FORMULA, DATA, offset=offset, **SHORT)
    other = pp.fit(FORMULA, DATA.assign(y=DATA["y"] - offset), **SHORT)
    assert np.array_equal(stacked(one), stacked(other))


def test_equal_weights_are_no_weights():
    one = pp.fit(FORMULA, DATA, **SHORT)
    other = pp.fit(FORMULA, DATA, weights=np.ones(len(DATA)), **SHORT)
    assert np.array_equal(stacked(one), stacked(other))
    # Four times the weight is half the sigma: the marginal density differs by a constant in u.
    heavy = pp.fit(
        FORMULA, DATA, weights=np.full(len(DATA), 4.0), priors={"sigma": pp.Flat()}, seed=1
    )
    light = pp.fit(FORMULA, DATA, priors={"sigma": pp.Flat()}, seed=2)
    assert_same_posterior(stacked(light), stacked(heavy), [1, 1, 1, 1, 1, 2])


def test_whole_weights_are_repeated_rows():
    weights = np.resize([1, 2, 3], len(DATA))
    repeated = DATA.loc[DATA.index.repeat(weights)]
    # Not the same likelihood of sigma (n differs): with sigma pinned, b and sd agree.
    priors = {"sigma": pp.Normal(2, 1e-6), "sd_id": pp.Exponential(1), "b": pp.Normal(0, 5)}
    formula = "y ~ x + (1 | id)"
    one = pp.fit(formula, DATA, weights=weights.astype(float), priors=priors, seed=1)
    other = pp.fit(formula, repeated, priors=priors, seed=2)
    assert_same_posterior(
        np.concatenate([one.run.b, one.run.groups[0].sd], 2),
        np.concatenate([other.run.b, other.run.groups[0].sd], 2),
    )


def test_two_independent_terms_are_one_double_bar():
    one = pp.fit("y ~ x + (x || id)", DATA, **SHORT)
    other = pp.fit("y ~ x + (1 | id) + (0 + x | id)", DATA, **SHORT)
    assert one.summary().index.tolist() == other.summary().index.tolist()
    assert np.array_equal(stacked(one), stacked(other))
    assert np.array_equal(one.draws["posterior"]["r_id"], other.draws["posterior"]["r_id"])


@pytest.mark.parametrize("chains", [1, 3, 4])
def test_threads_change_no_draw(chains):
    one = pp.fit(FORMULA, DATA, threads=1, chains=chains, **SHORT)
    for threads in (2, 5):
        other = pp.fit(FORMULA, DATA, threads=threads, chains=chains, **SHORT)
        assert np.array_equal(stacked(one), stacked(other))
        pd.testing.assert_frame_equal(one.coefficients(), other.coefficients())
        pd.testing.assert_frame_equal(one.summary(), other.summary())


def test_a_chain_does_not_depend_on_the_others():
    two = pp.fit(FORMULA, DATA, chains=2, **SHORT)
    three = pp.fit(FORMULA, DATA, chains=3, **SHORT)
    assert np.array_equal(stacked(two), stacked(three)[:2])


def test_seeds():
    one, again = pp.fit(FORMULA, DATA, **SHORT), pp.fit(FORMULA, DATA, **SHORT)
    assert np.array_equal(stacked(one), stacked(again))
    other = pp.fit(FORMULA, DATA, **SHORT | {"seed": 6})
    assert not np.any(stacked(one) == stacked(other))
    draws = stacked(one)
    assert all(not np.any(draws[0] == draws[k]) for k in range(1, 4))
    assert pp.fit(FORMULA, DATA, draws=4, warmup=4).seed != pp.fit(FORMULA, DATA, draws=4).seed
