"""R-hat, effective sample sizes and Monte Carlo errors against ArviZ, to rounding."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from partialpool.draws.diagnostics import diagnose, energy_bfmi

RNG = np.random.default_rng(17)


def autoregressive(rho, shape):
    noise = RNG.normal(size=shape)
    out = noise.copy()
    for k in range(1, shape[1]):
        out[:, k] = rho * out[:, k - 1] + np.sqrt(1 - rho**2) * noise[:, k]
    return out


DRAWS = {
    "independent": RNG.normal(size=(4, 1000)),
    "one chain": RNG.normal(size=(1, 500)),
    "two chains": RNG.normal(size=(2, 333)),
    "three chains, odd": RNG.normal(size=(3, 101)),
    "prime length": RNG.normal(size=(4, 997)),
    "long": RNG.normal(size=(2, 20001)),
    "many chains": RNG.normal(size=(17, 50)),
    "AR 0.9": autoregressive(0.9, (4, 1000)),
    "AR 0.999": autoregressive(0.999, (4, 500)),
    "AR −0.8": autoregressive(-0.8, (4, 1001)),
    "AR −0.99": autoregressive(-0.99, (2, 300)),
    "alternating": np.tile([1.0, -1.0], (4, 50)) + 1e-3 * RNG.normal(size=(4, 100)),
    "heavy tails": RNG.standard_cauchy((4, 1000)),
    "very heavy tails": RNG.standard_cauchy((4, 500)) ** 5,
    "ties": RNG.integers(0, 5, (4, 400)).astype(float),
    "two values": RNG.integers(0, 2, (4, 100)).astype(float),
    "mostly one value": (RNG.random((4, 500)) < 0.02).astype(float),
    "chains apart": RNG.normal(size=(4, 200)) + np.arange(4)[:, None],
    "chains of other spread": RNG.normal(size=(4, 200)) * np.array([[1], [1], [1], [5]]),
    "trend": RNG.normal(size=(4, 200)) + np.linspace(0, 3, 200),
    "one chain constant": np.vstack([np.ones(100), RNG.normal(size=(3, 100))]),
    "large mean": 1e6 + RNG.normal(size=(4, 300)),
    "tiny": 1e-200 * RNG.normal(size=(4, 300)),
    "skewed": np.exp(3 * RNG.normal(size=(4, 600))),
    **{f"{n} draws": RNG.normal(size=(4, n)) for n in (10, 11, 12, 13, 20)},
    **{f"{n} draws of one chain": RNG.normal(size=(1, n)) for n in (10, 11, 12, 13)},
}


def split_r_hat(draws):
    """Rank-normalised split R-hat as Vehtari et al. (2021) define it, for any number of chains."""
    half = draws.shape[1] // 2
    chains = np.concatenate([draws[:, :half], draws[:, -half:]])

    def r_hat(values):
        rank = stats.rankdata(values).reshape(values.shape)
        z = stats.norm.ppf((rank - 0.375) / (values.size + 0.25))
        within = z.var(axis=1, ddof=1).mean()
        return np.sqrt((half - 1) / half + z.mean(axis=1).var(ddof=1) / within)

    return max(r_hat(chains), r_hat(np.abs(chains - np.median(chains))))


@pytest.mark.parametrize("case", DRAWS)
def test_agrees_with_arviz(case):
    draws = DRAWS[case]
    found = {name: values[0] for name, values in diagnose(draws[:, :, None]).items()}
    expected = {
        "mean": draws.mean(),
        "sd": draws.std(ddof=1),
        # ArviZ gives none for one chain; its halves can disagree as well.
        "r_hat": array_stats.rhat(draws) if len(draws) > 1 else split_r_hat(draws),
        "ess_bulk": array_stats.ess(draws, method="bulk"),
        "ess_tail": array_stats.ess(draws, method="tail", prob=(0.05, 0.95)),
        "mcse": array_stats.mcse(draws, method="mean"),
    }
    # Both sides sum the same numbers in another order: 1e-10 is rounding with room.
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-10, nan_ok=True), name
    assert found["constant"] == 0


@pytest.mark.parametrize("n", range(4, 10))
def test_very_short_chains(n):
    # Halves of fewer than 5 draws have no pair of lags: ArviZ then reports n log₁₀ n, we stay with
    # what lag 0 and 1 say. R-hat agrees.
    draws = RNG.normal(size=(4, n))
    found = diagnose(draws[:, :, None])
    assert found["r_hat"][0] == pytest.approx(split_r_hat(draws), rel=1e-10)
    assert 0 < found["ess_bulk"][0] <= 4 * n * np.log10(4 * n)


def test_parameters_do_not_mix():
    draws = np.stack([DRAWS["independent"], DRAWS["AR 0.9"], DRAWS["heavy tails"]], axis=2)
    together = diagnose(draws)
    for k in range(3):
        alone = diagnose(draws[:, :, [k]])
        assert all(together[name][k] == alone[name][0] for name in together)


def test_many_parameters_keep_their_order():
    draws = RNG.normal(size=(2, 20, 301)) + np.arange(301)
    np.testing.assert_allclose(diagnose(draws)["mean"], draws.mean((0, 1)), rtol=1e-12)


def test_constant_draws_are_marked():
    found = diagnose(np.full((4, 100, 1), 2.5))
    assert (found["constant"][0], found["mean"][0], found["sd"][0]) == (1, 2.5, 0)
    assert all(np.isnan(found[name][0]) for name in ("r_hat", "ess_bulk", "ess_tail", "mcse"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_draws_that_are_not_finite_have_no_diagnosis(bad):
    draws = RNG.normal(size=(4, 100, 1))
    draws[2, 50] = bad
    found = diagnose(draws)
    assert all(np.isnan(found[name][0]) for name in ("r_hat", "ess_bulk", "ess_tail", "mcse"))


@pytest.mark.parametrize("seed", range(5))
def test_rounding_has_no_diagnosis(seed):
    """Where draws differ in their last digits only, R-hat would compare rounding errors."""
    rng = np.random.default_rng(seed)
    value = rng.normal() * 10.0 ** rng.integers(-20, 20)
    steps = rng.integers(-1, 2, (4, 200, 1)) * (np.arange(4)[:, None, None] % 2)
    found = diagnose(value + steps * np.spacing(value))
    assert np.isnan(found["r_hat"][0])
    assert not found["constant"][0]
    assert found["mean"][0] == pytest.approx(value, rel=1e-14)
    wide = diagnose(value + rng.normal(size=(4, 200, 1)) * np.spacing(value) * 1000)
    assert 0.9 < wide["r_hat"][0] < 1.2


def test_chains_that_stand_still_apart_disagree_without_end():
    draws = np.repeat([[1.0], [2.0], [1.0], [3.0]], 100, axis=1)[:, :, None]
    assert diagnose(draws)["r_hat"][0] == np.inf


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_draws_have_no_diagnosis(n):
    found = diagnose(RNG.normal(size=(4, n, 1)))
    assert np.isnan(found["r_hat"][0])
    assert np.isfinite(found["mean"][0])


def test_no_parameters():
    assert all(len(values) == 0 for values in diagnose(np.empty((4, 100, 0))).values())


def test_energy_bfmi_agrees_with_arviz():
    energy = autoregressive(0.7, (4, 500))
    # Sums of 500 terms: rounding.
    np.testing.assert_allclose(energy_bfmi(energy), array_stats.bfmi(energy), rtol=1e-12)
