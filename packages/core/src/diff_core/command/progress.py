"""A progress bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "bar", "print_line"]


def print_line(line: str, file: TextIO | None = None) -> None:
    """Print a line in one write: lines of several processes do not run into each other.

    file: standard output unless given
    """
    stream = file or sys.stdout
    stream.write(f"{line}\n")  # print writes the end by itself where a stream is not buffered
    stream.flush()


class Bar:
    """Progress over work of a known size; draws nothing if it has no `progress` to draw on."""

    def __init__(self, progress: Progress | None, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total) if progress else None
        self._done = 0.0

    def at(self, extra: float, label: str) -> None:
        """Shows `extra` beyond what has been added."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=self._done + extra, description=label)

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
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        yield Bar(progress, total)
