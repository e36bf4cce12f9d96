"""NUTS on all parameters: against the engine that integrates, quadrature, and itself.

What two runs estimate is compared in units of their Monte Carlo errors, means and sds. Seeds are
fixed; at k = 5 errors a false alarm has probability 6e-7 for each number, and there are some 2000.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import partialpool as pp
from helpers import assert_moments, individuals, sd_error
from partialpool.draws.diagnostics import diagnose

RNG = np.random.default_rng(404)
SIZES = [2, 3, 4, 6, 8, 10, 12, 15]
G = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(G), len(SIZES)
X, Z = RNG.normal(1.5, 1, N), RNG.normal(-1, 0.8, N)
H = RNG.permutation(np.arange(N) % 5)
R = RNG.normal(size=(J, 3)) @ [[0.9, 0, 0], [0.4, 0.6, 0], [-0.3, 0.1, 0.5]]
ETA = 0.3 + 0.4 * X - 0.3 * Z + R[G, 0] + R[G, 1] * X + R[G, 2] * Z
OFFSET, WEIGHTS, SE = RNG.normal(0, 1, N), RNG.uniform(0.3, 3, N), RNG.uniform(0.4, 1.5, N)
COUNTS = RNG.poisson(np.exp(np.clip(0.3 + 0.2 * X + 0.5 * R[G, 0], -3, 3)))
DATA = {"x": X, "z": Z, "g": G, "h": H, "n": COUNTS}
DATA["y"] = ETA + RNG.normal(0, 0.8, N)
DATA["yes"] = (RNG.random(N) < special.expit(0.6 * ETA)).astype(float)
DATA["grade"] = np.digitize(DATA["y"], [0.0, 1.0, 2.5])


def draws_of(fit, skip=()):
    """Draws of all parameters and coefficients by name: (chain, draw)."""
    found = {f"b[{c}]": fit.run.b[..., k] for k, c in enumerate(fit.model.columns)}
    found |= fit.run.scalars
    posterior = fit.draws["posterior"]
    for group, draws in zip(fit.model.groups, fit.run.groups, strict=True):
        found |= dict(zip(group.sd_labels, np.moveaxis(draws.sd, -1, 0), strict=True))
        found |= dict(zip(group.cor_labels, np.moveaxis(draws.cor, -1, 0), strict=True))
        coef = posterior[f"coef_{group.name}"].to_numpy()
        for level, name in enumerate(group.levels):
            for k, term in enumerate(group.terms):
                found[f"coef_{group.name}[{name},{term}]"] = coef[:, :, level, k]
    return {name: draws for name, draws in found.items() if name not in skip}


def assert_agree(one, two, *, names=None, k=5.0):
    """Assert that two runs estimate the same means and sds, by the names of the first."""
    one, two = (run if isinstance(run, dict) else draws_of(run) for run in (one, two))
    pairs = {name: name for name in one} if names is None else names
    assert names is not None or one.keys() == two.keys()
    a = np.stack([one[name] for name in pairs], axis=-1)
    b = np.stack([two[name] for name in pairs.values()], axis=-1)
    found = diagnose(a), diagnose(b)
    difference = np.abs(found[0]["mean"] - found[1]["mean"])
    z = difference / np.hypot(found[0]["mcse"], found[1]["mcse"])
    wrong = {name: z for name, z in zip(pairs, z, strict=True) if not z < k}
    assert wrong == {}, "Monte Carlo errors between means"
    difference = np.abs(found[0]["sd"] - found[1]["sd"])
    z = difference / np.hypot(sd_error(a), sd_error(b))
    wrong = {name: z for name, z in zip(pairs, z, strict=True) if not z < k}
    assert wrong == {}, "Monte Carlo errors between sds"


def assert_same(one, two):
    """Assert that two runs have the same draws, bit by bit, whatever levels are called."""
    assert one.run.draws == two.run.draws
    for a, b in zip(draws_of(one).values(), draws_of(two).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def fit(formula, data=DATA, **options):
    return pp.fit(formula, data, **{"method": "nuts", "seed": 1} | options)


# ------------------------------------------------------------------ the engine that integrates

THREE = "y ~ x + z + (x + z | g)"
GAUSSIAN = {
    "one": ("y ~ x + (1 | g)", {}),
    "one, se": ("y ~ x + (1 | g)", {"se": SE}),
    "one, weights": ("y ~ x + z + (1 | g)", {"weights": WEIGHTS}),
    "slope alone": ("y ~ x + (0 + x | g)", {}),
    "slope without twin": ("y ~ 1 + (0 + x | g)", {}),
    "no intercept": ("y ~ 0 + x + (1 | g)", {}),
    "two": ("y ~ x + (x | g)", {}),
    "two, weights and offset": ("y ~ x + (x | g)", {"weights": WEIGHTS, "offset": OFFSET}),
    "two, se and offset": ("y ~ x + (x | g)", {"se": SE, "offset": OFFSET}),
    "two, independent": ("y ~ x + (x || g)", {"priors": {"sd_g": pp.Uniform(0, 5)}}),
    "three": (THREE, {}),
    "three, independent": ("y ~ x + z + (x + z || g)", {"offset": OFFSET}),
    "three, elementwise": (THREE, {"priors": {"cor_g": pp.Uniform(-0.8, 0.8)}}),
    "three, blocks": ("y ~ x + z + (x | g) + (0 + z | g)", {"priors": {"sd_g": pp.Gamma(2, 2)}}),
    "bounds": ("y ~ x + (1 | g)", {"priors": {"b[x]": pp.Uniform(0.2, 0.6)}}),
    "student": ("y ~ x + (x | g)", {"priors": {"b": pp.StudentT(3, 0, 1)}}),
    "none": ("y ~ x + (x | g)", {"pooling": "none"}),
    "none, shared, weights": ("y ~ x + z + (x | g)", {"pooling": "none", "weights": WEIGHTS}),
    "none, normal": (
        "y ~ x + (x | g)",
        {"pooling": "none", "priors": {"coef_g": pp.Normal(0.5, 1)}, "offset": OFFSET},
    ),
    "complete": ("y ~ x + z + (x | g)", {"pooling": "complete", "weights": WEIGHTS}),
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_agrees_with_the_marginal_engine(name):
    formula, options = GAUSSIAN[name]
    exact = fit(formula, method="marginal", draws=2000, **options)
    assert_agree(fit(formula, **options), exact)


def test_uniform_priors_without_pooling():
    # The other engine keeps whole draws within the bounds; every level needs enough rows.
    rows = np.flatnonzero(np.isin(G, [4, 5, 6, 7]))
    data = {name: np.asarray(values)[rows] for name, values in DATA.items()}
    options = {"pooling": "none", "priors": {"coef_g": pp.Uniform(-3.2, 2.8)}}
    exact = fit("y ~ x + (1 | g)", data, method="marginal", draws=2000, **options)
    assert_agree(fit("y ~ x + (1 | g)", data, **options), exact)


def test_radon_agrees():
    formula, radon = "log_radon ~ floor + (floor | county)", pp.datasets.radon()
    one = draws_of(fit(formula, radon, draws=500))
    two = draws_of(fit(formula, radon, method="marginal"))
    assert_agree(one, two)


def test_eight_schools_agree():
    formula, schools = "effect ~ 1 + (1 | school)", pp.datasets.eight_schools()
    one = fit(formula, schools, se="se", draws=4000)
    assert_agree(one, fit(formula, schools, se="se", method="marginal", draws=4000))


def test_the_tutorial_agrees():
    formula = "y ~ x + (x || id)"
    priors = {"b": pp.Normal(0, 3), "sd_id": pp.Uniform(0, 10), "sigma": pp.Uniform(0, 10)}
    one, two = (fit(formula, individuals(), priors=priors, method=m) for m in ("nuts", "marginal"))
    assert_agree(one, two)


# ------------------------------------------------------------------------------ hard geometries


def sparse():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(200), 3)
    yes = rng.random(600) < special.expit(0.3 + rng.normal(size=200)[g])
    return {"yes": yes.astype(float), "g": g}


# Runs at the defaults, and how many seeds. A funnel in coordinates that do not fit it gives
# hundreds of divergent draws; of 100, 6, 30 and 40 seeds of these none had any.
HARD = {
    "eight schools": ("effect ~ 1 + (1 | school)", pp.datasets.eight_schools, {"se": "se"}, 4),
    "radon": ("log_radon ~ floor + (floor | county)", pp.datasets.radon, {}, 2),
    "radon, binary": (
        "{floor > 0} ~ log_uranium + (1 | county)", pp.datasets.radon, {"family": "bernoulli"}, 4
    ),
    "sparse": ("yes ~ 1 + (1 | g)", sparse, {"family": "bernoulli"}, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_the_sampler_copes_at_its_defaults(name):
    formula, data, options, seeds = HARD[name]
    runs = [fit(formula, data(), seed=seed + 1, **options) for seed in range(seeds)]
    for run in runs:
        assert not run.run.stats["diverging"].any()
        summary = pd.concat([run.summary(), run.summary(f"coef_{run.model.groups[0].name}")])
        assert summary["r_hat"].max() <= 1.01
        assert summary["ess_bulk"].min() >= 400
        assert summary["ess_tail"].min() >= 400


# ------------------------------------------------------------------- one model, said in two ways


def test_binomial_is_bernoulli_by_rows():
    rng = np.random.default_rng(6)
    trials = rng.integers(1, 6, N)
    successes = rng.binomial(trials, special.expit(0.6 * ETA))
    rows = np.repeat(np.arange(N), trials)
    first = np.arange(len(rows)) - np.repeat(np.cumsum(trials) - trials, trials)
    single = {"yes": (first < successes[rows]).astype(float), "x": X[rows], "g": G[rows]}
    priors = {"b": pp.Normal(0, 1.5), "sd_g": pp.HalfNormal(1)}
    counted = {"yes": successes, "x": X, "g": G}
    assert_agree(
        fit("yes ~ x + (1 | g)", counted, family="binomial", trials=trials, priors=priors),
        fit("yes ~ x + (1 | g)", single, family="bernoulli", priors=priors),
    )


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "cumulative"])
def test_weights_count_rows(family):
    response = {"bernoulli": "yes", "poisson": "n", "cumulative": "grade"}[family]
    times = np.random.default_rng(7).integers(1, 4, N)
    more = {name: np.repeat(values, times) for name, values in DATA.items()}
    priors = {"b": pp.Normal(0, 1), "sd_g": pp.HalfNormal(1)}
    if family == "cumulative":
        # The default prior of thresholds is at the mean of the predictors, over rows.
        priors["threshold"] = pp.Normal(0, 2)
    formula = f"{response} ~ x + (1 | g)"
    assert_agree(
        fit(formula, weights=times, family=family, priors=priors),
        fit(formula, more, family=family, priors=priors),
    )


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_exposure_is_an_offset_of_its_logarithm(family):
    time = np.random.default_rng(8).uniform(0.5, 4, N)
    formula = f"{'n' if family == 'poisson' else '{n + 0.5}'} ~ x + (x | g)"
    options = {"family": family, "draws": 200}
    one, two = fit(formula, exposure=time, **options), fit(formula, offset=np.log(time), **options)
    assert one.priors == two.priors
    assert_same(one, two)


def test_nested_factors_are_those_written_out():
    options = {"family": "poisson", "draws": 200}
    assert_same(
        fit("n ~ x + (1 | h / g)", **options), fit("n ~ x + (1 | h) + (1 | h:g)", **options)
    )


def test_bars_for_one_factor_add_up():
    options = {"family": "poisson", "draws": 200}
    assert_same(fit("n ~ x + (x || g)", **options), fit("n ~ x + (1 | g) + (0 + x | g)", **options))


def test_order_of_factors_and_terms():
    one = fit("n ~ x + z + (x | g) + (1 | h)", family="poisson")
    two = draws_of(fit("n ~ z + x + (1 | h) + (x | g)", family="poisson"))
    assert_agree(one, two, names={name: name for name in draws_of(one)})


def test_threads_do_not_change_draws():
    runs = [
        fit("n ~ x + (x | g) + (1 | h)", family="negbinomial", draws=200, threads=threads)
        for threads in (1, 2)
    ]
    assert_same(*runs)
    again = fit("n ~ x + (x | g) + (1 | h)", family="negbinomial", draws=200, seed=2)
    assert not np.array_equal(again.run.b, runs[0].run.b)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("n ~ x + (x | g) + (1 | h)", {"family": "poisson"}),
        ("grade ~ x + (1 | g)", {"family": "cumulative"}),
        ("y ~ x + (1 | g)", {"sigma": "~ x + (1 | g)"}),
    ],
)
def test_order_of_rows(formula, options):
    order = np.random.default_rng(9).permutation(N)
    other = {name: np.asarray(values)[order] for name, values in DATA.items()}
    assert_agree(fit(formula, **options), fit(formula, other, **options))


def test_names_of_levels():
    names = np.array([f"level {k}" for k in range(J)])
    options = {"family": "bernoulli", "draws": 200}
    one = fit("yes ~ x + (x | g)", **options)
    assert_same(one, fit("yes ~ x + (x | g)", DATA | {"g": names[G]}, **options))


def test_order_of_levels():
    # Last level first: other coordinates, the same posterior.
    one = draws_of(fit("yes ~ x + (1 | g)", family="bernoulli"))
    two = draws_of(fit("yes ~ x + (1 | g)", DATA | {"g": J - 1 - G}, family="bernoulli"))
    names = {name: name for name in one if "coef" not in name}
    names |= {f"coef_g[{k},Intercept]": f"coef_g[{J - 1 - k},Intercept]" for k in range(J)}
    assert_agree(one, two, names=names)


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("yes", {"family": "bernoulli"}),
        ("grade", {"family": "cumulative"}),
        ("y", {"sigma": "~ x + (1 | g)"}),
        ("yes", {"family": "bernoulli", "pooling": "none"}),
    ],
)
def test_shift_of_a_predictor(response, options):
    # Default priors are at the mean of the predictors; slopes of levels would say something else.
    shift = 30.0
    one = draws_of(fit(f"{response} ~ x + (1 | g)", **options))
    two = draws_of(fit(f"{response} ~ x + (1 | g)", DATA | {"x": X + shift}, **options))
    moved = two["b[x]"] * shift
    for name in two:
        if name.startswith(("b[Intercept]", "coef_g")) and response != "grade":
            two[name] = two[name] + moved
        elif name.startswith("threshold"):
            two[name] = two[name] - moved
        elif name.startswith(("b_sigma[Intercept]", "coef_sigma_g")):
            two[name] = two[name] + two["b_sigma[x]"] * shift
    assert_agree(one, two)


@pytest.mark.parametrize("labels", [np.arange(1, 5), np.arange(-7, -3), "ordered"])
def test_labels_of_categories(labels):
    codes = DATA["grade"]
    if isinstance(labels, str):
        names = ["poor", "fair", "good", "best"]
        grade = pd.Series(pd.Categorical.from_codes(codes, names, ordered=True))
    else:
        grade = labels[codes]
    options = {"family": "cumulative", "draws": 200}
    one = fit("grade ~ x + (1 | g)", **options)
    frame = pd.DataFrame(DATA).assign(grade=grade)
    assert_same(one, fit("grade ~ x + (1 | g)", frame, **options))


def test_categories_from_the_other_end():
    # Logits are symmetric: reversed categories change the signs of all but the sds.
    priors = {"threshold": pp.Normal(0, 3)}
    one = draws_of(fit("grade ~ x + (1 | g)", family="cumulative", priors=priors))
    reverse = DATA | {"grade": 3 - DATA["grade"]}
    two = draws_of(fit("grade ~ x + (1 | g)", reverse, family="cumulative", priors=priors))
    two = {name: draws if name.startswith("sd_") else -draws for name, draws in two.items()}
    names = {name: name for name in one if "threshold" not in name}
    names |= {f"threshold[{k}]": f"threshold[{4 - k}]" for k in (1, 2, 3)}
    assert_agree(one, two, names=names)


def test_two_categories_are_a_bernoulli_response():
    # The threshold is minus the intercept.
    cut = fit("yes ~ x + (1 | g)", family="cumulative", priors={"threshold": pp.Normal(0.4, 1)})
    coin = fit("yes ~ x + (1 | g)", family="bernoulli", priors={"b[Intercept]": pp.Normal(-0.4, 1)})
    one, two = draws_of(cut), draws_of(coin)
    two["threshold[1]"] = -two.pop("b[Intercept]")
    two |= {name: draws + two["threshold[1]"] for name, draws in two.items() if "coef" in name}
    assert_agree(one, two, names={name: name for name in one})


def test_lognormal_is_gaussian_of_logarithms():
    data = DATA | {"e": np.exp(DATA["y"])}
    one = fit("e ~ x + (x | g) + (1 | h)", data, family="lognormal")
    assert_agree(one, fit("y ~ x + (x | g) + (1 | h)"))


def test_sigma_with_an_intercept_alone_is_sigma():
    # sigma = exp(b_sigma): a normal prior of the logarithm is a log-normal one.
    one = draws_of(fit("y ~ x + (1 | g)", sigma="~ 1", priors={"b_sigma": pp.Normal(0, 0.5)}))
    two = draws_of(fit("y ~ x + (1 | g)", priors={"sigma": pp.LogNormal(0, 0.5)}))
    two["b_sigma[Intercept]"] = np.log(two.pop("sigma"))
    assert_agree(one, two)


def test_many_degrees_of_freedom_are_gaussian():
    # At nu = 1e6 the log density of a residual of 4 sds differs by 6e-5.
    near = {"nu": pp.Uniform(1e6, 1.001e6), "b": pp.Normal(0, 2)}
    one = draws_of(fit("y ~ x + (1 | g)", family="student_t", priors=near), skip=("nu",))
    assert_agree(one, fit("y ~ x + (1 | g)", priors={"b": pp.Normal(0, 2)}))


# ------------------------------------------------------------------------------------ quadrature


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_one_factor_against_quadrature(family):
    rng = np.random.default_rng(10)
    g = np.repeat(np.arange(4), [1, 2, 3, 4])
    eta = 0.4 + np.array([-1, 0.5, 1.2, 0])[g]
    if family == "bernoulli":
        y = (rng.random(10) < special.expit(eta)).astype(float)
    else:
        y = rng.poisson(np.exp(eta)).astype(float)
    priors = {"b": pp.Normal(0.2, 1.5), "sd_g": pp.HalfNormal(1)}
    found = fit("y ~ 1 + (1 | g)", {"y": y, "g": g}, family=family, priors=priors, draws=4000)
    # Gauss–Legendre over 4.5 prior sds of b, 6 of sd and 8 sds of r/sd: twice the nodes change the
    # eighth digit.
    b, w_b = np.polynomial.legendre.leggauss(80)
    b, w_b = 0.2 + 6.75 * b, w_b * stats.norm.pdf(6.75 * b, 0, 1.5)
    sd, w_sd = np.polynomial.legendre.leggauss(60)
    sd = 3 * (sd + 1)
    w_sd = w_sd * stats.halfnorm.pdf(sd)
    xi, w_xi = np.polynomial.legendre.leggauss(200)
    xi, w_xi = 8 * xi, w_xi * stats.norm.pdf(8 * xi)
    at = b[:, None, None] + sd[:, None] * xi
    levels = []
    for level in range(4):
        total, n = y[g == level].sum(), (g == level).sum()
        if family == "bernoulli":
            logp = total * special.log_expit(at) + (n - total) * special.log_expit(-at)
        else:
            logp = total * at - n * np.exp(at)
        levels.append([np.einsum("bsx,x,bsx->bs", np.exp(logp), w_xi, at**k) for k in range(3)])
    levels = np.array(levels)  # level, moment, b, sd
    weight = w_b[:, None] * w_sd * levels[:, 0].prod(0)
    weight /= weight.sum()
    moments = [[(weight * v**k).sum() for k in (1, 2)] for v in (b[:, None], sd)]
    moments += [
        [(weight * own[k] / np.maximum(own[0], 1e-300)).sum() for k in (1, 2)] for own in levels
    ]
    mean, square = np.array(moments).T
    names = ["b[Intercept]", "sd_g[Intercept]", *(f"coef_g[{k},Intercept]" for k in range(4))]
    draws = draws_of(found)
    assert_moments(np.stack([draws[n] for n in names], -1), mean, np.sqrt(square - mean**2))
