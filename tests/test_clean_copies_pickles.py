"""The 84x84 pickles of Mini-ImageNet: their pixels, and what hostile ones may not do."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisyweb.clean_copies import open_copy
from noisyweb.clean_copies.mini_imagenet import open_mini_imagenet
from noisyweb.errors import SourceError
from tests.clean_fakes import DOG, FINCH, ROBIN, jpeg, photo, write_csv

Pixels = npt.NDArray[np.uint8]
NUMBERS = {FINCH: [5, 9, 7], ROBIN: [1200, 4]}
ROWS = [(FINCH, 5), (ROBIN, 1200), (FINCH, 9), (ROBIN, 4), (FINCH, 7)]
"""The csv file's lines; the images of the pickle are in their order."""


def pixels(count: int = 5, side: int = 84) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def cache(images: Any) -> dict[str, Any]:
    return {"image_data": images, "class_dict": {FINCH: [0, 2, 4], ROBIN: [1, 3]}}


def category_split(images: Any) -> dict[str, Any]:
    names = {ROBIN: 0, FINCH: 1}
    return {
        "data": images,
        "labels": [1, 0, 1, 0, 1],
        "catname2label": names,
        "label2catname": {label: name for name, label in names.items()},
    }


def write_listed(root: Path) -> None:
    text = "".join(f"{wnid}{number:08d}.jpg,{wnid}\n" for wnid, number in ROWS)
    (root / "train.csv").write_text("filename,label\n" + text)


def python2_pickle(images: Pixels) -> bytes:
    """What Python 2 wrote with protocol 2: text and pixels are its byte strings (SHORT_BINSTRING, BINSTRING)."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    data = images.tobytes()
    dtype = b"cnumpy\ndtype\n" + text("u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text("|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text("b") + b"\x87R"
    shape = b"(" + b"".join(number(n) for n in images.shape) + b"t"
    array = made + b"(" + number(1) + shape + dtype + b"\x89" + b"T" + struct.pack("<i", len(data)) + data + b"tb"
    lists = {FINCH: [0, 2, 4], ROBIN: [1, 3]}
    rows = b"".join(text(k) + b"](" + b"".join(number(n) for n in v) + b"e" for k, v in lists.items())
    return b"\x80\x02}(" + text("image_data") + array + text("class_dict") + b"}(" + rows + b"uu."


def opened(root: Path, data: bytes, name: str = "mini-imagenet-cache-train.pkl") -> Any:
    write_listed(root)
    (root / name).write_bytes(data)
    return open_copy("mini-imagenet", root)


def check_pixels(copy: Any, images: Pixels) -> None:
    ids = [f"{wnid}{number:08d}.jpg" for wnid, number in ROWS]
    order = [3, 0, 4, 1, 2]
    assert copy.missing([*ids, f"{FINCH}00000006.jpg", f"{DOG}00000001.jpg"], "train") == [
        *(f"{FINCH}00000006.jpg", f"{DOG}00000001.jpg")
    ]
    for row, data in zip(order, copy.load([ids[row] for row in order], "train"), strict=True):
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.asarray(image), images[row])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (cache, "mini-imagenet-cache-train.pkl"),
        (category_split, "miniImageNet_category_split_train_phase_train.pickle"),
    ],
)
def test_pixels_are_the_pickles(
    tmp_path: Path, make: Callable[[Any], dict[str, Any]], name: str, protocol: int
) -> None:
    images = pixels()
    data = pickle.dumps(make(images), protocol)
    if protocol == 2:  # Python 3 writes bytes as text there, which the reader refuses
        with pytest.raises(SourceError, match=r"the pickle asks for"):
            opened(tmp_path, data, name).missing([f"{FINCH}00000005.jpg"], "train")
        return
    copy = opened(tmp_path, data, name)
    assert copy.layout == "84x84 pickles"
    check_pixels(copy, images)
    assert copy.notes == (
        ["the images of the 84x84 pickles are taken to be in the csv files' order; nothing in them says so"]
        if make is category_split
        else []
    )


def test_pickles_of_python_2(tmp_path: Path) -> None:
    images = pixels()
    data = python2_pickle(images)
    found = pickle.loads(data, encoding="bytes")  # ours to trust: it is what the standard reader takes it for
    assert np.array_equal(found[b"image_data"], images)
    check_pixels(opened(tmp_path, data), images)


@pytest.mark.parametrize(
    "rows",
    [
        np.array([0, 2, 4]),
        np.array([0, 2, 4], ">i4"),
        [np.int64(0), np.int64(2), np.int64(4)],
    ],
)
def test_rows_may_be_arrays_or_their_numbers(tmp_path: Path, rows: Any) -> None:
    images = pixels()
    content = {"image_data": images, "class_dict": {FINCH: rows, ROBIN: [1, 3]}}
    check_pixels(opened(tmp_path, pickle.dumps(content, 4)), images)


def test_the_same_pickle_gives_the_same_bytes(tmp_path: Path) -> None:
    copies = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        copies.append(opened(tmp_path / name, pickle.dumps(cache(pixels()), 4)))
    ids = [f"{wnid}{number:08d}.jpg" for wnid, number in ROWS]
    assert list(copies[0].load(ids, "train")) == list(copies[1].load(ids, "train"))


# -- pickles that do not fit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (cache(pixels().astype(np.float32)), r"images of shape .* that are not uint8 of shape \(n, 84, 84, 3\)"),
        (cache(pixels().reshape(-1)), r"that are not uint8"),
        (cache(pixels()[..., :2]), r"that are not uint8|not of plain numbers"),
        (cache(np.asfortranarray(pixels())), r"not of plain numbers, row by row"),
        (cache([1, 2]), r"images of shape \(\)"),
        (cache(np.array([[object()]])), r"the pickle asks for"),
        ({"image_data": pixels(), "class_dict": {FINCH: [0, 2, 5], ROBIN: [1, 3]}}, r"rows that are .* outside its 5"),
        ({"image_data": pixels(), "class_dict": {FINCH: [0, 2, 1], ROBIN: [1, 3]}}, r"rows that are twice there"),
        ({"image_data": pixels(), "class_dict": {FINCH: [0, 2, -1], ROBIN: [1, 3]}}, r"rows that are .* outside"),
        (
            {"image_data": pixels(), "class_dict": {FINCH: [0, 2], ROBIN: [1, 3]}},
            r"2 images of class 'n01532829'.* list 3",
        ),
        ({"image_data": pixels(), "class_dict": {DOG: [0]}}, r"1 images of class 'n02099601'.* list 0"),
        ({"image_data": pixels(), "class_dict": {FINCH: "abc"}}, r"other than a list"),
        ({"image_data": pixels(), "class_dict": {FINCH: [0, "2"]}}, r"str where a whole number is expected"),
        ({"image_data": pixels(), "class_dict": {1: [0]}}, r"class_dict has keys that are no text"),
        ({"image_data": pixels(), "class_dict": [0]}, r"class_dict is a list, not a dict"),
        ({"a\nb": 1}, r"keys a\\nb; expected"),
        ({"images": 1}, r"keys images; expected image_data and class_dict, or data, labels"),
        ([1], r"it is a list, not a dict"),
        ({**category_split(pixels()), "labels": [1, 0]}, r"2 labels for 5 images"),
        ({**category_split(pixels()), "labels": [1, 0, 1, 0, 7]}, r"label 7, which catname2label does not name"),
    ],
)
def test_pickles_of_another_form(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        opened(tmp_path, pickle.dumps(content, 4)).missing([f"{FINCH}00000005.jpg"], "train")
    assert "\n" not in str(error.value)


def test_a_class_in_two_pickles_or_two_csv_files(tmp_path: Path) -> None:
    copy = opened(tmp_path, pickle.dumps(cache(pixels()), 4))
    (tmp_path / "mini-imagenet-cache-val.pkl").write_bytes((tmp_path / "mini-imagenet-cache-train.pkl").read_bytes())
    copy = open_copy("mini-imagenet", tmp_path)
    with pytest.raises(SourceError, match=r"class 'n01532829' is also in .*; keep one"):
        copy.missing([f"{FINCH}00000005.jpg"], "train")
    (tmp_path / "mini-imagenet-cache-val.pkl").unlink()
    write_csv(tmp_path / "train.csv", {FINCH: [5, 9], ROBIN: [1200, 4]})
    write_csv(tmp_path / "test.csv", {FINCH: [7]})
    with pytest.raises(SourceError, match=r"or list it twice"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000005.jpg"], "train")


def test_further_images_of_the_training_classes_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "miniImageNet_category_split_train_phase_test.pickle").write_bytes(b"")
    check_pixels(opened(tmp_path, pickle.dumps(cache(pixels()), 4)), pixels())


def test_pickles_and_images_named_by_id_are_compared(tmp_path: Path) -> None:
    pictures = [photo(row, (84, 84)) for row in range(5)]
    opened(tmp_path, pickle.dumps(cache(np.stack([np.asarray(each) for each in pictures])), 4))
    for (wnid, number), picture in zip(ROWS, pictures, strict=True):
        (tmp_path / f"{wnid}{number:08d}.jpg").write_bytes(jpeg(picture))
    check = open_mini_imagenet(tmp_path).cross_check()
    assert (check.num_compared, check.differing) == (5, ())
    (tmp_path / f"{ROBIN}00000004.jpg").write_bytes(jpeg(photo(99)))
    assert open_mini_imagenet(tmp_path).cross_check().differing == (f"{ROBIN}00000004.jpg",)


# -- hostile pickles ----------------------------------------------------------------------------------------


class Evil:
    """Runs a program when the standard reader reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_program_in_a_pickle_is_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    content = {**cache(pixels(1)), "more": Evil(mark)}
    with pytest.raises(SourceError, match=r"the pickle asks for (posix\.mkdir|the operation|_codecs\.encode)"):
        opened(tmp_path, pickle.dumps(content, protocol)).missing([f"{FINCH}00000005.jpg"], "train")
    assert not mark.exists()


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"
DTYPE = b"cnumpy\ndtype\n" + text("u1") + b"\x85R"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"cnumpy\nload\n" + text("x") + b"\x85R", r"asks for numpy\.load"),
        (b"cnumpy.core.multiarray\nfromfile\n.", r"asks for numpy\.core\.multiarray\.fromfile"),
        (b"cbuiltins\neval\n" + text("1") + b"\x85R", r"asks for builtins\.eval"),
        (b"cnoisyweb.clean_copies.places\nPlace\n)R", r"asks for noisyweb"),
        (text("os") + text("system") + b"\x93", r"asks for os\.system"),
        (text("o\ns") + text("\x1b[1m") + b"\x93", r"asks for o\\ns\.\\x1b\[1m"),
        (b"Pevil\n", r"the operation PERSID"),
        (b"K\x05Q", r"the operation BINPERSID"),
        (b"(ios\nsystem\n", r"the operation INST"),
        (b"\x82\x01", r"the operation EXT1"),
        (b"cnumpy\nndarray\n)\x81", r"the operation NEWOBJ"),
        (b"\x97", r"the operation NEXT_BUFFER"),
        (b"Nr\xff\xff\xff\x7f", r"a memo larger than itself"),
        (b"cnumpy\ndtype\n" + text("O") + b"\x85R", r"an array of 'O'"),
        (DTYPE + b"(K\x03" + text("|") + b"N" + text("x") + b"N" + b"t" + b"b", r"records or objects"),
        (b"cnumpy\nndarray\nK\x01\x85\x85R", r"damaged or no pickle"),
        (b"]" + b"}" + text("append") + b"K\x01sb", r"damaged or no pickle"),
        (b"B\xff\xff\xff\x7fabc", r"damaged or no pickle"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc", r"damaged or no pickle"),
        (b"c" + b"x" * 300 + b"\nx\n", r"damaged or no pickle"),
        (b"\xff", r"damaged or no pickle"),
        (b"", r"damaged or no pickle"),
    ],
)
def test_operations_that_data_never_need(tmp_path: Path, program: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        opened(tmp_path, b"\x80\x04" + program + b".").missing([f"{FINCH}00000005.jpg"], "train")
    assert "\n" not in str(error.value)


def test_a_stand_in_cannot_be_bent_for_the_next_pickle(tmp_path: Path) -> None:
    bend = b"cnumpy\ndtype\n(N}" + text("__defaults__") + b"Nst" + b"b"
    with pytest.raises(SourceError):
        opened(tmp_path, b"\x80\x04" + bend + b".").missing([f"{FINCH}00000005.jpg"], "train")
    check_pixels(opened(tmp_path, pickle.dumps(cache(pixels()), 4)), pixels())


def test_pixels_cannot_be_pointed_elsewhere(tmp_path: Path) -> None:
    long_one = b"B" + struct.pack("<I", 300) + bytes(300)
    for state in (
        b"}" + text("path") + text("/etc/passwd") + b"s",
        b"(N}" + text("path") + text("/etc/passwd") + b"st",
    ):
        with pytest.raises(SourceError, match=r"damaged or no pickle"):
            opened(tmp_path, b"\x80\x04" + long_one + state + b"b.").missing([f"{FINCH}00000005.jpg"], "train")


def test_an_array_that_claims_more_than_it_has(tmp_path: Path) -> None:
    data = pickle.dumps(cache(pixels(5, 8)), 4)
    (at,) = [i for i in range(len(data)) if data[i : i + 6] == b"(K\x05K\x08K"]
    claimed = data[:at] + b"(K\x06K\x08K" + data[at + 6 :]
    with pytest.raises(SourceError, match=r"images of shape \(6, 8, 8, 3\) without as many pixels"):
        opened(tmp_path, claimed).missing([f"{FINCH}00000005.jpg"], "train")


def test_a_pickle_of_nothing_but_small_things_has_a_limit(tmp_path: Path) -> None:
    write_listed(tmp_path)
    with (tmp_path / "mini-imagenet-cache-train.pkl").open("wb") as file:
        file.write(b"\x80\x04X" + struct.pack("<I", 70 << 20))
        file.truncate(80 << 20)
    with pytest.raises(SourceError, match=r"more than 67108864 bytes beside the pixels"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000005.jpg"], "train")
    os.truncate(tmp_path / "mini-imagenet-cache-train.pkl", 5 << 30)
    with pytest.raises(SourceError, match=r"5368709120 bytes; expected 4294967296 at most"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000005.jpg"], "train")


@settings(max_examples=150)
@given(st.data())
def test_damage_is_a_clear_error_or_none(data: st.DataObject) -> None:
    import tempfile

    whole = pickle.dumps(
        {"image_data": pixels(1, 12), "class_dict": {FINCH: [0]}}, data.draw(st.sampled_from([3, 4, 5]))
    )
    start = whole.index(pixels(1, 12).tobytes())
    outside = st.integers(0, len(whole) - 1).filter(lambda at: not start <= at < start + 432)
    if data.draw(st.booleans()):
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(outside)
        broken = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.csv").write_text(f"filename,label\n{FINCH}00000005.jpg,{FINCH}\n")
        (Path(folder) / "mini-imagenet-cache-train.pkl").write_bytes(broken)
        copy = open_copy("mini-imagenet", Path(folder))
        with contextlib.suppress(SourceError):  # any other error fails the test
            if not copy.missing([f"{FINCH}00000005.jpg"], "train"):
                (image,) = copy.load([f"{FINCH}00000005.jpg"], "train")
                assert image.startswith(b"\x89PNG")
