"""Small sets for pages that go on from one: ``python "$REPO/tests/small_sets.py" NAME FOLDER``. All of it is drawn.

cars          builds ``cars/red_noise_nl_0.4``, ``cars/blue_noise_nl_0.4``, and the clean validation set
pets          two classes: ``images/train``, ``test-00.parquet``, and ``found``, what a crawl would find of each
pets-votes    ``votes.csv``: three people on all images in the workspace ``crawl``
pets-crawled  ``pets``, ``pets.toml``, and the workspace ``crawl``: fetched, without copies, voted on
release       ``dataset_no_images.zip``, a small one of the official form
cifar10n      ``train.parquet`` with three people's labels
audit         ``given.npy`` and ``true.npy`` of 60,000 rows, of which 24 % are wrong
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.build import Recipe, build
from noisyweb.cli._main import app
from noisyweb.dataset import read_definition
from noisyweb.drawn.draw import draw_car
from noisyweb.schemas import IMAGE_TYPE
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

CARS = ("Audi TT RS Coupe 2012", "Dodge Caravan Minivan 1997", "Ford F-150 Regular Cab 2012", "Jeep Wrangler SUV 2012")
OTHERS = ("BMW X5 SUV 2007", "Ferrari California Convertible 2012", "Volvo 240 Sedan 1993", "Acura TL Sedan 2012")
FOLDERS = '[{0}]\nformat = "imagefolder"\npath = "{0}"\n'


def cars(folder: Path) -> None:
    with TemporaryDirectory() as place:
        for name, other in zip(CARS, OTHERS, strict=True):
            _draw(Path(place, "train", name), name, "train", 40)
            _draw(Path(place, "validation", name), name, "validation", 10)
            _draw(Path(place, "pool", name), other, "train", 20)
        definition = Path(place, "cars.toml")
        parts = "".join(map(FOLDERS.format, ("train", "validation", "pool")))
        definition.write_text(f'name = "cars"\nedition = "drawn"\n{parts}', encoding="utf-8")
        for kind in ("red", "blue"):
            recipe = Recipe.of(kind, [Decimal("0.4")], 0)
            list(build(read_definition(definition), recipe, out=folder, leak_check=False))


def _draw(place: Path, name: str, split: str, count: int) -> None:
    place.mkdir(parents=True)
    for number in range(count):
        (place / f"{number:03d}.jpg").write_bytes(draw_car(name, split, number))


def pets(folder: Path) -> None:
    shown = {"cat": CARS[0], "dog": CARS[1]}
    for pet, other in zip(shown, OTHERS, strict=False):
        _draw(folder / "images/train" / pet, shown[pet], "train", 20)
        _draw(folder / "found" / pet, other, "train", 14)
    rows = [
        {"image": {"bytes": draw_car(name, "validation", number), "path": f"{pet}-{number}.jpg"}, "label": label}
        for label, (pet, name) in enumerate(shown.items())
        for number in range(5)
    ]
    _parquet(folder / "test-00.parquet", rows, ["label"])


def _parquet(file: Path, rows: list[dict[str, object]], labels: list[str]) -> None:
    schema = pa.schema([("image", IMAGE_TYPE), *((name, pa.int64()) for name in labels)])
    pq.write_table(pa.Table.from_pylist(rows, schema), file)


def pets_votes(folder: Path) -> None:
    with (folder / "votes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_id", "class", "annotator", "answer"))
        for number, asked in enumerate(questions(Workspace(folder / "crawl")).to_pylist()):
            answer = "yes" if number % 7 == 0 else "no"
            for annotator in ("anna", "bob", "carl"):
                writer.writerow((asked["image_id"], asked["class_name"], annotator, answer))


def pets_crawled(folder: Path) -> None:
    pets(folder)
    os.chdir(folder)
    parts = FOLDERS.format("train").replace('"train"', '"images/train"')
    parts += '[validation]\nformat = "parquet"\npath = "test-*.parquet"\n'
    parts += '[pool]\nformat = "workspace"\nworkspace = "crawl"\n'
    Path("pets.toml").write_text(f'name = "pets"\nclasses = ["cat", "dog"]\n{parts}', encoding="utf-8")
    for command in (
        "crawl --classes pets.toml --workspace crawl --source folder=found",
        "dedup --workspace crawl --dataset pets.toml",
    ):
        app(command.split(), standalone_mode=False)
    pets_votes(Path())
    app(["label", "import", "votes.csv", "--workspace", "crawl"], standalone_mode=False)


def release(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.release import make_release

    with TemporaryDirectory() as place:
        make_release(Path(place, "dataset_no_images")).zip(folder / "dataset_no_images.zip")


def cifar10n(folder: Path) -> None:
    people = ["human_1", "human_2", "human_3"]
    rows: list[dict[str, object]] = []
    for number in range(100):
        true, image = number % 10, draw_car(CARS[number % 4], "train", number)
        given = [(true + number // 10 % 3) % 10 for _ in people]
        rows.append(
            {"image": {"bytes": image, "path": f"{number}.jpg"}, "label": true, **dict(zip(people, given, strict=True))}
        )
    _parquet(folder / "train.parquet", rows, ["label", *people])


def audit(folder: Path) -> None:
    rng = np.random.default_rng(0)
    true = np.arange(60_000) % 100
    wrong = rng.random(len(true)) < 0.24
    np.save(folder / "true.npy", true)
    np.save(folder / "given.npy", np.where(wrong, (true + rng.integers(1, 100, len(true))) % 100, true))


MAKERS: dict[str, Callable[[Path], None]] = {
    "cars": cars,
    "pets": pets,
    "pets-votes": pets_votes,
    "pets-crawled": pets_crawled,
    "release": release,
    "cifar10n": cifar10n,
    "audit": audit,
}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
