"""The 84x84 images of Mini-ImageNet that are passed on as pickles.

Two forms, one file for each of the csv files:

- ``image_data``, uint8 (n, 84, 84, 3), and ``class_dict``, wnid -> rows: ``mini-imagenet-cache-train.pkl``. Row i is
  line i of the csv file: renmengye/few-shot-ssl-public writes it so (``fewshot/data/mini_imagenet.py``).
- ``data``, ``labels`` and ``catname2label``, wnid -> label: ``miniImageNet_category_split_test.pickle``. Nobody says in
  which order its rows are; they are taken to be in the csv's, class by class, and a note says so.

No pickle names its images, so that the csv files are needed. Pixels are encoded as PNG, which loses nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from noisyweb.clean_copies.mini_ids import MiniId
from noisyweb.clean_copies.places import Place
from noisyweb.clean_copies.ravi_csv import RaviCsv
from noisyweb.clean_copies.safe_pickle import ArrayState, NotAllowedError, Reference, read_pickle
from noisyweb.errors import SourceError

MAX_PICKLE_BYTES = 4 << 30
MAX_IMAGES, MAX_SIDE = 100_000, 512

_OTHER_IMAGES = ("train_phase_val", "train_phase_test")
"""Files of the second form with further images of the training classes, which the csv files do not list."""


def is_pickle(name: str) -> bool:
    """Whether a file's name is that of a pickle of Mini-ImageNet."""
    lower = name.lower()
    return (
        lower.endswith((".pkl", ".pickle"))
        and lower.replace("-", "").replace("_", "").startswith("miniimagenet")
        and not any(other in lower for other in _OTHER_IMAGES)
        and not any(other in lower for other in ("bookkeeping", "labelsplit"))
    )


@dataclass(frozen=True)
class _Pixels:
    place: Place
    height: int
    width: int

    def png(self, row: int) -> bytes:
        size = self.height * self.width * 3
        pixels = Place(self.place.path, self.place.offset + row * size, size).read()
        out = io.BytesIO()
        Image.frombytes("RGB", (self.width, self.height), pixels).save(out, "PNG")
        return out.getvalue()


class Pickles:
    """Images in pickles, which are opened when the first is asked for.

    Args:
        files: the pickles.
        listed: the csv files.
    """

    layout = "84x84 pickles"

    def __init__(self, files: Sequence[Path], listed: RaviCsv) -> None:
        self._files, self._listed = files, listed
        self._rows: dict[MiniId, tuple[_Pixels, int]] | None = None
        self._order_unknown = False

    def find(self, image: MiniId) -> Callable[[], bytes] | None:
        """How to read an image; None if it is not there.

        Raises:
            SourceError: a pickle is not of the form above, or has other images than the csv files list.
        """
        if self._rows is None:
            self._rows = dict(self._read())
        if image not in self._rows:
            return None
        pixels, row = self._rows[image]
        return partial(pixels.png, row)

    def notes(self) -> list[str]:
        """What rests on an assumption."""
        if not self._order_unknown:
            return []
        return [f"the images of the {self.layout} are taken to be in the csv files' order; nothing in them says so"]

    def _read(self) -> Iterator[tuple[MiniId, tuple[_Pixels, int]]]:
        came_from: dict[str, Path] = {}
        for path in self._files:
            try:
                pixels, rows_of = self._open(path)
            except NotAllowedError as error:
                raise SourceError(f"{path}: {error}; {_EXPECTED}") from error
            for wnid, rows in rows_of.items():
                numbers = self._listed.numbers.get(wnid, [])
                if wnid in came_from:
                    raise SourceError(f"{path}: class {wnid[:20]!r} is also in {came_from[wnid]}; keep one of them")
                came_from[wnid] = path
                if len(rows) != len(numbers) or wnid in self._listed.in_several:
                    raise SourceError(
                        f"{path}: {len(rows)} images of class {wnid[:20]!r}; the csv files list {len(numbers)}, or "
                        "list it twice, so nobody can tell which is which: use the csv files that belong to it"
                    )
                for number, row in zip(numbers, rows, strict=True):
                    yield MiniId(wnid, number), (pixels, row)

    def _open(self, path: Path) -> tuple[_Pixels, Mapping[str, list[int]]]:
        content, places = read_pickle(path, max_bytes=MAX_PICKLE_BYTES)
        content = _with_text_keys(content, "it")
        if "image_data" in content and "class_dict" in content:
            pixels, num_images = _pixels(content["image_data"], places)
            rows_of = {
                wnid: _whole_numbers(rows, places, MAX_IMAGES)
                for wnid, rows in _with_text_keys(content["class_dict"], "class_dict").items()
            }
        elif {"data", "labels", "catname2label"} <= content.keys():
            self._order_unknown = True
            pixels, num_images = _pixels(content["data"], places)
            labels = _whole_numbers(content["labels"], places, num_images)
            if len(labels) != num_images:
                raise NotAllowedError(f"{len(labels)} labels for {num_images} images")
            names = {_whole_number(v): k for k, v in _with_text_keys(content["catname2label"], "catname2label").items()}
            rows_of = {wnid: [] for wnid in names.values()}
            for row, label in enumerate(labels):
                if label not in names:
                    raise NotAllowedError(f"label {label}, which catname2label does not name")
                rows_of[names[label]].append(row)
        else:
            raise NotAllowedError(f"keys {', '.join(sorted(content)[:5])}")
        taken = [row for rows in rows_of.values() for row in rows]
        if len(set(taken)) < len(taken) or not set(taken) <= set(range(num_images)):
            raise NotAllowedError(f"rows that are twice there or outside its {num_images} images")
        return pixels, rows_of


_EXPECTED = "expected image_data and class_dict, or data, labels and catname2label"


def _pixels(array: Any, places: Sequence[Place]) -> tuple[_Pixels, int]:
    shape = tuple(array.shape) if isinstance(array, ArrayState) else ()
    match shape:
        case (int(n), int(height), int(width), 3) if (
            0 < n <= MAX_IMAGES and 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and array.dtype[1:] == "u1"
        ):
            place = places[array.data] if isinstance(array.data, Reference) else None
            if place is None or place.size != n * height * width * 3:
                raise NotAllowedError(f"images of shape {shape} without as many pixels")
            return _Pixels(place, height, width), n
    raise NotAllowedError(f"images of shape {str(shape)[:50]} that are not uint8 of shape (n, 84, 84, 3)")


def _with_text_keys(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAllowedError(f"{what} is a {type(value).__name__}, not a dict")
    keys = [key.decode("ascii", "replace") if isinstance(key, bytes) else key for key in value]
    if not all(isinstance(key, str) for key in keys):
        raise NotAllowedError(f"{what} has keys that are no text")
    return dict(zip(keys, value.values(), strict=True))


def _whole_numbers(value: Any, places: Sequence[Place], max_items: int) -> list[int]:
    if isinstance(value, ArrayState):
        return [int(number) for number in value.values(places, max_items)]
    if not isinstance(value, list) or len(value) > max_items:
        raise NotAllowedError(f"other than a list of at most {max_items} numbers")
    return [_whole_number(item) for item in value]


def _whole_number(item: Any) -> int:
    if type(item) is not int or not -(2**31) <= item < 2**31:
        raise NotAllowedError(f"{type(item).__name__} where a whole number is expected")
    return item
