"""Independent draws of polynomials through few exact evaluations of the density.

They are held against the walk, which answers to the density itself at every draw, so that what is
drawn must be its own up to Monte Carlo error. On small data the explorer is asked for by `design`.
Seeds are fixed; z is at most 4.5 for some hundred comparisons.
"""

import numpy as np
import pytest

import partialpool as pp
from helpers import model_of
from partialpool.draws.diagnostics import diagnose
from partialpool.engine.sampling import Sampling

Z = 4.5


def table(seed, levels, rows, sd=0.5, spread=1.0, cor=0.0):
    rng = np.random.default_rng(seed)
    g = np.r_[np.arange(levels), rng.integers(levels, size=rows - levels)]
    x, v = rng.normal(size=(2, rows))
    r = rng.normal(size=(levels, 2))
    r[:, 1] = cor * r[:, 0] + np.sqrt(1 - cor**2) * r[:, 1]
    y = 1 + 0.3 * x + sd * (r[g, 0] + r[g, 1] * x) + spread * rng.normal(size=rows)
    return {"x": x, "v": v, "y": y, "g": g}


def sampled(core, design, draws=5000, seed=1, threads=2, chains=4):
    asked = Sampling(chains, draws, seed=seed, threads=threads, warmup_given=True)
    raw = core.sample(asked=asked, progress=None, design=design)
    return np.stack([chain["outputs"] for chain in raw["chains"]]), raw["design"]


def assert_same(one, other):
    """Means of values and squares, by draws of two engines (chain, draw, parameter)."""
    for power in (1, 2):
        a, b = diagnose(one**power), diagnose(other**power)
        error = np.hypot(a["mcse"], b["mcse"])
        varies = np.ptp(one, axis=(0, 1)) > 0
        z = (a["mean"] - b["mean"])[varies] / error[varies]
        assert np.all(np.abs(z) < Z), (power, z)


# formula, priors, options, data; whether it must be certified
SHAPES = {
    "intercepts": ("y ~ x + (1 | g)", {}, {}, (60, 600), True),
    "slopes": ("y ~ x + (x | g)", {}, {}, (60, 600), True),
    "independent": ("y ~ x + (x || g)", {}, {}, (60, 600), True),
    "sd at 0": ("y ~ x + (1 | g)", {}, {}, (60, 600, 0.0), True),
    "slopes at 0": ("y ~ x + (x | g)", {}, {}, (60, 600, 0.02), False),
    "correlation near 1": ("y ~ x + (x | g)", {}, {}, (100, 1000, 0.7, 1.0, 0.99), False),
    "three levels": ("y ~ x + (1 | g)", {}, {}, (3, 60), False),
    "sigma small": ("y ~ x + (x | g)", {}, {}, (60, 600, 1.0, 0.02), True),
    "sigma near 0": ("y ~ x + (x | g)", {}, {}, (60, 600, 1.0, 1e-3), False),
    "needle": ("y ~ x + (x | g)", {}, {}, (20_000, 60_000), True),
    "known errors": ("y ~ x + (x | g)", {}, {"se": 1.0}, (60, 600), True),
    "no pooling": ("y ~ x + (x | g)", {}, {"pooling": "none"}, (60, 600), True),
    "complete": ("y ~ x + (x | g)", {}, {"pooling": "complete"}, (60, 600), True),
    "weights": ("y ~ x + (x | g)", {}, {"weights": "w"}, (60, 600), True),
    "student": ("y ~ x + (1 | g)", {"b[x]": "student_t(3, 0, 1)"}, {}, (60, 600), True),
    "uniform": (
        "y ~ x + (x | g)",
        {"sd_g": "uniform(0, 3)", "sigma": "uniform(0.2, 4)", "b[x]": "uniform(-1, 0.4)"},
        {},
        (60, 600),
        True,
    ),
    "away from 0": (
        "y ~ x + (1 | g)",
        {"sd_g": "lognormal(0, 1)", "sigma": "inverse_gamma(2, 1)", "b": "normal(0, 0.1)"},
        {},
        (60, 600),
        True,
    ),
    "heavy tails": (
        "y ~ x + (x | g)",
        {"sd_g": "halfcauchy(1)", "sigma": "halfstudent_t(3, 1)", "cor_g": "lkj(1)"},
        {},
        (60, 600),
        True,
    ),
    "elementwise": ("y ~ x + (x | g)", {"cor_g": "uniform(-0.2, 0.5)"}, {}, (60, 600), False),
}


@pytest.mark.parametrize("name", SHAPES)
def test_draws_agree_with_a_walk_that_the_density_judges(name):
    formula, priors, options, shape, certified = SHAPES[name]
    data = table(len(name), *shape)
    data["w"] = np.random.default_rng(0).uniform(0.5, 2, len(data["y"]))
    core = model_of(formula, data, priors, **options).core
    one, found = sampled(core, design=True)
    assert found is not None or not certified
    if found is not None:
        assert found["sd"] < 0.02
        assert found["largest"] < 0.1
        assert found["checked"] == 20
        assert found["evaluations"] < 600
        other, none = sampled(core, design=False)
        assert none is None
        assert_same(one, other)


def test_draws_are_independent():
    core = model_of("y ~ x + (x | g)", table(1, 60, 600)).core
    draws, _ = sampled(core, design=True)
    flat = draws - draws.mean((0, 1))
    for lag in (1, 2):
        r = np.mean(flat[:, lag:] * flat[:, :-lag], axis=(0, 1)) / flat.var((0, 1))
        assert np.all(np.abs(r) < Z / np.sqrt(draws.shape[0] * draws.shape[1]))
    assert len(np.unique(draws[..., 0])) == draws[..., 0].size  # nothing is drawn twice


def test_the_same_seed_gives_the_same_draws_on_any_number_of_threads():
    core = model_of("y ~ x + (x | g)", table(2, 60, 600)).core
    one, found = sampled(core, design=True, draws=50, threads=1)
    other, same = sampled(core, design=True, draws=50, threads=3)
    np.testing.assert_array_equal(one, other)
    assert found == same
    different, _ = sampled(core, design=True, draws=50, seed=2)
    assert not np.array_equal(one, different)


def test_two_modes_are_refused_or_right():
    # A prior far above what few levels say: hills at both.
    data = table(5, 5, 100, sd=0.05)
    core = model_of("y ~ x + (1 | g)", data, {"sd_g": "student_t(1, 30, 0.1)"}).core
    one, found = sampled(core, design=True)
    if found is not None:
        grid_mean, grid_sd = _by_grid(core)
        sds = one[..., 0]
        assert abs(sds.mean() - grid_mean) < Z * grid_sd / np.sqrt(sds.size)


def _by_grid(core):
    """Mean and sd of the sd of a factor, by a grid in the density's own coordinates."""
    u, v = np.linspace(-12, 12, 1201), np.linspace(-1, 1, 101)
    at = [[core.logp_and_grad(np.array([a, b]))[0] for b in v] for a in u]
    weight = np.exp(np.array(at) - np.max(at)).sum(axis=1)
    weight /= weight.sum()
    sd = np.array([core.constrain(np.array([a, 0.0]))["sd"][0] for a in u])
    mean = weight @ sd
    return mean, np.sqrt(weight @ (sd - mean) ** 2)


@pytest.fixture(scope="module")
def many():
    """A fit of so many levels that the explorer is taken without being asked for."""
    return pp.fit("y ~ x + (x | g)", table(3, 20_000, 60_000), seed=1, progress=False)


def test_a_fit_says_what_vouches_for_its_draws(many, tmp_path):
    found = many.run.certificate
    assert found is not None
    assert found.sd < 0.02
    assert f"{found.evaluations} exact evaluations" in many.method_reason
    text = str(many)
    assert "1000 independent draws, seed 1" in text
    assert "warm-up" not in text
    assert "Draws are independent" in text
    assert "met the density" in text
    assert set(many.run.stats) == {"lp"}
    many.save(tmp_path / "fit.nc")
    loaded = pp.load(tmp_path / "fit.nc")
    assert loaded.run.certificate == found
    assert str(loaded) == text


def test_warm_up_that_has_no_part_is_said():
    data = table(3, 20_000, 60_000)
    fit = pp.fit("y ~ x + (x | g)", data, seed=1, progress=False, draws=200, warmup=300)
    assert [f.code for f in fit.findings if f.code == "no-warmup"] == ["no-warmup"]
    assert "`warmup` = 300" in next(f.message for f in fit.findings if f.code == "no-warmup")
    few = pp.fit("y ~ x + (x | g)", table(3, 60, 600), seed=1, progress=False, warmup=300)
    assert few.run.certificate is None
    assert "no-warmup" not in {f.code for f in few.findings}


def test_few_independent_draws_are_too_few_but_do_not_disagree():
    data = table(3, 20_000, 60_000)
    fit = pp.fit("y ~ x + (x | g)", data, seed=6, progress=False, chains=2, draws=8)
    assert fit.run.certificate is not None
    assert np.nanmax(fit.judged_summary.values["r_hat"]) > 1.01  # by chance alone
    codes = {finding.code for finding in fit.findings}
    assert "ess" in codes
    assert "r-hat" not in codes
