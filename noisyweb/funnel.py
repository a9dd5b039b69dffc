"""How many images a workspace has at each step of the road, per class and in all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.question_index import QuestionIndex
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

STEPS = ("found", "fetched", "unique", "voted", "decided", "wrong")


def by_class(workspace: Workspace, asked: pa.Table | None = None) -> list[dict[str, int]]:
    """The steps' counts for each class, K of them.

    found: candidates; fetched: candidates with an image; unique: images that are left without duplicates and
    leaks; voted: those with a vote that counts; decided: those with a verdict; wrong: those whose verdict is false,
    which is the pool.

    Args:
        workspace: whose images.
        asked: its questions, where they are at hand already.
    """
    num_classes = len(workspace.class_names())
    images = workspace.read("images").select(["label", "image_id"])
    verdicts = workspace.read("verdicts").select(["image_id", "label", "is_clean", "votes_total"])
    asked = questions(workspace) if asked is None else asked
    index = QuestionIndex.of(verdicts)
    state = np.zeros(len(index) + 1, np.int8)  # the last is for questions without a verdict
    state[index.row] = _states(verdicts)
    state, labels = state[index.places(asked)], _labels(asked)
    steps = {
        "found": _labels(workspace.read("candidates")),
        "fetched": _labels(images.filter(pc.is_valid(images["image_id"]))),
        "unique": labels,
        "voted": labels[state >= _VOTED],
        "decided": labels[state >= _DECIDED],
        "wrong": labels[state >= _WRONG],
    }
    counts = {step: np.bincount(steps[step], minlength=num_classes).tolist() for step in STEPS}
    return [{step: counts[step][label] for step in STEPS} for label in range(num_classes)]


_VOTED, _DECIDED, _WRONG = 1, 2, 3


def _states(verdicts: pa.Table) -> npt.NDArray[np.int8]:
    """How far each question has come, shape (V,)."""
    voted = np.asarray(verdicts["votes_total"].to_numpy()) > 0
    decided = pc.is_valid(verdicts["is_clean"]).to_numpy()
    wrong = pc.equal(verdicts["is_clean"], False).fill_null(False).to_numpy()
    return np.asarray(voted.astype(np.int8) + decided + wrong, np.int8)


def _labels(table: pa.Table) -> npt.NDArray[np.int32]:
    return np.asarray(table["label"].to_numpy(), np.int32)


def funnel(workspace: Workspace) -> dict[str, int]:
    """The steps' counts over all classes; see `by_class`."""
    return total(by_class(workspace))


def total(rows: list[dict[str, int]]) -> dict[str, int]:
    """The sums of the classes' counts."""
    return {step: sum(row[step] for row in rows) for step in STEPS}
