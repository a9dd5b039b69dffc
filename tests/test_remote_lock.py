"""The lock of a workspace at a URL: one holder at a time, and none for good."""

from __future__ import annotations

import json
import threading
import uuid

import pytest

from noisyweb.errors import SourceError
from noisyweb.remote_lock import RemoteLock
from noisyweb.remote_path import RemotePath
from noisyweb.workspace import Workspace


def quick_lock(folder: RemotePath, stale_s: float) -> RemoteLock:
    return RemoteLock(folder, SourceError("held"), beat_s=600, stale_s=stale_s)


def test_who_gives_no_sign_of_life_loses_it_for_good() -> None:
    folder = RemotePath(f"memory://{uuid.uuid4().hex}/lock")
    with quick_lock(folder, 0.05) as sleeper:
        sleeper.check()
        heirs = 0
        while heirs < 2:  # the second one comes when nothing of the first is left
            try:
                with quick_lock(folder, 0.05) as heir:
                    heir.check()
                    heirs += 1
            except SourceError:
                pass
        with pytest.raises(SourceError, match=r"another process has taken the workspace over"):
            sleeper.check()
    assert folder.files() == {}


def test_a_lock_of_another_machine_counts_until_it_is_stale() -> None:
    place = Workspace(f"memory://{uuid.uuid4().hex}", create=True)
    folder = place.folder / "lock"
    assert isinstance(folder, RemotePath)
    (folder / "theirs").write_bytes(json.dumps({"machine": "elsewhere", "pid": 1, "started": ""}).encode())
    with pytest.raises(SourceError, match=r"another noisyweb process is writing to it"), place.locked():
        pytest.fail("the block must not begin")
    assert list(folder.files()) == ["theirs"]
    with quick_lock(folder, 1e-6):
        assert "theirs" not in folder.files()


def test_of_many_who_come_at_once_at_most_one_holds_it() -> None:
    folder = RemotePath(f"memory://{uuid.uuid4().hex}/lock")
    inside, most, won = 0, 0, 0
    count = threading.Lock()
    start = threading.Barrier(6)

    def compete() -> None:
        nonlocal inside, most, won
        start.wait()
        while won < 10:
            try:
                with quick_lock(folder, 600):
                    with count:
                        inside, won = inside + 1, won + 1
                        most = max(most, inside)
                    with count:
                        inside -= 1
            except SourceError:
                pass

    threads = [threading.Thread(target=compete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert folder.files() == {}
