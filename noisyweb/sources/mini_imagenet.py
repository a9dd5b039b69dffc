"""Mini-ImageNet from the user's own copy, in any layout of `noisyweb.clean_copies.mini_imagenet`.

Options:
    path: the folder that holds it, with ``train.csv``, ``val.csv`` and ``test.csv`` of Ravi and Larochelle unless the
        images are named by id.
    per_class: which of a class's images, sorted by number: [start, stop], 600 being all. Left out: [0, 500] for
        ``[train]``, [500, 600] for ``[validation]``. (The official release has splits of its own.)

The classes are those of the copy, in the official release's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from noisyweb.clean_copies.mini_ids import class_names, parse_id
from noisyweb.clean_copies.mini_imagenet import open_mini_imagenet
from noisyweb.dataset import Section
from noisyweb.errors import DefinitionError, SourceError
from noisyweb.imageset import ImageSet

_PER_CLASS = {"train": [0, 500], "validation": [500, 600]}


def read(section: Section) -> ImageSet:
    """Read some images of each class; names are ids such as ``n0153282900000005.jpg``.

    Raises:
        DefinitionError: ``per_class`` is no range, or it is asked for as a pool.
        SourceError: there is no such copy, images are missing, or a class has none in the range.
    """
    section.only("path", "per_class")
    if section.role not in _PER_CLASS:
        raise DefinitionError(
            f"{section.where}: Mini-ImageNet has no {section.role}; use format 'workspace' or 'parquet'"
        )
    start, stop = _range(section)
    path = section.path("path")
    if not path.exists():
        raise SourceError(f"{section.where}: {path} does not exist; mend 'path'")
    copy = open_mini_imagenet(path)
    by_class: dict[str, list[str]] = {}
    for image_id in copy.ids():
        if (image := parse_id(image_id)) is not None:
            by_class.setdefault(image.wnid, []).append(image_id)
    wnids = [wnid for wnid in class_names() if wnid in by_class]
    chosen = [by_class[wnid][start:stop] for wnid in wnids]
    for wnid, some in zip(wnids, chosen, strict=True):
        if not some:
            raise SourceError(
                f"{section.where}: per_class = [{start}, {stop}], but class {wnid} has {len(by_class[wnid])} images"
            )
    ids = [image_id for some in chosen for image_id in some]
    if missing := copy.missing(ids, section.role):
        raise SourceError(
            f"{section.where}: {len(missing)} of {len(ids)} images are not among the {copy.layout} in {path}, the "
            f"first being {missing[0]}; put them there"
        )

    def load(indices: Sequence[int]) -> Iterator[bytes]:
        return copy.load([ids[index] for index in indices], section.role)

    return ImageSet(
        names=ids,
        labels=np.repeat(np.arange(len(wnids), dtype=np.int32), [len(some) for some in chosen]),
        class_names=[class_names()[wnid] for wnid in wnids],
        load=load,
        paths=ids,
        prefix="mini-imagenet",
        notes=tuple(copy.notes),
    )


def _range(section: Section) -> tuple[int, int]:
    value = section.get("per_class", list, _PER_CLASS[section.role])
    if len(value) != 2 or not all(type(n) is int for n in value) or not 0 <= value[0] < value[1]:
        raise DefinitionError(f"{section.where}: per_class = {value!r}; expected [start, stop] such as [0, 500]")
    return value[0], value[1]
