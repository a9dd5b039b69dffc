"""Builds: what is written, that it is the same every time, and what is refused."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from noisyweb.build import Recipe, build
from noisyweb.build_folder import Built
from noisyweb.data import NoisyImages
from noisyweb.dataset import load_dataset
from noisyweb.errors import LeakError, OutputError, ShortageError, SourceError
from noisyweb.lock import file_digest, read_lock
from noisyweb.manifest import IMAGE_FORMATS, image_id, open_manifest
from noisyweb.schemas import MANIFEST
from noisyweb.verify import verify
from tests.conftest import CLASSES, TinySet, make_tiny_set, paint


def build_tiny(
    tiny: TinySet, out: Path, kind: str = "red", *levels: str, seed: int = 0, **options: bool
) -> list[Built]:
    chosen = [Decimal(level) for level in levels or ("0.4",)]
    return list(build(load_dataset(str(tiny.toml)), Recipe.of(kind, chosen, seed), out=out, **options))


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_digest(path)["sha256"]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_a_red_build_holds(tiny: TinySet, tmp_path: Path) -> None:
    validation, train = build_tiny(tiny, tmp_path / "out")
    assert validation.folder == tmp_path / "out/tiny/clean_validation"
    assert train.folder == tmp_path / "out/tiny/red_noise_nl_0.4"
    assert (train.num_rows, train.num_wrong, train.num_wrong_asked) == (38, 15, 15)
    manifest = open_manifest(train.folder)
    assert manifest.schema(manifest.files[0]).equals(MANIFEST)
    assert [file.name for file in manifest.files] == ["train-00000-of-00001.parquet"]
    assert tuple(manifest.class_names) == CLASSES
    rows = manifest.rows.to_pylist()
    assert [sum(row["label"] == k for row in rows) for k in range(3)] == list(tiny.sizes)
    pool_ids = {image_id(path.read_bytes()): path.parent.name for path in (tiny.toml.parent / "pool").rglob("*.jpg")}
    clean_ids = {image_id(path.read_bytes()): path.parent.name for path in (tiny.toml.parent / "train").rglob("*.jpg")}
    for row, (data, path) in zip(rows, manifest.images(), strict=True):
        assert data is not None
        assert row["image_id"] == image_id(data)
        origin = clean_ids if row["is_clean"] else pool_ids
        assert origin[row["image_id"]] == CLASSES[row["label"]]
        assert row["noise"] == ("none" if row["is_clean"] else "web")
        assert row["source"] == ("clean" if row["is_clean"] else "web")
        assert (row["true_label"] == row["label"]) if row["is_clean"] else (row["true_label"] is None)
        assert path is not None
        assert "/" not in path


def test_a_blue_build_keeps_the_images_and_flips_labels(tiny: TinySet, tmp_path: Path) -> None:
    _, train = build_tiny(tiny, tmp_path, "blue", "0.5")
    rows = open_manifest(train.folder).rows.to_pylist()
    assert sum(not row["is_clean"] for row in rows) == 19
    for row in rows:
        assert (row["label"] == row["true_label"]) == row["is_clean"]
        assert row["source"] == "clean"
    assert len({row["image_id"] for row in rows}) == 38


def test_same_inputs_options_and_seed_give_the_same_bytes(tiny: TinySet, tmp_path: Path) -> None:
    build_tiny(tiny, tmp_path / "a", "red", "0.2", "0.4")
    build_tiny(tiny, tmp_path / "b", "red", "0.4", "0.2")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    before = files_of(tmp_path / "a")
    build_tiny(tiny, tmp_path / "a", "red", "0.2")
    assert files_of(tmp_path / "a") == before
    moved = TinySet(tmp_path / "elsewhere" / "tiny.toml", tiny.sizes)
    shutil.copytree(tiny.toml.parent, moved.toml.parent)
    build_tiny(moved, tmp_path / "c", "red", "0.2", "0.4")
    assert files_of(tmp_path / "c") == before, "where the inputs lie must not show"
    build_tiny(tiny, tmp_path / "d", "red", "0.2", "0.4", seed=1)
    other = files_of(tmp_path / "d")
    name = "tiny/red_noise_nl_0.2/train-00000-of-00001.parquet"
    assert other[name] != before[name]


def test_levels_are_nested_image_by_image(tiny: TinySet, tmp_path: Path) -> None:
    _, *levels = build_tiny(tiny, tmp_path, "red", "0", "0.1", "0.2", "0.4", "0.8")
    wrong = [
        {row["image_id"] for row in open_manifest(level.folder).rows.to_pylist() if not row["is_clean"]}
        for level in levels
    ]
    assert [len(ids) for ids in wrong] == [0, 4, 8, 15, 30]
    assert all(lower < upper for lower, upper in itertools.pairwise(wrong))


def test_card_credits_and_lock(tiny: TinySet, tmp_path: Path) -> None:
    _, train = build_tiny(tiny, tmp_path)
    lock = read_lock(train.folder)
    assert lock["options"] == {
        "dataset": "tiny", "title": "Tiny test set", "edition": "own", "split": "train", "kind": "red", "level": "0.4",
        "seed": 0,
    }  # fmt: skip
    assert lock["result"]["wrong"] == 15
    assert lock["inputs"]["pool"]["rows"] == 34
    assert set(lock["files"]) == {path.name for path in train.folder.iterdir()} - {"_noisyweb.lock.json"}
    card = (train.folder.parent / "README.md").read_text()
    assert "| red_noise_nl_0.4 | 38 | 15 | 39.4737% | web 15 | 0 |" in card
    assert "path: red_noise_nl_0.4/train-*.parquet" in card
    credits = (train.folder.parent / "ATTRIBUTION.md").read_text()
    assert credits.count("\n- `") == 15


def test_hostile_names_stay_inside_the_page(tiny: TinySet, tmp_path: Path) -> None:
    text = tiny.toml.read_text().replace("Tiny test set", "T <script>alert(1)</script> | x\\n# heading")
    tiny.toml.write_text(text)
    _, train = build_tiny(tiny, tmp_path)
    card = (train.folder.parent / "README.md").read_text().split("---")[2]
    assert "<script>" not in card
    assert "\n# heading" not in card
    assert "\\|" in card


def test_rows_without_images_carry_the_sources_own_id(tmp_path: Path) -> None:
    from tests.test_dataset import devkit_toml, write_devkit

    write_devkit(tmp_path / "devkit")
    dataset = load_dataset(str(devkit_toml(tmp_path)))
    (train,) = build(dataset, Recipe.of("blue", [Decimal("0.4")]), out=tmp_path / "out")
    assert (train.num_rows, train.num_wrong, train.with_bytes) == (3, 1, 0)
    manifest = open_manifest(train.folder)
    assert manifest.rows.column("image_id").to_pylist()[0] == "stanford-cars:cars_train/00001.jpg"
    assert next(manifest.images()) == (None, "cars_train/00001.jpg")


def test_many_shards_read_as_one_set(tiny: TinySet, tmp_path: Path) -> None:
    import pyarrow as pa

    from noisyweb.manifest import write_shards

    _, train = build_tiny(tiny, tmp_path)
    whole = pq.read_table(train.folder / "train-00000-of-00001.parquet")
    (tmp_path / "cut").mkdir()
    batches = iter(pa.Table.from_batches(whole.to_batches()).to_batches(max_chunksize=10))
    files = write_shards(tmp_path / "cut", "train", whole.schema, batches, shard_bytes=20_000)
    assert [file.name for file in files] == [f"train-{i:05d}-of-{len(files):05d}.parquet" for i in range(len(files))]
    assert len(files) > 1
    assert open_manifest(tmp_path / "cut").rows.equals(open_manifest(train.folder).rows)
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == [file.name for file in files]


# -- refused ------------------------------------------------------------------------------------------------


def test_a_shortage_writes_nothing(tmp_path: Path) -> None:
    tiny = make_tiny_set(tmp_path / "s", pool=5)
    with pytest.raises(ShortageError, match=r"has 5 and needs"):
        build_tiny(tiny, tmp_path / "out", "red", "0.1", "0.8")
    assert not (tmp_path / "out").exists()


def test_no_pool(tiny: TinySet, tmp_path: Path) -> None:
    tiny.toml.write_text(tiny.toml.read_text().split("[pool]")[0])
    with pytest.raises(ShortageError, match=r"add a \[pool\] section .* or take --kind blue"):
        build_tiny(tiny, tmp_path / "out")


def replaced_pool(tiny: TinySet, into: str, change: Callable[[Path, Path, int], None]) -> None:
    """A pool of changed copies of the clean images of one folder."""
    folder = tiny.toml.parent
    for k, name in enumerate(CLASSES):
        shutil.rmtree(folder / "pool" / name)
        (folder / "pool" / name).mkdir()
        for n in range(tiny.sizes[k]):
            change(folder / into / name / f"{n % 4:03d}.jpg", folder / "pool" / name / f"copy{n}.jpg", n)


def with_bytes_behind(source: Path, target: Path, n: int) -> None:
    target.write_bytes(source.read_bytes() + (b"" if n < 4 else bytes([n])))


def mirrored(source: Path, target: Path, n: int) -> None:
    ImageOps.mirror(Image.open(source)).save(target, quality=70 + n)


@pytest.mark.parametrize(
    ("into", "words"),
    [("val", "is byte for byte a validation image"), ("train", "is byte for byte a clean training image")],
)
def test_bytes_that_leak_are_refused_whatever_is_asked(tiny: TinySet, tmp_path: Path, into: str, words: str) -> None:
    replaced_pool(tiny, into, with_bytes_behind)
    with pytest.raises(LeakError, match=words):
        build_tiny(tiny, tmp_path / "out", "red", "0.8", leak_check=False)
    assert not (tmp_path / "out/tiny/red_noise_nl_0.8").exists()


@pytest.mark.parametrize(("into", "split"), [("val", "validation"), ("train", "train")])
@pytest.mark.parametrize(("change", "kind"), [(with_bytes_behind, "near, 0 of 256"), (mirrored, r"mirror, \d+ of 256")])
def test_copies_of_clean_images_are_refused_and_named_and_nothing_is_written(
    tiny: TinySet, tmp_path: Path, into: str, split: str, change: Callable[[Path, Path, int], None], kind: str
) -> None:
    replaced_pool(tiny, into, change)
    words = rf"image '.*/copy\d+.jpg' is a copy of {split} image '.*/00\d.jpg' \({kind} bits; \d+ such\)"
    with pytest.raises(LeakError, match=words):
        build_tiny(tiny, tmp_path / "out", "red", "0.8")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("level", ["0.1", "1"])
def test_a_clean_image_cannot_come_back_as_its_own_replacement(tiny: TinySet, tmp_path: Path, level: str) -> None:
    tiny.toml.write_text(tiny.toml.read_text().replace('path = "pool"', 'path = "train"'))
    with pytest.raises(LeakError, match="is a copy of train image"):
        build_tiny(tiny, tmp_path / "out", "red", level)
    with pytest.raises(LeakError, match="is byte for byte a clean training image"):
        build_tiny(tiny, tmp_path / "out", "red", level, leak_check=False)


def test_a_validation_set_that_was_trained_on_is_noted(tiny: TinySet, tmp_path: Path) -> None:
    tiny.toml.write_text(tiny.toml.read_text().replace('path = "val"', 'path = "train"'))
    _, train = build_tiny(tiny, tmp_path / "out", "blue", "0.4")
    assert train.notes == ("38 training images are also validation images, byte for byte: accuracies will flatter",)
    assert train.notes[0] in (train.folder.parent / "README.md").read_text()


def test_what_is_no_image_by_its_name_is_counted(tiny: TinySet, tmp_path: Path) -> None:
    (tiny.toml.parent / "train" / "ant" / "sub").mkdir()
    (tiny.toml.parent / "train" / "bee" / "a.avif").write_bytes(b"x")
    _, train = build_tiny(tiny, tmp_path / "out", "blue", "0.4")
    assert train.notes[0].startswith("2 entries of the train folders are no images")


def test_what_another_process_is_writing_is_not_in_the_card(tiny: TinySet, tmp_path: Path) -> None:
    _, train = build_tiny(tiny, tmp_path / "out")
    shutil.copytree(train.folder, train.folder.parent / ".red_noise_nl_0.8.abcd.tmp")
    build_tiny(tiny, tmp_path / "out", "red", "0.2")
    assert "0.8" not in (train.folder.parent / "README.md").read_text()


def test_large_images_make_smaller_row_groups(tiny: TinySet, tmp_path: Path) -> None:
    for path in (tiny.toml.parent / "train").rglob("*.jpg"):
        with path.open("ab") as handle:
            handle.write(bytes(5_000_000))  # what follows the end of a JPEG is not looked at
    _, train = build_tiny(tiny, tmp_path / "out", "blue", "0.4")
    file = pq.ParquetFile(train.folder / "train-00000-of-00001.parquet")
    assert [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)] == [13, 13, 12]
    assert open_manifest(train.folder).rows["image_id"][37].as_py() == image_id(
        list(open_manifest(train.folder).images())[37][0] or b""
    )


def test_one_image_twice_in_the_pool(tiny: TinySet, tmp_path: Path) -> None:
    for path in sorted((tiny.toml.parent / "pool" / "bee").iterdir())[1:]:
        shutil.copy(path.parent / "000.jpg", path)
    with pytest.raises(SourceError, match=r"are the same image .*; remove one"):
        build_tiny(tiny, tmp_path / "out", "red", "0.8")


BROKEN = r"its bytes begin with b'not an i'; expected a JPEG, PNG, WebP, GIF, BMP or TIFF image; put the image back"


@pytest.mark.parametrize(
    ("victim", "named", "kind", "folder"),
    [
        ("train/ant/003.jpg", "train image 'ant/003.jpg'", "blue", "blue_noise_nl_1"),
        ("val/bee/001.jpg", "validation image 'bee/001.jpg'", "blue", "clean_validation"),
        ("pool/bee/001.jpg", "pool image 'bee/001.jpg'", "red", "red_noise_nl_1"),
    ],
)
def test_bytes_that_are_no_image_are_refused_and_named(
    tiny: TinySet, tmp_path: Path, victim: str, named: str, kind: str, folder: str
) -> None:
    (tiny.toml.parent / victim).write_bytes(b"not an image")
    if kind == "red":
        for name, size in zip(CLASSES, tiny.sizes, strict=True):  # a level of 1 needs as many as there are clean ones
            for n in range(min(16, size), size):
                paint(tiny.toml.parent / "pool" / name / f"{n:03d}.jpg", 200 + n, 130)
    with pytest.raises(SourceError, match=f"{named}: {BROKEN}") as caught:
        build_tiny(tiny, tmp_path / "out", kind, "1", leak_check=False)
    assert "\n" not in str(caught.value)
    left = sorted(path.name for path in (tmp_path / "out/tiny").iterdir())
    assert left == ([] if folder == "clean_validation" else ["clean_validation"]), "whole folders or none"


def test_a_link_to_something_else_is_refused(tiny: TinySet, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:x:0:0")
    victim = tiny.toml.parent / "train/ant/003.jpg"
    victim.unlink()
    victim.symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match=r"train image 'ant/003\.jpg': its bytes begin with b'root:x:0'"):
        build_tiny(tiny, tmp_path / "out", "blue")


def test_a_broken_image_that_no_row_takes_does_no_harm(tiny: TinySet, tmp_path: Path) -> None:
    (tiny.toml.parent / "pool/ant/003.jpg").write_bytes(b"not an image")
    assert [built.num_wrong for built in build_tiny(tiny, tmp_path / "out", "red", "0")] == [0, 0]


def test_every_format_that_is_read_can_be_built_from(tiny: TinySet, tmp_path: Path) -> None:
    names = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
    assert tuple(names) == IMAGE_FORMATS
    folder = tiny.toml.parent / "train/ant"
    paths = sorted(folder.iterdir())
    options: list[tuple[str, dict[str, object]]] = [(kind, {}) for kind in names]
    options += [("WEBP", {"lossless": True}), ("TIFF", {"big_tiff": True}), ("PNG", {"save_all": True})]
    for path, (kind, option) in zip(paths, options, strict=False):
        image = Image.open(path)
        path.unlink()
        image.save(folder / f"{path.stem}.{names[kind]}", kind, **option)
    mono = Image.new("1", (9, 9))
    mono.save(folder / "1.gif", "GIF")
    Image.open(paths[-1]).convert("CMYK").save(paths[-1], "JPEG")
    _, train = build_tiny(tiny, tmp_path / "out", "blue")
    assert verify(train.folder).num_hashed == train.num_rows == 39
    images = NoisyImages(train.folder)
    assert {images.image(row).mode for row in range(len(images))} == {"RGB"}


def test_an_output_folder_that_holds_something_else(tiny: TinySet, tmp_path: Path) -> None:
    target = tmp_path / "out/tiny/red_noise_nl_0.4"
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="holds something that is no noisyweb build"):
        build_tiny(tiny, tmp_path / "out")
    with pytest.raises(OutputError, match="holds something that is no noisyweb build"):
        build_tiny(tiny, tmp_path / "out", overwrite=True)
    assert [path.name for path in target.iterdir()] == ["thesis.tex"]
    assert not (tmp_path / "out/tiny/clean_validation").exists()
    shutil.rmtree(target)
    target.write_text("a file")
    with pytest.raises(OutputError, match="a file of that name is in the way"):
        build_tiny(tiny, tmp_path / "out")


def test_a_build_with_other_options_is_replaced_only_when_asked(tiny: TinySet, tmp_path: Path) -> None:
    build_tiny(tiny, tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds a build with seed 0, asked was 1; .*--overwrite"):
        build_tiny(tiny, tmp_path / "out", seed=1)
    assert files_of(tmp_path / "out") == before
    build_tiny(tiny, tmp_path / "out", seed=1, overwrite=True)
    assert files_of(tmp_path / "out") != before


def test_a_validation_set_is_not_changed_under_other_builds(tiny: TinySet, tmp_path: Path) -> None:
    build_tiny(tiny, tmp_path / "out")
    before = files_of(tmp_path / "out")
    next((tiny.toml.parent / "val" / "ant").iterdir()).unlink()
    with pytest.raises(OutputError, match="another validation set"):
        build_tiny(tiny, tmp_path / "out", "red", "0.2")
    assert files_of(tmp_path / "out") == before


def test_a_failure_midway_keeps_the_old_build(tiny: TinySet, tmp_path: Path) -> None:
    build_tiny(tiny, tmp_path / "out")
    before = files_of(tmp_path / "out")
    victim = tiny.toml.parent / "train" / "cat's eye" / "019.jpg"
    victim.write_bytes(b"")
    with pytest.raises(SourceError, match=r"019\.jpg: the file is empty"):
        build_tiny(tiny, tmp_path / "out", "blue", "0.4")
    assert files_of(tmp_path / "out") == before


def test_the_lock_is_plain_json_without_times_or_places(tiny: TinySet, tmp_path: Path) -> None:
    _, train = build_tiny(tiny, tmp_path / "out")
    text = (train.folder / "_noisyweb.lock.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["format"] == 1
