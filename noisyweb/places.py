"""Files that appear whole, on a disk or at a URL alike.

On a disk a file is written beside its place and renamed. S3 and Google Cloud show nothing of an object until all of it
has come, in one PUT or in parts; fsspec's memory takes the bytes at once. Folders need not be made beforehand.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import SourceError
from noisyweb.remote_path import Place, RemotePath

AT_ONCE = 10
"""Small requests under way at once: a store answers after some 30 ms, and botocore holds 10 connections."""


def write_whole(place: Place, data: bytes) -> None:
    """Put a file there, in place of what is there.

    Raises:
        OutputError: it cannot be written there.
        RemoteError: the store refuses or does not answer.
    """
    if isinstance(place, Path):
        with replacing_file(place) as temporary:
            temporary.write_bytes(data)
    else:
        place.write_bytes(data)


@contextlib.contextmanager
def write_file(place: Place) -> Iterator[Path]:
    """Give a local path to write to and to leave where it is; the file stands at ``place`` if the block ends well.

    Raises:
        OutputError: it cannot be written there, or the disk is full.
        RemoteError: the store refuses or does not answer.
    """
    if isinstance(place, Path):
        with replacing_file(place) as temporary:
            yield temporary
        return
    with disk_errors(tempfile.gettempdir()), unnamed_file() as temporary:
        yield temporary
        place.upload(temporary)


@contextlib.contextmanager
def unnamed_file() -> Iterator[Path]:
    """A path of this process's own to a file without a name, where there is such a thing: a kill leaves nothing."""
    if Path("/proc/self/fd").is_dir():
        with tempfile.TemporaryFile(prefix="noisyweb-") as file:
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.TemporaryDirectory(prefix="noisyweb-") as folder:
            yield Path(folder, "file")


def read_bytes(place: Place) -> bytes:
    """All of a file.

    Raises:
        SourceError: there is none.
        RemoteError: the store refuses or does not answer.
    """
    try:
        return place.read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"{place}: there is no such file") from error


def names_in(place: Place) -> list[str]:
    """What is directly in a folder, sorted; nothing where there is no folder. Hidden names (temporary files) are left
    out."""
    if isinstance(place, Path):
        names = [path.name for path in place.iterdir()] if place.is_dir() else []
    else:
        names = [name for name, _ in place.children()]
    return sorted(name for name in names if not name.startswith("."))


def remove_tree(place: Place) -> None:
    """Remove a folder and all that is in it, if it is there."""
    if isinstance(place, RemotePath):
        remove_all(place.files().values())
    elif place.is_dir():
        with disk_errors(place):
            shutil.rmtree(place)


def remove_all(files: Iterable[RemotePath]) -> None:
    """Remove files at URLs, several at once; those that are gone already are no mistake."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda file: file.unlink(missing_ok=True), files))


def remove_file(place: Place) -> None:
    """Remove a file, if it is there."""
    place.unlink(missing_ok=True)


def absolute(place: Place) -> Place:
    """The place as every process names it, whatever folder it is in."""
    return place.absolute() if isinstance(place, Path) else place


def text_of(place: Place) -> str:
    """The place as text that `noisyweb.remote_path.place_of` takes back; with credentials, if its URL has any."""
    return str(place.absolute()) if isinstance(place, Path) else place.url
