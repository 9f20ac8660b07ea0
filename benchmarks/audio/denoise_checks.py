"""Checks of the denoiser that `benchmarks/audio/denoise.py` prints with --levels and --stereo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio import metrics
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.settings import Settings

if TYPE_CHECKING:
    from mixtures import Mixture

__all__ = ["image_error", "levels", "stereo"]

RATE = metrics.RATE
LEVELS_DB = (0.0, -10.0, -20.0, -30.0, -40.0, -50.0)
WINDOW, BAND, ACTIVE_DB = 510, 16, -30.0  # bins in a band; bands this far under the loudest count

Wave = NDArray[np.float64]


def levels(model: Denoiser, mixtures: Sequence[Mixture]) -> Iterator[str]:
    """SI-SDR of the same mixtures with their peak at each level, dB relative to full scale."""
    yield "| peak of the input, dBFS | SI-SDR, dB |"
    yield "|---|---|"
    for level in LEVELS_DB:
        found: list[float] = []
        for mixture in mixtures:
            factor = 10 ** (level / 20) / np.abs(mixture.noisy).max()
            found.append(metrics.si_sdr(mixture.clean, model(factor * mixture.noisy, RATE)))
        yield f"| {level:g} | {np.mean(found):.3f} |"


def stereo(model: Denoiser, mixtures: Sequence[Mixture]) -> Iterator[str]:
    """Speech at a place between two channels, each with noise of its own."""
    yield "| channels | SI-SDR, dB | PESQ | error of the level difference, dB |"
    yield "|---|---|---|---|"
    rows: dict[str, list[tuple[float, ...]]] = {"noisy": [], "linked": [], "separate": []}
    for index, mixture in enumerate(mixtures):
        other = mixtures[(index + 3) % len(mixtures)]  # the same kind, the next speech item
        noise = [one.noisy - one.clean for one in (mixture, other)]
        noise[1] *= np.linalg.norm(noise[0]) / np.linalg.norm(noise[1])
        clean = np.stack((mixture.clean, 0.6 * mixture.clean))
        noisy = clean + np.stack((noise[0], 0.8 * noise[1]))
        rows["noisy"].append(_judge(clean, noisy))
        for name, settings in (("linked", Settings()), ("separate", Settings(linked=False))):
            rows[name].append(_judge(clean, model(noisy, RATE, settings)))
    for name, found in rows.items():
        sdr, pesq, image = np.mean(found, axis=0)
        yield f"| {name} | {sdr:.2f} | {pesq:.2f} | {image:.2f} |"


def _judge(clean: Wave, found: Wave) -> tuple[float, float, float]:
    sdr = [metrics.si_sdr(one, other) for one, other in zip(clean, found, strict=True)]
    return float(np.mean(sdr)), metrics.pesq_wb(clean[1], found[1]), image_error(clean, found)


def image_error(clean: Wave, found: Wave) -> float:
    """Mean distance between the level differences of two stereo sounds (2, T), dB, over the
    points of 8 ms and 16 bins (0.5 kHz) whose clean level is within 30 dB of the loudest.
    """
    wanted, given = _bands(clean), _bands(found)
    loud = wanted.sum(0)
    active = (loud > loud.max() * 10 ** (ACTIVE_DB / 10)) & (wanted.min(0) > 0)
    error = 10 * np.log10(
        (given[0] + 1e-12) / (given[1] + 1e-12) * wanted[1] / wanted[0].clip(1e-30)
    )
    return float(np.abs(error)[active].mean())


def _bands(wave: Wave) -> Wave:
    spectrum = torch.stft(
        torch.from_numpy(wave), WINDOW, 128, window=torch.hann_window(WINDOW).double(),
        return_complex=True,
    )  # fmt: skip
    power = spectrum.abs().square().numpy()
    return power.reshape(2, -1, BAND, power.shape[-1]).sum(2)
