"""Held-out densities against dense matrices, against refits, and against ArviZ."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import partialpool as pp
from helpers import covariance
from partialpool import _core, limits
from partialpool.draws.integrated import (
    blocks,
    integrates,
    level_scores,
    parameters,
    row_scores,
    standardised,
)
from partialpool.draws.rows import row_draws
from partialpool.errors import InputError
from partialpool.scores.kfold import deal
from partialpool.scores.loo import log_mean

FEW = {"chains": 1, "draws": 5, "warmup": 50, "seed": 3}


def table(seed=1, sizes=(1, 2, 5, 3, 7, 4)):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(codes)
    x, w = rng.normal(3, 1, n), rng.normal(size=n)
    r = rng.normal(size=(len(sizes), 2)) * [1.0, 0.5]
    y = 5 + 0.7 * x - 0.4 * w + r[codes, 0] + r[codes, 1] * x + rng.normal(0, 0.8, n)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "w": w,
            "g": codes,
            "se": rng.uniform(0.4, 1.2, n),
            "weight": rng.uniform(0.3, 3, n),
            "off": rng.normal(0, 2, n),
        }
    )


def prior_moments(names, priors, X, letter="b"):
    """Mean and covariance of coefficients with normal priors, the intercept's at the mean of X."""
    own = [priors[f"{letter}[{name}]"] for name in names]
    mean, sd = np.array([p.mean for p in own]), np.array([p.sd for p in own])
    back = np.eye(len(own))
    if isinstance(own[0], pp.NormalAtMean):
        back[0, 1:] = -X[:, 1:].mean(axis=0)
    return back @ mean, (back * sd**2) @ back.T


def dense(fit, s):
    """Mean and covariance of y given the sds, correlations and sigma of draw s, as matrices."""
    design, run, priors = fit.design, fit.run, fit.model.priors
    n = design.n_rows
    mean = np.zeros(n) if design.offset is None else design.offset.copy()
    C = np.zeros((n, n))
    normal = [isinstance(priors[f"b[{name}]"], pp.Normal) for name in design.columns]
    if all(normal) and normal:
        m, S = prior_moments(design.columns, priors, design.X)
        mean, C = mean + design.X @ m, C + design.X @ S @ design.X.T
    elif normal:  # an intercept and slopes that are sampled, and one slope that is integrated
        for k, name in enumerate(design.columns):
            if name == "w":
                C += priors["b[w]"].sd ** 2 * np.outer(design.X[:, k], design.X[:, k])
                mean = mean + design.X[:, k] * priors["b[w]"].mean
            else:
                mean = mean + design.X[:, k] * run.b[0, s, k]
    for factor in design.factors:
        same = factor.codes[:, None] == factor.codes[None, :]
        if factor.pooled:
            group = fit.model.groups[0]
            drawn = run.groups[0]
            Sigma = covariance(drawn.sd[0, s], drawn.cor[0, s], group.pairs)
        else:
            m, Sigma = prior_moments(factor.terms, priors, factor.Z, f"coef_{factor.name}")
            mean = mean + factor.Z @ m
        C += np.where(same, factor.Z @ Sigma @ factor.Z.T, 0)
    if design.se is not None:
        noise = design.se**2
    else:
        noise = np.full(n, run.sigma[0, s] ** 2)
        if design.weights is not None:
            noise = noise / design.weights
    return mean, C + np.diag(noise), C, noise


def conditional(mean, C, y, left):
    """Normal distribution of the rows `left` given the others."""
    others = np.setdiff1d(np.arange(len(y)), left)
    gain = np.linalg.solve(C[np.ix_(others, others)], C[np.ix_(others, left)]).T
    m = mean[left] + gain @ (y[others] - mean[others])
    return stats.multivariate_normal(m, C[np.ix_(left, left)] - gain @ C[np.ix_(others, left)]), m


CASES = {
    "intercepts": ("y ~ x + (1 | g)", {}),
    "slopes": ("y ~ x + w + (x | g)", {}),
    "independent": ("y ~ x + w + (x || g)", {"priors": {"b": pp.Normal(1, 2)}}),
    "weights": ("y ~ x + (1 | g)", {"weights": "weight"}),
    "offset": ("y ~ x + (1 | g)", {"offset": "off"}),
    "errors": ("y ~ 1 + (1 | g)", {"se": "se"}),
    "complete": ("y ~ x + w + (1 | g)", {"pooling": "complete"}),
    "none": ("y ~ x + (x | g)", {"pooling": "none"}),
    "none-plain": (
        "y ~ x + (x | g)",
        {"pooling": "none", "priors": {"coef_g": pp.Normal(1, 3)}, "weights": "weight"},
    ),
    "sampled": (
        "y ~ x + w + (1 | g)",
        {"priors": {"b": pp.StudentT(4, 0, 3), "b[w]": pp.Normal(0.5, 2)}},
    ),
    "other-engine": ("y ~ x + (x | g)", {"method": "nuts"}),
    "metropolis": ("y ~ x + (x | g)", {"method": "metropolis", "proposal_sd": 0.01}),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_given_the_parameters(case):
    """Density, mean, sd and score of every row against conditioning with dense matrices."""
    formula, options = CASES[case]
    data = table()
    data["w"] -= data["w"].mean()  # so that no sampled intercept moves its slope
    fit = pp.fit(formula, data, **FEW, **options)
    assert integrates(fit)
    rows = blocks(fit)
    s = np.arange(5)
    y = fit.design.y
    density, mean, score = (np.full((5, len(y)), np.nan) for _ in range(3))
    for k in s:  # a single draw is its own mean, whatever its weight
        found = row_scores(rows, parameters(fit, rows, s[[k]]), 1.0)
        density[k], mean[k], score[k] = found.elpd, found.mean, found.log_score
    z, log_density = np.empty_like(mean), np.empty_like(mean)
    for first in range(0, len(y), 7):
        at = slice(first, first + 7)
        z[:, rows.order[at]], log_density[:, rows.order[at]] = standardised(
            rows, parameters(fit, rows, s), at
        )
    np.testing.assert_allclose(log_density, density, rtol=1e-10)
    for k in s:
        m, C, signal, noise = dense(fit, k)
        gain = np.linalg.solve(C, signal).T
        eta, spread = m + gain @ (y - m), signal - gain @ signal
        for i in range(len(y)):
            law, centre = conditional(m, C, y, [i])
            assert density[k, i] == pytest.approx(law.logpdf(y[i]), abs=1e-8)
            assert mean[k, i] == pytest.approx(centre[0], abs=1e-7)
            sd = np.sqrt(law.cov_object.covariance[0, 0])
            assert z[k, i] == pytest.approx((y[i] - centre[0]) / sd, abs=1e-7)
            known = stats.norm(eta[i], np.sqrt(spread[i, i] + noise[i]))
            assert score[k, i] == pytest.approx(known.logpdf(y[i]), abs=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_levels_given_the_parameters(case):
    formula, options = CASES[case]
    data = table()
    data["w"] -= data["w"].mean()
    fit = pp.fit(formula, data, **FEW, **options)
    codes = data["g"].to_numpy()
    rows = blocks(fit, codes, 6)
    found = level_scores(rows, parameters(fit, rows, np.arange(5)))
    y = fit.design.y
    for k in range(5):
        m, C, _, _ = dense(fit, k)
        for level in range(6):
            left = np.flatnonzero(codes == level)
            expected = conditional(m, C, y, left)[0].logpdf(y[left])
            assert found[k, level] == pytest.approx(expected, abs=1e-8)


def test_flat_priors_are_the_limit_of_wide_ones():
    """Least squares leave-one-out (flat) against priors with an sd of 10⁵ residual sds."""
    data = table(sizes=(4, 5, 6))
    flat = {"coef_g": pp.Flat(), "sigma": pp.Uniform(0.799, 0.801)}
    wide = {"coef_g": pp.Normal(0, 1e5), "sigma": pp.Uniform(0.799, 0.801)}
    fits = [
        pp.fit("y ~ x + (x | g)", data, pooling="none", priors=priors, **FEW)
        for priors in (flat, wide)
    ]
    found = []
    for fit in fits:
        rows = blocks(fit)
        found.append(row_scores(rows, parameters(fit, rows, np.arange(1)), 1.0).mean)
    np.testing.assert_allclose(*found, atol=1e-4)


def test_rows_that_alone_determine_a_flat_coefficient_have_no_score():
    data = table()
    fit = pp.fit("y ~ 1 + (1 | g)", data, pooling="none", priors={"coef_g": pp.Flat()}, **FEW)
    loo = fit.loo()
    alone = data["g"].to_numpy() == 0
    assert np.array_equal(np.isnan(loo.elpd_i), alone)
    assert [finding.code for finding in loo.findings if finding.code != "pareto-k"] == [
        "not-predictable"
    ]
    assert loo.n == len(data) - 1
    assert np.isfinite(loo.elpd)


def refit_scores(data, left, fit, **options):
    """log p(y_left | the others) by a fit without them, with the priors that all rows gave."""
    rest = data.drop(index=left)
    again = pp.fit("y ~ xc + (1 | g)", rest, priors=fit.priors, seed=5, draws=4000, **options)
    b = again.run.b.reshape(-1, 2)
    sd, sigma = again.run.groups[0].sd.ravel(), again.run.sigma.ravel()
    rows = data.loc[left]
    known = rest["g"].unique()
    rng = np.random.default_rng(4)
    level = rows["g"].iloc[0]
    if level in known:
        draws = again.group_draws([level]).to_numpy()[:, :, 0, 0].ravel() - b[:, 0]
    else:
        draws = sd * rng.normal(size=len(sd))
    eta = b[:, :1] + b[:, 1:] * rows["xc"].to_numpy() + draws[:, None]
    logs = stats.norm(eta, sigma[:, None]).logpdf(rows["y"].to_numpy()).sum(axis=1)
    ratio = np.exp(logs - logs.max())
    error = ratio.std() / ratio.mean() / np.sqrt(len(ratio) / 4)
    return logs.max() + np.log(ratio.mean()), error, float(eta[:, 0].mean())


# On the actual intercept: a prior at the mean of the predictors would move with the rows.
PRIORS = {"b": pp.Normal(0, 3), "sd_g": pp.Exponential(1), "sigma": pp.Exponential(1)}


@pytest.fixture(scope="module")
def small():
    data = table(seed=2, sizes=(1, 2, 3, 4, 5, 6)).reset_index(drop=True)
    data["xc"] = data["x"] - 3
    data["y"] -= data["y"].mean()
    fit = pp.fit("y ~ xc + (1 | g)", data, priors=PRIORS, seed=1, draws=4000)
    return data, fit


def test_leave_one_out_is_what_refits_say(small):
    data, fit = small
    loo = fit.loo()
    assert loo.pareto_k.max() < 0.7
    for i in [*np.flatnonzero(data["g"] == 0), 3, 8, 15]:
        expected, error, mean = refit_scores(data, [i], fit)
        # Five errors of the refit; reweighting adds about as much again.
        assert loo.elpd_i[i] == pytest.approx(expected, abs=10 * error + 0.01)
        assert loo.mean[i] == pytest.approx(mean, abs=0.06)


def test_leave_one_group_out_is_what_refits_say(small):
    data, fit = small
    loo = fit.loo(by="group")
    # Two of so few levels lie so far out that the others alone would give another posterior.
    doubtful = np.flatnonzero(loo.pareto_k > 0.7)
    assert 5 in doubtful  # level 4 lies at the limit
    assert set(doubtful) <= {4, 5}
    assert f"{len(doubtful)} of 6 levels of `g`" in loo.findings[0].message
    assert 'kfold(by="g")' in loo.findings[0].remedy
    for level in range(4):
        left = data.index[data["g"] == level].tolist()
        expected, error, _ = refit_scores(data, left, fit)
        assert loo.elpd_i[level] == pytest.approx(expected, abs=10 * error + 0.01)


def test_kfold_with_a_part_for_every_row_is_leave_one_out(small):
    data, fit = small
    loo = fit.loo()
    folds = fit.kfold(k=len(data))
    np.testing.assert_allclose(folds.elpd_i, loo.elpd_i, atol=0.1)
    np.testing.assert_allclose(folds.mean, loo.mean, atol=0.1)
    assert folds.p_eff == pytest.approx(loo.p_eff, abs=0.4)


def assert_scores_agree(folds, loo):
    """Where reweighting is reliable; over seeds the differences are below 0.11."""
    good = loo.pareto_k < 0.7
    assert good.sum() >= 6
    np.testing.assert_allclose(folds.elpd_i[good], loo.elpd_i[good], atol=0.12)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (x | g)"])
def test_kfold_keeps_priors_at_the_mean_of_all_rows(formula):
    """Parts of one row against leave-one-out, with default priors; a wrong centre would show."""
    data = table(seed=6, sizes=(3, 3, 3))
    fit = pp.fit(formula, data, seed=1, draws=2000)
    folds = fit.kfold(k=9)
    assert_scores_agree(folds, fit.loo())


def test_kfold_by_the_engine_that_samples_everything():
    """Two engines refit without each row; over seeds rows vary by 0.04 at most (sd)."""
    data = table(seed=3, sizes=(3, 3, 3))
    fit = pp.fit("y ~ x + (1 | g)", data, seed=1, method="nuts", chains=2, draws=1500, warmup=500)
    exact = pp.fit("y ~ x + (1 | g)", data, seed=2, method="marginal", draws=2000)
    np.testing.assert_allclose(fit.kfold(k=9).elpd_i, exact.kfold(k=9).elpd_i, atol=0.15)


def test_kfold_deals_categories_evenly():
    categories = np.random.default_rng(1).integers(0, 3, 60).astype(float)
    for seed in range(5):
        parts = deal(60, 4, seed, categories)
        assert np.bincount(parts).tolist() == [15] * 4
        for category in range(3):
            assert np.ptp(np.bincount(parts[categories == category], minlength=4)) <= 1
    assert not np.array_equal(deal(60, 4, 1), deal(60, 4, 2))
    assert np.bincount(deal(61, 4, 1)).tolist() == [16, 15, 15, 15]


def test_kfold_by_group_predicts_rows_of_new_levels(small):
    """Row by row, level after level: against the dense density of each row without its level."""
    data, fit = small
    folds = fit.kfold(k=6, by="g")
    y, xc, g = (data[name].to_numpy() for name in ("y", "xc", "g"))
    for level in range(3):
        expected = []
        left = np.flatnonzero(g == level)
        again = pp.fit("y ~ xc + (1 | g)", data[g != level], priors=PRIORS, seed=8, draws=4000)
        b, sigma = again.run.b.reshape(-1, 2), again.run.sigma.ravel()
        spread = np.sqrt(again.run.groups[0].sd.ravel() ** 2 + sigma**2)
        for i in left:
            density = stats.norm(b[:, 0] + b[:, 1] * xc[i], spread).pdf(y[i])
            expected.append(np.log(density.mean()))
        np.testing.assert_allclose(folds.elpd_i[left], expected, atol=0.08)


@pytest.mark.parametrize("pooling", ["none", "complete"])
def test_kfold_under_other_poolings_is_leave_one_out(pooling):
    data = table(seed=6, sizes=(3, 3, 3))
    fit = pp.fit("y ~ x + (1 | g)", data, seed=1, draws=2000, pooling=pooling)
    folds = fit.kfold(k=9)
    assert_scores_agree(folds, fit.loo())


def test_kfold_without_pooling_keeps_priors_at_the_mean_of_all_rows():
    """Few rows a level and tight priors, at the mean of a predictor that lies far from 0."""
    data = table(seed=6, sizes=(3, 3, 3))
    data["x"] += 5 * np.arange(9) % 7
    mean = data["y"].mean()
    priors = {"coef_g[Intercept]": pp.NormalAtMean(mean, 0.3), "coef_g[x]": pp.Normal(0, 0.5)}
    fit = pp.fit("y ~ x + (x | g)", data, seed=1, draws=2000, pooling="none", priors=priors)
    folds = fit.kfold(k=9)
    good = fit.loo().pareto_k < 0.7
    np.testing.assert_allclose(folds.elpd_i[good], fit.loo().elpd_i[good], atol=0.12)


def test_kfold_under_flat_priors_scores_what_the_other_rows_determine():
    """Under flat priors a level needs other rows of its own, two for an intercept and a slope."""
    data = table(seed=7, sizes=(1, 2, 5, 6))
    flat = {"coef_g": pp.Flat()}
    fit = pp.fit("y ~ x + (x | g)", data, pooling="none", priors=flat, seed=1, draws=2000)
    folds, loo = fit.kfold(k=14), fit.loo()
    few = data["g"].to_numpy() < 2
    np.testing.assert_array_equal(np.isnan(folds.elpd_i), few)
    np.testing.assert_array_equal(np.isnan(loo.elpd_i), few)
    good = loo.pareto_k < 0.5
    assert good.sum() > 5
    np.testing.assert_allclose(folds.elpd_i[good], loo.elpd_i[good], atol=0.12)
    assert np.isnan(fit.kfold(k=4, by="g").elpd_i).all()


@pytest.mark.parametrize(
    ("formula", "reach", "seed"),
    [
        ("y ~ x + (x + w || g)", 4.0, 1),  # without a part, levels have too few rows for 3
        ("y ~ x + (x | g)", 1.4, 2),  # hardly a draw of some refits lies within the bounds
        ("y ~ w + (x | g)", 1.6, 3),
        ("y ~ 1 + (1 | g)", 1.1, 4),
    ],
)
def test_kfold_under_uniform_priors_takes_the_engine_that_each_refit_needs(formula, reach, seed):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(5), 4)
    x, w = rng.normal(size=(2, len(g)))
    data = {"y": 1 - 0.7 * x + rng.normal(0, 0.8, len(g)), "x": x, "w": w, "g": g}
    priors = {"coef_g": pp.Uniform(-reach, reach), "sigma": pp.Uniform(0, 5)}
    options = {"pooling": "none", "priors": priors, "seed": 1}
    fit = pp.fit(formula, data, **options)
    found = fit.kfold(5)
    assert found.used.all()
    # By NUTS throughout; scores of single rows differ by Monte Carlo errors of 0.01 to 0.1.
    other = pp.fit(formula, data, method="nuts", **options).kfold(5)
    assert found.elpd == pytest.approx(other.elpd, abs=0.4)


def test_densities_of_weighted_rows():
    """Weights are those of a precision, with known errors or not; else they count rows."""
    data = table()
    student = pp.fit("y ~ x + (1 | g)", data, family="student_t", weights="weight", **FEW)
    rows, draws = np.arange(len(data)), np.arange(5)
    drawn = row_draws(student, rows, draws)
    b, coef = student.run.b[0], student.run.groups[0].coef[0]
    expected = b[:, 1:] * data["x"].to_numpy() + coef[:, data["g"], 0]
    np.testing.assert_allclose(drawn.eta, expected, atol=1e-9)
    sigma = student.run.sigma.ravel()[:, None] / np.sqrt(data["weight"].to_numpy())
    nu = student.run.scalars["nu"].ravel()[:, None]
    density = drawn.log_densities()
    law = stats.t(nu, expected, sigma)
    np.testing.assert_allclose(density, law.logpdf(data["y"].to_numpy()), atol=1e-9)
    data["count"] = np.arange(len(data)) % 4
    counts = pp.fit("count ~ x", data, family="poisson", weights="weight", **FEW)
    density = row_draws(counts, rows, draws).log_densities()
    law = stats.poisson(np.exp(counts.run.b[0] @ counts.design.X.T))
    expected = data["weight"].to_numpy() * law.logpmf(data["count"].to_numpy())
    np.testing.assert_allclose(density, expected, atol=1e-9)


def test_importance_sampling_is_that_of_arviz():
    """A Poisson regression: scores, k and lppd against arviz_stats.loo on the same densities."""
    import arviz_stats
    from arviz_base import from_dict

    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    data = {"y": rng.poisson(np.exp(0.3 + 0.5 * x)), "x": x}
    fit = pp.fit("y ~ x", data, family="poisson", seed=2)
    b = fit.run.b
    rate = np.exp(b[..., :1] + b[..., 1:] * x)
    logs = stats.poisson(rate).logpmf(data["y"])
    ess = np.mean(fit.parameter_summary.values["ess_bulk"]) / 4000
    tree = from_dict({"posterior": {"b": b}, "log_likelihood": {"y": logs}})
    theirs = arviz_stats.loo(tree, pointwise=True, reff=min(ess, 1.0))
    loo = fit.loo()
    assert loo.method == "psis"
    np.testing.assert_allclose(loo.elpd_i, theirs.elpd_i, atol=1e-9)
    np.testing.assert_allclose(loo.pareto_k, theirs.pareto_k, atol=1e-6)
    assert loo.elpd == pytest.approx(theirs.elpd)
    assert loo.p_eff == pytest.approx(theirs.p)


@pytest.mark.parametrize("seed", range(12))
def test_smoothed_weights_are_those_of_arviz(seed):
    """Tails of all kinds: hardly any, heavy, without a mean, bounded, with ties."""
    from arviz_stats.base.array import array_stats

    rng = np.random.default_rng(seed)
    n = int(rng.choice([30, 100, 500, 4000]))
    rows = np.stack(
        [
            rng.normal(0, 0.1, n),
            rng.normal(0, 3, n),
            -rng.standard_exponential(n) * 4,
            np.log(rng.uniform(size=n)),
            -rng.pareto(0.7, n),
            np.sort(rng.standard_t(2, n)) * 100,
            np.round(rng.normal(0, 1, n), 1),
        ]
    )
    relative = float(rng.uniform(0.2, 1.0))
    scores, weights = _core.leave_out(log_density=rows, relative=relative, threads=2)
    for row, found, own in zip(rows, scores, weights, strict=True):
        with np.errstate(all="ignore"):
            logs, k = array_stats.psislw(row, r_eff=relative)
        if not (np.isfinite(k) and np.isfinite(logs).all()):  # no tail to fit
            logs, k = -row, np.inf
        expected = np.exp(logs - logs.max())
        expected /= expected.sum()
        # Of tied draws, which gets which of the smoothed weights is anybody's choice.
        order = np.argsort(row, kind="stable")
        tied = len(np.unique(row)) < n
        np.testing.assert_allclose(
            np.sort(own) if tied else own[order],
            np.sort(expected) if tied else expected[order],
            rtol=1e-6,
            atol=1e-12,
        )
        assert found[1] == pytest.approx(float(k), abs=1e-7)
        score = special.logsumexp(logs + row) - special.logsumexp(logs)
        assert found[0] == pytest.approx(score, abs=1e-7)
        log_mean = special.logsumexp(row) - np.log(n)
        assert found[2] == pytest.approx(log_mean, abs=1e-12 * (1 + abs(log_mean)))


def test_a_conjugate_model_is_scored_exactly():
    """Known errors, no groups: no parameter is left, so the closed form needs no draws at all."""
    data = table()
    fit = pp.fit("y ~ x", data, se="se", priors={"b": pp.Normal(0, 2)}, **FEW)
    loo = fit.loo()
    X = np.column_stack([np.ones(len(data)), data["x"]])
    C = 4 * X @ X.T + np.diag(data["se"] ** 2)
    y = data["y"].to_numpy()
    for i in range(len(y)):
        law, mean = conditional(np.zeros(len(y)), C, y, [i])
        assert loo.elpd_i[i] == pytest.approx(law.logpdf(y[i]), abs=1e-8)
        assert loo.mean[i] == pytest.approx(mean[0], abs=1e-8)
    assert (loo.pareto_k == 0).all()
    assert loo.rmse == pytest.approx(np.sqrt(np.mean((y - loo.mean) ** 2)))


def test_one_row_a_group_is_no_trouble_where_plain_importance_sampling_fails():
    schools = pp.datasets.eight_schools()
    exact = pp.fit("effect ~ 1 + (1 | school)", schools, se="se", seed=1).loo()
    assert exact.method == "integrated"
    assert exact.pareto_k.max() < 0.7


def test_rmse_and_effective_parameters(small):
    data, fit = small
    loo = fit.loo()
    assert loo.rmse == pytest.approx(np.sqrt(np.mean((data["y"] - loo.mean) ** 2)))
    # p_eff is against the log score of the full fit: density of each response, all integrated.
    b, sigma = fit.run.b.reshape(-1, 2), fit.run.sigma.ravel()
    deviations = fit.group_draws().to_numpy().reshape(len(b), -1) - b[:, :1]
    eta = b[:, :1] + b[:, 1:] * data["xc"].to_numpy() + deviations[:, data["g"]]
    density = stats.norm(eta, sigma[:, None]).pdf(data["y"].to_numpy())
    expected = np.log(density.mean(axis=0)).sum() - loo.elpd
    assert loo.p_eff == pytest.approx(expected, abs=0.05)
    assert 3 < loo.p_eff < 9
    # Of levels: of all responses of a level together.
    levels = fit.loo(by="g")
    together = [np.prod(density[:, data["g"] == level], axis=1) for level in levels.labels]
    expected = np.log(np.mean(together, axis=1)) - levels.elpd_i
    np.testing.assert_allclose(levels.log_score - levels.elpd_i, expected, atol=1e-8)
    assert levels.p_eff == pytest.approx(expected.sum())


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_what_would_take_hours_is_refused_before_any_work(family, monkeypatch):
    from partialpool.scores import loo as module

    data = table()
    data["y"] = np.round(np.abs(data["y"]))
    fit = pp.fit("y ~ x + (1 | g)", data, family=family, **FEW)

    def never(*_, **__):
        raise AssertionError

    per_row = module.ROW + (module.PAIR * 4 if family == "gaussian" else 0)
    seconds = len(data) * 5 * per_row / (module.os.cpu_count() or 1)
    monkeypatch.setattr(limits, "LOO_SECONDS", seconds * 0.99)
    for name in ("blocks", "row_draws", "leave_out"):
        monkeypatch.setattr(module, name, never)
    with pytest.raises(InputError, match=r"leaving out 22 rows one by one .*kfold\(5\)"):
        fit.loo()
    monkeypatch.undo()
    monkeypatch.setattr(limits, "LOO_SECONDS", seconds * 1.01)
    assert fit.loo().n == 22


def test_leaving_out_a_million_rows_is_not_refused():
    from partialpool.scores.loo import check_effort

    check_effort(1_000_000, 1000, 100)
    with pytest.raises(InputError, match=r"of a model with 2000 coefficients .* hours"):
        check_effort(1_000_000, 1000, 2000)


def test_means_of_densities_that_no_draw_allows():
    values = np.array([[-np.inf, 0.0, -1000.0], [-np.inf, -np.inf, -1000.0]])
    np.testing.assert_allclose(log_mean(values), [-np.inf, np.log(0.5), -1000.0])
