"""The level of a long recording, measured in pieces: the first of the two readings of a job."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from diff_audio.sound.level import FRAME, Gain, levels
from diff_audio.sound.resample import BandSplit
from diff_audio.sound.rumble import FILTER_REACH, highpass
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import cut, windows

__all__ = ["measure", "piece_size"]

# A piece is 10 s, or less where many channels at a high rate would make it large.
PIECE_SECONDS, PIECE_SAMPLES = 10.0, 4_000_000


def piece_size(rate: int, channels: int) -> int:
    """Return the samples of a piece of a recording that is worked on at once."""
    return min(int(PIECE_SECONDS * rate), max(1, PIECE_SAMPLES // channels))


def measure(
    blocks: Iterable[Array],
    shape: tuple[int, ...],
    rate: int,
    *,
    linked: bool = True,
    following: bool = False,
) -> Gain:
    """Return the gain that brings a recording to the networks' level, all channels together or,
    unless `linked`, each by itself.

    blocks: consecutive (C, any) samples; shape: (C, T) of them all. 1 for silence. following: the
    gain follows the recording. Raises ValueError for samples beyond what 32-bit floats hold.
    """
    channels, length = shape
    bands = BandSplit(rate)
    # One array for all: small ones kept between large ones would break the memory to pieces.
    frames = -(-math.ceil(length / bands.ratio) // FRAME)
    power = torch.zeros(1 if linked else channels, frames, dtype=torch.float64)
    around = bands.context + math.ceil(FILTER_REACH * bands.ratio)
    for piece, seen in cut(
        blocks, windows(length, piece_size(rate, channels), around, bands.cell)
    ):
        if not seen.any():
            continue
        core = bands.down(torch.from_numpy(seen).float())
        low, start = (int(place / bands.ratio) for place in (piece.low, piece.start))
        stop = int(piece.stop / bands.ratio) if piece.stop < length else low + core.shape[-1]
        found = levels(highpass(core)[:, start - low : stop - low], linked=linked)
        power[:, start // FRAME :][:, : found.shape[1]] = found
    if not torch.isfinite(power).all():
        raise ValueError("samples lie beyond 1e38 times full scale; scale them to it")
    return Gain.of(power[0] if linked else power, following=following)
