"""What dedup knows of an image, worked out from one decode: its hash, whether it is flat, and its views.

Runs in worker processes (`noisyweb.workers`): a decoder that crashes on a hostile file takes only its own process
along. A worker reads jobs from its standard input, a line of JSON each and the bytes behind it, and answers with a
line of JSON. It imports neither pyarrow nor pandas.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from noisyweb.decode import NotUsableError, pillow_in_bounds
from noisyweb.dhash import dhash_of
from noisyweb.faces import faces_of
from noisyweb.phash import phash_of
from noisyweb.reduced import open_reduced, to_grey
from noisyweb.views import Views, views

METHODS: Mapping[str, Callable[[Image.Image, bool], tuple[bytes, bool]]] = {"phash": phash_of, "dhash": dhash_of}
"""The hashes by name; each gives 256 bits and whether the image is flat."""


@dataclass(frozen=True)
class Description:
    """What is known of an image.

    Attributes:
        hash: 32 bytes; None: it cannot be decoded, or was not asked for.
        is_flat: too little structure for a hash to mean anything.
        views: None where it is flat, cannot be decoded, or they were not asked for.
        is_readable: whether it can be decoded.
        inner: share of the picture that its plain borders leave, where views were asked for.
    """

    hash: bytes | None = None
    is_flat: bool = False
    views: Views | None = None
    is_readable: bool = False
    inner: float = 1.0


def describe(data: bytes, method: str | None, with_views: bool) -> Description:
    """Decode image bytes once and work out what is asked for.

    Args:
        data: encoded image.
        method: one of `METHODS`; None: no hash.
        with_views: whether views are wanted.
    """
    try:
        image, is_draft = open_reduced(data)
        value, is_flat = METHODS[method or "phash"](image, is_draft)
        looks = faces_of(to_grey(image)) if with_views and not is_flat else []
        found = views(looks) if looks else None
        inner = looks[-1].box[2] * looks[-1].box[3] if looks else 1.0
    except NotUsableError:
        return Description()
    return Description(value if method else None, is_flat, found, True, inner)


def to_json(found: Description) -> dict[str, Any]:
    """A description as a worker sends it."""
    seen = found.views
    return {
        "hash": found.hash.hex() if found.hash else None,
        "flat": found.is_flat,
        "probes": seen.probes.tobytes().hex() if seen else None,
        "targets": seen.targets.tobytes().hex() if seen else None,
        "readable": found.is_readable,
        "inner": found.inner,
    }


def from_json(row: Mapping[str, Any]) -> Description:
    """What `to_json` gave."""
    seen = None
    if row["probes"] is not None:
        seen = Views(*(np.frombuffer(bytes.fromhex(row[name]), np.uint64) for name in ("probes", "targets")))
    value = bytes.fromhex(row["hash"]) if row["hash"] else None
    return Description(value, row["flat"], seen, row["readable"], row["inner"])


def serve() -> None:
    """Work until standard input ends."""
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := jobs.readline():
        job = json.loads(line)
        if job["path"] is not None:
            try:
                with open(job["path"], "rb") as handle:
                    data = handle.read()
            except OSError:
                data = b""  # gone: no image
        else:
            data = jobs.read(job["length"])
        answers.write(json.dumps(to_json(describe(data, job["method"], job["views"]))).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the pipe
    with pillow_in_bounds():
        serve()
