"""The core's marginal density against dense matrices, brute-force integration, and differences.

Both sides are exact up to rounding: a log density of size L that n rows add up to carries about
n · eps · cond relative error; 1e-10 leaves room for condition numbers up to some 1e4.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import Dense, covariance, log_likelihood, model_of, points

RNG = np.random.default_rng(20)
# Ragged: levels smaller than q, one of a single row, one large.
SIZES = [1, 2, 3, 7, 2, 12, 5, 1, 4]
CODES = np.repeat(np.arange(len(SIZES)), SIZES)
N = len(CODES)
X1, X2 = RNG.normal(0.7, 1.5, N), RNG.normal(-2.0, 0.3, N)
Y = 3 + 0.5 * X1 - X2 + RNG.normal(size=len(SIZES))[CODES] + RNG.normal(0, 0.8, N)
ORDER = RNG.permutation(N)  # rows of a level are not neighbours
DATA = {"y": Y[ORDER], "x1": X1[ORDER], "x2": X2[ORDER], "g": CODES[ORDER]}
WEIGHTS, OFFSET, SE = RNG.uniform(0.2, 3, N), RNG.normal(0, 5, N), RNG.uniform(0.3, 2, N)
ONE = np.ones(N)

# group terms, the columns of Z, correlated pairs in the core's order
GROUPS = {
    "q1": ("(1 | g)", ("1",), []),
    "q1 slope": ("(0 + x1 | g)", ("x1",), []),
    "q2 correlated": ("(x1 | g)", ("1", "x1"), [(0, 1)]),
    "q2 independent": ("(x1 || g)", ("1", "x1"), []),
    "q3 correlated": ("(x1 + x2 | g)", ("1", "x1", "x2"), [(0, 1), (0, 2), (1, 2)]),
    "q3 independent": ("(x1 + x2 || g)", ("1", "x1", "x2"), []),
    "q3 mixed": ("(x1 | g) + (0 + x2 | g)", ("1", "x1", "x2"), [(0, 1)]),
}
OPTIONS = {
    "plain": {},
    "weights": {"weights": WEIGHTS},
    "offset": {"offset": OFFSET},
    "se": {"se": SE},
    "se and offset": {"se": SE, "offset": OFFSET},
    "weights and offset": {"weights": WEIGHTS, "offset": OFFSET},
}


def column(name):
    return ONE if name == "1" else DATA[name]


def group_columns(names, pairs, scales="defaults"):
    """Columns of Z. Default sds of terms that correlate are those at the mean of the predictors."""
    correlated = {names[i] for pair in pairs for i in pair} - {"1"} if scales == "defaults" else {}
    own = {c: (column(c) - column(c).mean()) / column(c).std(ddof=1) for c in correlated}
    return np.column_stack([own.get(c, column(c)) for c in names])


def default_reference(options, columns=("x1", "x2")):
    """Default priors by hand: slopes N(0, 2.5 s_y/s_x), the value at the mean N(ȳ, 2.5 s_y)."""
    y = DATA["y"] - options.get("offset", 0.0)
    s_y = np.std(y, ddof=1)
    X = np.column_stack([ONE, *(column(c) - column(c).mean() for c in columns)])
    mean = np.array([y.mean(), *(0 for _ in columns)])
    sd = 2.5 * s_y / np.array([1, *(np.std(column(c), ddof=1) for c in columns)])
    return X, mean, sd


def core_agrees(core, dense, pairs, restricted=False, seed=1, count=6):
    for u in points(core, count, seed):
        at = core.constrain(u)
        Sigma = covariance(at["sd"], at["cor"], pairs)
        log_density = dense.log_restricted if restricted else dense.log_marginal
        assert log_likelihood(core, u) == pytest.approx(log_density(Sigma, at["sigma"]), rel=1e-10)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("group", GROUPS)
def test_default_priors(group, options):
    term, z, pairs = GROUPS[group]
    options = OPTIONS[options]
    core = model_of(f"y ~ x1 + x2 + {term}", DATA, **options).core
    X, mean, sd = default_reference(options)
    Z = group_columns(z, pairs)
    core_agrees(core, Dense(DATA["y"], X, Z, DATA["g"], mean, sd, **options), pairs)


@pytest.mark.parametrize("group", ["q1", "q2 correlated", "q3 correlated", "q3 mixed"])
def test_normal_prior_of_the_actual_intercept(group):
    term, z, pairs = GROUPS[group]
    priors = {"b[Intercept]": pp.Normal(1.5, 0.7), "b": pp.Normal(-0.4, 2.0)}
    core = model_of(f"y ~ x1 + x2 + {term}", DATA, priors).core
    X, Z = np.column_stack([column(c) for c in ("1", "x1", "x2")]), group_columns(z, pairs)
    dense = Dense(DATA["y"], X, Z, DATA["g"], np.array([1.5, -0.4, -0.4]), np.array([0.7, 2, 2]))
    core_agrees(core, dense, pairs)


def test_population_without_an_intercept():
    core = model_of("y ~ 0 + x1 + (x1 | g)", DATA, {"b": pp.Normal(0.2, 3)}).core
    X, Z = DATA["x1"][:, None], group_columns(("1", "x1"), [(0, 1)])
    dense = Dense(DATA["y"], X, Z, DATA["g"], np.array([0.2]), np.array([3.0]))
    core_agrees(core, dense, [(0, 1)])


def test_without_group_terms():
    core = model_of("y ~ x1 + x2", DATA, weights=WEIGHTS).core
    X, mean, sd = default_reference({})
    dense = Dense(DATA["y"], X, np.zeros((N, 1)), DATA["g"], mean, sd, weights=WEIGHTS)
    for u in points(core, 4, 2):
        expected = dense.log_marginal(np.zeros((1, 1)), core.constrain(u)["sigma"])
        assert log_likelihood(core, u) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("group", ["q1", "q2 correlated", "q2 independent"])
def test_flat_coefficients_give_the_restricted_likelihood(group, options):
    term, z, pairs = GROUPS[group]
    core = model_of(f"y ~ x1 + {term}", DATA, {"b": pp.Flat()}, **OPTIONS[options]).core
    X, Z = np.column_stack([ONE, DATA["x1"]]), group_columns(z, pairs)
    dense = Dense(DATA["y"], X, Z, DATA["g"], **OPTIONS[options])
    core_agrees(core, dense, pairs, restricted=True)


SAMPLED = {
    # The prior of the mean at the predictors' means is independent of slopes: y − x b_S remains.
    "student slope": {"b[x1]": pp.StudentT(3, 0, 1)},
    "uniform slope": {"b[x2]": pp.Uniform(-4, 4)},
    "both slopes": {"b[x1]": pp.Cauchy(0, 1), "b[x2]": pp.Uniform(-4, 1)},
    # Slopes with normal priors are integrated all the same.
    "actual intercept": {"b[Intercept]": pp.StudentT(4, 1, 2), "b[x2]": pp.Normal(0.3, 1.2)},
}
NAMES = ("Intercept", "x1", "x2")


@pytest.mark.parametrize("group", ["q1", "q2 correlated", "q3 mixed"])
@pytest.mark.parametrize("prior", SAMPLED)
def test_sampled_coefficients(prior, group):
    priors = SAMPLED[prior]
    term, z, pairs = GROUPS[group]
    model = model_of(f"y ~ x1 + x2 + {term}", DATA, priors)
    X, mean, sd = default_reference({})
    Z = group_columns(z, pairs)
    if "b[Intercept]" in priors:
        X = np.column_stack([ONE, DATA["x1"], DATA["x2"]])
        mean[2], sd[2] = 0.3, 1.2
    kinds = {k: priors.get(f"b[{name}]") for k, name in enumerate(NAMES)}
    drawn = [k for k, prior in kinds.items() if not isinstance(prior, (pp.Normal, type(None)))]
    rest = [k for k in range(3) if k not in drawn]
    for u in points(model.core, 6, 3):
        at = model.core.constrain(u)
        assert len(at["sampled"]) == len(drawn)
        offset = X[:, drawn] @ at["sampled"]
        dense = Dense(DATA["y"], X[:, rest], Z, DATA["g"], mean[rest], sd[rest], offset=offset)
        Sigma = covariance(at["sd"], at["cor"], pairs)
        expected = dense.log_marginal(Sigma, at["sigma"])
        assert log_likelihood(model.core, u) == pytest.approx(expected, rel=1e-10)


# Brute force: the joint density of (y, r, b) summed over a fine grid, no linear algebra. The
# trapezoidal rule converges exponentially for such smooth, decaying integrands: with 201 points on
# ±9 sds of the integrand and a step below a quarter of its sd, its error is below rounding.

TINY = {"y": [0.3, 1.1, -0.6, 0.2, 2.0], "x": [-1.0, 0.5, 2.0, 0.4, -0.3], "g": [0, 0, 1, 1, 2]}
TINY = {name: np.array(values) for name, values in TINY.items()}


def grid(centre, reach, count=201):
    nodes = np.linspace(centre - reach, centre + reach, count)
    return nodes, np.log(nodes[1] - nodes[0])


def log_sum(values, axis):
    top = values.max(axis, keepdims=True)
    return np.log(np.exp(values - top).sum(axis)) + top.squeeze(axis)


def test_joint_density_integrated_over_deviations_and_intercept():
    core = model_of("y ~ 1 + (1 | g)", TINY, {"b": pp.Normal(0.4, 1.5)}).core
    for u in points(core, 3, 4, spread=0.3):
        at = core.constrain(u)
        r, log_dr = grid(0, 9 * at["sd"][0])
        b, log_db = grid(0.5, 9)
        total = stats.norm(0.4, 1.5).logpdf(b) + log_db
        for level in range(3):
            joint = stats.norm(0, at["sd"][0]).logpdf(r)[:, None] + log_dr
            for y in TINY["y"][TINY["g"] == level]:
                joint = joint + stats.norm(b + r[:, None], at["sigma"]).logpdf(y)
            total = total + log_sum(joint, 0)
        assert log_likelihood(core, u) == pytest.approx(log_sum(total, 0), rel=1e-10)


def test_joint_density_integrated_over_correlated_deviations():
    # Coefficients sampled (a non-normal prior on the actual intercept): r alone is integrated.
    priors = {"b[Intercept]": pp.StudentT(3), "b[x]": pp.Uniform(-3, 3)}
    core = model_of("y ~ x + (x | g)", TINY, priors).core
    for u in points(core, 3, 5, spread=0.3):
        at = core.constrain(u)
        Sigma = covariance(at["sd"], at["cor"], [(0, 1)])
        r0, log_d0 = grid(0, 9 * at["sd"][0])
        r1, log_d1 = grid(0, 9 * at["sd"][1])
        r = np.stack(np.meshgrid(r0, r1, indexing="ij"), axis=-1)
        b, total = at["sampled"], 0.0
        for level in range(3):
            joint = stats.multivariate_normal([0, 0], Sigma).logpdf(r) + log_d0 + log_d1
            rows = TINY["g"] == level
            for y, x in zip(TINY["y"][rows], TINY["x"][rows], strict=True):
                own = (x - TINY["x"].mean()) / TINY["x"].std(ddof=1)
                mean = b[0] + b[1] * x + r[..., 0] + r[..., 1] * own
                joint = joint + stats.norm(mean, at["sigma"]).logpdf(y)
            total += log_sum(joint.ravel(), 0)
        assert log_likelihood(core, u) == pytest.approx(total, rel=1e-9)


GRADIENTS = {
    "q0": ("y ~ x1 + x2", {}),
    "q1": ("y ~ x1 + x2 + (1 | g)", {}),
    "q2": ("y ~ x1 + (x1 | g)", {}),
    "q3": ("y ~ x1 + x2 + (x1 + x2 | g)", {}),
    "q3 mixed": ("y ~ x1 + x2 + (x1 | g) + (0 + x2 | g)", {}),
    "student slope": ("y ~ x1 + (x1 | g)", {"b[x1]": pp.StudentT(3, 0, 1)}),
    "uniform slope": ("y ~ x1 + x2 + (1 | g)", {"b[x2]": pp.Uniform(-4, 4)}),
    "cauchy intercept": ("y ~ x1 + x2 + (x1 | g)", {"b[Intercept]": pp.Cauchy(0, 2)}),
    "elementwise cor": (
        "y ~ x1 + x2 + (x1 + x2 | g)",
        {"cor_g": pp.Normal(0.1, 0.5), "cor_g[Intercept,x1]": pp.Uniform(-0.9, 0.95)},
    ),
    "bounded scales": ("y ~ x1 + (x1 | g)", {"sd_g": pp.Uniform(0, 9), "sigma": pp.Uniform(0, 9)}),
    "positive scales": (
        "y ~ x1 + (x1 | g)",
        {"sd_g": pp.InverseGamma(2, 1), "sigma": pp.LogNormal(0, 1)},
    ),
    "gamma scales": ("y ~ x1 + (x1 || g)", {"sd_g": pp.Gamma(2, 1), "sigma": pp.HalfStudentT(3)}),
}


@pytest.mark.parametrize("options", ["plain", "weights", "se"])
@pytest.mark.parametrize("case", GRADIENTS)
def test_gradient(case, options):
    formula, priors = GRADIENTS[case]
    if options == "se":
        priors = {name: prior for name, prior in priors.items() if name != "sigma"}
    core = model_of(formula, DATA, priors, **OPTIONS[options]).core
    if case == "q0" and options == "se":
        assert core.dim == 0  # nothing is sampled
        return
    checked = 0
    for u in points(core, 5, 6, spread=0.5):
        value, slope = core.logp_and_grad(u)
        if not np.isfinite(value):
            continue  # outside the support of element-wise correlations
        checked += 1
        for k in range(core.dim):

            def central(h, k=k, u=u):
                step = h * np.eye(core.dim)[k]
                high, low = core.logp_and_grad(u + step)[0], core.logp_and_grad(u - step)[0]
                return (high - low) / (2 * h)

            # Richardson: truncation O(h⁴) = 1e-12 times a fifth derivative that is at most some
            # thousand; rounding of |logp| ~ 1e3 over h: 1e-10.
            numeric = (4 * central(5e-4) - central(1e-3)) / 3
            assert slope[k] == pytest.approx(numeric, rel=1e-7, abs=1e-7)
    assert checked >= 3
