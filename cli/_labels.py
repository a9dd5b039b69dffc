"""What the ``noisyweb label`` commands share: their options, and what happens after votes have come in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.cli._places import local_folder

if TYPE_CHECKING:
    from noisyweb.votes import VoteReport
    from noisyweb.workspace import Workspace

Folder = Annotated[Path, typer.Option("--workspace", parser=local_folder, metavar="PATH", help="The workspace folder.")]
MinVotes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Yes and no votes an image needs before it gets a verdict; kept for later.  [default: 3]",
        show_default=False,
    ),
]


def collect(place: Workspace, backend: str, options: Mapping[str, str], min_votes: int | None = None) -> None:
    """Take votes from a labelling backend into a workspace, work out the verdicts, print both."""
    from noisyweb import plugins
    from noisyweb.annotate.harvest import harvest
    from noisyweb.consensus import update
    from noisyweb.votes import add, questions

    with place.locked():
        harvest(place)
        asked = questions(place)
        module = plugins.load("noisyweb.labelling", "labelling backend", backend)
        print_report(add(place, module.collect(asked, options)))
        update(place, min_votes=min_votes)
    print_verdicts(place)


def refresh(place: Workspace) -> None:
    """Take in what the annotation page has collected, and work out verdicts that are older than the votes."""
    from noisyweb.annotate.harvest import harvest, is_pending
    from noisyweb.consensus import is_stale, update

    if is_pending(place) or is_stale(place):  # else nobody else is kept from writing
        with place.locked():
            harvest(place)
            update(place)


def print_report(report: VoteReport) -> None:
    """How many votes came in."""
    typer.echo(f"votes: {report.new:,} new, {report.changed:,} changed, {report.same:,} already there")


def print_verdicts(place: Workspace) -> None:
    """The state of a workspace's verdicts."""
    from noisyweb.consensus import summary

    for line in summary(place.read("votes"), place.read("verdicts")):
        typer.echo(line)
