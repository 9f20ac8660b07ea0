"""The baseline of a lab: diffusion of the wave itself, sample by sample.

"DiffWave: A Versatile Diffusion Model for Audio Synthesis" (Kong et al., 2021), with the core's
1-D U-Net in the place of its dilated convolutions: every sample sees the log-mel frame that it
lies in. It needs far more training and time than the flow between spectra, and is here to be
compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_audio.spectra.mel import Mel
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, FromV
from diff_core.grid import uniform
from diff_core.nn import UNet
from diff_core.noise import Keyed
from diff_core.sample import DpmSolverPP2M, sample
from diff_core.schedule import Cosine
from diff_core.train import Denoising
from diff_core.train.objective import v_weight

__all__ = ["WaveDiffusion", "Waves", "diffuse"]

UNIT = 0.1  # typical root mean square of a wave, which is divided by it


@dataclass(frozen=True)
class Waves:
    """The sizes of the U-Net: channels a level, and the factors in time between levels."""

    channels: tuple[int, ...] = (32, 64, 128, 192)
    factors: tuple[int, ...] = (4, 8, 8)

    def denoiser(self, mel: Mel) -> FromV:
        """An untrained one: takes and gives waves (B, 1, T), T = N * hop samples of N frames."""
        network = UNet(
            spatial=1,
            in_channels=1,
            out_channels=1,
            channels=self.channels,
            blocks=1,
            factors=self.factors,
            cond_channels=mel.mels,
        )
        return FromV(network, Cosine())


@dataclass(frozen=True)
class WaveDiffusion:
    """The loss (B,) of the v-prediction of waves `wave` (B, T), whole hops."""

    mel: Mel = field(default_factory=Mel)
    denoising: Denoising = field(default_factory=lambda: Denoising(v_weight))

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        wave = batch["wave"]
        pair = {"x_0": wave[:, None] / UNIT, "channels": _spread(self.mel, self.mel(wave))}
        return self.denoising(denoiser, pair, generator)


def diffuse(
    denoiser: Denoiser, mel: Mel, log_mel: Tensor, steps: int = 16, seed: int = 0
) -> Tensor:
    """Return the wave (B, (N - 1) * hop) of a log-mel (B, mels, N), in `steps` passes, all at
    once.
    """
    channels = _spread(mel, log_mel)
    noise = Keyed([seed] * len(log_mel))
    start = noise(-1, channels[:, :1])
    cond = Condition(channels=channels)
    x_0 = sample(denoiser, DpmSolverPP2M(), start, uniform(steps), noise=noise, cond=cond)
    return UNIT * x_0[:, 0]


def _spread(mel: Mel, log_mel: Tensor) -> Tensor:
    """Return frames (B, mels, N) as samples (B, mels, (N - 1) * hop), of order one."""
    return (log_mel[..., :-1] / 2 + 2.5).repeat_interleave(mel.hop, dim=-1)
