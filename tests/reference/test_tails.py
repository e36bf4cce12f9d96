"""Tails of the families: against the densities of the core, summed or integrated, and SciPy's.

The densities are held against SciPy in `test_families.py`.
"""

import numpy as np
import pytest
from scipy import integrate, special, stats

from partialpool import _core
from partialpool.families import FAMILIES, Given
from partialpool.families import tails as log_tails

NONE = np.zeros(0)
CASES = [(name, link) for name, family in FAMILIES.items() for link in family.links]

COUNTS = [case for case in CASES if FAMILIES[case[0]].needs == "whole numbers from 0"]
NUMBERS = [case for case in CASES if not FAMILIES[case[0]].discrete]
ETA = np.array([-3.0, -0.4, 0.8, 3.1])


AUX = {
    "gaussian": {"sigma": 1.3},
    "student_t": {"sigma": 1.3, "nu": 4.5},
    "lognormal": {"sigma": 0.7},
    "negbinomial": {"shape": 1.7},
    "gamma": {"shape": 2.3},
    "weibull": {"shape": 1.4},
    "beta": {"phi": 3.7},
    "cumulative": {"threshold": np.array([-1.0, 0.3, 0.5, 2.0])},
    "zero_inflated_poisson": {"zi": 0.2},
    "zero_inflated_negbinomial": {"shape": 1.7, "zi": 0.2},
    "hurdle_poisson": {"hu": 0.3},
    "hurdle_negbinomial": {"shape": 1.7, "hu": 0.3},
}


def density(name, link, y, eta, trials=NONE):
    y, eta = np.broadcast_arrays(np.asarray(y, dtype=float), eta)
    aux = [np.ravel(value) for value in AUX.get(name, {}).values()]
    found = _core.family_rows(
        family=name,
        link=link,
        y=np.ravel(y).copy(),
        trials=trials,
        weights=NONE,
        eta=np.ravel(eta).copy(),
        log_sigma=NONE,
        aux=np.concatenate([NONE, *aux]),
    )
    return found[0].reshape(y.shape)


def given(name, link, trials=None):
    return Given(link, AUX.get(name, {}), trials)


def check(found, below, above, rtol=1e-9):
    np.testing.assert_allclose(found.below, np.log(below), rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(found.above, np.log(above), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize(("name", "link"), COUNTS)
def test_tails_of_counts_are_sums_of_their_densities(name, link):
    y = np.arange(20_000.0)
    for eta in ETA:
        p = np.exp(density(name, link, y, np.full_like(y, eta)))
        assert p.sum() == pytest.approx(1, abs=1e-12)
        at = np.array([0, 1, 2, 7, 40])
        found = FAMILIES[name].log_tails(at.astype(float), np.full(5, eta), given(name, link))
        above = np.array([p[k + 1 :].sum() for k in at])
        seen = above > 1e-300
        check(
            log_tails.Tails(found.below[seen], found.above[seen]),
            np.array([p[: k + 1].sum() for k in at])[seen],
            above[seen],
        )


@pytest.mark.parametrize(("name", "link"), NUMBERS)
def test_tails_of_numbers_are_integrals_of_their_densities(name, link):
    family = FAMILIES[name]
    end = 1.0 if name == "beta" else np.inf
    start = -np.inf if family.possible(np.array([-1.0]), None)[0] else 0.0
    for eta in ETA[1:3]:
        own = given(name, link)
        middle = float(family.mean(np.asarray(eta), own))

        def f(y, eta=eta):
            return float(np.exp(density(name, link, np.array([y]), np.array([eta]))[0]))

        for y in (0.3 * middle, middle, min(1.7 * middle, (1 + middle) / 2)):
            below = integrate.quad(f, start, y, epsabs=0, epsrel=1e-10, limit=300)[0]
            above = integrate.quad(f, y, end, epsabs=0, epsrel=1e-10, limit=300)[0]
            found = family.log_tails(np.asarray(y), np.asarray(eta), own)
            check(found, below, above, rtol=1e-6)


@pytest.mark.parametrize("link", FAMILIES["binomial"].links)
def test_tails_of_successes(link):
    eta = np.linspace(-3, 2, 5)
    for n in (1, 2, 9):
        p = np.exp([density("binomial", link, k, eta, np.full(5, float(n))) for k in range(n + 1)])
        for k in range(n):
            own = given("binomial", link, np.float64(n))
            found = FAMILIES["binomial"].log_tails(np.float64(k), eta, own)
            check(found, p[: k + 1].sum(axis=0), p[k + 1 :].sum(axis=0))
        if n == 1:
            single = FAMILIES["bernoulli"].log_tails(np.float64(0), eta, given("bernoulli", link))
            check(single, p[0], p[1])


@pytest.mark.parametrize("link", FAMILIES["cumulative"].links)
def test_tails_of_categories(link):
    eta = np.linspace(-3, 2, 5)[:, None] + np.zeros(5)
    y = np.arange(5.0)
    p = FAMILIES["cumulative"].probabilities(eta[:, 0], link, AUX["cumulative"]["threshold"])
    found = FAMILIES["cumulative"].log_tails(y, eta, given("cumulative", link))
    check(
        log_tails.Tails(found.below[:, :4], found.above[:, :4]),
        np.cumsum(p, axis=1)[:, :4],
        np.cumsum(p[:, ::-1], axis=1)[:, 3::-1],
    )
    assert (found.above[:, 4] == -np.inf).all()


@pytest.mark.parametrize(("name", "link"), CASES)
def test_the_ends(name, link):
    family = FAMILIES[name]
    if not family.discrete:
        return
    trials = np.float64(3) if name == "binomial" else None
    found = family.log_tails(np.float64(-1), ETA, given(name, link, trials))
    assert (np.broadcast_to(found.below, 4) == -np.inf).all()
    assert (np.broadcast_to(found.above, 4) == 0).all()
    last = {"bernoulli": 1, "binomial": 3, "cumulative": 4}.get(name)
    if last is not None:
        found = family.log_tails(np.float64(last), ETA, given(name, link, trials))
        assert (np.broadcast_to(found.below, 4) == 0).all()


def test_far_tails_have_no_end():
    """Beyond what numbers hold, against the same tail in other terms."""
    z = np.array([-1e3, -60.0, 60.0, 1e3])
    own = FAMILIES["gaussian"].log_tails(z, np.zeros(4), Given("identity", {"sigma": 1.0}))
    np.testing.assert_allclose(own.below[:2], special.log_ndtr(z[:2]))
    np.testing.assert_allclose(own.above[2:], special.log_ndtr(z[:2][::-1]))
    # Poisson: a few terms of the sum. Far below, the last are the largest; far above, the first.
    for mu, y in ((2000.0, 100.0), (1e-3, 150.0), (300.0, 1900.0)):
        found = log_tails.poisson(np.float64(y), np.float64(mu))
        below = special.logsumexp(stats.poisson.logpmf(np.arange(y + 1), mu))
        above = special.logsumexp(stats.poisson.logpmf(y + 1 + np.arange(9000), mu))
        np.testing.assert_allclose([found.below, found.above], [below, above], rtol=0, atol=0.02)
    # Negative binomial, binomial and t with many degrees of freedom.
    for mu, shape, y in ((2000.0, 400.0, 5.0), (1e-4, 3.0, 200.0)):
        found = log_tails.negbinomial(np.float64(y), np.float64(mu), shape)
        p = shape / (shape + mu)
        below = special.logsumexp(stats.nbinom.logpmf(np.arange(y + 1), shape, p))
        above = special.logsumexp(stats.nbinom.logpmf(y + 1 + np.arange(20_000), shape, p))
        np.testing.assert_allclose([found.below, found.above], [below, above], rtol=0, atol=0.02)
    x, nu = 120.0, 600.0
    far = stats.t.logpdf(x, nu) + np.log((nu + x**2) / x / (nu + 1))  # to within 1 part in x²
    assert log_tails.student_t(np.float64(x), nu).above == pytest.approx(far, rel=1e-3)
    assert log_tails.student_t(np.float64(-x), nu).below == pytest.approx(far, rel=1e-3)


def test_tails_of_t_and_beta_are_those_of_scipy():
    z = np.linspace(-30, 30, 61)
    for nu in (1.1, 3.0, 80.0):
        found = log_tails.student_t(z, nu)
        check(found, stats.t.cdf(z, nu), stats.t.sf(z, nu), rtol=1e-7)
    y = np.array([1e-9, 0.2, 0.7, 1 - 1e-9])
    for a, b in ((0.2, 3.0), (40.0, 2.0), (3.0, 900.0)):
        found = log_tails.beta(a, b, np.log(y), np.log1p(-y))
        below, above = stats.beta.cdf(y, a, b), stats.beta.sf(y, a, b)
        seen = (below > 1e-280) & (above > 1e-280)
        check(log_tails.Tails(found.below[seen], found.above[seen]), below[seen], above[seen])


@pytest.mark.parametrize(("name", "link"), CASES)
def test_variances_are_those_of_draws(name, link):
    """Within five standard errors, estimated from the draws themselves."""
    family, rng = FAMILIES[name], np.random.default_rng(3)
    own = given(name, link, np.float64(7) if name == "binomial" else None)
    for eta in (-0.5, 0.7):
        made = family.simulate(rng, np.full(400_000, eta), own)
        mean = float(family.mean(np.asarray(eta), own))
        squares = (made - mean) ** 2
        if name in ("student_t", "lognormal"):  # no fourth moment, or a huge one
            limit = 0.1 * squares.mean()
        else:
            limit = 5 * squares.std() / np.sqrt(len(made))
        assert abs(squares.mean() - float(family.variance(np.asarray(eta), own))) < limit


def test_variances_on_the_scale_of_the_predictor_are_those_of_draws():
    rng, n = np.random.default_rng(4), 400_000
    for name in ("gaussian", "lognormal", "gamma", "exponential", "weibull"):
        family, own = FAMILIES[name], given(name, FAMILIES[name].links[0])
        made = family.simulate(rng, np.full(n, 0.4), own)
        made = made if name == "gaussian" else np.log(made)
        square = (made - made.mean()) ** 2
        found = float(family.latent_variance(np.asarray(0.4), own))
        assert abs(square.mean() - found) < 5 * square.std() / np.sqrt(n)
    for link, noise in (("logit", stats.logistic), ("probit", stats.norm)):
        own = FAMILIES["bernoulli"].latent_variance(np.zeros(()), Given(link, {}))
        assert float(own) == pytest.approx(noise.var())
    own = FAMILIES["bernoulli"].latent_variance(np.zeros(()), Given("cloglog", {}))
    assert float(own) == pytest.approx(stats.gumbel_l.var())
    # Counts, as in Nakagawa, Johnson & Schielzeth (2017).
    own = FAMILIES["poisson"].latent_variance(np.log(3.0), Given("log", {}))
    assert float(own) == pytest.approx(np.log(1 + 1 / 3))
    own = FAMILIES["negbinomial"].latent_variance(np.log(3.0), Given("log", {"shape": 2.0}))
    assert float(own) == pytest.approx(np.log(1 + 1 / 3 + 1 / 2))
    # Of a share with a small spread, that of its link by the delta method is that of draws.
    for link, inverse in (("logit", special.logit), ("probit", special.ndtri)):
        own = Given(link, {"phi": 4000.0})
        made = inverse(FAMILIES["beta"].simulate(rng, np.full(n, 0.5), own))
        found = float(FAMILIES["beta"].latent_variance(np.asarray(0.5), own))
        assert found == pytest.approx(made.var(), rel=0.02)
    own = Given("cloglog", {"phi": 4000.0})
    made = FAMILIES["beta"].simulate(rng, np.full(n, 0.2), own)
    found = float(FAMILIES["beta"].latent_variance(np.asarray(0.2), own))
    assert found == pytest.approx(np.log(-np.log1p(-made)).var(), rel=0.02)


def test_hurdles_keep_the_digits_of_positive_counts():
    """Where these are nearly all 1, and where zeros and small counts are rare."""
    family = FAMILIES["hurdle_poisson"]
    found = family.log_tails(np.float64(1), np.float64(-45.0), Given("log", {"hu": 0.3}))
    assert found.below == pytest.approx(0, abs=1e-12)
    # P(2 | > 0) is half of mu where mu is small.
    assert found.above == pytest.approx(np.log(0.7) - 45 - np.log(2))
    found = family.log_tails(np.float64(2), np.float64(5.0), Given("log", {"hu": 1e-90}))
    counts = special.logsumexp(stats.poisson.logpmf([1, 2], np.exp(5.0)))
    assert found.below == pytest.approx(counts, rel=1e-9)


def test_the_rest_of_a_probability():
    p = np.array([1e-300, 1e-17, 0.3, 0.5, 0.9, 1 - 1e-12])
    np.testing.assert_allclose(log_tails.log_rest(np.log(p)), np.log1p(-p), rtol=1e-4, atol=0)
    assert log_tails.log_rest(np.float64(0.0)) == -np.inf
