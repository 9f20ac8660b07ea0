"""M4A files, written by ffmpeg: AAC, or ALAC for what keeps every sample.

AAC comes in packets of 1024 samples, so a decoder may find up to 1023 samples of silence behind
the sound.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from diff_audio.sound.ffmpeg import FfmpegError, find, input_of
from diff_audio.sound.wave import Array

__all__ = ["M4aFile"]


_NAMES = {"tracknumber": "track", "software": "encoder"}


class M4aFile:
    """A writer of an M4A file, with the chapters and common tags of `source`.

    codec: "AAC" or "ALAC"; bits: of ALAC, 16 or 24; tags: title, artist, ... by soundfile's names

    Raises FfmpegError where ffmpeg is not there,
    cannot write this, or fails, and OSError where the disk is full.
    """

    AAC_RATES = (
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000,
    )  # fmt: skip
    BIT_RATES = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)  # kb/s
    LEAST = 64_000.0  # bit/s per channel: less than that sounds worse than what came in
    USUAL = 96_000.0  # bit/s per channel of what was not lossy

    def __init__(
        self,
        path: Path,
        rate: int,
        channels: int,
        codec: str,
        bit_rate: float | None,
        bits: int,
        source: Path | None,
        tags: dict[str, str],
    ) -> None:
        program = find()
        if program is None:
            raise FfmpegError("M4A is written by ffmpeg, which is not installed")
        if codec == "AAC" and (rate not in self.AAC_RATES or channels > 8):
            raise FfmpegError(f"M4A cannot be written at {rate} Hz with {channels} channels")
        command = [program, "-nostdin", "-y", "-v", "error"]
        command += ["-f", "f64le", "-ar", str(rate), "-ac", str(channels), "-i", "pipe:0"]
        if source is not None:
            command += [*input_of(source), "-map", "0:a", "-map_metadata", "1"]
            command += ["-map_chapters", "1"]
            for name in ("track_gain", "track_peak", "album_gain", "album_peak"):
                command += ["-metadata", f"REPLAYGAIN_{name.upper()}="]
        for name, text in tags.items():
            command += ["-metadata", f"{_NAMES.get(name, name)}={text}"]
        if codec == "AAC":
            # the encoder falls a little short of what it is asked for
            wanted = self.USUAL * channels if bit_rate is None else 1.02 * bit_rate
            wanted = max(wanted, self.LEAST * channels) / 1000
            kbps = next((k for k in self.BIT_RATES if k >= wanted), round(wanted))
            command += ["-c:a", "aac", "-b:a", f"{kbps}k"]
        else:
            command += ["-c:a", "alac", "-sample_fmt", "s16p" if bits <= 16 else "s32p"]
        command += ["-movie_timescale", str(rate), "-f", "ipod", f"file:{os.fspath(path)}"]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log
        )

    def write(self, frames: Array) -> None:
        """Append samples (n, C), full scale 1."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frames, "<f8").tobytes())
        except BrokenPipeError as error:
            self._fail(error)

    def close(self) -> None:
        """Finish the file. Raises FfmpegError where ffmpeg failed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            self._fail(error)
        if self._process.wait():
            self._fail(None)
        self._log.close()

    def stop(self) -> None:
        """End ffmpeg before the file is whole."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _fail(self, error: BaseException | None) -> None:
        self._process.wait()
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace").strip().splitlines()
        self._log.close()
        said = text[0] if text else "ffmpeg failed"
        if any(fault in said for fault in ("No space left", "File too large")):
            raise OSError(said) from error
        raise FfmpegError(said) from error
