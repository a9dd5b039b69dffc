"""Dedup: images that are there twice, and web images that are also clean images (leaks).

Leaks are looked for first: a web image that is a copy of a clean train or validation image is dropped, whatever else
it is like. The rest is grouped without chaining: images are taken best first; one that is no copy of a kept image is
kept, any other is dropped in favour of a kept one that it is a copy of itself. Flat images are matched by their bytes
alone. Nothing is deleted.

Copies by the hash: within 32 of 256 bits. Measured: of 297 web photographs, copies resized to 0.25-2x, recompressed
down to JPEG quality 10, blurred, greyed or of mild gamma lie at most 24 bits away; the nearest two different
photographs are 92 bits apart. Among 10,000 CIFAR-10 images every one of the 19 pairs within 48 bits is the same
picture. Drawn cars are more alike than photographs. Other copies are found by their views
(`noisyweb.copies`); docs/benchmarks.md has what each transformation costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup_clean import CleanImages, clean_images
from noisyweb.dedup_dropped import Dropped
from noisyweb.dedup_groups import group
from noisyweb.dedup_order import best_first, check_policy
from noisyweb.dedup_record import DedupRecord, read_record, write_record
from noisyweb.dedup_report import DedupReport
from noisyweb.described import Described
from noisyweb.embedding import Embedding
from noisyweb.errors import SourceError, UnknownNameError
from noisyweb.hashes import TABLES, describe_new, embed_new, known_looks, known_vectors, stored, undescribed
from noisyweb.image_ids import Ids, Texts, digest_of, find, ids_of, unique
from noisyweb.imageset import ImageSet
from noisyweb.leaks import Nearest, leaks_among
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.schemas import CLEAN_DUPLICATES
from noisyweb.stages import ByEmbedding, ByViews, Stage
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    from noisyweb.scale.engine import Engine
    from noisyweb.scale.spread_dedup import Sizes, Spread

DEFAULT_RADIUS = 32


def dedup(
    workspace: Workspace,
    train: ImageSet | None = None,
    validation: ImageSet | None = None,
    *,
    radius: int = DEFAULT_RADIUS,
    method: str = "phash",
    views: bool = True,
    embedding: Embedding | None = None,
    keep: str = "largest",
    dataset: str = "",
    processes: int | None = None,
    engine: Engine | None = None,
    sizes: Sizes | None = None,
    progress: Progress = silent,
) -> DedupReport:
    """Find a workspace's duplicates and leaks anew and write its ``duplicates`` table.

    Args:
        workspace: its images; new ones are described, and what is found out kept.
        train, validation: the clean images that must not appear. Leaks against a set that is not given are
            kept as an earlier run found them.
        radius: in bits of 256; 0 finds equal hashes only.
        method: the hash: "phash", or "dhash", which is cheaper and finds less.
        views: look for cropped, padded, mirrored and rotated copies too.
        embedding: a model by which images may be alike too, on top of all else.
        keep: which of several copies stays; see `noisyweb.dedup_order.KEEP`.
        dataset: what the user calls the clean sets, for the record.
        processes: see `noisyweb.workers.describe_all`.
        engine: where describing, comparing and proving are done; None: in this process and ``processes`` others. The
            tables are the same. Clean images are read and described here in any case.
        sizes: how an engine's work is cut; None: as is best for many images.
        progress: told how far it is.

    Raises:
        SourceError: the radius is not in 0..256, another process writes to the workspace, it is at a URL and no engine
            is given, or the workers of an engine could not load the embedding by its name.
        UnknownNameError: no such hash or policy.
        NoisywebError: an engine's workers cannot compare two blocks of images.
    """
    if not 0 <= radius <= 256:
        raise SourceError(f"radius {radius}: expected 0 to 256 bits; {DEFAULT_RADIUS} is the default")
    if method not in TABLES:
        raise UnknownNameError("hash", method, TABLES)
    if engine is None and not isinstance(workspace.folder, Path):
        raise SourceError(f"workspace {workspace.folder}: dedup at a URL needs an engine; name one with --engine")
    spread = None if engine is None else _spread(engine, workspace, sizes, embedding, progress)
    with workspace.locked(), pillow_in_bounds():
        options: dict[str, Any] = {"with_views": views, "processes": processes, "progress": progress}
        check_policy(keep)
        pieces = [_present(batch) for batch in workspace.scan("images", ["image_id"])]
        num_fetched, web_ids = sum(map(len, pieces)), unique(pieces)
        del pieces
        clean = {
            against: clean_images(workspace, images, against, method, **options)
            for against, images in (("validation", validation), ("train", train))
            if images is not None
        }
        if spread is None:
            new = undescribed(workspace, web_ids, method, views)
            if len(new):  # else the tables would be read once more
                describe_new(workspace, stored(workspace, new), method, num_images=len(new), **options)
        else:
            spread.describe(web_ids, method, views)
        web = known_looks(workspace, web_ids, method, with_views=views)
        there = {
            against: known_looks(workspace, one.ids, method, with_views=views, load=one.load).looks.all()
            for against, one in clean.items()
        }
        dropped = Dropped(web_ids, best_first(workspace, web_ids, keep))
        dropped.earlier_leaks(workspace, clean)
        dropped.unreadable(web.is_readable)
        stages: list[Stage] = []
        if views:
            stages.append(spread.by_views(radius) if spread else ByViews(radius))
        if embedding is not None:
            stages.append(_by_embedding(workspace, web.looks.all(), there.values(), embedding, spread, progress))
        near = spread.nearest if spread else None
        for against, one in there.items():
            left = web.looks.described(dropped.left())
            found = leaks_among(left, one, radius, stages, progress, near)
            dropped.leaks(against, clean[against].ids, left, found, one)
        left = web.looks.described(dropped.left())
        dropped.copies(left, group(left, radius, stages, progress, spread.nearest_kept if spread else None))
        num_clean_leaks = None
        if len(clean) == 2:
            num_clean_leaks = _clean_leaks(workspace, clean, there, radius, stages, progress, near)
        workspace.write_batches("duplicates", dropped.batches())
        earlier = read_record(workspace.folder)
        dataset = dataset or (earlier.dataset if earlier else "")
        digests = {against: digest_of(one.ids) for against, one in clean.items()}
        record = DedupRecord(method, radius, views, keep, dataset, digest_of(web_ids), digests)
        write_record(workspace.folder, record)
        if spread is not None:
            spread.forget()
    return DedupReport(
        num_fetched=num_fetched,
        num_questions=dropped.num_questions,
        num_flat=int(web.is_flat.sum()),
        num_kept=dropped.num_questions - len(dropped),
        radius=radius,
        num_dropped=dropped.counts(),
        num_clean_leaks=num_clean_leaks,
        aside=spread.aside if spread else (),
    )


def _present(batch: pa.RecordBatch) -> Ids:
    return ids_of(batch["image_id"].drop_null())


def _by_embedding(
    workspace: Workspace,
    web: Described,
    clean: Iterable[Described],
    embedding: Embedding,
    spread: Spread | None,
    progress: Progress,
) -> Stage:
    if spread is not None:
        spread.embed(web, embedding)
    for one in clean if spread else (web, *clean):
        embed_new(workspace, one, embedding, progress)
    vectors = known_vectors(workspace, embedding.name)
    return (spread.by_embedding if spread else ByEmbedding)(vectors, embedding.min_cosine)


def _spread(
    engine: Engine, workspace: Workspace, sizes: Sizes | None, embedding: Embedding | None, progress: Progress
) -> Spread:
    from noisyweb.scale.embed_shards import check_named
    from noisyweb.scale.shared import check_shared
    from noisyweb.scale.spread_dedup import Sizes, Spread

    if embedding is not None:
        check_named(embedding)
    check_shared(engine, workspace.folder)
    return Spread(engine, workspace, sizes or Sizes(), progress)


def _clean_leaks(
    workspace: Workspace,
    clean: Mapping[str, CleanImages],
    there: Mapping[str, Described],
    radius: int,
    stages: list[Stage],
    progress: Progress,
    near: Nearest | None,
) -> int:
    """Clean train images that are also validation images: a table of their own, since clean sets are the user's."""
    ours, theirs = clean["train"], clean["validation"]
    copied = leaks_among(there["train"], there["validation"], radius, stages, progress, near)
    found = dict(zip(there["train"].rows.tolist(), range(len(there["train"])), strict=True))
    same = find(theirs.ids, ours.ids)
    rows = []
    for row, (train_id, other) in enumerate(zip(Texts(ours.ids), same.tolist(), strict=True)):
        match = Match("exact", 0)
        if other < 0:
            place = found.get(row, -1)
            if place < 0 or not copied.is_copy[place]:
                continue
            other, match = int(there["validation"].rows[copied.others[place]]), copied.match(place)
        rows.append(
            {
                "train_id": train_id,
                "train_name": ours.name(row),
                "validation_id": Texts(theirs.ids)[other],
                "validation_name": theirs.name(other),
                "kind": match.kind,
                "distance": match.distance,
                "agreement": match.agreement,
            }
        )
    workspace.write("clean_duplicates", pa.Table.from_pylist(rows, schema=CLEAN_DUPLICATES))
    return len(rows)
