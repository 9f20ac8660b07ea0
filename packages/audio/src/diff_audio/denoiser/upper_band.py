"""The band that the network does not hear follows the network's own gain near the top of its band.

Per frame the gain is the median over 5 to 8 kHz of |after| / |before|, at most 1, averaged over
nine frames (72 ms).
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_audio.sound.resample import CORE_RATE

__all__ = ["REACH_FRAMES", "WINDOW", "interpolate", "upper_gain"]

WINDOW = 512
"""Samples in a window of the spectra compared."""

REACH_FRAMES = 4
"""Frames on each side over which the gain is averaged."""

BAND_HZ = (5000.0, 8000.0)
FLOOR = 1e-4  # magnitude of a bin about 100 dB under full scale


def upper_gain(before: Tensor, after: Tensor, hop: int, share: float = 1.0) -> Tensor:
    """Return the gain (C, N) of the band above the network's, one value for each `hop` samples of
    the 16 kHz waves (C, M).

    share: the part of the network's band that the recording fills, for rates under 16 kHz.
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
    low, high = (int(edge * share * WINDOW / CORE_RATE) for edge in BAND_HZ)
    ratio = (new[:, low:high] + FLOOR) / (old[:, low:high] + FLOOR)
    gain = ratio.median(dim=1).values.clamp(max=1.0)
    return torch.nn.functional.avg_pool1d(
        gain, 2 * REACH_FRAMES + 1, 1, REACH_FRAMES, count_include_pad=False
    )


def interpolate(values: Tensor, position: Tensor) -> Tensor:
    """Return (C, N) values interpolated linearly at fractional positions (n,)."""
    left = position.floor().long().clamp(max=values.shape[-1] - 1)
    right = (left + 1).clamp(max=values.shape[-1] - 1)
    share = (position - left).clamp(0.0, 1.0)
    return values[:, left] * (1.0 - share) + values[:, right] * share
