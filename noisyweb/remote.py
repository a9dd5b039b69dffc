"""Folders at fsspec URLs: written whole, copied here, refused where something stands.

An object store cannot rename a folder. So data are uploaded first, and what vouches for them (the README, then the
lock file) last: a folder with its lock file is complete, whatever happened. An upload that fails or is interrupted
removes what it has sent. One whose process is killed, or whose server stays away, leaves data without a lock file
there; the next run refuses that folder and says so.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from noisyweb.atomic import disk_errors, replacing_file, replacing_folder
from noisyweb.errors import OutputError, RemoteError, SourceError
from noisyweb.lock import LOCK_NAME
from noisyweb.remote_path import RemotePath, is_url, place_of

__all__ = ["is_url", "local_copy", "new_folder", "put_file"]

_VOUCHING = ("README.md", LOCK_NAME)
"""Uploaded last, in this order."""

_PROBE = ".noisyweb-upload"


@contextlib.contextmanager
def new_folder(target: str, overwrite: bool = False) -> Iterator[Path]:
    """Give a local folder; it stands at ``target`` once the block ended well, and not at all if it failed.

    On a disk it appears at once, by a rename. At a URL it appears file by file, the lock file last; see the module.

    Args:
        target: a path or an fsspec URL.
        overwrite: replace what stands there. At a URL the old folder goes before the new one is uploaded, so an
            upload that fails leaves neither.

    Raises:
        OutputError: something stands at ``target``, or it cannot be written.
        RemoteError: the store refuses or does not answer; tried before the block begins.
    """
    place = place_of(target)
    if isinstance(place, Path):
        if not overwrite and (place.exists() or place.is_symlink()):
            raise OutputError(f"{place}: it is there already; name another place or remove it")
        with replacing_folder(place) as folder:
            yield folder
        return
    _check_writable(place)
    if not overwrite:
        _refuse_what_is_there(place)
    with tempfile.TemporaryDirectory(prefix="noisyweb-") as temporary:
        folder = Path(temporary, "new", place.name)
        folder.mkdir(parents=True, exist_ok=True)
        _probe(place, Path(temporary) / _PROBE)
        yield folder
        if overwrite:
            _remove_tree(place)
        else:
            _refuse_what_is_there(place)
        _upload(folder, place)


@contextlib.contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """Give a local path: a path as it is, a URL's file or folder as a copy that lasts as long as the block.

    Raises:
        SourceError: nothing stands at the URL, or a name there would lead out of the copy.
        RemoteError: the store refuses or does not answer.
    """
    source = place_of(place)
    if isinstance(source, Path):
        yield source
        return
    files = source.files()
    if not files:
        raise SourceError(f"{source}: there is nothing; check the URL")
    with tempfile.TemporaryDirectory(prefix="noisyweb-") as temporary, disk_errors(temporary):
        copy = Path(temporary, "copy", source.name)
        for relative, file in files.items():
            parts = relative.split("/") if relative else []
            if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
                raise SourceError(f"{source}: it holds a file named {relative!r}; expected a plain path below it")
            to = copy.joinpath(*parts)
            try:
                to.parent.mkdir(parents=True, exist_ok=True)
                file.download(to)
            except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
                raise SourceError(f"{source}: {relative!r} is both a file and a folder there") from error
        yield copy


def put_file(target: str, path: Path) -> None:
    """Put one local file at a path or an fsspec URL, in place of what stood there.

    Raises:
        OutputError: the disk or the URL cannot take it.
        RemoteError: the store refuses or does not answer.
    """
    place = place_of(target)
    if isinstance(place, RemotePath):
        _check_writable(place)
        place.upload(path)
        return
    with replacing_file(place) as temporary:
        shutil.copyfile(path, temporary)


def _check_writable(place: RemotePath) -> None:
    if "?" in place.url:  # an object store takes it for a part of the name
        raise OutputError(f"{place}: a URL with a query cannot be written to; give the URL without it")


def _probe(place: RemotePath, file: Path) -> None:
    """Let a wrong name or a missing permission show before the work."""
    file.write_bytes(b"noisyweb\n")
    (place / _PROBE).upload(file)
    (place / _PROBE).unlink()


def _refuse_what_is_there(place: RemotePath) -> None:
    names = place.files()
    if not names:
        return
    if any(name in names for name in _VOUCHING):
        raise OutputError(f"{place}: it is there already; name another place or remove it")
    raise OutputError(
        f"{place}: it is there already, without a README.md or a lock file (another's files, or an upload that was "
        "cut off); name another place or remove it"
    )


def _upload(folder: Path, place: RemotePath) -> None:
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    sent: list[RemotePath] = []
    try:
        for name in sorted(files, key=_rank):
            sent.append(place / name)
            sent[-1].upload(files[name])
    except BaseException:
        for file in reversed(sent):
            with contextlib.suppress(RemoteError, SourceError):  # the first failure is the one to tell
                file.unlink()
        raise


def _rank(name: str) -> tuple[int, str]:
    base = name.rpartition("/")[2]
    return (1 + _VOUCHING.index(base) if base in _VOUCHING else 0), name


def _remove_tree(place: RemotePath) -> None:
    """Remove what stands there, what vouches for it first."""
    files = place.files()
    for name in sorted(files, key=_rank, reverse=True):
        files[name].unlink()
