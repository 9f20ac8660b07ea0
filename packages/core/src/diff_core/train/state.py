"""The state of a training run on disk: model, average, optimiser and step in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diff_core.description import describe
from diff_core.files import CheckpointError, read_tensors, replacing

__all__ = ["load_state", "save_state"]


def save_state(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Writes all that a run needs to go on after `step` finished steps; whole or not at all."""
    tensors: dict[str, Tensor] = {}
    tensors.update({f"model.{name}": value for name, value in model.state_dict().items()})
    tensors.update({f"average.{name}": value for name, value in average.state_dict().items()})
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
    # safetensors refuses tensors that share memory; a state may hold such (tied weights).
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    metadata = {
        "format": "diff_core_state/1",
        "step": str(step),
        "model": json.dumps(describe(model)),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_state(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Restores what `save_state` wrote, in place, and returns the number of finished steps.

    Raises CheckpointError if the file is damaged or belongs to another model.
    """
    metadata, tensors = read_tensors(path)
    if metadata.get("format") != "diff_core_state/1":
        raise CheckpointError(f"{path}: not a training state of diff_core")
    if json.loads(metadata["model"]) != describe(model):
        raise CheckpointError(
            f"{path}: is the state of another model: {metadata['model']}; "
            f"this one is {json.dumps(describe(model))}"
        )
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    for name, value in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = value
    model.load_state_dict(parts["model"])
    average.load_state_dict(parts["average"])
    for name, parameter in model.named_parameters():
        prefix = f"{name}."
        state: dict[str, Any] = {
            key.removeprefix(prefix): value.to(parameter.device) if value.ndim else value
            for key, value in parts["optimizer"].items()
            if key.startswith(prefix) and "." not in key.removeprefix(prefix)
        }
        if state:
            optimizer.state[parameter] = state
    return int(metadata["step"])
