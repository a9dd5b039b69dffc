"""Votes looked up among the questions of a workspace: what fits becomes a vote, what does not is counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from noisyweb.schemas import VOTES
from noisyweb.vote_formats._row import UNFIT, ClassGiven, Row, shown

SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("yes", "y", "1", "true", "t"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false", "f"), "no"),
    **dict.fromkeys(("unsure", "u", "?", "maybe", "unknown"), "unsure"),
}
"""Answers, in lower case, and what they mean."""

NO_CLASS = -1
"""The index that says: none of the classes."""

MAX_NAME = 200
"""Characters of an annotator's name."""

_ROWS_AT_ONCE = 65_536

_ID_IN_URL = re.compile(r"/([0-9a-f]{64})(?:\.\w{1,8})?(?:[?#][^/]*)?\Z")

_FAULTS: Mapping[str, tuple[str, str]] = {
    "class": ("class", "is none of the workspace's classes that have images"),
    "answer": ("answer", f"is no answer; expected one of {', '.join(SYNONYMS)}"),
    "word": ("label", "is neither one of the workspace's classes nor an answer such as yes, no and unsure"),
    "image": ("image", "is not among the workspace's unique images"),
    "pair": ("pair of image and class", "is not a question of this workspace: the image was found for another class"),
    "several": ("image", "was found for several classes: an answer alone does not say which of them is meant"),
}
"""What can be wrong with a row that is well-formed: of which thing, and what."""


class Image(NamedTuple):
    """An image as a file names it; the id counts where both are given."""

    image_id: str | None
    url: str | None


class Voter(NamedTuple):
    """Who votes, and how; see `noisyweb.schemas.VOTES`."""

    annotator: str
    seconds: float | None = None
    answered_at: datetime | None = None
    is_weak: bool | None = None
    backend: str = "file"


@dataclass
class Misfits:
    """Rows that fit no question for one reason.

    Attributes:
        thing: what does not fit: class, answer, image, ...
        reason: why not.
        first: the first such value, cut where it is long.
        first_row: the row that has it.
        last_row: the last such row.
        num_rows: how many rows are like that.
    """

    thing: str
    reason: str
    first: str
    first_row: int
    last_row: int = 0
    num_rows: int = 0


class Book:
    """Takes down what a file says and turns it into votes.

    Args:
        questions: image_id, label, class_name and url of every question.
        class_names: the whole vocabulary; left out: the classes of the questions.

    Attributes:
        num_rows: rows seen so far.
        misfits: rows that fit no question, in the order in which the reasons came up.
        silent: rows that say nothing, by reason.
    """

    def __init__(self, questions: pa.Table, class_names: Sequence[str] | None = None) -> None:
        columns = questions.select(["image_id", "label", "class_name", "url"]).to_pydict()
        names = dict(zip(columns["class_name"], columns["label"], strict=True))
        if class_names is not None:
            names = {name: label for label, name in enumerate(class_names)}
        # as text, a name counts before an index; a whole number is always an index
        self._names: dict[str, int] = names
        indices = set(names.values())
        self._labels: dict[ClassGiven, int] = {**{str(n): n for n in indices}, **names, **{n: n for n in indices}}
        self._asked: dict[str, list[int]] = {}
        ids: dict[str, set[str]] = defaultdict(set)
        for image_id, label, url in zip(columns["image_id"], columns["label"], columns["url"], strict=True):
            self._asked.setdefault(image_id, []).append(label)
            ids[url].add(image_id)
        self._ids = {url: sorted(found) for url, found in ids.items()}
        self._annotators: set[str] = set()
        self._tables: list[pa.Table] = []
        self._rows: list[tuple[Any, ...]] = []  # in the order of the columns of VOTES
        self.num_rows = 0
        self.misfits: dict[str, Misfits] = {}
        self.silent: dict[str, int] = defaultdict(int)

    def answered(self, row: Row, image: Image, given: ClassGiven, answer: str, voter: Voter) -> None:
        """The voter answers whether an image is of a class."""
        self.num_rows = row.number
        label, said = self._label(given), SYNONYMS.get(answer.lower())
        if label is None:
            return self._misfit(row, "class", str(given))
        if said is None:
            return self._misfit(row, "answer", answer)
        ids = self._find(row, image)
        asked = [each for each in ids if label in self._asked[each]]
        if ids and not asked:
            return self._misfit(row, "pair", f"{image.image_id or image.url} / {given}")
        for each in asked:
            self._vote(row, each, label, said, voter)

    def chose(self, row: Row, image: Image, given: ClassGiven, voter: Voter) -> None:
        """The voter chose a class for an image out of all; `NO_CLASS`: none of them fits.

        It answers every question about the image: yes for that class, no for the others.
        """
        self.num_rows = row.number
        none = str(given).removesuffix(".0") == str(NO_CLASS) and given not in self._names
        label = NO_CLASS if none else self._label(given)
        if label is None:
            return self._misfit(row, "class", str(given))
        self._choose(row, self._find(row, image), (label,), voter)

    def said(self, row: Row, image: Image, words: Collection[str], voter: Voter) -> None:
        """The voter said words about an image: names of classes that it shows, or one answer to its only question."""
        self.num_rows = row.number
        labels = {self._names.get(word) for word in words}
        if None not in labels:
            return self._choose(row, self._find(row, image), [label for label in labels if label is not None], voter)
        answers = {SYNONYMS.get(word.lower()) for word in words}
        [answer] = answers if len(answers) == 1 else [None]
        if answer is None:
            unknown = [word for word in words if word not in self._names and word.lower() not in SYNONYMS]
            return self._misfit(row, "word", unknown[0] if unknown else " + ".join(words))
        ids = self._find(row, image)
        if any(len(self._asked[each]) > 1 for each in ids):
            return self._misfit(row, "several", str(image.image_id or image.url))
        for each in ids:
            self._vote(row, each, self._asked[each][0], answer, voter)

    def says_nothing(self, row: Row, reason: str) -> None:
        """A row, or a part of it, is no vote, and rightly so."""
        self.num_rows = row.number
        self.silent[reason] += 1

    def votes(self) -> pa.Table:
        """All votes so far, in the order in which they came; of `noisyweb.schemas.VOTES`."""
        self._flush()
        return pa.concat_tables(self._tables) if self._tables else VOTES.empty_table()

    def _label(self, given: ClassGiven) -> int | None:
        label = self._labels.get(given)
        if label is None and isinstance(given, str) and given.endswith(".0"):  # pandas, of a column with gaps
            label = self._labels.get(given.removesuffix(".0"))
        return label

    def _find(self, row: Row, image: Image) -> Sequence[str]:
        """The unique images meant; none is a misfit."""
        if image.image_id is not None:
            if image.image_id in self._asked:
                return (image.image_id,)
        elif image.url is not None:
            if found := self._ids.get(image.url):
                return found
            named = _ID_IN_URL.search(image.url)  # images put elsewhere under their id
            if named and named[1] in self._asked:
                return (named[1],)
        self._misfit(row, "image", str(image.image_id or image.url))
        return ()

    def _choose(self, row: Row, ids: Sequence[str], chosen: Collection[int], voter: Voter) -> None:
        for each in ids:
            for label in self._asked[each]:
                self._vote(row, each, label, "yes" if label in chosen else "no", voter)

    def _vote(self, row: Row, image_id: str, label: int, answer: str, voter: Voter) -> None:
        if voter.annotator not in self._annotators:
            self._check_annotator(row, voter.annotator)
        annotator, seconds, answered_at, is_weak, backend = voter
        self._rows.append((image_id, label, annotator, answer, backend, is_weak, seconds, answered_at))
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _check_annotator(self, row: Row, name: str) -> None:
        if len(name) > MAX_NAME:
            row.refuse(f"has an annotator's name of {len(name):,} characters; expected at most {MAX_NAME}")
        if UNFIT.search(name):
            row.refuse(f"has control characters in the annotator's name {shown(name)}; expected plain text")
        self._annotators.add(name)

    def _flush(self) -> None:
        if self._rows:
            columns = zip(VOTES, zip(*self._rows, strict=True), strict=True)
            arrays = [pa.array(values, field.type) for field, values in columns]
            self._tables.append(pa.Table.from_arrays(arrays, schema=VOTES))
            self._rows = []

    def _misfit(self, row: Row, fault: str, value: str) -> None:
        found = self.misfits.get(fault)
        if found is None:
            found = self.misfits[fault] = Misfits(*_FAULTS[fault], shown(value), row.number)
        if found.last_row != row.number:  # several in one row count once
            found.last_row = row.number
            found.num_rows += 1
