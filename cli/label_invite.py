"""``noisyweb label invite``: who may answer on the annotation page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._labels import Folder


def invite(
    names: Annotated[list[str], typer.Argument(help="Who may answer.")],
    workspace: Folder = Path("workspace"),
    page: Annotated[str, typer.Option(help="The page's address, for the links.")] = "http://127.0.0.1:8100",
    revoke: Annotated[bool, typer.Option("--revoke", help="Shut them out instead; their answers stay.")] = False,
) -> None:
    """Invite annotators to the annotation page: a link each, which signs in whoever opens it.

    The tokens in the links are kept only as hashes: inviting somebody again makes a new one and ends the old. It can be
    done while the page is open. Example: noisyweb label invite anna bob --workspace workspace
    """
    from noisyweb.annotate import roster
    from noisyweb.annotate.book import Book
    from noisyweb.annotate.links import check_origin, link
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    shown = check_origin(page)
    wanted = [roster.checked_name(name) for name in names]
    book = Book(place.on_disk())
    for name in wanted:
        if revoke:
            roster.revoke(book, name)
            typer.echo(f"{name}: shut out")
        else:
            typer.echo(f"{name}: {link(shown, name, roster.invite(book, name))}")
    book.close()
