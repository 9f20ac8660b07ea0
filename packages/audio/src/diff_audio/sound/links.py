"""Recordings that stand one behind another in one Ogg or FLAC file, as radio streams write them.

Ogg calls them links of a chain (RFC 3533, section 4). libsndfile reads the first and stops.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.sound.spliced import Spliced

__all__ = ["Chain", "links_of"]

_FLAC = b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22"  # a stream and its first header


def links_of(path: Path, head: bytes) -> list[tuple[int, int]]:
    """Return where each recording of a file begins and ends, in bytes; [] for other files.

    head: the first bytes of the file
    """
    if head[:4] not in (b"OggS", b"fLaC"):
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = _ogg(data) if head[:4] == b"OggS" else _flac(data)
        return list(pairwise([*starts, len(data)]))


def _ogg(data: mmap.mmap) -> list[int]:
    """Return the places of the first pages of links: those that begin a stream, behind others."""
    starts: list[int] = []
    at, begins = 0, False
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        began, begins = begins, bool(data[at + 5] & 2)
        if begins and not began:
            starts.append(at)
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return starts


def _flac(data: mmap.mmap) -> list[int]:
    starts: list[int] = []
    for sign in _FLAC:
        at = data.find(sign)
        while at >= 0:
            starts.append(at)
            at = data.find(sign, at + 8)
    return sorted(starts)


class Chain:
    """Several recordings, read as one; it offers what soundfile's files offer.

    `fits` is whether all have the rate and the channels of the first.
    """

    def __init__(self, path: str | os.PathLike[str], links: Sequence[tuple[int, int]]) -> None:
        self._path, self._links = path, list(links)
        self.frames, kinds = 0, set[tuple[int, int]]()
        for link in links:  # one at a time: a radio stream may have hundreds
            with self._open(link) as file:
                self.frames += file.frames
                kinds.add((file.samplerate, file.channels))
        self.fits = len(kinds) == 1
        first = self._file = self._open(self._links.pop(0))
        self.samplerate, self.channels = first.samplerate, first.channels
        self.format, self.subtype, self.endian = first.format, first.subtype, first.endian
        self._tags: dict[str, str] = first.copy_metadata()

    def _open(self, link: tuple[int, int]) -> Any:
        import soundfile

        name: Any = Spliced(self._path, [link])
        return soundfile.SoundFile(name)

    def copy_metadata(self) -> dict[str, str]:
        """Return the tags of the first."""
        return self._tags

    def read(self, frames: int, dtype: Any, always_2d: bool) -> np.ndarray[Any, Any]:
        """Return up to `frames` samples (n, C), of one or several of the recordings."""
        parts: list[Any] = [np.zeros((0, self.channels), dtype)]
        while frames > 0:
            part = self._file.read(frames, dtype=dtype, always_2d=always_2d)
            if len(part) == 0:
                if not self._links:
                    break
                self._file.close()
                self._file = self._open(self._links.pop(0))
            parts.append(part)
            frames -= len(part)
        return np.concatenate(parts)

    def close(self) -> None:
        """Close the file that is open."""
        self._file.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_rest: object) -> None:
        self.close()
