"""The writing of sound files in blocks, in the format in which they came.

soundfile writes all but M4A, which ffmpeg does.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.sound import metadata
from diff_audio.sound.bit_rate import LOSSY, encoding
from diff_audio.sound.carried import WithRoom, append
from diff_audio.sound.ffmpeg import FfmpegError
from diff_audio.sound.m4a import M4aFile
from diff_audio.sound.read import BLOCK, BadFile, Recording, library_name
from diff_audio.sound.wave import Array

__all__ = ["BITS", "EXACT", "Writer", "container_for"]

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""The bits of the integer samples that are written as they are."""

EXACT = (*BITS, "FLOAT", "DOUBLE", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")
"""The encodings that return the samples that they were given."""

_UNKNOWN_TO_FFMPEG = ("AVR", "HTK", "IRCAM", "MAT4", "MAT5", "MPC2K", "NIST", "PAF", "PVF", "SD2",
                      "SDS", "SVX", "VOC", "WVE", "XI")  # fmt: skip
_FORMATS = {"WAVE": "WAV", "OGA": "OGG", "OPUS": "OGG", "AIF": "AIFF", "AIFC": "AIFF", "SND": "AU"}


def container_for(recording: Recording, target: Path) -> tuple[str, str]:
    """Return the format and subtype to write `target` with: the recording's if the suffix is the
    same, else the suffix's own.

    The subtype is kept where the other format has it. Raises BadFile for a suffix that is not a
    sound format's.
    """
    import soundfile

    known = soundfile.available_formats()
    name = target.suffix[1:].upper()
    if name == "M4A":
        kept = recording.format not in known and recording.subtype in BITS
        return "M4A", "ALAC" if kept else "AAC"
    format = _FORMATS.get(name, name)
    if target.suffix.lower() == recording.path.suffix.lower() and recording.format in known:
        format, name = recording.format, ""
    if format not in known:
        raise BadFile(
            f"the output {target.name} has no known sound format; end it in .wav, .flac or .ogg"
        )
    if name == "OPUS":
        return format, "OPUS"
    # libsndfile calls possible what its encoders may refuse
    possible = soundfile.check_format(format, recording.subtype)
    if possible and _opens(recording, format, recording.subtype):
        return format, recording.subtype
    return format, str(soundfile.default_subtype(format))


def _opens(like: Recording, format: str, subtype: str) -> bool:
    """Return whether libsndfile has an encoder for this, tried in memory."""
    import soundfile

    endian = like.endian if format == like.format else "FILE"
    kind = like.rate or 44_100, like.channels, subtype, endian, format
    try:
        soundfile.SoundFile(io.BytesIO(), "w", *kind).close()
    except soundfile.LibsndfileError:
        return False
    return True


class Writer:
    """A writer of a sound file in blocks: a context manager whose `clipped` counts the samples
    that full scale cut off.

    Integer samples are rounded to the nearest; what lies beyond full scale is cut off, never
    rescaled. A lossy file gets at least the bit rate of `like`. What the file of `like` holds
    besides its sound comes along, and `notes` names what does not, once the file is closed.

    Raises BadFile where the container cannot hold what is asked, OSError when a write falls short
    (a full disk).
    """

    def __init__(
        self, path: str | os.PathLike[str], like: Recording, format: str, subtype: str
    ) -> None:
        self.path, self.format, self.subtype = Path(path), format, subtype
        self.frames = self.clipped = 0
        self.notes: tuple[str, ...] = ()
        self._steps = 2.0 ** (BITS[subtype] - 1) if subtype in BITS else None
        # what has no samples yet is made of no other file
        source = like.path if like.frames else None
        self._metadata = metadata.Metadata.of(source, format, like.tags)
        self._encoder: M4aFile | None = None
        self._file: Any = None
        if format == "M4A":
            self._encoder = self._m4a(like)
        else:
            self._file = self._opened(like)
            if not self._metadata.has_texts:
                self._name(like.tags)

    def _m4a(self, like: Recording) -> M4aFile:
        bits, source = BITS.get(like.subtype, 16), self._metadata.source
        if like.format in _UNKNOWN_TO_FFMPEG:
            source = None
        try:
            return M4aFile(
                self.path, like.rate, like.channels, self.subtype, like.bit_rate, bits,
                source, like.tags,
            )  # fmt: skip
        except FfmpegError as error:
            raise BadFile(f"{error}; name the output .wav or .flac") from error

    def _opened(self, like: Recording) -> Any:
        import soundfile

        format, subtype = self.format, self.subtype
        endian = like.endian if format == like.format else "FILE"
        if not soundfile.check_format(format, subtype, endian):
            raise BadFile(
                f"{format} with samples of kind {subtype} cannot be written; "
                "name the output .wav or .flac"
            )
        options: dict[str, Any] = {}
        if subtype in LOSSY:
            options = encoding(subtype, like.rate, like.channels, like.bit_rate)
        chunks = self._metadata.before
        name: Any = WithRoom(self.path, chunks) if chunks else library_name(self.path)
        try:
            return soundfile.SoundFile(
                name, "w", like.rate, like.channels, subtype, endian, format, **options
            )
        except soundfile.LibsndfileError as error:
            if _opens(like, format, subtype):  # so it is the disk's fault
                raise OSError(self._shortfall()) from error
            raise BadFile(
                f"{format} cannot be written at {like.rate} Hz with {like.channels} channels; "
                "name the output .wav"
            ) from error

    def _name(self, tags: dict[str, str]) -> None:
        import soundfile

        for name, text in tags.items():
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
                (self._encoder or self._file).write(part)
            except (
                soundfile.LibsndfileError,
                AssertionError,
            ) as error:  # soundfile asserts that all was written
                raise OSError(self._shortfall()) from error
            except FfmpegError as error:
                raise BadFile(f"M4A cannot be written ({error}); name the output .wav") from error
            self.frames += len(part)

    def close(self) -> None:
        """Finish the file and read its header back: a full disk may show only there."""
        import soundfile

        written = self.frames
        try:
            if self._encoder is not None:
                self._encoder.close()
            if self._file is not None:
                self._file.close()
                if self._metadata.before or self._metadata.behind:
                    append(self.path, self._metadata.behind)
                written = soundfile.info(library_name(self.path)).frames
        except soundfile.LibsndfileError as error:
            raise OSError(self._shortfall()) from error
        except FfmpegError as error:
            raise BadFile(f"M4A cannot be written ({error}); name the output .wav") from error
        if written != self.frames:
            raise OSError(self._shortfall())
        self.notes = self._metadata.finish(self.path)

    def _shortfall(self) -> str:
        return "the disk is full or a limit reached; free some space or choose another folder"

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            self.close()
            return
        with suppress(Exception):
            if self._encoder is not None:
                self._encoder.stop()
            if self._file is not None:
                self._file.close()
