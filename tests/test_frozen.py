"""Frozen builds: the same bytes again, or exactly what is missing."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from noisyweb.build import Recipe, build
from noisyweb.confusion import read_hierarchy
from noisyweb.dataset import load_dataset
from noisyweb.errors import SourceError
from noisyweb.frozen import read_frozen, rebuild
from noisyweb.lock import LOCK_NAME
from noisyweb.mixture import parse_mix
from noisyweb.verify import verify
from tests.conftest import Program, TinySet, assert_refused, make_tiny_set, paint


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.fixture
def built(tiny: TinySet, noisyweb: Program, tmp_path: Path) -> Path:
    done = noisyweb("build", "--dataset", tiny.toml, "--noise", "0.4", "--seed", "5", "--out", tmp_path / "first")
    assert done.returncode == 0, done.stderr
    return tmp_path / "first" / "tiny" / "red_noise_nl_0.4"


def test_the_same_bytes(tiny: TinySet, built: Path, noisyweb: Program, tmp_path: Path) -> None:
    again = tmp_path / "again"
    done = noisyweb("build", "--frozen", built / LOCK_NAME, "--dataset", tiny.toml, "--out", again)
    assert done.returncode == 0, done.stderr
    assert "the same bytes as" in done.stdout
    for name in ("red_noise_nl_0.4", "clean_validation"):
        assert contents(again / "tiny" / name) == contents(built.parent / name)
    assert {path.name for path in (again / "tiny").iterdir()} == {path.name for path in built.parent.iterdir()}
    assert noisyweb("verify", again / "tiny").returncode == 0


@pytest.mark.parametrize(
    ("kind", "levels", "options"),
    [
        ("red=0.5,blue=0.25,pair=0.25", ["0.4"], {}),
        ("red", ["0.3", "1"], {"on_shortage": "shrink"}),
        ("red", ["1"], {"on_shortage": "cap"}),
        ("blue", ["0.3"], {"balance": "global"}),
        ("asymmetric", ["0.3"], {}),
        ("open-set", ["0.2"], {}),
        ("instance", ["0.2"], {}),
        ("nearest", ["0.2"], {}),
    ],
)
def test_every_option_is_remembered(
    tiny: TinySet, tmp_path: Path, kind: str, levels: list[str], options: dict[str, str]
) -> None:
    (tmp_path / "tree.csv").write_text("ant,insect\nbee,insect\ncat's eye,stone\n", encoding="utf-8")
    others = make_tiny_set(tmp_path / "others", sizes=(3, 3, 3))
    for number, image in enumerate(sorted(others.toml.parent.glob("train/*/*.jpg"))):
        paint(image, 300 + number, 200)
    dataset = load_dataset(str(tiny.toml))
    if kind == "open-set":
        dataset = dataset.with_other(load_dataset(str(others.toml)))
    confusion = read_hierarchy(tmp_path / "tree.csv") if kind == "asymmetric" else None
    recipe = Recipe(parse_mix(kind), [Decimal(level) for level in levels], 7, confusion=confusion, **options)
    for built in build(dataset, recipe, out=tmp_path / "first"):
        if built.info["split"] == "train":
            frozen = read_frozen(built.folder)
            again = rebuild(frozen, dataset, confusion=confusion, out=tmp_path / "again")
            assert contents(again.folder) == contents(built.folder)
            assert verify(built.folder).num_wrong == built.num_wrong
            if kind == "asymmetric":
                with pytest.raises(SourceError, match="found none; give that file with --confusion or --hierarchy"):
                    rebuild(frozen, dataset, out=tmp_path / "again")


def test_what_is_missing_is_named(tiny: TinySet, built: Path, noisyweb: Program, tmp_path: Path) -> None:
    victim = tiny.toml.parent / "train" / "bee" / "003.jpg"
    kept = victim.read_bytes()
    victim.unlink()
    done = noisyweb("build", "--frozen", built, "--dataset", tiny.toml, "--out", tmp_path / "again")
    assert_refused(done, "1 of 38 train images are missing now, 'bee/003.jpg'")
    victim.write_bytes(kept)
    paint(tiny.toml.parent / "pool" / "ant" / "another.jpg", 998, 3)
    with pytest.raises(SourceError, match=r"1 of 34 pool images are new now, 'ant/another\.jpg'"):
        rebuild(read_frozen(built), load_dataset(str(tiny.toml)), out=tmp_path / "again")
    assert not list((tmp_path / "again").glob("*/.frozen*"))


def test_images_with_other_bytes_are_named(tiny: TinySet, tmp_path: Path) -> None:
    *_, built = build(load_dataset(str(tiny.toml)), Recipe.of("blue", [Decimal("0.4")]), out=tmp_path / "first")
    paint(tiny.toml.parent / "train" / "bee" / "003.jpg", 999, 3)
    with pytest.raises(SourceError, match=r"1 images have other bytes now, 'bee/003\.jpg'"):
        rebuild(read_frozen(built.folder), load_dataset(str(tiny.toml)), out=tmp_path / "again")
    assert not (tmp_path / "again/tiny/blue_noise_nl_0.4").exists()


def test_lock_files_that_are_none(tiny: TinySet, built: Path, noisyweb: Program, tmp_path: Path) -> None:
    assert_refused(noisyweb("build", "--frozen", built), "a definition of your own, 'tiny'", "--dataset")
    assert_refused(noisyweb("build", "--frozen", built, "--noise", "0.2"), "leave out --noise")
    assert_refused(noisyweb("build", "--frozen", tiny.toml), "not a lock file")
    for path, words in ((tiny.toml, "not a lock file"), (built.parent / "clean_validation", "validation set")):
        with pytest.raises(SourceError, match=words):
            read_frozen(path)
    with pytest.raises(SourceError, match="built from dataset 'tiny'"):
        rebuild(read_frozen(built), load_dataset("cars"), out=tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    (copy / "_noisyweb.inputs.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(SourceError, match="missing or damaged"):
        read_frozen(copy)
    (copy / "_noisyweb.inputs.csv.gz").unlink()
    with pytest.raises(SourceError, match="missing or damaged"):
        read_frozen(copy)
