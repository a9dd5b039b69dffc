"""Every error that noisyweb raises on purpose.

    NoisywebError                 a user's mistake or a condition they can act on; exit code 2
    ├── UnknownNameError          no data set, kind, provider, method, ... of that name
    ├── LevelError                a noise level that is not a number in [0, 1]
    ├── DefinitionError           a data-set definition (TOML) that cannot be used
    ├── SourceError               images, labels or tables that cannot be read as described
    │   └── CorruptFileError      a file that is damaged, not merely unsuitable
    ├── ShortageError             too few wrong labels for the level asked for
    ├── LeakError                 a web image that is also a clean image
    ├── OutputError               an output folder or disk that cannot take the result
    ├── RemoteError               a store behind a URL that refuses or does not answer
    ├── CrawlError                a search or fetch that cannot go on
    ├── LabelError                votes that cannot be used
    ├── MissingExtraError         an optional package that is not installed
    ├── TrainingError             a training run that cannot start or go on
    └── VerificationError         a build that is not what its lock file says; exit code 1

Messages are one line: the thing, what was found, what was expected, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class NoisywebError(Exception):
    """Base of all deliberate errors; the command line prints it as one line."""

    exit_code = 2

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its message: some of its kinds are made of other arguments."""
        return _unpickled, (type(self), str(self)), self.__dict__


def _unpickled(kind: type[NoisywebError], message: str) -> NoisywebError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error


class UnknownNameError(NoisywebError):
    """No thing of that name; the message lists the known ones and the nearest."""

    def __init__(self, thing: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        message = f"unknown {thing} {name!r}"
        message += f"; did you mean {nearest[0]!r}?" if nearest else ";"
        message += f" known: {', '.join(names) or 'none'}"
        super().__init__(f"{message}. {hint}" if hint else message)


class LevelError(NoisywebError):
    """A noise level that is not a number in [0, 1]."""


class DefinitionError(NoisywebError):
    """A data-set definition that cannot be used."""


class SourceError(NoisywebError):
    """Images, labels or tables that cannot be read as described."""


class CorruptFileError(SourceError):
    """A file that is damaged, not merely unsuitable."""


class ShortageError(NoisywebError):
    """Too few wrong labels for the level asked for."""


class LeakError(NoisywebError):
    """A web image that is also a clean image."""


class OutputError(NoisywebError):
    """An output folder or disk that cannot take the result."""


class RemoteError(NoisywebError):
    """A store behind a URL that refuses or does not answer."""


class CrawlError(NoisywebError):
    """A search or fetch that cannot go on."""


class LabelError(NoisywebError):
    """Votes that cannot be used."""


class TrainingError(NoisywebError):
    """A training run that cannot start or go on."""


class MissingExtraError(NoisywebError):
    """An optional package that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed; pip install 'noisyweb[{extra}]'")


class VerificationError(NoisywebError):
    """A build that is not what its lock file says."""

    exit_code = 1
