"""Voxel sizes, and which axes are sampled finely."""

from __future__ import annotations

__all__ = ["THICK", "Spacing"]

Spacing = tuple[float, float, float]
"""The size of a voxel along x, y and z, in mm."""

THICK = 2.0
"""The ratio to the finest spacing above which neighbours along an axis show different anatomy."""
