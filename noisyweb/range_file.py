"""A file that is read by ranges, as Arrow wants files."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from noisyweb.errors import RemoteError


class RangeFile(io.RawIOBase):
    """Each read is one request. It holds no connection, so that it survives a fork.

    Args:
        name: what errors call it.
        size: of the file, in bytes.
        fetch: the file's bytes from a position to before another.
    """

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._name, self._size, self._fetch, self._at = name, size, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes.

        Raises:
            RemoteError: fewer or more came than were asked for.
        """
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        data = self._fetch(self._at, end)
        if len(data) != end - self._at:
            raise RemoteError(
                f"{self._name}: asked for {end - self._at:,} bytes, {len(data):,} came; "
                "the file has changed, or its server knows no ranges: try again, or copy it here first"
            )
        self._at = end
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
