"""What becomes of a fetched body: checked, stored, hashed. Runs in worker processes (`noisyweb.image_pool`).

A worker sends an empty line when it has started, reads bodies from a socket, each behind its length, and answers each
with a line of JSON. It imports neither pyarrow nor pandas nor an HTTP library, so that it takes little memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from noisyweb.decode import NotUsableError, decode, pillow_in_bounds
from noisyweb.errors import NoisywebError
from noisyweb.phash import phash, phash_of
from noisyweb.store import ImageStore

LENGTH = struct.Struct(">Q")

Outcome = dict[str, Any]
"""Columns of `noisyweb.schemas.IMAGES`, and ``phash`` (hex) and ``flat`` of `HASHES`."""


@dataclass(frozen=True)
class ImageWork:
    """What is to be done with every body.

    Attributes:
        store: the store's folder.
        min_side: pixels that both sides of an image must have.
        image_size: pixels of the shorter side to which larger images are reduced; None: originals.
        decode: False stores bytes unseen: neither checked nor hashed.
    """

    store: str
    min_side: int = 32
    image_size: int | None = None
    decode: bool = True


def process(body: bytes, work: ImageWork, store: ImageStore) -> Outcome:
    """Check, store and hash one body.

    Returns:
        With ``reason`` None, or why it is no image worth keeping.
    """
    if not work.decode:
        image_id = store.put(body)
        return {"reason": None, "image_id": image_id, "fetched_id": image_id, "num_bytes": len(body)}
    fetched = hashlib.sha256(body).hexdigest()
    try:
        image = decode(body, min_side=work.min_side, image_size=work.image_size)
    except NotUsableError as error:
        return {"reason": error.reason, "num_bytes": len(body), "fetched_id": fetched}
    value, flat = (phash_of(image.hashable, image.is_draft) if image.hashable else phash(image.data)) or (b"", False)
    return {
        "reason": None,
        "image_id": store.put(image.data, fetched if image.data is body else None),
        "fetched_id": fetched,
        "num_bytes": len(image.data),
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "changes": ",".join(image.changes) or None,
        "phash": value.hex(),
        "flat": flat,
    }


def serve(link: socket.socket, work: ImageWork) -> None:
    """Work until the other end closes."""
    store = ImageStore(Path(work.store))
    with link, link.makefile("rb") as bodies:
        link.sendall(b"\n")
        while len(head := bodies.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            body = bodies.read(length)
            if len(body) < length:
                return
            try:
                outcome: Mapping[str, Any] = process(body, work, store)
            except NoisywebError as error:  # a full disk, say: the crawl ends with its words
                outcome = {"error": str(error)}
            link.sendall(json.dumps(outcome).encode() + b"\n")


def arguments(work: ImageWork, descriptor: int) -> list[str]:
    """The command line of a worker that is given one end of a socket pair."""
    return [sys.executable, "-m", "noisyweb.image_work", str(descriptor), json.dumps(asdict(work))]


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the crawl, which closes the socket
    with pillow_in_bounds(), contextlib.suppress(ConnectionError):  # the crawl ended first
        serve(socket.socket(fileno=int(sys.argv[1])), ImageWork(**json.loads(sys.argv[2])))
