"""Fetching over an engine: hosts are dealt out to its workers, rows come back as they are made.

Which URLs are still to be done, and at which bucket they are queued, is one table of the crawl's database; a bucket is
worked on by one worker at a time. What a worker has not reported when it dies is in that table still, and is given to
the next one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from noisyweb.crawl_stats import CrawlStats
from noisyweb.crawl_work import LOCAL, CrawlWork, job_of
from noisyweb.errors import CrawlError, NoisywebError
from noisyweb.hosts import Job
from noisyweb.scale.engine import DONE, FAILED, ITEM, Engine, Event
from noisyweb.scale.fetch_setting import FetchSetting
from noisyweb.scale.fetch_shard import Fetched, Queued, Share, bucket_of, fetch_share
from noisyweb.scale.parts import MAX_LOST, TRIES
from noisyweb.tabledb import Database

BUCKETS_A_WORKER = 8
CHECKPOINT_S = 10.0
"""Seconds between checkpoints: what a machine that burns down can take along."""
MOST_JOBS = 20_000
"""URLs that a worker is given at once."""
FEWER = 16
"""What that number is divided by when a bucket's workers keep dying, down to the one URL that they die of."""


def num_buckets(engine: Engine) -> int:
    """Into how many buckets to deal the hosts."""
    return BUCKETS_A_WORKER * engine.num_workers


def fetch_all_on(
    engine: Engine,
    database: Database,
    work: CrawlWork,
    setting: FetchSetting,
    stats: CrawlStats,
    *,
    checkpoint: Callable[[], None],
) -> str | None:
    """Fetch all that is to be fetched from the web; local files are left.

    Args:
        engine: where.
        database: the crawl's.
        work: what there is to fetch, and where the rows go.
        setting: what all workers do alike.
        stats: told of everything; its phase has begun.
        checkpoint: called every `CHECKPOINT_S`.

    Returns:
        Why the archive was not asked any more, or None.

    Raises:
        CrawlError: something that holds for all workers: no contact, a store that cannot be written, machines that
            keep dying.
    """
    run = _Run(engine, database, work, setting, stats)
    run.deal_out()
    run.all(checkpoint)
    return run.problem


@dataclass
class _Bucket:
    """What is known of a bucket beside its URLs.

    Attributes:
        num_left: URLs in it, those with a worker included.
        is_new: no worker has had it yet.
        num_jobs: URLs that its worker was given.
    """

    num_left: int = 0
    is_new: bool = True
    most_jobs: int = MOST_JOBS
    num_jobs: int = 0
    failures: int = 0
    closed: dict[str, tuple[str, str]] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)


class _Run:
    """One call of `fetch_all_on`."""

    def __init__(
        self, engine: Engine, database: Database, work: CrawlWork, setting: FetchSetting, stats: CrawlStats
    ) -> None:
        self._engine, self._work, self._setting, self._stats = engine, work, setting, stats
        self._database, self._sql = database, database.sql
        self._buckets = [_Bucket() for _ in range(setting.num_buckets)]
        self._running: dict[str, int] = {}
        self._num_started = self._num_lost = 0
        self.problem: str | None = None

    def deal_out(self) -> None:
        """Put every URL of the web into the bucket of its host."""
        number = self._setting.num_buckets
        self._sql.create_function("bucket_of", 1, lambda host: bucket_of(host, number), deterministic=True)
        self._sql.execute(
            "CREATE TEMP TABLE spread (bucket INT, id INT, state TEXT, PRIMARY KEY (bucket, id)) WITHOUT ROWID"
        )
        self._sql.execute(
            "INSERT INTO spread SELECT bucket_of(host), id, NULL FROM work WHERE substr(host, 1, ?) <> ?",
            (len(LOCAL), LOCAL),
        )

    def all(self, checkpoint: Callable[[], None]) -> None:
        """Work on all buckets until nothing is left."""
        for bucket, number in self._sql.execute("SELECT bucket, count(*) FROM spread GROUP BY bucket").fetchall():
            self._buckets[bucket].num_left = number
        for bucket in sorted(self._with_work(), key=lambda bucket: -self._buckets[bucket].num_left):
            self._start(bucket)
        written_s = time.monotonic()
        while self._running:
            event = self._engine.wait(1.0)
            if event is not None:
                self._heard(event)
            if time.monotonic() - written_s > CHECKPOINT_S:
                checkpoint()
                written_s = time.monotonic()
        self._sql.execute("DROP TABLE spread")

    def _start(self, bucket: int) -> None:
        """Give a bucket's URLs, or the first of them, to a worker."""
        known = self._buckets[bucket]
        jobs, queued = self._jobs(bucket, known.most_jobs)
        known.num_jobs = len(jobs) + len(queued)
        share = Share(self._setting, bucket, jobs, queued, dict(known.closed), dict(known.not_before), known.is_new)
        known.is_new = False
        self._num_started += 1
        key = f"fetch/{self._num_started}"
        self._running[key] = bucket
        self._engine.submit(key, fetch_share, share)

    def _jobs(self, bucket: int, most: int) -> tuple[list[Job], list[Queued]]:
        rows = self._sql.execute(
            "SELECT s.state, w.id, w.url, w.is_there, w.etag, w.modified FROM spread s JOIN work w ON w.id = s.id "
            "WHERE s.bucket = ? ORDER BY s.id LIMIT ?",
            (bucket, most),
        )
        jobs, queued = [], []
        for state, *row in rows:
            if state is not None:
                queued.append(Queued.of(json.loads(state)))
            else:
                jobs.append(job_of(row))
        return jobs, queued

    def _heard(self, event: Event) -> None:
        bucket = self._running[event.key]
        known = self._buckets[bucket]
        if event.kind == ITEM:
            if self._take(bucket, event.value):
                known.failures = self._num_lost = 0
            return
        del self._running[event.key]
        if event.kind == DONE:
            known.most_jobs = min(2 * known.most_jobs, MOST_JOBS)
            self._engine.tally.num_done += 1
        elif event.kind == FAILED:
            num_aside = self._failed(bucket, event)
            self._engine.tally.num_aside += num_aside
            self._engine.tally.num_retried += not num_aside
        for idle in self._with_work():
            self._start(idle)

    def _with_work(self) -> list[int]:
        """Buckets that have something to do and nobody who does it: the one that ended, and those it gave jobs to."""
        busy = set(self._running.values())
        return [bucket for bucket, known in enumerate(self._buckets) if known.num_left and bucket not in busy]

    def _take(self, bucket: int, news: Fetched) -> bool:
        """Write down what a worker says; whether it has done anything."""
        known = self._buckets[bucket]
        self._stats.downloaded(news.num_bytes)
        self.problem = self.problem or news.problem
        gone = [job for job, _ in news.rows] + [job for job, _, _ in news.kept] + [one.job for one in news.forwarded]
        with self._database.transaction():
            self._work.write(news.rows)
            for job, reason, http_status in news.kept:
                if reason is not None:
                    self._work.keep(job, reason, http_status)
            left = [(bucket, job.row) for job in gone]
            deleted = self._sql.executemany("DELETE FROM spread WHERE bucket = ? AND id = ?", left).rowcount
            known.num_left -= max(deleted, 0)  # -1: there were none
            for one in news.forwarded:
                other = bucket_of(one.host, self._setting.num_buckets)
                self._sql.execute("INSERT INTO spread VALUES (?, ?, ?)", (other, one.job.row, json.dumps(one.state())))
                self._buckets[other].num_left += 1
        for _, outcome in news.rows:
            self._stats.finished(outcome["reason"])
        for _, reason, _ in news.kept:
            self._stats.finished(reason)
        for host in news.hosts:
            closed = host.closed[0] if host.closed else None
            self._work.add_host(host.name, host.num_done, host.num_failed, host.num_bytes, host.busy_s, closed)
            if host.not_before_s:
                known.not_before[host.name] = host.not_before_s
            if host.closed is not None:
                known.closed[host.name] = host.closed
        return bool(gone)

    def _failed(self, bucket: int, event: Event) -> int:
        """Its URLs go to another worker; fewer of them each third time, and the last one is set aside.

        Returns:
            How many were set aside.
        """
        known = self._buckets[bucket]
        if not event.is_own:
            self._num_lost += 1
            if self._num_lost > MAX_LOST:
                raise CrawlError(f"machines keep dying ({event.reason}); look at the cluster, then crawl on")
            return 0
        if isinstance(event.error, NoisywebError):
            raise event.error
        known.failures += 1
        if known.failures < TRIES:
            return 0
        known.failures = 0
        if known.num_jobs > 1:
            known.most_jobs = max(1, known.num_jobs // FEWER)
            return 0
        jobs, queued = self._jobs(bucket, 1)
        for job in (*jobs, *(one.job for one in queued)):
            outcome = {"reason": "set-aside", "detail": event.reason}
            self._take(bucket, Fetched(rows=[(job, outcome)]))
        return len(jobs) + len(queued)
