"""The encoded images of a manifest by row: row groups that are read when needed and kept while they fit."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.disk_cache import CachedFile, DiskCache
from noisyweb.errors import CorruptFileError
from noisyweb.remote_path import Place, RemotePath, open_parquet

_MOST_OPEN = 4
"""Files that are held open: each keeps buffers as large as one of its row groups."""


class EncodedImages:
    """Encoded images by row; see `noisyweb.data.NoisyImages`.

    Threads may share it: one reads at a time, since an open Parquet file is not safe to share.
    """

    def __init__(
        self, files: tuple[Place, ...], cache_bytes: int, cache_dir: str | Path | None, cache_disk_bytes: int
    ) -> None:
        self._files, self.cache_bytes = files, cache_bytes
        self._cached: dict[int, CachedFile] = {}
        if any(isinstance(file, RemotePath) for file in files):
            cache = DiskCache(cache_dir, cache_disk_bytes)
            remote = [(number, file) for number, file in enumerate(files) if isinstance(file, RemotePath)]
            self._cached = {number: CachedFile(file, cache) for number, file in remote}
        self._groups: list[tuple[int, int]] = []
        sizes = []
        self._group_bytes: list[int] = []
        for number, file in enumerate(files):
            metadata = pq.read_metadata(file) if isinstance(file, Path) else self._open(number).metadata
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

    def hold(self, number: int) -> None:
        """Read a row group, if it is not held."""
        with self._reading:
            if number not in self._kept:
                self._load(number)

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

    def _open(self, number: int) -> pq.ParquetFile:
        cached = self._cached.get(number)
        if cached is None:
            return open_parquet(self._files[number])
        with cached.keeping():
            return pq.ParquetFile(cached.open(), page_checksum_verification=True)

    def _load(self, number: int) -> _Group:
        file, group = self._groups[number]
        try:
            if file not in self._opened:
                self._opened[file] = self._open(file)
                if len(self._opened) > _MOST_OPEN:
                    self._opened.popitem(last=False)[1].close()
            self._opened.move_to_end(file)
            with self._cached[file].keeping() if file in self._cached else contextlib.nullcontext():
                # no threads: a forked loader worker must not wait for those of its parent
                table = self._opened[file].read_row_group(group, columns=["image.bytes"], use_threads=False)
                column = table.column(0).combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise CorruptFileError(f"{self._files[file]}: damaged ({str(error).splitlines()[0]})") from error
        loaded = _Group(column.field("bytes"))
        self._kept[number] = loaded
        self._held += loaded.num_bytes
        while self._held > self.cache_bytes and len(self._kept) > 1:
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
