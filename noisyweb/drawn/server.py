"""A loopback web over the drawn edition: a search API, an image host and a slow host, on free ports.

It is for exercising a crawler over real HTTP; it listens on 127.0.0.1 only and ends with its ``with`` block::

    with serve(["Acura RL Sedan 2012"]) as web:
        httpx.get(web.search_url, params={"q": "Acura RL Sedan 2012"}).json()["results"]
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

from noisyweb.drawn.hosting import Served, place_hits, truth_table
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.search_api import SearchIndex

STALL_S = 30.0
"""How long a stalled answer holds its connection at most, in seconds."""

_PAGE = b"<!DOCTYPE html><title>Gone</title><p>This picture has moved. <a href='/'>Home</a></p>"
_ROBOTS = b"User-agent: *\nAllow: /\n"


@dataclass(frozen=True)
class DrawnWeb:
    """A running loopback web.

    Attributes:
        api_url: of the search API's host, without a slash at the end.
        image_url, slow_url: the image hosts, without a slash at the end.
        class_names: the classes that are served; labels are indices into it.
        served: every hit with its address and fate.
    """

    api_url: str
    image_url: str
    slow_url: str
    class_names: Sequence[str]
    served: Sequence[Served]

    @property
    def search_url(self) -> str:
        """Where the search API answers."""
        return f"{self.api_url}/v1/images/"

    @cached_property
    def by_url(self) -> dict[str, Served]:
        """The hits by the address that serves them."""
        return {one.url: one for one in self.served}

    def truth(self) -> pa.Table:
        """What every served hit shows: a table of `noisyweb.drawn.hosting.TRUTH`."""
        return truth_table(self.served)


@dataclass(frozen=True)
class _Reply:
    status: int
    content_type: str
    body: bytes
    delay_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


_Responder = Callable[[str, dict[str, str]], _Reply]
_NOT_FOUND = _Reply(404, "text/plain; charset=utf-8", b"not found\n")


@contextlib.contextmanager
def serve(class_names: Sequence[str], *, delay_s: float = 0.75, stall_s: float = STALL_S) -> Iterator[DrawnWeb]:
    """Serve the drawn web of some classes until the block ends.

    Args:
        class_names: classes of the drawn vocabulary.
        delay_s: how long the slow host thinks before it answers, in seconds.
        stall_s: how long it holds the connection of a stalled answer, in seconds.

    Raises:
        UnknownNameError: no such class in the vocabulary.
    """
    stop = threading.Event()
    with contextlib.ExitStack() as running:
        hosts = [running.enter_context(_host(stop)) for _ in range(3)]
        search, images, slow = (f"http://127.0.0.1:{host.server_port}" for host in hosts)
        web = DrawnWeb(search, images, slow, tuple(class_names), place_hits(class_names, images, slow))
        index = SearchIndex(web.class_names, web.served)
        hosts[0].responder = lambda path, parameters: _search(index, path, parameters)
        hosts[1].responder = hosts[2].responder = _image_responder(web, delay_s, stall_s)
        running.callback(stop.set)  # first of all on the way out: nobody waits for a stalled answer
        yield web


def _search(index: SearchIndex, path: str, parameters: dict[str, str]) -> _Reply:
    if path == "/robots.txt":
        return _Reply(200, "text/plain; charset=utf-8", _ROBOTS)
    if path.rstrip("/") != "/v1/images":
        return _Reply(404, "application/json", b'{"detail": "Not found."}')
    status, answer = index.answer(parameters)
    limits = (("X-RateLimit-Limit-anon_sustained", "1000000/day"), ("X-RateLimit-Available-anon_sustained", "1000000"))
    return _Reply(status, "application/json", json.dumps(answer).encode(), headers=limits)


def _image_responder(web: DrawnWeb, delay_s: float, stall_s: float) -> _Responder:
    by_path = {urlsplit(one.url).path: one for one in web.served}

    @lru_cache(maxsize=4096)
    def draw(path: str) -> bytes:
        one = by_path[path]
        return draw_hit(one.hit, web.class_names[one.label])

    def respond(path: str, parameters: dict[str, str]) -> _Reply:
        if path == "/robots.txt":
            return _Reply(200, "text/plain; charset=utf-8", _ROBOTS)
        one = by_path.get(path)
        if one is None or one.fate == "missing":
            return _NOT_FOUND
        if one.fate == "page":
            return _Reply(200, "image/jpeg", _PAGE)
        if one.fate == "stalled":
            return _Reply(0, "", b"", delay_s=stall_s)
        return _Reply(200, "image/jpeg", draw(path), delay_s=delay_s if one.fate == "slow" else 0.0)

    return respond


class _Host(ThreadingHTTPServer):
    """One port; at its end every open connection is closed, so that no thread is left waiting."""

    daemon_threads = True
    block_on_close = True
    request_queue_size = 128

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.responder: _Responder = lambda path, parameters: _NOT_FOUND
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection that is still open."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may hang up
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "noisyweb-drawn"
    disable_nagle_algorithm = True
    server: _Host

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        target = urlsplit(self.path)
        reply = self.server.responder(target.path, dict(parse_qsl(target.query, keep_blank_values=True)))
        if reply.delay_s:
            self.server.stop.wait(reply.delay_s)
        if not reply.status:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a crawl of thousands would fill the terminal."""


@contextlib.contextmanager
def _host(stop: threading.Event) -> Iterator[_Host]:
    host = _Host(stop)
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.hang_up()
        host.server_close()
        thread.join()
