"""What a report says: its numbers are those of the fit, and all that it holds is escaped."""

import re
import shlex
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partialpool as pp
from pagereader import PageReader
from partialpool.cli import main
from partialpool.families import FAMILIES
from partialpool.numerals import number
from partialpool.report.effects import effects_of
from partialpool.report.levels import ALL, SOME, _shown
from partialpool.report.markup import Head, element, json_block, paragraph, table
from partialpool.report.notation import equations
from partialpool.report.subject import Subject
from report.conftest import EVIL, NAMES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(path):
    return PageReader(path.read_text(encoding="utf-8"))


def plain(text):
    return text.replace("−", "-")


def by_caption(page, start):
    return next(rows for caption, rows in page.tables.items() if caption.startswith(start))


def test_estimates_are_those_of_the_fit(page, comparison):
    fit = comparison.fits["partial"]
    rows = {row[0]: row[1:] for row in by_caption(page, "Posterior means, sds")[1:]}
    values = fit.parameter_summary.values
    for k, name in enumerate(fit.parameter_summary.labels):
        sd = float(values["sd"][k])
        wanted = [number(float(values[c][k]), sd) for c in ("mean", "sd", "lower", "upper")]
        assert [plain(cell) for cell in rows[name]] == wanted


def test_levels_are_those_of_all_poolings(page, comparison):
    fit = comparison.fits["partial"]
    names = [str(level) for level in fit.model.groups[0].levels]
    rows = {row[0]: row[1:] for row in by_caption(page, "Levels of county")[1:]}
    shown = page.data["charts"]["levels0"]["spec"]["datasets"]["levels"]
    drawn = {(row["t"], row["level"]): row for row in shown}
    assert len(rows) == 85
    assert len(drawn) == 2 * 85
    for j, name in enumerate(names):
        assert int(rows[name][0]) == fit.model.groups[0].counts[j]
        for t in range(2):
            for place, pooling in enumerate(("partial", "none")):
                value = comparison.estimates[pooling][j, t]
                cell = plain(rows[name][2 + 2 * t + place]).split()[0]
                told = drawn[t, name][pooling]
                if np.isnan(value):
                    assert cell == "–"
                    assert told is None
                else:
                    assert float(cell) == pytest.approx(value, abs=0.06)
                    assert told == pytest.approx(value, rel=1e-4)
            everywhere = comparison.estimates["complete"][j, t]
            assert drawn[t, name]["complete"] == pytest.approx(everywhere, rel=1e-4)


def test_own_means_are_those_of_the_rows(page, data):
    rows = {row[0]: float(plain(row[2])) for row in by_caption(page, "Levels of county")[1:]}
    means = data.groupby("county")["log_radon"].mean()
    assert rows == pytest.approx(means.to_dict(), abs=0.006)


def test_the_answer_has_the_effect_and_the_spread(page, comparison):
    """In a linear model the average contrast of 0 and 1 is the coefficient."""
    fit = comparison.fits["partial"]
    text = plain(page.sections["answer"])
    draws = fit.run.b[..., 1].ravel()
    low, high = np.quantile(draws, [0.025, 0.975])
    assert f"{-draws.mean():.2f} lower where floor is 1 than where it is 0" in text
    assert f"95% interval of the difference {low:.2f} to {high:.2f}" in text
    assert f"with an sd of {fit.run.groups[0].sd[..., 0].mean():.3f}"[:-1] in text
    estimates = comparison.estimates["partial"][:, 0]
    lowest = fit.model.groups[0].levels[np.argmin(estimates)]
    assert f"from {estimates.min():.2f} (county {lowest})" in text
    assert "partial pooling is clearly best" in text


def test_the_answer_names_the_scale_of_levels(folder):
    options = {"family": "poisson", "sigma": None, "chains": 1, "draws": 40, "seed": 1}
    fit = pp.fit("y ~ x + (x | g)", tiny("poisson")[0], **options)
    text = PageReader(fit.report(folder / "scale.html").read_text(encoding="utf-8"))
    assert "differ in Intercept (on the log scale) with an sd of" in text.sections["answer"]


@pytest.mark.parametrize("distinct", [3, 5, 6, 40])
def test_quartiles_are_called_so_where_they_are(distinct):
    rng = np.random.default_rng(distinct)
    x = np.floor(distinct * rng.uniform(size=400) ** (3 if distinct <= 5 else 1))
    data = {"y": rng.poisson(np.exp(0.2 * x / distinct)), "x": x}
    fit = pp.fit("y ~ x", data, family="poisson", draws=50, warmup=50, seed=1)
    (effect,) = effects_of(Subject(fit))
    found = re.search(
        r"where `x` is (.*?),? than (where it is|at its lower,) (.*?) \(", effect.words
    )
    high, low = (float(found[k].split()[-1]) for k in (1, 3))
    assert len(np.unique(x)) == distinct
    assert ("quartile" in effect.words) == (distinct > 5)
    ends = np.quantile(x, [0.25, 0.75] if distinct > 5 else [0, 1])
    assert [low, high] == ends.tolist()


def test_three_sentences_come_first(path):
    text = path.read_text(encoding="utf-8")
    first = text[text.index("<section") : text.index("</section>")]
    assert first.startswith('<section id="answer"')
    assert first.count("<p>") == 3


def test_findings_of_checks_are_told_and_taken_to_heart(page):
    """Counties differ in their residual sds, which the model does not know."""
    assert "cannot make data like these" in page.sections["findings"]
    assert "Read these numbers with care" in page.sections["answer"]
    assert "(no pooling)" in page.sections["findings"]


def test_the_order_of_sections(page):
    wanted = "answer findings data model estimates pooling groups effects variance checks methods"
    assert [*page.sections] == [*wanted.split(), "reproduce", "checklist"]


def test_names_are_text_and_nothing_else(path, page):
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<!--" not in text
    names = [row[0] for row in by_caption(page, "Levels of county")]
    assert set(NAMES.values()) <= set(names)
    scripts = [a for tag, a in page.elements if tag == "script"]
    assert [a.get("type") for a in scripts] == ["application/json", None, None]


def test_nothing_is_fetched(page):
    """Every address is a place in the page, or holds what it shows."""
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text())
def test_any_text_comes_back(one, other):
    one, other = (t.replace("\r", "").replace("\0", "") for t in (one, other))
    heads = [Head("name", False), Head("more", False)]
    found = PageReader(
        f"{table('t', heads, [[one, other]])}{element('p', one, title=other)}"
        f"{json_block('d', {'x': [one, other]})}{paragraph(one)}"
    )
    assert found.tables["t"][1] == [one, other]
    assert next(a.get("title") for tag, a in found.elements if tag == "p") == other
    assert found.data["d"] == {"x": [one, other]}
    made = {"p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "script", "code"}
    assert {tag for tag, _ in found.elements} <= made


def tiny(family):
    """A few rows of what a family is about, in three groups."""
    rng = np.random.default_rng(1)
    n = 36
    x = rng.normal(size=n)
    y = {"number": rng.integers(1, 5, n), "binary": rng.integers(0, 2, n)}
    y["ordered"] = rng.integers(0, 3, n)
    own = y[FAMILIES[family].response]
    if family == "beta":
        own = rng.uniform(0.1, 0.9, n)
    more = {"trials": np.full(n, 9)} if "trials" in FAMILIES[family].roles else {}
    table = {"y": own, "x": x, "g": rng.choice(["a", "b", "c"], n), "h": np.arange(n) % 4}
    return table, more


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_notation(family):
    table, more = tiny(family)
    fit = pp.fit(
        "y ~ x + (x | g)", table, family=family, chains=1, draws=8, warmup=20, seed=1, **more
    )
    tree = ElementTree.fromstring(equations(fit))
    text = "".join(tree.itertext())
    assert "y" in text
    assert "Normal(0,Σg)" in text
    assert "diag(sdIntercept,sdx)" in text
    greek = {"sigma": "σ", "nu": "ν", "phi": "φ"}
    for one in fit.model.family.dispersion:
        assert greek.get(one.name, one.name) in text
    if fit.model.link != "identity":
        assert fit.model.link in text
    assert "{" not in text


def notation(formula, table, **more):
    fit = pp.fit(formula, table, chains=1, draws=8, warmup=20, seed=1, **more)
    lines = ElementTree.fromstring(equations(fit))
    return ["".join(line.itertext()).replace(" ", "") for line in lines]


def test_notation_of_crossed_factors_roles_and_sigma():
    table, _ = tiny("gaussian")
    table |= {"w": np.ones(36) * 2}
    y, mu, one, two = notation("y ~ 1 + x + (1 | g) + (0 + x | h)", table)
    assert y == "yi∼Normal(μi,σ)"
    assert mu == "μi=bIntercept+bxxi+rg,Intercept,g[i]+rh,x,h[i]xi"
    assert one == "rg,Intercept,j∼Normal(0,sdg,Intercept)j=1…3"
    assert two == "rh,x,j∼Normal(0,sdh,x)j=1…4"
    y, mu, log, _level = notation("y ~ x", table, sigma="~ x + (1 | g)", offset="x", weights="w")
    assert y == "yi∼Normal(μi,σiwi)"
    assert mu == "μi=bIntercept+bxxi+xi"
    assert log == "logσi=bσIntercept+bσxxi+rIntercept,g[i]"
    assert notation("y ~ x", table, se=0.5)[0] == "yi∼Normal(μi,0.5)"
    assert notation("y ~ x", table, se="w")[0] == "yi∼Normal(μi,wi)"
    assert notation("y ~ x", table, se=np.ones(36))[0] == "yi∼Normal(μi,sei)"
    many = table | {f"x{k}": np.random.default_rng(k).normal(size=36) for k in range(12)}
    _, mu = notation("y ~ " + " + ".join(f"x{k}" for k in range(12)), many)
    assert mu == "μi=bIntercept+∑k=112bkxi,k"


KINDS = {
    "no pooling": ("y ~ x + (x | g)", {"pooling": "none"}),
    "complete pooling": ("y ~ x + (1 | g)", {"pooling": "complete"}),
    "one factor apart": ("y ~ x + (1 | g) + (1 | h)", {"pooling": {"g": "none"}}),
    "no groups": ("y ~ x", {}),
    "no predictor": ("y ~ 1", {}),
    "sigma": ("y ~ (1 | g)", {"sigma": "~ (1 | g)"}),
    "four draws": ("y ~ x + (1 | g)", {"chains": 1, "draws": 4}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_a_report(kind, folder):
    formula, options = KINDS[kind]
    options = {"chains": 2, "draws": 60, "warmup": 60, "seed": 1} | options
    fit = pp.fit(formula, tiny("gaussian")[0], **options)
    page = PageReader(fit.report(folder / "kind.html").read_text(encoding="utf-8"))
    assert ("groups" in page.sections) == bool(fit.model.groups)
    for k, group in enumerate(fit.model.groups):
        rows = [row for row in page.tables if row.startswith(f"Levels of {group.factor}")]
        assert rows
        assert f"levels{k}" in page.data["charts"]
    assert "nan" not in page.sections["answer"]


def test_predictors_without_a_figure_are_named(folder):
    """One of 13 categories, and the thirteenth number."""
    rng = np.random.default_rng(1)
    table = {f"x{k}": rng.normal(size=80) for k in range(13)} | {"y": rng.normal(size=80)}
    table["many"] = [f"c{k % 13}" for k in range(80)]
    formula = "y ~ many + " + " + ".join(f"x{k}" for k in range(13))
    fit = pp.fit(formula, table, chains=1, draws=20, warmup=20, seed=1)
    page = PageReader(fit.report(folder / "many.html").read_text(encoding="utf-8"))
    assert "Not shown: many, x12" in page.sections["effects"]
    assert list(page.data["charts"]) == [f"effect{k}" for k in range(12)]
    assert "9 more predictors below" in page.sections["answer"]


def test_a_fit_without_rows_says_what_is_not_there(folder):
    own = {"sd_g": "half_normal(2)"}
    fit = pp.fit("y ~ x + (1 | g)", tiny("gaussian")[0], priors=own, draws=100, seed=1)
    fit.save(folder / "fit.nc", rows=False)
    loaded = pp.load(folder / "fit.nc")
    page = PageReader(loaded.report(folder / "norows.html").read_text(encoding="utf-8"))
    for section in ("effects", "checks"):
        assert "saved without the rows" in page.sections[section]
    assert "b[x]" in page.sections["answer"]
    assert "levels0" in page.data["charts"]
    assert "half_normal(2)" in page.sections["reproduce"]


def test_a_loaded_fit_gives_the_same_report(folder):
    fit = pp.fit("y ~ x + (1 | g)", tiny("gaussian")[0], draws=100, seed=1)
    first = fit.report(folder / "same.html").read_bytes()
    fit.save(folder / "fit.nc")
    assert pp.load(folder / "fit.nc").report(folder / "same.html").read_bytes() == first


def test_what_it_says_to_run_makes_it_again(folder, monkeypatch, capsys):
    """The command that the page shows writes the same bytes; the Python lines give its draws."""
    monkeypatch.chdir(folder)
    table, _ = tiny("poisson")
    pd.DataFrame(table).to_csv(folder / "counts.csv", index=False)
    given = ["report", "counts.csv", "y ~ x + (1 | g)", "--family", "poisson", "--no-compare"]
    given += ["--prior", "sd_g=half_normal(0.123456789)", "--draws", "150", "--chains", "2"]
    assert main([*given, "--seed", "3", "--interval", "0.9", "--out", "counts.html"]) == 0
    first = (folder / "counts.html").read_bytes()
    shown = re.findall(r"<pre><code>(.*?)</code>", first.decode("utf-8"), re.DOTALL)
    python, shell = (
        PageReader(f"<section id='s'>{text}</section>").sections["s"] for text in shown
    )
    (folder / "counts.html").unlink()
    assert main(shlex.split(shell)[1:]) == 0
    assert (folder / "counts.html").read_bytes() == first
    assert '{"sd_g": "half_normal(0.123456789)"}' in python
    (folder / "counts.html").unlink()
    exec(compile(python, "python", "exec"), {})
    assert (folder / "counts.html").read_bytes().replace(b" --no-compare", b"") == first.replace(
        b" --no-compare", b""
    )
    assert "counts.html" in capsys.readouterr().out


def test_a_thousand_groups_stay_small(folder):
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(1000), 2)
    table = {"x": rng.normal(size=2000), "unit": [f"a long name of unit {k}" for k in unit]}
    table["y"] = rng.normal(size=2000) + rng.normal(size=1000)[unit]
    found = pp.compare("y ~ 1 + (x | unit)", table, chains=2, draws=60, seed=1)
    path = found.report(folder / "thousand.html")
    assert path.stat().st_size < 5_000_000
    rows = by_caption(PageReader(path.read_text(encoding="utf-8")), "Levels of unit")
    assert len(rows) == 1001


def test_of_more_levels_the_ends_and_some_between_are_shown():
    rng = np.random.default_rng(0)
    values = rng.normal(size=10_000)
    assert len(_shown(values[:ALL])) == ALL
    shown = _shown(values)
    assert len(shown) == SOME == len(set(shown.tolist()))
    assert {int(values.argmin()), int(values.argmax())} <= set(shown.tolist())
    assert np.quantile(values[shown], 0.5) == pytest.approx(np.quantile(values, 0.5), abs=0.05)
    assert len(_shown(np.where(values > 0, np.nan, values))) == SOME


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["fit.nc", "--out", "x.pdf"], "does not end in .html"),
        (["fit.nc", "--seed", "1"], "`--seed` is about a fit to be made"),
        (["fit.nc", "--prior", "sigma=exponential(1)"], "`--prior` is about a fit to be made"),
        (["counts.csv", "y ~ x", "--method", "ml"], "gives one point"),
        (["counts.csv", "y ~ (1|g)", "--pooling", "none", "--compare"], "`--compare` makes three"),
        (["counts.csv", "y ~ x", "--compare"], "no group term"),
        (["counts.csv", "y ~ x", "--out", "no/where.html"], "there is no folder"),
    ],
)
def test_the_command_refuses_in_one_line(given, told, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "counts.csv").write_text("y,x,g\n1,2,a\n2,3,b\n2,4,a\n", encoding="utf-8")
    assert main(["report", *given]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_report_is_written_whole_or_not_at_all(folder, comparison):
    with pytest.raises(pp.InputError, match="no folder"):
        comparison.report(folder / "none" / "x.html")
    with pytest.raises(pp.InputError, match="does not end in"):
        comparison.report(folder / "x.txt")
    with pytest.raises(pp.InputError, match="title"):
        comparison.report(folder / "x.html", title=3)


def test_an_estimate_has_none(data):
    estimate = pp.fit("log_radon ~ floor + (1 | county)", data, method="reml")
    with pytest.raises(pp.InputError, match="belongs to a posterior"):
        estimate.report("x.html")


def test_what_the_page_is_made_from_is_in_every_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = {one["path"] for one in settings["tool"]["maturin"]["include"]}
    for path in (ROOT / "python/partialpool/report").glob("*.*"):
        if path.suffix not in (".py", ".pyc"):
            assert str(path.relative_to(ROOT)) in included
