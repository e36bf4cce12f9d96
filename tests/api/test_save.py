"""Saved fits come back as they were; damaged and foreign files never load."""

import datetime
from pathlib import Path

import h5netcdf
import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from helpers import assert_same_rows

RNG = np.random.default_rng(31)
N = 24
Y, X = RNG.normal(size=N), RNG.normal(size=N)
LEVELS = {
    "strings": ["a", "ü", "", "long " * 50],
    "with NUL": ["a\0b", "a", "\0", "b"],
    "integers": [3, -1, 2**40, 0],
    "unsigned": np.array([1, 2**64 - 1, 5, 7], dtype=np.uint64),
    "floats": [0.0, 7.0, -2.0, 1e15],
    "bools": [True, False, True, False],
    "dates": [datetime.date(2020, 1, d) for d in (4, 1, 2, 3)],
    "times": np.array(["2020-01-01T10", "1969-12-31", "2020-01-02", "2021-05-05"], "M8[ns]"),
    "categories": pd.Categorical(["z", "a", "m", "b"], categories=["z", "m", "b", "a"]),
}
FORMULA = "y ~ x + (x | g)"
FILES = Path(__file__).parent / "files"


def fitted(levels=LEVELS["strings"], formula=FORMULA, **options):
    rows = np.resize(np.arange(4), N)
    g = levels[rows] if hasattr(levels, "take") else [levels[k] for k in rows]
    data = {"y": Y, "x": X, "g": g}
    return pp.fit(formula, data, **{"draws": 30, "warmup": 30, "seed": 9} | options)


def assert_same(one, other):
    assert repr(other) == repr(one)
    assert other._repr_html_() == one._repr_html_()
    pd.testing.assert_frame_equal(other.summary(), one.summary())
    pd.testing.assert_frame_equal(other.coefficients(), one.coefficients())
    assert other.draws.identical(one.draws)
    assert (other.findings, other.priors, other.seed) == (one.findings, one.priors, one.seed)
    assert other.provenance == one.provenance
    assert other.formula == one.formula
    assert_same_rows(other.design, one.design)


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_come_back(kind, tmp_path):
    fit = fitted(LEVELS[kind])
    fit.save(tmp_path / "fit.nc")
    back = pp.load(tmp_path / "fit.nc")
    assert_same(fit, back)
    before, after = fit.model.sole_group.levels, back.model.sole_group.levels
    assert before.dtype == after.dtype
    assert [type(level) for level in before.tolist()] == [type(level) for level in after.tolist()]
    level = before.tolist()[-1]
    if kind not in ("dates", "times"):
        assert np.array_equal(back.group_draws([level]), fit.group_draws([level]))


MODELS = {
    "no groups": ("y ~ x", {}),
    "intercepts": ("y ~ x + (1 | g)", {}),
    "no intercept": ("y ~ 0 + x + (0 + x | g)", {}),
    "se": ("y ~ x + (1 | g)", {"se": np.ones(N)}),
    "weights": ("y ~ x + (1 | g)", {"weights": np.full(N, 2.0), "offset": X}),
    "sampled": (FORMULA, {"priors": {"b[x]": pp.StudentT(3), "sd_g": "half_cauchy(2)"}}),
    "elementwise": (FORMULA, {"priors": {"cor_g": pp.Uniform(-0.5, 0.5)}}),
    "large seed": (FORMULA, {"seed": 2**64 - 1}),
    "one chain": (FORMULA, {"chains": 1, "interval": 0.8}),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_come_back(name, tmp_path):
    formula, options = MODELS[name]
    fit = fitted(formula=formula, **options)
    fit.save(str(tmp_path / "fit.nc"))
    assert_same(fit, pp.load(str(tmp_path / "fit.nc")))


def test_texts_that_netcdf_cannot_hold_come_back(tmp_path):
    """As levels, as predictors, which name coefficients, and as ordered responses."""
    ordered = ["a\0b", "c", "\0d"]
    data = {
        "y": pd.Categorical(np.resize(ordered, N).tolist(), ordered, ordered=True),
        "x": np.resize(np.array(["d\0", "e", "f"], dtype=object), N),
        "g": np.resize(["\0a", "c", "\udc80", "\ud800"], N),
    }
    options = {"family": "cumulative", "draws": 30, "warmup": 30, "seed": 9}
    fit = pp.fit("y ~ x + (1 | g)", data, **options)
    fit.save(tmp_path / "fit.nc")
    back = pp.load(tmp_path / "fit.nc")
    assert repr(back) == repr(fit)
    assert back.model.sole_group.levels.tolist() == fit.model.sole_group.levels.tolist()
    assert "\udc80" in back.model.sole_group.levels.tolist()
    assert (back.model.columns, back.model.categories) == (fit.model.columns, tuple(ordered))
    assert_same_rows(back.design, fit.design)


def test_a_loaded_fit_can_be_saved_again(tmp_path):
    fit = fitted()
    fit.save(tmp_path / "one.nc")
    pp.load(tmp_path / "one.nc").save(tmp_path / "two.nc")
    assert_same(fit, pp.load(tmp_path / "two.nc"))


def test_rows_with_missing_values_and_weight_zero_come_back(tmp_path):
    data = {"y": Y.copy(), "x": X, "g": np.resize(list("abc"), N), "w": np.resize([1.0, 2, 0], N)}
    data["y"][3] = np.nan
    fit = pp.fit("y ~ x + (1 | g)", data, weights="w", draws=30, warmup=30, seed=9)
    fit.save(tmp_path / "fit.nc")
    back = pp.load(tmp_path / "fit.nc")
    assert_same(fit, back)
    assert (back.design.n_dropped, back.design.n_zero_weight) == (1, 8)
    assert back.loo().pointwise.index.tolist() == fit.loo().pointwise.index.tolist()


@pytest.mark.parametrize("kind", LEVELS)
def test_held_out_scores_come_back(kind, tmp_path):
    fit = fitted(LEVELS[kind])
    before = [fit.loo(), fit.loo(by="group"), fit.kfold(k=2)]
    fit.save(tmp_path / "fit.nc", rows=False)
    back = pp.load(tmp_path / "fit.nc")
    assert back.design is None
    for one, other in zip(before, [back.loo(), back.loo(by="group"), back.kfold(k=2)], strict=True):
        assert repr(other) == repr(one)
        assert other.findings == one.findings
        pd.testing.assert_frame_equal(other.pointwise, one.pointwise, check_exact=True)
    with pytest.raises(pp.InputError, match=r"saved without the rows .*: compute this before"):
        back.kfold(k=3)


def test_a_loaded_fit_is_refitted_alike(tmp_path):
    fit = fitted()
    fit.save(tmp_path / "fit.nc")
    back = pp.load(tmp_path / "fit.nc")
    assert np.array_equal(back.kfold(k=2).elpd_i, fit.kfold(k=2).elpd_i)


def test_saving_replaces_and_leaves_nothing_behind(tmp_path):
    fitted(seed=1).save(tmp_path / "fit.nc")
    fitted(seed=2).save(tmp_path / "fit.nc")
    assert pp.load(tmp_path / "fit.nc").seed == 2
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    fitted(seed=1).save(tmp_path / "fit.nc")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(pp.InputError, match=r"cannot be written .*No space left"):
        fitted(seed=2).save(tmp_path / "fit.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]
    assert pp.load(tmp_path / "fit.nc").seed == 1


def test_paths_that_cannot_be_written(tmp_path):
    fit = fitted()
    with pytest.raises(pp.InputError, match=r"there is no folder `.*missing`: make it first"):
        fit.save(tmp_path / "missing" / "fit.nc")
    with pytest.raises(pp.InputError, match="is not an ordinary file: choose another path"):
        fit.save(tmp_path)
    with pytest.raises(pp.InputError, match=r"written \(File name too long\): choose another"):
        fit.save(tmp_path / ("long" * 99))
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_adds_to_a_reason_is_left_out(tmp_path):
    from partialpool.writing import replacing

    details = "Unable to create file (unable to open file: name = 'x', errno = 13)"
    for error in (PermissionError(13, details), OSError(f"{details}")):
        with pytest.raises(pp.InputError) as caught, replacing(tmp_path / "fit.nc"):
            raise error
        reason = "Permission denied" if error.errno else "Unable to create file"
        assert str(caught.value).endswith(f"cannot be written ({reason}): choose another path.")


@pytest.mark.parametrize("path", [None, 3, b"fit.nc", "a\0b"])
def test_what_is_no_path(path):
    for ask in (pp.load, fitted().save):
        with pytest.raises(pp.InputError, match=r"^`path` is .*: give the path of a file, as text"):
            ask(path)


def test_truncated_files_never_load(tmp_path):
    fitted().save(tmp_path / "fit.nc")
    whole = (tmp_path / "fit.nc").read_bytes()
    lengths = {0, 1, 8, 100, 512, 2048, len(whole) - 1, *range(0, len(whole), 4096)}
    for length in sorted(lengths):
        (tmp_path / "cut.nc").write_bytes(whole[:length])
        with pytest.raises(pp.InputError, match="damaged or not a partialpool fit"):
            pp.load(tmp_path / "cut.nc")


def test_overwritten_pieces_never_load_as_something_else(tmp_path):
    # Numbers that change unnoticed would be a silently wrong answer: a changed byte is an error,
    # or lies where it changes nothing.
    fit = fitted()
    fit.save(tmp_path / "fit.nc")
    whole = (tmp_path / "fit.nc").read_bytes()
    wrong = 0
    for start in np.linspace(0, len(whole) - 64, 80).astype(int):
        (tmp_path / "bad.nc").write_bytes(whole[:start] + b"\xa5" * 64 + whole[start + 64 :])
        try:
            back = pp.load(tmp_path / "bad.nc")
        except pp.InputError:
            continue
        wrong += repr(back) != repr(fit) or not back.draws.identical(fit.draws)
    assert wrong == 0


def test_foreign_files(tmp_path):
    for name, content in {"text.nc": b"hello", "zip.nc": b"PK\x03\x04" + bytes(100)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(pp.InputError, match="damaged or not a partialpool fit"):
            pp.load(tmp_path / name)
    with h5netcdf.File(tmp_path / "other.nc", "w") as file:
        file.dimensions["x"] = 3
        file.create_variable("x", ("x",), float)[...] = np.arange(3.0)
    with pytest.raises(pp.InputError, match="is not a partialpool fit"):
        pp.load(tmp_path / "other.nc")
    with pytest.raises(pp.InputError, match=r"there is no file `.*missing.nc`: check the path"):
        pp.load(tmp_path / "missing.nc")
    with pytest.raises(pp.InputError, match="is a folder: give the path of a saved fit"):
        pp.load(tmp_path)


def test_files_of_a_later_version(tmp_path):
    fitted().save(tmp_path / "fit.nc")
    with h5netcdf.File(tmp_path / "fit.nc", "a") as file:
        file.attrs["partialpool"] = '{"format": 99, "version": "9.1"}'
    with pytest.raises(pp.InputError, match=r"written by partialpool 9\.1: upgrade"):
        pp.load(tmp_path / "fit.nc")


def test_files_of_an_earlier_version(tmp_path):
    """Format 2, as it was written: it has no rows and no scores."""
    back = pp.load(FILES / "format2.nc")
    assert back.formula == "y ~ x + (1 | g)"
    assert back.coefficients()["level"].tolist() == ["a", "b", "c"]
    assert back.predict({"x": [0.0], "g": ["a"]}).shape == (1, 6)
    with pytest.raises(pp.InputError, match="saved without the rows"):
        back.check()
    back.save(tmp_path / "again.nc")
    assert repr(pp.load(tmp_path / "again.nc")) == repr(back)


def test_files_of_version_0_1_0():
    """Format 3, as it was written: predictions and rows by the coding of that version."""
    back = pp.load(FILES / "format3.nc")
    new = {
        "x": [-0.436435, -1.169802],
        "z": [2.904219, 1.766175],
        "f": ["b", "a"],
        "b": [True, True],
        "g": ["u", "v"],
    }
    found = back.predict(new, kind="mean")["mean"]
    assert found.to_numpy() == pytest.approx([-0.146393, -0.360824], abs=2e-6)  # as it said
    assert back.design.columns == back.model.columns
    assert back.design.n_rows == 60
    assert np.isfinite(back.loo().elpd)


def test_files_of_the_first_version(tmp_path):
    fitted().save(tmp_path / "fit.nc")
    with h5netcdf.File(tmp_path / "fit.nc", "a") as file:
        file.attrs["partialpool"] = '{"format": 1, "version": "0.0.1"}'
    with pytest.raises(pp.InputError, match=r"an older version .*: fit again"):
        pp.load(tmp_path / "fit.nc")
