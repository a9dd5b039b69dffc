"""Simulated annotators: for trying out, planning and testing, never for claims.

Forty people with a skill of their own each. A question is shown to a few of them; where these do not all agree,
two more are asked. An answer is right with the probability of the person's skill, lower for cars that look like
the class asked about, and now and then it is "unsure". Every answer hangs on (image, class, person, seed) alone.

Options:
    truth: what the images really show: a Parquet or CSV file with the columns ``image_id`` or ``url``,
        ``label`` (index into the vocabulary), ``is_right`` and, if known, ``is_hard``. Left out: the drawn web
        itself, which knows its images by URL.
    annotators: people asked at first, 3 by default.
    skill: mean probability of the right answer, 0.95 by default.
    seed: 0 by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.consensus.wanted import FIRST, MORE
from noisyweb.draws import row_keys, uniforms
from noisyweb.errors import LabelError
from noisyweb.labelling._truth import truth_of_questions
from noisyweb.votes import as_votes

NUM_PEOPLE = 40
_ROWS_AT_ONCE = 4096
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Crowd:
    """The simulated people.

    Attributes:
        first: how many are asked each question at first, 1 to 38.
        skill: mean probability of the right answer, 0..1.
        spread: skills lie within this of the mean.
        lookalike: how much less likely the right answer is for a car that looks like the class.
        unsure: probability of "unsure".
    """

    first: int = FIRST
    skill: float = 0.95
    spread: float = 0.04
    lookalike: float = 0.07
    unsure: float = 0.03


def vote(
    images: Sequence[str], labels: Sequence[int], is_right: Flags, is_hard: Flags, crowd: Crowd, seed: int
) -> pa.Table:
    """Let a crowd answer questions.

    Args:
        images: image ids or URLs, N of them.
        labels: the class each is asked about, an index into the vocabulary; N.
        is_right: the truth, shape (N,).
        is_hard: which images look like the class without being of it, shape (N,).
        crowd: who answers.
        seed: same questions and seed, same answers.

    Returns:
        Columns image, label, annotator, answer; rows sorted as the questions, then by annotator.
    """
    keys = row_keys(f"{image}\x1f{label}" for image, label in zip(images, labels, strict=True))
    place = np.stack([uniforms(keys, seed, "asked", person) for person in range(NUM_PEOPLE)], axis=1)
    asked = np.argsort(place, axis=1, kind="stable")[:, : crowd.first + MORE]
    says = _says(keys, is_right, is_hard, crowd, seed)
    answers = np.take_along_axis(says, asked, axis=1)
    agree = (answers[:, : crowd.first] == answers[:, :1]).all(axis=1) & (answers[:, 0] != _UNSURE)
    counts = np.where(agree, crowd.first, crowd.first + MORE)
    rows, columns = np.nonzero(np.arange(asked.shape[1])[None, :] < counts[:, None])
    people = asked[rows, columns]
    order = np.lexsort((people, rows))
    rows, people, given = rows[order], people[order], answers[rows, columns][order]
    names = np.array([f"simulated-{person + 1:02d}" for person in range(NUM_PEOPLE)], dtype=object)
    return pa.table(
        {
            "image": pa.array(np.array(images, dtype=object)[rows], pa.string()),
            "label": pa.array(np.asarray(labels, np.int32)[rows]),
            "annotator": pa.array(names[people], pa.string()),
            "answer": pa.array(np.array(_ANSWERS, dtype=object)[given], pa.string()),
        }
    )


_ANSWERS = ("yes", "no", "unsure")
_YES, _NO, _UNSURE = range(3)


def _says(
    keys: npt.NDArray[np.uint64], is_right: Flags, is_hard: Flags, crowd: Crowd, seed: int
) -> npt.NDArray[np.int8]:
    """What everybody would answer to everything, shape (N, NUM_PEOPLE)."""
    people = row_keys(f"person-{person}" for person in range(NUM_PEOPLE))
    skills = np.clip(crowd.skill + crowd.spread * (2 * uniforms(people, seed, "skill") - 1), 0.0, 1.0)
    says = np.empty((len(keys), NUM_PEOPLE), np.int8)
    for person in range(NUM_PEOPLE):
        knows = uniforms(keys, seed, "knows", person) < skills[person] - crowd.lookalike * is_hard
        says[:, person] = np.where(knows == is_right, _YES, _NO)
        says[uniforms(keys, seed, "unsure", person) < crowd.unsure, person] = _UNSURE
    return says


def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]:
    """Answer all questions.

    Args:
        questions: image_id, label, class_name and url of every question.
        options: see the module.

    Yields:
        Tables of `noisyweb.schemas.VOTES`.

    Raises:
        LabelError: an option is not what it should be, the truth cannot be read, or it does not know an image.
    """
    crowd = Crowd(
        first=int(_number(options, "annotators", FIRST, 1, NUM_PEOPLE - MORE, whole=True)),
        skill=_number(options, "skill", 0.95, 0.0, 1.0),
    )
    seed = int(_number(options, "seed", 0, -(2**63), 2**63, whole=True))
    is_right, is_hard = truth_of_questions(questions, options.get("truth"))
    for start in range(0, questions.num_rows, _ROWS_AT_ONCE):
        part, rows = questions.slice(start, _ROWS_AT_ONCE), slice(start, start + _ROWS_AT_ONCE)
        images, labels = part["image_id"].to_pylist(), part["label"].to_pylist()
        votes = vote(images, labels, is_right[rows], is_hard[rows], crowd, seed)
        backend = pa.array(["simulated"] * votes.num_rows, pa.string())
        named = votes.rename_columns(["image_id", "label", "annotator", "answer"])
        yield as_votes(named.append_column("backend", backend))


def _number(
    options: Mapping[str, str], name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    text = options.get(name, str(default))
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise LabelError(f"simulated annotators: {name} = {text!r}; expected {kind} from {low:g} to {high:g}")
    return value
