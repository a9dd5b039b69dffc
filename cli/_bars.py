"""Progress bars on standard error where it is a terminal, with room for lines of text above them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars:
    """A `noisyweb.progress.Progress` callback that draws one bar a step, and prints."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Move the bar of ``what``; ``total`` is 0 where it is not known."""
        if what not in self._tasks:
            self._tasks[what] = self._shown.add_task(what, total=total or None)
        self._shown.update(self._tasks[what], completed=done, total=total or None)

    def say(self, text: str) -> None:
        """Print to standard output: above the bars where both are on the same terminal."""
        if sys.stdout.isatty() and not self._shown.disable:
            self._shown.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text)


@contextlib.contextmanager
def bars(sizes: Mapping[str, int] | None = None) -> Iterator[Bars]:
    """Bars for the length of a block.

    Args:
        sizes: how many things one step of a bar stands for, where it is not one (a training step is a batch).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    class Speed(ProgressColumn):
        """Things a second."""

        def render(self, task: Task) -> Text:
            size = (sizes or {}).get(task.description, 1)
            return Text(f"{size * (task.speed or 0):,.0f}/s", style="progress.data.speed")

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), Elapsed(), Remaining())
    with RichProgress(*columns, console=console, disable=not console.is_terminal) as shown:
        yield Bars(shown)
