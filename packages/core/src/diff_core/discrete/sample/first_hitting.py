"""First-hitting sampling: one mask at a time, at the times at which the chain would."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.discrete.chain import Chain
from diff_core.discrete.draw import categorical, check_temperature, sharpen, uniform_of
from diff_core.discrete.sample.loop import Denoise, Plan, check_masks, levels
from diff_core.noise import Noise

__all__ = ["FirstHitting"]


@dataclass(frozen=True)
class FirstHitting:
    """The absorbing chain walked back exactly, on any grid: only the denoiser's error is left.

    With n masks at level m = 1 - alpha, the next one falls at level m u^(1/n), u uniform, at any
    of the masks with the same probability; its category is drawn given everything that is shown.
    Zheng et al., Masked Diffusion Models are Secretly Time-Agnostic Masked Models and Exploit
    Inaccurate Categorical Sampling (2024), proposition 4 and algorithm 1.

    One call for each mask that falls, in a batch as many as in the row where most fall within a
    step: with a single step to t = 0, the entries of a row. The loop waits for the device once a
    call. Call j of step k draws the noise of index k + j 2^32.

    temperature: of the probabilities of x_0. Raises ValueError if it is negative; in `plan`, if
        the chain is not absorbing.
    """

    order = math.inf

    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def plan(self, chain: Chain, times: Tensor) -> Plan:
        """The walk down `times`; see `Sampler`."""
        return levels(check_masks(self, chain), times)

    def step(self, denoise: Denoise, x: Tensor, k: int, plan: Plan, noise: Noise) -> Tensor:
        mask, size = check_masks(self, plan.chain).mask, x.shape
        level = x.new_full((len(x),), 1 - plan.alpha[k], dtype=torch.float64)
        goal = 1 - plan.alpha[k + 1]
        x = x.reshape(len(x), -1).clone()
        call = 0
        while True:
            masked = x == mask
            count = masked.sum(1)
            z = noise(k + call * 2**32, x.new_empty((len(x), 3), dtype=torch.float32))
            wait, place = uniform_of(z[:, 0]), uniform_of(z[:, 1])
            level = level * wait ** (1 / count.clamp(min=1))
            falls = (count > 0) & (level > goal)
            if not bool(falls.any()):
                return x.reshape(size)
            p_0 = sharpen(denoise(x.reshape(size), k), self.temperature)
            p_0 = p_0.reshape(*p_0.shape[:2], -1)
            # the rank of the mask that falls among those of its row, and where that one is
            rank = (place * count).floor().clamp(max=count - 1)
            there = ((masked.cumsum(1) == rank[:, None] + 1) & masked).int().argmax(1)
            rows = torch.arange(len(x), device=x.device)
            drawn = categorical(p_0[rows, :, there], z[:, 2])
            x[rows, there] = torch.where(falls, drawn, x[rows, there])
            call += 1
