"""``noisyweb label simulate``: votes of simulated annotators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._labels import Folder, MinVotes, collect


def simulate(
    workspace: Folder = Path("workspace"),
    truth: Annotated[
        str | None,
        typer.Option(help="Table of what the images show: image_id or url, label, is_right.  [default: the drawn web]"),
    ] = None,
    annotators: Annotated[int, typer.Option(min=1, help="How many simulated people answer each question.")] = 3,
    skill: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability that one answers rightly.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the simulated answers.")] = 0,
    min_votes: MinVotes = None,
) -> None:
    """Answer every question by simulated annotators: for trying out and planning, never for claims."""
    from noisyweb.workspace import Workspace

    options = {"annotators": str(annotators), "skill": str(skill), "seed": str(seed)}
    if truth is not None:
        options["truth"] = truth
    collect(Workspace(workspace), "simulated", options, min_votes)
