"""Questions of a workspace as tasks of a Label Studio project.

Each task's data holds ``noisyweb_id``: "<label>/<image id>". A push lists those that are there and adds the others,
so that one that was killed goes on where it was and none makes a second task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import shown
from noisyweb.label_studio.imports import import_tasks, look_for
from noisyweb.label_studio.project import (
    MAX_TITLE,
    Project,
    find_project,
    make_project,
)
from noisyweb.label_studio.record import Record, destination, read_record, write_record
from noisyweb.label_studio.server import LabelStudio, server_address
from noisyweb.label_studio.tasks import Task, check_class, question_id, question_of, read_tasks
from noisyweb.label_studio.uploads import Question, Uploads, bundles
from noisyweb.progress import Progress, silent
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

TASKS_AT_ONCE = 1000


@dataclass(frozen=True)
class PushReport:
    """What came of a push.

    Attributes:
        url: the server.
        project: where the tasks are.
        added: tasks that are new.
        there: questions that had their task already.
        repeated: questions that have more than one task, as others made them.
        unshowable: images that were not pushed, since Label Studio shows no such format; ids.
    """

    url: str
    project: Project
    added: int
    there: int
    repeated: int
    unshowable: tuple[str, ...]


def push(
    place: Workspace,
    token: str,
    *,
    url: str | None = None,
    project: str | None = None,
    upload: bool = False,
    undecided: bool = False,
    progress: Progress = silent,
    connect: Callable[[str, str], LabelStudio] = LabelStudio,
) -> PushReport:
    """Make a project for a workspace's questions, or find it again, and add the tasks that it lacks.

    Args:
        place: whose questions; it remembers the project.
        token: of Label Studio, of either kind.
        url: the server; None: the one pushed to last.
        project: title or id; None: the one pushed to last, else one titled like the workspace's folder.
        upload: upload the stored images instead of naming their web addresses.
        undecided: only questions without a decided verdict.
        progress: told "tasks listed", "images uploaded" and "tasks added".
        connect: makes the connection of an address and a token.

    Raises:
        LabelError: the server cannot be reached or refuses, the project is another's, or there is nothing to ask.
        SourceError: another process holds the workspace, or an image is not in the store.
    """
    with place.locked():
        record = read_record(place.on_disk())
        address, wanted = destination(record, server_address(url) if url else None, project)
        asked = _asked(place, undecided)
        if not upload:
            _check_addresses(asked)
        with connect(address, token) as server:
            title = wanted or f"noisyweb {place.on_disk().resolve().name}"[:MAX_TITLE].strip()
            found = find_project(server, title) or make_project(server, title)
            sending = record.sending if (record.url, record.project) == (server.url, found.id) else []
            record = replace(record, url=server.url, project=found.id, sending=sending)
            write_record(place.on_disk(), record)
            return _Filling(server, found, place, progress).fill(asked, upload, record)


def _asked(place: Workspace, undecided: bool) -> list[Question]:
    rows: list[Question] = questions(place).to_pylist()
    if not rows:
        raise LabelError(f"workspace {place.folder}: it has no images to ask about; start with `noisyweb crawl`")
    if undecided:
        verdicts = place.read("verdicts").select(["label", "image_id", "status"]).to_pylist()
        done = {(row["label"], row["image_id"]) for row in verdicts if row["status"] == "decided"}
        rows = [row for row in rows if (row["label"], row["image_id"]) not in done]
    return rows


def _check_addresses(asked: Sequence[Question]) -> None:
    local = [row["url"] for row in asked if not _is_web(row["url"])]
    if local:
        raise LabelError(
            f"{len(local):,} of {len(asked):,} images have no web address that Label Studio could show, such as "
            f"{shown(local[0])}; push with --upload"
        )


class _Filling:
    """A project that is being filled from a workspace."""

    def __init__(self, server: LabelStudio, project: Project, place: Workspace, progress: Progress) -> None:
        self._server, self._project, self._place, self._progress = server, project, place, progress
        self._names = place.class_names()
        self._unshowable: list[str] = []

    def fill(self, asked: Sequence[Question], upload: bool, record: Record) -> PushReport:
        """Add the tasks that are missing; the workspace's record says at any time what is on its way."""
        there = self._listed()
        if any(name not in there for name in record.sending):
            look_for(self._server, record.sending, self._listed)  # a killed push's last import may still go on there
            there = self._listed()
        todo = [row for row in asked if _name(row) not in there]
        added = 0
        for data in self._uploaded(todo) if upload else _addressed(todo):
            sending = [data[0]["noisyweb_id"], data[-1]["noisyweb_id"]]
            write_record(self._place.on_disk(), replace(record, sending=sending))
            import_tasks(self._server, self._project.id, data, self._listed)
            added += len(data)
            self._progress("tasks added", added, len(todo))
        write_record(self._place.on_disk(), replace(record, sending=[]))
        repeated = sum(there[_name(row)] > 1 for row in asked)
        unshowable = tuple(self._unshowable)
        return PushReport(self._server.url, self._project, added, len(asked) - len(todo), repeated, unshowable)

    def _listed(self) -> Counter[str]:
        """How many tasks of each question there are."""
        return Counter(read_tasks(self._server, self._project.id, self._read, progress=self._progress))

    def _read(self, task: Task) -> str:
        found = question_of(task)
        if found is None:
            return ""
        label, image_id, asked = found
        name = self._names[label] if label < len(self._names) else "no class"
        check_class(self._server, self._project.id, label, asked, name)
        return question_id(label, image_id)

    def _uploaded(self, todo: Sequence[Question]) -> Iterator[list[dict[str, str]]]:
        """The tasks' data with paths on the server; each image is there before its task is."""
        uploads = Uploads(self._server, self._project.id)
        uploaded = 0
        for bundle in bundles(self._place, todo, uploads.paths):
            uploads.put(bundle.images)
            uploaded += len(bundle.images)
            self._progress("images uploaded", uploaded, 0)
            self._unshowable += bundle.unshowable
            if bundle.questions:
                yield [_data(row, uploads.paths[row["image_id"]]) for row in bundle.questions]


def _addressed(todo: Sequence[Question]) -> Iterator[list[dict[str, str]]]:
    """The tasks' data with the images' web addresses, some at a time."""
    rows = iter(todo)
    while some := list(islice(rows, TASKS_AT_ONCE)):
        yield [_data(row, row["url"]) for row in some]


def _data(row: Question, image: str) -> dict[str, str]:
    """What a task holds: the image's own address, too, unless it is a file here, which is nobody's business there."""
    data = {"image": image, "class_name": row["class_name"], "noisyweb_id": _name(row)}
    return data | ({"url": row["url"]} if _is_web(row["url"]) else {})


def _name(row: Question) -> str:
    return question_id(row["label"], row["image_id"])


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))
