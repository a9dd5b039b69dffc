"""What asking Cloud Vision would mean: which images, how many requests, how long, how dear. Nobody is asked here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from noisyweb.google_vision.cost import PRICES, cost_usd
from noisyweb.google_vision.images import IMAGES_PER_REQUEST, MAX_IMAGE_BYTES, batches, json_bytes
from noisyweb.store import ImageStore
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

IMAGES_PER_MINUTE = 1_800
"""Google's default quota. Requests have one of 1,800 a minute too, but the one for labels counts each image."""


@dataclass(frozen=True)
class Plan:
    """What would be sent.

    Attributes:
        num_images: to be sent now, each once.
        num_left: further ones without an answer, left for later.
        num_kept: images that nobody needs to be asked about again.
        num_missing: images that are not in the store.
        num_reduced: of those to be sent, how many are made smaller first.
        num_requests: of at most 16 images and 10 MB.
        num_bytes: of JSON, at the most.
        per_minute: images a minute.
    """

    num_images: int
    num_left: int
    num_kept: int
    num_missing: int
    num_reduced: int
    num_requests: int
    num_bytes: int
    per_minute: int

    @property
    def seconds(self) -> int:
        """How long it takes at the least."""
        return math.ceil(60 * self.num_images / self.per_minute)

    def lines(self) -> Iterator[str]:
        """The plan in words."""
        left = f", {self.num_left:,} more left for later" if self.num_left else ""
        yield f"images to send: {self.num_images:,}{left}; {self.num_kept:,} are done already"
        if self.num_missing:
            yield f"not in the store, so not sent: {self.num_missing:,}"
        if self.num_reduced:
            yield f"too large for a request, so made smaller first: {self.num_reduced:,}"
        yield (
            f"requests: {self.num_requests:,} of at most {IMAGES_PER_REQUEST} images, {self.num_bytes / 1e6:,.1f} MB "
            f"in all; at least {_duration(self.seconds)} at {self.per_minute:,} images a minute"
        )
        least, most = cost_usd(self.num_images), cost_usd(self.num_images, PRICES.num_free)
        yield (
            f"cost: USD {least:,.2f} if none of the month's {PRICES.num_free:,} free units are used, "
            f"USD {most:,.2f} if all are (prices of {PRICES.as_of}; they change: https://cloud.google.com/vision/pricing)"
        )


def waiting(workspace: Workspace, max_images: int | None = None) -> list[str]:
    """Ids of the images of a workspace's questions that have no answer yet, or one worth asking for again.

    Each id comes once however many classes are asked about. Classes take turns, so that a limit is fair to them all;
    images that failed come last, so that those which always do stand in nobody's way.
    """
    kept = workspace.read("vision_labels").select(["image_id", "retry"]).to_pydict()
    retries = dict(zip(kept["image_id"], kept["retry"], strict=True))
    asked = questions(workspace).select(["label", "image_id"]).to_pydict()
    turns: Counter[int] = Counter()
    order = []
    for label, image_id in zip(asked["label"], asked["image_id"], strict=True):
        if retries.get(image_id, True):
            order.append((image_id in retries, turns[label], label, image_id))
            turns[label] += 1
    return list(dict.fromkeys(row[-1] for row in sorted(order)))[:max_images]


def plan(workspace: Workspace, max_images: int | None = None, per_minute: int = IMAGES_PER_MINUTE) -> Plan:
    """Work out what `noisyweb.google_vision.labels.ask` would send, from the sizes of files.

    Args:
        workspace: whose images.
        max_images: send no more than that; None: all.
        per_minute: images a minute, at least 1.
    """
    everything = waiting(workspace)
    chosen = everything if max_images is None else everything[:max_images]
    store = ImageStore(workspace.on_disk() / "store")
    sizes = [path.stat().st_size for path in map(store.path, chosen) if path.is_file()]
    sent = [min(size, MAX_IMAGE_BYTES) for size in sizes]
    asked = len(set(questions(workspace)["image_id"].to_pylist()))
    return Plan(
        num_images=len(sent),
        num_left=len(everything) - len(chosen),
        num_kept=asked - len(everything),
        num_missing=len(chosen) - len(sent),
        num_reduced=sum(size > MAX_IMAGE_BYTES for size in sizes),
        num_requests=sum(1 for _ in batches((size, size) for size in sent)),
        num_bytes=sum(map(json_bytes, sent)),
        per_minute=per_minute,
    )


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
