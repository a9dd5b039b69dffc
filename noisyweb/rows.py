"""Manifest rows: what a blend decided, joined with pixels, ids and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from noisyweb.blend import Blend
from noisyweb.errors import LeakError, SourceError
from noisyweb.imageset import ImageSet
from noisyweb.manifest import GROUP_BYTES, ROWS_PER_GROUP, image_id
from noisyweb.progress import Progress
from noisyweb.schemas import IMAGE_TYPE, PROVENANCE_COLUMNS


def manifest_batches(
    clean: ImageSet,
    pool: ImageSet | None,
    blend: Blend,
    noise: str,
    schema: pa.Schema,
    clean_ids: Mapping[str, str],
    progress: Progress,
    what: str,
) -> Iterator[pa.RecordBatch]:
    """The rows of a manifest in the order of the clean set, in row groups.

    Args:
        clean: the N clean images.
        pool: the images that ``blend.pool_row`` points into.
        blend: what to write.
        noise: the ``noise`` column's value for wrong rows.
        schema: of `noisyweb.manifest.manifest_schema`.
        clean_ids: ids of all clean images, and which they are ("a validation image"); a web image among them is a leak.
        progress, what: told how many rows are done.

    Raises:
        LeakError: a web image is byte for byte a clean image of this set or a validation image.
    """
    from_web = blend.pool_row >= 0
    clean_bytes = clean.load(np.flatnonzero(~from_web).tolist())
    web_bytes = pool.load(blend.pool_row[from_web].tolist()) if pool else iter(())
    web_ids: dict[str, str] = {}
    ids: list[str] = []
    images: list[dict[str, object]] = []
    held = start = 0
    for row in range(len(clean)):
        web = pool if from_web[row] else None
        origin, index = (clean, row) if web is None else (web, int(blend.pool_row[row]))
        data = next(clean_bytes if web is None else web_bytes)
        ids.append(image_id(data) if data is not None else f"{origin.prefix}:{origin.names[index]}")
        images.append({"bytes": data, "path": _path(origin.paths[index], data)})
        held += len(data or b"")
        if web is not None:
            _check_new(ids[-1], web.names[index], web_ids, clean_ids)
        if len(ids) == ROWS_PER_GROUP or held >= GROUP_BYTES or row + 1 == len(clean):
            columns = _columns(clean, pool, blend, noise, range(start, row + 1), ids, images)
            yield pa.RecordBatch.from_pydict(columns, schema=schema)
            progress(what, row + 1, len(clean))
            ids, images, held, start = [], [], 0, row + 1


def _check_new(found: str, name: str, web_ids: dict[str, str], clean_ids: Mapping[str, str]) -> None:
    if found in clean_ids:
        raise LeakError(
            f"web image {name} is byte for byte {clean_ids[found]} ({found}); "
            "run `noisyweb dedup --dataset ...` on the workspace and build again"
        )
    if found in web_ids:
        raise SourceError(
            f"pool images {web_ids[found]} and {name} are the same image ({found}); remove one, "
            "or run `noisyweb dedup` on the workspace"
        )
    web_ids[found] = name


def _columns(
    clean: ImageSet,
    pool: ImageSet | None,
    blend: Blend,
    noise: str,
    rows: range,
    ids: Sequence[str],
    images: Sequence[dict[str, object]],
) -> dict[str, object]:
    """One row group's columns."""
    part = slice(rows.start, rows.stop)
    wrong, pool_row = blend.is_wrong[part], blend.pool_row[part]
    web = pool_row >= 0
    given = blend.labels[part]
    true = _or_unknown(clean.true_labels, clean.labels)[part].copy()
    if pool is not None and web.any():
        true[web] = _or_unknown(pool.true_labels, None, len(pool))[pool_row[web]]
    yes, total = _votes(clean, pool, blend, noise, part)
    columns: dict[str, object] = {
        "image_id": ids,
        "image": pa.array(images, IMAGE_TYPE),
        "label": pa.array(given, pa.int64()),
        "is_clean": pa.array(~wrong),
        "true_label": pa.array(true, pa.int64(), mask=true < 0),
        "noise": np.where(wrong, noise, "none").tolist(),
        "source": np.where(web, "web", "clean").tolist(),
        "votes_yes": pa.array(yes, pa.int32(), mask=yes < 0),
        "votes_total": pa.array(total, pa.int32(), mask=total < 0),
    }
    for name in PROVENANCE_COLUMNS:
        own = _provenance(clean, name, np.arange(rows.start, rows.stop))
        web_values = _provenance(pool, name, np.maximum(pool_row, 0)) if pool is not None else own
        columns[name] = [b if is_web else a for a, b, is_web in zip(own, web_values, web, strict=True)]
    return columns


def _path(path: str, data: bytes | None) -> str:
    """Hugging Face opens a row without bytes by its path; with bytes only the file name matters."""
    return path if data is None else Path(path).name


def _or_unknown(values: np.ndarray | None, default: np.ndarray | None, size: int = 0) -> np.ndarray:
    if values is not None:
        return values
    return default if default is not None else np.full(size, -1, np.int32)


def _votes(
    clean: ImageSet, pool: ImageSet | None, blend: Blend, noise: str, part: slice
) -> tuple[np.ndarray, np.ndarray]:
    """votes_yes and votes_total of each row for the label it is given; -1 where nobody voted.

    An annotator who labelled an image among all classes said yes to the label they gave and no to the others.
    """
    given, pool_row = blend.labels[part], blend.pool_row[part]
    web = pool_row >= 0
    yes = np.full(len(given), -1, np.int32)
    total = yes.copy()
    if clean.human_labels is not None:
        human = clean.human_labels[part]
        yes, total = (human == given[:, None]).sum(1), (human >= 0).sum(1)
    elif clean.votes_yes is not None and clean.votes_total is not None and noise == "web":
        yes, total = clean.votes_yes[part].copy(), clean.votes_total[part].copy()
    if pool is not None and pool.votes_yes is not None and pool.votes_total is not None:
        yes[web], total[web] = pool.votes_yes[pool_row[web]], pool.votes_total[pool_row[web]]
    return yes.astype(np.int32), total.astype(np.int32)


def _provenance(images: ImageSet, name: str, indices: np.ndarray) -> list[str | None]:
    if images.provenance is None or len(images) == 0:
        return [None] * len(indices)
    values: list[str | None] = images.provenance.column(name).take(pa.array(indices)).to_pylist()
    return values
