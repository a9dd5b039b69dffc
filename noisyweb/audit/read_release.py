"""The official release, or anything on disk in its layout, to be audited."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import numpy as np

from noisyweb.audit.rows import UNKNOWN, AuditInput, AuditSet, Finding, some
from noisyweb.errors import SourceError
from noisyweb.official.annotations import Annotations, read_annotations
from noisyweb.official.release import MAX_CLASSES, VALIDATION, ReleaseSet, open_layout
from noisyweb.official.split_file import SplitFile, read_split, wnid_of

_WEB_ID = re.compile(r"[0-9a-f]{16,}")


def is_release(path: Path) -> bool:
    """Whether a path is of the release's layout: its folder, a set of it, or a split file."""
    return _place(path) is not None or bool(_sets(path))


def read_release(path: Path) -> list[AuditInput]:
    """All sets of a release, one set, or one split with the validation split beside it.

    Raises:
        SourceError: a part is missing, or damaged.
    """
    place = _place(path)
    if place is not None:
        return [_read(open_layout(place), path if path.is_file() else None)]
    return [_read(open_layout(each), None) for each in _sets(path)]


def _place(path: Path) -> Path | None:
    """The folder of the set that a path is, or is a part of."""
    if path.is_file():
        return path.parent.parent if path.parent.name == "split" else None
    if (path / "split").is_dir():
        return path
    return path.parent if path.name == "split" and path.is_dir() else None


def _sets(path: Path) -> list[Path]:
    roots = [path, path / "dataset_no_images"]
    return sorted(split.parent for root in roots for split in root.glob("*/split") if split.is_dir())


def _read(release: ReleaseSet, only: Path | None) -> AuditInput:
    annotations = read_annotations(release.annotations, len(release.class_names))
    is_validation = only is not None and only.name.startswith(VALIDATION)
    sets = [
        _audited(release, annotations, read_split(path, MAX_CLASSES), kind, level)
        for (kind, level), path in sorted(release.splits.items())
        if only is None or path.resolve() == only.resolve()
    ]
    if only is not None and not sets and not is_validation:
        raise SourceError(f"{only}: its name is none of a split; expected such as red_noise_nl_0.4")
    return AuditInput(
        title=release.dataset,
        class_names=release.class_names,
        sets=sets,
        validation=_validation(release),
        findings=_of_annotations(annotations, release),
        ids_are_global=release.dataset != "cars",  # both of its splits count from 00001.jpg
    )


def _of_annotations(annotations: Annotations, release: ReleaseSet) -> tuple[Finding, ...]:
    """Whether verdicts are lost: in the release some images are right, and no split uses these.

    An export lists only the images that it uses, and all of them are wrong: that is as it should be.
    """
    verdicts = {one.is_clean for one in annotations}
    if len(verdicts) > 1:
        return ()
    if verdicts == {False}:
        used = {key for path in release.splits.values() for key in read_split(path, MAX_CLASSES).keys}
        if used.issuperset(annotations.of):
            return ()
    where = release.annotations.name
    count = sum(1 for _ in annotations)
    what = "right" if verdicts == {True} else "wrong"
    message = (
        f"all {count:,} annotated web images are called {what}; in the release some are right and some wrong: its "
        'field "image/class/label/is_clean" was ignored or lost, take it from the release'
    )
    return (Finding("is_clean", "fault", where, message, count),)


def _audited(release: ReleaseSet, annotations: Annotations, split: SplitFile, kind: str, level: Decimal) -> AuditSet:
    true = np.full(len(split.names), UNKNOWN, np.int64)
    wrong = np.full(len(split.names), UNKNOWN, np.int8)
    known, by_wnid = release.true_classes, release.wnid_classes
    unresolved, disagreeing, no_truth = [], [], []
    for row, (key, label) in enumerate(zip(split.keys, split.labels.tolist(), strict=True)):
        one = annotations.find(key, label)
        if one is not None:
            wrong[row] = not (one.is_clean and one.label == label)
            if one.label != label:
                disagreeing.append(key)
            continue
        own = by_wnid.get(wnid_of(key) or "", known.get(key))  # names are harder to lose than places in a file
        if own is None and not known and not _WEB_ID.fullmatch(key):
            # A clean image, and no split without noise says of which class. Red noise leaves those labels alone.
            if kind == "red":
                true[row], wrong[row] = label, 0
            else:
                no_truth.append(key)
        elif own is None:
            unresolved.append(key)
        else:
            true[row], wrong[row] = own, own != label
    name = split.path.name
    claims: tuple[Finding, ...] = ()
    if no_truth:
        message = (
            f"the right classes of {len(no_truth):,} clean images are not known, since no split without noise is "
            f"beside it; add {kind}_noise_nl_0.0"
        )
        claims = (Finding("truth", "warning", name, message, len(no_truth), some(no_truth)),)
    if disagreeing:
        message = (
            f"{len(disagreeing):,} web images are annotated for another class than the split gives; images and labels "
            "may have slipped against each other"
        )
        claims += (Finding("correspondence", "fault", name, message, len(disagreeing), some(disagreeing)),)
    return AuditSet(name, split.keys, split.labels.astype(np.int64), true, wrong, kind, level, unresolved, claims)


def _validation(release: ReleaseSet) -> AuditSet | None:
    places = [release.folder / "split" / name for name in (VALIDATION, f"{VALIDATION}.txt")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    split = read_split(path, MAX_CLASSES)
    labels = split.labels.astype(np.int64)
    return AuditSet(VALIDATION, split.keys, labels, labels, np.zeros(len(labels), np.int8))
