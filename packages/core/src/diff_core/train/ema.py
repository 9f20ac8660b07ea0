"""Exponential moving average of the weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["Ema"]

Module = TypeVar("Module", bound=nn.Module)


class Ema(Generic[Module]):
    """A copy of a model whose weights trail it: w <- d w + (1 - d) w_model.

    The decay d at step k is min(decay, (1 + k) / (10 + k)), so that the first random weights are
    forgotten early. `module` is the averaged model, in evaluation mode and without gradients.
    """

    def __init__(self, model: Module, decay: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Module, step: int) -> None:
        """Takes in the model's weights after step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, new in zip(self.module.parameters(), model.parameters(), strict=True):
            average.lerp_(new.to(average.dtype), 1 - decay)
        for average, new in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(new)
