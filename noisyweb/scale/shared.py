"""Whether all machines of an engine see a folder: a workspace on a disk of one machine is none to the others."""

from __future__ import annotations

import os
from collections.abc import Iterator

from noisyweb.errors import SourceError
from noisyweb.places import absolute, names_in, remove_file, write_whole
from noisyweb.remote_path import Place, RemotePath
from noisyweb.scale.engine import Engine

_PREFIX = "_noisyweb-seen-"


def check_shared(engine: Engine, folder: Place) -> None:
    """Let every machine look for a file that is written there now.

    Args:
        engine: whose machines.
        folder: where the stage reads and writes.

    Raises:
        SourceError: one of them does not see it, or it is in this process's memory.
    """
    if isinstance(folder, RemotePath) and folder.url.lower().startswith("memory:"):
        raise SourceError(
            f"{folder}: the memory of this process, which no worker of an engine sees; "
            "name a folder or a URL such as s3://bucket/w, or leave --engine out"
        )
    name = f"{_PREFIX}{os.urandom(8).hex()}"
    mark = folder / name
    write_whole(mark, b"noisyweb\n")
    try:
        seen = engine.check_nodes(_sees, (absolute(folder), name))
    finally:
        remove_file(mark)
    if not all(seen):
        raise SourceError(
            f"{folder}: {seen.count(False)} of {len(seen)} Ray nodes do not see this folder; "
            "put it on a disk that all of them share, or at a URL (s3://, gs://)"
        )


def _sees(argument: tuple[Place, str]) -> Iterator[bool]:
    folder, name = argument
    yield name in names_in(folder)
