"""What the drawn web holds: search hits of every class, right and wrong, copies, leaks and dead links."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from noisyweb.drawn.credits import Credit, draw_credit
from noisyweb.drawn.lookalikes import invented_models, siblings_of
from noisyweb.drawn.stream import Stream
from noisyweb.drawn.vocabulary import cars, slug

HOST = "https://drawn.invalid"
"""Where the drawn web's URLs point; the name can never be registered (RFC 2606)."""

WRONG_KINDS = ("sibling", "outside", "part", "toy")
_SHARES = {"right": 0.50, "sibling": 0.44, "outside": 0.36, "part": 0.15, "toy": 0.08}  # of the class's train size
_SPARES = {"sibling": 4, "outside": 4, "part": 2, "toy": 1}
_COPY_SHARE, _DEAD_SHARE, _NUM_LEAKS = 0.08, 0.05, 2
_PLACES = {"right": 0.0, "sibling": 0.12, "outside": 0.15, "part": 0.25, "toy": 0.3, "dead": 0.1}
_PARTS = ("wheel", "cabin", "badge")
COPIES = ("copied", "resized", "recompressed", "cropped", "watermarked")


@dataclass(frozen=True)
class WebHit:
    """One search hit of the drawn web.

    Attributes:
        url: where the image is, under `HOST`.
        label: the class that was searched for.
        kind: right, sibling (another class of the vocabulary), outside (a car outside the vocabulary), part,
            toy, duplicate (of another hit), leak (a copy of a validation image) or dead (HTTP 404).
        true_label: the class it shows, -1 for none of the vocabulary.
        title: as the search result has it.
        creator, license, license_url, landing_url, attribution: provenance.
        subject: what is drawn: car, wheel, cabin, badge or toy.
        shows: class or invented model whose traits the drawing has.
        number: of the drawing among those of its class; of the validation image for a leak.
        copy: how a duplicate or leak differs from its original (one of `COPIES`); empty for an original.
        original: URL of the hit that a duplicate copies; empty otherwise.
    """

    url: str
    label: int
    kind: str
    true_label: int
    title: str
    creator: str
    license: str
    license_url: str
    landing_url: str
    attribution: str
    subject: str
    shows: str
    number: int
    copy: str = ""
    original: str = ""

    @property
    def is_right(self) -> bool:
        """Does the image show the class that was searched for."""
        return self.true_label == self.label

    @property
    def is_lookalike(self) -> bool:
        """Is it a car that people may take for the class."""
        return self.subject == "car" and not self.is_right


@dataclass(frozen=True)
class _Draft:
    """A hit before it has its place among the results."""

    kind: str
    number: int
    subject: str = "car"
    shows: str = ""
    true_label: int = -1
    copy: str = ""
    original: int = -1


@cache
def hits_of(label: int, seed: int = 0) -> tuple[WebHit, ...]:
    """All hits of one class, best first; the same seed always gives the same hits."""
    class_name, size = cars().class_names[label], cars().num_train[label]
    stream = Stream(seed, "web", class_name)
    drafts = [*_originals(label, size, stream), *_leaks(label, stream)]
    live = [draft for draft in drafts if draft.kind not in ("dead", "leak")]
    for k in range(max(3, math.ceil(_COPY_SHARE * size))):
        source, how = stream.pick(live), COPIES[(label + k) % len(COPIES)]
        drafts.append(dataclasses.replace(source, kind="duplicate", copy=how, original=source.number))
    places = [_PLACES.get(draft.kind, 0.3) + stream.unit() for draft in drafts]
    order = sorted(range(len(drafts)), key=lambda i: (places[i], i))
    urls = {drafts[i].number: _url(class_name, rank) for rank, i in enumerate(order) if not drafts[i].copy}
    return tuple(_hit(drafts[i], label, rank, urls, stream) for rank, i in enumerate(order))


def all_hits(seed: int = 0) -> Iterator[WebHit]:
    """The hits of every class, in the classes' order."""
    for label in range(len(cars().class_names)):
        yield from hits_of(label, seed)


def _originals(label: int, size: int, stream: Stream) -> list[_Draft]:
    names = cars().class_names
    class_name, number = names[label], 0
    siblings, models = siblings_of(label), invented_models(class_name)
    drafts = []
    for kind, share in _SHARES.items():
        for _ in range(math.ceil(share * size) + _SPARES.get(kind, 0)):
            subject, shows, true_label = "car", class_name, -1
            if kind == "right":
                true_label = label
            elif kind == "sibling":
                true_label = stream.weighted(siblings)
                shows = names[true_label]
            elif kind == "outside":
                shows = stream.pick(models)
            else:
                subject = "toy" if kind == "toy" else stream.pick(_PARTS)
            drafts.append(_Draft(kind, number, subject, shows, true_label))
            number += 1
    for _ in range(max(2, math.ceil(_DEAD_SHARE * size))):
        drafts.append(_Draft("dead", number, "car", class_name))
        number += 1
    return drafts


def _leaks(label: int, stream: Stream) -> list[_Draft]:
    """Copies of validation images, which a careful crawl must drop."""
    class_name, size = cars().class_names[label], cars().num_validation[label]
    first = stream.below(size)
    picked = [(first + k * (size // _NUM_LEAKS)) % size for k in range(_NUM_LEAKS)]
    return [_Draft("leak", n, "car", class_name, label, COPIES[1 + (label + k) % 4]) for k, n in enumerate(picked)]


def _hit(draft: _Draft, label: int, rank: int, urls: dict[int, str], stream: Stream) -> WebHit:
    class_name = cars().class_names[label]
    credit: Credit = draw_credit(stream, class_name, draft.shows, draft.subject)
    return WebHit(
        url=_url(class_name, rank),
        label=label,
        kind=draft.kind,
        true_label=draft.true_label,
        title=credit.title,
        creator=credit.creator,
        license=credit.license,
        license_url=credit.license_url,
        landing_url=f"{HOST}/photos/{slug(class_name)}/{rank:04d}",
        attribution=credit.attribution,
        subject=draft.subject,
        shows=draft.shows,
        number=draft.number,
        copy=draft.copy,
        original=urls[draft.original] if draft.original >= 0 else "",
    )


def _url(class_name: str, rank: int) -> str:
    return f"{HOST}/cars/{slug(class_name)}/{rank:04d}.jpg"
