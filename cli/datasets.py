"""``noisyweb datasets``."""

from __future__ import annotations

import typer


def datasets() -> None:
    """List the bundled data sets; your own is a TOML file (docs/quickstart.md).

    Example:

      noisyweb datasets
    """
    from noisyweb.dataset import known_datasets, load_dataset

    for name, title in known_datasets().items():
        dataset = load_dataset(name)
        typer.echo(f"{name}  {title}: {len(dataset.class_names)} classes, edition {dataset.edition}")
