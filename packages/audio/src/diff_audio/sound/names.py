"""The names of sound files, and of the outputs beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diff_audio.sound import ffmpeg
from diff_audio.sound.read import FOREIGN, SUFFIXES
from diff_core.command import FileKind

__all__ = [
    "FILLED_TAG", "NOISE_TAG", "PRODUCTS", "RESTORED_TAG", "SOUND", "TAG", "UNREAD", "VOCODED_TAG",
    "check_output", "is_made_here", "sound_alone", "sound_files", "written_name",
]  # fmt: skip

UNREAD = {
    **dict.fromkeys(FOREIGN, 'not read; convert them to WAV, or pip install "diff-audio[ffmpeg]"'),
    **dict.fromkeys((".dsf", ".mts"), "not read; convert them to WAV or FLAC"),
}
"""File name endings of sound that a folder is not searched for, with the reason."""

SOUND = FileKind("sound files", SUFFIXES, FOREIGN, UNREAD)
"""The files that libsndfile reads and writes."""

M4A = ".m4a"
"""The one ending of those that libsndfile does not know that can be written, by ffmpeg."""

_LOSSLESS = (".ape", ".tta", ".wv")


def sound_files() -> FileKind:
    """The files that the commands for recordings read here: with ffmpeg, M4A and video too."""
    if not ffmpeg.find():
        return SOUND
    unread = {suffix: reason for suffix, reason in UNREAD.items() if suffix not in FOREIGN}
    return replace(SOUND, suffixes=(*SUFFIXES, *FOREIGN), foreign=(), unread=unread)


def check_output(output: Path | None) -> None:
    """Raise ValueError for an output that can be read and cannot be written, such as a video."""
    suffix = output.suffix.lower() if output is not None else ""
    if suffix in FOREIGN and suffix != M4A:
        raise ValueError(
            f"{output} is of a kind that cannot be written; end it in .m4a, .flac or .wav"
        )


def written_name(target: Path) -> Path:
    """Return the name for what is made of a recording: the sound of a video is an M4A, what was
    packed without loss a FLAC.
    """
    suffix = target.suffix.lower()
    if suffix not in FOREIGN or suffix == M4A and ffmpeg.find():
        return target
    lossless = suffix in _LOSSLESS or not ffmpeg.find()
    return target.with_suffix(".flac" if lossless else M4A)


def sound_alone(source: Path, target: Path) -> tuple[str, ...]:
    """Return a note for a target in another format because that of the source cannot be written,
    such as of a video; none for others.
    """
    named = written_name(source)
    if named == source or named.suffix != target.suffix:
        return ()
    return (f"the sound alone is written, as {target.suffix[1:].upper()}",)


TAG = "_denoised"
"""Ends the name of a denoised file."""

NOISE_TAG = "_removed"
"""Ends the name of a file of what was taken away."""

PRODUCTS = (TAG, NOISE_TAG, *(f"{NOISE_TAG}_{suffix[1:]}" for suffix in (*SUFFIXES, M4A)))
"""End the names of all that denoising writes; NAME_removed_mp3.wav was taken from an MP3."""

VOCODED_TAG = "_vocoded"
"""Ends the name of sound made of a mel spectrogram."""

FILLED_TAG = "_filled"
"""Ends the name of a file with a gap filled."""

RESTORED_TAG = "_restored"
"""Ends the name of a restored file."""


def is_made_here(path: Path) -> bool:
    """Return whether a file is named like an output of this package and its origin lies beside
    it.
    """
    for tag in (*PRODUCTS, VOCODED_TAG, FILLED_TAG, RESTORED_TAG):
        if path.stem.lower().endswith(tag):
            stem = path.stem[: -len(tag)]
            origins = (path.suffix, *SUFFIXES, *FOREIGN, ".npy")
            return any(path.with_name(stem + suffix).exists() for suffix in origins)
    return False
