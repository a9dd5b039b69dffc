"""``noisyweb label pull``: votes from Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._labels import Folder, MinVotes, collect
from noisyweb.cli.label_push import Keys, Url, token


def pull(
    workspace: Folder = Path("workspace"),
    url: Url = None,
    project: Annotated[str | None, typer.Option(help="Its title or id.  [default: the one that was pushed to]")] = None,
    keys: Keys = None,
    min_votes: MinVotes = None,
) -> None:
    """Fetch all answers from Label Studio as votes and work out the verdicts.

    Pulling twice changes nothing; an answer that was changed there replaces the earlier vote. The token comes from
    where `noisyweb label push` takes it. Example: noisyweb label pull --workspace workspace
    """
    from noisyweb.label_studio.record import read_record
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    options = {"workspace": str(workspace), "token": token(keys)}
    options |= {name: value for name, value in (("url", url), ("project", project)) if value is not None}
    collect(place, "label-studio", options, min_votes)
    seen = read_record(place.on_disk()).pulled
    typer.echo(f"Label Studio: {seen.votes:,} votes in {seen.tasks:,} tasks")
    left_out = {
        "tasks that are no question of this workspace": seen.strangers,
        "skipped": seen.cancelled,
        "answered again by the same person": seen.superseded,
        "without one of the answers": seen.unusable,
    }
    if any(left_out.values()):
        typer.echo("not counted: " + ", ".join(f"{count:,} {name}" for name, count in left_out.items() if count))
