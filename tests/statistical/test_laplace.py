"""``method="laplace"``: its posterior beside that of NUTS, and what it says of itself where that is
not good.

With twenty rows a level, means are those of NUTS up to Monte Carlo error and 0.12 posterior sds,
and sds up to 12%: what Laplace's formula leaves out (ARCHITECTURE.md).
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool import _core
from partialpool.draws.approximate import approximation
from partialpool.engine.sampling import Sampling
from partialpool.model.general import build_general
from partialpool.spec import Spec, pose

OFF, WIDE = 0.12, 0.12


def table(family, levels=30, rows=20, seed=5, level=0.3, sd=0.7):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), rows)
    x, h = rng.normal(size=len(g)), rng.integers(0, 8, len(g))
    eta = level + 0.5 * x + rng.normal(0, sd, levels)[g] + rng.normal(0, 0.5, 8)[h]
    mean, share = np.exp(np.clip(eta, -3, 3)), 1 / (1 + np.exp(-eta))
    y = {
        "bernoulli": lambda: rng.binomial(1, share),
        "poisson": lambda: rng.poisson(mean),
        "negbinomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
        "student_t": lambda: eta + rng.standard_t(4, len(eta)),
        "beta": lambda: np.clip(rng.beta(5 * share, 5 * (1 - share)), 1e-3, 1 - 1e-3),
        "cumulative": lambda: np.digitize(eta + rng.logistic(size=len(eta)), [-1.0, 0.5]),
    }[family]()
    return pd.DataFrame({"x": x, "g": g, "h": h, "y": y})


def both(formula, data, family, **options):
    quick = {"chains": 2, "draws": 1500, "seed": 3, **options}
    fits = [pp.fit(formula, data, family=family, method=m, **quick) for m in ("laplace", "nuts")]
    return fits, [fit.summary() for fit in fits]


@pytest.mark.parametrize(
    ("family", "groups", "pooling"),
    [
        ("bernoulli", "(1 | g) + (1 | h)", "partial"),
        ("bernoulli", "(1 | g)", "none"),
        ("poisson", "(x | g)", "partial"),
        ("poisson", "(1 | g)", "complete"),
        ("negbinomial", "(1 | g)", "partial"),
        ("student_t", "(1 | g)", "partial"),
        ("beta", "(1 | g) + (1 | h)", "partial"),
        ("cumulative", "(1 | g)", "partial"),
    ],
)
@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_the_posterior_is_nearly_that_of_nuts(family, groups, pooling):
    (fit, walk), (own, other) = both(f"y ~ x + {groups}", table(family), family, pooling=pooling)
    off = np.abs(own["mean"] - other["mean"])
    assert (off < 4 * np.hypot(own["mcse"], other["mcse"]) + OFF * other["sd"]).all()
    assert (np.abs(np.log(own["sd"] / other["sd"])) < WIDE + 0.08).all()  # 4 errors of an sd
    assert not any(finding.code.startswith("approx") for finding in fit.findings)
    levels, others = fit.coefficients(), walk.coefficients()
    away = (levels["mean"] - others["mean"]) / others["sd"]
    assert np.sqrt(np.nanmean(away**2)) < 0.1 if pooling != "complete" else levels.empty


@pytest.mark.parametrize(
    ("family", "groups", "sigma"),
    [
        ("gaussian", "(x | g)", "~ x"),
        ("gaussian", "(1 | g)", "~ x + (1 | g)"),
        ("lognormal", "(1 | h)", "~ (1 | g)"),
        ("student_t", "(1 | g)", "~ x"),
    ],
)
@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_with_a_formula_of_sigma_too(family, groups, sigma):
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(30), 25)
    x, h = rng.normal(size=len(g)), rng.integers(0, 8, len(g))
    noise = rng.standard_t(6, len(g)) if family == "student_t" else rng.normal(size=len(g))
    log_sigma = -0.5 + 0.4 * x + rng.normal(0, 0.4, 30)[g] * ("g" in sigma)
    y = 1 + 0.5 * x + rng.normal(0, 0.7, 30)[g] + rng.normal(0, 0.5, 8)[h] * ("h" in groups)
    y = y + np.exp(log_sigma) * noise
    data = pd.DataFrame({"x": x, "g": g, "h": h, "y": np.exp(y) if family == "lognormal" else y})
    (fit, walk), (own, other) = both(f"y ~ x + {groups}", data, family, sigma=sigma)
    off = np.abs(own["mean"] - other["mean"])
    assert (off < 4 * np.hypot(own["mcse"], other["mcse"]) + OFF * other["sd"]).all()
    assert (np.abs(np.log(own["sd"] / other["sd"])) < WIDE + 0.08).all()  # 4 errors of an sd
    of_it = [finding for finding in fit.findings if finding.code.startswith("approx")]
    assert all(finding.level == "info" for finding in of_it)
    levels, others = fit.coefficients(), walk.coefficients()
    assert len(levels) == sum(len(group.levels) * len(group.terms) for group in fit.model.groups)
    away = (levels["mean"] - others["mean"]) / others["sd"]
    assert np.sqrt(np.mean(away**2)) < 0.1
    new = pd.DataFrame({"x": [-1.0, 0.0, 1.0], "g": [3, 3, "new"], "h": [1, 1, 2]})
    one, two = (f.predict(new, kind="observation") for f in (fit, walk))
    wide = [predicted["upper"] - predicted["lower"] for predicted in (one, two)]
    assert np.allclose(np.log(wide[0] / wide[1]), 0, atol=0.2)


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_where_it_is_not_good_it_says_so_and_by_how_much():
    data = table("bernoulli", levels=60, rows=3, seed=3, sd=2.0)
    (fit, _), (own, other) = both("y ~ x + (1 | g)", data, "bernoulli")
    assert [f.level for f in fit.findings if f.code == "approximation"] == ["warning"]
    assert 'method="nuts"' in str(fit.findings[-1])
    found = approximation(fit.model, fit.run)
    truth = (other["mean"] - own["mean"]) / own["sd"]
    assert found.shift.label == "sd_g[Intercept]"
    # What weights foretell, with the errors of both.
    assert truth[found.shift.label] > 0.4
    assert found.shift.size == pytest.approx(truth[found.shift.label], abs=0.3)


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
@pytest.mark.parametrize(("rows", "narrow"), [(2, True), (20, False)])
def test_sds_that_are_too_small_are_told(rows, narrow):
    levels, sd = (100, 2.0) if narrow else (30, 1.0)
    data = table("bernoulli", levels=levels, rows=rows, seed=4, sd=sd)
    (fit, _), (own, other) = both("y ~ x + (1 | g)", data, "bernoulli")
    found = approximation(fit.model, fit.run)
    truth = np.log(other["sd"] / own["sd"])[found.widening.label]
    error = np.hypot(found.widening.error, 0.04)  # of NUTS's sds
    assert found.widening.size == pytest.approx(truth, abs=3 * error)
    assert (truth > 0.15) == narrow
    told = [f for f in fit.findings if f.code == "approximation" and f.level == "warning"]
    assert bool(told) == narrow


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
def test_six_scales_have_the_posterior_of_nuts():
    rng = np.random.default_rng(8)
    g, h = (codes.ravel() for codes in np.indices((40, 25)))
    x = (g + h) % 2 - 0.5
    slopes = rng.normal(0, (0.8, 0.6), (40, 2)), rng.normal(0, (0.7, 0.5), (25, 2))
    eta = 0.4 + 0.5 * x + sum(r[at, 0] + r[at, 1] * x for r, at in zip(slopes, (g, h), strict=True))
    data = pd.DataFrame({"x": x, "g": g, "h": h, "y": rng.poisson(np.exp(np.clip(eta, -4, 3)))})
    (fit, _), (own, other) = both("y ~ x + (x | g) + (x | h)", data, "poisson")
    assert fit.run.certificate.sd < 0.05
    off = np.abs(own["mean"] - other["mean"])
    assert (off < 4 * np.hypot(own["mcse"], other["mcse"]) + OFF * other["sd"]).all()
    assert (np.abs(np.log(own["sd"] / other["sd"])) < WIDE + 0.08).all()
    assert not any(finding.code.startswith("approx") for finding in fit.findings)


def test_threads_and_parts_of_a_run_change_nothing():
    data = table("poisson", levels=12, rows=6)
    model = build_general(pose(Spec("y ~ x + (1 | g)", family="poisson"), data).pool("partial"))
    core = _core.Approximation(model.core)
    asked = (Sampling(chains=2, draws=30, seed=4, threads=threads) for threads in (1, 2))
    one, other = (core.sample(asked=each, progress=None)["chains"] for each in asked)
    assert all((a["outputs"] == b["outputs"]).all() for a, b in zip(one, other, strict=True))
    assert not (one[0]["outputs"][:, :2] == one[1]["outputs"][:, :2]).any()
    rows = one[0]["outputs"]
    (all_at_once,) = core.levels(rows, 1)
    (with_others,) = core.levels(np.vstack([one[1]["outputs"], rows[::-1]]), 3)
    assert (all_at_once == with_others[:29:-1]).all()


@pytest.mark.parametrize(
    ("world", "seed"), [(1, 1), (3, 3), (6, 6), (11, 11), (11, 12), (11, 15), (12, 12)]
)
def test_population_coefficients_far_out_are_those_of_their_theta(world, seed):
    # Few levels leave long tails of sds and correlations, where a polynomial may be anything.
    rng = np.random.default_rng(world)
    levels, n = int(rng.integers(4, 9)), int(rng.integers(50, 250))
    g, x = rng.integers(0, levels, n), rng.normal(rng.normal() * 3, np.exp(rng.normal()), n)
    own = rng.normal(), 0.4 * (x - x.mean()) / x.std()
    eta = sum(own) + rng.normal(0, np.exp(rng.normal(-0.3, 0.7)), levels)[g]
    data = pd.DataFrame({"x": x, "g": g, "y": rng.poisson(np.exp(np.clip(eta, -3, 3)))})
    model = build_general(pose(Spec("y ~ x + (x | g)", family="poisson"), data).pool("partial"))
    core, climbing = _core.Approximation(model.core), _core.Approximation(model.core)
    asked = Sampling(chains=4, draws=1000, seed=seed, threads=2)
    chains = core.sample(asked=asked, progress=None)["chains"]
    rows = np.vstack([chain["outputs"] for chain in chains])
    theta, c = rows[:, core.n_parameters + 4 : -1], rows[:, :2]
    middle = np.median(c, axis=0)
    far = np.abs((c - middle) / np.median(np.abs(c - middle), axis=0)).max(axis=1)
    many, least = 60, 1.0
    for row in np.argsort(-far)[:6]:
        # Hotelling: given θ, c is normal around what climbing gives.
        exact = np.array([climbing.at(theta[row], k)[2][:2] for k in range(many)])
        off = c[row] - exact.mean(axis=0)
        square = off @ np.linalg.solve(np.cov(exact.T), off) * many / (many + 1)
        least = min(least, stats.f.sf(square * (many - 2) / (2 * (many - 1)), 2, many - 2))
    assert least > 1e-6 / len(rows)


@pytest.mark.parametrize(("family", "groups"), [("poisson", "(x | g)"), ("bernoulli", "(1 | g)")])
@pytest.mark.parametrize("pooling", ["partial", "none"])
def test_levels_drawn_later_are_those_of_their_theta(family, groups, pooling):
    data = table(family, levels=12, rows=6)
    pooled = pose(Spec(f"y ~ x + {groups}", family=family), data).pool(pooling)
    core, other = (_core.Approximation(build_general(pooled).core) for _ in range(2))
    asked = Sampling(chains=1, draws=60, seed=4, threads=1)
    rows = core.sample(asked=asked, progress=None)["chains"][0]["outputs"]
    # By polynomials, and by climbing at each θ; far out they differ by a tenth of an sd.
    (found,), (climbed,) = core.levels(rows, 2), other.levels(rows, 2)
    assert found.shape == (60, 12 * (2 if "x" in groups else 1))
    off = np.sqrt(((found - climbed) ** 2).mean(axis=0)) / found.std(axis=0)
    assert off.max() < 0.2
