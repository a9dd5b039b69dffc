"""Embeddings (`noisyweb.embedding`) as shards of ids, and pairs of vectors a pair of blocks at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.described import Described
from noisyweb.embedding import Embedding, Vectors, embed, load_model, pairs_above, to_bytes
from noisyweb.errors import SourceError
from noisyweb.hashes import without_vector
from noisyweb.places import absolute
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import PairParts, Sides, digest, gathered, write_blocks
from noisyweb.scale.describe_shards import id_shards
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Work, forget, run_shards
from noisyweb.schemas import EMBEDDINGS
from noisyweb.workspace import Workspace

COSINES = pa.schema(
    [
        pa.field("i", pa.int64(), nullable=False),
        pa.field("j", pa.int64(), nullable=False),
        pa.field("cosine", pa.float64(), nullable=False),
    ]
)
TILE = 1024
"""Vectors that are multiplied at once; blocks are multiples of it, so that no sum is rounded in another way."""


@dataclass(frozen=True)
class EmbedSetting:
    """What all shards share: whose images, and the model by its name."""

    workspace: Place
    model: str
    side: int
    batch: int


@lru_cache(maxsize=1)
def _model(name: str, side: int, batch: int) -> Embedding:
    return Embedding(name, load_model(name), side=side, batch=batch)


def check_named(embedding: Embedding) -> None:
    """Whether workers can load the model.

    Raises:
        SourceError: its name is none that they can load it by.
    """
    try:
        load_model(embedding.name)
    except SourceError as error:
        raise SourceError(f"{error}; the workers of an engine load the model by this name") from error


def vectors(items: Sequence[str], setting: EmbedSetting) -> Iterator[pa.RecordBatch]:
    """The vectors of some images of the store; a shard's function."""
    embedding = _model(setting.model, setting.side, setting.batch)
    found = [
        None if one is None else to_bytes(one) for one in embed(embedding, Workspace(setting.workspace).load(items))
    ]
    yield pa.record_batch([list(items), [setting.model] * len(items), found], schema=EMBEDDINGS)


def embed_in_shards(
    engine: Engine,
    folder: Place,
    workspace: Workspace,
    images: Described,
    embedding: Embedding,
    size: int,
    progress: Progress = silent,
) -> list[tuple[str, str]]:
    """The same as `noisyweb.hashes.embed_new` of images in the store.

    Returns:
        Images that were given up, and why: they have no vector.
    """
    size = max(1, size // embedding.batch) * embedding.batch  # the same batches as in one process
    new = without_vector(workspace, images, embedding.name).ids
    if not len(new):
        return []
    setting = EmbedSetting(absolute(workspace.folder), embedding.name, embedding.side, embedding.batch)
    mark = digest(new, embedding.name, embedding.side, embedding.batch)
    work = Work(f"embed-{mark}", vectors, EMBEDDINGS, setting)
    done = run_shards(engine, work, id_shards(new, size), folder, progress, "embed")
    none = [{"image_id": image_id, "model": embedding.name, "vector": None} for image_id, _ in done.aside]
    rest = pa.RecordBatch.from_pylist(none, schema=EMBEDDINGS)
    workspace.write_batches("embeddings", chain(workspace.scan("embeddings"), done.batches(), [rest]))
    forget(work, folder)
    return [(str(image_id), reason) for image_id, reason in done.aside]


@dataclass(frozen=True)
class CosineSides(Sides):
    """Vectors that are compared; the radius means nothing.

    Attributes:
        min_cosine: from which on a pair counts.
    """

    min_cosine: float = 1.0


def cosines(items: Sequence[tuple[int, int]], sides: CosineSides) -> Iterator[pa.RecordBatch]:
    """The pairs of vectors of some pairs of blocks; a shard's function."""

    def found(i: int, j: int) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        left, right = sides.read(i, j)
        first, second = sides.starts(i, j)
        other = left if right is None else right
        for a, b, cosine in pairs_above(left["vectors"], other["vectors"], sides.min_cosine, TILE):
            if right is not None or a < b:
                yield np.array([a + first]), np.array([b + second]), np.array([cosine])

    for i, j in items:
        yield from gathered(found(i, j), COSINES)


def cosines_in_blocks(
    engine: Engine,
    folder: Place,
    left: Vectors,
    right: Vectors | None,
    min_cosine: float,
    size: int,
    progress: Progress = silent,
) -> Iterator[tuple[int, int, float]]:
    """The same as `noisyweb.embedding.pairs_above`; of one side only the pairs i < j."""
    size = max(1, size // TILE) * TILE
    sides = []
    for side in (left, right):
        if side is not None:
            blocks = ({"vectors": side[start : start + size]} for start in range(0, len(side), size))
            sides.append(write_blocks(folder / "vectors", blocks, size))
    setting = CosineSides(sides[0], None if right is None else sides[1], 0, min_cosine=min_cosine)
    work = Work(f"cosines-{digest(setting.mark(), min_cosine)}", cosines, COSINES, setting)
    for batch in PairParts(engine, work, folder, progress, "compare embeddings").all():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
