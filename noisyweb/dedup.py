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

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup_clean import CleanImages, clean_images, ids_digest, loader
from noisyweb.dedup_groups import group
from noisyweb.dedup_order import Key, best_first, check_policy
from noisyweb.dedup_record import DedupRecord, read_record, write_record
from noisyweb.dedup_report import DedupReport
from noisyweb.embedding import Embedding
from noisyweb.errors import SourceError, UnknownNameError
from noisyweb.hashes import (
    TABLES,
    Described,
    Known,
    describe_new,
    described,
    embed_new,
    known_hashes,
    known_vectors,
    known_views,
    stored,
)
from noisyweb.imageset import ImageSet
from noisyweb.leaks import Found, Nearest, find_leaks, nearest
from noisyweb.progress import Progress, silent
from noisyweb.proof import Load
from noisyweb.schemas import CLEAN_DUPLICATES, DUPLICATES
from noisyweb.stages import ByEmbedding, ByViews, Stage
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    from noisyweb.scale.engine import Engine
    from noisyweb.scale.spread_dedup import Sizes, Spread

DEFAULT_RADIUS = 32

Row = dict[str, Any]
Dropped = dict[Key, Row]


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
        web_ids = sorted({i for i in workspace.fold("images")["image_id"].to_pylist() if i is not None})
        clean = {
            against: clean_images(workspace, images, against, method, **options)
            for against, images in (("validation", validation), ("train", train))
            if images is not None
        }
        if spread is None:
            describe_new(workspace, stored(workspace, web_ids), method, **options)
        else:
            spread.describe(web_ids, method, views)
        keys = best_first(workspace, keep)
        known, seen = known_hashes(workspace, method), known_views(workspace) if views else {}

        def compared(ids: list[str], load: Load | None = None) -> Described:
            return described(ids, known, seen, load or workspace.load, is_stored=load is None)

        dropped: Dropped = {}
        _unreadable(keys, known, dropped)
        _earlier_leaks(workspace, keys, dropped, clean)
        there = {against: compared(one.ids, loader(one.images, one.rows())) for against, one in clean.items()}
        stages: list[Stage] = []
        if views:
            stages.append(spread.by_views(radius) if spread else ByViews(radius))
        if embedding is not None:
            web = compared(web_ids)
            if spread is not None:
                spread.embed(web.ids, embedding)
            for one in there.values() if spread else (web, *there.values()):
                embed_new(workspace, one.ids, one.load, embedding, progress)
            vectors = known_vectors(workspace, embedding.name)
            by_embedding = spread.by_embedding if spread else ByEmbedding
            stages.append(by_embedding(vectors, embedding.min_cosine))
        near = spread.nearest if spread else nearest
        for against, one in there.items():
            left = [image_id for image_id, label in keys if (image_id, label) not in dropped]
            found = find_leaks(compared(left), one, radius, stages, progress, near)
            _drop_leaks(keys, against, set(clean[against].ids), found, dropped)
        left = [key[0] for key in keys if key not in dropped]
        groups = group(compared(left), radius, stages, progress, spread.nearest_kept if spread else None)
        _drop_copies(keys, groups, dropped)
        rows = [dropped[key] for key in sorted(dropped, key=lambda key: (key[1], key[0]))]
        num_clean_leaks = None
        if len(clean) == 2:
            num_clean_leaks = _clean_leaks(workspace, clean, there, radius, stages, progress, near)
        workspace.write("duplicates", pa.Table.from_pylist(rows, schema=DUPLICATES))
        earlier = read_record(workspace.folder)
        dataset = dataset or (earlier.dataset if earlier else "")
        digests = {against: one.digest() for against, one in clean.items()}
        record = DedupRecord(method, radius, views, keep, dataset, ids_digest(web_ids), digests)
        write_record(workspace.folder, record)
        if spread is not None:
            spread.forget()
        num_fetched = sum(image_id is not None for image_id in workspace.read("images")["image_id"].to_pylist())
    return DedupReport(
        num_fetched=num_fetched,
        num_questions=len(keys),
        num_flat=sum(known[image_id][1] for image_id in web_ids),
        num_kept=len(keys) - len(rows),
        radius=radius,
        num_dropped=Counter((row["against"], row["kind"]) for row in rows),
        num_clean_leaks=num_clean_leaks,
        aside=spread.aside if spread else (),
    )


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


def _unreadable(keys: list[Key], known: Known, dropped: Dropped) -> None:
    for key in keys:
        if known[key[0]][0] is None:
            dropped[key] = _row(key, key[0], key[1], "unreadable", None, None, "web")


def _earlier_leaks(workspace: Workspace, keys: list[Key], dropped: Dropped, renewed: Mapping[str, object]) -> None:
    there = set(keys)
    for row in workspace.fold("duplicates").to_pylist():
        key = (row["image_id"], row["label"])
        if row["against"] != "web" and row["against"] not in renewed and key in there:
            dropped[key] = row


def _drop_leaks(keys: list[Key], against: str, clean: set[str], found: Mapping[str, Found], dropped: Dropped) -> None:
    """Drop web images that are clean ones, by their bytes or by their looks."""
    for key in keys:
        if key in dropped:
            continue
        if key[0] in clean:
            dropped[key] = _row(key, key[0], None, "exact", 0, None, against)
        elif one := found.get(key[0]):
            match = one.match
            dropped[key] = _row(key, one.image_id, None, match.kind, match.distance, match.agreement, against)


def _drop_copies(keys: list[Key], groups: Mapping[str, Found], dropped: Dropped) -> None:
    """Drop copies among the web images that are left, and further classes of the same bytes."""
    left = [key for key in keys if key not in dropped]
    first_label: dict[str, int] = {}
    for image_id, label in left:
        first_label.setdefault(image_id, label)
    for key in left:
        image_id, label = key
        if one := groups.get(image_id):
            match, kept_label = one.match, first_label[one.image_id]
            dropped[key] = _row(key, one.image_id, kept_label, match.kind, match.distance, match.agreement, "web")
        elif first_label[image_id] != label:
            dropped[key] = _row(key, image_id, first_label[image_id], "exact", 0, None, "web")


def _clean_leaks(
    workspace: Workspace,
    clean: Mapping[str, CleanImages],
    there: Mapping[str, Described],
    radius: int,
    stages: list[Stage],
    progress: Progress,
    near: Nearest,
) -> int:
    """Clean train images that are also validation images: a table of their own, since clean sets are the user's."""
    names = {against: (one.images.names, one.rows()) for against, one in clean.items()}
    found = find_leaks(there["train"], there["validation"], radius, stages, progress, near)
    same = set(clean["train"].ids) & set(clean["validation"].ids)
    rows = []
    for image_id in sorted(same | set(found)):
        one = None if image_id in same else found[image_id]
        other = image_id if one is None else one.image_id
        rows.append(
            {
                "train_id": image_id,
                "train_name": names["train"][0][names["train"][1][image_id]],
                "validation_id": other,
                "validation_name": names["validation"][0][names["validation"][1][other]],
                "kind": one.match.kind if one else "exact",
                "distance": one.match.distance if one else 0,
                "agreement": one.match.agreement if one else None,
            }
        )
    workspace.write("clean_duplicates", pa.Table.from_pylist(rows, schema=CLEAN_DUPLICATES))
    return len(rows)


def _row(
    key: Key, kept_id: str, kept_label: int | None, kind: str, distance: int | None, agrees: float | None, against: str
) -> Row:
    return {
        "image_id": key[0],
        "label": key[1],
        "kept_id": kept_id,
        "kept_label": kept_label,
        "kind": kind,
        "distance": distance,
        "agreement": agrees,
        "against": against,
    }
