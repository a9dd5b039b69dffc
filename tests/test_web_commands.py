"""The commands of the web's side, as a user runs them, over a loopback web."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from noisyweb.dedup_record import DedupRecord, read_record
from noisyweb.workspace import Workspace
from tests.conftest import PROGRAM, TinySet, make_tiny_set
from tests.test_dedup import workspace
from tests.web import HostileWeb, photo


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as server:
        server.hits = lambda query: [f"ok/{n}" for n in (range(8) if query == "ant" else range(100, 104))] + ["html/1"]
        yield server


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    path = tmp_path / "classes.txt"
    path.write_text("ant\nbee\n", encoding="utf-8")
    return path


def command(*words: object) -> list[str]:
    return [str(PROGRAM), *map(str, words)]


def run(*words: object, rc: int = 0) -> str:
    done = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == rc, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if rc:
        assert done.stderr.startswith("noisyweb: ")
        assert len(done.stderr.splitlines()) == 1
        return done.stderr
    return done.stdout


def crawl(web: HostileWeb, classes: Path, place: Path) -> list[object]:
    loopback = ["--api-url", f"openverse={web.base}", "--allow-loopback", "--rate", "0"]
    return ["crawl", "--classes", classes, "--workspace", place, *loopback]


def test_the_road_from_class_names_to_verdicts(web: HostileWeb, classes: Path, tmp_path: Path) -> None:
    place = tmp_path / "w"
    said = run(*crawl(web, classes, place)).splitlines()
    assert [line for line in said if not line.startswith("this run: ")] == [
        "found 14, fetched 12, failed 2",
        "failed by reason: not-an-image 2",
        "licences: by 12",
        "  ant  found     9  fetched     8  not-an-image 1",
        "  bee  found     5  fetched     4  not-an-image 1",
    ]
    said = run("dedup", "--workspace", place)
    assert "fetched 12, different bytes 12, kept 12" in said
    assert "Not checked against clean images" in said
    votes = tmp_path / "votes.csv"
    rows = [
        f"{web.url(f'ok/{n}')},ant,{who},{'yes' if n < 3 else 'no'}" for n in range(7) for who in ("anna", "bob", "cem")
    ]
    votes.write_text("\n".join(["url,class,annotator,answer", *rows]), encoding="utf-8")
    assert run("label", "import", votes, "--workspace", place).splitlines() == [
        f"{votes}: 21 rows read as plain",
        "votes: 21 new, 0 changed, 0 already there",
        "votes: 21 by 3 annotators on 7 questions",
        "verdicts: 3 right, 4 wrong, 0 undecided; mean agreement 1.000",
    ]
    assert "0 new, 0 changed, 21 already there" in run("label", "import", votes, "--workspace", place)
    status = run("label", "status", "--workspace", place)
    assert "found 14  fetched 12  unique 12  voted 7  decided 7  wrong 4" in status
    assert "  bee: 4 of 4 without a verdict, 0 wrong" in status
    votes.write_text("url,class,annotator,answer\nhttp://elsewhere/,ant,anna,yes\n", encoding="utf-8")
    assert "image 'http://elsewhere/' is not among" in run("label", "import", votes, "--workspace", place, rc=2)


def test_simulated_votes_from_a_table_of_the_truth(web: HostileWeb, classes: Path, tmp_path: Path) -> None:
    place = tmp_path / "w"
    run(*crawl(web, classes, place))
    truth = tmp_path / "truth.csv"
    rows = [
        f"{row['url']},{row['label']},{str(row['label'] == 0).lower()}"
        for row in Workspace(place).read("images").to_pylist()
    ]
    truth.write_text("\n".join(["url,label,is_right", *rows]), encoding="utf-8")
    said = run("label", "simulate", "--workspace", place, "--truth", truth, "--skill", "1")
    assert "on 12 questions" in said


def test_dedup_against_clean_images_and_a_gallery(tmp_path: Path) -> None:
    tiny = make_tiny_set(tmp_path / "set")
    leak = tmp_path / "set" / "val" / "bee" / "001.jpg"
    mirrored = io.BytesIO()
    ImageOps.mirror(Image.open(leak)).save(mirrored, "JPEG", quality=90)
    place = workspace(tmp_path / "w", [("http://x/leak", 1, mirrored.getvalue()), ("http://x/other", 0, photo(3, 90))])
    options = ("dedup", "--workspace", place.folder)
    assert "no earlier run named one; name the data set with --dataset" in run(*options, "--against-clean", rc=2)
    assert "clean validation images 0" in run(*options)
    said = run(*options, "--dataset", tiny.toml, "--gallery")
    assert "clean validation images 1" in said
    assert "clean images with leaks 1 of 1" in said
    names = {"index.html", "groups.png", "threshold.png", "distances.png"}
    assert names <= {path.name for path in (place.folder / "dedup").iterdir()}
    assert "mirror" in (place.folder / "dedup" / "index.html").read_text(encoding="utf-8")
    assert "clean validation images 1" in run(*options, "--against-clean", "--radius", "20", "--keep", "first")
    assert read_record(place.folder) == DedupRecord("phash", 20, True, "first", str(tiny.toml), *_digests(place, tiny))
    assert "near copies 0" in run(*options, "--no-views", "--hash", "dhash", "--processes", "1")
    assert "clean validation images 0" in run(
        *options, "--against-clean", "--no-views"
    )  # it knows still which they are
    assert "unknown hash 'md5'" in run(*options, "--hash", "md5", rc=2)
    assert "unknown keep policy 'smallest'" in run(*options, "--keep", "smallest", rc=2)


def _digests(place: Workspace, tiny: TinySet) -> tuple[str, dict[str, str]]:
    folder = tiny.toml.parent
    clean = {"train": folder / "train", "validation": folder / "val"}
    ids = {
        name: [hashlib.sha256(file.read_bytes()).hexdigest() for file in path.rglob("*.jpg")]
        for name, path in clean.items()
    }
    images = place.read("images")["image_id"].to_pylist()

    def digest(found: list[str]) -> str:
        return hashlib.sha256("\n".join(sorted(set(found))).encode()).hexdigest()

    return digest(images), {name: digest(found) for name, found in ids.items()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["crawl", "--classes", "no-such-data-set"], "unknown data set 'no-such-data-set'"),
        (["crawl", "--classes", "none.txt"], "none.txt: no such file"),
        (["dedup", "--workspace", "none"], "workspace none: no such folder"),
        (["label", "status", "--workspace", "none"], "workspace none: no such folder"),
        (["label", "import", "votes.csv", "--workspace", "none"], "workspace none: no such folder"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str) -> None:
    assert message in run(*words, rc=2)


def test_an_unknown_source_and_no_contact(classes: Path, tmp_path: Path) -> None:
    words = ["crawl", "--classes", classes, "--workspace", tmp_path / "w"]
    assert "unknown provider 'bing'" in run(*words, "--source", "bing", rc=2)
    (tmp_path / "urls.txt").write_text("http://93.184.215.14/a.jpg\tant\n")
    assert "--contact" in run(*words, "--source", f"url-list={tmp_path / 'urls.txt'}", rc=2)


def test_a_blocked_search_exits_2_after_its_report(web: HostileWeb, classes: Path, tmp_path: Path) -> None:
    web.answer = b"<html>"
    done = subprocess.run(command(*crawl(web, classes, tmp_path / "w")), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout.startswith("found 0, fetched 0, failed 0")
    assert "not JSON" in done.stderr


def test_ctrl_c_keeps_what_is_there(web: HostileWeb, classes: Path, tmp_path: Path) -> None:
    web.hits = lambda query: (
        [*(f"ok/{n}" for n in range(5)), *(f"silent/{n}" for n in range(3))] if query == "ant" else []
    )
    process = subprocess.Popen(command(*crawl(web, classes, tmp_path / "w")), stderr=subprocess.PIPE, text=True)
    asked = [*(f"ok/{n}" for n in range(5)), "silent/0"]
    assert web.wait_for(lambda: all(web.count(path) for path in asked), 60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "stopped by Ctrl-C" in said
    assert "Traceback" not in said
    place = Workspace(tmp_path / "w")
    assert place.read("candidates").num_rows == 8
    for row in place.read("images").to_pylist():
        assert place.get(row["image_id"])
