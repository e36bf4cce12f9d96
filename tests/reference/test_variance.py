"""Where the variance lies: against definitions by brute force, known shares, and published numbers.

Levels are integrated out by quadrature in the code; here they are simulated, or summed over grids.
"""

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace
from scipy import special, stats

import partialpool as pp
from dense_factors import table
from helpers import covariance
from partialpool.answers.partition import ratio
from partialpool.draws import components as parts
from partialpool.draws.components import components
from partialpool.engine.run import GroupDraws
from partialpool.families import FAMILIES, Given

FEW = {"chains": 1, "draws": 4, "warmup": 60, "seed": 3}
SHORT = {"chains": 2, "draws": 300, "warmup": 300, "seed": 1}
CASES = [(name, link) for name, family in FAMILIES.items() for link in family.links]
AUX = {"sigma": 0.7, "nu": 5.0, "shape": 1.8, "phi": 6.0, "zi": 0.25, "hu": 0.3}
THRESHOLDS = (-1.0, 0.2, 1.4)


def data_of(name, seed=0, n=48):
    rng = np.random.default_rng(seed)
    family, link = FAMILIES[name], FAMILIES[name].links[0]
    data = pd.DataFrame({"x": rng.normal(0.5, 1, n)})
    data["g"], data["h"] = np.arange(n) % 6, np.arange(n) % 5
    trials = None
    if name == "binomial":
        data["n"] = 1 + np.arange(n) % 4
        trials = data["n"].to_numpy(float)
    aux = {one.name: AUX[one.name] for one in family.dispersion}
    if name == "cumulative":
        aux = {"threshold": np.array(THRESHOLDS)}
    eta = 0.2 + 0.4 * data["x"].to_numpy()
    y = family.simulate(rng, eta, Given(link, aux, trials))
    data["y"] = y.astype(int) if family.discrete else y
    return data


def fixed(fit, b, sds, cor=0.0, **scalars):
    """A fit whose draws are all these numbers: sds by group, of coefficients as written."""
    shape = fit.run.b.shape[:2]

    def every(value):
        return np.broadcast_to(np.asarray(value, dtype=float), (*shape, *np.shape(value))).copy()

    groups = []
    for group, drawn in zip(fit.model.groups, fit.run.groups, strict=True):
        sd = np.asarray(sds[group.name], dtype=float)
        pairs = np.full(len(group.pairs), cor)
        own = None
        if group.at_mean:  # sds and correlations of working coefficients
            back = np.linalg.inv(group.back)
            inner = back @ covariance(sd, pairs, group.pairs) @ back.T
            size = np.sqrt(np.diag(inner))
            both = [inner[i, j] / (size[i] * size[j]) for i, j in group.pairs]
            own = every(np.concatenate([size, both]))
        groups.append(GroupDraws(every(sd), every(pairs), drawn.coef, own))
    names = {name: every(scalars.get(name, AUX.get(name))) for name in fit.run.scalars
             if not name.startswith("threshold")}  # fmt: skip
    names |= {f"threshold[{k + 1}]": every(t) for k, t in enumerate(THRESHOLDS)
              if f"threshold[{k + 1}]" in fit.run.scalars}  # fmt: skip
    fit.run = replace(fit.run, b=every(b), groups=tuple(groups), scalars=names, window={})
    return fit


def made(name, link, formula="y ~ x + (1 | g)", **options):
    data = data_of(name)
    if name == "binomial":
        options["trials"] = "n"
    return pp.fit(formula, data, family=name, link=link, **FEW, **options), data


def aux_of(name):
    return (
        {"threshold": np.array(THRESHOLDS)}
        if name == "cumulative"
        else {one.name: AUX[one.name] for one in FAMILIES[name].dispersion}
    )


pytestmark = pytest.mark.filterwarnings("ignore::partialpool.errors.FindingWarning")


# ---------------------------------------------------------------------------- by brute force


@pytest.mark.parametrize(("name", "link"), CASES)
def test_shares_of_the_response_are_those_of_simulated_responses(name, link):
    """Slopes that vary, at fixed parameters: responses of new levels at every row."""
    fit, data = made(name, link, "y ~ x + (x | g)")
    b = [0.4] if name == "cumulative" else [-0.3, 0.4]
    fixed(fit, b, {"g": [0.6, 0.3]}, cor=-0.4)
    found = fit.variance().draws
    rng, family, m = np.random.default_rng(1), FAMILIES[name], 40_000
    x, w = data["x"].to_numpy(), data["n"].to_numpy(float) if name == "binomial" else np.ones(48)
    Sigma = covariance(np.array([0.6, 0.3]), [-0.4], ((0, 1),))
    u = rng.multivariate_normal([0, 0], Sigma, m)
    fixed_part = 0.4 * x + (0 if name == "cumulative" else -0.3)
    eta = fixed_part[:, None] + u[:, 0] + x[:, None] * u[:, 1]
    given = Given(link, aux_of(name))
    spread = np.var(np.repeat(fixed_part, w.astype(int)), ddof=1)
    between = np.average(eta.var(axis=1), weights=w)
    if name != "hurdle_poisson" and name != "hurdle_negbinomial":
        at = "" if family.averages == "linear" else "_latent"
        assert found[f"variance{at}[population]"] == pytest.approx(spread)
        assert found[f"variance{at}[g]"] == pytest.approx(between, rel=0.02)
    if name == "cumulative":
        assert not any(key.startswith("share[") for key in found)
        return
    y, mean = family.simulate(rng, eta, given), family.mean(eta, given)
    rows = np.repeat(np.arange(48), w.astype(int))
    expected = {
        "population": np.var(mean.mean(axis=1)[rows], ddof=1),
        "g": mean.var(axis=1)[rows].mean(),
        "residual": ((y - mean) ** 2).mean(axis=1)[rows].mean(),
    }
    total = sum(expected.values())
    # Errors of some 1/√m, more where the variance has heavy tails.
    for part, value in expected.items():
        assert found[f"share[{part}]"] == pytest.approx(value / total, abs=0.012)
        assert np.ptp(found[f"share[{part}]"]) == 0
    # The law of total variance: of all responses there are, at all rows.
    if name not in ("student_t", "lognormal"):
        every = sum(found[f"variance[{part}]"][0] for part in expected)
        assert every == pytest.approx(y[rows].var(), rel=0.05)


def test_shares_of_several_factors_are_sums_over_grids():
    """What each of two factors explains alone, and only together: sums over both normals."""
    nodes, weights = special.roots_hermitenorm(90)
    weights = weights / weights.sum()
    for name, link, sds in (
        ("bernoulli", "logit", (0.9, 0.5)),
        ("bernoulli", "cloglog", (2.2, 0.2)),
        ("poisson", "log", (0.8, 0.6)),
        ("hurdle_poisson", "log", (0.7, 1.1)),
    ):
        fit, data = made(name, link, "y ~ x + (1 | g) + (1 | h)")
        fixed(fit, [-0.3, 0.4], {"g": [sds[0]], "h": [sds[1]]})
        found = fit.variance().draws
        given = Given(link, aux_of(name))
        eta = -0.3 + 0.4 * data["x"].to_numpy()
        grid = eta[:, None, None] + sds[0] * nodes[:, None] + sds[1] * nodes
        m = FAMILIES[name].mean(grid, given)
        mean = np.einsum("rij,i,j->r", m, weights, weights)
        of_g = ((m @ weights - mean[:, None]) ** 2 @ weights).mean()
        of_h = ((np.einsum("rij,i->rj", m, weights) - mean[:, None]) ** 2 @ weights).mean()
        both = np.einsum("rij,i,j->r", (m - mean[:, None, None]) ** 2, weights, weights).mean()
        within = np.einsum(
            "rij,i,j->r", FAMILIES[name].variance(grid, given), weights, weights
        ).mean()
        expected = {
            "population": np.var(mean, ddof=1),
            "g": of_g,
            "h": of_h,
            "together": both - of_g - of_h,
            "residual": within,
        }
        for part, value in expected.items():
            assert found[f"variance[{part}]"] == pytest.approx(value, rel=1e-4, abs=3e-5 * both)


def test_gaussian_draws_are_computed_as_defined():
    """Correlated slopes, cell means and a nested factor, from the draws that users see."""
    rng, n = np.random.default_rng(3), 90
    f, g = np.array(["a", "b", "c"])[np.arange(n) % 3], np.arange(n) % 9
    data = pd.DataFrame({"x": rng.normal(2010, 4, n), "f": f, "g": g, "h": np.arange(n) % 4})
    y = rng.normal(0, 1, 9)[g] + rng.normal(0, 0.1, 9)[g] * (data["x"] - 2010)
    data["y"] = y + rng.normal(0, 1, n)
    fit = pp.fit("y ~ 0 + f + x + (x | g) + (0 + f || h)", data, **SHORT)
    found = fit.variance().draws
    draws = fit.draws.posterior
    n_draws = fit.run.chains * fit.run.draws
    X = np.column_stack([data["f"] == level for level in "abc"]).astype(float)
    b = draws["b"].to_numpy().reshape(n_draws, -1)
    population = np.var(np.column_stack([X, data["x"]]) @ b.T, axis=0, ddof=1)
    sd, cor = (draws[name].to_numpy().reshape(n_draws, -1) for name in ("sd_g", "cor_g"))
    Z = np.column_stack([np.ones(n), data["x"]])
    levels = np.array([
        np.mean(np.einsum("ni,ij,nj->n", Z, covariance(sd[s], cor[s], ((0, 1),)), Z))
        for s in range(n_draws)
    ])  # fmt: skip
    other = (draws["sd_h"].to_numpy().reshape(n_draws, -1) ** 2) @ X.mean(axis=0)
    residual = draws["sigma"].to_numpy().ravel() ** 2
    total = population + levels + other + residual
    expected = {
        "share[population]": population / total,
        "share[g]": levels / total,
        "share[h]": other / total,
        "share[residual]": residual / total,
        "icc[g]": levels / (levels + other + residual),
        "icc": (levels + other) / (levels + other + residual),
        "icc_unadjusted": (levels + other) / total,
        "r2_marginal": population / total,
        "r2_conditional": (population + levels + other) / total,
    }
    for name, values in expected.items():
        # Sds of intercepts at the year 0 lose digits in the reference.
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    eta = fit.posterior_predictive(kind="linear").to_numpy().reshape(n_draws, n)
    of_rows = np.var(eta, axis=1, ddof=1)
    np.testing.assert_allclose(found["r2_bayes"], of_rows / (of_rows + residual), rtol=1e-8)
    summary = fit.variance(0.5).table.loc["icc"]
    np.testing.assert_allclose(
        summary[["mean", "sd", "lower", "upper"]].astype(float),
        [found["icc"].mean(), found["icc"].std(ddof=1), *np.quantile(found["icc"], [0.25, 0.75])],
    )


@pytest.mark.parametrize("roles", ["sigma", "se", "weights"])
def test_residual_variances_of_rows_are_averaged(roles):
    rng, n = np.random.default_rng(4), 60
    data = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 6})
    data["s"] = rng.uniform(0.5, 2, n)
    data["y"] = data["x"] + rng.normal(0, 1, 6)[data["g"]] + data["s"] * rng.normal(size=n)
    data["w"] = data["s"] ** -2
    options = {"sigma": {"sigma": "~ x + (1 | g)"}, "se": {"se": "s"}, "weights": {"weights": "w"}}
    fit = pp.fit("y ~ x + (1 | g)", data, **SHORT, **options[roles])
    found = fit.variance().draws["variance[residual]"]
    if roles == "se":
        expected = np.full(600, np.mean(data["s"] ** 2))
    elif roles == "weights":
        expected = fit.run.sigma.ravel() ** 2 * np.mean(data["s"] ** 2)
    else:
        own = fit.run.coefficients("sigma").reshape(600, 2)
        r = fit.run.groups[1].coef.reshape(600, 6)[:, data["g"]]
        expected = np.exp(2 * (r + own[:, 1:] * data["x"].to_numpy())).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_offsets_are_no_part_of_the_variance():
    """Those of the response taken out beforehand give the same, draw by draw."""
    data = data_of("gaussian")
    data["o"] = np.linspace(0, 50, len(data)) % 7
    data["less"] = data["y"] - data["o"]
    one = pp.fit("y ~ x + (1 | g)", data, offset="o", **SHORT)
    other = pp.fit("less ~ x + (1 | g)", data, **SHORT)
    for fit in (one, other):
        fixed(fit, [-0.3, 0.4], {"g": [0.6]})
    found = [fit.variance().draws for fit in (one, other)]
    for name in found[0]:
        error = 1e-9 if name != "r2_bayes" else 0.05  # whose levels are drawn
        np.testing.assert_allclose(found[0][name].mean(), found[1][name].mean(), rtol=error)


@pytest.mark.parametrize("roles", ["se", "weights"])
def test_residual_variances_at_estimates_are_averaged(roles):
    data = data_of("gaussian")
    data["s"] = np.linspace(0.5, 2, len(data))
    estimate = pp.fit("y ~ x + (1 | g)", data, method="reml", **{roles: "s"})
    found = estimate.variance().table["mean"]["variance[residual]"]
    if roles == "se":
        assert found == pytest.approx(np.mean(data["s"] ** 2))
    else:
        assert found == pytest.approx(estimate.maximum.sigma**2 * np.mean(1 / data["s"]))


def test_latent_variances_of_counts_and_shares_are_at_the_mean_of_all_rows():
    """Nakagawa, Johnson & Schielzeth (2017), with exposure in the mean and not in the predictor."""
    data = data_of("poisson")
    data["e"] = np.linspace(0.5, 3, len(data))
    fit = pp.fit("y ~ x + (1 | g)", data, family="negbinomial", exposure="e", **FEW)
    found = fixed(fit, [-0.3, 0.4], {"g": [0.6]}).variance().draws
    eta = -0.3 + 0.4 * data["x"]
    assert found["variance_latent[population]"] == pytest.approx(np.var(eta, ddof=1))
    mean = np.mean(data["e"] * np.exp(eta + 0.18))
    assert found["variance_latent[residual]"] == pytest.approx(np.log1p(1 / mean + 1 / 1.8))
    fit = pp.fit("y ~ x + (1 | g)", data_of("beta"), family="beta", link="probit", **FEW)
    found = fixed(fit, [-0.3, 0.4], {"g": [0.6]}).variance().draws
    eta = (-0.3 + 0.4 * data_of("beta")["x"]) / np.sqrt(1.36)
    mean = stats.norm.cdf(eta).mean()
    delta = mean * (1 - mean) / 7 / stats.norm.pdf(stats.norm.ppf(mean)) ** 2
    assert found["variance_latent[residual]"] == pytest.approx(delta, rel=1e-6)


# ---------------------------------------------------------------------------- one model, said twice


def test_trials_are_rows_of_their_own():
    data = data_of("binomial")
    written = data.loc[np.repeat(np.arange(len(data)), data["n"])].reset_index(drop=True)
    first = written.groupby(["x"]).cumcount()
    written["y"] = (first < written["y"]).astype(int)
    fits = [
        pp.fit("y ~ x + (1 | g)", data, family="binomial", trials="n", **FEW),
        pp.fit("y ~ x + (1 | g)", written, family="bernoulli", **FEW),
    ]
    one, other = (fixed(fit, [-0.3, 0.4], {"g": [0.8]}).variance().draws for fit in fits)
    assert one.keys() == other.keys()
    for name in one.keys() - {"r2_bayes"}:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, err_msg=name)


def test_weights_are_rows_that_are_written_out():
    data = data_of("poisson")
    data["w"] = 1 + np.arange(len(data)) % 3
    written = data.loc[np.repeat(np.arange(len(data)), data["w"])].reset_index(drop=True)
    fits = [
        pp.fit("y ~ x + (1 | g)", data, family="poisson", weights="w", **FEW),
        pp.fit("y ~ x + (1 | g)", written, family="poisson", **FEW),
    ]
    one, other = (fixed(fit, [-0.3, 0.4], {"g": [0.8]}).variance().draws for fit in fits)
    for name in one.keys() - {"r2_bayes"}:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, err_msg=name)


def test_units_and_origins_do_not_matter():
    """The posterior of shares stays, to Monte Carlo error, and their computation to rounding."""
    rng, n = np.random.default_rng(7), 120
    data = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 12, "o": rng.normal(size=n)})
    data["y"] = data["x"] * (1 + rng.normal(0, 0.6, 12)[data["g"]]) + rng.normal(0, 1, n)
    moved = data.assign(x=1000 + 30 * data["x"], y=-50 + 0.01 * data["y"], o=0.01 * data["o"])
    one, other = (
        pp.fit("y ~ x + (x | g)", table, offset="o", seed=1).variance() for table in (data, moved)
    )
    for name, values in one.draws.items():
        scale = 1e-4 if name.startswith("variance") else 1.0
        error = 6 * values.std() / np.sqrt(1500) + 1e-9
        assert other.draws[name].mean() / scale == pytest.approx(values.mean(), abs=error), name
    # The same draws at rows far from zero.
    fit = pp.fit("y ~ x + (x | g)", moved, **FEW)
    near = fit.variance().draws
    b = fit.run.b.reshape(4, 2)
    assert near["variance[population]"] == pytest.approx(
        np.var(b[:, 1:] * (30 * data["x"].to_numpy()), axis=1, ddof=1), rel=1e-9
    )


# ---------------------------------------------------------------------------- known and published


def test_known_shares_are_found():
    """Simulated: two crossed factors, slopes. The truth lies within four posterior sds."""
    rng, n = np.random.default_rng(9), 3000
    g, h, x = rng.integers(0, 150, n), rng.integers(0, 120, n), rng.normal(size=n)
    u = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.5]], 150)
    y = 2 + 0.8 * x + u[g, 0] + u[g, 1] * x + rng.normal(0, 0.7, 120)[h] + rng.normal(0, 1.1, n)
    fit = pp.fit("y ~ x + (x | g) + (1 | h)", {"y": y, "x": x, "g": g, "h": h}, seed=1)
    table = fit.variance().table
    parts = {"population": 0.64 * x.var(), "g": np.mean(1 + 0.6 * x + 0.5 * x**2), "h": 0.49}
    parts["residual"] = 1.21
    total = sum(parts.values())
    for name, value in parts.items():
        row = table.loc[f"share[{name}]"]
        assert abs(row["mean"] - value / total) < 4 * row["sd"] < 0.2
    row = table.loc["r2_conditional"]
    assert abs(row["mean"] - (1 - 1.21 / total)) < 4 * row["sd"]


def test_known_shares_of_yes_or_no_are_found():
    rng, n = np.random.default_rng(10), 1500
    g, x = rng.integers(0, 60, n), rng.normal(size=n)
    eta = -0.5 + 0.9 * x + rng.normal(0, 1.2, 60)[g]
    data = {"y": (rng.random(n) < special.expit(eta)).astype(int), "x": x, "g": g}
    fit = pp.fit("y ~ x + (1 | g)", data, family="bernoulli", **SHORT)
    table = fit.variance().table
    total = 0.81 * x.var() + 1.44 + np.pi**2 / 3
    for name, value in {
        "share_latent[population]": 0.81 * x.var() / total,
        "share_latent[g]": 1.44 / total,
        "icc_latent": 1.44 / (1.44 + np.pi**2 / 3),
    }.items():
        assert abs(table["mean"][name] - value) < 4 * table["sd"][name] < 0.3


def test_published_numbers_of_lme4_and_performance():
    """R's performance, icc() and r2() of lmer fits by REML, as its documentation prints them.

    Sleepstudy with slopes: ICC 0.722 adjusted and 0.521 unadjusted, R² 0.799 and 0.279. The
    variances of Penicillin are those of lme4's book (Bates 2010, chapter 2).
    """
    sleep = pp.fit("Reaction ~ Days + (Days | Subject)", table("sleepstudy"), method="reml")
    found = sleep.variance().table["mean"]
    names = ["icc", "icc_unadjusted", "r2_conditional", "r2_marginal"]
    assert found[names].round(3).tolist() == [0.722, 0.521, 0.799, 0.279]
    penicillin = table("penicillin")
    formula = f"{penicillin.columns[0]} ~ 1 + (1 | plate) + (1 | sample)"
    found = pp.fit(formula, penicillin, method="reml").variance().table["mean"]
    plate, sample, residual = 0.71691, 3.73092, 0.30242
    assert found["share[plate]"] == pytest.approx(plate / (plate + sample + residual), abs=2e-5)
    assert found["icc[sample]"] == pytest.approx(sample / (plate + sample + residual), abs=2e-5)
    assert found["r2_marginal"] == 0
    # The posterior lies about there, its priors and its width allowed for.
    fit = pp.fit("Reaction ~ Days + (Days | Subject)", table("sleepstudy"), seed=1)
    posterior = fit.variance().table
    for name in names:
        assert abs(posterior["mean"][name] - sleep.variance().table["mean"][name]) < 0.35 * max(
            posterior["sd"][name], 0.05
        )


# ---------------------------------------------------------------------------- all models


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_shares_that_add_up(name):
    options = {"trials": "n"} if name == "binomial" else {}
    quick = {"chains": 1, "draws": 50, "warmup": 100, "seed": 1}
    fit = pp.fit("y ~ x + (1 | g) + (1 | h)", data_of(name), family=name, **quick, **options)
    found = fit.variance()
    draws, table = found.draws, found.table
    for at in ("", "_latent"):
        own = [values for key, values in draws.items() if key.startswith(f"share{at}[")]
        if own:
            np.testing.assert_allclose(sum(own), 1, rtol=1e-9)
            between = draws[f"share{at}[g]"] + draws[f"share{at}[h]"]
            between = between + draws.get(f"share{at}[together]", 0)
            np.testing.assert_allclose(draws[f"icc_unadjusted{at}"], between)
            population = draws[f"share{at}[population]"]
            np.testing.assert_allclose(draws[f"r2_conditional{at}"], population + between)
    shares = table[~table.index.str.startswith("variance")]
    assert ((shares["mean"] >= 0) & (shares["mean"] <= 1)).all()
    assert (table["definition"].str.len() > 0).all()
    assert set(table["scale"]) <= {"response", "latent"}
    latent = FAMILIES[name].averages != "linear" and "hurdle" not in name
    assert latent == any("_latent" in key for key in draws)
    text = str(found)
    assert "lies between levels of g" in text
    assert found.to_dict()["quantities"][0]["quantity"] == table.index[0]
    assert "<table>" in found._repr_html_()


def test_poolings():
    data = data_of("gaussian")
    fits = {
        "complete": pp.fit("y ~ x + (1 | g)", data, pooling="complete", **SHORT),
        "none": pp.fit("y ~ x + (1 | g)", data, pooling="none", **SHORT),
        "by factor": pp.fit("y ~ x + (1 | g) + (1 | h)", data, pooling={"g": "none"}, **SHORT),
        "no factor": pp.fit("y ~ x", data, **SHORT),
        "alone": pp.fit("y ~ 1", data, **SHORT),
    }
    found = {name: fit.variance() for name, fit in fits.items()}
    for name in ("complete", "none", "no factor", "alone"):
        assert not [key for key in found[name].draws if "icc" in key or key == "share[g]"]
        assert (found[name].draws["r2_marginal"] == found[name].draws["r2_conditional"]).all()
    assert "do not differ" in str(found["complete"])
    assert "count in the population part" in str(found["none"])
    assert "share[h]" in found["by factor"].draws
    assert "share[g]" not in found["by factor"].draws
    assert (found["alone"].draws["r2_marginal"] == 0).all()
    assert "lies in the population part, and" in str(found["no factor"])
    # Nothing is said of predictors where there are none.
    said = str(pp.fit("y ~ 1 + (1 | g)", data, **SHORT).variance()).split("2.5%")[1]
    assert "in the population part" not in said.split("Of the variance")[1]
    assert "Given the predictors" not in said
    # The fitted part of levels without pooling is that of their own coefficients.
    eta = fits["none"].posterior_predictive(kind="linear").to_numpy().reshape(600, -1)
    expected = np.var(eta, axis=1, ddof=1)
    np.testing.assert_allclose(found["none"].draws["variance[population]"], expected, rtol=1e-8)


def test_names_that_collide_or_need_escaping(tmp_path):
    data = data_of("gaussian").rename(columns={"g": "residual", "h": "<b> & $"})
    fit = pp.fit("y ~ x + (1 | residual) + (1 | `<b> & $`)", data, **SHORT)
    found = fit.variance()
    assert "share[levels of residual]" in found.draws
    assert "share[residual]" in found.draws
    np.testing.assert_allclose(sum(v for k, v in found.draws.items() if k.startswith("share[")), 1)
    assert "<b> & $" not in found._repr_html_()
    fit.save(tmp_path / "fit.nc")
    again = pp.load(tmp_path / "fit.nc").variance()
    pd.testing.assert_frame_equal(again.table, found.table)


def test_tails_too_heavy_for_a_variance_leave_all_to_the_residual():
    fit, _ = made("student_t", "identity")
    found = fixed(fit, [-0.3, 0.4], {"g": [0.6]}, nu=1.9).variance()
    assert (found.draws["share[residual]"] == 1).all()
    assert (found.draws["r2_bayes"] == 0).all()
    assert np.isnan(ratio(np.zeros(1), np.zeros(1))).all()


def test_rows_in_parts_are_rows_at_once(monkeypatch):
    fit, _ = made("bernoulli", "logit", "y ~ x + (1 | g) + (1 | h)")
    whole = components(fit, np.arange(4))
    monkeypatch.setattr(parts, "CHUNK", 4 * 4 * 5)
    monkeypatch.setattr(parts, "BLOCK", 8)
    some = components(fit, np.arange(4))
    for one, other in ((whole.latent, some.latent), (whole.response, some.response)):
        for name in ("population", "between", "residual"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10)
    np.testing.assert_allclose(whole.explained.fitted, some.explained.fitted, rtol=1e-10)
