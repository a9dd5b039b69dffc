"""Ballots: decisive votes as numbers, which is how statistical models of annotators read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.question_index import Places, QuestionIndex, codes


@dataclass(frozen=True)
class Ballots:
    """V decisive votes of A annotators on the Q questions of a table of votes.

    Unsure votes and a machine's guesses (``is_weak``) are left out, so that a question may have no ballot at all.

    Attributes:
        index: the questions, sorted by (label, image_id).
        annotators: names of those who cast a ballot, sorted; A of them.
        question, annotator: who was asked what, indices into the two above, sorted by both; shape (V,).
        says_yes: the answers, shape (V,).
    """

    index: QuestionIndex
    annotators: tuple[str, ...]
    question: Places
    annotator: Places
    says_yes: npt.NDArray[np.bool_]

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """The questions' classes, shape (Q,)."""
        return self.index.labels

    @classmethod
    def of(cls, votes: pa.Table) -> Ballots:
        """Read a table of `noisyweb.schemas.VOTES`, its rows in any order."""
        index = QuestionIndex.of(votes)
        weak = votes["is_weak"].fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
        yes = pc.equal(votes["answer"], "yes").to_numpy(zero_copy_only=False).astype(bool)
        no = pc.equal(votes["answer"], "no").to_numpy(zero_copy_only=False).astype(bool)
        counts = (yes | no) & ~weak
        names, person = codes(pc.filter(votes["annotator"], pa.array(counts)))
        question, yes = index.row[counts], yes[counts]
        order = np.lexsort((yes, person, question))
        return cls(index, tuple(names.to_pylist()), question[order], person[order], yes[order])

    def is_voted(self) -> npt.NDArray[np.bool_]:
        """Which questions have a ballot, shape (Q,)."""
        return np.bincount(self.question, minlength=len(self.index)) > 0
