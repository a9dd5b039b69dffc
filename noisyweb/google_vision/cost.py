"""What Cloud Vision's label detection costs. Google's prices change: `PRICES` says of when it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Prices:
    """A price list in tiers, counted anew each calendar month and for a whole billing account.

    Attributes:
        as_of: when it was looked up, year and month.
        tiers: up to which unit of the month (None: without end), and USD per 1,000 units from the last tier's end on.
    """

    as_of: str
    tiers: Sequence[tuple[int | None, Decimal]]

    @property
    def num_free(self) -> int:
        """Units a month that cost nothing."""
        last, price = self.tiers[0]
        return last if last is not None and price == 0 else 0


PRICES = Prices("2026-11", ((1_000, Decimal(0)), (5_000_000, Decimal("1.50")), (None, Decimal("1.00"))))
"""Label detection: one unit an image, https://cloud.google.com/vision/pricing; parts of 1,000 units are prorated."""


def cost_usd(num_images: int, num_before: int = 0, prices: Prices = PRICES) -> Decimal:
    """What labels of images cost, exactly, in US dollars, before taxes.

    Args:
        num_images: sent now.
        num_before: units that this month has seen already.
        prices: the price list.
    """
    total, start = Decimal(0), 0
    for end, price in prices.tiers:
        first, last = max(start, num_before), num_before + num_images
        units = max(0, (last if end is None else min(last, end)) - first)
        total += units * price / 1_000
        start = end if end is not None else start
    return total
