"""Dedup's heavy parts over an engine: each gives what the function of one process gives that it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.dedup_report import SetAside
from noisyweb.embedding import Embedding, Vectors
from noisyweb.hamming_chunks import Hashes, Ints
from noisyweb.hashes import Described
from noisyweb.places import absolute, remove_tree
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.scale.blocks import digest
from noisyweb.scale.describe_shards import describe_in_shards
from noisyweb.scale.embed_shards import cosines_in_blocks, embed_in_shards
from noisyweb.scale.engine import Engine
from noisyweb.scale.pair_blocks import nearest_in_blocks, nearest_kept_in_blocks
from noisyweb.scale.proof_shards import prove_in_shards
from noisyweb.scale.view_blocks import view_candidates
from noisyweb.stages import ByEmbedding, ByViews, Pairs, Stage
from noisyweb.workspace import Workspace


@dataclass(frozen=True)
class Sizes:
    """How the work is cut.

    Attributes:
        images: of a shard that describes them or works out their vectors.
        hashes: rows of a block; a worker needs some 0.4 GB for a million.
        views: images of a block; a worker needs some 1.5 GB for two of 100,000.
        vectors: rows of a block, rounded down to thousands (1,024).
        proofs: pairs of a shard.
    """

    images: int = 1_024
    hashes: int = 1_000_000
    views: int = 100_000
    vectors: int = 65_536
    proofs: int = 2_000


class Spread:
    """What a dedup of one workspace has its engine do.

    Parts stay until `forget`, so that a killed run's work is there for the next one with the same question.

    Attributes:
        aside: what was given up, and why.
    """

    def __init__(self, engine: Engine, workspace: Workspace, sizes: Sizes, progress: Progress = silent) -> None:
        self._engine, self._workspace, self._sizes, self._progress = engine, workspace, sizes, progress
        self._folder = absolute(workspace.folder) / "parts" / "dedup"
        self.aside: list[SetAside] = []

    def describe(self, image_ids: Sequence[str], method: str, with_views: bool) -> None:
        """See `noisyweb.hashes.describe_new`."""
        given_up = describe_in_shards(
            self._engine,
            self._folder,
            self._workspace,
            image_ids,
            method,
            with_views,
            self._sizes.images,
            self._progress,
        )
        self.aside += [SetAside("unreadable", image_id, reason) for image_id, reason in given_up]

    def embed(self, image_ids: Sequence[str], embedding: Embedding) -> None:
        """See `noisyweb.hashes.embed_new`."""
        given_up = embed_in_shards(
            self._engine, self._folder, self._workspace, image_ids, embedding, self._sizes.images, self._progress
        )
        self.aside += [SetAside("without a vector", image_id, reason) for image_id, reason in given_up]

    def nearest(self, left: Hashes, right: Hashes, radius: int) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
        """See `noisyweb.leaks.nearest`."""
        return nearest_in_blocks(self._engine, self._folder, left, right, radius, self._sizes.hashes, self._progress)

    def nearest_kept(self, hashes: Hashes, radius: int, *, progress: Progress = silent) -> dict[int, tuple[int, int]]:
        """See `noisyweb.dedup_groups.nearest_kept`."""
        return nearest_kept_in_blocks(self._engine, self._folder, hashes, radius, self._sizes.hashes, progress)

    def by_views(self, radius: int) -> Stage:
        """See `noisyweb.stages.ByViews`."""
        return _SpreadViews(self, radius)

    def by_embedding(self, vectors: Mapping[str, Vectors], min_cosine: float) -> Stage:
        """See `noisyweb.stages.ByEmbedding`."""

        def alike(left: Vectors, right: Vectors | None, least: float) -> Iterator[tuple[int, int, float]]:
            size = self._sizes.vectors
            return cosines_in_blocks(self._engine, self._folder, left, right, least, size, self._progress)

        return ByEmbedding(vectors, min_cosine, alike)

    def prove(
        self,
        left: Described,
        right: Described | None,
        radius: int,
        progress: Progress,
        ranks: Mapping[str, int] | None = None,
    ) -> Pairs:
        """The proven pairs between two sets, or of one; for ranks see `noisyweb.scale.proof_shards.prove_in_shards`."""
        views = None if right is None else right.views
        parts, mark = view_candidates(
            self._engine, self._folder, left.views, views, self._sizes.views, progress=progress
        )
        other = left if right is None else right
        order = None if ranks is None else list(ranks)
        sets = (left.ids, left.is_stored, other.ids, other.is_stored)
        mark = digest(mark, *sets, order, radius, self._sizes.proofs)
        found = prove_in_shards(
            self._engine,
            self._folder,
            mark,
            parts.all(),
            left,
            other,
            absolute(self._workspace.folder),
            radius,
            self._sizes.proofs,
            progress,
            ranks,
        )
        self.aside += [SetAside("not compared", f"{one} and {two}", reason) for one, two, reason in found.aside]
        return found.matches

    def forget(self) -> None:
        """Remove the parts of this and of earlier, killed runs."""
        remove_tree(self._folder)


class _SpreadViews:
    """`noisyweb.stages.ByViews` over an engine; what two images of one set are to each other is asked once."""

    def __init__(self, spread: Spread, radius: int) -> None:
        self._spread, self._radius = spread, radius
        self._near = ByViews(radius)
        self._known: set[str] = set()
        self._matches: dict[tuple[str, str], Match] = {}

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """See `noisyweb.stages.Stage`."""
        if right is not None:
            return self._spread.prove(left, right, self._radius, progress)
        new = left.part([image_id for image_id in left.ids if image_id not in self._known])
        old = left.part([image_id for image_id in left.ids if image_id in self._known])
        place = {image_id: row for row, image_id in enumerate(left.ids)}
        for one, two in ((new, None), (new, old)):
            if one.ids and (two is None or two.ids):
                for (i, j), match in self._spread.prove(one, two, self._radius, progress, place).items():
                    ids = one.ids[i], (two or one).ids[j]
                    first, second = sorted(ids, key=place.__getitem__)
                    self._matches[first, second] = match
        self._known.update(new.ids)
        return {
            (place[first], place[second]): match
            for (first, second), match in self._matches.items()
            if first in place and second in place
        }

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `noisyweb.stages.Stage`; so few that they are looked at here."""
        return self._near.closely(left, right)
