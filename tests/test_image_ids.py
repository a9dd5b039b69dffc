"""Image ids as columns: the same ids, the same order, the same digest as of their texts."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.errors import CorruptFileError
from noisyweb.image_ids import IdSet, Texts, digest_of, find, ids_of, text_of, unique

# Few different ends and beginnings, and zeros, which are what bytes in numpy lack at their end.
PART = st.sampled_from(["00", "01", "7f", "ff"])
TEXTS = st.lists(st.tuples(PART, PART, PART).map(lambda parts: f"{parts[0]:0<16}{parts[1]:0>32}{parts[2]:0<16}"))


@settings(deadline=None, max_examples=100)
@given(TEXTS, TEXTS, st.integers(0, 5))
def test_a_column_says_what_the_texts_say(texts: list[str], others: list[str], cut: int) -> None:
    ids = ids_of(texts)
    assert text_of(ids).to_pylist() == list(Texts(ids)) == texts
    assert [Texts(ids)[place] for place in range(len(texts))] == texts
    assert list(Texts(ids)[cut:]) == texts[cut:]
    column = pa.chunked_array([pa.array(texts, pa.string())[cut:], pa.array(others, pa.string())])
    assert list(Texts(ids_of(column))) == texts[cut:] + others
    known = unique([ids, ids])
    assert list(Texts(known)) == sorted(set(texts))
    assert digest_of(known) == hashlib.sha256("\n".join(sorted(set(texts))).encode()).hexdigest()
    rows = find(known, ids_of(others))
    assert [sorted(set(texts))[row] if row >= 0 else None for row in rows] == [
        text if text in texts else None for text in others
    ]
    one = IdSet(known)
    assert [text in one for text in others] == [text in texts for text in others]
    for text in others:
        one.add(text)
    assert all(text in one for text in texts + others)


@pytest.mark.parametrize("wrong", ["A" * 64, "a" * 63, "", "g" + "0" * 63, None])
def test_what_is_no_id_is_refused(wrong: str | None) -> None:
    with pytest.raises(CorruptFileError, match="expected 64 hexadecimal digits"):
        ids_of(pa.array(["0" * 64, wrong, "1" * 64], pa.string()))
