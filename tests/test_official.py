"""The official release: fetched, parsed as it is, its splits as manifests, dead web images refilled."""

from __future__ import annotations

import json
import shlex
import stat
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.build_official import build_official
from noisyweb.clean_copies import open_copy
from noisyweb.errors import CorruptFileError, CrawlError, ShortageError, SourceError
from noisyweb.frozen import read_frozen, rebuild_official
from noisyweb.levels import PAPER_LEVELS
from noisyweb.lock import read_lock
from noisyweb.manifest import image_id, open_manifest
from noisyweb.official.annotations import read_annotations
from noisyweb.official.download import download
from noisyweb.official.edition import OfficialEdition
from noisyweb.official.fetch_release import fetch_release
from noisyweb.official.home import Home, Places, home
from noisyweb.official.release import open_release, open_set
from noisyweb.official.split_file import image_key, read_split
from noisyweb.official.unpack import unpack
from noisyweb.verify import verify
from tests.conftest import Program, assert_refused
from tests.release import Release, make_release
from tests.web import HostileWeb, photo


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A sound release."""
    return make_release(tmp_path_factory.mktemp("release") / "dataset_no_images")


def edition(release: Release, dataset: str = "cars") -> OfficialEdition:
    return OfficialEdition(open_set(release.folder, dataset))


# -- parsing ---------------------------------------------------------------------------------------------------


def test_a_sound_release_is_read_whole(release: Release) -> None:
    sets = open_release(release.folder.parent)  # the folder that holds dataset_no_images does as well
    assert sorted(sets) == ["cars", "mini-imagenet"]
    for dataset, found in sets.items():
        assert sorted({level for kind, level in found.splits if kind == "red"}) == sorted(PAPER_LEVELS)
        assert len(found.class_names) == 4
        split = found.split("red", Decimal("0.4"))
        assert len(split.names) == 80
        assert len(found.validation().names) == 20
        assert len(found.true_classes) == 80
        assert dataset == "cars" or set(found.wnid_classes.values()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("5922767e5677aef4.jpg", "5922767e5677aef4"),
        ("5922767e5677aef4", "5922767e5677aef4"),
        ("5922767E5677AEF4.JPEG", "5922767e5677aef4"),
        ("cars_train/00001.jpg", "00001"),
        ("..\\x\\n0170432300000001.png ", "n0170432300000001"),
        ("ILSVRC2012_val_00000293.JPEG", "ilsvrc2012_val_00000293"),
    ],
)
def test_one_key_whatever_the_spelling(name: str, key: str) -> None:
    assert image_key(name) == key


def test_other_spellings_of_folders_and_files(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"]).folder
    (root / "stanford_cars").rename(root / "stanford-cars")
    (root / "stanford-cars-annotations.json").rename(root / "stanford_cars_annotations.json")
    (root / "stanford-cars/class_name.txt").rename(root / "stanford-cars/class_names.txt")
    assert open_set(root, "cars").split("blue", Decimal("0.1")).labels.shape == (80,)
    with pytest.raises(SourceError, match="has no mini-imagenet, only cars"):
        open_set(root, "mini-imagenet")


def _remove(*names: str) -> object:
    def change(root: Path) -> None:
        for name in names:
            (root / name).unlink()

    return change


def _write(name: str, data: bytes) -> object:
    return lambda root: (root / name).write_bytes(data)


def _annotation(**changes: object) -> object:
    def change(root: Path) -> None:
        path = root / "stanford-cars-annotations.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["data"][5][0].update(changes)
        path.write_text(json.dumps(content), encoding="utf-8")

    return change


CORRUPT = {
    "no class names": (_remove("stanford_cars/class_name.txt"), "lacks its class names; expected class_name.txt"),
    "empty class names": (_write("stanford_cars/class_name.txt", b"a\n\nb\n"), "some empty"),
    "a class twice": (_write("stanford_cars/class_name.txt", b"a\nb\nc\na\n"), "'a' is there twice"),
    "no annotations": (_remove("stanford-cars-annotations.json"), "lacks the annotations of cars"),
    "annotations of no JSON": (_write("stanford-cars-annotations.json", b"not JSON"), "not the release's annotations"),
    "annotations cut off": (_write("stanford-cars-annotations.json", b'{"data": [[{"image/id": "a"'), "not the rel"),
    "annotations without images": (_write("stanford-cars-annotations.json", b'{"data": []}'), "has no images"),
    "a list of numbers": (_write("stanford-cars-annotations.json", b'{"data": [[3]]}'), "object is expected"),
    "a label of text": (_annotation(**{"image/class/label": "3"}), 'image 6: "image/class/label" is \'?3'),
    "a label of true": (_annotation(**{"image/class/label": True}), "image/class/label"),
    "a label too high": (_annotation(**{"image/class/label": 4}), "is 4; expected 0..3"),
    "a verdict of 2": (_annotation(**{"image/class/label/is_clean": 2}), 'is_clean" is 2; expected 0 or 1'),
    "a verdict missing": (_annotation(**{"image/class/label/is_clean": None}), "is None; expected 0 or 1"),
    "an id of no text": (_annotation(**{"image/id": 7}), '"image/id" is 7; expected text'),
    "an id of half a letter": (_annotation(**{"image/id": "\ud800"}), "surrogates"),
    "a url of no text": (_annotation(**{"image/uri": ["x"]}), "image/uri"),
    "a split without numbers": (_write("stanford_cars/split/red_noise_nl_0.4", b"00001.jpg\n"), "line 1 is '00001.jpg"),
    "a split of bytes": (_write("stanford_cars/split/red_noise_nl_0.4", b"\xff\xfe 0\n"), "cannot be read as text"),
    "an empty split": (_write("stanford_cars/split/red_noise_nl_0.4", b"\n"), "it is empty"),
    "a huge class": (_write("stanford_cars/split/red_noise_nl_0.4", b"a.jpg 99999999999999\n"), "line 1 is"),
    "a class too high": (
        _write("stanford_cars/split/red_noise_nl_0.4", b"a.jpg 4\n"),
        "line 1: class 4 is outside 0..3",
    ),
    "a missing split": (
        _remove("stanford_cars/split/red_noise_nl_0.4"),
        "has no red split at 0.4; it has red at 0.0, ",
    ),
}


@pytest.mark.parametrize("fault", CORRUPT)
def test_corrupt_releases_get_one_line(tmp_path: Path, fault: str) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"], per_class=5, pool=6).folder
    change, words = CORRUPT[fault]
    change(root)  # type: ignore[operator]
    with pytest.raises(SourceError, match=words.replace("(", r"\(")) as refused:
        OfficialEdition(open_set(root, "cars")).split("red", Decimal("0.4"))
    assert "\n" not in str(refused.value)


def test_an_image_that_is_both_right_and_wrong(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"], per_class=5, pool=6).folder
    path = root / "stanford-cars-annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    first = content["data"][0][0]
    content["data"].append([{**first, "image/class/label/is_clean": 1}])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="both right and wrong for class 0"):
        read_annotations(path, 4)


def test_nothing_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not the official release"):
        open_release(tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.from_regex(r"[A-Za-z0-9_ ./-]{1,20}\.jpg", fullmatch=True), st.integers(0, 9)), min_size=1)
)
def test_split_lines_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]) -> None:
    path = tmp_path_factory.mktemp("split") / "split"
    path.write_text("".join(f"{name} {label}\n" for name, label in rows), encoding="utf-8")
    split = read_split(path, 10)
    assert list(split.names) == [name.strip() for name, _ in rows]
    assert split.labels.tolist() == [label for _, label in rows]


# -- splits as rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["cars", "mini-imagenet"])
def test_every_split_is_reproduced_with_the_right_verdicts(release: Release, dataset: str, tmp_path: Path) -> None:
    official = edition(release, dataset)
    for kind in ("red", "blue"):
        _, *builds = build_official(official, kind, PAPER_LEVELS, out=tmp_path)
        for built in builds:
            level = Decimal(built.info["level"])
            lines = official.release.split(kind, level)
            rows = open_manifest(built.folder).rows
            assert rows["label"].to_pylist() == lines.labels.tolist()
            assert [name.rsplit(":", 1)[-1] for name in rows["image_id"].to_pylist()] == list(lines.names)
            assert built.num_wrong == built.num_wrong_asked == round(80 * level)
            web = [
                official.annotations.find(key, label)
                for key, label in zip(lines.keys, lines.labels.tolist(), strict=True)
            ]
            assert rows["source"].to_pylist() == ["web" if one else "clean" for one in web]
            assert rows["url"].to_pylist() == [one.url if one else None for one in web]
            true = official.release.true_classes
            expected = [
                not one and true[key] == label
                for one, key, label in zip(web, lines.keys, lines.labels.tolist(), strict=True)
            ]
            assert rows["is_clean"].to_pylist() == expected
            assert verify(built.folder).num_wrong == built.num_wrong


def test_web_images_that_annotators_call_right_are_right(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"]).folder
    annotations = read_annotations(root / "stanford-cars-annotations.json", 4)
    right = next(one for one in annotations if one.is_clean)
    path = root / "stanford_cars/split/red_noise_nl_0.2"
    lines = path.read_text(encoding="utf-8").splitlines()
    other = (right.label + 1) % 4
    lines[0], lines[1] = f"{right.key}.jpg {right.label}", f"{right.key}.jpg {other}"
    path.write_text("\n".join(lines), encoding="utf-8")
    split = OfficialEdition(open_set(root, "cars")).split("red", Decimal("0.2"))
    assert split.is_wrong[:2].tolist() == [False, True]  # right for its own class alone
    assert any("1 rows of the official split file are there twice" in note for note in split.notes)
    assert any("1 web images are annotated for another class" in note for note in split.notes)


def test_images_that_nobody_knows_are_refused_and_listed(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"], faults=["unresolved"]).folder
    with pytest.raises(
        SourceError, match=r"4 of its 80 images are neither .* \(4 look like web images\): f{14}\d\d, f"
    ):
        OfficialEdition(open_set(root, "cars")).split("red", Decimal("0.4"))


def test_a_blue_split_with_the_wrong_level_says_so(tmp_path: Path) -> None:
    root = make_release(tmp_path / "dataset_no_images", sets=["cars"], faults=["wrong-level"]).folder
    _, built = build_official(OfficialEdition(open_set(root, "cars")), "blue", [Decimal("0.4")], out=tmp_path / "out")
    assert (built.num_wrong, built.num_wrong_asked) == (19, 32)
    assert verify(built.folder).num_wrong == 19


# -- images ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Path, Path, set[str]]:
    """A release whose web images are on loopback, some of them dead; crawled by the command that `fetch` prints."""
    import subprocess

    from tests.conftest import PROGRAM

    folder = tmp_path_factory.mktemp("crawled")
    with HostileWeb() as web:
        released = make_release(
            folder / "dataset_no_images", sets=["cars"], per_class=10, pool=14, web_url=f"{web.base}/"
        )
        annotations = list(read_annotations(released.folder / "stanford-cars-annotations.json", 4))
        dead = {one.key for one in annotations[::9]}
        for number, one in enumerate(annotations):
            if one.key not in dead:
                web.archive[f"/{one.key}.jpg"] = photo(number)
        environment = {"NOISYWEB_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"}

        def run(command: str) -> str:
            words = [str(PROGRAM), *shlex.split(command)[1:]]
            done = subprocess.run(
                words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        told = run(f"noisyweb fetch cars --from {released.folder}").splitlines()
        crawl = next(line for line in told if "noisyweb crawl" in line).replace(" --archive", "")
        run(f"{crawl} --allow-loopback --rate 0")
        run(next(line for line in told if "noisyweb fetch cars --web" in line).strip())
    clean = folder / "stanford_cars"
    for split, count in (("cars_train", 40), ("cars_test", 8)):
        (clean / split).mkdir(parents=True)
        for number in range(1, count + 1):
            (clean / split / f"{number:05d}.jpg").write_bytes(photo(5000 + number + 100 * (split == "cars_test")))
    return released, folder, clean, dead


def test_dead_web_images_have_stand_ins_and_levels_stay(
    crawled: tuple[Release, Path, Path, set[str]], tmp_path: Path
) -> None:
    released, folder, clean, dead = crawled
    official = OfficialEdition.open(released.folder, "cars", open_copy("cars", clean), folder / "cars-web")
    used = {key for path in official.release.splits.values() for key in read_split(path, 4).keys}
    stand_in: dict[str, str] = {}
    _, *builds = build_official(official, "red", [Decimal("0.2"), Decimal("0.6"), Decimal("0.8")], out=tmp_path)
    for built in builds:
        assert built.num_wrong == built.num_wrong_asked
        assert built.with_bytes == built.num_rows
        lines = official.release.split("red", Decimal(built.info["level"]))
        listed = read_lock(built.folder)["result"].get("substitutions", [])
        assert {each["dead"] for each in listed} == dead & set(lines.keys)
        for each in listed:
            assert each["stand_in"] not in used | dead
            assert each["reason"] == "http-404"
            assert stand_in.setdefault(each["dead"], each["stand_in"]) == each["stand_in"], "the same at every level"
            new = official.annotations.find(each["stand_in"], each["label"])
            assert new is not None
            assert (new.label, new.is_clean) == (each["label"], each["is_clean"])
        assert len({each["stand_in"] for each in listed}) == len(listed)
        by_key = {key: row for row, key in enumerate(lines.keys)}
        images = [data for data, _ in open_manifest(built.folder).images()]
        for key in set(lines.keys) - dead:
            one = official.annotations.find(key, int(lines.labels[by_key[key]]))
            expected = official.web.image_ids[one.key, one.label] if one else None
            data = images[by_key[key]]
            assert data is not None
            assert expected in (None, image_id(data))
            if one is None:
                assert data == (clean / "cars_train" / f"{key}.jpg").read_bytes()
        assert verify(built.folder).num_hashed == built.num_rows
    assert stand_in, "the test needs dead images"
    validation = [data for data, _ in open_manifest(tmp_path / "cars/clean_validation").images()]
    assert validation == [(clean / f"cars_test/{number:05d}.jpg").read_bytes() for number in range(1, 9)]


def test_official_splits_can_be_frozen(crawled: tuple[Release, Path, Path, set[str]], tmp_path: Path) -> None:
    released, folder, clean, _ = crawled
    official = OfficialEdition.open(released.folder, "cars", open_copy("cars", clean), folder / "cars-web")
    _, built = build_official(official, "red", [Decimal("0.6")], out=tmp_path / "first")
    again = rebuild_official(read_frozen(built.folder), official, out=tmp_path / "again")
    for file in built.folder.iterdir():
        assert (again.folder / file.name).read_bytes() == file.read_bytes()
    without = OfficialEdition.open(released.folder, "cars", open_copy("cars", clean), None)
    with pytest.raises(SourceError, match=r"of 24 pool images are missing now, '[0-9a-f]{16}\.jpg'"):
        rebuild_official(read_frozen(built.folder), without, out=tmp_path / "again")


def test_too_few_stand_ins(crawled: tuple[Release, Path, Path, set[str]]) -> None:
    released, folder, _, _ = crawled
    official = OfficialEdition.open(released.folder, "cars", None, folder / "cars-web")
    web = official.web
    for one in list(official.annotations):
        if one.label == 2 and not one.is_clean:
            web.image_ids.pop((one.key, one.label), None)  # type: ignore[attr-defined]
    with pytest.raises(ShortageError, match=r"1 classes: 'cars class 2' lacks \d+ \(has 0 stand-ins\)"):
        official.split("red", Decimal("0.8"))


def test_clean_images_that_are_missing_are_counted(
    crawled: tuple[Release, Path, Path, set[str]], tmp_path: Path
) -> None:
    import shutil

    released, _, clean, _ = crawled
    copy = tmp_path / "copy"
    shutil.copytree(clean, copy)
    for number in (3, 4):
        (copy / f"cars_train/{number:05d}.jpg").unlink()
    official = OfficialEdition.open(released.folder, "cars", open_copy("cars", copy), None)
    with pytest.raises(SourceError, match=r"2 of 40 clean images are not in your copy .*00003\.jpg, 00004\.jpg"):
        official.split("blue", Decimal("0.2"))


# -- fetching and unpacking ------------------------------------------------------------------------------------


def test_fetch_and_build_from_the_command_line(release: Release, noisyweb: Program, tmp_path: Path) -> None:
    import os

    env = {**os.environ, "NOISYWEB_HOME": str(tmp_path / "home")}
    refused = noisyweb("build", "--dataset", "mini-imagenet", "--noise", "0.2", env=env)
    assert_refused(refused, "not there yet", "noisyweb fetch mini-imagenet")
    archive = release.zip(tmp_path / "dataset_no_images.zip")
    done = noisyweb("fetch", "mini-imagenet", "--from", archive, env=env)
    assert done.returncode == 0, done.stderr
    assert "4 classes, 144 web images, annotators call 48 right and 96 wrong" in done.stdout
    record = json.loads((tmp_path / "home/cnwl/fetched.json").read_text())
    assert record["bytes"] == archive.stat().st_size
    assert str(tmp_path) not in json.dumps(record)
    done = noisyweb("build", "--dataset", "mini-imagenet", "--noise", "0.2", env=env)
    assert done.returncode == 0, done.stderr
    assert "edition official (it has been fetched" in done.stdout
    assert "80 images, 16 wrong (asked 16 = 0.2, realised 20.0000%; web 16)" in done.stdout
    assert_refused(
        noisyweb("build", "--dataset", "cars", "--noise", "0.25", env=env), "no red split at 0.25; it has red"
    )
    assert_refused(noisyweb("build", "--dataset", "cars", "--noise", "0.2", "--seed", "3", env=env), "--seed")
    assert_refused(noisyweb("fetch", "cifar", env=env), "known: cars, mini-imagenet")
    assert_refused(
        noisyweb("build", "--dataset", "cars", "--noise", "0.2", "--edition", "drawn", "--web", "x", env=env), "--web"
    )


def test_a_stopped_download_goes_on_and_is_checked(tmp_path: Path) -> None:
    from tests.files_server import FilesServer

    data = np.random.default_rng(0).bytes(300_000)
    with FilesServer({"/x.zip": data}, cut_after=100_000) as server:
        target, record = tmp_path / "x.zip", tmp_path / "x.json"
        with pytest.raises(CrawlError, match="100,000 bytes are kept"):
            download(server.url("/x.zip"), target, record)
        assert not target.exists()
        server.cut_after = None
        known = download(server.url("/x.zip"), target, record)
        assert target.read_bytes() == data
        assert server.ranges == [None, "bytes=100000-"]
        assert known["bytes"] == 300_000
        assert json.loads(record.read_text()) == known
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.zip"]


def test_a_file_that_changed_meanwhile_is_fetched_afresh(tmp_path: Path) -> None:
    from tests.files_server import FilesServer

    first, second = (np.random.default_rng(seed).bytes(200_000) for seed in (1, 2))
    with FilesServer({"/x.zip": first}, cut_after=50_000) as server:
        with pytest.raises(CrawlError):
            download(server.url("/x.zip"), tmp_path / "x.zip", tmp_path / "x.json")
        server.cut_after = None
        server.files["/x.zip"] = second
        download(server.url("/x.zip"), tmp_path / "x.zip", tmp_path / "x.json")
    assert (tmp_path / "x.zip").read_bytes() == second
    with pytest.raises(CrawlError, match="404"), FilesServer({}) as empty:
        download(empty.url("/none.zip"), tmp_path / "y.zip", tmp_path / "y.json")


def hostile_zip(path: Path, name: str, *, link: bool = False, twice: bool = False, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16 if link else 0
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, data)
        if twice:
            archive.writestr(name.upper(), data)
    return path


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("../evil.txt", {}, "would not lie below"),
        ("/etc/evil.txt", {}, "would not lie below"),
        ("a/../../evil.txt", {}, "would not lie below"),
        ("a\\..\\evil.txt", {}, "would not lie below"),
        ("C:/evil.txt", {}, "would not lie below"),
        ("a/b\x07.txt", {}, "would not lie below"),
        ("a/" + "b" * 300, {}, "would not lie below"),
        ("a/" * 30 + "b", {}, "would not lie below"),
        ("link", {"link": True, "data": b"/etc/passwd"}, "link or a device"),
        ("a/name.txt", {"twice": True}, "is in it twice"),
        ("bomb.txt", {"data": bytes(50_000_000)}, "zip bomb"),
    ],
)
def test_hostile_zips(tmp_path: Path, name: str, options: dict[str, object], words: str) -> None:
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    (target / "kept").write_text("as it was")
    archive = hostile_zip(tmp_path / "x.zip", name, **options)  # type: ignore[arg-type]
    with pytest.raises(CorruptFileError, match=words):
        unpack(archive, target)
    assert [path.name for path in target.iterdir()] == ["kept"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "x.zip"]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_zips_are_refused_or_whole(
    release: Release, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(_zip_bytes(release, folder))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.sampled_from([len(whole), len(whole) // 2, 10, 0]))
    (folder / "x.zip").write_bytes(whole[:cut])
    message = ""
    try:
        fetch_release(Home(folder / "home"), folder / "x.zip")
    except SourceError as error:
        message = str(error)
    assert "\n" not in message


_ZIPS: dict[Path, bytes] = {}


def _zip_bytes(release: Release, folder: Path) -> bytes:
    if release.folder not in _ZIPS:
        _ZIPS[release.folder] = release.zip(folder / "whole.zip").read_bytes()
    return _ZIPS[release.folder]


def test_home_and_what_is_remembered(tmp_path: Path) -> None:
    assert home({"NOISYWEB_HOME": "/a"}).folder == Path("/a")
    assert home({"XDG_CACHE_HOME": "/b"}).folder == Path("/b/noisyweb")
    assert home({}).folder.parts[-2:] == (".cache", "noisyweb")
    own = Home(tmp_path)
    assert own.places("cars") == Places()
    own.remember("cars", clean=tmp_path / "c")
    own.remember("mini-imagenet", web=tmp_path / "w")
    assert own.remember("cars", web=tmp_path / "v") == Places(str(tmp_path / "c"), str(tmp_path / "v"))
    (tmp_path / "cnwl/places.json").write_text("[]")
    with pytest.raises(CorruptFileError, match="not what noisyweb writes"):
        own.places("cars")
