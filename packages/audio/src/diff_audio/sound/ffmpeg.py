"""Sound that libsndfile does not know, decoded by the program ffmpeg.

The program on the PATH is taken, or that of the package imageio-ffmpeg (extra `[ffmpeg]`). It gets
the names of local files only, may open no other protocol, no playlist, and reads no keyboard.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.sound.wave import Array

__all__ = ["MEDIA", "Facts", "FfmpegError", "examine", "find", "input_of", "opened", "resembles"]

MEDIA = tuple(
    ".3ga .3gp .aac .ac3 .amr .ape .avi .eac3 .flv .m4a .m4b .m4v .mka .mkv .mov .mp4 .mpeg .mpg "
    ".tta .webm .wma .wmv .wv".split()
)
"""File name endings of sound and video that ffmpeg reads and libsndfile does not."""

LOSSLESS = ("alac", "ape", "flac", "pcm", "tta", "wavpack", "wmalossless", "mlp", "truehd")
"""The beginnings of ffmpeg's names of codecs that keep every sample."""

# No playlists and no lists of other files among them.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpeg,mpegts,ogg,tta,w64,wav,wv,loas,dsf"
)
_STARTS = (
    b"\x1a\x45\xdf\xa3", bytes.fromhex("3026b2758e66cf11"), b"\xff\xf1", b"\xff\xf9", b"ADIF",
    b"\x0b\x77", b"#!AMR", b"wvpk", b"MAC ", b"TTA1", b"FLV\x01", b"\0\0\1\xba", b"DSD ",
)  # fmt: skip
_COMPRESSED = (0x50, 0x55, 0xFF, 0x160, 0x161, 0x162, 0x163, 0x270, 0x1610, 0x2000, 0x2001)
_STREAM = re.compile(r"Stream #0:\d+.*?: Audio: (\w+)(.*)")
_TAG = re.compile(r"^(?:\[info\] )? +(\w+) *: (.*)$", re.MULTILINE)
_TAGS = {
    "title": "title", "artist": "artist", "album": "album", "comment": "comment", "date": "date",
    "genre": "genre", "copyright": "copyright", "track": "tracknumber",
}  # fmt: skip
_DURATION = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")


class FfmpegError(Exception):
    """ffmpeg is not there, or cannot read or write a file; the text says why."""


@dataclass(frozen=True)
class Facts:
    """The first sound track of a file.

    codec:    ffmpeg's name of it; lossless: whether it keeps every sample
    bit_rate: bit/s; None where ffmpeg does not know it
    bits:     of its integer samples; None for others
    tracks:   the number of sound tracks
    seconds:  length that the file promises; None without a promise
    tags:     title, artist, ... by soundfile's names
    faults:   what ffmpeg complained of
    """

    rate: int
    channels: int
    frames: int
    codec: str
    bit_rate: float | None
    bits: int | None
    tracks: int
    seconds: float | None
    tags: tuple[tuple[str, str], ...]
    faults: tuple[str, ...]

    @property
    def lossless(self) -> bool:
        return self.codec.startswith(LOSSLESS)


def find() -> str | None:
    """Return the path of ffmpeg; None if it is neither on the PATH nor in a package."""
    if program := shutil.which("ffmpeg"):
        return program
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def resembles(head: bytes, suffix: str) -> bool:
    """Return whether the first 64 bytes of a file, or its ending, are of a kind for ffmpeg."""
    if suffix.lower() in MEDIA or head.startswith(_STARTS):
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return True
    if head[:4] == b"RIFF":
        tag = int.from_bytes(head[20:22], "little")
        return head[8:12] == b"AVI " or head[12:16] == b"fmt " and tag in _COMPRESSED
    if head[:4] == b"caff":
        return head[28:32] in (b"aac ", b"aacl", b"aach", b"aacp", b".mp3", b"ac-3", b"ilbc")
    return head[:4] == b"OggS" and head[28:36] in (b"Speex   ", b"\x80theora\x03", b"fishead\0")


def input_of(path: Path) -> list[str]:
    """Return ffmpeg's arguments that name a file as an input, and nothing but that file."""
    safe = ["-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS]
    return [*safe, "-i", f"file:{os.fspath(path)}"]


class Decoder:
    """The samples of a file as they come out of ffmpeg."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.ended = stream, False
        header = stream.read(24)
        if len(header) < 24:
            raise FfmpegError("")
        offset = int.from_bytes(header[4:8], "big")
        self.rate, self.channels = (int.from_bytes(header[i : i + 4], "big") for i in (16, 20))
        stream.read(offset - 24)

    def read(self, frames: int) -> Array:
        """Return up to `frames` samples (C, n)."""
        data = self._stream.read(frames * self.channels * 8)
        self.ended = len(data) < frames * self.channels * 8
        whole = len(data) // (8 * self.channels) * 8 * self.channels
        samples = np.frombuffer(data[:whole], ">f8").reshape(-1, self.channels)
        return np.ascontiguousarray(samples.T, np.float64)


@contextmanager
def opened(path: Path, rate: int | None = None, log: Any = None) -> Generator[Decoder]:
    """A decoder of the first sound track of a file. Raises FfmpegError.

    rate: in Hz, for a file that changes its own; log: a file for what ffmpeg has to say
    """
    program = find()
    if program is None:
        raise FfmpegError("ffmpeg is not there")
    command = [program, "-nostdin", "-hide_banner", "-nostats", "-v", "level+info"]
    # Sun's format: a short header, and then the samples without an end
    command += [*input_of(path), "-map", "0:a:0", "-c:a", "pcm_f64be"]
    command += ["-ar", str(rate)] if rate else []
    command += ["-f", "au", "pipe:1"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log or subprocess.DEVNULL
    ) as process:
        decoder = None
        try:
            decoder = Decoder(process.stdout)
            yield decoder
        finally:
            if decoder is not None and not decoder.ended:
                process.kill()


def examine(path: Path, rate: int | None = None) -> Facts:
    """Return the facts of a file; all of it is decoded once (`opened`). Raises FfmpegError."""
    found = path.stat()
    return _examined(path, rate, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _examined(path: Path, wanted: int | None, _size: int, _mtime_ns: int) -> Facts:
    with tempfile.TemporaryFile() as log:
        frames = rate = channels = 0
        try:
            with opened(path, wanted, log) as decoder:
                rate, channels = decoder.rate, decoder.channels
                while count := decoder.read(rate).shape[1]:
                    frames += count
        except FfmpegError as error:
            if find() is None:
                raise
            log.seek(0)
            raise FfmpegError(_fault(log.read().decode("utf-8", "replace"))) from error
        log.seek(0)
        text = log.read().decode("utf-8", "replace")
    faults, text = tuple(_faults(text)), text.partition("Output #0")[0]
    streams = _STREAM.findall(text)
    codec, rest = streams[0] if streams else ("", "")
    kbps = re.search(r"(\d+) kb/s", rest)
    if kbps is None and ": Video: " not in text:  # then all is sound
        kbps = re.search(r"bitrate: (\d+) kb/s", text)
    bits = re.search(r"\((\d+) bit\)", rest) or re.search(r", [su](\d+)p?\b", rest)
    duration = _DURATION.search(text)
    seconds = None
    if duration:
        hours, minutes, rest_seconds = duration.groups()
        seconds = 3600 * int(hours) + 60 * int(minutes) + float(rest_seconds)
    said = _TAG.findall(text.partition("Duration:")[0])
    tags = tuple((_TAGS[name.lower()], value) for name, value in said if name.lower() in _TAGS)
    return Facts(
        rate, channels, frames, codec, 1000.0 * int(kbps[1]) if kbps else None,
        int(bits[1]) if bits else None, len(streams), seconds, tags, faults,
    )  # fmt: skip


def _faults(text: str) -> list[str]:
    """Return the lines that ffmpeg marks as faults, without the names of its parts."""
    found = re.findall(r"^(?:\[[^\]]* @ [^\]]*\] )*\[(?:error|fatal)\] (.+)$", text, re.MULTILINE)
    return [line.strip() for line in found]


def _fault(text: str) -> str:
    """Return the first complaint of ffmpeg that does not repeat the name of the file."""
    if "matches no streams" in text:
        return "it holds no sound"
    faults = [line for line in _faults(text) if "file:" not in line]
    return faults[0].rstrip(".") if faults else "it is damaged"
