"""The second half of a crawl: every candidate becomes an image, or a row that says why not."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from noisyweb import reasons
from noisyweb.archive import Archive
from noisyweb.crawl_stats import CrawlStats
from noisyweb.crawl_work import LOCAL
from noisyweb.fetch import Answer, Fetcher
from noisyweb.hosts import Host, Job, Pace
from noisyweb.image_pool import ImagePool
from noisyweb.politeness import Robots
from noisyweb.providers._protocol import HostLimit
from noisyweb.schedule import Feed, Schedule
from noisyweb.tabledb import storable
from noisyweb.urls import host_of

Read = Callable[[str], bytes]
"""Gives the bytes of a local file that a provider knows of; raises OSError."""

HOST_TROUBLES = frozenset({"timeout", "connection", "dns"})
"""Reasons that say something of the host and not of one image; 5xx as well."""


class Work(Feed, Protocol):
    """What there is to fetch, and where the rows go: `noisyweb.crawl_work.CrawlWork`, or a share of it."""

    def owns(self, host_name: str) -> bool:
        """Whether a host is asked from here."""
        ...

    def forward(self, job: Job, host_name: str, due_s: float | None) -> None:
        """Give a job to whoever asks that host; not before a time of the event loop."""
        ...

    def finish(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Write what became of a URL."""
        ...

    def keep(self, job: Job, reason: str, http_status: int | None) -> None:
        """A finished image could not be had again: it stays."""
        ...

    def unchanged(self, job: Job) -> None:
        """A finished image is as it was."""
        ...

    def flush(self) -> None:
        """Write what is waiting to be written."""
        ...


@dataclass(frozen=True)
class _Run:
    """What the jobs of one run share."""

    work: Work
    fetcher: Fetcher
    pool: ImagePool
    schedule: Schedule
    readers: Mapping[str, Read]
    archive: Archive | None
    stats: CrawlStats

    async def do(self, job: Job, host: Host) -> None:
        """Take one step with a URL: a request, and what follows from its answer."""
        if job.lookup:
            await self._look_up(job, host)
        elif host.name.startswith(LOCAL):
            await self._read(job, host)
        elif host.closed is not None:
            await self._failed(job, host, Answer(reason=host.closed.reason, detail=host.closed.detail))
        else:
            await self._ask(job, host)

    async def _read(self, job: Job, host: Host) -> None:
        if not host.robots:
            host.open("file", Robots(404, "", 0.0))
        job.tries = 1
        try:
            body = await asyncio.to_thread(self.readers[host.name.removeprefix(LOCAL)], job.url)
        except OSError as error:
            self._finish(job, host, Answer(reason="unreadable", detail=str(error.strerror or error)))
            return
        if len(body) > self.fetcher.limits.max_bytes:
            self._finish(job, host, Answer(reason="too-large"))
        else:
            await self._image(job, host, Answer(body))

    async def _ask(self, job: Job, host: Host) -> None:
        loop = asyncio.get_running_loop()
        if not job.hops:
            job.tries += 1
        start_s = time.monotonic()
        answer = await self.fetcher.ask(job.url, host, etag=job.etag, last_modified=job.last_modified)
        host.busy_s += time.monotonic() - start_s
        host.answered(_trouble(answer), loop.time())
        if answer.body:
            host.downloaded(len(answer.body), loop.time())
            self.stats.downloaded(len(answer.body))
        if answer.redirect is not None:
            self._follow(job, host, answer)
        elif answer.unchanged:
            self.work.unchanged(job)
            self.stats.finished(None)
            host.num_done += 1
        elif answer.reason is None:
            await self._image(job, host, answer)
        else:
            await self._failed(job, host, answer)

    def _follow(self, job: Job, host: Host, answer: Answer) -> None:
        job.hops += 1
        if job.hops > self.fetcher.limits.max_redirects:
            self._finish(job, host, Answer(reason="redirect-loop", http_status=answer.http_status))
            return
        job.url = answer.redirect or ""
        self._queue(job, host_of(job.url))

    def _queue(self, job: Job, host_name: str, due_s: float | None = None) -> None:
        """Queue a job at a host: here, or where that host is asked."""
        if self.work.owns(host_name):
            self.schedule.add(job, host_name, due_s)
        else:
            self.work.forward(job, host_name, due_s)

    async def _failed(self, job: Job, host: Host, answer: Answer) -> None:
        """Try again, now or later, or elsewhere, or give the URL up for this run."""
        limits = self.fetcher.limits
        reason = answer.reason or ""
        if answer.wait_s is not None and answer.wait_s > limits.max_wait_s and reasons.is_passing(reason):
            host.close(reason, f"it asks to wait {answer.wait_s:.0f} s")
            answer = replace(answer, detail=f"it asks to wait {answer.wait_s:.0f} s")
        elif reason == "robots-unreachable":
            host.close(reason, answer.detail or "")
        elif host.closed is None and reasons.is_passing(reason) and job.tries < limits.tries:
            jitter = 0.5 + random.Random(f"{job.start_url} {job.tries}").random()
            wait_s = limits.backoff_s * 2 ** (job.tries - 1) * jitter
            now_s = asyncio.get_running_loop().time()
            if answer.wait_s is not None:
                wait_s = max(wait_s, answer.wait_s)
                host.pause(now_s + answer.wait_s)
            job.url, job.hops = (job.start_url if job.archived is None else job.url), 0
            self._queue(job, host_of(job.url), now_s + wait_s)
            return
        elif reason == "dns":  # so are the host's other URLs
            host.close(reason, answer.detail or "")
        if self.archive is not None and job.archived is None and self.archive.is_worth_asking(reason):
            job.lost_reason, job.lost_status = reason, answer.http_status
            if self.work.owns(self.archive.host):
                await self._look_up(job, host, answer)
            else:
                job.lookup = True
                self.work.forward(job, self.archive.host, None)
            return
        self._finish(job, host, answer)

    async def _look_up(self, job: Job, host: Host, answer: Answer | None = None) -> None:
        """Ask for an archived copy of an image that is lost."""
        assert self.archive is not None
        job.lookup = False
        copy = await self.archive.copy_of(job.start_url)
        if copy is None:
            self._finish(job, host, answer or Answer(reason=job.lost_reason, http_status=job.lost_status))
            return
        job.url, job.archived, job.tries, job.hops = copy.url, copy.timestamp, 0, 0
        self._queue(job, host_of(job.url))

    async def _image(self, job: Job, host: Host, answer: Answer) -> None:
        outcome = await self.pool.process(answer.body)
        self._finish(job, host, answer, outcome)

    def _finish(self, job: Job, host: Host, answer: Answer, outcome: Mapping[str, object] | None = None) -> None:
        """Write the row."""
        columns = {
            "reason": answer.reason,
            "detail": None if answer.detail is None else storable(answer.detail),
            "http_status": answer.http_status,
            "etag": answer.etag,
            "last_modified": answer.last_modified,
            **(outcome or {}),
        }
        if job.archived is not None:
            if columns["reason"] is None:
                columns["detail"] = f"archive {job.archived}"
            else:  # what counts is how the image itself is
                columns = {"reason": job.lost_reason, "http_status": job.lost_status}
                columns["detail"] = f"archive {job.archived}: {answer.reason or (outcome or {}).get('reason')}"
        reason = columns["reason"]
        assert reason is None or isinstance(reason, str)
        host.num_done += 1
        host.num_failed += reason is not None
        if reason is not None and job.is_there:
            self.work.keep(job, reason, answer.http_status)
        else:
            self.work.finish(job, columns)
        self.stats.finished(reason)


async def fetch_all(
    work: Work,
    fetcher: Fetcher,
    pool: ImagePool,
    *,
    host_limits: Mapping[str, HostLimit],
    readers: Mapping[str, Read],
    archive: Archive | None,
    stats: CrawlStats,
    waiting: Sequence[tuple[Job, str, float]] = (),
) -> None:
    """Fetch all there is to fetch; a row is written once the bytes are in the store.

    Args:
        work: what there is to fetch.
        fetcher: fetches URLs.
        pool: decodes, stores and hashes bodies.
        host_limits: what some image hosts ask of crawlers.
        readers: how local files are read, by provider.
        archive: where dead images are looked up; None: nowhere.
        stats: told of each URL and of bytes; its phases are the caller's.
        waiting: jobs that are under way already: where each is queued, and the seconds until it is due.
    """
    limits = fetcher.limits

    def pace_of(name: str) -> Pace:
        if name.startswith(LOCAL):
            return replace(limits.pace, concurrency=limits.connections, rate=0.0)
        limit = host_limits.get(name.rpartition("@")[2].split(":")[0])
        if limit is None:
            return limits.pace
        concurrency = min(limits.pace.concurrency, limit.concurrency)
        return replace(limits.pace, concurrency=concurrency, bytes_per_s=limit.bytes_per_s)

    schedule = Schedule(work, pace_of, connections=limits.connections)
    run = _Run(work, fetcher, pool, schedule, readers, archive, stats)
    now_s = asyncio.get_running_loop().time()
    for job, host_name, in_s in waiting:
        schedule.add(job, host_name, now_s + in_s if in_s > 0 else None)
    try:
        await schedule.run(run.do)
    finally:
        work.flush()


def _trouble(answer: Answer) -> str | None:
    """What a request says against its host; None if the host is well."""
    if answer.reason in HOST_TROUBLES:
        return answer.reason
    if answer.http_status is not None and answer.http_status >= 500:
        return f"HTTP {answer.http_status}"
    return None
