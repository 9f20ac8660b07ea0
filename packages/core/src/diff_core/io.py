"""Checkpoints by their short name: `io.save`, `io.load`, `io.Card`; see `diff_core.checkpoint`."""

from __future__ import annotations

from diff_core.checkpoint.adapter import load_adapter, save_adapter
from diff_core.checkpoint.model import (
    Card,
    as_checkpoint_error,
    load,
    open_checkpoint,
    parse_card,
    read_card,
    save,
)
from diff_core.checkpoint.tensors import CheckpointError

__all__ = [
    "Card",
    "CheckpointError",
    "as_checkpoint_error",
    "load",
    "load_adapter",
    "open_checkpoint",
    "parse_card",
    "read_card",
    "save",
    "save_adapter",
]
