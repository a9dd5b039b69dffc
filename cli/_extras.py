"""What is said when an optional package is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from noisyweb.errors import MissingExtraError


@contextlib.contextmanager
def training_extra(purpose: str = "training") -> Iterator[None]:
    """For imports of what needs torch, for a purpose.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(missing, "train", purpose) from None
