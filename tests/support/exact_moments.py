"""The mean and the variance of x_0 given x_t: of a mixture of Gaussians, and of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diff_core import Condition, Schedule
from diff_core.coefficients import broadcast
from diff_core.variance import MomentDenoiser

__all__ = ["MixtureMoments", "Two"]


class MixtureMoments(MomentDenoiser):
    """Independent entries, each with the same 1-D mixture: weights, means, deviations (K,)."""

    def __init__(
        self, weights: Tensor, means: Tensor, deviations: Tensor, schedule: Schedule
    ) -> None:
        super().__init__(schedule)
        self.weights, self.means, self.deviations = weights, means, deviations

    def moments(
        self, x_t: Tensor, t: Tensor, cond: Condition | None = None
    ) -> tuple[Tensor, Tensor]:
        alpha, sigma = (
            broadcast(f(t), x_t)[..., None] for f in (self.schedule.alpha, self.schedule.sigma)
        )
        spread = (alpha * self.deviations) ** 2 + sigma**2
        away = x_t[..., None] - alpha * self.means
        share = (self.weights.log() - 0.5 * spread.log() - away**2 / (2 * spread)).softmax(-1)
        means = self.means + alpha * self.deviations**2 / spread * away
        variances = (self.deviations * sigma) ** 2 / spread
        mean = (share * means).sum(-1)
        return mean, (share * (variances + (means - mean[..., None]) ** 2)).sum(-1)


class Two(nn.Module):
    """Answers a prediction and the logarithm of a variance."""

    def __init__(self, log_ratio: float = 0.0) -> None:
        super().__init__()
        self.log_ratio = nn.Parameter(torch.tensor(log_ratio, dtype=torch.float64))

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        return torch.cat([0.3 * x, self.log_ratio.expand_as(x)], 1)
