"""Profile-likelihood intervals and likelihood-ratio tests: lme4, dense matrices, closed forms."""

import numpy as np
import pytest
from scipy import optimize, stats

import partialpool as pp
from dense_factors import Dense, simulated, table

PENICILLIN = "diameter ~ 1 + (1 | plate) + (1 | sample)"

# lme4 1.1-31: confint(lmer(…), devtol = 1e-9), with bobyqa's rhoend = 1e-10.
LME4 = [
    (
        "penicillin", PENICILLIN, 0.95,
        {
            "b[Intercept]": (21.2666273835, 24.6778176175),
            "sd_plate[Intercept]": (0.6335657876, 1.1821039841),
            "sd_sample[Intercept]": (1.0957892650, 3.5562919110),
            "sigma": (0.4858454002, 0.6294534785),
        },
    ),
    (
        "penicillin", PENICILLIN, 0.8,
        {
            "b[Intercept]": (21.9552285996, 23.9892159569),
            "sd_plate[Intercept]": (0.6972598306, 1.0459062513),
            "sd_sample[Intercept]": (1.2711601848, 2.7029065857),
            "sigma": (0.5065403747, 0.5998921918),
        },
    ),
    (
        "pastes", "strength ~ 1 + (1 | batch/cask)", 0.95,
        {
            "b[Intercept]": (58.6636503785, 61.443016369),
            "sd_batch[Intercept]": (0.0, 2.946591111),
            "sd_batch:cask[Intercept]": (2.1579337084, 4.053588941),
            "sigma": (0.6520233561, 1.085448104),
        },
    ),
    (
        "sleepstudy", "Reaction ~ Days + (Days | Subject)", 0.95,
        {
            "b[Intercept]": (237.6806954894, 265.1295146187),
            "b[Days]": (7.3586532600, 13.5759187523),
            "sd_Subject[Intercept]": (14.3816524702, 37.7159962536),
            "sd_Subject[Days]": (3.8011641022, 8.7533831599),
            "cor_Subject[Intercept,Days]": (-0.4815007388, 0.6849859708),
            "sigma": (22.8982668766, 28.8579965400),
        },
    ),
    (
        "sleepstudy", "Reaction ~ Days + (Days || Subject)", 0.95,
        {
            "b[Intercept]": (237.572148009, 265.238061759),
            "b[Days]": (7.334066829, 13.600504106,),
            "sd_Subject[Intercept]": (15.258646890, 37.786472485),
            "sd_Subject[Days]": (3.964073809, 8.769159091),
            "sigma": (22.880554648, 28.787597595),
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "formula", "level", "expected"), LME4)
@pytest.mark.parametrize("method", ["ml", "reml"])
def test_intervals_are_those_of_lme4(name, formula, level, expected, method):
    found = pp.fit(formula, table(name), method=method).confint(level)
    assert found.index.tolist() == list(expected)
    # lme4 interpolates its profiles with splines.
    width = np.diff(list(expected.values()))
    ours, theirs = found[["lower", "upper"]].to_numpy(), np.array(list(expected.values()))
    assert np.all(np.abs(ours - theirs) < 2e-4 * width)


@pytest.mark.parametrize("roles", [{"weights": "w", "offset": "o"}, {"se": "se"}])
def test_ends_by_dense_matrices(roles):
    # At an end, the least deviance with the parameter held there is 3.84 above the least of all.
    data = simulated(3)
    factors = [("g", "1x", True), ("h", "1", False)]
    estimate = pp.fit("y ~ x + z + (x | g) + (1 | h)", data, method="ml", **roles)
    dense, ends = Dense(data, factors, roles, "ml"), estimate.confint()
    known = "se" in roles

    def factor(sd, cor):
        """Entries (0, 0), (1, 1), (1, 0) of the factor of the first covariance."""
        return [sd[0], sd[1] * np.sqrt(max(1 - cor**2, 0.0)), sd[1] * cor]

    def profiled(name, value):
        """Over sds (as they are), a correlation by its sine, and the log of sigma."""
        free = ["sd0", "sd1", "cor", "sd2", *([] if known else ["sigma"])]
        held = {"sd_g[Intercept]": "sd0", "sd_g[x]": "sd1", "cor_g[Intercept,x]": "cor",
                "sd_h[Intercept]": "sd2"}.get(name, name)  # fmt: skip
        own = [one for one in free if one != held]

        def at(v):
            given = dict(zip(own, v, strict=True))
            given["cor"] = np.sin(given.get("cor", 0.0))
            given["sigma"] = np.exp(given.get("sigma", 0.0))
            if held in ("sd0", "sd1", "cor", "sd2", "sigma"):
                given[held] = value
            entries = factor([given["sd0"], given["sd1"]], given["cor"])
            hold = (int("xz".find(name[2]) + 1), value) if name.startswith("b[") else None
            sigma = [] if known else [np.log(given["sigma"])]
            return dense.deviance(np.array([*entries, given["sd2"], *sigma]), hold)

        start = {"sd0": 1.0, "sd1": 0.7, "cor": 0.1, "sd2": 0.8, "sigma": 0.0}
        return dense.minimum(at, np.array([start[one] for one in own])).fun

    quantile = stats.chi2(1).ppf(0.95)
    for name, row in ends.iterrows():
        for end in (row["lower"], row["upper"]):
            if end in (0.0, -1.0, 1.0):
                assert profiled(name, end) <= estimate.deviance + quantile + 1e-6
            else:
                more = profiled(name, end) - estimate.deviance
                assert more == pytest.approx(quantile, abs=1e-5), (name, end)


def test_coefficients_without_groups_have_closed_forms():
    # Profiles of least squares: N log(1 + t²/(N − p)), and of sigma N (s²/σ² − 1 − log(s²/σ²)).
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    y = 2 - x + rng.normal(size=30)
    found = pp.fit("y ~ x", {"y": y, "x": x}, method="reml").confint(0.9)
    X = np.column_stack([np.ones(30), x])
    b, rest = np.linalg.lstsq(X, y, rcond=None)[:2]
    quantile = stats.chi2(1).ppf(0.9)
    reach = np.sqrt(np.expm1(quantile / 30) * rest[0] * np.diag(np.linalg.inv(X.T @ X)))
    assert found["lower"][:2].to_numpy() == pytest.approx(b - reach, rel=1e-6)
    assert found["upper"][:2].to_numpy() == pytest.approx(b + reach, rel=1e-6)
    s2 = rest[0] / 30
    ends = [
        optimize.brentq(lambda v: 30 * (s2 / v - 1 - np.log(s2 / v)) - quantile, *bracket)
        for bracket in ((s2 / 10, s2), (s2, 10 * s2))
    ]
    assert found.loc["sigma"].tolist() == pytest.approx(np.sqrt([s2, *ends]), rel=1e-6)


def test_ends_where_values_end():
    data = table("cake")
    formula = "angle ~ recipe + temp + (temp | replicate) + (1 | recipe:replicate)"
    found = pp.fit(formula, data, method="ml").confint(parameters=["cor_replicate", "sd_replicate"])
    assert found.loc["cor_replicate[Intercept,temp]"].tolist() == [1.0, -1.0, 1.0]
    assert found["lower"].tolist()[1:] == [0.0, 0.0]
    # An end at 1 alone, as the estimate: correlations near −1 are rejected.
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 8)
    x = rng.normal(size=96)
    y = rng.normal(size=12)[g] * (1 + x) + rng.normal(size=96)
    estimate = pp.fit("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, method="ml")
    row = estimate.confint(parameters="cor_g").iloc[0]
    assert row["upper"] == 1.0
    assert 0 < row["lower"] < row["estimate"]


def test_sds_that_are_zero_have_an_upper_end():
    rng = np.random.default_rng(2)
    g, h = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)
    y = rng.normal(size=96)
    y = y - np.bincount(h, y)[h] / 8 + rng.normal(size=8)[g]
    estimate = pp.fit("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h}, method="ml")
    ends = estimate.confint(parameters="sd_h").iloc[0]
    assert (ends["estimate"], ends["lower"]) == (0.0, 0.0)
    # Balanced: the sd of means of 8 rows that has a signed root of 1.96, by brute force.
    dense = Dense.of(y, [g, h])
    least = dense.minimum(lambda v: dense.deviance(np.array([v[0], 0.0, v[1]])), np.zeros(2) + 0.5)
    held = dense.minimum(
        lambda v: dense.deviance(np.array([v[0], ends["upper"], v[1]])), np.zeros(2) + 0.5
    )
    assert held.fun - least.fun == pytest.approx(stats.chi2(1).ppf(0.95), abs=1e-5)


def test_arguments_of_confint():
    estimate = pp.fit(PENICILLIN, table("penicillin"), method="ml", interval=0.8)
    sigma = estimate.confint(parameters="sigma")
    assert sigma.equals(estimate.confint(0.8, ["sigma"]))
    assert sigma.columns.tolist() == ["estimate", "lower", "upper"]
    assert sigma["estimate"].tolist() == pytest.approx([estimate.maximum.sigma])
    for arguments, what in (
        ({"level": 95}, "`level` is 95"),
        ({"parameters": "sd_plat"}, "did you mean `sd_plate`"),
        ({"parameters": [1]}, "`parameters` is 1"),
        ({"parameters": 1}, "`parameters` is 1"),
    ):
        with pytest.raises(pp.InputError, match=what):
            estimate.confint(**arguments)


# --- Likelihood-ratio tests ---------------------------------------------------------------------

SLEEP = {
    "slopes": "Reaction ~ Days + (Days | Subject)",
    "apart": "Reaction ~ Days + (Days || Subject)",
    "intercepts": "Reaction ~ Days + (1 | Subject)",
    "flat": "Reaction ~ 1 + (Days | Subject)",
}


def sleep(name, method="ml"):
    return pp.fit(SLEEP[name], table("sleepstudy"), method=method)


@pytest.mark.parametrize(
    ("small", "large", "chisq", "df", "p", "variances"),
    [  # anova() of lme4 1.1-31
        ("intercepts", "apart", 42.07538786, 1, 8.782158506e-11, 1),
        ("intercepts", "slopes", 42.13929852, 2, 7.072412638e-10, 1),
        ("apart", "slopes", 0.06391065561, 1, 0.8004184642, 0),
        ("flat", "slopes", 23.53653747, 1, 1.225639973e-06, 0),
    ],
)
def test_tests_are_those_of_anova(small, large, chisq, df, p, variances):
    one, other = sleep(small), sleep(large)
    found = one.lrt(other)
    assert (found.chisq, found.p) == pytest.approx((chisq, p), rel=1e-6)
    assert (found.df, found.variances) == (df, variances)
    assert other.lrt(one).table.equals(found.table)
    assert found.table.index.tolist() == [SLEEP[small], SLEEP[large]]
    if variances:
        mixture = stats.chi2(df).sf(chisq) / 2 + (stats.chi2(df - 1).sf(chisq) / 2 if df > 1 else 0)
        assert found.p_mixture == pytest.approx(mixture, rel=1e-5)
        assert "p is conservative (too large)" in repr(found)
    else:
        assert np.isnan(found.p_mixture)
        assert "conservative" not in repr(found)


def test_reml_of_the_same_population_terms():
    # anova(…, refit = FALSE)
    data = table("penicillin")
    one = pp.fit("diameter ~ 1 + (1 | plate)", data, method="reml")
    found = one.lrt(pp.fit(PENICILLIN, data, method="reml"))
    assert (found.chisq, found.df) == pytest.approx((282.395435, 1), rel=1e-8)
    assert found.p == pytest.approx(2.257340867e-63, rel=1e-6)
    assert found.p_mixture == pytest.approx(found.p / 2)
    assert "restricted likelihoods (REML)" in repr(found)


def test_a_variance_that_is_not_there():
    rng = np.random.default_rng(2)
    g, h = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)
    y = rng.normal(size=96)
    data = {"y": y - np.bincount(h, y)[h] / 8 + rng.normal(size=8)[g], "g": g, "h": h}
    one = pp.fit("y ~ 1 + (1 | g)", data, method="ml")
    found = one.lrt(pp.fit("y ~ 1 + (1 | g) + (1 | h)", data, method="ml"))
    assert found.chisq == pytest.approx(0, abs=1e-8)
    assert (found.p, found.p_mixture) == pytest.approx((1.0, 1.0), abs=1e-3)


def test_what_cannot_be_compared():
    data, slopes = table("sleepstudy"), sleep("slopes")
    changed = data.assign(Reaction=data["Reaction"] + 1, w=1.0 + data["Days"])
    refused = {
        "is not nested in": (sleep("intercepts"), sleep("flat")),
        "coefficients of `Subject` do not correlate": (
            slopes,
            pp.fit("Reaction ~ Days * I(Days^2) + (Days || Subject)", data, method="ml"),
        ),
        "have the same parameters": (slopes, sleep("slopes")),
        "different rows, responses": (
            sleep("intercepts"),
            pp.fit(SLEEP["slopes"], changed, method="ml"),
        ),
        "weights": (
            sleep("intercepts"),
            pp.fit(SLEEP["slopes"], changed.assign(Reaction=data["Reaction"]), weights="w",
                   method="ml"),
        ),
        'one estimate is by method="reml"': (sleep("intercepts", "reml"), slopes),
        "different population terms cannot be compared": (
            sleep("flat", "reml"),
            sleep("slopes", "reml"),
        ),
    }  # fmt: skip
    for what, (one, other) in refused.items():
        with pytest.raises(pp.InputError, match=what.replace("(", r"\(")):
            one.lrt(other)
    with pytest.raises(pp.InputError, match="likelihoods of estimates are compared"):
        slopes.lrt(3)
