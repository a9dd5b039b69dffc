"""Workspaces at URLs: in memory and on a real S3 server on loopback that fails, with processes that are killed."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.dedup_record import DedupRecord, read_record, write_record
from noisyweb.errors import SourceError
from noisyweb.remote_path import RemotePath
from noisyweb.schemas import VOTES
from noisyweb.workspace import Workspace
from tests.test_tabledb import image_row
from tests.test_workspace import vote

if TYPE_CHECKING:
    from tests.s3_server import S3Server

BUCKET = "workspaces"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.setenv("NOISYWEB_SCRATCH", str(tmp_path / "scratch"))
    if "s3" in request.fixturenames:
        request.getfixturevalue("s3").forget()
    return tmp_path / "scratch"


@pytest.fixture
def url(s3: S3Server) -> str:
    """Where nothing is."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def keys(s3: S3Server, url: str) -> list[str]:
    folder = url.partition(f"{BUCKET}/")[2]
    return [key.removeprefix(f"{folder}/") for key in s3.keys(BUCKET) if key.startswith(f"{folder}/")]


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


# Tables and journals


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_what_is_written_is_read(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("url") if kind == "s3" else f"memory://{uuid.uuid4().hex}"
    with pytest.raises(SourceError, match=r"no such folder; make one with `noisyweb crawl --workspace \w+://"):
        Workspace(url)
    place = Workspace(url, create=True)
    assert place.read("votes").equals(VOTES.empty_table())
    place.set_class_names(["ant", "bée"])
    assert Workspace(url).class_names() == ["ant", "bée"]
    table = pa.Table.from_pylist([vote("a", "no"), vote("b")], schema=VOTES)
    place.write("votes", table)
    assert place.read("votes").equals(table)
    with place.journal("votes") as journal:
        journal.add(vote("a", "unsure"))
    with place.journal("votes") as journal:
        journal.add(vote("a", "yes"))
    expected = [vote("a", "yes"), vote("b")]
    assert place.read("votes").to_pylist() == expected
    assert place.fold("votes").to_pylist() == expected
    assert Workspace(url).read("votes").to_pylist() == expected
    assert list(place.folder.glob("votes.journal/*")) == []
    with place.journal("hashes") as journal:
        journal.add({"image_id": "a", "phash": bytes(range(32)), "flat": False})
    assert place.read("hashes")["phash"].to_pylist() == [bytes(range(32))]
    record = DedupRecord(method="phash", radius=4)
    write_record(place.folder, record)
    assert read_record(place.folder) == record
    with pytest.raises(SourceError, match=r"needs a workspace folder on a disk; copy it here first"):
        place.on_disk()


STEPS = st.lists(st.tuples(st.sampled_from(["add", "add", "fold", "write"]), st.sampled_from("abc"), st.booleans()))


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_a_table_at_a_url_is_that_of_a_folder(steps: list[tuple[str, str, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = [Workspace(folder, create=True), Workspace(f"memory://{uuid.uuid4().hex}", create=True)]
        for what, image, yes in steps:
            row = vote(image, "yes" if yes else "no")
            for place in places:
                if what == "add":
                    with place.journal("votes") as journal:
                        journal.add(row)
                elif what == "fold":
                    place.fold("votes")
                else:
                    place.write("votes", pa.Table.from_pylist([row], schema=VOTES))
            assert places[1].read("votes").equals(places[0].read("votes"))


ADD = """
import sys
from noisyweb.workspace import Workspace
place = Workspace(sys.argv[1], create=True)
with place.locked(), place.journal("votes") as journal:
    for n in range(int(sys.argv[2])):
        journal.add({"image_id": f"{n:05d}", "label": 0, "annotator": "a", "answer": "yes", "backend": "file"})
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_has_added_is_folded_by_the_next(s3: S3Server, url: str) -> None:
    process = python(ADD, url, "1500")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    place = Workspace(url)
    while place.read("votes").num_rows < 1500:  # the last ones come after two seconds
        assert process.poll() is None
    kill(process)
    with place.locked():  # its lock is free, since it is dead
        assert place.fold("votes")["image_id"].to_pylist() == [f"{n:05d}" for n in range(1500)]
    assert [name for name in keys(s3, url) if "journal" in name or "lock" in name] == []


FOLD = "import sys; from noisyweb.workspace import Workspace; Workspace(sys.argv[1]).fold('votes')"


@pytest.mark.parametrize("held", ["PUT", "DELETE"])
def test_a_kill_while_a_journal_is_folded_loses_nothing(held: str, s3: S3Server, url: str) -> None:
    place = Workspace(url, create=True)
    for number in range(3):
        with place.journal("votes") as journal:
            journal.add(vote("a", "no" if number < 2 else "yes"))
            journal.add(vote(f"{number}"))
    expected = place.read("votes")
    arrived, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> int | None:
        if method != held:
            return None
        arrived.set()
        go_on.wait(30)
        return 403  # nobody hears it any more, and nothing is done

    s3.answer = hold
    process = python(FOLD, url)
    assert arrived.wait(60)
    kill(process)
    go_on.set()
    s3.forget()
    assert ("votes.parquet" in keys(s3, url)) == (held == "DELETE")
    assert place.read("votes").equals(expected)
    assert place.fold("votes").equals(expected)
    assert keys(s3, url) == ["votes.parquet"]
    assert place.read("votes").equals(expected)


def test_a_workspace_copied_with_its_journal_has_all_rows(s3: S3Server, url: str, tmp_path: Path) -> None:
    local = Workspace(tmp_path / "w", create=True)
    with local.journal("votes") as journal:
        journal.add(vote("a", "no"))
    RemotePath(f"{url}/votes.journal").upload(tmp_path / "w/votes.journal")
    place = Workspace(url)
    with place.journal("votes") as journal:
        journal.add(vote("b"))
    assert place.fold("votes").to_pylist() == [vote("a", "no"), vote("b")]
    assert keys(s3, url) == ["votes.parquet"]
    RemotePath(f"{url}/crawl.sqlite").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"copied from a disk in the middle of a crawl"):
        Workspace(url)


def test_a_table_that_is_replaced_while_it_is_read_is_of_one_version(s3: S3Server, url: str, tmp_path: Path) -> None:
    old, new = (bytes([n]) * (20 * 2**20) for n in (1, 2))
    place = RemotePath(f"{url}/table")
    place.write_bytes(old)
    replaced: list[int] = []

    def replace(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/table") and not replaced:
            replaced.append(1)
            s3.client().put_object(Bucket=BUCKET, Key=path.removeprefix(f"/{BUCKET}/"), Body=new)

    s3.answer = replace
    place.download(tmp_path / "copy")
    assert replaced
    assert (tmp_path / "copy").read_bytes() == new


# A store that fails for a while


def fill(place: Workspace) -> None:
    """A bit of everything that writes."""
    with place.locked():
        place.set_class_names(["ant"])
        for number in range(4):
            with place.journal("votes") as journal:
                journal.add(vote(place.put(bytes([number])), "no" if number % 2 else "yes"))
        place.fold("votes")
        with place.database() as database:
            database.put("images", image_row(1))
            place.checkpoint(database)
            database.put("images", image_row(2))
        place.write("known_votes", place.read("votes"))


def test_a_store_that_fails_again_and_again_gets_the_same_tables(s3: S3Server, url: str, tmp_path: Path) -> None:
    from tests.s3_server import DROP, LOSE

    local = Workspace(tmp_path / "w", create=True)
    fill(local)
    failures, lock = itertools.cycle([None] * 4 + [503] + [None] * 4 + [DROP] + [None] * 4 + [LOSE]), threading.Lock()

    def fail(method: str, path: str) -> int | None:
        with lock:
            return next(failures)

    s3.answer = fail
    place = Workspace(url, create=True)
    fill(place)
    ids = local.read("votes")["image_id"].to_pylist()
    loaded = list(place.load(ids))
    tables = {name: place.read(name) for name in ("votes", "images", "hashes", "known_votes")}
    s3.forget()
    assert loaded == list(local.load(ids))
    assert all(table.equals(local.read(name)) for name, table in tables.items())
    here = sorted(str(path.relative_to(local.folder)) for path in (tmp_path / "w").rglob("*") if path.is_file())
    assert keys(s3, url) == [name for name in here if name != ".lock"]


def test_a_minute_of_silence_is_waited_for(s3: S3Server, url: str) -> None:
    s3.busy(1.5)
    place = Workspace(url, create=True)
    with place.journal("votes") as journal:
        journal.add(vote("a"))
    assert place.fold("votes").to_pylist() == [vote("a")]


def test_two_processes_do_not_hold_it_at_once_and_a_dead_one_does_not(s3: S3Server, url: str) -> None:
    process = python(ADD, url, "1")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    place = Workspace(url)
    with pytest.raises(SourceError, match=r"another noisyweb process is writing to it"), place.locked():
        pytest.fail("the block must not begin")
    kill(process)
    with place.locked():
        with pytest.raises(SourceError, match=r"another noisyweb process"), Workspace(url).locked():
            pytest.fail("the block must not begin")
        place.write("votes", VOTES.empty_table())
    with place.locked():
        pass
    assert not any(name.startswith("lock/") for name in keys(s3, url))
