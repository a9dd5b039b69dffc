"""A stream of random draws that hangs on a key alone: the same on every machine and in every process."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_UNPACK = struct.Struct("<8Q").unpack
_STEP = 2.0**-53


class Stream:
    """Draws one after another from BLAKE2b of the key and a counter, eight a hash.

    Args:
        key: what the draws are for (edition, class, image, ...); its parts are joined as text.
    """

    def __init__(self, *key: str | int) -> None:
        self._key = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
        self._counter = 0
        self._left: list[int] = []

    def unit(self) -> float:
        """Uniform in [0, 1), 53 bits."""
        if not self._left:
            salt = self._counter.to_bytes(16, "little")
            self._left = list(_UNPACK(hashlib.blake2b(self._key, digest_size=64, salt=salt).digest()))
            self._counter += 1
        return (self._left.pop() >> 11) * _STEP

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def below(self, high: int) -> int:
        """Uniform integer in [0, high)."""
        return int(self.unit() * high)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all alike."""
        return options[int(self.unit() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options, given as (option, weight); weights need not add up to 1."""
        place = self.unit() * sum(weight for _, weight in options)
        for option, weight in options:
            place -= weight
            if place < 0:
                return option
        return options[-1][0]
