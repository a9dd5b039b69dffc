"""Asking Cloud Vision about a workspace's images, a batch at a time, and keeping what it says.

Labels cost money: each batch is in the journal before the next is sent, an image with a kept answer is never sent
again, and one batch at the most is lost if the process is killed. What the labels mean for a class is worked out
later, as often as one likes (`noisyweb.google_vision.match`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from noisyweb.decode import NotUsableError, pillow_in_bounds
from noisyweb.errors import LabelError
from noisyweb.google_vision.client import MODEL, Annotate, Answer
from noisyweb.google_vision.images import batches, prepare
from noisyweb.google_vision.plan import IMAGES_PER_MINUTE, waiting
from noisyweb.progress import Progress, silent
from noisyweb.workspace import Workspace

NOT_STORED = "not-stored"


class Pace:
    """Keeps to so many images a minute: a request waits until those before it are paid for in time.

    Args:
        per_minute: images, at least 1.
        monotonic, sleep: the clock.
    """

    def __init__(
        self,
        per_minute: int = IMAGES_PER_MINUTE,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 60.0 / per_minute
        self._monotonic, self._sleep = monotonic, sleep
        self._free_s = monotonic()

    def wait(self, num_images: int) -> None:
        """Wait until a request of so many images may start."""
        now_s = self._monotonic()
        if now_s < self._free_s:
            self._sleep(self._free_s - now_s)
        self._free_s = max(now_s, self._free_s) + num_images * self._interval_s


@dataclass
class Asked:
    """What came of asking.

    Attributes:
        num_requests: that were answered.
        num_answered: images with labels, an empty list of them included.
        errors: images without, by reason; all of these are rows.
        problem: why it ended early; None: it did not.
    """

    num_requests: int = 0
    num_answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    problem: str | None = None

    def lines(self) -> Iterator[str]:
        """What came of it, in words."""
        yield f"Cloud Vision: {self.num_answered:,} images labelled in {self.num_requests:,} requests"
        for reason, count in sorted(self.errors.items()):
            yield f"without labels: {count:,} ({reason})"


def ask(
    workspace: Workspace,
    annotate: Annotate,
    *,
    max_images: int | None = None,
    pace: Pace | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = silent,
) -> Asked:
    """Ask about the images that have no answer, and keep the answers. Keep the workspace `locked` meanwhile.

    Args:
        workspace: whose images; the answers go to its table ``vision_labels``.
        annotate: asks about one batch; see `noisyweb.google_vision.client.connect`.
        max_images: ask about no more than that.
        pace: images a minute; by default Google's quota.
        now: the time, for the rows.
        progress: told how many images are done.

    Returns:
        What came of it. If the service fails for good, ``problem`` says why and what was kept; rows are written.
    """
    pace = pace or Pace()
    ids = waiting(workspace, max_images)
    asked = Asked()
    done = 0
    with workspace.journal("vision_labels") as journal, pillow_in_bounds():

        def keep(image_id: str, answer: Answer, model: str | None) -> None:
            nonlocal done
            journal.add(_row(image_id, answer, model, now()))
            if answer.error is None:
                asked.num_answered += 1
            else:
                asked.errors[answer.error] += 1
            done += 1
            progress("label", done, len(ids))

        def readable() -> Iterator[tuple[tuple[str, bytes], int]]:
            """Images that can be sent; the others become rows."""
            for image_id, data in zip(ids, workspace.load(ids), strict=True):
                try:
                    content = prepare(data) if data is not None else None
                except NotUsableError as error:
                    keep(image_id, Answer(None, error.reason), None)
                    continue
                if content is None:
                    keep(image_id, Answer(None, NOT_STORED, retry=True), None)
                else:
                    yield (image_id, content), len(content)

        for batch in batches(readable()):
            pace.wait(len(batch))
            try:
                answers = annotate([content for _, content in batch])
            except LabelError as error:
                asked.problem = _problem(str(error), asked.num_answered, len(ids) - done)
                break
            asked.num_requests += 1
            for (image_id, _), answer in zip(batch, answers, strict=True):
                keep(image_id, answer, MODEL)
    _fold(workspace)
    return asked


def _row(image_id: str, answer: Answer, model: str | None, time_utc: datetime) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "labels": None if answer.labels is None else [asdict(label) for label in answer.labels],
        "error": answer.error,
        "retry": answer.retry,
        "model": model,
        "answered_at": time_utc.astimezone(UTC).isoformat(timespec="seconds"),
    }


def _problem(why: str, num_answered: int, num_left: int) -> str:
    return (
        f"{why}; {num_answered:,} new answers are kept and {num_left:,} images are left: "
        "run the same command again to go on"
    )


def _fold(workspace: Workspace) -> None:
    """Journal into Parquet, sorted: killed or not, the same answers are the same table."""
    workspace.write("vision_labels", workspace.fold("vision_labels").sort_by("image_id"))
