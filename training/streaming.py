"""Images read from Parquet as they are needed, for sets that fit into no memory.

Row groups are put in random order, some of them that fit into `WINDOW_BYTES` are held at a time, and rows are drawn
from those: reading is sequential inside a row group, and memory does not grow with the set. Threads decode ahead
(Pillow works outside the interpreter's lock); the order hangs on the seed alone, so that a training goes on exactly
where it was.
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

WINDOW_BYTES = 128_000_000
"""Encoded bytes that rows are drawn from at a time."""

CACHE_BYTES = 2 * WINDOW_BYTES
"""A window that is in use, and the one that is read ahead."""

AHEAD = 4
"""Batches that are decoded ahead."""


class Streamed:
    """See `noisyweb.training.images.Images`.

    Args:
        images: a manifest; its cache should be `CACHE_BYTES`.
        size: S.
        device: where batches go.
        workers: threads that decode.
        team: each of its processes decodes its share of a batch, and gets the others'.
    """

    def __init__(self, images: NoisyImages, size: int, device: torch.device, workers: int, team: Team = SOLO) -> None:
        self.images, self.size, self.device, self.workers, self.team = images, size, device, workers, team
        self._labels = torch.from_numpy(np.asarray(images.labels, np.int64).copy()).to(device)

    @property
    def labels(self) -> Tensor:
        """[N] int64."""
        return self._labels

    def order(self, seed: int) -> Tensor:
        """Random row groups, and random rows within windows of them."""
        rng = np.random.Generator(np.random.PCG64(seed))
        groups = self.images.row_groups
        order: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        window: list[range] = []
        held = 0
        for number in rng.permutation(len(groups)).tolist():
            rows, num_bytes = groups[number]
            if window and held + num_bytes > WINDOW_BYTES:
                order.append(rng.permutation(np.concatenate([np.arange(r.start, r.stop) for r in window])))
                window, held = [], 0
            window.append(rows)
            held += num_bytes
        order.append(rng.permutation(np.concatenate([np.arange(r.start, r.stop) for r in window])))
        return torch.from_numpy(np.concatenate(order)).to(self.device)

    def batches(self, order: Tensor, size: int) -> Batches:
        """See `noisyweb.training.images.Images`."""
        waiting: deque[tuple[Tensor, list[Future[Square]]]] = deque()
        parts = iter(torch.split(order.cpu(), size))
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        try:
            while True:
                while len(waiting) <= AHEAD and (rows := next(parts, None)) is not None:
                    mine = rows[self.team.share(len(rows))].tolist()
                    waiting.append((rows, [pool.submit(self._decode, row) for row in mine]))
                if not waiting:
                    return
                rows, decoded = waiting.popleft()
                images = torch.from_numpy(np.stack([image.result() for image in decoded]))
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
