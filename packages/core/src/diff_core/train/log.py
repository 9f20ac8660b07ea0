"""The log of a training run, `log.jsonl`: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["hours_trained"]


def hours_trained(log: Path) -> float:
    """Wall-clock hours of a run and those that it resumed: `seconds` starts again with each."""
    lines = log.read_text().splitlines()
    seconds: list[float] = [0.0] + [json.loads(line)["seconds"] for line in lines]
    ends = [now for now, after in zip(seconds, [*seconds[1:], 0.0], strict=True) if after < now]
    return round(sum(ends) / 3600, 2)
