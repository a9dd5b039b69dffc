"""``noisyweb label consensus``: verdicts from the votes that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._labels import Folder, MinVotes, print_verdicts

LOWEST = 5


def consensus(
    workspace: Folder = Path("workspace"),
    method: Annotated[
        str | None,
        typer.Option(
            help="majority, dawid-skene (weighs annotators) or glad (images too; slow); kept for later."
            "  [default: majority]",
            show_default=False,
        ),
    ] = None,
    min_votes: MinVotes = None,
    count_weak: Annotated[
        bool | None,
        typer.Option(
            "--count-weak/--no-count-weak",
            help="Whether a machine's guesses count like people's votes; kept for later.  [default: no-count-weak]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Work out the verdicts anew from all votes, and show how far annotators agree.

    \b
    Examples:
      noisyweb label consensus --workspace workspace
      noisyweb label consensus --method dawid-skene --min-votes 5
    """
    from noisyweb.annotate.harvest import harvest
    from noisyweb.cli._vote_view import alpha_line, lowest_lines
    from noisyweb.consensus import update
    from noisyweb.consensus.agreement import agreement
    from noisyweb.consensus.settings import read_settings
    from noisyweb.consensus.tally import tally
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    names = place.class_names()
    with place.locked():
        harvest(place)
        update(place, min_votes=min_votes, method=method, count_weak=count_weak)
    settings = read_settings(place.on_disk())
    weak = "counting" if settings.count_weak else "not counting"
    least = f"{settings.min_votes:,} or more yes and no votes"
    typer.echo(f"method: {settings.method}, {least} for a verdict, {weak} weak ones")
    print_verdicts(place)
    found = agreement(tally(place.read("votes"), settings.count_weak))
    typer.echo(alpha_line(found))
    for line in lowest_lines(found, names, LOWEST):
        typer.echo(line)
