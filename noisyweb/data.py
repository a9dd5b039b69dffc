"""Manifests as torch data sets.

The one module of the library that imports torch where torch is installed; without it `NoisyImages` still works
as a plain sequence.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from noisyweb.disk_cache import DISK_BYTES
from noisyweb.encoded import EncodedImages
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import IMAGE_FORMATS, open_manifest
from noisyweb.remote_path import Place, place_of

if TYPE_CHECKING:
    from torch.utils.data import Dataset
else:
    try:
        from torch.utils.data import Dataset
    except ModuleNotFoundError:

        class Dataset:
            """Stands in for torch's class where torch is not installed."""

            def __class_getitem__(cls, item: Any) -> type:
                return cls


MAX_PIXELS = 178_956_970


class NoisyImages(Dataset[tuple[Any, int]]):
    """The images of a manifest with the labels that the trainer sees.

    Item ``i`` is ``(image, label)``: an RGB `PIL.Image.Image`, or what ``transform`` makes of it, and an int in
    [0, K). What is known about the row lies beside it, in arrays of N rows:

    Attributes:
        class_names: the K classes.
        labels: what the trainer sees, int32, shape (N,).
        is_clean: is that label right, bool, shape (N,).
        true_labels: the right class, int32, shape (N,); -1 where it is outside the vocabulary or not known.
        noise: kind of noise of each row ("none", "web", ...), N strings.
        ids: image ids, N strings. Item ``i`` is row ``i`` of all of these and of the Parquet files.
        info: dataset, edition, kind, level (float), seed, split.

    Args:
        folder: a manifest folder, such as ``builds/cars/red_noise_nl_0.4``, or its fsspec URL (``s3://...``), of which
            only the row groups asked for are fetched.
        transform: applied to each PIL image.
        root: folder that image paths start from, for rows that carry a path only.
        cache_bytes: encoded images kept in memory; the row groups read last are kept, the others read again.
        cache_dir: where what is read of a manifest at a URL is kept on disk, so that it is fetched once; processes
            may share it. None: ``$NOISYWEB_CACHE`` or ``~/.cache/noisyweb/ranges``. Of no use to a manifest on disk.
        cache_disk_bytes: kept there at most, and never more than half of the free disk; 0: nothing.

    Raises:
        OutputError: ``cache_dir`` cannot be written to.
        SourceError: the folder holds no manifest.
        CorruptFileError: its files are damaged.
        RemoteError: the store behind the URL refuses or does not answer.
    """

    def __init__(
        self,
        folder: str | Place,
        transform: Callable[[Image.Image], Any] | None = None,
        *,
        root: str | Path | None = None,
        cache_bytes: int = 2_000_000_000,
        cache_dir: str | Path | None = None,
        cache_disk_bytes: int = DISK_BYTES,
    ) -> None:
        manifest = open_manifest(folder)
        rows = manifest.rows
        self.folder = manifest.folder
        self.transform = transform
        self.root = Path(root) if root is not None else None
        self.class_names = manifest.class_names
        self.labels: npt.NDArray[np.int32] = rows.column("label").to_numpy().astype(np.int32)
        self.is_clean: npt.NDArray[np.bool_] = rows.column("is_clean").to_numpy()
        self.true_labels: npt.NDArray[np.int32] = rows.column("true_label").fill_null(-1).to_numpy().astype(np.int32)
        self.noise: list[str] = rows.column("noise").to_pylist()
        self.ids: list[str] = rows.column("image_id").to_pylist()
        self.info: Mapping[str, Any] = _info(manifest.info)
        self._images = EncodedImages(manifest.files, cache_bytes, cache_dir, cache_disk_bytes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.image(index)
        return (image if self.transform is None else self.transform(image)), int(self.labels[index])

    def image(self, index: int) -> Image.Image:
        """The decoded RGB image of a row.

        Raises:
            SourceError: the row carries a path only and it cannot be read.
            CorruptFileError: the bytes are no image.
        """
        data = self.encoded(index)
        if data is None:
            data = self._read_path(index)
        try:
            image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise CorruptFileError(f"{self.folder}: row {index} has {image.width}x{image.height} pixels; too many")
            if image.mode != "RGB":
                return image.convert("RGB")
            image.load()
            return image
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise CorruptFileError(f"{self.folder}: row {index} ({self.ids[index]}) is no image ({error})") from error

    def encoded(self, index: int) -> bytes | memoryview | None:
        """The encoded bytes of a row, without a copy; None for a row that carries a path only."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self._images.get(index % len(self))

    @property
    def row_groups(self) -> list[tuple[range, int]]:
        """The rows of each Parquet row group, and the bytes that they take when they are read."""
        return self._images.groups()

    def hold(self, group: int) -> None:
        """Read a row group of `row_groups` into memory, if it is not there.

        Raises:
            CorruptFileError: it is damaged.
            RemoteError: the store behind the URL refuses or does not answer.
        """
        self._images.hold(group)

    @property
    def cache_bytes(self) -> int:
        """Encoded images kept in memory."""
        return self._images.cache_bytes

    @cache_bytes.setter
    def cache_bytes(self, most: int) -> None:
        self._images.cache_bytes = most

    def _read_path(self, index: int) -> bytes:
        path = self._images.path(index % len(self))
        if self.root is None or path is None:
            raise SourceError(f"{self.folder}: row {index} carries only the path {path!r}; give root=... to find it")
        target = (self.root / path).resolve()
        if not target.is_relative_to(self.root.resolve()):
            raise SourceError(f"{self.folder}: row {index}: path {path!r} leads out of {self.root}")
        try:
            return target.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.folder}: row {index}: {target} cannot be read ({error.strerror})") from error


def validation_folder(folder: str | Place) -> Place | None:
    """The clean validation set that was built beside a manifest; None if there is none."""
    place = place_of(folder)
    candidate = (place.resolve() if isinstance(place, Path) else place).parent / VALIDATION_FOLDER
    return candidate if candidate.is_dir() else None


def _info(info: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in info.items() if key != "class_names"}
    return {**known, "level": float(known["level"])} if "level" in known else known
