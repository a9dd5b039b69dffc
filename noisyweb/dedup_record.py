"""What the last dedup of a workspace was asked for and looked at, so that a build can tell whether to trust its pool.

It is <workspace>/dedup.json: the options, and which web images and which clean images were compared, as digests.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from noisyweb.errors import CorruptFileError
from noisyweb.places import write_whole
from noisyweb.remote_path import Place

NAME = "dedup.json"


@dataclass(frozen=True)
class DedupRecord:
    """What a dedup did; by default nothing.

    Attributes:
        method: hash.
        radius: bits of 256.
        views: whether cropped, mirrored and rotated copies were looked for.
        keep: policy.
        dataset: the data set whose clean images were compared last, as the user named it; "" for none.
        images: digest of the web images that were compared (`noisyweb.image_ids.digest_of`).
        against: the same for the clean sets, by split.
    """

    method: str = ""
    radius: int = 0
    views: bool = False
    keep: str = ""
    dataset: str = ""
    images: str = ""
    against: dict[str, str] = field(default_factory=dict)


def write_record(folder: Place, record: DedupRecord) -> None:
    """Write it into a workspace's folder."""
    write_whole(folder / NAME, (json.dumps(asdict(record), indent=1, sort_keys=True) + "\n").encode())


def read_record(folder: Place) -> DedupRecord | None:
    """What the last dedup of a workspace did; None: there was none.

    Raises:
        CorruptFileError: the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = DedupRecord(**content)
        if not all(isinstance(value, str) for value in (record.images, record.dataset, *record.against.values())):
            raise TypeError("a digest is not text")
        if not isinstance(record.radius, int) or not isinstance(record.views, bool):
            raise TypeError("the radius is no number")
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptFileError(f"{path}: damaged ({error}); run `noisyweb dedup` again") from error
    return record
