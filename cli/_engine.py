"""The options of commands whose work can be spread over processes or machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.errors import SourceError

if TYPE_CHECKING:
    from noisyweb.scale.engine import Engine
    from noisyweb.scale.spread_dedup import Sizes

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
SIZES = Annotated[
    str | None,
    typer.Option(
        help="How an engine's work is cut, smaller where its workers lack memory; any of: images=1024 (of a shard), "
        "hashes=1000000, views=100000, vectors=65536 (images of a block), proofs=2000 (pairs of a shard)."
    ),
]


def sizes_of(text: str | None, engine: str | None, place: str) -> Sizes | None:
    """What `SIZES` asks for, such as ``images=100,views=5000``; for the engine and the place see `engine_of`.

    Raises:
        SourceError: a name that is none, a number that is none, or no engine.
    """
    if text is None:
        return None
    if _chosen(engine, place) is None:
        raise SourceError(f"--sizes {text}: only an engine's work is cut; add --engine ray or --engine local")
    from dataclasses import fields

    from noisyweb.scale.spread_dedup import Sizes

    wanted: dict[str, int] = {}
    names = [field.name for field in fields(Sizes)]
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in names or not number.isdecimal() or not int(number):
            raise SourceError(
                f"--sizes {part.strip()}: expected NAME=NUMBER, NAME being one of {', '.join(names)}, "
                "NUMBER being 1 or more"
            )
        wanted[name] = int(number)
    return Sizes(**wanted)


@contextlib.contextmanager
def engine_of(name: str | None, address: str | None, workers: int | None, place: str = "") -> Iterator[Engine | None]:
    """The engine that the options ask for, for the length of a block, and at its end what it did; None: no engine.

    Args:
        name, address, workers: as given.
        place: where the work is about, if that needs an engine when it is a URL.

    Raises:
        SourceError: an address or workers without an engine.
    """
    name = _chosen(name, place)
    if name is None:
        if address is not None or workers is not None:
            option = f"--address {address}" if address is not None else f"--workers {workers}"
            raise SourceError(f"{option}: only an engine has it; add --engine ray or --engine local")
        yield None
        return
    from noisyweb.scale.engine import open_engine

    with open_engine(name, address, workers) as engine:
        yield engine
        typer.echo(f"engine {name}: {engine.tally.line()}", err=True)


def _chosen(name: str | None, place: str) -> str | None:
    from noisyweb.plain_url import is_url

    return "local" if name is None and is_url(place) else name
