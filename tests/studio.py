"""A small server that speaks like Label Studio and fails where it is told to, on loopback.

with Studio() as studio:
    studio.fail("POST", "/api/projects/1/import", Lost(after=True))
    ...  # give studio.url; look at studio.tasks and studio.requests afterwards
"""

from __future__ import annotations

import email
import email.policy
import functools
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "aaaa.bbbb.cccc"
CHOICES = {"answer": {"type": "Choices", "labels": ["yes", "no", "unsure"]}}


@dataclass(frozen=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered: JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost:
    """The connection ends without an answer.

    Attributes:
        after: what was asked for is done nevertheless.
        part: only of so many tasks.
        listings: only after so many more listings of tasks.
    """

    after: bool = False
    part: int | None = None
    listings: int = 0


def refusal(status: int, detail: str, **errors: list[str]) -> Answer:
    """How Label Studio words a refusal."""
    body = {"id": "0-0", "status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}
    return Answer(body | ({"validation_errors": errors} if errors else {}), status)


class Studio:
    """A server in threads of its own.

    Args:
        prefix: path that all is below.
        page_limit: most tasks in one page, whatever is asked for.
        later: answer imports at once, as other editions do, and work on them when asked how they are.

    Attributes:
        projects, tasks, files, users: what it holds, as the API tells it; tasks by project.
        requests: all that came, in order.
        access: the access token that it takes at present.
    """

    def __init__(self, *, prefix: str = "", page_limit: int = 1_000_000, later: bool = False) -> None:
        self.prefix, self.page_limit, self.later = prefix, page_limit, later
        self.projects: list[dict[str, Any]] = []
        self.tasks: dict[int, list[dict[str, Any]]] = {}
        self.files: dict[int, list[dict[str, Any]]] = {}
        self.contents: dict[str, bytes] = {}
        self.imports: dict[int, dict[str, Any]] = {}
        self.users: list[dict[str, Any]] = [{"id": 1, "email": "owner@example.com"}]
        self.requests: list[Request] = []
        self.access = ""
        self._faults: list[tuple[str, str, Answer | Lost]] = []
        self._waiting: list[tuple[int, Callable[[], object]]] = []
        self._numbers = 0
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}{prefix}"

    def __enter__(self) -> Studio:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fail(self, method: str, path: str, *faults: Answer | Lost) -> None:
        """Have the next requests of a method and path fail, one fault each."""
        self._faults += [(method, self.prefix + path, fault) for fault in faults]

    def asked(self, method: str, path: str) -> int:
        """How many requests of that kind have come."""
        return sum(each.method == method and each.path == self.prefix + path for each in self.requests)

    # -- answers -------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer | None:
        """What a request is answered with; None: the connection ends."""
        with self._lock:
            self.requests.append(request)
            fault = next((each for each in self._faults if each[:2] == (request.method, request.path)), None)
            if fault is None:
                return self._do(request, None)
            self._faults.remove(fault)
            if isinstance(fault[2], Answer):
                return fault[2]
            lost = fault[2]
            if lost.listings:
                self._waiting.append((lost.listings, functools.partial(self._do, request, None)))
            elif lost.after:
                self._do(request, lost.part)
            return None

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _do(self, request: Request, part: int | None) -> Answer:
        path = request.path.removeprefix(self.prefix)
        if not request.path.startswith(f"{self.prefix}/api/"):
            return Answer(b"<!doctype html>\n<html>Page not found</html>", 404, {"Content-Type": "text/html"})
        if path == "/api/token/refresh":
            if json.loads(request.body) != {"refresh": PERSONAL}:
                return refusal(401, "Token is invalid or expired")
            self.access = f"access-{self._number()}"
            return Answer({"access": self.access})
        if request.headers.get("authorization") not in (f"Token {LEGACY}", f"Bearer {self.access or 0}"):
            return refusal(401, "Invalid token.")
        content = json.loads(request.body) if "json" in request.headers.get("content-type", "") else None
        match = re.fullmatch(r"/api/projects/(\d+)(/.*)?", path)
        if path == "/api/users":
            return Answer(self.users)
        if path == "/api/projects" and request.method == "POST":
            return self._make(content)
        if path == "/api/projects":
            title = request.query.get("title", "").lower()
            found = [each for each in self.projects if title in each["title"].lower()]
            return Answer({"count": len(found), "next": None, "previous": None, "results": found})
        if path == "/api/tasks":
            return self._list(request.query)
        if match is None or int(match[1]) not in self.tasks:
            return refusal(404, "No Project matches the given query.")
        project, rest = int(match[1]), match[2] or ""
        if rest == "/import" and content is not None:
            return self._import(project, content[:part])
        if rest == "/import":
            return self._upload(project, request)
        if rest == "/file-uploads":
            wanted = json.loads(request.query.get("ids", "[]"))
            everything = request.query.get("all") == "true"
            return Answer([each for each in self.files[project] if everything or each["id"] in wanted])
        if rest.startswith("/imports/"):
            return Answer(self.imports.get(int(rest.split("/")[2]), {"status": "failed", "error": "no such import"}))
        return Answer(next(each for each in self.projects if each["id"] == project))

    def _make(self, content: Mapping[str, Any]) -> Answer:
        number = self._number()
        self.projects.append({**content, "id": number, "parsed_label_config": CHOICES})
        self.tasks[number], self.files[number] = [], []
        return Answer(self.projects[-1], 201)

    def _import(self, project: int, content: list[dict[str, Any]]) -> Answer:
        for task in content:
            self.tasks[project].append({"id": self._number(), "data": task["data"], "annotations": []})
        return self._done({"task_count": len(content)})

    def _upload(self, project: int, request: Request) -> Answer:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = {}
        for field_ in email.message_from_bytes(head + request.body, policy=email.policy.HTTP).iter_parts():
            form[field_.get_param("name", header="Content-Disposition")] = field_  # the last of one name stays
        numbers = []
        for part in form.values():
            number = self._number()
            name = f"upload/{project}/{number:08x}-{part.get_filename()}"
            self.files[project].append({"id": number, "file": name, "size": 1})
            self.contents[name] = part.get_payload(decode=True)
            numbers.append(number)
        return self._done({"task_count": len(numbers), "file_upload_ids": numbers})

    def _done(self, result: dict[str, Any]) -> Answer:
        if not self.later:
            return Answer(result, 201)
        number = self._number()
        self.imports[number] = result | {"id": number, "status": "completed"}
        return Answer({"import": number}, 201)

    def _list(self, query: Mapping[str, str]) -> Answer:
        self._waiting = [(left - 1, work) for left, work in self._waiting]
        for left, work in self._waiting:
            if left < 0:
                work()
        self._waiting = [each for each in self._waiting if each[0] >= 0]
        tasks = self.tasks.get(int(query["project"]), [])
        size, page = min(int(query["page_size"]), self.page_limit), int(query["page"])
        some = tasks[(page - 1) * size : page * size]
        if not some and page > 1:
            return refusal(404, "Invalid page.")
        shown = [{name: task[name] for name in query.get("include", "id,data,annotations").split(",")} for task in some]
        return Answer({"total_annotations": 0, "total_predictions": 0, "total": len(tasks), "tasks": shown})


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(studio: Studio) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = studio.answer(Request(self.command, parts.path, query, headers, self.rfile.read(size)))
            if answer is None:
                self.close_connection = True
                return
            plain = isinstance(answer.body, bytes)
            body = answer.body if plain else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            headers = {
                "Content-Type": "text/html" if plain else "application/json",
                "Set-Cookie": "sessionid=abc; Path=/",
            }
            for name, value in (headers | dict(answer.headers) | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
