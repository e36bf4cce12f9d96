"""What a fit says unasked: warnings in Python, notebooks, summaries that hide nothing."""

import os
import sys
import types
import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.cli import main
from partialpool.progress import Progress, places
from partialpool.progress import bar as progress

RNG = np.random.default_rng(5)
G = np.repeat(list("abcdef"), 5)
X = RNG.normal(size=30)
DATA = {"y": X + RNG.normal(size=6).repeat(5) + RNG.normal(size=30), "x": X, "g": G}
FORMULA = "y ~ x + (1 | g)"
SHORT = {"draws": 20, "warmup": 100, "seed": 1}


def told(function, *args, **options):
    """What a call returns, and the FindingWarnings that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = function(*args, **options)
    return found, [one for one in caught if issubclass(one.category, pp.FindingWarning)]


def line():
    return sys._getframe(1).f_lineno


# Warnings


def test_findings_are_one_warning_at_the_users_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit, here = pp.fit(FORMULA, DATA, **SHORT), line()
    (one,) = [w for w in caught if w.category is pp.FindingWarning]
    assert (one.filename, one.lineno) == (__file__, here)
    loud = [f for f in fit.findings if f.level != "info"]
    assert len(loud) >= 2
    assert str(one.message) == "\n".join(map(str, loud))


def test_information_is_no_warning():
    good, caught = told(pp.fit, FORMULA, DATA | {"g": np.resize([0, 1, 2], 30)}, seed=1, draws=2000)
    assert {f.level for f in good.findings} == {"info"}
    assert caught == []


def test_estimates_and_comparisons_warn_once():
    y = DATA["y"] - pd.Series(DATA["y"]).groupby(G).transform("mean").to_numpy()
    flat = DATA | {"y": y}
    estimate, caught = told(pp.fit, FORMULA, flat, method="reml")
    assert [str(w.message) for w in caught] == [
        str(f) for f in estimate.findings if f.level != "info"
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison, here = pp.compare(FORMULA, DATA, **SHORT), line()
    (one,) = [w for w in caught if w.category is pp.FindingWarning]
    assert (one.filename, one.lineno) == (__file__, here)
    text = str(one.message)
    for pooling, fit in comparison.fits.items():
        words = {"complete": "complete pooling", "none": "no pooling", "partial": "partial pooling"}
        for finding in fit.findings:
            if finding.level == "info":
                assert str(finding) not in text
                continue
            assert text.count(str(finding)) == 1
            (said,) = [t for t in text.splitlines() if str(finding) in t]
            assert words[pooling] in said.split(":")[0]


def test_what_was_said_is_not_said_again(tmp_path):
    fit, _ = told(pp.fit, FORMULA, DATA, **SHORT)
    fit.save(tmp_path / "fit.nc")
    loaded, caught = told(pp.load, tmp_path / "fit.nc")
    assert caught == []
    assert loaded.findings == fit.findings
    for again in (fit.loo, fit.check, fit.sensitivity, lambda: fit.kfold(3), lambda: repr(fit)):
        assert told(again)[1] == []


def test_warnings_can_be_silenced_or_made_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pp.FindingWarning)
        pp.fit(FORMULA, DATA, **SHORT)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pp.FindingWarning)
        with pytest.raises(pp.FindingWarning, match="effective sample size"):
            pp.fit(FORMULA, DATA, **SHORT)


def test_the_command_line_prints_findings_and_does_not_warn(tmp_path, capsys):
    pd.DataFrame(DATA).to_csv(tmp_path / "t.csv", index=False)
    options = ["--draws", "20", "--warmup", "100", "--seed", "1"]
    for command in ("fit", "compare"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            main([command, str(tmp_path / "t.csv"), FORMULA, *options])
        assert not [w for w in caught if w.category is pp.FindingWarning]
        out, err = capsys.readouterr()
        assert err.count("[ess]") >= 1
        assert "FindingWarning" not in out + err


# Summaries


@pytest.mark.parametrize("width", [40, 80, 300])
def test_a_summary_shows_all_of_its_columns(width):
    fit = pp.fit("y ~ x + (x | g)", DATA, seed=1)
    frame = fit.summary()
    assert frame.columns.tolist() == [
        "mean", "sd", "lower", "upper", "mcse", "ess_bulk", "ess_tail", "r_hat", "prior",
    ]  # fmt: skip
    with pd.option_context("display.width", width, "display.max_columns", 3):
        for shown in (repr(frame), repr(frame.round(2)), frame._repr_html_()):
            assert all(name in shown for name in frame.columns)
            assert "..." not in shown
            assert "Exponential" in shown
    assert frame.loc["cor_g[Intercept,x]", "prior"].startswith("LKJ(2)")
    assert frame.loc["sigma", "prior"] == str(fit.priors["sigma"])
    assert [frame.loc[label, "prior"] for label in fit.priors if label in frame.index] == [
        str(prior) for label, prior in fit.priors.items() if label in frame.index
    ]


def test_priors_of_levels_are_those_that_they_have():
    alone = pp.fit("y ~ x + (x | g)", DATA, pooling="none", seed=1)
    frame = alone.summary("coef_g")
    assert frame.loc["coef_g[b,x]", "prior"] == str(alone.priors["coef_g[x]"])
    assert frame.loc["coef_g[b,Intercept]", "prior"].startswith("Normal")
    pooled = pp.fit("y ~ x + (x | g)", DATA, seed=1).summary("r_g")
    assert set(pooled["prior"]) == {""}


# Notebooks


def test_what_notebooks_show_has_the_findings():
    data = DATA | {"g": [f"<b>{k}" for k in G]}
    fit = pp.fit("y ~ x + (1 | g)", data, **SHORT)
    comparison = pp.compare("y ~ x + (1 | g)", data, **SHORT)
    estimate = pp.fit("y ~ x + (1 | g)", data | {"g": np.resize([0, 1], 30)}, method="reml")
    for shown in (fit, comparison, estimate):
        html = shown._repr_html_()
        assert html.count("<li>") >= 1
        assert html.count("<div") == html.count("</div")
        assert "<b>" not in html
    assert "few-levels" in estimate._repr_html_()
    assert "no pooling" in comparison._repr_html_()


class Display:
    """What IPython's `display` gives, and what was shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, content, raw, display_id):
        assert raw
        assert display_id
        self.shown.append(content)
        return self

    def update(self, content, raw):
        self.shown.append(content)


@pytest.fixture
def notebook(monkeypatch):
    """IPython as it is in the kernel of a notebook."""
    ipython, found = types.ModuleType("IPython"), Display()
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = found
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(places, "PAUSE", 0.0)
    return found


def test_notebooks_show_progress_unasked(notebook, capsys):
    with Progress(100, None) as bar:
        bar.update(10, 0)
        bar.update(60, 2)
    first, second, last = notebook.shown
    assert "max='100'" in first["text/html"]
    assert "value='60'" in second["text/html"]
    assert second["text/plain"].startswith("sampling 60/100 draws, 2 divergences, 0:0")
    assert last == {"text/html": "", "text/plain": ""}
    assert capsys.readouterr().err == ""
    notebook.shown.clear()
    long = {"draws": 20_000, "seed": 1, "method": "nuts"}
    pp.fit(FORMULA, DATA, progress=False, **long)
    assert notebook.shown == []
    pp.fit(FORMULA, DATA, **long)
    assert len(notebook.shown) >= 2


def test_other_shells_show_no_progress_unless_they_are_terminals(notebook, capsys):
    sys.modules["IPython"].get_ipython = lambda: None
    with Progress(100, None) as bar:
        bar.update(10, 0)
    assert notebook.shown == []
    assert capsys.readouterr().err == ""


def test_services_without_stderr_can_fit(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert pp.fit(FORMULA, DATA, **SHORT).run.draws == 20
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert pp.fit(FORMULA, DATA, **SHORT).run.draws == 20
