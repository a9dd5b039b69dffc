"""Ids and classes of Mini-ImageNet as the official release has them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_ENDING = r"(?:\.(?:jpe?g|png))?"
_CSV_ID = re.compile(rf"(n[0-9]{{8}})([0-9]{{8}}){_ENDING}", re.IGNORECASE)
_VALIDATION_ID = re.compile(rf"ILSVRC2012_val_([0-9]{{8}}){_ENDING}", re.IGNORECASE)


@dataclass(frozen=True, order=True, slots=True)
class MiniId:
    """One clean image.

    Attributes:
        wnid: its class; empty for an image of the ILSVRC2012 validation set, whose name does not tell.
        number: the csv's number, from 1; or the number in the validation image's name, from 1.
    """

    wnid: str
    number: int

    def __str__(self) -> str:
        return f"{self.wnid}{self.number:08d}.jpg" if self.wnid else f"ILSVRC2012_val_{self.number:08d}.jpg"


def parse_id(image_id: str) -> MiniId | None:
    """Read an id, with or without folder and file ending; None if it is no id of Mini-ImageNet."""
    name = image_id.rpartition("/")[2]
    if found := _CSV_ID.fullmatch(name):
        return MiniId(found[1].lower(), int(found[2])) if int(found[2]) else None
    if found := _VALIDATION_ID.fullmatch(name):
        return MiniId("", int(found[1])) if int(found[1]) else None
    return None


@cache
def class_names() -> dict[str, str]:
    """The 100 classes in the release's order: wnid -> name."""
    file = resources.files("noisyweb.manifests") / "mini-imagenet" / "classes.csv"
    return {row["wnid"]: row["class_name"] for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())}
