"""Parts for tests of the annotation page: a workspace to ask about, its server as a process, annotators over HTTP."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from noisyweb.workspace import Workspace
from tests.conftest import PROGRAM, paint

NAMES = ("ant", "bee", "cat's eye")


def make_workspace(folder: Path, sizes: Sequence[int], names: Sequence[str] = NAMES) -> Workspace:
    """A workspace with so many images of each class, all different."""
    place = Workspace(folder, create=True)
    place.set_class_names(names)
    with place.journal("images") as journal:
        for label, size in enumerate(sizes):
            for number in range(size):
                file = folder / "painted" / f"{label}-{number}.jpg"
                paint(file, number + 300 * (number // 100), 40 * label + number // 100)
                image_id = place.put(file.read_bytes())
                row = {"url": f"http://x/{label}/{number}", "label": label, "status": "ok", "retry": False}
                journal.add({**row, "attempts": 1, "image_id": image_id})
    place.fold("images")
    return place


def free_port() -> int:
    """A port that stays free while a server is restarted: none of those that the system gives to whoever asks."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port


class PageServer:
    """``noisyweb label serve`` as a process, until the block ends.

    Args:
        folder: the workspace's.
        annotators: those who get links.
        options: of the command.
    """

    def __init__(self, folder: Path, annotators: Sequence[str], *options: str) -> None:
        self.folder, self._annotators, self._options = folder, annotators, options
        self.links: dict[str, str] = {}
        self.address, self.said = "", ""
        self._clients: list[Annotator] = []
        self._port = free_port()

    def __enter__(self) -> PageServer:
        self.start(*(f"--annotator={name}" for name in self._annotators))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.http.close()
        if self.process.poll() is None:
            self.stop()

    def start(self, *options: str) -> None:
        """Start it, and wait until it says that it is open."""
        command = [str(PROGRAM), "label", "serve", "--workspace", str(self.folder), "--port", str(self._port)]
        self.process = subprocess.Popen(
            [*command, *self._options, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        expected = {option.removeprefix("--annotator=") for option in options if option.startswith("--annotator=")}
        self.said, is_open = "", False
        while not is_open or expected - set(self.links):
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, self.said  # it has ended
            self.said += line
            if found := re.search(r"annotation page: (\S+)/ ", line):
                self.address, is_open = found[1], True
            elif found := re.search(r"^  (.+): (\S+/#\S+)$", line):
                self.links[found[1]] = found[2]

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()

    def restart(self) -> None:
        """Open it again at the same address."""
        self.start()

    def stop(self, number: signal.Signals = signal.SIGINT) -> str:
        """End it in good order; give what it said after it was open."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said

    def client(self, name: str) -> Annotator:
        """An annotator who has signed in."""
        annotator = self.stranger(name)
        token = self.links[name].rpartition(":")[2]
        assert annotator.sign_in(token).status_code == 200
        return annotator

    def stranger(self, name: str) -> Annotator:
        """Somebody who has not signed in."""
        self._clients.append(Annotator(self.address, name))
        return self._clients[-1]


class Annotator:
    """Speaks to the page's server as the page does."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.http = httpx.Client(base_url=address, headers={"Origin": address}, timeout=30)

    def sign_in(self, token: str) -> httpx.Response:
        return self.http.post("/api/sign-in", json={"name": self.name, "token": token})

    def cookie(self) -> str:
        """The session as a Cookie header says it."""
        return "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    def work(
        self, votes: Sequence[tuple[str, str | None]] = (), held: Sequence[str] = (), want: int = 0, **more: Any
    ) -> dict[str, Any]:
        """Send answers, get questions."""
        sent = [{"id": question, "answer": answer, "seconds": 1.5} for question, answer in votes]
        reply = self.http.post("/api/work", json={"votes": sent, "held": list(held), "want": want, **more})
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found
