"""Rows dropped, weights, offset, standard errors, and designs that cannot be fitted."""

import numpy as np
import polars as pl
import pytest

from helpers import rebuild
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula, parse_predictor

NAN = float("nan")
BASE = {
    "y": [1.0, 2.0, 4.0, 3.0, 7.0],
    "x": [1.0, 2.0, 5.0, 4.0, 0.5],
    "g": ["a", "b", "a", "b", "a"],
    "w": [1.0, 2.0, 3.0, 4.0, 5.0],
    "s": ["u", "v", "u", "v", "u"],
    "b": [True, False, True, True, False],
}


def design(formula, data=None, *, change=None, **options):
    return build_design(parse_formula(formula), {**(data or BASE), **(change or {})}, **options)


def test_rows_are_dropped_once_for_all_parts():
    change = {
        "y": [NAN, 2.0, 4.0, 3.0, 7.0],
        "g": ["a", "b", None, "b", "a"],
        "w": [1.0, 2.0, 3.0, NAN, 5.0],
    }
    d = design("y ~ x + (x | g)", change=change, weights="w", offset=np.arange(5.0))
    assert (d.n_rows, d.n_dropped, d.dropped.tolist()) == (2, 3, [0, 2, 3])
    assert d.y.tolist() == [2.0, 7.0]
    assert d.X.shape[0] == len(d.factors[0].codes) == d.factors[0].Z.shape[0] == 2
    assert d.weights.tolist() == [2.0, 5.0]
    assert d.offset.tolist() == [1.0, 4.0]
    assert d.rows.tolist() == [1, 4]
    assert d.n_zero_weight == 0


def test_rows_of_weight_zero_are_left_out_and_counted_apart():
    change = {"w": [0.0, 2.0, 3.0, 0.0, 5.0], "x": [1.0, NAN, 5.0, NAN, 0.5]}
    d = design("y ~ x + (1 | g)", change=change, weights="w")
    assert (d.rows.tolist(), d.dropped.tolist()) == ([2, 4], [1, 3])
    assert (d.n_rows, d.n_dropped, d.n_zero_weight) == (2, 2, 1)
    assert d.weights.tolist() == [3.0, 5.0]
    assert d.y.tolist() == [4.0, 7.0]
    assert d.factors[0].levels.tolist() == ["a"]
    assert "1 row left out for weight 0, 2 rows dropped for missing values" in repr(d)
    # A weight does not matter in a row that is missing anyway.
    assert design("y ~ x", change={"x": [NAN, 2, 3, 5, 4]}, weights=[-1, 1, 1, 1, 1]).n_rows == 4
    assert design("y ~ x", change={"x": [np.inf, 2, 3, 5, 4]}, weights=[0, 1, 1, 1, 1]).n_rows == 4


@pytest.mark.parametrize(
    "trials", ["w", [1, 2, 3, 4, 5], np.arange(1.0, 6.0), pl.Series([1, 2, 3, 4, 5])]
)
def test_trials_by_row(trials):
    d = design("y ~ x", change={"y": [0, 1, NAN, 2, 3]}, trials=trials, response="binary")
    assert d.trials.tolist() == [1.0, 2.0, 4.0, 5.0]
    assert d.y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("trials", [7, np.int64(7), 7.0])
def test_one_number_of_trials_for_all_rows(trials):
    d = design("y ~ x", change={"y": [0, 1, NAN, 2, 3]}, trials=trials, response="binary")
    assert d.trials.tolist() == [7.0] * 4
    assert d.trials.dtype == np.float64


def test_equal_counts_may_have_causes():
    same = {"y": [3.0] * 5}
    ones = {"y": [1.0] * 5}
    assert design("y ~ x", change=same, exposure="w").y.tolist() == [3.0] * 5
    assert design("y ~ x", change=same, offset="w").y.tolist() == [3.0] * 5
    assert design("y ~ x", change=ones, trials=4, response="binary").y.tolist() == [1.0] * 5


def test_exposure_is_an_offset_on_the_log_scale():
    d = design("y ~ x", change={"w": [1.0, NAN, 3.0, 4.0, 5.0]}, exposure="w")
    assert d.rows.tolist() == [0, 2, 3, 4]
    assert d.exposure.tolist() == [1.0, 3.0, 4.0, 5.0]
    assert d.offset is None
    assert d.total_offset.tolist() == np.log([1.0, 3.0, 4.0, 5.0]).tolist()
    both = design("y ~ x", exposure="w", offset=[1, 2, 3, 4, 5])
    assert both.total_offset.tolist() == (np.log(BASE["w"]) + np.arange(1, 6)).tolist()
    assert design("y ~ x", offset="w").total_offset.tolist() == BASE["w"]
    assert design("y ~ x").total_offset is None


def test_exposure_comes_back_for_new_data():
    plan = design("y ~ x", exposure="w", offset="v", change=V).plan
    new = {"x": [1.0], "w": [4.0], "v": [2.0]}
    assert rebuild(plan, new).offset.tolist() == [2.0 + np.log(4.0)]
    assert rebuild(plan, new, exposure=[1.0]).offset.tolist() == [2.0]
    assert rebuild(plan, new, offset="w", exposure="w").offset.tolist() == [4.0 + np.log(4.0)]
    with pytest.raises(InputError, match="`exposure` is zero or negative in 1 row "):
        rebuild(plan, {**new, "w": [0.0]})
    with pytest.raises(InputError, match="the fit used `w` as `exposure`, which is not in"):
        rebuild(plan, {"x": [1.0], "v": [2.0]})
    plan = design("y ~ x", exposure=[1, 2, 3, 4, 5]).plan
    assert rebuild(plan, {"x": [1.0]}, exposure=[3.0]).offset.tolist() == [np.log(3.0)]
    with pytest.raises(InputError, match="the fit used `exposure`: give `exposure` for the new"):
        rebuild(plan, {"x": [1.0]})
    with pytest.raises(InputError, match="`exposure` has 2 values for 1 rows"):
        rebuild(plan, {"x": [1.0]}, exposure=[3.0, 4.0])


V = {"v": [1.0, 3.0, 2.0, 1.0, 0.0]}


def test_a_second_predictor():
    change = {**V, "h": [1, 2, 1, NAN, 2]}
    sigma = parse_predictor("~ v + s + (v | h/g)")
    d = design("y ~ x + (1 | g)", change=change, sigma=sigma)
    assert d.rows.tolist() == [0, 1, 2, 4]  # a row without a value in `h` is left out of both
    assert d.X.shape == (4, 2)
    assert d.sigma.terms == sigma
    alone = design("y ~ v + s + (v | h/g)", change=change)
    assert d.sigma.columns == alone.columns == ("Intercept", "v", "s[T.v]")
    assert np.array_equal(d.sigma.X, alone.X)
    for a, b in zip(d.sigma.factors, alone.factors, strict=True):
        assert (a.name, a.terms, a.columns) == (b.name, b.terms, b.columns)
        assert np.array_equal(a.Z, b.Z)
        assert np.array_equal(a.T, b.T)
        assert a.levels[a.codes].tolist() == b.levels[b.codes].tolist()
    assert "sigma: 3 population columns, h: 2 levels × 2 columns" in repr(d)
    assert not d.sigma.X.flags.writeable
    assert design("y ~ x").sigma is None


def test_a_second_predictor_comes_back_for_new_data():
    sigma = parse_predictor("~ center(v) + (0 + v | s)")
    d = design("y ~ x + (1 | g)", change=V, sigma=sigma)
    plan = d.plan
    new = rebuild(plan, {"x": [9.0, 1.0], "v": [2.0, 3.0], "s": ["v", "q"]})
    assert new.X.tolist() == [[1.0, 9.0], [1.0, 1.0]]
    assert new.codes[0].tolist() == [-1, -1]
    assert np.allclose(new.sigma.X, [[1.0, 2.0 - 1.4], [1.0, 3.0 - 1.4]])  # 1.4 is the mean of v
    assert new.sigma.Z[0].tolist() == [[2.0], [3.0]]
    assert new.sigma.codes[0].tolist() == [1, -1]
    assert rebuild(design("y ~ x").plan, {"x": [1.0]}).sigma is None
    new = rebuild(plan, {"x": [9.0, 9.0], "v": [NAN, 2.0]})
    assert (len(new.X), new.notes) == (1, ["no prediction for 1 row with missing values (`v`)"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~ x + {2 * x}", r"`2 \* x` equals a combination of .* \(in `sigma`\)"),
        ("~ y", r"`y` is the response and a predictor \(in `sigma`\)"),
        ("~ log(v)", r"`log\(v\)` is not a finite number in 1 row \(in `sigma`\)"),
        ("~ xx", "no column `xx`"),
        (
            "~ (1 | x)",
            r"`x` holds fractions in 1 row \(the first is 0.5 in row 5, .*, in `sigma`\)",
        ),
    ],
)
def test_a_second_predictor_that_cannot_be_fitted(text, message):
    with pytest.raises(InputError, match=message):
        design("y ~ x", change=V, sigma=parse_predictor(text))


def test_a_column_that_is_not_used_may_be_missing():
    assert design("y ~ x", change={"w": [NAN] * 5}).n_dropped == 0


def test_se_as_array_column_or_series():
    for se in ("w", BASE["w"], np.array(BASE["w"]), pl.Series(BASE["w"])):
        assert design("y ~ x", se=se).se.tolist() == BASE["w"]


def test_offset_comes_back_for_new_data():
    plan = design("y ~ x", offset="w").plan
    assert rebuild(plan, {"x": [1.0], "w": [9.0]}).offset.tolist() == [9.0]
    plan = design("y ~ x", offset=[1, 2, 3, 4, 5]).plan
    assert rebuild(plan, {"x": [1.0]}, offset=[3.0]).offset.tolist() == [3.0]
    with pytest.raises(InputError, match="the fit used `offset`: give `offset`"):
        rebuild(plan, {"x": [1.0]})
    assert rebuild(design("y ~ x").plan, {"x": [1.0]}).offset is None


def test_conditions_and_constants_where_they_are_wanted():
    assert design("{y > 2} ~ x", response="binary").y.tolist() == [0, 0, 1, 1, 1]
    assert design("b ~ x", response="binary").y.tolist() == [1, 0, 1, 1, 0]
    assert design("{1 * b} ~ x").y.tolist() == [1, 0, 1, 1, 0]
    assert design("log(y) ~ x").y.tolist() == np.log(BASE["y"]).tolist()
    assert design("y ~ 1", change={"y": [2.0] * 5}, se="w").y.tolist() == [2.0] * 5
    assert design("y ~ 0 + (1 | g)").X.shape == (5, 0)


BAD = {
    "constant": ("y ~ x", {"y": [2.0] * 5}, {}, "is 2 in every row.*nothing to explain"),
    "string": ("s ~ x", {}, {}, "`s` is not a number"),
    "boolean": ("b ~ x", {}, {}, r"`b` is true or false.*\{1 \* \(b\)\}"),
    "condition": ("{y > 2} ~ x", {}, {}, "is true or false"),
    "categories": ("C(y) ~ x", {}, {}, "not a number"),
    "two columns": ("poly(y, 2) ~ x", {}, {}, "2 columns"),
    "log of zero": (
        "log(y) ~ x",
        {"y": [0.0, 0.0, -1.0, 2.0, 3.0]},
        {},
        r"`log\(y\)` is infinite in 2 rows and undefined in 1 row",
    ),
    "log of a predictor": (
        "y ~ log(x)",
        {"x": [0.0, 1, 2, 3, 4]},
        {},
        r"`log\(x\)` is not .* 1 row",
    ),
    "log in a group": ("y ~ (log(x) | g)", {"x": [0.0, 1, 2, 3, 4]}, {}, r"`log\(x\)` is not"),
    "infinite x": ("y ~ x", {"x": [1, np.inf, -np.inf, 2, 3]}, {}, "`x` is infinite in 2 rows"),
    "infinite y": ("y ~ x", {"y": [1, np.inf, 1, 2, 3]}, {}, "`y` is infinite in 1 row"),
    "infinite weight": ("y ~ x", {"w": [1, np.inf, 1, 2, 3]}, {"weights": "w"}, "`w` is infinite"),
    "all missing": ("y ~ x", {"x": [NAN] * 5}, {}, "`x` is missing in every row"),
    "never complete": (
        "y ~ x",
        {"x": [NAN, 1, NAN, 1, NAN], "y": [1, NAN, 1, NAN, 1]},
        {},
        "no complete row",
    ),
    "no weight": ("y ~ x", {"w": [0, 0, 0, NAN, 0]}, {"weights": "w"}, "0 in every complete row"),
    "negative weight": (
        "y ~ x",
        {"w": [0, 1, -2, 2, -3]},
        {"weights": "w"},
        r"`weights` is negative in 2 rows \(the first is -2 in row 3, counted from 1\)",
    ),
    "zero se": ("y ~ x", {"w": [0, 1, 1, 2, 3]}, {"se": "w"}, "`se` is zero or negative"),
    "both": ("y ~ x", {}, {"se": "w", "weights": "w"}, "both `weights` and `se`"),
    "text weight": ("y ~ x", {}, {"weights": "s"}, "`weights` holds no numbers"),
    "short weight": ("y ~ x", {}, {"weights": [1, 2]}, "2 values for 5 rows"),
    "unknown weight": ("y ~ x", {}, {"weights": "ww"}, "did you mean `w`"),
    "unknown column": ("y ~ xx", {}, {}, "no column `xx`"),
    "function as column": ("y ~ np", {}, {}, "no column `np`"),
    "unknown group": ("y ~ x + (1 | gg)", {}, {}, "no column `gg`.*did you mean `g`"),
    "itself": ("y ~ y", {}, {}, "`y` is the response and a predictor"),
    "dates": (
        "y ~ d",
        {"d": np.arange(5).astype("datetime64[D]")},
        {},
        r"holds dates: write `C\(d\)`",
    ),
    "log of strings": ("y ~ log(s)", {}, {}, r"`s` holds text \(`u`\), where a number is needed"),
    "not of a number": ("y ~ {~x}", {}, {}, "`x` is joined by .* not true or false"),
    "a category too many": ("y ~ C(s, levels=['u'])", {}, {}, "outside its categories"),
    "unknown base": (
        "y ~ C(s, Treatment('q'))",
        {},
        {},
        "names `q`, which is none of the categories: choose one of `u`, `v`",
    ),
    "equal names": ("y ~ `log(x)` + log(x)", {"log(x)": [1, 2, 3, 4, 6]}, {}, "two columns"),
    "zero column": ("y ~ 0 + z", {"z": [0] * 5}, {}, "`z` is 0 in every row"),
    "no variation": ("y ~ x + z", {"z": [3.0] * 5}, {}, "`z` has the same value in every row"),
    "copy": (
        "y ~ x + z",
        {"z": [2.0, 4.0, 10.0, 8.0, 1.0]},
        {},
        "`z` equals a combination of `x`: take",
    ),
    "dummies": ("y ~ b + C(s) + {s == 'u'}", {}, {}, "`s == 'u'` equals a combination"),
    "level constant": ("y ~ g + s", {}, {}, r"`s\[T.v\]` equals a combination of `g\[T.b\]`"),
    "too many": ("y ~ poly(x, 4) + w + {w**2}", {}, {}, "7 population columns but only 5 rows"),
    "without intercept": ("y ~ 0 + x + {3 * x}", {}, {}, r"`3 \* x` equals a combination of `x`"),
    "dummies without intercept": ("y ~ 0 + s + g", {}, {}, r"`g\[T.b\]` equals"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fitted(name):
    formula, change, options, message = BAD[name]
    with pytest.raises(InputError, match=message):
        design(formula, change=change, **options)


def rank_data(n=50):
    rng = np.random.default_rng(3)
    return {"y": rng.normal(size=n), "x": rng.normal(size=n), "z": rng.normal(size=n)}, rng


@pytest.mark.parametrize("scale", [1e-130, 1e-12, 1.0, 1e12, 1e130])
@pytest.mark.parametrize("intercept", ["1", "0"])
def test_scale_is_not_collinearity(scale, intercept):
    data, _ = rank_data()
    data["x"] = data["x"] * scale
    assert design(f"y ~ {intercept} + x + z", data).X.shape[0] == 50


@pytest.mark.parametrize("formula", ["y ~ x + z", "y ~ 0 + x + z", "y ~ 0 + f + x", "y ~ f * x"])
def test_a_large_offset_is_not_collinearity(formula):
    data, rng = rank_data()
    data["x"] = 1e12 + data["x"]
    data["f"] = rng.choice(["a", "b"], 50)
    assert design(formula, data).X.shape[0] == 50


def test_collinear_columns_are_found_beside_large_offsets_and_scales():
    data, _ = rank_data()
    data["w"] = 3 * data["x"] - 1e-3 * data["z"] + 7
    data["x"] = data["x"] * 1e-9
    data["t"] = 1e9 + np.arange(50.0)
    with pytest.raises(InputError, match="`w` equals a combination of `x`, `z`, `Intercept`"):
        design("y ~ t + x + z + w", data)


def test_nearly_collinear_is_not_collinear():
    data, rng = rank_data()
    data["w"] = data["x"] + 1e-6 * rng.normal(size=50)
    assert len(design("y ~ x + w", data).columns) == 3


NEW = {
    "category": ({"s": ["q"], "x": [1.0]}, "did not see, `q`: choose one of `u`, `v`"),
    "infinite": ({"s": ["u"], "x": [np.inf]}, "`x` is infinite"),
    "no column": ({"s": ["u"]}, "no column `x`"),
    "kind": ({"s": ["u"], "x": ["big"]}, "`x` is now of kind string"),
    "number for a category": ({"s": [1], "x": [1.0]}, "did not see, `1`"),
}


@pytest.mark.parametrize("name", NEW)
def test_new_data_that_do_not_fit(name):
    data, message = NEW[name]
    plan = design("y ~ s + x").plan
    with pytest.raises(InputError, match=message):
        rebuild(plan, data)
    with pytest.raises(InputError, match="`x` is now of kind string"):
        rebuild(design("y ~ x").plan, {"x": ["big"]})


def test_new_values_for_categories_of_numbers_and_beyond_a_spline():
    data = {"y": np.arange(9.0) ** 2, "k": [1, 2, 3] * 3, "x": np.arange(9.0)}
    with pytest.raises(InputError, match="`k` has a category that the fit did not see, `7`"):
        rebuild(design("y ~ C(k)", data).plan, {"k": [7]})
    with pytest.raises(InputError, match=r"`k \+ 1` has a category that the fit did not see, `8`"):
        rebuild(design("y ~ C(k + 1)", data).plan, {"k": [7]})
    with pytest.raises(InputError, match='extrapolation="extend"'):
        rebuild(design("y ~ bs(x, df=4)", data).plan, {"x": [100.0]})
    assert rebuild(design("y ~ C(k)", data).plan, {"k": [3]}).X.tolist() == [[1, 0, 1]]
