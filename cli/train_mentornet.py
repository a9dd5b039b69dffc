"""``noisyweb train-mentornet``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noisyweb.training.mentor_training import TargetRows


def train_mentornet(
    out: Annotated[Path, typer.Option(help="The file to write, such as mentor.safetensors.")],
    curriculum: Annotated[
        str | None,
        typer.Option(help="predefined, self-paced, linear-self-paced, hard-example or focal."),
    ] = None,
    gamma: Annotated[float | None, typer.Option(help="Of linear-self-paced and focal; 1 if not given.")] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="Learn from a CSV or Parquet table with percent (0..100), loss, diff and is_clean."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Learn from the losses of a run whose folder has kept its rows.")
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(help="With --run: what it was trained on, if that has been moved since.")
    ] = None,
    percentile: Annotated[
        float | None, typer.Option(help="With --run: of an epoch's losses, 0..1, to compare each with; 0.7.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Of 32 rows.")] = 30_000,
    seed: Annotated[int, typer.Option(help="Of weights and draws.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Train a MentorNet: the small network that weighs examples for --method mentornet and mentormix.

    It learns a curriculum (the predefined one is what the authors released), or, from losses of labels that are
    known to be right or wrong, a curriculum of its own: from a table, or from a run on a manifest.

    \b
    Examples:
      noisyweb train-mentornet --curriculum predefined --out mentor.safetensors
      noisyweb train-mentornet --curriculum focal --gamma 2 --out focal.safetensors
      noisyweb train-mentornet --rows losses.csv --out mentor.safetensors
      noisyweb train-mentornet --run runs/cars-red-0.4-standard-s0 --percentile 0.6 --out mentor.safetensors
    """
    from noisyweb.cli._bars import bars
    from noisyweb.cli._extras import training_extra
    from noisyweb.errors import OutputError, TrainingError

    with training_extra():
        from noisyweb.training.mentor_network import save_network
        from noisyweb.training.mentor_training import fit_error, train_mentor

    sources = {"--curriculum": curriculum, "--rows": rows, "--run": run}
    named = [name for name, value in sources.items() if value is not None]
    if len(named) != 1:
        found = f"{' and '.join(named)} exclude each other" if named else "nothing to learn from"
        raise TrainingError(f"{found}; name one of --curriculum, --rows and --run")
    _check_needed("--gamma", gamma, "--curriculum", curriculum)
    _check_needed("--manifest", manifest, "--run", run)
    _check_needed("--percentile", percentile, "--run", run)
    if out.is_dir():
        raise OutputError(f"{out}: a folder; name a file with --out, such as {out / 'mentor.safetensors'}")
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: it is there already; --overwrite to replace it, or name another file with --out")

    what, targets, about = _targets(curriculum, gamma, rows, run, manifest, percentile)
    typer.echo(f"{what}: {len(targets.loss):,} rows, {steps:,} steps, seed {seed}")
    with bars({"training MentorNet": 32}) as shown:
        network = train_mentor(targets, steps=steps, seed=seed, progress=shown)
    error_by_phase = fit_error(network, targets)
    save_network(network, out, {**about, "rows": targets.digest, "steps": steps, "seed": seed})
    before, after = ("no rows" if error is None else f"{error:.4f}" for error in error_by_phase)
    typer.echo(f"mean absolute error of the weights: below 80 % of the training {before}, from 80 % on {after}")
    compared = f" --percentile {about['percentile']:g}" if "percentile" in about else ""
    typer.echo(f"{out}: use it with noisyweb train --method mentornet --mentor {out}{compared}")


def _check_needed(name: str, value: object, with_name: str, with_value: object) -> None:
    from noisyweb.errors import TrainingError

    if value is not None and with_value is None:
        raise TrainingError(f"{name} goes with {with_name} only; leave it out")


def _targets(
    curriculum: str | None,
    gamma: float | None,
    rows: Path | None,
    run: Path | None,
    manifest: str | None,
    percentile: float | None,
) -> tuple[str, TargetRows, dict[str, Any]]:
    """What is learned from: in words, as rows, and as the file tells it."""
    from noisyweb.training.mentor_rows import PERCENTILE, read_rows, run_rows
    from noisyweb.training.mentor_training import curriculum_rows

    if curriculum is not None:
        targets = curriculum_rows(curriculum, gamma)
        return f"curriculum {curriculum}", targets, {"curriculum": curriculum, "gamma": gamma}
    if rows is not None:
        return str(rows), read_rows(rows), {"curriculum": "rows"}
    assert run is not None
    p = PERCENTILE if percentile is None else percentile
    return str(run), run_rows(run, manifest, p), {"curriculum": "run", "percentile": p}
