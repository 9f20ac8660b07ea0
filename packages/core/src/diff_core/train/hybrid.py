r"""The objective of a denoiser with a learned variance.

Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), equation 16:

    L = L_simple + lambda L_vlb ,

the squared error of the mean, and the variational bound in which the mean is a constant, so that
it trains the variance alone. N times the bound's term for the step from t to s = t - 1/N
(`variance.step_divergence`) estimates the sum over N such steps. Its least variance is the same
for every N, E[(x_0 - D)^2 | x_t]; the shorter the step, the less the term depends on it. The paper
has N = 4000 and lambda = 0.001. Here N = 1 by default: the likelihood of x_0 itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.schedule import log_snr
from diff_core.train.objective import Denoising, kept, mean_square, row_mean
from diff_core.variance import MomentDenoiser, step_divergence

__all__ = ["Hybrid"]


@dataclass(frozen=True)
class Hybrid:
    """The objective above, for a `MomentDenoiser`; `denoising` gives L_simple and the times.

    steps: N, of the reverse walk whose bound it is
    share: lambda

    Raises ValueError for steps below 1, a negative share, or a denoiser without a variance. The
    loss can be negative.
    """

    denoising: Denoising = field(default_factory=Denoising)
    steps: int = 1
    share: float = 0.1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; expected at least 1")
        if not self.share >= 0:
            raise ValueError(f"share is {self.share}; expected a number from 0 up")

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        if not isinstance(denoiser, MomentDenoiser):
            raise ValueError(
                f"denoiser is a {type(denoiser).__name__}; expected a MomentDenoiser, such as "
                "WithVariance"
            )
        cond = Condition.of(batch)
        x_0, x_t, t = self.denoising.draw(denoiser.schedule, batch, generator)
        mean, variance = denoiser.moments(x_t, t, cond)
        simple = self.denoising.weight(log_snr(denoiser.schedule, t)) * mean_square(
            mean - x_0, cond.lengths
        )
        wide = t.double()
        s = (wide - 1 / self.steps).clamp(min=0)
        error = kept((x_0 - mean.detach()).square(), cond.lengths)
        terms = step_divergence(denoiser.schedule, wide, s, error, variance)
        return simple + self.share * self.steps * row_mean(terms, cond.lengths)
