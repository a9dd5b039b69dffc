"""Ballots: decisive votes as numbers, which is how statistical models of annotators read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.draws import Keys, row_keys

Places = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Ballots:
    """V decisive votes of A annotators on the Q questions of a table of votes.

    Unsure votes and a machine's guesses (``is_weak``) are left out, so that a question may have no ballot at all.

    Attributes:
        image_ids, labels: the questions, sorted by (label, image_id); shape (Q,).
        annotators: names of those who cast a ballot, sorted; A of them.
        question, annotator: who was asked what, indices into the two above, sorted by both; shape (V,).
        says_yes: the answers, shape (V,).
    """

    image_ids: pa.Array
    labels: Labels
    annotators: tuple[str, ...]
    question: Places
    annotator: Places
    says_yes: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, votes: pa.Table) -> Ballots:
        """Read a table of `noisyweb.schemas.VOTES`, its rows in any order."""
        images, image_code = _codes(votes["image_id"])
        labels = votes["label"].to_numpy().astype(np.int64)
        # one number a question, in the order (label, image_id)
        keys, question = np.unique(labels * max(len(images), 1) + image_code, return_inverse=True)
        weak = votes["is_weak"].fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
        yes = pc.equal(votes["answer"], "yes").to_numpy(zero_copy_only=False).astype(bool)
        no = pc.equal(votes["answer"], "no").to_numpy(zero_copy_only=False).astype(bool)
        counts = (yes | no) & ~weak
        names, person = _codes(pc.filter(votes["annotator"], pa.array(counts)))
        question, yes = question.reshape(-1)[counts], yes[counts]
        order = np.lexsort((yes, person, question))
        return cls(
            images.take(pa.array(keys % max(len(images), 1))),
            (keys // max(len(images), 1)).astype(np.int32),
            tuple(names.to_pylist()),
            question[order],
            person[order],
            yes[order],
        )

    def keys(self) -> Keys:
        """Keys of the questions for random draws, shape (Q,)."""
        pairs = zip(self.image_ids.to_pylist(), self.labels.tolist(), strict=True)
        return row_keys(f"{image_id}\x1f{label}" for image_id, label in pairs)

    def is_voted(self) -> npt.NDArray[np.bool_]:
        """Which questions have a ballot, shape (Q,)."""
        return np.bincount(self.question, minlength=len(self.labels)) > 0

    def places(self, asked: pa.Table) -> Places:
        """Where some questions are among these, -1 for those that are not; shape (N,).

        Args:
            asked: the columns image_id and label of N questions, in any order.
        """
        images = pc.unique(self.image_ids).sort()
        code = pc.index_in(asked["image_id"].combine_chunks().cast(pa.string()), images).fill_null(-1).to_numpy()
        own = pc.index_in(self.image_ids, images).to_numpy().astype(np.int64)
        known = self.labels.astype(np.int64) * max(len(images), 1) + own
        wanted = asked["label"].to_numpy().astype(np.int64) * max(len(images), 1) + code
        place = np.searchsorted(known, wanted)
        found = (code >= 0) & (place < len(known))
        found[found] = known[place[found]] == wanted[found]
        return np.where(found, place, -1).astype(np.int64)


def _codes(texts: pa.ChunkedArray) -> tuple[pa.Array, Places]:
    """The distinct texts, sorted, and the place of each text among them."""
    coded = pc.dictionary_encode(texts.cast(pa.string()).combine_chunks())
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return coded.dictionary.take(pa.array(order)), rank[coded.indices.to_numpy().astype(np.int64)]
