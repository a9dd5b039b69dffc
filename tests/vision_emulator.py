"""Cloud Vision on loopback: POST /v1/images:annotate in its documented shape, with its documented limits.

with VisionEmulator({image_id: [("Cat", 0.9)]}) as vision:
    ...  # give vision.base as the endpoint; look at vision.batches and vision.violations afterwards
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Labels = Sequence[tuple[str, float]]
LABEL_DETECTION = (4, "LABEL_DETECTION")


@dataclass(frozen=True)
class Reply:
    """What is answered instead of the truth: JSON, or bytes as they are; status 0: the connection is cut."""

    body: Any
    status: int = 200


def refusal(status: int, code: str, message: str) -> Reply:
    """An error of the whole request, as Google words it."""
    return Reply({"error": {"code": status, "message": message, "status": code}}, status)


BUSY = refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'LabelDetection requests'.")
AWAY = refusal(503, "UNAVAILABLE", "The service is currently unavailable.")
NO_BILLING = refusal(403, "PERMISSION_DENIED", "This API method requires billing to be enabled.")
HANG_UP = Reply(b"", 0)


@dataclass
class VisionEmulator:
    """A server in threads of its own.

    Attributes:
        labels: what is seen in an image, by the SHA-256 of the bytes sent; nothing in those that are not there.
        errors: google.rpc code and message for an image.
        instead: replies to give before, and in place of, true ones.
        hold_at: the number of the request (0 is the first) that is answered only after `release`.
        batches: the images of each request that was answered with labels, in order.
        num_requests: of any outcome.
        violations: what Google would not have taken.
        sizes: bytes of JSON of each request.
    """

    labels: Mapping[str, Labels] = field(default_factory=dict)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    instead: deque[Reply] = field(default_factory=deque)
    hold_at: int | None = None
    batches: list[list[str]] = field(default_factory=list)
    num_requests: int = 0
    violations: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __enter__(self) -> VisionEmulator:
        self._lock = threading.Lock()
        self.held, self.release = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, body: bytes) -> Reply:
        """Check a request as Google does and answer it."""
        with self._lock:
            number = self.num_requests
            self.num_requests += 1
            self.sizes.append(len(body))
            reply = self.instead.popleft() if self.instead else self._annotate(path, body)
        if number == self.hold_at:
            self.held.set()
            self.release.wait(60)
        return reply

    def _annotate(self, path: str, body: bytes) -> Reply:
        if path.split("?")[0] != "/v1/images:annotate":
            return refusal(404, "NOT_FOUND", "no such method")
        if len(body) > 10_000_000:
            return self._violation(f"Request payload size exceeds the limit: {len(body)} bytes.")
        asked = json.loads(body)["requests"]
        if not 1 <= len(asked) <= 16:
            return self._violation(f"Too many images per request: {len(asked)}.")
        ids = []
        for one in asked:
            [feature] = one["features"]
            if feature["type"] not in LABEL_DETECTION or not 1 <= feature["maxResults"] <= 100:
                return self._violation(f"Unexpected feature {feature}.")
            try:
                data = base64.b64decode(one["image"]["content"], validate=True)
            except binascii.Error:
                return self._violation("Base64 decoding failed.")
            ids.append(hashlib.sha256(data).hexdigest())
        self.batches.append(ids)
        return Reply({"responses": list(map(self._response, ids))})

    def _violation(self, what: str) -> Reply:
        self.violations.append(what)
        return refusal(400, "INVALID_ARGUMENT", what)

    def _response(self, image_id: str) -> dict[str, Any]:
        if image_id in self.errors:
            code, message = self.errors[image_id]
            return {"error": {"code": code, "message": message}}
        found = [
            {"mid": f"/m/{n}", "description": description, "score": score, "topicality": score}
            for n, (description, score) in enumerate(self.labels.get(image_id, ()))
        ]
        return {"labelAnnotations": found} if found else {}


def _handler(emulator: VisionEmulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = emulator.answer(self.path, body)
            if reply.status == 0:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            with contextlib.suppress(ConnectionError):  # the client was killed meanwhile
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
