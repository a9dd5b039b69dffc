"""Images of a workspace as files of a Label Studio project.

A file's name there is its image's id, so that what was uploaded is known again, whoever died in between: files that
no task shows yet are used and not sent a second time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from noisyweb.decode import sniff
from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import INVALID, part
from noisyweb.label_studio.imports import finished, import_path
from noisyweb.label_studio.server import LabelStudio, LostAnswerError
from noisyweb.workspace import Workspace

MOST_BYTES = 20 << 20
MOST_FILES = 50  # the server takes 100 in one request
MOST_TASKS = 1000

_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
_FILE = re.compile(r"upload/\d+/[0-9a-f]{8}-([0-9a-f]{64})(?:_\w+)?\.(?:jpg|png|gif|webp)")

Question = Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """Questions, and those of their images that are to be uploaded first.

    Attributes:
        questions: rows of `noisyweb.votes.QUESTIONS`.
        images: image id -> encoded bytes.
        unshowable: ids of images that no browser is sure to show; no question is about them.
    """

    questions: list[Question]
    images: dict[str, bytes]
    unshowable: list[str]


def bundles(place: Workspace, questions: Sequence[Question], there: Mapping[str, str]) -> Iterator[Bundle]:
    """Cut questions into bundles whose images fit into one request.

    Args:
        place: where the images are.
        questions: rows of `noisyweb.votes.QUESTIONS`.
        there: images that are on the server already; read again for each question.

    Raises:
        SourceError: an image is not in the store.
    """
    bundle, size = Bundle([], {}, []), 0
    for question in questions:
        image_id = question["image_id"]
        if image_id not in there and image_id not in bundle.images:
            data = place.get(image_id)
            if sniff(data) not in _EXTENSIONS:
                bundle.unshowable.append(image_id)
                continue
            if bundle.images and (size + len(data) > MOST_BYTES or len(bundle.images) >= MOST_FILES):
                yield bundle
                bundle, size = Bundle([], {}, []), 0
            bundle.images[image_id] = data
            size += len(data)
        bundle.questions.append(question)
        if len(bundle.questions) >= MOST_TASKS:
            yield bundle
            bundle, size = Bundle([], {}, []), 0
    yield bundle


class Uploads:
    """The files of a project that are images of noisyweb.

    Args:
        server, project: where they are.

    Attributes:
        paths: image id -> what a task's data calls it: a path on the server.
    """

    def __init__(self, server: LabelStudio, project: int) -> None:
        self._server, self._project = server, project
        self.paths = self._list(all="true")

    def put(self, images: Mapping[str, bytes]) -> None:
        """Upload images; those whose upload was lost on the way are looked for, and sent again if they are missing.

        Args:
            images: image id -> encoded bytes, together at most a few dozen MB.

        Raises:
            LabelError: the server refuses, or loses them twice.
        """
        try:
            self._put_once(images)
        except LostAnswerError:
            self._server.pause(2.0)
            self.paths |= self._list(all="true")
            self._put_once({image_id: data for image_id, data in images.items() if image_id not in self.paths})

    def _put_once(self, images: Mapping[str, bytes]) -> None:
        if not images:
            return
        files = {}
        for number, (image_id, data) in enumerate(images.items()):  # of files in one field, the server keeps the last
            kind = sniff(data)
            files[f"file{number}"] = (f"{image_id}.{_EXTENSIONS[kind]}", data, f"image/{kind.lower()}")
        answer = self._server.post(import_path(self._project), files=files, commit_to_project="false")
        numbers = part(finished(self._server, self._project, answer), "file_upload_ids", list, self._server.url)
        if not all(type(number) is int for number in numbers):
            raise LabelError(f"{self._server.url}: an upload {INVALID}: found {str(numbers)[:80]}, expected ids")
        self.paths |= self._list(ids=json.dumps(numbers))
        missing = images.keys() - self.paths.keys()
        if missing:
            raise LabelError(
                f"{self._server.url}: image {min(missing)} was uploaded, and is not among the files of project "
                f"{self._project}; look at the server's log, or push without --upload"
            )

    def _list(self, **which: str) -> dict[str, str]:
        answer = self._server.get(f"/api/projects/{self._project}/file-uploads", **which)
        if not isinstance(answer, list):
            raise LabelError(f"{self._server.url}: its list of files {INVALID}; expected a list")
        prefix = urlsplit(self._server.url).path
        found: dict[str, str] = {}
        for entry in answer:
            file = part(entry, "file", str, f"{self._server.url}: a file")
            match = _FILE.fullmatch(file)
            if match:
                found.setdefault(match[1], f"{prefix}/data/{file}")
        return found
