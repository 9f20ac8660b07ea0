"""The data options of the training commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Manifest", "Sounds", "Speech", "Strict", "Texts"]

Manifest = Annotated[
    Path | None, typer.Option(help="JSON lines: file, and split, speaker, set if known.")
]
"""The option --manifest."""
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop at a file that cannot be used; else it is left out."),
]
"""The option --strict."""


@dataclass(frozen=True)
class Sounds:
    """The training data of the denoiser."""

    speech: Annotated[
        Path, typer.Option(help="Folder of clean speech, with a sub-folder for each speaker.")
    ]
    noise: Annotated[
        Path | None, typer.Option(help="Folder of noise; without it: coloured noise and babble.")
    ] = None
    manifest: Manifest = None
    strict: Strict = False


@dataclass(frozen=True)
class Speech:
    """The training data of the vocoder."""

    speech: Annotated[
        Path, typer.Option(help="Folder of speech, with a sub-folder for each speaker.")
    ]
    manifest: Manifest = None
    strict: Strict = False


@dataclass(frozen=True)
class Texts:
    """The training data of the voice."""

    data: Annotated[
        Path,
        typer.Option(help="Folder with wavs/ and metadata.csv (LJ Speech), or a manifest."),
    ]
    sets: Annotated[
        str, typer.Option(help="Only these sets of a manifest, with commas between.")
    ] = ""
    speaker: Annotated[str, typer.Option(help="Name of a folder's speaker.")] = "speaker"
    licence: Annotated[str, typer.Option(help="Licence of a folder's recordings.")] = "unknown"
