"""The command `python -m diff_audio.train denoise --speech DIR --out DIR`: training on your own
recordings.

Each sub-command is a module that holds its recipe and builds its job (`diff_core.command.train`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from diff_audio.data.inputs import Sounds, Speech, Texts
from diff_audio.weights import path_of
from diff_core.command import App, run
from diff_core.command.train import training_command

__all__ = ["RECIPES", "Sounds", "Speech", "Texts", "app", "main"]

COMMAND = "diff_audio.train"
RECIPES = Path(__file__).parent / "recipes"

app = App(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_audio on your own recordings."""


training_command(
    app,
    "denoise",
    "diff_audio.denoiser.training.job",
    RECIPES / "denoise.yaml",
    inputs=Sounds,
    shipped=path_of("denoise"),
    command=COMMAND,
    help="Train the denoiser on clean speech and noise, mixed on the fly.",
    examples={
        "--speech speech/ --noise noise/ --out run/": "Train; the result is in run/.",
        "--speech speech/ --out run/ --resume": "Go on with a training that was stopped.",
    },
)

training_command(
    app,
    "live",
    "diff_audio.denoiser.training.live",
    RECIPES / "live.yaml",
    inputs=Sounds,
    shipped=path_of("live"),
    command=COMMAND,
    help="Train the live denoiser, which hears nothing of the future.",
    examples={
        "--speech speech/ --noise noise/ --out run/": "Train; the result is in run/.",
        "--speech speech/ --out run/ --dry-run": "Show what was found and the time it takes.",
    },
)

training_command(
    app,
    "restore",
    "diff_audio.restorer.training.job",
    RECIPES / "restore.yaml",
    inputs=Sounds,
    shipped=path_of("restore"),
    command=COMMAND,
    help="Train the restorer on clean speech, damaged on the fly.",
    examples={
        "--speech speech/ --noise noise/ --out run/": "Train; the result is in run/.",
        "--speech speech/ --out run/ --dry-run": "Show what was found and the time it takes.",
    },
)

training_command(
    app,
    "vocoder",
    "diff_audio.vocoder.training.job",
    RECIPES / "vocoder.yaml",
    inputs=Speech,
    shipped=path_of("vocoder"),
    command=COMMAND,
    help="Train the vocoder on speech.",
    examples={
        "--speech speech/ --out run/": "Train on the speakers of a folder; the result is in run/.",
        "--speech speech/ --out run/ --start-from shipped": "Train the shipped vocoder on.",
    },
)

training_command(
    app,
    "voice",
    "diff_audio.voice.training.job",
    RECIPES / "voice.yaml",
    inputs=Texts,
    shipped=path_of("voice"),
    command=COMMAND,
    help="Train a voice on recordings and their texts.",
    examples={
        "--data corpus/ --out run/": "Train on wavs/ and metadata.csv; the result is in run/.",
        "--data corpus/ --out run/ --dry-run": "Show what was found and the time it takes.",
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
