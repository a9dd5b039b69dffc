"""Noise levels: the share of wrong labels, as exact decimal numbers."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction

from noisyweb.errors import LevelError

PAPER_LEVELS = tuple(Decimal(text) for text in ("0", "0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "0.5", "0.6", "0.8"))
"""The ten levels of "Beyond Synthetic Noise" (Jiang et al. 2020)."""

MAX_DECIMALS = 12
"""Decimals of a level: more would not change a set of any size, but could make a number too long to work with."""


def parse_level(value: str | float | Decimal) -> Decimal:
    """Read a level exactly: ``0.1`` is one tenth, not the float nearest to it.

    Raises:
        LevelError: it is not a number in [0, 1].
    """
    try:
        level = Decimal(str(value).strip())
    except InvalidOperation:
        raise LevelError(f"noise level {value!r} is not a number; expected one in [0, 1], such as 0.4") from None
    if not level.is_finite() or not 0 <= level <= 1:
        hint = f"; did you mean {level / 100}?" if level.is_finite() and 1 < level <= 100 else ""
        raise LevelError(f"noise level {value} is outside [0, 1]; it is the share of wrong labels{hint}")
    if int(level.as_tuple().exponent) < -MAX_DECIMALS:
        raise LevelError(f"noise level {str(value)[:40]} has more than {MAX_DECIMALS} decimals; round it")
    return abs(level)  # there is no -0


def level_text(level: Decimal) -> str:
    """The level as folder names have it: at least one decimal, no trailing zeros (0.0, 0.05, 0.4)."""
    text = f"{level.normalize():f}"
    return text if "." in text else f"{text}.0"


def num_wrong(level: Decimal, num_rows: int) -> int:
    """How many of ``num_rows`` rows are wrong at ``level``: the product, rounded half up."""
    return int(Fraction(level) * num_rows + Fraction(1, 2))
