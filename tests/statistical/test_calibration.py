"""Simulation-based calibration: parameters from the prior, data from the model, then the fit.

The rank of each true value among (thinned, nearly independent) posterior draws is uniform if and
only if the posterior is right on average (see `calibration.py`, the judge). Ranks of the log
likelihood are included: they see errors that single parameters hide (Modrák et al. 2023).
Bonferroni keeps the false alarm rate of the file at 1e-4 and the seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from calibration import miscalibrated, rank, threshold

THIN, KEPT = 16, 63

# Ragged levels, a single row among them; x is not centred.
SIZES = [1, 2, 3, 4, 5, 7]
G = np.repeat(np.arange(len(SIZES)), SIZES)
N, J = len(G), len(SIZES)
_RNG = np.random.default_rng(99)
X = _RNG.normal(0.8, 1, N)
WEIGHTS, OFFSET = _RNG.uniform(0.3, 3, N), _RNG.normal(0, 2, N)
SE = _RNG.uniform(0.3, 1.5, N)


class LKJ2:
    """One correlation under LKJ(2): (ρ + 1)/2 ~ Beta(2, 2)."""

    @staticmethod
    def rvs(random_state):
        return 2 * stats.beta(2, 2).rvs(random_state=random_state) - 1


# Each prior twice: as given to the fit, and as scipy draws from it.
B = {"b": (pp.Normal(0.5, 1), stats.norm(0.5, 1))}
SIGMA = {"sigma": (pp.Gamma(4, 5), stats.gamma(4, scale=1 / 5))}
HALF_NORMAL = {"sd_g": (pp.HalfNormal(1), stats.halfnorm(scale=1))}
MODELS = {
    "(1 | g)": ("(1 | g)", B | SIGMA | HALF_NORMAL, {}),
    "(x || g)": (
        "(x || g)",
        B
        | {
            "sd_g": (pp.Exponential(2), stats.expon(scale=1 / 2)),
            "sigma": (pp.Uniform(0.2, 2), stats.uniform(0.2, 1.8)),
        },
        {"weights": WEIGHTS, "offset": OFFSET},
    ),
    "(x | g)": (
        "(x | g)",
        B
        | SIGMA
        | {
            "sd_g[Intercept]": (pp.Uniform(0, 2), stats.uniform(0, 2)),
            "sd_g[x]": (pp.LogNormal(-0.5, 0.5), stats.lognorm(0.5, scale=np.exp(-0.5))),
            "cor_g": (pp.LKJ(2), LKJ2),
        },
        {},
    ),
    "elementwise cor": (
        "(x | g)",
        B | SIGMA | HALF_NORMAL | {"cor_g": (pp.Uniform(-0.5, 0.9), stats.uniform(-0.5, 1.4))},
        {},
    ),
    "se": ("(1 | g)", B | HALF_NORMAL, {"se": SE}),
    "student slope": (
        "(1 | g)",
        SIGMA
        | HALF_NORMAL
        | {
            "b[Intercept]": (pp.Normal(0.5, 1), stats.norm(0.5, 1)),
            "b[x]": (pp.StudentT(4, 0.3, 0.5), stats.t(4, 0.3, 0.5)),
        },
        {},
    ),
    "student intercept": (
        "(x || g)",
        SIGMA
        | HALF_NORMAL
        | {
            "b[Intercept]": (pp.StudentT(4, 1, 0.7), stats.t(4, 1, 0.7)),
            "b[x]": (pp.Normal(-0.5, 0.6), stats.norm(-0.5, 0.6)),
        },
        {},
    ),
}


def simulate(term, priors, options, rng):
    """One truth (by the names of the summary) and its data."""
    terms = ("Intercept",) if term == "(1 | g)" else ("Intercept", "x")

    def draw(name):
        found = priors.get(name, priors.get(name.split("[")[0]))
        return None if found is None else float(found[1].rvs(random_state=rng))

    truth = {f"b[{t}]": draw(f"b[{t}]") for t in ("Intercept", "x")}
    truth |= {f"sd_g[{t}]": draw(f"sd_g[{t}]") for t in terms}
    sd = np.array([truth[f"sd_g[{t}]"] for t in terms])
    cor = np.eye(len(terms))
    if term == "(x | g)":
        cor[0, 1] = cor[1, 0] = truth["cor_g[Intercept,x]"] = draw("cor_g")
    if "se" not in options:
        truth["sigma"] = draw("sigma")
    r = rng.normal(size=(J, len(terms))) @ np.linalg.cholesky(cor).T * sd
    fitted = predictor(np.array([truth["b[Intercept]"], truth["b[x]"]]), r, options)
    y = fitted + noise_sd(truth.get("sigma"), options) * rng.normal(size=N)
    return truth, r, y


def predictor(b, r, options):
    """Linear predictor of every row: b (…, 2), r (…, level, q)."""
    columns = np.column_stack([np.ones(N), X])
    rows = np.einsum("...nq,nq->...n", r[..., G, :], columns[:, : r.shape[-1]])
    return options.get("offset", 0.0) + b @ columns.T + rows


def noise_sd(sigma, options):
    if "se" in options:
        return SE
    return np.asarray(sigma)[..., None] / np.sqrt(options.get("weights", np.ones(N)))


def ranks(model, replication):
    """Randomised ranks in (0, 1) of every quantity, in one simulated world."""
    term, priors, options = MODELS[model]
    rng = np.random.default_rng([list(MODELS).index(model), replication])
    truth, r, y = simulate(term, priors, options, rng)
    fit = pp.fit(
        f"y ~ x + {term}",
        {"y": y, "x": X, "g": G},
        priors={name: prior for name, (prior, _) in priors.items()},
        chains=1,
        draws=THIN * KEPT,
        warmup=500,
        threads=1,
        seed=replication,
        **options,
    )
    run, some = fit.run, slice(THIN - 1, None, THIN)
    sigma = None if run.sigma is None else run.sigma[0, some]
    columns = [run.b[0, some], run.groups[0].sd[0, some], run.groups[0].cor[0, some]]
    if sigma is not None:
        columns.append(sigma[:, None])
    names = ["b[Intercept]", "b[x]", *(name for name in truth if not name.startswith("b["))]
    draws = dict(zip(names, np.concatenate(columns, axis=1).T, strict=True))
    drawn = fit.draws["posterior"]["r_g"].to_numpy()[0, some]
    for level in (0, J - 1):
        for k in range(r.shape[1]):
            truth[f"r_g[{level},{k}]"] = r[level, k]
            draws[f"r_g[{level},{k}]"] = drawn[:, level, k]

    def log_likelihood(b, r, sigma):
        return stats.norm(predictor(b, r, options), noise_sd(sigma, options)).logpdf(y).sum(-1)

    truth["log likelihood"] = log_likelihood(
        np.array([truth["b[Intercept]"], truth["b[x]"]]), r, truth.get("sigma")
    )
    draws["log likelihood"] = log_likelihood(run.b[0, some], drawn, sigma)
    return {name: rank(truth[name], draws[name], rng) for name in truth}


# At most 10 quantities for each of the models.
THRESHOLD = threshold(len(MODELS), 10)


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform(model):
    assert miscalibrated([ranks(model, k) for k in range(300)], THRESHOLD) == {}


@pytest.mark.calibrate
@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform_in_many_worlds(model):
    assert miscalibrated([ranks(model, k) for k in range(4000)], THRESHOLD) == {}
