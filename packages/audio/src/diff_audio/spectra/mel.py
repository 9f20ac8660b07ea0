"""The one mel spectrogram of speech synthesis, which vocoder and voice must agree on.

A vocoder that is fed another definition than it was trained on (another scale, power, norm or
floor) makes sound that is subtly or grossly wrong, without an error. The definition is therefore
one frozen dataclass; every checkpoint carries it, with a fingerprint, and a mismatch is refused
with both definitions side by side.

Scale and norm are those of Slaney's Auditory Toolbox (M. Slaney, "Auditory Toolbox: Version 2",
1998): linear below 1 kHz, logarithmic above, triangles of equal area. The defaults are the usual
ones of neural speech synthesis (LJ Speech at 22.05 kHz).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from diff_audio.spectra.definition import difference

__all__ = ["Mel", "centres"]


@dataclass(frozen=True)
class Mel:
    """A log-mel spectrogram: ln(max(M |STFT|, floor)), M of Slaney's scale and area norm.

    sample_rate: Hz
    n_fft:       samples a window (periodic Hann, centred, the wave reflected at both ends)
    hop:         samples between frames
    mels:        bands
    fmin, fmax:  edges of the lowest and the highest band, Hz
    floor:       smallest magnitude of a band, full scale 1

    N frames stand for (N - 1) * hop samples. Raises ValueError for numbers that make no sense.
    """

    sample_rate: int = 22050
    n_fft: int = 1024
    hop: int = 256
    mels: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"fmin and fmax must be in order and in [0, sample_rate / 2 = "
                f"{self.sample_rate / 2:g}], got {self.fmin:g} and {self.fmax:g}"
            )
        if not 0 < self.hop <= self.n_fft // 2:
            raise ValueError(f"hop must be in [1, n_fft // 2 = {self.n_fft // 2}], got {self.hop}")
        if self.mels < 1 or not self.floor > 0:
            raise ValueError(
                f"mels must be at least 1 and floor above 0, got {self.mels} and {self.floor}"
            )

    @property
    def bins(self) -> int:
        """Return F, the number of frequencies of the spectrum below."""
        return self.n_fft // 2 + 1

    def __call__(self, wave: Tensor) -> Tensor:
        """Return the log-mel (..., mels, 1 + T // hop) of a wave (..., T), full scale 1, in its
        dtype.

        Raises ValueError for an integer wave or one of n_fft // 2 samples or fewer.
        """
        if not wave.is_floating_point():
            raise ValueError(f"wave must be floating point with full scale 1, got {wave.dtype}")
        if wave.ndim < 1 or wave.shape[-1] <= self.n_fft // 2:
            raise ValueError(
                f"wave must have shape (..., T) with T > n_fft // 2 = {self.n_fft // 2}, "
                f"got {tuple(wave.shape)}"
            )
        rows = wave.reshape(-1, wave.shape[-1])
        magnitude = self.spectrum(rows).abs()
        mel = self.of_magnitude(magnitude)
        return mel.reshape(*wave.shape[:-1], *mel.shape[1:])

    def spectrum(self, wave: Tensor) -> Tensor:
        """The complex short-time spectrum (B, F, N) below the mel, of a wave (B, T)."""
        return torch.stft(
            wave,
            self.n_fft,
            self.hop,
            window=torch.hann_window(self.n_fft, dtype=wave.dtype, device=wave.device),
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )

    def of_magnitude(self, magnitude: Tensor) -> Tensor:
        """Return the log-mel (..., mels, N) of magnitudes (..., F, N)."""
        return (self.filters().to(magnitude) @ magnitude).clamp(min=self.floor).log()

    def filters(self) -> Tensor:
        """Return M, (mels, F), float32."""
        return _filters(self)

    @property
    def fingerprint(self) -> str:
        """Return twelve hexadecimal digits that differ between definitions."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """The definition and its fingerprint, for the entry "mel" of a card's `signal`."""
        return asdict(self) | {"fingerprint": self.fingerprint}

    @classmethod
    def of(cls, signal: Mapping[str, Any]) -> Mel:
        """The definition in a card's `signal`. Raises ValueError if there is none, or it does not
        fit its fingerprint.
        """
        found = signal.get("mel")
        names = {field.name for field in fields(cls)}
        if not isinstance(found, Mapping) or set(found) != names | {"fingerprint"}:
            raise ValueError(f"the card's signal has no mel definition, found {dict(signal)}")
        found = cast("Mapping[str, Any]", found)
        mel = cls(**{name: found[name] for name in names})
        if found["fingerprint"] != mel.fingerprint:
            raise ValueError(
                f"the mel definition has fingerprint {mel.fingerprint}, but the card says "
                f"{found['fingerprint']}: it was edited or belongs to another version"
            )
        return mel

    def check(self, signal: Mapping[str, Any]) -> None:
        """Raise ValueError, with both definitions, unless a card's `signal` holds this one."""
        other = Mel.of(signal)
        if other != self:
            raise ValueError(
                f"mel definitions differ (expected | found): {difference(self, other)} "
                f"(fingerprints {self.fingerprint} | {other.fingerprint})"
            )


@cache
def _filters(mel: Mel) -> Tensor:
    """Return triangles between neighbouring edges, each of area one in Hz.

    In float64: librosa's bank, which takes a second to import, is so too; torchaudio's is computed
    in float32, which leaves errors of a thousandth in small weights.
    """
    frequency = torch.linspace(0, mel.sample_rate / 2, mel.bins, dtype=torch.float64)
    edges = _edges(mel)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (2 / (edges[2:] - edges[:-2]) * triangles).float()


def _edges(mel: Mel) -> Tensor:
    low, high = _to_slaney(torch.tensor([mel.fmin, mel.fmax], dtype=torch.float64))
    return _to_hertz(torch.linspace(float(low), float(high), mel.mels + 2, dtype=torch.float64))


def centres(mel: Mel) -> Tensor:
    """Return the centres of the bands, (mels,), Hz, float64."""
    return _edges(mel)[1:-1]


# Slaney's scale: 200/3 Hz a step up to 1 kHz, then 27 steps for a factor of 6.4.
_LINEAR, _KNEE, _STEP = 200.0 / 3, 1000.0, math.log(6.4) / 27


def _to_slaney(hertz: Tensor) -> Tensor:
    above = _KNEE / _LINEAR + (hertz / _KNEE).clamp(min=1).log() / _STEP
    return torch.where(hertz < _KNEE, hertz / _LINEAR, above)


def _to_hertz(slaney: Tensor) -> Tensor:
    above = _KNEE * ((slaney - _KNEE / _LINEAR).clamp(min=0) * _STEP).exp()
    return torch.where(slaney * _LINEAR < _KNEE, slaney * _LINEAR, above)
