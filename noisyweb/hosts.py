"""One host as a crawl sees it: its work, its pace, its robots.txt, and whether it is worth asking at all."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from noisyweb.politeness import Robots


@dataclass(frozen=True)
class Pace:
    """How hard one host may be asked.

    Attributes:
        concurrency: downloads at once.
        rate: requests a second (a token bucket); 0: no limit.
        burst: requests that may come at once after a pause: the bucket's size.
        bytes_per_s: downloaded on average; None: no limit.
        failures: so many in a row (timeouts, refused connections, 5xx) open the circuit breaker.
        rest_s: seconds that an open breaker keeps everyone out; then one request tries, and if it fails as well, the
            host is left alone for the rest of the run.
    """

    concurrency: int = 4
    rate: float = 10.0
    burst: int = 4
    bytes_per_s: float | None = None
    failures: int = 5
    rest_s: float = 20.0


@dataclass(slots=True)
class Job:
    """One URL to be fetched.

    Attributes:
        start_url: as the candidates table has it.
        url: what is asked now: a redirect's target, or an archive's copy.
        tries: started so far, redirects not counted.
        hops: redirects followed in this try.
        etag, last_modified: of the copy that is there already, to ask only whether it has changed.
        archived: the date of the archive's copy that is being asked for.
        is_there: an image of it is in the store already, and stays if it cannot be had again.
        row: its number in the work table.
        lookup: it is queued at the archive, to be looked up there.
        lost_reason, lost_status: why the image itself could not be had, where its copy in an archive is asked for.
    """

    start_url: str
    url: str
    tries: int = 0
    hops: int = 0
    etag: str | None = None
    last_modified: str | None = None
    archived: str | None = None
    is_there: bool = False
    row: int = 0
    lookup: bool = False
    lost_reason: str | None = None
    lost_status: int | None = None


@dataclass(frozen=True)
class Closed:
    """Why nothing more is asked of a host in this run."""

    reason: str
    detail: str


@dataclass
class Host:
    """A host's queue and state. Times are the event loop's, in seconds.

    Attributes:
        name: host and port.
        more: whether the work table may have more of its URLs than are queued.
        on_open: called when its robots.txt is known.
        num_done, num_failed, num_bytes, busy_s: what the report's slowest hosts are worked out from.
    """

    name: str
    pace: Pace
    more: bool = True
    queue: deque[Job] = field(default_factory=deque)
    in_flight: int = 0
    closed: Closed | None = None
    robots: dict[str, Robots] = field(default_factory=dict)
    num_done: int = 0
    num_failed: int = 0
    num_bytes: int = 0
    busy_s: float = 0.0
    last_row: int = 0
    interval_s: float = 0.0
    on_open: Callable[[Host], None] = lambda host: None
    _delayed: list[tuple[float, int, Job]] = field(default_factory=list)
    _num_delayed: int = 0
    _burst: int = 1
    _full_s: float = 0.0  # when the token bucket is full again
    _bytes_free_s: float = 0.0
    _paused_until_s: float = 0.0
    _failures: int = 0
    _is_probing: bool = False
    _is_probe_sent: bool = False

    def __post_init__(self) -> None:
        self.interval_s = 1.0 / self.pace.rate if self.pace.rate else 0.0
        self._burst = self.pace.burst

    def open(self, scheme: str, robots: Robots) -> None:
        """Its robots.txt is known: more than one request at once from now on."""
        self.robots[scheme] = robots
        self.on_open(self)

    def slow_down(self, interval_s: float) -> None:
        """Its robots.txt asks for so many seconds between two requests: if the pace is faster, bursts end as well."""
        if interval_s > self.interval_s:
            self._full_s += interval_s - self.interval_s  # of the request that is under way
            self.interval_s, self._burst = interval_s, 1

    @property
    def is_idle(self) -> bool:
        """No work that is known of."""
        return not (self.queue or self._delayed or self.in_flight or self.more)

    @property
    def has_slot(self) -> bool:
        """Whether one more download may start now, as far as their number goes."""
        alone = not self.robots or self._is_probing
        return self.in_flight < (1 if alone and self.closed is None else self.pace.concurrency)

    def delay(self, job: Job, due_s: float) -> None:
        """Queue a job that is not to start before a time."""
        self._num_delayed += 1
        heapq.heappush(self._delayed, (due_s, self._num_delayed, job))

    def ready_s(self, now_s: float) -> float | None:
        """When its next request may start; None if there is no work queued."""
        due_s = now_s if self.queue else self._delayed[0][0] if self._delayed else None
        if due_s is None:
            return None
        return now_s if self.closed is not None else max(due_s, self.free_s)

    @property
    def free_s(self) -> float:
        """From when on its pace allows the next request."""
        token_s = self._full_s - (self._burst - 1) * self.interval_s
        return max(token_s, self._bytes_free_s - 1.0, self._paused_until_s)

    def take(self, now_s: float) -> Job:
        """Start a request: the next job, and its token."""
        if self._delayed and (self._delayed[0][0] <= now_s or not self.queue):
            job = heapq.heappop(self._delayed)[2]
        else:
            job = self.queue.popleft()
        self._full_s = max(self._full_s, now_s) + self.interval_s
        self.in_flight += 1
        self._is_probe_sent = self._is_probing
        return job

    def spend(self, now_s: float) -> None:
        """Its burst is used up: somebody else may have asked it just now."""
        self._full_s = max(self._full_s, now_s + self._burst * self.interval_s)

    def pause(self, until_s: float) -> None:
        """Start nothing new before a time."""
        self._paused_until_s = max(self._paused_until_s, until_s)

    def close(self, reason: str, detail: str) -> None:
        """Ask nothing more of it in this run."""
        self.closed = self.closed or Closed(reason, detail)

    def downloaded(self, num_bytes: int, now_s: float) -> None:
        """Account for a body."""
        self.num_bytes += num_bytes
        if self.pace.bytes_per_s:
            self._bytes_free_s = max(self._bytes_free_s, now_s) + num_bytes / self.pace.bytes_per_s

    def answered(self, trouble: str | None, now_s: float) -> None:
        """Tell the circuit breaker how a request went: what the host failed with, or None."""
        if trouble is None:
            self._failures, self._is_probing = 0, False
            return
        self._failures += 1
        if self._is_probing and self._is_probe_sent:  # the probe, not what was under way when the breaker opened
            self.close("host-down", f"{self._failures} failures in a row, the last: {trouble}")
        elif self._failures >= self.pace.failures and not self._is_probing:
            self._is_probing, self._is_probe_sent = True, False
            self.pause(now_s + self.pace.rest_s)
