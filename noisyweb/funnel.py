"""How many images a workspace has at each step of the road, per class and in all."""

from __future__ import annotations

from noisyweb.votes import questions
from noisyweb.workspace import Workspace

STEPS = ("found", "fetched", "unique", "voted", "decided", "wrong")


def by_class(workspace: Workspace) -> list[dict[str, int]]:
    """The steps' counts for each class, K of them.

    found: candidates; fetched: candidates with an image; unique: images that are left without duplicates and
    leaks; voted: those with a vote; decided: those with a verdict; wrong: those whose verdict is false, which
    is the pool.
    """
    counts = [dict.fromkeys(STEPS, 0) for _ in workspace.class_names()]
    for label in workspace.read("candidates")["label"].to_pylist():
        counts[label]["found"] += 1
    images = workspace.read("images").select(["label", "image_id"]).to_pydict()
    for label, image_id in zip(images["label"], images["image_id"], strict=True):
        counts[label]["fetched"] += image_id is not None
    verdicts = {
        (row["image_id"], row["label"]): row["is_clean"]
        for row in workspace.read("verdicts").select(["image_id", "label", "is_clean"]).to_pylist()
    }
    asked = questions(workspace).select(["image_id", "label"]).to_pydict()
    for key in zip(asked["image_id"], asked["label"], strict=True):
        row = counts[key[1]]
        row["unique"] += 1
        if key in verdicts:
            row["voted"] += 1
            row["decided"] += verdicts[key] is not None
            row["wrong"] += verdicts[key] is False
    return counts


def funnel(workspace: Workspace) -> dict[str, int]:
    """The steps' counts over all classes; see `by_class`."""
    rows = by_class(workspace)
    return {step: sum(row[step] for row in rows) for step in STEPS}
