"""A loopback server of a few files that knows ranges, and can break off."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FilesServer:
    """``with FilesServer({"/x.zip": b"..."}) as server: server.url("/x.zip")``.

    Attributes:
        files: what is served; may be changed.
        cut_after: bytes after which an answer breaks off; None: never.
        hold: what an answer that breaks off waits for before it does; None: nothing.
        redirects: where a path leads to.
        ranges: the Range header of each request.
    """

    def __init__(self, files: Mapping[str, bytes], cut_after: int | None = None) -> None:
        self.files, self.cut_after = dict(files), cut_after
        self.hold: threading.Event | None = None
        self.redirects: dict[str, str] = {}
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range"))
                if self.path in outer.redirects:
                    self.send_response(302)
                    self.send_header("Location", outer.redirects[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                tag = f'"{hashlib.sha256(data).hexdigest()}"'
                start = 0
                asked = self.headers.get("Range")
                if asked and self.headers.get("If-Range") == tag:
                    start = int(asked.removeprefix("bytes=").split("-")[0])
                    if start >= len(data):
                        self.send_error(416)
                        return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("ETag", tag)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                self.wfile.write(data[start:] if outer.cut_after is None else data[start : start + outer.cut_after])
                if outer.cut_after is not None and outer.hold is not None:
                    self.wfile.flush()
                    outer.hold.wait(60)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self) -> FilesServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
