"""Before the page opens: what is asked, clean images to show beside it, and known answers to hide among it.

A class's clean images come from the data set's training images: `NUM_SAMPLES` to look at, `NUM_KNOWN` asked about
their own class (the answer is yes) and as many of other classes (no). Which ones is drawn by the seed. Their bytes are
kept in ``<workspace>/references``, apart from the images of the crawl.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noisyweb.annotate.book import Book
from noisyweb.draws import integers, row_keys, uniforms
from noisyweb.errors import LabelError
from noisyweb.imageset import ImageSet
from noisyweb.progress import Progress, silent
from noisyweb.store import ImageStore
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

NUM_SAMPLES = 4
NUM_KNOWN = 3
REFERENCES = "references"


@dataclass(frozen=True)
class _Use:
    """One clean image and what it is for: to be looked at (known is None), or asked about a class."""

    row: int
    label: int
    known: str | None


def references(workspace: Workspace) -> ImageStore:
    """Where clean images that the page shows are kept."""
    return ImageStore(workspace.on_disk() / REFERENCES)


def prepare(
    workspace: Workspace, book: Book, clean: ImageSet | None, seed: int = 0, progress: Progress = silent
) -> None:
    """Put the workspace's questions into the book, and clean images of each class that has some.

    Args:
        workspace: whose unique images are asked about.
        book: its book.
        clean: labelled images of the same vocabulary; None: no images to compare with, no known answers, but those of
            an earlier time stay.
        seed: of the draw of clean images.
        progress: told how many clean images have been read.

    Raises:
        LabelError: there is nothing to ask, or ``clean`` has other classes.
    """
    asked = questions(workspace).select(["image_id", "label"]).to_pydict()
    if not asked["label"]:
        raise LabelError(
            f"workspace {workspace.folder}: it has no unique images to ask about; "
            f"run `noisyweb crawl --workspace {workspace.folder}` first"
        )
    if clean is not None and list(clean.class_names) != workspace.class_names():
        raise LabelError(
            f"workspace {workspace.folder}: its {len(workspace.class_names())} classes are not the "
            f"{len(clean.class_names)} of the data set; name the data set that it was crawled for"
        )
    book.ask(zip(asked["image_id"], asked["label"], strict=True))
    missing = sorted(set(asked["label"]) - set(book.samples()))
    if clean is not None and missing:
        _store_clean(workspace, book, clean, _uses(clean, missing, seed), progress)


def _uses(clean: ImageSet, labels: Sequence[int], seed: int) -> list[_Use]:
    """Which clean images are used and for what: no image for two things."""
    keys = clean.keys()
    order = np.lexsort((uniforms(keys, seed, "clean samples"), clean.labels))
    rows = np.split(order, np.cumsum(clean.class_sizes())[:-1])  # of each class, in random order
    uses = []
    spare = {label: list(map(int, rows[label])) for label in range(len(clean.class_names))}
    for label in labels:
        for known in [None] * NUM_SAMPLES + ["yes"] * NUM_KNOWN:
            if spare[label]:
                uses.append(_Use(spare[label].pop(0), label, known))
    for label in labels:
        for number in range(NUM_KNOWN):
            others = [other for other, left in spare.items() if other != label and left]
            if others:
                [place] = integers(row_keys([f"{label}/{number}"]), len(others), seed, "other class")
                uses.append(_Use(spare[others[place]].pop(), label, "no"))
    return uses


def _store_clean(workspace: Workspace, book: Book, clean: ImageSet, uses: Sequence[_Use], progress: Progress) -> None:
    store = references(workspace)
    samples: dict[int, list[str]] = {}
    known = []
    for done, (use, data) in enumerate(zip(uses, clean.load([use.row for use in uses]), strict=True), start=1):
        progress("clean images", done, len(uses))
        if data is None:
            continue
        image_id = store.put(data)
        if use.known is None:
            samples.setdefault(use.label, []).append(image_id)
        else:
            known.append((image_id, use.label, use.known))
    book.plant(known)
    # last: a class that has them is not looked at again
    book.set_samples((label, place, each) for label, ids in samples.items() for place, each in enumerate(ids))
