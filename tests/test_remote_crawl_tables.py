"""A crawl's tables and images when the workspace is at a URL: killed, gone on with here and on another machine."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.errors import SourceError
from noisyweb.remote_path import RemotePath
from noisyweb.scratch import scratch_folder
from noisyweb.store import ImageStore, open_store
from noisyweb.workspace import CRAWL_TABLES, Workspace
from tests.conftest import Program, assert_refused
from tests.test_tabledb import image_row

if TYPE_CHECKING:
    from tests.s3_server import S3Server

BUCKET = "crawls"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's scratch folder."""
    monkeypatch.setenv("NOISYWEB_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def place() -> Workspace:
    return Workspace(f"memory://{uuid.uuid4().hex}", create=True)


def names(place: Workspace) -> list[str]:
    assert isinstance(place.folder, RemotePath)
    return sorted(place.folder.files())


def urls(place: Workspace) -> list[str]:
    return sorted(place.read("images")["url"].to_pylist())


class KilledError(Exception):
    """What stands for a kill in one process: nothing is done about it."""


def test_a_crawl_ends_as_tables(place: Workspace) -> None:
    with place.database() as database:
        database.put("images", image_row(2))
        database.put("images", image_row(1))
        assert place.read("images").num_rows == 2  # as it is, not as it was
        assert names(place) == ["crawl.token"]
    assert names(place) == sorted(f"{name}.parquet" for name in CRAWL_TABLES)
    assert place.read("images").to_pylist() == [image_row(1), image_row(2)]
    assert not scratch_folder(place.folder).joinpath("crawl.sqlite").exists()  # type: ignore[arg-type]


def test_a_killed_crawl_goes_on_on_its_machine(place: Workspace) -> None:
    with pytest.raises(KilledError), place.database() as database:
        database.put("images", image_row(1))
        raise KilledError
    assert urls(place) == ["http://h/1"]
    with place.database() as database:
        database.put("images", image_row(2))
    assert urls(place) == ["http://h/1", "http://h/2"]


def test_another_machine_goes_on_and_the_first_one_does_not_overwrite_it(
    place: Workspace, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KilledError), place.database() as database:
        database.put("images", image_row(1))
        place.checkpoint(database)
        database.put("images", image_row(1, attempts=2))
        place.checkpoint(database)
        database.put("images", image_row(2))  # only here
        raise KilledError
    first = scratch_folder(place.folder) / "crawl.sqlite"  # type: ignore[arg-type]
    assert urls(place) == ["http://h/1", "http://h/2"]
    monkeypatch.setenv("NOISYWEB_SCRATCH", str(scratch / "other"))
    other = Workspace(place.folder)
    assert other.read("images").to_pylist() == [image_row(1, attempts=2)]
    for end in (False, True):  # while it is at it, and when it is done
        if end:
            with other.database() as database:
                database.put("images", image_row(3))
        else:
            with pytest.raises(KilledError), other.database():
                raise KilledError
        monkeypatch.setenv("NOISYWEB_SCRATCH", str(scratch))
        again = Workspace(place.folder)
        with pytest.raises(SourceError, match=r"another machine has gone on with since.*: delete this file") as caught:
            again.fold("images")
        assert str(caught.value).startswith(str(first))
        assert urls(again) == ["http://h/1", "http://h/3"] if end else ["http://h/1"]
        monkeypatch.setenv("NOISYWEB_SCRATCH", str(scratch / "other"))
    first.unlink()
    monkeypatch.setenv("NOISYWEB_SCRATCH", str(scratch))
    with Workspace(place.folder).database() as database:
        database.put("images", image_row(4))
    assert urls(place) == ["http://h/1", "http://h/3", "http://h/4"]


STEPS = st.lists(st.tuples(st.sampled_from(["put", "put", "update", "add", "tell", "both", "kill"]), st.integers(0, 5)))


@given(STEPS)
@settings(max_examples=15, deadline=None)
def test_what_was_told_is_what_another_machine_has(steps: list[tuple[str, int]]) -> None:
    place = Workspace(f"memory://{uuid.uuid4().hex}", create=True)
    here: dict[int, int] = {}
    told: dict[int, int] = {}
    left, attempts = list(steps), 1
    while left:
        try:
            with place.database() as database:
                while left:
                    what, number = left.pop(0)
                    attempts += 1
                    if what == "put":
                        database.put("images", image_row(number, attempts=attempts))
                        here[number] = attempts
                    elif what == "add":
                        if database.add("images", image_row(number, attempts=attempts)):
                            here[number] = attempts
                    elif what == "update":
                        sql = "UPDATE images SET attempts = ? WHERE url = ?"
                        database.sql.execute(sql, (attempts, f"http://h/{number}"))
                        if number in here:
                            here[number] = attempts
                    elif what == "both":  # what changes while it is told is told the next time
                        changes = place.changes(database)
                        told_now = dict(here)
                        database.put("images", image_row(number, attempts=attempts))
                        here[number] = attempts
                        if changes is not None:
                            changes.send()
                            changes.forget(database)
                            told = told_now
                    elif what == "tell":
                        place.checkpoint(database)
                        told = dict(here)
                    else:
                        raise KilledError
                raise KilledError
        except KilledError:
            pass
    scratch_folder(place.folder).joinpath("crawl.sqlite").unlink(missing_ok=True)  # type: ignore[arg-type]
    found = {row["url"]: row["attempts"] for row in place.read("images").to_pylist()}
    assert found == {f"http://h/{number}": attempts for number, attempts in told.items()}
    with place.database():
        pass
    assert {row["url"]: row["attempts"] for row in place.read("images").to_pylist()} == found


CRAWL = """
import sys
from noisyweb.workspace import Workspace
from tests.test_tabledb import image_row
place = Workspace(sys.argv[1], create=True)
with place.locked(), place.database() as database:
    for number in range(50):
        database.put("images", image_row(number))
"""


@pytest.mark.parametrize("held", ["images.parquet", "hashes.parquet", "crawl.token"])
@pytest.mark.parametrize("is_here", [True, False], ids=["here", "elsewhere"])
def test_a_kill_while_the_tables_are_written_loses_nothing(
    held: str, is_here: bool, s3: S3Server, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    arrived, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> int | None:
        if not path.endswith(held) or method != ("DELETE" if held == "crawl.token" else "PUT"):
            return None
        arrived.set()
        go_on.wait(30)
        return 403

    s3.answer = hold
    process = subprocess.Popen([sys.executable, "-c", CRAWL, url])
    assert arrived.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    go_on.set()
    s3.forget()
    if not is_here:
        monkeypatch.setenv("NOISYWEB_SCRATCH", str(scratch / "other"))
    place = Workspace(url)
    with place.locked():
        assert place.read("images").num_rows == 50
        with place.database():
            pass
        assert place.fold("images").num_rows == 50
    assert names(place) == sorted(f"{name}.parquet" for name in CRAWL_TABLES)


# The image store


@given(st.lists(st.binary(max_size=20), max_size=60), st.data())
@settings(max_examples=30, deadline=None)
def test_images_come_in_order_and_missing_ones_as_none(images: list[bytes], data: st.DataObject) -> None:
    store = open_store(f"memory://{uuid.uuid4().hex}")
    ids = [store.put(image) for image in images]
    assert ids == [hashlib.sha256(image).hexdigest() for image in images]
    gone = data.draw(st.sets(st.sampled_from(ids))) if ids else set()
    for image_id in gone:
        store.path(image_id).unlink()
    loaded = list(store.load(ids))
    assert loaded == [None if i in gone else image for i, image in zip(ids, images, strict=True)]
    for image_id in gone:
        with pytest.raises(SourceError, match=r"is not in the store; crawl with --refresh, or restore store/"):
            store.get(image_id)


def test_a_store_is_opened_where_it_is(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), ImageStore)
    assert isinstance(open_store(tmp_path.as_uri()), ImageStore)
    store = open_store(f"memory://{uuid.uuid4().hex}")
    assert store.folder == RemotePath(store.folder.url)  # type: ignore[union-attr]
    with pytest.raises(SourceError, match="not an image id"):
        store.path("../x")
    code = (
        "import sys; from noisyweb.store import open_store; open_store('memory://x').put(b'x'); "
        "sys.exit(bool({'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_commands_that_need_a_disk_say_so(noisyweb: Program, tmp_path: Path) -> None:
    for command in (
        ("label", "status"), ("label", "import", "votes.csv"), ("report", "builds/x"),
    ):  # fmt: skip
        refused = noisyweb(*command, "--workspace", "s3://key:secret@bucket/ws")
        assert_refused(refused, "s3://bucket/ws: this command needs a workspace folder on a disk; copy it here first")
    assert list((tmp_path / "cwd").iterdir()) == []
