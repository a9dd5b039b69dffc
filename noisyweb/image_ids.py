"""Image ids as columns: 32 bytes each, where a Python text takes 113. Texts are made of them where they are told.

An image id is the SHA-256 of the image's bytes, 64 hexadecimal digits as text. Ascending columns sort like the texts.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.errors import CorruptFileError

NUM_BYTES = 32
NUM_DIGITS = 2 * NUM_BYTES

Ids = npt.NDArray[np.bytes_]
"""N ids, 32 bytes each. An element by itself lacks its trailing zeros: use `text_of`."""
Ints = npt.NDArray[np.int64]

NONE: Ids = np.empty(0, f"S{NUM_BYTES}")

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_VALUES = np.full(256, 255, np.uint8)
_VALUES[_DIGITS] = np.arange(16)
_TOLD = 1 << 16


def ids_of(texts: pa.Array | pa.ChunkedArray | Sequence[str]) -> Ids:
    """Ids of their texts.

    Raises:
        CorruptFileError: one is no 64 hexadecimal digits, in lower case.
    """
    if isinstance(texts, pa.ChunkedArray):
        return np.concatenate([NONE, *map(ids_of, texts.chunks)])
    if not isinstance(texts, pa.Array):
        return np.concatenate([NONE, *(_ids_of(pa.array(part, pa.string())) for part in _parts(texts))])
    return _ids_of(texts)


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + _TOLD] for start in range(0, len(texts), _TOLD))


def _ids_of(texts: pa.Array) -> Ids:
    if not len(texts):
        return NONE
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset :][: len(texts) + 1]
    is_whole = np.diff(ends) == NUM_DIGITS
    if is_whole.all() and not texts.null_count:
        values = _VALUES[np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]]
        is_whole = (values < 16).reshape(-1, NUM_DIGITS).all(axis=1)
        if is_whole.all():
            return np.asarray((values[::2] << 4 | values[1::2]).view(NONE.dtype))
    wrong = texts[int(np.argmin(is_whole))].as_py()
    raise CorruptFileError(f"image id {wrong!r}: expected {NUM_DIGITS} hexadecimal digits (SHA-256)")


def text_of(ids: Ids) -> pa.StringArray:
    """The texts of some million ids at the most."""
    digits = _digits_of(ids).reshape(-1)
    ends = np.arange(len(ids) + 1, dtype=np.int32) * np.int32(NUM_DIGITS)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(digits))


def _digits_of(ids: Ids) -> npt.NDArray[np.uint8]:
    values = np.ascontiguousarray(ids).view(np.uint8)
    return _DIGITS[np.stack([values >> 4, values & 15], axis=1)].reshape(len(ids), NUM_DIGITS)


def unique(pieces: Iterable[Ids]) -> Ids:
    """The different ids of some columns, ascending."""
    ids = np.concatenate([NONE, *pieces])
    ids.sort()
    is_new = np.ones(len(ids), bool)
    is_new[1:] = ids[1:] != ids[:-1]
    return ids if is_new.all() else ids[is_new]


def find(ids: Ids, wanted: Ids) -> Ints:
    """The row of each wanted id among ascending ones; -1: it is not there."""
    if not len(ids):
        return np.full(len(wanted), -1)
    order = np.argsort(wanted)  # looked up in their order, neighbours are near each other in memory: five times as fast
    rows = np.empty(len(wanted), np.int64)
    rows[order] = np.searchsorted(ids, wanted[order])
    rows[rows == len(ids)] = 0
    rows[ids[rows] != wanted] = -1
    return rows


def digest_of(ids: Ids) -> str:
    """SHA-256 over the texts of different ids, ascending, a line each: which images they are."""
    total = hashlib.sha256()
    for start in range(0, len(ids), _TOLD):
        part = ids[start : start + _TOLD]
        lines = np.full((len(part), 1 + NUM_DIGITS), ord("\n"), np.uint8)
        lines[:, 1:] = _digits_of(part)
        total.update(lines.reshape(-1)[0 if start else 1 :].data)
    return total.hexdigest()


class Texts(Sequence[str]):
    """A column that reads as texts, each made when it is asked for."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, place):  # type: ignore[no-untyped-def]  # int: a text; slice: a column
        if isinstance(place, slice):
            return Texts(self._ids[place])
        return self._ids[place : place + 1 or None].tobytes().hex()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self._ids), _TOLD):
            yield from text_of(self._ids[start : start + _TOLD]).to_pylist()


class IdSet:
    """A set of ids that is asked for one text at a time, 40 bytes each; later ones take some 130.

    Args:
        ids: ascending, each once.
    """

    def __init__(self, ids: Ids) -> None:
        self._bytes = np.ascontiguousarray(ids).view(np.uint8).data
        self._heads = np.ascontiguousarray(ids).view(">u8")[:: NUM_BYTES // 8].astype(np.uint64).data
        self._later: set[bytes] = set()

    def __contains__(self, text: str) -> bool:
        value = bytes.fromhex(text)
        if value in self._later:
            return True
        head = int.from_bytes(value[:8], "big")
        place = bisect_left(self._heads, head)
        while place < len(self._heads) and self._heads[place] == head:
            if self._bytes[place * NUM_BYTES : (place + 1) * NUM_BYTES] == value:
                return True
            place += 1
        return False

    def add(self, text: str) -> None:
        """Take in one more."""
        self._later.add(bytes.fromhex(text))
