"""What a gallery tells, as numbers: what dedup dropped, the pairs nearest to the radius, the distances between images.

All of it is the same every time (order of ids, draws by seed), and in bounded memory and time: pairs stream by and only
the best are kept, and where there are too many images a sample is drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.draws import bits, row_keys
from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes
from noisyweb.hashes import words
from noisyweb.phash import NUM_BITS
from noisyweb.workspace import Workspace

BEYOND = 32
"""Bits beyond the radius within which rejected pairs are looked for."""
MAX_COMPARED = 50_000
MAX_NEAREST = 5_000

Ints = npt.NDArray[np.int64]
Key = tuple[str, int]
Row = dict[str, Any]


class Dropped:
    """What dedup made of a workspace.

    Attributes:
        questions: pairs of image and class.
        rows: the ``duplicates`` table, by its key.
        web: ids of the web images.
        has_run: whether there is such a table.
    """

    def __init__(self, workspace: Workspace) -> None:
        images = workspace.read("images").select(["image_id", "label", "url"])
        self._images = images.filter(pc.is_valid(images["image_id"]))
        self.questions: set[Key] = set(
            zip(self._images["image_id"].to_pylist(), self._images["label"].to_pylist(), strict=True)
        )
        rows = workspace.read("duplicates").to_pylist()
        self.rows: dict[Key, Row] = {(row["image_id"], row["label"]): row for row in rows}
        self.web = {image_id for image_id, _ in self.questions}
        self.has_run = (workspace.folder / "duplicates.parquet").exists()

    def groups(self, *, leaks: bool) -> list[list[Row]]:
        """The dropped rows of each kept image, or of each clean image that leaks; unreadable images are of none."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows.values():
            if row["kind"] != "unreadable" and (row["against"] != "web") == leaks:
                found[row["against"], row["kept_id"]].append(row)
        return [found[key] for key in sorted(found)]

    def group_of(self, radius: int) -> dict[str, str]:
        """The kept image of those that are dropped for something else than a distance above the radius."""
        return {
            row["image_id"]: row["kept_id"]
            for row in self.rows.values()
            if row["kind"] != "near" or row.get("agreement") is not None or (row["distance"] or 0) <= radius
        }

    def labels_of(self, image_ids: Collection[str]) -> dict[str, int]:
        """One class of each web image among these, one that it is kept in where there is one."""
        found: dict[str, tuple[bool, int]] = {}
        for image_id, label in self.urls_of(image_ids):
            here = ((image_id, label) in self.rows, label)
            found[image_id] = min(here, found.get(image_id, here))
        return {image_id: label for image_id, (_, label) in found.items()}

    def urls_of(self, image_ids: Collection[str]) -> dict[Key, str]:
        """Where each question of these images was found; the first URL where there are several."""
        table = self._images.filter(pc.is_in(self._images["image_id"], pa.array(image_ids, pa.string())))
        rows = table.sort_by([("url", "descending")]).to_pylist()
        return {(row["image_id"], row["label"]): row["url"] for row in rows}


@dataclass(frozen=True)
class Pair:
    """Two images and their distance in bits."""

    left: str
    right: str
    distance: int


@dataclass(frozen=True)
class Threshold:
    """Pairs on both sides of the radius.

    Attributes:
        within: the farthest pairs within the radius, farthest first.
        beyond: the nearest pairs of different groups beyond it, nearest first.
        num_within, num_beyond, num_joined: pairs within; beyond, of different groups; beyond, of one group.
        num_compared, num_images: images compared, and how many there are; fewer compared: a sample.
    """

    within: list[Pair]
    beyond: list[Pair]
    num_within: int
    num_beyond: int
    num_joined: int
    num_compared: int
    num_images: int


def sampled(ids: Sequence[str], count: int, seed: int, purpose: str) -> list[str]:
    """Ids in the order of their draws, ``count`` at most; the same whatever order they come in."""
    ordered = sorted(ids)
    order = np.argsort(bits(row_keys(ordered), seed, "gallery", purpose), kind="stable")
    return [ordered[i] for i in order[:count]]


def near_radius(
    hashes: Mapping[str, bytes],
    web: Collection[str],
    group_of: Mapping[str, str],
    radius: int,
    count: int,
    seed: int,
    *,
    max_compared: int = MAX_COMPARED,
) -> Threshold:
    """Find the pairs nearest to the radius; two clean images are never a pair.

    Pairs of different groups come first, so that a picture that is there a hundred times does not fill the list.

    Args:
        hashes: of all images to compare, by id, 32 bytes each.
        web: which of them are web images; the others are clean ones.
        group_of: the kept image of those that were dropped.
        radius: in bits.
        count: pairs wanted; half of them on each side.
        seed: of the sample.
        max_compared: images compared at most.
    """
    chosen = sorted(sampled(list(hashes), max_compared, seed, "pairs"))
    ids = [i for i in chosen if i in web] + [i for i in chosen if i not in web]
    num_web = sum(i in web for i in chosen)
    number = {name: n for n, name in enumerate(sorted({group_of.get(i, i) for i in ids}))}
    groups = np.array([number[group_of.get(i, i)] for i in ids], np.int64)
    within, beyond, num_pairs = _Best((count + 1) // 2), _Best(count // 2), 0
    for i, j, distance in _pairs(words([hashes[i] for i in ids]), num_web, min(radius + BEYOND, NUM_BITS)):
        num_pairs += len(distance)
        near = distance <= radius
        far = ~near & (groups[i] != groups[j])  # two of one group: taken for the same picture all the same
        within.add(-distance[near], i[near], j[near], groups)
        beyond.add(distance[far], i[far], j[far], groups)
    return Threshold(
        within=[Pair(ids[i], ids[j], -distance) for distance, i, j in within.rows()],
        beyond=[Pair(ids[i], ids[j], distance) for distance, i, j in beyond.rows()],
        num_within=within.num_seen,
        num_beyond=beyond.num_seen,
        num_joined=num_pairs - within.num_seen - beyond.num_seen,
        num_compared=len(ids),
        num_images=len(hashes),
    )


def _pairs(hashes: Hashes, num_web: int, radius: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Both indices and the distance of pairs of web images, and of web and clean ones, batch by batch."""
    web, clean = hashes[:num_web], hashes[num_web:]
    for i, j, distance in neighbours(web, None, radius):
        yield i, j, distance.astype(np.int64)
    if len(clean):
        for i, j, distance in neighbours(web, clean, radius):
            yield i, j + num_web, distance.astype(np.int64)


class _Best:
    """The first pairs of a stream, of as many groups as can be: nothing is lost by forgetting all others at once.

    Some more than ``count`` are kept, for pairs of groups that no other pair shows yet.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.num_seen = 0
        self._num_groups = 1
        self._distinct = self._any = np.empty((0, 4), np.int64)  # what to sort by, two images, and their groups

    def add(self, order: Ints, i: Ints, j: Ints, groups: Ints) -> None:
        """Take in pairs: what they are sorted by, and the indices of both images; ``groups`` is of all images."""
        self.num_seen += len(order)
        if not self.count:
            return
        if len(self._distinct) == 8 * self.count:  # pairs after the last one are not better
            better = order <= self._distinct[-1, 0]
            order, i, j = order[better], i[better], j[better]
        ends = np.sort(np.stack([groups[i], groups[j]], axis=1), axis=1)
        rows = np.column_stack([order, i, j, ends[:, 0] * len(groups) + ends[:, 1]])
        if len(self._any) == self.count:
            known = self._distinct[np.argsort(self._distinct[:, 3])]
            same = known[np.minimum(np.searchsorted(known[:, 3], rows[:, 3]), len(known) - 1)]
            rows = rows[(order <= self._any[-1, 0]) | (same[:, 3] != rows[:, 3]) | (order <= same[:, 0])]
        if len(rows):
            self._any = _sorted(np.concatenate([self._any, rows]))[: self.count]
            rows = _sorted(np.concatenate([self._distinct, rows]))
            self._distinct = rows[np.sort(np.unique(rows[:, 3], return_index=True)[1])][: 8 * self.count]
            self._num_groups = len(groups)

    def rows(self) -> list[tuple[int, int, int]]:
        """The pairs, in order: of groups not seen before, then of other two groups, then any."""
        new, old, seen = list[tuple[int, int, int]](), list[tuple[int, int, int]](), set[int]()
        for order, i, j, key in self._distinct.tolist():
            groups = {*divmod(key, self._num_groups)}
            (old if seen & groups else new).append((order, i, j))
            seen |= groups
        rest = [(order, i, j) for order, i, j, _ in self._any.tolist()]
        return sorted(list(dict.fromkeys([*new, *old, *rest]))[: self.count])


def _sorted(rows: Ints) -> Ints:
    return rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]


def nearest(hashes: Mapping[str, bytes], web: Collection[str], seed: int, *, max_looked_at: int = MAX_NEAREST) -> Ints:
    """Distances in bits of each web image, or of a sample of them, to the nearest other image, web or clean; exact."""
    ids = sorted(hashes)
    place = {image_id: n for n, image_id in enumerate(ids)}
    ours = sampled([i for i in ids if i in web], max_looked_at, seed, "nearest") if len(ids) > 1 else []
    rows = np.sort(np.array([place[i] for i in ours], np.int64))
    all_words = words([hashes[i] for i in ids])
    blocks = [_nearest(all_words, rows[start : start + 256]) for start in range(0, len(rows), 256)]
    return np.concatenate([np.empty(0, np.int64), *blocks])


def _nearest(hashes: Hashes, rows: Ints, block: int = 4096) -> Ints:
    """Distance of some rows to the nearest other row, shape (R,)."""
    best = np.full(len(rows), NUM_BITS, np.int64)
    for start in range(0, len(hashes), block):
        other = hashes[start : start + block]
        distance = np.zeros((len(rows), len(other)), np.uint16)
        for word in range(hashes.shape[1]):
            distance += np.bitwise_count(hashes[rows, word, None] ^ other[None, :, word])
        itself = (rows >= start) & (rows < start + len(other))
        distance[itself, rows[itself] - start] = NUM_BITS
        best = np.minimum(best, distance.min(axis=1))
    return best
