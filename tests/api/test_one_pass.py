"""`one_pass`: when a table is read in batches, what a fit says of it, and what it lacks then."""

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import astuple

import partialpool as pp
from partialpool import limits
from partialpool.batches import batches
from partialpool.cli import main
from partialpool.scan import scan as scanning

FORMULA = "y ~ x + (x | id)"
PASSED = "; the table was read in one pass, and its rows were not kept"


def table(n=600, levels=25):
    rng = np.random.default_rng(7)
    id_ = rng.integers(0, levels, n)
    x = rng.normal(size=n)
    y = 1 + x * (0.5 + rng.normal(0, 0.3, levels)[id_]) + rng.normal(size=levels)[id_]
    return pd.DataFrame({"id": id_, "x": x, "y": y + rng.normal(size=n)})


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def fits(data):
    """The same model of the same rows, read whole and in one pass."""
    return tuple(pp.fit(FORMULA, data, seed=1, one_pass=asked) for asked in (False, True))


@pytest.fixture
def small(monkeypatch):
    """A table of more than 500 rows is a large one."""
    monkeypatch.setattr(limits, "ONE_PASS", 500)
    monkeypatch.setattr(batches, "ROWS", 64)


def test_draws_are_the_same_but_for_rounding(fits):
    whole, passed = fits
    assert np.allclose(passed.summary()["mean"], whole.summary()["mean"], atol=1e-6)
    assert np.allclose(passed.summary()["sd"], whole.summary()["sd"], rtol=1e-4)
    ours, theirs = passed.coefficients(), whole.coefficients()
    assert list(ours.index) == list(theirs.index)
    assert np.allclose(ours["mean"], theirs["mean"], atol=1e-6)


def test_a_fit_says_how_it_read_the_table(fits):
    whole, passed = fits
    assert passed.method_reason == whole.method_reason + PASSED
    assert passed.provenance.one_pass
    assert not whole.provenance.one_pass
    assert passed.design is None
    assert "read in one pass" in str(passed)
    assert passed.provenance.n_rows == 600


def test_what_needs_rows_says_that_there_are_none(fits, data):
    passed = fits[1]
    for asked in (passed.loo, passed.check, passed.residuals, lambda: passed.kfold(5)):
        with pytest.raises(pp.InputError, match="read its rows in one pass and kept none of them"):
            asked()
    with pytest.raises(pp.InputError, match=r"one pass .*: give them as `new`"):
        passed.predict()
    with pytest.raises(pp.InputError, match=r"one pass .*: give them as `data`"):
        passed.effects("x")
    assert np.allclose(
        passed.predict(data.head(5), seed=2)["mean"], fits[0].predict(data.head(5), seed=2)["mean"]
    )


def test_a_saved_fit_still_knows_it(fits, tmp_path):
    fits[1].save(tmp_path / "passed.nc")
    again = pp.load(tmp_path / "passed.nc")
    assert again.provenance.one_pass
    assert again.method_reason.endswith(PASSED)
    with pytest.raises(pp.InputError, match="in one pass and kept none"):
        again.loo()
    assert np.allclose(again.coefficients()["mean"], fits[1].coefficients()["mean"])


def test_large_tables_are_read_in_one_pass_where_the_model_allows(small, data):
    assert pp.fit(FORMULA, data, seed=1).design is None
    assert pp.fit(FORMULA, data.head(500), seed=1).design is not None
    assert pp.fit(FORMULA, data, seed=1, one_pass=False).design is not None
    assert pp.fit("y ~ poly(x, 2) + (1 | id)", data, seed=1).design is not None
    assert pp.fit("y ~ x", data, seed=1, method="nuts", draws=50).design is not None
    student = pp.fit("y ~ x", data, seed=1, family="student_t", draws=50)
    assert student.design is not None


@pytest.mark.parametrize(
    ("formula", "options", "why"),
    [
        ("y ~ poly(x, 2)", {}, r"`poly\(x, degree=2\)` needs all values of a column at once"),
        ("y ~ x", {"family": "student_t"}, "the student_t family is not Gaussian"),
        ("y ~ x", {"sigma": "~ x"}, "`sigma` has a formula of its own"),
        ("y ~ x", {"method": "nuts"}, 'method="nuts" walks over single rows'),
        ("y ~ x", {"weights": np.ones(600)}, "`weights` is given as one value a row"),
        ("scale(y) ~ x", {}, r"the response `scale\(y\)` depends on all its values"),
        (
            "y ~ center(x - mean(x))",
            {},
            r"`center\(x - mean\(x\)\)` needs all values of a column at once",
        ),
    ],
)
def test_what_cannot_be_read_in_one_pass_says_why(data, formula, options, why):
    with pytest.raises(pp.InputError, match=f"cannot be read in one pass: {why}"):
        pp.fit(formula, data, one_pass=True, **options)


def test_priors_that_do_not_integrate(small, data):
    options = {"pooling": "none", "priors": {"coef_id": "student_t(3, 0, 1)"}, "draws": 50}
    assert pp.fit("y ~ x + (1 | id)", data, seed=1, **options).design is not None
    with pytest.raises(pp.NotYetError, match="one pass"):
        pp.fit("y ~ x + (1 | id)", data, seed=1, one_pass=True, **options)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_estimates(data, method):
    whole, passed = (pp.fit(FORMULA, data, method=method, one_pass=a) for a in (False, True))
    assert np.allclose(whole.summary()["estimate"], passed.summary()["estimate"], rtol=1e-6)


def test_default_priors_of_a_large_table(small, data, monkeypatch):
    given = data.assign(f=np.where(data["x"] > 0, "up", "down"))
    formula = "y ~ x * f + (x | id)"
    passed = pp.default_priors(formula, given)
    monkeypatch.setattr(limits, "ONE_PASS", 10_000)
    whole = pp.default_priors(formula, given)
    assert passed.keys() == whole.keys()
    for name, prior in whole.items():
        own, found = (
            [v for v in astuple(one) if isinstance(v, float)] for one in (prior, passed[name])
        )
        assert np.allclose(own, found, rtol=1e-9)


class Exported:
    """Something of a library that nobody knows, with the interface of Arrow."""

    def __init__(self, arrow):
        self.arrow = arrow

    def __arrow_c_stream__(self, requested_schema=None):
        return self.arrow.__arrow_c_stream__(requested_schema)


def sources(data, folder):
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds

    arrow = pa.Table.from_pandas(data)
    data.to_parquet(folder / "rows.parquet")
    data.to_csv(folder / "rows.csv", index=False)
    dataset = ds.dataset(folder / "rows.parquet")
    with duckdb.connect(str(folder / "d.duckdb")) as database:
        database.execute("CREATE TABLE t AS SELECT * FROM data")
    return {
        "pandas": data,
        "polars": pl.from_pandas(data),
        "lazy": pl.scan_parquet(folder / "rows.parquet").filter(pl.col("x") < 1e9),
        "arrow": arrow,
        "dataset": dataset,
        "scanner": dataset.scanner(),
        "reader": arrow.to_reader(),
        "batch": arrow.combine_chunks().to_batches()[0],
        "exported": Exported(arrow),
        "relation": duckdb.sql("SELECT * FROM data"),
        "parquet": folder / "rows.parquet",
        "csv": folder / "rows.csv",
        "table": f"{folder / 'd.duckdb'}::t",
        "arrays": {name: data[name].to_numpy() for name in data},
    }


NAMES = (
    *("pandas", "polars", "lazy", "arrow", "dataset", "scanner", "reader", "batch", "exported"),
    *("relation", "parquet", "csv", "table", "arrays"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("one_pass", [None, True])
def test_any_table(name, one_pass, data, fits, tmp_path):
    given = sources(data, tmp_path)[name]
    fit = pp.fit(FORMULA, given, seed=1, one_pass=one_pass)
    assert (fit.design is None) == bool(one_pass)
    assert np.allclose(fit.summary()["mean"], fits[0].summary()["mean"], atol=1e-5)


def test_a_stream_that_is_small_is_read_whole(small, data):
    import pyarrow as pa

    stream = pa.Table.from_pandas(data.head(400)).to_reader(max_chunksize=100)
    assert pp.fit(FORMULA, stream, seed=1).design.n_rows == 400
    stream = pa.Table.from_pandas(data).to_reader(max_chunksize=100)
    assert pp.fit(FORMULA, stream, seed=1).provenance.n_rows == 600
    # Its rows were held to see how many there are, and are read whole.
    stream = pa.Table.from_pandas(data).to_reader(max_chunksize=100)
    assert pp.fit("y ~ poly(x, 2)", stream, seed=1).design.n_rows == 600


def test_from_the_command_line(tmp_path, data, capsys):
    data.to_parquet(tmp_path / "rows.parquet")
    rows = str(tmp_path / "rows.parquet")
    assert main(["fit", rows, FORMULA, "--seed", "1", "--one-pass"]) == 0
    assert PASSED[2:] in " ".join(capsys.readouterr().out.split())
    assert main(["fit", rows, FORMULA, "--seed", "1", "--no-one-pass"]) == 0
    assert "in one pass" not in capsys.readouterr().out
    assert main(["fit", rows, "y ~ poly(x, 2)", "--one-pass"]) == 2
    assert "leave `--one-pass` out" in capsys.readouterr().err


def test_an_interrupt_while_rows_are_read(tmp_path, data, capsys, monkeypatch):
    data.to_parquet(tmp_path / "rows.parquet")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scanning, "complete_batch", stopped)
    command = ["fit", str(tmp_path / "rows.parquet"), FORMULA, "--one-pass"]
    assert main([*command, "--out", str(tmp_path / "fit.nc")]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_progress_counts_rows(monkeypatch, data):
    seen = []
    monkeypatch.setattr("partialpool.progress.bar.PATIENCE", 0.0)
    monkeypatch.setattr(batches, "ROWS", 64)
    shown = "partialpool.progress.bar.Terminal.show"
    monkeypatch.setattr(shown, lambda self, lines: seen.append(lines[0]))
    monkeypatch.setattr("partialpool.progress.bar.Terminal.stop", lambda self, lines: None)
    pp.fit("y ~ scale(x) + (1 | id)", data, seed=1, one_pass=True, progress=True)
    rows = [line for line in seen if line.name == "reading"]
    assert rows[-1].done == rows[-1].total == 1200  # two passes
    assert "1,200/1,200 rows" in rows[-1].words


def test_one_pass_is_yes_or_no(data):
    with pytest.raises(pp.InputError, match="`one_pass` is 3"):
        pp.fit(FORMULA, data, one_pass=3)


# --- Again, and side by side ----------------------------------------------------------------------


def alike(one, other):
    """Means within Monte Carlo error: rounding decides whether a proposal is taken."""
    one, other = one.summary(), other.summary()
    return bool((abs(one["mean"] - other["mean"]) < 0.1 * one["sd"]).all())


def test_updates_read_other_rows_as_the_fit_did(fits, data, small):
    new = table(n=400)  # too few to be read in one pass by themselves
    whole, passed = (fit.update(data=new) for fit in fits)
    assert whole.design is not None
    assert passed.provenance.one_pass
    assert alike(passed, whole)
    assert fits[0].update(data=data).provenance.one_pass  # as large tables are
    # What one pass does not do is done with all rows.
    for changes in (
        {"family": "student_t", "draws": 50},
        {"formula": ". ~ poly(x, 2) + (1 | id)"},
        {"pooling": "none", "priors": {"coef_id": "student_t(3, 0, 1)"}, "draws": 50},
    ):
        assert fits[1].update(data=new, **changes).design is not None
    with pytest.raises(pp.InputError, match="in one pass and kept none of them: give them as"):
        passed.update(draws=50)


def test_estimates_are_updated_likewise(data, small):
    passed = pp.fit(FORMULA, data, method="reml", one_pass=True)
    new = table(n=400)
    again, whole = passed.update(data=new), pp.fit(FORMULA, new, method="reml")
    assert again.provenance.one_pass
    assert np.allclose(again.summary()["estimate"], whole.summary()["estimate"], rtol=1e-6)


def test_poolings_of_a_large_table_are_compared_without_its_rows(data, small, monkeypatch):
    passed = pp.compare(FORMULA, data, seed=1)
    assert all(fit.provenance.one_pass for fit in passed.fits.values())
    monkeypatch.setattr(limits, "ONE_PASS", 10_000)
    whole = pp.compare(FORMULA, data, seed=1)
    for pooling, fit in whole.fits.items():
        assert fit.design is not None
        assert alike(fit, passed.fits[pooling]), pooling
        assert np.allclose(passed.estimates[pooling], whole.estimates[pooling], atol=0.01)
    assert list(passed.table.columns) == list(whole.table.columns)
    own, other = (one.table.select_dtypes("number") for one in (passed, whole))
    shared = own.index[own.notna().all(axis=1)]
    assert len(shared) == 3
    assert np.allclose(own.loc[shared], other.loc[shared], atol=0.01)
    assert "no rows to leave out" in passed.sentence
    assert list(passed.plot.all()) == ["shrinkage", "levels", "coefficients"]
    assert set(passed.plot.all()) < set(whole.plot.all())
    for draw in passed.plot.all().values():
        draw()
    with pytest.raises(pp.InputError, match="in one pass and kept none of them"):
        passed.fits["partial"].loo()
    monkeypatch.setattr(limits, "ONE_PASS", 500)
    priors = {"coef_id": "student_t(3, 0, 1)"}  # no pooling needs the rows: so all have them
    found = pp.compare("y ~ x + (1 | id)", data, seed=1, priors=priors, draws=50)
    assert all(fit.design is not None for fit in found.fits.values())
    with pytest.raises(pp.NotYetError, match="one pass"):
        pp.compare("y ~ x + (1 | id)", data, seed=1, priors=priors, draws=50, one_pass=True)
