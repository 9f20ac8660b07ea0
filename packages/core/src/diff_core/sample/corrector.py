r"""Predictor-corrector sampling: Langevin steps between those of another sampler.

Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021),
algorithm 1. A Langevin step leaves the distribution of x_s as it is and mends what the predictor
left wrong. With the score (alpha D - x) / sigma^2 its linear part is solved exactly,

    x <- alpha D + e^-d (x - alpha D) + sigma sqrt(1 - e^(-2 d)) z ,

so that any size d is stable; d is `strength` times the step's change of log-SNR, shared among the
corrections, in place of the paper's size by norms, which ties together the rows of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_core.noise import Noise
from diff_core.sample.ancestral import Ddim
from diff_core.sample.loop import Denoise, Memory, Plan, Sampler
from diff_core.schedule import Schedule

__all__ = ["PredictorCorrector"]


@dataclass(frozen=True)
class PredictorCorrector:
    """A step of `predictor`, then `corrections` Langevin steps (one call each). Weak order 1.

    There is no correction at sigma = 0. Correction j of step k draws the noise of index
    k + (j + 1) 2^32. strength = 0 leaves the predictor alone.
    Raises ValueError if `corrections` is below 1 or `strength` is negative or infinite.
    """

    predictor: Sampler = field(default_factory=Ddim)
    corrections: int = 1
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.corrections < 1:
            raise ValueError(f"corrections is {self.corrections}; expected at least 1")
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength is {self.strength}; expected a number from 0 up")

    @property
    def order(self) -> int:
        return 1 if self.strength > 0 else self.predictor.order

    @property
    def stochastic(self) -> bool:
        return self.strength > 0 or self.predictor.stochastic

    def plan(self, schedule: Schedule, times: Tensor) -> Plan:
        """That of the predictor."""
        return self.predictor.plan(schedule, times)

    def step(
        self, denoise: Denoise, x: Tensor, k: int, plan: Plan, memory: Memory, noise: Noise | None
    ) -> tuple[Tensor, Memory]:
        x, memory = self.predictor.step(denoise, x, k, plan, memory, noise)
        alpha, sigma = plan.alpha[k + 1], plan.sigma[k + 1]
        if sigma == 0 or self.strength == 0 or noise is None:
            return x, memory
        # infinite from alpha = 0: then all noise is drawn anew
        size = self.strength * (plan.log_snr[k + 1] - plan.log_snr[k]) / self.corrections
        kept, spread = math.exp(-size), sigma * math.sqrt(-math.expm1(-2 * size))
        for j in range(self.corrections):
            pull = denoise(x, k + 1) * (-alpha * math.expm1(-size))
            x = torch.add(pull, x, alpha=kept)
            x.add_(noise(k + (j + 1) * 2**32, x), alpha=spread)
        return x, memory
