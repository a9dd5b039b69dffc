"""A folder on this machine's disk for what belongs to a workspace at a URL but cannot live there: a crawl's SQLite."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from noisyweb.atomic import disk_errors
from noisyweb.remote_path import RemotePath

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def scratch_folder(place: RemotePath, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of a workspace: the same one for every run on this machine; not made here.

    It is below ``$NOISYWEB_SCRATCH``, or ``noisyweb/scratch`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. What stands at
    the same URL of another server is another workspace.
    """
    own, cache = environ.get("NOISYWEB_SCRATCH"), environ.get("XDG_CACHE_HOME")
    root = (
        Path(own).expanduser() if own else (Path(cache) if cache else Path.home() / ".cache") / "noisyweb" / "scratch"
    )
    server = next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    named = f"{str(place).rstrip('/')}\0{server if place.url.startswith('s3') else ''}"
    return root / hashlib.blake2b(named.encode(), digest_size=10).hexdigest()


def make_scratch(place: RemotePath) -> Path:
    """The same folder, made; a file in it says whose it is.

    Raises:
        OutputError: it cannot be made.
    """
    folder = scratch_folder(place)
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "workspace.txt").write_text(f"{place}\n", encoding="utf-8")
    return folder
