"""The estimate of clean 16 kHz waves: one call of the network, the mean of several views of the
same sound, or posterior samples; channels linked.

Views: the same wave on a frame grid that begins `hop / views` later each time, every other one
with its sign turned. Speech is the same speech then, but the network's errors are not quite, and
the mean of the results is a little nearer.

Linked channels: each channel's estimate D_c of its compressed spectrum Y_c is a complex mask; all
channels get the mean of the masks weighted by |Y_c|^2, sum_c D_c Y_c* / sum_c |Y_c|^2. A sound
then keeps its place between the channels, where masks of their own would move it about.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from diff_audio.denoiser.settings import Settings, step_times
from diff_audio.spectra.frame_noise import FrameNoise
from diff_audio.spectra.stft import Spectral
from diff_core.bridge import sample_bridge
from diff_core.condition import Condition
from diff_core.sample import Ancestral, Ddim

__all__ = ["estimate", "link"]

_TINY = 1e-20  # a power that no sound at the network's level has


def estimate(
    denoiser: Any, spectral: Spectral, noisy: Tensor, first: int, settings: Settings
) -> tuple[Tensor, Tensor | None]:
    """The 16 kHz waves (C, M), from frame `first` of the recording on, denoised: the mean of the
    samples or views and, of samples, their variance; on the CPU.
    """
    mean, squares = torch.zeros_like(noisy), torch.zeros_like(noisy)
    for index in range(settings.samples * settings.views):
        late = index * spectral.hop // settings.views if settings.views > 1 else 0
        sign = -1 if settings.views > 1 and index % 2 else 1
        noise = FrameNoise(settings.seed, index, first)
        view = functional.pad(sign * noisy, (late, 0))
        wave = sign * _wave(denoiser, spectral, view, noise, settings)[:, late:]
        change = wave - mean  # Welford's update: nothing cancels
        mean = mean + change / (index + 1)
        squares += change * (wave - mean)
    variance = squares / (settings.samples - 1) if settings.samples > 1 else None
    return mean.cpu(), None if variance is None else variance.cpu()


def _wave(
    denoiser: Any, spectral: Spectral, wave: Tensor, noise: FrameNoise, settings: Settings
) -> Tensor:
    """Return the estimate of a wave (C, M) by one walk."""
    noisy = spectral.analysis(wave)
    cond = Condition(channels=noisy)
    dtype = _dtype(noisy.device) if settings.draft else None
    with torch.autocast(noisy.device.type, dtype, enabled=dtype is not None):
        if settings.steps == 1:
            clean = denoiser(noisy, torch.ones((), device=noisy.device), cond)
        else:
            sampler = Ddim() if settings.samples == 1 else Ancestral()
            times = step_times(settings.steps)
            clean = sample_bridge(denoiser, sampler, noisy, times, noise=noise, cond=cond)
    if settings.linked and len(clean) > 1:
        clean = link(noisy, clean)
    # What is digital silence stays so, frame by frame.
    sounding = (noisy != 0).any(dim=(1, 2), keepdim=True)
    return spectral.synthesis(clean * sounding, wave.shape[-1])


def _dtype(device: torch.device) -> torch.dtype | None:
    from diff_core.train.precision import narrow_dtype  # not for every import of the package

    return narrow_dtype("auto", device)


def link(noisy: Tensor, clean: Tensor) -> Tensor:
    """The spectra `noisy` (C, 2, F, N), all times one complex mask: the mean, weighted by power,
    of those that make `clean` of them.
    """
    (a, b), (c, d) = noisy.unbind(1), clean.unbind(1)
    power = (a * a + b * b).sum(0) + _TINY
    real, imaginary = (a * c + b * d).sum(0) / power, (a * d - b * c).sum(0) / power
    return torch.stack((a * real - b * imaginary, a * imaginary + b * real), dim=1)
