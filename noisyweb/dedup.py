"""Dedup: images that are there twice, and web images that are also clean images (leaks).

Leaks are looked for first: a web image within the radius of a clean train or validation image is dropped,
whatever else it is like. The rest is grouped without chaining: images are taken best first (most pixels, then
most bytes); one that no kept image is near is kept, any other is dropped in favour of the nearest kept one.
So every dropped image is within the radius of the image that stays in its place, and no two kept ones are
within it of each other. Flat images are matched by their bytes alone. Nothing is deleted.

Default radius, measured: of 297 web photographs, copies resized to 0.25-2x, recompressed down to JPEG quality
10, blurred, greyed or of other gamma lie at most 24 of 256 bits away, 96 % of 2 % crops within 32; the nearest two
different photographs are 96 bits apart. Among 10,000 CIFAR-10 images every one of the 19 pairs within 48 bits is
the same picture. The nearest two of 8,232 drawn cars are 36 bits apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup_clean import clean_ids
from noisyweb.dedup_groups import nearest_kept
from noisyweb.errors import SourceError
from noisyweb.hashes import Hashes, add_hashes, known_hashes, neighbours, stored_bytes, words
from noisyweb.imageset import ImageSet
from noisyweb.progress import Progress, silent
from noisyweb.schemas import DUPLICATES
from noisyweb.workspace import Workspace

DEFAULT_RADIUS = 32

Row = dict[str, Any]
Key = tuple[str, int]


@dataclass(frozen=True)
class DedupReport:
    """What a run found.

    Attributes:
        num_fetched: candidates with an image; those with the same bytes and class are one question.
        num_questions: pairs of image and class looked at.
        num_exact, num_near: dropped as copies of another web image.
        num_train, num_validation: dropped as leaks.
        num_unreadable: dropped because they cannot be decoded.
        num_flat: images with too little structure to be matched by more than their bytes.
        num_kept: what is left.
    """

    num_fetched: int
    num_questions: int
    num_exact: int
    num_near: int
    num_train: int
    num_validation: int
    num_unreadable: int
    num_flat: int
    num_kept: int
    radius: int

    def lines(self) -> list[str]:
        """The report as text."""
        return [
            f"fetched {self.num_fetched:,}, different bytes {self.num_questions:,}, kept {self.num_kept:,} "
            f"(radius {self.radius} of 256 bits)",
            f"dropped: exact copies in other classes {self.num_exact:,}, near copies {self.num_near:,}, "
            f"clean train images {self.num_train:,}, clean validation images {self.num_validation:,}, "
            f"unreadable {self.num_unreadable:,}",
            f"flat (matched by their bytes only): {self.num_flat:,}",
        ]


@dataclass(frozen=True)
class _Web:
    """The workspace's questions, best first, and their hashes."""

    keys: list[Key]
    hashes: dict[str, tuple[bytes | None, bool]]

    def comparable(self, keys: Sequence[Key]) -> list[str]:
        """The distinct images of some questions whose hash means something, in order."""
        ids = dict.fromkeys(image_id for image_id, _ in keys)
        return [i for i in ids if self.hashes[i][0] is not None and not self.hashes[i][1]]


def dedup(
    workspace: Workspace,
    train: ImageSet | None = None,
    validation: ImageSet | None = None,
    *,
    radius: int = DEFAULT_RADIUS,
    progress: Progress = silent,
) -> DedupReport:
    """Find a workspace's duplicates and leaks anew and write its ``duplicates`` table.

    Args:
        workspace: its images; new ones are hashed, and the hashes kept.
        train, validation: the clean images that must not appear. Leaks against a set that is not given are
            kept as an earlier run found them.
        radius: in bits of 256; 0 finds equal hashes only.
        progress: told how far it is.

    Raises:
        SourceError: the radius is not in 0..256, or another process writes to the workspace.
    """
    if not 0 <= radius <= 256:
        raise SourceError(f"radius {radius}: expected 0 to 256 bits; {DEFAULT_RADIUS} is the default")
    with workspace.locked(), pillow_in_bounds():
        keys = _best_first(workspace)
        clean = {
            against: clean_ids(workspace, images, against, progress)
            for against, images in (("validation", validation), ("train", train))
            if images is not None
        }
        _hash_new(workspace, keys, progress)
        web = _Web(keys, known_hashes(workspace))
        dropped: dict[Key, Row] = {}
        _unreadable(web, dropped)
        _earlier_leaks(workspace, web, dropped, set(clean))
        for against, ids in clean.items():
            _leaks(web, ids, against, radius, dropped)
        _copies(web, radius, dropped, progress)
        rows = [dropped[key] for key in sorted(dropped, key=lambda key: (key[1], key[0]))]
        workspace.write("duplicates", pa.Table.from_pylist(rows, schema=DUPLICATES))
        num_fetched = sum(image_id is not None for image_id in workspace.read("images")["image_id"].to_pylist())
    return _report(web, rows, num_fetched, radius)


def _best_first(workspace: Workspace) -> list[Key]:
    """Every pair of image and class, in the order in which they are kept: most pixels, most bytes, best rank."""
    columns = ["url", "label", "rank"]
    ranks = {(r["url"], r["label"]): r["rank"] for r in workspace.read("candidates").select(columns).to_pylist()}
    worth: dict[Key, tuple[int, int, str, int]] = {}
    for row in workspace.fold("images").to_pylist():
        if row["image_id"] is not None:
            key = (row["image_id"], row["label"])
            # Equal bytes have equal sizes: there the class that the image ranks highest in comes first.
            rank = ranks.get((row["url"], row["label"]), 2**31)
            value = (-row["width"] * row["height"], -row["num_bytes"], row["image_id"], rank)
            worth[key] = min(value, worth.get(key, value))
    return sorted(worth, key=lambda key: (worth[key], key[1]))


def _hash_new(workspace: Workspace, keys: Sequence[Key], progress: Progress) -> None:
    known = known_hashes(workspace)
    new = [image_id for image_id in dict.fromkeys(image_id for image_id, _ in keys) if image_id not in known]
    add_hashes(workspace, stored_bytes(workspace, new), num_images=len(new), progress=progress)


def _unreadable(web: _Web, dropped: dict[Key, Row]) -> None:
    for key in web.keys:
        if web.hashes[key[0]][0] is None:
            dropped[key] = _row(key, key[0], key[1], "unreadable", None, "web")


def _earlier_leaks(workspace: Workspace, web: _Web, dropped: dict[Key, Row], renewed: set[str]) -> None:
    there = set(web.keys)
    for row in workspace.fold("duplicates").to_pylist():
        key = (row["image_id"], row["label"])
        if row["against"] != "web" and row["against"] not in renewed and key in there:
            dropped[key] = row


def _leaks(web: _Web, clean: Sequence[str], against: str, radius: int, dropped: dict[Key, Row]) -> None:
    """Drop web images that are clean ones, by bytes or within the radius."""
    nearest: dict[str, tuple[int, str]] = {}
    ours = web.comparable(web.keys)
    theirs = [i for i in dict.fromkeys(clean) if web.hashes[i][0] is not None and not web.hashes[i][1]]
    for rows, columns, distances in neighbours(_words(web, ours), _words(web, theirs), radius):
        for i, j, distance in zip(rows, columns, distances, strict=True):
            found = (int(distance), theirs[j])
            nearest[ours[i]] = min(found, nearest.get(ours[i], found))
    exact = set(clean)
    for key in web.keys:
        if key in dropped:
            continue
        if key[0] in exact:
            dropped[key] = _row(key, key[0], None, "exact", 0, against)
        elif key[0] in nearest:
            distance, kept = nearest[key[0]]
            dropped[key] = _row(key, kept, None, "near", distance, against)


def _copies(web: _Web, radius: int, dropped: dict[Key, Row], progress: Progress) -> None:
    """Drop copies among the web images that are left, without chaining; see the module's docstring."""
    left = [key for key in web.keys if key not in dropped]
    order = web.comparable(left)
    groups = nearest_kept(_words(web, order), radius, progress=progress)
    kept_for = {order[row]: (distance, order[kept]) for row, (distance, kept) in groups.items()}
    first_label: dict[str, int] = {}
    for image_id, label in left:
        first_label.setdefault(image_id, label)
    for key in left:
        image_id, label = key
        if image_id in kept_for:
            distance, kept = kept_for[image_id]
            dropped[key] = _row(key, kept, first_label[kept], "near", distance, "web")
        elif first_label[image_id] != label:
            dropped[key] = _row(key, image_id, first_label[image_id], "exact", 0, "web")


def _words(web: _Web, ids: Sequence[str]) -> Hashes:
    return words([web.hashes[image_id][0] or b"" for image_id in ids])


def _row(key: Key, kept_id: str, kept_label: int | None, kind: str, distance: int | None, against: str) -> Row:
    return {
        "image_id": key[0],
        "label": key[1],
        "kept_id": kept_id,
        "kept_label": kept_label,
        "kind": kind,
        "distance": distance,
        "against": against,
    }


def _report(web: _Web, rows: Sequence[Row], num_fetched: int, radius: int) -> DedupReport:
    def count(against: str, *kinds: str) -> int:
        return sum(row["against"] == against and row["kind"] in kinds for row in rows)

    images = {image_id for image_id, _ in web.keys}
    return DedupReport(
        num_fetched=num_fetched,
        num_questions=len(web.keys),
        num_exact=count("web", "exact"),
        num_near=count("web", "near"),
        num_train=count("train", "exact", "near"),
        num_validation=count("validation", "exact", "near"),
        num_unreadable=count("web", "unreadable"),
        num_flat=sum(web.hashes[image_id][1] for image_id in images),
        num_kept=len(web.keys) - len(rows),
        radius=radius,
    )
