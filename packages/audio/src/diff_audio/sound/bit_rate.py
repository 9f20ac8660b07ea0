"""The bit rate of lossy sound files, and the settings of libsndfile that write one.

What has lost some of its bits already must not lose more than it has to: a lossy file is written
with no fewer bits per second than it had.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from diff_audio.sound import mpeg

__all__ = ["LOSSY", "average", "encoding"]

LOSSY = ("MPEG_LAYER_III", "VORBIS", "OPUS")
"""The encodings whose bit rate can be chosen."""

_PER_CHANNEL = 128_000.0  # bit/s of an MP3 made of what was not lossy
_OPUS = (6000.0, 256_000.0)  # bit/s per channel at libsndfile's compression levels 1 and 0


def average(path: Path, subtype: str, seconds: float) -> float | None:
    """The bit rate of an Ogg file's sound, bit/s; None for another file.

    For Vorbis no less than its header calls nominal, which tells the quality that was chosen.
    """
    if subtype not in ("VORBIS", "OPUS") or seconds <= 0:
        return None
    size = nominal = 0
    with path.open("rb") as file:
        for granule, payload in _pages(file):
            if granule > 0:  # headers, tags and pictures come before
                size += payload
    if subtype == "VORBIS":
        with path.open("rb") as file:
            nominal = _nominal(file.read(512))
    return max(8 * size / seconds, nominal)


def _pages(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the position in samples that each page gives, -1 for none, and its bytes."""
    while (head := file.read(27))[:4] == b"OggS" and len(head) == 27:
        size = sum(file.read(head[26]))
        yield int.from_bytes(head[6:14], "little", signed=True), size
        file.seek(size, os.SEEK_CUR)


def _nominal(data: bytes) -> int:
    """Return the nominal bit rate in the first header of Vorbis (Xiph.Org, Vorbis I, 4.2.2)."""
    at = data.find(b"\x01vorbis")
    return max(0, int.from_bytes(data[at + 20 : at + 24], "little", signed=True)) if at > 0 else 0


def encoding(subtype: str, rate: int, channels: int, bit_rate: float | None) -> dict[str, Any]:
    """Return soundfile's options to write an encoding of `LOSSY` with at least `bit_rate`, or with
    the most that it has.

    bit_rate: bit/s; None for what was made of no lossy sound
    """
    if subtype == "MPEG_LAYER_III":
        table = mpeg.table(rate)
        high = 320 if rate >= 32_000 else 160 if rate >= 16_000 else 64
        low = table[0]
        wanted = _PER_CHANNEL * channels if bit_rate is None else 0.995 * bit_rate
        able = (k for k in table if mpeg.holds_its_length(rate, channels, k))
        kbps = next((k for k in able if 1000 * k >= wanted), high)
        return {"compression_level": 1 - (kbps - low) / (high - low), "bitrate_mode": "CONSTANT"}
    if bit_rate is None or subtype not in LOSSY:
        return {}
    if subtype == "OPUS":
        share = (1.03 * bit_rate / channels - _OPUS[0]) / (_OPUS[1] - _OPUS[0])
        return {"compression_level": 1 - min(1.0, max(0.0, share))}
    low, high = 0.0, 1.0  # from the best quality to the worst
    for _ in range(7):
        middle = (low + high) / 2
        # decoded Vorbis takes fewer bits than what it was made of
        enough = _vorbis_nominal(middle, rate, channels) >= 1.25 * bit_rate
        low, high = (middle, high) if enough else (low, middle)
    return {"compression_level": low}


@lru_cache(maxsize=64)
def _vorbis_nominal(level: float, rate: int, channels: int) -> int:
    """Return the nominal bit rate of libsndfile's Vorbis; 0 where it cannot write that."""
    import soundfile

    buffer = io.BytesIO()
    try:
        soundfile.SoundFile(
            buffer, "w", rate, channels, "VORBIS", format="OGG", compression_level=level
        ).close()
    except soundfile.LibsndfileError:
        return 0
    return _nominal(buffer.getvalue()[:512])
