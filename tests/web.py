"""A hostile web on loopback, for tests: every path misbehaves in its own way, and every request is counted.

http://127.0.0.1:PORT/<behaviour>/<anything>     images that are not what they seem
http://127.0.0.1:PORT/v1/images/                 an Openverse-shaped search over images of this web
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

Writer = asyncio.StreamWriter


def photo(number: int, side: int = 64, kind: str = "JPEG", **options: object) -> bytes:
    """A small image with structure, different for each number."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8))
    out = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def animation() -> bytes:
    """A GIF of two frames, the first red."""
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def pixel_bomb() -> bytes:
    """A PNG of a few hundred bytes whose header says 60,000 x 60,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


GZIP_BOMB = gzip.compress(bytes(50_000_000), 1)


class HostileWeb:
    """A server in a thread of its own; ``with HostileWeb() as web: web.url("ok/1")``.

    Attributes:
        requests: how often each path was asked for.
        user_agents: all that were seen.
        hits: what the search gives for a query: image paths, best first.
        related: what an image-to-image search gives for the number of an image.
        answer: what the search says instead, whatever is asked.
        archive: bodies of further paths.
        failing_until: so many requests for /weak/N fail with 503, of all N together.
        headers: those of the last request for each path, names in lower case.
    """

    def __init__(self, robots: tuple[int, str] = (404, ""), address: str = "127.0.0.1") -> None:
        self._address = address
        self.requests: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []
        self.user_agents: set[str] = set()
        self.queries: list[dict[str, str]] = []
        self.hits: Callable[[str], list[str]] = lambda query: []
        self.related: Callable[[str], list[str]] = lambda number: []
        self.answer: bytes | None = None
        self.robots = robots
        self.most_at_once = 0
        self.headers: dict[str, dict[str, str]] = {}
        self.archive: dict[str, bytes] = {}
        self.failing_until = 0
        self._num_weak = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._at_once = 0
        self._port = 0
        self._changed = threading.Condition()

    def __enter__(self) -> HostileWeb:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def base(self) -> str:
        return f"http://{self._address}:{self._port}"

    def url(self, path: str) -> str:
        return f"{self.base}/{path}"

    def count(self, path: str) -> int:
        return self.requests["/" + path]

    def wait_for(self, done: Callable[[], bool], timeout_s: float = 60) -> bool:
        """Block until requests have made something true."""
        with self._changed:
            return self._changed.wait_for(done, timeout_s)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    async def _serve(self, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, self._address, 0)
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = self._loop.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._request(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _request(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        target = head.split(" ", 2)[1]
        for line in head.splitlines():
            if line.lower().startswith("user-agent:"):
                self.user_agents.add(line.split(":", 1)[1].strip())
        path = target.split("?")[0]
        said = (line.partition(":")[::2] for line in head.splitlines()[1:] if line)
        self.headers[path] = {name.lower(): value.strip() for name, value in said}
        with self._changed:
            self.requests[path] += 1
            self.times.append((time.monotonic(), path))
            self._changed.notify_all()
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self._behave(path, target, writer)
        finally:
            self._at_once -= 1

    async def _behave(self, path: str, target: str, writer: Writer) -> None:
        if path == "/robots.txt":
            return await self._send(writer, self.robots[1].encode(), status=self.robots[0], kind="text/plain")
        if path.startswith("/v1/images/") and path.endswith("/related/"):
            return await self._send(writer, self._related(path), kind="application/json")
        if path == "/v1/images/":
            return await self._send(writer, self._search(target), kind="application/json")
        if path in self.archive:
            return await self._send(writer, self.archive[path])
        kind, _, rest = path[1:].partition("/")
        number = int(rest) if rest.isdigit() else 0
        plain = {
            "ok": photo(number),
            "html": b"<!DOCTYPE html><html><body>Not found</body></html>",
            "truncated": photo(number)[:-400],
            "pixel": photo(number, side=1),
            "svg": SVG,
            "gif": animation(),
            "bomb": pixel_bomb(),
            "empty": b"",
            "bmp": photo(number, kind="BMP"),
            "avif": b"\0\0\0\x1cftypavif" + bytes(500),
            "png": photo(number, kind="PNG"),
            "webp": photo(number, kind="WEBP"),
            "bad-crc": photo(number, kind="PNG").replace(b"IDAT", b"IDAT\xff", 1),
            "half-png": photo(number, kind="PNG")[:2000],
            "tail": photo(number) + b"<script>alert(1)</script>",
        }
        if kind in plain:
            return await self._send(writer, plain[kind])
        if kind == "status":
            return await self._send(writer, b"no", status=number)
        if kind == "partial":
            return await self._send(writer, photo(number)[:500], status=206)
        if kind == "half-gzip":
            body = gzip.compress(photo(number))
            return await self._send(writer, body[: len(body) // 2], headers={"Content-Encoding": "gzip"})
        if kind == "not-gzip":
            return await self._send(writer, photo(number), headers={"Content-Encoding": "gzip"})
        if kind == "unasked":  # says that nothing has changed to whoever never asked that
            return await self._send(writer, b"", status=304)
        if kind == "odd":  # /odd/HEADER: bytes that are no text
            return await self._send(writer, photo(1), headers={rest: "noai, \xff\xfe\xe9"})
        if kind == "less":  # sends more than it says
            return await self._send(writer, photo(number), headers={"Content-Length": "700"})
        if kind == "bad-length":
            return await self._send(writer, photo(number), headers={"Content-Length": "many"})
        if kind == "long-header":
            return await self._send(writer, photo(number), headers={"X-Long": "x" * 100_000})
        if kind == "bad-chunks":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + photo(number))
            return await writer.drain()
        if kind == "slow-header":
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        if kind == "etag":  # /etag/N: the same as long as nobody changes it
            tag = f'"{number}"'
            if self.headers[path].get("if-none-match") == tag:
                return await self._send(writer, b"", status=304)
            return await self._send(writer, photo(number), headers={"ETag": tag})
        if kind == "changing":  # another image at each request
            return await self._send(writer, photo(self.requests[path]), headers={"ETag": f'"{self.requests[path]}"'})
        if kind == "vanishing":  # there once
            return await self._send(writer, photo(number), status=200 if self.requests[path] == 1 else 404)
        if kind == "here":  # a redirect without scheme and host
            return await self._redirect(writer, f"../ok/{number}#part")
        if kind == "weak":
            self._num_weak += 1
            status = 503 if self._num_weak <= self.failing_until else 200
            return await self._send(writer, photo(number), status=status)
        if kind == "huge":
            return await self._endless(writer)
        if kind == "says-huge":
            return await self._send(writer, b"x", headers={"Content-Length": str(10**12)})
        if kind == "gzip-bomb":
            return await self._send(writer, GZIP_BOMB, headers={"Content-Encoding": "gzip"})
        if kind == "gzipped":
            return await self._send(writer, gzip.compress(photo(number)), headers={"Content-Encoding": "gzip"})
        if kind == "brotli":
            return await self._send(writer, photo(number), headers={"Content-Encoding": "br"})
        if kind == "loop":
            return await self._redirect(writer, f"/loop/{number + 1}")
        if kind == "to":
            return await self._redirect(writer, parse_qs(urlsplit(target).query)["url"][0])
        if kind == "stall":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + photo(0)[:100])
            await writer.drain()
            await asyncio.Event().wait()
        if kind == "silent":
            await asyncio.Event().wait()
        if kind == "together":  # /together/N: answered once three such requests are waiting
            self._waiting.append(self._loop.create_future())
            mine = self._waiting[-1]
            if len(self._waiting) == 3:
                for waiting in self._waiting:
                    waiting.set_result(None)
                self._waiting.clear()
            await mine
            return await self._send(writer, photo(number))
        if kind == "trickle":
            return await self._trickle(writer)
        if kind == "short":  # promises more than it sends
            return await self._send(writer, photo(0), headers={"Content-Length": "100000"})
        if kind == "reset":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + photo(0)[:100])
            await writer.drain()
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return None
        if kind == "nonsense":
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            return None
        if kind == "header":  # /header/<name>=<value>
            name, _, value = rest.replace("%20", " ").partition("=")
            return await self._send(writer, photo(1), headers={name: value})
        if kind == "busy":  # /busy/N: N times 429, then the image
            if self.requests[path] <= number:
                return await self._send(writer, b"slow down", status=429, headers={"Retry-After": "0"})
            return await self._send(writer, photo(number))
        if kind == "busy-date":  # once 429 with a date that has passed, then the image
            if self.requests[path] == 1:
                date = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
                return await self._send(writer, b"slow down", status=429, headers=date)
            return await self._send(writer, photo(number))
        if kind == "busy-long":
            return await self._send(writer, b"slow down", status=429, headers={"Retry-After": "86400"})
        return await self._send(writer, b"nothing here", status=404)

    async def _send(
        self,
        writer: Writer,
        body: bytes,
        *,
        status: int = 200,
        kind: str = "image/jpeg",
        headers: dict[str, str] | None = None,
    ) -> None:
        said = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1") + body)
        await writer.drain()

    async def _redirect(self, writer: Writer, location: str) -> None:
        await self._send(writer, b"", status=302, headers={"Location": location})

    async def _endless(self, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n\xff\xd8\xff")
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    async def _trickle(self, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(0.02)

    def _search(self, target: str) -> bytes:
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        self.queries.append(query)
        if self.answer is not None:
            return self.answer
        page, size = int(query["page"]), int(query["page_size"])
        found = self.hits(query["q"])
        results = [self._result(path) for path in found[(page - 1) * size : page * size]]
        pages = max(1, -(-len(found) // size))
        answer = {"result_count": len(found), "page_count": pages, "page_size": size, "page": page, "results": results}
        return json.dumps(answer).encode()

    def _related(self, path: str) -> bytes:
        found = self.related(path.split("/")[-3].partition("-")[2])
        return json.dumps({"result_count": len(found), "results": [self._result(one) for one in found]}).encode()

    def _result(self, path: str) -> dict[str, object]:
        return {
            "id": path.replace("/", "-"),
            "title": f"Picture {path}",
            "url": path if path.split("/")[0].endswith(":") else self.url(path),
            "foreign_landing_url": self.url("page/" + path),
            "creator": "Someone",
            "license": "by",
            "license_url": "https://creativecommons.org/licenses/by/4.0/",
            "attribution": f'"Picture {path}" by Someone is licensed under CC BY 4.0.',
            "width": 64,
            "height": 64,
            "mature": False,
        }


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """A loopback port that refuses connections as long as the block lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        yield taken.getsockname()[1]
