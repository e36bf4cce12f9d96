"""The joint density that Metropolis walks on, against dense scipy; and the two engines together.

The core leaves out constants, so differences between points are compared. Both sides are sums of
some 40 terms of size up to 1e4: rounding is below 1e-10 of the largest.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from helpers import model_of
from partialpool.draws.diagnostics import diagnose
from partialpool.engine.joint import Layout, build_joint

RNG = np.random.default_rng(71)
SIZES = [1, 2, 3, 7, 2, 9, 5]
CODES = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(CODES), len(SIZES)
X, Z = RNG.normal(0.7, 1.5, N), RNG.normal(-2.0, 0.3, N)
Y = 3 + 0.5 * X - Z + RNG.normal(size=J)[CODES] + RNG.normal(0, 0.8, N)
ORDER = RNG.permutation(N)
CODES, X, Z, Y = CODES[ORDER], X[ORDER], Z[ORDER], Y[ORDER]
DATA = {"y": Y, "x": X, "z": Z, "g": CODES}
COLUMN = {"Intercept": np.ones(N), "x": X, "z": Z}
OPTIONS = {
    "plain": {},
    "weights and offset": {"weights": RNG.uniform(0.2, 3, N), "offset": RNG.normal(0, 5, N)},
    "se": {"se": RNG.uniform(0.3, 2, N)},
    "se and offset": {"se": RNG.uniform(0.3, 2, N), "offset": RNG.normal(0, 5, N)},
}

# Priors by hand, each as the fit takes it and as scipy has it.
STATED = {
    "b[Intercept]": (pp.Normal(1.5, 0.7), stats.norm(1.5, 0.7)),
    "b[x]": (pp.StudentT(3, 0.2, 1.1), stats.t(3, 0.2, 1.1)),
    "b[z]": (pp.Uniform(-9, 9), stats.uniform(-9, 18)),
    "sd_g[Intercept]": (pp.HalfNormal(2), stats.halfnorm(scale=2)),
    "sd_g[x]": (pp.InverseGamma(2, 1.5), stats.invgamma(2, scale=1.5)),
    "sd_g[z]": (pp.Uniform(0, 9), stats.uniform(0, 9)),
    "sigma": (pp.LogNormal(0, 0.7), stats.lognorm(0.7)),
}
CORRELATIONS = {
    "cor_g[Intercept,x]": (pp.Normal(0.1, 0.5), stats.norm(0.1, 0.5)),
    "cor_g[Intercept,z]": (pp.Uniform(-0.9, 0.95), stats.uniform(-0.9, 1.85)),
    "cor_g[x,z]": (pp.StudentT(4, 0, 0.4), stats.t(4, 0, 0.4)),
}


class Reference:
    """A model on its parameters in plain order: b, coef (level, term), sd, cor, sigma."""

    def __init__(self, model, options, priors, own):
        self.options, self.priors, self.own = options, priors, own
        self.columns = [name for name in ("Intercept", "x", "z") if name in model.columns]
        assert tuple(self.columns) == model.columns
        self.terms = model.sole_group.terms if model.sole_group else ()
        self.pairs = model.sole_group.pairs if model.sole_group else ()
        self.q = len(self.terms)

    def split(self, theta):
        p, own = len(self.columns), J * self.q
        hyper = 0 if self.own else self.q
        ends = np.cumsum([p, own, hyper, len(self.pairs)])
        return np.split(theta, ends)

    def logp(self, theta):
        b, coef, sd, cor, sigma = self.split(theta)
        coef = coef.reshape(J, self.q)
        fitted = self.options.get("offset", np.zeros(N))
        at = dict(zip(self.columns, b, strict=True))
        for k, term in enumerate(self.terms):
            fitted = fitted + COLUMN[term] * coef[CODES, k]
        for name, value in at.items():
            if name not in self.terms:
                fitted = fitted + COLUMN[name] * value
        noise = self.options.get("se")
        if noise is None:
            noise = sigma[0] / np.sqrt(self.options.get("weights", np.ones(N)))
            total = self.log_prior("sigma", sigma[0])
        else:
            total = 0.0
        total += stats.norm(fitted, noise).logpdf(Y).sum()
        total += self.log_prior_of_b(at)
        if not self.q:
            return total
        if self.own:
            return total + self.log_prior_of_levels(coef, at)
        total += sum(self.log_prior(f"sd_g[{t}]", s) for t, s in zip(self.terms, sd, strict=True))
        R = np.eye(self.q)
        for (i, j), value in zip(self.pairs, cor, strict=True):
            R[i, j] = R[j, i] = value
        if self.pairs:
            total += self.log_prior_of_cor(R, cor)
        centre = [at.get(term, 0.0) for term in self.terms]
        return total + stats.multivariate_normal(centre, R * np.outer(sd, sd)).logpdf(coef).sum()

    def log_prior(self, name, value):
        return self.priors[name].logpdf(value)

    def log_prior_of_b(self, at):
        """The default intercept's prior is at the mean of the predictors that it shares."""
        total = 0.0
        for name, value in at.items():
            if name == "Intercept" and "b[Intercept]" not in self.priors:
                y = Y - self.options.get("offset", 0.0)
                value = value + sum(c * COLUMN[k].mean() for k, c in at.items() if k != name)
                total += stats.norm(y.mean(), 2.5 * y.std(ddof=1)).logpdf(value)
            else:
                total += self.log_prior(f"b[{name}]", value)
        return total

    def log_prior_of_cor(self, R, cor):
        if "cor_g" in self.priors:  # LKJ
            return (self.priors["cor_g"] - 1) * np.linalg.slogdet(R)[1]
        names = [f"cor_g[{self.terms[i]},{self.terms[j]}]" for i, j in self.pairs]
        return sum(self.log_prior(name, r) for name, r in zip(names, cor, strict=True))

    def log_prior_of_levels(self, coef, at):
        total = 0.0
        for k, term in enumerate(self.terms):
            values = coef[:, k]
            if term == "Intercept" and "coef_g[Intercept]" not in self.priors:
                y = Y - self.options.get("offset", 0.0)
                values = values + sum(
                    coef[:, i] * COLUMN[t].mean() for i, t in enumerate(self.terms) if i != k
                )
                values = values + sum(c * COLUMN[name].mean() for name, c in at.items())
                total += stats.norm(y.mean(), 10 * y.std(ddof=1)).logpdf(values).sum()
            else:
                total += self.log_prior(f"coef_g[{term}]", values).sum()
        return total


def given(*names, extra=None):
    chosen = {name: STATED[name] for name in names} | (extra or {})
    return {k: v[0] for k, v in chosen.items()}, {k: v[1] for k, v in chosen.items()}


ALL_B = ("b[Intercept]", "b[x]", "b[z]")
SD = {k: tuple(f"sd_g[{t}]" for t in ("Intercept", "x", "z")[:k]) for k in (1, 2, 3)}
LKJ3 = {"cor_g": (pp.LKJ(3), 3.0)}
UNIFORM_BOX = {"coef_g": (pp.Uniform(-3000, 4000), None),
               "coef_g[Intercept]": (pp.Uniform(-3000, 4000), stats.uniform(-3000, 7000)),
               "coef_g[x]": (pp.Uniform(-3000, 4000), stats.uniform(-3000, 7000))}  # fmt: skip
ACTUAL = {"coef_g[Intercept]": (pp.Normal(2, 3), stats.norm(2, 3)),
          "coef_g[x]": (pp.Normal(-0.5, 1), stats.norm(-0.5, 1))}  # fmt: skip
SLOPE = {"coef_g[x]": (pp.Normal(-0.5, 1), stats.norm(-0.5, 1))}


class FlatDensity:
    """Of a flat prior."""

    @staticmethod
    def logpdf(value):
        return np.zeros_like(value)


FLAT = {f"coef_g[{t}]": (pp.Flat(), FlatDensity) for t in ("Intercept", "x")}
CASES = {
    "partial, one": ("partial", "(1 | g)", given(*ALL_B, *SD[1], "sigma")),
    "partial, slope alone": ("partial", "(0 + x | g)", given(*ALL_B, "sd_g[x]", "sigma")),
    "partial, independent": ("partial", "(x || g)", given(*ALL_B, *SD[2], "sigma")),
    "partial, LKJ": ("partial", "(x | g)", given(*ALL_B, *SD[2], "sigma", extra=LKJ3)),
    "partial, LKJ of three": (
        "partial", "(x + z | g)", given(*ALL_B, *SD[3], "sigma", extra=LKJ3),
    ),
    "partial, elementwise": (
        "partial", "(x + z | g)", given(*ALL_B, *SD[3], "sigma", extra=CORRELATIONS),
    ),
    "partial, blocks": ("partial", "(x | g) + (0 + z | g)",
                        given(*ALL_B, *SD[3], "sigma", extra=LKJ3)),
    "partial, default intercept": ("partial", "(x | g)",
                                   given("b[x]", "b[z]", *SD[2], "sigma", extra=LKJ3)),
    "none, actual normal": ("none", "(x | g)", given("b[z]", "sigma", extra=ACTUAL)),
    "none, normal at the mean": ("none", "(x | g)", given("b[z]", "sigma", extra=SLOPE)),
    "none, flat": ("none", "(x | g)", given("b[z]", "sigma", extra=FLAT)),
    "none, uniform": ("none", "(x | g)", given("b[z]", "sigma", extra=UNIFORM_BOX)),
    "none, shared intercept": (
        "none", "(0 + x | g)", given("b[Intercept]", "b[z]", "sigma", extra=SLOPE)
    ),
    "complete": ("complete", "(x | g)", given(*ALL_B, "sigma")),
    "complete, default intercept": ("complete", "(x | g)", given("b[x]", "b[z]", "sigma")),
}  # fmt: skip


def build(case, name="plain"):
    pooling, term, (ours, theirs) = CASES[case]
    options = OPTIONS[name]
    if "se" in options:
        ours = {key: prior for key, prior in ours.items() if key != "sigma"}
    model = model_of(f"y ~ x + z + {term}", DATA, ours, pooling=pooling, **options)
    reference = Reference(model, options, theirs, pooling == "none")
    joint = build_joint(model)
    assert joint.dim == Layout.of(model).dim
    return model, joint, reference


def random_points(reference, dim, count, seed):
    """Parameters within all supports, far enough apart to tell any two terms."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        theta = rng.normal(0, 1.5, dim)
        _, coef, sd, cor, sigma = reference.split(theta)  # views
        coef += rng.normal(0, 3)
        sd[:] = rng.uniform(0.2, 3, len(sd))
        cor[:] = rng.uniform(-0.4, 0.4, len(cor))  # any such matrix of three is positive definite
        sigma[:] = rng.uniform(0.3, 3, len(sigma))
        yield theta


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("case", CASES)
def test_differences_of_the_log_density(case, name):
    _, joint, reference = build(case, name)
    points = list(random_points(reference, joint.dim, 8, 1))
    ours = np.array([joint.logp(theta) for theta in points])
    theirs = np.array([reference.logp(theta) for theta in points])
    assert np.all(np.isfinite(theirs))
    assert np.ptp(theirs) > 10
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=0, atol=1e-10 * scale)


# Parameter by name, and values outside its support.
OUTSIDE = {
    "partial, LKJ": {"sd": -0.1, "sigma": -0.1, "cor": 1.01, "b[z]": 9.01},
    "partial, elementwise": {"cor": -0.91, "sd": 0.0, "b[z]": -9.01},
    "none, uniform": {"coef": 4000.01, "sigma": -1.0, "b[z]": 9.01},
    "complete": {"b[z]": -9.01, "sigma": 0.0},
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_outside_the_support(case):
    model, joint, reference = build(case)
    layout = Layout.of(model)
    inside = next(random_points(reference, joint.dim, 1, 2))
    assert np.isfinite(joint.logp(inside))
    for what, value in OUTSIDE[case].items():
        part = layout.b if what.startswith("b") else getattr(layout, what)
        if what == "cor" and case == "partial, elementwise":
            positions = [part.start + 1]  # [Intercept,z] lies in (−0.9, 0.95)
        elif what == "b[z]":
            positions = [model.columns.index("z")]
        else:
            positions = range(part.start, part.stop)
        assert len(positions) > 0
        for k in positions:
            theta = inside.copy()
            theta[k] = value
            assert joint.logp(theta) == -np.inf, (what, k)
            theta[k] = np.nan
            assert not joint.logp(theta) > -np.inf, (what, k)


def test_correlations_that_are_no_matrix():
    model, joint, reference = build("partial, LKJ of three")
    theta = next(random_points(reference, joint.dim, 1, 3))
    theta[Layout.of(model).cor] = [0.9, 0.9, -0.9]
    assert joint.logp(theta) == -np.inf


# --- The two engines ----------------------------------------------------------------------------

# Steps of all parameters at once mix where there are few and they are well determined.
WALKS = {
    "partial": ("y ~ 1 + (1 | g)", {"b": pp.Normal(0, 1), "sd_g": pp.Gamma(8, 10)}, 0.22),
    "none": ("y ~ x + (1 | g)", {"coef_g": pp.Uniform(-1.5, 1.5), "b": pp.Normal(0, 1)}, 0.2),
    "complete": ("y ~ x + (1 | g)", {"b": pp.StudentT(4, 0, 1)}, 0.25),
}


@pytest.mark.parametrize("pooling", WALKS)
def test_marginal_engine_and_metropolis_agree(pooling):
    formula, priors, step = WALKS[pooling]
    rng = np.random.default_rng(72)
    g = np.repeat(np.arange(3), 6)
    x = rng.normal(size=18)
    data = {"y": 0.5 * x + np.array([-0.8, 0.1, 1.2])[g] + rng.normal(0, 0.8, 18), "x": x, "g": g}
    options = {"pooling": pooling, "priors": priors | {"sigma": pp.Gamma(4, 5)}, "seed": 1}
    exact = pp.fit(formula, data, draws=4000, **options)
    walk = pp.fit(formula, data, method="metropolis", proposal_sd=step, draws=100_000,
                  warmup=10_000, **options)  # fmt: skip
    assert exact.method == "marginal"
    assert walk.method == "metropolis"

    def everything(fit):
        found = [fit.run.b, *(d.sd for d in fit.run.groups), fit.run.sigma[..., None]]
        if pooling != "complete":
            coef = fit.draws["posterior"]["coef_g"].to_numpy()
            found.append(coef.reshape(*coef.shape[:2], -1))
        draws = np.concatenate(found, axis=2)
        # Second moments about the same point, and a joint one, see what means hide.
        about = draws - centre
        return np.concatenate([draws, about**2, about[..., :1] * about[..., -1:]], axis=2)

    centre = 0.0
    one = diagnose(everything(exact))
    count = (len(one["mean"]) - 1) // 2
    centre = one["mean"][:count]
    one, two = diagnose(everything(exact)), diagnose(everything(walk))
    assert two["r_hat"].max() < 1.01
    assert two["ess_bulk"].min() > 2000
    # Monte Carlo errors of both runs; 5 of them happen by chance once in 2e6 numbers.
    z = (one["mean"] - two["mean"]) / np.hypot(one["mcse"], two["mcse"])
    assert np.abs(z).max() < 5


def test_default_sds_and_correlations_are_at_the_mean_of_the_predictors():
    """What walks are sds and correlations of coefficients of (x − mean)/sd, and of the rest."""
    model = model_of("y ~ x + (x | g)", DATA)
    joint, layout = build_joint(model), Layout.of(model)
    s_y, s_x, x = Y.std(ddof=1), X.std(ddof=1), X.mean()
    rng, ours, theirs = np.random.default_rng(4), [], []
    for _ in range(6):
        theta = np.empty(layout.dim)
        theta[layout.b] = b = rng.normal(size=2)
        coef = b + rng.normal(size=(J, 2))
        theta[layout.coef] = coef.ravel()
        theta[layout.sd] = sd = rng.uniform(0.3, 2, 2)
        theta[layout.cor] = cor = rng.uniform(-0.8, 0.8)
        theta[layout.sigma] = sigma = rng.uniform(0.5, 2)
        total = stats.norm(coef[CODES, 0] + coef[CODES, 1] * X, sigma).logpdf(Y).sum()
        total += stats.norm(Y.mean(), 2.5 * s_y).logpdf(b[0] + x * b[1])
        total += stats.norm(0, 2.5 * s_y / s_x).logpdf(b[1])
        total += stats.expon(scale=s_y).logpdf([*sd, sigma]).sum() + np.log(1 - cor**2)
        r = coef - b
        own = np.column_stack([r[:, 0] + x * r[:, 1], s_x * r[:, 1]])
        Sigma = np.array([[1, cor], [cor, 1]]) * np.outer(sd, sd)
        theirs.append(total + stats.multivariate_normal([0, 0], Sigma).logpdf(own).sum())
        ours.append(joint.logp(theta))
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=1e-9, atol=1e-8)
