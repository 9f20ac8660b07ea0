"""The checkpoints that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["FOLDER", "Shipped", "path_of"]

FOLDER = Path(__file__).parent
"""The folder of the checkpoints."""

Shipped = Literal["denoise", "live", "restore", "vocoder", "voice"]
"""The names of the checkpoints; not every version of the package brings all of them."""


def path_of(name: Shipped) -> Path:
    """Return the path of a checkpoint of the package; the file may be missing in a source tree."""
    return FOLDER / f"{name}.safetensors"
