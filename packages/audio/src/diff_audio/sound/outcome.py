"""The fields of the record of every file that is made from a file."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FileOutcome"]


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """The record of a file that was made from another.

    rate, channels, frames: what the output has; frames are samples per channel
    seconds: length of the sound; took: time that it needed, both in seconds
    clipped: samples that full scale cut off in the output
    notes:   what is odd about the input, and what the output does not hold of it
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
    seed: int
    notes: tuple[str, ...] = ()
