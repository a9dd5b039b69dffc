"""A crawled pool: the images of a workspace whose verdict is false.

Options:
    workspace: the workspace folder, or its fsspec URL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from noisyweb.annotate.harvest import is_pending
from noisyweb.certainty import wrong_draws
from noisyweb.consensus import is_stale
from noisyweb.dataset import Section
from noisyweb.dedup_record import DedupRecord, read_record
from noisyweb.errors import DefinitionError, SourceError
from noisyweb.image_ids import digest_of, ids_of, unique
from noisyweb.imageset import ImageSet
from noisyweb.remote_path import Place, RemotePath, is_url, place_of
from noisyweb.schemas import PROVENANCE_COLUMNS
from noisyweb.store import missing_image
from noisyweb.votes import questions
from noisyweb.workspace import Workspace


def read(section: Section) -> ImageSet:
    """The pool of a workspace; rows are sorted by (label, image id), names are image ids.

    Raises:
        DefinitionError: it is asked for as a clean set; a workspace holds no clean sets.
        SourceError: no such workspace, or its classes are not the data set's.
    """
    section.only("workspace")
    if section.role != "pool":
        raise DefinitionError(f"{section.where}: format 'workspace' is for [pool]; name another format")
    workspace = Workspace(_place(section))
    names = workspace.class_names()
    if section.class_names:
        _check_vocabulary(workspace.folder, names, section.class_names)
    verdicts = {
        (row["image_id"], row["label"]): row
        for row in workspace.read("verdicts").to_pylist()
        if row["is_clean"] is False
    }
    open_questions = questions(workspace).select(["image_id", "label", "url"]).to_pylist()
    rows = [row for row in open_questions if (row["image_id"], row["label"]) in verdicts]
    votes = [verdicts[row["image_id"], row["label"]] for row in rows]
    ids = [row["image_id"] for row in rows]

    labels = np.array([row["label"] for row in rows], np.int32)
    asked = pa.table({"image_id": pa.array(ids, pa.string()), "label": pa.array(labels)})

    def load(indices: Sequence[int]) -> Iterator[bytes]:
        wanted = [ids[index] for index in indices]
        for image_id, data in zip(wanted, workspace.load(wanted), strict=True):  # at a URL some are fetched ahead
            if data is None:
                raise missing_image(workspace.store.folder, image_id)
            yield data

    return ImageSet(
        names=ids,
        labels=labels,
        class_names=names,
        load=load,
        paths=ids,
        prefix="web",
        provenance=_provenance(workspace, [(row["url"], row["label"]) for row in rows]),
        true_labels=np.full(len(rows), -1, np.int32),
        votes_yes=np.array([vote["votes_yes"] for vote in votes], np.int32),
        votes_total=np.array([vote["votes_total"] for vote in votes], np.int32),
        notes=_notes(workspace),
        compared=_compared(workspace),
        # all votes, also those on images that are right: the pool alone would make annotators look too good
        wrong_draws=lambda: wrong_draws(workspace.read("votes"), asked),
    )


def _place(section: Section) -> Place:
    value = section.get("workspace", str)
    return place_of(value) if is_url(value) else section.path("workspace")


def _notes(workspace: Workspace) -> tuple[str, ...]:
    if isinstance(workspace.folder, RemotePath):  # no annotation page works there; a copied one is not asked
        return ("the verdicts are older than the votes",) if is_stale(workspace) else ()
    if not (is_pending(workspace) or is_stale(workspace)):
        return ()
    command = f"noisyweb label status --workspace {workspace.folder}"
    return (f"there are votes that are not in the verdicts, and so not in the pool; take them in with `{command}`",)


def _compared(workspace: Workspace) -> DedupRecord:
    """What all of the workspace's images were compared with; nothing, if some have come since."""
    record = read_record(workspace.folder)
    images = unique([ids_of(workspace.read("images")["image_id"].drop_null())])
    return record if record is not None and record.images == digest_of(images) else DedupRecord()


def _provenance(workspace: Workspace, keys: Sequence[tuple[str, int]]) -> pa.Table:
    columns = list(PROVENANCE_COLUMNS)
    wanted = set(keys)
    known = {
        (row["url"], row["label"]): {column: row[column] for column in columns}
        for row in workspace.read("candidates").select([*columns, "label"]).to_pylist()
        if (row["url"], row["label"]) in wanted
    }
    schema = pa.schema([(column, pa.string()) for column in columns])
    return pa.Table.from_pylist([known.get(key, {"url": key[0]}) for key in keys], schema=schema)


def _check_vocabulary(folder: Place, found: Sequence[str], expected: Sequence[str]) -> None:
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=False)):
        if ours != theirs:
            raise SourceError(
                f"workspace {folder}: its class {index} is {ours!r}, the data set's is {theirs!r}; "
                "crawl with the data set's own class names (noisyweb crawl --classes)"
            )
    if len(found) != len(expected):
        raise SourceError(
            f"workspace {folder}: it has {len(found)} classes, the data set has {len(expected)}; "
            "crawl with the data set's own class names (noisyweb crawl --classes)"
        )
