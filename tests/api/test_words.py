"""What a fit of each family says: its heading, titles, notes and priors."""

import json

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.cli import main
from partialpool.families import FAMILIES, Given
from partialpool.report.sections import _ratios
from partialpool.report.subject import Subject
from partialpool.words.parameters import level_means

RNG = np.random.default_rng(7)
N = 60
X = RNG.normal(size=N)
G = np.resize(list("abcdef"), N)
QUICK = {"draws": 50, "warmup": 100, "seed": 1, "chains": 2}
AUX = {"sigma": 0.5, "nu": 5.0, "shape": 2.0, "phi": 8.0, "zi": 0.3, "hu": 0.3}


def table(family):
    record = FAMILIES[family]
    aux = {one.name: AUX[one.name] for one in record.dispersion}
    if family == "cumulative":
        aux = {"threshold": np.array([-1.0, 1.0])}
    trials = np.full(N, 9.0) if family == "binomial" else None
    y = record.simulate(
        np.random.default_rng(2), 0.2 + 0.5 * X, Given(record.links[0], aux, trials)
    )
    return {"y": y, "x": X, "g": G, "n": np.full(N, 9)}


def fitted(family, formula="y ~ x + (1 | g)", **options):
    if family == "binomial":
        options["trials"] = "n"
    return pp.fit(formula, table(family), family=family, **QUICK, **options)


def said(fit):
    """The fit as text, and with every line break and run of spaces as one space."""
    text = repr(fit)
    assert all(len(line) <= 100 for line in text.splitlines() if "   " not in line)
    html = fit._repr_html_().replace("&#x27;", "'").replace("&gt;", ">")
    return text, " ".join(text.split()), html


EXP = "Coefficients are on the log scale: exp(b) multiplies the "
TITLES = {
    "gaussian": ["Residual sd of y"],
    "student_t": ["Residual scale of y", "Degrees of freedom of y (few: heavy tails)"],
    "lognormal": ["Residual sd of log(y)"],
    "negbinomial": ["Shape of y: counts with mean m have variance m + m²/shape"],
    "gamma": ["Shape of y: with mean m, its variance is m²/shape"],
    "weibull": ["Shape of y (above 1: the hazard rises)"],
    "beta": ["Precision of y: with mean m, its variance is m (1 - m)/(1 + phi)"],
    "cumulative": ["Thresholds of y, between 0 | 1 | 2"],
    "zero_inflated_poisson": ["Probability of an extra zero in y"],
    "hurdle_poisson": ["Probability of a zero in y"],
}
NOTES = {
    "gaussian": None,
    "student_t": None,
    "lognormal": EXP + "median.",
    "bernoulli": "on the logit scale: exp(b) is an odds ratio.",
    "binomial": "on the logit scale: exp(b) is an odds ratio.",
    "poisson": EXP + "mean.",
    "negbinomial": EXP + "mean.",
    "gamma": EXP + "mean.",
    "exponential": EXP + "mean.",
    "weibull": EXP + "mean.",
    "beta": "on the logit scale: exp(b) multiplies the odds of the mean",
    "cumulative": "on the logit scale: exp(b) multiplies the odds of a higher category.",
    "zero_inflated_poisson": EXP + "mean of the counts but for the extra zeros.",
    "zero_inflated_negbinomial": EXP + "mean of the counts but for the extra zeros.",
    "hurdle_poisson": EXP + "mean that counts would have without the hurdle at 0.",
    "hurdle_negbinomial": EXP + "mean that counts would have without the hurdle at 0.",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_what_its_parameters_mean(family):
    fit = fitted(family)
    text, flat, html = said(fit)
    for title in TITLES.get(family, []):
        assert title in text.splitlines()
        assert f">{title}</th>" in html
    note = NOTES[family]
    if note is None:
        assert "Coefficients are on" not in flat
    else:
        assert note in flat
        assert note in html
    link = FAMILIES[family].links[0]
    shown = "" if link == "identity" else f" ({link} link)"
    assert f"{family} family{shown}, partial pooling; 60 rows of the table, g with 6 levels" in flat


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_has_a_prior_that_is_shown(family):
    options = {"trials": "n"} if family == "binomial" else {}
    data = table(family)
    priors = pp.default_priors("y ~ x + (1 | g)", data, family=family, **options)
    fit = fitted(family)
    assert list(fit.priors) == list(priors)
    # Only the order differs.
    assert set(priors) == set(fit.summary().index)
    extra = {one.name for one in FAMILIES[family].dispersion}
    assert extra <= set(priors)
    lines = {line.split()[0]: line for line in repr(fit).splitlines() if line.startswith("  ")}
    for name, prior in priors.items():
        assert str(prior) in lines[name]


@pytest.mark.parametrize(
    ("family", "link", "note"),
    [
        (
            "bernoulli",
            "probit",
            "probit scale: near a probability of one half, b changes it by 0.4",
        ),
        ("bernoulli", "cloglog", "cloglog scale: exp(b) multiplies -log(1 - probability)."),
        ("beta", "probit", "probit scale: near a mean of one half, b changes it by 0.4 b."),
        ("beta", "cloglog", "cloglog scale: exp(b) multiplies -log(1 - mean)."),
        ("cumulative", "probit", "probit scale: a positive b makes higher categories likelier"),
    ],
)
def test_other_links(family, link, note):
    _, flat, html = said(fitted(family, link=link))
    assert note in flat
    assert note in html
    assert f"{family} family ({link} link)" in flat


def test_notes_about_intercepts():
    assert "implies Normal(" in said(fitted("poisson"))[1]
    ordered = said(fitted("cumulative"))[1]
    assert "implies" not in ordered
    assert "Thresholds are those where all predictors are 0; levels shift them." in ordered
    alone = said(fitted("cumulative", "y ~ x"))[1]
    assert "where all predictors are 0." in alone
    assert "cumulative family (logit link), no group terms; 60 rows of the table 2 chains" in alone


def test_many_categories_are_not_all_named():
    y = np.resize(np.arange(1, 10), N)
    fit = pp.fit("y ~ x", {"y": y, "x": X}, family="cumulative", **QUICK)
    assert "Thresholds of y, between 1 | 2 | … | 9" in repr(fit).splitlines()


def test_log_sigma():
    fit = fitted("gaussian", sigma="~ x + (1 | g)")
    text, flat, html = said(fit)
    assert text.splitlines()[1] == "log sigma ~ x + (1 | g)"
    assert "exp(b_sigma) multiplies the residual sd." in flat
    assert "How much the coefficients of log sigma differ between levels of g (sd)" in html
    assert "exp(b_sigma)" not in repr(fitted("gaussian"))
    frame = fit.coefficients()
    assert frame["factor"].unique().tolist() == ["g", "sigma_g"]


def test_what_was_given_beside_the_formula(tmp_path):
    fit = fitted("binomial")
    assert repr(fit).splitlines()[2] == "trials: n"
    assert "<br>trials: n<br>" in fit._repr_html_()
    data = table("poisson")
    fit = pp.fit("y ~ x", data, family="poisson", exposure=np.full(N, 2.0), offset="x", **QUICK)
    assert repr(fit).splitlines()[2] == "offset: x, exposure: one value a row"
    fit.save(tmp_path / "fit.nc")
    assert repr(pp.load(tmp_path / "fit.nc")) == repr(fit)
    assert ":" not in repr(fitted("poisson")).splitlines()[2]


def test_a_saved_fit_says_the_same(tmp_path):
    data = pd.DataFrame(table("cumulative"))
    data["y"] = pd.Categorical.from_codes(data["y"].astype(int), ["no", "some", "much"], True)
    for fit in (
        pp.fit("y ~ x + (1 | g)", data, family="cumulative", **QUICK),
        fitted("student_t", sigma="~ x + (1 | g)"),
    ):
        fit.save(tmp_path / "fit.nc")
        back = pp.load(tmp_path / "fit.nc")
        assert repr(back) == repr(fit)
        assert back._repr_html_() == fit._repr_html_()
    assert "between no | some | much" in repr(pp.fit("y ~ x", data, family="cumulative", **QUICK))


def test_json_says_the_link(tmp_path, capsys):
    pd.DataFrame(table("binomial")).to_csv(tmp_path / "t.csv", index=False)
    arguments = [str(tmp_path / "t.csv"), "y ~ x", "--seed", "1"]
    assert main(["fit", *arguments, "--json", "--family", "binomial", "--trials", "n"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["family"], record["link"], record["sigma"]) == ("binomial", "logit", None)
    assert record["roles"] == {"trials": "n"}
    assert main(["fit", *arguments, "--json", "--sigma", "~ x"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["link"], record["sigma"]) == ("identity", "~ x")


def test_comparisons_say_the_scale():
    data = table("poisson") | {"h": np.repeat(list("uvw"), N // 3)}
    options = QUICK | {"family": "poisson"}
    cmp = pp.compare("y ~ x + (1 | g) + (1 | h)", data, factor="h", exposure="n", **options)
    assert repr(cmp).splitlines()[:4] == [
        "y ~ x + (1 | g) + (1 | h)",
        "poisson family (log link); 60 rows of the table",
        "exposure: n",
        "Pooling of h is compared; g: partial",
    ]
    assert "Intercept (on the log scale)" in cmp.sentence
    truth = pd.DataFrame({"h": list("uvw"), "Intercept": 0.0})
    known = pp.compare("y ~ x + (1 | h)", data, truth=truth, **options)
    assert "over all coefficients (on the log scale) is" in known.sentence
    plain = pp.compare("y ~ x + (1 | g)", table("gaussian"), sigma="~ x", **QUICK)
    assert repr(plain).splitlines()[:3] == [
        "y ~ x + (1 | g)",
        "log sigma ~ x",
        "60 rows of the table",
    ]
    assert "scale)" not in plain.sentence


# --- What is no ratio ----------------------------------------------------------------------------

CELLS = {
    "0 + a": "a[u] a[v]",
    "0 + a + b + x": "a[u] a[v]",
    "0 + x + a": "a[u] a[v]",
    "0 + x:a + b": "b[p] b[q] b[r]",
    "0 + a:b + x": "a[u]:b[p] a[v]:b[p] a[u]:b[q] a[v]:b[q] a[u]:b[r] a[v]:b[r]",
    "0 + a*b": "a[u] a[v]",
    "0 + flag + x": "flag[False] flag[True]",
    "0 + C(k) + poly(x, 2)": "C(k)[1] C(k)[2]",
    "0 + I(x>0)": "I(x>0)[False] I(x>0)[True]",
    "0 + a + a:poly(x, 2)": "a[u] a[v]",
    "0 + x + a:x": "",
    "a*b + x": "",
    "a:b + flag": "",
    "0 + x": "",
}


@pytest.mark.parametrize("right", CELLS)
@pytest.mark.parametrize("sigma", [False, True])
def test_what_stands_in_the_place_of_the_intercept(right, sigma):
    rng, n = np.random.default_rng(1), 60
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "flag": rng.random(n) < 0.5}
    data |= {"a": rng.choice(["u", "v"], n), "b": rng.choice(["p", "q", "r"], n)}
    data["k"] = rng.integers(1, 3, n)
    options = {"sigma": f"~ {right}"} if sigma else {}
    fit = pp.fit(f"y ~ {'1' if sigma else right}", data, draws=4, warmup=4, seed=1, **options)
    part, array = (fit.design.sigma, "b_sigma") if sigma else (fit.design, "b")
    found = level_means(fit.model)
    columns = [name.removeprefix(f"{array}[")[:-1] for name in found]
    X = part.X[:, [list(part.columns).index(name) for name in columns]]
    assert {name.replace(" ", "") for name in columns} == set(CELLS[right].split())
    if columns:  # each row is in one of the cells
        assert np.array_equal(np.sort(X)[:, -1], X.sum(axis=1))
        assert (X.sum(axis=1) == 1).all()


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "cumulative"])
def test_cells_are_no_ratios(family):
    rng, n = np.random.default_rng(2), 80
    y = rng.integers(0, 3 if family == "cumulative" else 2, n)
    data = {"y": y, "x": rng.normal(size=n), "a": rng.choice(["u", "v"], n)}
    ordered = family == "cumulative"  # thresholds stand in the place of the intercept
    right = "a + x" if ordered else "0 + a + x"
    fit = pp.fit(f"y ~ {right}", data, family=family, draws=40, warmup=40, seed=1)
    names = ["a[T.v]", "x"] if ordered else ["x"]
    fig = fit.plot.coefficients(exponentiate=True)
    drawn = [tick.get_text() for ax in fig.axes for tick in ax.get_yticklabels()]
    said = " ".join(" ".join(text.get_text() for text in fig.texts).split())
    notes = " ".join(pp.table(fit, exponentiate=True).notes)
    html = str(_ratios(Subject(fit))).replace("<wbr>", "")
    assert sorted(drawn) == names
    for name in ("a[T.v]", "a[u]", "a[v]", "x"):
        assert (f"<code>b[{name}]</code>" in html) == (name in names)
    assert ("left out: a[u], a[v]." in said) == (not ordered)
    assert ("exp of a[u] and a[v], which are no ratios," in notes) == (not ordered)
    assert "intercept is what" not in notes
