"""What text says: numbers under one convention, missing marks, labels; and what is refused."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from partialpool.data import Column
from partialpool.data.conventions import CONVENTIONS, choose, is_plain
from partialpool.data.reading import SIGNS, WORDS, Reading
from partialpool.data.values import read_texts
from partialpool.errors import InputError
from partialpool.expressions.unclear import refuse_unclear


def column(texts, **how):
    explicit, doubtful = how.pop("explicit", False), how.pop("doubtful", False)
    values = np.array(texts, dtype=object)
    missing = np.array([text == "" for text in texts], dtype=bool)
    how = Reading(**how)
    return read_texts("x", values, missing, how, explicit=explicit, doubtful=doubtful)


def seen(found):
    return [None if m else v for v, m in zip(found.values.tolist(), found.missing, strict=True)]


def codes(found):
    return [note.code for note in found.notes]


NUMBERS = {
    "plain": (["1", "2.5", "-3e2", ".5", "5.", " 7 "], [1, 2.5, -300, 0.5, 5, 7], []),
    "whole": (["1", "2"], [1, 2], []),
    "infinite": (["inf", "-Infinity", "1"], [np.inf, -np.inf, 1], []),
    "commas": (["1,5", "2", "-,5", "1e3"], [1.5, 2, -0.5, 1000], ["number-format"]),
    "commas and points": (["1.234,5", "2,5"], [1234.5, 2.5], ["number-format"]),
    "points and commas": (["1,234.5", "2.5"], [1234.5, 2.5], ["number-format"]),
    "two groups": (["1,234,567", "89"], [1234567, 89], ["number-format"]),
    "blanks": (["1 234,5", "12"], [1234.5, 12], ["number-format"]),
    "narrow blanks": (["1\u202f234", "12.5"], [1234, 12.5], ["number-format"]),
    "apostrophes": (["1'234.50", "12"], [1234.5, 12], ["number-format"]),
    "percent": (["12%", "0.5 %", "-3%"], [0.12, 0.005, -0.03], ["number-format"]),
    "percent with commas": (["12,5%", "7%"], [0.125, 0.07], ["number-format"]),
    "printed minus": (["\u22125", "3"], [-5, 3], ["number-format"]),
    "leading zero decides": (["0,123", "12,345"], [0.123, 12.345], ["number-format"]),
    "common marks": (["1", "NA", "", "NaN"], [1, None, None, None], []),
    "other marks": (["1", ".", "-", "?", "NULL"], [1, None, None, None, None], ["missing-marks"]),
    "codes": (["01", "2"], [1, 2], ["leading-zeros"]),
    "huge": (["89490200001000000001", "7"], [89490200001000000001.0, 7], []),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    texts, values, notes = NUMBERS[name]
    found = column(texts)
    assert found.kind == "number"
    assert seen(found) == values
    assert codes(found) == notes
    # What they name stays as it stands.
    for text, label, gone in zip(texts, found.labels.tolist(), found.missing, strict=True):
        assert gone or str(label) == text


TEXTS = {
    "words": ["a", "b"],
    "two ways for thousands": ["1,234", "999"],
    "a mark without evidence": ["1.234", "2,5"],
    "underscores": ["1_000", "2"],
    "hexadecimal": ["0x1F", "2"],
    "other digits": ["\u0661", "2"],
    "mixed percent": ["5%", "0.5"],
    "two marks": ["1.5", "2,5"],
    "groups of two": ["1,23,456", "7"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_no_numbers_stay_as_they_are(name):
    found = column(TEXTS[name])
    assert found.kind == "string"
    assert found.values.tolist() == TEXTS[name]
    assert not found.missing.any()


def test_what_is_said_decides():
    assert seen(column(["1,234", "999"], decimal=".")) == [1234, 999]
    assert seen(column(["1,234", "999"], decimal=",")) == [1.234, 999]
    assert seen(column(["1.234", "999"], decimal=",")) == [1234, 999]
    assert column(["1.5", "2"], decimal=",").kind == "string"
    assert column(["1,5", "2"], decimal=".").kind == "string"
    assert seen(column(["1", "2"], text=("x",))) == ["1", "2"]
    assert seen(column(["1", "-99", "."], na=("-99", "."))) == [1, None, None]
    assert column(["1", "NA"], na=("-99",)).kind == "string"
    assert codes(column(["1", "."], na=(".",))) == []
    assert seen(column(["a", "-", "NA"], na=("-",))) == ["a", None, "NA"]


def test_a_point_is_doubtful_where_commas_are_decimal():
    assert column(["1.234", "12.345", "7"], doubtful=True).kind == "string"
    assert seen(column(["1.234", "12.345"])) == [1.234, 12.345]
    for decided in (["1.234", "0.345"], ["1.234", "2.5"], ["1", "2"]):
        assert column(decided, doubtful=True).kind == "number"


def test_words_for_missing_values_are_labels_where_the_table_says_that_it_is_text():
    assert seen(column(["a", "NA", "-", ""])) == ["a", None, "-", None]
    assert codes(column(["a", "NA", "-", ""])) == ["missing-marks"]
    found = read_texts("x", np.array(["a", "NA", ""], dtype=object), np.zeros(3, dtype=bool))
    assert found.values.tolist() == ["a", "NA", ""]
    assert not found.missing.any()


def test_whole_numbers_that_are_said_to_be_text_stay_text_and_others_do_not():
    assert column(["1", "2", "10"], explicit=True).kind == "string"
    assert column(["01", "2"], explicit=True).kind == "string"
    assert column(["1.5", "2"], explicit=True).kind == "number"
    assert column(["1,5", "2"], explicit=True).kind == "number"
    assert column(["1", "NA"], explicit=True).kind == "number"


def test_truth_and_dates():
    found = column(["TRUE", "false", "True", ""])
    assert (found.kind, seen(found)) == ("boolean", [True, False, True, None])
    assert found.labels.tolist() == ["TRUE", "false", "True", ""]
    found = column(["2020-01-31", "2020-02-01 05:00", "NA"])
    assert found.kind == "date"
    assert found.missing.tolist() == [False, False, True]
    assert found.values[1] == np.datetime64("2020-02-01T05:00")
    assert column(["2020-02-30", "2020-02-01"]).kind == "string"
    assert column(["01/02/2020"]).kind == "string"


@pytest.mark.parametrize("mark", sorted(WORDS | SIGNS))
def test_every_mark_is_missing_among_numbers_however_few(mark):
    found = column(["0", "1", mark])
    assert (found.kind, seen(found)) == ("number", [0, 1, None])


REFUSED = {
    "stray": (
        ["abc" if k == 7 else str(k) for k in range(30)],
        r"text among its numbers \(`abc`\) \(row 8, counted from 1\): correct it.*na=.*text=",
    ),
    "two strays": (
        ["abc" if k in (7, 9) else str(k) for k in range(30)],
        r"\(`abc`\) \(rows 8, 10, counted from 1\)",
    ),
    "few distinct": (["0", "1"] * 20 + ["high"], r"text among its numbers \(`high`\) \(row 41"),
    "mixture": (["1.5", "2,5", "3"], "decimal points and others with decimal commas"),
    "mixed percent": (["5%", "0.5", "7%"], "has numbers with percent signs and others with"),
    "two ways": (["1,234", "999"], r"more than one way: `1,234` may be (1234 or 1.234|1.234 or)"),
    "no evidence": (["1.234", "2,5"], "more than one way: `1.234` may be"),
    "days": (["01/02/2020", "3/4/2021"], r"holds dates \(`01/02/2020`\): write `C\(x\)`"),
    "times": (["10:30", "9:05"], "holds times"),
    "units": ([f"{k / 7:.2f} kg" for k in range(30)], "numbers with something beside them"),
    "money": ([f"${k}.50" for k in range(30)], "numbers with something beside them"),
    "less than": ([f"<{k}" if k % 5 else f"{k}" for k in range(30)], "something beside them"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_that_is_neither_numbers_nor_categories(name):
    texts, message = REFUSED[name]
    found = column(texts)
    assert found.kind == "string"
    with pytest.raises(InputError, match=message):
        refuse_unclear(found, np.arange(len(texts)))


FINE = {
    "words": ["a", "b"] * 20,
    "doses": ["5 mg", "10 mg", "20 mg"] * 10,
    "grades": ["9", "10", "11", "12", "K"] * 4,
    "names with digits": [f"site{k}" for k in range(50)],
    "versions": [f"v{k}.1" for k in range(50)],
    "nothing but marks": ["-", "?"],
}


@pytest.mark.parametrize("name", FINE)
def test_text_that_is_categories(name):
    found = column(FINE[name])
    assert found.kind == "string"
    refuse_unclear(found, np.arange(len(FINE[name])))


def test_many_numbers_that_are_said_to_be_text_are_no_categories():
    many = column([str(k) for k in range(30)], explicit=True)
    with pytest.raises(InputError, match=r"is text, but holds numbers, 30 different ones: turn"):
        refuse_unclear(many, np.arange(30))
    refuse_unclear(many, np.arange(30), number=True)
    refuse_unclear(column([str(k) for k in range(12)], explicit=True), np.arange(12))
    for texts in ([str(k) for k in range(30)], ["1", "2", "x"] * 10):
        refuse_unclear(column(texts, text=("x",)), np.arange(30))


def test_rows_are_those_of_the_table():
    values = np.array([*map(str, range(30)), "abc"], dtype=object)
    text = Column("x", "string", values, np.zeros(31, dtype=bool), said="nobody")
    with pytest.raises(InputError, match=r"\(row 131, counted from 1\)"):
        refuse_unclear(text, np.arange(100, 131))


WAYS = st.sampled_from(CONVENTIONS)
NUMBER = st.tuples(st.integers(0, 10**9), st.integers(0, 999), st.booleans(), st.booleans())


def written(convention, number):
    whole, part, fraction, negative = number
    text = f"{whole:,}".replace(",", convention.thousands) if convention.thousands else str(whole)
    text = "-" * negative + text
    if fraction:
        text += f"{convention.decimal}{part:03d}"
    value = float(f"{'-' * negative}{whole}.{part if fraction else 0:03d}")
    return text + "%" * convention.percent, value


@settings(max_examples=300, deadline=None)
@given(WAYS, st.lists(NUMBER, min_size=1, max_size=20))
def test_numbers_written_in_one_way_are_read_as_they_are_or_refused(convention, numbers):
    pairs = [written(convention, number) for number in numbers]
    texts, values = map(list, zip(*pairs, strict=True))
    found = column(texts)
    if convention != CONVENTIONS[0]:  # 1.000 is taken for what programs write
        assume(not all(map(is_plain, texts)))
    if found.kind == "string":  # it may be meant in two ways
        with pytest.raises(InputError, match=r"more than one way|decimal mark or stand between"):
            refuse_unclear(found, np.arange(len(texts)))
        found = column(texts, decimal=convention.decimal)
        assert found.kind == "number"
    scale = 0.01 if convention.percent else 1.0
    np.testing.assert_allclose(found.values.astype(float), np.array(values) * scale, rtol=1e-14)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=8))
def test_any_text_is_numbers_or_stays_as_it_stands(texts):
    found = column(texts)
    for text, value, gone in zip(texts, found.labels.tolist(), found.missing, strict=True):
        if gone:
            assert Reading().is_mark(text.strip())
        elif found.kind == "number":
            bare = text.strip()
            assert is_plain(bare) or choose([bare], ".") or choose([bare], ",")
            assert str(value) == text
        else:
            assert value == text


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False))
def test_every_float_that_python_writes_is_read_exactly(value):
    found = column([repr(value), "1"])
    assert found.kind == "number"
    assert found.values[0] == value
