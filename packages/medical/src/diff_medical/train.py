"""Training on one's own scans: `python -m diff_medical.train enhance --data DIR --out DIR`.

Each sub-command is a module that holds its recipe and builds its job (`diff_core.command.train`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, run
from diff_core.command.train import training_command

__all__ = ["RECIPES", "Scans", "app", "main"]

COMMAND = "diff_medical.train"
RECIPES = Path(__file__).parent / "recipes"
WEIGHTS = Path(__file__).parent / "weights"

app = App(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_medical on your own scans."""


@dataclass(frozen=True)
class Scans:
    """What a network is trained on."""

    data: Annotated[Path, typer.Option(help="Folder of NIfTI scans, MR and CT.")]
    manifest: Annotated[
        Path | None,
        typer.Option(help="JSON lines with file, split, modality. Default: DATA/manifest.jsonl."),
    ] = None


@dataclass(frozen=True)
class StrictScans(Scans):
    """The same, where every scan can be used; a generator is of some kinds of scans only."""

    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at a scan that cannot be used; else it is left out."),
    ] = False


training_command(
    app,
    "enhance",
    "diff_medical.training.enhance",
    RECIPES / "enhance.yaml",
    inputs=StrictScans,
    shipped=WEIGHTS / "enhance.safetensors",
    command=COMMAND,
    help="Train a denoiser for all noise levels from a folder of scans.",
)


training_command(
    app,
    "generate",
    "diff_medical.training.generate",
    RECIPES / "generate.yaml",
    inputs=Scans,
    shipped=WEIGHTS / "generate.safetensors",
    command=COMMAND,
    help="Train a generator of synthetic slices from a folder of scans of several people.",
)
training_command(
    app,
    "generate-volume",
    "diff_medical.training.generate",
    RECIPES / "generate_volume.yaml",
    inputs=Scans,
    shipped=WEIGHTS / "generate_volume.safetensors",
    command=COMMAND,
    help="Train a generator of small synthetic volumes from a folder of scans of several people.",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
