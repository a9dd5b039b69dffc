"""Verify finds what was changed and names it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisyweb.build_inputs import INPUTS_NAME, input_digests, read_inputs, write_inputs
from noisyweb.errors import SourceError, VerificationError
from noisyweb.imageset import ImageSet
from noisyweb.lock import LOCK_NAME, file_digest, input_digest
from noisyweb.manifest import image_id
from noisyweb.verify import builds_in, verify
from tests.conftest import TinySet, make_tiny_set
from tests.test_build import build_tiny, mirrored, replaced_pool

NAME = "train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    build_tiny(make_tiny_set(folder / "set"), folder / "out")
    return folder / "out/tiny"


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "tiny")) / "red_noise_nl_0.4"


def test_a_sound_build(built: Path) -> None:
    assert [path.name for path in builds_in(built.parent)] == ["clean_validation", "red_noise_nl_0.4"]
    for folder, rows, wrong in zip(builds_in(built), (12, 38), (0, 15), strict=True):
        proven = verify(folder)
        assert (proven.num_rows, proven.num_wrong, proven.num_hashed) == (rows, wrong, rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_any_flipped_byte_of_the_parquet_file_is_found(built: Path, position: float, change: int) -> None:
    path = built / "red_noise_nl_0.4" / NAME
    whole = path.read_bytes()
    place = int(position * len(whole))
    try:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
        with pytest.raises(VerificationError, match=rf"{NAME}: changed since it was built"):
            verify(path.parent)
    finally:
        path.write_bytes(whole)


def relock(folder: Path, name: str = NAME) -> None:
    """What someone does who changes a file and hides it in the lock file."""
    lock = json.loads((folder / LOCK_NAME).read_text())
    lock["files"][name] = file_digest(folder / name)
    (folder / LOCK_NAME).write_text(json.dumps(lock))


def change_rows(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = pq.read_table(folder / NAME)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / NAME)
    relock(folder)


def wrong_one(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return next(row for row in rows if not row["is_clean"])


def make_clean(rows: list[dict[str, Any]]) -> None:
    wrong_one(rows).update(is_clean=True, noise="none")


def make_wrong_elsewhere(rows: list[dict[str, Any]]) -> None:
    """The total stays, but three wrong rows move from one class to another."""
    for row in [row for row in rows if row["label"] == 2 and not row["is_clean"]][:3]:
        row.update(is_clean=True, noise="none")
    for row in [row for row in rows if row["label"] == 0 and row["is_clean"]][:3]:
        row.update(is_clean=False, noise="web", source="web", true_label=None)


def use_twice(rows: list[dict[str, Any]]) -> None:
    a, b = [row for row in rows if not row["is_clean"] and row["label"] == 2][:2]
    b.update(image=a["image"], image_id=a["image_id"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[0]["image"].update(bytes=b"another image"), "row 0: the image's SHA-256 is"),
        (lambda rows: rows[0].update(label=7), r"row 0: label outside 0\.\.2"),
        (lambda rows: rows[0].update(true_label=9), "true_label outside"),
        (lambda rows: wrong_one(rows).update(noise="pink"), "noise is none of"),
        (lambda rows: wrong_one(rows).update(noise="none"), "is_clean does not go with noise"),
        (lambda rows: rows[0].update(source="moon"), "source is none of clean, web, other"),
        (lambda rows: wrong_one(rows).update(true_label=wrong_one(rows)["label"]), "a wrong row whose label is"),
        (make_clean, "the lock file says"),
        (make_wrong_elsewhere, r"class 0 has \d wrong rows of 11"),
        (use_twice, "is in it 2 times"),
        (lambda rows: rows.pop(), "37 rows"),
    ],
)  # fmt: skip
def test_rows_that_lie(copy: Path, change: Callable[[list[dict[str, Any]]], None], words: str) -> None:
    change_rows(copy, change)
    with pytest.raises(VerificationError, match=words):
        verify(copy)


def test_a_validation_image_in_the_training_set(copy: Path) -> None:
    leaked = pq.read_table(copy.parent / "clean_validation/validation-00000-of-00001.parquet").to_pylist()[0]

    def leak(rows: list[dict[str, Any]]) -> None:
        wrong_one(rows).update(image=leaked["image"], image_id=leaked["image_id"])

    change_rows(copy, leak)
    with pytest.raises(VerificationError, match="is also a validation image: a leak"):
        verify(copy)


@pytest.mark.parametrize(("into", "split"), [("val", "validation"), ("train", "train")])
def test_a_web_image_that_looks_like_a_clean_one(tmp_path: Path, into: str, split: str) -> None:
    tiny = make_tiny_set(tmp_path / "set")
    replaced_pool(tiny, into, mirrored)
    build_tiny(tiny, tmp_path / "out", leak_check=False)
    folder = tmp_path / "out/tiny/red_noise_nl_0.4"
    assert verify(folder).num_wrong == 15  # nobody has claimed that there is no leak
    locked = json.loads((folder / LOCK_NAME).read_text())
    assert locked["inputs"]["pool"]["leak_check"] is None
    locked["inputs"]["pool"]["leak_check"] = {"radius": "x", "views": True}
    (folder / LOCK_NAME).write_text(json.dumps(locked))
    with pytest.raises(VerificationError, match=r"leak_check is .*; expected a radius and views"):
        verify(folder)
    locked["inputs"]["pool"]["leak_check"] = {"radius": 32, "views": True}
    (folder / LOCK_NAME).write_text(json.dumps(locked))
    with pytest.raises(VerificationError, match=rf"is a copy of {split} image .* \(mirror, \d+ of 256 bits\): a leak"):
        verify(folder)


def test_files_missing_added_or_changed(copy: Path) -> None:
    with (copy / NAME).open("ab") as handle:
        handle.write(b"more")
    with pytest.raises(VerificationError, match=rf"{NAME}: changed since"):
        verify(copy)
    (copy / NAME).unlink()
    with pytest.raises(VerificationError, match=rf"{NAME}: missing"):
        verify(copy)


def test_an_added_shard_is_found(copy: Path) -> None:
    shutil.copy(copy / NAME, copy / "train-00001-of-00002.parquet")
    with pytest.raises(VerificationError, match="not in the lock file; a trainer would read it"):
        verify(copy)


def test_a_parquet_file_hidden_deeper_is_found(copy: Path) -> None:
    (copy / "sub").mkdir()
    shutil.copy(copy / NAME, copy / "sub" / NAME)
    with pytest.raises(VerificationError, match="not in the lock file; a trainer would read it"):
        verify(copy)


def test_a_lock_that_lies(copy: Path) -> None:
    lock = json.loads((copy / LOCK_NAME).read_text())
    lock["options"]["level"] = "0.5"
    (copy / LOCK_NAME).write_text(json.dumps(lock))
    with pytest.raises(VerificationError, match=r"level is '0\.4', the lock file says '0\.5'"):
        verify(copy)
    del lock["result"]
    lock["options"]["level"] = "0.4"
    (copy / LOCK_NAME).write_text(json.dumps(lock))
    with pytest.raises(VerificationError, match="not a lock file of format 1"):
        verify(copy)
    (copy / LOCK_NAME).write_text("{")
    with pytest.raises(VerificationError, match="not valid JSON"):
        verify(copy)


def put(path: tuple[str, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a lock file: one value, or its removal."""

    def change(lock: dict[str, Any]) -> None:
        for name in path[:-1]:
            lock = lock[name]
        assert lock.get(path[-1]) != value
        if value is None:
            del lock[path[-1]]
        else:
            lock[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(("result", "rows"), 37), "38 rows with noise"),
        (put(("result", "wrong"), 14), "15 wrong labels, the lock file says 14"),
        (put(("result", "noise"), {"none": 24, "web": 14}), "38 rows with noise"),
        (put(("result", "class_sizes"), [11, 8, 19]), "class sizes are not those"),
        (put(("result", "wrong_per_true_class"), [5, 5, 5]), "the wrong rows of each class"),
        (put(("classes", "number"), 4), "3 classes, the lock file says 4"),
        (put(("classes", "sha256"), "0" * 64), "class names are not those"),
        (put(("options", "seed"), 1), "seed is 0, the lock file says 1"),
        (put(("options", "seed"), None), "seed is 0, the lock file says None"),
        (put(("options", "mix"), "red=1"), "mix is None, the lock file says 'red=1'"),
        (put(("inputs", "train", "rows"), 39), r"rows of the train inputs is 38 by _noisyweb\.inputs.*says 39"),
        (put(("inputs", "train", "sha256"), "0" * 64), "sha256 of the train inputs is .* the lock file says '0000"),
        (put(("inputs", "pool", "rows"), 33), "rows of the pool inputs is 34 .* the lock file says 33"),
        (put(("inputs", "pool", "sha256"), None), "sha256 of the pool inputs is .* the lock file says None"),
        (put(("inputs", "pool"), None), "rows of the pool inputs is 34 .* the lock file says None"),
        (put(("inputs", "pool"), [34]), "rows of the pool inputs is 34 .* the lock file says None"),
        (put(("inputs", "other"), {"rows": 2, "sha256": "0"}), "rows of the other inputs is 0 .* says 2"),
        (put(("inputs",), None), "has no 'inputs'; build it again"),
        (put(("files", INPUTS_NAME), None), f"lists no {INPUTS_NAME}"),
    ],
)  # fmt: skip
def test_each_field_of_a_lock_that_lies(copy: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    lock = json.loads((copy / LOCK_NAME).read_text())
    change(lock)
    (copy / LOCK_NAME).write_text(json.dumps(lock))
    with pytest.raises(VerificationError, match=words) as caught:
        verify(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["rows", "sha256"])
def test_the_inputs_of_a_validation_set(copy: Path, split: str) -> None:
    folder = copy.parent / "clean_validation"
    lock = json.loads((folder / LOCK_NAME).read_text())
    lock["inputs"]["validation"][split] = 1
    (folder / LOCK_NAME).write_text(json.dumps(lock))
    with pytest.raises(VerificationError, match=f"{split} of the validation inputs is .* the lock file says 1"):
        verify(folder)


def first_two_swapped(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "rows of the pool inputs is 33 .* says 34"),
        (first_two_swapped, "sha256 of the train inputs"),
        (lambda lines: [*lines, lines[1]], "the rows of 'train' are not together"),
        (lambda lines: [*lines, "pool,one,2"], "missing or damaged"),
        (lambda lines: [*lines, "pool,one,two,"], "missing or damaged"),
        (lambda lines: [*lines, ""], "missing or damaged"),
        (lambda lines: lines[1:], "its first line is not the column names"),
    ],
)
def test_a_list_of_inputs_that_was_changed(copy: Path, change: Callable[[list[str]], list[str]], words: str) -> None:
    lines = gzip.decompress((copy / INPUTS_NAME).read_bytes()).decode().splitlines()
    (copy / INPUTS_NAME).write_bytes(gzip.compress("".join(f"{line}\n" for line in change(lines)).encode()))
    relock(copy, INPUTS_NAME)
    with pytest.raises(VerificationError, match=words):
        verify(copy)


def test_a_list_of_inputs_whose_packed_bytes_are_damaged(copy: Path) -> None:
    whole = (copy / INPUTS_NAME).read_bytes()
    (copy / INPUTS_NAME).write_bytes(whole[:10] + bytes([255] * 40) + whole[50:])
    relock(copy, INPUTS_NAME)
    with pytest.raises(VerificationError, match=r"missing or damaged .*; it lists the build's inputs"):
        verify(copy)


def test_input_digests_are_those_of_the_lock_file_whatever_the_names(tmp_path: Path) -> None:
    names = ["plain", "a,b", 'a"b', "line\nbreak", "carriage\rreturn", "both\r\nof them", "\udcff", "é", "", "\0"]
    labels = np.arange(len(names), dtype=np.int32)
    images = ImageSet(names, labels, ["x"] * len(names), lambda rows: iter([None] * len(rows)), names, "train")
    write_inputs(tmp_path, {"train": images, "pool": images.take(labels[:4].astype(np.int64))}, {"train": {1: "id"}})
    assert input_digests(tmp_path) == {"train": input_digest(images), "pool": input_digest(images.take(labels[:4]))}
    rows = read_inputs(tmp_path)
    assert list(rows["train"]) == names
    assert [row.image_id for row in rows["train"].values()] == ["", "id", *[""] * (len(names) - 2)]


def test_bytes_that_are_no_image_under_the_right_id(copy: Path) -> None:
    def spoil(rows: list[dict[str, Any]]) -> None:
        for row in rows[3:5]:
            row["image"]["bytes"] = b"not an image %d" % len(row["image_id"])
            row["image_id"] = image_id(row["image"]["bytes"])

    change_rows(copy, spoil)
    words = r"row 3 \([0-9a-f]{16}…\): its bytes begin with b'not an i'; expected a JPEG, PNG, WebP, GIF, BMP or TIFF"
    with pytest.raises(VerificationError, match=words):
        verify(copy)


def test_a_lock_cannot_point_outside_its_folder(copy: Path) -> None:
    lock = json.loads((copy / LOCK_NAME).read_text())
    lock["files"]["../clean_validation/x.parquet"] = file_digest(copy / NAME)
    (copy / LOCK_NAME).write_text(json.dumps(lock))
    with pytest.raises(VerificationError, match="missing; the lock file lists it"):
        verify(copy)


def test_no_build_there(tmp_path: Path, tiny: TinySet) -> None:
    with pytest.raises(SourceError, match=r"no _noisyweb\.lock\.json in it"):
        builds_in(tmp_path)
