"""Blend: which rows are wrong at a level, and what stands in them. Labels only, no pixels.

A kind of noise makes one `Plan` for all levels: the order in which the rows of each class turn wrong, and what
each row turns into. A level takes the first rows of that order (`noisyweb.quota` says how many of each class),
so levels are nested and each is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from noisyweb.errors import ShortageError, UnknownNameError
from noisyweb.imageset import Labels
from noisyweb.levels import num_wrong
from noisyweb.mixture import Mix, mixed_plan, parse_mix
from noisyweb.plan import CHUNK, Batch, BlendInput, Plan, Rows, chunks
from noisyweb.quota import Counts, Order, class_blocks, class_order, shuffled_order
from noisyweb.shortage import POLICIES, capped_level, reachable, refusal, shrunk_sizes

BALANCES = ("class", "global")


@dataclass(frozen=True)
class Blend:
    """One level: a label and an image for each of n rows of the train set.

    Attributes:
        level: the share of wrong labels, exact: ``round(level x N)`` rows are wrong, of N in the whole blend.
        labels: what the trainer sees, shape (n,).
        is_wrong: which rows are wrong, shape (n,).
        pool_row: the image in place of the row's own, -1 for its own; shape (n,). Numbers go from the pool's first
            image to its last and on through the other data set's.
        rows: which rows of the train set these are, ascending; shape (n,).
        noise: kind of noise of each row, an index into ``noise_names``; shape (n,).
        noise_names: values of the manifest's ``noise`` column, "none" first.
        asked: the level asked for; another one only where it was capped.
    """

    level: Decimal
    labels: Labels
    is_wrong: npt.NDArray[np.bool_]
    pool_row: Rows
    rows: Rows
    noise: npt.NDArray[np.int8]
    noise_names: tuple[str, ...]
    asked: Decimal


@dataclass(frozen=True)
class Blending:
    """A blend at all its levels, worked out as far as it goes without looking at each row.

    Attributes:
        source: the labels.
        plan: what the kind decided.
        levels: those asked for, and those that are given.
        counts: wrong rows per class at each level, shape (levels, K).
        kept: how many rows of each class are kept, those that turn wrong last being left out; shape (K,).
        noise_names: of the blends.
    """

    source: BlendInput
    plan: Plan
    levels: tuple[tuple[Decimal, Decimal], ...]
    counts: Counts
    kept: Counts
    noise_names: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """Rows of each level."""
        return int(self.kept.sum())

    def blend(self, place: int) -> Blend:
        """One level, whole; ``place`` is its index in ``levels``."""
        parts = [self._part(part, [place])[0] for part in chunks(len(self.source.labels))]
        if len(parts) == 1:
            return parts[0]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("labels", "is_wrong", "pool_row", "rows", "noise")
        }
        return replace(parts[0], **joined) if parts else self._part(slice(0, 0), [place])[0]

    def stream(self, rows: int = CHUNK) -> Iterator[list[Blend]]:
        """All levels at once, some rows of the train set after others.

        Args:
            rows: how many at a time.
        """
        for part in chunks(len(self.source.labels), rows):
            yield self._part(part, range(len(self.levels)))

    def _part(self, part: slice, places: Sequence[int]) -> list[Blend]:
        source, plan = self.source, self.plan
        labels, turn, rows = source.labels[part], plan.rank[part], np.arange(part.start, part.stop)
        component = None if plan.component is None else plan.component[part]
        keys = source.keys[part]
        stays = turn < self.kept[labels]
        if not stays.all():
            labels, turn, rows, keys = labels[stays], turn[stays], rows[stays], keys[stays]
            component = None if component is None else component[stays]
        ever = np.flatnonzero(turn < self.counts.max(axis=0, initial=0)[labels])
        given, stand_in = labels.astype(np.int32), np.full(len(rows), -1, np.int64)
        if len(ever):
            batch = Batch(rows[ever], labels[ever], keys[ever], turn[ever].astype(np.int64))
            given[ever], stand_in[ever] = plan.become(batch)
        blends = []
        for place in places:
            asked, level = self.levels[place]
            wrong = turn < self.counts[place][labels]
            kind = wrong.astype(np.int8) if component is None else np.where(wrong, component + 1, 0).astype(np.int8)
            blends.append(
                Blend(
                    level,
                    np.where(wrong, given, labels).astype(np.int32),
                    wrong,
                    np.where(wrong, stand_in, -1),
                    rows,
                    kind,
                    self.noise_names,
                    asked,
                )
            )
        return blends


def blending(
    kind: str | Mix,
    source: BlendInput,
    levels: Sequence[Decimal],
    seed: int,
    *,
    balance: str = "class",
    on_shortage: str = "error",
    shrink_for: Decimal | None = None,
) -> Blending:
    """Work out a blend at several levels.

    Every level has exactly ``num_wrong(level, N)`` wrong rows. With ``balance="class"`` each class has floor or ceil of
    its share of them; with ``"global"`` they are drawn from all rows alike.

    Args:
        kind: a plug-in of `noisyweb.kinds`, or a mix of them (`noisyweb.mixture.parse_mix`).
        source: the labels.
        levels: in [0, 1], in any order.
        seed: same inputs and seed, same blends.
        balance: one of `BALANCES`.
        on_shortage: "error"; "cap": the best level that all classes reach; "shrink": keep fewer rows, of which the
            highest level asked for is exact, the same rows at all levels.
        shrink_for: a level that rows are to be kept for, if it is above all ``levels``.

    Raises:
        UnknownNameError: no such kind, balance or policy.
        ShortageError: too few wrong labels for a level; says which class has how many and needs how many.
    """
    mix = parse_mix(kind) if isinstance(kind, str) else kind
    _check_choice("balance", balance, BALANCES)
    _check_choice("policy on shortage", on_shortage, POLICIES)
    plan, classes = mixed_plan(mix, source, seed)
    sizes, names = source.class_sizes(), source.class_names
    plan = replace(plan, capacity=np.minimum(plan.capacity, sizes))  # a pool may be larger than its class
    if on_shortage == "shrink":
        if classes is not None or balance == "global":
            raise ShortageError(
                "shrinking goes class by class and for one kind; leave out the mix or --balance global, or take `cap`"
            )
        highest = max([*levels, shrink_for or Decimal(0)])
        sizes = shrunk_sizes(sizes, plan.capacity, highest, plan, names)
    num_rows, is_capped = int(sizes.sum()), on_shortage == "cap"
    weights = sizes if plan.weights is None else plan.weights
    most = max((num_wrong(level, num_rows) for level in levels), default=0)
    if balance == "global":
        rates = np.divide(weights, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
        classes = shuffled_order(plan.capacity, rates, seed)
    elif is_capped and classes is None:
        classes = class_order(weights, min(most, int(weights.sum())))
    reach = num_rows if classes is None else reachable(classes, plan.capacity)
    given = [capped_level(level, reach, num_rows) if is_capped else level for level in levels]
    counts = _counts(weights, [num_wrong(level, num_rows) for level in given], classes, plan)
    for level, count in zip(given, counts, strict=True):
        if (count > plan.capacity).any() or count.sum() < num_wrong(level, num_rows):
            whole = classes if classes is not None else class_order(weights, min(most, int(weights.sum())))
            raise refusal(mix.name, level, count, plan, names, reachable(whole, plan.capacity), num_rows)
    return Blending(source, plan, tuple(zip(levels, given, strict=True)), counts, sizes, mix.noise_names)


def blend_levels(
    kind: str | Mix,
    source: BlendInput,
    levels: Sequence[Decimal],
    seed: int,
    *,
    balance: str = "class",
    on_shortage: str = "error",
) -> Iterator[Blend]:
    """`blending`, level by level; all levels are checked before the first is given."""
    whole = blending(kind, source, levels, seed, balance=balance, on_shortage=on_shortage)
    for place in range(len(whole.levels)):
        yield whole.blend(place)


def _counts(weights: Counts, totals: Sequence[int], classes: Order | None, plan: Plan) -> Counts:
    """Wrong rows per class at each total, shape (levels, K); more than there are where a total is out of reach."""
    blocks: Iterator[Order] = iter([classes]) if classes is not None else class_blocks(weights, max(totals, default=0))
    counts = np.zeros((len(totals), len(weights)), np.int64)
    start = 0
    for block in blocks:
        for place, total in enumerate(totals):
            if total > start:
                counts[place] += np.bincount(block[: total - start], minlength=len(weights))
        start += len(block)
    return counts


def _check_choice(thing: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownNameError(thing, value, known)
