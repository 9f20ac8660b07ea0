"""The reading of sound files, whole or in blocks: whatever libsndfile or ffmpeg decodes.

A file that cannot be used raises `BadFile`, whose text says what is wrong and what to do; the
caller names the file.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.sound import bit_rate, ffmpeg, lengths, mpeg
from diff_audio.sound.links import Chain, links_of
from diff_audio.sound.spliced import Spliced
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

FOREIGN = ffmpeg.MEDIA
"""File name endings of sound and video that libsndfile does not know."""

BLOCK = 65_536
JOINED = "{} recordings stand one behind another; all are read"


class BadFile(ValueError):
    """A sound file that cannot be read or made; the text says what is wrong and what to do."""


@dataclass(frozen=True)
class Recording:
    """The facts in the header of a sound file.

    frames:   samples per channel
    tags:     title, artist, ... where there are any
    bit_rate: of a lossy format, bit/s; None where it is not known, or nothing was lost
    notes:    what the user should know about the file, one line each
    """

    path: Path
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    endian: str = "FILE"
    tags: dict[str, str] = field(default_factory=dict[str, str])
    bit_rate: float | None = None
    notes: tuple[str, ...] = ()


def library_name(path: str | os.PathLike[str]) -> Any:
    """A file's name for soundfile: bytes where the system's names are, for not all are UTF-8."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def probe(path: str | os.PathLike[str]) -> Recording:
    """Read the header of a sound file. Raises BadFile if it is missing, empty, cut off, or not
    sound.
    """
    path = Path(path)
    if not path.exists():
        raise BadFile("no such file; check the name")
    if path.is_dir():
        raise BadFile("is a folder; give a sound file")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise BadFile(f"cannot be read ({error.strerror}); check its permissions") from error
    if size == 0:
        raise BadFile("the file is empty (0 bytes); record or copy it again")
    with _opened(path) as source:
        found = source.recording
    if found.frames == 0:
        raise BadFile("holds no samples; record or copy it again")
    if found.subtype.startswith("MPEG"):  # its decoder skips what it cannot use
        found = replace(found, frames=_counted(path, size, path.stat().st_mtime_ns))
    notes = tuple(note.format(seconds=found.frames / found.rate) for note in found.notes)
    rate = found.bit_rate
    if found.format == "OGG":
        rate = bit_rate.average(path, found.subtype, found.frames / found.rate)
    return replace(found, notes=notes, bit_rate=rate)


@lru_cache(maxsize=64)
def _counted(path: Path, _size: int, _mtime_ns: int) -> int:
    return sum(block.shape[1] for block in read_blocks(path))


@dataclass(frozen=True)
class _Source:
    """An open file: what its header says, and a reader of the next samples (C, up to n)."""

    recording: Recording
    read: Callable[[int], Array]


@contextmanager
def _opened(path: Path) -> Generator[_Source]:
    """Open a file with the decoder that knows it. Raises BadFile."""
    import soundfile

    length = lengths.measure(path)
    if length.missing > 0:
        raise _cut_off(path, f"{length.missing} bytes are missing at its end")
    with path.open("rb") as file:
        head = file.read(64)
    frames = mpeg.scan(path) if _may_be_mpeg(head) else None
    links = links_of(path, head)
    rate = frames.kind[1] if frames else None
    try:
        file = _sound_file(path, length, frames) if len(links) < 2 else Chain(path, links)
        if frames is None and file.subtype.startswith("MPEG"):  # in another container
            frames = mpeg.scan(path)
            if frames is not None:
                file.close()
                file = _sound_file(path, length, frames)
    except (soundfile.LibsndfileError, TypeError) as error:
        if not ffmpeg.resembles(head, path.suffix):
            raise BadFile(
                "is not a sound file that can be read, or its header is damaged; "
                "convert it to WAV or FLAC"
            ) from error
    else:
        if file.fits if isinstance(file, Chain) else frames is None or frames.kinds == 1:
            with file:
                notes = _length_notes(length) if frames is None else _mpeg_notes(path, frames)
                if len(links) > 1:
                    notes = [JOINED.format(len(links))]
                yield _Source(_recorded(path, file, head, notes, frames), _reader(file))
            return
        rate = file.samplerate
        file.close()
    with _by_ffmpeg(path, rate) as source:
        yield source


def _may_be_mpeg(head: bytes) -> bool:
    return head[:3] == b"ID3" or mpeg.header_at(head, 0) is not None


def _sound_file(path: Path, length: lengths.Length, frames: mpeg.Frames | None) -> Any:
    import soundfile

    pieces = frames.pieces if frames else length.pieces
    name: Any = Spliced(path, pieces) if pieces else library_name(path)
    return soundfile.SoundFile(name)


def _recorded(
    path: Path, file: Any, head: bytes, notes: list[str], frames: mpeg.Frames | None
) -> Recording:
    tags = {name: text for name, text in file.copy_metadata().items() if text}
    return Recording(
        path,
        file.samplerate,
        file.channels,
        file.frames,
        "WAV" if head[:4] == b"RIFF" and file.format == "MP3" else file.format,
        file.subtype,
        file.endian,
        tags,
        frames.bit_rate if frames else None,
        tuple(notes),
    )


def _reader(file: Any) -> Callable[[int], Array]:
    def read(count: int) -> Array:
        return np.ascontiguousarray(file.read(count, dtype="float64", always_2d=True).T)

    return read


def _as_argument(path: Path) -> str:
    """Return a file's name as a shell and ffmpeg take it for a name."""
    odd = path.name.startswith("-") or ":" in path.name
    return shlex.quote(f"./{path.name}" if odd else path.name)


def _cut_off(path: Path, what: str) -> BadFile:
    return BadFile(
        f"is cut off: {what}; copy it again, or keep what is "
        f"there with 'ffmpeg -i {_as_argument(path)} repaired{path.suffix}'"
    )


def _length_notes(length: lengths.Length) -> list[str]:
    if length.open:
        return [
            "its header gives no length, as after a loss of power or from a pipe; all "
            "{seconds:.1f} s that are there are read"
        ]
    if length.behind > 0:
        return [
            f"{length.behind} bytes stand behind the {{seconds:.1f}} s that its header promises, "
            "and are left out"
        ]
    return []


def _mpeg_notes(path: Path, frames: mpeg.Frames) -> list[str]:
    """Return what is odd about an MP3. Raises BadFile if a part is missing."""
    if frames.missing > 1:  # some encoders count their header among the frames
        total = frames.count + frames.missing
        raise _cut_off(path, f"{frames.missing} of {total} frames are missing")
    notes: list[str] = []
    if frames.parts > 1:
        notes.append(JOINED.format(frames.parts))
    elif frames.promised is not None and frames.count > frames.promised + 1:
        notes.append("it is longer than its header promises; all {seconds:.1f} s are read")
    if frames.rubbish:
        notes.append(f"{frames.rubbish} bytes in it are no sound and are left out")
    if frames.torn:
        notes.append("its last frame is cut off; what comes before it is read")
    return notes


@contextmanager
def _by_ffmpeg(path: Path, rate: int | None) -> Generator[_Source]:
    try:
        facts = ffmpeg.examine(path, rate)
        notes: list[str] = []
        if facts.tracks > 1:
            notes.append(f"it has {facts.tracks} sound tracks; the first is read")
        seconds = facts.frames / facts.rate
        if rate is not None:
            notes.append(f"it changes its format on the way; all is read, at {rate} Hz")
        elif facts.faults and facts.seconds is not None and seconds < facts.seconds - 0.1:
            raise _cut_off(path, f"{seconds:.1f} of {facts.seconds:.1f} s are there")
        elif facts.faults:
            notes.append(f"ffmpeg says '{facts.faults[0]}'; a part may be missing")
        notes = [note.replace("{", "{{").replace("}", "}}") for note in notes]
        recording = Recording(
            path, facts.rate, facts.channels, facts.frames,
            path.suffix[1:].upper() or "MEDIA",
            f"PCM_{facts.bits or 16}" if facts.lossless else facts.codec.upper(),
            tags=dict(facts.tags), bit_rate=None if facts.lossless else facts.bit_rate,
            notes=tuple(notes),
        )  # fmt: skip
        with ffmpeg.opened(path, rate) as decoder:
            yield _Source(recording, decoder.read)
    except ffmpeg.FfmpegError as error:
        if ffmpeg.find() is None:
            raise BadFile(
                f'is read by ffmpeg, which is not installed: pip install "diff-audio[ffmpeg]"; '
                "or convert it to WAV elsewhere, with "
                f"'ffmpeg -i {_as_argument(path)} converted.wav'"
            ) from error
        raise BadFile(
            f"is not a sound file that can be read ({error}); convert it to WAV or FLAC"
        ) from error


def read_blocks(path: str | os.PathLike[str], block: int = BLOCK) -> Iterator[Array]:
    """The samples in consecutive blocks (C, up to `block`), full scale 1. Raises BadFile where
    decoding fails.
    """
    import soundfile

    done = 0
    try:
        with _opened(Path(path)) as source:
            while True:
                samples = source.read(block)
                if samples.shape[1] == 0:
                    break
                done += samples.shape[1]
                yield samples
            found = source.recording
    except soundfile.LibsndfileError as error:
        raise BadFile(
            f"is damaged or cut off after {done} samples per channel; copy it again"
        ) from error
    if done == 0:
        raise BadFile("holds no samples; record or copy it again")
    if done < found.frames and not found.subtype.startswith("MPEG"):
        raise BadFile(
            f"is cut off: {done} of {found.frames} samples per channel are there; copy it again"
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
