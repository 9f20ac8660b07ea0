"""Who trains a network and who judges it: whole speakers or subjects, never single files.

A file-by-file split lets a network be judged on people it has seen, and scores that it will not
reach elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Literal

__all__ = ["SPLITS", "Split", "assign", "refuse_shared"]

Split = Literal["train", "val", "test"]
"""The split that a recording or scan belongs to."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""The names of the three splits."""


def assign(
    units: Iterable[str], *, val: float = 0.05, test: float = 0.0, seed: int = 0
) -> dict[str, Split]:
    """A split for each speaker or subject, by a hash of its name: the same on every machine.

    val, test: shares of the units, in [0, 1); a positive share is at least one unit, as long as
               one is left to train on
    seed:      another number, another choice

    Raises ValueError for shares outside [0, 1) or of 1 and more together.
    """
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise ValueError(
            f"val and test must be in [0, 1) and below 1 together, got {val} and {test}"
        )
    prefix = f"{seed}/" if seed else ""
    order = sorted(set(units), key=lambda unit: _digest(prefix + unit))
    left = len(order) - 1
    held_out: list[Split] = []
    shares: tuple[tuple[Split, float], ...] = (("val", val), ("test", test))
    for name, share in shares:
        count = min(left, max(1, int(share * len(order) + 1e-9))) if share > 0 else 0
        held_out.extend(repeat(name, count))
        left -= count
    return {unit: held_out[i] if i < len(held_out) else "train" for i, unit in enumerate(order)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_shared(splits: Mapping[str, Iterable[str]], noun: str) -> None:
    """Raise ValueError, with names, if a unit is in two splits; `splits` has those of each unit.

    noun: what a unit is, "speaker" or "subject"
    """
    shared = {unit: sorted(set(found)) for unit, found in splits.items() if len(set(found)) > 1}
    if shared:
        unit, found = next(iter(shared.items()))
        others = len(shared) - 1
        more = f", and {others} more" if others else ""
        raise ValueError(
            f"{noun} {unit} is in the splits {' and '.join(found)}{more}: "
            f"a network would be judged on a {noun} it has trained on; give each one split"
        )
