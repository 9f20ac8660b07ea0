r"""Classifier-free guidance of categories.

    p_w(x_0)  ~  p(x_0 | x_t, cond)^w  p(x_0 | x_t, null)^(1 - w)      for every entry,

the rule of Classifier-Free Diffusion Guidance (Ho and Salimans, 2022) on log-probabilities. On
an absorbing chain it leaves alone when an entry is unmasked and guides what it becomes (Schiff et
al., Simple Guidance Mechanisms for Discrete Diffusion Models, 2024, equation 5, normalised over
the categories alone). `diff_core.Cfg`, a straight line between the two, would leave the
probabilities.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.discrete.denoiser import CategoricalDenoiser
from diff_core.guidance.cfg import conditional_pair

__all__ = ["CategoricalCfg"]


class CategoricalCfg(CategoricalDenoiser):
    """The guided p_w. Two calls of `denoiser` each, one where weight = 1.

    null:   the condition that was trained to mean "none", as in `diff_core.guidance.Cfg`
    weight: w; 0 is unconditional, 1 conditional, above 1 exaggerates

    A category that either call gives probability 0 has none. Raises ValueError for a weight that
    is not finite; when called, if `cond` is None or `null` has other fields or rows than it.
    """

    def __init__(
        self, denoiser: CategoricalDenoiser, *, null: Condition | None, weight: float
    ) -> None:
        super().__init__(denoiser.chain)
        if not math.isfinite(weight):
            raise ValueError(f"weight is {weight}; expected a finite number")
        self.denoiser = denoiser
        self.null = null
        self.weight = weight

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        cond, null = conditional_pair(cond, self.null, len(x_t))
        conditional = self.denoiser(x_t, t, cond)
        if self.weight == 1:
            return conditional
        other = self.denoiser(x_t, t, null)
        tiny = torch.finfo(other.dtype).tiny
        logs = torch.lerp(
            other.clamp(min=tiny).log(), conditional.clamp(min=tiny).log(), self.weight
        )
        possible = (other > 0) & (conditional > 0)
        return torch.where(possible, logs, -math.inf).softmax(1)
