"""The trained weights that come with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from diff_core.files import fingerprint

__all__ = ["BRAIN", "FOLDER", "WEAK", "brain_paths", "fingerprint_of", "path_of"]

FOLDER = Path(__file__).parent
"""The folder of the checkpoints."""

BRAIN = ("anatomy", "lobes", "folds", "borders", "appearance")
"""The stages of the generator of brains, each a file of its own."""

WEAK = ("anatomy_weak", "lobes_weak", "folds_weak")
"""Weak versions of stages, away from which these are guided."""


def path_of(name: str) -> Path:
    """Return the checkpoint of a shipped model: "enhance", "generate", "generate_volume", or
    "brain_" with one of `BRAIN` or `WEAK`.
    """
    return FOLDER / f"{name}.safetensors"


def brain_paths() -> tuple[Path, ...]:
    """Return the checkpoints of the shipped generator of brains, in the order of its fingerprint;
    none unless all stages are there.
    """
    paths = tuple(path_of(f"brain_{stage}") for stage in BRAIN)
    if not all(path.is_file() for path in paths):
        return ()
    return paths + tuple(p for name in WEAK if (p := path_of(f"brain_{name}")).is_file())


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Return 16 hexadecimal digits for a model of several files, in their order."""
    each = "".join(fingerprint(path) for path in paths)
    return hashlib.sha256(each.encode()).hexdigest()[:16]
