"""What became of the release's web images: a crawl of their URLs, looked up by image key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from noisyweb.errors import SourceError
from noisyweb.imageset import ImageSet
from noisyweb.official.annotations import Annotated, Annotations
from noisyweb.official.release import ReleaseSet
from noisyweb.official.split_file import image_key
from noisyweb.schemas import PROVENANCE_COLUMNS
from noisyweb.urls import canonical_url
from noisyweb.workspace import Workspace

NOT_ASKED = "not crawled yet"

Asked = tuple[str, int]
"""An image key and the class that the image was found under."""


@dataclass(frozen=True)
class WebImages:
    """The web images of a data set.

    Attributes:
        workspace: the crawl; None: there is none, and no image has bytes.
        image_ids: SHA-256 of those that were fetched and kept.
        fates: of the others: why there is no image.
        credits: provenance, as far as the crawl knows it.
    """

    workspace: Workspace | None
    image_ids: Mapping[Asked, str]
    fates: Mapping[Asked, str]
    credits: Mapping[Asked, Mapping[str, str | None]]

    def is_dead(self, one: Annotated) -> bool:
        """Whether an image is wanted and cannot be had."""
        return self.workspace is not None and (one.key, one.label) not in self.image_ids

    def fate(self, one: Annotated) -> str:
        """Why an image cannot be had."""
        return self.fates.get((one.key, one.label), NOT_ASKED)

    def image_set(self, images: Sequence[Annotated], class_names: Sequence[str]) -> ImageSet:
        """Some of them as an image set, in the order given; without bytes where there is no crawl."""
        ids = [self.image_ids.get((one.key, one.label)) for one in images]

        def load(rows: Sequence[int]) -> Iterator[bytes | None]:
            for row in rows:
                image_id = ids[row]
                yield self.workspace.get(image_id) if self.workspace is not None and image_id is not None else None

        known = [{"url": one.url, **self.credits.get((one.key, one.label), {})} for one in images]
        schema = pa.schema([(name, pa.string()) for name in PROVENANCE_COLUMNS])
        names = [f"{one.key}.jpg" for one in images]
        return ImageSet(
            names=names,
            labels=np.array([one.label for one in images], np.int32),
            class_names=class_names,
            load=load,
            paths=names,
            prefix="cnwl",
            provenance=pa.Table.from_pylist([{n: row.get(n) for n in PROVENANCE_COLUMNS} for row in known], schema),
            true_labels=np.full(len(images), -1, np.int32),
        )


def web_images(release: ReleaseSet, annotations: Annotations, workspace: Workspace | None) -> WebImages:
    """Look up what a crawl found: under an image's address as the crawl spells it, or its id as ``provider_id``.

    An image that dedup dropped is dead, and so is one with the very bytes of another: no image may be in a set twice.
    Of several with the same bytes, one that a red split has stays before one that none has.

    Raises:
        SourceError: the workspace was crawled with other class names.
    """
    if workspace is None:
        return WebImages(None, {}, {}, {})
    if tuple(workspace.class_names()) != release.class_names:
        raise SourceError(
            f"workspace {workspace.folder}: its class names are not those of the release's {release.dataset}; crawl "
            "with the command that `noisyweb fetch` gives"
        )
    fetched = {
        (row["url"], row["label"]): row
        for row in workspace.read("images").select(["url", "label", "status", "reason", "image_id"]).to_pylist()
    }
    dropped = {
        (row["image_id"], row["label"]): f"dropped as a copy ({row['kind']}) of a {row['against']} image"
        for row in workspace.read("duplicates").select(["image_id", "label", "kind", "against"]).to_pylist()
    }
    known, by_id = _candidates(workspace)
    credits: dict[Asked, Mapping[str, str | None]] = {}
    image_ids: dict[Asked, str] = {}
    fates: dict[Asked, str] = {}
    first: dict[str, str] = {}
    used = {key for key, _ in release.red_rows}
    for one in sorted(annotations, key=lambda each: (each.key not in used, each.key, each.label)):
        asked = (one.key, one.label)
        places = [(url, one.label) for url in (canonical_url(one.url), *by_id.get(asked, ()))]
        rows = [fetched[place] for place in places if place in fetched]
        row = next((row for row in rows if row["status"] == "ok"), rows[0] if rows else None)
        if row is not None:
            credits[asked] = known.get((row["url"], one.label), {})
        image_id = row["image_id"] if row is not None and row["status"] == "ok" else None
        if image_id is None:
            if row is not None:
                fates[asked] = row["reason"] or "failed"
        elif (image_id, one.label) in dropped:
            fates[asked] = dropped[image_id, one.label]
        elif first.setdefault(image_id, one.key) != one.key or any(
            (one.key, other.label) in image_ids for other in annotations.of[one.key] if other.label != one.label
        ):
            fates[asked] = f"the same bytes as {first[image_id]}"
        else:
            image_ids[asked] = image_id
    return WebImages(workspace, image_ids, fates, credits)


def _candidates(workspace: Workspace) -> tuple[dict[tuple[str, int], dict[str, str | None]], dict[Asked, list[str]]]:
    """Provenance by URL and class, and the URLs of each image that a provider has an id of (a mirror's, say)."""
    known: dict[tuple[str, int], dict[str, str | None]] = {}
    by_id: dict[Asked, list[str]] = {}
    columns = [*PROVENANCE_COLUMNS, "label", "provider_id"]
    for row in workspace.read("candidates").select(columns).to_pylist():
        known[row["url"], row["label"]] = {name: row[name] for name in PROVENANCE_COLUMNS}
        if row["provider_id"]:
            by_id.setdefault((image_key(row["provider_id"]), row["label"]), []).append(row["url"])
    return known, by_id
