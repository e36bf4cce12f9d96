"""The Metropolis sampler leaves known densities invariant, judged by its own effective sample size.

Every judgement is a z: (mean of the draws − exact value) / (Monte Carlo error that the run itself
reports), of x, of (x − mean)², or of x ≤ quantile. With a correct sampler z is standard normal
but for the error of the Monte Carlo error itself, at most some 10% with the thousands of effective
draws here. |z| > 4.5 then happens once in 7e-6 (once in 5e-5 if all errors were 10% too small):
over the 46 judgements of this file, fewer than 1 in 400 seeds would alarm.
"""

import math

import numpy as np
import pytest
from scipy import stats

from partialpool.draws.diagnostics import diagnose
from partialpool.metropolis import metropolis

ALARM = 4.5
PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def scores(draws, exact):
    """Z of the mean, variance and quantiles of (chain, draw) draws against a distribution."""
    functions = [draws - exact.mean(), (draws - exact.mean()) ** 2 - exact.var()]
    functions += [(draws <= exact.ppf(p)) - p for p in PROBABILITIES]
    found = diagnose(np.stack(functions, axis=2))
    return found["mean"] / found["mcse"]


def log_normal(at):
    return -0.5 * ((at["x"] - 3) / 2) ** 2


def log_gamma(at):
    x = at["x"]
    return math.log(x) - x if x > 0 else -math.inf  # shape 2, rate 1


COVARIANCE = np.array([[1.0, 1.6], [1.6, 4.0]])  # correlation 0.8
PRECISION = np.linalg.inv(COVARIANCE)
CENTRE = np.array([-1.0, 2.0])


def log_correlated(at):
    away = at["b"] - CENTRE
    return -0.5 * float(away @ PRECISION @ away)


def test_normal():
    run = metropolis(
        log_normal,
        lambda rng: {"x": rng.normal(3, 2)},
        draws=20_000,
        proposal_sd=5.0,
        chains=4,
        seed=1,
    )
    assert run.summary().loc["x", "ess_bulk"] > 5000
    assert np.abs(scores(run.draws["x"], stats.norm(3, 2))).max() < ALARM


def test_skewed_on_the_positive_half_line():
    run = metropolis(
        log_gamma,
        lambda rng: {"x": rng.gamma(2)},
        draws=20_000,
        proposal_sd=3.0,
        chains=4,
        seed=2,
    )
    assert run.draws["x"].min() > 0
    assert run.summary().loc["x", "ess_bulk"] > 5000
    assert np.abs(scores(run.draws["x"], stats.gamma(2))).max() < ALARM


def test_correlated_array():
    run = metropolis(
        log_correlated,
        {"b": CENTRE},
        draws=20_000,
        warmup=500,
        proposal_sd={"b": [1.5, 3.0]},
        chains=4,
        seed=3,
    )
    b = run.draws["b"]
    assert b.shape == (4, 20_000, 2)
    assert run.summary()["ess_bulk"].min() > 2500
    for k in range(2):
        exact = stats.norm(CENTRE[k], math.sqrt(COVARIANCE[k, k]))
        assert np.abs(scores(b[:, :, k], exact)).max() < ALARM
    product = np.prod(b - CENTRE, axis=2) - COVARIANCE[0, 1]
    found = diagnose(product[:, :, None])
    assert abs(found["mean"][0] / found["mcse"][0]) < ALARM


def test_scalars_and_arrays_together():
    """A hierarchy: scale² of b is gamma(2) distributed, and b is normal given the scale."""

    def log_density(at):
        v = at["v"]
        if v <= 0:
            return -math.inf
        return math.log(v) - v - 1.5 * math.log(v) - 0.5 * float(np.sum(at["b"] ** 2)) / v

    run = metropolis(
        log_density,
        lambda rng: {"v": 1.0, "b": rng.normal(size=3)},
        draws=20_000,
        warmup=500,
        proposal_sd={"v": 1.5, "b": 1.0},
        chains=4,
        seed=4,
    )
    assert np.abs(scores(run.draws["v"], stats.gamma(2))).max() < ALARM
    # b² has mean E[v] = 2; b / sqrt(v) is standard normal
    found = diagnose(np.square(run.draws["b"]) - 2)
    assert np.abs(found["mean"] / found["mcse"]).max() < ALARM
    b = run.draws["b"][:, :, 0] / np.sqrt(run.draws["v"])
    assert np.abs(scores(b, stats.norm())).max() < ALARM


@pytest.mark.parametrize("steps", [1, 20])
def test_exact_draws_stay_exact(steps):
    """Chains that start with exact draws end with exact, independent draws: no ESS is needed.

    A Kolmogorov–Smirnov p-value below 1e-4 is the alarm: 1 in 10,000 seeds for each case.
    """
    run = metropolis(
        log_gamma,
        lambda rng: {"x": rng.gamma(2)},
        draws=steps,
        proposal_sd=3.0,
        chains=4000,
        seed=5,
    )
    assert stats.kstest(run.draws["x"][:, -1], stats.gamma(2).cdf).pvalue > 1e-4


@pytest.mark.parametrize("wrong", [stats.norm(3, 2.15), stats.norm(3.25, 2), stats.t(10, 3, 2)])
def test_the_judgement_has_power(wrong):
    """Slightly other distributions than the one sampled are noticed."""
    run = metropolis(log_normal, {"x": 3.0}, draws=20_000, proposal_sd=5.0, chains=4, seed=1)
    assert np.abs(scores(run.draws["x"], wrong)).max() > ALARM


def test_acceptance_rate():
    """Known for a normal density and normal steps: (2/π) atan(2 sd / step)."""
    run = metropolis(
        log_normal,
        lambda rng: {"x": rng.normal(3, 2)},
        draws=18_000,
        warmup=2000,
        proposal_sd=5.0,
        chains=4,
        seed=1,
    )
    # 80,000 correlated yes-or-no trials; 5 standard errors with a third as many independent ones
    assert run.acceptance_rate.shape == (4,)
    assert run.acceptance_rate.mean() == pytest.approx(2 / math.pi * math.atan(4 / 5), abs=0.015)


def test_acceptance_rate_counts_the_warmup():
    whole = metropolis(log_normal, {"x": 3.0}, draws=50, proposal_sd=5.0, seed=1)
    x = np.concatenate([[3.0], whole.draws["x"][0]])
    assert whole.acceptance_rate[0] == np.mean(np.diff(x) != 0)
    rest = metropolis(log_normal, {"x": 3.0}, draws=20, warmup=30, proposal_sd=5.0, seed=1)
    assert rest.acceptance_rate[0] == whole.acceptance_rate[0]
    np.testing.assert_array_equal(rest.draws["x"], whole.draws["x"][:, 30:])


def test_log_density_belongs_to_the_draws():
    run = metropolis(log_correlated, {"b": CENTRE}, draws=100, proposal_sd=1.0, chains=2, seed=1)
    again = [[log_correlated({"b": b}) for b in chain] for chain in run.draws["b"]]
    np.testing.assert_array_equal(run.log_density, again)


def test_same_seed_same_draws():
    def draws(seed, chains):
        options = {"draws": 50, "proposal_sd": 1.0, "chains": chains}
        return metropolis(log_normal, {"x": 3.0}, seed=seed, **options).draws["x"]

    np.testing.assert_array_equal(draws(1, 2), draws(1, 2))
    np.testing.assert_array_equal(draws(1, 2), draws(1, 3)[:2])
    assert not np.array_equal(draws(1, 1), draws(2, 1))
    assert not np.array_equal(*draws(1, 2))
    drawn = metropolis(log_normal, {"x": 3.0}, draws=50, proposal_sd=1.0)
    np.testing.assert_array_equal(drawn.draws["x"], draws(drawn.seed, 1))


def test_chains_start_where_they_are_told():
    options = {"draws": 1, "proposal_sd": 1e-9, "seed": 1}
    listed = metropolis(log_normal, [{"x": 1}, {"x": 5}], chains=2, **options)
    np.testing.assert_allclose(listed.draws["x"][:, 0], [1, 5], atol=1e-6)
    drawn = metropolis(log_normal, lambda rng: {"x": rng.normal()}, chains=2, **options)
    assert np.ptp(drawn.draws["x"]) > 1e-3


def test_summary_has_a_row_for_each_element():
    run = metropolis(
        lambda at: -0.5 * at["x"] ** 2 - 0.5 * float(np.sum(at["m"] ** 2)),
        {"x": 0, "m": np.zeros((2, 2))},
        draws=500,
        proposal_sd=1.0,
        seed=1,
    )
    summary = run.summary(0.5)
    assert list(summary.index) == ["x", "m[0,0]", "m[0,1]", "m[1,0]", "m[1,1]"]
    assert summary.loc["m[0,1]", "mean"] == pytest.approx(run.draws["m"][:, :, 0, 1].mean())
    assert summary.loc["x", "lower"] == np.quantile(run.draws["x"], 0.25)


def test_it_says_in_words_how_it_went():
    good = repr(
        metropolis(log_normal, {"x": 3.0}, draws=20_000, proposal_sd=5.0, seed=1, warmup=10)
    )
    assert good.startswith("Metropolis run of x: 1 chain × 20000 draws after 10 of warm-up, seed 1")
    assert "of the proposals\nsmallest effective sample size: " in good
    assert "\nlargest R-hat: 1.00" in good
    assert "not converged" not in good

    timid = repr(metropolis(log_normal, {"x": 3.0}, draws=1000, proposal_sd=0.1, seed=1))
    assert "This run has not converged: R-hat should be at most 1.01" in timid
    assert timid.endswith("Ask for more draws, or try a larger proposal_sd.")
    bold = repr(metropolis(log_normal, {"x": 3.0}, draws=1000, proposal_sd=50.0, seed=1))
    assert bold.endswith("Ask for more draws, or try a smaller proposal_sd.")

    apart = metropolis(
        log_normal, [{"x": 3.0}, {"x": 9.0}], draws=3000, proposal_sd=0.05, seed=1, chains=2
    )
    assert apart.summary().loc["x", "r_hat"] > 1.1
    assert "has not converged" in repr(apart)

    short = repr(metropolis(log_normal, {"x": 3.0}, draws=2, proposal_sd=1.0, seed=1))
    assert short.endswith("Too few different draws to judge convergence: ask for more.")


def test_progress_goes_to_stderr_only_when_asked(capsys, monkeypatch):
    from partialpool.progress import bar as progress

    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    options = {"draws": 300, "proposal_sd": 1.0, "seed": 1}
    metropolis(log_normal, {"x": 3.0}, progress=False, **options)
    assert capsys.readouterr() == ("", "")
    metropolis(log_normal, {"x": 3.0}, progress=True, **options)
    out, err = capsys.readouterr()
    assert out == ""
    assert "sampling" in err
