"""Simulation-based calibration of NUTS on all parameters, and of several factors integrated out.

Judged as in test_calibration. Every family with one factor, crossed and nested factors, group
coefficients without pooling, and a predictor
of log sigma. Responses come from `Family.simulate`, whose draws are tested against scipy on their
own. Worlds that the package refuses (all responses alike, a category that does not occur) are left
out: that depends on the data alone, and given the data the truth is a draw from the posterior, so
the ranks of the other worlds stay uniform.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from calibration import miscalibrated, rank, threshold
from partialpool import _core
from partialpool.engine.conditional import coefficient_draws
from partialpool.families import FAMILIES, Given

THIN, KEPT = 8, 50
REFUSED = 1 / 4

# Ragged levels, a single row among them; two factors that cross, and x is not centred.
SIZES = [1, 2, 3, 5, 7, 9, 13]
G = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(G), len(SIZES)
_RNG = np.random.default_rng(77)
H = _RNG.permutation(np.arange(N) % 6)
K = G // 3  # g is nested in k
CODES = {"g": G, "h": H, "k": K}
X = _RNG.normal(0.8, 1, N)
COLUMN = {"Intercept": np.ones(N), "x": X}
WEIGHTS, OFFSET = _RNG.uniform(0.3, 3, N), _RNG.normal(0, 1, N)
EXPOSURE, TRIALS = _RNG.uniform(0.5, 4, N), _RNG.integers(1, 12, N).astype(float)
NONE = np.zeros(0)


class LKJ2:
    """One correlation under LKJ(2): (ρ + 1)/2 ~ Beta(2, 2)."""

    @staticmethod
    def rvs(size, random_state):
        return 2 * stats.beta(2, 2).rvs(size, random_state=random_state) - 1


# Each prior twice: as given to the fit, and as scipy draws from it.
SMALL = (pp.Normal(0.3, 0.5), stats.norm(0.3, 0.5))
STUDENT = (pp.StudentT(5, 0, 0.5), stats.t(5, 0, 0.5))
BOX = (pp.Uniform(-1, 1.5), stats.uniform(-1, 2.5))
HALF = (pp.HalfNormal(0.7), stats.halfnorm(scale=0.7))
EXPONENTIAL = (pp.Exponential(2), stats.expon(scale=1 / 2))
GAMMA = (pp.Gamma(4, 5), stats.gamma(4, scale=1 / 5))
SHAPE = (pp.Gamma(4, 2), stats.gamma(4, scale=1 / 2))
SHARE = (pp.Uniform(0.02, 0.6), stats.uniform(0.02, 0.58))
# Degrees of freedom lie above 1.
NU = (pp.Uniform(1.5, 12), stats.uniform(1.5, 10.5))
DISPERSION = {"sigma": GAMMA, "nu": NU, "shape": SHAPE, "phi": SHAPE, "zi": SHARE, "hu": SHARE}
B, SDS = {"b": SMALL}, {"sd_g": HALF, "sd_h": EXPONENTIAL, "sd_k": HALF}
# Thresholds are ordered: their prior is that of those draws that are.
CUTS = {
    f"threshold[{k}]": (pp.Normal(m, 0.7), stats.norm(m, 0.7)) for k, m in ((1, -1), (2, 0), (3, 1))
}


@dataclass
class World:
    """A model: ``y ~ x`` and group terms; the priors of what it has are taken from the list."""

    family: str
    groups: dict = field(default_factory=lambda: {"g": ("Intercept",)})
    priors: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    # Group terms of log sigma; None without a formula of it.
    sigma: dict | None = None
    # The factor without pooling.
    own: str = ""
    method: str = "nuts"

    @property
    def record(self):
        return FAMILIES[self.family]

    @property
    def link(self):
        return self.options.get("link", self.record.links[0])

    def formula(self, response, groups):
        terms = [f"({' + '.join(terms).replace('Intercept', '1')} | {g})" for g, terms in groups]
        return " + ".join([f"{response}~ x", *terms])


MODELS = {
    **{name: World(name) for name in FAMILIES},
    "binomial": World("binomial", options={"trials": TRIALS}),
    "poisson": World("poisson", options={"exposure": EXPOSURE}),
    "gaussian": World("gaussian", options={"weights": WEIGHTS, "offset": OFFSET}),
    "bernoulli, probit": World("bernoulli", options={"link": "probit"}),
    "gaussian, crossed": World("gaussian", {"g": ("Intercept", "x"), "h": ("Intercept",)}),
    "integrated, crossed": World(
        "gaussian",
        {"g": ("Intercept", "x"), "h": ("Intercept",)},
        options={"weights": WEIGHTS, "offset": OFFSET},
        method="marginal",
    ),
    "integrated, slopes in both": World(
        "gaussian",
        {"g": ("Intercept", "x"), "h": ("Intercept", "x")},
        priors={"b": STUDENT},
        method="marginal",
    ),
    "integrated, nested": World(
        "gaussian", {"g": ("Intercept",), "k": ("Intercept",)}, method="marginal"
    ),
    "integrated, none beside partial": World(
        "gaussian",
        {"g": ("Intercept",), "h": ("Intercept",)},
        {"coef_g": SMALL},
        own="g",
        method="marginal",
    ),
    "poisson, crossed": World("poisson", {"g": ("Intercept",), "h": ("Intercept", "x")}),
    "cumulative, crossed": World("cumulative", {"g": ("Intercept",), "h": ("Intercept",)}),
    "bernoulli, bounds": World("bernoulli", priors={"b": BOX}),
    "poisson, student": World("poisson", priors={"b": STUDENT}),
    "gaussian, none": World("gaussian", {"g": ("Intercept", "x")}, {"coef_g": BOX}, own="g"),
    "poisson, none beside partial": World(
        "poisson", {"g": ("Intercept",), "h": ("Intercept",)}, {"coef_g": SMALL}, own="g"
    ),
    "sigma": World("gaussian", options={"weights": WEIGHTS}, sigma={"g": ("Intercept",)}),
    "sigma, crossed": World(
        "student_t", sigma={"g": ("Intercept",), "h": ("Intercept",)}, priors={"nu": NU}
    ),
}


def priors_of(world):
    """The priors of the parameters of a model, by name or by array."""
    known = DISPERSION | B | SDS | {"cor_g": (pp.LKJ(2), LKJ2), "cor_h": (pp.LKJ(2), LKJ2)}
    names = {d.name for d in world.record.dispersion}
    if any(column not in world.groups.get(world.own, ()) for column in COLUMN):
        names.add("b")
    for factor, terms in world.groups.items():
        if factor == world.own:
            names.add(f"coef_{factor}")
        else:
            names |= {f"sd_{factor}"} | ({f"cor_{factor}"} if len(terms) > 1 else set())
    if world.sigma is not None:
        names -= {"sigma"}
        known |= {"b_sigma": SMALL} | {f"sd_sigma_{f}": HALF for f in world.sigma}
        names |= {"b_sigma", *(f"sd_sigma_{f}" for f in world.sigma)}
    found = {name: (known | world.priors)[name] for name in names}
    return found | (CUTS if world.family == "cumulative" else {})


def draw_truth(world, priors, rng):
    """Parameters by name, with one draw in front: (1,), or (1, level, term)."""

    def draw(name, *size):
        found = priors.get(name, priors.get(name.split("[")[0]))
        return np.array(found[1].rvs(size or (1,), random_state=rng))

    truth = {}
    shared = [c for c in COLUMN if c not in world.groups.get(world.own, ())]
    for column in shared:
        if world.family != "cumulative" or column != "Intercept":
            truth[f"b[{column}]"] = draw(f"b[{column}]")
    predictors = [("", world.groups)]
    if world.sigma is not None:
        truth |= {f"b_sigma[{column}]": draw("b_sigma") for column in COLUMN}
        predictors.append(("sigma_", world.sigma))
    for prefix, groups in predictors:
        for factor, terms in groups.items():
            name, levels = prefix + factor, CODES[factor].max() + 1
            if factor == world.own and not prefix:
                truth[f"r_{name}"] = draw(f"coef_{name}", 1, levels, len(terms))
                continue
            sd = np.array([draw(f"sd_{name}")[0] for _ in terms])
            truth |= {f"sd_{name}[{t}]": s[None] for t, s in zip(terms, sd, strict=True)}
            cor = np.eye(len(terms))
            if len(terms) > 1:
                truth[f"cor_{name}[Intercept,x]"] = draw(f"cor_{name}")
                cor[0, 1] = cor[1, 0] = truth[f"cor_{name}[Intercept,x]"][0]
            r = rng.normal(size=(levels, len(terms))) @ np.linalg.cholesky(cor).T * sd
            truth[f"r_{name}"] = r[None]
    if world.family == "cumulative":
        cuts = np.zeros(3)
        while not np.all(np.diff(cuts) > 0):
            cuts = np.array([draw(name)[0] for name in CUTS])
        truth |= {name: cut[None] for name, cut in zip(CUTS, cuts, strict=True)}
    return truth | {d: draw(d) for d in priors if d in DISPERSION}


def draws_of(world, fit):
    """The same of a fit: thinned draws in front."""
    run, some, found = fit.run, slice(THIN - 1, None, THIN), {}
    found |= {f"b[{c}]": run.b[0, some, k] for k, c in enumerate(fit.model.columns)}
    found |= {name: draws[0, some] for name, draws in run.scalars.items()}
    for place, (group, draws) in enumerate(zip(fit.model.groups, run.groups, strict=True)):
        found |= dict(zip(group.sd_labels, draws.sd[0, some].T, strict=True))
        found |= dict(zip(group.cor_labels, draws.cor[0, some].T, strict=True))
        prefix = "b_sigma" if group.predictor == "sigma" else "b"
        r = coefficient_draws(fit.model, run, place, 0, len(group.levels))[0, some].copy()
        for k, term in enumerate(group.terms):
            if group.known_sd is None and f"{prefix}[{term}]" in found:
                r[..., k] -= found[f"{prefix}[{term}]"][:, None]
        found[f"r_{group.name}"] = r
    return found


def predictor(values, b, groups, prefix=""):
    """Linear predictor: draws × rows."""
    total = 0.0
    for column, x in COLUMN.items():
        total = total + values.get(f"{b}[{column}]", np.zeros(1))[:, None] * x
    for factor, terms in groups.items():
        r = values[f"r_{prefix}{factor}"][:, CODES[factor], :]
        total = total + sum(r[..., k] * COLUMN[term] for k, term in enumerate(terms))
    return total


def at_rows(world, values):
    """Linear predictor, log sigma (or none) and dispersion of draws × rows, and what is ranked."""
    options = world.options
    eta = predictor(values, "b", world.groups) + options.get("offset", 0.0)
    eta = eta + np.log(options.get("exposure", np.ones(N)))
    aux = {d.name: values[d.name][:, None] for d in world.record.dispersion if d.name in values}
    log_sigma = None
    if world.sigma is not None:
        log_sigma = predictor(values, "b_sigma", world.sigma, "sigma_")
    if "weights" in options:
        log_sigma = np.log(aux.pop("sigma")) if log_sigma is None else log_sigma
        log_sigma = log_sigma - 0.5 * np.log(options["weights"])
    if world.family == "cumulative":
        aux["threshold"] = np.stack([values[name] for name in CUTS], axis=-1)[:, None, :]
    return eta, log_sigma, aux


def log_likelihood(world, values, y):
    """Of every draw."""
    eta, log_sigma, aux = at_rows(world, values)
    total = []
    for k in range(len(eta)):
        numbers = np.concatenate([np.ravel(a[k]) for a in aux.values()]) if aux else NONE
        scale = NONE if log_sigma is None else log_sigma[k]
        trials = world.options.get("trials", NONE)
        rows = _core.family_rows(
            family=world.family,
            link=world.link,
            y=y,
            trials=trials,
            weights=NONE,
            eta=eta[k],
            log_sigma=scale,
            aux=np.array(numbers),
        )
        total.append(rows[0].sum())
    return np.array(total)


def ranks(model, replication):
    """Randomised ranks of every quantity in one simulated world; None where it is refused."""
    world = MODELS[model]
    rng = np.random.default_rng([list(MODELS).index(model), replication])
    priors = priors_of(world)
    truth = draw_truth(world, priors, rng)
    eta, log_sigma, aux = at_rows(world, truth)
    trials = world.options.get("trials")
    y = world.record.simulate(rng, eta, Given(world.link, aux, trials, log_sigma))[0]
    if np.ptp(y) == 0 or (world.family == "cumulative" and len(np.unique(y)) < 4):
        return None
    sigma = {}
    if world.sigma is not None:
        sigma["sigma"] = world.formula("", world.sigma.items())
    fit = pp.fit(
        world.formula("y ", world.groups.items()),
        {"y": y, "x": X} | CODES,
        family=world.family,
        priors={name: ours for name, (ours, _) in priors.items()},
        method=world.method,
        pooling={world.own: "none"} if world.own else "partial",
        chains=1,
        draws=THIN * KEPT,
        warmup=300,
        threads=1,
        seed=replication,
        **world.options,
        **sigma,
    )
    draws = draws_of(world, fit)
    assert draws.keys() == truth.keys()
    found = {}
    for name, value in truth.items():
        if name.startswith("r_"):
            levels = (0, value.shape[1] - 1)
            for level, k in ((level, k) for level in levels for k in range(value.shape[2])):
                found[f"{name}[{level},{k}]"] = value[0, level, k], draws[name][:, level, k]
        else:
            found[name] = value[0], draws[name]
    found["log likelihood"] = log_likelihood(world, truth, y)[0], log_likelihood(world, draws, y)
    return {name: rank(*pair, rng) for name, pair in found.items()}


def worlds(model, replications):
    found = [world for k in range(replications) if (world := ranks(model, k)) is not None]
    assert len(found) >= (1 - REFUSED) * replications
    return found


# At most 15 quantities for each of the models.
THRESHOLD = threshold(len(MODELS), 15)


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform(model):
    assert miscalibrated(worlds(model, 150), THRESHOLD) == {}


@pytest.mark.calibrate
@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform_in_many_worlds(model):
    assert miscalibrated(worlds(model, 3000), THRESHOLD) == {}
