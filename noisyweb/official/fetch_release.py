"""Fetch the release into the home folder: from its address, or from a copy that the user has."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noisyweb.atomic import disk_errors, held_alone, replacing_folder
from noisyweb.errors import CorruptFileError, CrawlError, SourceError
from noisyweb.official.download import RELEASE_URL, download, write_record
from noisyweb.official.home import Home
from noisyweb.official.release import ReleaseSet, open_release
from noisyweb.official.unpack import MAX_BYTES, unpack
from noisyweb.progress import Progress, silent


def fetch_release(
    home: Home, copy: Path | None = None, url: str = RELEASE_URL, progress: Progress = silent
) -> Mapping[str, ReleaseSet]:
    """Have the release in the home folder, sound; what is there and is as it came stays unless a copy is given.

    A release that is none takes nothing's place.

    Args:
        home: where to.
        copy: the zip, or the folder that it unpacks to.
        url: where from, without a copy.
        progress: told how many bytes are there.

    Returns:
        Its data sets.

    Raises:
        CrawlError: it cannot be fetched, or another process is at it.
        SourceError: what was fetched is not the release, or damaged.
        OutputError: the disk is full.
    """
    with disk_errors(home.folder):
        home.release.parent.mkdir(parents=True, exist_ok=True)
        busy = CrawlError(f"{home.folder}: another `noisyweb fetch` is at work there; wait for it")
        with held_alone(home.release.parent / ".lock", busy):
            if copy is not None:
                known = _taken(home, copy)
            elif _is_as_it_came(home):
                return open_release(home.release)
            else:
                known = _downloaded(home, url, progress)
            write_record(home.record, {**known, "files": _digests(home.release)})
            return open_release(home.release)


def _taken(home: Home, copy: Path) -> dict[str, Any]:
    """Take the user's copy; what to write down of it."""
    if copy.is_dir():
        open_release(copy)
        _copy_folder(copy, home.release)
        known: dict[str, Any] = {"from": "a folder of the user's"}
    elif copy.is_file():
        unpack(copy, home.release, open_release)
        known = {"from": copy.name, "bytes": copy.stat().st_size, "sha256": _sha256(copy)}
    else:
        raise SourceError(f"{copy}: no such file; expected dataset_no_images.zip, or the folder that it unpacks to")
    home.zip.unlink(missing_ok=True)  # it is not what was unpacked
    return known


def _downloaded(home: Home, url: str, progress: Progress) -> dict[str, Any]:
    """Download the zip, unless it is there as it came, and unpack it; what to write down of it."""
    known = _record(home)
    if not home.zip.is_file() or "url" not in known or _sha256(home.zip) != known.get("sha256"):
        known = download(url, home.zip, home.record, progress)
    try:
        unpack(home.zip, home.release, open_release)
    except SourceError:
        home.zip.unlink(missing_ok=True)  # the next run fetches it afresh
        raise
    return known


def _record(home: Home) -> dict[str, Any]:
    try:
        known = json.loads(home.record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _is_as_it_came(home: Home) -> bool:
    files = _record(home).get("files")
    return bool(files) and home.release.is_dir() and _digests(home.release) == files


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise CorruptFileError(f"{path}: cannot be read ({error.strerror or error})") from error


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
