"""The settings of the restorer: passes, draws, seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MAX_DRAWS", "MAX_STEPS", "Settings", "step_times"]

MAX_STEPS, MAX_DRAWS = 8, 32


def step_times(steps: int) -> Tensor:
    """Return the times of `steps` passes over the bridge, (steps + 1,), equal steps from 1 to 0.

    Raises ValueError unless steps is 1 to 8.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {steps}")
    import torch  # not above: the command reads the limits from here

    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)


@dataclass(frozen=True)
class Settings:
    """The settings of the restorer.

    steps: network passes, 1 to 8; 1 is the posterior mean of the mel, dull and sure, more walk the
           bridge to one likely recording
    draws: recordings that are drawn, 1 to 32; the first one is the result, and their spread shows
           what may be invented. More than 1 needs steps of 2 or more
    seed:  the seed of the first draw's noise; the others follow from it
    rounds: rounds in which the vocoder's phases settle, see `diff_audio.vocoder`
    """

    steps: int = 4
    draws: int = 1
    seed: int = 0
    rounds: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be 1 to {MAX_STEPS}, got {self.steps}")
        if not 1 <= self.draws <= MAX_DRAWS:
            raise ValueError(f"draws must be 1 to {MAX_DRAWS}, got {self.draws}")
        if self.draws > 1 and self.steps == 1:
            raise ValueError(
                f"draws is {self.draws}; above 1 it needs steps of 2 or more: "
                "a single pass is not random"
            )
