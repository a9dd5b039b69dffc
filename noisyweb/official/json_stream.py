"""Reading the annotations of Controlled Noisy Web Labels: a large JSON file, one image at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_CHUNK_CHARACTERS = 1 << 16
_MAX_VALUE_CHARACTERS = 1 << 24


def images(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of ``{"data": [[{...}], ...]}`` in the file's order, without holding them all.

    Raises:
        ValueError: the file is none of that form.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig") as handle:
        stream = _Stream(handle)
        stream.expect("{")
        while not stream.skips("}"):
            name = stream.value()
            stream.expect(":")
            if name == "data":
                stream.expect("[")
                yield from _items(stream)
                return
            stream.value()
            stream.skips(",")
    raise ValueError('no "data" in it')


def _items(stream: _Stream) -> Iterator[dict[str, Any]]:
    while not stream.skips("]"):
        item = stream.value()
        for annotation in item if isinstance(item, list) else [item]:
            if not isinstance(annotation, dict):
                raise ValueError(f'"data" has {str(annotation)[:40]!r} where an object is expected')
            yield annotation
        stream.skips(",")


class _Stream:
    """A text file as a row of JSON values and the marks between them."""

    def __init__(self, handle: TextIO) -> None:
        self._handle, self._text, self._at = handle, "", 0
        self._decoder = json.JSONDecoder()

    def skips(self, mark: str) -> bool:
        """Step over a mark, if it is next."""
        if self._next() != mark:
            return False
        self._at += 1
        return True

    def expect(self, mark: str) -> None:
        """Step over a mark that must be next."""
        if not self.skips(mark):
            raise ValueError(f"{self._next()!r} where {mark!r} is expected")

    def value(self) -> Any:
        """The next value, however it lies across chunks."""
        self._next()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
                whole = end < len(self._text)  # else "12" may be the beginning of "123"
            except ValueError:
                if len(self._text) - self._at > _MAX_VALUE_CHARACTERS:
                    raise
                whole = False
            if whole:
                self._at = end
                return found
            # As much again as there is: a long value costs no more than twice its length.
            if not self._read(max(_CHUNK_CHARACTERS, len(self._text) - self._at)):
                found, self._at = self._decoder.raw_decode(self._text, self._at)
                return found

    def _next(self) -> str:
        """The next character that is no space."""
        while True:
            rest = self._text[self._at : self._at + 1]
            if rest and not rest.isspace():
                return rest
            if not rest and not self._read(_CHUNK_CHARACTERS):
                raise ValueError("it ends too early")
            self._at += bool(rest)

    def _read(self, num_characters: int) -> bool:
        more = self._handle.read(num_characters)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)
