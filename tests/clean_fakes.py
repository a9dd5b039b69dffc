"""Small but faithful fakes of the copies of clean images that people have."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FINCH, ROBIN, DOG = "n01532829", "n01558993", "n02099601"
"""Classes 49, 13 and 40 of the release."""


def suffixes(wnid: str, count: int) -> list[int]:
    """Numbers as in ILSVRC file names: of one to five digits, with gaps, not in order."""
    return random.Random(wnid).sample(range(1, 20_000), count)


def write_class(folder: Path, wnid: str, numbers: Sequence[int]) -> None:
    """A class's ILSVRC images; the bytes say which file they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{wnid}_{number}.JPEG").write_bytes(content(wnid, number))


def content(wnid: str, number: int) -> bytes:
    return f"ILSVRC {wnid}_{number}".encode()


def class_tar(wnid: str, numbers: Sequence[int]) -> bytes:
    return tar_of((f"{wnid}_{number}.JPEG", content(wnid, number)) for number in numbers)


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of files, without compression."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_csv(path: Path, numbers: Mapping[str, Sequence[int]]) -> None:
    """One of the csv files of Ravi and Larochelle."""
    rows = [f"{wnid}{number:08d}.jpg,{wnid}" for wnid, some in numbers.items() for number in some]
    path.write_text("\n".join(["filename,label", *rows, ""]), encoding="utf-8")


def photo(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A smooth random picture, unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()
