"""What a workspace remembers of Label Studio: where its questions went, and who is who there.

It is <workspace>/label_studio.json. An annotator's name is kept as it was when the first vote came: a user who is
removed, or takes another address, must not become a second person whose votes count again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from noisyweb.atomic import replacing_file
from noisyweb.errors import CorruptFileError, LabelError

NAME = "label_studio.json"


@dataclass(frozen=True)
class Pulled:
    """What the last pull saw, by count.

    Attributes:
        tasks: of the project.
        votes: annotations that became votes.
        strangers: tasks that are no question of this workspace.
        cancelled: annotations that were skipped.
        superseded: older annotations of somebody who answered the same question again.
        unusable: annotations without one of the answers, or of nobody.
    """

    tasks: int = 0
    votes: int = 0
    strangers: int = 0
    cancelled: int = 0
    superseded: int = 0
    unusable: int = 0


@dataclass(frozen=True)
class Record:
    """Where the questions went.

    Attributes:
        url: the server, as `noisyweb.label_studio.server.server_address` writes it; "" for none yet.
        project: the project's id there; 0 for none yet.
        sending: first and last task of the import that is going on, or was when the push was killed; else empty.
        annotators: server -> user id -> the name that stands in the votes.
        pulled: of the last pull.
    """

    url: str = ""
    project: int = 0
    sending: list[str] = field(default_factory=list)
    annotators: dict[str, dict[str, str]] = field(default_factory=dict)
    pulled: Pulled = Pulled()


def read_record(folder: Path) -> Record:
    """What a workspace remembers; nothing if nothing was pushed or pulled.

    Raises:
        CorruptFileError: the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return Record()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**content)
        record = replace(record, pulled=Pulled(**content["pulled"]))
        people = [pair for users in record.annotators.values() for pair in users.items()]
        counts = [record.project, *asdict(record.pulled).values()]
        texts = [record.url, *record.sending, *(text for pair in people for text in pair)]
        if not isinstance(record.sending, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError("a name is not text")
        if not all(type(count) is int for count in counts):
            raise TypeError("a number is none")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise CorruptFileError(
            f"{path}: damaged ({error}); restore it from a copy, or delete it and name --url and --project anew"
        ) from error
    return record


def write_record(folder: Path, record: Record) -> None:
    """Write it into a workspace's folder."""
    with replacing_file(folder / NAME) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def destination(record: Record, url: str | None, project: str | None) -> tuple[str, str | None]:
    """Which server and project are meant: those named, else those remembered.

    Args:
        record: of the workspace.
        url: the server named, as `noisyweb.label_studio.server.server_address` writes it.
        project: the title or id named.

    Returns:
        The server, and the project's title or id; None: none was named and none is remembered.

    Raises:
        LabelError: no server is known, or another than the one remembered without a project there.
    """
    if url is None and not record.url:
        raise LabelError("no Label Studio server is known yet; name it with --url, such as http://127.0.0.1:8080")
    server = url or record.url
    if project is None and record.url and server != record.url:
        raise LabelError(
            f"--url {server}: this workspace was pushed to {record.url}, project {record.project}; "
            "leave --url out, or name a project there with --project"
        )
    return server, project if project is not None else (str(record.project) if record.url else None)


def known_annotators(record: Record, url: str, users: Mapping[int, str]) -> dict[str, str]:
    """The names of a server's users by id: those remembered, then those it tells now.

    Args:
        record: of the workspace.
        url: the server.
        users: id -> mail address.
    """
    told = {str(user): f"label-studio:{email}" for user, email in users.items()}
    return told | record.annotators.get(url, {})
