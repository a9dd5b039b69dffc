"""What only pixels tell of manifests: images that cannot be read, and validation images in training sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from noisyweb.audit.rows import Finding, some
from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup import DEFAULT_RADIUS
from noisyweb.described import Described
from noisyweb.encoded import EncodedImages
from noisyweb.hashes import describe_now
from noisyweb.image_ids import find, ids_of
from noisyweb.leaks import Found, find_leaks
from noisyweb.manifest import Manifest, image_id
from noisyweb.progress import Progress
from noisyweb.stages import ByViews, Stage
from noisyweb.workers import Job, describe_all

_CACHE_BYTES = 256 << 20
_AT_ONCE = 512
"""Training images that are compared before the bar moves."""


def look_at_pixels(train: Sequence[Manifest], validation: Manifest | None, progress: Progress) -> list[Finding]:
    """Images that cannot be read, and training images that look like validation images.

    Manifests share most of their images: each image is described and compared once, whatever sets it is in.

    Args:
        train: training sets.
        validation: the clean validation set; None: only images that cannot be read are looked for.
        progress: told how far it is.
    """
    manifests = [*train, validation] if validation else list(train)
    images = _Images(manifests)
    # Drawn images are made of the same few shapes: only hashes tell copies from others, as in `noisyweb.build_leaks`.
    stages = [ByViews(DEFAULT_RADIUS)] if any(one.info["edition"] != "drawn" for one in manifests) else []
    with pillow_in_bounds():
        described = describe_now(
            images.different(),
            images.load,
            with_views=validation is not None and bool(stages),
            what="hash",
            num_images=images.most_different,
            progress=progress,
        )
        broken = images.broken(described)
        found = [_unreadable(one, bad) for one, bad in zip(manifests, images.unreadable(broken), strict=True) if bad]
        if validation:
            clean = images.ids[-1]
            ours = list(dict.fromkeys(own for ids in images.ids[:-1] for own in ids.values()))
            leaks = _leaks(_part(described, ours), _part(described, list(clean.values())), stages, progress)
            names = {own: image for image, own in reversed(clean.items())}
            for manifest, ids in zip(train, images.ids[:-1], strict=True):
                pairs = [(image, leaks[own]) for image, own in ids.items() if own in leaks]
                if pairs:
                    found.append(_leak(manifest, pairs, names))
    return found


class _Images:
    """The images of several manifests, each known by its bytes: ids of somebody else's making may not be true.

    Attributes:
        ids: for each manifest, the ids that its rows give and those of the bytes, in the order of the rows.
        gone: for each manifest, ids whose bytes should be there and are not.
        most_different: how many images there are if ids are true.
    """

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        files = tuple(file for manifest in manifests for file in manifest.files)
        self._encoded = EncodedImages(files, _CACHE_BYTES, None, 0)
        self._told: list[list[str]] = [manifest.rows.column("image_id").to_pylist() for manifest in manifests]
        self._rows: dict[str, int] = {}
        self.ids: list[dict[str, str]] = [{} for _ in manifests]
        self.gone: list[list[str]] = [[] for _ in manifests]
        self.most_different = len({image for told in self._told for image in told})

    def different(self) -> Iterator[tuple[str, bytes]]:
        """Each image once: its id and its bytes. Fills ``ids`` and ``gone``."""
        row = 0
        for told, ids, gone in zip(self._told, self.ids, self.gone, strict=True):
            for image in told:
                data = self._encoded.get(row)
                if data is not None:
                    own = image_id(bytes(data))
                    ids.setdefault(image, own)
                    if own not in self._rows:
                        self._rows[own] = row
                        yield own, bytes(data)
                elif ":" not in image:  # with a colon it is the name of an image that is not handed on
                    gone.append(image)
                row += 1

    def load(self, asked: Sequence[str]) -> Iterator[bytes | None]:
        """Images by the ids of their bytes, read in the order of the rows."""
        found = {
            own: bytes(self._encoded.get(self._rows[own]) or b"") for own in sorted(asked, key=self._rows.__getitem__)
        }
        return (found[own] for own in asked)

    def broken(self, described: Described) -> set[str]:
        """Those that cannot be decoded: of the few that were not described, which may also be flat."""
        left = sorted(set(self._rows) - set(described.texts), key=self._rows.__getitem__)
        found = describe_all(self.load(left), Job(None, with_views=False))
        return {own for own, one in zip(left, found, strict=True) if not one.is_readable}

    def unreadable(self, broken: set[str]) -> Iterator[list[str]]:
        """For each manifest the ids, as its rows give them, of images that nobody can look at."""
        for ids, gone in zip(self.ids, self.gone, strict=True):
            yield list(dict.fromkeys([*(image for image, own in ids.items() if own in broken), *gone]))


def _part(described: Described, ids: Sequence[str]) -> Described:
    rows = find(described.looks.ids, ids_of(ids))
    return described.looks.described(rows[rows >= 0])


def _leaks(ours: Described, clean: Described, stages: Sequence[Stage], progress: Progress) -> dict[str, Found]:
    """Training images that are copies of validation images; some at a time, since no pair hangs on another."""
    found: dict[str, Found] = {}
    for start in range(0, len(ours) if len(clean) else 0, _AT_ONCE):
        progress("compare", start, len(ours))
        places = list(range(start, min(start + _AT_ONCE, len(ours))))
        found |= find_leaks(ours.part(places), clean, DEFAULT_RADIUS, stages, progress)
        progress("compare", start + len(places), len(ours))
    return found


def _unreadable(manifest: Manifest, ids: Sequence[str]) -> Finding:
    message = f"{len(ids):,} images cannot be read; take them out or build it again, or training will stop at them"
    return Finding("image", "fault", manifest.folder.name, message, len(ids), some(ids))


def _leak(manifest: Manifest, pairs: Sequence[tuple[str, Found]], names: Mapping[str, str]) -> Finding:
    message = f"{len(pairs):,} images look like validation images; take them out, or accuracies will flatter"
    examples = [f"{image[:16]}… is {names[leak.image_id][:16]}… ({leak.match.kind})" for image, leak in pairs]
    return Finding("leak", "fault", manifest.folder.name, message, len(pairs), some(examples))
