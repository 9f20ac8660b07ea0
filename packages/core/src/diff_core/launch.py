"""The place of this process among those of a launcher (`accelerate launch`, torchrun)."""

from __future__ import annotations

import os

__all__ = ["LaunchError", "launched"]

_ADVICE = "unset RANK and WORLD_SIZE to run one process, or start several with `accelerate launch`"


class LaunchError(ValueError):
    """The environment has a launcher's variables that no launcher can have set."""


def launched() -> tuple[int, int]:
    """The number of this process, and how many there are: 0 and 1 without a launcher.

    Raises LaunchError where RANK and WORLD_SIZE are no such numbers, or where the address at which
    several processes meet is missing: as another job leaves them behind.
    """
    count = _number("WORLD_SIZE", 1)
    if count < 1:
        raise LaunchError(f"WORLD_SIZE is {count} in the environment; {_ADVICE}")
    rank = _number("RANK", 0)
    _number("LOCAL_RANK", 0)
    if not 0 <= rank < count:
        several = f"WORLD_SIZE is {count}" if "WORLD_SIZE" in os.environ else "no WORLD_SIZE is"
        raise LaunchError(f"RANK is {rank} and {several} in the environment; {_ADVICE}")
    if count > 1:
        for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            if not os.environ.get(name):
                raise LaunchError(
                    f"WORLD_SIZE is {count} and no {name} is in the environment; {_ADVICE}"
                )
        _number("MASTER_PORT", 0)
    return rank, count


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return otherwise
    try:
        return int(text)
    except ValueError:
        raise LaunchError(f"{name} is {text!r} in the environment; {_ADVICE}") from None
