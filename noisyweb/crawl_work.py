"""What a crawl has to fetch, from its database, and the rows that come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from noisyweb import reasons
from noisyweb.hosts import Host, Job
from noisyweb.schemas import IMAGES
from noisyweb.tabledb import Database
from noisyweb.urls import host_of

LOCAL = "file:"
"""Begins the names of hosts that are providers of local files."""
JOBS_AHEAD = 64
FLUSH_S = 0.02
"""Seconds that a row may wait to be written; a crawl that is killed asks for the images of waiting rows again."""


_Row = dict[str, Any]
_WRITTEN = [name for name in IMAGES.names if name not in ("url", "label")]
_NAMES = ", ".join(f'"{name}"' for name in _WRITTEN)
_WRITE = (
    f"INSERT OR REPLACE INTO images (url, label, {_NAMES}) "
    f"SELECT url, label, {', '.join('?' * len(_WRITTEN))} FROM candidates WHERE url = ?"
)
"""A row for each class that a URL was found for."""


class CrawlWork:
    """The feed of `noisyweb.schedule.Schedule`: URLs without a final row, by host, best ranks first.

    Args:
        database: with the tables candidates, images and hashes.
        local: providers of local files that this run can read.
        not_read: providers of local files whose images are left for a run that names them.
        refresh: also ask whether finished images have changed, and read local files that failed anew.
        is_stored: whether a finished image is in the store; one that is not is fetched whole by ``refresh``.
        only_local: URLs of the web are fetched elsewhere (`noisyweb.scale.spread_fetch`).

    Attributes:
        num_urls, num_retried: what there is to do, and how much of it failed for a passing reason earlier.
    """

    def __init__(
        self,
        database: Database,
        *,
        local: Collection[str],
        not_read: Collection[str],
        refresh: bool = False,
        is_stored: Callable[[str], bool] = lambda image_id: True,
        only_local: bool = False,
    ) -> None:
        self._database, self._sql, self._only_local = database, database.sql, only_local
        self._pending: list[_Row] = []
        self._error: Exception | None = None
        self._sql.create_function("host_of", 2, lambda url, name: LOCAL + name if name in local else host_of(url))
        self._answer_from_other_classes()
        marks = ", ".join("?" * len(not_read))
        there = "(i.status = 'ok' AND is_stored(i.image_id))"
        self._sql.create_function(
            "is_stored", 1, lambda image_id: not refresh or bool(image_id and is_stored(image_id))
        )
        again = "i.retry"
        if refresh:  # local files cost nobody anything: those that failed are read anew
            again += f" OR (i.status = 'ok') = (c.url LIKE 'http%') OR (i.status = 'ok' AND NOT {there})"
        self._sql.execute(
            "CREATE TEMP TABLE work (id INTEGER PRIMARY KEY, host TEXT, url TEXT, "
            "retried INT, is_there INT, etag TEXT, modified TEXT)"
        )
        self._sql.execute(
            "INSERT INTO work (host, url, retried, is_there, etag, modified) "
            "SELECT host_of(c.url, min(c.provider)), c.url, max(ifnull(i.retry, 0)), "
            f"max(ifnull({there}, 0)), max(i.etag), max(i.last_modified) "
            "FROM candidates c LEFT JOIN images i ON i.url = c.url AND i.label = c.label "
            f"WHERE (i.url IS NULL OR {again}) AND c.provider NOT IN ({marks}) "
            "GROUP BY c.url ORDER BY min(c.rank), min(c.label), c.url",
            list(not_read),
        )
        # What is not there is asked for whole. Not said in the statement above, which would look into the store again.
        self._sql.execute(
            "UPDATE work SET etag = NULL, modified = NULL "
            "WHERE NOT is_there AND (etag IS NOT NULL OR modified IS NOT NULL)"
        )
        self._sql.execute("CREATE INDEX temp.work_host ON work (host, id)")
        self._sql.execute(
            "CREATE TEMP TABLE hosts (name TEXT PRIMARY KEY, done INT, failed INT, bytes INT, busy_s REAL, closed TEXT)"
        )
        self.num_urls, self.num_retried = self._sql.execute(
            "SELECT count(*), ifnull(sum(retried), 0) FROM work"
        ).fetchone()

    def hosts(self) -> Iterator[str]:
        """Hosts with the most URLs first, since they take longest."""
        cursor = self._sql.execute("SELECT host FROM work GROUP BY host ORDER BY count(*) DESC, host")
        for (name,) in cursor:
            if self.owns(name):
                yield name

    def jobs(self, host: str, after: int) -> tuple[list[Job], int]:
        """Some more of a host's URLs."""
        rows = self._sql.execute(
            "SELECT id, url, is_there, etag, modified FROM work WHERE host = ? AND id > ? ORDER BY id LIMIT ?",
            (host, after, JOBS_AHEAD),
        ).fetchall()
        return [job_of(row) for row in rows], rows[-1][0] if rows else after

    def owns(self, host_name: str) -> bool:
        """Whether a host is asked from here: all of them, or local files only."""
        return not self._only_local or host_name.startswith(LOCAL)

    def forward(self, job: Job, host_name: str, due_s: float | None) -> None:
        """Local files lead nowhere."""
        raise NotImplementedError

    def meet(self, host: Host) -> None:
        """Nothing is known of it."""

    def retired(self, host: Host) -> None:
        """Keep what the report says of a host."""
        if host.num_done:
            closed = host.closed.reason if host.closed else None
            values = (host.name, host.num_done, host.num_failed, host.num_bytes, host.busy_s, closed)
            self._sql.execute("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?, ?)", values)

    def add_host(
        self, name: str, num_done: int, num_failed: int, num_bytes: int, busy_s: float, closed: str | None
    ) -> None:
        """Keep what the report says of a host that was asked elsewhere, on top of what was said before."""
        if num_done:
            self._sql.execute(
                "INSERT INTO hosts VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET "
                "done = done + ?2, failed = failed + ?3, bytes = bytes + ?4, busy_s = busy_s + ?5, closed = ?6",
                (name, num_done, num_failed, num_bytes, busy_s, closed),
            )

    def finish(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Write what became of a URL, a row for each class that it was found for.

        Args:
            job: which URL.
            outcome: columns of `IMAGES` without url, label, status, retry, attempts and final_url, and ``phash`` and
                ``flat``.

        Raises:
            Exception: rows before it could not be written (a full disk, say); they go on waiting for `flush`.
        """
        if self._error is not None:
            raise self._error
        self._pending.append(_row(job, outcome))
        if len(self._pending) == 1:
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush_in_time)

    def flush(self) -> None:
        """Write the rows that are waiting; all that come within `FLUSH_S` share a transaction."""
        if self._pending:
            with self._database.transaction():
                self._write(self._pending)
            self._pending = []

    def write(self, done: Iterable[tuple[Job, Mapping[str, Any]]]) -> None:
        """Write the rows of some URLs at once, in the caller's transaction; see `finish`."""
        self._write([_row(job, outcome) for job, outcome in done])

    def _write(self, rows: Sequence[_Row]) -> None:
        hashes = [row for row in rows if row.get("phash") is not None]
        for row in hashes:
            value = bytes.fromhex(row["phash"]) or None
            hashed = {"image_id": row["image_id"], "phash": value, "flat": row["flat"] if value else None}
            self._database.put("hashes", hashed)
        values = ([*(row.get(name) for name in _WRITTEN), row["url"]] for row in rows)
        self._sql.executemany(_WRITE, values)

    def _flush_in_time(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001  a timer has nobody to raise it to: `finish` does
            self._error = error

    def keep(self, job: Job, reason: str, http_status: int | None) -> None:
        """A finished image that could not be had again: it stays, and the row says so."""
        self.flush()
        self._sql.execute(
            "UPDATE images SET detail = ?, http_status = ? WHERE url = ?",
            (f"asked again: {reason}", http_status, job.start_url),
        )

    def unchanged(self, job: Job) -> None:
        """Its row stays."""

    def slowest(self, number: int) -> list[dict[str, Any]]:
        """The hosts that took longest a URL, of those asked more than once."""
        rows = self._sql.execute(
            "SELECT name, done, failed, bytes, busy_s, closed FROM hosts WHERE name NOT LIKE ? AND name <> '' "
            "ORDER BY busy_s / done DESC, name LIMIT ?",
            (LOCAL + "%", number),
        ).fetchall()
        columns = ("host", "urls", "failed", "bytes", "busy_s", "closed")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Write what is waiting, and drop what is for one run only."""
        self.flush()
        self._sql.execute("DROP TABLE IF EXISTS temp.work")
        self._sql.execute("DROP TABLE IF EXISTS temp.hosts")

    def _answer_from_other_classes(self) -> None:
        """A URL that has a final row under one class needs no request for another."""
        columns = ", ".join(f'i."{name}"' for name in _WRITTEN)
        self._sql.execute(
            f"INSERT OR REPLACE INTO images (url, label, {_NAMES}) SELECT c.url, c.label, {columns} "
            "FROM candidates c JOIN images i ON i.url = c.url AND i.retry = 0 AND i.label <> c.label "
            "LEFT JOIN images own ON own.url = c.url AND own.label = c.label "
            "WHERE own.url IS NULL OR own.retry ORDER BY i.label DESC"
        )


def _row(job: Job, outcome: Mapping[str, Any]) -> _Row:
    reason = outcome["reason"]
    return {
        **outcome,
        "url": job.start_url,
        "status": "ok" if reason is None else "failed",
        "retry": reason is not None and reasons.is_passing(reason),
        "attempts": max(job.tries, 1),
        "final_url": job.url if job.url != job.start_url else None,
    }


def job_of(row: Sequence[Any]) -> Job:
    """The job of a row of the work table: id, url, is_there, etag, modified."""
    number, url, is_there, etag, modified = row
    return Job(url, url, is_there=bool(is_there), etag=etag, last_modified=modified, row=number)
