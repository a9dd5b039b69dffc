"""Embeddings (`noisyweb.embedding`) as shards of ids, and pairs of vectors a pair of blocks at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.embedding import Embedding, Vectors, embed, load_model, pairs_above, to_bytes
from noisyweb.errors import SourceError
from noisyweb.places import absolute
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import PairParts, Sides, digest, gathered, write_blocks
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Shard, Work, forget, run_shards
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
    image_ids: Sequence[str],
    embedding: Embedding,
    size: int,
    progress: Progress = silent,
) -> list[tuple[str, str]]:
    """The same as `noisyweb.hashes.embed_new` of images in the store.

    Returns:
        Images that were given up, and why: they have no vector.
    """
    size = max(1, size // embedding.batch) * embedding.batch  # the same batches as in one process
    old = workspace.fold("embeddings")
    table = old.select(["image_id", "model"]).to_pydict()
    known = {i for i, model in zip(table["image_id"], table["model"], strict=True) if model == embedding.name}
    new = [image_id for image_id in dict.fromkeys(image_ids) if image_id not in known]
    if not new:
        return []
    setting = EmbedSetting(absolute(workspace.folder), embedding.name, embedding.side, embedding.batch)
    mark = digest(new, embedding.name, embedding.side, embedding.batch)
    work = Work(f"embed-{mark}", vectors, EMBEDDINGS, setting)
    shards = [Shard(f"{n // size:08d}", new[n : n + size]) for n in range(0, len(new), size)]
    done = run_shards(engine, work, shards, folder, progress, "embed")
    none = [{"image_id": image_id, "model": embedding.name, "vector": None} for image_id, _ in done.aside]
    found = pa.Table.from_batches(done.batches(), schema=EMBEDDINGS)
    workspace.write("embeddings", pa.concat_tables([old, found, pa.Table.from_pylist(none, schema=EMBEDDINGS)]))
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
    mark = digest(left, right, min_cosine, size)
    sides = []
    for name, side in (("left", left), ("right", right)):
        if side is not None:
            blocks = ({"vectors": side[start : start + size]} for start in range(0, len(side), size))
            sides.append(write_blocks(folder / f"vectors-{mark}-{name}", blocks, size, len(side)))
    setting = CosineSides(sides[0], None if right is None else sides[1], 0, min_cosine=min_cosine)
    work = Work(f"cosines-{mark}", cosines, COSINES, setting)
    for batch in PairParts(engine, work, folder, progress, "compare embeddings").all():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
