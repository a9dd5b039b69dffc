"""A real Ray cluster on loopback: a head that runs nothing, and nodes that can be killed and added.

Drivers need ``RAY_AUTH_MODE=disabled`` in their environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

RAY = Path(sys.executable).parent / "ray"


class RayCluster:
    """``with RayCluster(nodes=2) as cluster: RayEngine(cluster.address)``.

    Args:
        nodes: machines, each of one processor.
        environment: of their workers.

    Attributes:
        address: of the cluster.
    """

    def __init__(self, nodes: int = 2, environment: dict[str, str] | None = None) -> None:
        self._num, self._environment = nodes, environment or {}
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._num_added = 0
        self.address = ""

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.2", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.2:{port}"
        own = ["--node-ip-address=127.0.0.2", f"--port={port}"]
        self._head = self._start("--head", *own, "--num-cpus=0", "--include-dashboard=false")
        self._wait_for_port(port)
        for _ in range(self._num):
            self.add_node()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self._nodes, self._head):
            _kill_tree(process)

    def add_node(self) -> None:
        """Another machine joins."""
        self._num_added += 1
        own = f"--node-ip-address=127.0.0.{self._num_added + 2}"
        self._nodes.append(self._start(f"--address={self.address}", "--num-cpus=1", own))

    def kill_node(self, number: int = 0) -> None:
        """A machine dies, with all that runs on it."""
        _kill_tree(self._nodes.pop(number))

    def kill_worker(self) -> bool:
        """A process that runs something dies, with its children; whether there was one."""
        for node in self._nodes:
            for process in psutil.Process(node.pid).children(recursive=True):
                if _name(process).startswith("ray::events"):
                    for one in (*process.children(recursive=True), process):
                        _kill(one)
                    return True
        return False

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [str(RAY), "start", "--block", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", *options]
        environment = {**os.environ, **self._environment, "RAY_AUTH_MODE": "disabled"}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def _wait_for_port(self, port: int, limit_s: float = 60) -> None:
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.2", port)) == 0:
                    return
            assert self._head.poll() is None, "ray start --head ended"
            time.sleep(0.1)  # between looks
        raise TimeoutError("the head of the Ray cluster does not answer")


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):  # it has ended by itself
        process.send_signal(signal.SIGKILL)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    try:
        tree = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        tree = []
    process.kill()
    for one in tree:
        _kill(one)
    process.wait()
