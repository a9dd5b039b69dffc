"""Downloading one file: goes on where a killed download stopped, and comes whole or not at all.

Redirects are followed by hand, so that each connection is judged (`noisyweb.addresses`) and none leaves TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from yarl import URL

from noisyweb import __version__
from noisyweb.addresses import AddressPolicy, Network
from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import CorruptFileError, CrawlError
from noisyweb.progress import Progress, silent
from noisyweb.transport import Reply, WebError

RELEASE_URL = "https://storage.googleapis.com/cnlw/dataset_no_images.zip"
MAX_BYTES = 500_000_000
MAX_HOPS = 5
_AGENT = f"noisyweb/{__version__}"
_TIMEOUT_S = 30.0
_OK, _PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_REDIRECTS = (301, 302, 303, 307, 308)


def download(
    url: str, target: Path, record: Path, progress: Progress = silent, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Download a file, and write down what it is.

    A part that was fetched before is kept beside the target (``.part``) and asked on from, if the server says that the
    file is still the same (ETag or Last-Modified, by If-Range); otherwise it starts again.

    Args:
        url: http or https; redirects lead to public hosts only.
        target: where the file goes.
        record: a JSON file of its url, bytes and sha256.
        progress: told how many bytes are there.
        max_bytes: more than these are refused.

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
            asyncio.run(_fetch(url, part, about, progress, max_bytes))
        except (WebError, ValueError) as error:
            kept = part.stat().st_size if part.exists() else 0
            raise CrawlError(
                f"{url}: {' '.join(str(error).split()) or type(error).__name__}; {kept:,} bytes are kept, run it again "
                "to go on, or take a copy of the file with --from"
            ) from error
        except CorruptFileError:
            part.unlink(missing_ok=True)
            raise
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


async def _fetch(url: str, part: Path, about: Path, progress: Progress, max_bytes: int) -> None:
    from noisyweb.transport_httpx import checked_client, stream

    at = URL(url)
    # The file's own host wants no contact, unlike those of a crawl.
    policy = AddressPolicy(contact=_AGENT, allowed=_named_outright(at))
    plain = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    have, tag = _earlier(url, part, about)
    headers = plain | ({"Range": f"bytes={have}-", "If-Range": tag} if have and tag else {})
    async with checked_client(policy, plain, connections=1, connect_s=_TIMEOUT_S, read_s=_TIMEOUT_S) as client:
        for _ in range(1 + MAX_HOPS):
            async with stream(client, at, headers) as (_version, reply):
                if reply.status in _REDIRECTS:
                    at = _redirected(at, reply)
                elif reply.status == _RANGE_NOT_SATISFIABLE:  # all of it was there, or it has become shorter
                    headers, have = plain, 0
                elif reply.status in (_OK, _PARTIAL_CONTENT):
                    goes_on = reply.status == _PARTIAL_CONTENT
                    if goes_on and not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                        raise WebError("connection", "another part than was asked for came")
                    tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified") or ""
                    known = {"url": url, "tag": "" if tag.startswith("W/") else tag}
                    about.write_text(json.dumps(known), encoding="utf-8")
                    await _save(url, reply, part, have if goes_on else 0, progress, max_bytes)
                    return
                else:
                    raise WebError("connection", f"the server answers with status {reply.status}")
    raise WebError("connection", f"no file after {MAX_HOPS} redirects")


async def _save(url: str, reply: Reply, part: Path, have: int, progress: Progress, max_bytes: int) -> None:
    """Append what comes to the first ``have`` bytes."""
    said = reply.headers.get("Content-Length", "")
    total = have + int(said) if said.isascii() and said.isdigit() else 0
    with part.open("ab" if have else "wb") as sink:
        if total <= max_bytes:
            async for chunk in reply.body:
                have += len(chunk)
                if have > max_bytes:
                    break
                sink.write(chunk)
                progress("fetch the release", have, total)
    if max(have, total) > max_bytes:
        raise CorruptFileError(f"{url}: more than {max_bytes:,} bytes; the release has 20 million")
    if total and have != total:
        raise WebError("connection", f"{have:,} of {total:,} bytes came")


def _redirected(at: URL, reply: Reply) -> URL:
    new = at.join(URL(reply.headers.get("Location", "")))
    if new.scheme not in ("http", "https") or (at.scheme == "https" and new.scheme != "https"):
        raise WebError("bad-url", f"it leads from {at.scheme} to {new.scheme or 'nowhere'}")
    return new


def _named_outright(url: URL) -> tuple[Network, ...]:
    """The one address in a URL without a name: a server of one's own, to which no other host can redirect."""
    with contextlib.suppress(ValueError):
        return (ipaddress.ip_network(url.host or ""),)
    return ()


def _earlier(url: str, part: Path, about: Path) -> tuple[int, str]:
    """How much of the file is there from an earlier run, and what the server called that version."""
    try:
        known = json.loads(about.read_text(encoding="utf-8"))
        if known["url"] == url and isinstance(known["tag"], str):
            return part.stat().st_size, known["tag"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""
