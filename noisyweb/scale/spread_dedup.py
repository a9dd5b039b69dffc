"""Dedup's heavy parts over an engine: each gives what the function of one process gives that it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.dedup_groups import Given
from noisyweb.dedup_report import SetAside
from noisyweb.described import Bools, Described
from noisyweb.embedding import Embedding, Vectors
from noisyweb.hamming_chunks import Ints
from noisyweb.hashes import KnownVectors
from noisyweb.image_ids import Ids
from noisyweb.places import absolute, remove_tree
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
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

    def describe(self, ids: Ids, method: str, with_views: bool) -> None:
        """See `noisyweb.hashes.describe_new`."""
        given_up = describe_in_shards(
            self._engine,
            self._folder,
            self._workspace,
            ids,
            method,
            with_views,
            self._sizes.images,
            self._progress,
        )
        self.aside += [SetAside("unreadable", image_id, reason) for image_id, reason in given_up]

    def embed(self, images: Described, embedding: Embedding) -> None:
        """See `noisyweb.hashes.embed_new`."""
        given_up = embed_in_shards(
            self._engine, self._folder, self._workspace, images, embedding, self._sizes.images, self._progress
        )
        self.aside += [SetAside("without a vector", image_id, reason) for image_id, reason in given_up]

    def nearest(self, left: Described, right: Described, radius: int) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
        """See `noisyweb.leaks.nearest`."""
        return nearest_in_blocks(
            self._engine,
            self._folder,
            left.looks.hashes,
            right.hashes,
            radius,
            self._sizes.hashes,
            self._progress,
            left_rows=left.rows,
        )

    def nearest_kept(self, images: Described, radius: int, progress: Progress) -> Given:
        """See `noisyweb.dedup_groups.nearest_kept`."""
        hashes, size = images.looks.hashes, self._sizes.hashes
        return nearest_kept_in_blocks(self._engine, self._folder, hashes, radius, size, progress, images.rows)

    def by_views(self, radius: int) -> Stage:
        """See `noisyweb.stages.ByViews`."""
        return _SpreadViews(self, radius)

    def by_embedding(self, vectors: KnownVectors, min_cosine: float) -> Stage:
        """See `noisyweb.stages.ByEmbedding`."""

        def alike(left: Vectors, right: Vectors | None, least: float) -> Iterator[tuple[int, int, float]]:
            size = self._sizes.vectors
            return cosines_in_blocks(self._engine, self._folder, left, right, least, size, self._progress)

        return ByEmbedding(vectors, min_cosine, alike)

    def prove(
        self, left: Described, right: Described | None, radius: int, progress: Progress, ranks: Ints | None = None
    ) -> Pairs:
        """The proven pairs between two sets, or of one; for ranks see `noisyweb.scale.proof_shards.prove_in_shards`."""
        found = prove_in_shards(
            self._engine,
            self._folder,
            view_candidates(self._engine, self._folder, left, right, self._sizes.views, progress=progress),
            left,
            left if right is None else right,
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
        self._is_known: Bools = np.zeros(0, bool)  # by row
        self._matches: dict[tuple[int, int], Match] = {}

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """See `noisyweb.stages.Stage`; those of one set are always rows of the same images."""
        if right is not None:
            return self._spread.prove(left, right, self._radius, progress)
        size = len(left.looks.ids)
        self._is_known = self._is_known if len(self._is_known) else np.zeros(size, bool)
        place = np.full(size, -1)
        place[left.rows] = np.arange(len(left))
        is_known = self._is_known[left.rows]
        new, old = (left.part(np.flatnonzero(chosen)) for chosen in (~is_known, is_known))
        for one, two in ((new, None), (new, old)):
            if len(one) and (two is None or len(two)):
                for (i, j), match in self._spread.prove(one, two, self._radius, progress, place).items():
                    first, second = sorted((int(one.rows[i]), int((two or one).rows[j])), key=place.__getitem__)
                    self._matches[first, second] = match
        self._is_known[new.rows] = True
        both = ((int(place[first]), int(place[second]), match) for (first, second), match in self._matches.items())
        return {(i, j): match for i, j, match in both if min(i, j) >= 0}

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `noisyweb.stages.Stage`; so few that they are looked at here."""
        return self._near.closely(left, right)
