"""The conditions that a network may take beside the noisy signal and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from torch import Tensor

__all__ = ["Condition", "check_condition"]


@dataclass(frozen=True)
class Condition:
    """All the conditioning that the networks here understand; a domain only fills it in.

    vector:        (B, D)      a label, a speaker, a dose: modulates every block (FiLM)
    channels:      (B, C, *S)  an aligned signal (noisy input, mel, mask): concatenated to x
    tokens:        (B, L, D)   a sequence (text): cross-attention
    lengths:       (B,)        number of valid entries along the last axis of the signal
    token_lengths: (B,)        number of valid tokens, the first ones of each sequence
    """

    vector: Tensor | None = None
    channels: Tensor | None = None
    tokens: Tensor | None = None
    lengths: Tensor | None = None
    token_lengths: Tensor | None = None

    @classmethod
    def of(cls, batch: Mapping[str, Tensor]) -> Condition:
        """The entries of a training batch that are named like the fields above."""
        return cls(**{field.name: batch.get(field.name) for field in fields(cls)})


def check_condition(cond: object) -> None:
    """Raise TypeError unless it is a Condition or None: a tensor or a dictionary is neither."""
    if cond is not None and not isinstance(cond, Condition):
        raise TypeError(
            f"cond is of type {type(cond).__name__}; expected a Condition, such as "
            "Condition(vector=labels), or None"
        )
