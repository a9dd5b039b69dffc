"""Projects of a Label Studio server that ask what noisyweb asks: found or made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import RefusedError, part, shown
from noisyweb.label_studio.server import LabelStudio, LostAnswerError
from noisyweb.schemas import ANSWERS

MAX_ANNOTATIONS = 3
MAX_TITLE = 50
CONTROL = "answer"
"""The name of the choices in the labelling interface, and of an annotation's result."""

LABEL_CONFIG = f"""<View>
  <Header value="Is this a $class_name?"/>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="{CONTROL}" toName="image" choice="single" required="true" showInline="true">
    <Choice value="yes" hotkey="y"/>
    <Choice value="no" hotkey="n"/>
    <Choice value="unsure" hotkey="u"/>
  </Choices>
</View>
"""
"""The labelling interface; the same for all, since the class name comes with each task as data."""

INSTRUCTIONS = (
    "Is the thing that is asked about the main thing that the image shows? Answer yes (y) or no (n). A part of it, "
    "a toy, a logo or a drawing of it is a no. If the image does not tell, answer unsure (u). "
    "If the image cannot be seen at all, skip it."
)

_PAGE_OF_PROJECTS = 100
_MOST_PAGES = 1000
_LONGEST_ID = 18


@dataclass(frozen=True)
class Project:
    """A project of the server.

    Attributes:
        id: its number there, at least 1.
        title: as people see it.
        is_new: made just now.
    """

    id: int
    title: str
    is_new: bool = False


def find_project(server: LabelStudio, wanted: str) -> Project | None:
    """The project of a title or id; None if there is none of that title.

    Args:
        server: where to look.
        wanted: a title, or digits: an id.

    Raises:
        LabelError: no project has that id, several have that title, or it does not ask what noisyweb asks.
    """
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= _LONGEST_ID:
        try:
            found = server.get(f"/api/projects/{int(wanted)}")
        except RefusedError as error:
            if error.status != 404:
                raise
            raise LabelError(
                f"{server.url}: project {wanted} is not there, or the token's user may not see it; "
                "name another with --project"
            ) from None
        return _asking(server, found)
    same = [found for found in _titled(server, wanted) if found.get("title") == wanted]
    if len(same) > 1:
        ids = ", ".join(str(found.get("id")) for found in same[:10])
        raise LabelError(
            f"{server.url}: {len(same)} projects are titled {shown(wanted)!r}; name one by its id: --project {ids}"
        )
    return _asking(server, same[0]) if same else None


def make_project(server: LabelStudio, title: str) -> Project:
    """Make a project; where the answer is lost, look whether it was made.

    Raises:
        LabelError: the server refuses, or cannot be asked.
    """
    content = {
        "title": title,
        "label_config": LABEL_CONFIG,
        "expert_instruction": INSTRUCTIONS,
        "show_instruction": True,
        "maximum_annotations": MAX_ANNOTATIONS,
    }
    try:
        return replace(_asking(server, server.post("/api/projects", content)), is_new=True)
    except LostAnswerError:
        made = find_project(server, title)
        if made is None:
            raise
        return replace(made, is_new=True)


def _titled(server: LabelStudio, title: str) -> list[Mapping[str, Any]]:
    """All projects whose titles contain a text."""
    found: list[Mapping[str, Any]] = []
    for page in range(1, _MOST_PAGES):
        answer = server.get("/api/projects", title=title, page=page, page_size=_PAGE_OF_PROJECTS)
        results = part(answer, "results", list, f"{server.url}: /api/projects")
        found += [result for result in results if isinstance(result, Mapping)]
        if not results or answer.get("next") is None:
            break
    return found


def _asking(server: LabelStudio, answer: object) -> Project:
    """A project as the server tells it, which must ask for our answers."""
    what = f"{server.url}: a project"
    found = Project(part(answer, "id", int, what), part(answer, "title", str, what))
    control = part(answer, "parsed_label_config", dict, what).get(CONTROL)
    asks = control.get("labels") if isinstance(control, Mapping) else None
    if not isinstance(asks, list) or not all(answer in asks for answer in ANSWERS):
        raise LabelError(
            f"{server.url}: project {found.id}, {shown(found.title)!r}, has another labelling interface than "
            f"noisyweb's; expected choices named {CONTROL!r}: {', '.join(ANSWERS)}; name another project with "
            "--project, or a new title: then push makes one"
        )
    return found
