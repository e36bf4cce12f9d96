"""`draws="auto"`: until there are enough effective draws, which are those that a number gives."""

import numpy as np
import pytest

import partialpool as pp
from partialpool import limits
from partialpool.cli import main
from partialpool.engine import chains as of_chains
from partialpool.engine.rounds import Rounds, Verdict, most_draws
from partialpool.errors import InputError
from partialpool.findings.run import Judge, verdict

RNG = np.random.default_rng(3)
N = 400
DATA = {"a": RNG.integers(0, 40, N), "b": RNG.integers(0, 30, N), "x": RNG.normal(size=N)}
DATA["y"] = RNG.normal(size=N) + RNG.normal(size=40)[DATA["a"]] + 0.5 * DATA["x"]
DATA["z"] = (DATA["y"] > 0).astype(int)
# Levels that meet in so many ways that an evaluation costs much: draws are independent there.
LARGE = {"a": RNG.integers(0, 300, 4000), "b": RNG.integers(0, 200, 4000)}
LARGE["y"] = (
    RNG.normal(size=4000) + RNG.normal(size=300)[LARGE["a"]] + RNG.normal(size=200)[LARGE["b"]]
)
BOUNDED = {"pooling": "none", "priors": {"coef_a": pp.Uniform(-3, 3)}}
WALKS = {"warmup": 100, "family": "bernoulli"}
MODELS = {
    "stand-in": ("y ~ x + (1 | a)", DATA, {}),
    "exact": ("y ~ x", DATA, {"priors": {"sigma": "uniform(0.1, 4)"}}),
    "nuts": ("z ~ x + (1 | a)", DATA, WALKS),
    "independent": ("y ~ 1 + (1 | a) + (1 | b)", LARGE, {}),
    "within bounds": ("y ~ 1 + (1 | a)", DATA, BOUNDED),
    "nothing to walk over": ("y ~ x", DATA, {"se": 1.0}),
}


def arrays(fit):
    run = fit.run
    groups = [part for g in run.groups for part in (g.sd, g.cor, g.coef) if part is not None]
    return [run.b, *groups, *run.scalars.values(), *run.stats.values()]


def smallest(fit):
    values = fit.judged_summary.values
    return np.nanmin(np.fmin(values["ess_bulk"], values["ess_tail"]))


@pytest.mark.filterwarnings("ignore::partialpool.FindingWarning")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_the_draws_are_those_of_the_number_at_which_they_end(name, threads):
    formula, data, options = MODELS[name]
    asked = {"chains": 3, "seed": 5, **options}
    fit = pp.fit(formula, data, draws="auto", ess=900, threads=threads, **asked)
    assert smallest(fit) >= 900
    assert not {"ess", "draws-bound"} & {one.code for one in fit.findings}
    assert f"each chain ended at {fit.run.draws}" in fit.method_reason
    counted = pp.fit(formula, data, draws=fit.run.draws, threads=2, **asked)
    for one, other in zip(arrays(fit), arrays(counted), strict=True):
        assert np.array_equal(one, other, equal_nan=True)
    assert (fit.run.certificate is None) == (name != "independent")
    if name in ("independent", "nothing to walk over"):
        assert fit.run.draws == 450  # at once


def test_there_are_several_rounds_and_each_is_judged(monkeypatch):
    seen = []
    until = Rounds.until

    def noted(self, drawn, verdict, most):
        seen.append((drawn, verdict.ess))
        return until(self, drawn, verdict, most)

    monkeypatch.setattr(Rounds, "until", noted)
    formula, data, options = MODELS["nuts"]
    fit = pp.fit(formula, data, draws="auto", ess=2000, seed=1, **options)
    assert len(seen) > 1
    assert [draws for draws, _ in seen] == sorted({draws for draws, _ in seen})
    assert all(ess < 2000 for _, ess in seen[:-1]) or fit.run.draws == seen[-1][0]
    assert seen[-1] == (fit.run.draws, smallest(fit))


def test_the_most_that_is_drawn_is_told(monkeypatch):
    monkeypatch.setattr(limits, "DRAWS", 250)
    for name in ("nuts", "within bounds", "independent"):
        formula, data, options = MODELS[name]
        with pytest.warns(pp.FindingWarning, match="ended at 250 draws of each chain"):
            fit = pp.fit(formula, data, draws="auto", ess=3000, seed=1, **options)
        assert fit.run.draws == 250
        found = next(one for one in fit.findings if one.code == "draws-bound")
        assert "not 3000" in found.message
        assert "draws=1000" in found.remedy


def test_no_more_is_drawn_than_memory_holds(monkeypatch):
    assert most_draws(lambda draws: draws <= 3000) == 2500
    assert most_draws(lambda draws: True) == limits.DRAWS
    monkeypatch.setattr(of_chains, "fits", lambda sampling, *sizes: sampling.draws < 700)
    with pytest.warns(pp.FindingWarning, match="ended at 625 draws"):
        pp.fit("z ~ x + (1 | a)", DATA, draws="auto", ess=9000, seed=1, **WALKS)


def test_what_breaks_between_rounds_is_raised(monkeypatch):
    def broken(*_):
        raise ArithmeticError("judged too hard")

    monkeypatch.setattr(Rounds, "until", broken)
    for formula, data, options in MODELS.values():
        with pytest.raises(ArithmeticError, match="judged too hard"):
            pp.fit(formula, data, draws="auto", seed=1, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": "many"}, '`draws` is .many.: give a number, or "auto"'),
        ({"ess": 300}, '`ess` is given without draws="auto"'),
        ({"draws": 500, "ess": 300}, '`ess` is given without draws="auto"'),
        ({"draws": "auto", "ess": 0}, "`ess` is 0: give a number above 0"),
        ({"draws": "auto", "ess": "400"}, "`ess` is"),
        ({"draws": "auto", "ess": float("inf")}, "`ess` is inf"),
        ({"draws": "auto", "method": "metropolis"}, "walks as far as it is told"),
        ({"draws": "auto", "method": "reml"}, "`draws` is given with method"),
        ({"ess": 100, "method": "ml"}, "`ess` is given with method"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        pp.fit("y ~ x + (1 | a)", DATA, **options)


def test_what_was_asked_stays_with_the_fit(tmp_path):
    fit = pp.fit("y ~ x + (1 | a)", DATA, draws="auto", ess=600, seed=1)
    assert f"{fit.run.draws} draws" in str(fit)
    fit.save(tmp_path / "fit.nc")
    loaded = pp.load(tmp_path / "fit.nc")
    assert loaded.run.draws == fit.run.draws
    assert loaded.method_reason == fit.method_reason
    again = loaded.update(ess=900)
    assert smallest(again) >= 900
    assert again.run.draws > fit.run.draws
    assert np.array_equal(again.run.b[:, : fit.run.draws], fit.run.b)
    assert again.update(draws=120).run.draws == 120
    assert "ess" not in again.update(draws=120).request.options
    assert again.update(method="ml").logLik < 0 if hasattr(again, "logLik") else True


def test_poolings_are_compared_so_too():
    found = pp.compare("y ~ x + (1 | a)", DATA, draws="auto", ess=500, seed=1)
    assert all(smallest(fit) >= 500 for fit in found.fits.values())


@pytest.mark.parametrize("seed", range(40))
def test_rounds_grow_and_end(seed):
    rng = np.random.default_rng(seed)
    rounds = Rounds(float(rng.uniform(1, 5000)), lambda model, run: Verdict(0.0, False))
    drawn, most = rounds.first(int(rng.integers(1, 9))), int(rng.integers(100, 20_000))
    share, agree = rng.uniform(0, 2), bool(rng.integers(2))
    for _ in range(1000):
        verdict = Verdict(share * drawn, agree)
        until = rounds.until(drawn, verdict, most)
        if until == drawn:
            break
        assert drawn < until <= max(4 * drawn + 50, 100)
        drawn = until
    assert drawn >= most or rounds.enough(verdict)


def test_the_command_line_takes_it(tmp_path, capsys):
    table = tmp_path / "table.csv"
    names = list(DATA)
    rows = "\n".join(",".join(str(DATA[name][k]) for name in names) for k in range(N))
    table.write_text(",".join(names) + "\n" + rows)
    command = ["fit", str(table), "y ~ x + (1 | a)", "--draws", "auto", "--ess", "500", "--seed=1"]
    assert main(command) == 0
    assert "4 chains × 200 draws" in capsys.readouterr().out
    assert main([*command[:4], "some"]) == 2
    assert "the value of `--draws` is no whole number: give one, or auto" in capsys.readouterr().err


def test_the_summary_of_the_last_round_is_that_of_the_fit():
    table = {"g": list("aabbccdd"), "y": [0, 2, 1, 4, 2, 2, 5, 1]}
    how = {"family": "poisson", "method": "nuts", "draws": 30, "progress": False}
    fit, other = (pp.fit("y ~ 1 + (1 | g)", table, seed=seed, **how) for seed in (1, 2))
    judge = Judge(fit.provenance)
    assert judge.summary_of(fit).labels == fit.judged_summary.labels  # nothing was judged
    found = judge(fit.model, fit.run)
    kept = judge.last[1]
    assert judge.summary_of(fit) is kept
    assert found == verdict(kept, fit.run)
    for name, values in fit.judged_summary.values.items():
        assert np.array_equal(values, kept.values[name], equal_nan=True)
    assert judge.summary_of(other) is not kept
