"""The reading of sound files by soundfile: whatever libsndfile reads, whole or in blocks.

A file that cannot be used raises `BadFile`, whose text says what is wrong and what to do; the
caller names the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from diff_audio.sound.wave import Array

__all__ = [
    "FOREIGN",
    "SUFFIXES",
    "BadFile",
    "Recording",
    "library_name",
    "probe",
    "read",
    "read_blocks",
    "read_start",
]

SUFFIXES = tuple(
    ".wav .wave .flac .ogg .oga .opus .aif .aiff .aifc .au .snd .caf .w64 .rf64 .mp3".split()
)
"""File name endings that are taken for sound when a folder is searched."""

FOREIGN = tuple(".aac .ac3 .amr .m4a .m4b .mka .mp4 .webm .wma".split())
"""File name endings of sound that libsndfile does not know."""

BLOCK = 65_536


class BadFile(ValueError):
    """A sound file that cannot be read or made; the text says what is wrong and what to do."""


@dataclass(frozen=True)
class Recording:
    """The facts in the header of a sound file.

    frames:  samples per channel
    tags:    title, artist, ... where there are any
    """

    path: Path
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    endian: str = "FILE"
    tags: dict[str, str] = field(default_factory=dict[str, str])


def library_name(path: str | os.PathLike[str]) -> Any:
    """A file's name for soundfile: bytes where the system's names are, for not all are UTF-8."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def probe(path: str | os.PathLike[str]) -> Recording:
    """Read the header of a sound file. Raises BadFile if it is missing, empty, cut off, or not
    sound.
    """
    import soundfile

    path = Path(path)
    if not path.exists():
        raise BadFile("no such file; check the name")
    if path.is_dir():
        raise BadFile("is a folder; give a sound file")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise BadFile(f"cannot be read ({error.strerror}); check its permissions") from error
    if size == 0:
        raise BadFile("the file is empty (0 bytes); record or copy it again")
    try:
        with soundfile.SoundFile(library_name(path)) as file:
            found = Recording(
                path,
                file.samplerate,
                file.channels,
                file.frames,
                file.format,
                file.subtype,
                file.endian,
                _tags(file),
            )
    except (soundfile.LibsndfileError, TypeError) as error:
        raise BadFile(
            "is not a sound file that can be read, or its header is damaged; "
            "convert it to WAV or FLAC"
        ) from error
    _check_whole(path, head, size)
    if found.frames == 0:
        raise BadFile("holds no samples; record or copy it again")
    if found.format == "MP3":  # its header may only guess
        return replace(found, frames=sum(block.shape[1] for block in read_blocks(path)))
    return found


def _tags(file: Any) -> dict[str, str]:
    return {name: text for name, text in file.copy_metadata().items() if text}


def _check_whole(path: Path, head: bytes, size: int) -> None:
    """Raise BadFile for a cut-off WAV or Ogg, which libsndfile takes for a shorter one."""
    missing = 0
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        missing = _missing_from_wav(path, size)
    elif head[:4] == b"OggS":
        missing = _missing_from_ogg(path, size)
    if missing > 0:
        raise BadFile(
            f"is cut off: {missing} bytes are missing at its end; copy it again, or keep what is "
            f"there with 'ffmpeg -i {path.name} repaired{path.suffix}'"
        )


def _missing_from_wav(path: Path, size: int) -> int:
    with path.open("rb") as file:
        position = 12
        while position + 8 <= size:
            file.seek(position)
            header = file.read(8)
            length = int.from_bytes(header[4:], "little")
            if header[:4] == b"data":
                # Recorders that write to a pipe leave 0 or the largest number: the data goes on to
                # the end.
                open_ended = length == 0 or length >= 0x7FFFFFFF and size < length
                return 0 if open_ended else position + 8 + length - size
            position += 8 + length + length % 2
    return 0


def _missing_from_ogg(path: Path, size: int) -> int:
    """Return the bytes that the last page promises beyond the end of the file (Xiph.Org, RFC
    3533).
    """
    with path.open("rb") as file:
        file.seek(max(0, size - 65_536 - 282))  # longer than any page
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return 0
    page = tail[start:]
    segments = page[26] if len(page) > 26 else 0
    table = page[27 : 27 + segments]
    if len(page) < 27 or len(table) < segments:
        return 27 + segments - len(page)
    return 27 + segments + sum(table) - len(page)


def read_blocks(path: str | os.PathLike[str], block: int = BLOCK) -> Iterator[Array]:
    """The samples in consecutive blocks (C, up to `block`), full scale 1. Raises BadFile where
    decoding fails.
    """
    import soundfile

    done = 0
    try:
        with soundfile.SoundFile(library_name(path)) as file:
            while True:
                samples = cast(Array, file.read(block, dtype="float64", always_2d=True))
                if len(samples) == 0:
                    break
                done += len(samples)
                yield np.ascontiguousarray(samples.T)
            expected = file.frames
    except soundfile.LibsndfileError as error:
        raise BadFile(
            f"is damaged or cut off after {done} samples per channel; copy it again"
        ) from error
    if done == 0:
        raise BadFile("holds no samples; record or copy it again")
    if done < expected and file.format != "MP3":
        raise BadFile(
            f"is cut off: {done} of {expected} samples per channel are there; copy it again"
        )


def read_start(path: str | os.PathLike[str], frames: int) -> Array:
    """Return the first `frames` samples (C, n) of a file, or all that it has. Raises BadFile."""
    blocks: list[Array] = []
    missing = frames
    for block in read_blocks(path):
        blocks.append(block)
        missing -= block.shape[1]
        if missing <= 0:
            break
    return np.concatenate(blocks, axis=1)[:, :frames]


def read(path: str | os.PathLike[str]) -> tuple[Array, int]:
    """A whole sound file: samples (C, T), full scale 1, and rate in Hz. Raises BadFile."""
    found = probe(path)
    return np.concatenate(list(read_blocks(path)), axis=1), found.rate
