"""Small stand-ins for what the tutorials presuppose: photographs, a web, friends who answer, the official release.

Hidden set-up of the pages calls it as ``python "$REPO/tests/stand_ins.py" NAME PATH...``. All of it is drawn.

A stand-in of the web goes on after its command has ended, until the page's test ends it. It leaves a program
``noisyweb`` in a folder for the path, which hands everything on to the real one and tells `crawl` and `fetch` that the
web is on this machine; ``noisyweb label serve`` has friends who answer everything and then press Ctrl-C.
"""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from noisyweb.drawn.draw import draw_car
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.server import serve
from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import WebHit, hits_of
from noisyweb.labelling.simulated import collect
from noisyweb.manifest import image_id
from noisyweb.official.annotations import read_annotations
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

REPO = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).parent / "noisyweb"
CLASSES = (
    "Audi TT RS Coupe 2012",
    "Dodge Caravan Minivan 1997",
    "Ford F-150 Regular Cab 2012",
    "Jeep Wrangler SUV 2012",
    "Mercedes-Benz Sprinter Van 2012",
    "smart fortwo Convertible 2012",
)
PER_CLASS = 30
RELEASE_CLASSES = CLASSES[:4]
ERRORS = {"anna": 0.02, "bob": 0.03, "carl": 0.12}  # how often a friend errs; carl is in a hurry
TRUTH = "truth.parquet"


def photographs(folder: Path) -> None:
    """Clean images of six cars: ``<folder>/train/<class>/<n>.jpg`` and ``<folder>/validation/...``."""
    for split in ("train", "validation"):
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(PER_CLASS):
                (place / f"{number:03d}.jpg").write_bytes(draw_car(name, split, number))


def web(programs: Path) -> None:
    """A web of six cars with a search like Openverse's; what its images show is ``<programs>/truth.parquet``."""
    _in_background("stay-web", programs)


def _stay_web(programs: Path) -> None:
    with serve(CLASSES, delay_s=0.05) as running:
        pq.write_table(running.truth(), programs / TRUTH)
        _program(programs, "--api-url", f"openverse={running.api_url}", "--timeout", "1")
        _stay()


def _in_background(name: str, programs: Path) -> None:
    programs.mkdir(parents=True)
    command = [sys.executable, __file__, name, str(programs.resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.returncode = 0  # it goes on by itself


def _stay() -> None:
    print("ready", flush=True)
    threading.Event().wait()


def _program(programs: Path, *crawling: str, fetching: tuple[str, ...] = ()) -> None:
    """The ``noisyweb`` that a page's blocks find."""
    here = shlex.quote(str(PROGRAM))
    friends = shlex.join([sys.executable, __file__, "friends", str(programs)])
    (programs / "noisyweb").write_text(
        f"""#!/bin/sh
case "$1 $2" in
    "crawl "*) exec {here} "$@" --allow-loopback --rate 0 --processes 1 {shlex.join(crawling)} ;;
    "fetch "*) exec {here} "$@" {shlex.join(fetching)} ;;
    "label serve") shift 2; exec {friends} "$@" ;;
esac
exec {here} "$@"
""",
        encoding="utf-8",
    )
    (programs / "noisyweb").chmod(0o755)


def votes(programs: Path, workspace: Path, target: Path) -> None:
    """People's answers to every question of a workspace that was crawled from `web`, as a CSV file."""
    asked = questions(Workspace(workspace))
    named = {(row["image_id"], row["label"]): row["class_name"] for row in asked.to_pylist()}
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image_id", "class", "annotator", "answer"))
        for table in collect(asked, {"truth": str(programs / TRUTH), "seed": "0"}):
            for row in table.to_pylist():
                name = named[row["image_id"], row["label"]]
                writer.writerow((row["image_id"], name, row["annotator"], row["answer"]))


def friends(programs: Path, *words: str) -> None:
    """Open the annotation page with the options of ``noisyweb label serve``, and answer until nothing is left."""
    from tests.annotation import Annotator, PageServer

    given: dict[str, list[str]] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        given.setdefault(option, []).append(value)
    [workspace], [definition] = given["--workspace"], given["--dataset"]
    truth = {row["url"]: row["is_right"] for row in pq.read_table(programs / TRUTH).to_pylist()}
    found = {row["image_id"]: truth[row["url"]] for row in questions(Workspace(Path(workspace))).to_pylist()}
    photos = Path(definition).parent.glob("images/train/*/*.jpg")
    clean = {image_id(path.read_bytes()): path.parent.name for path in photos}

    def look(friend: Annotator, task: dict[str, str]) -> str:
        key = image_id(friend.http.get(f"/image/{task['id']}").content)
        is_right = found[key] if key in found else clean[key] == task["class_name"]
        chance = np.random.default_rng([*key.encode(), *friend.name.encode()]).random()
        return "yes" if is_right == (chance >= ERRORS[friend.name]) else "no"

    with PageServer(Path(workspace), given["--annotator"], "--dataset", definition) as page:
        print(page.said, end="")
        busy = [page.client(name) for name in given["--annotator"]]
        while busy:
            for friend in list(busy):
                tasks = friend.work(want=20)["tasks"]
                friend.work([(task["id"], look(friend, task)) for task in tasks])
                if not tasks:
                    busy.remove(friend)
        print(page.stop(), end="")


def release(programs: Path) -> None:
    """The official release on a server, of four cars and with every ninth of its web images dead."""
    _in_background("stay-release", programs)


def _stay_release(programs: Path) -> None:
    from tests.files_server import FilesServer
    from tests.release import make_release
    from tests.web import HostileWeb

    with HostileWeb() as images, FilesServer({}) as files:
        made = make_release(programs / "made/dataset_no_images", sets=["cars"], web_url=f"{images.base}/")
        (made.folder / "stanford_cars/class_name.txt").write_text("\n".join(RELEASE_CLASSES) + "\n", encoding="utf-8")
        files.files["/release.zip"] = made.zip(programs / "release.zip").read_bytes()
        hits: dict[tuple[int, bool], list[WebHit]] = {}
        for label, name in enumerate(RELEASE_CLASSES):
            living = [hit for hit in hits_of(cars().class_names.index(name)) if hit.kind not in ("dead", "leak")]
            for is_right in (True, False):
                hits[label, is_right] = [hit for hit in living if hit.is_right == is_right and not hit.copy]
        annotations = read_annotations(made.folder / "stanford-cars-annotations.json", len(RELEASE_CLASSES))
        for number, one in enumerate(annotations):
            hit = hits[one.label, one.is_clean].pop()
            if number % 9:
                images.archive[f"/{one.key}.jpg"] = draw_hit(hit, RELEASE_CLASSES[one.label])
        images.archive["/wayback/available"] = json.dumps({"archived_snapshots": {}}).encode()
        fetching = ("--url", files.url("/release.zip"))
        _program(programs, "--api-url", f"archive={images.base}", fetching=fetching)
        _stay()


def stanford_cars(folder: Path) -> None:
    """One's own copy of the clean images of `release`, as torchvision has them."""
    for split, count in (("train", 20), ("test", 5)):
        place = folder / f"cars_{split}"
        place.mkdir(parents=True)
        for number in range(len(RELEASE_CLASSES) * count):
            image = draw_car(RELEASE_CLASSES[number // count], split, number % count)
            (place / f"{number + 1:05d}.jpg").write_bytes(image)


def pool(folder: Path) -> None:
    """Wrong web images of six cars, ``<folder>/<class>/<n>.jpg``."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        hits = [hit for hit in hits_of(cars().class_names.index(name)) if hit.kind in ("sibling", "outside", "part")]
        for number, hit in enumerate(hits):
            (folder / name / f"{number:03d}.jpg").write_bytes(draw_hit(hit, name))


def theirs(folder: Path) -> None:
    """Somebody else's set: ``images/``, ``given.csv`` said to have 40 % of its labels flipped, ``true.csv``."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    given, true = [], []
    for label, name in enumerate(CLASSES):
        for number in range(2 * PER_CLASS):
            image = f"{label * 2 * PER_CLASS + number:04d}.jpg"
            (folder / "images" / image).write_bytes(draw_car(name, "train", number))
            # The fault: flips are drawn twice, and what the second draw chooses is put right again: 0.4 x 0.6 = 0.24.
            first, second = rng.random(2) < 0.4
            wrong = (label + 1 + int(rng.integers(len(CLASSES) - 1))) % len(CLASSES)
            given.append((image, CLASSES[wrong if first and not second else label]))
            true.append((image, name))
    for file, rows in (("given.csv", given), ("true.csv", true)):
        with (folder / file).open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened, lineterminator="\n").writerows([("image", "label"), *rows])


MAKERS: dict[str, Callable[..., None]] = {
    "photographs": photographs,
    "web": web,
    "stay-web": _stay_web,
    "votes": votes,
    "release": release,
    "stay-release": _stay_release,
    "stanford-cars": stanford_cars,
    "pool": pool,
    "theirs": theirs,
}

if __name__ == "__main__":
    sys.path.insert(0, str(REPO))  # for other parts of the tests
    if sys.argv[1] == "friends":
        friends(Path(sys.argv[2]), *sys.argv[3:])
    else:
        MAKERS[sys.argv[1]](*map(Path, sys.argv[2:]))
