"""The writing of sound files by soundfile: in blocks, in the format in which they came."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from diff_audio.sound.read import BLOCK, BadFile, Recording, library_name
from diff_audio.sound.wave import Array

__all__ = ["BITS", "Writer", "container_for"]

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""The bits of the integer samples that are written as they are."""


def container_for(recording: Recording, target: Path) -> tuple[str, str]:
    """Return the format and subtype to write `target` with: the recording's if the suffix is the
    same, else the suffix's own.

    The subtype is kept where the other format has it. Raises BadFile for a suffix that is not a
    sound format's.
    """
    import soundfile

    if target.suffix.lower() == recording.path.suffix.lower():
        return recording.format, recording.subtype
    name = target.suffix[1:].upper()
    format = {
        "WAVE": "WAV",
        "OGA": "OGG",
        "OPUS": "OGG",
        "AIF": "AIFF",
        "AIFC": "AIFF",
        "SND": "AU",
    }.get(name, name)
    if format not in soundfile.available_formats():
        raise BadFile(
            f"the output {target.name} has no known sound format; end it in .wav, .flac or .ogg"
        )
    if name == "OPUS":
        return format, "OPUS"
    if soundfile.check_format(format, recording.subtype):
        return format, recording.subtype
    return format, str(soundfile.default_subtype(format))


class Writer:
    """A writer of a sound file in blocks: a context manager whose `clipped` counts the samples
    that full scale cut off.

    Integer samples are rounded to the nearest; what lies beyond full scale is cut off, never
    rescaled. Raises BadFile where the container cannot hold what is asked, OSError when a write
    falls short (a full disk).
    """

    def __init__(
        self, path: str | os.PathLike[str], like: Recording, format: str, subtype: str
    ) -> None:
        import soundfile

        self.path, self.format, self.subtype = Path(path), format, subtype
        self.frames = self.clipped = 0
        self._steps = 2.0 ** (BITS[subtype] - 1) if subtype in BITS else None
        endian = like.endian if format == like.format else "FILE"
        if not soundfile.check_format(format, subtype, endian):
            raise BadFile(
                f"{format} with samples of kind {subtype} cannot be written; "
                "name the output .wav or .flac"
            )
        try:
            name = library_name(self.path)
            self._file = soundfile.SoundFile(
                name, "w", like.rate, like.channels, subtype, endian, format
            )
        except soundfile.LibsndfileError as error:
            if self._opens_in_memory(like, endian):  # so it is the disk's fault
                raise OSError(self._shortfall()) from error
            raise BadFile(
                f"{format} cannot be written at {like.rate} Hz with {like.channels} channels; "
                "name the output .wav"
            ) from error
        for name, text in like.tags.items():
            with suppress(
                soundfile.LibsndfileError, AttributeError
            ):  # not every container has every tag
                setattr(self._file, name, text)

    def write(self, samples: Array) -> None:
        """Append samples (C, n), full scale 1."""
        import soundfile

        frames = samples.T
        if self._steps is not None:
            whole = np.rint(frames * self._steps)
            inside = np.clip(whole, -self._steps, self._steps - 1)
            self.clipped += int(np.count_nonzero(whole != inside))
            frames = inside / self._steps
        # libsndfile's Vorbis encoder overflows its stack on very long blocks.
        for start in range(0, len(frames), BLOCK):
            part = np.ascontiguousarray(frames[start : start + BLOCK])
            try:
                self._file.write(part)
            except (
                soundfile.LibsndfileError,
                AssertionError,
            ) as error:  # soundfile asserts that all was written
                raise OSError(self._shortfall()) from error
            self.frames += len(part)

    def close(self) -> None:
        """Finish the file and read its header back: a full disk may show only there."""
        import soundfile

        try:
            self._file.close()
            written = soundfile.info(library_name(self.path)).frames
        except soundfile.LibsndfileError as error:
            raise OSError(self._shortfall()) from error
        if written != self.frames:
            raise OSError(self._shortfall())

    def _opens_in_memory(self, like: Recording, endian: str) -> bool:
        import soundfile

        kind = like.rate, like.channels, self.subtype, endian, self.format
        try:
            soundfile.SoundFile(io.BytesIO(), "w", *kind).close()
        except soundfile.LibsndfileError:
            return False
        return True

    def _shortfall(self) -> str:
        return "the disk is full or a limit reached; free some space or choose another folder"

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(Exception):
                self._file.close()
