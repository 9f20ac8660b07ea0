"""The record of one spoken file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from diff_audio.sound.remarks import pace

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The record of one spoken file.

    seconds: length of the sound; took: seconds from start to end, loading included
    """

    output: str
    record: dict[str, Any]
    seconds: float
    took: float
    warnings: tuple[str, ...]

    def line(self) -> str:
        """Return one line for people."""
        return f"{self.output}  ({pace(self.seconds, self.took)})"

    def json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))
