"""``noisyweb profile``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._places import local_folder


def profile(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="A manifest, such as builds/cars/red_noise_nl_0.4, or a folder of several, which are compared.",
        ),
    ],
    workspace: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="PATH",
            help="The workspace of the web images: its verdicts, right and wrong, are looked at.",
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder that paths start from, for rows without images.")] = None,
    embedding: Annotated[
        str | None,
        typer.Option(help="module:attribute of your own code, a torch model: images are alike by it, not by a glance."),
    ] = None,
    hierarchy: Annotated[
        Path | None,
        typer.Option(help="A CSV file of classes and parents: classes are alike by it, not by name."),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Rows whose images are looked at, at the most.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of the blue noise compared with.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not text.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
) -> None:
    """Measure how noise differs from blue noise: the three differences that the paper names of web noise.

    Are wrong images consistent with their label (by their looks, by the names of the classes)? Do errors hang on the
    image and not only on its class (by votes, by pictures)? How many wrong images show none of the classes? Each with
    a 95 % interval, what blue noise of the same level gives, and a sentence. What cannot be measured says why.

    Examples:

      noisyweb profile builds/cars/red_noise_nl_0.4

      noisyweb profile builds/cars --out profile.json

      noisyweb profile builds/pets/red_noise_nl_0.2 --workspace workspace --embedding my_models:resnet
    """
    import json

    from noisyweb.atomic import replacing_file
    from noisyweb.cli._bars import bars
    from noisyweb.embedding import Embedding, load_model
    from noisyweb.profile import manifests_in
    from noisyweb.profile import profile as measure
    from noisyweb.profile.table import lines

    model = Embedding(embedding, load_model(embedding)) if embedding else None
    found = []
    with bars() as progress:
        for place in manifests_in(folder):
            found.append(
                measure(
                    place,
                    model=model,
                    workspace=workspace,
                    root=images,
                    hierarchy=hierarchy,
                    sample=sample,
                    seed=seed,
                    progress=progress,
                )
            )
    text = json.dumps([each.record() for each in found], ensure_ascii=True, indent=1)
    typer.echo(text if as_json else "\n".join(lines(found)))
    if out is not None:
        with replacing_file(out) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
