"""How outputs are named beside their inputs."""

from __future__ import annotations

__all__ = ["NOISE_TAG", "TAG"]

TAG = "_denoised"
"""Ends the name of a denoised file."""

NOISE_TAG = "_removed"
"""Ends the name of a file of what was taken away."""
