"""The short-time spectrum in which the audio networks work: complex, with compressed magnitude.

A short-time spectrum of speech spans 60 dB and more. Raising the magnitude to a power below one
and keeping the phase brings it into a range that a network and Gaussian noise of one strength can
cover:

    C(X) = scale * |X|^exponent * exp(i arg X)

as in "Speech Enhancement and Dereverberation with Diffusion-based Generative Models"
(Richter, Welker, Lemercier, Lay, Gerkmann, 2023), equation (18), with its defaults: exponent 0.5,
scale 0.15, and at 16 kHz 256 frequencies every 8 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor

from diff_audio.spectra.definition import difference

__all__ = ["Spectral"]

# Added to |X|^2 so that the gradient of a power below one stays finite where the magnitude is
# zero. A wave within [-1, 1] has |X| of order 1, so this lies about 100 dB below anything audible.
_FLOOR = 1e-10
# Likewise on the way back, where powers are above one and only 0 * infinity must be kept away.
_TINY = 1e-30


@dataclass(frozen=True)
class Spectral:
    """A compressed complex short-time spectrum with a periodic Hann window, and its exact inverse.

    n_fft:    samples a window; gives F = n_fft // 2 + 1 frequencies
    hop:      samples between frames; a wave of T samples has N = T // hop + 1 frames
              (T at least half a window), frame n centred on sample n * hop
    exponent: power of the magnitude, in (0, 1]
    scale:    factor after compression, > 0
    """

    n_fft: int = 510
    hop: int = 128
    exponent: float = 0.5
    scale: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.n_fft // 2:
            raise ValueError(f"hop must be in [1, n_fft // 2 = {self.n_fft // 2}], got {self.hop}")
        if not 0 < self.exponent <= 1:
            raise ValueError(f"exponent must be in (0, 1], got {self.exponent}")
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")

    def describe(self) -> dict[str, Any]:
        """Return the definition, for the entry "spectrum" of a card's `signal`."""
        return asdict(self)

    @classmethod
    def of(cls, signal: Mapping[str, Any]) -> Spectral:
        """Return the definition in a card's `signal`. Raises ValueError if it holds none."""
        found = signal.get("spectrum")
        names = {field.name for field in fields(cls)}
        if not isinstance(found, Mapping) or set(found) != names:
            raise ValueError(
                f"the card's signal has no definition of the spectrum, found {dict(signal)}"
            )
        return cls(**cast("Mapping[str, Any]", found))

    def check(self, signal: Mapping[str, Any]) -> None:
        """Raise ValueError, with both definitions, unless a card's `signal` holds this one."""
        other = Spectral.of(signal)
        if other != self:
            raise ValueError(f"spectra differ (expected | found): {difference(self, other)}")

    @property
    def bins(self) -> int:
        """Return F, the number of frequencies from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    def frames(self, length: int) -> int:
        """Return N, the number of frames of a wave of `length` samples."""
        return max(length, self.bins) // self.hop + 1  # one whole window at least

    def analysis(self, wave: Tensor) -> Tensor:
        """Return the compressed spectrum (B, 2, F, N), real and imaginary part, of a wave (B, T),
        T >= 1.
        """
        if wave.ndim != 2 or wave.shape[-1] < 1:
            raise ValueError(f"wave must have shape (B, T) with T >= 1, got {tuple(wave.shape)}")
        missing = max(0, self.bins - wave.shape[-1])
        spectrum = torch.stft(
            torch.nn.functional.pad(wave, (0, missing)),
            self.n_fft,
            self.hop,
            window=self._window(wave),
            center=True,
            pad_mode="constant",  # reflection needs more samples than half a window
            return_complex=True,
        )
        return self.compress(torch.stack((spectrum.real, spectrum.imag), dim=1))

    def synthesis(self, spec: Tensor, length: int) -> Tensor:
        """Return the wave (B, length) nearest to a compressed spectrum (B, 2, F, N) in least
        squares.
        """
        if spec.ndim != 4 or spec.shape[1] != 2 or spec.shape[2] != self.bins:
            raise ValueError(
                f"spec must have shape (B, 2, {self.bins}, N), got {tuple(spec.shape)}"
            )
        if self.frames(length) > spec.shape[3]:
            raise ValueError(
                f"length {length} needs {self.frames(length)} frames, spec has {spec.shape[3]}"
            )
        real, imaginary = self.expand(spec).unbind(1)
        wave = torch.istft(
            torch.complex(real, imaginary),
            self.n_fft,
            self.hop,
            window=self._window(spec),
            center=True,
            length=max(length, self.bins),
        )
        return wave[:, :length]

    def compress(self, spectrum: Tensor) -> Tensor:
        """Return C(X) of a spectrum (B, 2, ...) given as real and imaginary part."""
        power = spectrum.square().sum(1, keepdim=True) + _FLOOR
        return self.scale * spectrum * power.pow((self.exponent - 1) / 2)

    def expand(self, spec: Tensor) -> Tensor:
        """The inverse of `compress`, (B, 2, ...) to (B, 2, ...)."""
        if self.exponent == 1:
            return spec / self.scale
        unscaled = spec / self.scale
        power = unscaled.square().sum(1, keepdim=True) + _TINY
        return unscaled * power.pow((1 / self.exponent - 1) / 2)

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.n_fft, periodic=True, dtype=like.dtype, device=like.device)
