"""The numbers of a training run."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["TrainConfig", "learning_rate", "lower_is_better"]


@dataclass(frozen=True)
class TrainConfig:
    """The length and speed of a training run.

    steps:            optimiser steps in all (a resumed run goes on to this number)
    batch_size:       samples per step, over all processes and parts
    accumulate:       parts that a batch is cut into, over all processes, each passed through the
                      network alone: more parts need less memory. At least one a process is made.
                      The noise is drawn part by part: with as many parts the numbers are the same
                      however many processes share them
    optimizer:        sgd (Nesterov's momentum), adam, adamw (weight decay decoupled), or muon:
                      Muon for matrices and filters, AdamW for the rest, at AdamW's rates
    learning_rate:    peak; reached after `warmup` steps
    schedule:         after the warm-up: cosine down to `final_rate` at the last step, inverse_sqrt
                      (rate times sqrt(warmup / step), not below `final_rate`), or constant
    weight_decay:     of the optimiser
    momentum, beta2:  decay of the mean of the gradient (also Adam's first beta) and of its square
    clip:             largest norm of the gradient
    ema:              decay per step of the averaged weights, the ones that are saved
    snapshot_every:   steps between snapshots for post-hoc averages (`diff_core.train.posthoc`);
                      0 for none
    precision:        of the network: float32, bfloat16 (autocast; weights, loss and optimiser stay
                      float32) or auto, which is bfloat16 where the processor is fast at it
    compile:          torch.compile the model
    seed:             all randomness is a function of it and of the step
    workers:          processes that load data, 0 to load in this one
    validate_every:   steps between validations; also after the last step
    checkpoint_every: steps between checkpoints; also after the last step
    keep:             how many of the last checkpoints to keep
    best:             score of the validation by which the saved model is chosen; "" for the last
    better:           whether `best` is to be higher or lower
    stop_after:       validations in a row without a better `best` after which to stop; 0 for never
    log_every:        steps between lines of the log
    device:           where to train
    patience:         steps in a row with a non-finite loss or gradient before giving up

    Raises ValueError when a number is out of range.
    """

    steps: int
    batch_size: int = 16
    accumulate: int = 1
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "inverse_sqrt", "constant"] = "cosine"
    warmup: int = 200
    final_rate: float = 1e-5
    weight_decay: float = 0.0
    momentum: float = 0.9
    beta2: float = 0.999
    clip: float = 1.0
    ema: float = 0.999
    snapshot_every: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    seed: int = 0
    workers: int = 0
    validate_every: int = 500
    checkpoint_every: int = 100
    keep: int = 1
    best: str = ""
    better: Literal["higher", "lower"] = "higher"
    stop_after: int = 0
    log_every: int = 20
    device: str = "cpu"
    patience: int = 20

    def __post_init__(self) -> None:
        at_least_one = ("steps", "batch_size", "accumulate", "validate_every", "checkpoint_every")
        for name in (*at_least_one, "keep", "log_every", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("warmup", "weight_decay", "snapshot_every", "seed", "workers", "stop_after"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 0")
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate is {self.accumulate}; expected at most batch_size, {self.batch_size}"
            )
        if self.learning_rate <= 0 or not 0 <= self.final_rate <= self.learning_rate:
            raise ValueError(
                f"learning_rate is {self.learning_rate}, final_rate {self.final_rate}; "
                "expected 0 <= final_rate <= learning_rate"
            )
        for name in ("ema", "momentum", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 <= {name} < 1")
        if self.clip <= 0:
            raise ValueError(f"clip is {self.clip}; expected a positive norm")
        choices = {
            "optimizer": ("sgd", "adam", "adamw", "muon"),
            "schedule": ("cosine", "inverse_sqrt", "constant"),
            "precision": ("auto", "float32", "bfloat16"),
            "better": ("higher", "lower"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected {', '.join(known[:-1])} "
                    f"or {known[-1]}"
                )
        if self.stop_after and not self.best:
            raise ValueError(f"stop_after is {self.stop_after}; it needs `best`, a score's name")


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of a step (from 0): a linear warm-up, then `config.schedule`.

    cosine: half a cosine (Loshchilov and Hutter, SGDR, 2017, eq. 5). inverse_sqrt: Vaswani et al.,
    Attention Is All You Need, 2017, eq. 3.
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "inverse_sqrt":
        decay = math.sqrt(max(1, config.warmup) / (step + 1))
        return max(config.final_rate, config.learning_rate * min(1.0, decay))
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.final_rate + (config.learning_rate - config.final_rate) * cosine


def lower_is_better(config: TrainConfig, names: Collection[str]) -> TrainConfig:
    """Return a configuration that chooses the lowest where `best` is one of these scores.

    A recipe calls it with its losses and distances, so that `train.best` alone is enough for them.
    """
    return replace(config, better="lower") if config.best in names else config
