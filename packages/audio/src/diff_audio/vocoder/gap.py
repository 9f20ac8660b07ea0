"""The filling of a gap in a recording: inpainting with the vocoder as the prior.

The mel spectrogram within the gap is drawn from its edges in straight lines, and the vocoder makes
a wave of it; after every projection the samples around the gap are put back as they were recorded,
so that phases grow in from both sides. That is the data-consistency step of "Zero-Shot Image
Restoration Using Denoising Diffusion Null-Space Model" (Wang, Yu and Zhang, 2023) for a mask over
time. It carries a vowel over a click or a drop-out; what was said in a longer gap it cannot know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diff_audio.sound.resample import resample
from diff_audio.spectra.mel import Mel
from diff_audio.vocoder.model import Settings, Vocoder

__all__ = ["AROUND", "FADE", "Keep", "bridge_mel", "fill"]

AROUND = 1.5
"""The seconds on each side that the filling looks at."""
FADE = 0.004
"""The seconds on each side in which the filling joins the recording."""


@dataclass(frozen=True)
class Keep:
    """A projection that puts recorded samples (B, T) back everywhere but in [start, stop)."""

    recorded: Tensor
    start: int
    stop: int

    def __call__(self, wave: Tensor) -> Tensor:
        """A wave (B, T) with the gap its own and the rest as recorded."""
        joined = self.recorded.clone()
        joined[:, self.start : self.stop] = wave[:, self.start : self.stop]
        return joined


def bridge_mel(mel: Mel, log_mel: Tensor, start: int, stop: int) -> Tensor:
    """Return a log-mel (B, mels, N) with the frames that see samples [start, stop) drawn from the
    others.

    In straight lines between the nearest frames that do not; at an end of the recording, level.
    Raises ValueError if no frame is left to draw from.
    """
    half = mel.n_fft // 2
    before = (start - half) // mel.hop  # the last frame that ends before the gap
    after = -(-(stop + half) // mel.hop)  # the first that begins after it
    frames = log_mel.shape[-1]
    if before < 0 and after >= frames:
        raise ValueError("the gap leaves nothing of the recording to fill it from")
    left = log_mel[..., before] if before >= 0 else log_mel[..., after]
    right = log_mel[..., after] if after < frames else left
    first, last = max(before + 1, 0), min(after, frames)
    share = (torch.arange(first, last).to(log_mel) - before) / (after - before)
    bridged = log_mel.clone()
    bridged[..., first:last] = left[..., None] + (right - left)[..., None] * share
    return bridged


def fill(
    vocoder: Vocoder, samples: Tensor, rate: int, start: int, stop: int, settings: Settings
) -> Tensor:
    """Return samples (C, T) at `rate` Hz, float64, with [start, stop) made anew, each channel on
    its own.

    What lies further than `FADE` from the gap is returned as it is. Raises ValueError for a gap
    that is not within the recording, or is all of it.
    """
    length = samples.shape[1]
    if not 0 <= start < stop <= length:
        raise ValueError(
            f"the gap must lie within the recording, 0 to {length / rate:.3f} s, and end after it "
            f"starts; got {start / rate:.3f} to {stop / rate:.3f} s"
        )
    mel = vocoder.mel
    around = math.ceil(AROUND * rate)
    low, high = max(0, start - around), min(length, stop + around)
    seen = samples[:, low:high].float()
    wave = resample(seen, rate, mel.sample_rate)
    hops = max(3, -(-wave.shape[1] // mel.hop))
    wave = functional.pad(wave, (0, hops * mel.hop - wave.shape[1]))
    ratio = mel.sample_rate / rate
    # The resampled edge of the gap rings into it, and the recording may do so out of it.
    first, last = math.floor((start - low) * ratio), math.ceil((stop - low) * ratio)
    log_mel = bridge_mel(mel, mel(wave), first, min(last, wave.shape[1]))
    keep = Keep(wave, first, last)
    made = vocoder.piece(log_mel, 0, settings, keep)
    back = resample(made, mel.sample_rate, rate)[:, : high - low].double()
    return torch.cat(
        (
            samples[:, :low],
            _joined(samples[:, low:high], back, rate, start - low, stop - low),
            samples[:, high:],
        ),
        dim=1,
    )


def _joined(recorded: Tensor, made: Tensor, rate: int, start: int, stop: int) -> Tensor:
    """Return `made` within the gap, `recorded` without, and a linear cross-fade on the outer
    sides.
    """
    width = max(1, round(FADE * rate))
    place = torch.arange(recorded.shape[1], dtype=torch.float64)
    outside = torch.maximum(start - place, place - (stop - 1)).clamp(min=0)
    share = (1 - outside / (width + 1)).clamp(min=0)
    return recorded + share * (made - recorded)
