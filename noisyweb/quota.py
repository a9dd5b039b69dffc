"""How many rows of each class are wrong, exact at every level and nested from level to level.

Plain largest-remainder rounding is exact but not nested: with a larger total a class can *lose* a row (the
Alabama paradox), so a row wrong at 0.2 could be right at 0.4. Here rows turn wrong one at a time, in an order
such that at *every* level x in [0, 1] its first round(x * N) rows hold floor(x * size_k) or ceil(x * size_k) of
each class k. A level is then a prefix of one order.

This is a just-in-time production schedule with all deviations below one (Steiner and Yeomans 1993, "Level
schedules for mixed-model, just-in-time processes"): the t-th row turns wrong at level (t - 1/2) / N, so the j-th
row of class k must come after position (j - 1) N / size_k + 1/2 and not after j N / size_k + 1/2. Fewer rows than
positions fall between any two positions (Hall's condition), so such an order exists, and serving the earliest due
row first finds it.
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt


def class_order(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int32]:
    """The classes whose rows turn wrong, in order: shape (total,), values in [0, K).

    Args:
        sizes: rows per class, shape (K,).
        total: how many rows to order, at most ``sizes.sum()``.
    """
    n = int(sizes.sum())
    assert 0 <= total <= n
    size = [int(s) for s in sizes]
    # Equal due positions go to the earlier ideal position (j - 1/2) n / size, then to the lower class.
    waiting = [(1, k) for k, s in enumerate(size) if s]
    heapq.heapify(waiting)
    ready: list[tuple[int, float, int]] = []
    given = [0] * len(size)
    order = np.empty(total, np.int32)
    for position in range(1, total + 1):
        while waiting and waiting[0][0] <= position:
            _, k = heapq.heappop(waiting)
            j, s = given[k] + 1, size[k]
            heapq.heappush(ready, ((2 * j * n + s) // (2 * s), (j - 0.5) * n / s, k))
        _, _, k = heapq.heappop(ready)
        order[position - 1] = k
        given[k] += 1
        if given[k] < size[k]:
            heapq.heappush(waiting, ((2 * given[k] * n + size[k]) // (2 * size[k]) + 1, k))
    return order


def wrong_per_class(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """How many rows of each class are wrong when ``total`` are: shape (K,)."""
    return np.bincount(class_order(sizes, total), minlength=len(sizes)).astype(np.int64)
