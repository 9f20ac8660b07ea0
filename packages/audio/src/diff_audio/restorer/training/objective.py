"""The loss of the restorer: the clean mel, from any point of the bridge."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_audio.restorer.scale import to_unit
from diff_audio.spectra.mel import Mel
from diff_core.bridge import SchroedingerBridge, bridge_marginal
from diff_core.condition import Condition
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
        if not 0 <= self.one_step <= 1 or not 0 <= self.t_min < 1:
            raise ValueError(
                "one_step must be in [0, 1] and t_min in [0, 1), "
                f"got {self.one_step} and {self.t_min}"
            )

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        bridge = denoiser.schedule
        if not isinstance(bridge, SchroedingerBridge):
            raise ValueError(
                f"the schedule is {type(bridge).__name__}, expected SchroedingerBridge"
            )
        x_0, y = (to_unit(self.mel(batch[name])) for name in ("clean", "noisy"))
        draws = torch.rand(2, len(x_0), generator=generator)
        t = torch.where(
            draws[0] < self.one_step, 1.0, self.t_min + (1 - self.t_min) * draws[1]
        ).to(x_0.device)
        noise = torch.randn(x_0.shape, generator=generator).to(x_0.device)
        x_t = bridge_marginal(bridge, x_0, y, t, noise)
        estimate = denoiser(x_t, t, Condition(channels=y))
        return (estimate - x_0).square().mean((1, 2))
