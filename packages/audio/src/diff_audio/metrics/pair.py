"""A pair of recordings, checked as every score needs it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diff_audio.sound.wave import Array

__all__ = ["RATE", "checked_pair", "library"]

RATE = 16_000
"""The sample rate at which recordings are scored, Hz."""


def checked_pair(reference: ArrayLike, estimate: ArrayLike) -> tuple[Array, Array]:
    """Return both as float64 (T,). Raises ValueError where they differ in length, are empty or not
    finite.
    """
    ref, est = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if ref.ndim != 1 or ref.shape != est.shape:
        raise ValueError(
            f"reference and estimate must be (T,) of equal length, got {ref.shape} and {est.shape}"
        )
    if ref.size == 0:
        raise ValueError("reference and estimate are empty")
    if not (np.isfinite(ref).all() and np.isfinite(est).all()):
        raise ValueError("reference and estimate must be finite, got NaN or Inf")
    return ref, est


def library(name: str, package: str) -> Any:
    """The module `name`. Raises ImportError naming the package to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this score needs the library {package}: pip install '{package}'"
        ) from error
