"""Samples that a training run draws and measures at each validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from diff_core.train.config import TrainConfig

__all__ = ["Seen", "Watch", "Watched"]

M = TypeVar("M", bound=nn.Module)
M_contra = TypeVar("M_contra", contravariant=True)
Validate = Callable[[M, int], Mapping[str, float]]


@dataclass(frozen=True)
class Seen:
    """The numbers and pictures of a validation.

    numbers:  by name, for the log, the curves and the board. A NaN is never the best
    pictures: (C, H, W) in [0, 1] by name, for the board
    """

    numbers: Mapping[str, float]
    pictures: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Watch(Protocol[M_contra]):
    """A measure of samples that the averaged model draws: `diff_core.evaluate.SampleScore`, say.

    `look(averaged model, step)` draws with the same seeds at every step, so that its numbers
    depend on the weights alone. Lower is better for each of `names`.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    def look(self, average: M_contra, step: int, /) -> Seen: ...


class Watched:
    """A validation (the `validate` of `diff_core.train.train`) that watches samples too.

    The watch runs without gradients. torch's global generators (of the CPU, and of the model's
    GPU) have the seed 0 for it and are put back after it: a run with a watch trains as one
    without, and a resumed run sees what an uninterrupted one sees.

    validate: scores by name, which come first; None for none

    Raises ValueError where `config.best` is a number of the watch and `config.better` is higher;
    a call raises ValueError where a number of the watch has the name of a score.
    """

    def __init__(
        self, validate: Validate[Any] | None, watch: Watch[Any], config: TrainConfig
    ) -> None:
        if config.best in watch.names and config.better != "lower":
            raise ValueError(
                f"better is {config.better!r}; expected 'lower', since best is {config.best!r}, a "
                "distance of samples"
            )
        self._validate, self._watch = validate, watch
        self._last: tuple[int, Mapping[str, float]] | None = None

    def __call__(self, average: nn.Module, step: int) -> Seen:
        """Return the scores and what the watch sees."""
        scores = self._validate(average, step) if self._validate else {}
        seen = self._look(average, step)
        if both := sorted(scores.keys() & seen.numbers.keys()):
            raise ValueError(f"{both[0]} is a score of the validation and a number of the watch")
        return Seen({**scores, **seen.numbers}, seen.pictures)

    def told(self, average: nn.Module, step: int) -> dict[str, float]:
        """Return the numbers of the watch alone for a card: to four figures, and the finite ones.

        They are those of the last call if it was of this step.
        """
        if self._last is None or self._last[0] != step:
            self._look(average, step)
        assert self._last is not None
        return {name: float(f"{v:.4g}") for name, v in self._last[1].items() if math.isfinite(v)}

    def _look(self, average: nn.Module, step: int) -> Seen:
        with _apart(average):
            seen = self._watch.look(average, step)
        self._last = (step, seen.numbers)
        return seen


@contextmanager
def _apart(model: nn.Module) -> Generator[None]:
    """A block with global generators of its own, seeded with 0, and without gradients."""
    parameter = next(model.parameters(), None)
    on_gpu = parameter is not None and parameter.device.type == "cuda"
    devices = [parameter.device] if on_gpu and parameter is not None else []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.default_generator.manual_seed(0)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(0)
        yield
