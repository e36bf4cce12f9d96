"""The joint density that NUTS walks on, against scipy and numerical Jacobians.

At an unconstrained point u the core's log density should be, up to a constant of the model,

    log p(y | θ) + log p(θ) + log |det ∂θ/∂u|,

where θ are the parameters on the user's scale. Likelihood and priors are scipy's here, and the
Jacobian of the whole map u → θ (whitened coordinates, supports, correlations, thresholds) is by
finite differences. Differences between random points are compared, and gradients with differences.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import special, stats

import partialpool as pp
from helpers import model_of
from partialpool.engine import nuts
from partialpool.families import FAMILIES
from partialpool.model.general import build_general

RNG = np.random.default_rng(2024)
N = 26
G, H = RNG.permutation(np.arange(N) % 4), RNG.integers(0, 3, N)
X, Z = RNG.normal(0.7, 1.2, N), RNG.normal(-2.0, 0.6, N)
ROWS = {"g": G, "h": H, "x": X, "z": Z}
COLUMN = {"Intercept": np.ones(N), "x": X, "z": Z}
CODES = {"g": G, "h": H, "g:h": np.unique(3 * G + H, return_inverse=True)[1]}
WEIGHTS, OFFSET = RNG.uniform(0.3, 2.5, N), RNG.normal(0, 0.6, N)
SE, EXPOSURE = RNG.uniform(0.3, 2, N), RNG.uniform(0.5, 4, N)
TRIALS = RNG.integers(1, 9, N).astype(float)
NUMBERS = 1.0 + 0.4 * X + RNG.normal(0, 1, 4)[G] + RNG.normal(0, 0.7, N)
# Levels of two rows that are alike, whose information follows the sds.
ROWS["pair"] = CODES["pair"] = np.argsort(np.argsort(NUMBERS)) // 2
RESPONSES = {
    "whole numbers from 0": np.concatenate([[0, 0, 7], RNG.poisson(1.8, N - 3)]).astype(float),
    "numbers above 0": np.exp(0.5 * NUMBERS),
    "numbers above 0 and below 1": special.expit(NUMBERS - 1),
    "0 or 1": (NUMBERS > 1).astype(float),
    "whole numbers from 0 to `trials`": np.floor(RNG.uniform(0, 1, N) * (TRIALS + 1)),
    "categories counted from 0": np.digitize(NUMBERS, [0.0, 1.0, 2.0]).astype(float),
    "numbers": NUMBERS,
}

# --------------------------------------------------------------------------- priors, given twice


@dataclass(frozen=True)
class AtMean:
    """The default prior of an intercept or threshold: where the predictors are at their means."""

    mean: float
    sd: float


@dataclass(frozen=True)
class LKJ:
    """Density ∝ |R|^(eta − 1) of the correlations."""

    eta: float


class Flat:
    @staticmethod
    def logpdf(value):
        return np.zeros_like(value)


NORMAL = (pp.Normal(0.5, 0.8), stats.norm(0.5, 0.8))
STUDENT = (pp.StudentT(3, 0.2, 1.1), stats.t(3, 0.2, 1.1))
BOX = (pp.Uniform(-1.5, 2.5), stats.uniform(-1.5, 4))
WIDE = (pp.Uniform(-5, 4), stats.uniform(-5, 9))
ABOVE = (pp.HalfNormal(1.3), stats.halfnorm(scale=1.3))
FLAT = (pp.Flat(), Flat)
# Of sds: with mass at 0 (the coordinate has a sign), without, and with bounds.
HALF = (pp.HalfNormal(2), stats.halfnorm(scale=2))
EXPONENTIAL = (pp.Exponential(1.5), stats.expon(scale=1 / 1.5))
INVERSE = (pp.InverseGamma(2, 1.5), stats.invgamma(2, scale=1.5))
BETWEEN = (pp.Uniform(0.1, 5), stats.uniform(0.1, 4.9))
CUT = (pp.Normal(0.5, 1), stats.truncnorm(-0.5, np.inf, 0.5, 1))
GAMMA = (pp.Gamma(2, 1.2), stats.gamma(2, scale=1 / 1.2))
SIGMA = {"sigma": (pp.LogNormal(0, 0.7), stats.lognorm(0.7))}
DISPERSION = {
    "gaussian": SIGMA,
    "lognormal": SIGMA,
    # Below 1 degree of freedom there is no mean: the prior is cut there.
    "student_t": SIGMA | {"nu": (pp.Gamma(3, 0.5), stats.gamma(3, scale=2))},
}
SHAPE = {"shape": (pp.Gamma(2, 1), stats.gamma(2))}
SHARE = stats.beta(1, 1)
LKJ3, COR = {"cor_g": (pp.LKJ(3), LKJ(3))}, "cor_g[{}]"
ELEMENTS = {
    "cor_g[Intercept,x]": (pp.Normal(0.1, 0.5), stats.norm(0.1, 0.5)),
    "cor_g[Intercept,z]": (pp.Uniform(-0.9, 0.95), stats.uniform(-0.9, 1.85)),
    "cor_g[x,z]": (pp.StudentT(4, 0, 0.4), stats.t(4, 0, 0.4)),
}
B = {"b[Intercept]": STUDENT, "b[x]": NORMAL}
SDS = {"sd_g[Intercept]": HALF, "sd_g[x]": INVERSE, "sd_h[Intercept]": EXPONENTIAL}


def given(*lists):
    """Priors of several lists: a name takes the place of it and its elements in those before."""
    found = {}
    for names in lists:
        found = {k: v for k, v in found.items() if k not in names and k.split("[")[0] not in names}
        found |= names
    return found


@dataclass
class Case:
    """A model; `priors` are what the fit is given and what scipy has."""

    formula: str
    priors: dict
    family: str = "gaussian"
    options: dict = field(default_factory=dict)
    # Defaults that the reference knows and the fit is not given.
    defaults: dict = field(default_factory=dict)

    @property
    def y(self):
        return RESPONSES[FAMILIES[self.family].needs]

    def model(self):
        """The model with those of the priors whose parameters it has."""
        options = self.options | {"family": self.family, "method": "nuts"}
        plain = model_of(self.formula, ROWS | {"y": self.y}, **options)
        names = {*plain.priors, *(label for group in plain.groups for label in group.cor_labels)}
        names |= {name.split("[")[0] for name in names}
        given = {name: ours for name, (ours, _) in self.priors.items() if name in names}
        return model_of(self.formula, ROWS | {"y": self.y}, given, **options)

    def prior(self, name):
        given = {key: theirs for key, (_, theirs) in self.priors.items()}
        for known in (given, self.defaults):
            for key in (name, name.split("[")[0]):
                if key in known:
                    return known[key]
        raise KeyError(name)


# ------------------------------------------------------------------------------------ the models

TWO = "y ~ x + (x | g) + (1 | h)"


def dispersion_priors(family):
    if family in DISPERSION:
        return DISPERSION[family]
    names = [d.name for d in FAMILIES[family].dispersion]
    found = {name: SHAPE["shape"] for name in names if name in ("shape", "phi")}
    return found | {name: (pp.Uniform(0, 1), SHARE) for name in names if name in ("zi", "hu")}


def family_case(family, link):
    options = {"link": link, "offset": OFFSET, "weights": WEIGHTS}
    if family == "binomial":
        options["trials"] = TRIALS
    priors = B | SDS | LKJ3 | dispersion_priors(family)
    if family == "cumulative":
        priors |= {"threshold": NORMAL, "threshold[2]": STUDENT}
    return Case(TWO, priors, family, options)


CASES = {
    f"{name}, {link}": family_case(name, link)
    for name, family in FAMILIES.items()
    for link in family.links
}

# By hand: 2.5 s_y, Exponential(1/s_y), Exponential(s_x/s_y), four times as wide without pooling.
S_Y, S_X, S_Z = NUMBERS.std(ddof=1), X.std(ddof=1), Z.std(ddof=1)
UNITS = {"Intercept": 1.0, "x": S_X, "z": S_Z}
SHIFTED = (NUMBERS - OFFSET).std(ddof=1)
# Log rates: the count over the exposure; units of 1.
COUNTS = RESPONSES["whole numbers from 0"]
RATE = np.log(COUNTS.sum() / EXPOSURE.sum())
DEFAULTS = {
    "cor_g": LKJ(2),
    "sigma": stats.expon(scale=S_Y),
    "b[Intercept]": AtMean(NUMBERS.mean(), 2.5 * S_Y),
    "b[x]": stats.norm(0, 2.5 * S_Y / S_X),
    "b[z]": stats.norm(0, 2.5 * S_Y / S_Z),
    "sd_g[Intercept]": stats.expon(scale=S_Y),
    "sd_g[x]": stats.expon(scale=S_Y / S_X),
    "sd_h[Intercept]": stats.expon(scale=S_Y),
    "coef_g[Intercept]": AtMean(NUMBERS.mean(), 10 * S_Y),
    "coef_g[x]": stats.norm(0, 10 * S_Y / S_X),
}
UNIT_DEFAULTS = {
    "cor_g": LKJ(2),
    "b[x]": stats.norm(0, 2.5 / S_X),
    "sd_g[Intercept]": stats.expon(),
    "sd_g[x]": stats.expon(scale=1 / S_X),
    "sd_h[Intercept]": stats.expon(),
    "coef_g[x]": stats.norm(0, 10 / S_X),
}
# Those of log sigma: 2.5 around the log of s_y, units of 1.
SIGMA_DEFAULTS = {
    "b_sigma[Intercept]": AtMean(np.log(S_Y), 2.5),
    "b_sigma[x]": stats.norm(0, 2.5 / S_X),
    "sd_sigma_g[Intercept]": stats.expon(),
    "sd_sigma_h[Intercept]": stats.expon(),
}
ALL = B | SDS | SIGMA | LKJ3
PAIRS = ALL | {"sd_pair[Intercept]": HALF, "sd_pair[x]": EXPONENTIAL, "cor_pair": LKJ3["cor_g"]}
# Else so few rows say too little of an sd for anything to follow it.
HEAVY = {"weights": np.full(N, 6.0)}
THREE = B | SDS | SIGMA | {"b[z]": STUDENT, "sd_g[z]": GAMMA}
B_SIGMA = {"b_sigma[Intercept]": NORMAL, "b_sigma[x]": STUDENT, "sd_sigma_g[Intercept]": HALF}
BOTH_SIGMA = B_SIGMA | {
    "sd_sigma_g[x]": EXPONENTIAL,
    "cor_sigma_g": LKJ3["cor_g"],
    "sd_sigma_h[Intercept]": INVERSE,
}
WEIGHED = {"weights": WEIGHTS, "offset": OFFSET}
NONE, NONE_G = {"pooling": "none"}, {"pooling": {"g": "none"}}
OWN = {"coef_g[Intercept]": NORMAL, "coef_g[x]": (pp.Normal(-0.5, 1), stats.norm(-0.5, 1))}
OWN_WIDE = {"coef_g": WIDE}
CASES |= {
    # Priors of the population.
    "defaults": Case(TWO, {}, defaults=DEFAULTS),
    "defaults, offset": Case(
        "y ~ 1 + (1 | g)",
        SIGMA | {"sd_g": HALF},
        options={"offset": OFFSET},
        defaults={"b[Intercept]": AtMean((NUMBERS - OFFSET).mean(), 2.5 * SHIFTED)},
    ),
    "defaults, poisson": Case(
        TWO,
        {},
        "poisson",
        {"exposure": EXPOSURE},
        UNIT_DEFAULTS | {"b[Intercept]": AtMean(RATE, 2.5)},
    ),
    "defaults, bernoulli": Case(
        TWO, {}, "bernoulli", {}, UNIT_DEFAULTS | {"b[Intercept]": AtMean(0, 2.5)}
    ),
    "defaults, cumulative": Case(
        TWO, {}, "cumulative", {}, UNIT_DEFAULTS | {"threshold": AtMean(0, 2.5)}
    ),
    "exposure and offset": Case(
        TWO, B | SDS | LKJ3, "poisson", {"exposure": EXPOSURE, "offset": OFFSET}
    ),
    "slope with bounds": Case(TWO, given(ALL, {"b[x]": BOX})),
    "slope above 0": Case(TWO, given(ALL, {"b[x]": ABOVE}), "poisson"),
    "intercept with bounds": Case("y ~ x + z + (x | g)", given(THREE, LKJ3, {"b[Intercept]": BOX})),
    "all of b with bounds": Case(TWO, given(ALL, {"b": BOX})),
    "slope with bounds, default intercept": Case(
        "y ~ x + z + (1 | g)", {"b[x]": BOX}, defaults=DEFAULTS
    ),
    "flat b": Case(TWO, given(ALL, {"b": FLAT})),
    "no intercept": Case("y ~ 0 + x + (1 | g) + (1 | h)", ALL),
    "no population": Case("y ~ 0 + (1 | g)", ALL),
    # Shapes of the group part.
    "one factor": Case("y ~ x + (1 | g)", ALL, options=WEIGHED),
    "slope alone": Case("y ~ x + (0 + x | g)", ALL),
    "slope without twin": Case("y ~ 1 + (0 + x | g) + (1 | h)", ALL),
    "independent": Case("y ~ x + (x || g)", given(ALL, {"sd_g": BETWEEN})),
    "three correlated": Case("y ~ x + z + (x + z | g)", THREE | LKJ3),
    "elementwise": Case("y ~ x + z + (x + z | g)", THREE | ELEMENTS),
    "elementwise, two factors": Case(TWO, ALL | ELEMENTS),
    "blocks": Case("y ~ x + z + (x | g) + (0 + z | g)", THREE | LKJ3),
    "sds cut at 0": Case(TWO, given(ALL, {"sd_g": CUT, "sd_h": GAMMA})),
    "both correlated": Case(
        "y ~ x + (x | g) + (x | h)",
        ALL | {"sd_h[x]": BETWEEN, "cor_h": (pp.LKJ(1.5), LKJ(1.5))},
        "poisson",
    ),
    "few rows a level": Case("y ~ x + (1 | pair)", PAIRS, "bernoulli", HEAVY),
    "few rows a level, slopes": Case("y ~ x + (x | pair)", PAIRS, "bernoulli"),
    "few rows a level, crossed": Case("y ~ x + (1 | g) + (1 | pair)", PAIRS, "bernoulli", HEAVY),
    "few rows a level, slopes, crossed": Case("y ~ x + (1 | g) + (x | pair)", PAIRS, "bernoulli"),
    "nested": Case("y ~ x + (1 | g / h)", ALL | {"sd_g:h[Intercept]": HALF}, "bernoulli"),
    "known errors": Case(TWO, B | SDS | LKJ3, options={"se": SE, "offset": OFFSET}),
    # Poolings.
    "complete": Case(TWO, B | SIGMA, options={"pooling": "complete"}),
    "one factor complete": Case(TWO, ALL, options={"pooling": {"g": "complete"}} | WEIGHED),
    "none, defaults": Case("y ~ x + (x | g)", {}, options=NONE, defaults=DEFAULTS),
    "none, defaults, shared": Case(
        "y ~ x + z + (x | g)", {"b[z]": STUDENT}, options=NONE, defaults=DEFAULTS
    ),
    "none, defaults, poisson": Case(
        "y ~ x + (x | g)",
        {},
        "poisson",
        {"exposure": EXPOSURE} | NONE,
        UNIT_DEFAULTS | {"coef_g[Intercept]": AtMean(RATE, 10)},
    ),
    "none, normal": Case("y ~ x + z + (x | g)", OWN | SIGMA | {"b[z]": STUDENT}, options=NONE),
    "none, student": Case("y ~ x + (x | g)", {"coef_g": STUDENT} | SIGMA, options=NONE),
    "none, uniform": Case(
        "y ~ x + z + (x | g)", OWN_WIDE | SIGMA | {"b[z]": BOX}, options=NONE | WEIGHED
    ),
    "none, mixed": Case("y ~ x + (x | g)", {"coef_g": NORMAL, "coef_g[x]": BOX}, "bernoulli", NONE),
    "none, shared intercept": Case(
        "y ~ x + (0 + x | g)", {"coef_g": STUDENT, "b": NORMAL} | SIGMA, options=NONE
    ),
    "none beside partial": Case("y ~ x + (x | g) + (1 | h)", OWN | SDS | SIGMA, options=NONE_G),
    "none beside partial, defaults": Case(
        "y ~ x + z + (1 | g) + (x || h)",
        {"sd_h": HALF, "b[z]": NORMAL},
        options=NONE_G,
        defaults=DEFAULTS,
    ),
    "none beside partial, poisson": Case(
        "y ~ x + z + (1 | g) + (1 | h)",
        {"coef_g": BOX, "sd_h": EXPONENTIAL, "b": STUDENT},
        "poisson",
        NONE_G,
    ),
    # log sigma.
    "sigma ~ x": Case(TWO, B | SDS | LKJ3 | B_SIGMA, options={"sigma": "~ x"}),
    "sigma ~ x + (1 | g)": Case(
        "y ~ x + (x | g)", B | SDS | LKJ3 | B_SIGMA, options={"sigma": "~ x + (1 | g)"} | WEIGHED
    ),
    "sigma with two factors": Case(
        TWO, B | SDS | LKJ3 | BOTH_SIGMA, options={"sigma": "~ x + (x | g) + (1 | h)"}
    ),
    "sigma without twin": Case(
        TWO, B | SDS | LKJ3 | BOTH_SIGMA, options={"sigma": "~ 0 + x + (1 | g)"}
    ),
    "sigma, defaults": Case(
        TWO, {}, options={"sigma": "~ x + (1 | g) + (1 | h)"}, defaults=DEFAULTS | SIGMA_DEFAULTS
    ),
    "sigma with bounds": Case(
        "y ~ x + (1 | g)",
        given(B, SDS, B_SIGMA, {"b_sigma[x]": BOX}),
        options={"sigma": "~ x + (1 | g)"},
    ),
    "sigma, student_t": Case(
        TWO,
        B | SDS | LKJ3 | B_SIGMA | {"nu": DISPERSION["student_t"]["nu"]},
        "student_t",
        {"sigma": "~ x + (1 | g)"} | WEIGHED,
    ),
    "sigma, lognormal": Case(
        TWO, B | SDS | LKJ3 | B_SIGMA, "lognormal", {"sigma": "~ x + (1 | g)"}
    ),
    "sigma, mean without pooling": Case(
        "y ~ x + (x | g)", OWN | B_SIGMA, options={"sigma": "~ x + (1 | g)"} | NONE
    ),
    # Ordered categories.
    "cumulative, actual thresholds, one factor": Case(
        "y ~ x + z + (1 | g)",
        {"b": NORMAL, "sd_g": HALF, "threshold": STUDENT},
        "cumulative",
    ),
    "cumulative, one threshold by hand": Case(
        TWO,
        given(B, SDS, LKJ3, {"threshold[2]": NORMAL}),
        "cumulative",
        defaults={"threshold": AtMean(0, 2.5)},
    ),
    "cumulative, slope with bounds": Case(
        TWO, SDS | LKJ3 | {"b": BOX, "threshold": STUDENT}, "cumulative"
    ),
    "cumulative, without slopes": Case(
        "y ~ 1 + (1 | g) + (1 | h)", SDS | {"threshold": STUDENT}, "cumulative"
    ),
    "cumulative, slope of a factor": Case(
        "y ~ x + (0 + x | g) + (1 | h)",
        SDS | {"b": NORMAL, "threshold": STUDENT},
        "cumulative",
    ),
}


# ---------------------------------------------------------------------------------- the reference


def parameters(model, u):
    """θ by name at u: what the engine would make of this row of output."""
    row, layout = model.core.constrain(u), model.layout
    assert len(row) == layout.size
    found = {}
    for predictor in layout.predictors:
        b = nuts.population(predictor, layout, row)
        prefix = "b" if predictor.name == "mu" else "b_sigma"
        found |= {f"{prefix}[{k}]": v for k, v in zip(predictor.columns, b, strict=True)}
        groups = [g for g in model.groups if g.predictor == predictor.name]
        for k, group in enumerate(groups):
            # Default sds are those at the mean of the predictors, here of coefficients of x.
            unit = np.array([UNITS[term] if group.at_mean else 1.0 for term in group.terms])
            sds = row[predictor.sd[k]] / unit[: len(group.sd_labels)]
            found |= dict(zip(group.sd_labels, sds, strict=True))
            found |= dict(zip(group.cor_labels, row[predictor.cor[k]], strict=True))
            r = row[predictor.r[k]].reshape(len(group.levels), len(group.terms)) @ group.back.T
            own = group.known_sd is not None
            # Without pooling the coefficients themselves, else deviations.
            found[f"r_{group.name}"] = r + group.T @ b if own else r
    return found | {k: np.asarray(v) for k, v in nuts.dispersion(layout, row).items()}


def flat(theta):
    return np.concatenate([np.ravel(value) for value in theta.values()])


def slope(f, u, step=1e-3):
    """Derivatives of f by u (columns), by differences of fourth order.

    The error is step⁴/30 of a fifth derivative, 3e-14, and rounding over step, 2e-13, for functions
    and derivatives of size 1.
    """
    columns = []
    for k in range(len(u)):
        e = np.zeros(len(u))
        e[k] = step
        columns.append((8 * (f(u + e) - f(u - e)) - (f(u + 2 * e) - f(u - 2 * e))) / (12 * step))
    return np.stack(columns, axis=-1)


def log_rows(case, link, eta, at, log_sigma):
    """Log likelihood of each row; scipy's distributions throughout."""
    y, weights = case.y, case.options.get("weights", np.ones(N))
    sigma = case.options.get("se", at.get("sigma")) if log_sigma is None else np.exp(log_sigma)
    if sigma is not None:
        sigma = sigma / np.sqrt(weights)
        match case.family:
            case "gaussian":
                return stats.norm(eta, sigma).logpdf(y)
            case "student_t":
                return stats.t(at["nu"], eta, sigma).logpdf(y)
            case "lognormal":
                return stats.lognorm(sigma, scale=np.exp(eta)).logpdf(y)
    inverse = {
        "logit": special.expit,
        "probit": special.ndtr,
        "cloglog": lambda e: -np.expm1(-np.exp(e)),
        "log": np.exp,
    }[link]
    mu, kind = inverse(eta), case.family
    shape = at.get("shape")
    if kind == "cumulative":
        cuts = np.array([v for k, v in at.items() if k.startswith("threshold")])
        assert np.all(np.diff(cuts) > 0)
        below = np.pad(inverse(cuts - eta[:, None]), ((0, 0), (1, 1)), constant_values=(0, 1))
        return weights * np.log(np.diff(below)[np.arange(N), y.astype(int)])
    counts = stats.poisson(mu) if shape is None else stats.nbinom(shape, shape / (shape + mu))
    match kind:
        case "bernoulli":
            log_p = stats.bernoulli(mu).logpmf(y)
        case "binomial":
            log_p = stats.binom(TRIALS, mu).logpmf(y)
        case "poisson" | "negbinomial":
            log_p = counts.logpmf(y)
        case "zero_inflated_poisson" | "zero_inflated_negbinomial":
            log_p = np.log(at["zi"] * (y == 0) + (1 - at["zi"]) * counts.pmf(y))
        case "hurdle_poisson" | "hurdle_negbinomial":
            positive = np.log1p(-at["hu"]) + counts.logpmf(y) - np.log1p(-counts.pmf(0))
            log_p = np.where(y == 0, np.log(at["hu"]), positive)
        case "gamma":
            log_p = stats.gamma(shape, scale=mu / shape).logpdf(y)
        case "exponential":
            log_p = stats.expon(scale=mu).logpdf(y)
        case "weibull":
            log_p = stats.weibull_min(shape, scale=mu / special.gamma(1 + 1 / shape)).logpdf(y)
        case "beta":
            log_p = stats.beta(mu * at["phi"], (1 - mu) * at["phi"]).logpdf(y)
    return weights * log_p


def log_density(case, model, at):
    """log p(y, θ); checks that all parameters are used."""
    used, total = set(), 0.0
    eta = {}
    for name in ["mu", "sigma"][: len(model.layout.predictors)]:
        prefix = "b" if name == "mu" else "b_sigma"
        offset = case.options.get("offset", 0.0) + np.log(case.options.get("exposure", 1.0))
        eta[name] = np.zeros(N) + (offset if name == "mu" else 0.0)
        b = {k[len(prefix) + 1 : -1]: v for k, v in at.items() if k.startswith(f"{prefix}[")}
        for column, value in b.items():
            eta[name] = eta[name] + COLUMN[column] * value
            total += log_prior_at(case, f"{prefix}[{column}]", column, value, b)
            used.add(f"{prefix}[{column}]")
        for group in model.groups:
            if group.predictor == name:
                used |= {f"r_{group.name}", *group.sd_labels, *group.cor_labels}
                for k, term in enumerate(group.terms):
                    own = at[f"r_{group.name}"][CODES[group.factor], k]
                    eta[name] = eta[name] + COLUMN[term] * own
                total += log_prior_of_group(case, group, at, b)
    cuts = {k: v for k, v in at.items() if k.startswith("threshold")}
    for name, value in cuts.items():
        # A threshold is compared with eta: at the means of the predictors it is lower by theirs.
        total += log_prior_at(case, name, "Intercept", value, {k: -v for k, v in b.items()})
    names = {d.name for d in FAMILIES[case.family].dispersion} & set(at)
    total += sum(case.prior(name).logpdf(at[name]) for name in names)
    assert used | set(cuts) | names == set(at)
    return total + log_rows(case, model.link, eta["mu"], at, eta.get("sigma")).sum()


def log_prior_at(case, name, column, value, b):
    prior = case.prior(name)
    if not isinstance(prior, AtMean):
        return prior.logpdf(value)
    assert column == "Intercept"
    others = sum(v * COLUMN[k].mean() for k, v in b.items() if k != "Intercept")
    return stats.norm(prior.mean, prior.sd).logpdf(value + others)


def log_prior_of_group(case, group, at, b):
    r = at[f"r_{group.name}"]
    if group.known_sd is not None:
        total = 0.0
        for k, term in enumerate(group.terms):
            own = {t: r[:, i] for i, t in enumerate(group.terms) if i != k}
            shared = {} if term != "Intercept" else b
            name = f"coef_{group.name}[{term}]"
            total += np.sum(log_prior_at(case, name, term, r[:, k], own | shared))
        return total
    sd, cor = (np.array([at[label] for label in of]) for of in (group.sd_labels, group.cor_labels))
    total = sum(case.prior(label).logpdf(at[label]) for label in group.sd_labels)
    R = np.eye(len(sd))
    for (i, j), value in zip(group.pairs, cor, strict=True):
        R[i, j] = R[j, i] = value
    own = [case.prior(label) for label in group.cor_labels]
    if own and isinstance(own[0], LKJ):
        total += (own[0].eta - 1) * np.linalg.slogdet(R)[1]
    else:
        total += sum(prior.logpdf(value) for prior, value in zip(own, cor, strict=True))
    if group.at_mean:
        # Of a slope it is the same; the intercept is that where the others are at their means.
        means = [0.0 if term == "Intercept" else COLUMN[term].mean() for term in group.terms]
        r = r + np.outer(r @ means, [term == "Intercept" for term in group.terms])
    effects = stats.multivariate_normal(np.zeros(len(sd)), R * np.outer(sd, sd))
    return total + effects.logpdf(r).sum()


# -------------------------------------------------------------------------------------- the tests


def points(core, count, seed):
    """Points around the start at which the density is finite."""
    rng = np.random.default_rng(seed)
    start, found = np.array(core.start()), []
    while len(found) < count:
        u = start + 0.8 * rng.normal(size=core.dim)
        if np.isfinite(core.logp_and_grad(u)[0]):
            found.append(u)
    return found


@pytest.mark.parametrize("name", CASES)
def test_log_density_up_to_a_constant(name):
    case = CASES[name]
    model = case.model()
    ours, theirs = [], []
    for u in points(model.core, 5, 1):
        jacobian = slope(lambda u: flat(parameters(model, u)), u)
        assert jacobian.shape == (model.core.dim, model.core.dim)
        sign, log_det = np.linalg.slogdet(jacobian)
        assert sign != 0
        ours.append(model.core.logp_and_grad(u)[0])
        theirs.append(log_density(case, model, parameters(model, u)) + log_det)
    ours, theirs = np.array(ours), np.array(theirs)
    assert np.ptp(theirs) > 1
    # Relative errors of the Jacobian of 1e-12 are multiplied by its condition (up to 1e5), and
    # there are up to 34 columns. What a wrong term changes is of size 0.01 to 100.
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    core = CASES[name].model().core
    for u in points(core, 3, 2):
        value, grad = core.logp_and_grad(u)
        expected = slope(lambda u: np.array(core.logp_and_grad(u)[0]), u)
        # Rounding of sums as large as the value and of gamma functions, and the fifth derivative.
        error = 1e-7 + 1e-10 * (abs(value) + np.abs(grad).max())
        np.testing.assert_allclose(grad, expected, rtol=0, atol=error)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("few rows")])
def test_coordinates_follow_the_sds_of_levels_with_few_rows(name):
    model = CASES[name].model()
    predictor = model.layout.predictors[0]
    own = predictor.sd[-1].start  # sds have the same places in rows as in u

    def shared(u):
        # b and the means of the levels stand for one sum where there are several factors.
        row = model.core.constrain(u)
        places = zip(predictor.r, predictor.sd, strict=True)
        means = [row[r][:: len(row[sd])].mean() for r, sd in places]
        return row[predictor.c][0] + (sum(means) if len(means) > 1 else 0)

    u = np.array(model.core.start())
    u[own] += 0.5
    assert abs(shared(u) - shared(np.array(model.core.start()))) > 0.01


def test_thresholds_of_categories_that_do_not_occur():
    """In a part of the rows the highest category may be lacking; its threshold has its prior."""
    from partialpool.draws.rows import take_rows
    from partialpool.model import pool

    family = FAMILIES["cumulative"]
    y = np.digitize(NUMBERS, np.quantile(NUMBERS, [0.2, 0.5, 0.8])).astype(float)
    fit = pp.fit(
        "y ~ x", {"y": y, "x": X}, family="cumulative", chains=1, draws=2, warmup=2, seed=1
    )
    rows = np.flatnonzero(y < y.max())
    priors = {"b": pp.Normal(0.3, 1.1), "threshold": pp.Normal(0.2, 2)}
    pooled = pool(take_rows(fit.design, rows), "partial", family, "logit")
    model = build_general(pooled, priors)
    assert model.core.dim == 4  # a slope, the first of three thresholds, two increments
    ours, theirs = [], []
    for u in points(model.core, 6, 3):
        at = parameters(model, u)
        cuts = np.array([at[f"threshold[{k}]"] for k in (1, 2, 3)])
        below = special.expit(cuts - at["b[x]"] * X[rows, None])
        p = np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=(0, 1)))
        log_det = np.linalg.slogdet(slope(lambda u: flat(parameters(model, u)), u))[1]
        prior = stats.norm(0.3, 1.1).logpdf(at["b[x]"]) + stats.norm(0.2, 2).logpdf(cuts).sum()
        theirs.append(np.log(p[np.arange(len(rows)), y[rows].astype(int)]).sum() + prior + log_det)
        ours.append(model.core.logp_and_grad(u)[0])
    assert np.ptp(theirs) > 1
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=0, atol=1e-7)


def test_kfold_where_a_part_lacks_the_highest_category():
    rng = np.random.default_rng(4)
    data = {"y": np.append(rng.integers(1, 4, 39), 4), "x": rng.normal(size=40)}
    fit = pp.fit("y ~ x", data, family="cumulative", chains=2, draws=100, warmup=100, seed=1)
    score = fit.kfold(4)
    assert np.isfinite(score.elpd)
    assert score.pointwise["elpd"].iloc[-1] < -2  # of the one row with 4, seen by the prior alone
