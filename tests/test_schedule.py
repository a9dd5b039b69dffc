"""The schedule with work from memory: everything once, in bounds, and an end in every case."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.hosts import Host, Job, Pace
from noisyweb.politeness import Robots
from noisyweb.schedule import MAX_REMEMBERED, Schedule

JOBS = 5
T = TypeVar("T")


class MemoryFeed:
    """So many jobs at each host, `JOBS` at a time; keeps count of what is in memory."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.active: set[str] = set()
        self.most_active = 0
        self.ahead: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.num_retired: Counter[str] = Counter()

    def hosts(self) -> Iterator[str]:
        for name in self.sizes:
            self.active.add(name)
            self.most_active = max(self.most_active, len(self.active))
            yield name

    def jobs(self, host: str, after: int) -> tuple[list[Job], int]:
        last = min(after + JOBS, self.sizes[host])
        urls = [f"http://{host}/{number}" for number in range(after, last)]
        self.ahead[host] += len(urls)
        return [Job(url, url) for url in urls], last

    def meet(self, host: Host) -> None:
        pass

    def retired(self, host: Host) -> None:
        self.num_retired[host.name] += 1
        self.active.discard(host.name)


def run(coroutine: Awaitable[T], limit_s: float = 20) -> T:
    """Within a time: a schedule that hangs is a failure, not a wait."""

    async def limited() -> T:
        return await asyncio.wait_for(coroutine, limit_s)

    return asyncio.run(limited())


def pace_of(concurrency: int = 4) -> Callable[[str], Pace]:
    return lambda name: Pace(concurrency=concurrency, rate=0)


def know(host: Host) -> None:
    """The host's robots.txt has come."""
    if not host.robots:
        host.open("http", Robots(404, "", 0.0))


def all_urls(sizes: Mapping[str, int]) -> Counter[str]:
    return Counter(f"http://{name}/{number}" for name, size in sizes.items() for number in range(size))


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 25), max_size=40),
    connections=st.integers(1, 8),
    concurrency=st.integers(1, 5),
    turns=st.randoms(use_true_random=False),
)
def test_every_job_runs_once_and_in_bounds(sizes: list[int], connections: int, concurrency: int, turns: object) -> None:
    feed = MemoryFeed({f"h{number}": size for number, size in enumerate(sizes)})
    done: Counter[str] = Counter()
    at_once: Counter[str] = Counter()
    finished: Counter[str] = Counter()

    async def work(job: Job, host: Host) -> None:
        at_once[host.name] += 1
        feed.ahead[host.name] -= 1
        assert at_once.total() <= connections
        assert at_once[host.name] <= (concurrency if host.robots else 1)
        assert at_once[host.name] == host.in_flight
        assert len(host.queue) <= JOBS
        assert max(feed.ahead.values()) <= JOBS + concurrency  # the latter: started, and not here yet
        assert not feed.num_retired[host.name]
        for _ in range(turns.randrange(4)):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        know(host)
        done[job.url] += 1
        at_once[host.name] -= 1
        finished[host.name] += 1

    async def go() -> None:
        await Schedule(feed, pace_of(concurrency), connections=connections).run(work)

    run(go())
    assert done == all_urls(feed.sizes)
    assert feed.most_active <= 4 * connections
    assert not feed.active
    assert feed.num_retired == Counter(feed.sizes.keys())


def test_a_host_is_retired_when_its_last_job_is_done_and_not_before() -> None:
    order: list[str] = []

    class Noting(MemoryFeed):
        def retired(self, host: Host) -> None:
            assert host.is_idle
            order.append(f"retired {host.name}")

    feed = Noting({"a": 12, "b": 3})

    async def work(job: Job, host: Host) -> None:
        know(host)
        await asyncio.sleep(0)
        order.append(f"done {host.name}")

    async def go() -> None:
        await Schedule(feed, pace_of(), connections=4).run(work)

    run(go())
    for name, size in feed.sizes.items():
        mine = [what for what in order if what.endswith(f" {name}")]
        assert mine == [f"done {name}"] * size + [f"retired {name}"]


@pytest.mark.parametrize("sizes", [{}, {"a": 0}, {f"h{n}": 0 for n in range(100)}], ids=["none", "empty", "empties"])
def test_no_work_ends_at_once(sizes: dict[str, int]) -> None:
    feed = MemoryFeed(sizes)

    async def work(job: Job, host: Host) -> None:
        raise AssertionError("there is nothing to do")

    async def go() -> None:
        await Schedule(feed, pace_of(), connections=2).run(work)

    run(go())
    assert feed.num_retired == Counter(sizes.keys())


def test_all_connections_are_busy_while_hosts_have_work() -> None:
    """Six jobs that wait for one another, at six hosts that give one slot each."""
    feed = MemoryFeed({f"h{number}": 2 for number in range(6)})
    waiting = 0

    async def go() -> None:
        together = asyncio.Condition()

        async def work(job: Job, host: Host) -> None:
            nonlocal waiting
            know(host)
            async with together:
                waiting += 1
                together.notify_all()
                target = -(-waiting // 6) * 6
                await together.wait_for(lambda: waiting >= target)

        await Schedule(feed, pace_of(1), connections=6).run(work)

    run(go())
    assert waiting == 12


def test_a_slow_host_holds_up_nobody() -> None:
    feed = MemoryFeed({"slow": 3, "a": 50, "b": 50})
    order: list[str] = []

    async def work(job: Job, host: Host) -> None:
        know(host)
        order.append(host.name)

    async def go() -> None:
        def pace(name: str) -> Pace:
            return Pace(concurrency=4, rate=20 if name == "slow" else 0, burst=1)

        await Schedule(feed, pace, connections=2).run(work)

    run(go())
    assert [name for name in order if name != "slow"] == order[1:-2]
    assert Counter(order) == Counter(feed.sizes)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 8), min_size=1, max_size=12),
    connections=st.integers(1, 4),
    hops=st.integers(0, 3),
    data=st.data(),
)
def test_jobs_that_are_added_again_run(sizes: list[int], connections: int, hops: int, data: st.DataObject) -> None:
    """Redirects to known and unknown hosts, at once or after a delay: every hop of every job runs once."""
    feed = MemoryFeed({f"h{number}": size for number, size in enumerate(sizes)})
    choices = st.tuples(st.integers(0, len(sizes) + 3), st.booleans())
    plan = data.draw(st.lists(choices, min_size=1, max_size=20))
    done: Counter[tuple[str, int]] = Counter()

    async def go() -> None:
        schedule = Schedule(feed, pace_of(2), connections=connections)

        async def work(job: Job, host: Host) -> None:
            await asyncio.sleep(0)
            know(host)
            done[job.start_url, job.hops] += 1
            if job.hops < hops:
                job.hops += 1
                number, is_delayed = plan[done.total() % len(plan)]
                due_s = asyncio.get_running_loop().time() + 0.001 * (number + 1)
                schedule.add(job, f"h{number}", due_s if is_delayed else None)

        await schedule.run(work)

    run(go())
    assert done == Counter((url, hop) for url in all_urls(feed.sizes) for hop in range(hops + 1))


def test_an_added_job_comes_before_the_hosts_other_work() -> None:
    feed = MemoryFeed({"a": 4})
    order: list[tuple[str, int]] = []

    async def go() -> None:
        schedule = Schedule(feed, pace_of(1), connections=1)

        async def work(job: Job, host: Host) -> None:
            order.append((job.url[-1], job.hops))
            if job.url.endswith("1") and not job.hops:
                job.hops = 1
                schedule.add(job, "a")

        await schedule.run(work)

    run(go())
    assert order == [("0", 0), ("1", 0), ("1", 1), ("2", 0), ("3", 0)]


def test_a_delayed_job_is_not_run_early_and_holds_up_no_other_of_its_host() -> None:
    """A retry of host a waits; meanwhile a redirect leads to a."""
    feed = MemoryFeed({"a": 1, "b": 1})
    order: list[tuple[str, int]] = []
    early_s: list[float] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        schedule = Schedule(feed, pace_of(), connections=1)
        due_s = 0.0

        async def work(job: Job, host: Host) -> None:
            nonlocal due_s
            know(host)
            order.append((job.start_url, job.hops))
            if job.hops:
                early_s.append(due_s - loop.time())
                return
            job.hops = 1
            if host.name == "a":
                due_s = loop.time() + 0.3
                schedule.add(job, "a", due_s)
            else:
                schedule.add(job, "a")

        await schedule.run(work)

    run(go())
    assert order == [("http://a/0", 0), ("http://b/0", 0), ("http://b/0", 1), ("http://a/0", 1)]
    assert early_s[0] > 0
    assert early_s[1] <= 0.001


def test_an_earlier_delay_is_not_held_up_by_a_later_one() -> None:
    feed = MemoryFeed({"a": 2})
    order: list[str] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        schedule = Schedule(feed, pace_of(4), connections=1)

        async def work(job: Job, host: Host) -> None:
            know(host)
            if job.hops:
                order.append(job.url[-1])
            else:
                job.hops = 1
                schedule.add(job, "a", loop.time() + (0.4 if job.url.endswith("0") else 0.01))

        await schedule.run(work)

    run(go())
    assert order == ["1", "0"]


def test_an_error_in_a_job_ends_everything_and_is_raised() -> None:
    feed = MemoryFeed({f"h{number}": 30 for number in range(10)})
    cancelled: list[str] = []
    started = 0

    async def go() -> None:
        all_here = asyncio.Event()

        async def work(job: Job, host: Host) -> None:
            nonlocal started
            started += 1
            if started == 6:
                all_here.set()
            await all_here.wait()
            if host.name == "h3":
                raise ValueError("the disk is full")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(host.name)
                raise

        await Schedule(feed, pace_of(), connections=6).run(work)

    with pytest.raises(ValueError, match="the disk is full"):
        run(go())
    assert len(cancelled) == len(set(cancelled)) == 5
    assert started <= 7  # the one that failed left a slot, which may have been taken before the end
    assert not feed.active


def test_cancelling_the_run_cancels_its_jobs() -> None:
    feed = MemoryFeed({"a": 3, "b": 3})
    ended: list[str] = []

    async def go() -> None:
        started = asyncio.Event()

        async def work(job: Job, host: Host) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(host.name)

        task = asyncio.create_task(Schedule(feed, pace_of(), connections=2).run(work))
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(go())
    assert sorted(ended) == ["a", "b"]
    assert not feed.active


@pytest.mark.parametrize("method", ["jobs", "retired"])
def test_an_error_of_the_feed_ends_the_run(method: str) -> None:
    """A database that can no longer be read or written, say."""

    class Broken(MemoryFeed):
        def jobs(self, host: str, after: int) -> tuple[list[Job], int]:
            if method == "jobs" and after:
                raise OSError("disk I/O error")
            return super().jobs(host, after)

        def retired(self, host: Host) -> None:
            super().retired(host)
            if method == "retired" and self.num_retired.total() == 1:
                raise OSError("disk I/O error")

    async def work(job: Job, host: Host) -> None:
        await asyncio.sleep(0)

    async def go() -> None:
        await Schedule(Broken({"a": 7, "b": 9}), pace_of(), connections=2).run(work)

    with pytest.raises(OSError, match="disk I/O error"):
        run(go(), 5)


def test_what_is_known_of_a_host_survives_its_retirement() -> None:
    """Its robots.txt is not asked for again when a redirect leads to it later."""
    feed = MemoryFeed({"a": 1, "b": 2})
    seen: list[tuple[str, bool]] = []

    async def go() -> None:
        schedule = Schedule(feed, pace_of(1), connections=1)

        async def work(job: Job, host: Host) -> None:
            seen.append((host.name, bool(host.robots)))
            know(host)
            if job.url == "http://b/1" and not job.hops:
                assert feed.num_retired["a"] == 1
                job.hops = 1
                schedule.add(job, "a")

        await schedule.run(work)

    run(go())
    assert seen == [("a", False), ("b", False), ("b", True), ("a", True)]
    assert feed.num_retired == {"a": 2, "b": 1}


def test_only_so_many_hosts_without_work_are_remembered() -> None:
    feed = MemoryFeed({f"h{number}": 1 for number in range(MAX_REMEMBERED + 50)})

    async def go() -> int:
        schedule = Schedule(feed, pace_of(), connections=8)

        async def work(job: Job, host: Host) -> None:
            know(host)

        await schedule.run(work)
        return len(schedule._idle)

    assert run(go()) == MAX_REMEMBERED
