"""Build: a clean set, a pool, a kind, levels and a seed become manifest folders.

    <out>/<dataset>/clean_validation/            the clean validation set, shared by all levels
    <out>/<dataset>/<kind>_noise_nl_<level>/     one training set a level, with its lock file
    <out>/<dataset>/README.md, ATTRIBUTION.md    the card and the credits of all of them

Each folder appears whole or not at all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noisyweb import lock, plugins
from noisyweb.atomic import replacing_folder
from noisyweb.blend import Blend, BlendInput, blend_levels
from noisyweb.build_leaks import DRAWN_CHECK, LeakCheck, refuse_leaks
from noisyweb.card import check_documents, write_documents
from noisyweb.certainty import Certainty
from noisyweb.dataset import Dataset
from noisyweb.errors import CorruptFileError, OutputError, SourceError
from noisyweb.imageset import ImageSet
from noisyweb.levels import level_text, num_wrong
from noisyweb.manifest import LABEL_COLUMNS, image_id, manifest_schema, write_shards
from noisyweb.progress import Progress, silent
from noisyweb.rows import manifest_batches

VALIDATION_FOLDER = "clean_validation"
VALIDATION_IMAGE = "a validation image"


@dataclass(frozen=True)
class Built:
    """What one folder holds.

    Attributes:
        folder: where it is.
        info: dataset, title, edition, kind, level, seed, split, class_names.
        num_rows: images in it.
        num_wrong_asked: round(level x N).
        noise: rows by the value of the ``noise`` column.
        with_bytes: rows that carry their image; the others carry a path only.
        notes: what a user should know about the inputs.
        seconds: wall time.
        certainty: of a set with web images that annotators judged: how sure its level is, since they err.
    """

    folder: Path
    info: Mapping[str, Any]
    num_rows: int
    num_wrong_asked: int
    noise: Mapping[str, int]
    with_bytes: int
    notes: tuple[str, ...]
    seconds: float
    certainty: Certainty | None = None

    @property
    def num_wrong(self) -> int:
        """Wrong labels, counted in what was written."""
        return self.num_rows - self.noise.get("none", 0)


def build(
    dataset: Dataset,
    *,
    kind: str,
    levels: Sequence[Decimal],
    seed: int = 0,
    out: Path = Path("builds"),
    overwrite: bool = False,
    leak_check: bool = True,
    progress: Progress = silent,
) -> Iterator[Built]:
    """Build the clean validation set (if there is one) and one training set a level.

    Levels, targets, shortages and leaks are checked before the first folder is written.

    Args:
        dataset: of `noisyweb.dataset.load_dataset`.
        kind: a plug-in of `noisyweb.kinds`.
        levels: shares of wrong labels in [0, 1].
        seed: same inputs, options and seed give the same bytes.
        out: parent folder of all builds.
        overwrite: replace folders that hold a build with other options.
        leak_check: compare web images with the clean ones by their looks first (`noisyweb.build_leaks`); the drawn
            edition is known to have none. Those that are the same byte for byte are refused in any case.
        progress: told how many rows of each folder are done.

    Yields:
        What was built, the validation set first.

    Raises:
        ShortageError: too few wrong labels for a level.
        LeakError: a web image is also a clean image.
        OutputError: a target folder holds something else, or the disk is full.
        SourceError: an input cannot be read as its definition says.
    """
    module = plugins.load("noisyweb.kinds", "kind", kind)
    root = out / dataset.name
    common = {"dataset": dataset.name, "title": dataset.title, "edition": dataset.edition}
    targets = {}
    for level in dict.fromkeys(levels):
        info = {**common, "split": "train", "kind": kind, "level": level_text(level), "seed": seed}
        targets[root / f"{kind}_noise_nl_{level_text(level)}"] = info
    for folder, info in targets.items():
        _check_target(folder, info, overwrite)
    check_documents(root)
    _check_target(root / VALIDATION_FOLDER, {**common, "split": "validation"}, overwrite)

    train = dataset.train()
    pool = dataset.pool() if module.NOISE == "web" else None
    # all of them at once: raises on a shortage, before anything is written
    blends = list(blend_levels(kind, BlendInput.of(train, pool), list(dict.fromkeys(levels)), seed))
    clean_ids: dict[str, str] = {}
    validation = dataset.validation()
    leaks: LeakCheck | None = DRAWN_CHECK if pool is not None and leak_check else None
    if pool is not None and leak_check and dataset.edition != "drawn":
        used = np.unique(np.concatenate([blend.pool_row for blend in blends]))
        clean = {"train": train} | ({"validation": validation} if validation is not None else {})
        leaks = refuse_leaks(pool, used[used >= 0], clean, progress)
    if validation is not None:
        no_noise = Blend(Decimal(0), validation.labels, np.zeros(len(validation), bool), np.full(len(validation), -1))
        info = {**common, "split": "validation"}
        built, ids = _write(
            root / VALIDATION_FOLDER, info, validation, None, no_noise, "none", {}, {}, overwrite, progress
        )
        clean_ids = dict.fromkeys(ids, VALIDATION_IMAGE)
        yield built
    inputs: dict[str, Any] = {"train": lock.input_digest(train)}
    if pool is not None:
        inputs["pool"] = {**lock.input_digest(pool), "leak_check": leaks}
        # all of them: an image that is replaced at this level must not come back as its own replacement
        for data in train.load(range(len(train))):
            if data is not None:
                clean_ids.setdefault(image_id(data), "a clean training image")
    certainties = _certainties(pool, blends)
    for (folder, info), blend, certainty in zip(targets.items(), blends, certainties, strict=True):
        built, _ = _write(folder, info, train, pool, blend, module.NOISE, inputs, clean_ids, True, progress, certainty)
        yield built
    write_documents(root)


def _certainties(pool: ImageSet | None, blends: Sequence[Blend]) -> list[Certainty | None]:
    """How sure each level is; None where no annotator judged, or no web image has come in."""
    used = [blend.pool_row[blend.pool_row >= 0] for blend in blends]
    draws = pool.wrong_draws() if pool is not None and pool.wrong_draws is not None and any(map(len, used)) else None
    return [
        draws.certainty(rows, len(blend.labels)) if draws is not None and len(rows) else None
        for rows, blend in zip(used, blends, strict=True)
    ]


def _write(
    folder: Path,
    info: dict[str, Any],
    clean: ImageSet,
    pool: ImageSet | None,
    blend: Blend,
    noise: str,
    inputs: Mapping[str, Any],
    clean_ids: Mapping[str, str],
    overwrite: bool,
    progress: Progress,
    certainty: Certainty | None = None,
) -> tuple[Built, frozenset[str]]:
    """Write one folder whole; also give the ids of its images."""
    start = time.perf_counter()
    split = str(info["split"])
    info = {**info, "class_names": list(clean.class_names)}
    schema = manifest_schema(clean.class_names, info)
    written: list[pa.Table] = []
    with_bytes = 0

    def kept(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal with_bytes
        for batch in batches:
            written.append(pa.Table.from_batches([batch.select(LABEL_COLUMNS)]))
            with_bytes += len(batch) - batch.column("image").field("bytes").null_count
            yield batch

    notes = (*clean.notes, *(pool.notes if pool else ()))
    with replacing_folder(folder) as temporary:
        batches = manifest_batches(clean, pool, blend, noise, schema, clean_ids, progress, folder.name)
        files = write_shards(temporary, split, schema, kept(batches))
        rows = pa.concat_tables(written)
        shared = sum(clean_ids.get(found) == VALIDATION_IMAGE for found in rows.column("image_id").to_pylist())
        if shared:
            notes += (f"{shared:,} training images are also validation images, byte for byte: accuracies will flatter",)
        counts = Counter(rows.column("noise").to_pylist())
        options = {key: value for key, value in info.items() if key != "class_names"}
        result: dict[str, Any] = {
            "rows": rows.num_rows,
            "wrong": rows.num_rows - counts["none"],
            "noise": dict(counts),
            "class_sizes": np.bincount(blend.labels, minlength=len(clean.class_names)).tolist(),
            "wrong_per_true_class": np.bincount(
                clean.labels[blend.is_wrong], minlength=len(clean.class_names)
            ).tolist(),
        }
        if certainty is not None:
            result["certainty"] = certainty.record()
        content = {
            "options": options,
            "classes": {"number": len(clean.class_names), "sha256": lock.class_digest(clean.class_names)},
            "inputs": inputs or {split: lock.input_digest(clean)},
            "result": result,
            "notes": list(notes),
        }
        lock.write_lock(temporary, content, files)
        if not overwrite:
            _check_same_bytes(folder, temporary)
    asked = num_wrong(blend.level, len(clean))
    seconds = time.perf_counter() - start
    built = Built(folder, info, rows.num_rows, asked, dict(counts), with_bytes, notes, seconds, certainty)
    assert built.num_wrong == asked, "the blend must be exact"
    return built, frozenset(rows.column("image_id").to_pylist())


def _check_target(folder: Path, info: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse to put a build where something else is.

    Raises:
        OutputError: it is a file, a folder that noisyweb did not write, or a build with other options.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: a file of that name is in the way; name another place with --out")
    if not any(folder.iterdir()):
        return
    try:
        options = lock.read_lock(folder)["options"]
    except (SourceError, CorruptFileError):
        raise OutputError(
            f"{folder}: it holds something that is no noisyweb build; name another place with --out, or move it away"
        ) from None
    changed = [key for key in info if options.get(key) != info[key]]
    if changed and not overwrite:
        key = changed[0]
        raise OutputError(
            f"{folder}: it holds a build with {key} {options.get(key)}, asked was {info[key]}; "
            "name another place with --out, or replace it with --overwrite"
        )


def _check_same_bytes(folder: Path, temporary: Path) -> None:
    """Other levels were built beside the old validation set: don't change it under them."""
    old = folder / lock.LOCK_NAME
    if old.exists() and old.read_bytes() != (temporary / lock.LOCK_NAME).read_bytes():
        raise OutputError(
            f"{folder}: it holds another validation set than these inputs and library versions give, and other builds "
            "rely on it; name another place with --out, or replace it with --overwrite"
        )
