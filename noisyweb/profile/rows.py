"""The rows of a manifest as a profile needs them, and which of them are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.draws import bits, row_keys
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.manifest import Manifest
from noisyweb.remote_path import open_parquet
from noisyweb.schemas import MANIFEST

UNKNOWN = -1

_COLUMNS = ("image_id", "label", "is_clean", "true_label", "noise", "source", "url", "votes_total")

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ProfileRows:
    """The N rows of a manifest that have a verdict.

    Attributes:
        class_names: K of them.
        row: the row's number in the manifest, (N,).
        label: what the trainer sees, (N,).
        wrong: whether that is wrong, (N,).
        true: the right class; `UNKNOWN` where it lies outside the vocabulary or nobody knows, (N,).
        is_own: whether the image is of the clean set and not one that stands in for such, (N,).
        noise, ids, urls: as the manifest has them, N each.
        num_voted: rows that have votes.
        num_unknown: rows of the manifest without a verdict, which are left out.
    """

    class_names: list[str]
    row: Labels
    label: Labels
    wrong: npt.NDArray[np.bool_]
    true: Labels
    is_own: npt.NDArray[np.bool_]
    noise: list[str]
    ids: list[str]
    urls: list[str | None]
    num_voted: int
    num_unknown: int

    def __len__(self) -> int:
        return len(self.row)


def read_rows(manifest: Manifest) -> ProfileRows:
    """Read all columns but the images. Unlike `Manifest.rows`, rows without a verdict are no error here.

    Raises:
        SourceError: the columns are not those of a manifest.
        CorruptFileError: a file is damaged, or a label is no class.
    """
    names, tables = manifest.class_names, []
    for file in manifest.files:
        try:
            opened = open_parquet(file, True)
            types = dict(zip(opened.schema_arrow.names, opened.schema_arrow.types, strict=True))
            for name in _COLUMNS:
                expected = MANIFEST.field(name).type
                if types.get(name) != expected:
                    found = types.get(name, "missing")
                    raise SourceError(f"{file}: not a noisyweb manifest: {name} is {found}, expected {expected}")
            tables.append(opened.read(columns=list(_COLUMNS)))
        except (pa.ArrowException, OSError) as error:
            said = str(error).splitlines()[0]
            raise CorruptFileError(f"{file}: damaged or not Parquet ({said}); build it again") from error
    table = pa.concat_tables([each.replace_schema_metadata() for each in tables]).combine_chunks()
    for name, least in (("label", 0), ("true_label", UNKNOWN)):
        values = _numbers(table, name)
        broken = (values < least) | (values >= len(names))
        if broken.any():
            raise CorruptFileError(
                f"{manifest.folder}: row {int(broken.argmax())}: {name} outside 0..{len(names) - 1} "
                f"({int(broken.sum()):,} such rows); build it again"
            )
    known = table.column("is_clean").is_valid().to_numpy()
    row = np.flatnonzero(known)
    table = table.filter(pa.array(known))
    wrong = ~np.asarray(table.column("is_clean").to_numpy(), bool)
    label = _numbers(table, "label")
    return ProfileRows(
        class_names=names,
        row=row,
        label=label,
        wrong=wrong,
        true=np.where(wrong, _numbers(table, "true_label"), label),
        is_own=np.array([source == "clean" for source in table.column("source").to_pylist()], bool),
        noise=[noise or "" for noise in table.column("noise").to_pylist()],
        ids=[image or "" for image in table.column("image_id").to_pylist()],
        urls=table.column("url").to_pylist(),
        num_voted=int((_numbers(table, "votes_total") > 0).sum()),
        num_unknown=int((~known).sum()),
    )


def _numbers(table: pa.Table, name: str) -> Labels:
    return np.asarray(table.column(name).fill_null(UNKNOWN).to_numpy(), np.int64)


def choose(rows: ProfileRows, sample: int, seed: int) -> Labels:
    """Which rows to look at: half of them wrong where there are enough, each class with its share.

    Args:
        rows: all rows.
        sample: how many at the most.
        seed: same seed, same rows.

    Returns:
        Places in ``rows``, ascending.
    """
    if len(rows) <= sample:
        return np.arange(len(rows))
    draw = bits(row_keys(rows.ids), seed, "profile")
    num_wrong = int(rows.wrong.sum())
    take_wrong = max(min(sample // 2, num_wrong), sample - (len(rows) - num_wrong))
    parts = []
    for wrong, count in ((True, take_wrong), (False, sample - take_wrong)):
        places = np.flatnonzero(rows.wrong == wrong)
        order = places[np.lexsort((draw[places], rows.label[places]))]
        labels = rows.label[order]
        _, start, size = np.unique(labels, return_index=True, return_counts=True)
        within = (np.arange(len(order)) - np.repeat(start, size) + 0.5) / np.repeat(size, size)
        parts.append(order[np.argsort(within, kind="stable")[:count]])
    return np.sort(np.concatenate(parts))
