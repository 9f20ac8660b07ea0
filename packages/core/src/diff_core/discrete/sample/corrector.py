"""Predictor-corrector sampling of categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from diff_core.discrete.chain import Chain
from diff_core.discrete.sample.ancestral import Ancestral
from diff_core.discrete.sample.leaping import leap
from diff_core.discrete.sample.loop import Denoise, Factorised, Plan

__all__ = ["PredictorCorrector"]


@dataclass(frozen=True)
class PredictorCorrector(Factorised):
    """The moves of `predictor`, then `corrections` of a chain that keeps the law of x_s.

    The chain has the rates of the walk forward and back together, Q(x, y) + Q(y, x) score(y), per
    unit of the clock: Campbell et al., A Continuous Time Framework for Discrete Denoising Models
    (2022), proposition 4. A correction runs it for `strength` times the step's change of alpha,
    shared among the corrections. There is none at t = 0. Order 1; one call a correction.
    Raises ValueError if `corrections` is below 1 or `strength` is negative or infinite.
    """

    order = 1

    predictor: Factorised = field(default_factory=Ancestral)
    corrections: int = 1
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.corrections < 1:
            raise ValueError(f"corrections is {self.corrections}; expected at least 1")
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength is {self.strength}; expected a number from 0 up")

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        """That of the predictor."""
        return self.predictor.plan(chain, times)

    def moves(self, k: int, plan: Plan) -> int:
        corrected = plan.times[k + 1] > 0 and self.strength > 0
        return self.predictor.moves(k, plan) + self.corrections * corrected

    def kernel(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, move: int = 0) -> Tensor:
        if move < self.predictor.moves(k, plan):
            return self.predictor.kernel(denoise, x, k, plan, move)
        chain, t = plan.chain, plan.time(k + 1)
        p_0 = denoise(x, k + 1)
        rates = chain.outflow(x, p_0.dtype) + chain.backflow(x, p_0, t)
        size = self.strength * (plan.alpha[k + 1] - plan.alpha[k]) / self.corrections
        return leap(x, size * rates)
