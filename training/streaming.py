"""Images read from Parquet as they are needed, for sets that fit into no memory.

Row groups are put in random order, some of them that fit into `WINDOW_BYTES` are held at a time, and rows are drawn
from those: reading is sequential inside a row group, and memory does not grow with the set. Several processes read
shards that are disjoint (`noisyweb.training.shards`). Threads decode ahead (Pillow works outside the interpreter's
lock); the order hangs on the seed and the number of shards alone, so that a training goes on exactly where it was.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from noisyweb.data import NoisyImages
from noisyweb.training.data import Square, square
from noisyweb.training.distributed import SOLO, Team
from noisyweb.training.images import Batches
from noisyweb.training.read_ahead import ReadAhead
from noisyweb.training.shards import read_through, shards_of_one, shuffled

WINDOW_BYTES = 128_000_000
"""Encoded bytes that rows are drawn from at a time, in each shard."""

CACHE_BYTES = 2 * WINDOW_BYTES
"""A window that is in use, and the one that is read ahead."""

AHEAD = 4
"""Batches that are decoded ahead."""


class Streamed:
    """See `noisyweb.training.images.Images`.

    Args:
        images: a manifest; its cache in memory is set to what the windows need, `CACHE_BYTES` if each process reads a
            shard of its own.
        size: S.
        device: where batches go.
        workers: threads that decode.
        team: each of its processes decodes its share of a batch, and gets the others'.
        shards: how many the order is made of; as many as there are processes, and each reads its own.
    """

    def __init__(
        self, images: NoisyImages, size: int, device: torch.device, workers: int, team: Team = SOLO, shards: int = 1
    ) -> None:
        self.images, self.size, self.device, self.workers, self.team = images, size, device, workers, team
        self.shards = shards
        images.cache_bytes = CACHE_BYTES * shards_of_one(shards, team.size)
        self._labels = torch.from_numpy(np.asarray(images.labels, np.int64).copy()).to(device)

    @property
    def labels(self) -> Tensor:
        """[N] int64."""
        return self._labels

    def order(self, seed: int) -> Tensor:
        """Random row groups, and random rows within windows of them; the shards take turns."""
        return torch.from_numpy(shuffled(self.images.row_groups, self.shards, WINDOW_BYTES, seed)).to(self.device)

    def read_through(self) -> Tensor:
        """The manifest's order in each shard; the shards take turns, and hold the same rows as in `order`."""
        return torch.from_numpy(read_through(self.images.row_groups, self.shards)).to(self.device)

    def batches(self, order: Tensor, size: int) -> Batches:
        """See `noisyweb.training.images.Images`."""
        waiting: deque[tuple[Tensor, list[Future[Square]]]] = deque()
        parts = torch.split(order.cpu(), size)
        asked = torch.cat([rows[self.team.share(len(rows))] for rows in parts]).numpy()
        coming, done = iter(parts), 0
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        try:
            with ReadAhead(self.images, asked, self.images.cache_bytes) as ahead:
                while True:
                    while len(waiting) <= AHEAD and (rows := next(coming, None)) is not None:
                        mine = rows[self.team.share(len(rows))].tolist()
                        waiting.append((rows, [pool.submit(self._decode, row) for row in mine]))
                    if not waiting:
                        return
                    rows, decoded = waiting.popleft()
                    images = torch.from_numpy(np.stack([image.result() for image in decoded]))
                    done += len(decoded)
                    ahead.reached(done)
                    if self.device.type == "cuda":
                        images, rows = images.pin_memory(), rows.pin_memory()
                    images = images.to(self.device, non_blocking=True)
                    if self.team.divides(len(rows)):
                        images = self.team.gather(images)
                    yield rows.to(self.device, non_blocking=True), images.permute(0, 3, 1, 2)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, row: int) -> Square:
        return square(self.images.image(row), self.size)
