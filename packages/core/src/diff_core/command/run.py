"""Running a typer app: exit codes, one line for wrong usage, a clean stop."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, Literal, cast

import typer

from diff_core.command.naming import usage
from diff_core.launch import LaunchError, launched
from diff_core.lines import print_line

__all__ = ["Device", "run", "use", "version_of"]

# typer has carried its own click since 0.25; its usage errors are reached through the one class
# that it exports.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130


Device = Literal["auto", "cpu", "cuda", "mps"]
"""The values of --device."""


def use(device: Device, threads: int | None) -> None:
    """Set the number of CPU threads, None for all; wrong usage if the device is not there.

    Of several processes that a launcher started on one machine, each gets a GPU of its own.
    """
    import torch

    from diff_core.device import pick_device

    if threads:
        torch.set_num_threads(threads)
    launched()
    if "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    with usage():
        pick_device(device)


def version_of(distribution: str) -> str:
    """`name version` of an installed distribution."""
    from importlib.metadata import version

    return f"{distribution} {version(distribution)}"


@contextmanager
def _warnings_in_a_line(command: str) -> Generator[None]:
    """Print each warning of a library as one line, like all else."""

    def show(message: Warning | str, *_where: object) -> None:
        print_line(f"{command}: warning: {' '.join(str(message).split())}", sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def run(
    app: typer.Typer,
    command: str,
    arguments: Sequence[str] | None = None,
    *,
    program: str | None = None,
) -> int:
    """Run an app and return its exit code; wrong usage is one line on standard error.

    program: how the app is called, if not as `python -m` and the command
    """

    def stop(_number: int, _frame: object) -> None:
        raise SystemExit(143)  # so that temporary files are removed on the way out

    interrupted: list[bool] = []

    def interrupt(_number: int, _frame: object) -> None:
        interrupted.append(True)  # typer may return 130 instead of raising, and so may a command
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    for stream in (sys.stdout, sys.stderr):  # a name may hold what the terminal cannot show
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = None if arguments is None else list(arguments)
    os.environ["MPLBACKEND"] = "agg"  # pictures go into files, whatever the user's shell says
    try:
        name = program or f"python -m {command}"
        with _warnings_in_a_line(command):
            code = app(given, prog_name=name, standalone_mode=False)
    except UsageError as error:
        message = cast(Any, error).format_message().replace("Value error, ", "")
        print_line(f"{command}: {message} (--help shows the options)", sys.stderr)
        return 2
    except LaunchError as error:
        print_line(f"{command}: {error}", sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupted:
        print_line(f"{command}: interrupted", sys.stderr)
        return INTERRUPTED
    return code if isinstance(code, int) else 0
