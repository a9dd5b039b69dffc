"""Manifest rows: what a blend decided, joined with pixels, ids and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from noisyweb.blend import Blend
from noisyweb.errors import LeakError, SourceError
from noisyweb.first_bytes import image_suffix, no_image
from noisyweb.imageset import ImageSet
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import GROUP_BYTES, ROWS_PER_GROUP, image_id
from noisyweb.progress import Progress
from noisyweb.schemas import IMAGE_TYPE, PROVENANCE_COLUMNS


def manifest_batches(
    clean: ImageSet,
    stand_ins: ImageSet | None,
    num_web: int,
    blend: Blend,
    schema: pa.Schema,
    clean_ids: Mapping[str, str],
    progress: Progress,
    what: str,
    may_repeat: bool = False,
) -> Iterator[pa.RecordBatch]:
    """The rows of a manifest in the order of the clean set, in row groups.

    Args:
        clean: the N clean images, those of ``blend.rows``.
        stand_ins: the images that ``blend.pool_row`` points into.
        num_web: how many of these, from the first, are web images; the others are of another data set.
        blend: what to write.
        schema: of `noisyweb.manifest.manifest_schema`.
        clean_ids: ids of all clean images, and which they are ("a validation image"); a web image among them is a leak.
        progress, what: told how many rows are done.
        may_repeat: whether a stand-in may be there twice, as others' splits have it.

    Raises:
        LeakError: a web image is byte for byte a clean image of this set or a validation image.
        SourceError: the bytes of an image are those of no picture, or an image stands in twice.
    """
    own_role = "validation" if what == VALIDATION_FOLDER else "train"
    replaced = blend.pool_row >= 0
    clean_bytes = clean.load(np.flatnonzero(~replaced).tolist())
    new_bytes = stand_ins.load(blend.pool_row[replaced].tolist()) if stand_ins else iter(())
    new_ids: dict[str, str] = {}
    ids: list[str] = []
    images: list[dict[str, object]] = []
    held = start = 0
    for row in range(len(clean)):
        new = stand_ins if replaced[row] else None
        origin, index = (clean, row) if new is None else (new, int(blend.pool_row[row]))
        data = next(clean_bytes if new is None else new_bytes)
        if data is not None and image_suffix(data) is None:
            role = own_role if new is None else "pool" if index < num_web else "other"
            raise SourceError(
                f"{role} image {origin.names[index]!r}: {no_image(data)}; "
                "put the image back or remove it, and build again"
            )
        ids.append(image_id(data) if data is not None else origin.id_without_bytes(index))
        images.append({"bytes": data, "path": _path(origin.paths[index], data)})
        held += len(data or b"")
        if new is not None:
            _check_new(ids[-1], new.names[index], {} if may_repeat else new_ids, clean_ids)
        if len(ids) == ROWS_PER_GROUP or held >= GROUP_BYTES or row + 1 == len(clean):
            columns = _columns(clean, stand_ins, num_web, blend, range(start, row + 1), ids, images)
            yield pa.RecordBatch.from_pydict(columns, schema=schema)
            progress(what, row + 1, len(clean))
            ids, images, held, start = [], [], 0, row + 1


def _check_new(found: str, name: str, new_ids: dict[str, str], clean_ids: Mapping[str, str]) -> None:
    if found in clean_ids:
        raise LeakError(
            f"image {name} is byte for byte {clean_ids[found]} ({found}); "
            "run `noisyweb dedup --dataset ...` on the workspace and build again"
        )
    if found in new_ids:
        raise SourceError(
            f"pool images {new_ids[found]} and {name} are the same image ({found}); remove one, "
            "or run `noisyweb dedup` on the workspace"
        )
    new_ids[found] = name


def _columns(
    clean: ImageSet,
    stand_ins: ImageSet | None,
    num_web: int,
    blend: Blend,
    rows: range,
    ids: Sequence[str],
    images: Sequence[dict[str, object]],
) -> dict[str, object]:
    """One row group's columns."""
    part = slice(rows.start, rows.stop)
    wrong, pool_row = blend.is_wrong[part], blend.pool_row[part]
    replaced = pool_row >= 0
    given = blend.labels[part]
    true = _or_unknown(clean.true_labels, clean.labels)[part].copy()
    if stand_ins is not None and replaced.any():
        true[replaced] = _or_unknown(stand_ins.true_labels, None, len(stand_ins))[pool_row[replaced]]
    yes, total = _votes(clean, stand_ins, blend, part)
    sources = np.where(~replaced, "clean", np.where(pool_row < num_web, "web", "other"))
    columns: dict[str, object] = {
        "image_id": ids,
        "image": pa.array(images, IMAGE_TYPE),
        "label": pa.array(given, pa.int64()),
        "is_clean": pa.array(~wrong),
        "true_label": pa.array(true, pa.int64(), mask=true < 0),
        "noise": np.array(blend.noise_names)[blend.noise[part]].tolist(),
        "source": sources.tolist(),
        "votes_yes": pa.array(yes, pa.int32(), mask=yes < 0),
        "votes_total": pa.array(total, pa.int32(), mask=total < 0),
    }
    for name in PROVENANCE_COLUMNS:
        own = _provenance(clean, name, np.arange(rows.start, rows.stop))
        new = _provenance(stand_ins, name, np.maximum(pool_row, 0)) if stand_ins is not None else own
        columns[name] = [b if is_new else a for a, b, is_new in zip(own, new, replaced, strict=True)]
    return columns


def _path(path: str, data: bytes | None) -> str:
    """Hugging Face opens a row without bytes by its path; with bytes only the file name matters."""
    return path if data is None else Path(path).name


def _or_unknown(values: np.ndarray | None, default: np.ndarray | None, size: int = 0) -> np.ndarray:
    if values is not None:
        return values
    return default if default is not None else np.full(size, -1, np.int32)


def _votes(clean: ImageSet, stand_ins: ImageSet | None, blend: Blend, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """votes_yes and votes_total of each row for the label it is given; -1 where nobody voted.

    An annotator who labelled an image among all classes said yes to the label they gave and no to the others.
    """
    given, pool_row = blend.labels[part], blend.pool_row[part]
    replaced = pool_row >= 0
    yes = np.full(len(given), -1, np.int32)
    total = yes.copy()
    if clean.human_labels is not None:
        human = clean.human_labels[part]
        yes, total = (human == given[:, None]).sum(1), (human >= 0).sum(1)
        yes[replaced], total[replaced] = -1, -1
    elif clean.votes_yes is not None and clean.votes_total is not None:
        own = given == clean.labels[part]  # the label that they voted on
        yes[own], total[own] = clean.votes_yes[part][own], clean.votes_total[part][own]
    if stand_ins is not None and stand_ins.votes_yes is not None and stand_ins.votes_total is not None:
        chosen = pool_row[replaced]
        yes[replaced], total[replaced] = stand_ins.votes_yes[chosen], stand_ins.votes_total[chosen]
    elif replaced.any():
        yes[replaced], total[replaced] = -1, -1
    return yes.astype(np.int32), total.astype(np.int32)


def _provenance(images: ImageSet, name: str, indices: np.ndarray) -> list[str | None]:
    if images.provenance is None or len(images) == 0:
        return [None] * len(indices)
    values: list[str | None] = images.provenance.column(name).take(pa.array(indices)).to_pylist()
    return values
