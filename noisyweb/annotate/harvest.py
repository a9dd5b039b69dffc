"""What the annotation page has collected, into the workspace's tables."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.annotate.book import BACKEND, FILE, Book
from noisyweb.votes import add
from noisyweb.workspace import Workspace

KEY = ["label", "image_id", "annotator"]


def harvest(workspace: Workspace) -> bool:
    """Add the page's answers to the votes, and those on known images to ``known_votes``. Can be done at any time.

    Keep the workspace `locked` meanwhile. The verdicts are not worked out.

    Returns:
        Whether any vote is new, another or gone.

    Raises:
        CorruptFileError: the page's book is damaged.
    """
    if not (workspace.folder / FILE).exists():
        return False
    book = Book(workspace.folder)
    try:
        known, known_votes = book.known(), book.votes(known=True)
        votes = book.votes(known=False)
    finally:
        book.close()
    has_fewer = _drop_taken_back(workspace, votes)
    report = add(workspace, [votes])
    for name, table in (("known", known), ("known_votes", known_votes)):
        if not table.equals(workspace.read(name)):
            workspace.write(name, table)
    return bool(has_fewer or report.new or report.changed)


def num_pending(workspace: Workspace) -> int:
    """Answers of the page that the workspace's votes lack: given, changed or taken back since the last `harvest`."""
    if not (workspace.folder / FILE).exists():
        return 0
    book = Book(workspace.folder, readonly=True)
    try:
        given = book.votes(known=False).select([*KEY, "answer"])
    finally:
        book.close()
    votes = workspace.read("votes")
    known = votes.filter(pc.equal(votes["backend"], BACKEND)).select([*KEY, "answer"])
    missing = given.join(known, [*KEY, "answer"], join_type="left anti")
    gone = known.select(KEY).join(given.select(KEY), KEY, join_type="left anti")
    return int(missing.num_rows + gone.num_rows)


def _drop_taken_back(workspace: Workspace, votes: pa.Table) -> bool:
    """Remove answers that came from the page before and were taken back there since."""
    earlier = workspace.fold("votes")
    from_page = earlier.filter(pc.equal(earlier["backend"], BACKEND)).select(KEY)
    gone = from_page.join(votes.select(KEY), KEY, join_type="left anti")
    if gone.num_rows:
        workspace.write(
            "votes", earlier.join(gone, KEY, join_type="left anti").sort_by([(name, "ascending") for name in KEY])
        )
    return bool(gone.num_rows)
