"""What the annotation page has collected, into the workspace's tables."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.annotate.book import BACKEND, FILE, KEY, Book
from noisyweb.votes import add
from noisyweb.workspace import TABLES, Workspace


def harvest(workspace: Workspace) -> None:
    """Add the page's answers to the votes, and those on known images to ``known_votes``. Can be done at any time.

    Answers that were taken back on the page go; those of a book that is there no longer stay. Keep the workspace
    `locked` meanwhile. The verdicts are not worked out.

    Raises:
        CorruptFileError: the page's book is damaged.
    """
    if not (workspace.folder / FILE).exists():
        return
    book = Book(workspace.on_disk())
    try:
        known, known_votes = book.known(), book.votes(known=True)
        votes, taken_back = book.votes(known=False), book.taken_back()
    finally:
        book.close()
    kept = _without(workspace.fold("votes"), taken_back)
    if kept is not None:
        workspace.write("votes", kept)
    add(workspace, [votes])
    _merge(workspace, "known", known)
    _merge(workspace, "known_votes", known_votes, taken_back)


def is_pending(workspace: Workspace) -> bool:
    """Whether there are answers that the votes lack: given, changed or taken back since the last `harvest`."""
    if not (workspace.folder / FILE).exists():
        return False
    book = Book(workspace.on_disk(), readonly=True)
    try:
        given = {"votes": book.votes(known=False), "known_votes": book.votes(known=True)}
        taken_back = book.taken_back()
    finally:
        book.close()
    said = [*KEY, "answer"]
    for name, answers in given.items():
        table = workspace.read(name)
        if answers.select(said).join(table.select(said), said, join_type="left anti").num_rows:
            return True
        if _without(table, taken_back) is not None:
            return True
    return False


def _without(votes: pa.Table, taken_back: pa.Table) -> pa.Table | None:
    """The votes without those that came from the page and were taken back there; None if there are none such."""
    from_page = votes.filter(pc.equal(votes["backend"], BACKEND))
    gone = from_page.select(KEY).join(taken_back, list(KEY), join_type="inner")
    if not gone.num_rows:
        return None
    return votes.join(gone, list(KEY), join_type="left anti").sort_by([(name, "ascending") for name in KEY])


def _merge(workspace: Workspace, name: str, new: pa.Table, taken_back: pa.Table | None = None) -> None:
    """Put rows into a table, in the place of those with the same keys."""
    schema, columns = TABLES[name]
    key = list(columns)
    earlier = workspace.fold(name)
    if taken_back is not None:
        kept = _without(earlier, taken_back)
        earlier = earlier if kept is None else kept
    others = earlier.join(new.select(key), key, join_type="left anti")
    whole = pa.concat_tables([others.select(schema.names).cast(schema), new.cast(schema)])
    whole = whole.sort_by([(each, "ascending") for each in KEY if each in key])
    if not whole.equals(workspace.read(name)):
        workspace.write(name, whole)
