"""``noisyweb export-model``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_model(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished run's folder, or the model.safetensors of one.")
    ],
    out: Annotated[
        Path, typer.Option(help="The file: .pt2 (torch.export), .ts (TorchScript) or .onnx.", show_default=False)
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="torch-export, torchscript or onnx, if the suffix does not say it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that is there.")] = False,
) -> None:
    """Write a trained network as a file that runs without noisyweb.

    It takes images [B, 3, S, S] in float32, RGB, bytes divided by 255, whole images squeezed to the S x S pixels of
    the training; normalisation is inside. It gives logits [B, K]. Class names and image size travel in the file, as
    JSON under the name noisyweb.json: an extra file of .pt2 and .ts, metadata of ONNX. Before the file appears it is
    read again, and must say the same as the network.

    \b
    Examples:
      noisyweb export-model runs/cars-red-0.4-mentormix-s0 --out cars.onnx
      noisyweb export-model runs/cars-red-0.4-mentormix-s0 --out cars.ts --overwrite
    """
    from noisyweb.cli._extras import training_extra

    with training_extra():
        from noisyweb.training import export_model as exporting
        from noisyweb.training.trained import load_trained

    exporting.format_of(out, format_)  # a slip of the name shows before anything is read
    trained = load_trained(run)
    written = exporting.export_model(trained, out, format_, overwrite)
    side, num_classes = trained.image_size, len(trained.class_names)
    typer.echo(
        f"{out}: {trained.model} as {written.format}, {written.num_bytes / 1e6:.1f} MB; "
        f"images [B, 3, {side}, {side}] in 0..1 -> logits [B, {num_classes}]"
    )
    typer.echo(f"read again and run by {written.run_by}: logits differ by {written.difference:.1e} at most")
