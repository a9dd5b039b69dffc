"""Manifests as torch data sets.

The one module of the library that imports torch where torch is installed; without it `NoisyImages` still works
as a plain sequence.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import IMAGE_FORMATS, open_manifest
from noisyweb.remote_path import Place, open_parquet, place_of

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

_MOST_OPEN = 4
"""Files that are held open: each keeps buffers as large as one of its row groups."""


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
        cache_bytes: encoded images kept in memory; the row groups used last are kept, the others read again.

    Raises:
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
        self._images = _EncodedImages(manifest.files, cache_bytes)

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


class _EncodedImages:
    """Encoded images by row, from row groups that are read when needed and kept while they fit.

    Threads may share it: one reads at a time, since an open Parquet file is not safe to share.
    """

    def __init__(self, files: tuple[Place, ...], cache_bytes: int) -> None:
        self._files, self._cache_bytes = files, cache_bytes
        self._groups: list[tuple[int, int]] = []
        sizes = []
        self._group_bytes: list[int] = []
        for number, file in enumerate(files):
            metadata = pq.read_metadata(file) if isinstance(file, Path) else open_parquet(file).metadata
            self._groups += [(number, group) for group in range(metadata.num_row_groups)]
            sizes += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            self._group_bytes += [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._group_of = np.repeat(np.arange(len(sizes)), sizes).tolist()
        self._start = starts.tolist()
        self._reading = threading.Lock()
        self._opened: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._kept: OrderedDict[int, _Group] = OrderedDict()
        self._held = 0

    def __getstate__(self) -> dict[str, Any]:
        """Workers read for themselves: what is kept here is not sent to them."""
        fresh: dict[str, Any] = {"_reading": None, "_opened": OrderedDict(), "_kept": OrderedDict(), "_held": 0}
        return {**self.__dict__, **fresh}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _reading=threading.Lock())

    def groups(self) -> list[tuple[range, int]]:
        """Rows and uncompressed bytes of each row group."""
        starts = zip(self._start[:-1], self._start[1:], strict=True)
        return [(range(*rows), size) for rows, size in zip(starts, self._group_bytes, strict=True)]

    def get(self, index: int) -> memoryview | None:
        number = self._group_of[index]
        group = self._kept.get(number)
        if group is None:
            with self._reading:
                group = self._kept.get(number) or self._load(number)
        row = index - self._start[number]
        return None if group.missing[row] else group.data[group.offsets[row] : group.offsets[row + 1]]

    def path(self, index: int) -> str | None:
        file, group = self._groups[self._group_of[index]]
        column = open_parquet(self._files[file]).read_row_group(group, columns=["image.path"]).column(0)
        path: str | None = column.combine_chunks().field("path")[index - self._start[self._group_of[index]]].as_py()
        return path

    def _load(self, number: int) -> _Group:
        file, group = self._groups[number]
        try:
            if file not in self._opened:
                self._opened[file] = open_parquet(self._files[file])
                if len(self._opened) > _MOST_OPEN:
                    self._opened.popitem(last=False)[1].close()
            self._opened.move_to_end(file)
            # no threads: a forked loader worker must not wait for those of its parent
            table = self._opened[file].read_row_group(group, columns=["image.bytes"], use_threads=False)
            column = table.column(0).combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise CorruptFileError(f"{self._files[file]}: damaged ({str(error).splitlines()[0]})") from error
        loaded = _Group(column.field("bytes"))
        self._kept[number] = loaded
        self._held += loaded.num_bytes
        while self._held > self._cache_bytes and len(self._kept) > 1:
            self._held -= self._kept.popitem(last=False)[1].num_bytes
        return loaded


class _Group:
    """One row group's bytes as one buffer with offsets, so that a row is a slice."""

    def __init__(self, values: pa.BinaryArray) -> None:
        self.missing: list[bool] = values.is_null().to_pylist() if values.null_count else [False] * len(values)
        offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
        self.offsets: list[int] = offsets.tolist()
        read = values.buffers()[2] or pa.py_buffer(b"")
        exact = pa.allocate_buffer(read.size)  # the reader's own buffer may be twice as large
        memoryview(exact)[:] = memoryview(read)
        self.data = memoryview(exact)
        self.num_bytes = len(self.data)
