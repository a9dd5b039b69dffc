"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from noisyweb.errors import OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNUSABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG),
}


@contextlib.contextmanager
def disk_errors(target: Path | str) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one clear `OutputError` about ``target``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(
                f"{target}: the disk is full ({error.strerror}); nothing was left half-written; "
                "free some space or name another place"
            ) from error
        if error.errno in _UNUSABLE:
            raise OutputError(
                f"{target}: cannot be written ({error.strerror}); name a folder that you may write to"
            ) from error
        raise


@contextlib.contextmanager
def held_alone(path: Path, refusal: Exception) -> Iterator[None]:
    """Hold a lock file for the length of a block; raise ``refusal`` if another process holds it."""
    with disk_errors(path):
        handle = path.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield


@contextlib.contextmanager
def replacing_file(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target``; rename it over ``target`` if the block ends well.

    A reader sees the old file or the new one, never a part. On any failure the temporary file is removed.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def clear_temporary(target: Path) -> None:
    """Remove what killed processes left of `replacing_file`; only for who alone writes ``target``."""
    for temporary in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if temporary.is_file():
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target``; put it in ``target``'s place if the block ends well.

    What stood at ``target`` before is removed only once the new folder is complete. What killed processes left
    behind beside ``target`` is cleared away first.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            _clear_left_behind(target)
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
            ours = os.open(temporary, os.O_RDONLY)
            fcntl.flock(ours, fcntl.LOCK_EX)
        old = temporary.with_suffix(".old")
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            with _locked(target.parent):
                if target.exists():
                    os.replace(target, old)
                os.replace(temporary, target)
        finally:
            if old.exists() and not target.exists():
                os.replace(old, target)
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
            os.close(ours)


def _clear_left_behind(target: Path) -> None:
    """Remove the temporary folders of dead processes; put an old folder back if one died between two renames."""
    for temporary in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if temporary.is_dir() and not _is_locked(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.old"):
        if not old.with_suffix(".tmp").exists():
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(old, target)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; it ends with the process at the latest."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_locked(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
