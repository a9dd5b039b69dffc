"""Weak votes of one machine annotator, ``google-vision``, from the labels that a workspace has kept.

Nobody is asked and nothing is paid here: `noisyweb.google_vision.labels.ask` does that (``noisyweb label vision``).
Votes are worked out anew each time, so that another minimum score or more synonyms cost nothing. They are weak: a
generic vocabulary's opinion, never enough for a verdict. How labels become answers: `noisyweb.google_vision.match`.

Options:
    workspace: the folder whose table ``vision_labels`` is read.
    min_score: from which on a label counts, 0.5 by default.
    names: a TOML file of synonyms, as `noisyweb.crawl_queries.read_names` takes it; "synonyms" and "en" are used,
        since Vision's labels are English.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from noisyweb.crawl_queries import SYNONYMS, read_names
from noisyweb.errors import CorruptFileError, LabelError
from noisyweb.google_vision.match import Seen, Vocabulary, answers
from noisyweb.votes import as_votes
from noisyweb.workspace import Workspace

ANNOTATOR = BACKEND = "google-vision"
MIN_SCORE = 0.5
LANGUAGES = (SYNONYMS, "en")
ROWS_AT_ONCE = 1_000


def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]:
    """Answer all questions whose images have kept labels.

    Args:
        questions: image_id, label, class_name and url of every question.
        options: see the module.

    Yields:
        One table of `noisyweb.schemas.VOTES`, all of it weak; rows as the questions.

    Raises:
        LabelError: an option is not what it should be.
        CrawlError: the file of names cannot be used.
        CorruptFileError: the kept labels are damaged.
    """
    if "workspace" not in options:
        raise LabelError("google-vision: no workspace was named; it votes from the labels that a workspace has kept")
    workspace, min_score = Workspace(options["workspace"]), _min_score(options)
    columns = questions.select(["image_id", "label", "class_name"]).to_pydict()
    names = {label: [name] for label, name in zip(columns["label"], columns["class_name"], strict=True)}
    if options.get("names"):
        further = read_names(Path(options["names"]).expanduser(), workspace.class_names())
        for own in names.values():
            own += [text for language in LANGUAGES for text in further.get(own[0], {}).get(language, ())]
    kept = workspace.read("vision_labels")
    times = dict(zip(kept["image_id"].to_pylist(), kept["answered_at"].to_pylist(), strict=True))
    asked = list(zip(columns["image_id"], columns["label"], strict=True))
    found = answers(asked, _seen(kept), Vocabulary(names), min_score)
    rows = [(*key, answer) for key, answer in zip(asked, found, strict=True) if answer is not None]
    yield as_votes(
        {
            "image_id": pa.array([image_id for image_id, _, _ in rows], pa.string()),
            "label": pa.array([label for _, label, _ in rows], pa.int32()),
            "annotator": pa.array([ANNOTATOR] * len(rows), pa.string()),
            "answer": pa.array([answer for _, _, answer in rows], pa.string()),
            "backend": pa.array([BACKEND] * len(rows), pa.string()),
            "is_weak": pa.array([True] * len(rows), pa.bool_()),
            "answered_at": pa.array([_time(workspace, times[row[0]]) for row in rows], pa.timestamp("ms", tz="UTC")),
        }
    )


def _seen(kept: pa.Table) -> Iterator[Seen]:
    """Images with labels, a few at a time: as Python objects all labels would take gigabytes."""
    for batch in kept.select(["image_id", "labels"]).to_batches(ROWS_AT_ONCE):
        for row in batch.to_pylist():
            if row["labels"] is not None:
                yield row["image_id"], [(label["description"] or "", label["score"] or 0.0) for label in row["labels"]]


def _min_score(options: Mapping[str, str]) -> float:
    text = options.get("min_score", str(MIN_SCORE))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise LabelError(f"google-vision: min_score = {text!r}; expected a number from 0 to 1")
    return value


def _time(workspace: Workspace, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise CorruptFileError(
            f"{workspace.folder / 'vision_labels.parquet'}: {text!r} is no time; restore it from a copy"
        ) from None
