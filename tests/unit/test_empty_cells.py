"""Combinations of categories that no row has, and other columns that the rest determines."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import partialpool as pp
from helpers import rebuild
from partialpool.design import build_design
from partialpool.design.matrix import build_matrix
from partialpool.errors import InputError
from partialpool.formula import expand, parse_formula

QUICK = {"seed": 1, "chains": 1, "draws": 20, "warmup": 20, "progress": False}
CELLS = [(f, h) for f in "abc" for h in "uvw"]


def table(present, repeats=6, seed=1):
    """Rows of the cells that are present, in random order."""
    rng = np.random.default_rng(seed)
    pairs = np.array(present * repeats)[rng.permutation(len(present) * repeats)]
    n = len(pairs)
    return {
        "f": pairs[:, 0],
        "h": pairs[:, 1],
        "x": rng.normal(size=n),
        "g": rng.permutation(np.arange(n) % 5),
        "y": rng.normal(size=n) + (pairs[:, 0] == "b"),
    }


def whole_matrix(text, data, rows):
    """All columns, as if every cell had rows: those of the table that has all, then `rows`."""
    full = table(CELLS, seed=2)
    both = {name: np.concatenate([full[name], rows[name]]) for name in full}
    columns = pp.data.open_table(both).take(both).columns
    built = build_matrix(expand(text), columns, len(both["y"]))
    return built.values[len(full["y"]) :]


FORMULAS = ["f * h", "0 + f:h", "f * h * x", "f / h", "x + f:h", "C(f, contr.sum) * h", "f:h:x + h"]


@settings(deadline=None, max_examples=150)
@given(st.sets(st.sampled_from(CELLS), max_size=4), st.sampled_from(FORMULAS))
def test_what_is_left_spans_the_same_and_predicts_what_can_be_known(empty, text):
    present = [cell for cell in CELLS if cell not in empty]
    data = table(present)
    assume(len(set(data["f"])) == 3)
    assume(len(set(data["h"])) == 3)
    X = whole_matrix(text, data, data)
    design = build_design(parse_formula(f"y ~ {text}"), data)
    rank = np.linalg.matrix_rank(X, tol=1e-9)
    assert design.X.shape[1] == np.linalg.matrix_rank(design.X) == rank
    fitted = design.X @ np.linalg.lstsq(design.X, X, rcond=None)[0]
    assert np.allclose(fitted, X, atol=1e-9)
    assert len(design.column_terms) == len(design.columns) == rank
    if rank == X.shape[1]:
        assert design.aliased == ()
    for one in design.aliased:
        both = "f" in one.term.replace("C(f, contr.sum)", "f") and "h" in one.term
        cells = {f"`f` {f} and `h` {h}" for f, h in empty} if both else set()
        assert set(one.cells) == cells
    # A new row can be known if it is a combination of fitted ones, and only then.
    plan = design.plan
    new = {"f": [], "h": [], "x": [0.7] * 9}
    for f, h in CELLS:
        new["f"].append(f)
        new["h"].append(h)
    rows = whole_matrix(text, data, {**{k: np.array(v) for k, v in new.items()},
                                     "g": np.zeros(9, dtype=int), "y": np.zeros(9)})  # fmt: skip
    for i in range(9):
        one = {name: [values[i]] for name, values in new.items()}
        known = np.linalg.matrix_rank(np.vstack([X, rows[i]]), tol=1e-9) == rank
        if known:
            assert rebuild(plan, one).X.shape == (1, rank)
        else:
            with pytest.raises(InputError, match="no row that was fitted tells what"):
                rebuild(plan, one)


def test_a_fit_says_which_cell_is_empty_and_predicts_the_others(tmp_path):
    data = table([cell for cell in CELLS if cell != ("b", "v")])
    fit = pp.fit("y ~ f * h + (1 | g)", data, **QUICK)
    found = next(one for one in fit.findings if one.code == "empty-cell")
    assert found.level == "warning"
    assert found.message == (
        "1 column of `f:h` was left out, `f[T.b]:h[T.v]`: no row has `f` b and `h` v."
    )
    assert "b[f[T.b]:h[T.v]]" not in fit.summary().index
    fit.save(tmp_path / "fit.nc")
    for one in (fit, pp.load(tmp_path / "fit.nc")):
        assert one.predict({"f": ["b"], "h": ["u"], "g": [1]})["mean"].notna().all()
        with pytest.raises(InputError, match=r"tells what `f:h` adds in 1 row .*\(`f` b and `h` v"):
            one.predict({"f": ["a", "b"], "h": ["v", "v"], "g": [1, 1]})
        with pytest.raises(InputError, match="no row that was fitted"):
            one.effects("f")
        assert len(one.effects("f", at={"h": "u"})) == 5
    estimate = pp.fit("y ~ f * h + (1 | g)", data, method="reml")
    assert [one.code for one in estimate.findings if "cell" in one.code] == ["empty-cell"]


def test_the_estimates_are_those_of_the_cells_that_there_are():
    data = table([cell for cell in CELLS if cell not in (("b", "v"), ("a", "w"))])
    cells = {**data, "c": np.char.add(data["f"], data["h"])}
    one = pp.fit("y ~ f * h + (1 | g)", cells, method="ml")
    other = pp.fit("y ~ 0 + c + (1 | g)", cells, method="ml")
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-7)


def test_group_columns_without_rows_are_left_out():
    data = table([cell for cell in CELLS if cell != ("b", "v")])
    fit = pp.fit("y ~ x + (0 + f:h || g)", data, **QUICK)
    assert len(fit.model.groups[0].terms) == 8
    assert "by g: 1 column of `f:h` was left out, `f[b]:h[v]`" in str(fit.findings[0])
    with pytest.raises(InputError, match="no row that was fitted tells"):
        fit.predict({"x": [0.0], "f": ["b"], "h": ["v"], "g": [1]})


def nested():
    rng = np.random.default_rng(5)
    school = np.repeat([1, 2, 3], 20)
    return {
        "y": rng.normal(size=60),
        "school": school,
        "room": school * 10 + rng.integers(0, 3, 60),
        "x": rng.normal(size=60),
    }


@pytest.mark.parametrize(
    "text", ["C(school) + C(room)", "C(school) * C(room)", "C(school) / C(room)"]
)
def test_nested_categories_keep_the_means_of_the_inner_ones(text):
    data = nested()
    design = build_design(parse_formula(f"y ~ {text}"), data)
    means = build_design(parse_formula("y ~ C(room)"), data)
    assert design.X.shape == means.X.shape
    assert np.linalg.matrix_rank(np.hstack([design.X, means.X])) == means.X.shape[1]
    assert design.aliased
    assert np.array_equal(rebuild(design.plan, data).X, design.X)


def test_a_slope_where_the_predictor_does_not_vary_is_left_out():
    data = {**nested(), "z": np.where(nested()["school"] == 3, 4.0, nested()["x"])}
    design = build_design(parse_formula("y ~ C(school) * z"), data)
    assert design.aliased[0].name == "C(school)[T.3]:z"
    assert design.aliased[0].weights == {"C(school)[T.3]": 4.0}
    assert rebuild(design.plan, {"school": [3], "z": [4.0]}).X.shape == (1, 5)
    with pytest.raises(InputError, match=r"tells what `C\(school\):z` adds in 1 row"):
        rebuild(design.plan, {"school": [3], "z": [5.0]})


MISTAKES = {
    "x + I(2 * x)": "`I\\(2 \\* x\\)` equals a combination of `x`:",
    "x + I(2 * x + 1)": "equals a combination of `x`, `Intercept`",
    "C(room) + C(school)": r"`C\(school\)\[T.2\]` equals a combination of",
    "school + C(school)": r"`C\(school\)\[T.3\]` equals a combination of",
    "C(school) + as.character(school)": "equals a combination of",
    "{x > 0} + {x >= 0}": "`x >= 0` equals a combination of `x > 0`",
    "{x > 99}": "`x > 99` is 0 in every row",
    "{x < 99}": "`x < 99` has the same value in every row",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_predictors_that_others_determine_are_mistakes(text):
    with pytest.raises(InputError, match=MISTAKES[text]):
        build_design(parse_formula(f"y ~ {text}"), nested())


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans(), st.integers(0, 3), st.floats(-9, 9)
)
def test_dependent_columns_are_found_with_their_weights(seed, k, constant, extra, logscale):
    """Random columns, some of them combinations of earlier ones, on any scale and offset."""
    from partialpool.rank import find_dependent

    rng = np.random.default_rng(seed)
    n = 25
    columns, expected = [np.ones(n)] if constant else [], []
    columns += [10.0**logscale * (rng.normal(size=n) + rng.integers(0, 50)) for _ in range(k)]
    for _ in range(extra):
        weights = np.round(rng.normal(size=len(columns)), 2)
        used = [j for j in range(len(columns)) if j not in expected]
        place = len(columns)
        columns.append(sum(weights[j] * columns[j] for j in used))
        expected.append(place)
    X = np.column_stack(columns)
    found = find_dependent(X, 0 if constant else None)
    assert [one.column for one in found] == expected
    for one in found:
        made = sum((w * X[:, j] for j, w in one.weights.items()), np.zeros(n))
        assert np.allclose(made, X[:, one.column], rtol=1e-7, atol=1e-7 * np.abs(X).max())
        assert not set(one.weights) & set(expected)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("text", ["C(f) * C(h)", "0 + C(f):C(h)", "C(f) * C(h) * x", "C(f) / C(h)"])
def test_columns_taken_at_once_are_those_taken_one_by_one(seed, text, monkeypatch):
    from partialpool import rank

    rng = np.random.default_rng(seed)
    f, h = rng.integers(0, 5, 400), rng.integers(0, 4, 400)
    cells = rng.choice(20, 15, replace=False)
    rows = np.isin(4 * f + h, cells)
    data = {"y": rng.normal(size=400), "f": f, "h": h, "x": rng.normal(size=400)}
    data = {name: values[rows] for name, values in data.items()}
    quick = build_design(parse_formula(f"y ~ {text}"), data)
    monkeypatch.setattr(rank._Search, "_at_once", lambda *_: None)
    slow = build_design(parse_formula(f"y ~ {text}"), data)
    assert quick.columns == slow.columns
    for one, other in zip(quick.aliased, slow.aliased, strict=True):
        assert one.name == other.name
        assert one.weights == pytest.approx(other.weights, abs=1e-8)


def test_wide_designs_are_refused_before_they_are_made():
    rows = np.arange(30_000)
    data = {"y": rows % 7.0, "f": rows % 15_000, "h": rows % 1000, "g": rows % 10}

    def refused(formula, words, **options):
        with pytest.raises(InputError, match=words):
            pp.fit(formula, data, **options)

    refused("y ~ C(f)", r"`C\(f\)` has 14,999 columns, .* at most 2,000 .*`\(1 \| f\)`")
    refused("y ~ C(h) * C(g)", r"`C\(h\):C\(g\)` has .* columns.*`\(1 \| h:g\)`")
    refused("y ~ 1 + (C(h) | g)", r"1,000 coefficients a level with 499,500 correlations.*g/f")
    refused("y ~ 1 + (C(h) || g)", r"1,000 coefficients a level, and at most 100.*`\(1 \| g\)`")
    refused("f ~ 1", "15,000 categories, and at most 100", family="cumulative")
    refused("y ~ 1 + (C(g) * x | h)", "no column `x`")
    data["k"] = rows % 13
    refused("y ~ 1 + (C(k) | g)", "takes at most 10 correlated", method="reml")
    many = {f"a{i}": rows // 2**i % 2 for i in range(12)}
    data |= many
    refused(f"y ~ {' * '.join(f'C({a})' for a in many)}", "4,096 terms have 4,096 columns")
