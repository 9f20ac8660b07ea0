"""The level of the speech in a recording, and the gain that brings it to the level at which the
networks work: one for the whole recording (`normalise`), or one that follows it (`follow`).

The level is the root mean square of the active frames, in the spirit of ITU-T P.56 and of the two
gates of ITU-R BS.1770: frames of 20 ms, of which those far below the mean are pauses and do not
count. Every threshold is relative, so that a recording scaled by a factor has its level scaled by
that factor, and is enhanced to the same result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "FRAME", "TARGET_DB", "Gain", "active_level", "follow", "frame_power", "gain_for",
    "levelled", "levels", "local_gain_db", "normalise",
]  # fmt: skip

FRAME = 320
"""Samples in a frame: 20 ms at 16 kHz."""

TARGET_DB = -26.0
"""Level after normalisation, dB relative to full scale."""

# The first gate removes digital and near silence, the second the pauses between words.
GATES_DB = (-30.0, -15.0)
LARGEST_GAIN_DB = 200.0

STEP = 5
"""Frames between the places where the local level is taken: 0.1 s."""
REACH = 50
"""Frames to either side that count for it: 1 s."""
SMOOTH = 5
"""Places to either side over which it is smoothed: 0.5 s."""
SHARE = 0.85
"""Quantile of the frames' powers that stands for the speech among them."""
DEEPEST_DB = -45.0
"""Lowest local level relative to the level of the whole recording."""


def frame_power(wave: Tensor) -> Tensor:
    """Return the mean square of each frame of a 16 kHz wave (..., T): (..., ceil(T / 320)); a
    short last frame counts as it is.
    """
    length = wave.shape[-1]
    frames = -(-length // FRAME)
    squares = functional.pad(wave.double().square(), (0, frames * FRAME - length))
    counts = torch.full((frames,), float(FRAME), dtype=torch.float64, device=wave.device)
    if frames:
        counts[-1] = length - (frames - 1) * FRAME
    return squares.unflatten(-1, (frames, FRAME)).sum(-1) / counts


def levels(wave: Tensor, *, linked: bool) -> Tensor:
    """Return the frame powers that stand for a 16 kHz wave (C, T): (1, N), of the strongest
    channel at each frame, if the channels are linked, else (C, N).
    """
    power = frame_power(wave)
    return power.amax(0, keepdim=True) if linked else power


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


def levelled(wave: Tensor, *, following: bool) -> tuple[Tensor, Tensor]:
    """Return `follow(wave)` if `following`, else `normalise(wave)`: as a network was trained."""
    return follow(wave) if following else normalise(wave)


def follow(wave: Tensor) -> tuple[Tensor, Tensor]:
    """Return 16 kHz waves (B, T), brought to about -26 dBFS place by place, and the smooth gains
    (B, T) that did it, in the dtype of `wave`.
    """
    decibels = local_gain_db(frame_power(wave))
    gain = Gain(decibels).at(0, wave.shape[-1]).to(wave.dtype)
    return wave * gain, gain


def local_gain_db(power: Tensor) -> Tensor:
    """Return the gain, dB, that brings each place to -26 dBFS: (..., N) frame powers to
    (..., ceil(N / STEP)); 0 for silence.

    The local level is a quantile of the powers of the frames within a second, smoothed over one
    second in dB; frames of a pause count as DEEPEST_DB under the level of the whole. A speaker who
    is much quieter than another is thus heard at the same level a second after the change.
    """
    whole = active_level(power).square().unsqueeze(-1)
    floor = (whole * 10.0 ** (DEEPEST_DB / 10.0)).clamp(min=1e-30)
    decibels = 10.0 * torch.log10(torch.maximum(power, floor))
    frames = decibels.shape[-1]
    places = -(-frames // STEP)
    after = (places - 1) * STEP + 1 + REACH - frames
    padded = functional.pad(decibels, (REACH, after), value=float("nan"))
    local = torch.nanquantile(padded.float().unfold(-1, 2 * REACH + 1, STEP), SHARE, dim=-1)
    kernel = torch.hann_window(2 * SMOOTH + 3, periodic=False, device=power.device)[1:-1]
    edged = functional.pad(local.reshape(-1, 1, places), (SMOOTH, SMOOTH), mode="replicate")
    smooth = functional.conv1d(edged, (kernel / kernel.sum()).view(1, 1, -1)).view_as(local)
    gain = (TARGET_DB - smooth).clamp(max=LARGEST_GAIN_DB)
    return torch.where(whole > 0, gain, torch.zeros_like(gain))


@dataclass(frozen=True)
class Gain:
    """The gain that brings a recording to the level at which the network works.

    decibels: (..., P), dB, at places STEP frames apart: the middles of stretches of 0.1 s. A
              single place stands for one gain throughout.
    first:    the sample, at 16 kHz, at which the first stretch begins
    """

    decibels: Tensor
    first: int = 0

    @classmethod
    def of(cls, power: Tensor, *, following: bool, first: int = 0) -> Gain:
        """Return the gain of a recording whose frames have these powers (..., N): one that follows
        it if `following`, else one for its active level.

        first: the sample, at 16 kHz, at which the first frame begins
        """
        if following:
            return cls(local_gain_db(power), first)
        return cls(20.0 * torch.log10(gain_for(active_level(power))).unsqueeze(-1))

    @classmethod
    def constant(cls, factor: float) -> Gain:
        """Return one gain throughout, by its factor of amplitude."""
        return cls(torch.tensor([20.0 * math.log10(factor)], dtype=torch.float64))

    @property
    def level_db(self) -> float:
        """Return the level that it brings to the network's, dB of full scale; the median where it
        follows the recording or differs between channels.
        """
        return TARGET_DB - float(self.decibels.median())

    def at(self, start: int, stop: int, ratio: Fraction | int = 1) -> Tensor:
        """Return the factors (..., stop - start) at samples of `ratio` times 16 kHz, float64."""
        places = self.decibels.shape[-1]
        middle = (torch.arange(start, stop, dtype=torch.float64) + 0.5) / float(ratio)
        position = ((middle - self.first) / (STEP * FRAME) - 0.5).clamp(0.0, places - 1)
        left = position.floor().long()
        right, share = (left + 1).clamp(max=places - 1), position - left
        held = self.decibels.double()
        curve = held[..., left] * (1.0 - share) + held[..., right] * share
        return 10.0 ** (curve / 20.0)
