"""Mini-ImageNet as people have it: which image an id means, and what is found of copies that would give wrong ones."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from noisyweb.clean_copies import open_copy
from noisyweb.clean_copies.ilsvrc import by_place
from noisyweb.clean_copies.mini_ids import MiniId, class_names, parse_id
from noisyweb.clean_copies.mini_imagenet import open_mini_imagenet
from noisyweb.clean_copies.places import Place
from noisyweb.dataset import read_definition
from noisyweb.errors import CorruptFileError, DefinitionError, SourceError, UnknownNameError
from tests.clean_fakes import (
    DOG,
    FINCH,
    ROBIN,
    class_tar,
    content,
    jpeg,
    photo,
    suffixes,
    tar_of,
    write_class,
    write_csv,
)

FINCHES, ROBINS = suffixes(FINCH, 740), suffixes(ROBIN, 1300)


def expected(image_id: str, numbers: list[int]) -> bytes:
    """By the rule itself: the id's number is the place, from 1, among the class's numbers in numeric order."""
    return content(image_id[:9], sorted(numbers)[int(image_id[9:17]) - 1])


def write_folders(root: Path) -> None:
    write_class(root / "train" / FINCH, FINCH, FINCHES)
    write_class(root / "train" / ROBIN, ROBIN, ROBINS)
    (root / "train" / "n01440764").mkdir()  # a class that is not Mini-ImageNet's
    (root / "train" / "n01440764" / "n01440764_18.JPEG").write_bytes(b"tench")


def write_flat(root: Path) -> None:
    write_class(root / "all", FINCH, FINCHES)
    write_class(root / "all", ROBIN, ROBINS)


def write_class_tars(root: Path) -> None:
    (root / f"{FINCH}.tar").write_bytes(class_tar(FINCH, FINCHES))
    (root / f"{ROBIN}.tar").write_bytes(class_tar(ROBIN, ROBINS))


def write_train_tar(root: Path) -> None:
    inner = [(f"{wnid}.tar", class_tar(wnid, numbers)) for wnid, numbers in ((FINCH, FINCHES), (ROBIN, ROBINS))]
    tench = ("n01440764.tar", class_tar("n01440764", [18]))
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of([tench, *inner]))


@pytest.mark.parametrize(
    ("write", "layout"),
    [
        (write_folders, "ILSVRC2012 training images"),
        (write_flat, "ILSVRC2012 training images"),
        (write_class_tars, "ILSVRC2012 training tars"),
        (write_train_tar, "ILSVRC2012_img_train.tar"),
    ],
)
def test_ids_are_places_in_numeric_order(tmp_path: Path, write: Callable[[Path], None], layout: str) -> None:
    write(tmp_path)
    copy = open_copy("mini-imagenet", tmp_path)
    ids = [f"{ROBIN}00001300.jpg", f"{FINCH}00000001.jpg", f"{FINCH}00000740.jpg", f"{ROBIN}00000002.jpg"]
    wanted = [expected(each, FINCHES if each.startswith(FINCH) else ROBINS) for each in ids]
    assert copy.layout == layout
    assert copy.missing([*ids, f"{DOG}00000001.jpg", "n0144076400000001.jpg", "5922767e5677aef4.jpg"], "train") == [
        *(f"{DOG}00000001.jpg", "n0144076400000001.jpg", "5922767e5677aef4.jpg")
    ]
    assert list(copy.load(ids, "train")) == wanted
    assert [copy.class_of(each, "train") for each in ids] == [ROBIN, FINCH, FINCH, ROBIN]
    assert copy.class_of("n0144076400000001.jpg", "train") is None, "no class of Mini-ImageNet"
    as_text = sorted(f"{FINCH}_{n}.JPEG" for n in FINCHES)
    wrong = sum(as_text[k] != f"{FINCH}_{n}.JPEG" for k, n in enumerate(sorted(FINCHES)))
    assert wrong > 700, "sorting as text would give other images, so that this test can tell"
    (note,) = copy.notes
    assert note.startswith(f"1 classes of the {layout} have fewer than 1300 images"), "740 may be all, or not"


def test_one_archive_may_be_named_itself(tmp_path: Path) -> None:
    write_train_tar(tmp_path)
    copy = open_copy("mini-imagenet", tmp_path / "ILSVRC2012_img_train.tar")
    assert list(copy.load([f"{FINCH}00000007"], "train")) == [expected(f"{FINCH}00000007", FINCHES)]


@given(st.sets(st.integers(1, 10**9 - 1), min_size=1, max_size=50), st.randoms())
def test_places(numbers: set[int], randomly: object) -> None:
    found = [(n, Place(Path(str(n)))) for n in numbers]
    randomly.shuffle(found)  # type: ignore[attr-defined]
    assert [int(place.path.name) for place in by_place(found, "here")] == sorted(numbers)


# -- copies that would give wrong images --------------------------------------------------------------------


def test_a_missing_file_is_found_where_it_can_be(tmp_path: Path) -> None:
    write_folders(tmp_path)
    wanted = f"{FINCH}00000740.jpg"
    assert open_copy("mini-imagenet", tmp_path).missing([wanted], "train") == []
    (tmp_path / "train" / FINCH / f"{FINCH}_{min(FINCHES)}.JPEG").unlink()
    with pytest.raises(SourceError, match=rf"class {FINCH}: {wanted} is not among its 739 images; some are missing"):
        open_copy("mini-imagenet", tmp_path).missing([wanted], "train")
    write_csv(tmp_path / "train.csv", {FINCH: [5, 740]})
    with pytest.raises(SourceError, match=r"739 images, but the csv files list place 740"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000001.jpg"], "train")


def write_ilsvrc_devkit(root: Path, num_train: dict[str, int], truth: list[int]) -> None:
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    rows = np.zeros(len(num_train) + 1, [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_train_images", "O")])
    for i, (wnid, count) in enumerate(num_train.items()):
        rows[i] = (i + 1, wnid, count)
    rows[-1] = (len(num_train) + 1, "n00001740", 0)  # an inner node
    savemat(folder / "meta.mat", {"synsets": rows})
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{n}\n" for n in truth))


def test_with_the_devkit_every_missing_file_is_found(tmp_path: Path) -> None:
    write_folders(tmp_path)
    write_ilsvrc_devkit(tmp_path, {FINCH: 740, ROBIN: 1300}, [2, 1])
    copy = open_copy("mini-imagenet", tmp_path)
    assert copy.missing([f"{FINCH}00000003.jpg", f"{ROBIN}00000003.jpg"], "train") == []
    assert copy.notes == [], "nothing is left unsure"
    assert copy.class_of("ILSVRC2012_val_00000001.jpg", "validation") == ROBIN
    (tmp_path / "train" / ROBIN / f"{ROBIN}_{ROBINS[7]}.JPEG").unlink()
    with pytest.raises(SourceError, match=rf"class {ROBIN}: 1299 images; the devkit says 1300.*restore the"):
        open_copy("mini-imagenet", tmp_path).missing([f"{ROBIN}00000003.jpg"], "train")


@pytest.mark.parametrize("count", [600, 731, 1301])
def test_what_is_not_all_of_ilsvrc_is_refused(tmp_path: Path, count: int) -> None:
    write_class(tmp_path / DOG, DOG, suffixes(DOG, count))
    with pytest.raises(SourceError, match=rf"{count} images; ILSVRC2012 has 732 to 1300 a class"):
        open_copy("mini-imagenet", tmp_path).missing([f"{DOG}00000003.jpg"], "train")


def test_only_the_600_under_ilsvrc_names_need_the_csv(tmp_path: Path) -> None:
    numbers = suffixes(DOG, 600)
    write_class(tmp_path / DOG, DOG, numbers)
    listed = [2 * k + 9 for k in range(600)]
    write_csv(tmp_path / "test.csv", {DOG: listed[::-1]})
    copy = open_copy("mini-imagenet", tmp_path)
    assert list(copy.load([f"{DOG}00000009.jpg", f"{DOG}{listed[411]:08d}.jpg"], "train")) == [
        *(content(DOG, sorted(numbers)[k]) for k in (0, 411))
    ]
    (note,) = copy.notes
    assert "just as many images as the csv files list; taken for those" in note
    with pytest.raises(SourceError, match=r"is not among its 600 images"):
        next(copy.load([f"{DOG}00000010.jpg"], "train"))


def test_an_image_that_is_there_twice(tmp_path: Path) -> None:
    write_class(tmp_path / "a" / FINCH, FINCH, FINCHES)
    write_class(tmp_path / "b" / FINCH, FINCH, FINCHES[:1])
    with pytest.raises(SourceError, match=rf"number {FINCHES[0]} is there twice"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000001.jpg"], "train")


# -- images named by id, validation images ------------------------------------------------------------------


def test_images_named_by_id(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / f"{FINCH}00000005.jpg").write_bytes(b"five")
    (images / f"{FINCH}00000006.PNG").write_bytes(b"six")
    by_class = tmp_path / "train" / ROBIN
    by_class.mkdir(parents=True)
    (by_class / f"{ROBIN}00000007.JPG").write_bytes(b"seven")
    (images / "5922767e5677aef4.jpg").write_bytes(b"a web image of the release")
    copy = open_copy("mini-imagenet", tmp_path)
    ids = [f"{ROBIN}00000007.jpg", f"{FINCH}00000006", f"all_images/{FINCH}00000005.jpg"]
    assert copy.layout == "images named by id"
    assert list(copy.load(ids, "train")) == [b"seven", b"six", b"five"]
    assert copy.missing([*ids, f"{FINCH}00000007.jpg"], "train") == [f"{FINCH}00000007.jpg"]
    with pytest.raises(SourceError, match=r"image 'n0153282900000007.jpg' is not among the images named by id; put it"):
        list(copy.load([f"{FINCH}00000007.jpg"], "train"))
    (by_class / f"{FINCH}00000005.jpg").write_bytes(b"cinq")
    assert open_copy("mini-imagenet", tmp_path).layout == "images named by id", "a copy of the same size"
    (by_class / f"{FINCH}00000005.jpg").write_bytes(b"another picture")
    with pytest.raises(SourceError, match=r"n0153282900000005\.jpg is there twice, and differs: .* and .*; name the"):
        open_copy("mini-imagenet", tmp_path)


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / f"{FINCH}00000005.jpg"
    file.write_bytes(b"")
    copy = open_copy("mini-imagenet", tmp_path)
    with pytest.raises(SourceError, match=r"00000005\.jpg: 0 bytes at 0; expected 1 to"):
        list(copy.load([f"{FINCH}00000005.jpg"], "train"))
    os.truncate(file, 65 << 20)
    with pytest.raises(SourceError, match=r"68157440 bytes at 0; expected 1 to 67108864"):
        list(copy.load([f"{FINCH}00000005.jpg"], "train"))
    file.unlink()
    with pytest.raises(SourceError, match=r"cannot be read \(No such file or directory\)"):
        list(copy.load([f"{FINCH}00000005.jpg"], "train"))


@pytest.mark.parametrize("layout", ["folder", "by class", "tar"])
def test_validation_images(tmp_path: Path, layout: str) -> None:
    names = ["ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00002138.JPEG"]
    folder = tmp_path / "val" / FINCH if layout == "by class" else tmp_path / "val"
    folder.mkdir(parents=True)
    if layout == "tar":
        (folder / "ILSVRC2012_img_val.tar").write_bytes(tar_of((name, name.encode()) for name in names))
    else:
        for name in names:
            (folder / name).write_bytes(name.encode())
    copy = open_copy("mini-imagenet", tmp_path)
    assert copy.layout == ("ILSVRC2012_img_val.tar" if layout == "tar" else "ILSVRC2012 validation images")
    ids = ["ILSVRC2012_val_00002138.jpg", "ILSVRC2012_val_00000293.jpg"]
    assert copy.missing([*ids, "ILSVRC2012_val_00000001.jpg"], "validation") == ["ILSVRC2012_val_00000001.jpg"]
    assert list(copy.load(ids, "validation")) == [name.encode() for name in names[::-1]]
    assert copy.class_of(ids[0], "validation") == (FINCH if layout == "by class" else None)


def test_ids() -> None:
    assert parse_id("n0170432300000001.jpg") == parse_id("x/N0170432300000001.JPEG") == MiniId("n01704323", 1)
    assert str(parse_id("n0170432300000001")) == "n0170432300000001.jpg"
    assert str(parse_id("ILSVRC2012_val_00000293.JPEG")) == "ILSVRC2012_val_00000293.jpg"
    for other in ("", "n0170432300000000.jpg", "n01704323_1.JPEG", "n017043230000000١.jpg", "n0170432300000001.jpg\n"):
        assert parse_id(other) is None, other


# -- hostile folders and archives ---------------------------------------------------------------------------


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    elsewhere = tmp_path / "another disk"
    write_class(elsewhere / FINCH, FINCH, FINCHES)
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(root)
    (root / f"{ROBIN}00000001.jpg").symlink_to("nowhere")
    os.mkfifo(root / f"{ROBIN}00000002.jpg")
    copy = open_copy("mini-imagenet", root)
    assert copy.layout == "ILSVRC2012 training images"
    assert copy.missing([f"{FINCH}00000740.jpg"], "train") == []


@pytest.mark.parametrize("name", [f"../{FINCH}_1.JPEG", f"/{FINCH}_1.JPEG", f"a/../{FINCH}_1.JPEG"])
def test_tars_with_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{FINCH}.tar").write_bytes(tar_of([(name, b"x")]))
    with pytest.raises(SourceError, match=rf"member '{re.escape(name)}' leads out of the archive"):
        open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000001.jpg"], "train")


def test_tars_with_other_things_than_images_are_refused(tmp_path: Path) -> None:
    import io
    import tarfile

    path = tmp_path / f"{FINCH}.tar"

    def refused(info: tarfile.TarInfo, words: str) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.addfile(info)
        path.write_bytes(out.getvalue())
        with pytest.raises(SourceError, match=words):
            open_copy("mini-imagenet", tmp_path).missing([f"{FINCH}00000001.jpg"], "train")

    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        info = tarfile.TarInfo(f"{FINCH}_1.JPEG")
        info.type, info.linkname = kind, "/etc/passwd"
        refused(info, r"is a link, device or sparse file")
    sparse = tarfile.TarInfo(f"{FINCH}_1.JPEG")
    sparse.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "99999999"}
    refused(sparse, r"is a link, device or sparse file")
    huge = tarfile.TarInfo(f"{FINCH}_1.JPEG")
    huge.size = 1 << 40
    refused(huge, r"has 1099511627776 bytes; expected 67108864 at most")
    refused(tarfile.TarInfo(f"{ROBIN}_1.JPEG"), rf"in the tar of {FINCH}; expected {FINCH}_<number>")


@given(st.data())
def test_a_tar_that_is_cut_off_or_damaged_is_never_taken_for_a_smaller_one(data: st.DataObject) -> None:
    import tempfile

    numbers = suffixes(FINCH, 8)
    whole = class_tar(FINCH, numbers)
    end = 8 * 1024  # header and content of each member take a block each
    if data.draw(st.booleans()):
        broken = whole[: data.draw(st.integers(0, end))]
    else:
        at = data.draw(st.integers(0, 7)) * 1024 + data.draw(st.integers(148, 153))  # the header's checksum
        broken = whole[:at] + b"z" + whole[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{FINCH}.tar").write_bytes(broken)
        with pytest.raises(CorruptFileError, match=r"restore it from a copy"):
            open_copy("mini-imagenet", Path(folder)).missing([f"{FINCH}00000001.jpg"], "train")


# -- csv files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,label\nn01532829_5.JPEG,n01532829\n", r"line 2: filename 'n01532829_5.JPEG'.*Vinyals's split"),
        (f"filename,label\n{FINCH}00000005.jpg,{ROBIN}\n", rf"has label '{ROBIN}'; expected '{FINCH}'"),
        (f"filename,label\n{FINCH}00000005.jpg,{FINCH}\n" * 1 + f"{FINCH}00000005.jpg,{FINCH}\n", r"line 3: .* twice"),
        (f"filename,label\n{FINCH}00000005.jpg\n", r"has label None"),
        ("filename,label\n\udcff,x\n", r"cannot be read as a csv file"),
        ("filename,label\n" + '"' + "x" * 200_000 + '"' + ",x\n", r"cannot be read as a csv file"),
    ],
)
def test_csv_files_that_contradict_themselves(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / f"{FINCH}00000005.jpg").write_bytes(b"five")
    (tmp_path / "train.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=words):
        open_copy("mini-imagenet", tmp_path)


def test_what_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set with clean copies 'car'; did you mean 'cars'"):
        open_copy("car", tmp_path)
    with pytest.raises(SourceError, match=r"nowhere does not exist; name the folder"):
        open_copy("cars", tmp_path / "nowhere")
    (tmp_path / "mini-imagenet-cache-train.pkl").write_bytes(b"")
    (tmp_path / "train.csv").write_text("someone's,own\n1,2\n")
    with pytest.raises(
        SourceError, match=r"there are pickles, which need train\.csv.*; looked for ILSVRC2012 images"
    ) as e:
        open_copy("mini-imagenet", tmp_path)
    assert "\n" not in str(e.value)


# -- pictures compared --------------------------------------------------------------------------------------


def test_the_cross_check_finds_a_shift_that_nothing_else_finds(tmp_path: Path) -> None:
    numbers = sorted(suffixes(FINCH, 735))
    write_class(tmp_path / "train" / FINCH, FINCH, numbers)
    small = tmp_path / "84x84"
    small.mkdir()
    listed = [3, 300, 700]
    for place in listed:
        picture = photo(place)
        for shift in (0, 1):
            other = picture if shift == 0 else photo(place + 10_000)
            (tmp_path / "train" / FINCH / f"{FINCH}_{numbers[place - 1 + shift]}.JPEG").write_bytes(jpeg(other))
        (small / f"{FINCH}{place:08d}.jpg").write_bytes(jpeg(picture.resize((84, 84))))
    write_csv(tmp_path / "train.csv", {FINCH: listed})
    copy = open_mini_imagenet(tmp_path)
    assert copy.layout == "ILSVRC2012 training images"
    assert "are used, not the images named by id" in copy.notes[0]
    assert (copy.cross_check().num_compared, copy.cross_check().differing) == (3, ())
    (tmp_path / "train" / FINCH / f"{FINCH}_{numbers[100]}.JPEG").unlink()
    shifted = open_mini_imagenet(tmp_path)
    assert shifted.missing([f"{FINCH}{place:08d}.jpg" for place in listed], "train") == [], "734 are still plausible"
    assert shifted.cross_check().differing == (f"{FINCH}00000300.jpg", f"{FINCH}00000700.jpg")
    with pytest.raises(SourceError, match=r"only the images named by id are there; put"):
        open_mini_imagenet(small).cross_check()


# -- a user's definition ------------------------------------------------------------------------------------


def define(folder: Path, extra: str = "") -> Path:
    toml = folder / "mini.toml"
    both = "".join(f'[{role}]\nformat = "mini-imagenet"\npath = "images"\n' for role in ("validation", "train"))
    toml.write_text(both + extra)
    return toml


def write_renamed(folder: Path, per_class: int) -> None:
    folder.mkdir()
    for wnid in (FINCH, ROBIN, DOG):
        for k in range(per_class):
            (folder / f"{wnid}{2 * k + 1:08d}.jpg").write_bytes(f"{wnid} {k}".encode())


def test_a_definition_takes_images_of_each_class_in_the_releases_order(tmp_path: Path) -> None:
    write_renamed(tmp_path / "images", 8)
    toml = define(tmp_path, "per_class = [1, 4]\n")
    toml.write_text(toml.read_text().replace("[train]", "per_class = [4, 600]\n[train]"))
    dataset = read_definition(toml)
    train, validation = dataset.train(), dataset.validation()
    assert validation is not None
    assert list(train.class_names) == ["robin", "golden retriever", "house finch"]
    assert (train.class_sizes().tolist(), validation.class_sizes().tolist()) == ([3, 3, 3], [4, 4, 4])
    assert train.names[:3] == [f"{ROBIN}00000003.jpg", f"{ROBIN}00000005.jpg", f"{ROBIN}00000007.jpg"]
    assert not set(train.names) & set(validation.names)
    assert list(train.load([8, 0])) == [f"{FINCH} 3".encode(), f"{ROBIN} 1".encode()]


def test_a_definition_with_csv_files(tmp_path: Path) -> None:
    write_class(tmp_path / "images" / FINCH, FINCH, FINCHES)
    toml = define(tmp_path)
    with pytest.raises(SourceError, match=r"do not tell which images belong to it; put train\.csv"):
        read_definition(toml).train()
    write_csv(tmp_path / "images" / "val.csv", {FINCH: list(range(740, 140, -1))})
    train = read_definition(toml).train()
    assert len(train) == 500
    assert train.names[0] == f"{FINCH}00000141.jpg"
    assert next(train.load([0])) == expected(train.names[0], FINCHES)
    assert train.notes[0].startswith("1 classes")
    write_csv(tmp_path / "images" / "train.csv", {ROBIN: list(range(1, 601))})
    with pytest.raises(SourceError, match=r"500 of 1000 images are not among the ILSVRC2012 training .* being n015589"):
        read_definition(toml).train()


@pytest.mark.parametrize(
    ("extra", "error", "words"),
    [
        ("per_class = [5, 5]", DefinitionError, r"per_class = \[5, 5\]; expected \[start, stop\] such as"),
        ("per_class = [0, true]", DefinitionError, r"expected \[start, stop\]"),
        ("per_class = 5", DefinitionError, r"is not a list"),
        ("per_class = [20, 30]", SourceError, r"per_class = \[20, 30\], but class n01558993 has 8 images"),
        ("split = 1", DefinitionError, r"unknown key 'split'.*known: path, per_class"),
    ],
)
def test_definitions_that_cannot_be_used(tmp_path: Path, extra: str, error: type[Exception], words: str) -> None:
    write_renamed(tmp_path / "images", 8)
    with pytest.raises(error, match=words):
        read_definition(define(tmp_path, extra)).train()


def test_a_definition_of_a_pool(tmp_path: Path) -> None:
    write_renamed(tmp_path / "images", 8)
    toml = define(tmp_path, '[pool]\nformat = "mini-imagenet"\npath = "images"\n')
    toml.write_text(toml.read_text().replace("[train]\n", "[train]\nper_class = [0, 4]\n"))
    with pytest.raises(DefinitionError, match=r"Mini-ImageNet has no pool"):
        read_definition(toml).pool()


def test_the_bundled_classes() -> None:
    names = class_names()
    assert len(names) == len(set(names.values())) == 100
    assert next(iter(names)) == "n01704323"
    assert all(re.fullmatch(r"n[0-9]{8}", wnid) for wnid in names)


@pytest.mark.shared
def test_the_bundled_classes_are_the_releases(shared_data: Path) -> None:
    with (shared_data / "mini_imagenet" / "classes.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["wnid"], row["name"]) for row in rows] == list(class_names().items())
