"""``noisyweb eval``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisyweb.data import NoisyImages
    from noisyweb.training.scores import ClassScore, NoiseScores, Scores

WORST, BEST, PAIRS = 10, 3, 5


def evaluate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished run's folder, or the model.safetensors of one.")
    ],
    manifest: Annotated[
        str | None,
        typer.Option(
            help="Manifest folder of the same classes, a path or an fsspec URL; "
            "if not given, the clean validation set beside the run's training set."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the images, for a manifest of paths.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write what is predicted for each row, with probabilities, as Parquet.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, the same everywhere, or bf16.")] = "fp32",
    batch_size: Annotated[int, typer.Option(help="Images at a time.")] = 256,
    all_: Annotated[bool, typer.Option("--all", help="Print all classes and all pairs that are confused.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead.")] = False,
) -> None:
    """Tell how good a trained network is: accuracy over all images and by class, and which classes it confuses.

    On a manifest with wrong labels, also how many of them it has taken over, and how often it sees the true class.
    The table of --out has a row for each image, in the manifest's order; cleanlab takes its columns label and
    pred_probs. Probabilities for a run's own training set know the wrong labels that it has memorised.

    \b
    Examples:
      noisyweb eval runs/cars-red-0.4-mentormix-s0
      noisyweb eval runs/cars-red-0.4-mentormix-s0 --json
      noisyweb eval runs/cars-red-0.4-mentormix-s0 --manifest builds/cars/red_noise_nl_0.8 --out predictions.parquet
    """
    from noisyweb.cli._bars import bars
    from noisyweb.cli._extras import training_extra
    from noisyweb.data import validation_folder
    from noisyweb.errors import TrainingError

    with training_extra():
        from noisyweb.training.machine import this_machine
        from noisyweb.training.metrics import Truth
        from noisyweb.training.predict import images_for, predict
        from noisyweb.training.scores import score
        from noisyweb.training.trained import load_trained, trained_on

    trained = load_trained(run)
    if manifest is None:
        where = trained_on(run)
        clean = validation_folder(where)
        if clean is None:
            raise TrainingError(
                f"{run}: no clean validation set lies beside its training set {where}; name images with --manifest"
            )
        images = images_for(trained, clean, root)
    else:
        images = images_for(trained, manifest, root)
    device = this_machine(device).device
    with bars() as shown:
        predictions = predict(
            trained, images, out=out, device=device, precision=precision, batch_size=batch_size, progress=shown
        )
    scores = score(predictions, Truth(images.labels, images.is_clean, images.true_labels), images.class_names)
    if json_:
        _print_json(scores, images, {"run": str(run), "model": trained.model, "device": device, "precision": precision})
        return
    info = images.info
    typer.echo(
        f"{trained.model} at {trained.image_size} px, {precision} on {device}; "
        f"{info['dataset']} ({info['edition']}), {info['split']}: "
        f"{scores.num_images:,} images of {len(scores.classes):,} classes"
    )
    typer.echo(
        f"accuracy {scores.accuracy:.2%}, balanced {scores.balanced_accuracy:.2%}, loss {scores.loss:.4f}; "
        f"chance is {1 / len(scores.classes):.2%}"
    )
    if scores.noise is not None:
        _print_noise(scores.noise)
    _print_classes(scores.classes, all_)
    _print_confused(scores, all_)
    if out is not None:
        typer.echo(f"{out}: predictions for {scores.num_images:,} images")


def _print_json(scores: Scores, images: NoisyImages, about: dict[str, str]) -> None:
    import dataclasses
    import json

    names = ("dataset", "edition", "kind", "level", "split")
    facts = {name: images.info[name] for name in names if name in images.info}
    content = {**about, "manifest": str(images.folder), **facts, "chance": 1 / len(scores.classes)}
    typer.echo(json.dumps({**content, **dataclasses.asdict(scores)}, indent=2, allow_nan=False))


def _print_noise(noise: NoiseScores) -> None:
    """The given labels split into right and wrong ones, and the true ones where they are known."""
    if noise.accuracy_true is not None:
        typer.echo(f"against true labels {noise.accuracy_true:.2%} of the {noise.num_known:,} images with a known one")
    if noise.accuracy_right is not None:
        typer.echo(
            f"right labels: {noise.accuracy_right:.2%} of {noise.num_right:,} fitted, loss {noise.loss_right:.4f}"
        )
    corrected = ""
    if noise.wrong_corrected is not None:
        num = noise.num_known - noise.num_right
        corrected = f"; the true class is seen in {noise.wrong_corrected:.2%} of the {num:,} where it is known"
    typer.echo(
        f"wrong labels: {noise.wrong_fitted:.2%} of {noise.num_wrong:,} fitted, loss {noise.loss_wrong:.4f}{corrected}"
    )


def _print_classes(classes: Sequence[ClassScore], everything: bool) -> None:
    """From the worst to the best; classes without images are only counted."""
    seen = sorted((one for one in classes if one.accuracy is not None), key=lambda one: (one.accuracy, one.label))
    left_out = 0 if everything else max(len(seen) - WORST - BEST, 0)
    shown = [*seen[:WORST], None, *seen[-BEST:]] if left_out else seen
    width = max(5, *(len(one.name) for one in shown if one is not None))
    typer.echo(f"\n{'class':<{width}}  images  accuracy  most often taken for")
    for one in shown:
        if one is None:
            typer.echo(f"... {left_out:,} more (--all)")
        else:
            line = f"{one.name:<{width}}  {one.num_images:>6,}  {one.accuracy:>8.2%}  {one.taken_for or ''}"
            typer.echo(line.rstrip())
    if len(seen) < len(classes):
        typer.echo(f"{len(classes) - len(seen):,} classes without images")


def _print_confused(scores: Scores, everything: bool) -> None:
    shown = scores.confused if everything else scores.confused[:PAIRS]
    if shown:
        typer.echo("\nmost confused")
    for pair in shown:
        typer.echo(f"{pair.num_images:>6,}  {pair.label} taken for {pair.predicted} ({pair.share:.1%} of its images)")
