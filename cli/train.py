"""``noisyweb train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer


def _list(wanted: bool) -> None:
    if wanted:
        from noisyweb.cli import _train_view as view
        from noisyweb.cli._extras import training_extra

        with training_extra():
            view.print_known()
        raise typer.Exit


def train(
    manifest: Annotated[
        str, typer.Option(help="Manifest folder to train on, as `noisyweb build` writes it: a path or an fsspec URL.")
    ],
    method: Annotated[
        str | None, typer.Option(help="One of `noisyweb train --list`; standard if not given.", show_default=False)
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings of a published experiment: see --list.")] = None,
    model: Annotated[str, typer.Option(help="auto, one of --list, torchvision:NAME or timm:NAME.")] = "auto",
    weights: Annotated[
        Path | None, typer.Option(help="Fine-tune from this file: safetensors, or a state dict of torch.")
    ] = None,
    new_head: Annotated[
        bool | None, typer.Option("--new-head", help="Draw the last layer anew, for other classes than the file's.")
    ] = None,
    normalisation: Annotated[
        str | None, typer.Option(help="unit ([-1, 1]) or imagenet (what pretrained networks are used to).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd or adamw.")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, step, one-cycle, staircase or constant.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the training over which the rate rises.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of SGD.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient; 0: no limit.")] = None,
    average_decay: Annotated[float | None, typer.Option(help="Of the weights' moving average; 0: none.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of kernels; not of biases and norms.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels that images are brought to.")] = None,
    augmentation: Annotated[str | None, typer.Option(help="none, crop, light or strong.")] = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or fp32.")] = None,
    channels_last: Annotated[bool | None, typer.Option(help="Memory layout of images and kernels.")] = None,
    compile_: Annotated[
        str | None, typer.Option("--compile", help="none, default (torch.compile) or graphs (and CUDA graphs).")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="resident (all images on the device) or stream (read as they are needed).")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode a stream.")] = None,
    shards: Annotated[
        int | None,
        typer.Option(help="Parts that a stream's order is made of; one a process if not given.", show_default=False),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(help="Where row groups of a manifest at a URL are kept; ~/.cache/noisyweb/ranges if not given."),
    ] = None,
    cache_gb: Annotated[float, typer.Option(min=0, help="Kept there at most, in GB; 0: nothing.")] = 10,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and the method's draws.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="Run folder; runs/<dataset>-<kind>-<level>-<method>-s<seed> if not given.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images, for a manifest of paths.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the run folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the run folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
    known: Annotated[
        bool, typer.Option("--list", help="Name methods, models and recipes and stop.", is_eager=True, callback=_list)
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the method, NAME=VALUE; may be given several times.")
    ] = None,
    mentor: Annotated[
        str | None,
        typer.Option(help="MentorNet, MentorMix: closed-form, threshold, or a file of `noisyweb train-mentornet`."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="MentorNet, MentorMix: auto (the data's own noise), or one such as cifar100-40.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="MentorMix: of Beta(alpha, alpha).")] = None,
    percentile: Annotated[float | None, typer.Option(help="MentorNet, MentorMix: of the moving average, 0..1.")] = None,
    second_weighting: Annotated[
        bool | None, typer.Option(help="MentorMix: weigh the mixtures' losses too, for high noise.")
    ] = None,
    burn_in: Annotated[int | None, typer.Option(help="MentorNet, MentorMix: percent with weights of 1.")] = None,
    mixing: Annotated[str | None, typer.Option(help="MentorMix: hard (as released) or soft (as in print).")] = None,
    temperature: Annotated[float | None, typer.Option(help="MentorMix: of the draw of partners.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Epochs between evaluations.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; one is written after each epoch in any case.")
    ] = None,
    row_history: Annotated[
        bool | None, typer.Option("--row-history", help="Keep what each epoch saw of each row, as Parquet.")
    ] = None,
    tensorboard: Annotated[bool | None, typer.Option("--tensorboard", help="Write TensorBoard's files too.")] = None,
) -> None:
    """Train a model on a manifest and say how well it does on clean validation images.

    What is left open (model, image size, length, MentorMix's hyper-parameters) is chosen from the data and
    the machine, and written into the run folder with everything else: config.json, metrics for each epoch
    (JSON lines and Parquet), checkpoint, weights and summary. A run that was stopped goes on exactly where
    it was with --resume. Several GPUs: torchrun --nproc-per-node 2 --no-python noisyweb train ...; several
    machines too, and of a stream each process reads a share of its own.

    \b
    Examples:
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method mentormix
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method standard --epochs 30 --seed 1
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method mentormix --alpha 2 --dry-run
      noisyweb train --manifest builds/cars/red_noise_nl_0.4 --method elr --option beta=0.9
      noisyweb train --manifest builds/cifar10/blue_noise_nl_0.4 --recipe cifar10
    """
    from noisyweb.cli import _train_view as view
    from noisyweb.cli._bars import bars
    from noisyweb.cli._extras import training_extra
    from noisyweb.errors import OutputError
    from noisyweb.remote_path import RemotePath, place_of

    run_folder = None if out is None else place_of(out)
    if isinstance(run_folder, RemotePath):
        raise OutputError(f"{run_folder}: a run folder needs a disk; name a local or shared folder with --out")
    with training_extra():
        from noisyweb.training.config import Wishes
        from noisyweb.training.distributed import join, leave
        from noisyweb.training.method import STANDARD, parse_option
        from noisyweb.training.recipes import load_recipe
        from noisyweb.training.run import make_plan, run

    chosen = method or (load_recipe(recipe).wishes(0.0).method if recipe is not None else None) or STANDARD
    options: dict[str, Any] = {
        "mentor": mentor,
        "preset": preset,
        "alpha": alpha,
        "percentile": percentile,
        "second_weighting": second_weighting,
        "burn_in": burn_in,
        "mixing": mixing,
        "temperature": temperature,
    }
    options |= dict(parse_option(chosen, text) for text in option or ())
    wishes = Wishes(
        method=method,
        options=options,
        model=None if model == "auto" else model,
        weights=None if weights is None else str(weights),
        new_head=new_head,
        normalisation=normalisation,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        warmup=warmup,
        momentum=momentum,
        clip=clip,
        average_decay=average_decay,
        weight_decay=weight_decay,
        augmentation=augmentation,
        precision=precision,
        channels_last=channels_last,
        compile=compile_,
        data=data,
        workers=workers,
        shards=shards,
        seed=seed,
        eval_every=eval_every,
        checkpoint_every=checkpoint_every,
        row_history=row_history,
        tensorboard=tensorboard,
    )
    team, device = join(device)
    wishes = dataclasses.replace(wishes, device=None if device == "auto" else device)
    try:
        plan = make_plan(
            manifest,
            wishes,
            out=run_folder,
            resume=resume,
            root=root,
            team=team,
            recipe=recipe,
            cache_dir=cache_dir,
            cache_disk_bytes=round(cache_gb * 1e9),
        )
        if not team.leads:
            run(plan)
            return
        if dry_run:
            view.print_config(plan)
            return
        view.print_plan(plan, recipe)
        if plan.resume and plan.folder.is_finished:
            typer.echo("this run is finished already")
            view.print_summary(run(plan), plan)
            return
        with bars({"training": plan.config.batch_size}) as shown:
            summary = run(
                plan,
                overwrite=overwrite,
                progress=shown,
                epoch_done=lambda row: shown.say(view.epoch_line(row, plan)),
                say=shown.say,
            )
        view.print_summary(summary, plan)
    finally:
        leave(team)
