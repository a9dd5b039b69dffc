"""What is said when an optional package is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from noisyweb.errors import MissingExtraError


@contextlib.contextmanager
def training_extra() -> Iterator[None]:
    """For imports of what needs torch.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(missing, "train", "training") from None
