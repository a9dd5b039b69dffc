"""Labels that have come apart from their images: moved by some rows, or shuffled. No level need be known for it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from noisyweb.audit.rows import AuditSet, Finding

_SHIFTS = (1, -1, 2, -2)
_FEWEST_WRONG = 4
"""Fewer wrong rows may fit elsewhere by accident."""
_FEWEST_ROWS = 1000
"""Of fewer rows nobody can tell chance from much noise."""


def slipped(one: AuditSet, num_classes: int) -> Iterator[Finding]:
    """Labels that fit far better some rows higher or lower, or that are right no more often than by chance.

    By chance, rows agree as often as if the labels had been shuffled: the sum over classes of (rows given it) x (rows
    that are it) / N. Where a level was asked for, the check of levels tells chance; here it is where none was.
    """
    fits = (one.given >= 0) & (one.given < num_classes)
    known = (one.true >= 0) & (one.true < num_classes) & fits
    given, true = one.given[known], one.true[known]
    num_known, wrong = len(true), int((given != true).sum())
    if wrong < _FEWEST_WRONG or (true == true[0]).all():
        return
    for shift in _SHIFTS:
        left = _wrong_if_moved(one, known, shift)
        if 3 * left <= wrong:
            rows = f"{abs(shift)} row{'s' if abs(shift) > 1 else ''} too {'low' if shift > 0 else 'high'}"
            message = (
                f"labels stand {rows}: {wrong:,} of {num_known:,} are wrong as they are, {left:,} if they are moved; "
                "join labels and images by id, not by position"
            )
            yield Finding("slipped", "fault", one.name, message, wrong)
            return
    agree = num_known - wrong
    counts = np.bincount(given, minlength=num_classes) * np.bincount(true, minlength=num_classes)
    chance = float(counts.sum()) / num_known
    if (
        one.asked is None
        and num_known >= _FEWEST_ROWS
        and abs(agree - chance) <= 3 * math.sqrt(chance)
        and 2 * chance < num_known
    ):
        message = (
            f"{agree / num_known:.1%} of the labels are right, and {chance / num_known:.1%} would be by chance: labels "
            "and images do not belong together; join them by id, not by position"
        )
        yield Finding("slipped", "fault", one.name, message, wrong)


def _wrong_if_moved(one: AuditSet, known: np.ndarray, shift: int) -> int:
    """Wrong rows if each row had the label that stands ``shift`` rows below it; what is moved out is left out."""
    here, there = (slice(None, -shift), slice(shift, None)) if shift > 0 else (slice(-shift, None), slice(None, shift))
    both = known[here] & known[there]
    return int((one.true[here] != one.given[there])[both].sum()) + int(not both.any()) * len(known)
