"""Whom a worker's death is blamed on, whatever moment it comes at; and what is left behind when one cannot start."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from noisyweb.errors import CrawlError
from noisyweb.image_pool import ImagePool
from noisyweb.image_work import ImageWork, Outcome
from noisyweb.remote_path import RemotePath
from tests.s3_server import S3Server
from tests.test_image_pool import LARGE, kill_at_work, run, until, work_in, workers
from tests.web import photo

BUCKET = "worker-link"


def reasons(outcomes: list[Outcome]) -> list[str | None]:
    return [one["reason"] for one in outcomes]


def test_a_worker_that_dies_while_others_start_is_replaced(tmp_path: Path) -> None:
    async def go() -> None:
        async def kill_the_first() -> None:
            while not (found := workers()):
                await asyncio.sleep(0)
            found[0].kill()

        killing = asyncio.create_task(kill_the_first())
        await asyncio.sleep(0)
        async with ImagePool(work_in(tmp_path), 4) as pool:
            await killing
            outcomes = await asyncio.gather(*(pool.process(photo(number)) for number in range(32)))
            assert reasons(outcomes) == [None] * 32
            await until(lambda: len(workers()) == 4)

    run(go())
    assert not workers()


def test_a_worker_that_cannot_be_started_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))

    async def go() -> None:
        open_before = psutil.Process().num_fds()
        with pytest.raises(CrawlError, match=r"cannot be started \(No such file or directory\); end other programs"):
            async with ImagePool(work_in(tmp_path), 2):
                pass
        assert psutil.Process().num_fds() == open_before

    run(go())


def test_a_pool_leaves_nothing_open(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:  # what one pool opens for good (the loop's threads) is open
            await pool.process(photo(0))
        open_before = psutil.Process().num_fds()
        async with ImagePool(work_in(tmp_path), 3) as pool:
            await pool.process(photo(1))
            workers()[0].kill()
            outcomes = await asyncio.gather(*(pool.process(photo(number)) for number in range(8)))
            assert reasons(outcomes) == [None] * 8
        await asyncio.sleep(0)
        assert psutil.Process().num_fds() == open_before

    run(go())


def test_a_body_that_an_idle_worker_never_saw_is_not_what_it_died_of(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(0))
            [worker] = workers()
            worker.kill()
            worker.wait(20)  # without a turn of the loop: nobody has noticed
            assert (await pool.process(photo(1)))["reason"] is None

    run(go())


def test_answers_that_came_before_a_death_count_though_a_write_fails_first(tmp_path: Path) -> None:
    async def go() -> None:
        async with ImagePool(work_in(tmp_path), 1) as pool:
            await pool.process(photo(0))
            [worker] = workers()
            done = [asyncio.create_task(pool.process(body)) for body in (photo(1), photo(2), photo(3), LARGE)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            late = asyncio.create_task(pool.process(photo(4)))  # told in the turn after the one that takes so long
            await asyncio.sleep(0)
            before_s = worker.cpu_times().user
            while worker.cpu_times().user < before_s + 0.3:  # it has answered three, and is at the fourth
                time.sleep(0.01)
            worker.kill()
            worker.wait(20)
            await until(lambda: pool._workers[0].process.pid != worker.pid)
            await kill_at_work(
                pool
            )  # if the first death had been put down to another body, this were the fourth's first
            assert reasons(await asyncio.gather(*done, late)) == [None, None, None, "decoder-crash", None]

    run(go())


def test_images_on_their_way_to_an_object_store_are_not_what_a_decoder_died_of(s3: S3Server) -> None:
    """Their rows would say that they are broken; one hostile body would cost forty others."""
    may_put = threading.Event()

    def answer(method: str, path: str) -> None:
        if method == "PUT":
            may_put.wait(60)

    async def go() -> None:
        async with ImagePool(ImageWork(f"s3://{BUCKET}/store"), 1) as pool:
            await pool.process(b"no image")
            s3.answer = answer
            bodies = [*(photo(number) for number in range(12)), LARGE, *(photo(number) for number in range(20, 24))]
            callers = [asyncio.create_task(pool.process(body)) for body in bodies]
            for _ in range(2):
                await until(lambda: pool._workers[0]._num_decoded == 12)  # those wait to be put, it is at the large one
                await kill_at_work(pool)
            may_put.set()
            outcomes = await asyncio.gather(*callers)
            assert reasons(outcomes) == [None] * 12 + ["decoder-crash"] + [None] * 4
            for body, outcome in zip(bodies, outcomes, strict=True):
                if outcome["reason"] is None:
                    image_id = outcome["image_id"]
                    assert RemotePath(f"s3://{BUCKET}/store/{image_id[:2]}/{image_id}").read_bytes() == body

    try:
        run(go())
    finally:
        may_put.set()
        s3.answer = None
    assert not workers()


STOPPED = """
import asyncio, sys
from noisyweb.image_pool import ImagePool
from noisyweb.image_work import ImageWork
from tests.test_image_pool import LARGE
async def main():
    async with ImagePool(ImageWork(sys.argv[1]), 1, limit_s=6.0) as pool:
        await pool.process(b"nothing")
        caller = asyncio.create_task(pool.process(LARGE))
        await asyncio.sleep(0.05)
        print("given", flush=True)
        print((await caller)["reason"], flush=True)
asyncio.run(main())
"""


@pytest.mark.slow
def test_a_crawl_that_was_stopped_by_ctrl_z_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "store")]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, cwd=root) as crawl:
        assert crawl.stdout is not None
        assert crawl.stdout.readline() == b"given\n"
        os.killpg(crawl.pid, signal.SIGSTOP)
        time.sleep(9)  # longer than a body may take
        os.killpg(crawl.pid, signal.SIGCONT)
        assert re.fullmatch(rb"None\n", crawl.stdout.read())
