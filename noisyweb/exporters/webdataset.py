"""WebDataset: tar shards of samples that are read in sequence.

    train-000000.tar ... validation-000000.tar       one build and its validation set
    red_40/train-000000.tar ... clean_validation/validation-000000.tar      several builds
    sizes.json          images in each shard of its folder, as open_clip and others look them up
    classes.txt         K lines

A sample is ``<key>.jpg`` (or ``.png``, ``.webp``, ...: the type is that of the bytes), ``<key>.cls`` (the label that
the trainer sees) and ``<key>.json`` (every column but the pixels, and the image's ``path``). Keys are the row's number
and the beginning of its image id: they sort in row order and have neither dots nor slashes. Owner, mode and time of
all members are fixed, so that the same builds give the same bytes.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from noisyweb.export import Builds, Options
from noisyweb.exporters._images import class_lines, encoded_rows
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest

SUMMARY = "tar shards of images, labels and columns (WebDataset)"

Member = tuple[str, bytes]
"""Name and content of a file in a shard."""

_BLOCK = tarfile.BLOCKSIZE


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Write shards of at most ``options.shard_bytes``, or of one sample where that is larger.

    Raises:
        SourceError: a row has no image.
    """
    names = builds.config_names()
    sizes: dict[Path, dict[str, int]] = {}
    for manifest in builds.train():
        folder = target if builds.is_single else target / names[manifest.folder.name]
        sizes.setdefault(folder, {}).update(_write(manifest, folder, "train", options))
    for manifest in builds.validations():
        folder = target if builds.is_single else target / VALIDATION_FOLDER
        sizes.setdefault(folder, {}).update(_write(manifest, folder, "validation", options))
    for folder, of_shards in sizes.items():
        (folder / "sizes.json").write_text(sizes_text(of_shards), encoding="utf-8")
    (target / "classes.txt").write_text(class_lines(builds.class_names), encoding="utf-8")
    return []


def sizes_text(of_shards: Mapping[str, int]) -> str:
    """The text of sizes.json."""
    return json.dumps(of_shards, indent=1, sort_keys=True) + "\n"


def _write(manifest: Manifest, folder: Path, split: str, options: Options) -> dict[str, int]:
    folder.mkdir(exist_ok=True)
    with _Shards(folder, split, options.shard_bytes) as shards:
        for number, (row, data, suffix) in enumerate(encoded_rows(manifest, "webdataset", options.progress)):
            shards.add(sample(number, row, data, suffix))
    return shards.sizes


def sample(number: int, row: Mapping[str, Any], data: bytes, suffix: str) -> list[Member]:
    """The members of one sample.

    Args:
        number: of the row.
        row, data, suffix: as `noisyweb.exporters._images.encoded_rows` gives them.
    """
    key = f"{number:09d}_{re.sub('[^A-Za-z0-9]+', '-', row['image_id'])[:16]}"
    columns = json.dumps(row, ensure_ascii=False, sort_keys=True).encode()
    return [(f"{key}{suffix}", data), (f"{key}.cls", b"%d" % row["label"]), (f"{key}.json", columns)]


def sample_bytes(members: Sequence[Member]) -> int:
    """What a sample takes in a tar file."""
    return sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in members)


def is_full(held: int, size: int, shard_bytes: int) -> bool:
    """Whether a shard that holds so many bytes would be too large with another sample."""
    return _file_bytes(held + size) > shard_bytes


def shard_name(split: str, number: int) -> str:
    """The name of a shard."""
    return f"{split}-{number:06d}.tar"


def begin(path: Path) -> tarfile.TarFile:
    """An empty shard, open for writing."""
    return tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)


def add(tar: tarfile.TarFile, members: Sequence[Member]) -> None:
    """Add one sample: owner, mode and time are always the same."""
    for name, data in members:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))


class _Shards:
    """Tar files that a new one of is begun when the next sample would make the last too large."""

    def __init__(self, folder: Path, split: str, shard_bytes: int) -> None:
        self.sizes: dict[str, int] = {}
        self._folder, self._split, self._shard_bytes = folder, split, shard_bytes
        self._tar: tarfile.TarFile | None = None
        self._held = 0
        self._name = ""

    def __enter__(self) -> _Shards:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tar is not None:
            self._tar.close()

    def add(self, members: Sequence[Member]) -> None:
        """Add one sample; all its members go into one shard."""
        size = sample_bytes(members)
        if self._tar is None or is_full(self._held, size, self._shard_bytes):
            self._begin()
        assert self._tar is not None, "begun above"
        add(self._tar, members)
        self._held += size
        self.sizes[self._name] += 1

    def _begin(self) -> None:
        if self._tar is not None:
            self._tar.close()
        self._name = shard_name(self._split, len(self.sizes))
        self._tar = begin(self._folder / self._name)
        self.sizes[self._name] = 0
        self._held = 0


def _file_bytes(held: int) -> int:
    """The size of a tar file whose members take so many bytes: two empty blocks end it, and it is made of records."""
    return -(-(held + 2 * _BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
