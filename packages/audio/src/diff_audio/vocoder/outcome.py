"""The record of one vocoded file."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The record of one vocoded file.

    rate, channels, frames: what the output has
    seconds: length of the output; took: time that it needed, both in seconds
    clipped: samples that full scale cut off in the output
    notes:   what a user should know of the input
    """

    input: str
    output: str
    rate: int
    channels: int
    frames: int
    seconds: float
    took: float
    clipped: int
    device: str
    steps: int
    rounds: int
    seed: int
    notes: tuple[str, ...] = ()
