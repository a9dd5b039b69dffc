"""A real Label Studio on loopback, with SQLite in a folder of its own, and workspaces to push to it.

with LabelStudioServer(program, folder) as server:
    ...  # server.url, server.token; server.sign_up("anna@example.com") for one more annotator
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pyarrow as pa
import pytest
from PIL import Image

from noisyweb.schemas import IMAGES
from noisyweb.workspace import Workspace
from tests.benchmarks.peers import peer_python

PACKAGE = "label-studio==1.23.2"
START_S = 480
PASSWORD = "correct horse battery"
CLASSES = ["ant", 'cat\'s <b>"eye"</b> & $image', "Käfer"]


def label_studio_program() -> str:
    """The program: $NOISYWEB_LABEL_STUDIO, else that of an environment made once; a skip where none can be made."""
    given = os.environ.get("NOISYWEB_LABEL_STUDIO")
    if given:
        return given
    folder = Path(tempfile.gettempdir()) / f"noisyweb-label-studio-{os.getuid()}"
    try:
        return str(Path(peer_python(None, folder, [PACKAGE])).parent / "label-studio")
    except subprocess.CalledProcessError as error:
        reason = f"{PACKAGE} cannot be installed: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass(frozen=True)
class Person:
    """Somebody who signed up; both tokens."""

    email: str
    token: str
    personal_token: str


class LabelStudioServer:
    """A server for the length of a block.

    Args:
        program: path of ``label-studio``.
        folder: for its database, files and log.

    Attributes:
        url: its address.
        token: legacy token of the first user, ``owner@example.com``.
    """

    token = "0123456789abcdef0123456789abcdef01234567"
    email = "owner@example.com"
    secret = "a key that signs the tokens of tests"

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> LabelStudioServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "--data-dir": self._folder,
            "-db": self._folder / "ls.sqlite3",
            "--internal-host": "127.0.0.1",
            "-p": self._port,
            "--username": self.email,
            "--password": PASSWORD,
            "--user-token": self.token,
            "--log-level": "WARNING",
        }
        command = [self._program, "start", "--no-browser", "--init", "--enable-legacy-api-token"]
        quiet = {"COLLECT_ANALYTICS": "0", "LATEST_VERSION_CHECK": "0", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
        environ = os.environ | quiet | {"SECRET_KEY": self.secret, "NO_PROXY": "127.0.0.1"}
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*command, *(str(word) for pair in options.items() for word in pair), "first project"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", trust_env=False, timeout=10).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.3)  # it is still starting
        tail = (self._folder / "log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"Label Studio does not answer at {self.url}; its log ends with:\n{tail}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        self._log.close()

    def call(self, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
        """One request with a legacy token, the owner's by default."""
        headers = {"Authorization": f"Token {token or self.token}"}
        answer = httpx.request(
            method, self.url + path, headers=headers, trust_env=False, timeout=120, follow_redirects=True, **options
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All tasks of a project with their annotations, as an export tells them."""
        path = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
        found = self.call("GET", path).json()
        assert isinstance(found, list)
        return found

    def sign_up(self, email: str) -> Person:
        """One more user, who joins by invitation as people do."""
        invitation = self.call("GET", "/api/invite").json()["invite_url"]
        with httpx.Client(base_url=self.url, trust_env=False, timeout=120) as browser:
            browser.get(invitation)
            form = {"email": email, "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
            assert browser.post(invitation, data=form).status_code == 302
            token = browser.get("/api/current-user/token").json()["token"]
            headers = {"X-CSRFToken": browser.cookies["csrftoken"]}
            personal = browser.post("/api/token", headers=headers).json()["token"]
        return Person(email, token, personal)

    def annotate(self, task: int, answer: str | list[str], token: str = "", **more: Any) -> int:
        """One annotation of the owner of a token; its id."""
        choices = [answer] if isinstance(answer, str) else answer
        value = {"from_name": "answer", "to_name": "image", "type": "choices", "value": {"choices": choices}}
        content = {"result": [value], **more}
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", token, json=content).json()["id"])

    def expired(self, personal_token: str) -> str:
        """An access token, signed by the server, whose time is over."""
        user = json.loads(_from_base64(personal_token.split(".")[1]))["user_id"]
        claims = {"token_type": "access", "exp": 1_500_000_000, "iat": 1_499_999_700, "jti": "0" * 32, "user_id": user}
        head = b".".join(_to_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        seal = hmac.new(self.secret.encode(), head, hashlib.sha256).digest()
        return (head + b"." + _to_base64(seal)).decode()


def _to_base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def picture(number: int, kind: str = "JPEG") -> bytes:
    """A small image, unlike every other of its kind."""
    stream = io.BytesIO()
    color = (number % 256, number // 256 % 256, number // 65536)
    Image.new("RGB", (16, 12), color).save(
        stream, kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {})
    )
    return stream.getvalue() + b"%d" % number  # what follows the end of an image is kept, too


def ask(place: Workspace, count: int, *, store: bool = True) -> None:
    """Make a workspace with some questions: images that were found for the classes in turn, of several formats."""
    place.set_class_names(CLASSES)
    rows = []
    for number in range(count):
        data = picture(number, ("JPEG", "PNG", "WEBP", "GIF")[number % 4]) if store else b"%d" % number
        image_id = place.put(data) if store else hashlib.sha256(data).hexdigest()
        label = number % len(CLASSES)
        row = {"url": f"http://127.0.0.1:9/{number}.jpg", "label": label, "status": "ok", "image_id": image_id}
        rows.append(row | {"retry": False, "attempts": 1})
    place.write("images", pa.Table.from_pylist(rows, schema=IMAGES))
