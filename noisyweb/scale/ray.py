"""The Ray engine: functions run on a Ray cluster, or on a Ray of this machine's own. Needs the extra ``ray``.

Nodes need noisyweb of this version, and see what the work is about: a workspace at a URL, or on a disk that all share.
Credentials come from each node's own environment; none are sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from noisyweb import __version__
from noisyweb.errors import MissingExtraError, SourceError
from noisyweb.scale.engine import DONE, FAILED, Event, Function, Tally
from noisyweb.scale.local import events

ANSWER_S = 15.0
LOOK_S = 5.0
"""Seconds between looks at how many processors the cluster has."""


class RayEngine:
    """See `noisyweb.scale.engine.Engine`.

    Args:
        address: of the cluster (``host:6379``, ``auto``); None: ``$RAY_ADDRESS``, or else a Ray that is started here
            and ends with this.
        workers: functions at once, sharing the cluster's processors; None: one for each that it has at the time.

    Raises:
        MissingExtraError: Ray is not installed.
        SourceError: no cluster answers at the address, or a node has another noisyweb.
    """

    name = "ray"

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "--engine ray") from error
        self._ray: Any = ray  # its types do not know streams
        self.tally = Tally()
        self._address, self._workers = address, workers
        self._queue: deque[tuple[str, Function, Any]] = deque()
        self._running: dict[Any, str] = {}
        self._turns: deque[Any] = deque()
        self._looked_s, self._num_cpus = -LOOK_S, 1

    def __enter__(self) -> Self:
        address = self._address or os.environ.get("RAY_ADDRESS")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that is started here tells nobody
        options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        if address is None or address == "local":
            options |= {"address": "local", "num_cpus": self._workers or os.cpu_count(), "include_dashboard": False}
        else:
            _check_answers(address)
            options["address"] = address
        try:
            self._ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            todo = "start one with `ray start --head`, or check --address"
            if isinstance(error.__cause__, self._ray.exceptions.AuthenticationError):
                todo = "it asks for a token: set RAY_AUTH_MODE=token, with the token in ~/.ray/auth_token"
            raise SourceError(f"Ray cluster {address}: {_line(error)}; {todo}") from error
        _print_of_dead_workers(self._ray, False)
        there = self._ray.cluster_resources().get("CPU", 1)
        share = min(1.0, round(there / self._workers, 3)) if self._workers else 1
        options = {"num_returns": "streaming", "max_retries": 0, "num_cpus": share, "scheduling_strategy": "SPREAD"}
        self._function = self._ray.remote(**options)(events)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.clear()
        for stream in self._running:
            self._ray.cancel(stream, force=True)
        self._running, self._turns = {}, deque()
        self._ray.shutdown()
        _print_of_dead_workers(self._ray, True)

    @property
    def num_workers(self) -> int:
        """Functions that run at once; grows and shrinks with the cluster unless the user gave a number."""
        if self._workers is not None:
            return self._workers
        if time.monotonic() - self._looked_s > LOOK_S:
            self._looked_s = time.monotonic()
            self._num_cpus = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return self._num_cpus

    def submit(self, key: str, function: Function, argument: Any) -> None:
        """See `noisyweb.scale.engine.Engine`."""
        self._queue.append((key, function, argument))
        self._fill()

    def wait(self, timeout_s: float | None = None) -> Event | None:
        """See `noisyweb.scale.engine.Engine`."""
        self._fill()
        if not self._running:
            return None
        ready, _ = self._ray.wait(list(self._turns), num_returns=1, timeout=timeout_s, fetch_local=False)
        if not ready:
            return None
        (stream,) = ready
        self._turns.remove(stream)
        self._turns.append(stream)  # the others come first next time
        return self._hear(stream)

    def check_nodes(self, function: Function, argument: Any) -> list[Any]:
        """See `noisyweb.scale.engine.Engine`."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        errors, found = self._ray.exceptions, []
        gone = (errors.TaskUnschedulableError, errors.WorkerCrashedError, errors.NodeDiedError)
        probes = []
        for node in self._nodes():
            options = {"num_cpus": 0, "scheduling_strategy": strategy(node["NodeID"], soft=False)}
            probe = self._ray.remote(max_retries=0, **options)(_probe).remote(function, argument)
            probes.append((f"Ray node {node['NodeManagerAddress']}", probe))
        for where, probe in probes:
            try:
                version, kind, value, reason = self._ray.get(probe, timeout=120)
            except gone:  # it has died since
                continue
            except Exception as error:
                raise SourceError(
                    f"{where}: it cannot run noisyweb ({_line(error)}); install noisyweb {__version__} there"
                ) from error
            if version != __version__:
                raise SourceError(f"{where}: it has noisyweb {version}, this is {__version__}; install the same there")
            if kind == FAILED:
                raise SourceError(f"{where}: {reason}")
            found.append(value)
        return found

    def _nodes(self) -> Sequence[dict[str, Any]]:
        nodes: list[dict[str, Any]] = [node for node in self._ray.nodes() if node["Alive"]]
        return [node for node in nodes if node["Resources"].get("CPU")]

    def _fill(self) -> None:
        while self._queue and len(self._running) < self.num_workers:
            key, function, argument = self._queue.popleft()
            stream = self._function.options(name=key.partition("/")[0]).remote(function, argument)
            self._running[stream] = key
            self._turns.append(stream)

    def _hear(self, stream: Any) -> Event:
        """The next event of a function that has one."""
        key = self._running[stream]
        errors = self._ray.exceptions
        try:
            kind, value, reason = self._ray.get(next(stream))
        except StopIteration:  # it ended without its last word
            return self._ended(stream, Event(key, FAILED, reason="its process ended early"))
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as died:
            return self._ended(stream, Event(key, FAILED, reason=f"its process died ({_line(died)})"))
        except errors.RayError as lost:
            return self._ended(stream, Event(key, FAILED, reason=f"its node is gone ({_line(lost)})", is_own=False))
        error = value if kind == FAILED else None
        event = Event(key, kind, None if error else value, reason, error=error)
        return self._ended(stream, event) if kind in (DONE, FAILED) else event

    def _ended(self, stream: Any, event: Event) -> Event:
        del self._running[stream]
        self._turns.remove(stream)
        self._fill()
        return event


def _check_answers(address: str) -> None:
    """Whether anything answers there: Ray itself tries for five minutes.

    Raises:
        SourceError: nothing does.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        raise SourceError(f"Ray cluster {address}: expected HOST:PORT, such as 10.0.0.1:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise SourceError(
            f"Ray cluster {address}: nothing answers there ({error}); start one with `ray start --head`, or check "
            "--address"
        ) from error


def _print_of_dead_workers(ray: Any, is_wanted: bool) -> None:
    """Whether Ray prints a paragraph to standard output for each dead worker: each is an event here, and told there.

    ``log_to_driver`` does not reach it and there is no public switch; its own debugger uses this one.
    """
    ray._private.worker._worker_logs_enabled = is_wanted


def _probe(function: Function, argument: Any) -> tuple[str, str, Any, str]:
    """On a node: its noisyweb, and the first event of a function."""
    kind, value, reason = next(iter(events(function, argument)))
    return __version__, kind, value, reason


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
