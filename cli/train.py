"""``noisyweb train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    manifest: Annotated[
        str, typer.Option(help="Manifest folder to train on, as `noisyweb build` writes it: a path or an fsspec URL.")
    ],
    method: Annotated[str, typer.Option(help="standard or mentormix.")] = "standard",
    model: Annotated[str, typer.Option(help="auto, small, resnet18, wrn32 or torchvision:NAME.")] = "auto",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd or adamw.")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, staircase or constant, after a warm-up.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of kernels; not of biases and norms.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels that images are brought to.")] = None,
    augmentation: Annotated[str | None, typer.Option(help="none, light or strong.")] = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or fp32.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and the method's draws.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/<dataset>-<kind>-<level>-<method>-s<seed> if not given.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images, for a manifest of paths.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the run folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the run folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
    preset: Annotated[
        str | None, typer.Option(help="MentorMix: auto (the data's own noise), or one such as cifar100-40.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="MentorMix: of Beta(alpha, alpha).")] = None,
    percentile: Annotated[float | None, typer.Option(help="MentorMix: of the moving average, 0..1.")] = None,
    second_weighting: Annotated[
        bool | None, typer.Option(help="MentorMix: weigh the mixtures' losses too, for high noise.")
    ] = None,
    burn_in: Annotated[int | None, typer.Option(help="MentorMix: percent of training with weights of 1.")] = None,
    mixing: Annotated[str | None, typer.Option(help="MentorMix: hard (as released) or soft (as in print).")] = None,
    temperature: Annotated[float | None, typer.Option(help="MentorMix: of the draw of partners.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Epochs between evaluations.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; one is written after each epoch in any case.")
    ] = None,
) -> None:
    """Train a model on a manifest and say how well it does on clean validation images.

    What is left open (model, image size, length, MentorMix's hyper-parameters) is chosen from the data and
    the machine, and written into the run folder with everything else: config.json, metrics for each epoch
    (JSON lines and Parquet), checkpoint, weights and summary. A run that was stopped goes on exactly where
    it was with --resume.

    \b
    Examples:
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method mentormix
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method standard --epochs 30 --seed 1
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method mentormix --alpha 2 --dry-run
    """
    from noisyweb.cli._bars import bars
    from noisyweb.errors import MissingExtraError

    try:
        from noisyweb.training.config import Wishes
        from noisyweb.training.run import make_plan, run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("torch", "safetensors"):
            raise
        raise MissingExtraError(error.name.partition(".")[0], "train", "training") from None

    options: dict[str, Any] = {
        "preset": preset,
        "alpha": alpha,
        "percentile": percentile,
        "second_weighting": second_weighting,
        "burn_in": burn_in,
        "mixing": mixing,
        "temperature": temperature,
    }
    wishes = Wishes(
        method=method,
        options=options,
        model=None if model == "auto" else model,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        weight_decay=weight_decay,
        augmentation=augmentation,
        precision=precision,
        device=None if device == "auto" else device,
        seed=seed,
        eval_every=eval_every,
        checkpoint_every=checkpoint_every,
    )
    plan = make_plan(manifest, wishes, out=out, resume=resume, root=root)
    if dry_run:
        _print_config(plan)
        return
    _print_plan(plan)
    if plan.resume and plan.folder.is_finished:
        typer.echo("this run is finished already")
        _print_summary(run(plan), plan)
        return
    with bars({"training": plan.config.batch_size}) as shown:
        summary = run(
            plan, overwrite=overwrite, progress=shown, epoch_done=lambda row: shown.say(_epoch_line(row, plan))
        )
    _print_summary(summary, plan)


def _print_config(plan: Any) -> None:
    """The resolved configuration as JSON."""
    import dataclasses
    import json

    content = {"train": dataclasses.asdict(plan.config), "data": dataclasses.asdict(plan.facts)}
    typer.echo(json.dumps({**content, "folder": str(plan.folder.path)}, indent=2))


def _print_plan(plan: Any) -> None:
    config, facts = plan.config, plan.facts
    clean = f"{facts.num_validation:,} clean validation images" if plan.validation else "no validation set beside it"
    typer.echo(
        f"{facts.dataset} ({facts.edition}), {facts.kind} noise {facts.level:g}: "
        f"{facts.num_images:,} images of {facts.num_classes} classes, {clean}"
    )
    options = "".join(f", {name} {value}" for name, value in config.options.items())
    typer.echo(
        f"{config.method}{options}; {config.model} at {config.image_size} px, {config.epochs} epochs, "
        f"batch {config.batch_size}, {config.optimizer} lr {config.lr:g} {config.schedule}, "
        f"{config.precision} on {config.device}"
    )


def _epoch_line(row: dict[str, Any], plan: Any) -> str:
    parts = [f"epoch {row['epoch']:>3}/{plan.config.epochs}", f"loss {row['loss']:.3f}"]
    for title, name in (("right", "train_accuracy_clean"), ("wrong", "train_accuracy_wrong")):
        if row[name] is not None:
            parts.append(f"{title} labels fitted {row[name]:6.1%}")
    if row["detector_auroc"] is not None:
        parts.append(f"wrong labels found (AUROC) {row['detector_auroc']:.3f}")
    if row["val_accuracy"] is not None:
        parts.append(f"validation {row['val_accuracy']:6.2%}")
    return "  ".join([*parts, f"{row['images_per_s']:,.0f} images/s"])


def _print_summary(summary: dict[str, Any], plan: Any) -> None:
    if summary["final_val_accuracy"] is None:
        typer.echo("validation accuracy: none, since there is no clean_validation folder beside the manifest")
    else:
        typer.echo(
            f"validation accuracy: peak {summary['peak_val_accuracy']:.2%} (epoch {summary['peak_epoch']}), "
            f"final {summary['final_val_accuracy']:.2%}; chance is {summary['chance']:.2%}"
        )
    typer.echo(f"{summary['seconds']:.0f} s, {summary['images_per_s']:,.0f} images/s -> {plan.folder.path}")
