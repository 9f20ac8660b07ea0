"""Saturation: a microphone that overdrives, a detector at the end of its range."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """A(x) = gain x, cut to [low, high]; y has the shape of x.

    With gain = 2 and the range [-1, 1] of images this is the high dynamic range problem of
    Improving Diffusion Inverse Problem Solving with Decoupled Noise Annealing (Zhang et al.,
    2024). Where x is beyond the range, the gradient is 0: y says no more than that.
    Raises ValueError unless low < high and gain is not 0.
    """

    low: float = -1.0
    high: float = 1.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; expected low < high")
        if self.gain == 0:
            raise ValueError("gain is 0; expected a number that leaves something of x")

    def __call__(self, x: Tensor) -> Tensor:
        return (self.gain * x).clamp(self.low, self.high)
