"""Fetch the release into the home folder: from its address, or from a copy that the user has."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from noisyweb.atomic import replacing_folder
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.official.download import RELEASE_URL, download, write_record
from noisyweb.official.home import Home
from noisyweb.official.release import ReleaseSet, open_release
from noisyweb.official.unpack import MAX_BYTES, unpack
from noisyweb.progress import Progress, silent


def fetch_release(
    home: Home, copy: Path | None = None, url: str = RELEASE_URL, progress: Progress = silent
) -> Mapping[str, ReleaseSet]:
    """Have the release in the home folder; what is there already stays unless a copy is given.

    Args:
        home: where to.
        copy: the zip, or the folder that it unpacks to.
        url: where from, without a copy.
        progress: told how many bytes are there.

    Returns:
        Its data sets.

    Raises:
        CrawlError: it cannot be fetched.
        SourceError: what was fetched is not the release, or damaged.
        OutputError: the disk is full.
    """
    if copy is None and home.release.is_dir():
        return open_release(home.release)
    if copy is not None and copy.is_dir():
        open_release(copy)
        _copy_folder(copy, home.release)
        write_record(home.record, {"from": "a folder of the user's"})
        return open_release(home.release)
    archive = copy or home.zip
    if copy is None:
        if not home.zip.exists():
            download(url, home.zip, home.record, progress)
    elif not copy.is_file():
        raise SourceError(f"{copy}: no such file; expected dataset_no_images.zip, or the folder that it unpacks to")
    try:
        unpack(archive, home.release)
    except CorruptFileError:
        home.zip.unlink(missing_ok=True)  # the next run fetches it afresh
        raise
    sets = open_release(home.release)
    if copy is not None:
        with copy.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        write_record(home.record, {"from": copy.name, "bytes": copy.stat().st_size, "sha256": sha256})
    return sets


def _copy_folder(source: Path, target: Path) -> None:
    """Copy what belongs to a release, without links."""
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()]
    wanted = [path for path in files if path.suffix in (".txt", ".json") or path.parent.name == "split"]
    if sum(path.stat().st_size for path in wanted) > MAX_BYTES:
        raise SourceError(f"{source}: more than {MAX_BYTES:,} bytes of text; that is not the release")
    with replacing_folder(target) as temporary:
        for path in wanted:
            place = temporary / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
