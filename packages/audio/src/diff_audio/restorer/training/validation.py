"""The scores of a training run: held-out speech with always the same damage, and its mel after
one pass and after several.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_audio.data.mixer import Mixer
from diff_audio.restorer.scale import DECIBELS, from_unit, to_unit
from diff_audio.restorer.settings import step_times
from diff_audio.spectra.frame_noise import FrameNoise
from diff_audio.spectra.mel import Mel
from diff_core.bridge import sample_bridge
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.sample import Ancestral
from diff_core.train.job import means

__all__ = ["Validation"]

STEPS = 4
"""Passes of the draws."""

AUDIBLE = 40.0
"""Decibels under the loudest band of an item, below which its errors do not count."""


class Validation:
    """A validation (denoiser, step): errors of log-mels, dB, over what is audible of the clean.

    mean:    of one pass, the posterior mean; absolute error
    draw:    of a draw by four passes; absolute error
    spread:  standard deviation between two draws
    texture: standard deviation over frames of a draw's bands over that of the clean ones: 1 is
             right, less is dull
    """

    def __init__(self, mixer: Mixer, mel: Mel, count: int) -> None:
        self.mel = mel
        self._items = [mixer[index] for index in range(count)]

    def __call__(self, denoiser: Denoiser, step: int) -> dict[str, float]:
        """Return the mean scores; `step` is not used."""
        return means(self.each(denoiser))

    @torch.no_grad()
    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """Return the scores of each item."""
        device = next(denoiser.parameters()).device
        scores: dict[str, list[float]] = {}
        for item in self._items:
            clean, given = (self.mel(item[name][None]) for name in ("clean", "noisy"))
            y = to_unit(given).to(device)
            heard = clean > clean.max() - AUDIBLE / DECIBELS
            mean = self._walked(denoiser, y, 1, 0)
            draws = [self._walked(denoiser, y, STEPS, number) for number in range(2)]
            found = {
                "mean": _error(mean, clean, heard),
                "draw": _error(draws[0], clean, heard),
                "spread": _error(draws[0], draws[1], heard) / 2**0.5,
                "texture": float(draws[0].std(2).mean() / clean.std(2).mean()),
            }
            for name, value in found.items():
                scores.setdefault(name, []).append(value)
        return scores

    def damaged(self) -> dict[str, float]:
        """Return the mean absolute error, dB, of the damaged mels."""
        errors: list[float] = []
        for item in self._items:
            clean, given = (self.mel(item[name][None]) for name in ("clean", "noisy"))
            heard = clean > clean.max() - AUDIBLE / DECIBELS
            errors.append(_error(given, clean, heard))
        return means({"damaged": errors})

    def _walked(self, denoiser: Denoiser, y: Tensor, steps: int, number: int) -> Tensor:
        noise = FrameNoise(2026, number, 0)
        cond = Condition(channels=y)
        x_0 = sample_bridge(denoiser, Ancestral(), y, step_times(steps), noise=noise, cond=cond)
        return from_unit(x_0, self.mel).cpu()


def _error(one: Tensor, other: Tensor, heard: Tensor) -> float:
    """Return the mean absolute difference, dB, of log-mels where `heard`."""
    return DECIBELS * float((one - other).abs()[heard].mean())
