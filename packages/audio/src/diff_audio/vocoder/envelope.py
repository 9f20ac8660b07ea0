"""The level of every frequency, from a log-mel spectrogram; it whitens the spectrum.

A mel spectrogram M|S| shows how loud the neighbourhood of each frequency is. Divided by that level
A the complex spectrum S becomes x = S / A, of order one everywhere, in loud vowels and in silence:
noise and errors of one strength then weigh alike wherever they fall. This is the mel-dependent
prior of "PriorGrad: Improving Conditional Denoising Diffusion Models with Data-Dependent Adaptive
Prior" (Lee et al., 2022), exact and free in the short-time Fourier domain.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from diff_audio.spectra.mel import Mel

__all__ = ["known", "level", "split", "whole"]

_SHARE = 0.1  # of the bands' level that A never falls below
_ABOVE = 0.5  # of the highest bands' level, for the frequencies that no band covers


def level(mel: Mel, log_mel: Tensor) -> Tensor:
    """A (..., F, N) > 0 of log-mel (..., mels, N).

    Within the bands it is the least-squares magnitude pinv(M) exp(log_mel), kept above a tenth of
    the bands' own level; above `mel.fmax`, of which a mel spectrogram says nothing, half the level
    of the highest band.
    """
    inverse, spread, top = (part.to(log_mel) for part in _matrices(mel))
    bands = log_mel.exp()
    smooth = spread @ bands
    sharp = torch.maximum(inverse @ bands, _SHARE * smooth)
    return sharp + top * bands[..., -1:, :]


def known(log_mel: Tensor, level: Tensor) -> Tensor:
    """Return what the network is given of each frame, of order one: (B, mels + F, N)."""
    return torch.cat((log_mel / 2 + 2.5, level.log() / 3 + 1.7), dim=1)


@cache
def _matrices(mel: Mel) -> tuple[Tensor, Tensor, Tensor]:
    """Return pinv(M) (F, mels); interpolation of the bands' levels (F, mels); level above them (F,
    1).
    """
    filters = mel.filters().double()
    mass = filters.sum(1).clamp(min=1e-12)  # a band narrower than a bin may hold none
    cover = filters.sum(0)
    covered = cover > 0
    spread = torch.where(covered, 1 / cover.clamp(min=1e-12), 0.0)[:, None] * filters.T / mass
    inverse = torch.where(covered[:, None], torch.linalg.pinv(filters), 0.0)
    top = torch.where(covered, 0.0, _ABOVE / mass[-1])[:, None]
    return inverse.float(), spread.float(), top.float()


def split(spectrum: Tensor) -> Tensor:
    """Return complex (B, F, N) as real (B, 2F, N): real parts, then imaginary parts."""
    return torch.cat((spectrum.real, spectrum.imag), dim=1)


def whole(channels: Tensor) -> Tensor:
    """The inverse of `split`."""
    return torch.complex(*channels.float().chunk(2, dim=1))
