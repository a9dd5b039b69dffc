"""Random draws that are the same on every machine, in any row order, for ever.

Each draw is a hash of (seed, what the draw is for, the row's own key). Rows therefore keep their draws when
others are added or the order changes, and nothing depends on a library's random streams, which may change
between versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]


def row_keys(names: Iterable[str]) -> Keys:
    """64-bit keys of the rows' names (image ids, paths or URLs), shape (N,)."""
    digest = hashlib.blake2b
    joined = b"".join(digest(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in names)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def bits(keys: Keys, seed: int, *purpose: str | int) -> Keys:
    """64 fresh random bits a row, shape (N,): splitmix64 of the key and of (seed, purpose)."""
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    stream = np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))
    with np.errstate(over="ignore"):
        return _mix(_mix(keys ^ stream) + stream)


def uniforms(keys: Keys, seed: int, *purpose: str | int) -> npt.NDArray[np.float64]:
    """Uniform draws in [0, 1), shape (N,), 53 bits each."""
    return (bits(keys, seed, *purpose) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(keys: Keys, high: int | npt.NDArray[np.int64], seed: int, *purpose: str | int) -> npt.NDArray[np.int64]:
    """Uniform integers in [0, high), shape (N,); ``high`` may differ from row to row and must be positive."""
    return np.floor(uniforms(keys, seed, *purpose) * high).astype(np.int64)


def _mix(x: Keys) -> Keys:
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
