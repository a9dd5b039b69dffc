"""What the two folder layouts of noisy-label code have in common: file names, class numbers, annotations.

What their readers rely on, as their code stands:

- A class is a number, in the split files and as a folder; PLS and DSOS (PaulAlbert31) open the folders 0 to 99 one by
  one, so that each must be there.
- Web images are told from clean ones by their names: PLS and several benchmarks of long-tailed noise take a name that
  begins with ``n`` (as ImageNet's do) for a clean image, and PLS looks any other up in the annotations.
- PLS looks up a file's name with ``.jpg`` cut off, the release has no other suffix: all names end in ``.jpg``, whatever
  type the bytes are of. Pillow, with which all of them read, goes by the bytes.
- PropMix (filipe-research) and InstanceGM (arpit2412) keep the labels of a split in a dictionary by file name: one name
  must not stand in a split twice with two labels.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noisyweb.exporters._images import file_part
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest

SUFFIX = ".jpg"
RELEASE_NAMES = {"cars": ("stanford_cars", "stanford-cars")}
"""Folder and annotations of a data set that the release calls otherwise than noisyweb."""

CLEAN_SPLIT = VALIDATION_FOLDER
_HEX_DIGITS = 16


class FileNames:
    """Names of image files: one name, one image.

    An image of the official edition keeps the name that the release gives it. Any other is named as the release would:
    16 hexadecimal digits of its id, with an ``n`` in front if it is a clean one.
    """

    def __init__(self) -> None:
        self._images: dict[str, str] = {}

    def split(self, manifest: Manifest) -> SplitNames:
        """The names of one split."""
        return SplitNames(self._images, manifest.info["edition"] == "official")


class SplitNames:
    """Names within one split: an image that stands there twice has two."""

    def __init__(self, images: dict[str, str], is_official: bool) -> None:
        self._images, self._is_official = images, is_official
        self._seen: Counter[str] = Counter()

    def name(self, row: Mapping[str, Any]) -> str:
        """The file name of the next row."""
        stem = self._stem(row)
        self._seen[stem] += 1
        again = self._seen[stem]
        return f"{stem}{SUFFIX}" if again == 1 else f"{stem}_{again}{SUFFIX}"

    def _stem(self, row: Mapping[str, Any]) -> str:
        image_id = row["image_id"]
        whole = re.sub(r"[._]", "-", file_part(image_id, 200))
        start = "n" if row["source"] != "web" else "" if re.match("[^n]", whole) else "w"
        stems = [f"{start}{whole[:_HEX_DIGITS]}", f"{start}{whole}"]
        own = re.fullmatch(r"([A-Za-z0-9_]{1,64})\.[A-Za-z]{3,4}", (row["path"] or "").rsplit("/", 1)[-1])
        if self._is_official and own:
            stems.insert(0, own[1])
        for stem in stems:
            if self._images.setdefault(stem, image_id) == image_id:
                return stem
        number = 2
        while self._images.setdefault(f"{stems[-1]}-{number}", image_id) != image_id:
            number += 1
        return f"{stems[-1]}-{number}"


class Annotations:
    """The release's list of web images with the annotators' verdict."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, int], tuple[str, int]] = {}

    def add(self, file_name: str, row: Mapping[str, Any]) -> None:
        """Note a row if its image is from the web."""
        if row["source"] == "web":
            key = file_name.removesuffix(SUFFIX), row["label"]
            self._items[key] = row["url"] or "", int(row["is_clean"])

    def write(self, path: Path, name: str) -> None:
        """Write them in the release's form."""
        data = [
            [{"image/uri": uri, "image/id": key, "image/class/label": label, "image/class/label/is_clean": is_clean}]
            for (key, label), (uri, is_clean) in sorted(self._items.items())
        ]
        text = json.dumps({"name": name, "version": "1.0", "data": data})
        path.write_text(text + "\n", encoding="utf-8")
