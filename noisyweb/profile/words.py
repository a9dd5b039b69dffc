"""Phrases of sentences."""

from __future__ import annotations


def share(value: float) -> str:
    """A share in per cent, with a digit more where it is small."""
    return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"


def against_blue(interval: tuple[float, float], blue: tuple[float, float]) -> str:
    """How an interval stands to the range of blue noise."""
    between = f"{share(blue[0])} to {share(blue[1])}"
    if interval[0] > blue[1]:
        return f"more than blue noise of the same level, which gives {between}"
    if interval[1] < blue[0]:
        return f"less than blue noise of the same level, which gives {between}"
    return f"not to be told from blue noise of the same level, which gives {between}"
