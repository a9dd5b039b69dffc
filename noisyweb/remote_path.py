"""Paths on a store that fsspec reaches (S3, Google Cloud, memory, ...), with the part of pathlib that reading needs."""

from __future__ import annotations

import contextlib
import fnmatch
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from noisyweb.errors import MissingExtraError, RemoteError, SourceError
from noisyweb.patience import patient
from noisyweb.plain_url import check_plain, is_url
from noisyweb.range_file import RangeFile
from noisyweb.remote_errors import remote_errors, shown, told
from noisyweb.remote_info import version_of, when_put

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Place", "RemotePath", "is_url", "open_parquet", "place_of"]

_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "gcs": ("gcsfs", "gs")}

_BLOCK_BYTES = 16 * 2**20
_S3_PARTS = {"chunksize": _BLOCK_BYTES, "max_concurrency": 4}
_TRIES = 5

Result = TypeVar("Result")


@dataclass(frozen=True, repr=False)
class RemotePath:
    """A file or folder at an fsspec URL; pickled, it opens its store afresh in the other process.

    Attributes:
        url: with whatever credentials the user wrote into it; print the path itself instead.
    """

    url: str

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({shown(self.url)!r})"

    def __truediv__(self, name: str) -> RemotePath:
        base, mark, query = self.url.partition("?")
        return RemotePath(f"{base.rstrip('/')}/{name}{mark}{query}")

    def __lt__(self, other: RemotePath) -> bool:
        return self.url < other.url

    @property
    def name(self) -> str:
        """The last part."""
        rest = self.url.partition("?")[0].partition("://")[2].rstrip("/")
        return rest.rpartition("/")[2] if "/" in rest else rest.rpartition("@")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in; the root of the store is its own."""
        base, mark, query = self.url.partition("?")
        protocol, _, rest = base.rstrip("/").partition("://")
        above = rest.rpartition("/")[0]
        return RemotePath(f"{protocol}://{above}{mark}{query}") if above else self

    def _opened(self) -> tuple[Any, str]:
        """The fsspec file system, and what it calls this path.

        fsspec keeps one a process, so that a forked process gets its own.

        Raises:
            MissingExtraError: a package is missing.
            SourceError: no such protocol, or no plain URL.
        """
        from fsspec.core import url_to_fs

        check_plain(self.url)
        protocol = self.url.partition("://")[0].lower()
        try:
            with remote_errors(self.url):
                fs, path = url_to_fs(self.url)
                fs.invalidate_cache()  # of listings: others write there too
                return fs, str(path).rstrip("/")
        except ImportError as error:
            if protocol in _EXTRAS:
                raise MissingExtraError(*_EXTRAS[protocol], f"{protocol}://") from error
            raise SourceError(f"{shown(self.url)}: {protocol}:// needs a package ({told(error, self.url)})") from error
        except ValueError as error:
            raise SourceError(f"{shown(self.url)}: not a URL that fsspec knows ({told(error, self.url)})") from error

    def _ask(self, request: Callable[[Any, str], Result], writing: bool = False) -> Result:
        """What the store says to a request, which may be made again; see `noisyweb.patience`."""
        fs, path = self._opened()
        with remote_errors(self.url, writing):
            return patient(lambda: request(fs, path))

    def info(self) -> dict[str, Any] | None:
        """What the store says of the file or folder, as fsspec words it; None if nothing is there."""

        def ask(fs: Any, path: str) -> dict[str, Any] | None:
            try:
                fs.invalidate_cache()
                found: dict[str, Any] = fs.info(path)
            except FileNotFoundError:
                return None
            return found

        return self._ask(ask)

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        return self.info() is not None

    def is_file(self) -> bool:
        """Whether a file is there."""
        info = self.info()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        """Whether a folder is there; on an object store: whether anything is below it."""
        info = self.info()
        return info is not None and info["type"] == "directory"

    def num_bytes(self) -> int:
        """Size of the file."""
        return int(self._ask(lambda fs, path: fs.info(path)["size"]))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What is below and matches, sorted; ``*`` stands for a part of one name."""
        first, _, rest = pattern.partition("/")
        for name, is_folder in self.children():
            if fnmatch.fnmatchcase(name, first):
                if rest and is_folder:
                    yield from (self / name).glob(rest)
                elif not rest and (is_folder or not pattern.endswith("/")):
                    yield self / name

    def children(self) -> list[tuple[str, bool]]:
        """Names directly below, sorted, and whether each is a folder; one request for each thousand."""

        def ask(fs: Any, path: str) -> tuple[str, list[dict[str, Any]]]:
            try:
                fs.invalidate_cache()
                return path, fs.ls(path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return path, []

        path, listed = self._ask(ask)
        inside = [
            (entry["name"].rstrip("/"), entry["type"]) for entry in listed if entry["name"].startswith(f"{path}/")
        ]
        pairs = [(name[len(path) + 1 :], kind == "directory") for name, kind in inside]
        return sorted({pair for pair in pairs if pair[0] not in ("", ".", "..")})

    def files(self) -> dict[str, RemotePath]:
        """All files below by their relative paths, as the store names them; of a file, itself by the empty name."""
        return {name: self / name if name else self for name in self.times()}

    def times(self) -> dict[str, datetime | None]:
        """The files below, as `files` names them, and when each was put there, by the store's clock."""

        def ask(fs: Any, path: str) -> tuple[str, dict[str, dict[str, Any]]]:
            try:
                fs.invalidate_cache()
                return path, fs.find(path, detail=True)
            except FileNotFoundError:
                return path, {}

        path, found = self._ask(ask)
        below = {
            name[len(path) + 1 :]: when_put(info)
            for name, info in sorted(found.items())
            if name == path or name.startswith(f"{path}/")
        }
        return {name: time for name, time in below.items() if not name.endswith("/")}

    def open(self, mode: Literal["rb"] = "rb") -> io.RawIOBase:
        """The file, for reading; each read is one request for its range of bytes."""
        return RangeFile(str(self), self.num_bytes(), self.read_bytes)

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """The file's bytes from ``start`` to before ``end``, in one request, so that they are of one version."""

        def ask(fs: Any, path: str) -> bytes:
            data: bytes
            if start == 0 and end is None:  # no range, since an empty file has none
                data = fs.cat_file(path, **({"max_concurrency": 1} if _is_s3(fs) else {}))
            else:
                data = fs.cat_file(path, start=start, end=end)
            return data

        return self._ask(ask)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The file's text."""
        return self.read_bytes().decode(encoding)

    def download(self, to: Path) -> None:
        """Copy the file to a local path, all of it of one version.

        Raises:
            SourceError: there is no such file.
            RemoteError: it is being replaced again and again.
        """
        for _ in range(_TRIES):
            info = self.info()
            if info is None or info["type"] != "file":
                raise SourceError(f"{self}: there is nothing; check the URL")
            size = int(info["size"])
            with to.open("wb") as target:
                if size <= _BLOCK_BYTES:
                    target.write(self.read_bytes())
                    return
                # a range beyond the end of a shorter, newer version fails or is short: then it is not the same
                with contextlib.suppress(RemoteError):
                    for start in range(0, size, _BLOCK_BYTES):
                        target.write(self.read_bytes(start, min(size, start + _BLOCK_BYTES)))
                is_whole = target.tell() == size
            if is_whole and version_of(self.info()) == version_of(info):
                return
        raise RemoteError(f"{self}: it changed {_TRIES} times while it was read, or its ranges do not come; try again")

    def write_bytes(self, data: bytes) -> None:
        """Put a file there, whole, in place of what is there; never makes a bucket."""
        self._ask(lambda fs, path: fs.pipe_file(path, data), writing=True)

    def upload(self, source: Path) -> None:
        """Put a local file there, in place of what is there; never makes a bucket."""

        def ask(fs: Any, path: str) -> None:
            if type(fs).__name__ == "MemoryFileSystem":  # it would show the file while it is copied
                fs.pipe_file(path, source.read_bytes())
            else:
                fs.put_file(str(source), path, **(_S3_PARTS if _is_s3(fs) else {}))

        self._ask(ask, writing=True)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""

        def ask(fs: Any, path: str) -> None:
            with contextlib.suppress(*((FileNotFoundError,) if missing_ok else ())):
                fs.rm_file(path)

        self._ask(ask)


Place = Path | RemotePath


def _is_s3(fs: Any) -> bool:
    return "s3" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,))


def place_of(place: str | Place) -> Place:
    """A local path as a `Path` (also of a ``file://`` URL), another URL as a `RemotePath`.

    Raises:
        SourceError: not a plain URL but, for instance, a chain such as ``zip://a::s3://b``.
    """
    if isinstance(place, Path | RemotePath) or not is_url(place):
        return Path(place) if isinstance(place, str) else place
    check_plain(place)
    if place.lower().startswith(("file://", "local://")):
        from fsspec.core import url_to_fs

        return Path(url_to_fs(place)[1])
    return RemotePath(place)


def open_parquet(file: Place, pre_buffer: bool = False) -> pq.ParquetFile:
    """Open a Parquet file with its page checksums checked.

    Args:
        file: a local path, which Arrow opens by itself, or a remote one, of which only the ranges asked for are read.
        pre_buffer: fetch the columns in few large requests; what was fetched stays in memory while the file is read.
    """
    import pyarrow.parquet as pq  # here, since worker processes that only store images use paths too

    if isinstance(file, Path):
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=pre_buffer)
    return pq.ParquetFile(file.open(), page_checksum_verification=True, pre_buffer=pre_buffer)
