"""``noisyweb label serve``: the annotation page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.cli._labels import Folder, print_verdicts, refresh

if TYPE_CHECKING:
    from noisyweb.annotate.book import Book


def serve(
    workspace: Folder = Path("workspace"),
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set whose clean images are shown beside each question, and hidden among them."),
    ] = None,
    annotator: Annotated[
        list[str] | None,
        typer.Option(help="Invite somebody new and print their link; may be given several times."),
    ] = None,
    votes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=9,
            help="Votes for each image; two more where they disagree.  [default: as many as a verdict needs, 3]",
            show_default=False,
        ),
    ] = None,
    known_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Hidden images with known answers for each real one, 6 a class.")
    ] = 0.1,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 8100,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="What browsers call this page behind a proxy, such as https://label.example.org."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Certificate (PEM), for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of the questions.")] = 0,
) -> None:
    """Open a web page where annotators answer "is this a <class>?" until it is stopped by Ctrl-C.

    Each annotator has a name and a token, made by --annotator or `noisyweb label invite`. Each image is shown to three
    people, to two more if they disagree. Every answer is on the disk before the page calls it saved.

    Example: noisyweb label serve --workspace workspace --dataset cars --annotator anna --annotator bob
    """
    from noisyweb.annotate.links import check_origin, link, owner_name
    from noisyweb.annotate.prepare import prepare
    from noisyweb.annotate.roster import annotators, checked_name, invite
    from noisyweb.annotate.server import ServeOptions, check_packages
    from noisyweb.annotate.server import serve as serve_page
    from noisyweb.cli._bars import bars
    from noisyweb.consensus.settings import read_settings
    from noisyweb.dataset import load_dataset
    from noisyweb.errors import LabelError
    from noisyweb.workspace import Workspace

    check_packages()
    place = Workspace(workspace)
    settings = read_settings(place.on_disk())
    first = settings.min_votes if votes is None else votes
    origins = [check_origin(each) for each in origin or []]
    if (certificate is None) != (key is None):
        raise LabelError("https needs both --certificate and --key; give the other one too, or neither")
    names = [checked_name(name) for name in annotator or []]
    clean = load_dataset(dataset).train() if dataset is not None else None
    tokens: dict[str, str] = {}

    def begin(book: Book) -> None:
        with bars() as progress:
            prepare(place, book, clean, seed, progress)
        known = annotators(book)
        wanted = names or ([] if known else [owner_name()])
        tokens.update({name: invite(book, name) for name in wanted if name not in known})
        _say_what_is_asked(book)
        if first < settings.min_votes:
            typer.echo(f"{first} votes an image, but a verdict needs {settings.min_votes}: most will stay undecided")
        for name in set(wanted) & set(known):
            typer.echo(f"{name}: invited before, the link still holds; `noisyweb label invite` makes a new one")

    def ready(address: str) -> None:
        shown = origins[0] if origins else address
        typer.echo(f"annotation page: {address}/  (Ctrl-C ends it; every answer is saved at once)")
        for name, token in tokens.items():
            typer.echo(f"  {name}: {link(shown, name, token)}")
        if host in ("0.0.0.0", "::"):
            typer.echo("  it listens at all addresses: put this machine's own into the links")
        if not shown.startswith("https:") and host not in ("127.0.0.1", "::1", "localhost"):
            typer.echo("  it is served without https: tokens and answers can be read on the way")

    options = ServeOptions(host, port, origins, certificate, key, first, known_share, seed)
    serve_page(place, options, begin, ready)
    refresh(place)
    print_verdicts(place)


def _say_what_is_asked(book: Book) -> None:
    asked = book.questions()
    real = [question for question in asked if question.known is None]
    classes = len({question.label for question in real})
    typer.echo(
        f"questions: {len(real):,} about {classes:,} classes, {len(asked) - len(real):,} known answers among them"
    )
