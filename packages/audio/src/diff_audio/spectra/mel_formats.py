"""The mel spectrograms of other programs, and the way to ours.

`to_ours` turns a mel of a known program into a log-mel of `Mel`. Where the bands, the window or
the hop differ, this goes through the power spectral density, which is what both are estimates of:
the detail that another window did not resolve does not come back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_audio.spectra.mel import Mel, centres

__all__ = ["FORMATS", "Format", "to_ours"]

RAYLEIGH = math.pi**0.5 / 2  # mean over root mean square of the magnitude of noise
PEAK = 4.0  # ln of the magnitude of librosa's bands at the peak of loud speech


@dataclass(frozen=True)
class Format:
    """The mel spectrogram of a program.

    what:   the format in words
    bands:  the numbers of bands that it may have; empty for any
    power:  the array (..., bands, N) as powers of bands
    mel:    the definition with a number of bands, whose magnitudes are replaced by powers; None
            where it is ours
    """

    what: str
    bands: tuple[int, ...]
    power: Callable[[Tensor], Tensor]
    mel: Callable[[int], Mel] | None = None


def _natural(values: Tensor) -> Tensor:
    _within(values, math.log(1e-8), 6.0, "natural logarithms of magnitudes")
    return (2 * values).exp()


def _tacotron(values: Tensor) -> Tensor:
    """Return powers of natural logarithms, as NVIDIA makes them."""
    _within(values, math.log(1e-5) - 0.1, 6.0, "natural logarithms of magnitudes, as NVIDIA's")
    if float(values.min()) > -4.5 and float(values.max()) > 3.0:
        raise ValueError(
            "log_mel looks like the normalised mel of another Tacotron (-4 to 4): undo that "
            "first; expected natural logarithms of magnitudes, as NVIDIA's"
        )
    return (2 * values).exp()


def _librosa(values: Tensor) -> Tensor:
    """Return powers, of powers or of their decibels.

    A peak of exactly 0 dB is that of `librosa.power_to_db(..., ref=np.max)`, which loses the
    level: it becomes that of loud speech.
    """
    if float(values.min()) >= 0:
        if not float(values.max()) > 0:
            return values
        _within(values, 0.0, 1e7, "powers or their decibels")
        return values
    _within(values, -200.0, 80.0, "powers or their decibels")
    if float(values.max() - values.min()) < 20:
        raise ValueError("log_mel spans under 20 dB; expected powers or their decibels")
    power = 10 ** (values / 10)
    return power * math.exp(2 * PEAK) if abs(float(values.max())) < 1e-4 else power


def _whisper(values: Tensor) -> Tensor:
    """Return powers: Whisper holds (log10(power) + 4) / 4, over 8 decades."""
    _within(values, -1.6, 2.6, "Whisper's features, (log10(power) + 4) / 4")
    if float(values.max() - values.min()) > 2.01:
        raise ValueError("log_mel spans over 8 decades; expected Whisper's features")
    return 10 ** (4 * values - 4)


def _within(values: Tensor, low: float, high: float, what: str) -> None:
    least, most = float(values.min()), float(values.max())
    if least < low or most > high:
        raise ValueError(f"log_mel goes from {least:.3g} to {most:.3g}; expected {what}")


FORMATS = {
    "hifigan": Format("HiFi-GAN: natural logarithms, 22,050 Hz, 8 kHz", (80,), _natural),
    "tacotron": Format("NVIDIA's Tacotron 2: the same", (80,), _tacotron),
    "librosa": Format(
        "librosa.feature.melspectrogram with its defaults (22,050 Hz, window 2048, hop 512), "
        "powers or their decibels",
        (),
        _librosa,
        lambda bands: Mel(22_050, 2048, 512, bands, 0.0, 11_025.0),
    ),
    "whisper": Format(
        "Whisper's features: 16 kHz, window 400, hop 160",
        (80, 128),
        _whisper,
        lambda bands: Mel(16_000, 400, 160, bands, 0.0, 8000.0),
    ),
}
"""The formats by the name under which they are asked for."""


def to_ours(values: Tensor, name: str, mel: Mel) -> Tensor:
    """Return the log-mel (..., mel.mels, N) of the mel (..., bands, M) of a known format.

    Raises ValueError for a name that is not known, a number of bands or values that the format
    does not have, fewer than three frames, and NaN or Inf.
    """
    if name not in FORMATS:
        raise ValueError(f"mel is {name!r}; expected one of {', '.join(FORMATS)}")
    form = FORMATS[name]
    bands, count = values.shape[-2:] if values.ndim > 1 else (0, 0)
    if values.ndim < 2 or (form.bands and bands not in form.bands) or bands < 20 or count < 3:
        wanted = " or ".join(map(str, form.bands)) or "20 or more"
        raise ValueError(
            f"log_mel must have shape ({wanted}, N) with N >= 3 for the format {name}, "
            f"got {tuple(values.shape)}"
        )
    if not bool(values.isfinite().all()):
        raise ValueError("log_mel holds NaN or Inf")
    power = form.power(values.double())
    if form.mel is None:
        return power.clamp(min=mel.floor**2).log().div(2).float()
    return _converted(power, form.mel(bands), mel).float()


def _converted(power: Tensor, theirs: Mel, ours: Mel) -> Tensor:
    """Return our log-mel of the powers (..., bands, M) of bands of another definition."""
    weight = theirs.filters().double().sum(1).clamp(min=1e-12)[:, None]
    # of |X|^2 in a bin, which grows with the energy of the window
    density = power / weight / theirs.n_fft * ours.n_fft
    seconds = (power.shape[-1] - 1) * theirs.hop / theirs.sample_rate
    frames = 1 + round(seconds * ours.sample_rate / ours.hop)
    place = torch.arange(frames).double() * ours.hop / ours.sample_rate
    density = _at(density, place * theirs.sample_rate / theirs.hop)
    frequency = torch.linspace(0, ours.sample_rate / 2, ours.bins).double()
    known = centres(theirs)
    index = torch.searchsorted(known, frequency).clamp(1, len(known) - 1)
    low, high = known[index - 1], known[index]
    band = (index - 1) + ((frequency - low) / (high - low)).clamp(0, 1)
    magnitude = RAYLEIGH * _at(density.transpose(-1, -2), band).transpose(-1, -2).sqrt()
    return ours.of_magnitude(magnitude)


def _at(values: Tensor, place: Tensor) -> Tensor:
    """Return values (..., N) at places along the last axis, linear between neighbours."""
    place = place.clamp(0, values.shape[-1] - 1)
    left = place.floor().long().clamp(max=values.shape[-1] - 2)
    share = place - left
    return values[..., left] * (1 - share) + values[..., left + 1] * share
