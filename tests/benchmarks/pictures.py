"""The pictures that dedup is measured on, many to a file: copies of photographs, their originals, and distractors.

Not a benchmark itself; `bench_dedup_accuracy.py` uses it. Photographs are sorted by name: those at even places are the
half that thresholds were tuned on, the others the half that is reported. Everything is made once, in two processes,
and kept in the temporary folder.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import copies
import numpy as np
from PIL import Image, ImageDraw

from noisyweb.decode import MAX_PIXELS

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CACHE = Path(tempfile.gettempdir()) / "noisyweb-bench"
NAMES = list(copies.COPIES)
HALVES = {"tune": 0, "report": 1}
PROCESSES = 2
MAX_DRAWN = 80
SMALLEST, LARGEST = 128, 256
"""The longer side of distractors: smaller ones are enlarged (bicubic), larger ones reduced."""

Source = bytes | Path | np.ndarray
Pairs = dict[tuple[int, int], str]
"""Rows of a query and of a reference, and what spoke for them."""


class Pack:
    """Encoded images in one file ``name.bin``, and where each ends in ``name.npy``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = np.memmap(path, np.uint8, "r")
        self._ends = np.concatenate([[0], np.load(path.with_suffix(".npy"))])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._bytes[self._ends[row] : self._ends[row + 1]].tobytes()


def packed(name: str, images: Callable[[], Iterable[bytes]]) -> Pack:
    """The pack of that name, made if it is not there."""
    path = CACHE / "dedup" / f"{name}.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".tmp-{os.getpid()}")
        sizes = []
        with unfinished.open("wb") as out:
            for data in images():
                sizes.append(out.write(data))
        np.save(path.with_suffix(".npy"), np.cumsum(sizes))
        unfinished.replace(path)
    return Pack(path)


def photographs(half: str, most: int | None = None) -> list[tuple[int, Path]]:
    """A half of the photographs, with their places among all."""
    found = sorted((SHARED / "photos").glob("*.jpg"))
    if not found:
        raise SystemExit(f"no photographs in ../shared/data/photos ({SHARED.name} is missing)")
    return list(enumerate(found))[HALVES[half] :: 2][:most]


def originals(half: str, most: int | None = None) -> Pack:
    """The photographs of a half, their files as they are."""
    photos = photographs(half, most)
    return packed(f"originals-{half}-{len(photos)}", lambda: (path.read_bytes() for _, path in photos))


def copies_of(half: str, most: int | None = None) -> Pack:
    """All copies of each photograph of a half: row i is copy i % len(COPIES) of photograph i // len(COPIES)."""
    photos = photographs(half, most)
    code = hashlib.sha256(Path(copies.__file__).read_bytes()).hexdigest()[:8]  # another text, other copies

    def made() -> Iterable[bytes]:
        with ProcessPoolExecutor(PROCESSES) as pool:
            for found in pool.map(_copies, photos):
                yield from found

    return packed(f"copies-{half}-{len(photos)}-{code}", made)


def _copies(photo: tuple[int, Path]) -> list[bytes]:
    place, path = photo
    return list(copies.copies(path.read_bytes(), seed=place).values())


def _cifar10() -> list[Source]:
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["image"]) for path in sorted((SHARED / "cifar10").glob("*.parquet"))]
    return [row["bytes"] for table in tables for row in table.column("image").to_pylist()]


def _fashion_mnist() -> list[Source]:
    path = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
    if not path.exists():
        return []
    return list(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28))


def _files(folder: str) -> Callable[[], list[Source]]:
    return lambda: [*sorted(Path(folder).rglob("*.png"))]


DISTRACTORS: Mapping[str, tuple[str, Callable[[], list[Source]]]] = {
    "cifar10": ("../shared/data/cifar10", _cifar10),
    "fashion-mnist": ("Debian's dataset-fashion-mnist", _fashion_mnist),
    "openclipart": ("Debian's openclipart-png", _files("/usr/share/openclipart/png")),
    "tuxpaint": ("Debian's tuxpaint-stamps-default", _files("/usr/share/tuxpaint/stamps")),
}
"""Pictures that are no photographs of ours: where they come from, and where they are."""


def distractors(most: int | None = None) -> dict[str, Pack]:
    """The distractors that are there, as JPEGs; what is missing is printed."""
    found = {}
    for name, (origin, sources) in DISTRACTORS.items():
        there: Sequence[Source] = _some(sources(), most)
        if there:
            found[name] = packed(f"{name}-{len(there)}", lambda there=there: _encoded(there))  # type: ignore[misc]
            if left_out := len(there) - len(found[name]):
                print(f"{left_out} of {name} left out: more than {MAX_PIXELS / 1e6:.0f} million pixels")
        else:
            print(f"no {name}: {origin} is not there")
    return found


def _some(sources: Sequence[Source], most: int | None) -> Sequence[Source]:
    return sources if most is None else sources[:: max(1, len(sources) // most)][:most]


def _encoded(sources: Sequence[Source]) -> Iterable[bytes]:
    with ProcessPoolExecutor(PROCESSES) as pool:
        yield from filter(None, pool.map(distractor, sources, chunksize=64))


def distractor(source: Source) -> bytes:
    """A picture as the web would have it: on white, neither very small nor large, JPEG of quality 90.

    Nothing where it has more pixels than noisyweb decodes: a few drawings have.
    """
    if isinstance(source, np.ndarray):
        image = Image.fromarray(source)
    else:
        Image.MAX_IMAGE_PIXELS = None  # here it is the next line that decides
        image = Image.open(source if isinstance(source, Path) else io.BytesIO(source))
    if image.width * image.height > MAX_PIXELS:
        return b""
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    longer = max(image.size)
    to = min(max(longer, SMALLEST), LARGEST)
    if to != longer:
        size = (max(1, round(image.width * to / longer)), max(1, round(image.height * to / longer)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    encoded: bytes = copies.jpeg(image)
    return encoded


@dataclass
class Pictures:
    """Queries and references of one half; reference i < len(originals) is the original of photograph i."""

    half: str
    names: list[str]
    copies: Pack
    originals: Pack
    distractors: dict[str, Pack]

    @classmethod
    def of(cls, half: str, most: int | None, distractors: dict[str, Pack]) -> Pictures:
        names = [path.stem for _, path in photographs(half, most)]
        return cls(half, names, copies_of(half, most), originals(half, most), distractors)

    @property
    def references(self) -> list[Pack]:
        return [self.originals, *self.distractors.values()]

    @property
    def num_references(self) -> int:
        return sum(map(len, self.references))

    @property
    def num_negatives(self) -> int:
        return len(self.copies) * self.num_references - len(self.copies)

    def load(self, wanted: Iterable[str]) -> Iterator[bytes]:
        """The bytes of pictures by their ids: q and the row of a query, r and that of a reference."""
        for name in wanted:
            yield self.copies[int(name[1:])] if name[0] == "q" else self._reference(int(name[1:]))[1]

    def title(self, name: str) -> str:
        """What a picture is."""
        row = int(name[1:])
        if name[0] == "q":
            return f"{self.names[row // len(NAMES)]}, {NAMES[row % len(NAMES)]}"
        return self._reference(row)[0]

    def _reference(self, row: int) -> tuple[str, bytes]:
        for name, pack in (("original", self.originals), *self.distractors.items()):
            if row < len(pack):
                return (self.names[row] if pack is self.originals else f"{name} {row}"), pack[row]
            row -= len(pack)
        raise IndexError(row)


def draw(false_pairs: Pairs, of: Pictures, path: Path) -> None:
    """False pairs side by side."""
    side, columns = 160, 4
    shown = list(false_pairs.items())[:MAX_DRAWN]
    sheet = Image.new("RGB", (columns * (2 * side + 20), -(-len(shown) // columns) * (side + 44)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, ((query, reference), how) in enumerate(shown):
        left, top = place % columns * (2 * side + 20), place // columns * (side + 44)
        for data, at in zip(of.load((f"q{query}", f"r{reference}")), (left, left + side + 4), strict=True):
            image = Image.open(io.BytesIO(data)).convert("RGB")
            image.thumbnail((side, side))
            sheet.paste(image, (at, top))
        for line, text in enumerate((of.title(f"q{query}"), of.title(f"r{reference}"), how)):
            pen.text((left, top + side + 12 * line), text[:54], "black")
    sheet.save(path)
    print(f"{len(shown)} of {len(false_pairs)} false pairs drawn into {path}")
