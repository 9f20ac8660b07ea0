"""The numbers of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TrainConfig", "learning_rate"]


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train.

    steps:            optimiser steps in all (a resumed run goes on to this number)
    batch_size:       samples per step
    learning_rate:    peak; reached after `warmup` steps, then a cosine down to
    final_rate:       at the last step
    weight_decay:     AdamW's, decoupled
    clip:             largest norm of the gradient
    ema:              decay per step of the averaged weights, the ones that are saved
    seed:             all randomness is a function of it and of the step
    workers:          processes that load data, 0 to load in this one
    validate_every:   steps between validations; also after the last step
    checkpoint_every: steps between checkpoints; also after the last step
    log_every:        steps between lines of the log
    device:           where to train
    patience:         steps in a row with a non-finite loss or gradient before giving up

    Raises ValueError when a number is out of range.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup: int = 200
    final_rate: float = 1e-5
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    workers: int = 0
    validate_every: int = 500
    checkpoint_every: int = 100
    log_every: int = 20
    device: str = "cpu"
    patience: int = 20

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.learning_rate <= 0 or not 0 <= self.final_rate <= self.learning_rate:
            raise ValueError(
                f"learning_rate is {self.learning_rate}, final_rate {self.final_rate}; "
                "expected 0 <= final_rate <= learning_rate"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}; expected 0 <= ema < 1")


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine (Loshchilov and Hutter, SGDR, 2017, eq. 5)."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.final_rate + (config.learning_rate - config.final_rate) * cosine
