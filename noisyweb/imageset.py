"""Labelled images of one split, whatever they come from: the common tongue of all sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.certainty import WrongDraws
from noisyweb.dedup_record import DedupRecord
from noisyweb.draws import Keys, row_keys

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ImageSet:
    """N labelled images; labels are at hand, pixels are read when asked for.

    Attributes:
        names: N names that stay the same when rows are added or reordered (a path, a URL or an image id);
            random draws hang on them.
        labels: shape (N,), indices into ``class_names``.
        class_names: the vocabulary.
        load: gives the encoded bytes of the rows asked for, in that order; None for a row without bytes.
        paths: N paths as the source gives them, for the manifest's ``image.path``.
        prefix: put before a name to form the image id of a row that has no bytes.
        provenance: columns of `noisyweb.schemas.PROVENANCE_COLUMNS`, N rows; None if nothing is known.
        true_labels: shape (N,), -1 where unknown or outside the vocabulary; None: same as ``labels``.
        votes_yes, votes_total: shape (N,); None if nobody voted.
        human_labels: shape (N, A), the labels that A annotators gave each image, -1 for none given.
        notes: what a user should know about them.
        wrong_draws: of a pool that was voted on: draws which images are wrong after all the votes, which takes a while;
            None, or giving None: the votes do not say.
        compared: of a crawled pool: what its images were compared with; None of other sets, of which nobody knows.
    """

    names: Sequence[str]
    labels: Labels
    class_names: Sequence[str]
    load: Callable[[Sequence[int]], Iterator[bytes | None]]
    paths: Sequence[str]
    prefix: str
    provenance: pa.Table | None = None
    true_labels: Labels | None = None
    votes_yes: Labels | None = None
    votes_total: Labels | None = None
    human_labels: Labels | None = None
    notes: tuple[str, ...] = field(default=())
    compared: DedupRecord | None = None
    wrong_draws: Callable[[], WrongDraws | None] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def keys(self) -> Keys:
        """The keys that random draws hang on, shape (N,)."""
        return row_keys(self.names)

    def class_sizes(self) -> npt.NDArray[np.int64]:
        """Images per class, shape (K,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)
