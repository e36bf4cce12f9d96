"""Simulation-based calibration without pooling and with complete pooling (see test_calibration).

Truth from the prior, data from the model, then the fit: the rank of the truth among thinned draws
is uniform. Bonferroni keeps the false alarm rate of the file at 1e-4, and the seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from calibration import miscalibrated, rank, threshold

THIN, KEPT = 8, 63

# Lines for each level; one has a single row, one has two.
SIZES = [1, 2, 3, 4, 6]
# With uniform priors every level determines its line. Where hardly any draw lies within the bounds,
# the engine refuses: that depends on the data alone, and given the data the truth is a draw from
# the posterior, so the ranks of the other worlds stay uniform.
ENOUGH = [5, 6, 9]
REFUSED = 1 / 2
LINE = ("Intercept", "x")


class Both:
    """A prior as given to the fit, and as scipy draws from it."""

    def __init__(self, ours, scipys):
        self.ours, self.scipys = ours, scipys


NORMAL = Both(pp.Normal(0.5, 1), stats.norm(0.5, 1))
SLOPE = Both(pp.Normal(-1, 0.5), stats.norm(-1, 0.5))
UNIFORM = Both(pp.Uniform(-1, 1), stats.uniform(-1, 2))
STUDENT = Both(pp.StudentT(4, 0.3, 0.5), stats.t(4, 0.3, 0.5))
SIGMA = Both(pp.Gamma(4, 5), stats.gamma(4, scale=1 / 5))

# pooling, sizes of the levels, priors of the line, prior of a shared z, weights and offset
MODELS = {
    "none, normal": ("none", SIZES, (NORMAL, SLOPE), None, False),
    "none, normal, shared": ("none", SIZES, (NORMAL, SLOPE), NORMAL, True),
    "none, uniform": ("none", ENOUGH, (UNIFORM, UNIFORM), None, False),
    "none, uniform, shared": ("none", ENOUGH, (UNIFORM, UNIFORM), NORMAL, True),
    "complete, normal": ("complete", SIZES, (NORMAL, SLOPE), NORMAL, True),
    "complete, student": ("complete", SIZES, (NORMAL, STUDENT), None, False),
    "complete, uniform": ("complete", SIZES, (UNIFORM, UNIFORM), None, True),
}


def ranks(model, replication):
    """Randomised ranks in (0, 1) of every quantity, in one simulated world.

    None where the engine refuses.
    """
    pooling, sizes, line, shared, weighted = MODELS[model]
    rng = np.random.default_rng([list(MODELS).index(model), replication])
    codes = np.repeat(np.arange(len(sizes)), sizes)
    n, own = len(codes), pooling == "none"
    columns = np.random.default_rng(61).normal([0.8, -1], 1, size=(n, 2))
    options = {}
    if weighted:
        rows = np.random.default_rng(62)
        options = {"weights": rows.uniform(0.3, 3, n), "offset": rows.normal(0, 2, n)}

    def draw(prior, *size):
        return prior.scipys.rvs(size=size, random_state=rng)

    sigma = float(draw(SIGMA))
    count = len(sizes) if own else 1
    coef = np.column_stack([draw(prior, count) for prior in line])
    b = float(draw(shared)) if shared else 0.0

    def predictor(coef, b):
        at = coef[..., codes, :] if own else coef[..., [0] * n, :]
        return (
            options.get("offset", 0.0)
            + at[..., 0]
            + at[..., 1] * columns[:, 0]
            + (np.asarray(b)[..., None] * columns[:, 1])
        )

    def noise(sigma):
        return np.asarray(sigma)[..., None] / np.sqrt(options.get("weights", np.ones(n)))

    y = predictor(coef, b) + noise(sigma) * rng.normal(size=n)
    name = "coef_g" if own else "b"
    priors = {f"{name}[{term}]": prior.ours for term, prior in zip(LINE, line, strict=True)}
    priors |= {"sigma": SIGMA.ours} | ({"b[z]": shared.ours} if shared else {})
    try:
        fit = pp.fit(
            f"y ~ x {'+ z' if shared else ''} + (x | g)",
            {"y": y, "x": columns[:, 0], "z": columns[:, 1], "g": codes},
            pooling=pooling,
            priors=priors,
            chains=1,
            draws=THIN * KEPT,
            warmup=300,
            threads=1,
            seed=replication,
            **options,
        )
    except pp.EngineError as error:
        if "widen the bounds" not in str(error):
            raise
        return None
    some = slice(THIN - 1, None, THIN)
    run = fit.run
    if own:
        drawn = fit.draws["posterior"]["coef_g"].to_numpy()[0, some]
    else:
        drawn = run.b[0, some, None, :2]
    drawn_b = run.b[0, some, -1] if shared else np.zeros(KEPT)
    drawn_sigma = run.sigma[0, some]
    truth = {"sigma": sigma}
    draws = {"sigma": drawn_sigma}
    for level in {0, count - 1}:
        for k, term in enumerate(LINE):
            truth[f"{level},{term}"] = coef[level, k]
            draws[f"{level},{term}"] = drawn[:, level, k]
    # Ranks under a flat prior would be uniform too: only the extremes see whether bounds are kept.
    truth["largest"], draws["largest"] = np.abs(coef).max(), np.abs(drawn).max(axis=(1, 2))
    if shared:
        truth["z"], draws["z"] = b, drawn_b
    for label, at in (("y", (coef, b, sigma)), ("drawn", (drawn, drawn_b, drawn_sigma))):
        value = stats.norm(predictor(*at[:2]), noise(at[2])).logpdf(y).sum(-1)
        (truth if label == "y" else draws)["log likelihood"] = value
    return {name: rank(truth[name], draws[name], rng) for name in truth}


def worlds(model, replications):
    """Ranks of every world in which the engine did not refuse."""
    found = [world for k in range(replications) if (world := ranks(model, k)) is not None]
    assert len(found) >= (1 - REFUSED) * replications
    return found


# At most 8 quantities for each of the models.
THRESHOLD = threshold(len(MODELS), 8)


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform(model):
    assert miscalibrated(worlds(model, 200), THRESHOLD) == {}


@pytest.mark.calibrate
@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform_in_many_worlds(model):
    assert miscalibrated(worlds(model, 3000), THRESHOLD) == {}
