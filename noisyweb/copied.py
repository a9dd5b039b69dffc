"""What images are copies of, as columns: some 20 bytes an image, however many are copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisyweb.image_ids import Ints
from noisyweb.proof import Match
from noisyweb.schemas import DUPLICATE_KINDS

_CODES = {kind: code for code, kind in enumerate(DUPLICATE_KINDS)}


class Copied:
    """For each of N images the one that it is a copy of, if any, and how.

    Args:
        size: N.

    Attributes:
        others: places of the others; -1: a copy of none. Shape (N,).
        kinds: indices into `noisyweb.schemas.DUPLICATE_KINDS`.
        distances: in bits; -1: none.
        agreements: NaN: none.
    """

    def __init__(self, size: int) -> None:
        self.others: Ints = np.full(size, -1)
        self.kinds = np.zeros(size, np.int8)
        self.distances = np.full(size, -1, np.int16)
        self.agreements = np.full(size, np.nan, np.float32)

    @property
    def is_copy(self) -> npt.NDArray[np.bool_]:
        """Shape (N,)."""
        return self.others >= 0

    def near(self, places: Ints, others: Ints, distances: npt.NDArray[np.integer]) -> None:
        """Let some images be near copies, by the hash."""
        self.others[places], self.kinds[places] = others, _CODES["near"]
        self.distances[places], self.agreements[places] = distances, np.nan

    def set(self, place: int, other: int, match: Match) -> None:
        """Let one image be a copy."""
        self.others[place], self.kinds[place] = other, _CODES[match.kind]
        self.distances[place] = -1 if match.distance is None else match.distance
        self.agreements[place] = np.nan if match.agreement is None else match.agreement

    def clear(self, place: int) -> None:
        """Let one image be no copy."""
        self.others[place] = -1

    def match(self, place: int) -> Match:
        """How an image is a copy."""
        distance, agreement = int(self.distances[place]), float(self.agreements[place])
        kind = DUPLICATE_KINDS[self.kinds[place]]
        return Match(kind, None if distance < 0 else distance, None if np.isnan(agreement) else agreement)
