"""Training on one's own recordings: `python -m diff_audio.train denoise --speech DIR --out DIR`.

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

__all__ = ["RECIPES", "Sounds", "Speech", "Texts", "app", "main"]

COMMAND = "diff_audio.train"
RECIPES = Path(__file__).parent / "recipes"
WEIGHTS = Path(__file__).parent / "weights"

app = App(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_audio on your own recordings."""


Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop at a file that cannot be used; else it is left out."),
]


@dataclass(frozen=True)
class Sounds:
    """What the denoiser is trained on."""

    speech: Annotated[
        Path, typer.Option(help="Folder of clean speech, with a sub-folder for each speaker.")
    ]
    noise: Annotated[
        Path | None, typer.Option(help="Folder of noise; without it: coloured noise and babble.")
    ] = None
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines: file, and split, speaker, set if known.")
    ] = None
    strict: Strict = False


@dataclass(frozen=True)
class Speech:
    """What the vocoder is trained on."""

    speech: Annotated[
        Path, typer.Option(help="Folder of speech, with a sub-folder for each speaker.")
    ]
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines: file, and split, speaker, set if known.")
    ] = None
    strict: Strict = False


@dataclass(frozen=True)
class Texts:
    """What the voice is trained on."""

    data: Annotated[
        Path,
        typer.Option(help="Folder with wavs/ and metadata.csv (LJ Speech), or a manifest."),
    ]
    sets: Annotated[
        str, typer.Option(help="Only these sets of a manifest, with commas between.")
    ] = ""
    speaker: Annotated[str, typer.Option(help="Name of a folder's speaker.")] = "speaker"
    licence: Annotated[str, typer.Option(help="Licence of a folder's recordings.")] = "unknown"


training_command(
    app,
    "denoise",
    "diff_audio.training.denoise",
    RECIPES / "denoise.yaml",
    inputs=Sounds,
    shipped=WEIGHTS / "denoise.safetensors",
    command=COMMAND,
    help="Train the denoiser on clean speech and noise, mixed on the fly.",
)

training_command(
    app,
    "vocoder",
    "diff_audio.vocoder.training",
    RECIPES / "vocoder.yaml",
    inputs=Speech,
    shipped=WEIGHTS / "vocoder.safetensors",
    command=COMMAND,
    help="Train the vocoder on speech.",
)

training_command(
    app,
    "voice",
    "diff_audio.voice.training",
    RECIPES / "voice.yaml",
    inputs=Texts,
    shipped=WEIGHTS / "voice.safetensors",
    command=COMMAND,
    help="Train a voice on recordings and their texts.",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
