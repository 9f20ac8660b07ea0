"""Ancestral sampling of categories: the exact step of every entry alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diff_core.discrete.draw import check_temperature, sharpen
from diff_core.discrete.sample.loop import Denoise, Factorised, Plan

__all__ = ["Ancestral"]


@dataclass(frozen=True)
class Ancestral(Factorised):
    """Draws q(x_s | x_t) = sum_{x_0} q(x_s | x_t, x_0) p(x_0 | x_t), all entries at once. Order 1.

    Austin et al., Structured Denoising Diffusion Models in Discrete State-Spaces (2021), equation
    4. In terms of the score it is the analytic sampler ("Tweedie tau-leaping") of Lou et al.,
    Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution (2024), theorem
    4.1. Exact for a single entry at any number of steps; the error is that entries which change
    in the same step do not see each other. One call a step.

    temperature: of the probabilities of x_0 (`sharpen`). Raises ValueError if it is negative.
    """

    order = 1

    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def kernel(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, move: int = 0) -> Tensor:
        p_0 = sharpen(denoise(x, k), self.temperature)
        return plan.chain.posterior(x, p_0, plan.time(k + 1), plan.time(k))
