"""The trained weights that come with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDER", "path_of"]

FOLDER = Path(__file__).parent


def path_of(name: str) -> Path:
    """Return the checkpoint of a shipped model: "enhance", "generate" or "generate_volume"."""
    return FOLDER / f"{name}.safetensors"
