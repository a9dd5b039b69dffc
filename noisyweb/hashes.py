"""What is known of a workspace's images: hashes and views, kept so that nothing is worked out twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import tee
from pathlib import Path

import numpy as np
import pyarrow as pa

from noisyweb.embedding import Embedding, Vectors, embed, from_bytes, to_bytes
from noisyweb.hamming_chunks import Hashes
from noisyweb.progress import Progress, silent
from noisyweb.proof import Load
from noisyweb.views import NUM_TARGETS, PROBES, Views
from noisyweb.workers import Job, Picture, describe_all
from noisyweb.workspace import Workspace

TABLES = {"phash": "hashes", "dhash": "dhashes"}
"""The table of each hash; its column is named like the hash."""

NUM_WORDS = 4

Known = dict[str, tuple[bytes | None, bool]]
"""Hashes by image id: the hash (None: unreadable) and whether the image is flat."""


@dataclass(frozen=True)
class Described:
    """Images that are to be compared with others.

    Attributes:
        ids: N image ids, each once, none of them flat or unreadable.
        hashes: shape (N, 4).
        views: N views; all None where copies are looked for by the hash alone.
        load: gives the images' bytes.
        is_stored: whether they are in the workspace's store, where workers elsewhere find them too.
    """

    ids: list[str]
    hashes: Hashes
    views: list[Views | None]
    load: Load
    is_stored: bool = False

    def part(self, ids: Sequence[str]) -> Described:
        """Some of them, in the order asked for; ids that are not among them are left out."""
        rows = [self._places[image_id] for image_id in ids if image_id in self._places]
        views = [self.views[row] for row in rows]
        return Described([self.ids[row] for row in rows], self.hashes[rows], views, self.load, self.is_stored)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each image stands: asked for once for every image that is compared closely."""
        return {image_id: place for place, image_id in enumerate(self.ids)}


def describe_new(
    workspace: Workspace,
    images: Iterable[tuple[str, Picture]],
    method: str,
    *,
    with_views: bool,
    processes: int | None = None,
    progress: Progress = silent,
) -> None:
    """Hash images that a workspace does not know yet; rows are written as they come: a killed run loses little.

    Args:
        workspace: whose tables the rows go to.
        images: ids, and where their bytes are; consumed a few at a time. Those that are known already are passed over,
            and counted beforehand if this is a list.
        method: "phash" or "dhash".
        with_views: work out views too.
        processes: see `noisyweb.workers.describe_all`.
        progress: told how many are done.
    """
    table = TABLES[method]
    hashed = set(workspace.read(table)["image_id"].to_pylist())
    viewed = set(known_views(workspace)) if with_views else set()

    def is_new(row: tuple[str, Picture]) -> bool:
        return row[0] not in hashed or (with_views and row[0] not in viewed)

    total = sum(map(is_new, images)) if isinstance(images, list) else 0
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
            progress("hash", done, total)
    workspace.fold(table)
    workspace.fold("views")


def known_hashes(workspace: Workspace, method: str = "phash") -> Known:
    """A workspace's hashes."""
    table = workspace.read(TABLES[method]).to_pydict()
    return {
        image_id: (value, bool(flat))
        for image_id, value, flat in zip(table["image_id"], table[method], table["flat"], strict=True)
    }


def known_views(workspace: Workspace) -> dict[str, Views | None]:
    """A workspace's views; None: flat or unreadable. Those of a version with other views are left out."""
    table = workspace.read("views").to_pydict()
    found: dict[str, Views | None] = {}
    for image_id, probes, targets in zip(table["image_id"], table["probes"], table["targets"], strict=True):
        num_faces, odd = divmod(len(probes or b""), 8 * len(PROBES))
        if not odd and len(targets or b"") == 8 * NUM_TARGETS * num_faces:
            parts = [np.frombuffer(part, np.uint64) for part in (probes or b"", targets or b"")]
            found[image_id] = Views(*parts) if num_faces else None
    return found


def described(
    ids: Iterable[str], known: Known, views: dict[str, Views | None], load: Load, *, is_stored: bool = False
) -> Described:
    """Those of the images that can be compared: neither flat nor unreadable; each once, in order."""
    there = [image_id for image_id in dict.fromkeys(ids) if known[image_id][0] is not None and not known[image_id][1]]
    values = words([known[image_id][0] or b"" for image_id in there])
    return Described(there, values, [views.get(image_id) for image_id in there], load, is_stored)


def embed_new(
    workspace: Workspace, ids: Sequence[str], load: Load, embedding: Embedding, progress: Progress = silent
) -> None:
    """Work out the vectors of images that a workspace has none of by this model; rows are written as they come."""
    table = workspace.read("embeddings").select(["image_id", "model"]).to_pydict()
    known = set(zip(table["image_id"], table["model"], strict=True))
    new = [image_id for image_id in dict.fromkeys(ids) if (image_id, embedding.name) not in known]
    with workspace.journal("embeddings") as journal:
        for image_id, vector in zip(new, embed(embedding, load(new), progress), strict=True):
            value = None if vector is None else to_bytes(vector)
            journal.add({"image_id": image_id, "model": embedding.name, "vector": value})
    workspace.fold("embeddings")


def known_vectors(workspace: Workspace, model: str) -> dict[str, Vectors]:
    """A workspace's vectors by a model; images that it could not read have none."""
    rows = [row for row in workspace.read("embeddings").to_pylist() if row["model"] == model and row["vector"]]
    return dict(zip([row["image_id"] for row in rows], from_bytes([row["vector"] for row in rows]), strict=True))


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
    known: Known = {}
    seen: dict[str, Views | None] = {}
    found = describe_all((data for _, data in pictures), Job("phash", with_views), processes=processes)
    for done, ((image_id, _), one) in enumerate(zip(rows, found, strict=True), start=1):
        known[image_id], seen[image_id] = (one.hash, one.is_flat), one.views
        progress(what, done, num_images)
    return described(known, known, seen, load)


def words(column: pa.ChunkedArray | Sequence[bytes]) -> Hashes:
    """32-byte hashes as words, shape (N, 4)."""
    values = column.to_pylist() if isinstance(column, pa.ChunkedArray) else column
    return np.frombuffer(b"".join(values), dtype="<u8").reshape(-1, NUM_WORDS)


def stored(workspace: Workspace, image_ids: Iterable[str]) -> list[tuple[str, Picture]]:
    """Ids with where their bytes are in the store of a workspace on a disk."""
    paths = [(image_id, workspace.path(image_id)) for image_id in image_ids]
    return [(image_id, path) for image_id, path in paths if isinstance(path, Path)]
