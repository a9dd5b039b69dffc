"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from noisyweb.errors import OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one clear `OutputError` about ``target``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(
                f"{target}: the disk is full ({error.strerror}); nothing was left half-written; "
                "free some space or name another place with --out"
            ) from error
        if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)) or error.errno == errno.EROFS:
            raise OutputError(
                f"{target}: cannot be written ({error.strerror}); name a folder that you may write to"
            ) from error
        raise


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


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target``; put it in ``target``'s place if the block ends well.

    What stood at ``target`` before is removed only once the new folder is complete.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        old = temporary.with_suffix(".old")
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if target.exists():
                os.replace(target, old)
            os.replace(temporary, target)
        finally:
            if old.exists() and not target.exists():
                os.replace(old, target)
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
