"""A training job: all that a domain gives for `diff_core.command.train` to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from diff_core.checkpoint import Card
from diff_core.train.watch import Watch

__all__ = ["Collate", "Job", "Loss", "Named", "Samples", "Show", "means"]

M = TypeVar("M", bound=nn.Module)

Collate = Callable[[Sequence[dict[str, Tensor]]], dict[str, Tensor]]
"""Make a batch of items."""

Loss = Callable[[Any, dict[str, Tensor], torch.Generator], Tensor]
"""loss(model, batch, generator) -> (B,): an `Objective` of any model. The generator is on the CPU
and the source of all randomness; `model(...)` may run in bfloat16, what it returns is float32."""


Show = Callable[[M, int], Mapping[str, Tensor | tuple[Tensor, int]]]
"""show(averaged model, step) -> by name, pictures (C, H, W) in [0, 1] and sounds (T,) with their
rate."""


class Samples(Protocol):
    """Training samples without end: item i, for any i >= 0, is a pure function of i."""

    def __getitem__(self, index: int, /) -> dict[str, Tensor]: ...


@runtime_checkable
class Named(Protocol):
    """Samples that can say what an item is made of, for the report of a bad step."""

    def name(self, index: int, /) -> str: ...


def means(cases: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each score over its cases; cases without a score (NaN) do not count."""
    return {name: float(np.nanmean(values)) for name, values in cases.items()}


@dataclass(frozen=True)
class Job(Generic[M]):
    """The model to train, its data, and the card of the result.

    model:     untrained, on the CPU; anything that `diff_core.io.save` can save
    objective: losses (B,) of a batch
    samples:   item i is a pure function of i
    card:      (averaged model as it will be saved, steps, hours) -> its card, with scores
    validate:  (averaged model in evaluation mode, step) -> scores by name
    cases:     (averaged model, step) -> by name, the score of each case, whose mean is in the card
    collate:   makes a batch of items; default: stacks their tensors
    dtype:     of the weights in the file; torch.float16 halves it
    plan:      lines that say what was found: data, hours, speakers
    show:      pictures and sounds for TensorBoard, at validations
    watch:     samples drawn and measured at validations; the card has the numbers beside the
               scores, and `train.best` may name them
    """

    model: M
    objective: Loss
    samples: Samples
    card: Callable[[M, int, float], Card]
    validate: Callable[[M, int], dict[str, float]] | None = None
    cases: Callable[[M, int], Mapping[str, Sequence[float]]] | None = None
    plan: tuple[str, ...] = ()
    collate: Collate | None = None
    dtype: torch.dtype | None = None
    show: Show[M] | None = None
    watch: Watch[M] | None = None
