"""Where a loopback web serves the drawn hits, and what becomes of those who ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow as pa

from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import WebHit, hits_of
from noisyweb.errors import UnknownNameError

FATES = ("served", "missing", "page", "slow", "stalled")

TRUTH = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # as served
        pa.field("label", pa.int32(), nullable=False),  # index into the classes that are served
        pa.field("is_right", pa.bool_(), nullable=False),  # it shows the class
        pa.field("is_hard", pa.bool_(), nullable=False),  # it does not, but looks like it
        pa.field("kind", pa.string(), nullable=False),  # of `noisyweb.drawn.web.WebHit`
    ]
)


@dataclass(frozen=True)
class Served:
    """A hit at a loopback address.

    Attributes:
        hit: of the drawn web.
        label: the class searched for, an index into the classes that are served.
        url: where it is served.
        fate: served; missing (404); page (an HTML page that says it is a JPEG); slow (an answer after up to a
            second); stalled (no answer until the client gives up).
    """

    hit: WebHit
    label: int
    url: str
    fate: str


def place_hits(class_names: Sequence[str], image_url: str, slow_url: str) -> list[Served]:
    """Give every hit of some classes its address and its fate.

    Of the dead links of each class the first is a page, and the last one of the first class stalls; two
    living hits of every class are on the slow host.

    Args:
        class_names: classes of the vocabulary.
        image_url, slow_url: the two hosts, without a slash at the end.

    Raises:
        UnknownNameError: no such class in the vocabulary.
    """
    known = {name: label for label, name in enumerate(cars().class_names)}
    placed: list[Served] = []
    for label, name in enumerate(class_names):
        if name not in known:
            raise UnknownNameError("class of the drawn web", name, known)
        hits = hits_of(known[name])
        fates = dict.fromkeys((hit.url for hit in hits if hit.kind == "dead"), "missing")
        dead = list(fates)
        fates[dead[0]] = "page"
        if label == 0:
            fates[dead[-1]] = "stalled"
        fates.update(dict.fromkeys([hit.url for hit in hits if hit.kind in ("right", "sibling")][1:12:6], "slow"))
        for hit in hits:
            fate = fates.get(hit.url, "served")
            host = slow_url if fate in ("slow", "stalled") else image_url
            placed.append(Served(hit, label, host + urlsplit(hit.url).path, fate))
    return placed


def truth_table(served: Sequence[Served]) -> pa.Table:
    """What every served hit shows, a table of `TRUTH`: for simulated annotators."""
    rows = [
        {"url": s.url, "label": s.label, "is_right": s.hit.is_right, "is_hard": s.hit.is_lookalike, "kind": s.hit.kind}
        for s in served
    ]
    return pa.Table.from_pylist(rows, schema=TRUTH)
