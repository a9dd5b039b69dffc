"""Describing images (`noisyweb.describe`) as shards of some hundred ids; the rows go into the tables in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.hashes import TABLES
from noisyweb.places import absolute
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import digest
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Shard, Work, forget, run_shards
from noisyweb.views import NUM_TARGETS, PROBES
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


def describe_in_shards(
    engine: Engine,
    folder: Place,
    workspace: Workspace,
    image_ids: Sequence[str],
    method: str,
    with_views: bool,
    size: int,
    progress: Progress = silent,
) -> list[tuple[str, str]]:
    """The same as `noisyweb.hashes.describe_new` of images in the store.

    Returns:
        Images that were given up, and why: they are unreadable.
    """
    ids = pa.array(image_ids, pa.string())
    tables = {name: workspace.fold(name) for name in ((TABLES[method], "views") if with_views else (TABLES[method],))}
    is_known = pc.is_in(ids, tables[TABLES[method]]["image_id"].combine_chunks())
    if with_views:
        is_known = pc.and_(is_known, pc.is_in(ids, _viewed(tables["views"])))
    new = ids.filter(pc.invert(is_known)).to_pylist()
    if not new:
        return []
    setting = DescribeSetting(absolute(workspace.folder), Job(method, with_views))
    work = Work(f"describe-{digest(new, method, with_views)}", descriptions, DESCRIPTIONS, setting)
    shards = [Shard(f"{n // size:08d}", new[n : n + size]) for n in range(0, len(new), size)]
    done = run_shards(engine, work, shards, folder, progress, "hash")
    found = pa.Table.from_batches(done.batches(), schema=DESCRIPTIONS)
    if done.aside:
        none = [{"image_id": image_id, "inner": 1.0} for image_id, _ in done.aside]
        found = pa.concat_tables([found, pa.Table.from_pylist(none, schema=DESCRIPTIONS)])
        found = found.take(pc.index_in(pa.array(new, pa.string()), found["image_id"].combine_chunks()))
    for name, old in tables.items():
        columns = {"image_id": "image_id", method: "hash"} if name != "views" else {}
        chosen = found.select([columns.get(column, column) for column in SCHEMAS[name][0].names])
        chosen = chosen.rename_columns(SCHEMAS[name][0].names)
        workspace.write(name, _with(old, chosen, is_renewed=name == "views"))
    forget(work, folder)
    return [(str(image_id), reason) for image_id, reason in done.aside]


def _viewed(views: pa.Table) -> pa.Array:
    """Ids of images whose views are known; those of a version with other views are not."""
    lengths = [pc.fill_null(pc.binary_length(views[name]), 0) for name in ("probes", "targets")]
    faces = pc.divide(lengths[0], 8 * len(PROBES))
    is_whole = [
        pc.equal(length, pc.multiply(faces, 8 * each))
        for length, each in zip(lengths, (len(PROBES), NUM_TARGETS), strict=True)
    ]
    return views["image_id"].filter(pc.and_(*is_whole)).combine_chunks()


def _with(old: pa.Table, new: pa.Table, is_renewed: bool) -> pa.Table:
    """A table with further rows behind it; of an image that has one already the new row counts, or the old one."""
    known = pc.index_in(new["image_id"], old["image_id"].combine_chunks())
    further = new.filter(pc.is_null(known))
    if is_renewed and len(further) < len(new):
        places = pc.index_in(old["image_id"], new["image_id"].combine_chunks())
        rows = pc.if_else(pc.is_valid(places), pc.add(places, len(old)), pa.array(range(len(old)), pa.int32()))
        old = pa.concat_tables([old, new.cast(old.schema)]).take(rows)
    return pa.concat_tables([old, further.cast(old.schema)])
