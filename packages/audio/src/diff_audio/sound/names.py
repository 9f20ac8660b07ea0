"""The names of sound files, and of the outputs beside them."""

from __future__ import annotations

from pathlib import Path

from diff_audio.sound.read import FOREIGN, SUFFIXES
from diff_core.command import FileKind

__all__ = [
    "FILLED_TAG", "NOISE_TAG", "PRODUCTS", "SOUND", "TAG", "UNREAD", "VOCODED_TAG",
    "is_made_here",
]  # fmt: skip

VIDEO = tuple(".3gp .avi .m4v .mkv .mov .mpeg .mpg .mts .wmv".split())
"""File name endings of films, whose sound is not taken."""

UNREAD = {
    suffix: "not read; convert them to WAV or FLAC"
    for suffix in sorted({*FOREIGN, *VIDEO, ".ape", ".dsf", ".wv"})
}
"""File name endings of sound that a folder is not searched for, with the reason."""

SOUND = FileKind("sound files", SUFFIXES, FOREIGN, UNREAD)
"""What the commands for recordings read and write."""

TAG = "_denoised"
"""Ends the name of a denoised file."""

NOISE_TAG = "_removed"
"""Ends the name of a file of what was taken away."""

PRODUCTS = (TAG, NOISE_TAG, *(f"{NOISE_TAG}_{suffix[1:]}" for suffix in SUFFIXES))
"""End the names of all that denoising writes; NAME_removed_mp3.wav was taken from an MP3."""

VOCODED_TAG = "_vocoded"
"""Ends the name of sound made of a mel spectrogram."""

FILLED_TAG = "_filled"
"""Ends the name of a file with a gap filled."""


def is_made_here(path: Path) -> bool:
    """Return whether a file is named like an output of this package and its origin lies beside
    it.
    """
    for tag in (*PRODUCTS, VOCODED_TAG, FILLED_TAG):
        if path.stem.lower().endswith(tag):
            stem = path.stem[: -len(tag)]
            origins = (path.suffix, *SUFFIXES, ".npy")
            return any(path.with_name(stem + suffix).exists() for suffix in origins)
    return False
