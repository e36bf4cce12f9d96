"""Priors: draws and densities against scipy, cuts, reading from text, and what is refused."""

import math

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import model_of
from partialpool.model.defaults import bounds, is_truncated
from partialpool.priors import PRIORS, parse_prior

# A prior beside its distribution in scipy.
PAIRS = {
    "normal": (pp.Normal(0.4, 1.3), stats.norm(0.4, 1.3)),
    "student": (pp.StudentT(3, 0.4, 1.3), stats.t(3, 0.4, 1.3)),
    "cauchy": (pp.Cauchy(-0.2, 0.7), stats.cauchy(-0.2, 0.7)),
    "half normal": (pp.HalfNormal(1.7), stats.halfnorm(scale=1.7)),
    "half student": (pp.HalfStudentT(4, 0.8), stats.foldnorm(0)),  # replaced below
    "half cauchy": (pp.HalfCauchy(5), stats.halfcauchy(scale=5)),
    "exponential": (pp.Exponential(2.5), stats.expon(scale=1 / 2.5)),
    "gamma": (pp.Gamma(2.5, 1.4), stats.gamma(2.5, scale=1 / 1.4)),
    "gamma below 1": (pp.Gamma(0.6, 1.4), stats.gamma(0.6, scale=1 / 1.4)),
    "inverse gamma": (pp.InverseGamma(3, 2), stats.invgamma(3, scale=2)),
    "log-normal": (pp.LogNormal(0.2, 0.6), stats.lognorm(0.6, scale=math.exp(0.2))),
    "uniform": (pp.Uniform(0.3, 9.5), stats.uniform(0.3, 9.2)),
}


class HalfT:
    """Student's t restricted to values above 0."""

    t = stats.t(4, 0, 0.8)

    def cdf(self, x):
        return np.where(np.asarray(x) < 0, 0, 2 * self.t.cdf(x) - 1)

    def logpdf(self, x):
        return np.log(2) + self.t.logpdf(x)


PAIRS["half student"] = (pp.HalfStudentT(4, 0.8), HalfT())
POSITIVE = [name for name, (prior, _) in PAIRS.items() if prior.support[0] >= 0]
REAL = ["student", "cauchy", "uniform"]  # normal ones are integrated, never sampled


@pytest.mark.parametrize("name", PAIRS)
def test_draws(name):
    prior, expected = PAIRS[name]
    x = prior.draw(np.random.default_rng(1), 5000)
    assert x.shape == (5000,)
    # p < 1e-6 with a fixed seed; 12 cases: a false alarm of 1e-5.
    assert stats.kstest(x, expected.cdf).pvalue > 1e-6


@pytest.mark.parametrize("name", PAIRS)
def test_draws_within_bounds(name):
    prior, expected = PAIRS[name]
    low, high = 0.5, 2.0
    x = prior.draw(np.random.default_rng(2), 5000, low, high)
    assert len(x) == 5000
    assert low <= x.min()
    assert x.max() <= high
    below, above = expected.cdf(low), expected.cdf(high)
    cut = stats.kstest(x, lambda v: (expected.cdf(v) - below) / (above - below))
    assert cut.pvalue > 1e-6


@pytest.mark.parametrize("prior", [pp.Flat(), pp.LKJ(2)])
def test_nothing_is_drawn_from_an_improper_prior(prior):
    with pytest.raises(pp.InputError):
        prior.draw(np.random.default_rng(1), 10)


def test_draws_need_mass():
    with pytest.raises(pp.InputError, match="almost no mass between 50 and inf"):
        pp.Normal(0, 1).draw(np.random.default_rng(1), 10, low=50)


# The density that the core samples: log prior at u, less the log of its map's slope (by
# differences), is the log density of scipy up to a constant. Central differences with Richardson:
# error ~1e-12 of truncation and 1e-16/1e-3 of rounding, hence 1e-9.

DATA = {"y": [0.3, 1.2, -0.4, 2.0, 0.9, 1.6], "x": [0.0, 1.0, 2.0, 3.0, 1.5, -1.0]}


def slope_of_map(value, u):
    def central(h):
        return (value(u + h) - value(u - h)) / (2 * h)

    return (4 * central(5e-4) - central(1e-3)) / 3


def assert_density(core, value_of, expected, nodes):
    """Compare the density of the one coordinate that `value_of` follows, the first or last."""

    def value(u):
        return value_of(core.constrain(u))

    def mapped(x):
        u = np.array(core.start())
        u[coordinate] = x
        return u

    base = np.array(core.start())
    moved = [
        k for k in range(core.dim) if abs(value(base + 0.3 * np.eye(core.dim)[k]) - value(base)) > 0
    ]
    (coordinate,) = moved
    constants = []
    for x in nodes + base[coordinate]:
        at = core.constrain(mapped(x))
        slope = slope_of_map(lambda v: value(mapped(v)), x)
        constants.append(
            at["log_prior"] - math.log(abs(slope)) - float(expected.logpdf(value_of(at)))
        )
    assert np.ptp(constants) < 1e-9


NODES = np.linspace(-1.6, 1.7, 9)


@pytest.mark.parametrize("name", POSITIVE)
def test_density_of_sigma(name):
    prior, expected = PAIRS[name]
    core = model_of("y ~ x", DATA, {"sigma": prior}).core
    assert_density(core, lambda at: at["sigma"], expected, NODES)


@pytest.mark.parametrize("name", POSITIVE)
def test_density_of_a_group_sd(name):
    prior, expected = PAIRS[name]
    data = DATA | {"g": [0, 0, 1, 1, 2, 2]}
    core = model_of("y ~ x + (1 | g)", data, {"sd_g": prior}, se=np.ones(6)).core
    nodes = NODES + 0.013  # not where the sd, which may pass through 0, has a kink
    assert_density(core, lambda at: at["sd"][0], expected, nodes)


@pytest.mark.parametrize("name", REAL)
def test_density_of_a_coefficient(name):
    prior, expected = PAIRS[name]
    core = model_of("y ~ x", DATA, {"b[x]": prior}).core
    assert_density(core, lambda at: at["sampled"][0], expected, NODES)


@pytest.mark.parametrize(
    ("prior", "whole", "low"),
    [
        (pp.Normal(0.5, 1), stats.norm(0.5, 1), 0),
        (pp.StudentT(3, 0.2, 1), stats.t(3, 0.2, 1), 0),
        (pp.Cauchy(0, 2), stats.cauchy(0, 2), 0),
        (pp.Uniform(-3, 4), stats.uniform(-3, 7), 0),
    ],
)
def test_a_prior_of_a_scale_is_cut_at_zero(prior, whole, low):
    assert bounds("sd_g[x]", prior)[0] == low
    assert is_truncated("sd_g[x]", prior)
    assert not is_truncated("b[x]", prior)
    # The shape above 0 is that of the whole density.
    core = model_of("y ~ x", DATA, {"sigma": prior}).core
    assert_density(core, lambda at: at["sigma"], whole, NODES)
    fit = pp.fit("y ~ x", DATA, priors={"sigma": prior}, seed=1, draws=50)
    assert fit.run.sigma.min() > 0
    assert "prior-truncated" in {finding.code for finding in fit.findings}


def test_bounds_are_kept():
    fit = pp.fit("y ~ x", DATA, priors={"b[x]": pp.Uniform(0.2, 0.3)}, seed=1, draws=300)
    assert fit.run.b[..., 1].min() >= 0.2
    assert fit.run.b[..., 1].max() <= 0.3


def test_lkj_density():
    # For two columns ρ has density ∝ (1 − ρ²)^(eta − 1).
    data = DATA | {"g": [0, 0, 1, 1, 2, 2]}
    for eta in (1.0, 2.0, 4.5):
        core = model_of("y ~ x + (x | g)", data, {"cor_g": pp.LKJ(eta)}, se=np.ones(6)).core

        class Rho:
            eta_ = eta

            def logpdf(self, rho):
                return (self.eta_ - 1) * np.log(1 - rho**2)

        assert_density(core, lambda at: at["cor"][0], Rho(), NODES)


def test_lkj_density_of_three_columns():
    # det(cor)^(eta − 1): both the density and the three-dimensional Jacobian, by differences.
    rng = np.random.default_rng(4)
    data = {"y": rng.normal(size=12), "g": np.resize([0, 1, 2], 12)}
    data |= {"x": rng.normal(size=12), "z": rng.normal(size=12)}
    core = model_of("y ~ (x + z | g)", data, {"cor_g": pp.LKJ(3)}, se=np.ones(12)).core
    base, constants = np.array(core.start()), []
    for shift in rng.normal(size=(6, 3)):
        u = base.copy()
        u[-3:] += shift
        cor = core.constrain(u)["cor"]

        def value(k, step, u=u):
            return core.constrain(u + step * np.eye(core.dim)[k])["cor"]

        jacobian = [
            slope_of_map(lambda h, k=k: value(k, h), 0.0) for k in range(core.dim - 3, core.dim)
        ]
        matrix = np.eye(3)
        matrix[[0, 0, 1], [1, 2, 2]] = matrix[[1, 2, 2], [0, 0, 1]] = cor
        expected = 2 * np.linalg.slogdet(matrix)[1]
        log_prior = core.constrain(u)["log_prior"]
        constants.append(log_prior - np.linalg.slogdet(np.array(jacobian))[1] - expected)
    assert np.ptp(constants) < 1e-8


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("normal(0, 2.5)", pp.Normal(0, 2.5)),
        ("Normal(0,2.5)", pp.Normal(0, 2.5)),
        (" student_t( 3 , 0 , 1e2 ) ", pp.StudentT(3, 0, 100)),
        ("StudentT(3)", pp.StudentT(3, 0, 1)),
        ("half_cauchy(5)", pp.HalfCauchy(5)),
        ("halfnormal", pp.HalfNormal(1)),
        ("uniform(-1e3, +10)", pp.Uniform(-1000, 10)),
        ("flat", pp.Flat()),
        ("flat()", pp.Flat()),
        ("lkj(2)", pp.LKJ(2)),
        ("inverse_gamma(2, 1)", pp.InverseGamma(2, 1)),
    ],
)
def test_reading_a_prior(text, prior):
    assert parse_prior(text) == prior


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_reads_back_what_it_says(name):
    kind = PRIORS[name]
    given = {"low": 1.0, "high": 2.0}
    prior = kind(*(given.get(f, 1.5) for f in kind.__struct_fields__))
    assert parse_prior(str(prior)) == prior


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("norml(0, 1)", "unknown prior `norml`: did you mean `Normal`?"),
        ("zzz(1)", "unknown prior `zzz`: choose one of"),
        ("normal(0, 1", "is not a prior: write it like `normal\\(0, 2.5\\)`"),
        ("normal(0, 1) + 1", "is not a prior"),
        ("", "is not a prior"),
        ("normal(a, b)", r"takes \(mean, sd\)"),
        ("normal(1, 2, 3)", r"takes \(mean, sd\)"),
        ("uniform(1)", r"takes \(low, high\)"),
        ("normal(0, -1)", "`sd` of Normal is -1: it must be above 0"),
        ("normal(0, nan)", "`sd` of Normal is nan: give a finite number"),
        ("uniform(2, 1)", "has no room: give the lower bound first"),
    ],
)
def test_text_that_is_no_prior(text, message):
    with pytest.raises(pp.InputError, match=message.replace("?", "[?]")):
        parse_prior(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pp.Normal(0, 0), "`sd` of Normal is 0: it must be above 0"),
        (lambda: pp.Exponential(-2), "`rate` of Exponential is -2"),
        (lambda: pp.StudentT(0), "`df` of StudentT is 0"),
        (lambda: pp.Gamma(1, 0), "`rate` of Gamma is 0"),
        (lambda: pp.LKJ(0), "`eta` of LKJ is 0"),
        (lambda: pp.HalfCauchy(math.inf), "`scale` of HalfCauchy is inf: give a finite number"),
        (lambda: pp.Normal("a", 1), "`mean` of Normal is 'a': give a number"),
        (lambda: pp.Normal(True, 1), "`mean` of Normal is True: give a number"),
        (lambda: pp.Uniform(1, 1), "has no room"),
    ],
)
def test_numbers_that_are_refused(make, message):
    with pytest.raises(pp.InputError, match=message):
        make()


def test_numpy_numbers_are_numbers():
    assert pp.Normal(np.float64(1), np.int64(2)) == pp.Normal(1, 2)
    assert pp.Normal(np.float32(0.5), 2) == pp.Normal(0.5, 2)
