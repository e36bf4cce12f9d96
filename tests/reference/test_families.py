"""Response families: log densities against scipy, slopes against differences, draws against both.

References are written with `logaddexp`, `log_expit` and `log_ndtr`, so that they hold for linear
predictors from −800 to 800 too. A log density is good to 1e-10 of its size, and to 1e-13 where it
is near 0: there it is one of a product (see `src/family/sweep.rs`), rounded like a number near 1.
"""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from partialpool import _core
from partialpool.errors import InputError
from partialpool.families import FAMILIES, Given, family_of
from responses import AUX, CASES, NONE, aux_of, response

N = 150  # two blocks and a part of one
RNG = np.random.default_rng(20240)
ETA = RNG.normal(0.3, 1.6, N)
EXTREME = np.concatenate([np.linspace(-800, 800, 401), np.linspace(-40, 40, 161)])


def named(name):
    """The same as a mapping, as the Python side takes it."""
    if name == "cumulative":
        return {"threshold": aux_of(name)}
    return dict(zip([d.name for d in FAMILIES[name].dispersion], AUX.get(name, []), strict=True))


def rows(name, link, y, trials, eta, *, aux=None, weights=NONE, log_sigma=NONE):
    aux = aux_of(name) if aux is None else aux
    return _core.family_rows(
        family=name,
        link=link,
        y=y,
        trials=trials,
        weights=weights,
        eta=eta,
        log_sigma=log_sigma,
        aux=aux,
    )


# ---------------------------------------------------------------------------- references


def log_share(link, eta):
    """log p of a binary link."""
    if link == "logit":
        return special.log_expit(eta)
    if link == "probit":
        return special.log_ndtr(eta)
    # log(1 − exp(−μ)), which is η − μ/2 + O(μ²) where μ is small.
    mu = np.exp(np.clip(eta, -800, 700))
    return np.where(eta < -18, eta - mu / 2, np.log(-np.expm1(-np.maximum(mu, 1e-300))))


def log_rest(link, eta):
    """log(1 − p)."""
    return -np.exp(eta) if link == "cloglog" else log_share(link, -eta)


def log_minus(high, low):
    """log(exp(high) − exp(low))."""
    return high + np.log(-np.expm1(low - high))


def poisson(y, eta):
    return y * eta - np.exp(eta) - special.gammaln(y + 1)


def negbinomial(y, eta, shape):
    t = eta - math.log(shape)
    # betaln rather than gammaln, whose difference cancels where y is large.
    log_choose = -special.betaln(y + 1, shape) - np.log(y + shape)
    return log_choose - y * np.logaddexp(0, -t) - shape * np.logaddexp(0, t)


def reference(name, link, y, trials, eta, aux):
    with np.errstate(all="ignore"):
        match name:
            case "gaussian":
                return stats.norm.logpdf(y, eta, aux[0])
            case "student_t":
                return stats.t.logpdf(y, aux[1], eta, aux[0])
            case "lognormal":
                return stats.norm.logpdf(np.log(y), eta, aux[0]) - np.log(y)
            case "bernoulli":
                return np.where(y > 0, log_share(link, eta), log_rest(link, eta))
            case "binomial":
                log_choose = -special.betaln(y + 1, trials - y + 1) - np.log(trials + 1)
                successes = np.where(y > 0, y * log_share(link, eta), 0)
                failures = np.where(trials > y, (trials - y) * log_rest(link, eta), 0)
                return log_choose + successes + failures
            case "poisson":
                return poisson(y, eta)
            case "negbinomial":
                return negbinomial(y, eta, aux[0])
            case "gamma":
                a, d = aux[0], np.log(y) - eta
                return a * (d + math.log(a)) - a * np.exp(d) - special.gammaln(a) - np.log(y)
            case "exponential":
                return -eta - y * np.exp(-eta)
            case "weibull":
                k, d = aux[0], np.log(y) - eta + special.gammaln(1 + 1 / aux[0])
                return math.log(k) + k * d - np.exp(k * d) - np.log(y)
            case "beta":
                log_p, log_q = log_share(link, eta), log_rest(link, eta)
                a, b = aux[0] * np.exp(log_p), aux[0] * np.exp(log_q)
                # Γ(a) = Γ(1 + a)/a, where a may be 0 in numbers but not its logarithm.
                log_gammas = special.gammaln(1 + a) - log_p + special.gammaln(1 + b) - log_q
                constant = special.gammaln(aux[0]) + 2 * math.log(aux[0])
                return constant - log_gammas + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y)
            case "cumulative":
                ends = np.concatenate([[-np.inf], aux, [np.inf]])
                upper, lower = ends[y.astype(int) + 1] - eta, ends[y.astype(int)] - eta
                mirror = upper + lower > 0
                u, low = np.where(mirror, -lower, upper), np.where(mirror, -upper, lower)
                return log_minus(log_share(link, u), log_share(link, low))
            case "zero_inflated_poisson" | "zero_inflated_negbinomial":
                count = poisson if "poisson" in name else negbinomial
                zi, log_p = aux[-1], count(y, eta, *aux[:-1])
                extra = np.where(y == 0, math.log(zi), -np.inf)
                return np.logaddexp(extra, math.log1p(-zi) + log_p)
            case "hurdle_poisson" | "hurdle_negbinomial":
                count = poisson if "poisson" in name else negbinomial
                hu, log_p = aux[-1], count(y, eta, *aux[:-1])
                # log P(0) as it is: `count` has a constant that rounds.
                t = eta - math.log(aux[0])
                zero = -aux[0] * np.logaddexp(0, t) if len(aux) > 1 else -np.exp(eta)
                # 1 − P(0) is μ to first order.
                some = np.where(eta < -30, eta, np.log(-np.expm1(np.minimum(zero, -1e-300))))
                return np.where(y == 0, math.log(hu), math.log1p(-hu) + log_p - some)
    raise AssertionError(name)


def close(value, expected, relative=1e-10, absolute=1e-13):
    np.testing.assert_allclose(value, expected, rtol=relative, atol=absolute)


# ---------------------------------------------------------------------------- log densities


@pytest.mark.parametrize(("name", "link"), CASES)
def test_log_density_is_that_of_scipy(name, link):
    y, trials = response(name, N, np.random.default_rng(3))
    logp = rows(name, link, y, trials, ETA)[0]
    # Counts of 1e6 are differences of numbers of the size of 1e7.
    absolute = 1e-13 * (1 + np.abs(y) * 30) if "whole" in FAMILIES[name].needs else 1e-13
    expected = reference(name, link, y, trials, ETA, aux_of(name))
    assert np.all(np.abs(logp - expected) <= 1e-10 * np.abs(expected) + absolute)


@pytest.mark.parametrize(("name", "link"), CASES)
def test_many_draws_at_once_are_scipys_draw_by_draw(name, link):
    """Random rows and draws, with weights and residual sds of the rows' own, on several threads."""
    rng = np.random.default_rng(31)
    for n, draws, threads in ((1, 1, 1), (7, 9, 3), (600, 3, 2), (65, 20, 5)):
        y, trials = response(name, max(n, 6), rng)
        y, trials = y[:n], trials[:n]
        eta = rng.normal(0.3, 2.0, (n, draws))
        aux = aux_of(name) * rng.uniform(0.7, 1.3, (draws, 1))
        precise = name in ("gaussian", "student_t", "lognormal")
        own = rng.normal(0, 0.7, (n, draws)) if precise and n > 1 else np.empty((0, 0))
        weights = rng.uniform(0.2, 3, n) if n == 7 else NONE
        given = aux[:, 1:] if own.size else aux
        found = _core.row_densities(
            family=name,
            link=link,
            y=y,
            trials=trials,
            weights=weights,
            eta=eta,
            log_sigma=own,
            aux=np.ascontiguousarray(given),
            threads=threads,
        )
        assert found.shape == (n, draws)
        for s in range(draws):
            expected = np.empty(n)
            for i in range(n):
                numbers = aux[s].copy()
                if own.size:
                    numbers[0] = np.exp(own[i, s])
                weight = weights[i] if len(weights) else 1.0
                if precise:
                    numbers[0] /= math.sqrt(weight)
                one = reference(name, link, y[[i]], trials[i : i + 1], eta[[i], s], numbers)
                expected[i] = one[0] * (1.0 if precise else weight)
            absolute = 1e-12 * (1 + np.abs(y) * 30) if "whole" in FAMILIES[name].needs else 1e-12
            assert np.all(np.abs(found[:, s] - expected) <= 1e-10 * np.abs(expected) + absolute)


def test_shapes_that_do_not_agree_are_refused():
    y, eta, none = np.ones(3), np.zeros((3, 2)), np.empty((0, 0))
    good = np.full((2, 1), 1.5)
    for change in (
        {"aux": np.ones((3, 1))}, {"aux": np.ones((2, 2))}, {"aux": np.ones((2, 0))},
        {"y": np.ones(2)}, {"weights": np.ones(2)}, {"trials": np.ones(3)},
        {"log_sigma": np.zeros((3, 1))}, {"y": -np.ones(3)},
    ):  # fmt: skip
        given = {"y": y, "trials": NONE, "weights": NONE, "eta": eta, "log_sigma": none}
        given |= {"aux": good} | change
        with pytest.raises(ValueError, match=r"agree|needs|trials|differ|cannot give"):
            _core.row_densities(family="negbinomial", link="log", **given, threads=1)


def test_references_are_scipys_own_where_they_are_written_out():
    y, eta = np.array([0.0, 1, 2, 7, 20]), np.array([-1.0, 0.2, 0.9, 2.0, 2.5])
    mu = np.exp(eta)
    close(poisson(y, eta), stats.poisson.logpmf(y, mu))
    close(negbinomial(y, eta, 1.7), stats.nbinom.logpmf(y, 1.7, 1.7 / (1.7 + mu)))
    share = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    p = special.expit(eta)
    beta = reference("beta", "logit", share, NONE, eta, np.array([3.7]))
    close(beta, stats.beta.logpdf(share, 3.7 * p, 3.7 * (1 - p)))
    gamma = reference("gamma", "log", share, NONE, eta, np.array([2.3]))
    close(gamma, stats.gamma.logpdf(share, 2.3, scale=mu / 2.3))
    weibull = reference("weibull", "log", share, NONE, eta, np.array([1.4]))
    close(weibull, stats.weibull_min.logpdf(share, 1.4, scale=mu / special.gamma(1 + 1 / 1.4)))
    trials = np.full(5, 20.0)
    binomial = reference("binomial", "logit", y, trials, eta, NONE)
    close(binomial, stats.binom.logpmf(y, trials, p))
    close(np.exp(log_share("cloglog", eta)), 1 - np.exp(-mu))


COUNTS = [name for name, family in FAMILIES.items() if family.needs == "whole numbers from 0"]


@pytest.mark.parametrize("name", [*COUNTS, "cumulative"])
def test_probabilities_sum_to_one(name):
    for link in FAMILIES[name].links:
        for eta in (-3.0, 0.0, 1.2):
            y = np.arange(5.0 if name == "cumulative" else 400.0)
            logp = rows(name, link, y, NONE, np.full(len(y), eta))[0]
            assert np.exp(logp).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "student_t", "lognormal", "gamma", "weibull", "beta"])
def test_densities_integrate_to_one(name):
    ends = {"gaussian": (-40, 40), "student_t": (-math.inf, math.inf), "beta": (0, 1)}
    for link in FAMILIES[name].links:

        def density(y, link=link):
            return math.exp(rows(name, link, np.array([y]), NONE, np.array([0.4]))[0][0])

        total = integrate.quad(density, *ends.get(name, (0, math.inf)), epsabs=1e-9, limit=200)[0]
        assert total == pytest.approx(1, abs=1e-7)


# ---------------------------------------------------------------------------- slopes


def difference(function, step):
    """Slope at 0, to fourth order in the step."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (
        12 * step
    )


@pytest.mark.parametrize(("name", "link"), CASES)
def test_slopes_are_those_of_differences(name, link):
    y, trials = response(name, N, np.random.default_rng(4))
    if name in COUNTS:
        y = np.minimum(y, 300)
    own = [NONE]
    if FAMILIES[name].links == ("identity",):
        own.append(RNG.normal(0, 0.4, N))
    for log_sigma in own:
        aux = aux_of(name)[1 if len(log_sigma) else 0 :]

        def logp(eta=0.0, own=0.0, aux=aux, log_sigma=log_sigma):
            out = rows(name, link, y, trials, ETA + eta, aux=aux, log_sigma=log_sigma + own)
            return out[0]

        _, d_eta, d_own, d_aux = rows(name, link, y, trials, ETA, aux=aux, log_sigma=log_sigma)
        # Truncation is h⁴/30 of the fifth derivative, rounding 1e-16 |logp|/h.
        h = 2e-3
        size = 1 + np.abs(logp()) + np.abs(d_eta)
        assert np.all(np.abs(d_eta - difference(lambda e: logp(eta=e), h)) < 1e-9 * size)
        if len(log_sigma):
            slope = difference(lambda e: logp(own=e), h)
            assert np.all(np.abs(d_own - slope) < 1e-9 * (size + np.abs(d_own)))
        for k in range(len(aux)):
            unit = np.eye(len(aux))[k] * aux[k]

            def total(e, aux=aux, unit=unit, logp=logp):
                return logp(aux=aux + e * unit).sum()

            # A smaller step: hazards of Weibull's distribution bend a lot.
            slope = difference(total, h / 4) / aux[k]
            assert d_aux[k] == pytest.approx(slope, abs=1e-9 * (1 + np.abs(logp()).sum()))


# ---------------------------------------------------------------------------- far out


@pytest.mark.parametrize(("name", "link"), CASES)
def test_extreme_linear_predictors(name, link):
    """Right where the true value is a number, −∞ (or next to it) where it is not; never NaN."""
    some, trials = response(name, 40, np.random.default_rng(5))
    if name == "cumulative":
        some = np.arange(5.0)
    if len(trials):
        some[:2] = 0, 12  # neither successes nor failures: 0 · ∞
    previous = None
    for y in np.unique(some[:12]) if not len(trials) else some[:12]:
        all_y = np.full(len(EXTREME), y)
        # No single rows of the binomial's trials are needed: they do not matter here.
        t = np.full(len(EXTREME), 12.0) if len(trials) else NONE
        with np.errstate(all="ignore"):
            logp, d_eta, _, d_aux = rows(name, link, all_y, t, EXTREME)
            expected = reference(name, link, all_y, t, EXTREME, aux_of(name))
        known = np.isfinite(expected) & (np.abs(expected) < 1e300)
        assert not np.isnan(logp).any()
        assert not np.isnan(d_eta).any()
        # Where the normal density ends scipy has no more digits of a difference of tails.
        absolute = 1e-13 * (1 + np.abs(y) * 1000)
        close(logp[known], expected[known], absolute=absolute)
        assert np.all(logp[~known] < -1e299)
        # The slope leads uphill, from one point of the grid to the next.
        order = np.argsort(EXTREME)
        up, down = d_eta[order][:-1], d_eta[order][1:]
        with np.errstate(invalid="ignore"):
            rise = np.diff(logp[order])
            clear = np.isfinite(rise) & (np.abs(rise) > 1e-9 * (1 + np.abs(logp[order][1:])))
        # With one peak: a rise implies that the slope at its left end was up.
        assert np.all(up[clear & (rise > 0)] > 0)
        assert np.all(down[clear & (rise < 0)] < 0)
        assert previous is None or d_aux.shape == previous
        previous = d_aux.shape


@pytest.mark.parametrize(("name", "link"), CASES)
def test_slopes_by_dispersion_stay_numbers_far_out(name, link):
    y, trials = response(name, N, np.random.default_rng(6))
    for far in (-300.0, 300.0):
        _, d_eta, _, d_aux = rows(name, link, y, trials, np.full(N, far))
        assert not np.isnan(d_aux).any()
        assert not np.isnan(d_eta).any()


def test_the_probit_slope_is_the_mills_ratio_far_out():
    for far in (30.0, 800.0):
        d_eta = rows("bernoulli", "probit", np.ones(1), NONE, np.array([-far]))[1]
        # φ/Φ at −x is x + 1/x − 2/x³ + O(x⁻⁵) (Abramowitz & Stegun 26.2.12).
        assert d_eta[0] == pytest.approx(far + 1 / far - 2 / far**3, rel=1e-6 / far)


def test_middle_categories_have_right_slopes_in_both_tails():
    """Far out, the density at the nearer threshold rules: slopes ∓1, or its distance."""
    y, aux = np.array([1.0, 2.0, 3.0]), aux_of("cumulative")
    for far in (-500.0, 500.0):
        eta = np.full(3, far)
        logit = rows("cumulative", "logit", y, NONE, eta)[1]
        close(logit, -np.sign(far) * np.ones(3))
        probit = rows("cumulative", "probit", y, NONE, eta)[1]
        nearer = aux[1:] if far > 0 else aux[:-1]
        distance = nearer - far
        # φ(d)/∫φ over the interval is |d| + 1/|d| to this order.
        np.testing.assert_allclose(probit, distance + 1 / distance, rtol=1e-7)


def test_dispersion_at_its_ends_keeps_its_digits():
    """A large shape is the simpler family, to first order in 1/shape."""
    y, eta = np.array([0.0, 1, 3, 8]), np.array([0.1, 0.5, 1.0, 2.0])
    shape, mu = 1e9, np.exp(np.array([0.1, 0.5, 1.0, 2.0]))
    logp = rows("negbinomial", "log", y, NONE, eta, aux=np.array([shape]))[0]
    first = ((y - mu) ** 2 - y) / (2 * shape)
    close(logp, stats.poisson.logpmf(y, mu) + first, relative=1e-12)
    t = rows("student_t", "identity", y, NONE, eta, aux=np.array([1.0, 1e9]))[0]
    z = y - eta
    close(t, stats.norm.logpdf(z) + (z**4 - 2 * z**2 - 1) / 4e9, relative=1e-12)


# ---------------------------------------------------------------------------- weights


@pytest.mark.parametrize(("name", "link"), CASES)
def test_weights(name, link):
    y, trials = response(name, N, np.random.default_rng(7))
    weights = RNG.uniform(0.1, 3, N)
    plain = rows(name, link, y, trials, ETA)
    logp, d_eta, _, d_aux = rows(name, link, y, trials, ETA, weights=weights)
    if FAMILIES[name].links == ("identity",):
        # Those of precision: the residual sd of a row is sigma/√weight.
        aux = aux_of(name)
        for i in (0, 1, N - 1):
            scaled = np.array([aux[0] / math.sqrt(weights[i]), *aux[1:]])
            one = slice(i, i + 1)
            close(logp[one], reference(name, link, y[one], NONE, ETA[one], scaled))
            close(d_eta[one], rows(name, link, y[one], NONE, ETA[one], aux=scaled)[1])
        whole = rows(name, link, y, NONE, ETA, log_sigma=math.log(aux[0]) - np.log(weights) / 2,
                     aux=aux[1:])  # fmt: skip
        close(logp, whole[0])
        close(d_aux[0], whole[2].sum() / aux[0], relative=1e-9)
        return
    close(logp, weights * plain[0], absolute=1e-13 * (1 + np.abs(y).max() * 100))
    close(d_eta, weights * plain[1])
    each = [
        rows(name, link, y[[i]], trials[[i]] if len(trials) else NONE, ETA[[i]])[3]
        for i in range(N)
    ]
    close(d_aux, weights @ np.array(each), relative=1e-8)


def test_a_row_without_weight_counts_for_nothing_even_where_it_is_impossible():
    for name, eta in (("poisson", 800.0), ("gamma", -800.0), ("hurdle_poisson", 800.0)):
        y, weights = np.array([1.0, 1.0]), np.array([0.0, 1.0])
        logp, d_eta, _, d_aux = rows(name, "log", y, NONE, np.array([eta, 0.0]), weights=weights)
        assert logp[0] == 0
        assert d_eta[0] == 0
        assert np.isfinite(d_aux).all()


def test_the_core_refuses_what_no_family_can_give():
    for name, link, y in (
        ("poisson", "log", 1.5),
        ("poisson", "log", -1.0),
        ("bernoulli", "logit", 2.0),
        ("gamma", "log", 0.0),
        ("beta", "logit", 1.0),
        ("gaussian", "identity", math.nan),
        ("poisson", "logit", 1.0),
        ("poison", "log", 1.0),
        ("binomial", "logit", 1.0),
    ):
        with pytest.raises(ValueError, match=name.split("_")[0][:4] + "|trials"):
            rows(name, link, np.array([y]), NONE, np.zeros(1))
    with pytest.raises(ValueError, match="weights"):
        rows("poisson", "log", np.ones(1), NONE, np.zeros(1), weights=-np.ones(1))


# ---------------------------------------------------------------------------- draws and means


@pytest.mark.parametrize(("name", "link"), CASES)
def test_draws_have_the_density_and_the_mean(name, link):
    """200 000 draws at three linear predictors; 5 standard errors, over some 400 comparisons."""
    family, size = FAMILIES[name], 200_000
    aux = named(name)
    rng = np.random.default_rng(8)
    trials = np.full(3, 7.0) if name == "binomial" else None
    # Beyond, the beta distribution has mass at shares that round to 1.
    eta = np.array([-1.0, 0.2, 0.9])
    mean = family.mean(eta, Given(link, aux, trials))
    draws = family.simulate(rng, np.broadcast_to(eta, (size, 3)), Given(link, aux, trials))
    assert draws.shape == (size, 3)
    assert draws.dtype == float
    for k in range(3):
        y, at = draws[:, k], eta[k]
        assert abs(y.mean() - mean[k]) < 5 * y.std() / math.sqrt(size)
        family.check("y", y, None if trials is None else np.full(size, 7.0), np.arange(size))
        if family.needs.startswith("numbers"):
            # Kolmogorov's distance exceeds 2.2/√n with a probability of 1e-4.
            assert stats.kstest(y, distribution(name, link, at, aux).cdf).statistic < 2.2 / 447
            continue
        values = (
            np.arange(8.0) if trials is not None else np.arange(2 if name == "bernoulli" else 25)
        )
        if name == "cumulative":
            values = np.arange(5)
        values = values.astype(float)
        t = NONE if trials is None else np.full(len(values), 7.0)
        p = np.exp(rows(name, link, values, t, np.full(len(values), at))[0])
        counts = np.array([(y == value).sum() for value in values])
        assert np.all(np.abs(counts - size * p) < 5 * np.sqrt(size * p * (1 - p)) + 5)


def distribution(name, link, eta, aux):
    mu = math.exp(eta)
    match name:
        case "gaussian":
            return stats.norm(eta, aux["sigma"])
        case "student_t":
            return stats.t(aux["nu"], eta, aux["sigma"])
        case "lognormal":
            return stats.lognorm(aux["sigma"], scale=mu)
        case "gamma":
            return stats.gamma(aux["shape"], scale=mu / aux["shape"])
        case "exponential":
            return stats.expon(scale=mu)
        case "weibull":
            return stats.weibull_min(aux["shape"], scale=mu / math.gamma(1 + 1 / aux["shape"]))
    p = float(np.exp(log_share(link, np.array(eta))))
    return stats.beta(p * aux["phi"], (1 - p) * aux["phi"])


@pytest.mark.parametrize(("name", "link"), CASES)
def test_dispersion_is_broadcast_over_draws(name, link):
    family, rng = FAMILIES[name], np.random.default_rng(9)
    eta = rng.normal(0, 1, (6, 4))
    aux = {k: np.full((6, 1), v) for k, v in named(name).items() if k != "threshold"}
    if name == "cumulative":
        aux = {"threshold": np.broadcast_to(aux_of(name), (6, 1, 4))}
    trials = np.array([1.0, 5, 0, 9]) if name == "binomial" else None
    assert family.simulate(rng, eta, Given(link, aux, trials)).shape == (6, 4)
    mean = family.mean(eta, Given(link, aux, trials))
    close(mean, family.mean(eta, Given(link, named(name), trials)))
    if "sigma" in aux:
        own = np.full((6, 4), math.log(named(name)["sigma"]))
        rest = {k: v for k, v in aux.items() if k != "sigma"}
        close(family.mean(eta, Given(link, rest, log_sigma=own)), mean)
        a = family.simulate(np.random.default_rng(1), eta, Given(link, aux))
        close(family.simulate(np.random.default_rng(1), eta, Given(link, rest, log_sigma=own)), a)


@pytest.mark.parametrize(("name", "link"), CASES)
def test_far_out_draws_are_possible_responses(name, link):
    family, eta = FAMILIES[name], np.array([-800.0, -50, 50, 700])
    trials = np.full(4, 7.0) if name == "binomial" else None
    aux = named(name)
    y = family.simulate(np.random.default_rng(2), eta, Given(link, aux, trials))
    if name not in ("lognormal",):  # its draws run out of numbers on both sides
        family.check("y", y[:3], None if trials is None else trials[:3], np.arange(3))
    mean = family.mean(eta, Given(link, aux, trials))
    assert not np.isnan(mean).any()
    assert np.all(np.diff(mean) >= 0)


def test_far_out_counts_above_a_hurdle():
    for name, few in (("hurdle_poisson", {}), ("hurdle_negbinomial", {"shape": 0.01})):
        family, aux, where = FAMILIES[name], {"hu": 0.25, **few}, np.arange(2000)
        # A count above 0 is 1 where the mean vanishes.
        low = np.full(2000, -800.0)
        assert family.mean(low, Given("log", aux))[0] == 0.75
        assert np.isin(
            family.simulate(np.random.default_rng(3), low, Given("log", aux)), [0, 1]
        ).all()
        high = np.full(2000, 700.0)
        y = family.simulate(np.random.default_rng(3), high, Given("log", aux))
        family.check("y", y, None, where)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_category_probabilities_are_those_of_the_core(link):
    eta, thresholds = np.array([-30.0, -1, 0.4, 2, 25]), aux_of("cumulative")
    p = FAMILIES["cumulative"].probabilities(eta, link, thresholds)
    assert p.shape == (5, 5)
    close(p.sum(axis=-1), 1)
    for k in range(5):
        core = rows("cumulative", link, np.full(5, float(k)), NONE, eta)[0]
        np.testing.assert_allclose(p[:, k], np.exp(core), rtol=1e-11)


# ---------------------------------------------------------------------------- the table


@pytest.mark.parametrize("name", FAMILIES)
def test_the_table_agrees_with_the_core(name):
    family = FAMILIES[name]
    assert family.name == name
    # One dispersion parameter each, in the core's order: names are those of AUX above.
    assert len(family.dispersion) == (0 if name == "cumulative" else len(AUX.get(name, [])))
    assert family_of(name) == (family, family.links[0])
    for one in family.dispersion:
        assert one.low < one.high
        assert (one.default is None) == (one.name == "sigma")
    assert family.unit_scale == (name not in ("gaussian", "student_t", "lognormal"))


def test_unknown_names_are_answered_with_known_ones():
    with pytest.raises(InputError, match="unknown family `poison`: did you mean `poisson`"):
        family_of("poison")
    with pytest.raises(InputError, match="`poisson` has no link `logit`: did you mean `log`"):
        family_of("poisson", "logit")
    with pytest.raises(InputError, match="`beta` has no link `probt`: did you mean `probit`"):
        family_of("beta", "probt")


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        ("bernoulli", 2.0, "0 or 1"),
        ("poisson", -1.0, "whole numbers from 0"),
        ("negbinomial", 0.5, "whole numbers from 0"),
        ("hurdle_poisson", math.inf, "whole numbers from 0"),
        ("gamma", 0.0, "numbers above 0"),
        ("lognormal", 0.0, "numbers above 0"),
        ("exponential", 0.0, "numbers above 0"),
        ("weibull", -1.0, "numbers above 0"),
        ("beta", 1.0, "above 0 and below 1"),
        ("cumulative", 0.5, "categories counted from 0"),
        ("gaussian", math.nan, "numbers"),
    ],
)
def test_check_names_the_rows(name, bad, words):
    good = 0.5 if name == "beta" else 1.0
    y = np.full(9, good)
    where = np.arange(9) * 10
    FAMILIES[name].check("y", y, None, where)
    y[3] = bad
    with pytest.raises(InputError, match=rf"{words}, but `y` is {bad:g} in row 31: correct"):
        FAMILIES[name].check("y", y, None, where)
    y[2:] = bad
    with pytest.raises(InputError, match=r"in row 21 \(7 rows do not fit: 21, 31, 41, 51, 61, …\)"):
        FAMILIES[name].check("y", y, None, where)


def test_check_of_trials_and_categories():
    y, where = np.array([0.0, 3, 2]), np.arange(3)
    binomial = FAMILIES["binomial"]
    binomial.check("y", y, np.array([0.0, 3, 5]), where)
    with pytest.raises(InputError, match=r"needs the number of trials .* `trials=`"):
        binomial.check("y", y, None, where)
    with pytest.raises(
        InputError, match=r"`y` is 3, of 2 trials, in row 2 \(2 rows do not fit: 2, 3\)"
    ):
        binomial.check("y", y, np.array([0.0, 2, 2.5]), where)
    with pytest.raises(InputError, match="`trials` is given, but `poisson` has none"):
        FAMILIES["poisson"].check("y", y, np.ones(3), where)
    with pytest.raises(InputError, match="at least two categories"):
        FAMILIES["cumulative"].check("y", np.zeros(3), None, where)
    FAMILIES["hurdle_poisson"].check("y", np.ones(3), None, where)


def test_the_centre_of_the_intercept():
    y, offset = np.array([1.0, 4, 7]), np.log(np.array([10.0, 20, 50]))
    assert FAMILIES["gaussian"].centre(y, None, np.ones(3)) == pytest.approx(3)
    assert FAMILIES["lognormal"].centre(y, None) == pytest.approx(np.log(y).mean())
    assert FAMILIES["poisson"].centre(y, None, offset) == pytest.approx(math.log(12 / 80))
    assert FAMILIES["gamma"].centre(y, None) == pytest.approx(math.log(4))
    # Even where no event, or an offset beyond the range of exp.
    assert FAMILIES["poisson"].centre(np.zeros(3), None) == pytest.approx(math.log(0.5 / 3))
    shifted = FAMILIES["poisson"].centre(y, None, offset + 1000)
    assert shifted == pytest.approx(math.log(12 / 80) - 1000)
    for name in ("bernoulli", "binomial", "beta", "cumulative"):
        assert FAMILIES[name].centre(y, y) == 0


@pytest.mark.parametrize("name", AUX)
def test_chains_start_near_the_dispersion_that_made_the_data(name):
    family = FAMILIES[name]
    eta = np.full(20_000, 0.6)
    y = family.simulate(np.random.default_rng(11), eta, Given(family.links[0], named(name)))
    start = family.start(y, None)
    assert list(start) == [one.name for one in family.dispersion]
    for key, value in start.items():
        # Moments of other families than the one at hand: right within a factor of 4.
        low = 1.0 if key == "nu" else 0.0
        assert low < value
        assert 0.25 < value / named(name)[key] < 4
    # Constant responses have no variance; there is still a start within the support.
    for constant in (1.0,) if name != "beta" else (0.5,):
        for one in family.dispersion:
            assert one.low < family.start(np.full(5, constant), None)[one.name] < one.high


def test_chains_start_near_a_large_shape_too():
    for name, aux in (("gamma", 40.0), ("weibull", 12.0)):
        eta = np.full(20_000, 0.6)
        y = FAMILIES[name].simulate(np.random.default_rng(12), eta, Given("log", {"shape": aux}))
        assert FAMILIES[name].start(y, None)["shape"] == pytest.approx(aux, rel=0.1)


def test_probabilities_of_links_keep_their_digits():
    eta = np.array([-700.0, -30, -1, 0, 1, 30, 37])
    for link in ("logit", "probit", "cloglog"):
        p, q = _core.link_probabilities(link=link, eta=eta, threads=1)
        with np.errstate(under="ignore"):
            close(p, np.exp(log_share(link, eta)), absolute=1e-307)
            close(q, np.exp(log_rest(link, eta)), absolute=1e-307)
        long = np.resize(eta, 20_000)
        np.testing.assert_array_equal(
            _core.link_probabilities(link=link, eta=long, threads=3)[0], np.resize(p, 20_000)
        )
    with pytest.raises(ValueError, match="identity"):
        _core.link_probabilities(link="identity", eta=eta, threads=1)
