"""How a workspace's votes become verdicts: <workspace>/consensus.json keeps what was asked for last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from noisyweb import plugins
from noisyweb.errors import CorruptFileError
from noisyweb.places import write_whole
from noisyweb.remote_path import Place

NAME = "consensus.json"
METHODS = "noisyweb.consensus.methods"
MIN_VOTES = 3


@dataclass(frozen=True)
class ConsensusSettings:
    """What verdicts hang on.

    Attributes:
        method: a plug-in of `noisyweb.consensus.methods`.
        min_votes: decisive votes that a verdict needs, at least 1.
        count_weak: whether a machine's guesses count like people's votes.
    """

    method: str = "majority"
    min_votes: int = MIN_VOTES
    count_weak: bool = False


def write_settings(folder: Place, settings: ConsensusSettings) -> None:
    """Write them into a workspace's folder."""
    write_whole(folder / NAME, (json.dumps(asdict(settings), indent=1, sort_keys=True) + "\n").encode())


def read_settings(folder: Place) -> ConsensusSettings:
    """A workspace's settings; the defaults where none were written.

    Raises:
        CorruptFileError: the file is damaged, or asks for what there is not.
    """
    path = folder / NAME
    if not path.exists():
        return ConsensusSettings()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("expected an object")
        _check(content)
    except (ValueError, OSError, RecursionError) as error:
        why = str(error).splitlines()[0]
        raise CorruptFileError(
            f"{path}: damaged ({why}); delete it and run `noisyweb label consensus` with the options that you want"
        ) from error
    return ConsensusSettings(**content)


def _check(content: dict[str, object]) -> None:
    unknown = sorted(set(content) - {field.name for field in fields(ConsensusSettings)})
    if unknown:
        raise ValueError(f"unknown setting {unknown[0][:60]!r}")
    defaults = ConsensusSettings()
    method = content.get("method", defaults.method)
    known = plugins.names(METHODS)
    if method not in known:
        raise ValueError(f"method is {str(method)[:60]!r}, expected one of {', '.join(known)}")
    min_votes = content.get("min_votes", defaults.min_votes)
    if type(min_votes) is not int or not 1 <= min_votes < 2**31:
        raise ValueError(f"min_votes is {str(min_votes)[:60]!r}, expected a whole number from 1")
    if not isinstance(content.get("count_weak", defaults.count_weak), bool):
        raise ValueError("count_weak is neither true nor false")
