"""The live denoiser as one function of samples and a state, for other runtimes.

The short-time spectra are products with constant matrices, so that the function needs nothing
besides itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diff_audio.denoiser.live.stream import LiveDenoiser
from diff_audio.spectra.stft import Spectral

__all__ = ["Portable"]


class Portable(nn.Module):
    """A module (chunk (1, hop), state (1, S)) -> (chunk (1, hop), state (1, S)).

    The state begins as zeros. The output lies n_fft - hop samples behind the input.
    """

    def __init__(self, model: LiveDenoiser) -> None:
        super().__init__()
        self.network, self.spectral = model.network, model.spectral
        self._modulation = model.modulation
        size, hop = self.spectral.n_fft, self.spectral.hop
        forward, back = _matrices(self.spectral)
        self.register_buffer("forward_matrix", forward)
        self.register_buffer("back_matrix", back)
        self.shapes = [(1, size - hop), (1, size)]
        self.shapes += [tuple(part.shape) for part in self.network.initial(1)]
        self.size = sum(math.prod(shape) for shape in self.shapes)

    forward_matrix: Tensor
    back_matrix: Tensor

    def forward(self, chunk: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next hop of denoised samples, and the next state."""
        hop = self.spectral.hop
        sizes = [math.prod(shape) for shape in self.shapes]
        held = [
            part.reshape(shape)
            for part, shape in zip(state.split(sizes, dim=1), self.shapes, strict=True)
        ]
        past, total, *inner = held
        seen = torch.cat((past, chunk), dim=1)
        spectrum = (seen @ self.forward_matrix).view(1, 2, -1, 1)
        y = self.spectral.compress(spectrum)
        clean, inner = self.network.advance(y, y, self._modulation, inner)
        # frames of digital silence stay silent
        sounding = (spectrum.square().sum() > 0).to(clean.dtype)
        expanded = self.spectral.expand(clean * sounding).reshape(1, -1)
        total = total + expanded @ self.back_matrix
        out = total[:, :hop]
        rest = torch.cat((total[:, hop:], torch.zeros_like(out)), dim=1)
        parts = [seen[:, hop:], rest, *inner]
        return out, torch.cat([part.reshape(1, -1) for part in parts], dim=1)


def _matrices(spectral: Spectral) -> tuple[Tensor, Tensor]:
    """Return the windowed transform of a frame (n_fft, 2 F), and the way back (2 F, n_fft), each
    sample divided by the sum of the squared windows that cover it.
    """
    size, hop = spectral.n_fft, spectral.hop
    window = torch.hann_window(size, dtype=torch.float64)
    spectra = torch.fft.rfft(torch.diag(window))  # (n_fft, F)
    forward = torch.cat((spectra.real, spectra.imag), dim=1)
    units = torch.eye(spectral.bins, dtype=torch.float64)
    zeros = torch.zeros_like(units)
    real = torch.fft.irfft(torch.complex(units, zeros), size)
    imaginary = torch.fft.irfft(torch.complex(zeros, units), size)
    envelope = torch.nn.functional.pad(window.square(), (0, -size % hop)).view(-1, hop).sum(0)
    scale = window / envelope.repeat(-(-size // hop))[:size]
    return forward.float(), (torch.cat((real, imaginary)) * scale).float()
