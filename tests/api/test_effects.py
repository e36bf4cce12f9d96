"""The table of effects as users hold it: draws, copies, refusals, and the command line."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.cli import main
from partialpool.effects import comparisons, grid
from partialpool.effects.frame import Effects

N, J = 60, 5
QUICK = {"draws": 40, "warmup": 100, "chains": 2, "seed": 4}


def table():
    rng = np.random.default_rng(11)
    data = {"x": rng.normal(size=N), "arm": np.resize(["a", "b", "c"], N)}
    data |= {"year": np.repeat([2011, 2012], N // 2), "g": np.tile(np.arange(1, J + 1), N // J)}
    data |= {"h": rng.choice(["p", "q"], N), "on": rng.random(N) < 0.5}
    return data | {"y": rng.normal(size=N) + (data["arm"] == "b")}


@pytest.fixture(scope="module")
def fit():
    return pp.fit("y ~ x + arm * year + on + (1 | g) + (1 | h)", table(), **QUICK)


@pytest.fixture(scope="module")
def found(fit):
    return fit.effects(["arm", "year"], groups={"g": [2, "5"]}, pairwise=True)


# --- The table ------------------------------------------------------------------------------------


def test_columns_and_facts(found):
    assert found.columns.tolist() == [
        *("quantity", "arm", "year", "g", "reference_arm", "reference_year"),
        *("mean", "sd", "lower", "upper"),
    ]
    assert found.attrs["by"] == ["arm", "year"]
    assert (found.attrs["pairwise"], found.attrs["reference"]) == ("within", None)
    assert found["reference_year"].tolist()[-1] == 2012.0
    axes = {axis.name: axis for axis in found.grid.axes}
    assert {name: axis.is_numeric for name, axis in axes.items()} == {
        "arm": False,
        "year": True,
        "g": False,
    }
    assert axes["g"].values == (2, 5)
    assert not axes["g"].is_compared
    assert (found.grid.response, found.grid.interval, found.grid.kind) == ("y", 0.95, "mean")
    assert found.grid.columns == ("arm", "year", "g")
    assert found.draws.dims == ("chain", "draw", "row")
    assert found.draws.shape == (2, 40, len(found))
    assert found.draws.name == "y"


def test_names_that_the_table_needs_itself():
    data = table()
    data = {"mean": data["x"], "value": data["arm"], "g": data["g"], "y": data["y"]}
    fit = pp.fit("y ~ mean * value + (1 | g)", data, **QUICK)
    found = fit.effects(["mean", "value"], {"mean": [0, 1]})
    assert found.columns[:5].tolist() == [
        *("quantity", "data_mean", "data_value", "reference_mean", "reference_value"),
    ]
    assert found["data_value"].tolist()[:3] == ["a", "b", "c"]
    np.testing.assert_allclose(found["mean"], found.draws.mean(("chain", "draw")), rtol=1e-10)
    data["reference_mean"] = data.pop("value")
    fit = pp.fit("y ~ mean * reference_mean", data, **QUICK)
    assert fit.effects(["mean", "reference_mean"]).columns[1:5].tolist() == [
        *("data_mean", "reference_mean"),
        *("data_reference_mean", "reference_reference_mean"),
    ]


def test_copies_keep_their_draws_and_parts_are_tables(found):
    for twin in (
        pickle.loads(pickle.dumps(found)),
        copy.copy(found),
        copy.deepcopy(found),
        found.copy(),
    ):
        assert isinstance(twin, Effects)
        assert twin.draws.equals(found.draws)
        assert twin.grid == found.grid
        assert twin.attrs == found.attrs
        pd.testing.assert_frame_equal(twin, found)
    deep = found.copy()
    deep.loc[0, "mean"] = 99.0
    assert found.loc[0, "mean"] != 99.0
    for part in (found[found["arm"] == "b"], found[["mean"]], found.head(2), found.round(1)):
        assert isinstance(part, pd.DataFrame)
        assert not isinstance(part, Effects)
        assert not hasattr(part, "draws")
    assert found.to_dict("records")[0]["arm"] == "a"
    assert found.groupby("arm")["mean"].mean().shape == (3,)
    changed = found.copy()
    changed.index = changed.index[::-1]
    with pytest.raises(pp.InputError, match="were changed in place"):
        _ = changed.draws


def test_some_draws(fit):
    some = fit.effects("arm", draws=8)
    whole = fit.effects("arm")
    assert some.draws.sizes == {"chain": 2, "draw": 8, "row": 5}
    assert some.draws["draw"].to_numpy().tolist() == list(range(0, 40, 5))
    assert some.draws.equals(whole.draws.sel(draw=some.draws["draw"]))


def test_an_average_over_the_rows_as_they_are(fit):
    own = fit.effects()
    expected = fit.predict()  # levels' deviations do not average to 0 over these rows
    assert own["quantity"].tolist() == ["prediction"]
    none = fit.posterior_predictive(kind="linear", new_levels="population")
    linear = flat(fit) @ design(fit).mean(axis=0)
    np.testing.assert_allclose(own.draws.to_numpy().ravel(), linear, rtol=1e-10)
    assert len(expected) == none.sizes["row"] == N
    slope = fit.effects(slope="x")
    assert slope["quantity"].tolist() == ["slope"]
    b = fit.run.b[..., fit.model.columns.index("x")]
    np.testing.assert_allclose(slope.draws.to_numpy().ravel(), b.ravel(), rtol=1e-7)


def flat(fit):
    return fit.run.b.reshape(-1, len(fit.model.columns))


def design(fit):
    return fit.design.X


def test_truth_values_dates_and_levels_that_are_text():
    data = table()
    days = np.array(["2020-01-01", "2020-02-01"], "M8[D]")[(data["year"] == 2012).astype(int)]
    labels = np.array(["", "01", "02", "<b>", "é", "10"], dtype=object)[data["g"]]
    data = pd.DataFrame(data | {"day": days, "id": labels})
    fit = pp.fit("y ~ on * arm + (1 | day) + (1 | id)", data, **QUICK)
    found = fit.effects(["on", "id"], {"id": ["01", "<b>"]}, pairwise="all")
    assert found["id"].tolist()[:2] == ["01", "<b>"]
    assert found["on"].tolist()[:4] == [False, False, True, True]
    dated = fit.effects("on", groups={"day": "2020-02-01"})
    rows = data.drop(columns="y").assign(on=True)
    rows["day"] = np.datetime64("2020-02-01")
    rows["id"] = "01"
    own = fit.effects("on", {"on": [True]}, groups={"day": "2020-02-01", "id": "01"})
    expected = fit.posterior_predictive(rows, kind="mean").mean("row")
    np.testing.assert_allclose(own.draws[..., 0], expected, rtol=1e-10)
    assert str(dated["day"][0])[:10] == "2020-02-01"
    with pytest.raises(pp.InputError, match="`03` is no level of `id`"):
        fit.effects("on", groups={"id": "03"})


def test_a_predictor_that_is_a_factor_too():
    """Its levels are chosen with `groups`; in `by` its deviations are integrated."""
    data = table()
    fit = pp.fit("y ~ year + (1 | year)", data, **QUICK)
    free = fit.effects(["year"], {"year": [2011, 2012]})
    b = flat(fit)
    np.testing.assert_allclose(free.draws[..., 0].to_numpy().ravel(), b @ [1, 2011], rtol=1e-9)
    chosen = fit.effects(groups={"year": [2011, 2012]})
    expected = fit.posterior_predictive({"year": [2011, 2012]}, kind="mean")
    np.testing.assert_allclose(chosen.draws, expected, rtol=1e-9)


def test_combinations_that_no_fitted_row_has_are_left_open():
    data = table()
    keep = ~((data["arm"] == "c") & (data["h"] == "q"))
    data = {name: values[keep] for name, values in data.items()}
    fit = pp.fit("y ~ arm * h + (1 | g)", data, **QUICK)
    found = fit.effects(["arm", "h"], pairwise=True)
    lost = found.loc[found["mean"].isna(), ["quantity", "arm", "h", "reference_arm"]]
    assert lost.to_numpy().tolist()[0][:3] == ["prediction", "c", "q"]
    assert [row[1:] for row in lost.to_numpy().tolist()[1:]] == [["c", "q", "a"], ["c", "q", "b"]]
    assert found.attrs["notes"] == [
        "no prediction of arm=c, h=q: no fitted row has such a combination of categories"
    ]
    assert found["mean"].notna().sum() == len(found) - 3
    with pytest.raises(pp.InputError, match="no row that was fitted tells what `arm:h` adds"):
        fit.effects("arm", {"arm": ["a", "c"]})


def test_levels_that_are_not_estimable_are_left_open():
    data = table()
    x = np.where(data["g"] == 1, 2.0, data["x"])
    fit = pp.fit("y ~ x + (x | g)", data | {"x": x}, pooling="none",
                 priors={"coef_g": pp.Flat()}, **QUICK)  # fmt: skip
    assert not fit.model.groups[0].estimable[0]
    found = fit.effects("g")
    assert found["mean"].isna().tolist() == [True, *[False] * 4, *[True] * 4]
    assert found.attrs["notes"]


def test_no_levels_and_pooling_by_factor():
    data = table()
    plain = pp.fit("y ~ arm * x", data, **QUICK)
    assert plain.effects(["arm", "x"]).attrs["groups"] == "there are no levels of a population"
    both = pp.fit("y ~ arm + (1 | g) + (1 | h)", data, pooling={"g": "none", "h": "complete"},
                  **QUICK)  # fmt: skip
    assert both.effects(["arm", "g"])["g"].tolist()[:5] == [1, 2, 3, 4, 5]
    with pytest.raises(pp.InputError, match="has no group terms of `h`: choose one of `g`"):
        both.effects("arm", groups={"h": "p"})


# --- Refusals -------------------------------------------------------------------------------------

REFUSED = {
    "by": ({"by": 3}, "`by` is 3: give a name, or a list of names"),
    "by values": ({"by": ["arm", 3]}, "`by` is .*: give a name, or a list"),
    "twice": ({"by": ["arm", "arm"]}, "`by` names `arm` twice"),
    "unknown": ({"by": ["arm", "yaer"]}, "`yaer` is no predictor .*: did you mean `year`?"),
    "level": ({"by": "arm", "groups": {"g": 7}}, "`7` is no level of `g`: choose one of `1`"),
    "factor": ({"by": "arm", "groups": {"gg": 1}}, "no group terms of `gg`: did you mean `g`?"),
    "no level": ({"by": "arm", "groups": {"g": []}}, "`groups` lists no level of `g`"),
    "both": ({"by": "g", "groups": {"g": 1}}, "`g` is in `by` and in `groups`"),
    "at": ({"by": "arm", "at": {"g": 1}}, r"`at` names the grouping factor `g`.*groups=\{\"g\""),
    "no at": ({"by": "g", "at": {"g": []}}, "`at` lists no value of `g`"),
    "pairwise": ({"by": "arm", "pairwise": "some"}, "unknown pairwise `some`"),
    "pairwise 3": ({"by": "arm", "pairwise": 3}, "`pairwise` is 3: give True or False, or"),
    "two": ({"by": "arm", "pairwise": "interaction"}, "needs two predictors"),
    "nothing": ({"pairwise": True}, "`pairwise` is given, and `by` names nothing"),
    "reference": ({"by": "arm", "reference": "d"}, "none of the values of `arm`: choose one of"),
    "reference at": ({"by": "year", "reference": 2010}, "`2011`, `2012`, or list it with `at=`"),
    "references": ({"by": ["arm", "year"], "reference": "a"}, "give a value for each predictor"),
    "named": ({"by": "arm", "reference": {"year": 2011}}, "`reference` names 'year', which `by`"),
    "with": ({"by": "arm", "reference": "a", "pairwise": True}, "compares every pair"),
    "ratio": ({"by": "arm", "ratio": True}, "gaussian family may be 0 or negative"),
    "ratio linear": ({"by": "arm", "ratio": True, "kind": "linear"}, "the link is identity"),
    "ratio 1": ({"by": "arm", "ratio": 1}, "`ratio` is 1: give True or False"),
    "ratio slope": ({"by": "arm", "ratio": True, "slope": "x"}, "slopes may be 0 or negative"),
    "slope": ({"slope": "z"}, "`slope` is `z`, which is no predictor"),
    "slope arm": ({"slope": "arm"}, "`slope` is `arm`, which has categories"),
    "slope 1": ({"slope": 1}, "`slope` is 1: give a name as text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(fit, name):
    options, words = REFUSED[name]
    with pytest.raises(pp.InputError, match=words):
        fit.effects(**options)


def test_ratios_that_there_are_not():
    data = table() | {"r": np.resize([0, 1, 2], N), "c": np.resize([0, 1], N)}
    ordered = pp.fit("r ~ arm + (1 | g)", data, family="cumulative", **QUICK)
    with pytest.raises(pp.InputError, match=r'whose zero is arbitrary.*use kind="probability"'):
        ordered.effects("arm", ratio=True)
    probit = pp.fit("c ~ arm + x", data, family="bernoulli", link="probit", **QUICK)
    assert "ratio" in probit.effects("arm", ratio=True)["quantity"].tolist()
    with pytest.raises(pp.NotYetError, match=r'the link is probit: .*or use kind="mean"'):
        probit.effects("arm", ratio=True, kind="linear")
    with pytest.raises(pp.InputError, match="is 0 in some draws, so there are no ratios"):
        probit.effects("x", {"x": [0.0, -1e6, 1e6]}, ratio=True)


def test_columns_that_two_would_set():
    data = table()
    fit = pp.fit("y ~ x + (1 | g) + (1 | g:h)", data, **QUICK)
    with pytest.raises(pp.InputError, match="`g` and `g:h` both say what `g` is: leave `g` out"):
        fit.effects(["g", "g:h"], {"g:h": "1:p"})


def test_too_many_combinations_pairs_and_numbers(fit, monkeypatch):
    monkeypatch.setattr(grid, "MOST", 10)
    with pytest.raises(pp.InputError, match="`g` has 5 values here, which makes 15 combinations"):
        fit.effects(["arm", "g"])
    assert len(fit.effects(["year", "g"], {"year": [2011, 2012]})) == 19
    monkeypatch.setattr(comparisons, "MOST", 44)
    with pytest.raises(pp.InputError, match="more than 44 pairs"):
        fit.effects(["year", "g"], pairwise="all")
    monkeypatch.setattr(comparisons, "MOST", 45)
    assert len(fit.effects(["year", "g"], pairwise="all")) == 55
    needed = 3 * 8 * 80 * (10 + 45 + 1) / 0.75
    monkeypatch.setattr("partialpool.memory.machine_memory", lambda: needed - 1)
    with pytest.raises(pp.InputError, match=r"56 rows of the table would be kept.*`draws=`"):
        fit.effects(["year", "g"], pairwise="all")
    assert len(fit.effects(["year", "g"], pairwise="all", draws=39)) == 55


# --- The command line -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "fit.nc"
    fit.save(path)
    return str(path)


CALLS = {
    "arm year --pairwise": ((["arm", "year"],), {"pairwise": True}),
    "arm year --pairs interaction": ((["arm", "year"],), {"pairwise": "interaction"}),
    "arm --groups g=2,5 --groups h=p": (("arm",), {"groups": {"g": [2, 5], "h": "p"}}),
    "arm --groups none --reference b": (("arm",), {"groups": "none", "reference": "b"}),
    "arm year --reference arm=c": ((["arm", "year"],), {"reference": {"arm": "c"}}),
    "arm g --at g=1,2 --slope x": ((["arm", "g"], {"g": [1, 2]}), {"slope": "x"}),
    "--slope x": ((), {"slope": "x"}),
}


@pytest.mark.parametrize("text", CALLS)
def test_commands(fit, saved, text, capsys):
    given, options = CALLS[text]
    expected = fit.effects(*given, **options)
    assert main(["effects", saved, *text.split(), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["mean"] for row in record["rows"]] == expected["mean"].tolist()
    assert list(record["rows"][0]) == expected.columns.tolist()
    assert record["pairwise"] == expected.attrs["pairwise"]
    assert record["reference"] == expected.attrs["reference"]
    assert main(["effects", saved, *text.split()]) == 0
    out = capsys.readouterr().out
    assert "None" not in out
    assert "nan" not in out.lower()
    for mean in expected["mean"]:
        assert f"{mean:.4g}" in out


def test_commands_speak_of_their_own_options(saved, capsys):
    for text, words in (
        ("arm --ratio", "leave `--ratio` out"),
        ("arm --pairwise --reference b", "`--reference` is given with `--pairwise`, which"),
        ("arm --pairwise --pairs all", "`--pairs` is given with `--pairwise`"),
        ("arm --groups g=7", "`7` is no level of `g`"),
        ("arm --groups g=7 --groups none", "`--groups none` is not of the form factor=levels"),
        ("arm --slope arm", "`--slope` is `arm`, which has categories"),
        ("arm --reference d", "`--reference` is 'd', which is none of the values of `arm`"),
    ):
        assert main(["effects", saved, *text.split()]) == 2
        err = capsys.readouterr().err
        assert words in err, err
        assert "\n" not in err.strip()
