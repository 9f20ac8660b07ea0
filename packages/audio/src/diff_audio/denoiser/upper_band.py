"""The network's word on the band that it does not hear, from the top of its own band.

The gain of a frame is the median over 5 to 8 kHz of |after| / |before|, at most 1, averaged over
nine frames (72 ms). The trust in that frame's steady noise being noise is 1 where the network
leaves nothing between 4 and 8 kHz, or a hundredth of the power, at any moment within 0.1 s.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_audio.sound.resample import CORE_RATE

__all__ = ["REACH_FRAMES", "WINDOW", "interpolate", "upper_gain"]

WINDOW = 512
"""Samples in a window of the spectra compared."""

REACH_FRAMES = 12
"""Frames on each side on which a value depends."""

AVERAGED = 4  # frames on each side over which the gain is averaged
GAIN_HZ, TRUST_HZ = (5000.0, 8000.0), (4000.0, 7800.0)
FLOOR = 1e-4  # magnitude of a bin about 100 dB under full scale
# dB, where trust begins and where it is full: power that the network removes, and power left,
# below full scale, at the level that it hears
REMOVED_DB, LEFT_DB = (12.0, 18.0), (62.0, 70.0)


def upper_gain(
    before: Tensor, after: Tensor, hop: int, share: float = 1.0, *, linked: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the gain (C, N) of the band above the network's, and the trust (C, N), 0 to 1, that
    its steady noise is noise, one value for each `hop` samples of the 16 kHz waves (C, M).

    share:  the part of the network's band that the recording fills, for rates under 16 kHz
    linked: one trust for all channels
    """
    window = torch.hann_window(WINDOW)
    pad = max(0, WINDOW - before.shape[-1])
    old, new = (
        torch.stft(
            torch.nn.functional.pad(wave, (0, pad)),
            WINDOW, hop, window=window, center=True, pad_mode="constant", return_complex=True,
        ).abs()
        for wave in (before, after)
    )  # fmt: skip
    low, high = (int(edge * share * WINDOW / CORE_RATE) for edge in GAIN_HZ)
    ratio = (new[:, low:high] + FLOOR) / (old[:, low:high] + FLOOR)
    gain = ratio.median(dim=1).values.clamp(max=1.0)
    gain = torch.nn.functional.avg_pool1d(
        gain, 2 * AVERAGED + 1, 1, AVERAGED, count_include_pad=False
    )
    low, high = (int(edge * share * WINDOW / CORE_RATE) for edge in TRUST_HZ)
    scale = 2.0 / (WINDOW * float(window.square().sum()))
    heard, left = (scale * part[:, low:high].square().sum(1) for part in (old, new))
    if linked:
        heard, left = (power.mean(0).expand_as(gain) for power in (heard, left))
    removed = _ramp(_decibels(heard) - _decibels(left), REMOVED_DB)
    trust = torch.maximum(removed, _ramp(-_decibels(left), LEFT_DB))
    trust = torch.nn.functional.max_pool1d(trust, 2 * REACH_FRAMES + 1, 1, REACH_FRAMES)
    return gain, trust


def _decibels(power: Tensor) -> Tensor:
    return 10.0 * torch.log10(power + 1e-12)


def _ramp(value: Tensor, ends: tuple[float, float]) -> Tensor:
    return ((value - ends[0]) / (ends[1] - ends[0])).clamp(0.0, 1.0)


def interpolate(values: Tensor, position: Tensor) -> Tensor:
    """Return (C, N) values interpolated linearly at fractional positions (n,)."""
    left = position.floor().long().clamp(max=values.shape[-1] - 1)
    right = (left + 1).clamp(max=values.shape[-1] - 1)
    share = (position - left).clamp(0.0, 1.0)
    return values[:, left] * (1.0 - share) + values[:, right] * share
