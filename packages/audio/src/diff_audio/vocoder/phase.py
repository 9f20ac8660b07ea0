"""A first phase for a magnitude: Griffin and Lim's projections, with momentum.

D. Griffin and J. Lim, "Signal estimation from modified short-time Fourier transform" (1984): in
turn take the spectrum of the wave that is nearest, and the magnitude that is wanted. With
momentum: N. Perraudin, P. Balazs and P. Sondergaard, "A fast Griffin-Lim algorithm" (2013).

A round looks one window back and ahead, and nowhere else: a piece of a recording computed with
enough neighbours on both sides equals the same piece of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diff_audio.spectra.mel import Mel

__all__ = ["MOMENTUM", "Keep", "griffin_lim", "reach", "unit", "wave_of"]

MOMENTUM = 0.99
"""The share of the last step that is added to the next."""
Keep = Callable[[Tensor], Tensor]
"""A wave (B, T) to one of the same shape."""

_TINY = 1e-12


def unit(spectrum: Tensor) -> Tensor:
    """The phase of a complex spectrum, as numbers of magnitude one; zero where there is none."""
    return spectrum / (spectrum.abs() + _TINY)


def wave_of(mel: Mel, spectrum: Tensor) -> Tensor:
    """The wave (B, (N - 1) * hop) nearest to a complex spectrum (B, F, N) in least squares."""
    window = torch.hann_window(mel.n_fft, device=spectrum.device)
    length = (spectrum.shape[-1] - 1) * mel.hop
    return torch.istft(spectrum, mel.n_fft, mel.hop, window=window, center=True, length=length)


def griffin_lim(
    mel: Mel, magnitude: Tensor, phase: Tensor, rounds: int, keep: Keep | None = None
) -> Tensor:
    """A spectrum (B, F, N) of this magnitude (B, F, N) and the phase found from `phase`.

    phase: complex, of magnitude one. No rounds: magnitude * phase.
    keep:  puts what is known of the wave back into it, in every round
    """
    before = torch.zeros_like(phase)
    for _ in range(rounds):
        wave = wave_of(mel, magnitude * phase)
        consistent = mel.spectrum(wave if keep is None else keep(wave))
        phase = unit(consistent - MOMENTUM / (1 + MOMENTUM) * before)
        before = consistent
    return magnitude * phase


def reach(mel: Mel, rounds: int) -> int:
    """Return the frames on each side that a frame depends on after so many rounds."""
    return rounds * -(-mel.n_fft // mel.hop)
