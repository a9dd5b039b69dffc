"""Images that are to be compared with others, as columns: what is known of all of them, and rows of those meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.hamming_chunks import Hashes
from noisyweb.image_ids import Ids, Ints, Texts
from noisyweb.packed_views import HeldViews, PackedViews, ViewSource
from noisyweb.proof import Load

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looks:
    """What is known of N images.

    Attributes:
        ids: ascending, each once.
        hashes: shape (N, 4).
        can_match: whether an image can be compared: it is neither flat nor unreadable. Shape (N,).
        views: by row; None where copies are looked for by the hash alone.
        load: gives the images' bytes.
        is_stored: whether they are in the workspace's store, where workers elsewhere find them too.
    """

    ids: Ids
    hashes: Hashes
    can_match: Bools
    views: ViewSource | None
    load: Load
    is_stored: bool = False

    def described(self, rows: Ints) -> Described:
        """Those of the images that can be compared; each once, where it comes first."""
        rows = rows[self.can_match[rows]]
        place = np.empty(len(self.ids), np.int64)
        place[rows[::-1]] = np.arange(len(rows))[::-1]  # the last one written is the first
        return Described(self, rows[place[rows] == np.arange(len(rows))])

    def all(self) -> Described:
        """All that can be compared, by their ids."""
        return Described(self, np.flatnonzero(self.can_match))


@dataclass(frozen=True, eq=False)
class Described:
    """Some images in an order: rows of `Looks`, each once. What is said of a place is said of the image there.

    Attributes:
        looks: what is known of these and of others.
        rows: shape (N,).
    """

    looks: Looks
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> Ids:
        """Gathered anew each time."""
        return self.looks.ids[self.rows]

    @property
    def texts(self) -> Texts:
        """The ids as texts."""
        return Texts(self.ids)

    @property
    def hashes(self) -> Hashes:
        """Shape (N, 4), gathered anew each time."""
        return self.looks.hashes[self.rows]

    def part(self, places: Ints | list[int]) -> Described:
        """Some of them, in the order asked for."""
        return Described(self.looks, self.rows[np.asarray(places, np.int64)])

    def packed_views(self) -> tuple[Ints, PackedViews]:
        """The views of those that have any, all at once: their places, in no order, and the views."""
        assert self.looks.views is not None
        found = list(self.looks.views.blocks(self.rows, max(1, len(self.rows))))
        return found[0] if found else (np.empty(0, np.int64), PackedViews.of([]))

    def held(self) -> Described:
        """The same images with their views in memory, for a few that are looked at again and again."""
        looks = self.looks
        order = np.argsort(self.rows)
        views: ViewSource | None = None
        if looks.views is not None:
            places, packed = self.packed_views()
            where = np.full(len(self.rows), len(packed.faces))
            where[places] = np.arange(len(places))
            views = HeldViews(PackedViews.joined([packed, PackedViews.of([None])]).take(where[order]))
        rows = self.rows[order]
        few = Looks(looks.ids[rows], looks.hashes[rows], looks.can_match[rows], views, looks.load, looks.is_stored)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return Described(few, back)
