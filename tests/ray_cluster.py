"""A real Ray cluster on loopback: a head that runs nothing, and nodes that can be killed and added.

Drivers need ``RAY_AUTH_MODE=disabled`` in their environment.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

RAY = Path(sys.executable).parent / "ray"
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    # a dead machine is known to be dead in two seconds, not in fifteen
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


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
        self._folders = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self.address = ""

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.2", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.2:{port}"
        options = ("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
        self._head = self._start("127.0.0.2", *options)
        self._wait_for_port(port)
        for _ in range(self._num):
            self.add_node()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self._nodes, self._head):
            _kill_tree(process)
        self._folders.cleanup()

    def add_node(self) -> None:
        """Another machine joins."""
        self._num_added += 1
        self._nodes.append(self._start(f"127.0.0.{self._num_added + 2}", f"--address={self.address}", "--num-cpus=1"))

    def kill_node(self, of: str | None = None) -> bool:
        """A machine dies, with all that runs on it; whether there was one.

        Args:
            of: None: the one that joined first. Otherwise one that runs something whose name begins so.
        """
        for node in self._nodes:
            if of is None or _running(node, of):
                self._nodes.remove(node)
                _kill_tree(node)
                return True
        return False

    def kill_worker(self, of: str) -> bool:
        """A process that runs something dies, with its children; whether there was one.

        Args:
            of: how the name of what it runs begins: ``fetch``, or that of a `noisyweb.scale.parts.Work`.
        """
        for node in self._nodes:
            for process in _running(node, of):
                _kill_all([*process.children(recursive=True), process])
                return True
        return False

    @contextlib.contextmanager
    def ending(self, of: str, limit_s: float = 30) -> Iterator[None]:
        """Wait at the end of a block until all processes are gone that run something now whose name begins so."""
        processes = [one for node in self._nodes for one in _running(node, of)]
        yield
        end_s = time.monotonic() + limit_s
        while any(map(_title, processes)):
            assert time.monotonic() < end_s, "workers go on"
            time.sleep(0.02)  # between looks

    def _start(self, host: str, *options: str) -> subprocess.Popen[bytes]:
        command = [str(RAY), "start", "--block", "--disable-usage-stats", f"--node-ip-address={host}", *options]
        command += ["--object-store-memory=100000000", f"--temp-dir={self._folders.name}/{host.rpartition('.')[2]}"]
        environment = {**os.environ, **self._environment, **SETTINGS}
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


def _running(node: subprocess.Popen[bytes], of: str) -> list[psutil.Process]:
    """The processes of a machine that run something whose name begins so: Ray writes it into their titles."""
    return [one for one in _tree(node) if _title(one).startswith(f"ray::{of}")]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it is gone
        return ""


def _tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []


def _kill_all(processes: list[psutil.Process]) -> None:
    """Kill them; nothing runs any more when this returns."""
    for one in processes:
        with contextlib.suppress(psutil.Error):  # it has ended by itself
            one.kill()
    end_s = time.monotonic() + 10
    while any(map(_title, processes)) and time.monotonic() < end_s:
        time.sleep(0.01)  # between looks


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    tree = _tree(process)
    process.kill()
    _kill_all(tree)
    process.wait()
