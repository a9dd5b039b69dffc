"""Downloading one file: goes on where a killed download stopped, and comes whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import httpx

from noisyweb import __version__
from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import CorruptFileError, CrawlError
from noisyweb.progress import Progress, silent

RELEASE_URL = "https://storage.googleapis.com/cnlw/dataset_no_images.zip"
MAX_BYTES = 500_000_000
_TIMEOUT_S = 30.0
_PARTIAL_CONTENT = 206


def download(url: str, target: Path, record: Path, progress: Progress = silent) -> dict[str, Any]:
    """Download a file, and write down what it is.

    A part that was fetched before is kept beside the target (``.part``) and asked on from, if the server says that the
    file is still the same (ETag or Last-Modified, by If-Range); otherwise it starts again.

    Args:
        url: http or https.
        target: where the file goes.
        record: a JSON file of its url, bytes and sha256.
        progress: told how many bytes are there.

    Returns:
        The record.

    Raises:
        CrawlError: it cannot be fetched.
        CorruptFileError: it is larger than any release.
        OutputError: the disk is full.
    """
    part, about = target.with_suffix(".part"), target.with_suffix(".part.json")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _fetch(url, part, about, progress)
        except httpx.HTTPError as error:
            kept = part.stat().st_size if part.exists() else 0
            raise CrawlError(
                f"{url}: {' '.join(str(error).split()) or type(error).__name__}; {kept:,} bytes are kept, run it again "
                "to go on, or take a copy of the file with --from"
            ) from error
        with part.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        known = {"url": url, "bytes": part.stat().st_size, "sha256": sha256}
        os.replace(part, target)
        about.unlink(missing_ok=True)
        write_record(record, known)
    return known


def write_record(record: Path, known: dict[str, Any]) -> None:
    """Write down what was fetched."""
    with replacing_file(record) as temporary:
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _fetch(url: str, part: Path, about: Path, progress: Progress) -> None:
    have, tag = _earlier(url, part, about)
    headers = {"User-Agent": f"noisyweb/{__version__}", "Accept-Encoding": "identity"}
    if have and tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with (
        httpx.Client(follow_redirects=True, max_redirects=5, timeout=_TIMEOUT_S) as client,
        client.stream("GET", url, headers=headers) as reply,
    ):
        reply.raise_for_status()
        goes_on = reply.status_code == _PARTIAL_CONTENT and _begins_at(reply, have)
        if not goes_on:
            have = 0
        length = int(reply.headers.get("Content-Length", 0) or 0)
        total = have + length if length else 0
        tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified") or ""
        about.write_text(json.dumps({"url": url, "tag": "" if tag.startswith("W/") else tag}), encoding="utf-8")
        with part.open("ab" if goes_on else "wb") as sink:
            for chunk in reply.iter_bytes():
                have += len(chunk)
                if have > MAX_BYTES:
                    raise CorruptFileError(f"{url}: more than {MAX_BYTES:,} bytes; the release has 20 million")
                sink.write(chunk)
                progress("fetch the release", have, total)
        if length and reply.num_bytes_downloaded != length:
            raise httpx.ReadError(f"{reply.num_bytes_downloaded:,} of {length:,} bytes came")


def _begins_at(reply: httpx.Response, have: int) -> bool:
    return str(reply.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _earlier(url: str, part: Path, about: Path) -> tuple[int, str]:
    """How much of the file is there from an earlier run, and what the server called that version."""
    try:
        known = json.loads(about.read_text(encoding="utf-8"))
        if known["url"] == url and isinstance(known["tag"], str):
            return part.stat().st_size, known["tag"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""
