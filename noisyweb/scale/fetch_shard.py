"""Fetching the URLs of some hosts, in a worker of an engine: the same loop as a crawl's own (`noisyweb.crawl_images`).

Hosts are dealt out by their names, so that all that is asked of a host in a run is asked by one worker at a time, at
that host's pace. A job that leads to a host of another worker (a redirect, a copy in an archive) goes back to whoever
deals out. Rows go there as they come, so that a worker that is killed loses what was in flight and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from noisyweb.archive import Archive
from noisyweb.crawl_images import fetch_all
from noisyweb.crawl_stats import CrawlStats
from noisyweb.crawl_work import FLUSH_S, JOBS_AHEAD
from noisyweb.fetch import Fetcher
from noisyweb.hosts import Host, Job
from noisyweb.image_pool import ImagePool
from noisyweb.providers._api import Api
from noisyweb.scale.fetch_setting import FetchSetting
from noisyweb.scale.fetch_station import Station
from noisyweb.urls import host_of


@dataclass(frozen=True)
class Queued:
    """A job on its way: where it is queued, and the time from which on it may start (`time.time`), or 0."""

    job: Job
    host: str
    due_s: float = 0.0

    def state(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Queued:
        """What `state` gave."""
        return cls(Job(**state["job"]), state["host"], state["due_s"])


@dataclass(frozen=True)
class Share:
    """What one worker is to fetch.

    Attributes:
        bucket: of the hosts that it asks.
        jobs: their URLs, best first.
        queued: jobs that are under way already.
        closed: hosts that are left alone for the rest of the crawl: the reason and the detail.
        not_before: hosts that want to be left alone until a time (`time.time`).
        is_first: nobody has asked the bucket's hosts in this run yet: they may be asked in a burst at once.
    """

    setting: FetchSetting
    bucket: int
    jobs: Sequence[Job]
    queued: Sequence[Queued] = ()
    closed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    not_before: Mapping[str, float] = field(default_factory=dict)
    is_first: bool = True


@dataclass
class Fetched:
    """What has come of it since the last such message.

    Attributes:
        rows: finished jobs with their columns.
        kept: images that are there and stay: job, why they could not be had again (None: they are as they were), and
            the HTTP status.
        forwarded: jobs for other buckets.
        hosts: that have nothing more to do.
        num_bytes: downloaded.
        problem: why the archive is not asked any more.
    """

    rows: list[tuple[Job, dict[str, Any]]] = field(default_factory=list)
    kept: list[tuple[Job, str | None, int | None]] = field(default_factory=list)
    forwarded: list[Queued] = field(default_factory=list)
    hosts: list[HostState] = field(default_factory=list)
    num_bytes: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class HostState:
    """What is worth knowing of a host: for the report, since it was last told, and for whoever asks it next.

    Attributes:
        closed: why nothing more is asked of it.
        not_before_s: when it may be asked again, if that is more than a second away; 0 otherwise.
    """

    name: str
    num_done: int
    num_failed: int
    num_bytes: int
    busy_s: float
    closed: tuple[str, str] | None
    not_before_s: float


def bucket_of(host_name: str, num_buckets: int) -> int:
    """Which bucket a host is dealt into."""
    return int.from_bytes(hashlib.sha256(host_name.encode()).digest()[:8], "big") % num_buckets


def fetch_share(share: Share) -> Iterator[Fetched]:
    """Fetch it; yields what has come of it every few hundredths of a second."""
    mail: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    station = Station.of(share.setting)
    station.start(partial(_fetch, share, mail), lambda error: mail.put(("end", error)))
    try:
        yield from _news(mail)
    except BaseException:
        station.close()
        raise


def _news(mail: queue.SimpleQueue[tuple[str, Any]]) -> Iterator[Fetched]:
    is_over = False
    while not is_over:
        told = [mail.get()]
        time.sleep(FLUSH_S)  # not for a race: a message of many rows costs no more than one of one
        while not mail.empty():
            told.append(mail.get())
        news = Fetched()
        for kind, value in told:
            if kind == "end":
                is_over = True
                if value is not None:
                    raise value
            elif kind == "bytes":
                news.num_bytes += value
            elif kind == "problem":
                news.problem = value
            else:
                getattr(news, kind).append(value)
        yield news


async def _fetch(share: Share, mail: queue.SimpleQueue[tuple[str, Any]], fetcher: Fetcher, pool: ImagePool) -> None:
    setting = share.setting
    archive = None
    if setting.archive_url is not None:
        archive = Archive(Api("archive", fetcher.web.api), setting.archive_url)
    await fetch_all(
        _ShareWork(share, mail),
        fetcher,
        pool,
        host_limits=setting.host_limits,
        readers={},
        archive=archive,
        stats=_Stats(mail),
        waiting=[(one.job, one.host, one.due_s - time.time()) for one in share.queued],
    )
    if archive is not None and archive.problem:
        mail.put(("problem", archive.problem))


class _Stats(CrawlStats):
    """Passes bytes on; rows speak for themselves."""

    def __init__(self, mail: queue.SimpleQueue[tuple[str, Any]]) -> None:
        super().__init__()
        self._mail = mail

    def downloaded(self, num_bytes: int) -> None:
        self._mail.put(("bytes", num_bytes))


class _ShareWork:
    """See `noisyweb.crawl_images.Work`: the jobs are in memory, the rows go into the mail."""

    def __init__(self, share: Share, mail: queue.SimpleQueue[tuple[str, Any]]) -> None:
        self._share, self._mail = share, mail
        self._jobs: dict[str, deque[Job]] = {}
        for job in share.jobs:
            self._jobs.setdefault(host_of(job.url), deque()).append(job)

    def hosts(self) -> Iterator[str]:
        yield from sorted(self._jobs, key=lambda name: (-len(self._jobs[name]), name))

    def jobs(self, host: str, after: int) -> tuple[list[Job], int]:
        waiting = self._jobs.get(host, deque())
        return [waiting.popleft() for _ in range(min(JOBS_AHEAD, len(waiting)))], after

    def meet(self, host: Host) -> None:
        """What an earlier worker has found out of a host."""
        if host.name in self._share.closed:
            host.close(*self._share.closed[host.name])
        now_s = asyncio.get_running_loop().time()
        if not self._share.is_first:
            host.spend(now_s)
        in_s = self._share.not_before.get(host.name, 0.0) - time.time()
        if in_s > 0:
            host.pause(now_s + in_s)

    def retired(self, host: Host) -> None:
        now_s = asyncio.get_running_loop().time()
        closed = (host.closed.reason, host.closed.detail) if host.closed else None
        in_s = max(0.0, host.free_s - now_s)
        self._mail.put(
            (
                "hosts",
                HostState(
                    host.name,
                    host.num_done,
                    host.num_failed,
                    host.num_bytes,
                    host.busy_s,
                    closed,
                    time.time() + in_s if in_s > 1 else 0.0,
                ),
            )
        )
        host.num_done = host.num_failed = host.num_bytes = 0  # told; it may come back
        host.busy_s = 0.0

    def owns(self, host_name: str) -> bool:
        return bucket_of(host_name, self._share.setting.num_buckets) == self._share.bucket

    def forward(self, job: Job, host_name: str, due_s: float | None) -> None:
        in_s = 0.0 if due_s is None else due_s - asyncio.get_running_loop().time()
        self._mail.put(("forwarded", Queued(job, host_name, time.time() + in_s if in_s > 0 else 0.0)))

    def finish(self, job: Job, outcome: Mapping[str, Any]) -> None:
        self._mail.put(("rows", (job, dict(outcome))))

    def keep(self, job: Job, reason: str, http_status: int | None) -> None:
        self._mail.put(("kept", (job, reason, http_status)))

    def unchanged(self, job: Job) -> None:
        self._mail.put(("kept", (job, None, None)))

    def flush(self) -> None:
        pass
