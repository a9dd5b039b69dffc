from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from noisyweb.build_leaks import refuse_leaks
from noisyweb.consensus import update
from noisyweb.dataset import Section
from noisyweb.dedup import dedup
from noisyweb.errors import DefinitionError, LeakError, SourceError
from noisyweb.funnel import by_class, funnel
from noisyweb.imageset import ImageSet
from noisyweb.progress import silent
from noisyweb.schemas import PROVENANCE_COLUMNS, VOTES
from noisyweb.sources.workspace import read
from noisyweb.workspace import Workspace
from tests.test_dedup import smaller, workspace
from tests.web import photo

NAMES = ("ant", "bee")


def section(folder: Path, names: tuple[str, ...] = NAMES, role: str = "pool", **options: Any) -> Section:
    return Section(role, "workspace", {"workspace": "w", **options}, folder, names, f"pets.toml [{role}]")


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """Five images: right, wrong, wrong (and a copy of it), undecided, without votes."""
    data = {"right": photo(1), "wrong": photo(2, 90), "copy": smaller(photo(2, 90)), "tie": photo(3), "none": photo(4)}
    images = [(f"http://x/{name}", int(name == "tie"), content) for name, content in data.items()]
    place = workspace(tmp_path / "w", images)
    with place.journal("candidates") as journal:
        row = {"url": "http://x/wrong", "label": 0, "provider": "openverse", "query": "ant", "rank": 1}
        journal.add({**row, "creator": "Anna", "license": "by", "attribution": "by Anna"})
    ids = {row["url"].rpartition("/")[2]: row["image_id"] for row in place.read("images").to_pylist()}
    said = {"right": "yyn", "wrong": "nny", "copy": "nnn", "tie": "ynyn"}
    words = {"y": "yes", "n": "no"}
    votes = [
        {"image_id": ids[name], "label": int(name == "tie"), "annotator": f"{n}", "answer": words[c], "backend": "file"}
        for name, text in said.items()
        for n, c in enumerate(text)
    ]
    place.write("votes", pa.Table.from_pylist(votes, schema=VOTES))
    dedup(place)
    update(place)
    return place


def test_the_pool_is_what_is_unique_and_wrong(place: Workspace, tmp_path: Path) -> None:
    pool = read(section(tmp_path))
    assert list(pool.load([0])) == [photo(2, 90)]
    assert (len(pool), pool.labels.tolist(), pool.class_names, pool.true_labels.tolist()) == (1, [0], list(NAMES), [-1])
    assert (pool.votes_yes.tolist(), pool.votes_total.tolist()) == ([1], [3])
    assert pool.names == pool.paths == [row for row in pool.names if place.path(row).exists()]
    assert pool.provenance.column_names == list(PROVENANCE_COLUMNS)
    [row] = pool.provenance.to_pylist()
    assert (row["url"], row["creator"], row["license"], row["attribution"]) == (
        "http://x/wrong",
        "Anna",
        "by",
        "by Anna",
    )


def test_the_funnel(place: Workspace) -> None:
    assert by_class(place) == [
        {"found": 4, "fetched": 4, "unique": 3, "voted": 2, "decided": 2, "wrong": 1},
        {"found": 1, "fetched": 1, "unique": 1, "voted": 1, "decided": 0, "wrong": 0},
    ]
    assert funnel(place) == {"found": 5, "fetched": 5, "unique": 4, "voted": 3, "decided": 2, "wrong": 1}


def test_a_workspace_without_verdicts_is_an_empty_pool(tmp_path: Path) -> None:
    Workspace(tmp_path / "w", create=True).set_class_names(NAMES)
    pool = read(section(tmp_path))
    assert (len(pool), list(pool.load([])), pool.provenance.num_rows) == (0, [], 0)


@pytest.mark.parametrize(
    ("names", "message"),
    [(("ant", "cat"), "class 1 is 'bee', the data set's is 'cat'"), (("ant",), "it has 2 classes, the data set has 1")],
)
def test_another_vocabulary_is_refused(place: Workspace, tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(section(tmp_path, names))


def test_it_is_for_pools_only(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"is for \[pool\]"):
        read(section(tmp_path, role="train"))
    with pytest.raises(DefinitionError, match="unknown key 'path'"):
        read(section(tmp_path, path="x"))
    with pytest.raises(SourceError, match="no such folder"):
        read(section(tmp_path / "elsewhere"))


def test_an_image_missing_from_the_store_is_named(place: Workspace, tmp_path: Path) -> None:
    pool = read(section(tmp_path))
    place.path(pool.names[0]).unlink()
    with pytest.raises(SourceError, match="not in the store"):
        list(pool.load([0]))


def test_a_build_wants_all_of_the_pool_compared_with_these_images(place: Workspace, tmp_path: Path) -> None:
    def image_set(*images: bytes) -> ImageSet:
        names, labels = [f"{n}" for n in range(len(images))], np.zeros(len(images), np.int32)
        return ImageSet(names, labels, list(NAMES), lambda rows: (images[row] for row in rows), names, "train")

    train, validation, other = image_set(photo(11), photo(12)), image_set(photo(13)), image_set(photo(14))
    clean = {"train": train, "validation": validation}
    used = np.array([0])

    def refused(clean: dict[str, ImageSet], split: str) -> None:
        with pytest.raises(LeakError, match=f"not all compared with these {split} images.* run `noisyweb dedup"):
            refuse_leaks(read(section(tmp_path)), used, clean, silent)

    refused(clean, "train")  # only compared with itself so far
    dedup(place, train, validation)
    refuse_leaks(read(section(tmp_path)), used, clean, silent)
    refuse_leaks(read(section(tmp_path)), used, {"train": train}, silent)
    refused({"train": train, "validation": other}, "validation")
    with place.journal("images") as journal:  # another crawl
        row = place.read("images").to_pylist()[0]
        journal.add({**row, "url": "http://x/later", "image_id": place.put(photo(15))})
    refused(clean, "train")
    (tmp_path / "w" / "dedup.json").unlink()
    refused(clean, "train")
