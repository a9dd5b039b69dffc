"""Which of several copies stays: the questions of a workspace (an image and a class), best first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.errors import UnknownNameError
from noisyweb.image_ids import Ids, Ints, find, ids_of
from noisyweb.workspace import Workspace

_LICENSES = (
    ("cc0", "pdm", "no-known-copyright-restrictions", "us-gov"),
    ("by",),
    ("by-sa", "sampling+"),
    ("by-nd",),
    ("by-nc", "by-nc-sa", "nc-sampling+"),
    ("by-nc-nd",),
)
_FREEDOM = {slug: place for place, slugs in enumerate(_LICENSES) for slug in slugs}
_NO_RANK = 2**31
_PART = 1 << 16


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs of an image and a class, in an order.

    Attributes:
        images: rows of the images, shape (Q,).
        labels: shape (Q,).
    """

    images: Ints
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class _Fetched:
    """What was fetched, a row each: what the policies look at.

    Attributes:
        images, labels: as of `Questions`.
        pixels: within plain borders.
        num_bytes: of the file.
        ranks, freedom: of its candidate: the place in its search, and how free its license is, 0 the freest.
    """

    images: Ints
    labels: npt.NDArray[np.int32]
    pixels: Ints
    num_bytes: Ints
    ranks: npt.NDArray[np.uint32]
    freedom: npt.NDArray[np.int8]


Values = tuple[npt.NDArray[np.integer], ...]


def _largest(fetched: _Fetched) -> Values:
    return np.negative(fetched.pixels, fetched.pixels), np.negative(fetched.num_bytes, fetched.num_bytes)


def _first(fetched: _Fetched) -> Values:
    return (fetched.ranks,)


def _license(fetched: _Fetched) -> Values:
    return (fetched.freedom, *_largest(fetched))


KEEP: Mapping[str, Callable[[_Fetched], Values]] = {"largest": _largest, "first": _first, "license": _license}
"""The policies, which may write into what they are given. largest: most pixels within plain borders, then most bytes;
first: best rank in its search; license: the freest, then the largest. What is equal is settled by the image id, so that
a workspace has one order."""


def check_policy(keep: str) -> None:
    """Whether it is one of `KEEP`.

    Raises:
        UnknownNameError: it is not.
    """
    if keep not in KEEP:
        raise UnknownNameError("keep policy", keep, KEEP)


def best_first(workspace: Workspace, ids: Ids, keep: str) -> Questions:
    """Every pair of image and class, in the order in which they are kept.

    Args:
        workspace: whose images.
        ids: of all of them, ascending.
        keep: one of `KEEP`.
    """
    fetched = _fetched(workspace, ids, keep)
    images, labels, ranks = fetched.images, fetched.labels, fetched.ranks
    columns: list[npt.NDArray[np.integer]] = [labels, ranks, images, *KEEP[keep](fetched)[::-1]]
    order = np.lexsort(columns)
    if len(images) != len(ids):
        _, firsts = np.unique(images[order] << 32 | labels[order].view(np.uint32), return_index=True)
        order = order[np.sort(firsts)]
    return Questions(images[order], labels[order])


def _fetched(workspace: Workspace, ids: Ids, keep: str) -> _Fetched:
    images, labels, pixels, num_bytes = (
        np.concatenate(column) for column in zip(*_images(workspace, ids), strict=True)
    )
    _trim(workspace, ids, images, pixels)
    # Of the same bytes in several classes that one comes first in which the image ranks highest.
    is_asked = np.full(len(images), True) if keep != "largest" else np.bincount(images, minlength=len(ids))[images] > 1
    return _Fetched(images, labels, pixels, num_bytes, *_candidates(workspace, is_asked))


def _fetched_rows(workspace: Workspace, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in workspace.scan("images", ["image_id", *columns]):
        yield batch.filter(batch["image_id"].is_valid())


def _images(workspace: Workspace, ids: Ids) -> Iterator[tuple[Ints, npt.NDArray[np.int32], Ints, Ints]]:
    """Images, labels, pixels as fetched, bytes."""
    yield np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
    for batch in _fetched_rows(workspace, ["label", "width", "height", "num_bytes"]):
        width, height, num_bytes = (
            batch[name].fill_null(0).to_numpy().astype(np.int64) for name in ("width", "height", "num_bytes")
        )
        yield find(ids, ids_of(batch["image_id"])), batch["label"].to_numpy(), width * height, num_bytes


def _trim(workspace: Workspace, ids: Ids, images: Ints, pixels: Ints) -> None:
    """Count only pixels within plain borders. Borders are no gain; where they end is known to a few pixels, so what has
    some must be larger by a tenth."""
    shares = np.ones(len(ids) + 1, np.float32)  # one more, for what is not there
    for batch in workspace.scan("views", ["image_id", "inner"]):
        shares[find(ids, ids_of(batch["image_id"]))] = batch["inner"].fill_null(1.0).to_numpy()
    for start in range(0, len(images), _PART):
        part = slice(start, start + _PART)
        share = shares[images[part]].astype(np.float64)
        pixels[part] = np.rint(pixels[part] * np.where(share == 1, share, 0.9 * share))


def _candidates(
    workspace: Workspace, is_asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int8]]:
    """The ranks of fetched images and how free their licenses are, of those asked for."""
    ranks = np.full(len(is_asked), _NO_RANK, np.uint32)
    freedom = np.full(len(is_asked), len(_LICENSES), np.int8)
    if not is_asked.any():
        return ranks, freedom
    pieces, start = [], 0
    for batch in _fetched_rows(workspace, ["url", "label"]):
        pieces.append(_keys(batch.filter(pa.array(is_asked[start : start + len(batch)]))))
        start += len(batch)
    keys = np.concatenate(pieces)
    order = np.argsort(keys)
    keys, rows = keys[order], np.flatnonzero(is_asked)[order]
    for batch in workspace.scan("candidates", ["url", "label", "rank", "license"]):
        wanted = _keys(batch)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_there = keys[places] == wanted
        found = rows[places[is_there]]
        ranks[found] = batch["rank"].to_numpy()[is_there]
        freedom[found] = _freedom(batch["license"])[is_there]
    return ranks, freedom


def _keys(batch: pa.RecordBatch) -> npt.NDArray[np.bytes_]:
    """16 bytes that stand for a URL and a label."""
    both = zip(batch["url"].to_pylist(), batch["label"].to_pylist(), strict=True)
    digests = [hashlib.blake2b(f"{label} {url}".encode(), digest_size=16).digest() for url, label in both]
    return np.frombuffer(b"".join(digests), "S16")


def _freedom(licenses: pa.Array) -> npt.NDArray[np.int8]:
    coded = pc.fill_null(licenses, "").dictionary_encode()
    values = [_FREEDOM.get(slug, len(_LICENSES)) for slug in coded.dictionary.to_pylist()]
    return np.asarray(np.array(values, np.int8)[coded.indices.to_numpy()])
