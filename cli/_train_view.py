"""What ``noisyweb train`` says."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from noisyweb.training.plan import Plan


def print_config(plan: Plan) -> None:
    """The resolved configuration as JSON."""
    content = {"train": dataclasses.asdict(plan.config), "data": dataclasses.asdict(plan.facts)}
    typer.echo(json.dumps({**content, "folder": str(plan.folder.path)}, indent=2))


def print_plan(plan: Plan, recipe: str | None = None) -> None:
    """Data, method and network in two lines; the recipe's target in a third."""
    config, facts = plan.config, plan.facts
    clean = f"{facts.num_validation:,} clean validation images" if plan.validation else "no validation set beside it"
    typer.echo(
        f"{facts.dataset} ({facts.edition}), {facts.kind} noise {facts.level:g}: "
        f"{facts.num_images:,} images of {facts.num_classes} classes, {clean}"
    )
    options = "".join(f", {name} {value}" for name, value in config.options.items())
    weights = f" from {config.weights}" if config.weights else ""
    team = f", {plan.team.size} processes" if plan.team.size > 1 else ""
    typer.echo(
        f"{config.method}{options}; {config.model}{weights} at {config.image_size} px, {config.epochs} epochs, "
        f"batch {config.batch_size}, {config.optimizer} lr {config.lr:g} {config.schedule}, "
        f"{config.precision} on {config.device}{', streamed' if config.data == 'stream' else ''}{team}"
    )
    if recipe is not None:
        from noisyweb.training.recipes import target

        reached = target(recipe, facts.level)
        if reached is not None:
            typer.echo(f"the recipe {recipe} aims at {reached:g} %; `noisyweb train --list` says whose figure that is")


def epoch_line(row: dict[str, Any], plan: Plan) -> str:
    """One epoch."""
    parts = [f"epoch {row['epoch']:>3}/{plan.config.epochs}", f"loss {row['loss']:.3f}"]
    for title, name in (("right", "train_accuracy_clean"), ("wrong", "train_accuracy_wrong")):
        if row[name] is not None:
            parts.append(f"{title} labels fitted {row[name]:6.1%}")
    if row["detector_auroc"] is not None:
        parts.append(f"wrong labels found (AUROC) {row['detector_auroc']:.3f}")
    if row["val_accuracy"] is not None:
        parts.append(f"validation {row['val_accuracy']:6.2%}")
    return "  ".join([*parts, f"{row['images_per_s']:,.0f} images/s"])


def print_summary(summary: dict[str, Any], plan: Plan) -> None:
    """What came of it, and where it is."""
    if summary["final_val_accuracy"] is None:
        typer.echo("validation accuracy: none, since there is no clean_validation folder beside the manifest")
    else:
        typer.echo(
            f"validation accuracy: peak {summary['peak_val_accuracy']:.2%} (epoch {summary['peak_epoch']}), "
            f"final {summary['final_val_accuracy']:.2%}; chance is {summary['chance']:.2%}"
        )
    typer.echo(f"{summary['seconds']:.0f} s, {summary['images_per_s']:,.0f} images/s -> {plan.folder.path}")


def print_known() -> None:
    """Methods with their options, models, recipes, schedules and augmentations."""
    from noisyweb import plugins
    from noisyweb.training import method, models, recipes
    from noisyweb.training.augment import STRENGTHS
    from noisyweb.training.schedule import SCHEDULES

    typer.echo("methods (their options with --option NAME=VALUE):")
    for name in plugins.names(method.PACKAGE):
        module = method.load_method(name)
        options = ", ".join(field.name for field in dataclasses.fields(module.Options))
        typer.echo(f"  {name:16} {module.SUMMARY}{f' ({options})' if options else ''}")
    typer.echo("models:")
    for name in plugins.names(models.PACKAGE):
        typer.echo(f"  {name:16} {_first_line(plugins.load(models.PACKAGE, 'model', name))}")
    for prefix in models.ELSEWHERE:
        typer.echo(f"  {prefix + 'NAME':16} a classifier of {prefix.rstrip(':')}")
    typer.echo("recipes:")
    for name in plugins.names(recipes.PACKAGE):
        module = plugins.load(recipes.PACKAGE, "recipe", name)
        figures = [f"{value:g} {'on average' if at < 0 else f'at {at} %'}" for at, value in module.TARGETS.items()]
        typer.echo(f"  {name:16} {_first_line(module)}\n{'':19}aims at {', '.join(figures)}")
    typer.echo(f"schedules: {', '.join(SCHEDULES)}; augmentations: {', '.join(STRENGTHS)}")


def _first_line(module: Any) -> str:
    return str(module.__doc__).strip().splitlines()[0].rstrip(".")
