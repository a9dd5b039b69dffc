"""Adding tasks to a Label Studio project, each once, also where an answer is lost."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import part, shown
from noisyweb.label_studio.server import LabelStudio, LostAnswerError

LOOKS_S = (1.0, 4.0, 15.0)
"""Seconds to wait before each look for tasks whose import was not answered: the server may still be at it."""

_TRIES = 3
_POLL_S, _POLLS = 1.0, 600


def import_path(project: int) -> str:
    """Where tasks and files of a project are sent to."""
    return f"/api/projects/{project}/import"


def import_tasks(
    server: LabelStudio, project: int, tasks: Sequence[Mapping[str, Any]], there: Callable[[], Container[str]]
) -> None:
    """Add tasks to a project. What was sent without an answer is looked for before it is sent again.

    Args:
        server, project: where to.
        tasks: the data of each, with its ``noisyweb_id``; at most some thousands.
        there: lists the ``noisyweb_id`` of the project's tasks.

    Raises:
        LabelError: the server refuses, or loses them again and again; run once more, nothing is added twice.
    """
    waiting = list(tasks)
    for tries_left in reversed(range(_TRIES)):
        try:
            answer = server.post(import_path(project), [{"data": data} for data in waiting])
            added = part(finished(server, project, answer), "task_count", int, f"{server.url}: an import")
            if added != len(waiting):
                raise LabelError(f"{server.url}: {len(waiting)} tasks were sent, it says that it added {added}")
            return
        except LostAnswerError:
            if not tries_left:
                raise
            missing = look_for(server, [data["noisyweb_id"] for data in waiting], there)
            waiting = [data for data in waiting if data["noisyweb_id"] in missing]
            if not waiting:
                return


def look_for(server: LabelStudio, names: Sequence[str], there: Callable[[], Container[str]]) -> set[str]:
    """Wait for tasks whose import was not answered; those that have not come.

    Args:
        server: where they are to come.
        names: the ``noisyweb_id`` of each.
        there: lists the ``noisyweb_id`` of the project's tasks.
    """
    missing = set(names)
    for wait_s in LOOKS_S:
        server.pause(wait_s)
        known = there()
        missing = {name for name in missing if name not in known}
        if not missing:
            break
    return missing


def finished(server: LabelStudio, project: int, answer: object) -> Mapping[str, Any]:
    """What came of an import; editions that work on it later are asked until they are done.

    Raises:
        LabelError: it failed, or goes on for ten minutes.
    """
    if isinstance(answer, Mapping) and "task_count" in answer:
        return answer
    what = f"{server.url}: an import"
    number = part(answer, "import", int, what)
    for _ in range(_POLLS):
        state = server.get(f"/api/projects/{project}/imports/{number}/")
        status = part(state, "status", str, what)
        if status == "completed":
            return dict(state)
        if status == "failed":
            raise LabelError(f"{what} failed ({shown(str(state.get('error')))}); see the server's log")
        server.pause(_POLL_S)
    raise LabelError(
        f"{what} is not done after {_POLL_S * _POLLS:.0f} seconds; push again later: nothing is added twice"
    )
