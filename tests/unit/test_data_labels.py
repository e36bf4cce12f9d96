"""Labels: kept as they stand, and met by whatever type carries them."""

import csv
import decimal
import itertools
import string

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import partialpool.data.lines
from helpers import rebuild
from partialpool.data import label, open_table, read
from partialpool.data.labels import match_labels
from partialpool.data.reading import WORDS
from partialpool.design import build_design
from partialpool.errors import InputError
from partialpool.formula import parse_formula


def levels_of(data, formula="y ~ 1 + (1 | g)"):
    return build_design(parse_formula(formula), data).factors[0].levels.tolist()


def write(path, names, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(names)
        writer.writerows(rows)
    return path


@pytest.fixture(params=["lines", "duckdb"])
def reader(request, monkeypatch):
    """Small files and others are read by different code."""
    if request.param == "duckdb":
        monkeypatch.setattr(partialpool.data.lines, "SMALL", -1)
    return request.param


KEPT = {
    "leading zeros": ["01", "1", "001", "2"],
    "long ids": ["89490200001000000000", "89490200001000000001", "89490200001000000002"],
    "powers of ten": ["1E1", "10", "1e1", "10.0"],
    "signs": ["+5", "5", "-0", "0"],
    "beyond floats": ["1E400", "2E400", "7"],
    "blanks and capitals": [" Yes", "Yes", "yes", "Yes "],
    "truth": ["TRUE", "true", "FALSE"],
    "dates": ["2020-01-01", "2020-01-01 00:00", "2021-12-31"],
    "text with numbers": ["1", "01", "a"],
    "quotes and lines": ['a"b', "a,b", "a\nb", "a;b"],
    "formulas": ["=cmd|' /C calc'!A0", "@x", "+x"],
    "signs that are labels": ["-", "+", "?"],
    "none": ["None", "Low", "High"],
}


@pytest.mark.parametrize("name", KEPT)
def test_levels_of_a_file_never_merge(name, tmp_path, reader):
    labels = KEPT[name]
    rows = [(k * k % 7 + 0.5, text) for k, text in enumerate(labels * 3)]
    found = levels_of(write(tmp_path / "t.csv", ("y", "g"), rows))
    assert sorted(map(label, found)) == sorted(labels)


def test_levels_are_in_the_order_of_numbers(tmp_path, reader):
    rows = [(k / 3, text) for k, text in enumerate(["10", "9", "09", "1E1"] * 2)]
    assert levels_of(write(tmp_path / "t.csv", ("y", "g"), rows)) == ["09", "9", "10", "1E1"]
    rows = [(k / 3, text) for k, text in enumerate(["10", "9", "2", "NA"] * 2)]
    assert levels_of(write(tmp_path / "t.csv", ("y", "g"), rows)) == [2, 9, 10]


TEXT = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=6
)
LABELS = st.lists(
    st.one_of(TEXT, st.text(string.digits, min_size=1, max_size=22), st.sampled_from(
        list(itertools.chain(*KEPT.values()))
    )).filter(lambda text: text.strip() and text.strip() not in WORDS),
    min_size=2,
    max_size=10,
    unique=True,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(LABELS, st.sampled_from(",;\t"), st.booleans())
def test_any_labels_of_a_file_are_its_levels(tmp_path_factory, labels, delimiter, small):
    path = tmp_path_factory.mktemp("labels") / "t.csv"
    rows = [(k * k % 11 + 0.5, text) for k, text in enumerate(labels * 2)]
    write(path, ("y", "g"), rows, delimiter)
    before = partialpool.data.lines.SMALL
    partialpool.data.lines.SMALL = before if small else -1
    try:
        found = levels_of(read(path, text="g"))
        assert sorted(found) == sorted(labels)
        # A label more, and nobody takes them for numbers.
        rows += [(1.25, "a label")] * 2
        write(path, ("y", "g"), rows, delimiter)
        assert sorted(levels_of(path)) == sorted({*labels, "a label"})
    finally:
        partialpool.data.lines.SMALL = before


IDS = [2**53 + 1, 2**53, 2**53 + 2, 7]
LARGE = [12345678901234567890123, 12345678901234567890124, 12345678901234567890125, 7]
CARRIERS = {
    "lists": lambda ids: ids,
    "decimals": lambda ids: list(map(decimal.Decimal, ids)),
    "objects": lambda ids: pd.Series(ids, dtype=object),
    "arrow decimals": lambda ids: pa.array(
        list(map(decimal.Decimal, ids)), type=pa.decimal128(38, 0)
    ),
    "polars decimals": lambda ids: pl.Series(list(map(decimal.Decimal, ids)), dtype=pl.Decimal(38)),
    "polars 128 bits": lambda ids: pl.Series(ids, dtype=pl.Int128),
    "missing": lambda ids: [None, *ids[:-1]],
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("ids", [IDS, LARGE], ids=["53 bits", "74 bits"])
def test_large_whole_numbers_stay_apart(carrier, ids):
    values = CARRIERS[carrier](ids * 2)
    found = levels_of({"y": np.arange(len(values)) * 1.5, "g": values})
    expected = ids[:-1] if carrier == "missing" else ids
    assert sorted(map(label, found)) == sorted({*map(str, expected), *map(str, ids)})


def test_hugeint_and_decimal_of_duckdb_stay_apart():
    import duckdb

    relation = duckdb.sql(
        "SELECT i * 1.5 AS y, (12345678901234567890123::HUGEINT + i % 3) AS g, "
        "(12345678901234567890::DECIMAL(30, 2) + i % 2) AS h FROM range(9) t(i)"
    )
    assert len(levels_of(relation)) == 3
    assert levels_of(relation, "y ~ 1 + (1 | h)") == [
        "12345678901234567890",
        "12345678901234567891",
    ]


@pytest.mark.parametrize("values", [[2.0**60, 1.0, 2.0], np.array([2.0**60, 1.0, 2.0])])
def test_floats_beyond_whole_numbers_are_no_levels(values):
    with pytest.raises(InputError, match="beyond 2⁵³ as floats, which round them"):
        levels_of({"y": [1.0, 2.0, 4.0], "g": values})


def test_whole_floats_are_levels_as_the_numbers_that_they_are():
    found = levels_of({"y": [1.0, 2.0, 4.0], "g": [3.0, np.nan, 10.0]})
    assert list(map(str, found)) == ["3", "10"]


# --- New data -------------------------------------------------------------------------------------

SAME = {
    "integers": np.array([5, 20]),
    "small integers": np.array([5, 20], dtype=np.int8),
    "floats": np.array([5.0, 20.0]),
    "text": ["5", "20"],
    "text of floats": ["5.0", "2e1"],
    "decimals": [decimal.Decimal("5.00"), decimal.Decimal(20)],
    "categories": pd.Categorical([5, 20]),
    "categories of text": pd.Categorical(["5", "20"]),
    "categories of floats": pd.Categorical([5.0, 20.0]),
    "nullable": pd.array([5, 20], dtype="Int64"),
    "arrow": pa.array([5, 20]),
    "arrow text": pa.array(["5", "20"]),
    "polars": pl.Series([5, 20]),
    "polars text": pl.Series(["5", "20"]),
    "polars categories": pl.Series(["5", "20"], dtype=pl.Categorical),
    "objects": np.array([5, "20"], dtype=object),
}
TEXTUAL = {name for name in SAME if "text" in name or name.startswith("polars c")} | {"objects"}
TEXTUAL.remove("text of floats")
Y = np.array([1.0, 2.0, 4.0, 8.0, 3.0, 5.0, 9.0, 2.0])


@pytest.mark.parametrize("new", SAME)
@pytest.mark.parametrize("old", SAME)
def test_levels_and_categories_meet_new_data_by_their_label(old, new):
    if {old, new} & {"text of floats"} and {old, new} & TEXTUAL:
        pytest.skip("two texts are two labels")
    where = [0, 1, 0, 1, 1, 0, 1, 0]

    def repeated(values, where):
        if isinstance(values, (pa.Array, pl.Series)):
            return values.take(where) if isinstance(values, pa.Array) else values[where]
        if isinstance(values, list):
            return [values[k] for k in where]
        return values[where]

    data = {"y": Y, "g": repeated(SAME[old], where)}
    for formula in ("y ~ 1 + (1 | g)", "y ~ C(g)"):
        design = build_design(parse_formula(formula), data)
        made = rebuild(design.plan, {"g": repeated(SAME[new], [1, 0, 1])})
        if design.factors:
            order = [float(level) for level in design.factors[0].levels]
            assert [order[k] for k in made.codes[0]] == [20.0, 5.0, 20.0]
        else:
            rows = {float(v): tuple(x) for v, x in zip(np.array([5, 20])[where], design.X,
                                                        strict=True)}  # fmt: skip
            assert [tuple(x) for x in made.X] == [rows[20.0], rows[5.0], rows[20.0]]


def test_zero_padded_levels_meet_numbers_unless_that_is_not_clear():
    padded = ["01", "02", "01", "02"]
    plan = build_design(parse_formula("y ~ 1 + (1 | g)"), {"y": Y[:4], "g": padded}).plan
    assert rebuild(plan, {"g": [2, 1, 3]}).codes[0].tolist() == [1, 0, -1]
    assert rebuild(plan, {"g": ["02", "2"]}).codes[0].tolist() == [1, -1]  # text is as it stands
    both = ["01", "1", "001", "1"]
    plan = build_design(parse_formula("y ~ 1 + (1 | g)"), {"y": Y[:4], "g": both}).plan
    assert rebuild(plan, {"g": [1]}).codes[0].tolist() == [2]
    three = ["01", "001", "01", "001"]
    plan = build_design(parse_formula("y ~ 1 + (1 | g)"), {"y": Y[:4], "g": three}).plan
    with pytest.raises(InputError, match="value 1 of the grouping column `g` could be `001` or"):
        rebuild(plan, {"g": [1]})


VALUES = st.one_of(
    st.integers(-50, 50),
    st.integers(-50, 50).map(float),
    st.integers(-50, 50).map(str),
    st.sampled_from(["a", "b", "05", "5.0"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6, unique_by=label), VALUES)
def test_a_value_meets_its_own_label_first(known, value):
    names = [label(level) for level in known]
    same = [k for k in known if not isinstance(k, str) or not isinstance(value, str)]
    numbers = [float(k) for k in same if label(k) not in ("a", "b")]
    if label(value) not in names and label(value) not in ("a", "b"):
        assume(numbers.count(float(value)) < 2)
    place = match_labels([value], known, "`g`")[0]
    if label(value) in names:
        assert names[place] == label(value)
    elif place >= 0:
        assert float(known[place]) == float(value)
        assert not (isinstance(value, str) and isinstance(known[place], str))


def test_truth_meets_truth():
    assert match_labels(["true", "FALSE", 1, 0.0], [False, True], "`g`") == [1, 0, 1, 0]
    assert match_labels([True, False], ["TRUE", "FALSE"], "`g`") == [0, 1]
    assert match_labels(["yes", 2], [False, True], "`g`") == [-1, -1]


def test_dates_meet_text(tmp_path):
    days = ["2020-01-01", "2020-01-02", "2020-01-01", "2020-01-02"]
    rows = list(zip(Y[:4], days, strict=True))
    plan = build_design(
        parse_formula("y ~ 1 + (1 | g)"), write(tmp_path / "t.csv", ("y", "g"), rows)
    ).plan
    new = {"g": pd.to_datetime(["2020-01-02", "2020-01-05"])}
    assert rebuild(plan, new).codes[0].tolist() == [1, -1]
    dates = {"y": Y[:4], "g": pd.to_datetime(days)}
    plan = build_design(parse_formula("y ~ 1 + (1 | g)"), dates).plan
    assert rebuild(plan, {"g": days[1:3]}).codes[0].tolist() == [1, 0]


# --- The same answer, however the table is given --------------------------------------------------

CELLS = {
    "x": st.lists(st.floats(-1e6, 1e6).map(lambda v: f"{v:.6g}"), min_size=12, max_size=12),
    "n": st.lists(st.one_of(st.integers(-99, 99).map(str), st.sampled_from(["NA", ""])),
                  min_size=12, max_size=12),
    "f": st.lists(st.sampled_from(["a", "b", "c", "NA", " b"]), min_size=12, max_size=12),
    "g": st.lists(st.sampled_from(["u1", "u2", "3", "NA"]), min_size=12, max_size=12),
    "k": st.lists(st.integers(0, 4).map(str), min_size=12, max_size=12),
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries(CELLS), st.booleans())
def test_path_pandas_polars_and_parquet_give_the_same_design(tmp_path_factory, cells, small):
    folder = tmp_path_factory.mktemp("same")
    data = {"y": [f"{k * k % 7 + k / 10:g}" for k in range(12)], **cells}
    path = write(folder / "t.csv", list(data), list(zip(*data.values(), strict=True)))
    frame = pd.read_csv(path)
    tables = {"path": path, "pandas": frame}
    tables["nullable"] = pd.read_csv(path, dtype_backend="numpy_nullable")
    tables["arrow"] = pd.read_csv(path, dtype_backend="pyarrow")
    tables["polars"] = pl.from_pandas(frame)
    pl.from_pandas(frame).write_parquet(folder / "t.parquet")
    tables["parquet"] = folder / "t.parquet"
    before = partialpool.data.lines.SMALL
    partialpool.data.lines.SMALL = before if small else -1
    try:
        made = {name: outcome(table) for name, table in tables.items()}
    finally:
        partialpool.data.lines.SMALL = before
    for name, found in made.items():
        assert found == made["path"], name


def outcome(table):
    try:
        d = build_design(parse_formula("y ~ x + n + f + C(k) + (1 | g) + (1 | k)"), table)
    except InputError as error:
        return str(error).replace("t.csv", "the table")
    labels = [list(map(label, factor.levels.tolist())) for factor in d.factors]
    return d.columns, d.X.tolist(), labels, d.rows.tolist(), d.y.tolist()


def test_small_files_and_others_are_read_alike(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    cells = ["", "1", "01", "2.5", "1,5", "-", "NA", "true", "2020-01-01", "a", " 5", "1_0", "nan"]
    cells += ["inf", "1e5", "0x1F", '"q"', "a,b", "a\nb", "12345678901234567890", "1e999", "é", " "]
    for k in range(40):
        width, n = rng.integers(1, 4), rng.integers(1, 9)
        columns = [
            rng.choice(cells, n) if rng.random() < 0.5 else rng.choice(["1", "2.5", "NA", ""], n)
            for _ in range(width)
        ]
        names = [f"c{j}" for j in range(width)]
        path = write(tmp_path / f"{k}.csv", names, list(zip(*columns, strict=True)), ",;"[k % 2])
        monkeypatch.setattr(partialpool.data.lines, "SMALL", 10**6)
        here = read_all(path)
        monkeypatch.setattr(partialpool.data.lines, "SMALL", -1)
        assert read_all(path) == here


def read_all(path):
    try:
        source = open_table(path)
        table = source.take(source.names, source.names)
    except InputError as error:
        return str(error)
    found = {}
    for name, c in table.columns.items():
        shown = c.labels if c.labels.dtype.kind == "M" else c.labels.tolist()
        labels = [None if m else label(v) for v, m in zip(shown, c.missing, strict=True)]
        numbers = [None if m else v for v, m in zip(c.values.tolist(), c.missing, strict=True)]
        found[name] = c.kind, labels, numbers, c.notes, c.said
    return found
