"""The annotation page and those who mean it harm: none gets in, none takes it down."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from noisyweb.annotate.app import MAX_HELD, MAX_TASKS, MAX_VOTES
from noisyweb.annotate.book import Book
from noisyweb.annotate.guard import HEADERS, MAX_BODY_BYTES
from noisyweb.annotate.pictures import MAX_BYTES, MAX_SIDE
from noisyweb.workspace import Workspace
from tests.annotation import PageServer, make_workspace

HOSTILE_NAMES = (
    '<img src=x onerror="alert(1)">',
    "'; DROP TABLE answers; --",
    "\u202e{{7*7}}../../etc/passwd%00",
)
PROXY = "https://label.example.org"
HEAD = b"POST /api/work HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("hostile") / "w", (4, 4, 4), HOSTILE_NAMES)


@pytest.fixture(scope="module")
def server(place: Workspace) -> Iterator[PageServer]:
    with PageServer(place.folder, ["anna", "bob"], "--origin", PROXY) as running:
        yield running
        anna = running.client("anna")  # whatever was done to it, it still works
        assert anna.work(want=1)["annotator"] == "anna"


def raw(server: PageServer, request: bytes, *, then: bytes = b"", times: int = 0) -> bytes:
    """Send bytes as they are; give what comes back until the server closes the connection."""
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(request)
        try:
            for _ in range(times):
                link.sendall(then)
        except OSError:
            pass  # it hung up, as it should
        reply = b""
        try:
            while part := link.recv(65_536):
                reply += part
        except OSError:
            pass
        return reply


# -- who gets in -----------------------------------------------------------------------------------------


def test_without_a_session_nothing_is_told_or_taken(server: PageServer) -> None:
    nobody = server.stranger("nobody")
    task = server.client("anna").work(want=1)["tasks"][0]["id"]
    vote = {"votes": [{"id": task, "answer": "yes"}], "want": 5}
    assert nobody.http.post("/api/work", json=vote).status_code == 401
    assert nobody.http.get(f"/image/{task}").status_code == 401
    assert nobody.http.get("/sample/0/0").status_code == 401
    for cookie in ("", "x", "a" * 5000, "anna", "'; --"):
        port = server.address.rpartition(":")[2]
        headers = {"Cookie": f"noisyweb-{port}={cookie}"}
        assert nobody.http.post("/api/work", json=vote, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": "anna", "token": "wrong"},
        {"name": "anna", "token": ""},
        {"name": "nobody", "token": ""},
        {"name": "' OR '1'='1", "token": "' OR '1'='1"},
        {"name": "anna\0", "token": "\ud800"},
        {"name": "\ud800", "token": "x"},
        {"name": ["anna"], "token": {"$ne": ""}},
        {"name": "anna"},
        [],
        None,
    ],
)
def test_nobody_signs_in_without_their_own_token(server: PageServer, body: Any) -> None:
    stranger = server.stranger("x")
    content = json.dumps(body).encode()
    reply = stranger.http.post("/api/sign-in", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 403)
    assert "set-cookie" not in reply.headers


def test_anothers_token_opens_only_their_own_door(server: PageServer) -> None:
    bobs = server.links["bob"].rpartition(":")[2]
    assert server.stranger("anna").sign_in(bobs).status_code == 403
    mallory = server.stranger("bob")
    assert mallory.sign_in(bobs).status_code == 200
    assert mallory.work(want=1)["annotator"] == "bob"  # who one is, is the session's to say
    task = mallory.work(want=1)["tasks"][0]["id"]
    votes = [{"id": task, "answer": "yes"}]
    reply = mallory.http.post("/api/work", json={"annotator": "anna", "votes": votes})
    assert (reply.status_code, reply.json()) == (409, {"error": "this browser is signed in as bob now"})


def test_the_session_cookie_is_out_of_reach_of_scripts_and_sites(server: PageServer) -> None:
    stranger = server.stranger("anna")
    reply = stranger.sign_in(server.links["anna"].rpartition(":")[2])
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    behind = {"Origin": PROXY, "Host": "label.example.org"}
    token = server.links["anna"].rpartition(":")[2]
    reply = stranger.http.post("/api/sign-in", json={"name": "anna", "token": token}, headers=behind)
    assert "secure" in reply.headers["set-cookie"].lower()
    assert "noisyweb-" in cookie


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://label.example.org.evil.example"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": PROXY, "Host": "label.example.org"}, 200),
        ({"Origin": PROXY, "Host": "label.example.org:443"}, 200),
        ({"Host": "evil.example"}, 421),  # a name that was made to point here
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "[::1"}, 421),
        ({"Content-Type": "text/plain"}, 415),  # what a form of another site can send without asking
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_only_the_pages_own_requests_are_taken(server: PageServer, headers: dict[str, str], status: int) -> None:
    anna = server.client("anna")
    sent = {"Content-Type": "application/json", **headers}
    assert anna.http.post("/api/work", content=b"{}", headers=sent).status_code == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_none(server: PageServer, method: str) -> None:
    assert server.client("anna").http.request(method, "/api/work").status_code == 405


# -- what is sent ----------------------------------------------------------------------------------------


def test_a_body_of_a_gigabyte_is_not_read(server: PageServer) -> None:
    reply = raw(server, HEAD + b"Content-Length: 1073741824\r\n\r\n", then=b"x" * 1_048_576, times=1024)
    assert reply == b"" or b" 413 " in reply.split(b"\r\n")[0]
    part = b"10000\r\n" + b"x" * 65_536 + b"\r\n"  # and without a length
    chunked = raw(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=part, times=64)
    assert chunked == b"" or b" 411 " in chunked.split(b"\r\n")[0]
    assert server.client("anna").work()["annotator"] == "anna"


@pytest.mark.parametrize("length", ["-1", "abc", "1" * 30, str(MAX_BODY_BYTES + 1), "٣"])
def test_lengths_that_are_none(server: PageServer, length: str) -> None:
    request = HEAD + f"Content-Length: {length}\r\n\r\n".encode()
    assert raw(server, request).split(b" ")[1] in (b"400", b"411", b"413")


def test_a_head_without_an_end_is_cut_off(server: PageServer) -> None:
    reply = raw(server, b"GET / HTTP/1.1\r\n", then=b"X: " + b"y" * 8_000 + b"\r\n", times=1_000)
    assert reply == b"" or b" 400 " in reply.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"want": 1e400}',
        b'{"want": -1}',
        b'{"want": true}',
        b'{"want": 1.0}',
        b'{"want": "1"}',
        b'{"want": %d}' % (MAX_TASKS + 1),
        b'{"votes": {}}',
        b'{"votes": [1]}',
        b'{"votes": [{"id": 1, "answer": "yes"}]}',
        b'{"votes": [{"answer": "yes"}]}',
        b'{"votes": [{"id": "x", "answer": "perhaps"}]}',
        b'{"votes": [{"id": "x", "answer": ["yes"]}]}',
        b'{"votes": [{"id": "x", "answer": "yes", "seconds": "long"}]}',
        b'{"votes": [{"id": "x", "answer": "yes", "seconds": true}]}',
        b'{"held": [1]}',
        json.dumps({"held": ["x"] * (MAX_HELD + 1)}).encode(),
        json.dumps({"votes": [{"id": "x", "answer": "yes"}] * (MAX_VOTES + 1)}).encode(),
    ],
)
def test_what_the_page_would_not_send(server: PageServer, body: bytes) -> None:
    anna = server.client("anna")
    reply = anna.http.post("/api/work", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400


@pytest.mark.parametrize("seconds", ["-1", "NaN", "1e999", "-Infinity", "1" + "0" * 4000, "601"])
def test_times_that_cannot_be_are_left_out(server: PageServer, place: Workspace, seconds: str) -> None:
    anna = server.client("anna")
    task = server.client("bob").work(want=1)["tasks"][0]["id"]
    body = f'{{"votes": [{{"id": "{task}", "answer": "yes", "seconds": {seconds}}}]}}'
    reply = anna.http.post("/api/work", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["saved"]) == (200, 1)
    stored = "SELECT seconds FROM answers WHERE question = ? AND annotator = 'anna'"
    assert Book(place.folder).sql.execute(stored, (task,)).fetchall() == [(None,)]


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd",
        "/image/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/image/\udcff",
        "/image/" + "a" * 3000,
        "/sample/-1/0",
        "/sample/99999999999999999999/0",
        "/sample/0/99999999999999999999",
        "/page.py",
        "/../labels.sqlite",
        "/labels.sqlite",
        "/page/../app.py",
    ],
)
def test_paths_lead_nowhere_else(server: PageServer, path: str) -> None:
    anna = server.client("anna")
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {anna.cookie()}\r\nConnection: close\r\n\r\n"
    status = raw(server, request.encode("utf-8", "surrogateescape")).split(b" ")[1]
    assert status in (b"400", b"404")


# -- what is shown ---------------------------------------------------------------------------------------


def test_every_answer_has_the_headers(server: PageServer) -> None:
    anna = server.client("anna")
    task = anna.work(want=1)["tasks"][0]["id"]
    replies = [anna.http.get(path) for path in ("/", "/page.js", "/page.css", "/none", f"/image/{task}")]
    replies += [anna.http.post("/api/work", json={}), anna.http.post("/api/work", json=[])]
    assert anna.http.post("/api/work", json={"book": "another"}).status_code == 409
    for reply in replies:
        for name, value in HEADERS.items():
            if name != "Content-Security-Policy":
                assert reply.headers[name] == value, reply.url
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "server" not in reply.headers


def test_images_that_are_none_or_huge(tmp_path: Path) -> None:
    place = make_workspace(tmp_path / "w", (1, 0, 0))
    noise = Image.effect_noise((3000, 2000), 90).convert("RGB")
    large = io.BytesIO()
    noise.save(large, "JPEG", quality=90)
    assert len(large.getvalue()) > MAX_BYTES
    script = b"<html><script>alert(1)</script></html>"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    broken = large.getvalue()[: MAX_BYTES + 10]
    bomb = b"\x89PNG\r\n\x1a\n" + b"\0" * MAX_BYTES
    with place.journal("images") as journal:
        for number, data in enumerate((large.getvalue(), script, svg, broken, bomb)):
            row = {"url": f"http://x/{number}", "label": 1, "status": "ok", "retry": False, "attempts": 1}
            journal.add({**row, "image_id": place.put(data)})
    place.fold("images")
    with PageServer(place.folder, ["anna"]) as server:
        anna = server.client("anna")
        shown = []
        for task in anna.work(want=10)["tasks"]:
            reply = anna.http.get(f"/image/{task['id']}")
            if reply.status_code == 200:
                assert reply.headers["content-type"] == "image/jpeg"
                assert "sandbox" in reply.headers["content-security-policy"]
                shown.append(Image.open(io.BytesIO(reply.content)).size)
            else:
                assert reply.status_code == 404
        assert sorted(shown) == [(40, 30), (MAX_SIDE, MAX_SIDE * 2 // 3)]


def test_many_at_once_do_not_take_it_down(server: PageServer) -> None:
    port = int(server.address.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    for link in idle:
        link.sendall(b"POST /api/work HTTP/1.1\r\n")  # and never the rest
    try:
        assert server.client("anna").work(want=1)["annotator"] == "anna"
        assert httpx.get(server.address).status_code == 200
    finally:
        for link in idle:
            link.close()
