"""Worker processes: the right answer to the right caller, whatever happens to a worker."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from PIL import Image

from noisyweb.body_ring import RING_BYTES
from noisyweb.decode import pillow_in_bounds
from noisyweb.errors import CrawlError
from noisyweb.image_pool import MAX_QUEUED, ImagePool
from noisyweb.image_work import ImageWork, Outcome, process
from noisyweb.store import ImageStore
from tests.web import SVG, animation, photo, pixel_bomb

T = TypeVar("T")


def run(coroutine: Awaitable[T], limit_s: float = 60) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(coroutine, limit_s)

    return asyncio.run(limited())


def work_in(folder: Path, **options: int | bool) -> ImageWork:
    return ImageWork(str(folder / "store"), **options)  # type: ignore[arg-type]


def large_png(side: int = 7000) -> bytes:
    """An allowed image that takes a second or so to read and hash."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(out, "PNG", compress_level=1)
    return out.getvalue()


LARGE = large_png()


def workers(parent: int | None = None) -> list[psutil.Process]:
    """The worker processes of a process, of this one unless told otherwise."""
    found = []
    for child in psutil.Process(parent).children():
        try:
            if "noisyweb.image_work" in child.cmdline():
                found.append(child)
        except psutil.Error:
            pass  # it ended meanwhile
    return found


def is_gone(one: psutil.Process) -> bool:
    try:
        return not one.is_running() or one.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(is_so: Callable[[], bool], limit_s: float = 20) -> None:
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.005)


async def until_working(one: psutil.Process) -> None:
    """Until a worker that was idle has used some processor time."""
    before_s = one.cpu_times().user
    await until(lambda: one.cpu_times().user > before_s + 0.1)


async def kill_at_work(pool: ImagePool) -> psutil.Process:
    """Kill the pool's only worker once it has been at a body for a while."""
    await until(lambda: pool._workers[0].process.returncode is None and pool._workers[0]._num_told > 0)
    worker = psutil.Process(pool._workers[0].process.pid)
    await until_working(worker)
    worker.kill()
    await until(lambda: pool._workers[0].process.pid != worker.pid)
    return worker


BODIES = [
    *(photo(number) for number in range(3)),
    photo(4, kind="PNG"),
    photo(5, kind="WEBP"),
    photo(6, side=300),
    photo(7, side=20),
    animation(),
    pixel_bomb(),
    SVG,
    photo(8)[:-400],
    b"",
    b"<html>",
    Image.new("RGB", (64, 64)).tobytes(),
]


@pytest.mark.parametrize(
    "options",
    [{}, {"min_side": 100}, {"image_size": 48}, {"decode": False}],
    ids=["as-is", "min-side", "image-size", "unseen"],
)
def test_outcomes_are_those_of_one_process(tmp_path: Path, options: dict[str, int | bool]) -> None:
    here = work_in(tmp_path / "here", **options)
    with pillow_in_bounds():
        found = [process(body, here) for body in BODIES]
    expected = [outcome for outcome, _ in found]
    for outcome, data in found:
        if data is not None:
            assert ImageStore(Path(here.store)).put(data) == outcome["image_id"]

    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path / "there", **options), 2) as pool:
            return await asyncio.gather(*(pool.process(body) for body in BODIES))

    assert run(go()) == expected
    stored = [sorted(p.name for p in (tmp_path / place).rglob("*") if p.is_file()) for place in ("here", "there")]
    assert stored[0] == stored[1]
    assert len(stored[0]) == len({one["image_id"] for one in expected if one["reason"] is None}) > 0
    assert not workers()


def test_each_caller_gets_the_answer_to_its_own_body(tmp_path: Path) -> None:
    bodies = [photo(number % 150, side=40 + number % 7) for number in range(300)]

    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path), 2) as pool:
            assert len(workers()) == 2
            return await asyncio.gather(*(pool.process(body) for body in bodies))

    outcomes = run(go())
    store = ImageStore(tmp_path / "store")
    assert [store.get(outcome["image_id"]) for outcome in outcomes] == bodies
    assert [outcome["width"] for outcome in outcomes] == [40 + number % 7 for number in range(300)]


@pytest.mark.parametrize("has_memory", [True, False])
def test_bodies_of_any_size_come_whole_in_shared_memory_or_through_the_socket(
    tmp_path: Path, has_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_memory:  # as on macOS
        monkeypatch.delattr(os, "memfd_create", raising=False)
    chance = random.Random(0)
    sizes = [0, 1, RING_BYTES, RING_BYTES + 1, 3 * RING_BYTES, *(chance.randrange(RING_BYTES) for _ in range(60))]
    bodies = [chance.randbytes(size) for size in chance.sample(sizes, len(sizes))]

    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path, decode=False), 2) as pool:
            return await asyncio.gather(*(pool.process(body) for body in bodies))

    outcomes = run(go())
    assert [one["image_id"] for one in outcomes] == [hashlib.sha256(body).hexdigest() for body in bodies]
    store = ImageStore(tmp_path / "store")
    assert [store.get(one["image_id"]) for one in outcomes] == bodies


def test_a_caller_that_is_cancelled_while_it_waits_is_passed_over(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(1))
            [worker] = workers()
            worker.suspend()
            callers = [asyncio.create_task(pool.process(photo(number))) for number in range(MAX_QUEUED + 3)]
            await until(lambda: len(pool._workers[0].waiting) == MAX_QUEUED)
            for number in (0, MAX_QUEUED, MAX_QUEUED + 1):  # with the worker, and behind those that are
                callers[number].cancel()
            worker.resume()
            ended = await asyncio.gather(*callers, return_exceptions=True)
            assert [isinstance(one, asyncio.CancelledError) for one in ended] == [
                number in (0, MAX_QUEUED, MAX_QUEUED + 1) for number in range(MAX_QUEUED + 3)
            ]
            store = ImageStore(tmp_path / "store")
            assert store.get(ended[-1]["image_id"]) == photo(MAX_QUEUED + 2)  # type: ignore[index]
            assert not store.path(hashlib.sha256(photo(MAX_QUEUED)).hexdigest()).exists()

    run(go())


def test_a_worker_is_given_a_few_bodies_ahead_and_no_more(tmp_path: Path) -> None:
    """Whoever comes after them waits, so that bodies do not pile up in memory."""

    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(1))
            [worker] = workers()
            worker.suspend()
            callers = [asyncio.create_task(pool.process(photo(number))) for number in range(10)]
            await until(lambda: len(pool._workers[0].waiting) > 0)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(pool._workers[0].waiting) == MAX_QUEUED
            worker.resume()
            assert [one["reason"] for one in await asyncio.gather(*callers)] == [None] * 10

    run(go())


def test_a_body_is_given_up_when_a_second_worker_has_died_of_it_and_no_other_is(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            assert (await pool.process(photo(0)))["reason"] is None
            bodies = [LARGE, *(photo(number) for number in range(1, 8))]
            callers = [asyncio.create_task(pool.process(body)) for body in bodies]
            await kill_at_work(pool)
            worker = await kill_at_work(pool)
            outcomes = await asyncio.gather(*callers)
            assert outcomes[0] == {"reason": "decoder-crash", "num_bytes": len(LARGE)}
            assert [one["reason"] for one in outcomes[1:]] == [None] * 7
            store = ImageStore(tmp_path / "store")
            assert [store.get(one["image_id"]) for one in outcomes[1:]] == bodies[1:]
            [fresh] = workers()
            assert fresh.pid != worker.pid
            assert (await pool.process(photo(9)))["reason"] is None

    run(go())
    assert not workers()


def test_a_worker_that_somebody_else_kills_costs_no_image(tmp_path: Path) -> None:
    """The system does when memory runs short."""

    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(0))
            callers = [asyncio.create_task(pool.process(body)) for body in (LARGE, photo(1))]
            await kill_at_work(pool)
            assert [one["reason"] for one in await asyncio.gather(*callers)] == [None, None]

    run(go())


def test_a_worker_that_dies_idle_costs_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 2) as pool:
            await asyncio.gather(*(pool.process(photo(number)) for number in range(4)))
            for _ in range(6):
                before = {one.pid for one in workers()}
                assert len(before) == 2
                os.kill(min(before), signal.SIGKILL)
                await until(lambda before=before: len({one.pid for one in workers()} - before) == 1)  # type: ignore[misc]
                outcomes = await asyncio.gather(*(pool.process(photo(number)) for number in range(4)))
                assert [one["reason"] for one in outcomes] == [None] * 4

    run(go())


def test_nobody_waits_for_ever_when_workers_die_under_load(tmp_path: Path) -> None:
    """Bodies keep coming while dead workers are being replaced."""
    num_kills = 6

    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path), 2) as pool:
            await asyncio.gather(*(pool.process(photo(number)) for number in range(4)))
            is_over = False

            async def come(number: int) -> list[Outcome]:
                outcomes = []
                while not is_over:
                    outcomes.append(await pool.process(photo(number)))
                return outcomes

            callers = [asyncio.create_task(come(number)) for number in range(10)]
            dead: set[int] = set()
            for _ in range(num_kills):
                await until(lambda: any(one.pid not in dead for one in workers()))
                victim = next(one.pid for one in workers() if one.pid not in dead)
                dead.add(victim)
                os.kill(victim, signal.SIGKILL)
                await pool.process(photo(20))
            is_over = True
            return [one for outcomes in await asyncio.gather(*callers) for one in outcomes]

    reasons = [outcome["reason"] for outcome in run(go())]
    assert set(reasons) <= {None, "decoder-crash"}
    assert reasons.count("decoder-crash") <= num_kills


def test_a_body_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path), 1, limit_s=0.4) as pool:
            callers = [pool.process(body) for body in (photo(1), LARGE, photo(2))]
            return await asyncio.gather(*callers)

    assert [one["reason"] for one in run(go())] == [None, "decoder-crash", None]


def test_many_hostile_bodies_in_a_row_do_not_end_the_pool(tmp_path: Path) -> None:
    async def go() -> list[Outcome]:
        async with ImagePool(work_in(tmp_path), 2, limit_s=0.4) as pool:
            return await asyncio.gather(*(pool.process(LARGE) for _ in range(5)), pool.process(photo(1)))

    assert [one["reason"] for one in run(go())] == [*["decoder-crash"] * 5, None]


@pytest.mark.parametrize("processes", [2, 8])
def test_workers_that_cannot_start_end_the_crawl(
    tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself is broken for them: whoever waits is told, and whoever comes later."""
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))

    async def go() -> None:
        async with ImagePool(work_in(tmp_path), processes) as pool:
            for _ in range(3):
                callers = [asyncio.create_task(pool.process(photo(number))) for number in range(4)]
                for error in await asyncio.gather(*callers, return_exceptions=True):
                    assert isinstance(error, CrawlError)
                    assert str(error).startswith("the processes that decode images die at once")

    run(go())


@pytest.mark.parametrize("decode", [True, False])
def test_a_store_that_cannot_be_written_ends_the_crawl_with_its_words(tmp_path: Path, decode: bool) -> None:
    (tmp_path / "store").write_text("a file")

    async def go() -> None:
        async with ImagePool(work_in(tmp_path, decode=decode), 1) as pool:
            for _ in range(2):
                with pytest.raises(CrawlError, match=r"store/.*: cannot be written \(.*name a folder") as caught:
                    await pool.process(photo(1))
                assert "\n" not in str(caught.value)
            if decode:
                assert (await pool.process(b"<html>"))["reason"] == "not-an-image"

    run(go())


def test_leaving_the_pool_ends_its_workers(tmp_path: Path) -> None:
    async def go() -> None:
        with pytest.raises(ZeroDivisionError):
            async with ImagePool(work_in(tmp_path), 2) as pool:
                await pool.process(photo(1))
                waiting = asyncio.create_task(pool.process(LARGE))
                await asyncio.sleep(0)
                waiting.cancel()
                _ = 1 / 0

    run(go())
    assert not workers()


def test_leaving_the_pool_while_a_worker_is_replaced_leaves_no_process(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 2) as pool:
            await pool.process(photo(1))
            dead = pool._workers[0]
            dead.process.kill()
            await until(dead._transport.is_closing)

    run(go())
    assert not workers()


POOL = """
import asyncio, sys
from noisyweb.image_pool import ImagePool
from noisyweb.image_work import ImageWork
async def main():
    async with ImagePool(ImageWork(sys.argv[1]), 2) as pool:
        await asyncio.gather(*(pool.process(b"nothing") for _ in range(6)))
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", POOL, str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        orphans = workers(parent.pid)
        assert len(orphans) == 2
        parent.kill()
    end_s = time.monotonic() + 20
    while not all(is_gone(one) for one in orphans) and time.monotonic() < end_s:
        time.sleep(0.01)
    assert all(is_gone(one) for one in orphans)


def test_a_worker_ignores_ctrl_c_and_finishes(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(0))
            [worker] = workers()
            caller = asyncio.create_task(pool.process(LARGE))
            await until_working(worker)
            worker.send_signal(signal.SIGINT)
            assert (await caller)["reason"] is None

    run(go())


def test_a_worker_takes_little_memory_as_it_imports_little() -> None:
    heavy = ("pyarrow", "pandas", "httpx", "aiohttp", "imagehash", "torch", "typer")
    code = f"import noisyweb.image_work, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_an_outcome_fits_into_a_line(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    with pillow_in_bounds():
        for body in BODIES:
            line = json.dumps(process(body, work)[0])
            assert "\n" not in line
    assert ImageWork(**json.loads(json.dumps(asdict(work)))) == work
