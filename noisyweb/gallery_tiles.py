"""A gallery's tiles: images with what is known about them, by the group or the pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from noisyweb.decode import DAMAGE
from noisyweb.errors import NoisywebError, SourceError
from noisyweb.gallery_facts import Dropped, Key, Pair, Row
from noisyweb.progress import Progress
from noisyweb.thumbnail import small_copy
from noisyweb.urls import host_of
from noisyweb.workspace import Workspace

MAX_TILES = 7
"""Images of one group that are shown."""
GROUP_SIDE, PAIR_SIDE = 240, 360
"""Pixels of the pictures on the page: twice what they are shown at."""

CleanImages = Mapping[str, Callable[[], bytes | None]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Tile:
    """One image in one role; names and hosts are hostile text.

    Attributes:
        image_id: SHA-256.
        name: of its class, or of the clean set.
        status: kept, the kind it was dropped as, or the clean set.
        host: where it is from; "" for a clean image.
        picture: a small JPEG of it; None: there is none, and ``problem`` says why.
        size: of the image itself, in pixels, where known.
        distance: to the kept image, in bits.
        agreement: share of the picture that agrees with the kept image; for an embedding, their cosine.
    """

    image_id: str
    name: str
    status: str
    host: str
    picture: bytes | None
    size: tuple[int, int] | None
    problem: str = ""
    distance: int | None = None
    agreement: float | None = None

    def match(self) -> list[str]:
        """Distance and agreement as text, as far as there are any."""
        texts = [] if self.distance is None else [bits_text(self.distance)]
        if self.agreement is not None:
            is_cosine = self.status == "embedding"
            texts.append(f"cosine {self.agreement:.2f}" if is_cosine else f"{100 * self.agreement:.0f} % agrees")
        return texts

    def origin(self) -> list[str]:
        """Size and host as text, as far as known."""
        return [*([f"{self.size[0]} × {self.size[1]}"] if self.size else []), *([self.host] if self.host else [])]


@dataclass(frozen=True)
class Group:
    """The kept image and what was dropped in its favour (``num_more`` are not shown), or a pair so many bits apart."""

    tiles: Sequence[Tile]
    num_more: int = 0
    apart: int | None = None


class Tiles:
    """Images as tiles: their bytes are read and made small, once for each size."""

    def __init__(self, workspace: Workspace, dropped: Dropped, clean: CleanImages) -> None:
        self.workspace, self.dropped, self.clean = workspace, dropped, clean
        try:
            self.names = workspace.class_names()
        except SourceError:
            self.names = []  # a workspace that no stage has written to
        self.made: dict[tuple[str, int], tuple[bytes | None, tuple[int, int] | None, str]] = {}

    def groups(self, chosen: Sequence[list[Row]], progress: Progress) -> list[Group]:
        """The kept image of each, and those of its rows that are farthest away, each kind among them."""
        urls = self.dropped.urls_of({i for rows in chosen for row in rows for i in (row["image_id"], row["kept_id"])})
        groups = []
        for rows in chosen:
            ordered = sorted(rows, key=lambda row: (-(row["distance"] or 0), row["image_id"], row["label"]))
            shown = interleave(ordered, lambda row: {row["kind"]}, MAX_TILES - 1)
            first = rows[0]
            status = "kept" if first["against"] == "web" else first["against"]
            kept = self._tile(first["kept_id"], first["kept_label"], status, urls, GROUP_SIDE)
            shown.sort(key=lambda row: (row["kind"], row["distance"] or 0, row["image_id"], row["label"]))
            others = [self._tile(row["image_id"], row["label"], row["kind"], urls, GROUP_SIDE, row) for row in shown]
            groups.append(Group([kept, *others], len(rows) - len(shown)))
            progress("draw", len(groups), len(chosen))
        return groups

    def pairs(self, pairs: Sequence[Pair], progress: Progress) -> list[Group]:
        """Two tiles each, with what became of either."""
        ids = {image_id for pair in pairs for image_id in (pair.left, pair.right)}
        labels, urls = self.dropped.labels_of(ids), self.dropped.urls_of(ids)
        groups = []
        for pair in pairs:
            tiles = []
            for image_id in (pair.left, pair.right):
                label = labels.get(image_id)
                row = None if label is None else self.dropped.rows.get((image_id, label))
                status = "clean" if label is None else "kept" if row is None else row["kind"]
                tiles.append(self._tile(image_id, label, status, urls, PAIR_SIDE))
            groups.append(Group(tiles, apart=pair.distance))
            progress("draw", len(groups), len(pairs))
        return groups

    def _tile(
        self,
        image_id: str,
        label: int | None,
        status: str,
        urls: Mapping[Key, str],
        side: int,
        row: Row | None = None,
    ) -> Tile:
        name, host = "clean image" if status == "clean" else f"clean {status} image", ""
        if label is not None:
            name = self.names[label] if 0 <= label < len(self.names) else f"class {label}"
            url = urls.get((image_id, label), "")
            host = host_of(url) or url
        picture, size, problem = self._picture(image_id, side)
        row = row or {}
        return Tile(image_id, name, status, host, picture, size, problem, row.get("distance"), row.get("agreement"))

    def _picture(self, image_id: str, side: int) -> tuple[bytes | None, tuple[int, int] | None, str]:
        if (image_id, side) not in self.made:
            data = self._bytes(image_id)
            found = small_copy(data, side) if data else None
            missing = "not in the store" if image_id in self.dropped.web else "clean image, not given"
            problem = "" if found else "unreadable" if data else missing
            self.made[image_id, side] = (*(found or (None, None)), problem)
        return self.made[image_id, side]

    def _bytes(self, image_id: str) -> bytes | None:
        try:
            if image_id in self.dropped.web:
                return self.workspace.get(image_id)
            return self.clean[image_id]() if image_id in self.clean else None
        except (NoisywebError, *DAMAGE):
            return None  # one image that cannot be read is no reason to show none


def bits_text(distance: int) -> str:
    """A distance in words."""
    return f"{distance} bit{'s' * (distance != 1)}"


def packed(groups: Sequence[Group], columns: int = 8) -> list[Group]:
    """Put groups in an order in which they fill lines of ``columns`` tiles: each in the first line with room for it."""
    lines: list[tuple[int, list[Group]]] = []
    for group in groups:
        wanted = len(group.tiles) + bool(group.num_more)
        place = next((n for n, (used, _) in enumerate(lines) if used + wanted <= columns), len(lines))
        used, line = lines[place] if place < len(lines) else (0, [])
        lines[place : place + 1] = [(used + wanted, [*line, group])]
    return [group for _, line in lines for group in line]


def interleave(items: Sequence[Item], kinds_of: Callable[[Item], Collection[str]], count: int) -> list[Item]:
    """Take items in turns of their kinds, the rarest kind first, so that each kind is soon among them.

    Args:
        items: in the order in which those of one kind are taken.
        kinds_of: the kinds of one item, one or more.
        count: items to take at most.
    """
    kinds = [set(kinds_of(item)) for item in items]
    frequency = Counter(kind for of_item in kinds for kind in of_item)
    order = sorted(frequency, key=lambda kind: (frequency[kind], kind))
    queues = {kind: iter([index for index, of_item in enumerate(kinds) if kind in of_item]) for kind in order}
    taken: dict[int, None] = {}
    while len(taken) < min(count, len(items)):
        for kind in order:
            index = next((index for index in queues[kind] if index not in taken), None)
            if index is not None and len(taken) < count:
                taken[index] = None
    return [items[index] for index in taken]
