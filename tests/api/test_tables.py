"""Somebody's table, from the file to the answer: the same numbers whatever carries them."""

import csv

import numpy as np
import pandas as pd
import polars as pl
import pytest

import partialpool as pp
from partialpool.cli import main

QUICK = {"seed": 1, "chains": 2, "draws": 150, "warmup": 150, "progress": False}
N = 60
RNG = np.random.default_rng(5)
X = RNG.normal(size=N).round(3)
G = np.arange(N) % 6
Y = (1 + 0.5 * X + np.linspace(-1, 1, 6)[G] + RNG.normal(size=N) * 0.4).round(3)
YES = np.where(np.median(Y) < Y, "Yes", "No")


def fit(formula, data, **options):
    return pp.fit(formula, data, **{**QUICK, **options})


def codes(found):
    return {finding.code for finding in found.findings}


def finding(found, code):
    return next(str(f) for f in found.findings if f.code == code)


def write(path, **columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


# --- Paths and frames -----------------------------------------------------------------------------


def test_a_path_and_pandas_give_the_same_posterior_and_predict_each_other(tmp_path):
    ids = [f"{g:02d}" for g in G]
    path = write(tmp_path / "t.csv", y=Y, x=X, g=ids)
    frame = pd.read_csv(path)  # which makes numbers of the ids
    one, other = fit("y ~ x + (1 | g)", path), fit("y ~ x + (1 | g)", frame)
    assert one.run.b.tolist() == other.run.b.tolist()
    assert one.coefficients()["level"].tolist() == sorted(set(ids))
    assert other.coefficients()["level"].tolist() == list(range(6))
    means = [f.predict(t)["mean"].tolist() for f in (one, other) for t in (path, frame)]
    assert all(mean == means[0] for mean in means)
    assert one.predict(path)["g"].tolist() == ids  # shown as they stand
    assert one.predict(frame).attrs["notes"] == []


def test_levels_and_levels_never_seen_by_any_label():
    found = fit("y ~ x + (1 | g)", {"y": Y, "x": X, "g": G})
    new = pd.DataFrame({"x": [0.0] * 6, "g": ["3", "Utopia", "3", "7", "07", "Utopia"]})
    predicted = found.predict(new)
    assert predicted["mean"][0] == predicted["mean"][2]
    assert predicted["sd"][1] == predicted["sd"][5] > predicted["sd"][0]
    assert (
        "`g` has 3 levels that the fit did not see (`Utopia`, `7`, `07`)"
        in (predicted.attrs["notes"][0])
    )
    assert found.group_draws(["3"]).equals(found.group_draws([3.0]))
    assert found.group_draws(3).equals(found.group_draws([3]))
    with pytest.raises(pp.InputError, match="`33` is no level of `g`: did you mean `3`"):
        found.group_draws(["33"])


def test_effects_take_values_by_their_label():
    data = {"y": Y, "x": X, "d": pd.Categorical(G % 3 * 5)}
    found = fit("y ~ x + d", data)
    expected = found.effects("d", {"d": [0, 10]})["mean"].tolist()
    assert found.effects("d", {"d": ["0", 10.0]})["mean"].tolist() == expected
    table = pd.DataFrame({"x": X, "d": G % 3 * 5})  # plain numbers now
    assert found.effects("d", {"d": [0, 10]}, data=table)["mean"].tolist() == expected
    assert "slope" not in found.effects("d", data=table)["quantity"].tolist()
    with pytest.raises(pp.InputError, match="`at` gives `d` several values: give one; only `by`"):
        found.effects("x", {"d": [0, 10]})


def test_new_data_may_carry_numbers_as_text():
    found = fit("y ~ x + {x**2}", {"y": Y, "x": X})
    expected = found.predict({"x": [1.0, 2.0]})["mean"].tolist()
    for same in (["1", "2"], ["1,0", "2,0"], pd.Categorical([1, 2]), pl.Series(["1", "2"])):
        assert found.predict({"x": same})["mean"].tolist() == expected
    with pytest.raises(pp.InputError, match=r"`x` is now of kind string|text among its numbers"):
        found.predict({"x": ["1", "many"]})


# --- Findings of what was read --------------------------------------------------------------------


def test_numbers_in_other_ways_are_said(tmp_path):
    commas = [str(x).replace(".", ",") for x in X]
    path = write(tmp_path / "t.csv", y=Y, x=commas, g=G)
    found = fit("y ~ x + (1 | g)", path)
    plain = fit("y ~ x + (1 | g)", {"y": Y, "x": X, "g": G})
    assert found.run.b.tolist() == plain.run.b.tolist()
    assert "`x` is read with decimal commas" in finding(found, "number-format")
    same = fit("y ~ x + (1 | g)", pd.read_csv(path))
    assert same.run.b.tolist() == plain.run.b.tolist()
    assert "number-format" in codes(same)
    assert "number-format" not in codes(fit("y ~ (1 | x)", pp.read(path, text="x")))


def test_marks_of_missing_values_are_said_where_somebody_might_ask(tmp_path):
    def marked(mark):
        return ["0" if k % 2 else "1" if k % 10 else mark for k in range(N)]

    for mark in (".", "NULL", "-", "?"):
        found = fit("y ~ x", write(tmp_path / "t.csv", y=Y, x=marked(mark)))
        assert found.provenance.n_dropped == 6
        assert f"`{mark}` (6)" in finding(found, "missing-marks")
    found = fit("y ~ x", write(tmp_path / "t.csv", y=Y, x=marked("NA")))
    assert found.provenance.n_dropped == 6
    assert "missing-marks" not in codes(found)
    text = ["NA" if k % 10 == 0 else "ab"[k % 2] for k in range(N)]
    found = fit("y ~ x", write(tmp_path / "t.csv", y=Y, x=text))
    assert found.provenance.n_dropped == 6
    assert "`NA` (6)" in finding(found, "missing-marks")
    kept = fit("y ~ x", pp.read(tmp_path / "t.csv", na=[]))
    assert kept.provenance.n_dropped == 0
    assert [name for name in kept.model.columns if "NA" in name] or kept.model.columns[
        1
    ] == "x[T.a]"


def test_values_that_a_condition_does_not_name_are_counted(tmp_path):
    answers = YES.astype(object)
    answers[:7] = ["yes", " Yes", "-", "NA", "N/A", "", "No"]
    path = write(tmp_path / "t.csv", y=Y, b=answers, x=X)
    found = fit("{b == 'Yes'} ~ x", path, family="bernoulli")
    assert found.provenance.n_dropped == 3  # NA, N/A and the empty one
    text = finding(found, "other-values")
    assert text.startswith("warning")
    for value in ("`yes` (1)", "` Yes` (1)", "`-` (1)", "`No` ("):
        assert value in text
    frame = pd.read_csv(path)
    again = fit("{b == 'Yes'} ~ x", frame, family="bernoulli")
    assert again.run.b.tolist() == found.run.b.tolist()
    assert finding(again, "other-values") == text
    clean = fit("{b == 'Yes'} ~ x", {"b": YES, "x": X}, family="bernoulli")
    assert not codes(clean) & {"other-values", "condition"}
    three = fit("y ~ {b == 'a'}", {"y": Y, "b": np.array(list("abc"))[G % 3]})
    assert finding(three, "condition").startswith("info")
    named = fit("y ~ {(b == 'a') | (b == 'b')}", {"y": Y, "b": np.array(list("abc"))[G % 3]})
    assert "condition" not in codes(named)


def test_conditions_compare_labels(tmp_path):
    path = write(tmp_path / "t.csv", y=Y, b=["01" if g < 3 else "1" for g in G], n=G)
    found = fit("y ~ {b == '01'} + {n == '2'}", path)
    X_ = found.design.X
    assert X_[:, 1].tolist() == (G < 3).tolist()
    assert X_[:, 2].tolist() == (G == 2).tolist()


def test_labels_that_look_alike_are_said():
    labels = np.array(["a", "A", "b "], dtype=object)[G % 3]
    assert "`A` and `a`" in finding(
        fit("y ~ x + (1 | g)", {"y": Y, "x": X, "g": labels}), "alike-labels"
    )
    assert "`a` and `A`" in finding(fit("y ~ g", {"y": Y, "g": labels}), "alike-labels")
    assert "alike-labels" not in codes(fit("y ~ g", {"y": Y, "g": np.array(list("abc"))[G % 3]}))
    marks = np.array(["a", "NA", "b"], dtype=object)[G % 3]
    assert "`NA` is taken as a label" in finding(fit("y ~ g", {"y": Y, "g": marks}), "mark-labels")


def test_whole_numbers_that_are_said_to_be_text_are_categories_and_that_is_said():
    found = fit("y ~ g", {"y": Y, "g": G.astype(str)})
    assert len(found.model.columns) == 6
    assert "taken as 6 categories" in finding(found, "text-numbers")
    many = [str(k) for k in range(N)]
    with pytest.raises(pp.InputError, match="is text, but holds numbers, 60 different ones"):
        fit("y ~ g", {"y": Y, "g": many})


def test_codes_with_leading_zeros_are_labels_or_said(tmp_path):
    path = write(tmp_path / "t.csv", y=Y, g=[f"{g:02d}" for g in G])
    assert "leading-zeros" in codes(fit("y ~ g", path))
    labelled = fit("y ~ C(g)", path)
    assert "leading-zeros" not in codes(labelled)
    assert labelled.model.columns[1] == "C(g)[T.01]"
    assert fit("y ~ g", pp.read(path, text="g")).model.columns[1] == "g[T.01]"


# --- Ordered categories ---------------------------------------------------------------------------

RATING = np.digitize(Y, np.quantile(Y, [0.2, 0.4, 0.6, 0.8]))
ORDERED = {
    "numbers": (RATING + 1, [1, 2, 3, 4, 5]),
    "steps": (RATING * 10, [0, 10, 20, 30, 40]),
    "categories": (pd.Categorical(RATING + 1, ordered=True), [1, 2, 3, 4, 5]),
    "floats": (pd.Categorical(RATING / 2, ordered=True), [0, 0.5, 1, 1.5, 2]),
    "text": (pl.Series((RATING + 1).astype(str)).cast(pl.Enum(list("12345"))), [1, 2, 3, 4, 5]),
    "words": (pd.Categorical(np.array(list("abcde"))[RATING], ordered=True), [0, 1, 2, 3, 4]),
    "a gap": (np.where(RATING > 2, RATING + 4, RATING), [0, 1, 2, 7, 8]),
}


@pytest.mark.parametrize("name", ORDERED)
def test_predictions_of_ratings_are_on_the_scale_of_the_ratings(name, tmp_path):
    rating, scale = ORDERED[name]
    data = {"r": rating, "x": X, "g": G}
    found = fit("r ~ x + (1 | g)", data, family="cumulative")
    found.save(tmp_path / "fit.nc")
    for each in (found, pp.load(tmp_path / "fit.nc")):
        predicted = each.predict()
        p = predicted[[f"p[{c}]" for c in each.model.categories]].to_numpy()
        assert predicted["mean"].to_numpy() == pytest.approx(p @ scale, abs=1e-9)
        drawn = each.posterior_predictive(draws=20)
        assert set(np.unique(drawn)) == set(scale)
        mean = each.posterior_predictive(kind="mean").mean(("chain", "draw"))
        assert mean.to_numpy() == pytest.approx(p @ scale, abs=1e-9)
        observed = each.predict(kind="observation")
        assert observed["lower"].min() >= min(scale)
        assert observed["upper"].max() <= max(scale)
        effect = each.effects("x", {"x": [0.0]}, groups="none")["mean"][0]
        shares = each.effects("x", {"x": [0.0]}, groups="none", kind="probability")["mean"][:5]
        assert effect == pytest.approx(shares.to_numpy() @ scale, abs=1e-9)
    prior = pp.prior_predictive("r ~ x + (1 | g)", data, family="cumulative", draws=30, seed=1)
    assert set(np.unique(prior.responses)) <= set(scale)


def test_categories_that_nobody_gave_are_said():
    found = fit(
        "r ~ x", {"r": np.where(RATING > 2, RATING + 1, RATING), "x": X}, family="cumulative"
    )
    assert "equal to `3`: the model knows nothing of it" in finding(found, "unused-categories")
    assert "p[3]" not in found.predict()
    levels = pd.Categorical(RATING, categories=range(7), ordered=True)
    found = fit("r ~ x", {"r": levels, "x": X}, family="cumulative")
    assert "equal to `5`, `6`" in finding(found, "unused-categories")
    apart = np.where(RATING > 2, RATING + 10**6, RATING)
    found = fit("r ~ x", {"r": apart, "x": X}, family="cumulative")
    assert "`3`, `4`, `5`, `…`" in finding(found, "unused-categories")
    assert "unused-categories" not in codes(
        fit("r ~ x", {"r": RATING * 10, "x": X}, family="cumulative")
    )


# --- Counts and shares ----------------------------------------------------------------------------

TRIALS = np.arange(N) % 30 + 20
SUCCESSES = np.random.default_rng(2).binomial(TRIALS, 0.3)


def test_rounding_errors_of_counts_are_taken_out():
    data = {"s": SUCCESSES / TRIALS, "k": SUCCESSES, "n": TRIALS, "x": X}
    off = data["s"] * TRIALS != SUCCESSES
    assert off.any()
    one = fit("{s * n} ~ x", data, family="binomial", trials="n")
    other = fit("k ~ x", data, family="binomial", trials="n")
    assert one.design.y.tolist() == SUCCESSES.tolist()
    assert one.run.b.tolist() == other.run.b.tolist()
    assert fit("{s * n} ~ x", data, family="poisson").design.y.tolist() == SUCCESSES.tolist()
    near = fit("k ~ x", data, family="binomial", trials=TRIALS * (1 + 1e-15))
    assert near.design.trials.tolist() == TRIALS.tolist()
    rating = {"r": (RATING + 1) * 0.1 / 0.1, "x": X}
    assert fit("r ~ x", rating, family="cumulative").model.categories == (1, 2, 3, 4, 5)
    with pytest.raises(pp.InputError, match=r"needs whole numbers .* is 7.001"):
        fit("k ~ x", {"k": [7.001, 2, 3], "x": [1, 2, 3]}, family="binomial", trials=20)


def test_shares_are_answered_with_how_to_give_counts():
    data = {"s": SUCCESSES / TRIALS, "n": TRIALS, "my n": TRIALS, "x": X}
    for trials, shown in (("n", "n"), ("my n", "`my n`")):
        with pytest.raises(pp.InputError) as caught:
            fit("s ~ x", data, family="binomial", trials=trials)
        assert str(caught.value) == (
            "`s` holds shares, and `binomial` is about numbers of successes: write "
            f"`{{s * {shown}}} ~ …` for the numbers, which are whole numbers in every row."
        )
    same = {"s": [0.5, 0.25, 1.0], "x": [1, 2, 4]}
    with pytest.raises(pp.InputError, match=r"write `\{s \* 20\} ~ …` for the numbers"):
        fit("s ~ x", same, family="binomial", trials=20)
    with pytest.raises(pp.InputError, match="multiply the shares by the trials for the numbers"):
        fit("s ~ x", same, family="binomial", trials=[20, 20, 20])
    with pytest.raises(
        pp.InputError, match=r"0.25 of 3 trials in row 2 is 0.75 successes, no whole"
    ):
        fit("s ~ x", {"s": [1 / 3, 0.25, 1.0], "x": [1, 2, 4]}, family="binomial", trials=3)


# --- Names of predictions -------------------------------------------------------------------------


def test_tables_may_have_columns_called_as_the_predictions():
    data = {"y": Y, "mean": X, "sd": G, "lower": X, "upper": X, "data_mean": X**2}
    found = fit("y ~ mean + data_mean + (1 | sd)", data)
    for predicted in (found.predict(data), found.predict()):
        own = predicted["mean"].to_numpy()
        assert own == pytest.approx(found.predict(data, kind="linear")["mean"].to_numpy())
        assert predicted["data_data_mean"].tolist() == X.tolist()
        assert predicted["data_sd"].tolist() == G.tolist()
        assert (
            "the column `mean` of the data is called `data_data_mean` here"
            in (predicted.attrs["notes"])
        )
    again = fit("y ~ mean", found.predict(data))  # predictions are a table like others
    assert again.predict()["data_mean"].tolist() == own.tolist()


# --- Series ---------------------------------------------------------------------------------------


def test_series_meet_the_rows_by_their_index():
    weights = pd.Series(np.linspace(1, 3, N))
    frame = pd.DataFrame({"y": Y, "x": X})
    expected = fit("y ~ x", frame, weights=weights.to_numpy()).run.b
    shuffled = RNG.permutation(N)
    for data, given in (
        (frame, weights),
        (frame, weights[::-1]),
        (frame, weights.iloc[shuffled]),
        (frame, pd.concat([weights, pd.Series([9.0, 9.0], index=[100, 101])])),
        ({"y": Y, "x": X}, weights.iloc[shuffled]),
        ({"y": frame["y"], "x": frame["x"].iloc[shuffled]}, weights),
    ):
        assert fit("y ~ x", data, weights=given).run.b.tolist() == expected.tolist()
    some = frame[frame["x"] > 0]
    assert fit("y ~ x", some, weights=weights).design.weights.tolist() == (
        weights[frame["x"] > 0].tolist()
    )
    named = frame.set_axis([f"r{k}" for k in range(N)])
    for data, given in (
        (some, weights[frame["x"] > 0].reset_index(drop=True)),
        (named, weights),
        ({"y": Y, "x": X}, weights.set_axis(named.index)),
    ):
        with pytest.raises(pp.InputError, match="the index of `weights` is not that of the table"):
            fit("y ~ x", data, weights=given)
    with pytest.raises(pp.InputError, match="the index of `x` is not that of the other columns"):
        fit("y ~ x", {"y": frame["y"], "x": frame["x"].set_axis(named.index)})
    longer = pd.concat([weights, pd.Series([9.0], index=[N])])
    with pytest.raises(pp.InputError, match="`weights` has 61 values for 60 rows"):
        fit("y ~ x", {"y": Y, "x": X}, weights=longer)
    found = fit("y ~ x", frame, offset=pd.Series(X))
    new = frame.iloc[[3, 1]]
    by_index = found.predict(new, offset=pd.Series(X))["mean"].tolist()
    assert by_index == found.predict(new, offset=X[[3, 1]])["mean"].tolist()


# --- Fits of the same rows ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame({"y": Y, "x": X, "g": G, "w": np.ones(N)})


def test_fits_of_rows_in_another_order_are_matched(table, tmp_path):
    order = RNG.permutation(N)
    one = fit("y ~ x + (1 | g)", table)
    other = fit("y ~ 1 + (1 | g)", table)
    moved = fit("y ~ 1 + (1 | g)", table.iloc[order])
    expected, found = (pp.compare_fits({"a": one, "b": b}) for b in (other, moved))
    assert found.difference("b") == pytest.approx(expected.difference("b"), rel=0.15, abs=0.3)
    by_row = found.scores["b"].elpd_i
    assert by_row == pytest.approx(moved.loo().elpd_i[np.argsort(order)])
    by = pp.compare_fits({"a": one, "b": moved}, by="g")
    assert by.scores["b"].elpd_i == pytest.approx(moved.loo(by="g").elpd_i)
    backwards = table.assign(g=pd.Categorical(table["g"], categories=range(5, -1, -1)))
    turned = fit("y ~ 1 + (1 | g)", backwards)
    by = pp.compare_fits({"a": one, "b": turned}, by="g")
    assert by.scores["b"].elpd_i == pytest.approx(turned.loo(by="g").elpd_i[::-1])
    assert by.scores["b"].labels.tolist() == list(range(6))
    text = table.assign(g=table["g"].astype(str).radd("s"))
    renamed = fit("y ~ 1 + (1 | g)", text.iloc[order])
    with pytest.raises(pp.InputError, match="in another order, and do not show which is which, as"):
        pp.compare_fits({"a": one, "b": renamed})
    with pytest.raises(pp.InputError, match="are in another order, so that refits would leave out"):
        pp.compare_fits({"a": one, "b": moved}, k=3)
    written = write(tmp_path / "t.csv", **{c: table[c].iloc[order] for c in ("y", "x", "g")})
    by_path = fit("y ~ 1 + (1 | g)", written)
    assert pp.compare_fits({"a": one, "b": by_path}).scores["b"].elpd_i == pytest.approx(
        by_path.loo().elpd_i[np.argsort(order)]
    )


def test_other_reasons_are_told_as_they_are(table):
    one = fit("y ~ x + (1 | g)", table)
    rows = fit("y ~ 1 + (1 | g)", table.iloc[:-1])
    with pytest.raises(pp.InputError, match=r"fits of different rows \(60 and 59\)"):
        pp.compare_fits({"a": one, "b": rows})
    response = fit("{2 * y} ~ 1 + (1 | g)", table)
    with pytest.raises(pp.InputError, match=r"have different responses \(y and 2 \* y\)"):
        pp.compare_fits({"a": one, "b": response})
    scaled = fit("y ~ x + (1 | g)", table.assign(x=10 * table["x"]))  # another predictor, same rows
    assert pp.compare_fits({"a": one, "b": scaled}).used.all()
    holes = table.assign(x=table["x"].where(table.index > 4))
    kept, left = fit("y ~ x", holes), fit("y ~ 1", holes.dropna())
    assert pp.compare_fits({"a": kept, "b": left}).used.sum() == N - 5
    answers = pd.DataFrame({"y": (Y > 1).astype(int), "x": X, "z": X[::-1]})
    a = fit("y ~ x", answers, family="bernoulli")
    b = fit("y ~ z", answers.iloc[::-1], family="bernoulli")
    with pytest.raises(pp.InputError, match="in another order, and some cannot be told apart"):
        pp.compare_fits({"a": a, "b": b})


# --- The command line -----------------------------------------------------------------------------


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_line_says_how_to_read(tmp_path, capsys):
    x = ["n/k" if k % 10 == 0 else str(v).replace(".", ",") for k, v in enumerate(X)]
    path = write(tmp_path / "t.csv", y=Y, x=x, g=G)
    end = ["--seed", "1", "--chains", "2", "--draws", "100", "--warmup", "100"]
    code, out, err = run(capsys, "fit", path, "y ~ x + (1 | g)", *end)
    assert (code, out) == (2, "")
    assert err == (
        "error: the column `x` has text among its numbers (`n/k`) (rows 1, 11, 21, …, counted from "
        "1): correct it; if it stands for missing values, say so: `--na …`; if all are labels, "
        "`--text …`.\n"
    )
    saved = tmp_path / "fit.nc"
    arguments = ["--na", "n/k", "--out", saved]
    code, out, err = run(capsys, "fit", path, "y ~ x + (1 | g)", *end, *arguments)
    assert code in (0, 1)
    assert "54 rows of t.csv" in out
    assert "`x` is read with decimal commas" in err
    code, out, err = run(capsys, "predict", saved, path, "--na", "n/k", "--decimal", ",")
    assert code == 0
    assert "no prediction for 6 rows with missing values (`x`)" in err
    code, out, err = run(capsys, "predict", saved, path, "--na", "n/k", "--decimal", ".")
    assert code == 2
    assert "`--decimal` says otherwise" in err
    code, out, err = run(capsys, "fit", path, "y ~ (1 | g)", *end, "--text", "g", "--encoding", "x")
    assert (code, err) == (
        2,
        'error: `--encoding` is \'x\', which is not known: give one such as "utf-8", "latin-1", '
        '"cp1252" or "utf-16".\n',
    )
    code, out, err = run(capsys, "compare", path, "y ~ x + (1 | g)", *end, "--na", "n/k")
    assert code in (0, 1)
    assert "54 rows of t.csv" in out


def test_csv_output_keeps_labels_as_they_are(tmp_path, capsys):
    labels = np.array(["=cmd|' /C calc'!A0", "+1", "@x", "-y", "a,b", 'q"'], dtype=object)[G]
    path = write(tmp_path / "t.csv", y=Y, g=labels)
    out = tmp_path / "c.csv"
    code, _, _ = run(
        capsys,
        "fit",
        path,
        "y ~ 1 + (1 | g)",
        "--seed",
        "1",
        "--draws",
        "100",
        "--coefficients",
        out,
    )
    assert code in (0, 1)
    with open(out, newline="", encoding="utf-8") as file:
        assert {row["level"] for row in csv.DictReader(file)} == set(labels)
