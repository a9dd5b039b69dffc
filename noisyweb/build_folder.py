"""One folder of a build: its rows, its lock file and the list of its inputs, whole or not at all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noisyweb import lock
from noisyweb.atomic import replacing_folder
from noisyweb.blend import Blend
from noisyweb.build_inputs import write_inputs
from noisyweb.certainty import Certainty
from noisyweb.errors import CorruptFileError, OutputError, SourceError
from noisyweb.imageset import ImageSet, joined
from noisyweb.levels import num_wrong
from noisyweb.manifest import LABEL_COLUMNS, manifest_schema, write_shards
from noisyweb.progress import Progress
from noisyweb.rows import manifest_batches

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


@dataclass(frozen=True)
class FolderPlan:
    """What is to be written into one folder.

    Attributes:
        folder: where.
        info: dataset, title, edition, split; of a training set also kind, level, seed and other options.
        clean: the N clean images that the blend speaks of.
        blend: the level.
        web, other: what its stand-ins are counted through: a pool of web images, then another data set's.
        inputs: more to record of the inputs, by role.
        notes: what a user should know.
        result: more to record of what came out.
        certainty: of the level.
        may_repeat: whether an image may be there twice, as others' splits have it.
    """

    folder: Path
    info: Mapping[str, Any]
    clean: ImageSet
    blend: Blend
    web: ImageSet | None = None
    other: ImageSet | None = None
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    certainty: Certainty | None = None
    may_repeat: bool = False

    def sets(self) -> dict[str, ImageSet]:
        """The inputs by role."""
        split = "train" if self.info["split"] == "train" else "validation"
        found = {split: self.clean, "pool": self.web, "other": self.other}
        return {role: images for role, images in found.items() if images is not None}


def write_folder(
    plan: FolderPlan, clean_ids: Mapping[str, str], overwrite: bool, progress: Progress
) -> tuple[Built, frozenset[str]]:
    """Write one folder whole.

    Args:
        plan: what to write.
        clean_ids: ids of clean images that no stand-in may have, and which they are.
        overwrite: replace a build of the same name that has other bytes.
        progress: told how many rows are done.

    Returns:
        What was built, and the ids of its images.

    Raises:
        LeakError: a stand-in is a clean image.
        OutputError: the folder holds other bytes, or cannot be written.
    """
    start = time.perf_counter()
    split, blend = str(plan.info["split"]), plan.blend
    clean = plan.clean if len(blend.rows) == len(plan.clean) else plan.clean.take(blend.rows)
    info = {**plan.info, "class_names": list(clean.class_names)}
    schema = manifest_schema(clean.class_names, info)
    stand_ins, num_web = joined(plan.web, plan.other), len(plan.web) if plan.web is not None else 0
    written: list[pa.Table] = []
    has_bytes: list[np.ndarray] = []

    def kept(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            written.append(pa.Table.from_batches([batch.select(LABEL_COLUMNS)]))
            has_bytes.append(batch.column("image").field("bytes").is_valid().to_numpy(zero_copy_only=False))
            yield batch

    notes = (*clean.notes, *(stand_ins.notes if stand_ins else ()), *plan.notes)
    with replacing_folder(plan.folder) as temporary:
        batches = manifest_batches(
            clean, stand_ins, num_web, blend, schema, clean_ids, progress, plan.folder.name, plan.may_repeat
        )
        files = write_shards(temporary, split, schema, kept(batches))
        rows = pa.concat_tables(written)
        ids = rows.column("image_id").to_pylist()
        if split == "train":
            shared = sum(clean_ids.get(found) == VALIDATION_IMAGE for found in ids)
            if shared:
                notes += (
                    f"{shared:,} training images are also validation images, byte for byte: accuracies will flatter",
                )
        counts = dict(Counter(rows.column("noise").to_pylist()))
        files.append(write_inputs(temporary, plan.sets(), _read_ids(plan, ids, np.concatenate(has_bytes))))
        content = {
            "options": {key: value for key, value in info.items() if key != "class_names"},
            "classes": {"number": len(clean.class_names), "sha256": lock.class_digest(clean.class_names)},
            "inputs": {
                role: {**lock.input_digest(images), **plan.inputs.get(role, {})} for role, images in plan.sets().items()
            },
            "result": _result(plan, clean, counts, rows.num_rows),
            "notes": list(notes),
        }
        lock.write_lock(temporary, content, files)
        if not overwrite:
            _check_same_bytes(plan.folder, temporary)
    asked = num_wrong(blend.level, len(clean))
    seconds = time.perf_counter() - start
    with_bytes = int(np.concatenate(has_bytes).sum())
    built = Built(plan.folder, info, rows.num_rows, asked, counts, with_bytes, notes, seconds, plan.certainty)
    return built, frozenset(ids)


def _result(plan: FolderPlan, clean: ImageSet, counts: Mapping[str, int], num_rows: int) -> dict[str, Any]:
    num_classes, blend = len(clean.class_names), plan.blend
    result: dict[str, Any] = {
        "rows": num_rows,
        "wrong": num_rows - counts.get("none", 0),
        "noise": dict(counts),
        "class_sizes": np.bincount(blend.labels, minlength=num_classes).tolist(),
        "wrong_per_true_class": np.bincount(clean.labels[blend.is_wrong], minlength=num_classes).tolist(),
        **plan.result,
    }
    if plan.certainty is not None:
        result["certainty"] = plan.certainty.record()
    return result


def _read_ids(plan: FolderPlan, ids: list[str], has_bytes: np.ndarray) -> dict[str, dict[int, str]]:
    """By role: which of its rows are in the build, and their ids."""
    found: dict[str, dict[int, str]] = {role: {} for role in plan.sets()}
    num_web = len(plan.web) if plan.web is not None else 0
    own = next(iter(found))
    for row, stand_in, image, known in zip(
        plan.blend.rows.tolist(), plan.blend.pool_row.tolist(), ids, has_bytes.tolist(), strict=True
    ):
        if known:
            if stand_in < 0:
                found[own][row] = image
            elif stand_in < num_web:
                found["pool"][stand_in] = image
            else:
                found["other"][stand_in - num_web] = image
    return found


def check_target(folder: Path, info: Mapping[str, Any], overwrite: bool) -> None:
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
    changed = [key for key in dict.fromkeys([*info, *options]) if options.get(key) != info.get(key)]
    if changed and not overwrite:
        key = changed[0]
        raise OutputError(
            f"{folder}: it holds a build with {key} {options.get(key)}, asked was {info.get(key)}; "
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
