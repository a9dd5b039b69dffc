"""What is known of a workspace's images: hashes and views, kept so that nothing is worked out twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.described import Described, Looks
from noisyweb.embedding import Embedding, Vectors, embed, from_bytes, to_bytes
from noisyweb.hamming_chunks import Hashes
from noisyweb.image_ids import Ids, IdSet, find, ids_of, text_of, unique
from noisyweb.packed_views import SCAN_ROWS, HeldViews, PackedViews, StoredViews, faces_of_columns
from noisyweb.progress import Progress, silent
from noisyweb.proof import Load
from noisyweb.workers import Job, Picture, describe_all
from noisyweb.workspace import Workspace

TABLES = {"phash": "hashes", "dhash": "dhashes"}
"""The table of each hash; its column is named like the hash."""

NUM_WORDS = 4

Known = dict[str, tuple[bytes | None, bool]]
"""Hashes by image id: the hash (None: unreadable) and whether the image is flat."""


def described_ids(workspace: Workspace, method: str, with_views: bool) -> tuple[Iterator[Ids], Iterator[Ids]]:
    """The images whose hash is in a workspace, and those whose views are, some at a time, as their tables have them.

    Views of a version with other views do not count; where none are wanted there are none.
    """

    def hashed() -> Iterator[Ids]:
        for batch in workspace.scan(TABLES[method], ["image_id"]):
            yield ids_of(batch["image_id"])

    def viewed() -> Iterator[Ids]:
        for batch in workspace.scan("views", ["image_id", "probes", "targets"], SCAN_ROWS) if with_views else ():
            yield ids_of(batch["image_id"])[faces_of_columns(batch["probes"], batch["targets"]) >= 0]

    return hashed(), viewed()


def undescribed(workspace: Workspace, ids: Ids, method: str, with_views: bool) -> Ids:
    """Those of some ids, ascending, whose hash or views a workspace does not know."""
    is_new = np.zeros(len(ids), bool)
    for known, is_wanted in zip(described_ids(workspace, method, with_views), (True, with_views), strict=True):
        is_known = np.full(len(ids), not is_wanted)
        for part in known:
            rows = find(ids, part)
            is_known[rows[rows >= 0]] = True
        is_new |= ~is_known
    return ids[is_new]


def describe_new(
    workspace: Workspace,
    images: Iterable[tuple[str, Picture]],
    method: str,
    *,
    with_views: bool,
    num_images: int = 0,
    processes: int | None = None,
    progress: Progress = silent,
) -> None:
    """Hash images that a workspace does not know yet; rows are written as they come: a killed run loses little.

    Args:
        workspace: whose tables the rows go to.
        images: ids, and where their bytes are; consumed a few at a time. Those that are known already are passed over.
        method: "phash" or "dhash".
        with_views: work out views too.
        num_images: how many there are, for the progress; 0: not known.
        processes: see `noisyweb.workers.describe_all`.
        progress: told how many are done.
    """
    table = TABLES[method]
    hashed, viewed = (IdSet(unique(ids)) for ids in described_ids(workspace, method, with_views))

    def is_new(row: tuple[str, Picture]) -> bool:
        return row[0] not in hashed or (with_views and row[0] not in viewed)

    rows, pictures = tee(row for row in images if is_new(row))
    job = Job(method, with_views)
    found = describe_all((picture for _, picture in pictures), job, processes=processes)
    done = 0
    with workspace.journal(table) as hashes, workspace.journal("views") as views:
        for (image_id, _), one in zip(rows, found, strict=True):
            if image_id not in hashed:
                flat = one.is_flat if one.is_readable else None
                hashes.add({"image_id": image_id, method: one.hash, "flat": flat})
                hashed.add(image_id)
            if with_views and image_id not in viewed:
                parts = (one.views.probes.tobytes(), one.views.targets.tobytes()) if one.views else (None, None)
                views.add({"image_id": image_id, "probes": parts[0], "targets": parts[1], "inner": one.inner})
                viewed.add(image_id)
            done += 1
            progress("hash", done, num_images)
    workspace.settle(table)
    workspace.settle("views")


def known_hashes(workspace: Workspace, method: str = "phash") -> Known:
    """A workspace's hashes."""
    table = workspace.read(TABLES[method]).to_pydict()
    return {
        image_id: (value, bool(flat))
        for image_id, value, flat in zip(table["image_id"], table[method], table["flat"], strict=True)
    }


@dataclass(frozen=True)
class KnownLooks:
    """What a workspace knows of some images.

    Attributes:
        looks: for comparing them.
        is_readable, is_flat: of each, shape (N,).
    """

    looks: Looks
    is_readable: npt.NDArray[np.bool_]
    is_flat: npt.NDArray[np.bool_]


def known_looks(
    workspace: Workspace, ids: Ids, method: str, *, with_views: bool, load: Load | None = None
) -> KnownLooks:
    """What a workspace knows of images that have been described.

    Args:
        workspace: whose tables.
        ids: ascending, each once.
        method: the hash.
        with_views: whether views are looked at; they stay in their table.
        load: gives the images' bytes; None: the workspace's store does.
    """
    hashes = np.zeros((len(ids), NUM_WORDS), "<u8")
    is_readable, is_flat = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
    for batch in workspace.scan(TABLES[method], ["image_id", method, "flat"]):
        is_there = batch[method].is_valid().to_numpy(zero_copy_only=False)
        flat = batch["flat"].fill_null(False).to_numpy(zero_copy_only=False)
        rows = find(ids, ids_of(batch["image_id"]))
        known = rows >= 0
        hashes[rows[known & is_there]] = _fixed_words(batch[method])[known & is_there]
        is_readable[rows[known]], is_flat[rows[known]] = is_there[known], flat[known]
    views = StoredViews(workspace, ids) if with_views else None
    looks = Looks(ids, hashes, is_readable & ~is_flat, views, load or workspace.load, is_stored=load is None)
    return KnownLooks(looks, is_readable, is_flat)


def _fixed_words(column: pa.FixedSizeBinaryArray) -> Hashes:
    """32-byte hashes as words, shape (N, 4); of a null anything."""
    words = np.frombuffer(column.buffers()[1], "<u8") if len(column) else np.empty(0, "<u8")
    return words.reshape(-1, NUM_WORDS)[column.offset :][: len(column)]


def embed_new(workspace: Workspace, images: Described, embedding: Embedding, progress: Progress = silent) -> None:
    """Work out the vectors of images that a workspace has none of by this model; rows are written as they come."""
    new = list(without_vector(workspace, images, embedding.name).texts)
    with workspace.journal("embeddings") as journal:
        for image_id, vector in zip(new, embed(embedding, images.looks.load(new), progress), strict=True):
            value = None if vector is None else to_bytes(vector)
            journal.add({"image_id": image_id, "model": embedding.name, "vector": value})
    workspace.settle("embeddings")


def without_vector(workspace: Workspace, images: Described, model: str) -> Described:
    """Those of some images that a workspace has not looked at by a model."""
    is_new = np.ones(len(images.looks.ids) + 1, bool)
    for batch in _by_model(workspace, model, ["image_id", "model"]):
        is_new[find(images.looks.ids, ids_of(batch["image_id"]))] = False
    return images.part(np.flatnonzero(is_new[images.rows]))


def _by_model(workspace: Workspace, model: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in workspace.scan("embeddings", columns):
        yield batch.filter(pc.equal(batch["model"], model))


@dataclass(frozen=True, eq=False)
class KnownVectors:
    """Vectors by a model.

    Attributes:
        ids: of N images, ascending; those that the model could not read have none.
        vectors: of length 1, shape (N, D).
    """

    ids: Ids
    vectors: Vectors


def known_vectors(workspace: Workspace, model: str) -> KnownVectors:
    """A workspace's vectors by a model."""
    ids, parts = [], []
    for batch in _by_model(workspace, model, ["image_id", "model", "vector"]):
        batch = batch.filter(pc.greater(pc.fill_null(pc.binary_length(batch["vector"]), 0), 0))
        if len(batch):
            ids.append(ids_of(batch["image_id"]))
            parts.append(from_bytes(batch["vector"].to_pylist()))
    if not parts:
        return KnownVectors(unique([]), np.empty((0, 1), np.float32))
    there = np.concatenate(ids)
    order = np.argsort(there)
    return KnownVectors(there[order], np.concatenate(parts)[order])


def describe_now(
    images: Iterable[tuple[str, bytes]],
    load: Load,
    *,
    with_views: bool,
    what: str,
    num_images: int = 0,
    processes: int | None = None,
    progress: Progress = silent,
) -> Described:
    """Describe images without keeping anything; each id once, flat and unreadable ones left out.

    Args:
        images: ids and bytes, consumed a few at a time.
        load: gives their bytes again.
        with_views: work out views too.
        what, num_images, progress: what is told how many are done.
        processes: see `noisyweb.workers.describe_all`.
    """
    rows, pictures = tee(images)
    known: dict[str, tuple[bytes, Any]] = {}
    found = describe_all((data for _, data in pictures), Job("phash", with_views), processes=processes)
    for done, ((image_id, _), one) in enumerate(zip(rows, found, strict=True), start=1):
        if one.hash is not None and not one.is_flat:
            known[image_id] = one.hash, one.views
        progress(what, done, num_images)
    come = ids_of(list(known))
    order = np.argsort(come)
    hashes = words([value for value, _ in known.values()])[order]
    packed = PackedViews.of([views for _, views in known.values()]).take(order)
    looks = Looks(come[order], hashes, np.ones(len(come), bool), HeldViews(packed) if with_views else None, load)
    return looks.described(find(looks.ids, come))


def words(values: Sequence[bytes]) -> Hashes:
    """32-byte hashes as words, shape (N, 4)."""
    return np.frombuffer(b"".join(values), dtype="<u8").reshape(-1, NUM_WORDS)


def stored(workspace: Workspace, ids: Ids) -> Iterator[tuple[str, Picture]]:
    """Ids with where their bytes are in the store of a workspace on a disk."""
    for start in range(0, len(ids), 1 << 16):
        for image_id in text_of(ids[start : start + (1 << 16)]).to_pylist():
            path = workspace.path(image_id)
            assert isinstance(path, Path)
            yield image_id, path
