"""Builds copied as they are, under other folder names."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from noisyweb import lock
from noisyweb.errors import CorruptFileError
from noisyweb.export import Builds, Options
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest
from noisyweb.remote_path import Place

_CHUNK_BYTES = 1 << 22


def copy_builds(builds: Builds, names: Mapping[str, str], target: Path, options: Options) -> None:
    """Copy the files of every build, and its lock file if it has one, so that `noisyweb verify` works on the copy.

    Args:
        builds: what to copy.
        names: the folder that each training set goes to, by the name of the one it is in.
        target: the folder to put these into; the clean validation set keeps the name that it always has.
        options: what the user chose.

    Raises:
        CorruptFileError: a file is damaged, or not what its lock file says.
    """
    for manifest in builds.train():
        _copy(manifest, target / names[manifest.folder.name], options)
    for manifest in builds.validations():
        _copy(manifest, target / VALIDATION_FOLDER, options)


def _copy(manifest: Manifest, folder: Path, options: Options) -> None:
    locked = (manifest.folder / lock.LOCK_NAME).exists()
    listed = lock.read_lock(manifest.folder)["files"] if locked else {}
    num_rows = manifest.rows.num_rows  # refuses what is no manifest
    folder.mkdir()
    names = sorted({*listed, *(file.name for file in manifest.files)})
    for number, name in enumerate(names):
        found = _copy_file(manifest.folder, name, folder)
        if name in listed and listed[name]["sha256"] != found:
            raise CorruptFileError(
                f"{manifest.folder / name}: damaged or changed: its SHA-256 is not the one in {lock.LOCK_NAME}; "
                "see `noisyweb verify`"
            )
        options.progress(manifest.folder.name, (number + 1) * num_rows // len(names), num_rows)
    if locked:
        _copy_file(manifest.folder, lock.LOCK_NAME, folder)
    else:
        deque(manifest.image_batches(), maxlen=0)  # nobody vouches for the files, but their pages have checksums


def _copy_file(source: Place, name: str, target: Path) -> str:
    """Copy one file of a folder; give its SHA-256."""
    if Path(name).name != name or not (source / name).is_file():
        raise CorruptFileError(f"{source}: {lock.LOCK_NAME} lists {name!r}, which is no file there; build it again")
    digest = hashlib.sha256()
    with (source / name).open("rb") as original, (target / name).open("wb") as copy:
        while chunk := original.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()
