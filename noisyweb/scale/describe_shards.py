"""Describing images (`noisyweb.describe`) as shards of some hundred ids; the rows go into the tables in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from noisyweb.hashes import TABLES, undescribed
from noisyweb.image_ids import Ids, Texts, find, ids_of
from noisyweb.places import absolute
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place, open_parquet
from noisyweb.scale.blocks import digest
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Shard, Work, forget, run_shards
from noisyweb.workers import Job, describe_all
from noisyweb.workspace import TABLES as SCHEMAS
from noisyweb.workspace import Workspace

DESCRIPTIONS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("hash", pa.binary(32)),  # null: unreadable
        pa.field("flat", pa.bool_()),
        pa.field("probes", pa.binary()),
        pa.field("targets", pa.binary()),
        pa.field("inner", pa.float32()),
    ]
)


@dataclass(frozen=True)
class DescribeSetting:
    """What all shards share: whose images, and what is asked of each."""

    workspace: Place
    job: Job


def descriptions(items: Sequence[str], setting: DescribeSetting) -> Iterator[pa.RecordBatch]:
    """Describe some images of the store; a shard's function. A file that crashes the decoder costs only itself."""
    pictures = Workspace(setting.workspace).load(items)
    rows = []
    for image_id, one in zip(items, describe_all(pictures, setting.job, processes=1), strict=True):
        views = (one.views.probes.tobytes(), one.views.targets.tobytes()) if one.views else (None, None)
        flat = one.is_flat if one.is_readable else None
        rows.append((image_id, one.hash, flat, *views, one.inner))
    columns = zip(*rows, strict=True)
    yield pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, DESCRIPTIONS, strict=True)],
        schema=DESCRIPTIONS,
    )


def id_shards(ids: Ids, size: int) -> list[Shard]:
    """Shards of some ids each, whose texts are made when a shard starts."""
    return [Shard(f"{n // size:08d}", Texts(ids[n : n + size])) for n in range(0, len(ids), size)]


def describe_in_shards(
    engine: Engine,
    folder: Place,
    workspace: Workspace,
    ids: Ids,
    method: str,
    with_views: bool,
    size: int,
    progress: Progress = silent,
) -> list[tuple[str, str]]:
    """The same as `noisyweb.hashes.describe_new` of images in the store.

    Args:
        engine, folder: where the shards run, and where their parts are.
        workspace: whose images.
        ids: ascending.
        method, with_views: what is asked of each.
        size: images of a shard.
        progress: told how many are done.

    Returns:
        Images that were given up, and why: they are unreadable.
    """
    new = undescribed(workspace, ids, method, with_views)
    if not len(new):
        return []
    setting = DescribeSetting(absolute(workspace.folder), Job(method, with_views))
    work = Work(f"describe-{digest(new, method, with_views)}", descriptions, DESCRIPTIONS, setting)
    done = run_shards(engine, work, id_shards(new, size), folder, progress, "hash")
    none = [{"image_id": image_id, "inner": 1.0} for image_id, _ in done.aside]
    rest = pa.RecordBatch.from_pylist(none, schema=DESCRIPTIONS)
    for name in (TABLES[method], "views") if with_views else (TABLES[method],):
        columns = ["image_id", "hash", "flat"] if name != "views" else SCHEMAS["views"][0].names
        found = (
            pa.RecordBatch.from_arrays([batch[column] for column in columns], schema=SCHEMAS[name][0])
            for batch in chain(_read(done.parts, columns), [rest])
        )
        workspace.write_batches(name, _with(workspace, name, found, new))
    forget(work, folder)
    return [(str(image_id), reason) for image_id, reason in done.aside]


def _read(parts: Iterable[Place], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        yield from open_parquet(part).iter_batches(columns=columns)


def _with(workspace: Workspace, name: str, found: Iterable[pa.RecordBatch], new: Ids) -> Iterator[pa.RecordBatch]:
    """A table with further rows behind it; of an image that has one already the old hash counts, but the new views."""
    is_there = np.zeros(len(new), bool)
    for batch in workspace.scan(name):
        rows = find(new, ids_of(batch["image_id"]))
        is_there[rows[rows >= 0]] = name != "views"
        yield batch if name != "views" else batch.filter(pa.array(rows < 0))
    for batch in found:
        yield batch.filter(pa.array(~is_there[find(new, ids_of(batch["image_id"]))]))
