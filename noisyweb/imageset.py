"""Labelled images of one split, whatever they come from: the common tongue of all sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.certainty import WrongDraws
from noisyweb.dedup_record import DedupRecord
from noisyweb.draws import Keys, row_keys
from noisyweb.schemas import PROVENANCE_COLUMNS

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
        prefix: put before a name to form the image id of a row that has no bytes; empty where names are such ids.
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

    def id_without_bytes(self, row: int) -> str:
        """The image id of a row that has no bytes."""
        return f"{self.prefix}:{self.names[row]}" if self.prefix else self.names[row]

    def class_sizes(self) -> npt.NDArray[np.int64]:
        """Images per class, shape (K,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def take(self, rows: npt.NDArray[np.int64]) -> ImageSet:
        """Some of the images, in the order given."""

        def some(values: Labels | None) -> Labels | None:
            return None if values is None else values[rows]

        wanted = rows.tolist()
        return replace(
            self,
            names=[self.names[row] for row in wanted],
            labels=self.labels[rows],
            load=lambda indices: self.load([wanted[index] for index in indices]),
            paths=[self.paths[row] for row in wanted],
            provenance=None if self.provenance is None else self.provenance.take(pa.array(rows)),
            true_labels=some(self.true_labels),
            votes_yes=some(self.votes_yes),
            votes_total=some(self.votes_total),
            human_labels=some(self.human_labels),
            wrong_draws=None,
        )


def joined(first: ImageSet | None, second: ImageSet | None) -> ImageSet | None:
    """One image set after another, for looking images up; what only makes sense for one of them is left out."""
    if first is None or second is None:
        return first if second is None else second
    boundary = len(first)

    def load(indices: Sequence[int]) -> Iterator[bytes | None]:
        ours = first.load([index for index in indices if index < boundary])
        others = second.load([index - boundary for index in indices if index >= boundary])
        return (next(ours if index < boundary else others) for index in indices)

    def both(get: Callable[[ImageSet], Labels | None]) -> Labels:
        parts = [np.full(len(each), -1, np.int32) if (v := get(each)) is None else v for each in (first, second)]
        return np.concatenate(parts)

    tables = [each.provenance if each.provenance is not None else _unknown(len(each)) for each in (first, second)]
    return ImageSet(
        names=[each.id_without_bytes(row) for each in (first, second) for row in range(len(each))],
        labels=np.concatenate([first.labels, second.labels]),
        class_names=first.class_names,
        load=load,
        paths=[*first.paths, *second.paths],
        prefix="",
        provenance=pa.concat_tables([table.select(PROVENANCE_COLUMNS) for table in tables]),
        true_labels=both(lambda images: images.true_labels),
        votes_yes=both(lambda images: images.votes_yes),
        votes_total=both(lambda images: images.votes_total),
        notes=(*first.notes, *second.notes),
    )


def _unknown(num_rows: int) -> pa.Table:
    return pa.table({name: pa.nulls(num_rows, pa.string()) for name in PROVENANCE_COLUMNS})
