"""A model from its description, of which nothing is believed that the tensors do not bear out."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from diff_core.checkpoint.description import Json, build
from diff_core.checkpoint.tensors import CheckpointError

__all__ = ["rebuild"]

# How much a model may have beside its tensors: weights that are made and replaced, layers without
# any, tables that are not saved.
_TENSORS = (4, 256)
_MODULES = (16, 1024)
_BYTES = (4, 2**28)


def rebuild(description: Json, types: Mapping[str, type], tensors: Mapping[str, Tensor]) -> Any:
    """The module described, with weights of its own, if `tensors` fit it.

    It is built on the meta device first, where tensors have shapes and take no memory, and no
    further than the number of `tensors` goes. Raises CheckpointError, and what constructors raise.
    """
    with _bounded(len(tensors)):
        try:
            with torch.device("meta"):
                outline = build(description, types)
        except (NotImplementedError, RuntimeError) as error:
            if "meta" not in str(error):
                raise
            outline = None  # a constructor that reads numbers back from a tensor
        if outline is not None:
            _compare(outline, tensors)
        model = build(description, types)
    if outline is None:
        _compare(model, tensors)
    return model


def _compare(model: object, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless the tensors are those of the model."""
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"the model is described as a {type(model).__name__}, not a module")
    state = model.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        wrong = sorted(n for n in expected | found if expected.get(n) != found.get(n))
        first = wrong[0]
        raise CheckpointError(
            f"{len(wrong)} tensors do not fit the model; the first, {first}, is "
            f"{found.get(first, 'missing')} and should be {expected.get(first, 'absent')}"
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != state[name].is_floating_point():
            raise CheckpointError(
                f"tensor {name} is {tensor.dtype} and should be {state[name].dtype}"
            )
    size = sum(t.nbytes for t in chain(model.parameters(), model.buffers()))
    times, more = _BYTES
    if size > times * sum(t.nbytes for t in tensors.values()) + more:
        raise CheckpointError(f"the model takes {size / 2**30:.1f} GiB, its tensors do not")


@contextmanager
def _bounded(tensors: int) -> Generator[None]:
    """Stop with CheckpointError when a model grows out of proportion to its number of tensors."""
    counts = {"tensors": 2 * (_TENSORS[0] * tensors + _TENSORS[1])}
    counts["modules"] = 2 * (_MODULES[0] * tensors + _MODULES[1])
    thread = threading.get_ident()

    def count(what: str) -> None:
        if threading.get_ident() != thread:
            return
        counts[what] -= 1
        if counts[what] < 0:
            raise CheckpointError(
                f"the model described has many more {what} than the file, which holds {tensors} "
                "tensors"
            )

    handles = (
        register_module_parameter_registration_hook(lambda *_: count("tensors")),
        register_module_buffer_registration_hook(lambda *_: count("tensors")),
        register_module_module_registration_hook(lambda *_: count("modules")),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
