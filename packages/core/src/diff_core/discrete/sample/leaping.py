"""Tau-leaping: the walk back with rates that are held for a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.discrete.chain import Chain
from diff_core.discrete.draw import check_temperature, one_hot, sharpen
from diff_core.discrete.jumps import Absorbing
from diff_core.discrete.sample.loop import Denoise, Factorised, Plan, levels

__all__ = ["TauLeaping", "leap"]


@dataclass(frozen=True)
class TauLeaping(Factorised):
    """Jumps with the rates at times[k], held to times[k + 1]; the first jump of each entry counts.

    Campbell et al., A Continuous Time Framework for Discrete Denoising Models (2022), section 4.3.
    Order 1, one call a step. `Ancestral` costs the same and treats the change of the rates within
    a step exactly: this one is here to be compared with, and for rates that were changed. A step
    to t = 0 is one of `Ancestral`, or masks would be left.

    temperature: of the probabilities of x_0. Raises ValueError if it is negative; in `plan`, if
        the rates are infinite at times[0], as they are where alpha = 0 but on absorbing chains.
    """

    order = 1

    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        plan = levels(chain, times)
        if plan.alpha[0] == 0 and not isinstance(chain, Absorbing):
            raise ValueError(
                f"times[0] = {plan.times[0]:g} has alpha = 0, where the rates of {chain} are "
                "infinite; expected a grid that starts below it, as at t = 0.999"
            )
        return plan

    def kernel(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, move: int = 0) -> Tensor:
        p_0, here, there = sharpen(denoise(x, k), self.temperature), plan.time(k), plan.time(k + 1)
        if plan.times[k + 1] == 0:
            return plan.chain.posterior(x, p_0, there, here)
        rates = plan.chain.reverse_rates(x, p_0, here)
        return leap(x, rates * (plan.times[k] - plan.times[k + 1]))


def leap(x: Tensor, expected: Tensor) -> Tensor:
    """The law (B, M, *S) of the first jump from x, or of none, given the expected jumps to each.

    expected: rates times the length of the step, (B, M, *S), 0 at x itself
    """
    total = expected.sum(1, keepdim=True)
    # (1 - e^-total) / total, which is 1 where nothing is expected
    share = torch.where(total > 0, -torch.expm1(-total) / torch.where(total > 0, total, 1.0), 1.0)
    return expected * share + one_hot(x, expected.shape[1], expected.dtype) * torch.exp(-total)
