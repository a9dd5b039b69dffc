"""Who is asked next: hosts take turns, each at its own pace, and nobody waits for a slow one.

Only a bounded number of hosts is in memory at a time, each with a bounded piece of its work; the rest stays in the
`Feed`, so that memory does not grow with the number of URLs.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from noisyweb.hosts import Host, Job, Pace

MAX_REMEMBERED = 2_000
"""Hosts without work whose robots.txt and pace are kept in case a redirect leads to them again."""


class Feed(Protocol):
    """Where the work comes from."""

    def hosts(self) -> Iterator[str]:
        """Names of all hosts that have work, each once."""
        ...

    def jobs(self, host: str, after: int) -> tuple[list[Job], int]:
        """Some more of a host's jobs after a row number, and the number of the last; none: there are no more."""
        ...

    def meet(self, host: Host) -> None:
        """A host is about to be asked for the first time, or so long after that its state is forgotten."""
        ...

    def retired(self, host: Host) -> None:
        """A host has no more work for now."""
        ...


class Schedule:
    """Runs jobs, hosts in turns.

    Args:
        feed: the work.
        pace_of: each host's pace.
        connections: jobs at once.
    """

    def __init__(self, feed: Feed, pace_of: Callable[[str], Pace], *, connections: int) -> None:
        self._feed, self._pace_of, self._connections = feed, pace_of, connections
        self._names = feed.hosts()
        self._has_names = True
        self._hosts: dict[str, Host] = {}
        self._idle: OrderedDict[str, Host] = OrderedDict()
        self._ready: list[tuple[float, int, Host]] = []
        self._planned: dict[str, tuple[float, int]] = {}  # which entry of the heap counts for a host
        self._turn = 0
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    def add(self, job: Job, host_name: str, due_s: float | None = None) -> None:
        """Queue a job at a host, for now or for a time; it comes before the host's other work."""
        host = self._hosts.get(host_name) or self._activate(host_name, more=False)
        if due_s is None:
            host.queue.appendleft(job)
        else:
            host.delay(job, due_s)
        self._plan(host)
        self._wake.set()

    async def run(self, work: Callable[[Job, Host], Awaitable[None]]) -> None:
        """Run all jobs; the first error of ``work`` ends everything and is raised."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                self._fill()
                due_s = self._start(work)
                if self._error is not None:
                    raise self._error
                if not self._running and due_s is None and not self._has_names and not self._hosts:
                    return
                timer = loop.call_at(due_s, self._wake.set) if due_s is not None else None
                await self._wake.wait()
                if timer is not None:
                    timer.cancel()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            for host in self._hosts.values():
                self._feed.retired(host)

    def _start(self, work: Callable[[Job, Host], Awaitable[None]]) -> float | None:
        """Start what may start; return when the next may, None if only a finished job can change that."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        while self._ready and len(self._running) < self._connections:
            due_s, turn, host = self._ready[0]
            if due_s > now_s:
                return due_s
            heapq.heappop(self._ready)
            if self._planned.get(host.name) != (due_s, turn):
                continue  # it was planned anew, for an earlier time
            del self._planned[host.name]
            ready_s = host.ready_s(now_s)
            if ready_s is None or not host.has_slot:
                continue  # it is planned again when one of its jobs ends
            if ready_s <= now_s:
                job = host.take(now_s)
                task = loop.create_task(self._run_one(work, job, host))
                self._running.add(task)
            self._refill(host)
            self._plan(host)
            if not self._ready:
                self._fill()
        return None if len(self._running) >= self._connections or not self._ready else self._ready[0][0]

    async def _run_one(self, work: Callable[[Job, Host], Awaitable[None]], job: Job, host: Host) -> None:
        try:
            await work(job, host)
        except Exception as error:  # noqa: BLE001  raised again in `run`
            self._error = self._error or error
        finally:
            host.in_flight -= 1
            task = asyncio.current_task()
            assert task is not None
            self._running.discard(task)
            self._wake.set()
            try:
                self._refill(host)
                if host.is_idle:
                    self._retire(host)
                else:
                    self._plan(host)
            except Exception as error:  # noqa: BLE001  the feed's, as above
                self._error = self._error or error

    def _plan(self, host: Host) -> None:
        """Put a host into the heap, once; again if something has come up that is due earlier."""
        if not host.has_slot:
            return
        ready_s = host.ready_s(asyncio.get_running_loop().time())
        planned = self._planned.get(host.name)
        if ready_s is not None and (planned is None or ready_s < planned[0]):
            self._turn += 1
            self._planned[host.name] = (ready_s, self._turn)
            heapq.heappush(self._ready, (ready_s, self._turn, host))

    def _fill(self) -> None:
        """Bring hosts into memory until there are enough to keep all connections busy."""
        while self._has_names and len(self._hosts) < 4 * self._connections:
            name = next(self._names, None)
            if name is None:
                self._has_names = False
                return
            host = self._hosts.get(name) or self._activate(name, more=True)
            host.more = True
            self._refill(host)
            if host.is_idle:
                self._retire(host)
            else:
                self._plan(host)

    def _refill(self, host: Host) -> None:
        if host.more and not host.queue:
            jobs, host.last_row = self._feed.jobs(host.name, host.last_row)
            host.queue.extend(jobs)
            host.more = bool(jobs)

    def _activate(self, name: str, *, more: bool) -> Host:
        host = self._idle.pop(name, None)
        if host is None:
            host = Host(name, self._pace_of(name))
            self._feed.meet(host)
        host.more = more
        host.on_open = self._opened
        self._hosts[name] = host
        return host

    def _opened(self, host: Host) -> None:
        self._plan(host)
        self._wake.set()

    def _retire(self, host: Host) -> None:
        if self._hosts.pop(host.name, None) is not None:
            self._feed.retired(host)
            self._idle[host.name] = host
            if len(self._idle) > MAX_REMEMBERED:
                self._idle.popitem(last=False)
