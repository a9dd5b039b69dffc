"""WebDataset shards written by the workers of an engine, byte for byte those of one process.

First each row group's samples are measured, then it is known which rows go into which shard, then each shard is
written by itself. What is not finished lies beside the target (on a disk: ``.<name>.parts``; at a URL:
``_noisyweb_parts/`` in it), and the same export goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.atomic import disk_errors
from noisyweb.errors import CorruptFileError, OutputError
from noisyweb.export import Builds, Options, documents_of
from noisyweb.exporters import webdataset
from noisyweb.exporters._images import class_lines, with_image
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import LABEL_COLUMNS, Manifest
from noisyweb.places import absolute, names_in, remove_tree, write_file, write_whole
from noisyweb.remote_path import Place, open_parquet
from noisyweb.scale.blocks import digest
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Shard, Work, run_shards
from noisyweb.scale.shared import check_shared

PARTS = "_noisyweb_parts"
SIZES = pa.schema([("row", pa.int64()), ("bytes", pa.int64())])
WRITTEN = pa.schema([("name", pa.string()), ("samples", pa.int64())])


@dataclass(frozen=True)
class Group:
    """A row group of a manifest: its file, its number there, and the number of its first row in the manifest."""

    file: Place
    number: int
    first: int
    num_rows: int


@dataclass(frozen=True)
class Tar:
    """A shard that is to be written: rows ``start`` to before ``stop``, which these row groups hold."""

    place: Place
    groups: tuple[Group, ...]
    start: int
    stop: int


def export_webdataset(engine: Engine, builds: Builds, target: Place, options: Options) -> None:
    """Write builds as `noisyweb.exporters.webdataset` does.

    Args:
        engine: whose workers read the builds and write the shards; they all see both places.
        builds: at URLs, or on a disk that the workers share.
        target: a new folder, likewise.
        options: what the user chose.

    Raises:
        OutputError: something else stands at the target.
        SourceError: a row has no image, or a machine does not see the target.
    """
    manifests = [*((m, "train") for m in builds.train()), *((m, "validation") for m in builds.validations())]
    staged, parts = _stage(target, _digest(manifests, options))
    check_shared(engine, parts)
    names = builds.config_names()
    sizes: dict[Place, dict[str, int]] = {}
    for manifest, split in manifests:
        inner = names[manifest.folder.name] if split == "train" else VALIDATION_FOLDER
        folder = staged if builds.is_single else staged / inner
        written = _write(engine, manifest, split, folder, parts / f"{split}-{inner}", options)
        sizes.setdefault(folder, {}).update(written)
    for folder, of_shards in sizes.items():
        write_whole(folder / "sizes.json", webdataset.sizes_text(of_shards).encode())
    write_whole(staged / "classes.txt", class_lines(builds.class_names).encode())
    documents = documents_of(builds)
    remove_tree(staged / PARTS)
    for name, text in documents.items():  # the card, which vouches for the rest, is the last
        write_whole(staged / name, text.encode())
    if isinstance(staged, Path) and isinstance(target, Path):
        with disk_errors(target):
            for left in staged.rglob(".*.tmp"):  # by workers that were killed
                left.unlink()
            staged.rename(target)


def _stage(target: Place, digest: str) -> tuple[Place, Place]:
    """Where the export grows, and where its parts lie.

    Raises:
        OutputError: something else is there.
    """
    there = target.exists() if isinstance(target, Path) else bool(target.files())
    staged = target.absolute().parent / f".{target.name}.parts" if isinstance(target, Path) else target
    begun = names_in(staged / PARTS)
    goes_on = not isinstance(target, Path) and begun == [digest]
    if there and not goes_on:
        hint = "an export of something else that was cut off; " if begun and begun != [digest] else ""
        raise OutputError(f"{target}: it is there already; {hint}name another place or remove it")
    if isinstance(staged, Path) and begun != [digest]:
        remove_tree(staged)
    return staged, staged / PARTS / digest


def _digest(manifests: Sequence[tuple[Manifest, str]], options: Options) -> str:
    """What the parts depend on: the builds' files and the size of shards."""
    footers = [(str(file), open_parquet(file).metadata) for manifest, _ in manifests for file in manifest.files]
    return digest([(name, footer.num_rows, footer.serialized_size) for name, footer in footers], options.shard_bytes)


def _write(
    engine: Engine, manifest: Manifest, split: str, folder: Place, parts: Place, options: Options
) -> dict[str, int]:
    """Write the shards of one manifest; how many samples each holds, by its name."""
    groups = list(_groups(manifest))
    what = manifest.folder.name
    measured = _run(engine, manifest, Work("sizes", measure, SIZES), groups, parts, options, f"{what}, measured")
    sizes = np.concatenate([batch.column("bytes").to_numpy() for batch in measured] or [np.empty(0, np.int64)])
    tars = [
        Tar(absolute(folder / webdataset.shard_name(split, number)), tuple(_holding(groups, start, stop)), start, stop)
        for number, (start, stop) in enumerate(cuts(sizes, options.shard_bytes))
    ]
    written = _run(engine, manifest, Work("tars", write_tar, WRITTEN), tars, parts, options, what)
    return {row["name"]: row["samples"] for batch in written for row in batch.to_pylist()}


def _run(
    engine: Engine, manifest: Manifest, work: Work, items: Sequence[Any], parts: Place, options: Options, what: str
) -> list[pa.RecordBatch]:
    """What comes of all items, a shard each.

    Raises:
        CorruptFileError: one was given up; an export without some of its rows would be another data set.
    """
    shards = [Shard(f"{number:09d}", [item]) for number, item in enumerate(items)]
    done = run_shards(engine, work, shards, parts, options.progress, what)
    for _, reason in done.aside:
        raise CorruptFileError(f"{manifest.folder}: a part of it cannot be exported, three tries failed: {reason}")
    return list(done.batches())


def _groups(manifest: Manifest) -> Iterator[Group]:
    first = 0
    for file in manifest.files:
        metadata = open_parquet(file).metadata
        for number in range(metadata.num_row_groups):
            num_rows = metadata.row_group(number).num_rows
            yield Group(absolute(file), number, first, num_rows)
            first += num_rows


def cuts(sizes: npt.NDArray[np.int64], shard_bytes: int) -> Iterator[tuple[int, int]]:
    """The rows of each shard, start and stop, as `noisyweb.exporters.webdataset` cuts them.

    Args:
        sizes: what each sample takes, shape (N,).
        shard_bytes: see `noisyweb.export.Options`.
    """
    start = held = 0
    for row, size in enumerate(sizes.tolist()):
        if row > start and webdataset.is_full(held, size, shard_bytes):
            yield start, row
            start, held = row, 0
        held += size
    if len(sizes):
        yield start, len(sizes)


def _holding(groups: Sequence[Group], start: int, stop: int) -> Iterator[Group]:
    return (group for group in groups if group.first < stop and group.first + group.num_rows > start)


def measure(groups: Sequence[Group], _: None) -> Iterator[pa.RecordBatch]:
    """What each sample of some row groups takes in a tar file; a shard function."""
    for group in groups:
        sizes = [webdataset.sample_bytes(sample) for _, sample in _samples(group)]
        rows = np.arange(group.first, group.first + len(sizes))
        yield pa.RecordBatch.from_arrays([pa.array(rows), pa.array(sizes, pa.int64())], schema=SIZES)


def write_tar(tars: Sequence[Tar], _: None) -> Iterator[pa.RecordBatch]:
    """Write shards, each of which appears whole; a shard function."""
    for tar in tars:
        with write_file(tar.place) as temporary, webdataset.begin(temporary) as opened:
            for group in tar.groups:
                for row, sample in _samples(group):
                    if tar.start <= row < tar.stop:
                        webdataset.add(opened, sample)
        yield pa.RecordBatch.from_pylist([{"name": tar.place.name, "samples": tar.stop - tar.start}], schema=WRITTEN)


def _samples(group: Group) -> Iterator[tuple[int, list[webdataset.Member]]]:
    """The samples of a row group with the numbers of their rows."""
    opened = open_parquet(group.file)
    try:
        table = opened.read_row_group(group.number, columns=[*LABEL_COLUMNS, "image"])
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(f"{group.file}: damaged ({str(error).splitlines()[0]}); build it again") from error
    images = table.column("image").combine_chunks()
    rows = table.select(LABEL_COLUMNS).to_pylist()
    for place, (row, data, path) in enumerate(zip(rows, images.field("bytes"), images.field("path"), strict=True)):
        number = group.first + place
        row["path"] = path.as_py()
        whole = with_image(group.file.parent, number, row, data.as_py(), "webdataset")
        yield number, webdataset.sample(number, *whole)
