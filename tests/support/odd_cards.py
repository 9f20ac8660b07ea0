"""Checkpoints whose card says anything: each value of its `signal` replaced, or left out."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

__all__ = ["odd_cards"]

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**9, 0.5, 1e308, "", "x", "a\nb", [], {}, [1], {"a": 1}, [[]],
)  # fmt: skip


def odd_cards(good: Path, to: Path, count: int, *, part: str = "signal") -> Iterator[Path]:
    """Write `count` checkpoints to `to`, one after the other; equal arguments give equal ones."""
    tensors = load_file(good)
    with safe_open(good, framework="pt") as file:
        metadata: dict[str, str] = dict(file.metadata())
    card = json.loads(metadata["card"])
    places = [place for place in _places(card[part]) if place]
    rng = random.Random(0)
    for _ in range(count):
        changed = copy.deepcopy(card)
        *above, last = rng.choice(places)
        inside = changed[part]
        for key in above:
            inside = inside[key]
        if isinstance(inside, dict) and rng.random() < 0.25:
            del inside[last]
        else:
            inside[last] = rng.choice(VALUES)
        save_file(tensors, to, metadata=metadata | {"card": json.dumps(changed)})
        yield to


def _places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, inside in items:
            yield from _places(inside, (*above, key))
