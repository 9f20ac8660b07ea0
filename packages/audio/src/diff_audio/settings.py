"""How to denoise: passes, samples, and how much of the input stays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MAX_STEPS", "Settings", "step_times"]

MAX_STEPS = 64


def step_times(steps: int) -> Tensor:
    """Times of `steps` passes, (steps + 1,), from 1 to 0 and denser near 0.

    t_i = (1 - i / steps)^1.7. Raises ValueError unless steps is 1 to 64.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {steps}")
    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64) ** 1.7


@dataclass(frozen=True)
class Settings:
    """How to denoise.

    steps:    network passes, 1 to 64; 1 is the posterior mean, an ordinary enhancer
    samples:  posterior samples to average; more than 1 needs steps of 2 or more
    seed:     of the noise of the samples
    limit_db: at most this much is taken away, dB >= 0; None is no limit
    mix:      share of the result in the output, 0 to 1; the rest is the input
    """

    steps: int = 1
    samples: int = 1
    seed: int = 0
    limit_db: float | None = None
    mix: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {self.steps}")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")
        if self.samples > 1 and self.steps == 1:
            raise ValueError(
                "samples above 1 needs steps of 2 or more: a single pass is not random"
            )
        if self.limit_db is not None and not self.limit_db >= 0:
            raise ValueError(f"limit must be a number of dB, 0 or more, got {self.limit_db}")
        if not 0 <= self.mix <= 1:
            raise ValueError(f"mix must be a share, 0 to 1, got {self.mix}")

    @property
    def dry(self) -> float:
        """Share of the input in the output, 0 to 1."""
        floor = 0.0 if self.limit_db is None else 10.0 ** (-self.limit_db / 20.0)
        return 1.0 - self.mix * (1.0 - floor)
