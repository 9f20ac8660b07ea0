r"""Flow maps: denoisers that know where the step ends.

The flow map of the probability-flow ODE takes x_t to its x_s at once. It is written as the
estimate F of x_0 with which DDIM's step is exact,

    x_s = (sigma_s / sigma_t) x_t + (alpha_s - (sigma_s / sigma_t) alpha_t) F(x_t, t, s) ,

so that F is E[x_0 | x_t] at s = t and the consistency function at s = 0, and `Ddim` samples with
it in any number of steps. In flow time tau = sigma / (alpha + sigma), where z = x / (alpha +
sigma) moves by dz/dtau = (z - D) / tau, u = (z - F) / tau is the mean velocity between the two
times: u of Mean Flows for One-step Generative Modeling (Geng et al., 2025), s of One Step
Diffusion via Shortcut Models (Frans et al., 2024).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diff_core.coefficients import check_time
from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser, beside

__all__ = ["SPAN", "FlowMap"]

SPAN = 6
"""Entries by which `FlowMap` lengthens `Condition.vector`."""


class FlowMap(Denoiser):
    """A denoiser that is told the length of the step, t - s, in `Condition.vector`.

    denoiser: any denoiser of a network that takes a vector with `SPAN` entries more than that of
        the condition; they are cos and sin of w (t - s), with w = pi / 2, pi and 2 pi, and come
        last

    Sample it with `Ddim()`. On a grid each call is told the next time; a call by itself, as
    denoiser(x_t, t), is told s = t. Other samplers combine estimates of several times, which are
    none of their own step: those that call between the times of the grid raise ValueError.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser = denoiser
        self.config = {"denoiser": denoiser}

    def towards(self, x_t: Tensor, t: Tensor, s: Tensor, cond: Condition | None = None) -> Tensor:
        """F(x_t, t, s), of the shape of x_t (B, C, *S); t and s <= t have shape () or (B,)."""
        check_time("s", s, x_t)
        span = beside(t - s, x_t).expand(len(x_t))[:, None]
        angle = span * span.new_tensor([0.5 * math.pi, math.pi, 2 * math.pi])
        told = torch.cat([angle.cos(), angle.sin()], dim=1).to(x_t.dtype)
        cond = cond or Condition()
        vector = told if cond.vector is None else torch.cat([cond.vector, told], dim=1)
        return self.denoiser(x_t, t, replace(cond, vector=vector))

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.towards(x_t, t, t, cond)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        """The estimates for the steps of a grid that falls: answer k is for the step to k + 1."""
        if not bool((times.diff() < 0).all()):
            raise ValueError(
                "the sampler calls between the times of its grid; expected one that does not, "
                "such as Ddim(), for a FlowMap"
            )
        rows = beside(times, like).unbind()
        return lambda x, k: self.towards(x, rows[k], rows[min(k + 1, len(rows) - 1)], cond)
