"""Files and folders appear whole or not at all, whatever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noisyweb.atomic import replacing_file, replacing_folder
from noisyweb.errors import OutputError

WRITER = """
import sys
from pathlib import Path
from noisyweb.atomic import replacing_folder
with replacing_folder(Path(sys.argv[1])) as temporary:
    (temporary / "half").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start_writer(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for number in range(3):
        with replacing_folder(target) as temporary:
            (temporary / f"file {number}").write_text("whole")
        assert names(tmp_path) == ["target"]
        assert names(target) == [f"file {number}"]
    assert target.stat().st_mode & 0o777 == 0o777 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_error_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with replacing_folder(target) as temporary:
        (temporary / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing_folder(target) as temporary:
        (temporary / "new").write_text("new")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replacing_file(target / "old") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == ["target"]
    assert names(target) == ["old"]
    assert (target / "old").read_text() == "old"


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "target"
    process = start_writer(target)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert not target.exists()
    assert len(names(tmp_path)) == 1
    with replacing_folder(target) as temporary:
        (temporary / "whole").write_text("whole")
    assert names(tmp_path) == ["target"]


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    process = start_writer(target)
    with replacing_folder(target) as temporary:
        (temporary / "mine").write_text("mine")
    assert names(target) == ["mine"]
    finish(process)
    assert process.returncode == 0
    assert names(target) == ["half"]
    assert names(tmp_path) == ["target"]


def test_a_process_that_died_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / ".target.abcd.old").mkdir()
    (tmp_path / ".target.abcd.old" / "old").write_text("old")
    target = tmp_path / "target"
    with pytest.raises(ZeroDivisionError), replacing_folder(target):
        assert names(target) == ["old"]
        raise ZeroDivisionError
    assert names(tmp_path) == ["target"]
    assert names(target) == ["old"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written"), replacing_folder(tmp_path / "file" / "target"):
        pass


RACER = """
import sys
from pathlib import Path
from noisyweb.atomic import replacing_folder
for number in range(40):
    with replacing_folder(Path(sys.argv[1])) as temporary:
        (temporary / "file").write_text(str(number))
"""


def test_processes_that_replace_the_same_folder_take_turns(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACER, str(tmp_path / "target")]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors
    assert names(tmp_path) == ["target"]
    assert (tmp_path / "target" / "file").read_text() == "39"
