"""A bounded cache on disk of byte ranges of files at URLs, which several processes may share.

Ranges are kept as they stand in the file, compressed and with Parquet's own checksums, and only once Arrow has read
them well: what is read again from here goes through the same checks as what is fetched, and takes no more room than at
the store. Each entry is one file that appears by a rename, with a checksum; a damaged one is fetched again. Entries
are named by the file's URL, size and version (its ETag, or when it was changed), so that a replaced file gives nothing
old; a store that tells no version is not cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import OutputError, SourceError
from noisyweb.range_file import RangeFile
from noisyweb.remote_errors import shown
from noisyweb.remote_path import RemotePath

DISK_BYTES = 10_000_000_000

_MAGIC = b"noisywb1"
_HEAD = len(_MAGIC) + 4
_ENTRY = re.compile(r"\.?[0-9a-f]{32}-\d+-\d+(\.|$)")  # the dot: not yet renamed
_VERSIONS = ("ETag", "etag", "version_id", "generation", "md5Hash", "LastModified", "last_modified", "mtime", "created")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's: ``$NOISYWEB_CACHE``, or ``noisyweb/ranges`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    own, cache = environ.get("NOISYWEB_CACHE"), environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(cache) if cache else Path.home() / ".cache") / "noisyweb" / "ranges"


class DiskCache:
    """Entries by file, start and end; the least recently used go first.

    Args:
        folder: None: `cache_folder`, and no cache at all if that cannot be written to.
        most_bytes: kept at most, by up to eight processes together; 0: nothing. It is never more than half of what
            would be free on the disk without the cache.

    Raises:
        OutputError: the folder that was named cannot be written to.
    """

    def __init__(self, folder: str | Path | None = None, most_bytes: int = DISK_BYTES) -> None:
        self.folder = Path(folder).expanduser() if folder is not None else cache_folder()
        self.most_bytes = max(most_bytes, 0)
        self._unseen = self.most_bytes  # written since the folder was looked through
        if not self.most_bytes:
            return
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise OutputError(f"{self.folder}: cannot be written to; name another folder for the cache")
        except OutputError:
            if folder is not None:
                raise
            self.most_bytes = 0

    def get(self, file: str, start: int, end: int) -> bytes | None:
        """A range of a file; None if it is not here, or damaged."""
        path = self._path(file, start, end)
        try:
            with path.open("rb") as entry:
                head, data = entry.read(_HEAD), entry.read()
            if len(data) != end - start or head != _head(data):
                path.unlink(missing_ok=True)
                return None
        except OSError:  # not there, or another process has just made room, or the disk fails: fetched again
            return None
        with contextlib.suppress(OSError):  # of another user
            os.utime(path)  # used last; access times are not kept everywhere
        return data

    def put(self, file: str, start: int, end: int, data: bytes) -> None:
        """Keep a range; a disk that is full costs speed only."""
        if len(data) > self.most_bytes // 8:
            return
        self._unseen += len(data)
        if self._unseen > self.most_bytes // 64:
            most = self._make_room(len(data))
            self._unseen = 0
            if len(data) > most:
                return
        with (
            contextlib.suppress(OutputError),
            replacing_file(self._path(file, start, end)) as temporary,
            temporary.open("wb") as entry,
        ):
            entry.write(_head(data))
            entry.write(data)

    def _path(self, file: str, start: int, end: int) -> Path:
        return self.folder / f"{file}-{start}-{end}"

    def _make_room(self, num_bytes: int) -> int:
        """Remove entries until some more bytes, and what others may write meanwhile, fit; return what may be held."""
        entries: list[tuple[int, int, str]] = []
        with os.scandir(self.folder) as found:
            for entry in found:
                if _ENTRY.match(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        entries.append((stat.st_mtime_ns, stat.st_size, entry.path))
        held = sum(size for _, size, _ in entries)
        most = min(self.most_bytes, (shutil.disk_usage(self.folder).free + held) // 2) * 7 // 8
        for _, size, path in sorted(entries):
            if held + num_bytes <= most:
                break
            with contextlib.suppress(FileNotFoundError, PermissionError):  # somebody else's
                Path(path).unlink()
                held -= size
        return most


class CachedFile:
    """A file at a URL whose ranges come from a cache, as far as they are there.

    Args:
        place: where it is.
        cache: what is read is put there by `keeping`.

    Raises:
        SourceError: there is no such file.
        RemoteError: the store refuses or does not answer.
    """

    def __init__(self, place: RemotePath, cache: DiskCache) -> None:
        info = place.info()
        if info is None:
            raise SourceError(f"{place}: there is nothing; check the URL")
        self._place, self._size = place, int(info["size"])
        version = next((str(info[name]) for name in _VERSIONS if info.get(name)), None)
        self._cache = cache if version is not None and cache.most_bytes else None
        named = f"{shown(place.url)}\0{self._size}\0{version}"
        self._name = hashlib.blake2b(named.encode(), digest_size=16).hexdigest()
        self._fetched: list[tuple[int, int, bytes]] = []

    def open(self) -> RangeFile:
        """The file, for reading; not for several threads at once."""
        return RangeFile(str(self._place), self._size, self._read)

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """What is fetched in the block goes into the cache if the block ends well: then it has been found sound."""
        self._fetched = []
        try:
            yield
            if self._cache is not None:
                for start, end, data in self._fetched:
                    self._cache.put(self._name, start, end, data)
        finally:
            self._fetched = []

    def _read(self, start: int, end: int) -> bytes:
        if self._cache is None:
            return self._place.read_bytes(start, end)
        data = self._cache.get(self._name, start, end)
        if data is None:
            data = self._place.read_bytes(start, end)
            self._fetched.append((start, end, data))
        return data


def _head(data: bytes) -> bytes:
    return _MAGIC + zlib.crc32(data).to_bytes(4, "little")
