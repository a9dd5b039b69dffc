"""Images in tars, read where they lie: headers are listed once, nothing is unpacked.

Names of members are only ever compared, never used as paths. An archive with names that lead out of it, links, devices,
sparse or huge members is refused as a whole: none of the archives read here has any.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from noisyweb.clean_copies.places import MAX_IMAGE_BYTES, Place
from noisyweb.errors import CorruptFileError, SourceError

MAX_MEMBERS = 200_000
MAX_INNER_TAR_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a tar.

    Attributes:
        name: last part of its path in the archive.
        folder: the part before it; empty at the top.
        place: where its bytes lie.
    """

    name: str
    folder: str
    place: Place


def members(path: Path, within: Place | None = None) -> Iterator[Member]:
    """The files of a tar, in its order.

    Args:
        path: an uncompressed tar.
        within: the stretch of ``path`` that holds the tar, for one that is itself a member of another.

    Raises:
        CorruptFileError: it is damaged or cut off, or no tar.
        SourceError: it holds what no such archive holds; see above.
    """
    start, size = (within.offset, within.size) if within is not None else (0, None)
    try:
        with open(path, "rb") as raw:
            whole = raw.seek(0, io.SEEK_END)
            handle = io.BufferedReader(_Stretch(raw, start, whole - start if size is None else size))
            with tarfile.open(fileobj=handle, mode="r:") as archive:
                for count, info in enumerate(archive):
                    if count >= MAX_MEMBERS:
                        raise SourceError(f"{path}: more than {MAX_MEMBERS} members; expected an archive of images")
                    member = _checked(path, info, start)
                    if member is not None:
                        yield member
                handle.seek(archive.offset)
                _check_end(path, handle.read(tarfile.BLOCKSIZE))
    except (tarfile.TarError, EOFError, OverflowError, ValueError) as error:
        raise CorruptFileError(f"{path}: damaged or no tar ({error}); restore it from a copy") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); mend its permissions") from error


def _checked(path: Path, info: tarfile.TarInfo, start: int) -> Member | None:
    parts = info.name.split("/")
    if info.name.startswith("/") or ".." in parts or "\0" in info.name:
        raise SourceError(f"{path}: member {info.name!r} leads out of the archive; such an archive is not read")
    if info.isdir():
        return None
    if not info.isreg() or info.issparse():
        raise SourceError(f"{path}: member {info.name!r} is a link, device or sparse file; such an archive is not read")
    limit = MAX_INNER_TAR_BYTES if info.name.endswith(".tar") else MAX_IMAGE_BYTES
    if not 0 <= info.size <= limit:
        raise SourceError(f"{path}: member {info.name!r} has {info.size} bytes; expected {limit} at most")
    folder, _, name = info.name.rpartition("/")
    return Member(name, folder, Place(path, start + info.offset_data, info.size))


def _check_end(path: Path, block: bytes) -> None:
    """Tell a tar's end from damage: `tarfile` stops silently at both, and the missing images would not be noticed."""
    if block != bytes(tarfile.BLOCKSIZE):
        what = "it is cut off: its end mark is missing" if len(block) < tarfile.BLOCKSIZE else "a header is damaged"
        raise CorruptFileError(f"{path}: {what}; restore it from a copy")


class _Stretch(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, handle: BinaryIO, start: int, size: int) -> None:
        self._handle, self._start, self._size, self._at = handle, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._at))
        self._handle.seek(self._start + self._at)
        data = self._handle.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
