"""The options of commands whose work can be spread, as users give them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import PROGRAM, Program, assert_refused
from tests.test_dedup import workspace
from tests.web import HostileWeb, photo


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--engine", "local", "--sizes", "rows=4"), "--sizes rows=4: expected NAME=NUMBER, NAME being one of images"),
        (("--engine", "local", "--sizes", "images=4,proofs=0"), "--sizes proofs=0: expected NAME=NUMBER"),
        (("--engine", "local", "--sizes", "images"), "--sizes images: expected NAME=NUMBER"),
        (("--sizes", "images=4"), "only an engine's work is cut; add --engine"),
        (("--workers", "2"), "only an engine has it"),
    ],
)
def test_what_cannot_be_is_refused(given: tuple[str, ...], said: str, tmp_path: Path, noisyweb: Program) -> None:
    place = workspace(tmp_path / "w", [("a", 0, photo(1))])
    assert_refused(noisyweb("dedup", "--workspace", place.folder, *given), said)


def test_what_an_engine_did_is_said_at_the_end(tmp_path: Path, noisyweb: Program) -> None:
    place = workspace(tmp_path / "w", [(f"u{n}", 0, photo(n)) for n in range(6)])
    options = ("--engine", "local", "--workers", "1", "--sizes", "images=2,hashes=3")
    done = noisyweb("dedup", "--workspace", place.folder, *options)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"engine local: (\d+) shards done, retried 0, set aside 0\n", done.stderr)
    assert found is not None, done.stderr
    assert int(found[1]) >= 3 + 3, "three of images, three pairs of two blocks, and those of views"


@pytest.mark.parametrize("requests", [0, 5], ids=["while workers start", "while they fetch"])
def test_ctrl_c_ends_a_crawl_on_an_engine_at_once(web: HostileWeb, tmp_path: Path, requests: int) -> None:
    """As a terminal sends it: to the program and all its workers."""
    (tmp_path / "classes.txt").write_text("ant\n")
    (tmp_path / "urls.csv").write_text("url,class\n" + "".join(f"{web.url(f'ok/{n}')},ant\n" for n in range(200)))
    command = [
        *(PROGRAM, "crawl", "--classes", "classes.txt", "--source", "url-list=urls.csv", "--workspace", "w"),
        *("--allow-loopback", "--rate", "5", "--engine", "local", "--workers", "2"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True) as crawl:
        if requests:
            assert web.wait_for(lambda: sum(web.requests.values()) >= requests)
        else:
            while not list((tmp_path / "w").glob("crawl.sqlite")):
                assert crawl.poll() is None
                time.sleep(0.01)
        os.killpg(crawl.pid, signal.SIGINT)
        _, errors = crawl.communicate(timeout=15)  # the whole crawl takes 40 s
    assert crawl.returncode == 2
    assert errors.strip() == "noisyweb: stopped by Ctrl-C; nothing was left half-written"
