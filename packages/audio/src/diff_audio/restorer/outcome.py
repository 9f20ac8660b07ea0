"""The record of one restored file."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The record of one restored file.

    rate, channels, frames: what the output has
    seconds: length of the recording; took: time that it needed, both in seconds
    clipped: samples that full scale cut off in the output
    spread:  for each second, the standard deviation between the draws, dB, mean over channels,
             frames and bands; empty of one draw
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
    draws: int
    seed: int
    rounds: int
    spread: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
