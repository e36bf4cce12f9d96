"""pp.table: which numbers stand where, matched, exponentiated, and what is said under them."""

import json
import math
import os
import pickle
import random

import numpy as np
import pytest
from msgspec.structs import astuple, replace
from scipy import stats

import partialpool as pp
from partialpool.draws.posterior import population_draws
from partialpool.families import FAMILIES
from partialpool.finding import Finding
from partialpool.tables.grid import Head, build_grid
from partialpool.tables.rows import Row, merged
from partialpool.tables.side import Entry
from partialpool.words.parameters import ratio_words
from partialpool.words.table import ResultColumn, ResultTable

N = 60
RNG = np.random.default_rng(5)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.normal(size=N),
    "g": np.arange(N) % 6,
    "h": np.arange(N) % 5,
    "k": (RNG.random(N) < 0.4).astype(int),
    "c": RNG.poisson(2, N),
    "r": 1 + np.arange(N) % 3,
}
QUICK = {"seed": 1, "chains": 2, "draws": 60, "warmup": 60, "progress": False}


@pytest.fixture(scope="module")
def fits():
    return {
        "one": pp.fit("y ~ x + (1 | g)", DATA, **QUICK),
        "two": pp.fit("y ~ z + x + (x | g) + (1 | h)", DATA, **QUICK),
        "yes": pp.fit("k ~ x + (1 | g)", DATA, family="bernoulli", **QUICK),
        "counts": pp.fit("c ~ x", DATA, family="negbinomial", **QUICK),
        "order": pp.fit("r ~ x + (1 | g)", DATA, family="cumulative", **QUICK),
        "REML": pp.fit("y ~ x + (1 | g)", DATA, method="reml"),
    }


def entry(table, fit, key):
    frame = table.frame()
    return frame.loc[key, fit]


# --- Numbers ------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_fits(fits):
    frame = pp.table(fits).frame()
    for name, fit in fits.items():
        summary = fit.summary()
        own = frame[name]
        middle, spread = ("mean", "sd") if name != "REML" else ("estimate", "standard_error")
        for quantity, column in (("estimate", middle), ("sd", spread)):
            np.testing.assert_array_equal(own.loc[summary.index, quantity], summary[column])
        for end in ("lower", "upper"):
            np.testing.assert_array_equal(own.loc[summary.index, end], summary[end])
        others = [key for key in frame.index if "[" in key and key not in summary.index]
        assert others
        assert own.loc[others].isna().all(axis=None)
        assert own.loc["Rows", "estimate"] == N
    assert frame.loc["Levels of g", ("two", "estimate")] == 6
    assert frame.loc["Levels of h", ("two", "estimate")] == 5
    assert math.isnan(frame.loc["Levels of h", ("one", "estimate")])
    assert frame.loc["AIC", ("REML", "estimate")] == fits["REML"].aic


@pytest.mark.parametrize("mass", [0.5, 0.9, 0.95])
def test_intervals_of_another_mass(fits, mass):
    """Quantiles of the draws by numpy; Wald's by scipy."""
    frame = pp.table(fits, interval=mass).frame()
    at = [(1 - mass) / 2, (1 + mass) / 2]
    for name, fit in fits.items():
        if name == "REML":
            summary = fit.summary("b")
            reach = stats.norm.ppf(at[1]) * summary["standard_error"]
            expected = [summary["estimate"] - reach, summary["estimate"] + reach]
            labels = summary.index
        else:
            labels, draws = population_draws(fit.model, fit.run)
            expected = np.quantile(draws.reshape(-1, len(labels)), at, axis=0)
        for end, values in zip(("lower", "upper"), expected, strict=True):
            np.testing.assert_allclose(frame.loc[list(labels), (name, end)], values, rtol=1e-12)


def test_shown_numbers_are_the_numbers(fits):
    """What is printed is the number to the decimals that it has."""
    text = str(pp.table(fits, digits=4))
    for fit in fits.values():
        for _, row in fit.summary().iterrows():
            assert f"{row.iloc[0]:.4f}" in text
            if math.isfinite(row["lower"]):
                assert f"[{row['lower']:.4f}, {row['upper']:.4f}]" in text


def test_a_loaded_fit_says_the_same(fits, tmp_path):
    loaded = {}
    for name, fit in fits.items():
        if name != "REML":
            fit.save(tmp_path / f"{name}.nc")
            loaded[name] = pp.load(tmp_path / f"{name}.nc")
    given = {name: fits[name] for name in loaded}
    assert str(pp.table(loaded)) == str(pp.table(given))
    assert pp.table(loaded).to_csv() == pp.table(given).to_csv()


def test_a_table_travels(fits):
    table = pp.table(fits)
    assert all(side.design is None for side in table.sides)  # no rows travel with it
    again = pickle.loads(pickle.dumps(table))
    assert str(again) == str(table)
    record = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert [one["name"] for one in record["fits"]] == list(fits)
    for row in record["parameters"]:
        for name, cell in row["fits"].items():
            own = entry(table, name, row["parameter"])
            for quantity, x in cell.items():
                assert (x is None and math.isnan(own[quantity])) or x == own[quantity]
    assert {row["statistic"] for row in record["statistics"]} >= {"Rows", "Family", "Engine"}


# --- Rows ---------------------------------------------------------------------------------------


def test_rows_follow_the_formulas(fits):
    table = pp.table({name: fits[name] for name in ("one", "two")})
    assert [row.key for row in table.rows if "[" in row.key or row.key == "sigma"] == [
        *("b[Intercept]", "b[z]", "b[x]"),
        *("sd_g[Intercept]", "sd_g[x]", "cor_g[Intercept,x]", "sd_h[Intercept]", "sigma"),
    ]
    titles = list(dict.fromkeys(row.section for row in table.rows))
    assert titles == [
        "Population-level coefficients",
        "Sd between levels of g",
        "Correlation between levels of g",
        "Sd between levels of h",
        "Other parameters",
        "Fit",
    ]


def test_sections_stay_together(fits):
    """Also where a term of a later fit comes before nothing that an earlier one has."""
    other = pp.fit("k ~ z", DATA, family="bernoulli", **QUICK)
    for order in (["counts", "k", "one"], ["one", "k", "counts"], ["k", "one", "order"]):
        table = pp.table({name: other if name == "k" else fits[name] for name in order})
        sections = [row.section for row in table.rows]
        changes = sum(a != b for a, b in zip(sections[1:], sections[:-1], strict=True))
        assert changes == len(set(sections)) - 1, order


def test_thresholds_and_a_formula_of_sigma():
    spread = pp.fit("y ~ x", DATA, sigma="~ x + (1 | g)", **QUICK)
    ordered = pp.fit("r ~ x", DATA, family="cumulative", **QUICK)
    rows = {row.key: row for row in pp.table([spread, ordered]).rows}
    assert rows["threshold[1]"].label == "1 | 2"
    assert rows["b_sigma[x]"].section == "Population-level coefficients of log sigma"
    assert rows["sd_sigma_g[Intercept]"].section == "Sd between levels of g (log sigma)"


@pytest.mark.parametrize("seed", range(30))
def test_orders_merge_into_one(seed):
    """Orders that agree are all kept; whatever they are, each name is there once."""
    rng = random.Random(seed)
    names = list("abcdefgh")
    agreeing = [[n for n in names if rng.random() < 0.6] for _ in range(4)]
    found = merged(agreeing)
    assert sorted(found) == sorted({n for order in agreeing for n in order})
    wild = [rng.sample(names, rng.randrange(9)) for _ in range(4)]
    assert sorted(merged(wild)) == sorted({n for order in wild for n in order})
    # The first is kept whatever comes later.
    assert [n for n in merged(wild) if n in wild[0]] == wild[0]
    for first, second in (agreeing[:2], wild[:2]):
        if set(first) <= set(second) and [n for n in second if n in first] == first:
            assert merged([first, second]) == second


def test_chosen_parameters_and_labels(fits):
    table = pp.table(fits, parameters=["b[x]", "sd_g"], labels={"b[x]": "Age <years>", "Rows": "N"})
    rows = {row.key: row.label for row in table.rows}
    assert [key for key in rows if "[" in key] == ["b[x]", "sd_g[Intercept]", "sd_g[x]"]
    assert rows["b[x]"] == "Age <years>"
    assert rows["Rows"] == "N"
    assert "Age &lt;years&gt;" in table.to_html()
    assert pp.table(fits, statistics=[]).rows[-1].section != "Fit"
    assert [row.key for row in pp.table(fits, parameters="b", statistics=["rows"]).rows][-1] == (
        "Rows"
    )


def test_decimals_follow_the_sds(fits):
    """Two digits of the sd, and the same in a row where that differs by one at most."""
    table = pp.table({"one": fits["one"], "two": fits["two"], "REML": fits["REML"]})
    line = next(x for x in str(table).splitlines() if x.strip().startswith("x "))
    assert {len(cell.partition(".")[2]) for cell in line.split()[1:]} == {2}
    wide = pp.table({"a": fits["one"]}, digits=1)
    assert f"{fits['one'].summary().loc['b[x]', 'mean']:.1f}\n" in str(wide)


def test_shares_have_three_decimals_at_most():
    tiny = Row("R² marginal", "R² marginal", "Fit", (Entry(0.00312, 0.0004, 0.0023, 0.0041),))
    grid = build_grid([Head("a", "y", "")], [tiny], [], layout="below", digits=None)
    assert grid.lines[0].cells[0][:2] == ("0.003", "[0.002, 0.004]")
    grid = build_grid([Head("a", "y", "")], [tiny], [], layout="below", digits=5)
    assert grid.lines[0].cells[0].text == "0.00312"


def test_decimals_of_a_row():
    def shown(*pairs):
        entries = [Entry(x, sd, x - sd, x + sd) for x, sd in pairs]
        row = Row("b[x]", "x", "b", tuple(entries))
        heads = [Head(str(k), "y", "") for k in range(len(entries))]
        grid = build_grid(heads, [row], [], layout="below", digits=None)
        return [cell.text for cell in grid.lines[0].cells]

    assert shown((1.23456, 0.083), (2.34567, 0.12), (3.45678, math.nan)) == [
        *("1.235", "2.346", "3.457"),
    ]
    assert shown((1234.5, 310.0), (1.23456, 0.012)) == ["1234", "1.235"]
    assert shown((3.456789, math.nan)) == ["3.457"]
    # exp(b) has no sd of its own: a quarter of the interval stands in.
    row = Row("b[x]", "x", "b", (Entry(1.23456, math.nan, 0.9, 1.7),))
    grid = build_grid([Head("a", "y", "")], [row], [], layout="below", digits=None)
    assert grid.lines[0].cells[0][:2] == ("1.23", "[0.90, 1.70]")


# --- Exponentials -------------------------------------------------------------------------------


def test_exponentials_are_those_of_ends_and_means(fits):
    plain, shown = pp.table(fits).frame(), pp.table(fits, exponentiate=True).frame()
    for name in fits:
        ratio = name in ("yes", "counts", "order")
        for key in plain.index:
            for quantity in ("estimate", "lower", "upper"):
                x, y = plain.loc[key, (name, quantity)], shown.loc[key, (name, quantity)]
                is_b = key.startswith("b[")
                expected = math.exp(x) if ratio and is_b else x
                assert y == pytest.approx(expected, rel=1e-14, nan_ok=True), (name, key)
    assert math.isnan(shown.loc["b[x]", ("yes", "sd")])
    assert shown.loc["b[x]", ("one", "sd")] == plain.loc["b[x]", ("one", "sd")]


def test_exponentials_do_not_hang_on_the_reference():
    data = {"k": DATA["k"], "f": np.where(DATA["x"] > 0, "a", "b")}
    options = {"family": "bernoulli", "seed": 1, "draws": 300, "warmup": 300}
    one = pp.fit('k ~ C(f, Treatment("a"))', data, **options)
    other = pp.fit('k ~ C(f, Treatment("b"))', data, **options)
    shown = [
        pp.table(fit, exponentiate=True, parameters="b").frame().iloc[1] for fit in (one, other)
    ]
    ratio = shown[0]["estimate", "estimate"] * shown[1]["estimate", "estimate"]
    assert abs(math.log(ratio)) < 0.15  # two posteriors of 1200 draws, sd 0.55


def test_which_links_have_ratios():
    class Of:
        def __init__(self, family, link):
            self.family, self.link = family, link

    for family in FAMILIES.values():
        for link in family.links:
            words = ratio_words(Of(family, link))
            logarithmic = family.scale(link) in ("logit", "log", "cloglog")
            assert (words is not None) == logarithmic, (family.name, link)


def test_exponentials_are_said(fits):
    notes = " ".join(pp.table(fits, exponentiate=True).notes)
    shown = "population-level coefficients are shown as exp(b): exp(b)"
    assert f"yes: {shown} is an odds ratio" in notes
    assert f"counts: {shown} multiplies the mean" in notes
    assert "Coefficients of one, two and REML are shown as they are" in notes
    plain = " ".join(pp.table(fits).notes)
    assert "shown as exp(b)" not in plain
    assert "yes: coefficients are on the logit scale" in plain


# --- Notes --------------------------------------------------------------------------------------


def test_posterior_and_confidence_intervals_are_told_apart(fits):
    notes = pp.table({"one": fits["one"], "REML": fits["REML"]}).notes
    assert notes[0] == "one: posterior means with 95% posterior intervals (equal-tailed)."
    assert notes[1].startswith("REML: estimates by restricted maximum likelihood (REML)")
    assert "95% confidence intervals of population-level coefficients (Wald)" in notes[1]
    alone = pp.table([fits["one"], fits["two"]]).notes
    assert alone[0] == "Posterior means with 95% posterior intervals (equal-tailed)."


def test_intervals_of_unlike_masses_are_told_apart(fits):
    other = pp.fit("y ~ x", DATA, interval=0.8, **QUICK)
    notes = " ".join(pp.table({"a": fits["one"], "b": other}).notes)
    assert "a: posterior means with 95%" in notes
    assert "b: posterior means with 80%" in notes
    assert "95%" not in " ".join(pp.table({"a": fits["one"], "b": other}, interval=0.8).notes)


def test_unlike_responses_and_rows_are_said(fits):
    fewer = pp.fit("y ~ x", {name: values[:50] for name, values in DATA.items()}, **QUICK)
    other = pp.fit("y ~ x", DATA | {"y": DATA["y"][::-1].copy()}, **QUICK)

    def differences(**named):
        return [note for note in pp.table(named).notes if "different" in note or "other" in note]

    assert differences(a=fits["one"], b=fits["two"], c=fits["REML"]) == []
    assert differences(a=fits["one"], b=fewer) == [
        "a and b are fits of different rows (60 and 50)."
    ]
    assert differences(a=fits["one"], b=fits["yes"]) == [
        "a and b have different responses (y and k)."
    ]
    assert len(differences(a=fits["one"], b=other)) == 1


def test_fits_without_rows_are_not_taken_for_the_same(fits, tmp_path):
    fits["one"].save(tmp_path / "a.nc", rows=False)
    bare = pp.load(tmp_path / "a.nc")
    notes = " ".join(pp.table({"a": bare, "b": fits["two"]}).notes)
    assert "a has none of its rows, so whether all rows are the same was not checked" in notes
    assert "not checked" not in " ".join(pp.table(bare).notes)
    fewer = pp.fit("y ~ x", {name: values[:50] for name, values in DATA.items()}, **QUICK)
    assert "a and b are fits of different rows (60, 50)." in pp.table({"a": bare, "b": fewer}).notes


def test_what_should_not_be_used_is_said_in_files_too(fits):
    bad = pickle.loads(pickle.dumps(fits["one"]))
    bad.findings = [Finding("r-hat", "error", "Chains disagree.", "Ask for more.")]
    good = pickle.loads(pickle.dumps(fits["two"]))
    good.findings = []
    table = pp.table({"bad": bad, "good": good})
    assert "bad should not be used as it is: Chains disagree." in table.to_markdown()
    assert "good should not" not in table.to_markdown()
    assert "error [r-hat]" in str(table)
    assert "Findings: none" in str(pp.table(good))


def test_statistics_that_are_asked_for(fits):
    fit = pp.fit("y ~ x + (1 | g)", DATA, **QUICK)
    assert not any("elpd" in row.key for row in pp.table(fit).rows)
    assert fit.held_out == {}  # nothing is computed unasked
    table = pp.table({"a": fit, "REML": fits["REML"]}, statistics=["elpd"])
    assert [row.key for row in table.rows][-1] == "elpd"
    loo = fit.held_out["loo"]
    assert entry(table, "a", "elpd")["estimate"] == loo.elpd
    assert entry(table, "a", "elpd")["sd"] == loo.se
    assert f"{loo.elpd:.1f} ± {loo.se:.1f}" in str(table)
    fit.loo(by="g")
    fit.kfold(3)
    assert [row.key for row in pp.table(fit).rows if "elpd" in row.key] == [
        *("elpd", "elpd (g left out)", "elpd (kfold 3, seed 0)"),
    ]


def test_shares_of_variance_are_those_of_the_fits(fits):
    """R² and ICC by factor; the ICC of all factors only where there are several."""
    for mass in (None, 0.5):
        frame = pp.table(fits, interval=mass, statistics=["r2", "icc"]).frame()
        labels = {
            "r2_marginal": "R² marginal",
            "r2_conditional": "R² conditional",
            "icc[g]": "ICC g",
            "icc[h]": "ICC h",
        }
        for name, fit in fits.items():
            own = fit.variance() if name == "REML" else fit.variance(interval=mass or 0.95)
            for key, label in labels.items():
                for latent, words in (("", ""), ("_latent", " (latent)")):
                    head, bracket, rest = key.partition("[")
                    quantity = f"{head}{latent}{bracket}{rest}"
                    if quantity not in own.table.index:
                        if label + words in frame.index:
                            assert frame.loc[label + words, name].isna().all()
                        continue
                    row = frame.loc[label + words, name]
                    expected = own.table.loc[quantity, ["mean", "sd", "lower", "upper"]]
                    np.testing.assert_array_equal(row.astype(float), expected.astype(float))
        together = frame.loc["ICC all factors"]
        assert together.index[together.notna()].get_level_values("fit").unique().tolist() == ["two"]
        assert together["two", "estimate"] == own_icc(fits["two"])
        assert "ICC all factors (latent)" not in frame.index


def own_icc(fit):
    return fit.variance().table.loc["icc", "mean"]


def test_statistics_of_one_kind_stand_together(fits):
    for names in (["one", "REML", "yes"], ["yes", "one", "REML"], ["REML", "two", "yes"]):
        keys = [row.key for row in pp.table({name: fits[name] for name in names}).rows]
        kinds = [key.split(" ")[0] for key in keys[keys.index("R² marginal") :]]
        changes = sum(a != b for a, b in zip(kinds[1:], kinds[:-1], strict=True))
        assert changes == len(set(kinds)) - 1, kinds
        latent = [key.endswith("(latent)") for key in keys if key.startswith("R²")]
        assert latent == [False, False, True, True]  # the scale of the response comes first


def test_shares_of_variance_are_explained(fits):
    notes = " ".join(pp.table({"yes": fits["yes"]}).notes)
    assert "R² marginal: the share of the variance" in notes
    assert "Latent: of the variance on the scale of the link" in notes
    assert "Latent" not in " ".join(pp.table({"one": fits["one"]}).notes)
    assert "R²" not in " ".join(pp.table(fits, statistics=["rows"]).notes)
    unpooled = pp.table(pp.fit("y ~ x + (1 | g)", DATA, pooling="none", **QUICK))
    assert "In R² such levels count in the population part" in " ".join(unpooled.notes)


def test_why_a_statistic_is_missing(fits, tmp_path):
    fits["yes"].save(tmp_path / "a.nc", rows=False)
    bare = pp.load(tmp_path / "a.nc")
    why = "this fit was saved without the rows that were fitted."
    table = pp.table({"a": bare, "b": fits["yes"]}, statistics=["elpd"])
    assert f"No elpd of a: {why}" in table.notes
    assert f"No R² and ICC: {why}" in pp.table(bare).notes
    assert not any(note.startswith("No ") for note in pp.table(fits).notes)


def test_what_takes_long_is_not_computed_unasked(fits, monkeypatch):
    monkeypatch.setattr("partialpool.tables.statistics.MOST_ROWS", N - 1)
    table = pp.table(fits)
    assert not any(row.key.startswith("R²") for row in table.rows)
    assert "No R² and ICC: beyond 59 rows only if statistics names it." in table.notes
    assert any(row.key.startswith("R²") for row in pp.table(fits, statistics=["r2"]).rows)


# --- What is given ------------------------------------------------------------------------------


def test_fits_are_given_in_any_way(fits):
    one, two = fits["one"], fits["two"]

    def names(*given, **options):
        return [side.name for side in pp.table(*given, **options).sides]

    assert names([one, two]) == ["(1)", "(2)"]
    assert names((one, two), names=["a", "b"]) == ["a", "b"]
    assert names({"a": one, 2: two}) == ["a", "2"]
    assert names(one) == ["estimate"]
    compared = pp.compare("y ~ x + (1 | g)", DATA, **QUICK)
    poolings = ["complete pooling", "no pooling", "partial pooling"]
    assert names(compared) == poolings
    assert names({"c": compared, "a": one}) == [*(f"c {p}" for p in poolings), "a"]
    text = str(pp.table(compared))
    assert "Levels of g have coefficients of their own in no pooling" in text.replace("\n", " ")


SAID = {
    "none": (lambda f: pp.table([]), "there is no fit to show"),
    "number": (lambda f: pp.table(3), "`fits` is 3: give a fit, a list of fits, or a dict"),
    "text": (lambda f: pp.table(["a"]), "`estimate` is str: give what pp.fit returned"),
    "twice": (lambda f: pp.table([f["one"]] * 2, names=["a", "a"]), "two fits are called `a`"),
    "names": (lambda f: pp.table([f["one"]], names=["a", "b"]), "`names` has 2 names for 1 fits"),
    "both": (lambda f: pp.table({"a": f["one"]}, names=["a"]), "`names` is given with a dict"),
    "parameter": (lambda f: pp.table(f, parameters=["b[w]"]), "no fit has a parameter `b.w.`"),
    "label": (lambda f: pp.table(f, labels={"b[w]": "W"}), "no fit has a parameter `b.w.`"),
    "statistic": (lambda f: pp.table(f, statistics=["r3"]), "no statistic `r3`"),
    "exp": (lambda f: pp.table(f["one"], exponentiate=True), "in none of these fits exp"),
    "interval": (lambda f: pp.table(f, interval=95), "`interval` is 95"),
    "digits": (lambda f: pp.table(f, digits=-1), "`digits` is -1"),
    "layout": (lambda f: pp.table(f, layout="above"), "unknown layout `above`"),
    "ending": (
        lambda f: pp.table(f).save("a.png"),
        "let it end in .md, .tex, .html, .csv or .docx",
    ),
    "folder": (lambda f: pp.table(f).save("nowhere/a.md"), "there is no folder"),
    "ref": (lambda f: pp.table(f).to_latex(label="a}b"), "`label` is 'a}b'"),
}


@pytest.mark.parametrize("case", SAID)
def test_sentences(fits, case):
    call, words = SAID[case]
    with pytest.raises(pp.InputError, match=words):
        call(fits)


# --- How it is shown ----------------------------------------------------------------------------


def test_many_fits_fold(fits):
    """Twelve fits of different terms: no line is wider than a terminal, and nothing is lost."""
    some = [fits["one"], fits["two"], fits["counts"]] * 4
    names = [f"fit {k}" for k in range(12)]
    table = pp.table(some, names=names, digits=4)
    text = str(table).split("\n\nPosterior means")[0]
    assert max(map(len, text.splitlines())) <= 100
    heads = [word for word in names if word in text]
    assert heads == names
    for fit in some:
        for x in fit.summary()["mean"]:
            assert text.count(f"{x:.4f}") >= 4
    assert len(table.frame().columns) == 48


def test_folded_tables_keep_every_column():
    cells = [ResultColumn(f"c{k}", None, [f"{k}", "x" * (k % 7)]) for k in range(40)]
    table = ResultTable("i", ["a", "b"], cells, ["s", "s"], width=50)
    text = table.text()
    assert max(map(len, text)) <= 50
    assert [word for line in text if "c" in line for word in line.split()] == [
        f"c{k}" for k in range(40)
    ]
    wide = ResultTable("i", ["a"], [ResultColumn("w", None, ["x" * 80])], width=50)
    assert len(wide.text()) == 2  # a column that is too wide stands alone
    assert replace(table, width=0).text()[0].split() == [f"c{k}" for k in range(40)]


def test_many_coefficients(tmp_path):
    rng = np.random.default_rng(1)
    data = {f"x{k}": rng.normal(size=200) for k in range(60)} | {"y": rng.normal(size=200)}
    fit = pp.fit("y ~ " + " + ".join(f"x{k}" for k in range(60)), data, **QUICK)
    table = pp.table(fit)
    assert [row.label for row in table.rows[:61]] == ["Intercept", *(f"x{k}" for k in range(60))]
    for ending in ("md", "tex", "html", "csv", "docx"):
        table.save(tmp_path / f"t.{ending}")
        assert (tmp_path / f"t.{ending}").stat().st_size > 1000


def test_spanners(fits):
    by_response = pp.table({"a": fits["one"], "b": fits["two"], "c": fits["yes"]})._whole.spanners
    assert [astuple(one) for one in by_response] == [("y", 0, 1), ("k", 2, 2)]
    assert pp.table({"a": fits["one"], "b": fits["two"]})._whole.spanners == ()
    beside = pp.table({"a": fits["one"], "b": fits["yes"]}, layout="beside")._whole
    assert [astuple(one) for one in beside.spanners] == [("a", 0, 1), ("b", 2, 3)]
    assert beside.heads == ("estimate", "95% interval") * 2
    assert ">a</span>" in pp.table({"a": fits["one"]}, layout="beside").to_gt().as_raw_html()


@pytest.mark.parametrize("ending", ["md", "tex", "html", "csv", "docx"])
def test_files_are_whole_or_absent(fits, tmp_path, monkeypatch, ending):
    table = pp.table(fits)
    target = tmp_path / f"t.{ending.upper()}"
    target.write_text("older")

    def fail(*_, **__):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(pp.InputError, match="No space left"):
            table.save(target)
    assert target.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    table.save(target)
    assert target.stat().st_size > 500
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_not_over_a_device_or_folder(fits, tmp_path):
    folder = tmp_path / "t.md"
    folder.mkdir()
    with pytest.raises(pp.InputError, match="not an ordinary file"):
        pp.table(fits).save(folder)
    with pytest.raises(pp.InputError, match="not an ordinary file"):
        pp.table(fits).to_docx(folder)


def test_in_a_browser(fits, tmp_path, browser):
    """Nothing is cut off, no script runs, and no request leaves the page."""
    names = ["<script>document.title='ran'</script>", "b & c"]
    path = tmp_path / "t.html"
    pp.table([fits["one"], fits["yes"]], names=names).save(path)
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    heads = page.locator("thead th[scope=col]").all_inner_texts()
    wide = page.evaluate("document.documentElement.scrollWidth")
    title = page.title()
    page.close()
    assert heads == names
    assert title != "ran"
    assert wide <= 1000
    assert asked == [path.as_uri()]
