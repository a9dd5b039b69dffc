"""Votes from Label Studio: the annotations of the project that `noisyweb label push` made.

Options:
    workspace: the workspace's folder; it remembers server, project and annotators (``label_studio.json``).
    token: of Label Studio, of either kind.
    url: the server. Left out: the one pushed to.
    project: title or id. Left out: the one pushed to.

Annotators are ``label-studio:<mail address>``, or ``label-studio:<user id>`` where no address is told. Skipped
(cancelled) annotations, drafts and predictions are no votes. Of several answers that one gave to one question the
latest counts. What was left out is counted in the workspace's record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import INVALID, RefusedError, part, shown
from noisyweb.label_studio.project import CONTROL, find_project
from noisyweb.label_studio.record import Pulled, destination, known_annotators, read_record, write_record
from noisyweb.label_studio.server import LabelStudio, server_address
from noisyweb.label_studio.tasks import Task, check_class, question_of, read_tasks
from noisyweb.schemas import ANSWERS
from noisyweb.votes import as_votes

NULL = type(None)
_LONGEST_S = 1e9
_MAIL = re.compile(r"[!-?A-~]{1,128}@[!-?A-~]{1,253}")


@dataclass(frozen=True)
class _Answer:
    label: int
    image_id: str
    user: str
    email: str
    answer: str
    seconds: float | None
    answered_at: datetime
    changed_at: datetime
    number: int


def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]:
    """Fetch all annotations of a project.

    Args:
        questions: image_id, label, class_name and url of every question.
        options: see the module.

    Yields:
        One table of `noisyweb.schemas.VOTES`, sorted by label, image and annotator.

    Raises:
        LabelError: the server cannot be reached or refuses, or the project is another's. Nothing is yielded then.
    """
    folder = Path(options["workspace"])
    record = read_record(folder)
    given = options.get("url")
    url, wanted = destination(record, server_address(given) if given else None, options.get("project"))
    if wanted is None:
        raise LabelError(f"workspace {folder}: nothing was pushed to Label Studio yet; name a project with --project")
    with LabelStudio(url, options["token"]) as server:
        project = find_project(server, wanted)
        if project is None:
            raise LabelError(f"{server.url}: no project is titled {shown(wanted)!r}; push first, or name another")
        read = read_tasks(server, project.id, _Reader(server, project.id, questions).read, annotations=True)
        names = known_annotators(record, server.url, _users(server))
    answers = [each for some in read for each in some if isinstance(each, _Answer)]
    left_out = Counter(each for some in read for each in some if isinstance(each, str))
    latest: dict[tuple[int, str, str], _Answer] = {}
    for answer in sorted(answers, key=lambda each: (each.changed_at, each.number)):
        name = names.setdefault(answer.user, f"label-studio:{answer.email or answer.user}")
        latest[answer.label, answer.image_id, name] = answer
    pulled = Pulled(len(read), len(latest), superseded=len(answers) - len(latest), **left_out)
    voters = {answer.user: names[answer.user] for answer in answers}
    remembered = record.annotators | {server.url: record.annotators.get(server.url, {}) | voters}
    record = record if record.url else replace(record, url=server.url, project=project.id)
    write_record(folder, replace(record, annotators=remembered, pulled=pulled))
    yield _votes(latest)


def _votes(latest: Mapping[tuple[int, str, str], _Answer]) -> pa.Table:
    keys = sorted(latest)
    answers = [latest[key] for key in keys]
    return as_votes(
        {
            "image_id": pa.array([image_id for _, image_id, _ in keys], pa.string()),
            "label": pa.array([label for label, _, _ in keys], pa.int32()),
            "annotator": pa.array([name for _, _, name in keys], pa.string()),
            "answer": pa.array([answer.answer for answer in answers], pa.string()),
            "backend": pa.array(["label-studio"] * len(keys), pa.string()),
            "seconds": pa.array([answer.seconds for answer in answers], pa.float32()),
            "answered_at": pa.array([answer.answered_at for answer in answers], pa.timestamp("ms", tz="UTC")),
        }
    )


def _users(server: LabelStudio) -> dict[int, str]:
    """Mail addresses by user id; none where the token's user may not see them."""
    try:
        answer = server.get("/api/users")
    except RefusedError as error:
        if error.status not in (403, 404):
            raise
        return {}
    if not isinstance(answer, list):
        raise LabelError(f"{server.url}: its list of users {INVALID}; expected a list")
    found = {part(user, "id", int, f"{server.url}: a user"): _mail(user.get("email")) for user in answer}
    times = Counter(found.values())  # of users who were removed, all are told by the same text
    return {number: mail for number, mail in found.items() if mail and times[mail] == 1}


def _mail(value: object) -> str:
    """A mail address, or nothing for what is none."""
    return value if isinstance(value, str) and _MAIL.fullmatch(value) else ""


class _Reader:
    """Reads tasks for the votes in them, and the reasons why there are none, by the names of `Pulled`."""

    def __init__(self, server: LabelStudio, project: int, questions: pa.Table) -> None:
        columns = questions.select(["label", "image_id", "class_name"]).to_pydict()
        keys = zip(columns["label"], columns["image_id"], strict=True)
        self._names = dict(zip(keys, columns["class_name"], strict=True))
        self._server, self._project = server, project
        self._what = f"{server.url}: an annotation of project {project}"

    def read(self, task: Task) -> list[_Answer | str]:
        """What is in one task."""
        question = question_of(task)
        name = self._names.get(question[:2]) if question else None
        if question is None or name is None:
            return ["strangers"]
        label, image_id, asked = question
        check_class(self._server, self._project, label, asked, name)
        return [self._answer(label, image_id, each) for each in part(task, "annotations", list, self._what)]

    def _answer(self, label: int, image_id: str, annotation: Any) -> _Answer | str:
        if part(annotation, "was_cancelled", (bool, NULL), self._what):
            return "cancelled"
        said = _choice(part(annotation, "result", (list, NULL), self._what) or [])
        by = part(annotation, "completed_by", (int, dict, NULL), self._what)
        user = part(by, "id", int, self._what) if isinstance(by, dict) else by
        if said is None or user is None:
            return "unusable"
        seconds = part(annotation, "lead_time", (int, float, NULL), self._what)
        created = self._time(annotation, "created_at")
        return _Answer(
            label=label,
            image_id=image_id,
            user=str(user),
            email=_mail(by.get("email")) if isinstance(by, dict) else "",
            answer=said,
            seconds=float(seconds) if seconds is not None and 0 <= seconds <= _LONGEST_S else None,
            answered_at=created,
            changed_at=self._time(annotation, "updated_at") if annotation.get("updated_at") else created,
            number=part(annotation, "id", int, self._what),
        )

    def _time(self, annotation: Any, name: str) -> datetime:
        text = part(annotation, name, str, self._what)
        try:
            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise LabelError(f"{self._what} {INVALID}: its {name!r} is {shown(text)!r}, expected a time") from None


def _choice(result: list[Any]) -> str | None:
    """The one answer that an annotation gives; None: none, several, or an unknown one."""
    ours = [each for each in result if isinstance(each, Mapping) and each.get("from_name", CONTROL) == CONTROL]
    values = [each.get("value") for each in ours if each.get("type") == "choices"]
    said = values[0].get("choices") if len(values) == 1 and isinstance(values[0], Mapping) else None
    [answer] = said if isinstance(said, list) and len(said) == 1 else [None]
    return answer if isinstance(answer, str) and answer in ANSWERS else None
