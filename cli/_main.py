"""The ``noisyweb`` program: its commands, and what becomes of errors."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer

from noisyweb import __version__
from noisyweb.cli import (
    audit,
    build,
    crawl,
    datasets,
    dedup,
    demo,
    export,
    export_model,
    fetch,
    label_consensus,
    label_import,
    label_invite,
    label_pull,
    label_push,
    label_serve,
    label_simulate,
    label_status,
    label_vision,
    profile,
    report,
    show,
    study,
    train,
    train_mentornet,
    verify,
)
from noisyweb.cli import eval as eval_command
from noisyweb.errors import NoisywebError

P = ParamSpec("P")
R = TypeVar("R")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"noisyweb {__version__}")
        raise typer.Exit


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a deliberate error or Ctrl-C into one line on standard error and an exit code.

    Errors that noisyweb does not know keep their traceback: they are bugs.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except NoisywebError as error:
            typer.echo(f"noisyweb: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(error.exit_code) from None
        except PermissionError as error:  # the system's word on a place that the user named
            if error.filename is None:
                raise
            typer.echo(f"noisyweb: {error.filename}: {error.strerror}; name a place that you may use", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("noisyweb: stopped by Ctrl-C; nothing was left half-written", err=True)
            raise typer.Exit(2) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None

    return run


app = typer.Typer(
    name="noisyweb",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def noisyweb(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Label noise the way the web makes it: crawl, dedup, verify, blend and train."""


for command in (
    build.build,
    train.train,
    study.study,
    report.report,
    verify.verify,
    audit.audit,
    profile.profile,
    show.show,
    datasets.datasets,
    fetch.fetch,
    crawl.crawl,
    dedup.dedup,
    export.export,
    demo.demo,
):
    app.command()(one_line_errors(command))
app.command("eval")(one_line_errors(eval_command.evaluate))
app.command()(one_line_errors(export_model.export_model))
app.command()(one_line_errors(train_mentornet.train_mentornet))

labels = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Collect votes and work out verdicts.")
labels.command("serve")(one_line_errors(label_serve.serve))
labels.command("invite")(one_line_errors(label_invite.invite))
labels.command("import")(one_line_errors(label_import.import_))
labels.command("simulate")(one_line_errors(label_simulate.simulate))
labels.command("push")(one_line_errors(label_push.push))
labels.command("pull")(one_line_errors(label_pull.pull))
labels.command("vision")(one_line_errors(label_vision.vision))
labels.command("consensus")(one_line_errors(label_consensus.consensus))
labels.command("status")(one_line_errors(label_status.status))
app.add_typer(labels, name="label")


def main() -> None:
    """Entry point of the ``noisyweb`` program."""
    app()
