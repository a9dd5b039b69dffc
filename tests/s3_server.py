"""A real S3 server on loopback (moto) that counts what it serves, and can be told to refuse, hold or drop requests."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import fsspec
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

DROP, LOSE = -1, -2
"""Answers that are none: the connection is reset before the request is served, or after it (which nobody is told)."""


class _Quiet(WSGIRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a connection that was reset on purpose
            super().handle()

    def log_request(self, *_: Any) -> None:
        pass


@dataclass
class S3Server:
    """``with S3Server() as s3: os.environ.update(s3.environment)``.

    Attributes:
        requests: method and path of each request, in order.
        served: bytes of all answers to GET since the last ``forget``.
        answer: None: as S3 does. Otherwise it is asked about each method and path first, and gives a status to refuse
            with, `DROP`, `LOSE`, or None; it may also block.
    """

    requests: list[tuple[str, str]] = field(default_factory=list)
    served: int = 0
    answer: Callable[[str, str], int | None] | None = None

    def __enter__(self) -> S3Server:
        self._real = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes clients in this and other processes use this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A client that is not fsspec's."""
        known = self.environment
        return boto3.client(
            "s3",
            endpoint_url=known["AWS_ENDPOINT_URL"],
            aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )

    def keys(self, bucket: str) -> list[str]:
        """All names in a bucket."""
        return [entry["Key"] for entry in self.client().list_objects_v2(Bucket=bucket).get("Contents", [])]

    def forget(self) -> None:
        """Count afresh, and answer as S3 does."""
        self.requests.clear()
        self.served, self.answer = 0, None

    def busy(self, seconds: float, status: int = 503) -> None:
        """Answer everything with a status (or `DROP`, `LOSE`) for so long."""
        end = time.monotonic() + seconds
        self.answer = lambda method, path: status if time.monotonic() < end else None

    def _app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        status = self.answer(method, path) if self.answer is not None else None
        if status == LOSE:
            list(self._real(environ, lambda *_: lambda data: None))
        if status in (DROP, LOSE):
            _reset(environ["werkzeug.socket"])
        if status is not None:
            start_response(f"{status} Refused", [("Content-Type", "application/xml")])
            code = "AccessDenied" if status == 403 else "ServiceUnavailable"
            text = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
            return [] if method == "HEAD" else [text.encode()]
        return self._counted(method, self._real(environ, start_response))

    def _counted(self, method: str, parts: Iterable[bytes]) -> Iterator[bytes]:
        for part in parts:
            if method == "GET":
                self.served += len(part)
            yield part


@contextlib.contextmanager
def serving(bucket: str) -> Iterator[S3Server]:
    """A server with one bucket, known to this process and to those it starts meanwhile."""
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        server.client().create_bucket(Bucket=bucket)
        s3 = fsspec.get_filesystem_class("s3")
        s3.clear_instance_cache()  # which know an earlier server
        yield server
        s3.clear_instance_cache()


def _reset(connection: socket.socket) -> None:
    """Close a connection by a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
    raise ConnectionResetError
