"""Checkpoints: safetensors for the numbers, a typed JSON card for everything else. No pickle.

A denoiser is described by its class and its constructor's keywords, recursively (network,
schedule), and rebuilt from that description: nothing in a file is ever executed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diff_core.checkpoint.description import Json, describe, parse_description
from diff_core.checkpoint.rebuild import rebuild
from diff_core.checkpoint.tensors import CheckpointError, read_tensors, write_tensors

__all__ = [
    "Card",
    "CheckpointError",
    "as_checkpoint_error",
    "core_types",
    "load",
    "metadata_of",
    "open_checkpoint",
    "parse_card",
    "read_card",
    "save",
]

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """The facts that a user must know about a trained model.

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
def core_types() -> dict[str, type]:
    """The classes of the core that a description may name."""
    from diff_core import bridge, denoiser, flow_map, nn, schedule, variance
    from diff_core.discrete import denoiser as categorical
    from diff_core.discrete import jumps, rates

    return {
        name: getattr(module, name)
        for module in (
            bridge,
            denoiser,
            flow_map,
            nn,
            schedule,
            variance,
            categorical,
            jumps,
            rates,
        )
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
    """Write weights and card to a safetensors file, whole or not at all.

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
    write_tensors(Path(path), tensors, metadata_of(denoiser, card))


def metadata_of(model: nn.Module, card: Card) -> dict[str, str]:
    """The entries of a file that say what it holds."""
    return {
        "format": f"diff_core/{FORMAT}",
        "model": json.dumps(describe(model)),
        "card": json.dumps(dataclasses.asdict(card)),
    }


def _open(path: Path, *, only_metadata: bool = False) -> tuple[dict[str, str], dict[str, Tensor]]:
    metadata, tensors = read_tensors(path, only_metadata=only_metadata)
    kind = metadata.get("format", "")
    if not kind.startswith("diff_core/"):
        raise CheckpointError(f"{path}: holds tensors but no diff_core card")
    if kind != f"diff_core/{FORMAT}":
        raise CheckpointError(f"{path}: has format {kind}; this version reads diff_core/{FORMAT}")
    return metadata, tensors


def parse_card(path: Path, text: str) -> Card:
    """A card from its JSON; `path` is named in the error, CheckpointError."""
    try:
        fields: Any = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("it holds no entries")
        card = cast("dict[str, Any]", fields)
        if unknown := set(card) - set(_ENTRIES):
            raise ValueError(f"unknown entries {sorted(unknown)}")
        if missing := {"name", "data", "licences"} - set(card):
            raise ValueError(f"no {', '.join(sorted(missing))}")
        for name, value in card.items():
            if not _ENTRIES[name](value):
                raise ValueError(f"{name} is of another type")
        card["data"], card["licences"] = tuple(card["data"]), tuple(card["licences"])
        return Card(**card)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its card cannot be read ({_line(error)})") from error


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_lines(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, cast("list[object]", value)))


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _are_scores(value: object) -> bool:
    return isinstance(value, dict) and all(
        map(_is_number, cast("dict[str, object]", value).values())
    )


_ENTRIES: dict[str, Callable[[object], bool]] = {
    "name": _is_text,
    "purpose": _is_text,
    "signal": _is_table,
    "data": _are_lines,
    "licences": _are_lines,
    "hours": _is_number,
    "steps": _is_number,
    "recipe": _is_table,
    "scores": _are_scores,
    "limits": _is_text,
    "code": _is_text,
}
"""What the entries of a card are made of."""


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card of a checkpoint. Raises CheckpointError."""
    path = Path(path)
    return parse_card(path, _open(path, only_metadata=True)[0].get("card", ""))


def open_checkpoint(path: str | os.PathLike[str]) -> tuple[Card, Json, dict[str, Tensor]]:
    """Return the card, the description of the model (`description`), and the tensors as stored.

    Raises CheckpointError.
    """
    path = Path(path)
    metadata, tensors = _open(path)
    card = parse_card(path, metadata.get("card", ""))
    return card, _description(path, metadata), tensors


def _description(path: Path, metadata: Mapping[str, str]) -> Json:
    try:
        return parse_description(metadata.get("model", ""))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {_line(error)}") from error


def load(
    path: str | os.PathLike[str], *, types: Mapping[str, type] | None = None
) -> tuple[Any, Card]:
    """The denoiser (in evaluation mode, on the CPU, float32) and its card.

    `types` maps names to classes from outside the core (`{"BandUNet": BandUNet}`).
    Raises CheckpointError if the file is missing, damaged, of an unknown format or class, or if
    its tensors do not fit the model that its description builds. That is found without the memory
    and the time that a model takes: it is built without numbers first.
    """
    card, description, tensors = open_checkpoint(path)
    with as_checkpoint_error(path):
        model = rebuild(description, {**core_types(), **(types or {})}, tensors)
        model.load_state_dict(
            {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
        )
    return model.eval(), card


@contextmanager
def as_checkpoint_error(path: str | os.PathLike[str]) -> Generator[None]:
    """Raise CheckpointError, one line that names the file, for any exception of the block.

    For what makes objects of the values in a card or a description: they may be anything, and so
    may be what a constructor raises for them. A lack of memory stays what it is.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        text = _line(error)
        if not isinstance(error, ValueError):
            text = f"damaged, or of another version ({type(error).__name__}: {text})"
        named = text if text.startswith(f"{path}: ") else f"{path}: {text}"
        raise CheckpointError(named) from error
