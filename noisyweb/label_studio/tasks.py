"""Tasks of a Label Studio project: listed, and known again by the question that they ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import RefusedError, part, shown
from noisyweb.label_studio.server import LabelStudio
from noisyweb.progress import Progress, silent

Task = Mapping[str, Any]
T = TypeVar("T")

_PAGE_OF_TASKS, _PAGE_OF_ANNOTATIONS = 2000, 500
_LISTINGS = 3


def read_tasks(
    server: LabelStudio,
    project: int,
    read: Callable[[Task], T],
    *,
    annotations: bool = False,
    progress: Progress = silent,
) -> list[T]:
    """Go through all tasks of a project, page by page; again from the start if some were removed meanwhile.

    Args:
        server: where it is.
        project: its id.
        read: called with each task, in the order of their ids; what it returns is returned.
        annotations: also tell the tasks' annotations.
        progress: told "tasks listed".

    Raises:
        LabelError: the server refuses, or tasks are being removed all the time.
    """
    for _ in range(_LISTINGS):
        found = _list_once(server, project, read, annotations, progress)
        if found is not None:
            return found
    raise LabelError(f"{server.url}: tasks of project {project} are being removed; try again when that is done")


def _list_once(
    server: LabelStudio, project: int, read: Callable[[Task], T], annotations: bool, progress: Progress
) -> list[T] | None:
    """One pass; None if tasks were removed during it, which moves others to pages that were read already."""
    # without the other columns, the server is five times as fast
    page_size, fields = (
        (_PAGE_OF_ANNOTATIONS, {"fields": "all"}) if annotations else (_PAGE_OF_TASKS, {"include": "id,data"})
    )
    found: dict[int, T] = {}
    total, page = 0, 1
    what = f"{server.url}: /api/tasks"
    while True:
        try:
            answer = server.get("/api/tasks", project=project, page=page, page_size=page_size, **fields)
        except RefusedError as error:
            if error.status != 404 or page == 1:
                raise
            return None  # past the last page
        before, total = total, part(answer, "total", int, what)
        tasks = part(answer, "tasks", list, what)
        fresh = {part(task, "id", int, what): task for task in tasks}
        if total < before or (not fresh.keys() - found.keys() and len(found) < total):
            return None
        found |= {number: read(task) for number, task in fresh.items() if number not in found}
        progress("tasks listed", len(found), total)
        if len(found) >= total:
            return list(found.values())
        page += 1


_ID = re.compile(r"(0|[1-9]\d{0,8})/([0-9a-f]{64})")


def question_of(task: Task) -> tuple[int, str, str] | None:
    """Which question a task asks: label, image id, class name; None: it is none of noisyweb's."""
    data = task.get("data")
    if not isinstance(data, Mapping):
        return None
    text, name = data.get("noisyweb_id"), data.get("class_name")
    match = _ID.fullmatch(text) if isinstance(text, str) else None
    return (int(match[1]), match[2], name) if match and isinstance(name, str) else None


def question_id(label: int, image_id: str) -> str:
    """What a task's data calls its question.

    >>> question_id(7, "ab12")
    '7/ab12'
    """
    return f"{label}/{image_id}"


def check_class(server: LabelStudio, project: int, label: int, asked: str, name: str) -> None:
    """Refuse a project whose tasks ask about other classes than the workspace's.

    Args:
        server, project: where a task was found.
        label: of the task.
        asked: the class that the task asks about.
        name: the class of that label in the workspace.

    Raises:
        LabelError: they differ.
    """
    if asked != name:
        raise LabelError(
            f"{server.url}: project {project} asks about {shown(asked)!r} as class {label}, which is {shown(name)!r} "
            "in this workspace: it belongs to a workspace of another class list; name another project with --project"
        )
