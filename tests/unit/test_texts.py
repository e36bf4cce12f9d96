"""Texts that come in batches: the place of each row's text, whatever Arrow makes of a column."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

import partialpool as pp
from partialpool.batches.texts import Texts
from partialpool.data.framed import TextKind
from partialpool.data.reading import USUAL

WORDS = ["", "a", "a ", "A", "ä", "日本", "\0", "x" * 300, "01", "1", "one, two"]


def forms(texts):
    """A column in the forms in which it may come."""
    plain = pa.array(texts, pa.string())
    places = {text: k + 1 for k, text in enumerate(WORDS)}
    return {
        "string": plain,
        "large": plain.cast(pa.large_string()),
        "view": plain.cast(pa.string_view()),
        "dictionary": plain.dictionary_encode(),
        "unsigned": plain.dictionary_encode().cast(pa.dictionary(pa.uint32(), pa.string())),
        "chunks": pa.chunked_array([plain[:7], plain[7:7], plain[7:]]),
        "no chunks": pa.chunked_array([], pa.string()),
        "sliced": pa.concat_arrays([pa.array(["before"]), plain, pa.array(["after"])])[1:-1],
        "dictionary with a null": pa.DictionaryArray.from_arrays(
            pa.array([places.get(text, 0) for text in texts], pa.int32()),
            pa.array([None, *WORDS]),
        ),
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("form", forms([]))
def test_rows_get_back_their_texts(form, seed):
    rng = np.random.default_rng(seed)
    pool = [*WORDS, None, *(f"key {k}" for k in range(0 if "null" in form else 500))]
    texts = [pool[k] for k in rng.integers(0, len(pool), 2000)]
    first, second = forms(texts[:900])[form], forms(texts[900:])[form]
    index = Texts(TextKind())
    index.look(first)
    index.look(second)
    index.settle("id", USUAL)
    for own in (index, pickle.loads(pickle.dumps(index))):
        for some in (first, second):
            column, places = own.rows(some)
            expected = some.to_pylist()
            known = column.texts if column.texts is not None else column.values
            assert [None if place < 0 else known[k] for k, place in enumerate(places)] == expected
            assert np.array_equal(column.missing, [text is None for text in expected])
            # Equal texts have equal places, and others have others.
            assert len({*zip(expected, places.tolist(), strict=True)}) == len({*expected})


def test_a_text_that_was_not_there_at_first_is_no_missing_value():
    index = Texts(TextKind())
    index.look(pa.array(["a", None, "b"]))
    index.settle("id", USUAL)
    assert index.rows(pa.array([None, "b"]))[1].tolist() == [-1, 1]
    with pytest.raises(pp.InputError, match="`id` has a value that was not there"):
        index.rows(pa.array(["a", "c"]))
