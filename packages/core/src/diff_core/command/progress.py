"""A progress bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diff_core.lines import print_line, printable

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "bar"]


class Bar:
    """Progress over work of a known size; draws nothing if it has no `progress` to draw on."""

    def __init__(self, progress: Progress | None, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total) if progress else None
        self._done = 0.0

    def at(self, extra: float, label: str) -> None:
        """Shows `extra` beyond what has been added."""
        if self._progress and self._task is not None:
            name = printable(label)
            self._progress.update(self._task, completed=self._done + extra, description=name)

    def add(self, amount: float) -> None:
        """A piece of the work is done."""
        self._done += amount

    def say(self, line: str) -> None:
        """Print a line on standard output without disturbing the bar."""
        if self._progress:
            self._progress.stop()
        print_line(line)
        if self._progress:
            self._progress.start()


@contextmanager
def bar(total: float, *, quiet: bool) -> Generator[Bar]:
    """A bar with the time left; only on a terminal, and not if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield Bar(None, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),  # a name may have brackets
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        yield Bar(progress, total)
