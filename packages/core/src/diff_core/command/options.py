"""The options that commands of all domains share: the same name, the same words, the same range.

Each is a type for a parameter, which gives the default: `quiet: options.Quiet = False`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diff_core.command.run import Device as Place
from diff_core.command.run import version_of
from diff_core.command.shard import Shard, parse_shard

__all__ = [
    "FILES",
    "MACHINE",
    "MESSAGES",
    "Debug",
    "Device",
    "Json",
    "Overwrite",
    "Quiet",
    "Recursive",
    "Seed",
    "ShardOf",
    "SkipExisting",
    "Strict",
    "SummaryFile",
    "Threads",
    "Weights",
    "picture",
    "version",
]

FILES, MACHINE, MESSAGES = "Files", "Machine", "Messages"
"""Panels of the help, for `rich_help_panel`; what has none of these is in "Options"."""

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=FILES),
]
"""The option --overwrite."""
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Leave out inputs whose output exists.", rich_help_panel=FILES
    ),
]
"""The option --skip-existing."""
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Search subfolders too.", rich_help_panel=FILES)
]
"""The option --recursive."""
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 1 if a folder or pattern has files that were left out.",
        rich_help_panel=FILES,
    ),
]
"""The option --strict."""
ShardOf = Annotated[
    Shard | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        parser=parse_shard,
        help="Do only part I of N of the inputs, for array jobs: 3/8.",
        rich_help_panel=FILES,
    ),
]
"""The option --shard."""
SummaryFile = Annotated[
    Path | None,
    typer.Option(
        "--summary",
        metavar="JSONL",
        help="Add one line of JSON for each input to this file.",
        rich_help_panel=FILES,
    ),
]
"""The option --summary."""
Device = Annotated[Place, typer.Option(help="Where to compute.", rich_help_panel=MACHINE)]
"""The option --device."""
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; default: all.", rich_help_panel=MACHINE),
]
"""The option --threads."""
Weights = Annotated[
    Path | None,
    typer.Option(help="A model of your own training (.safetensors).", rich_help_panel=MACHINE),
]
"""The option --weights."""
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]
"""The option --seed."""
Json = Annotated[
    bool, typer.Option("--json", help="One line of JSON for each file.", rich_help_panel=MESSAGES)
]
"""The option --json."""
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Only warnings and errors.", rich_help_panel=MESSAGES)
]
"""The option --quiet."""
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=MESSAGES)]
"""The option --debug."""


PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")


def picture(help: str, *names: str) -> Any:
    """An option for a file to draw into: `picture: Annotated[Path | None, options.picture("…")]`.

    A name that is no picture's is wrong usage, reported before the work and not after.
    """

    def check(path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in PICTURES:
            raise typer.BadParameter(f"{path} is no picture; end it in {', '.join(PICTURES)}")
        return path

    return typer.Option(*names, callback=check, help=help)


def version(distribution: str) -> Any:
    """The option --version of a command: `version: Annotated[bool, options.version("name")]`."""

    def tell(wanted: bool) -> None:
        if wanted:
            print(version_of(distribution))
            raise typer.Exit

    return typer.Option(
        "--version",
        callback=tell,
        is_eager=True,
        help="Print the version and stop.",
        rich_help_panel=MESSAGES,
    )
