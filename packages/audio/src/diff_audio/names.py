"""Which files are taken for sound, and how outputs are named beside them."""

from __future__ import annotations

from diff_audio.files import FOREIGN, SUFFIXES
from diff_core.command import FileKind

__all__ = ["NOISE_TAG", "SOUND", "TAG"]

SOUND = FileKind("sound files", SUFFIXES, FOREIGN)
"""What the commands for recordings read and write."""

TAG = "_denoised"
"""Ends the name of a denoised file."""

NOISE_TAG = "_removed"
"""Ends the name of a file of what was taken away."""
