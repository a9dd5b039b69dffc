"""``noisyweb study``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pyarrow as pa

    from noisyweb.training.study.cells import Cell
    from noisyweb.training.study.findings import Finding


def study(
    manifest_root: Annotated[
        Path, typer.Option(help="Folder of the builds, such as builds/cars: manifests and clean_validation.")
    ],
    methods: Annotated[str, typer.Option(help="Comma-separated, of `noisyweb train --list`.")] = "standard,mentormix",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, ...")] = 3,
    kinds: Annotated[str | None, typer.Option(help="Kinds of noise, comma-separated; all that were built.")] = None,
    levels: Annotated[str | None, typer.Option(help="Levels, comma-separated; all that were built.")] = None,
    models: Annotated[str, typer.Option(help="Networks, comma-separated; auto: the one for the machine.")] = "auto",
    starts: Annotated[str, typer.Option(help="scratch, fine-tuned, or both, comma-separated.")] = "scratch",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Weights to fine-tune from: FILE, or MODEL=FILE; may be given several times."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; studies/<name of the builds' folder>.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many; call again to go on.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings of a published experiment: train --list.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set, of every run.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels that images are brought to.")] = None,
    augmentation: Annotated[str | None, typer.Option(help="none, crop, light or strong.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd or adamw.")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, step, one-cycle, staircase or constant.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Epochs between evaluations.")] = None,
    tuned: Annotated[
        list[str] | None,
        typer.Option(help="Another value for fine-tuned runs, NAME=VALUE: epochs, lr, batch_size, image_size, ..."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of a method, METHOD.NAME=VALUE; may be given several times.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name the runs and what is left of them, and stop.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the table and the findings as JSON instead.")] = False,
) -> None:
    """Train a grid of methods on all manifests of a folder, and answer the paper's questions with it.

    Every kind x level x method x network x start x seed is one run. A study that was stopped goes on with the same
    command; finished runs are not trained again. The same command on several machines that share the folder takes
    the runs in turns. The table has mean ± standard deviation over the seeds; each finding of "Beyond Synthetic
    Noise" is answered: supported, not supported, or not enough runs. `noisyweb report --study` draws it.

    \b
    Examples:
      noisyweb build --dataset cars --noise 0.2 --noise 0.4 --kind blue
      noisyweb study --manifest-root builds/cars --methods standard,mixup,mentornet,mentormix --seeds 3 --jobs 2
      noisyweb study --manifest-root builds/cars --levels 0.4 --models small,resnet18 --epochs 30 --dry-run
      noisyweb study --manifest-root builds/cars --starts fine-tuned --models timm:resnet18 --weights resnet18.pt
    """
    from noisyweb.cli._bars import bars
    from noisyweb.cli._extras import training_extra
    from noisyweb.levels import parse_level

    with training_extra("a study"):
        from noisyweb.training.config import Wishes
        from noisyweb.training.machine import this_machine
        from noisyweb.training.study import cells as grids
        from noisyweb.training.study.settings import Settings, StudyFolder
        from noisyweb.training.study.study import study as carry_out
        from noisyweb.training.study.work import Failures, state_of

    on_cpu = this_machine(device).device == "cpu"
    grid = grids.Grid(
        methods=_words(methods, "--methods"),
        models=[_model(name, on_cpu) for name in _words(models, "--models")],
        starts=_known(_words(starts, "--starts"), grids.STARTS),
        seeds=range(seeds),
        kinds=None if kinds is None else _words(kinds, "--kinds"),
        levels=None if levels is None else [parse_level(level) for level in _words(levels, "--levels")],
    )
    settings = Settings(
        wishes=Wishes(
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            image_size=image_size,
            augmentation=augmentation,
            optimizer=optimizer,
            schedule=schedule,
            eval_every=eval_every,
        ),
        tuned=Wishes(**_tuned(tuned or ())),
        options=_options(option or (), grid.methods),
        weights=_weights(weights or ()),
        recipe=recipe,
    )
    data = grids.training_sets(manifest_root, grid)
    wanted = grids.cells(data, grid, settings.weights)
    folder = StudyFolder(out if out is not None else Path("studies") / manifest_root.resolve().name)
    if dry_run:
        if folder.exists:
            folder.open(settings, wanted)
        failures = Failures(folder.path)
        for cell in wanted:
            typer.echo(f"{state_of(folder, cell, failures) if folder.exists else 'waiting':<8} {cell.key}")
        typer.echo(f"{len(wanted):,} runs: {_said(grid)} on {len(data)} manifests -> {folder.path}")
        return
    if not json_:
        typer.echo(f"{len(wanted):,} runs: {_said(grid)} on {len(data)} manifests -> {folder.path}")
    with bars() as shown:

        def cell_done(cell: Cell, summary: dict[str, Any] | None, reason: str) -> None:
            if not json_:
                shown.say(f"{cell.key}  {_brief(summary, reason)}")

        rows, findings = carry_out(
            folder,
            settings,
            wanted,
            num_jobs=jobs,
            device=device,
            ends=time.monotonic() + 60 * minutes if minutes is not None else float("inf"),
            cell_done=cell_done,
            progress=shown,
        )
    _print(rows, findings, folder.path, json_)


def _words(text: str, where: str) -> list[str]:
    from noisyweb.errors import TrainingError

    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise TrainingError(f"{where} names nothing; expected names with commas between them")
    if len(set(found)) < len(found):
        raise TrainingError(f"{where} {text!r} names something twice; name each once")
    return found


def _model(name: str, on_cpu: bool) -> str:
    return ("small" if on_cpu else "resnet18") if name == "auto" else name


def _known(names: Sequence[str], known: Iterable[str]) -> Sequence[str]:
    from noisyweb.errors import UnknownNameError

    for name in names:
        if name not in known:
            raise UnknownNameError("start", name, known)
    return names


def _tuned(texts: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE of the settings that fine-tuned runs may have of their own."""
    from noisyweb.errors import TrainingError
    from noisyweb.training.study.settings import PINNED

    kinds = {"epochs": int, "batch_size": int, "image_size": int, "eval_every": int, "lr": float}
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in PINNED:
            raise TrainingError(f"--tuned {text!r}: expected NAME=VALUE with one of {', '.join(PINNED)}")
        try:
            found[name] = kinds.get(name, str)(value)
        except ValueError:
            raise TrainingError(f"--tuned {text!r}: {value!r} is not a number; give one") from None
    return found


def _options(texts: Iterable[str], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    from noisyweb.errors import TrainingError
    from noisyweb.training.method import parse_option

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        method, dot, rest = text.partition(".")
        if not dot or method not in methods:
            raise TrainingError(f"--option {text!r}: expected METHOD.NAME=VALUE, METHOD of {', '.join(methods)}")
        name, value = parse_option(method, rest)
        found.setdefault(method, {})[name] = value
    return found


def _weights(texts: Iterable[str]) -> dict[str, str]:
    """Files by model; under ``""`` the one for all others."""
    found = {}
    for text in texts:
        model, equals, file = text.partition("=")
        found[model if equals else ""] = str(Path(file if equals else text).resolve())
    return found


def _said(grid: Any) -> str:
    parts = [", ".join(grid.methods), ", ".join(grid.models), ", ".join(grid.starts)]
    return f"{'; '.join(parts)}; {len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"


def _brief(summary: dict[str, Any] | None, reason: str) -> str:
    if summary is None:
        return f"failed: {reason}"
    peak, final = summary["peak_val_accuracy"], summary["final_val_accuracy"]
    return f"peak {peak:.2%}  final {final:.2%}  {summary['seconds']:,.0f} s"


def _print(rows: pa.Table, findings: Sequence[Finding], folder: Path, json_: bool) -> None:
    """The table, the findings, and what is left."""
    import json

    from noisyweb.training.study.results import over_levels, percent, table_of

    table = table_of(rows)
    statuses = rows.column("status").to_pylist()
    if json_:
        content = json.loads(table.to_json(orient="records"))
        left = {status: statuses.count(status) for status in sorted(set(statuses))}
        answers = [finding.record() for finding in findings]
        typer.echo(json.dumps({"runs": left, "table": content, "findings": answers}, indent=2))
        return
    typer.echo("\nAccuracy in %, mean ± standard deviation over seeds:")
    columns = ("kind", "level", "start", "network", "method", "runs", "peak", "final", "drop")
    lines = [columns]
    for row in table.to_dict("records"):
        values = [percent(row[f"{name}_mean"], row[f"{name}_std"]) for name in ("peak", "final", "drop")]
        lines.append(
            (row["kind"], f"{row['level']:g}", row["start"], row["model"], row["method"], str(row["runs"]), *values)
        )
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    final = over_levels(table, "final")
    if (final["levels"] > 1).any():
        typer.echo("\nFinal accuracy in %, mean ± standard deviation over the noisy levels:")
        for row in final[final["levels"] > 1].to_dict("records"):
            where = f"{row['kind']}, {row['start']}, {row['model']}, {row['method']}"
            typer.echo(f"  {where}: {percent(row['mean'], row['std'])} ({row['levels']} levels)")
    for finding in findings:
        typer.echo(f"\n{finding.question}\n  {finding.answer.upper()}. {finding.sentence}")
    others = [f"{statuses.count(one)} {one}" for one in ("running", "waiting", "failed") if one in statuses]
    done = f"\n{statuses.count('done'):,} of {len(statuses):,} runs done"
    typer.echo(f"{', '.join([done, *others])} -> {folder}")
