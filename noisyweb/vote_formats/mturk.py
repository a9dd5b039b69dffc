"""Batch results of Amazon Mechanical Turk: one assignment a row, as "Download CSV" gives them.

``WorkerId`` is the annotator, as ``mturk:<WorkerId>``. Assignments whose ``AssignmentStatus`` is Rejected, or that
have a reason under ``Reject``, are no votes. ``WorkTimeInSeconds``, divided by the images of the HIT, becomes the
vote's seconds and ``SubmitTime`` its time; either stays open where it cannot be read.

The image is ``Input.image_id``, ``Input.image_url`` or ``Input.url``, the class ``Input.class``, ``Input.class_name``
or ``Input.label``, and the answer ``Answer.answer``, ``Answer.label`` or ``Answer.category.label``, or the only thing
that was answered. Radio buttons that give a column each (``Answer.answer.yes`` = true) and JSON in
``Answer.taskAnswers`` are read too. Where the HIT names no class, the answer may be the name of one: then yes for it
and no for the other classes that the image was asked about.

A HIT with several images numbers its columns: ``Input.image_url_1``, ``Input.class_1`` (or one ``Input.class`` for
all), ``Answer.answer_1`` or ``Answer.answer-1``. Numbers whose image is empty are no question.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from noisyweb.errors import LabelError
from noisyweb.vote_formats._book import Book, Image, Voter
from noisyweb.vote_formats._file import VoteFile
from noisyweb.vote_formats._mturk_answers import Answers, Number
from noisyweb.vote_formats._row import CLASS_COLUMNS, as_seconds, shown

SUMMARY = "HITId, WorkerId, Input.image_url, Input.class, Answer.answer"
OPTIONS: tuple[str, ...] = ()

_INPUT = re.compile(r"Input\.(image_id|image_url|url|class|class_name|label)(?:[_-]?(\d{1,6}))?", re.IGNORECASE)
_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d{1,2}):(\d{2}):(\d{2}) ([A-Z]{1,4}) (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOURS_FROM_UTC = {"UTC": 0, "GMT": 0, "Z": 0, "PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CST": -6, "CDT": -5}
_HOURS_FROM_UTC |= {"EST": -5, "EDT": -4}


class _Input(NamedTuple):
    """The columns that may hold an image of a HIT and its class; the first that is filled counts."""

    image_id: list[str]
    url: list[str]
    class_: list[str]


def fits(file: VoteFile) -> bool:
    """The columns that every batch has."""
    return {"HITId", "WorkerId"} <= set(file.columns)


def read(file: VoteFile, book: Book, options: Mapping[str, str]) -> None:
    """Take down all rows; see the package."""
    asked = _inputs(file)
    given_answers = Answers(file.columns, is_numbered=set(asked) != {None})
    for row in file.rows():
        if (row.text("AssignmentStatus") or "").lower() == "rejected" or row.text("Reject"):
            book.says_nothing(row, "rejected assignment")
            continue
        worker = row.text("WorkerId")
        if worker is None:
            row.refuse("has no WorkerId; expected the results of a Mechanical Turk batch")
        images = {
            number: Image(row.text(*columns.image_id), row.text(*columns.url)) for number, columns in asked.items()
        }
        images = {number: image for number, image in images.items() if image != (None, None)}
        if not images:
            row.refuse("has no image in Input.image_id, Input.image_url or Input.url")
        answers = given_answers.of(row)
        if answers and len(asked) > 1 and answers.keys().isdisjoint(asked):
            row.refuse("has no answer with the number of an image; expected columns such as Answer.answer_1")
        time = as_seconds(row.text("WorkTimeInSeconds") or "")
        seconds = None if time is None else time / len(images)
        voter = Voter(f"mturk:{worker}", seconds, submit_time(row.text("SubmitTime") or ""))
        for number, image in images.items():
            answer = answers.get(number) or (answers.get(None) if len(asked) == 1 else None)
            given = row.text(*asked[number].class_)
            if answer is None:
                book.says_nothing(row, "question left open")
            elif given is None:
                book.said(row, image, [answer], voter)
            else:
                book.answered(row, image, given, answer, voter)


def submit_time(text: str) -> datetime | None:
    """When an assignment was handed in, of text like ``Wed Nov 25 10:11:12 PST 2026``; None if it is not like that."""
    found = _TIME.fullmatch(text)
    try:
        if not found:
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else None
        month, day, hour, minute, second, zone, year = found.groups()
        offset = timezone(timedelta(hours=_HOURS_FROM_UTC[zone]))
        date = (int(year), _MONTHS.index(month) + 1, int(day))
        return datetime(*date, int(hour), int(minute), int(second), tzinfo=offset).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _inputs(file: VoteFile) -> dict[Number, _Input]:
    """Where the images of a HIT are, by their numbers."""
    found: dict[Number, dict[str, str]] = defaultdict(dict)  # number, name, column
    for column in file.columns:
        if match := _INPUT.fullmatch(column):
            found[int(match[2]) if match[2] else None][match[1].lower()] = column
    shared = found[None]  # its class is that of all images that have no own
    inputs = {}
    for number in sorted(found, key=lambda number: number or 0):
        names = found[number]
        classes = [names[name] for name in CLASS_COLUMNS if name in names]
        urls = [names[name] for name in ("image_url", "url") if name in names]
        ids = [names[name] for name in ("image_id",) if name in names]
        if ids or urls:
            inputs[number] = _Input(ids, urls, classes or [shared[name] for name in CLASS_COLUMNS if name in shared])
    if not inputs or not Answers(file.columns, is_numbered=False):
        raise LabelError(
            f"{file.path}: a Mechanical Turk batch needs columns such as Input.image_url, Input.class and "
            f"Answer.answer; found {', '.join(shown(column, 40) for column in file.columns[-12:]) or 'none'}"
        )
    return inputs
