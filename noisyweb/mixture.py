"""Mixtures: the wrong rows of a set are of several kinds, in exact shares at every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np

from noisyweb import plugins
from noisyweb.errors import LevelError
from noisyweb.imageset import Labels
from noisyweb.levels import level_text
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.quota import Counts, Order, class_order, evened, loosened

PACKAGE = "noisyweb.kinds"
MAX_DECIMALS = 6


@dataclass(frozen=True)
class Mix:
    """Kinds and their shares of the wrong rows, which sum to 1; one kind alone is a mix of one."""

    shares: Mapping[str, Decimal]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, in the order in which they were named."""
        return tuple(self.shares)

    @property
    def name(self) -> str:
        """As folders have it: "red", or "red0.7-blue0.3"."""
        if len(self.shares) == 1:
            return self.kinds[0]
        return "-".join(f"{kind}{level_text(share)}" for kind, share in self.shares.items())

    def __str__(self) -> str:
        """As `parse_mix` reads it."""
        return self.kinds[0] if len(self.shares) == 1 else ",".join(f"{k}={v}" for k, v in self.shares.items())

    @property
    def noise_names(self) -> tuple[str, ...]:
        """Values of the manifest's ``noise`` column: none, and each kind's."""
        return ("none", *(plugins.load(PACKAGE, "kind", kind).NOISE for kind in self.kinds))

    def weights(self, at_least: int = 0) -> Counts:
        """The shares as whole numbers that sum to ``at_least`` or more, shape (M,)."""
        times = max(-(-at_least // 10**MAX_DECIMALS), 1)
        weights: Counts = np.array([int(share * 10**MAX_DECIMALS) for share in self.shares.values()], np.int64) * times
        return weights


def parse_mix(text: str) -> Mix:
    """Read ``red=0.7,blue=0.3``, or the name of one kind.

    Raises:
        UnknownNameError: there is no such kind.
        LevelError: a share is no number in (0, 1], or they do not sum to 1.
    """
    shares: dict[str, Decimal] = {}
    for part in text.split(","):
        name, mark, given = part.strip().partition("=")
        plugins.load(PACKAGE, "kind", name)
        if name in shares:
            raise LevelError(f"mix {text!r}: {name} is in it twice; name each kind once")
        try:
            share = Decimal(given) if mark else Decimal(1)
        except InvalidOperation:
            share = Decimal(0)
        if not share.is_finite() or not 0 < share <= 1 or int(share.as_tuple().exponent) < -MAX_DECIMALS:
            raise LevelError(
                f"mix {text!r}: the share of {name} is {given!r}; expected a number above 0, 1 at most, with up to "
                f"{MAX_DECIMALS} decimals, such as red=0.7,blue=0.3"
            )
        shares[name] = share
    if sum(shares.values()) != 1:
        raise LevelError(f"mix {text!r}: the shares sum to {sum(shares.values())}; expected 1")
    return Mix(shares)


def mixed_plan(mix: Mix, source: BlendInput, seed: int) -> tuple[Plan, Order | None]:
    """The plan of one kind; or of several, and the order of classes that it was made for.

    Position t of the order of classes gets a kind in an order of its own, both exact in every prefix, loosened, and
    the kinds then evened over the classes. The next row of that kind's own order that is still right then
    turns wrong in its way.
    """
    plans = [plugins.load(PACKAGE, "kind", kind).plan(source, seed) for kind in mix.kinds]
    if len(plans) == 1:
        return plans[0], None
    sizes = source.class_sizes()
    num_rows = int(sizes.sum())
    classes = loosened(class_order(sizes, num_rows), sizes, seed, "mix classes")
    weights = mix.weights(num_rows)
    kinds = loosened(class_order(weights, num_rows), weights, seed, "mix kinds")
    kinds = evened(kinds, weights, classes, len(sizes))
    labels, keys = source.all_labels(), source.all_keys()
    rank = np.empty(num_rows, np.int64)
    component = np.zeros(num_rows, np.int8)
    own_turn = np.zeros(num_rows, np.int64)
    capacity = np.zeros(len(sizes), np.int64)
    by_class = np.argsort(labels, kind="stable")
    start = np.cumsum(sizes) - sizes
    wanted_by_class = np.argsort(classes, kind="stable")
    for label, size in enumerate(sizes.tolist()):
        part = slice(int(start[label]), int(start[label]) + size)
        rows = by_class[part]
        wanted = kinds[wanted_by_class[part]]
        deal = _deal(rows, wanted, plans, label)
        if len(deal.rows) < size:  # perhaps rows that only one kind can use went to another
            deal = max(deal, _deal(rows, wanted, plans, label, spare=True), key=lambda tried: len(tried.rows))
        capacity[label] = len(deal.rows)
        rank[deal.rows], component[deal.rows], own_turn[deal.rows] = range(len(deal.rows)), deal.kinds, deal.own_turns
        left = np.setdiff1d(rows, deal.rows)
        rank[left] = np.arange(len(deal.rows), size)
    given = labels.copy()
    stand_in = np.full(num_rows, -1, np.int64)
    for number, plan in enumerate(plans):
        some = np.flatnonzero((component == number) & (rank < capacity[labels]))
        given[some], stand_in[some] = plan.become(Batch(some, labels[some], keys[some], own_turn[some]))

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return given[batch.rows], stand_in[batch.rows]

    made_of = " or ".join(dict.fromkeys(plan.made_of for plan in plans))
    return Plan(rank, capacity, become, made_of, component=component), classes


class _Deal(NamedTuple):
    """What the rows of a class turn into, in the order of their turns."""

    rows: list[int]
    kinds: list[int]
    own_turns: list[int]


def _deal(rows: Rows, wanted: Order, plans: Sequence[Plan], label: int, spare: bool = False) -> _Deal:
    """Give the rows of a class their turns and kinds, until a kind has none left.

    Args:
        rows: of the class.
        wanted: kinds, in the order of turns.
        plans: of the kinds.
        label: the class.
        spare: rows that fit a kind which not all rows fit are left to it as long as there are others.
    """
    queues = []
    for plan in plans:
        queue = rows[np.argsort(plan.rank[rows], kind="stable")]
        if plan.fits is not None:
            queue = queue[plan.fits[queue]]
        elif spare:
            choosy = [other.fits[queue] for other in plans if other.fits is not None]
            queue = queue[np.argsort(np.any(choosy, axis=0), kind="stable")] if choosy else queue
        queues.append(iter(queue.tolist()))
    dealt = _Deal([], [], [])
    taken: set[int] = set()
    num_dealt = [0] * len(plans)
    for kind in wanted.tolist():
        row = next((row for row in queues[kind] if row not in taken), None)
        if row is None or num_dealt[kind] == plans[kind].capacity[label]:
            break
        taken.add(row)
        for values, value in zip(dealt, (row, kind, num_dealt[kind]), strict=True):
            values.append(value)
        num_dealt[kind] += 1
    return dealt
