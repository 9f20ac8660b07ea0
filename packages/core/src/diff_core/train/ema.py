"""Exponential moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from diff_core.train.distributed import is_spread, like, whole

__all__ = ["Ema"]

Module = TypeVar("Module", bound=nn.Module)


class Ema(Generic[Module]):
    """A copy of a model whose weights trail it: w <- d w + (1 - d) w_model.

    The decay d at step k is min(decay, (1 + k) / (10 + k)), so that the first random weights are
    forgotten early; or decay(k), if it is a function. `module` is the averaged model, in
    evaluation mode and without gradients.
    """

    def __init__(self, model: Module, decay: float | Callable[[int], float]) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self._spread: dict[str, Tensor] = {}

    def follow(self, model: nn.Module) -> None:
        """From now on `model`, whose weights have been spread over processes, is averaged."""
        for name, value in model.state_dict().items():
            if is_spread(value):
                self._spread[name] = like(self.module.get_parameter(name).data, value)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the model's weights after step number `step` (from 0)."""
        if callable(self.decay):
            decay = self.decay(step)
        else:
            decay = min(self.decay, (1 + step) / (10 + step))
        averages = self.module.parameters()
        for (name, new), average in zip(model.named_parameters(), averages, strict=True):
            average = self._spread.get(name, average)
            average.lerp_(new.to(average.dtype), 1 - decay)
        for average, new in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(new)

    def gather(self) -> Module:
        """`module`, complete also where the average is spread; all processes must call this."""
        for name, value in self._spread.items():
            self.module.get_parameter(name).data.copy_(whole(value))
        return self.module

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take the weights of `module` from a state dictionary."""
        self.module.load_state_dict(state)
        for name, value in self._spread.items():
            self._spread[name] = like(state[name], value)
