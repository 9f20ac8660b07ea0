"""The level of the speech in a recording, and the one gain that brings it to the level at which
the networks work.

The level is the root mean square of the active frames, in the spirit of ITU-T P.56 and of the two
gates of ITU-R BS.1770: frames of 20 ms, of which those far below the mean are pauses and do not
count. Every threshold is relative, so that a recording scaled by a factor has its level scaled by
that factor, and is enhanced to the same result.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FRAME", "TARGET_DB", "active_level", "frame_power", "gain_for", "normalise"]

FRAME = 320
"""Samples in a frame: 20 ms at 16 kHz."""

TARGET_DB = -26.0
"""Level after normalisation, dB relative to full scale."""

# The first gate removes digital and near silence, the second the pauses between words.
GATES_DB = (-30.0, -15.0)
LARGEST_GAIN_DB = 200.0


def frame_power(wave: Tensor) -> Tensor:
    """Return the mean square of each frame of a 16 kHz wave (..., T): (..., ceil(T / 320)); a
    short last frame counts as it is.
    """
    length = wave.shape[-1]
    frames = -(-length // FRAME)
    squares = torch.nn.functional.pad(wave.double().square(), (0, frames * FRAME - length))
    counts = torch.full((frames,), float(FRAME), dtype=torch.float64, device=wave.device)
    if frames:
        counts[-1] = length - (frames - 1) * FRAME
    return squares.unflatten(-1, (frames, FRAME)).sum(-1) / counts


def active_level(power: Tensor) -> Tensor:
    """Return the root mean square of the active frames: (..., N) frame powers to (...); 0 for
    silence.
    """
    active = power > 0
    level = _mean(power, active)
    for gate in GATES_DB:
        active = active & (power >= level.unsqueeze(-1) * 10.0 ** (gate / 10.0))
        level = _mean(power, active)
    return level.sqrt()


def _mean(power: Tensor, active: Tensor) -> Tensor:
    return (power * active).sum(-1) / active.sum(-1).clamp(min=1)


def gain_for(level: Tensor) -> Tensor:
    """The factor that brings `level` to -26 dBFS, at most 200 dB; 1 for silence."""
    decibels = TARGET_DB - 20.0 * torch.log10(level)
    gain = 10.0 ** (decibels.clamp(max=LARGEST_GAIN_DB) / 20.0)
    return torch.where(level > 0, gain, torch.ones_like(gain))


def normalise(wave: Tensor) -> tuple[Tensor, Tensor]:
    """Return 16 kHz waves (B, T), each brought to -26 dBFS by itself, and the gains (B, 1) that
    did it, in the dtype of `wave`.
    """
    gain = gain_for(active_level(frame_power(wave))).to(wave.dtype).unsqueeze(-1)
    return wave * gain, gain
