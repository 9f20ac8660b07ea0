"""The record of one vocoded file."""

from __future__ import annotations

from dataclasses import dataclass

from diff_audio.sound.outcome import FileOutcome

__all__ = ["Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome(FileOutcome):
    """The record of one vocoded file, with the rounds that found its phases."""

    rounds: int
