"""Checkpoints: safetensors for the numbers, a typed JSON card for everything else. No pickle.

A denoiser is described by its class and its constructor's keywords, recursively (network,
schedule), and rebuilt from that description: nothing in a file is ever executed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diff_core.checkpoint.description import Json, build, describe
from diff_core.checkpoint.tensors import CheckpointError, read_tensors, write_tensors

__all__ = ["Card", "CheckpointError", "load", "open_checkpoint", "parse_card", "read_card", "save"]

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """What a user must know of a trained model.

    name:       short name of the model
    purpose:    one sentence: what it does and for whom
    signal:     what x_0 is: units, rates, normalisation (`{"sample_rate": 16000, ...}`)
    data:       one line per training set
    licences:   one per training set, same order
    hours:      hours of compute that the training took
    steps:      optimiser steps
    recipe:     the whole recipe
    scores:     validation scores, each name with its unit and condition
    limits:     what it should not be used for, what is known to go wrong
    code:       version of diff-core that wrote it
    """

    name: str
    purpose: str = ""
    signal: dict[str, Json] = field(default_factory=dict[str, Json])
    data: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    hours: float = 0.0
    steps: int = 0
    recipe: dict[str, Json] = field(default_factory=dict[str, Json])
    scores: dict[str, float] = field(default_factory=dict[str, float])
    limits: str = ""
    code: str = field(default_factory=lambda: version("diff-core"))


@cache
def _core_types() -> dict[str, type]:
    from diff_core import bridge, denoiser, nn, schedule

    return {
        name: getattr(module, name)
        for module in (bridge, denoiser, nn, schedule)
        for name in module.__all__
        if isinstance(getattr(module, name), type)
    }


def save(
    path: str | os.PathLike[str],
    denoiser: nn.Module,
    card: Card,
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes weights and card to a safetensors file, whole or not at all.

    `dtype` (torch.float16 halves the size) stores floating-point weights in another precision;
    `load` brings them back as float32.
    """
    tensors = {
        name: tensor.detach()
        .cpu()
        .to(dtype if dtype and tensor.is_floating_point() else tensor.dtype)
        .contiguous()
        for name, tensor in denoiser.state_dict().items()
    }
    metadata = {
        "format": f"diff_core/{FORMAT}",
        "model": json.dumps(describe(denoiser)),
        "card": json.dumps(dataclasses.asdict(card)),
    }
    write_tensors(Path(path), tensors, metadata)


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    metadata, tensors = read_tensors(path)
    kind = metadata.get("format", "")
    if not kind.startswith("diff_core/"):
        raise CheckpointError(f"{path}: holds tensors but no diff_core card")
    if kind != f"diff_core/{FORMAT}":
        raise CheckpointError(f"{path}: has format {kind}; this version reads diff_core/{FORMAT}")
    return metadata, tensors


def parse_card(path: Path, text: str) -> Card:
    """A card from its JSON; `path` is named in the error, CheckpointError."""
    try:
        fields: dict[str, Any] = json.loads(text)
        known = {f.name for f in dataclasses.fields(Card)}
        if unknown := set(fields) - known:
            raise ValueError(f"unknown entries {sorted(unknown)}")
        fields["data"], fields["licences"] = tuple(fields["data"]), tuple(fields["licences"])
        return Card(**fields)
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its card cannot be read ({error})") from error


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card of a checkpoint. Raises CheckpointError."""
    path = Path(path)
    return parse_card(path, _open(path)[0].get("card", ""))


def open_checkpoint(path: str | os.PathLike[str]) -> tuple[Card, Json, dict[str, Tensor]]:
    """Return the card, the description of the model (`description`), and the tensors as stored.

    Raises CheckpointError.
    """
    path = Path(path)
    metadata, tensors = _open(path)
    return parse_card(path, metadata.get("card", "")), json.loads(metadata["model"]), tensors


def load(
    path: str | os.PathLike[str], *, types: Mapping[str, type] | None = None
) -> tuple[Any, Card]:
    """The denoiser (in evaluation mode, on the CPU, float32) and its card.

    `types` maps names to classes from outside the core (`{"BandUNet": BandUNet}`).
    Raises CheckpointError if the file is missing, damaged, of an unknown format or class, or if
    its tensors do not fit the model that its description builds.
    """
    path = Path(path)
    metadata, tensors = _open(path)
    card = parse_card(path, metadata.get("card", ""))
    try:
        denoiser = cast(
            nn.Module, build(json.loads(metadata["model"]), {**_core_types(), **(types or {})})
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    expected = {name: tuple(tensor.shape) for name, tensor in denoiser.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        wrong = sorted(n for n in expected | found if expected.get(n) != found.get(n))
        first = wrong[0]
        raise CheckpointError(
            f"{path}: {len(wrong)} tensors do not fit the model; the first, {first}, is "
            f"{found.get(first, 'missing')} and should be {expected.get(first, 'absent')}"
        )
    denoiser.load_state_dict(
        {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
    )
    return denoiser.eval(), card
