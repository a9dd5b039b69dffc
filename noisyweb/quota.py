"""How many rows of each class are wrong, exact at every level and nested from level to level.

Plain largest-remainder rounding is exact but not nested: with a larger total a class can *lose* a row (the
Alabama paradox), so a row wrong at 0.2 could be right at 0.4. Here rows turn wrong one at a time, in an order
such that at *every* level x in [0, 1] its first round(x * N) rows hold floor(x * size_k) or ceil(x * size_k) of
each class k. A level is then a prefix of one order.

This is a just-in-time production schedule with all deviations below one (Steiner and Yeomans 1993, "Level
schedules for mixed-model, just-in-time processes"): the t-th row turns wrong at level (t - 1/2) / N, so the j-th
row of class k must come after position (j - 1) N / size_k + 1/2 and not after j N / size_k + 1/2. Fewer rows than
positions fall between any two positions (Hall's condition), so such an order exists, and serving the earliest due
row first finds it. The windows of a class follow each other without a gap, so all of them are known beforehand.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from noisyweb.draws import bits, uniforms

Counts = npt.NDArray[np.int64]
Order = npt.NDArray[np.int32]

BLOCK = 1 << 18
SWEEPS = 200
EVENING_PASSES = 2


def class_order(weights: Counts, total: int) -> Order:
    """The classes whose rows turn wrong, in order: shape (total,), values in [0, K).

    Args:
        weights: each class's share of the wrong rows, as whole numbers, shape (K,): its size, where all classes are
            to be wrong at the same level.
        total: how many rows to order, at most ``weights.sum()``.
    """
    return np.concatenate([np.empty(0, np.int32), *class_blocks(weights, total)])


def class_blocks(weights: Counts, total: int) -> Iterator[Order]:
    """`class_order` in pieces, in memory that does not grow with ``total``."""
    n = int(weights.sum())
    assert 0 <= total <= n
    classes = np.flatnonzero(weights)
    s = weights[classes].astype(np.int64)
    released = np.zeros(len(s), np.int64)
    ready: list[tuple[int, float, int]] = []
    for start in range(0, total, BLOCK):
        end = min(start + BLOCK, total)
        last = np.minimum((2 * s * end - s - 1) // (2 * n) + 1, s)  # the j whose windows have begun by position `end`
        number = np.maximum(last - released, 0)
        who = np.repeat(np.arange(len(s)), number)
        j = np.arange(len(who)) - np.repeat(np.cumsum(number) - number, number) + released[who] + 1
        released += number
        release = np.where(j == 1, 1, (2 * (j - 1) * n + s[who]) // (2 * s[who]) + 1)
        due = (2 * j * n + s[who]) // (2 * s[who])
        by_release = np.argsort(release, kind="stable")
        # Equal due positions go to the earlier ideal position (j - 1/2) n / size, then to the lower class.
        ideal = (j - 0.5) * n / s[who]
        jobs = list(
            zip(due[by_release].tolist(), ideal[by_release].tolist(), classes[who[by_release]].tolist(), strict=True)
        )
        yield _serve(jobs, release[by_release].tolist(), ready, start, end)


def _serve(
    jobs: list[tuple[int, float, int]], release: list[int], ready: list[tuple[int, float, int]], start: int, end: int
) -> Order:
    """Fill positions ``start + 1`` to ``end``, earliest due first; what is left stays in ``ready``."""
    order = np.empty(end - start, np.int32)
    following, num_jobs = 0, len(jobs)
    for position in range(start + 1, end + 1):
        while following < num_jobs and release[following] <= position:
            heapq.heappush(ready, jobs[following])
            following += 1
        order[position - start - 1] = heapq.heappop(ready)[2]
    return order


def shuffled_order(capacity: Counts, rates: npt.NDArray[np.float64], seed: int) -> Order:
    """Classes in a random order, as if rows of all classes were drawn from one urn: shape (capacity.sum(),).

    Args:
        capacity: rows of each class that can turn wrong, shape (K,).
        rates: how soon a row of each class is drawn, relative to others, positive where there is capacity; shape (K,).
            Drawing without replacement by weights: Efraimidis and Spirakis 2006.
        seed: of the order.
    """
    classes = np.repeat(np.arange(len(capacity), dtype=np.int32), capacity)
    draws = uniforms(np.arange(len(classes), dtype=np.uint64), seed, "global")
    place = -np.log1p(-draws) / rates[classes]
    return classes[np.argsort(place, kind="stable")]


def loosened(order: Order, weights: Counts, seed: int, purpose: str) -> Order:
    """The same order with neighbours that trade places at random, wherever every level stays exact.

    `class_order` is all but periodic: where each position also gets a kind in such an order, a class could get one kind
    only.

    Args:
        order: of `class_order` for ``weights``.
        weights: shape (K,).
        seed, purpose: of the trades.
    """
    n, order = int(weights.sum()), order.copy()
    stretch = n / int(weights[weights > 0].min(initial=n))  # that a place may move within
    grouped = np.argsort(order, kind="stable")
    sizes = np.bincount(order, minlength=len(weights))
    nth = np.empty(len(order), np.int64)  # which of its class each is, from 1
    nth[grouped] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
    for sweep in range(min(int(4 * stretch**2), SWEEPS)):
        first = np.arange(sweep % 2, len(order) - 1, 2)
        a, b, t = order[first], order[first + 1], first + 1
        is_in_time = weights[a] * (2 * t + 1) <= 2 * nth[first] * n  # a at position t + 1, counted from 1; see the top
        is_ready = 2 * (nth[first + 1] - 1) * n < weights[b] * (2 * t - 1)  # b at position t
        wants = bits(first.astype(np.uint64), seed, purpose, sweep) >> np.uint64(63) == 1
        trade = first[(a != b) & is_in_time & is_ready & wants]
        for values in (order, nth):
            values[trade], values[trade + 1] = values[trade + 1], values[trade]
    return order


def evened(order: Order, weights: Counts, classes: Order, num_classes: int) -> Order:
    """The same order with neighbours that trade places wherever that spreads what it orders more evenly over classes.

    Every level stays exact, as in `loosened`. Of each class's positions each kind then has its share but for a few rows
    (measured: 3.2 at most, of 1,000), so that no class runs out of one kind while others have plenty.

    Args:
        order: kinds, shape (N,), values in [0, M): of `class_order` or `loosened` for ``weights``.
        weights: the kinds' shares, shape (M,).
        classes: the class of each position, shape (N,), values in [0, K).
        num_classes: K.
    """
    n, kinds, at = int(weights.sum()), order.tolist(), classes.tolist()
    weight: list[int] = weights.tolist()
    for _ in range(EVENING_PASSES):
        above = [[0] * len(weight) for _ in range(num_classes)]  # rows of a kind above its share of a class, times n
        so_far = [0] * len(weight)
        for place in range(len(kinds) - 1):
            a, b, own = kinds[place], kinds[place + 1], above[at[place]]
            if a != b:
                other, t = above[at[place + 1]], place + 1
                is_in_time = weight[a] * (2 * t + 1) <= 2 * (so_far[a] + 1) * n
                is_ready = 2 * so_far[b] * n < weight[b] * (2 * t - 1)
                if is_in_time and is_ready and own[a] - own[b] > other[a] - other[b]:
                    kinds[place], kinds[place + 1] = b, a
                    a = b
            so_far[a] += 1
            for kind, share in enumerate(weight):
                own[kind] -= share
            own[a] += n
    return np.array(kinds, np.int32)


def wrong_per_class(weights: Counts, total: int) -> Counts:
    """How many rows of each class are wrong when ``total`` are: shape (K,)."""
    counts = np.zeros(len(weights), np.int64)
    for block in class_blocks(weights, total):
        counts += np.bincount(block, minlength=len(weights))
    return counts
