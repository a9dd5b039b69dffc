"""The program as a user runs it: what it prints, what it refuses, what it leaves behind."""

from __future__ import annotations

import errno
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from noisyweb.cli._main import one_line_errors
from tests.conftest import PROGRAM, Program, TinySet, assert_refused
from tests.test_build import files_of


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_build_verify_show_export(noisyweb: Program, tiny: TinySet, tmp_path: Path) -> None:
    done = noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4", "--noise", "0.2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "tiny: edition own (as its definition says)"
    assert (
        "builds/tiny/red_noise_nl_0.4: 38 images, 15 wrong (asked 15 = 0.4, realised 39.4737%; web 15)" in done.stdout
    )
    assert noisyweb("verify", "builds").stdout.count(": ok, ") == 3
    done = noisyweb("show", "builds/tiny/red_noise_nl_0.4", "--count", "10")
    assert done.stdout == "tiny-red_noise_nl_0.4.png: 10 of 38 images\n"
    assert (tmp_path / "cwd/tiny-red_noise_nl_0.4.png").read_bytes().startswith(b"\x89PNG")
    done = noisyweb("export", "builds/tiny/red_noise_nl_0.4", "--to", "csv", "--out", "labels")
    assert done.stdout == "labels: 38 rows and 12 of the validation set as csv\n"
    assert_refused(
        noisyweb("export", "builds/tiny/red_noise_nl_0.4", "--to", "csv", "--out", "labels"), "is there already"
    )


def test_all_levels(noisyweb: Program, tiny: TinySet, tmp_path: Path) -> None:
    done = noisyweb("build", "--dataset", tiny.toml, "--kind", "blue", "--all-levels", "--seed", "5", "--out", "o")
    assert done.returncode == 0, done.stderr
    levels = ["0.0", "0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "0.5", "0.6", "0.8"]
    assert sorted(path.name for path in (tmp_path / "cwd/o/tiny").glob("blue*")) == [
        f"blue_noise_nl_{x}" for x in levels
    ]


def test_datasets(noisyweb: Program) -> None:
    assert "cars" in noisyweb("datasets").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "carz", "--noise", "0.4"], ["unknown data set 'carz'", "did you mean 'cars'?", "known: cars"]),
        (["--dataset", "{toml}", "--noise", "1.5"], ["1.5", "outside [0, 1]"]),
        (["--dataset", "{toml}", "--noise", "40"], ["did you mean 0.4?"]),
        (["--dataset", "{toml}", "--noise", "lots"], ["'lots' is not a number"]),
        (["--dataset", "{toml}"], ["no noise level given", "--all-levels"]),
        (["--dataset", "{toml}", "--noise", "0.4", "--kind", "reed"], ["unknown kind 'reed'", "did you mean 'red'?"]),
        (["--dataset", "{toml}", "--noise", "0.4", "--kind", "human"], ["human_labels"]),
        (["--dataset", "{toml}", "--noise", "0.4", "--edition", "drawn"], ["unknown edition of tiny 'drawn'"]),
        (["--dataset", "{toml}", "--noise", "0.4", "--workspace", "none"], ["workspace", "no such folder"]),
        (["--dataset", "missing.toml", "--noise", "0.4"], ["missing.toml: no such file"]),
    ],
)
def test_refused(noisyweb: Program, tiny: TinySet, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    done = noisyweb("build", *[a.format(toml=tiny.toml) for a in arguments])
    assert_refused(done, *words)
    assert left_behind(tmp_path / "cwd") == []


def break_clean_folder(folder: Path) -> None:
    shutil.rmtree(folder / "train")


def rename_class(folder: Path) -> None:
    (folder / "train" / "bee").rename(folder / "train" / "wasp")


def shrink_pool(folder: Path) -> None:
    for path in list((folder / "pool" / "bee").iterdir())[1:]:
        path.unlink()


def corrupt_parquet(folder: Path) -> None:
    (folder / "val.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    toml = folder / "tiny.toml"
    toml.write_text(
        toml.read_text().replace('format = "imagefolder"\npath = "val"', 'format = "parquet"\npath = "val.parquet"')
    )


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (break_clean_folder, ["image folder", "does not exist"]),
        (rename_class, ["differ from the class names", "'wasp'"]),
        (shrink_pool, ["'bee' has 1 and needs 3", "at most"]),
        (corrupt_parquet, ["val.parquet: damaged or not Parquet"]),
    ],
)
def test_inputs_that_are_broken(
    noisyweb: Program, tiny: TinySet, tmp_path: Path, harm: Callable[[Path], None], words: list[str]
) -> None:
    harm(tiny.toml.parent)
    assert_refused(noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4"), *words)
    assert left_behind(tmp_path / "cwd") == []


def test_a_corrupt_manifest_is_refused_everywhere(noisyweb: Program, tiny: TinySet, tmp_path: Path) -> None:
    noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4")
    path = tmp_path / "cwd/builds/tiny/red_noise_nl_0.4/train-00000-of-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + b"\x00\x01\x02" + whole[1003:])
    done = noisyweb("verify", path.parent)
    assert done.returncode == 1
    assert "changed since it was built" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    path.write_bytes(whole[: len(whole) // 2])
    assert_refused(noisyweb("show", path.parent), "damaged or not Parquet")


def test_a_disk_that_fills_up(tiny: TinySet, tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse the write midway, as a full disk does."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    out = tmp_path / "out"
    done = subprocess.run(
        [str(PROGRAM), "build", "--dataset", str(tiny.toml), "--noise", "0.4", "--out", str(out)],
        capture_output=True, text=True, preexec_fn=limit, timeout=120,
    )  # fmt: skip
    assert_refused(done, "the disk is full", "nothing was left half-written")
    assert [path for path in left_behind(out) if path != "tiny"] == []


def test_a_full_tmpfs(tiny: TinySet, tmp_path: Path) -> None:
    out = tmp_path / "small"
    out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(out)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs ({mounted.stderr.strip()})")
    try:
        done = subprocess.run(
            [str(PROGRAM), "build", "--dataset", str(tiny.toml), "--noise", "0.4", "--out", str(out)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert_refused(done, "the disk is full")
        assert not [path for path in left_behind(out) if "red_noise" in path]
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_ctrl_c_leaves_nothing_half_written(noisyweb: Program, tiny: TinySet, tmp_path: Path) -> None:
    """Interrupted while the drawn cars are drawn, beside a finished build that must stay as it was."""
    out = tmp_path / "out"
    assert noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4", "--out", out).returncode == 0
    before = files_of(out)
    process = subprocess.Popen(
        [str(PROGRAM), "build", "--dataset", "cars", "--noise", "0.4", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "edition drawn" in process.stdout.readline()
    while not list(out.glob("cars/.*.tmp/.*.parquet")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.strip() == "noisyweb: stopped by Ctrl-C; nothing was left half-written"
    assert files_of(out) == before
    assert left_behind(out / "cars") == []


def test_a_place_that_may_not_be_entered_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def enter() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "theirs/README.md")

    def forbidden() -> None:
        raise PermissionError(errno.EPERM, "not a place")

    with pytest.raises(typer.Exit) as ended:
        one_line_errors(enter)()
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "noisyweb: theirs/README.md: Permission denied; name a place that you may use\n"
    with pytest.raises(PermissionError):  # nobody knows of what: a bug keeps its traceback
        one_line_errors(forbidden)()
