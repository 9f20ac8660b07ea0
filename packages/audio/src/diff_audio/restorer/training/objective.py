"""The loss of the restorer: the clean mel, from any point of the bridge."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_audio.restorer.scale import to_unit
from diff_audio.spectra.mel import Mel
from diff_core.bridge import bridge_estimate, check_bridge_times
from diff_core.denoiser import Denoiser

__all__ = ["Restoring"]


@dataclass(frozen=True)
class Restoring:
    """The loss (B,) of a bridge denoiser of mels on waves `clean` and `noisy` (B, T), at about
    -26 dBFS: the mean of |x_0 - D|^2 over bands and frames.

    Data prediction, as equation 17 of "Schroedinger Bridge for Generative Speech Enhancement"
    (Jukic et al., 2024). With a squared error the minimum is E[x_0 | x_t, y] at every t, which the
    samplers need.

    mel:      the definition that is trained for
    one_step: probability of t = 1; otherwise t is uniform in [t_min, 1]
    """

    mel: Mel = field(default_factory=Mel)
    one_step: float = 0.2
    t_min: float = 0.02

    def __post_init__(self) -> None:
        check_bridge_times(self.one_step, self.t_min)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, y = (to_unit(self.mel(batch[name])) for name in ("clean", "noisy"))
        estimate = bridge_estimate(
            denoiser, x_0, y, generator, one_step=self.one_step, t_min=self.t_min
        )
        return (estimate - x_0).square().mean((1, 2))
