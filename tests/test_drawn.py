"""The drawn edition: its classes, clean images, web and pool."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noisyweb.dataset import Dataset, load_dataset, read_definition
from noisyweb.drawn.draw import SIZE, draw_car
from noisyweb.drawn.lookalikes import invented_models, siblings_of
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.stream import Stream
from noisyweb.drawn.traits import body_of, make_of, traits_of
from noisyweb.drawn.truth import find_hit, truth_of
from noisyweb.drawn.vocabulary import cars, slug
from noisyweb.drawn.votes import bundled_verdicts
from noisyweb.drawn.web import COPIES, HOST, WebHit, all_hits, hits_of
from noisyweb.errors import DefinitionError
from noisyweb.hashes import words
from noisyweb.phash import phash
from noisyweb.schemas import PROVENANCE_COLUMNS

DEVKIT = Path(__file__).parents[2] / "shared/data/stanford_cars/devkit"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("cars")


# -- classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make", "body"),
    [
        ("AM General Hummer SUV 2000", "AM General", "suv"),
        ("Aston Martin Virage Coupe 2012", "Aston Martin", "coupe"),
        ("Rolls-Royce Phantom Drophead Coupe Convertible 2012", "Rolls-Royce", "convertible"),
        ("Ram C/V Cargo Van Minivan 2012", "Ram", "minivan"),
        ("Ford E-Series Wagon Van 2012", "Ford", "van"),
        ("Ford Ranger SuperCab 2011", "Ford", "pickup"),
        ("Audi 100 Wagon 1994", "Audi", "wagon"),
        ("MINI Cooper Roadster Convertible 2012", "MINI", "convertible"),
    ],
)
def test_the_name_says_make_and_body(name: str, make: str, body: str) -> None:
    assert (make_of(name), body_of(name)) == (make, body)


def test_names_without_a_body_word_still_have_a_body() -> None:
    bodies = {body_of(name) for name in ("Acura TL Type-S 2008", "FIAT 500 Abarth 2012", "Chevrolet HHR SS 2010")}
    assert bodies <= {"sedan", "coupe", "hatchback"}


@pytest.mark.parametrize(
    ("words", "cab"), [("Regular Cab", "regular"), ("Club Cab", "extended"), ("Quad Cab", "crew"), ("Crew Cab", "crew")]
)
def test_pickups_differ_by_their_cab(words: str, cab: str) -> None:
    assert traits_of(f"Dodge Dakota {words} 2010").cab == cab


def test_no_two_classes_look_the_same() -> None:
    looks = {dataclasses.replace(traits_of(name), make="") for name in cars().class_names}
    assert len(looks) == 196


def test_siblings_are_first_of_all_the_same_model() -> None:
    names = cars().class_names
    label = names.index("Audi S4 Sedan 2012")
    nearest = max(siblings_of(label), key=lambda item: item[1])[0]
    assert names[nearest] == "Audi S4 Sedan 2007"
    assert all(siblings_of(k) for k in range(196)), "every class has something that it is taken for"
    assert not {model for name in names for model in invented_models(name)} & set(names)


def test_class_sizes(dataset: Dataset) -> None:
    train, validation = dataset.train(), dataset.validation()
    assert validation is not None
    assert (len(train), len(validation), len(train.class_names)) == (8144, 8041, 196)
    assert (np.diff(train.labels) >= 0).all(), "rows are ordered by class"
    assert (train.class_sizes() == np.array(cars().num_train)).all()
    share = validation.class_sizes() - train.class_sizes() * 8041 / 8144
    assert np.abs(share).max() < 1, "validation is in proportion to train"
    assert len(set(train.names)) == 8144
    assert not set(train.names) & set(validation.names)
    assert len({slug(name) for name in train.class_names}) == 196


@pytest.mark.shared
@pytest.mark.skipif(not DEVKIT.exists(), reason="the Stanford Cars devkit is not here")
def test_class_names_and_sizes_are_the_devkits() -> None:
    from scipy.io import loadmat

    names = loadmat(DEVKIT / "cars_meta.mat", squeeze_me=True)["class_names"]
    rows = loadmat(DEVKIT / "cars_train_annos.mat", squeeze_me=True)["annotations"]
    assert cars().class_names == tuple(str(name) for name in names)
    counts = Counter(int(row["class"]) - 1 for row in rows)
    assert cars().num_train == tuple(counts[label] for label in range(196))


# -- images ----------------------------------------------------------------------------------------------


def test_images_are_drawn_in_the_order_asked_for(dataset: Dataset) -> None:
    train = dataset.train()
    asked = [8143, 0, 5, 0, 4000]
    images = list(train.load(asked))
    assert images[1] == images[3]
    assert len(set(images)) == 4
    assert images[0] == draw_car(train.class_names[-1], "train", cars().num_train[-1] - 1)
    opened = Image.open(io.BytesIO(images[0] or b""))
    assert (opened.format, opened.size, opened.mode) == ("JPEG", SIZE, "RGB")


def test_reading_may_stop_early(dataset: Dataset) -> None:
    reader = dataset.train().load(range(500))
    first = next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert first == next(dataset.train().load([0]))


def test_splits_and_numbers_share_no_image() -> None:
    name = cars().class_names[7]
    drawn = [draw_car(name, split, number) for split in ("train", "validation", "web") for number in range(40)]
    assert len(set(drawn)) == len(drawn)
    assert draw_car(name, "train", 0, seed=1) != draw_car(name, "train", 0, seed=0)


_SCRIPT = """
import hashlib
from noisyweb.drawn.draw import draw_car
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import hits_of
digest = hashlib.sha256()
for label in (0, 77, 195):
    name = cars().class_names[label]
    digest.update(repr(hits_of(label)).encode())
    for number in range(3):
        digest.update(draw_car(name, "train", number))
    for hit in hits_of(label):
        digest.update(draw_hit(hit, name))
print(digest.hexdigest())
"""


def test_every_process_draws_the_same() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_streams_are_uniform_and_apart() -> None:
    stream, other = Stream(0, "a", 1), Stream(0, "a", 2)
    values = np.array([stream.unit() for _ in range(20_000)])
    assert ((values >= 0) & (values < 1)).all()
    assert abs(values.mean() - 0.5) < 0.01
    assert abs(values.std() - 12**-0.5) < 0.01
    assert stream.unit() != other.unit()
    counts = Counter(stream.weighted((("x", 3.0), ("y", 1.0))) for _ in range(8000))
    assert abs(counts["x"] / 8000 - 0.75) < 0.02
    assert {stream.below(3) for _ in range(200)} == {0, 1, 2}
    assert hashlib.sha256(repr([Stream("pinned").unit() for _ in range(1)]).encode()).hexdigest() == PINNED


PINNED = "7031eb44fc2edc5b84d589b6cf2c2ec902b0cd12ebb9f4f49d48d236178636ec"


# -- the web ---------------------------------------------------------------------------------------------


def test_every_class_has_every_kind_of_hit() -> None:
    kinds = {"right", "sibling", "outside", "part", "toy", "duplicate", "leak", "dead"}
    for label in range(196):
        hits = hits_of(label)
        assert {hit.kind for hit in hits} == kinds
        right = sum(hit.kind == "right" for hit in hits)
        assert right >= 0.5 * cars().num_train[label]
        assert [hit.url for hit in hits] == [
            f"{HOST}/cars/{slug(cars().class_names[label])}/{n:04d}.jpg" for n in range(len(hits))
        ]


def test_what_hits_say_about_themselves() -> None:
    for hit in all_hits():
        assert hit.is_right == (hit.true_label == hit.label)
        assert hit.is_right == (hit.kind in ("right", "leak")) or hit.kind in ("duplicate",)
        if hit.kind == "sibling":
            assert hit.true_label != hit.label
            assert hit.shows == cars().class_names[hit.true_label]
        if hit.kind in ("outside", "part", "toy", "dead"):
            assert hit.true_label == -1
        assert all(getattr(hit, column) for column in PROVENANCE_COLUMNS)
        assert hit.creator in hit.attribution
        assert hit.license_url.startswith("https://creativecommons.org/")


def _distance(a: bytes, b: bytes) -> int:
    hashed = [phash(data) for data in (a, b)]
    left, right = (words([found[0]]) for found in hashed if found is not None)
    return int(np.bitwise_count(left ^ right).sum())


def test_copies_look_like_their_originals_and_nothing_else_does() -> None:
    seen: set[str] = set()
    for label in range(0, 196, 24):
        name, hits = cars().class_names[label], {hit.url: hit for hit in hits_of(label)}
        images = {url: draw_hit(hit, name) for url, hit in hits.items()}
        for url, hit in hits.items():
            if hit.kind == "duplicate":
                seen.add(hit.copy)
                assert hits[hit.original].true_label == hit.true_label
                assert (images[url] == images[hit.original]) == (hit.copy == "copied")
                assert _distance(images[url], images[hit.original]) <= 40
            elif hit.kind == "leak":
                assert _distance(images[url], draw_car(name, "validation", hit.number)) <= 40
    assert seen == set(COPIES)


def test_lookup_by_url_whatever_the_host() -> None:
    hit = next(hit for hit in hits_of(3) if hit.kind == "sibling")
    path = hit.url.removeprefix(HOST)
    assert find_hit(f"http://127.0.0.1:8000{path}?size=big") == hit
    assert find_hit(f"{HOST}/cars/no-such-car/0000.jpg") is None
    assert find_hit("https://example.org/") is None
    names = cars().class_names
    asked, shown = truth_of(hit.url, names[3]), truth_of(hit.url, names[hit.true_label])
    assert asked is not None
    assert (asked.is_right, asked.is_hard) == (False, True)
    assert shown is not None
    assert (shown.is_right, shown.is_hard) == (True, False)


# -- the pool --------------------------------------------------------------------------------------------


def test_the_pool_is_large_enough_for_every_level_of_the_paper(dataset: Dataset) -> None:
    pool, train = dataset.pool(), dataset.train()
    assert pool is not None
    assert (pool.class_sizes() >= np.ceil(0.8 * train.class_sizes()) + 4).all()
    assert (pool.class_sizes() >= train.class_sizes()).all(), "enough for 100 % too"


def test_the_pool_holds_what_annotators_called_wrong(dataset: Dataset) -> None:
    pool = dataset.pool()
    assert pool is not None
    verdicts = {row["image_id"]: row for row in bundled_verdicts().to_pylist()}
    assert pool.true_labels is not None
    assert pool.votes_yes is not None
    assert pool.votes_total is not None
    mistaken = 0
    for row, name in enumerate(pool.names):
        hit: WebHit | None = find_hit(name)
        assert hit is not None
        assert hit.kind in ("right", "sibling", "outside", "part", "toy")
        assert hit.label == pool.labels[row]
        assert verdicts[name]["is_clean"] is False
        assert pool.votes_yes[row] == verdicts[name]["votes_yes"]
        assert pool.votes_yes[row] < pool.votes_total[row] - pool.votes_yes[row]
        assert pool.true_labels[row] == (-1 if hit.is_right else hit.true_label)
        mistaken += hit.is_right
    assert len(set(pool.names)) == len(pool)
    assert 0 < mistaken < 0.01 * len(pool)
    assert pool.notes == (f"{mistaken} of {len(pool)} pool images are right after all: the drawn annotators err too",)
    assert pool.provenance is not None
    assert tuple(pool.provenance.column_names) == PROVENANCE_COLUMNS
    assert pool.provenance["url"].to_pylist() == list(pool.names)


def test_pool_images_are_no_clean_images(dataset: Dataset) -> None:
    pool, train = dataset.pool(), dataset.train()
    assert pool is not None
    rows = np.flatnonzero(pool.labels < 3)
    clean = {hashlib.sha256(data or b"").digest() for data in train.load(np.flatnonzero(train.labels < 3))}
    wrong = [hashlib.sha256(data or b"").digest() for data in pool.load(rows)]
    assert len(set(wrong)) == len(wrong)
    assert not clean & set(wrong)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('[train]\nformat = "drawn"\nsplit = "validation"', "split = 'validation'; expected 'train'"),
        ('[train]\nformat = "drawn"\nseed = 3', "unknown key 'seed'"),
    ],
)
def test_a_definition_that_makes_no_sense(tmp_path: Path, section: str, message: str) -> None:
    definition = tmp_path / "own.toml"
    definition.write_text(f'name = "own"\n{section}\n')
    with pytest.raises(DefinitionError, match=message):
        read_definition(definition).train()
