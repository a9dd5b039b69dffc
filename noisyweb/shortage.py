"""What to do where there are too few wrong labels for a level: say so, ask for less, or keep fewer clean rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

import numpy as np

from noisyweb.errors import ShortageError
from noisyweb.levels import level_text, num_wrong
from noisyweb.plan import Plan
from noisyweb.quota import Counts, Order

POLICIES = ("error", "cap", "shrink")
CAP_DECIMALS = 4


def reachable(order: Order, capacity: Counts) -> int:
    """How many rows of an order of classes can turn wrong before a class has none left."""
    by_class = np.argsort(order, kind="stable")
    sizes = np.bincount(order, minlength=len(capacity))
    nth = np.empty(len(order), np.int64)
    nth[by_class] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    too_many = nth >= capacity[order]
    return int(np.argmax(too_many)) if too_many.any() else len(order)


def capped_level(asked: Decimal, reach: int, num_rows: int) -> Decimal:
    """The level asked for, or the best one of four decimals whose wrong rows are within reach."""
    if num_wrong(asked, num_rows) <= reach:
        return asked
    step = Decimal(1).scaleb(-CAP_DECIMALS)
    level = (Decimal(reach) / max(num_rows, 1)).quantize(step, ROUND_DOWN)
    while num_wrong(level + step, num_rows) <= reach:
        level += step
    return level


def shrunk_sizes(sizes: Counts, capacity: Counts, level: Decimal, plan: Plan, class_names: Sequence[str]) -> Counts:
    """Rows to keep of each class, so that its wrong ones suffice for the level; shape (K,).

    Raises:
        ShortageError: a class has none at all, so that it would vanish, or the kind shares its errors unequally.
    """
    if plan.weights is not None:
        raise ShortageError("shrinking keeps all classes at one level, and this confusion matrix does not; take `cap`")
    if not level:
        return sizes
    most = np.array([int(count // Fraction(level)) for count in capacity.tolist()], np.int64)
    kept = np.minimum(sizes, most)
    gone = np.flatnonzero((kept == 0) & (sizes > 0))
    if len(gone):
        raise ShortageError(
            f"level {level_text(level)}: {len(gone)} classes have no {plan.made_of}, the first "
            f"{class_names[gone[0]]!r}, and would be lost by shrinking; get some, or take `cap`"
        )
    return kept


def refusal(
    what: str, level: Decimal, need: Counts, plan: Plan, class_names: Sequence[str], reach: int, num_rows: int
) -> ShortageError:
    """Which classes have how many wrong labels and need how many, and the level that can be reached."""
    most = f"Ask for at most {int(reach / num_rows * 1000) / 1000:g}"
    short = np.flatnonzero(need > plan.capacity)
    if not len(short):  # no class is short, all of them together are
        return ShortageError(
            f"{what} noise at {level_text(level)}: too few {plan.made_of}: {reach:,} can be wrong and "
            f"{num_wrong(level, num_rows):,} should be. {most}, take --on-shortage cap, or add more of them"
        )
    worst = short[np.argsort((plan.capacity - need)[short], kind="stable")]
    named = ", ".join(f"{class_names[k]!r} has {plan.capacity[k]} and needs {need[k]}" for k in worst[:3])
    more = f" and {len(short) - 3} more" if len(short) > 3 else ""
    missing = int((need - plan.capacity)[short].sum())
    return ShortageError(
        f"{what} noise at {level_text(level)}: too few {plan.made_of} for {len(short)} of {len(class_names)} classes: "
        f"{named}{more}; {missing:,} are missing in all. {most}, take --on-shortage cap or shrink, or add more of them"
    )
