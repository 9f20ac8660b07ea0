"""Confidence-ordered sampling: the surest entries first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.discrete.chain import Chain
from diff_core.discrete.draw import categorical, check_temperature, pick, sharpen, uniform_of
from diff_core.discrete.sample.loop import Denoise, Plan, check_masks, levels
from diff_core.noise import Noise

__all__ = ["ConfidenceOrdered"]


@dataclass(frozen=True)
class ConfidenceOrdered:
    """Draws all masked entries, keeps the surest and masks the others again; absorbing chains.

    As many stay masked after a step as the chain has in the mean, rounded: a share (1 - alpha_s) /
    (1 - alpha_t) of the masks. Confidence is ln p(drawn) + choice (1 - alpha_s) g, with g of a
    Gumbel law. Chang et al., MaskGIT: Masked Generative Image Transformer (2022), section 3.2,
    whose pace is a schedule of alpha = 1 - cos(pi (1 - t) / 2). One call a step.

    It is a search for likely samples, not a walk of the chain: the law of its samples is narrower
    than the denoiser's (order 0), but for choice = infinity with one entry a step, where the order
    is random and the law exact.

    temperature: of the probabilities that are drawn from
    choice:      randomness of the order: 0 for the surest always, infinity for any order

    Raises ValueError if either is negative; in `plan`, if the chain is not absorbing.
    """

    order = 0

    temperature: float = 1.0
    choice: float = 4.5

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if not self.choice >= 0:
            raise ValueError(f"choice is {self.choice}; expected a number from 0 up")

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        """The walk down `times`; see `Sampler`."""
        return levels(check_masks(self, chain), times)

    def step(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, noise: Noise) -> Tensor:
        mask = check_masks(self, plan.chain).mask
        still = (1 - plan.alpha[k + 1]) / (1 - plan.alpha[k])
        p_0 = sharpen(denoise(x, k), self.temperature)
        z = noise(k, p_0[:, 0])
        drawn = categorical(p_0, z)
        masked = (x == mask).reshape(len(x), -1)
        gumbel = -torch.log(-uniform_of(noise(k + 2**32, z)).log()).reshape(masked.shape)
        sure = pick(p_0, drawn).double().log().reshape(masked.shape)
        spread = self.choice * (1 - plan.alpha[k + 1]) if self.choice < math.inf else math.inf
        sure = gumbel if math.isinf(spread) else sure + spread * gumbel
        keep = (masked.sum(1, keepdim=True) * still).round()
        # ranks from the least sure; entries that were shown come last and stay
        rank = torch.where(masked, sure, math.inf).argsort(dim=1, stable=True).argsort(dim=1)
        x = torch.where(masked.reshape(x.shape), drawn, x)
        return torch.where((rank < keep).reshape(x.shape), mask, x)
