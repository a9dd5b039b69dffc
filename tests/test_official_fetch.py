"""The release's way into the home folder: stopped, damaged, hostile; and web images however a crawl knows them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from noisyweb.atomic import held_alone
from noisyweb.errors import CorruptFileError, CrawlError, ShortageError, SourceError
from noisyweb.official.annotations import Annotated, read_annotations
from noisyweb.official.download import download
from noisyweb.official.edition import OfficialEdition
from noisyweb.official.fetch_release import fetch_release
from noisyweb.official.home import Home
from noisyweb.official.release import open_set
from noisyweb.official.unpack import unpack
from noisyweb.schemas import CANDIDATES, IMAGES
from noisyweb.urls import canonical_url
from noisyweb.workspace import Workspace
from tests.files_server import FilesServer
from tests.release import Release, make_release

DATA = np.random.default_rng(0).bytes(200_000)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("release") / "dataset_no_images", sets=["cars"], per_class=10, pool=14)


# -- the download ----------------------------------------------------------------------------------------------


def test_a_killed_download_goes_on(tmp_path: Path) -> None:
    target, record, part = tmp_path / "x.zip", tmp_path / "x.json", tmp_path / "x.part"
    with FilesServer({"/x.zip": DATA}, cut_after=150_000) as server:
        server.hold = threading.Event()
        code = (
            "import sys; from pathlib import Path; from noisyweb.official.download import download; "
            "download(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))"
        )
        child = subprocess.Popen([sys.executable, "-c", code, server.url("/x.zip"), str(target), str(record)])
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 100_000):
            assert child.poll() is None, "it has ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()
        child.wait()
        have = part.stat().st_size
        server.hold.set()
        server.cut_after = None
        assert not target.exists()
        download(server.url("/x.zip"), target, record)
        assert server.ranges == [None, f"bytes={have}-"]
    assert target.read_bytes() == DATA


def test_killed_with_the_last_byte_there(tmp_path: Path) -> None:
    with FilesServer({"/x.zip": DATA}, cut_after=len(DATA) - 1) as server:
        with pytest.raises(CrawlError, match="199,999 bytes are kept"):
            download(server.url("/x.zip"), tmp_path / "x.zip", tmp_path / "x.json")
        server.cut_after = None
        with (tmp_path / "x.part").open("ab") as part:
            part.write(DATA[-1:])
        download(server.url("/x.zip"), tmp_path / "x.zip", tmp_path / "x.json")
        assert server.ranges == [None, "bytes=200000-", None]
    assert (tmp_path / "x.zip").read_bytes() == DATA


def test_too_large_is_refused_before_and_while_it_comes(tmp_path: Path) -> None:
    with FilesServer({"/x.zip": DATA}) as server, pytest.raises(CorruptFileError, match="more than 1,000 bytes"):
        download(server.url("/x.zip"), tmp_path / "x.zip", tmp_path / "x.json", max_bytes=1000)
    assert not (tmp_path / "x.part").exists()
    assert not (tmp_path / "x.zip").exists()


def test_redirects_lead_to_the_file_but_never_inside(tmp_path: Path) -> None:
    with FilesServer({"/x.zip": DATA}) as server:
        port = server.url("").rsplit(":", 1)[1]
        server.redirects = {
            "/a": "/b",
            "/b": server.url("/x.zip"),
            "/round": "/round",
            "/inside": f"http://127.0.0.2:{port}/x.zip",
            "/odd": f"http://0x7f000002:{port}/x.zip",
            "/metadata": "http://169.254.169.254/latest",
            "/disk": "file:///etc/passwd",
        }

        def fetch(path: str) -> object:
            return download(server.url(path), tmp_path / "x.zip", tmp_path / "x.json")

        for path in ("/inside", "/odd", "/metadata"):
            with pytest.raises(CrawlError, match="not on the public internet"):
                fetch(path)
        with pytest.raises(CrawlError, match="leads from http to file"):
            fetch("/disk")
        with pytest.raises(CrawlError, match="no file after 5 redirects"):
            fetch("/round")
        assert not (tmp_path / "x.zip").exists()
        fetch("/a")
    assert (tmp_path / "x.zip").read_bytes() == DATA
    with pytest.raises(CrawlError, match=r"0 bytes are kept.*--from"):
        download("gopher://x/y", tmp_path / "y.zip", tmp_path / "y.json")


# -- into the home folder --------------------------------------------------------------------------------------


def test_a_damaged_release_is_fetched_again(release: Release, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    archive = release.zip(tmp_path / "x.zip").read_bytes()
    split = Path("dataset_no_images/stanford_cars/split/red_noise_nl_0.4")
    with FilesServer({"/x.zip": archive}) as server:
        url = server.url("/x.zip")
        fetch_release(home, url=url)
        sound = (home.release / split).read_bytes()
        fetch_release(home, url=url)
        assert server.ranges == [None], "what is there and sound is not fetched again"
        (home.release / split).write_bytes(b"00001.jpg 99\n")
        fetch_release(home, url=url)
        assert (home.release / split).read_bytes() == sound
        assert server.ranges == [None], "the zip was still sound"
        (home.release / split).unlink()
        home.zip.write_bytes(b"damaged")
        fetch_release(home, url=url)
        assert (home.release / split).read_bytes() == sound
        assert len(server.ranges) == 2
    record = json.loads(home.record.read_text())
    assert record["url"] == url
    assert record["files"].keys() >= {split.as_posix()}
    assert str(tmp_path) not in json.dumps(record)


def test_a_zip_that_is_no_release_takes_no_place(release: Release, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    fetch_release(home, release.zip(tmp_path / "x.zip"))
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("stanford_cars/split/red_noise_nl_0.4", "00001.jpg 0\n")
    with pytest.raises(SourceError, match="lacks the annotations of cars") as refused:
        fetch_release(home, other)
    assert str(refused.value).startswith(str(other))
    assert "cars" in fetch_release(home, url="http://127.0.0.1:9/no-server"), "the sound one is still there"
    with FilesServer({"/other.zip": other.read_bytes()}) as server:
        fresh = Home(tmp_path / "fresh")
        with pytest.raises(SourceError, match="lacks the annotations"):
            fetch_release(fresh, url=server.url("/other.zip"))
        assert not fresh.release.exists()
        assert not fresh.zip.exists(), "or the next run would take it again"


def test_a_folder_is_taken_without_links_and_pictures(release: Release, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(release.folder, copy)
    (copy / "secret.txt").symlink_to("/etc/hostname")
    (copy / "stanford_cars/00001.jpg").write_bytes(b"x")
    home = Home(tmp_path / "home")
    fetch_release(home, copy)
    names = {path.name for path in home.release.rglob("*")}
    assert {"class_name.txt", "red_noise_nl_0.8"} <= names
    assert not names & {"secret.txt", "00001.jpg"}
    with pytest.raises(SourceError, match="no such file"):
        fetch_release(home, tmp_path / "nothing")


def test_two_at_once(release: Release, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    fetch_release(home, release.folder)
    with (
        held_alone(home.release.parent / ".lock", AssertionError()),
        pytest.raises(CrawlError, match="another `noisyweb fetch`"),
    ):
        fetch_release(home, release.folder)


@pytest.mark.parametrize(
    ("names", "compression", "words"),
    [
        (["a.txt"], zipfile.ZIP_LZMA, "packed in way 14"),
        (["a.txt"], zipfile.ZIP_BZIP2, "packed in way 12"),
        (["a", "a/b.txt"], zipfile.ZIP_DEFLATED, "a is a file and a folder"),
    ],
)
def test_odd_zips(tmp_path: Path, names: list[str], compression: int, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", compression) as archive:
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(CorruptFileError, match=words):
        unpack(tmp_path / "x.zip", tmp_path / "target")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        unpack(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


# -- splits ----------------------------------------------------------------------------------------------------


def test_any_space_divides_and_contradictions_are_told(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"]).folder
    split = root / "stanford_cars/split"
    for name in ("blue_noise_nl_0.1", "red_noise_nl_0.0"):
        lines = (split / name).read_text(encoding="utf-8").splitlines()
        lines[0] = f"{lines[0].split()[0]}\t 3"
        (split / name).write_bytes("\r\n".join(lines).encode())
    found = OfficialEdition(open_set(root, "cars")).split("blue", Decimal("0.1"))
    assert found.labels[0] == 3
    assert not found.is_wrong[0], "red 0.0 says 3 too"
    assert "1 clean images have two classes in the splits without noise; red 0.0 is believed" in found.notes


def test_a_made_release_of_many_classes_is_sound(tmp_path: Path) -> None:
    root = make_release(
        tmp_path / "dataset_no_images", sets=["mini-imagenet"], num_classes=30, per_class=5, pool=6
    ).folder
    official = OfficialEdition(open_set(root, "mini-imagenet"))
    for kind in ("red", "blue"):
        assert official.split(kind, Decimal("0.4")).is_wrong.sum() == 60


# -- web images ------------------------------------------------------------------------------------------------


def workspace_of(
    release: Release,
    folder: Path,
    image_id: Callable[[Annotated], str | None],
    url: Callable[[Annotated], str] = lambda one: canonical_url(one.url),
) -> OfficialEdition:
    """The edition with a workspace in which an image has an id, or none and is dead."""
    official = OfficialEdition(open_set(release.folder, "cars"))
    workspace = Workspace(folder, create=True)
    workspace.set_class_names(official.release.class_names)
    candidates, images = [], []
    for rank, one in enumerate(official.annotations):
        found = image_id(one)
        candidates.append(
            {"url": url(one), "label": one.label, "provider": "url-list", "query": "", "rank": rank}
            | {"provider_id": one.key, "creator": f"creator of {one.key}"}
        )
        images.append(
            {"url": url(one), "label": one.label, "status": "ok" if found else "failed", "retry": False, "attempts": 1}
            | {"image_id": found, "reason": None if found else "http-404"}
        )
    workspace.write("candidates", _table(candidates, CANDIDATES))
    workspace.write("images", _table(images, IMAGES))
    return OfficialEdition(official.release, None, workspace)


def _table(rows: list[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)


def _id(one: Annotated) -> str:
    return one.key.rjust(64, "0")


@pytest.mark.parametrize("address", ["spelled otherwise", "a mirror"])
def test_images_are_found_however_the_crawl_spells_their_address(tmp_path: Path, address: str) -> None:
    released = make_release(
        tmp_path / "dataset_no_images", sets=["cars"], per_class=5, pool=6, web_url="HTTP://Web.Invalid:80/a b/é|"
    )
    given = {} if address == "spelled otherwise" else {"url": lambda one: f"https://mirror.invalid/{one.key}"}
    official = workspace_of(released, tmp_path / "web", _id, **given)
    split = official.split("red", Decimal("0.8"))
    assert not split.substitutions
    assert split.web is not None
    assert split.web.provenance is not None
    creators = split.web.provenance["creator"].to_pylist()
    assert creators == [f"creator of {name.removesuffix('.jpg')}" for name in split.web.names]
    urls = split.web.provenance["url"].to_pylist()
    assert all(url.startswith("http://web.invalid/a%20b/" if not given else "https://mirror.invalid/") for url in urls)


def test_where_stand_ins_are_few_the_lowest_levels_have_them(release: Release, tmp_path: Path) -> None:
    official = OfficialEdition(open_set(release.folder, "cars"))
    levels = official.release.red_rows
    since = {key: level for (key, label), level in levels.items() if label == 1 and key in official.annotations.of}
    low = [key for key, level in since.items() if level <= Decimal("0.2")]
    high = [key for key, level in since.items() if level > Decimal("0.2")]
    assert (len(low), len(high)) == (2, 6)
    listed = [one for one in official.annotations if one.label == 1 and not one.is_clean]
    spares = [one.key for one in listed if not any(key == one.key for key, _ in levels)]
    alive = {*spares[: len(low)]}
    dead = {*low, *high, *spares} - alive
    web = workspace_of(release, tmp_path / "web", lambda one: None if one.key in dead else _id(one))
    split = web.split("red", Decimal("0.2"))
    assert {each.dead for each in split.substitutions} == set(low)
    assert {each.stand_in for each in split.substitutions} == alive
    with pytest.raises(ShortageError, match=f"{len(high):,} have no stand-in, in 1 classes: 'cars class 1'"):
        web.split("red", Decimal("0.8"))


def test_of_two_with_the_same_bytes_the_one_in_a_split_stays(release: Release, tmp_path: Path) -> None:
    official = OfficialEdition(open_set(release.folder, "cars"))
    used = {key for key, _ in official.release.red_rows}
    wrong = [one for one in official.annotations if one.label == 0 and not one.is_clean]
    pairs = [(spare, row) for spare in wrong for row in wrong if spare.key not in used and row.key in used]
    spare, row = next((spare, row) for spare, row in pairs if spare.key < row.key)
    web = workspace_of(release, tmp_path / "web", lambda one: _id(row) if one.key == spare.key else _id(one))
    assert not web.split("red", Decimal("0.8")).substitutions
    assert web.web.fate(spare) == f"the same bytes as {row.key}"


def test_annotations_of_a_workspace_with_other_classes(release: Release, tmp_path: Path) -> None:
    Workspace(tmp_path / "web", create=True).set_class_names(["a", "b"])
    official = OfficialEdition.open(release.folder, "cars", None, tmp_path / "web")
    with pytest.raises(SourceError, match="its class names are not those of the release's cars"):
        official.split("red", Decimal("0.2"))
    assert len(read_annotations(official.release.annotations, 4).of) == 4 * 14 * 3 // 2
