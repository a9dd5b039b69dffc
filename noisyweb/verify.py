"""Verify: recompute hashes, counts and levels of a build and name the first thing that is not as locked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noisyweb import lock
from noisyweb.build_inputs import INPUTS_NAME, input_digests
from noisyweb.decode import pillow_in_bounds
from noisyweb.described import Described
from noisyweb.errors import SourceError, VerificationError
from noisyweb.first_bytes import image_suffix, no_image
from noisyweb.hashes import describe_now
from noisyweb.leaks import find_leaks
from noisyweb.levels import num_wrong, parse_level
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest, image_id, open_manifest
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.schemas import MANIFEST, NOISE_NAMES, SOURCE_NAMES
from noisyweb.stages import ByViews


@dataclass(frozen=True)
class Verified:
    """What was proven of one folder.

    Attributes:
        folder: the build.
        num_rows: images.
        num_wrong: wrong labels, recounted.
        num_hashed: images whose SHA-256 was recomputed from their bytes.
    """

    folder: Place
    num_rows: int
    num_wrong: int
    num_hashed: int


def builds_in(folder: Place) -> list[Place]:
    """The build folders at or below a folder: a `Path`, or a `RemotePath`.

    Raises:
        SourceError: there is none.
    """
    if (folder / lock.LOCK_NAME).exists():
        return [folder]
    found = lock.locked_folders(folder)
    if not found:
        inner: list[Place] = sorted(folder.glob("*/"))
        found = [build for one in inner for build in lock.locked_folders(one)]
    if not found:
        raise SourceError(f"{folder}: no {lock.LOCK_NAME} in it; expected a folder that `noisyweb build` wrote")
    return found


def verify(folder: Place, progress: Progress = silent) -> Verified:
    """Re-prove one build from its bytes.

    Raises:
        VerificationError: the first discrepancy: a file changed, missing or added; a row whose image does not match
            its id, or is none by its first bytes; inputs, labels, counts or levels that are not what the lock file
            says; a web image that is also a validation image, or looks like one or like a clean train image that is
            still there (as far as the build had made sure of that).
        SourceError: there is no lock file.
    """
    if not (folder / lock.LOCK_NAME).exists():
        raise SourceError(f"{folder}: no {lock.LOCK_NAME} in it; expected a folder that `noisyweb build` wrote")
    try:
        locked = lock.read_lock(folder)
        _check_files(folder, locked["files"])
        manifest = open_manifest(folder)
        rows = manifest.rows
        _check_schema(manifest, locked)
        _check_inputs(folder, locked)
        _check_rows(folder, rows)
        _check_counts(folder, rows, locked, len(manifest.class_names))
        num_hashed = _check_images(manifest, rows, progress)
        may_repeat = locked["options"]["edition"] == "official"  # as the release has it
        _check_leaks(manifest, rows, _leak_check(locked), progress, may_repeat)
    except SourceError as error:
        raise VerificationError(str(error)) from error
    wrong = rows.num_rows - sum(rows.column("is_clean").to_pylist())
    return Verified(folder, rows.num_rows, wrong, num_hashed)


def _check_files(folder: Place, files: Mapping[str, Any]) -> None:
    for name, expected in files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise VerificationError(f"{path}: missing; the lock file lists it")
        found = lock.file_digest(path)
        if found != expected:
            raise VerificationError(
                f"{path}: changed since it was built: SHA-256 {found['sha256'][:16]}… ({found['bytes']:,} bytes), "
                f"the lock file says {expected['sha256'][:16]}… ({expected['bytes']:,} bytes)"
            )
    if isinstance(folder, Path):
        there = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.parquet"))]
    else:
        there = [name for name in folder.files() if name.endswith(".parquet")]
    for name in there:
        if name not in files:
            raise VerificationError(
                f"{folder / name}: not in the lock file; a trainer would read it as part of the set"
            )


def _check_schema(manifest: Manifest, locked: Mapping[str, Any]) -> None:
    for file in manifest.files:
        schema = manifest.schema(file)
        if not schema.equals(MANIFEST, check_metadata=False):
            raise VerificationError(f"{file}: its columns are not those of a manifest: {schema.names}")
    if lock.class_digest(manifest.class_names) != locked["classes"]["sha256"]:
        raise VerificationError(f"{manifest.folder}: the class names are not those of the lock file")
    number = len(manifest.class_names)
    if locked["classes"]["number"] != number:
        raise VerificationError(
            f"{manifest.folder}: {number:,} classes, the lock file says {locked['classes']['number']:,}"
        )
    options = locked["options"]
    for key in dict.fromkeys([*options, *manifest.info]):
        found, value = manifest.info.get(key), options.get(key)
        if key != "class_names" and found != value:
            raise VerificationError(f"{manifest.folder}: {key} is {found!r}, the lock file says {value!r}")


def _check_inputs(folder: Place, locked: Mapping[str, Any]) -> None:
    """The inputs are as many as stated, and those that the list beside the lock file has."""
    stated = locked.get("inputs")
    is_listed = INPUTS_NAME in locked["files"]
    if stated == {} and not is_listed:
        return  # nothing is said of them
    if not is_listed or not isinstance(stated, Mapping):
        raise VerificationError(
            f"{folder}: the lock file lists no {INPUTS_NAME} or has no 'inputs'; build it again with this version"
        )
    listed = input_digests(folder)
    for role in dict.fromkeys([*listed, *stated]):
        found = listed.get(role, lock.rows_digest(()))
        says = stated[role] if isinstance(stated.get(role), Mapping) else {}
        for key, value in found.items():
            if says.get(key) != value:
                raise VerificationError(
                    f"{folder}: {key} of the {role} inputs is {value!r} by {INPUTS_NAME}, the lock file says "
                    f"{says.get(key)!r}"
                )


def _check_rows(folder: Place, rows: pa.Table) -> None:
    """Each row is consistent in itself; that labels are classes was checked on opening."""
    label = rows.column("label").to_numpy()
    true = rows.column("true_label").fill_null(-1).to_numpy()
    clean = rows.column("is_clean").to_numpy()
    noise = np.array(rows.column("noise").to_pylist())
    source = np.array(rows.column("source").to_pylist())
    rules = {
        f"noise is none of {', '.join(NOISE_NAMES)}": ~np.isin(noise, NOISE_NAMES),
        "is_clean does not go with noise": clean != (noise == "none"),
        f"source is none of {', '.join(SOURCE_NAMES)}": ~np.isin(source, SOURCE_NAMES),
        "a clean row whose label is not its true label": clean & (true >= 0) & (true != label),
        "a wrong row whose label is its true label": ~clean & (true == label),
    }
    for rule, broken in rules.items():
        if broken.any():
            row = int(np.argmax(broken))
            raise VerificationError(f"{folder}: row {row}: {rule} ({int(broken.sum()):,} such rows)")


def _check_counts(folder: Place, rows: pa.Table, locked: Mapping[str, Any], num_classes: int) -> None:
    """The level is exact in total, and per class unless wrong labels were to be dealt out otherwise."""
    result, options = locked["result"], locked["options"]
    noise = dict(Counter(rows.column("noise").to_pylist()))
    if rows.num_rows != result["rows"] or noise != result["noise"]:
        raise VerificationError(f"{folder}: {rows.num_rows:,} rows with noise {noise}, the lock file says {result}")
    clean = rows.column("is_clean").to_numpy()
    num_found = int((~clean).sum())
    if num_found != result["wrong"]:
        raise VerificationError(f"{folder}: {num_found:,} wrong labels, the lock file says {result['wrong']:,}")
    level = parse_level(options["level"]) if options["split"] == "train" else Decimal(0)
    asked = num_wrong(level, rows.num_rows)
    is_exact = options["edition"] != "official"  # whose splits are as they were released
    if num_found != asked and is_exact:
        raise VerificationError(
            f"{folder}: {num_found:,} wrong labels; level {level} of {rows.num_rows:,} rows is {asked:,}"
        )
    label = rows.column("label").to_numpy()
    is_own = np.array(rows.column("source").to_pylist()) == "clean"
    own_class = np.where(is_own, rows.column("true_label").fill_null(-1).to_numpy(), label)
    sizes = np.bincount(own_class[own_class >= 0], minlength=num_classes)
    wrong = np.bincount(own_class[(own_class >= 0) & ~clean], minlength=num_classes)
    for k in range(num_classes if is_exact and "balance" not in options else 0):
        if abs(int(wrong[k]) - Fraction(level) * int(sizes[k])) >= 1:
            raise VerificationError(
                f"{folder}: class {k} has {wrong[k]} wrong rows of {sizes[k]}; level {level} allows "
                f"{float(level) * sizes[k]:.1f}, rounded up or down"
            )
    if np.bincount(label, minlength=num_classes).tolist() != result["class_sizes"]:
        raise VerificationError(f"{folder}: class sizes are not those of the lock file")
    if wrong.tolist() != result.get("wrong_per_true_class", wrong.tolist()):
        raise VerificationError(f"{folder}: the wrong rows of each class are not as many as the lock file says")


def _check_images(manifest: Manifest, rows: pa.Table, progress: Progress) -> int:
    """Every image has the id of its bytes and is one by the first of them; returns how many have bytes."""
    hashed = 0
    ids = rows.column("image_id").to_pylist()
    for row, (data, _) in enumerate(manifest.images()):
        if data is None and ":" not in ids[row]:
            raise VerificationError(
                f"{manifest.folder}: row {row}: its image {ids[row][:16]}… is gone, only a path is left"
            )
        if data is not None:
            hashed += 1
            if image_id(data) != ids[row]:
                raise VerificationError(
                    f"{manifest.folder}: row {row}: the image's SHA-256 is {image_id(data)[:16]}…, "
                    f"image_id says {ids[row][:16]}…"
                )
            if image_suffix(data) is None:
                raise VerificationError(f"{manifest.folder}: row {row} ({ids[row][:16]}…): {no_image(data)}")
        if row % 500 == 499 or row + 1 == len(ids):
            progress(manifest.folder.name, row + 1, len(ids))
    return hashed


def _leak_check(locked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the build says that it has looked for; None: nothing, or it is of a version that did not."""
    found: Any = locked
    for key in ("inputs", "pool", "leak_check"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _check_leaks(
    manifest: Manifest, rows: pa.Table, check: Mapping[str, Any] | None, progress: Progress, may_repeat: bool
) -> None:
    """No web image is there twice, and none is a clean image: by its bytes, and by its looks if the build made sure."""
    folder = manifest.folder
    web = [
        i
        for i, source in zip(rows.column("image_id").to_pylist(), rows.column("source").to_pylist(), strict=True)
        if source != "clean"
    ]
    twice = [i for i, count in Counter(web).items() if count > 1]
    if twice and not may_repeat:
        raise VerificationError(f"{folder}: web image {twice[0][:16]}… is in it {Counter(web)[twice[0]]} times")
    validation = folder.parent / VALIDATION_FOLDER
    clean = [("train", manifest)] + ([("validation", open_manifest(validation))] if validation.is_dir() else [])
    ids = {split: set(one.rows.column("image_id").to_pylist()) - set(web) for split, one in clean}
    if validation.is_dir():
        ids["validation"] = set(clean[-1][1].rows.column("image_id").to_pylist())
        leaked = [i for i in web if i in ids["validation"]]
        if leaked:
            raise VerificationError(f"{folder}: web image {leaked[0][:16]}… is also a validation image: a leak")
    if not web or check is None:
        return
    radius, with_views = check.get("radius"), check.get("views")
    if not isinstance(radius, int) or not 0 <= radius <= 256 or not isinstance(with_views, bool):
        raise VerificationError(f"{folder}: the lock file's leak_check is {dict(check)}; expected a radius and views")
    with pillow_in_bounds():
        stages = [ByViews(radius)] if with_views else []
        ours = _described(manifest, set(web), "hash web images", with_views, progress)
        for split, one in clean:
            theirs = _described(one, ids[split], f"hash {split} images", with_views, progress)
            for image, found in sorted(find_leaks(ours, theirs, radius, stages, progress).items()):
                raise VerificationError(
                    f"{folder}: web image {image[:16]}… is a copy of {split} image {found.image_id[:16]}… "
                    f"({found.match.kind}, {found.match.distance} of 256 bits): a leak"
                )


def _described(manifest: Manifest, wanted: set[str], what: str, with_views: bool, progress: Progress) -> Described:
    """What some images of a manifest look like, worked out from their pixels."""
    ids = manifest.rows.column("image_id").to_pylist()

    def some(wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
        for image, (data, _) in zip(ids, manifest.images(), strict=True):
            if image in wanted and data is not None:
                yield image, data

    def load(asked: Sequence[str]) -> Iterator[bytes | None]:
        found = dict(some(set(asked)))
        return (found.get(image) for image in asked)

    return describe_now(some(wanted), load, with_views=with_views, what=what, num_images=len(wanted), progress=progress)
