"""Running a one-command typer app: exit codes, one line for wrong usage, a clean stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, cast

import typer

__all__ = ["Device", "run", "use", "version_of"]

# typer has carried its own click since 0.25; its usage errors are reached through the one class
# that it exports.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Device(StrEnum):
    """The values of --device."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def use(device: Device, threads: int | None) -> None:
    """Sets the number of CPU threads, None for all; wrong usage if the device is not there.

    Of several processes that a launcher started on one machine, each gets a GPU of its own.
    """
    import torch

    from diff_core.device import pick_device

    if threads:
        torch.set_num_threads(threads)
    if "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    try:
        pick_device(device.value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def version_of(distribution: str) -> str:
    """`name version` of an installed distribution."""
    from importlib.metadata import version

    return f"{distribution} {version(distribution)}"


def run(app: typer.Typer, command: str, arguments: Sequence[str] | None = None) -> int:
    """Runs a one-command app, returns its exit code; wrong usage is one line on standard error."""

    def stop(_number: int, _frame: object) -> None:
        raise SystemExit(143)  # so that temporary files are removed on the way out

    signal.signal(signal.SIGTERM, stop)
    given = None if arguments is None else list(arguments)
    try:
        code = app(given, prog_name=f"python -m {command}", standalone_mode=False)
    except UsageError as error:
        message = cast(Any, error).format_message()
        print(f"{command}: {message} (--help shows the options)", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print(f"{command}: interrupted", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0
