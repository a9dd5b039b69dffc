"""Paths on a store that fsspec reaches (S3, Google Cloud, memory, ...), with the part of pathlib that reading needs."""

from __future__ import annotations

import fnmatch
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from noisyweb.errors import MissingExtraError, SourceError
from noisyweb.range_file import RangeFile
from noisyweb.remote_errors import remote_errors, shown, told

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C: is a drive
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "gcs": ("gcsfs", "gs")}

_BLOCK_BYTES = 16_000_000


def is_url(place: str) -> bool:
    """Whether a text is an fsspec URL (``s3://...``, ``memory://...``, ``file:///...``) and not a path."""
    return _URL.match(place) is not None


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

        _check_plain(self.url)
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

    def _info(self) -> dict[str, Any] | None:
        fs, path = self._opened()
        with remote_errors(self.url):
            try:
                found: dict[str, Any] = fs.info(path)
            except FileNotFoundError:
                return None
            return found

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        return self._info() is not None

    def is_file(self) -> bool:
        """Whether a file is there."""
        info = self._info()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        """Whether a folder is there; on an object store: whether anything is below it."""
        info = self._info()
        return info is not None and info["type"] == "directory"

    def num_bytes(self) -> int:
        """Size of the file."""
        fs, path = self._opened()
        with remote_errors(self.url):
            return int(fs.info(path)["size"])

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What is below and matches, sorted; ``*`` stands for a part of one name."""
        first, _, rest = pattern.partition("/")
        for name, is_folder in self._children():
            if fnmatch.fnmatchcase(name, first):
                if rest and is_folder:
                    yield from (self / name).glob(rest)
                elif not rest and (is_folder or not pattern.endswith("/")):
                    yield self / name

    def _children(self) -> list[tuple[str, bool]]:
        """Names directly below, and whether each is a folder."""
        fs, path = self._opened()
        with remote_errors(self.url):
            try:
                listed = fs.ls(path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        inside = [
            (entry["name"].rstrip("/"), entry["type"]) for entry in listed if entry["name"].startswith(f"{path}/")
        ]
        names = {name[len(path) + 1 :]: kind == "directory" for name, kind in inside}
        return sorted((name, is_folder) for name, is_folder in names.items() if name not in ("", ".", ".."))

    def files(self) -> dict[str, RemotePath]:
        """All files below by their relative paths, as the store names them; of a file, itself by the empty name."""
        fs, path = self._opened()
        with remote_errors(self.url):
            try:
                found = sorted(fs.find(path))
            except FileNotFoundError:
                return {}
        names = [name[len(path) + 1 :] for name in found if name == path or name.startswith(f"{path}/")]
        return {name: self / name if name else self for name in names if not name.endswith("/")}

    def open(self, mode: Literal["rb"] = "rb") -> io.RawIOBase:
        """The file, for reading; each read is one request for its range of bytes."""
        return RangeFile(str(self), self.num_bytes(), self.read_bytes)

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """The file's bytes from ``start`` to before ``end``."""
        fs, path = self._opened()
        with remote_errors(self.url):
            data: bytes = fs.cat_file(path, start=start, end=end)
            return data

    def read_text(self, encoding: str = "utf-8") -> str:
        """The file's text."""
        return self.read_bytes().decode(encoding)

    def download(self, to: Path) -> None:
        """Copy the file to a local path."""
        with self.open() as source, to.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)

    def upload(self, source: Path) -> None:
        """Put a local file there, in place of what is there; never makes a bucket."""
        fs, path = self._opened()
        with remote_errors(self.url, writing=True):
            fs.put_file(str(source), path)

    def unlink(self) -> None:
        """Remove the file."""
        fs, path = self._opened()
        with remote_errors(self.url):
            fs.rm_file(path)


Place = Path | RemotePath


def place_of(place: str | Place) -> Place:
    """A local path as a `Path` (also of a ``file://`` URL), another URL as a `RemotePath`.

    Raises:
        SourceError: not a plain URL but, for instance, a chain such as ``zip://a::s3://b``.
    """
    if isinstance(place, Path | RemotePath) or not is_url(place):
        return Path(place) if isinstance(place, str) else place
    _check_plain(place)
    if place.lower().startswith(("file://", "local://")):
        from fsspec.core import url_to_fs

        return Path(url_to_fs(place)[1])
    return RemotePath(place)


def _check_plain(url: str) -> None:
    """Refuse what fsspec or a disk would take for something else than one place.

    Raises:
        SourceError: a chain of URLs, a part that is ``.`` or ``..``, or a letter that is none.
    """
    if "::" in url:
        raise SourceError(f"{shown(url)}: a chain of URLs; expected one URL such as s3://bucket/builds/cars")
    parts = url.partition("?")[0].partition("://")[2].split("/")
    if any(part in (".", "..") for part in parts) or any(ord(letter) < 32 for letter in url):
        raise SourceError(f"{shown(url)!r}: not a plain URL; expected one such as s3://bucket/builds/cars")


def open_parquet(file: Place, pre_buffer: bool = False) -> pq.ParquetFile:
    """Open a Parquet file with its page checksums checked.

    Args:
        file: a local path, which Arrow opens by itself, or a remote one, of which only the ranges asked for are read.
        pre_buffer: fetch the columns of a remote file in few large requests.
    """
    if isinstance(file, Path):
        return pq.ParquetFile(file, page_checksum_verification=True)
    return pq.ParquetFile(file.open(), page_checksum_verification=True, pre_buffer=pre_buffer)
