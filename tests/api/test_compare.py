"""compare(): the table, the error against a truth, what is left out, the figure."""

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import partialpool as pp

QUICK = {"draws": 200, "warmup": 200, "seed": 1}
POOLINGS = ["complete", "none", "partial"]
LINES = "y ~ x + (x || id)"
HELD_OUT = [
    "elpd", "elpd difference", "elpd difference se", "held-out rmse", "effective parameters",
]  # fmt: skip


@pytest.fixture(scope="module")
def individuals():
    return pp.datasets.individuals()


@pytest.fixture(scope="module")
def comparison(individuals):
    data, truth = individuals
    return pp.compare(LINES, data, truth=truth.sample(frac=1, random_state=1), **QUICK)


# --- The table ----------------------------------------------------------------------------------


def test_rows_and_columns(comparison):
    table = comparison.table
    assert list(table.columns) == POOLINGS
    assert list(table.index) == [
        "b[Intercept]", "b[x]", "sd_id[Intercept]", "sd_id[x]", "sigma",
        "spread of coef_id[Intercept]", "spread of coef_id[x]", "rmse[Intercept]", "rmse[x]",
        *HELD_OUT,
    ]  # fmt: skip
    assert np.array_equal(
        table.isna().to_numpy(),
        [[False, True, False]] * 2 + [[True, True, False]] * 2 + [[False] * 3] * 10,
    )
    for pooling, fit in comparison.fits.items():
        means = fit.summary()["mean"]
        assert table.loc[means.index, pooling].tolist() == means.tolist()


def estimates(comparison, levels):
    """Means of every level's coefficients from the fits' own tables: (level, term)."""
    found = {"complete": np.tile(comparison.fits["complete"].summary("b")["mean"], (levels, 1))}
    for pooling in ("none", "partial"):
        mean = comparison.fits[pooling].coefficients()["mean"].to_numpy()
        found[pooling] = mean.reshape(levels, -1)
    return found


def test_errors_and_spread_are_those_of_the_estimates(comparison, individuals):
    # The truth came in another order than the levels.
    true = individuals[1].sort_values("id")[["Intercept", "x"]].to_numpy()
    for pooling, values in estimates(comparison, 75).items():
        rmse = np.sqrt(np.mean((values - true) ** 2, axis=0))
        for k, term in enumerate(("Intercept", "x")):
            found = comparison.table[pooling]
            assert found[f"rmse[{term}]"] == pytest.approx(rmse[k], rel=1e-12)
            spread = np.std(values[:, k])
            assert found[f"spread of coef_id[{term}]"] == pytest.approx(spread, abs=1e-12)


def test_each_pooling_is_that_of_fit(comparison, individuals):
    for pooling in POOLINGS:
        fit = pp.fit(LINES, individuals[0], pooling=pooling, **QUICK)
        assert comparison.fits[pooling].pooling == pooling
        pd.testing.assert_frame_equal(comparison.fits[pooling].summary(), fit.summary())
        pd.testing.assert_frame_equal(comparison.fits[pooling].coefficients(), fit.coefficients())


def test_same_seed_same_table(comparison, individuals):
    data, truth = individuals
    again = pp.compare(LINES, data, truth=truth, threads=1, **QUICK)
    pd.testing.assert_frame_equal(again.table, comparison.table)
    other = pp.compare(LINES, data, truth=truth, **(QUICK | {"seed": 2}))
    assert not other.table.equals(comparison.table)


def test_without_truth_there_is_no_error(individuals):
    cmp = pp.compare(LINES, individuals[0], **QUICK)
    assert cmp.rmse is None
    assert not [label for label in cmp.table.index if label.startswith("rmse")]
    assert "truth" not in cmp.sentence


def test_text_holds_the_table_and_the_sentence(comparison):
    text = repr(comparison)
    assert comparison.sentence in " ".join(text.split())
    assert f"Seed 1, partialpool {pp.__version__}." in text
    table = comparison.table
    difference = [
        f"{table.loc['elpd difference', p]:.1f} ± {table.loc['elpd difference se', p]:.1f}"
        for p in POOLINGS
    ]
    assert f"elpd difference {' '.join(difference)}" in " ".join(text.split())
    for label, row in table.drop(index=["elpd difference", "elpd difference se"]).iterrows():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{label}  ")]
        cells = line.removeprefix(label).split()
        assert cells == ["–" if np.isnan(x) else f"{x:.3f}" for x in row]


@pytest.mark.parametrize(
    ("true", "best"), [("complete", "Complete"), ("none", "No"), ("partial", "Partial")]
)
def test_the_sentence_names_the_best_pooling(comparison, individuals, true, best):
    # The estimates of one pooling as truth: that pooling is without error.
    values = estimates(comparison, 75)[true]
    truth = {"id": np.arange(1, 76), "Intercept": values[:, 0], "x": values[:, 1]}
    cmp = pp.compare(LINES, individuals[0], truth=truth, **QUICK)
    assert cmp.sentence.startswith(f"{best} pooling comes closest to the truth")
    assert cmp.table.loc[["rmse[Intercept]", "rmse[x]"], true].max() < 1e-12
    totals = np.sqrt(np.mean(cmp.table.loc[["rmse[Intercept]", "rmse[x]"]] ** 2, axis=0))
    assert re.findall(r"(\d+\.\d\d) under", cmp.sentence) == [
        f"{totals[pooling]:.2f}" for pooling in POOLINGS if pooling != true
    ]


# --- Levels and columns that are left out -------------------------------------------------------


def ragged():
    """Six lines, then a level of one row, and one of two rows with the same x."""
    rng = np.random.default_rng(81)
    g = np.concatenate([np.repeat(np.arange(6), 5), [6, 7, 7]])
    x = np.append(rng.normal(size=31), [0.4, 0.4])
    y = 1 + rng.normal(size=8)[g] + x + rng.normal(size=33)
    return {"y": y, "x": x, "g": g}


def test_levels_that_cannot_be_estimated_are_left_out():
    data = ragged()
    rng = np.random.default_rng(82)
    truth = {"g": np.arange(8), "Intercept": rng.normal(size=8), "x": rng.normal(size=8)}
    cmp = pp.compare("y ~ x + (x | g)", data, truth=truth, **QUICK)
    assert cmp.estimable.tolist() == [True] * 6 + [False] * 2
    assert np.isnan(cmp.estimates["none"][6:]).all()
    assert np.isfinite(cmp.estimates["partial"]).all()
    true = np.column_stack([truth["Intercept"], truth["x"]])
    for pooling, values in estimates(cmp, 8).items():
        error = np.sqrt(np.mean((values - true)[:6] ** 2, axis=0))
        found = cmp.table.loc[["rmse[Intercept]", "rmse[x]"], pooling]
        np.testing.assert_allclose(found, error, rtol=1e-12)
        spread = cmp.table.loc["spread of coef_g[x]", pooling]
        assert spread == pytest.approx(np.std(values[:6, 1]), abs=1e-12)
    assert "2 of 8 levels cannot determine their own coefficients" in cmp.sentence
    assert "not-estimable" in [finding.code for finding in cmp.fits["none"].findings]
    assert "2 levels not estimable" in words(cmp.plot.shrinkage())


def words(figure):
    """Every text of a figure, in one string."""
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_no_level_can_be_estimated():
    rng = np.random.default_rng(83)
    data = {"y": rng.normal(size=8), "x": rng.normal(size=8), "g": np.arange(8)}
    truth = {"g": np.arange(8), "Intercept": np.zeros(8), "x": np.zeros(8)}
    cmp = pp.compare("y ~ x + (x | g)", data, truth=truth, **QUICK)
    assert cmp.rmse is None
    assert "No level of g has enough rows" in cmp.sentence
    assert "nan" not in cmp.sentence


def test_known_standard_errors():
    # Without pooling nothing but the levels is left to summarise.
    schools = pp.datasets.eight_schools()
    cmp = pp.compare("effect ~ 1 + (1 | school)", schools, se="se", **QUICK)
    assert list(cmp.table.index) == [
        "b[Intercept]", "sd_school[Intercept]", "spread of coef_school[Intercept]", *HELD_OUT,
    ]  # fmt: skip
    assert np.isnan(cmp.table.loc["b[Intercept]", "none"])
    assert cmp.fits["none"].summary().empty
    # Priors ten times as wide as the data leave the effects themselves, but for some 1 in 30.
    means = cmp.fits["none"].coefficients()["mean"]
    np.testing.assert_allclose(means, schools["effect"], atol=0.05 * schools["effect"].abs().max())


# --- Priors -------------------------------------------------------------------------------------


def test_priors_go_to_the_poolings_that_have_them(individuals):
    priors = {
        "b": pp.Normal(0, 3),
        "b[x]": pp.Normal(0, 4),
        "sd_id": pp.Uniform(0, 10),
        "coef_id": pp.Normal(0, 20),
        "sigma": "uniform(0, 10)",
    }
    fits = pp.compare(LINES, individuals[0], priors=priors, **QUICK).fits
    shown = {pooling: {k: str(v) for k, v in fit.priors.items()} for pooling, fit in fits.items()}
    b = {"b[Intercept]": "Normal(0, 3)", "b[x]": "Normal(0, 4)"}
    sigma = {"sigma": "Uniform(0, 10)"}
    assert shown["complete"] == b | sigma
    assert shown["none"] == sigma | {
        f"coef_id[{term}]": "Normal(0, 20)" for term in ("Intercept", "x")
    }
    assert shown["partial"] == b | sigma | {
        f"sd_id[{term}]": "Uniform(0, 10)" for term in ("Intercept", "x")
    }


# --- The figure ---------------------------------------------------------------------------------


def test_figure(comparison):
    figure = comparison.plot.shrinkage(title="As in the tutorial")
    assert isinstance(figure, Figure)
    assert "As in the tutorial" in words(figure)


def simulated(formula, terms, levels=12):
    rng = np.random.default_rng(84)
    g = np.repeat(np.arange(levels), 8)
    data = {"y": rng.normal(size=len(g)), "g": g}
    data |= {name: rng.normal(size=len(g)) for name in terms}
    return pp.compare(formula, data, **QUICK)


def test_figure_of_one_coefficient():
    cmp = simulated("y ~ 1 + (1 | g)", ())
    assert isinstance(cmp.plot.shrinkage(), Figure)
    assert list(cmp.estimates["none"].shape) == [12, 1]


def test_figure_of_three_coefficients():
    cmp = simulated("y ~ x + z + (x + z | g)", ("x", "z"))
    assert "cor_g[Intercept,z]" in cmp.table.index
    labels = {
        choose: {axis.get_xlabel() for axis in cmp.plot.shrinkage(choose).axes}
        for choose in (None, ("x", "z"), ("z", "x"))
    }
    assert labels == {
        None: {"Intercept"},
        ("x", "z"): {"Coefficient of x"},
        ("z", "x"): {"Coefficient of z"},
    }
    for choose in (("x", "w"), ("x",), ("x", "x")):
        with pytest.raises(pp.InputError):
            cmp.plot.shrinkage(choose)


def test_many_levels_need_little_memory(monkeypatch):
    def never(*_):
        raise AssertionError("draws of all levels at once")

    for module in ("engine.conditional", "engine.marginal", "draws.posterior"):
        monkeypatch.setattr(f"partialpool.{module}.coefficient_draws", never)
    for module in ("engine.conditional", "draws.posterior"):
        monkeypatch.setattr(f"partialpool.{module}.deviation_draws", never)
    levels, per, draws = 5_000, 4, 2_000
    rng = np.random.default_rng(85)
    g = np.repeat(np.arange(levels), per)
    x = rng.normal(size=len(g))
    own = rng.normal(size=(levels, 2))
    data = {"y": own[g, 0] + own[g, 1] * x + rng.normal(size=len(g)), "x": x, "g": g}
    truth = {"g": np.arange(levels), "Intercept": own[:, 0], "x": own[:, 1]}
    tracemalloc.start()
    try:
        cmp = pp.compare("y ~ x + (x | g)", data, truth=truth, draws=draws // 4, seed=1)
        table = cmp.table
        assert isinstance(cmp.plot.shrinkage(), Figure)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All draws of all levels are 160 MB; the rows themselves 1 MB.
    assert peak < levels * draws * 2 * 8 / 5
    assert table.loc["rmse[x]", "partial"] < table.loc["rmse[x]", "none"]


def test_unused_rows_and_columns_of_the_truth_do_no_harm(individuals, comparison):
    data, truth = individuals
    more = pd.concat([truth, pd.DataFrame({"id": [99], "Intercept": [0.0], "x": [1e9]})])
    cmp = pp.compare(LINES, data, truth=more.assign(note="simulated"), **QUICK)
    pd.testing.assert_frame_equal(cmp.table, comparison.table)
