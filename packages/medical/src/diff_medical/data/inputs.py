"""The scans that a network is trained on, as the options of the training commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Prepared", "Scans", "StrictScans"]


@dataclass(frozen=True)
class Scans:
    """The scans that a network is trained on."""

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


@dataclass(frozen=True)
class Prepared:
    """People whose scans and label maps lie on one grid."""

    data: Annotated[
        Path, typer.Option(help="Folder of prepared people, as `train brain-prepare` writes it.")
    ]
