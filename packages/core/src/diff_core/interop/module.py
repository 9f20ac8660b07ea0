"""Any module that is called as f(x, t), as a network of this package."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diff_core.condition import Condition, check_condition

__all__ = ["ModuleNetwork"]

_SLOTS = ("vector", "channels", "tokens", "lengths", "token_lengths")


class ModuleNetwork(nn.Module):
    """network(x, scale time + offset), called as network(x, time, cond).

    The time that a denoiser gives is t in [0, 1] (or ln(sigma / alpha) / 4 from `Preconditioned`).
    A network of another library is given the time that it was trained on: with a table of N steps
    that is the index i = N t - 1, hence scale = N and offset = -1. A negative offset means that
    the network counts from 0: below the first entry it is given 0. The time is not rounded.

    `Condition.channels` are concatenated to x. Saved with `io.save` if the network has a `config`
    of its constructor's keywords, and loaded by naming both classes in `types`.
    Raises ValueError for a condition that the network does not take, or an answer of another shape
    than x (B, C, *S).
    """

    takes: frozenset[str] = frozenset({"channels"})

    def __init__(self, network: nn.Module, *, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.offset = offset
        self.config: dict[str, object] = {"network": network, "scale": scale, "offset": offset}

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        check_condition(cond)
        cond = cond or Condition()
        for name in _SLOTS:
            if name not in self.takes and getattr(cond, name) is not None:
                raise ValueError(
                    f"cond has {name}, which this {type(self.network).__name__} does not take; "
                    f"expected {' and '.join(sorted(self.takes))} at most"
                )
        told = self.scale * time + self.offset
        if self.offset < 0:
            told = told.clamp(min=0)
        inputs = x if cond.channels is None else torch.cat([x, cond.channels], dim=1)
        answer = self.call(inputs, told, cond)
        if answer.shape != x.shape:
            raise ValueError(
                f"network {type(self.network).__name__} returned shape {tuple(answer.shape)}; "
                f"expected that of x, {tuple(x.shape)}"
            )
        return answer

    def call(self, x: Tensor, told: Tensor, cond: Condition) -> Tensor:
        """The network's answer to x, channels included, at the time (B,) in its own terms."""
        return self.network(x, told)


def class_labels(vector: Tensor) -> Tensor:
    """A vector condition (B, 1) that holds class numbers, as integers (B,)."""
    if vector.ndim != 2 or vector.shape[1] != 1:
        raise ValueError(
            f"cond.vector has shape {tuple(vector.shape)}; expected (B, 1), a class number for "
            "each row"
        )
    return vector[:, 0].round().long()
