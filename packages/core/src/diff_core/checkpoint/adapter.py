"""Checkpoints of adapters: what was trained beside a frozen network, without that network."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diff_core.checkpoint.description import describe
from diff_core.checkpoint.model import (
    Card,
    as_checkpoint_error,
    core_types,
    metadata_of,
    open_checkpoint,
)
from diff_core.checkpoint.tensors import CheckpointError, read_tensors, write_tensors
from diff_core.nn.adapter import Adapter

__all__ = ["load_adapter", "save_adapter"]


def save_adapter(path: str | os.PathLike[str], model: nn.Module, card: Card) -> None:
    """Write the trained part of the adapter in `model` to a safetensors file, with its card.

    model: an adapter, or a denoiser of one. The file holds the adapter's settings, those of its
    network, and a fingerprint of the network's weights. Raises ValueError unless `model` has
    exactly one adapter.
    """
    found = [module for module in model.modules() if isinstance(module, Adapter)]
    if len(found) != 1:
        raise ValueError(f"model has {len(found)} adapters; expected one")
    (adapter,) = found
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in adapter.trained_state().items()
    }
    metadata = metadata_of(adapter, card) | {"network": _fingerprint(adapter.network_state())}
    write_tensors(Path(path), tensors, metadata)


def load_adapter(
    path: str | os.PathLike[str],
    network: nn.Module,
    *,
    types: Mapping[str, type] | None = None,
) -> tuple[Any, Card]:
    """Return the adapter around `network`, in evaluation mode, and its card.

    `network` must be the one that the adapter was trained with, to the bit, and is frozen.
    `types` maps names to classes of adapters from outside the core.
    Raises CheckpointError if the file is missing, damaged, or of another network.
    """
    card, description, tensors = open_checkpoint(path)
    print_of_network = read_tensors(Path(path), only_metadata=True)[0].get("network")
    if print_of_network is None or not isinstance(description, dict):
        raise CheckpointError(f"{path}: holds a whole model, not an adapter; use load")
    if description.get("network") != json.loads(json.dumps(describe(network))):
        raise CheckpointError(
            f"{path}: is an adapter of another network than this {type(network).__name__}; "
            f"expected one of the settings {json.dumps(description.get('network'))}"
        )
    if print_of_network != _fingerprint(network.state_dict()):
        raise CheckpointError(
            f"{path}: is an adapter of a network with other weights; expected the very ones that "
            "it was trained with"
        )
    with as_checkpoint_error(path):
        kinds = {**core_types(), **(types or {})}
        settings = {k: v for k, v in description.items() if k not in ("type", "network")}
        kind = kinds.get(str(description.get("type")))
        if kind is None or not issubclass(kind, Adapter):
            raise CheckpointError(f"{path}: {description.get('type')!r} is no adapter known here")
        _refuse_giants(settings, tensors)
        adapter = kind(network, **settings)
        expected = {name: t.shape for name, t in adapter.trained_state().items()}
        if expected != {name: t.shape for name, t in tensors.items()}:
            raise CheckpointError(f"{path}: its tensors do not fit the adapter that it describes")
        adapter.load_state_dict(tensors, strict=False)
    return adapter.eval(), card


def _refuse_giants(settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError for a width that no tensor has, before memory is taken for it."""
    widest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    for name, value in settings.items():
        if isinstance(value, int) and value > widest:
            raise CheckpointError(f"{name} is {value}, its tensors have at most {widest} entries")


def _fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types and numbers of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
