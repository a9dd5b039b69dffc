"""The options of commands whose work can be spread over processes or machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.errors import SourceError

if TYPE_CHECKING:
    from noisyweb.scale.engine import Engine

ENGINE = Annotated[
    str | None,
    typer.Option(
        help="Spread the work: local (processes of this machine) or ray (a cluster).  [default: this process, or local "
        "where the workspace is at a URL]"
    ),
]
ADDRESS = Annotated[
    str | None,
    typer.Option(help="Of a Ray cluster: HOST:6379 or auto.  [default: $RAY_ADDRESS, or a Ray of this machine alone]"),
]
WORKERS = Annotated[int | None, typer.Option(min=1, help="Of the engine, at once.  [default: one a processor]")]


@contextlib.contextmanager
def engine_of(name: str | None, address: str | None, workers: int | None, place: str = "") -> Iterator[Engine | None]:
    """The engine that the options ask for, for the length of a block; None: no engine.

    Args:
        name, address, workers: as given.
        place: where the work is about, if that needs an engine when it is a URL.

    Raises:
        SourceError: an address or workers without an engine.
    """
    from noisyweb.plain_url import is_url

    if name is None and is_url(place):
        name = "local"
    if name is None:
        if address is not None or workers is not None:
            option = f"--address {address}" if address is not None else f"--workers {workers}"
            raise SourceError(f"{option}: only an engine has it; add --engine ray or --engine local")
        yield None
        return
    from noisyweb.scale.engine import open_engine

    with open_engine(name, address, workers) as engine:
        yield engine
