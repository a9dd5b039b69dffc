"""One host's pace, its breaker and its queue, on a clock of the tests' own."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.hosts import Closed, Host, Job, Pace
from noisyweb.politeness import Robots

OPEN = Robots(404, "", 0.0)
EPS = 1e-6


def job(number: int | str = 0) -> Job:
    url = f"http://h/{number}"
    return Job(url, url)


def host(pace: Pace | None = None, *, jobs: int = 0, is_open: bool = True) -> Host:
    made = Host("h", pace or Pace(), more=False)
    made.queue.extend(job(n) for n in range(jobs))
    if is_open:
        made.open("http", OPEN)
    return made


def start(one: Host, now_s: float) -> Job:
    """Take a job as the schedule does: only if it may."""
    ready_s = one.ready_s(now_s)
    assert ready_s is not None
    assert ready_s <= now_s
    assert one.has_slot
    return one.take(now_s)


def end(one: Host, trouble: str | None, now_s: float) -> None:
    one.answered(trouble, now_s)
    one.in_flight -= 1


@settings(max_examples=200, deadline=None)
@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    begin=st.floats(0, 1e5),
)
def test_no_window_has_more_starts_than_the_burst_and_the_rate(
    rate: float, burst: int, gaps: list[float], begin: float
) -> None:
    one = host(Pace(rate=rate, burst=burst), jobs=len(gaps))
    now_s, starts = begin, []
    for gap in gaps:  # whoever asks comes as early as allowed, or later
        ready_s = one.ready_s(now_s + gap if gap > 2 else now_s)
        assert ready_s is not None
        now_s = max(now_s, ready_s)
        one.take(now_s)
        starts.append(now_s)
    for i, first in enumerate(starts):
        for j in range(i, len(starts)):
            assert j - i + 1 <= burst + rate * (starts[j] - first) + 1e-3


@settings(max_examples=100, deadline=None)
@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20), jobs=st.integers(1, 60))
def test_who_asks_as_early_as_allowed_gets_the_whole_rate(rate: float, burst: int, jobs: int) -> None:
    one = host(Pace(rate=rate, burst=burst), jobs=jobs)
    now_s = 100.0
    for _ in range(jobs):
        now_s = max(now_s, one.ready_s(now_s) or 0)
        one.take(now_s)
    assert now_s - 100 == pytest.approx(max(0, jobs - burst) / rate, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20), jobs=st.integers(1, 60), begin=st.floats(0, 1e5))
def test_whose_burst_is_spent_starts_at_its_rate(rate: float, burst: int, jobs: int, begin: float) -> None:
    one = host(Pace(rate=rate, burst=burst), jobs=jobs)
    one.spend(begin)
    now_s = begin
    for number in range(1, jobs + 1):
        now_s = max(now_s, one.ready_s(now_s) or 0)
        one.take(now_s)
        assert now_s - begin == pytest.approx(number / rate, abs=1e-6)


def test_no_rate_is_no_limit() -> None:
    one = host(Pace(rate=0), jobs=1000)
    for _ in range(1000):
        assert one.ready_s(5.0) == 5.0
        one.take(5.0)
    assert one.ready_s(5.0) is None


@settings(max_examples=100, deadline=None)
@given(rate=st.floats(0, 100), burst=st.integers(1, 20), delay_s=st.floats(0.1, 60), jobs=st.integers(2, 20))
def test_a_crawl_delay_is_kept_between_any_two_requests(rate: float, burst: int, delay_s: float, jobs: int) -> None:
    """Also between the first, which brought robots.txt along, and the second."""
    one = host(Pace(rate=rate, burst=burst), jobs=jobs, is_open=False)
    starts = [now_s := 100.0]
    one.take(now_s)
    one.slow_down(delay_s)
    one.open("http", OPEN)
    if not rate or delay_s > 1 / rate:
        for _ in range(jobs - 1):
            now_s = max(now_s, one.ready_s(now_s) or 0)
            one.take(now_s)
            starts.append(now_s)
        assert min(later - first for first, later in itertools.pairwise(starts)) >= delay_s - 1e-6
    else:
        assert one.interval_s == 1 / rate  # the pace is slower anyway


@settings(max_examples=200, deadline=None)
@given(
    rate=st.floats(10, 1e6),
    bodies=st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 3)), min_size=1, max_size=40),
)
def test_bytes_are_kept_to_their_average(rate: float, bodies: list[tuple[int, float]]) -> None:
    """What came before a start is at most the rate times the time that went by, and a second's worth."""
    one = host(Pace(rate=0, bytes_per_s=rate), jobs=len(bodies))
    came: list[tuple[float, int]] = []
    now_s = 1000.0
    for size, download_s in bodies:
        now_s = max(now_s, one.ready_s(now_s) or 0)
        for since, (first_s, _) in enumerate(came):
            assert sum(size for _, size in came[since:]) <= rate * (now_s - first_s + 1) * (1 + EPS) + 1
        one.take(now_s)
        now_s += download_s
        one.downloaded(size, now_s)
        came.append((now_s, size))
    assert one.num_bytes == sum(size for size, _ in bodies)


def test_without_a_byte_rate_bodies_cost_no_time() -> None:
    one = host(jobs=1)
    one.downloaded(10**12, 5.0)
    assert one.ready_s(5.0) == 5.0


def test_a_pause_keeps_everyone_out_until_its_end_and_is_never_shortened() -> None:
    one = host(jobs=2)
    one.pause(50.0)
    one.pause(20.0)
    one.delay(job("late"), 30.0)
    assert one.ready_s(10.0) == 50.0
    assert start(one, 50.0).url == "http://h/late"  # its time came during the pause
    assert start(one, 50.0).url == "http://h/0"


def test_failures_in_a_row_open_the_breaker_and_one_request_tries() -> None:
    one = host(Pace(concurrency=4, rate=0, failures=3, rest_s=20), jobs=20)
    for _ in range(3):
        start(one, 10.0)
        end(one, "timeout", 10.0)
    assert one.ready_s(10.0) == 30.0
    start(one, 30.0)
    assert not one.has_slot
    end(one, None, 31.0)
    assert one.closed is None
    assert one.ready_s(31.0) == 31.0
    for _ in range(4):
        start(one, 31.0)
    assert not one.has_slot


def test_a_failed_probe_closes_the_host_and_its_work_is_handed_out_at_once() -> None:
    one = host(Pace(concurrency=2, rate=0, failures=2, rest_s=20, bytes_per_s=1), jobs=9)
    for now_s in (1.0, 1.0, 21.0):
        start(one, now_s)
        end(one, "HTTP 503", now_s)
    assert one.closed == Closed("host-down", "3 failures in a row, the last: HTTP 503")
    one.interval_s = 1000.0
    one.downloaded(10**6, 21.0)
    one.pause(10**6)
    one.delay(job("late"), 10**7)
    urls = [start(one, 21.0).url, start(one, 21.0).url]
    assert not one.has_slot  # as many at once as ever, not one
    one.in_flight = 0
    while one.ready_s(21.0) is not None:
        urls.append(start(one, 21.0).url)
        one.in_flight = 0
    assert sorted(urls) == sorted([*(job(n).url for n in range(3, 9)), "http://h/late"])
    assert one.is_idle


@settings(max_examples=100, deadline=None)
@given(failures=st.integers(1, 6), said=st.lists(st.booleans(), max_size=60))
def test_the_breaker_opens_exactly_after_that_many_failures_in_a_row(failures: int, said: list[bool]) -> None:
    one = host(Pace(rate=0, failures=failures, rest_s=20), jobs=len(said))
    now_s, in_a_row = 0.0, 0
    for is_well in said:
        now_s = max(now_s, one.ready_s(now_s) or 0)
        start(one, now_s)
        end(one, None if is_well else "dns", now_s)
        in_a_row = 0 if is_well else in_a_row + 1
        if in_a_row == failures + 1:
            assert one.closed is not None
            return
        assert one.closed is None
        if one.queue:
            assert one.ready_s(now_s) == (now_s + 20 if in_a_row == failures else now_s)


def test_failures_that_were_under_way_when_the_breaker_opened_are_no_probe() -> None:
    one = host(Pace(concurrency=8, rate=0, failures=3, rest_s=20), jobs=20)
    for _ in range(8):
        start(one, 1.0)
    for _ in range(7):
        end(one, "timeout", 2.0)
    assert one.closed is None
    assert one.ready_s(2.0) == 22.0
    assert not one.has_slot  # the probe waits for the last of them
    end(one, "timeout", 40.0)
    assert one.closed is None
    assert one.has_slot
    start(one, 40.0)
    end(one, "timeout", 41.0)
    assert one.closed is not None


def test_the_first_reason_for_closing_stays() -> None:
    one = host()
    one.close("http-429", "it asks to wait 86400 s")
    one.close("host-down", "later")
    assert one.closed == Closed("http-429", "it asks to wait 86400 s")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40))
def test_delayed_jobs_come_at_their_time_and_in_its_order(plans: list[tuple[int, bool]]) -> None:
    one = host(Pace(concurrency=100, rate=0))
    due: dict[str, float] = {}
    for number, (due_s, is_delayed) in enumerate(plans):
        if is_delayed:
            due[job(number).url] = due_s
            one.delay(job(number), due_s)
        else:
            one.queue.append(job(number))
    now_s, taken = 0.0, []
    while (ready_s := one.ready_s(now_s)) is not None:
        now_s = max(now_s, ready_s)
        taken.append((one.take(now_s).url, now_s))
    assert sorted(url for url, _ in taken) == sorted(job(n).url for n in range(len(plans)))
    late = [url for url, _ in taken if url in due]
    assert late == sorted(due, key=lambda url: due[url])  # stable: who was delayed first, comes first
    assert all(at_s >= due[url] for url, at_s in taken if url in due)
    plain = [url for url, _ in taken if url not in due]
    assert plain == [job(n).url for n, (_, is_delayed) in enumerate(plans) if not is_delayed]
    assert one.in_flight == len(plans)


@given(st.integers(1, 20))
def test_one_request_at_a_time_until_robots_txt_is_known(concurrency: int) -> None:
    one = host(Pace(concurrency=concurrency, rate=0), jobs=30, is_open=False)
    opened: list[Host] = []
    one.on_open = opened.append
    assert one.has_slot
    one.take(0.0)
    assert not one.has_slot
    one.open("https", OPEN)
    assert opened == [one]
    assert one.robots == {"https": OPEN}
    for _ in range(concurrency - 1):
        assert one.has_slot
        one.take(0.0)
    assert not one.has_slot


def test_a_host_is_idle_only_without_any_work() -> None:
    one = Host("h", Pace(rate=0))
    assert not one.is_idle  # there may be more in the work table
    one.more = False
    assert one.is_idle
    one.delay(job(), 5.0)
    assert not one.is_idle
    one.take(5.0)
    assert not one.is_idle
    one.in_flight -= 1
    assert one.is_idle
    assert one.ready_s(5.0) is None
