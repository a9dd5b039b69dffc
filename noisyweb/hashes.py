"""A workspace's perceptual hashes (`noisyweb.phash`), and all pairs within a Hamming radius."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.errors import SourceError
from noisyweb.phash import phash
from noisyweb.progress import Progress, silent
from noisyweb.workspace import Workspace

NUM_WORDS = 4

Hashes = npt.NDArray[np.uint64]
"""Hashes as words, shape (N, 4)."""


def add_hashes(
    workspace: Workspace, images: Iterable[tuple[str, bytes | None]], *, num_images: int, progress: Progress = silent
) -> None:
    """Hash images into a workspace's table; rows are written as they come, so that a killed run loses little.

    Args:
        workspace: where the hashes go.
        images: ids, and encoded bytes (None: unreadable); consumed a few at a time.
        num_images: how many there are, for ``progress``.
        progress: told how many are done.
    """
    done = 0
    rows = iter(images)
    with workspace.journal("hashes") as journal, ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(rows, 128)):
            found = pool.map(lambda row: phash(row[1]) if row[1] else None, batch)
            for (image_id, _), result in zip(batch, found, strict=True):
                value, flat = result or (None, None)
                journal.add({"image_id": image_id, "phash": value, "flat": flat})
                done += 1
            progress("hash", done, num_images)
    workspace.fold("hashes")


def stored_bytes(workspace: Workspace, image_ids: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """Ids with their bytes from the store; None where a file is missing."""
    for image_id in image_ids:
        try:
            yield image_id, workspace.get(image_id)
        except SourceError:
            yield image_id, None


def words(column: pa.ChunkedArray | Sequence[bytes]) -> Hashes:
    """32-byte hashes as words, shape (N, 4)."""
    values = column.to_pylist() if isinstance(column, pa.ChunkedArray) else column
    return np.frombuffer(b"".join(values), dtype="<u8").reshape(-1, NUM_WORDS)


def neighbours(
    left: Hashes, right: Hashes | None, radius: int, *, block: int = 1024
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
    """All pairs within a Hamming radius, exactly, by comparing each with each, one block at a time.

    Args:
        left: shape (N, 4).
        right: shape (M, 4); None for the pairs i < j of ``left`` with itself.
        radius: in bits, 0..256.
        block: rows compared at once; memory is about 12 x block^2 bytes.

    Yields:
        Indices into ``left``, indices into ``right``, and distances in bits, each of shape (P,).
    """
    other = left if right is None else right
    for i in range(0, len(left), block):
        for j in range(i if right is None else 0, len(other), block):
            distance = _distances(left[i : i + block], other[j : j + block])
            rows, columns = np.nonzero(distance <= radius)
            if right is None and i == j:
                above = rows < columns
                rows, columns = rows[above], columns[above]
            if len(rows):
                yield rows + i, columns + j, distance[rows, columns].astype(np.int32)


def _distances(left: Hashes, right: Hashes) -> npt.NDArray[np.uint16]:
    """Hamming distances of each with each, shape (N, M)."""
    total = np.zeros((len(left), len(right)), np.uint16)
    for word in range(NUM_WORDS):
        total += np.bitwise_count(left[:, word, None] ^ right[None, :, word])
    return total


def known_hashes(workspace: Workspace) -> dict[str, tuple[bytes | None, bool]]:
    """A workspace's hashes by image id: the hash (None: unreadable) and whether it is flat."""
    table = workspace.read("hashes").to_pydict()
    return {
        image_id: (value, bool(flat))
        for image_id, value, flat in zip(table["image_id"], table["phash"], table["flat"], strict=True)
    }
