"""Remasking: entries that are shown may be masked again, and so mend what they got wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diff_core.discrete.chain import Chain
from diff_core.discrete.draw import check_temperature, one_hot, sharpen
from diff_core.discrete.sample.loop import Denoise, Factorised, Plan, check_masks, levels

__all__ = ["Remasking"]


@dataclass(frozen=True)
class Remasking(Factorised):
    r"""The absorbing chain with entries masked again with probability sigma in each step.

        shown entry:  stays (1 - sigma), mask (sigma)
        masked entry: mask (1 - alpha_s - sigma alpha_t) / (1 - alpha_t), else a draw of p_0

    The law of x_s given x_0 is that of the chain for every sigma up to sigma_max =
    min(1, (1 - alpha_s) / alpha_t): Wang et al., Remasking Discrete Diffusion Models with
    Inference-Time Scaling (2025), theorem 3.1. `rule` and `strength` say what sigma is:

        rate     min(sigma_max, strength (t - s))   the same remasking for any number of steps
        cap      min(sigma_max, strength)           ReMDM-cap, strength about 0.04
        rescale  strength sigma_max                 ReMDM-rescale, strength from 0 to 1

    Order 1 by rate; cap and rescale remask more with more steps, and their error need not vanish
    (order 0). One call a step.

    Raises ValueError if the temperature or the strength is negative, or above 1 where it is a
    probability; in `plan`, if the chain is not absorbing.
    """

    strength: float = 1.0
    rule: Literal["rate", "cap", "rescale"] = "rate"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if self.rule not in ("rate", "cap", "rescale"):
            raise ValueError(f"rule is {self.rule!r}; expected rate, cap or rescale")
        most = math.inf if self.rule == "rate" else 1.0
        if not 0 <= self.strength <= most or math.isinf(self.strength):
            raise ValueError(
                f"strength is {self.strength}; expected a number from 0 up, at most 1 with "
                "rule cap or rescale"
            )

    @property
    def order(self) -> int:
        return 1 if self.rule == "rate" else 0

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        return levels(check_masks(self, chain), times)

    def remasked(self, k: int, plan: Plan) -> float:
        """The probability sigma of step k."""
        now, after = plan.alpha[k], plan.alpha[k + 1]
        most = 1.0 if now <= 1 - after else (1 - after) / now
        if self.rule == "rescale":
            return self.strength * most
        size = plan.times[k] - plan.times[k + 1] if self.rule == "rate" else 1.0
        return min(most, self.strength * size)

    def kernel(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, move: int = 0) -> Tensor:
        mask = check_masks(self, plan.chain).mask
        p_0 = sharpen(denoise(x, k), self.temperature)
        again = self.remasked(k, plan)
        still = (1 - plan.alpha[k + 1] - again * plan.alpha[k]) / (1 - plan.alpha[k])
        masked = (x == mask)[:, None]
        own = one_hot(x, mask + 1, p_0.dtype)[:, :mask]
        shown = torch.where(masked, (1 - still) * p_0, (1 - again) * own)
        # the rest of each column is the mask's
        return torch.cat([shown, 1 - shown.sum(1, keepdim=True)], dim=1)
