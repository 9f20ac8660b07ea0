"""The checkpoints that come with a package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diff_core import files

__all__ = ["Weights", "find_weights"]


@dataclass(frozen=True)
class Weights:
    """One checkpoint."""

    path: Path

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the file's SHA-256."""
        return files.fingerprint(self.path)


def find_weights(folder: Path) -> Iterator[Weights]:
    """The checkpoints in a folder, by name."""
    return (Weights(path) for path in sorted(folder.glob("*.safetensors")))
