"""Fit and its tables: defaults only, labels and shapes, HTML, and what ArviZ makes of the draws."""

import numpy as np
import pandas as pd
import pytest
from arviz_stats import summary as arviz_summary

import partialpool as pp

RNG = np.random.default_rng(12)
J, PER = 6, 5
G = np.repeat([f"lab {k}" for k in "abcdef"], PER)
X = RNG.normal(size=J * PER)
Y = 1 + 2 * X + np.repeat(RNG.normal(size=J), PER) + RNG.normal(size=J * PER)
DATA = {"y": Y, "x": X, "g": G}
QUICK = {"draws": 100, "warmup": 200, "seed": 1}
SUMMARY = ["mean", "sd", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "r_hat", "prior"]
COEFFICIENTS = ["factor", "level", "term", "n", "mean", "sd", "lower", "upper"]


@pytest.fixture(scope="module")
def fit():
    return pp.fit("y ~ x + (x | g)", DATA, **QUICK)


def test_every_public_function_with_its_defaults_only(tmp_path):
    fit = pp.fit("y ~ x + (x | g)", DATA)
    assert (fit.run.chains, fit.run.draws) == (4, 1000)
    assert fit.summary().index.tolist() == [
        "b[Intercept]",
        "b[x]",
        "sd_g[Intercept]",
        "sd_g[x]",
        "cor_g[Intercept,x]",
        "sigma",
    ]
    assert len(fit.coefficients()) == 2 * J
    assert fit.group_draws().shape == (4, 1000, J, 2)
    assert set(fit.draws["posterior"].data_vars) == {"b", "sd_g", "cor_g", "r_g", "coef_g", "sigma"}
    assert isinstance(fit.findings, list)
    assert isinstance(fit.seed, int)
    assert (fit.formula, fit.pooling, fit.method) == ("y ~ x + (x | g)", "partial", "marginal")
    assert fit.method_reason
    assert set(fit.priors) == set(pp.default_priors("y ~ x + (x | g)", DATA))
    fit.save(tmp_path / "fit.nc")
    assert repr(pp.load(tmp_path / "fit.nc")) == repr(fit)
    assert len(pp.datasets.radon()) == 919
    assert len(pp.datasets.eight_schools()) == 8
    assert str(pp.Finding("a", "info", "Message.", "Remedy.")) == "info [a]: Message. Remedy."


PRIORS_WITH_DEFAULTS = (pp.Normal, pp.Cauchy, pp.HalfNormal, pp.HalfCauchy, pp.Exponential)


def test_public_names_exist():
    assert all(hasattr(pp, name) for name in pp.__all__)
    for prior in (*PRIORS_WITH_DEFAULTS, pp.LogNormal, pp.Flat, pp.LKJ):
        assert str(prior()).startswith(prior.__name__)


def test_summary_is_that_of_the_draws(fit):
    table = fit.summary()
    assert list(table.columns) == SUMMARY
    flat = fit.run.b[..., 1].ravel()
    row = table.loc["b[x]"]
    # Sums of 400 numbers: rounding.
    assert row["mean"] == pytest.approx(flat.mean(), rel=1e-12)
    assert row["sd"] == pytest.approx(flat.std(ddof=1), rel=1e-12)
    assert [row["lower"], row["upper"]] == pytest.approx(np.quantile(flat, [0.025, 0.975]))


def test_interval():
    fit = pp.fit("y ~ x + (x | g)", DATA, interval=0.5, **QUICK)
    flat = fit.run.sigma.ravel()
    row = fit.summary().loc["sigma"]
    assert [row["lower"], row["upper"]] == pytest.approx(np.quantile(flat, [0.25, 0.75]))
    assert "25%" in repr(fit)
    assert "75%" in repr(fit)


def test_summary_of_one_parameter(fit):
    whole = fit.summary()
    pd.testing.assert_frame_equal(fit.summary("b"), whole.iloc[:2])
    pd.testing.assert_frame_equal(fit.summary("b[x]"), whole.loc[["b[x]"]])
    pd.testing.assert_frame_equal(fit.summary("sigma"), whole.loc[["sigma"]])
    groups = fit.summary("coef_g")
    assert groups.index.tolist()[:2] == ["coef_g[lab a,Intercept]", "coef_g[lab a,x]"]
    drawn = fit.draws["posterior"]["coef_g"].quantile(0.025, ("chain", "draw")).to_numpy().ravel()
    np.testing.assert_allclose(groups["lower"], drawn, rtol=1e-12)
    # 400 draws: a standard error of 13% of the sd.
    coefficients = fit.coefficients()
    off = (groups["lower"].to_numpy() - coefficients["lower"]) / coefficients["sd"]
    assert off.abs().max() < 5 * 0.13
    deviations = fit.draws["posterior"]["r_g"].mean(("chain", "draw")).to_numpy().ravel()
    np.testing.assert_allclose(fit.summary("r_g")["mean"], deviations, rtol=1e-12, atol=1e-14)
    with pytest.raises(pp.InputError, match=r"no parameter `sd_h`: did you mean `sd_g`\?"):
        fit.summary("sd_h")


def test_coefficients(fit):
    changed = fit.coefficients()
    changed.iloc[:, 4:] = 99.0
    table = fit.coefficients()
    assert table["mean"].max() < 99
    assert list(table.columns) == COEFFICIENTS
    assert table["factor"].unique().tolist() == ["g"]
    assert table["level"].tolist() == np.repeat(sorted(set(G)), 2).tolist()
    assert table["term"].tolist() == ["Intercept", "x"] * J
    assert table["n"].tolist() == [PER] * 2 * J
    assert (table["lower"] < table["mean"]).all()
    assert (table["mean"] < table["upper"]).all()


def test_without_group_terms():
    fit = pp.fit("y ~ x", DATA, **QUICK)
    assert fit.summary().index.tolist() == ["b[Intercept]", "b[x]", "sigma"]
    assert len(fit.coefficients()) == 0
    assert list(fit.coefficients().columns) == COEFFICIENTS
    assert set(fit.draws["posterior"].data_vars) == {"b", "sigma"}
    with pytest.raises(pp.InputError, match="no group terms"):
        fit.group_draws()


def test_draws_have_the_promised_shape(fit):
    posterior = fit.draws["posterior"]
    assert posterior["b"].dims == ("chain", "draw", "term")
    assert posterior["b"].coords["term"].to_numpy().tolist() == ["Intercept", "x"]
    assert posterior["r_g"].dims == posterior["coef_g"].dims == ("chain", "draw", "g", "g_term")
    assert posterior["r_g"].coords["g"].to_numpy().tolist() == sorted(set(G))
    assert posterior["sd_g"].dims == ("chain", "draw", "g_term")
    assert posterior["cor_g"].shape == (4, 100, 1)
    assert posterior["cor_g"].coords["g_pair"].to_numpy().tolist() == ["Intercept,x"]
    assert posterior["sigma"].dims == ("chain", "draw")
    stats = fit.draws["sample_stats"]
    assert set(stats.data_vars) >= {"diverging", "energy", "lp", "tree_depth"}
    assert stats["energy"].shape == (4, 100)


def test_arviz_reads_the_draws(fit):
    names = ["b", "sd_g", "cor_g", "sigma"]
    options = {"ci_prob": 0.95, "ci_kind": "eti", "round_to": "none"}
    theirs = arviz_summary(fit.draws, var_names=names, **options)
    ours = fit.summary()
    assert len(theirs) == len(ours)
    # ArviZ divides by n where we divide by n − 1, and its tails start elsewhere than at 5%.
    ours["sd"] *= np.sqrt(399 / 400)
    columns = {"mean": "mean", "sd": "sd", "ess_bulk": "ess_bulk"}
    columns |= {"r_hat": "r_hat", "mcse_mean": "mcse", "eti95_lb": "lower", "eti95_ub": "upper"}
    for name, column in columns.items():
        # Rounding: the same numbers summed in another order.
        np.testing.assert_allclose(theirs[name], ours[column], rtol=1e-10, err_msg=name)


def test_a_factor_that_is_called_like_a_dimension():
    fit = pp.fit("y ~ x + (1 | draw)", {"y": Y, "x": X, "draw": G}, **QUICK)
    assert fit.draws["posterior"]["r_draw"].dims == ("chain", "draw", "draw_level", "draw_term")


def test_group_draws_of_some_levels(fit):
    picked = fit.group_draws(["lab f", "lab b"])
    assert picked.coords["g"].to_numpy().tolist() == ["lab f", "lab b"]
    with pytest.raises(pp.InputError, match=r"`lab z` is no level of `g`: did you mean `lab "):
        fit.group_draws(["lab z"])
    assert fit.group_draws([]).shape == (4, 100, 0, 2)


def test_html_escapes_what_comes_from_the_data():
    nasty = "<script>alert(1)</script>"
    data = {"y": Y, nasty: X, "g & h": [f"<b>{g}</b>" for g in G], "<i>y": Y}
    fit = pp.fit(f"`<i>y` ~ `{nasty}` + (1 | `g & h`)", data, **QUICK)
    html = fit._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;i&gt;y" in html
    assert "g &amp; h" in html
    assert "g & h" not in html


def test_html_says_what_the_text_says(fit):
    html, text = fit._repr_html_(), repr(fit)
    parts = ("y ~ x + (x | g)", "sd_g[Intercept]", "sigma", "LKJ(2)", "seed 1", "marginal engine")
    for part in parts:
        assert part in html
        assert part in text
    for finding in fit.findings:
        assert finding.code in html
        assert finding.code in text


OPTIONS = {
    "draws": ({"draws": 0}, "`draws` is 0: give at least 1"),
    "chains": ({"chains": 0}, "`chains` is 0"),
    "warmup": ({"warmup": -1}, "`warmup` is -1"),
    "threads": ({"threads": 0}, "`threads` is 0"),
    "fraction": ({"draws": 10.5}, "`draws` is 10.5: give a whole number"),
    "truth": ({"chains": True}, "`chains` is True"),
    "interval": ({"interval": 1.0}, "`interval` is 1.0"),
    "seed": ({"seed": -1}, "`seed` is -1"),
    "seed text": ({"seed": "a"}, "`seed` is 'a'"),
    "family": ({"family": "gausian"}, "unknown family `gausian`: did you mean `gaussian`?"),
    "pooling": ({"pooling": "some"}, "unknown pooling `some`"),
    "method": ({"method": "gibbs"}, "unknown method `gibbs`"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_are_refused(case):
    options, message = OPTIONS[case]
    with pytest.raises(pp.InputError) as error:
        pp.fit("y ~ x + (x | g)", DATA, **options)
    assert message.rstrip(".") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("draws", [1, 2, 3, 4])
def test_very_short_runs_work(draws):
    fit = pp.fit("y ~ x + (x | g)", DATA, draws=draws, warmup=0, chains=1, seed=1)
    assert fit.run.draws == draws
    assert len(fit.coefficients()) == 2 * J
    assert "sigma" in repr(fit)
    assert fit._repr_html_()


def test_numpy_options():
    fit = pp.fit("y ~ x", DATA, draws=np.int64(50), chains=np.int32(2), seed=np.uint64(2**64 - 1))
    assert fit.seed == 2**64 - 1
    assert fit.run.b.shape[:2] == (2, 50)
