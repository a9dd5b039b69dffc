"""The drawn edition: clean images and a pool of wrong web images, drawn by code when they are asked for.

Options:
    split: train or validation; for ``[pool]`` it is left out.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from noisyweb.certainty import wrong_draws
from noisyweb.dataset import Section
from noisyweb.drawn.draw import draw_car
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.truth import find_hit
from noisyweb.drawn.vocabulary import cars, slug
from noisyweb.drawn.votes import bundled_verdicts, bundled_votes
from noisyweb.errors import DefinitionError
from noisyweb.imageset import ImageSet
from noisyweb.schemas import PROVENANCE_COLUMNS

_ACCIDENTS = frozenset({"https://drawn.invalid/cars/bmw-1-series-coupe-2012/0015.jpg"})
"""Web images whose hash is within 32 of 256 bits of a clean image's (30, a validation image's), by accident."""

_THREADS = 2
_LOOK_AHEAD = 64


def read(section: Section) -> ImageSet:
    """The clean images of a split, or the pool: web images that the bundled votes call wrong.

    Raises:
        DefinitionError: ``split`` is not the section's role.
    """
    section.only("split")
    if section.role == "pool":
        return _pool()
    split = section.get("split", str, section.role)
    if split != section.role:
        raise DefinitionError(f"{section.where}: split = {split!r}; expected {section.role!r}")
    return _clean(split)


def _clean(split: str) -> ImageSet:
    vocabulary = cars()
    sizes = vocabulary.num_train if split == "train" else vocabulary.num_validation
    rows = [(label, number) for label, size in enumerate(sizes) for number in range(size)]
    slugs = [slug(name) for name in vocabulary.class_names]
    names = [f"drawn/cars/{split}/{slugs[label]}/{number:04d}.jpg" for label, number in rows]

    def draw(index: int) -> bytes:
        label, number = rows[index]
        return draw_car(vocabulary.class_names[label], split, number)

    labels = np.array([label for label, _ in rows], np.int32)
    return ImageSet(names, labels, list(vocabulary.class_names), _loader(draw), names, prefix="drawn")


def _pool() -> ImageSet:
    names = cars().class_names
    verdicts = [
        row for row in bundled_verdicts().to_pylist() if row["is_clean"] is False and row["image_id"] not in _ACCIDENTS
    ]
    hits = [hit for row in verdicts if (hit := find_hit(row["image_id"])) is not None]
    assert len(hits) == len(verdicts), "the bundled votes speak of images that the drawn web does not hold"
    asked = pa.table({name: [row[name] for row in verdicts] for name in ("image_id", "label")})
    mistaken = sum(hit.is_right for hit in hits)
    columns = {name: pa.array([getattr(hit, name) for hit in hits], pa.string()) for name in PROVENANCE_COLUMNS}
    return ImageSet(
        names=[hit.url for hit in hits],
        labels=np.array([hit.label for hit in hits], np.int32),
        class_names=list(names),
        load=_loader(lambda index: draw_hit(hits[index], names[hits[index].label])),
        paths=[hit.url.replace("https://drawn.invalid/cars/", "drawn/cars/web/") for hit in hits],
        prefix="drawn",
        provenance=pa.table(columns),
        true_labels=np.array([-1 if hit.is_right else hit.true_label for hit in hits], np.int32),
        votes_yes=np.array([row["votes_yes"] for row in verdicts], np.int32),
        votes_total=np.array([row["votes_total"] for row in verdicts], np.int32),
        notes=(f"{mistaken} of {len(hits)} pool images are right after all: the drawn annotators err too",),
        wrong_draws=lambda: wrong_draws(bundled_votes(), asked),
    )


def _loader(draw: Callable[[int], bytes]) -> Callable[[Sequence[int]], Iterator[bytes | None]]:
    """Draws rows ahead of the reader in a few threads, and each only once."""
    drawn: dict[int, bytes] = {}

    def load(indices: Sequence[int]) -> Iterator[bytes | None]:
        def once(index: int) -> bytes:
            if index not in drawn:
                drawn[index] = draw(index)
            return drawn[index]

        rest = iter(indices)
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="draw")
        try:
            ahead: deque[Future[bytes]] = deque(pool.submit(once, int(i)) for i in itertools.islice(rest, _LOOK_AHEAD))
            while ahead:
                data = ahead.popleft().result()
                for index in itertools.islice(rest, 1):
                    ahead.append(pool.submit(once, int(index)))
                yield data
        finally:
            pool.shutdown(cancel_futures=True)

    return load
