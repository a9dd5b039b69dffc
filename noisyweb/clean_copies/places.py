"""Where the bytes of an image lie: a file, or a stretch of one (of a tar, of a pickle)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from noisyweb.errors import CorruptFileError, SourceError

MAX_IMAGE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a file.

    Attributes:
        path: the file.
        offset: of the first byte.
        size: bytes; None: to the end of the file.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes.

        Raises:
            SourceError: the file is gone or unreadable, or the image is empty or larger than 64 MiB.
            CorruptFileError: the file has become shorter.
        """
        try:
            with open(self.path, "rb") as handle:
                size = os.fstat(handle.fileno()).st_size - self.offset if self.size is None else self.size
                if not 0 < size <= MAX_IMAGE_BYTES:
                    raise SourceError(
                        f"image {self.path}: {max(0, size)} bytes at {self.offset}; expected 1 to {MAX_IMAGE_BYTES}; "
                        "put the image back"
                    )
                handle.seek(self.offset)
                data = handle.read(size)
        except OSError as error:
            raise SourceError(f"image {self.path}: cannot be read ({error.strerror}); put it back") from error
        if len(data) != size:
            raise CorruptFileError(f"{self.path}: it ends within an image; restore it from a copy")
        return data
