"""What the annotation page has collected, into the workspace's tables."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.annotate.book import BACKEND, FILE, Book
from noisyweb.votes import add
from noisyweb.workspace import Workspace

KEY = ["label", "image_id", "annotator"]


def harvest(workspace: Workspace) -> None:
    """Add the page's answers to the votes, and those on known images to ``known_votes``. Can be done at any time.

    Keep the workspace `locked` meanwhile. The verdicts are not worked out.

    Raises:
        CorruptFileError: the page's book is damaged.
    """
    if not (workspace.folder / FILE).exists():
        return
    book = Book(workspace.folder)
    try:
        known, known_votes = book.known(), book.votes(known=True)
        votes = book.votes(known=False)
    finally:
        book.close()
    _drop_taken_back(workspace, votes)
    add(workspace, [votes])
    for name, table in (("known", known), ("known_votes", known_votes)):
        if not table.equals(workspace.read(name)):
            workspace.write(name, table)


def is_pending(workspace: Workspace) -> bool:
    """Whether there are answers that the votes lack: given, changed or taken back since the last `harvest`."""
    if not (workspace.folder / FILE).exists():
        return False
    book = Book(workspace.folder, readonly=True)
    try:
        given, known = book.votes(known=False), book.votes(known=True)
    finally:
        book.close()
    votes = workspace.read("votes")
    taken = votes.filter(pc.equal(votes["backend"], BACKEND))
    said = [*KEY, "answer"]
    return not (
        given.select(said).equals(taken.select(said))
        and known.select(said).equals(workspace.read("known_votes").select(said))
    )


def _drop_taken_back(workspace: Workspace, votes: pa.Table) -> None:
    """Remove answers that came from the page before and were taken back there since."""
    earlier = workspace.fold("votes")
    from_page = earlier.filter(pc.equal(earlier["backend"], BACKEND)).select(KEY)
    gone = from_page.join(votes.select(KEY), KEY, join_type="left anti")
    if gone.num_rows:
        workspace.write(
            "votes", earlier.join(gone, KEY, join_type="left anti").sort_by([(name, "ascending") for name in KEY])
        )
