"""One vote a row, the toolkit's own layout; a workspace's ``votes.parquet`` is of it too.

Columns: ``image_id`` or ``url``; ``class`` (or ``class_name`` or ``label``: a name, or an index into the vocabulary);
``annotator``; ``answer``: yes, no or unsure, or one of their synonyms (y, n, 1, 0, true, false, ?, ...). May be there:
``seconds`` (0 or more), ``answered_at`` (ISO 8601 or a Parquet timestamp, UTC where it names no offset), ``weak`` or
``is_weak`` (true or false: a machine's guess), ``backend`` (where the vote came from; left out: file).
"""

from __future__ import annotations

from collections.abc import Mapping

from noisyweb.vote_formats._book import Book, Image, Voter
from noisyweb.vote_formats._file import VoteFile
from noisyweb.vote_formats._row import CLASS_COLUMNS, UNFIT, shown

SUMMARY = "image_id or url, class, annotator, answer"
OPTIONS: tuple[str, ...] = ()

_NEEDED = ("image_id", "url", *CLASS_COLUMNS, "annotator", "answer")
_OPTIONAL = ("seconds", "answered_at", "weak", "is_weak", "backend")
_LONGEST_BACKEND = 40


def fits(file: VoteFile) -> bool:
    """A column of answers, or of who gave them."""
    return "answer" in file.columns or "annotator" in file.columns


def read(file: VoteFile, book: Book, options: Mapping[str, str]) -> None:
    """Take down all rows; see the package."""
    has = frozenset(file.columns) if file.kind != "json" else frozenset(_OPTIONAL)  # JSON's rows may differ
    is_timed, is_flagged = not has.isdisjoint(("seconds", "answered_at")), not has.isdisjoint(("weak", "is_weak"))
    for row in file.rows((*_NEEDED, *_OPTIONAL)):
        given = row.class_given(*CLASS_COLUMNS)
        image = Image(row.text("image_id"), row.text("url"))
        annotator, answer = row.text("annotator"), row.text("answer")
        named = image.image_id or image.url
        if named is None or given is None or annotator is None or answer is None:
            parts = {"image_id or url": named, "class": given, "annotator": annotator, "answer": answer}
            missing = next(name for name, value in parts.items() if value is None)
            row.refuse(f"has no {missing}; expected the columns {', '.join(parts)}")
        voter = Voter(
            annotator,
            seconds=row.seconds("seconds") if is_timed else None,
            answered_at=row.instant("answered_at") if is_timed else None,
            is_weak=row.flag("weak", "is_weak") if is_flagged else None,
            backend=(row.text("backend") if "backend" in has else None) or "file",
        )
        if len(voter.backend) > _LONGEST_BACKEND or UNFIT.search(voter.backend):
            row.refuse(f"has backend = {shown(voter.backend)}; expected a short name without control characters")
        book.answered(row, image, given, answer, voter)
