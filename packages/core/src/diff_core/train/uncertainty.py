r"""A weight for every noise level, learned while training.

Analyzing and Improving the Training Dynamics of Diffusion Models (Karras et al., 2024), after
Multi-Task Learning Using Uncertainty to Weigh Losses (Kendall et al., 2018): with u(lambda)
a small network of its own, the loss

    w(lambda) exp(-u(lambda)) |D - x_0|^2 + u(lambda)

is least, for given D, at u = ln E[w |D - x_0|^2 at lambda]. Every level then weighs as much as any
other in the gradient, whatever w is, and keeps to it while the loss falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.nn.embed import FourierFeatures
from diff_core.train.objective import Denoising

__all__ = ["Uncertain", "UncertaintyWeighted"]


class Uncertain(Denoiser):
    """`denoiser` with u(lambda) beside it, for training; save its `denoiser` alone afterwards.

    u is linear in 64 Fourier features of lambda / 4, and 0 at the start.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser = denoiser
        self.features = FourierFeatures(64)
        self.head = nn.Linear(64, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.config = {"denoiser": denoiser}

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.denoiser(x_t, t, cond)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        return self.denoiser.on_grid(times, like, cond)

    def log_loss(self, log_snr: Tensor) -> Tensor:
        """u(lambda), (B,), for lambda (B,); its range is kept within +-20."""
        features = self.features(log_snr.clamp(-20, 20) / 4)
        return self.head(features.to(self.head.weight.dtype))[:, 0]


@dataclass(frozen=True)
class UncertaintyWeighted:
    """The objective above; `denoising` gives w and the levels. For an `Uncertain` denoiser.

    The loss can be negative: it is a log-density up to a constant.
    Raises ValueError for any other denoiser.
    """

    denoising: Denoising = field(default_factory=Denoising)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        if not isinstance(denoiser, Uncertain):
            raise ValueError(f"denoiser is a {type(denoiser).__name__}; expected Uncertain")
        level, error = self.denoising.error(denoiser, batch, generator)
        u = denoiser.log_loss(level)
        return self.denoising.weight(level) * torch.exp(-u) * error + u
