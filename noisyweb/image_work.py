"""What becomes of a fetched body: checked, stored, hashed. Runs in worker processes (`noisyweb.image_pool`).

A worker sends an empty line when it has started, is told of bodies through a socket, and answers each with a line of
JSON. A body is in shared memory (`noisyweb.body_ring`), or comes behind the message. It imports neither pyarrow nor
pandas nor an HTTP library, so that it takes little memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import socket
import struct
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from noisyweb.body_ring import shared_bodies
from noisyweb.errors import NoisywebError
from noisyweb.store import ImageStore, open_store

if TYPE_CHECKING:
    from noisyweb.remote_store import RemoteStore

HEAD = struct.Struct(">QQ")
"""Of a message: a body's bytes, and where in the shared memory it begins, or `IN_LINE`."""
IN_LINE = 2**64 - 1
DECODED = b"+"
"""A line that is no answer: the next body has been decoded, and is on its way to the store."""

PUTS_AT_ONCE = 10
MAX_WAITING = 32
"""Images on their way to an object store, and those of them that are being sent at once."""

Outcome = dict[str, Any]
"""Columns of `noisyweb.schemas.IMAGES`, and ``phash`` (hex) and ``flat`` of `HASHES`."""


@dataclass(frozen=True)
class ImageWork:
    """What is to be done with every body.

    Attributes:
        store: the store's place, of `noisyweb.places.text_of`.
        min_side: pixels that both sides of an image must have.
        image_size: pixels of the shorter side to which larger images are reduced; None: originals.
        decode: False stores bytes unseen: neither checked nor hashed.
    """

    store: str
    min_side: int = 32
    image_size: int | None = None
    decode: bool = True


def process(body: bytes, work: ImageWork) -> tuple[Outcome, bytes | None]:
    """Check and hash one body.

    Returns:
        The columns with ``reason`` None and the bytes to store under ``image_id``; or why it is no image worth keeping.
    """
    fetched = hashlib.sha256(body).hexdigest()
    if not work.decode:
        return {"reason": None, "image_id": fetched, "fetched_id": fetched, "num_bytes": len(body)}, body
    # Here, since a worker that only stores images starts in half the time without.
    from noisyweb.decode import NotUsableError, decode
    from noisyweb.phash import phash, phash_of

    try:
        image = decode(body, min_side=work.min_side, image_size=work.image_size)
    except NotUsableError as error:
        return {"reason": error.reason, "num_bytes": len(body), "fetched_id": fetched}, None
    value, flat = (phash_of(image.hashable, image.is_draft) if image.hashable else phash(image.data)) or (b"", False)
    outcome = {
        "reason": None,
        "image_id": fetched if image.data is body else hashlib.sha256(image.data).hexdigest(),
        "fetched_id": fetched,
        "num_bytes": len(image.data),
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "changes": ",".join(image.changes) or None,
        "phash": value.hex(),
        "flat": flat,
    }
    return outcome, image.data


def serve(link: socket.socket, shared: memoryview, work: ImageWork) -> None:
    """Work until the other end closes."""
    store = open_store(work.store)
    answers = _Answers(link, store) if isinstance(store, ImageStore) else _LaterAnswers(link, store)
    with link, link.makefile("rb") as messages, answers:
        link.sendall(b"\n")
        while len(head := messages.read(HEAD.size)) == HEAD.size:
            length, start = HEAD.unpack(head)
            body = messages.read(length) if start == IN_LINE else bytes(shared[start : start + length])
            if len(body) < length:
                return
            answers.give(*process(body, work))


class _Answers:
    """Stores images and answers at once: a disk takes them in no time."""

    def __init__(self, link: socket.socket, store: ImageStore | RemoteStore) -> None:
        self._link, self._store = link, store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def give(self, outcome: Outcome, data: bytes | None) -> None:
        """Store an image and answer."""
        self._link.sendall(json.dumps(self._stored(outcome, data)).encode() + b"\n")

    def _stored(self, outcome: Outcome, data: bytes | None) -> Outcome:
        try:
            if data is not None:
                self._store.put(data, outcome["image_id"])
        except NoisywebError as error:  # a full disk, say: the crawl ends with its words
            return {"error": str(error)}
        return outcome


class _LaterAnswers(_Answers):
    """Stores several images at once and answers in their order: each takes an object store tens of milliseconds."""

    def __enter__(self) -> Self:
        self._putting = ThreadPoolExecutor(PUTS_AT_ONCE)
        self._waiting: queue.Queue[Future[Outcome] | None] = queue.Queue(MAX_WAITING)
        self._sending = threading.Lock()
        self._answering = threading.Thread(target=self._answer, daemon=True)
        self._answering.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._answering.join()
        self._putting.shutdown()

    def give(self, outcome: Outcome, data: bytes | None) -> None:
        self._send(DECODED)  # if the process dies from now on, it is not of this body
        self._waiting.put(self._putting.submit(self._stored, outcome, data))

    def _answer(self) -> None:
        while (future := self._waiting.get()) is not None:
            self._send(json.dumps(future.result()).encode())

    def _send(self, line: bytes) -> None:
        with self._sending, contextlib.suppress(OSError):  # the crawl ended first
            self._link.sendall(line + b"\n")


def arguments(work: ImageWork, link: int, ring: int) -> list[str]:
    """The command line of a worker that is given descriptors: one end of a socket pair, and of a `BodyRing`."""
    return [sys.executable, "-m", "noisyweb.image_work", str(link), str(ring), json.dumps(asdict(work))]


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the crawl, which closes the socket
    wanted = ImageWork(**json.loads(sys.argv[3]))
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(ConnectionError))  # the crawl ended first
        if wanted.decode:
            from noisyweb.decode import pillow_in_bounds

            stack.enter_context(pillow_in_bounds())
        serve(socket.socket(fileno=int(sys.argv[1])), shared_bodies(int(sys.argv[2])), wanted)
