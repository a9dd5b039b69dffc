"""Mixtures: the wrong rows of a set are of several kinds, in exact shares at every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

from noisyweb import plugins
from noisyweb.errors import LevelError
from noisyweb.imageset import Labels
from noisyweb.levels import level_text
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.quota import Counts, Order, class_order, loosened

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

    def weights(self) -> Counts:
        """The shares as whole numbers, shape (M,)."""
        return np.array([int(share * 10**MAX_DECIMALS) for share in self.shares.values()], np.int64)


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

    Position t of the order of classes gets a kind in an order of its own, both exact in every prefix and loosened, so
    that kinds are spread over classes as if at random. The next row of that kind's own order that is still right then
    turns wrong in its way.
    """
    plans = [plugins.load(PACKAGE, "kind", kind).plan(source, seed) for kind in mix.kinds]
    if len(plans) == 1:
        return plans[0], None
    sizes = source.class_sizes()
    num_rows = int(sizes.sum())
    classes = loosened(class_order(sizes, num_rows), sizes, seed, "mix classes")
    kinds = loosened(class_order(mix.weights(), num_rows), mix.weights(), seed, "mix kinds")
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
        served = _deal(rows, wanted, plans, label, rank, component, own_turn)
        capacity[label] = served
    given = labels.copy()
    stand_in = np.full(num_rows, -1, np.int64)
    for number, plan in enumerate(plans):
        some = np.flatnonzero((component == number) & (rank < capacity[labels]))
        given[some], stand_in[some] = plan.become(Batch(some, labels[some], keys[some], own_turn[some]))

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return given[batch.rows], stand_in[batch.rows]

    made_of = " or ".join(dict.fromkeys(plan.made_of for plan in plans))
    return Plan(rank, capacity, become, made_of, component=component), classes


def _deal(
    rows: Rows,
    wanted: Order,
    plans: Sequence[Plan],
    label: int,
    rank: Rows,
    component: npt.NDArray[np.int8],
    own_turn: Rows,
) -> int:
    """Give the rows of a class their turns and kinds, until a kind has none left; how many turns were served."""
    queues = [rows[np.argsort(plan.rank[rows], kind="stable")][: plan.capacity[label]].tolist() for plan in plans]
    place, dealt = [0] * len(plans), [0] * len(plans)
    taken: set[int] = set()
    turn = 0
    for kind in wanted.tolist():
        queue = queues[kind]
        while place[kind] < len(queue) and queue[place[kind]] in taken:
            place[kind] += 1
        if place[kind] == len(queue):
            break
        row = queue[place[kind]]
        taken.add(row)
        rank[row], component[row], own_turn[row] = turn, kind, dealt[kind]
        dealt[kind] += 1
        turn += 1
    left = [row for row in rows.tolist() if row not in taken]
    rank[left] = np.arange(turn, turn + len(left))
    return turn
